"""FastF1 asking the servers that the settings name, and telling what it could not get.

    with fastf1_from(settings, cache) as fastf1:
        loaded = fastf1.load(2018, 4, "R")
    loaded.session.laps, loaded.lacking, loaded.told

FastF1 knows its servers by heart, goes on without what one of them does not give, and ends the process where it cannot.
Here its addresses and its cache are others as long as the context is open, and what it misses is told or raised. Loads
pandas: for jobs only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from pitwall.history.answers import SourceError, Throttled
from pitwall.settings import Settings

_ONE: Final = threading.RLock()
"""FastF1's addresses are the process's: whoever opens the context waits until nobody else has it open."""


_NEVER: Final = logging.CRITICAL + 1
_PARTS: Final = ("weather_data", "race_control_messages", "track_status", "session_status", "session_info")
_TELEMETRY: Final = ("car_data", "pos_data")


class Loaded(NamedTuple):
    """A session that FastF1 has loaded, with laps and a list of who drove.

    lacking: its attributes that cannot be read, as no server had them. told: what FastF1 warned of; that Ergast gave no
    results, which leaves places and points of `results` empty, is only told.
    """

    session: Any
    lacking: tuple[str, ...]
    told: tuple[str, ...]


class FastF1:
    """FastF1 with the context's servers; of no use after it."""

    def schedule(self, year: int) -> Any:
        """FastF1's schedule of a season with tests, a data frame; of its own backend alone. Raises SourceError."""
        import fastf1

        with _told() as told:
            try:
                return fastf1.get_event_schedule(year, include_testing=True, backend="fastf1")
            except (Exception, SystemExit) as error:
                raise _failed(f"the schedule of {year}", error, told) from error

    def load(self, year: int, round_: int, session: str, *, telemetry: bool = False) -> Loaded:
        """A session with its results, laps, and what there is of weather, race control and track status.

        session: as FastF1 names it (R, Q, SQ, SS, S, FP1). telemetry: with positions and car data. Raises SourceError
        if FastF1 has no such session, or could get no laps or no results of it; Throttled if it may not ask any more.
        """
        import fastf1
        from fastf1.exceptions import DataNotLoadedError

        what = f"{session} of round {round_}, {year}"
        with _told() as told:
            try:
                loaded = fastf1.get_session(year, round_, session, backend="fastf1")
                loaded.load(laps=True, telemetry=telemetry, weather=True, messages=True)
                if loaded.laps.empty or loaded.results.empty:
                    raise DataNotLoadedError("it has no laps or no results")
            except (Exception, SystemExit) as error:
                raise _failed(what, error, told) from error
        lacking = tuple(part for part in (*_PARTS, *(_TELEMETRY if telemetry else ())) if not _has(loaded, part))
        return Loaded(loaded, lacking, tuple(dict.fromkeys(told)))


@contextmanager
def fastf1_from(settings: Settings, cache: Path | None = None) -> Iterator[FastF1]:
    """FastF1 with the servers of the settings.

    cache: folder of what it has asked for and parsed, of these servers alone: it does not tell servers apart. None:
    kept as long as the context is open. How often it asks is FastF1's own business. It asks F1 without an account, as
    our own client of the archive does, and not FastF1's mirror of it.
    """
    with _ONE, ExitStack() as after:
        folder = cache or Path(after.enter_context(TemporaryDirectory(prefix="pitwall-fastf1-")))
        folder.mkdir(parents=True, exist_ok=True)
        import fastf1._api
        import fastf1.ergast.interface
        import fastf1.events
        import fastf1.mvapi.api
        from fastf1.internals.f1account import LIVETIMING_URL
        from fastf1.logger import LoggingManager
        from fastf1.req import Cache

        def replaced(owner: Any, name: str, value: Any) -> None:
            after.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)

        static, maps = settings.f1_url.rstrip("/"), settings.multiviewer_url.rstrip("/")
        replaced(fastf1._api, "base_url", static)
        replaced(fastf1._api, "base_url_mirror", static)
        replaced(fastf1.ergast.interface, "BASE_URL", settings.jolpica_url.rstrip("/"))
        replaced(fastf1.events, "_SCHEDULE_BASE_URL", f"{settings.f1schedule_url.rstrip('/')}/")
        replaced(fastf1.mvapi.api, "_make_url", lambda path: f"{maps}{path.removeprefix('/api/v1')}")
        for name in ("_CACHE_DIR", "_requests_session_cached"):
            replaced(Cache, name, getattr(Cache, name))
        for name in ("_http_tmp_disabled", "_func_tmp_disabled"):
            replaced(Cache, name, False)
        Cache.configure(cache_dir=str(folder))
        # Else whoever sits at the terminal is asked for an F1 account.
        Cache._requests_session_cached.adapters.pop(LIVETIMING_URL)
        after.callback(Cache._requests_session_cached.close)
        after.callback(LoggingManager.set_level, LoggingManager._console_handler.level)
        LoggingManager.set_level(_NEVER)
        yield FastF1()


def _failed(what: str, error: BaseException, told: list[str]) -> SourceError:
    """told: what FastF1 said before it failed, which often is why."""
    from fastf1.exceptions import RateLimitExceededError

    said = "; ".join(dict.fromkeys(told))
    text = f"FastF1 has not loaded {what}: {str(error) or type(error).__name__}{said and f' ({said})'}"
    return Throttled(text, 0.0) if isinstance(error, RateLimitExceededError) else SourceError(text)


def _has(session: Any, part: str) -> bool:
    from fastf1.exceptions import DataNotLoadedError

    try:
        getattr(session, part)
    except DataNotLoadedError:
        return False
    return True


@contextmanager
def _told() -> Iterator[list[str]]:
    """What FastF1 warns of."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    logger, handler = logging.getLogger("fastf1"), Handler(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)
