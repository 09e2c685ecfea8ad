"""`python -m pitwall.history.backfill --season 2023`: fills in what happened, season by season; and the job that does.

Works against whatever the environment names: the emulators or the cloud. Interrupted, failed or killed, it is called
again with the same words and goes on; what is filled in already costs a few reads. What is filled in from where is
`season`'s business.

exit 0: all done. 1: something failed or is not there, the others are done. 2: no such season, round or session, or
wrong words. 130: interrupted.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from rich.console import Console

from pitwall.history.answers import SourceError
from pitwall.history.archive import DONE, INTERRUPTED, SOME_FAILED, USAGE
from pitwall.history.bars import bars
from pitwall.history.calendar import NoSource
from pitwall.history.entry import Entry, Severity
from pitwall.history.season import FIRST_SEASON, Choice, Filling, Listener, Web, web_of
from pitwall.history.work import BadRequest
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.log import log, set_lowest
from pitwall.settings import Settings, SettingsError

Opening = Callable[[Settings, Path | None, Callable[[float], None]], AbstractContextManager[Web]]

TOLD: Final = 100
"""Entries of what failed, is missing, was repaired or refused that a job's result has; the command's report has all."""
_A_MOMENT_S: Final = 2.0
_YEARS: Final = re.compile(r"(\d{4})(?:-(\d{4}))?")
_STYLES: Final[Mapping[Severity, str]] = {"INFO": "", "WARNING": "yellow", "ERROR": "red"}


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a job is asked for.

    season: 2023, or several as 1950-1999. round, or from and to: of each season. session: R, S, Q, SQ, FP1 or a name.
    telemetry: of the sessions, too. again: what was filled in before is compared once more.
    """

    season: int | str
    round: int | None = None
    first: int | None = msgspec.field(name="from", default=None)
    last: int | None = msgspec.field(name="to", default=None)
    session: str = ""
    telemetry: bool = False
    again: bool = False

    def choices(self, this_year: int) -> list[Choice]:
        """What is wanted of each season. Raises BadRequest."""
        found = _YEARS.fullmatch(str(self.season))
        if found is None:
            raise BadRequest(f"{self.season!r} is no season, as 2023 or 1950-1999 are")
        first, last = int(found[1]), int(found[2] or found[1])
        if first > last:
            raise BadRequest(f"there are no seasons from {first} to {last}")
        for year in (first, last):
            if not FIRST_SEASON <= year <= this_year + 1:
                raise BadRequest(f"{year} is no season: there are {FIRST_SEASON} to {this_year + 1}")
        rounds = None
        if self.round is not None:
            if self.first is not None or self.last is not None:
                raise BadRequest("either one round, or from one to another")
            rounds = (self.round, self.round)
        elif self.first is not None or self.last is not None:
            rounds = (1 if self.first is None else self.first, 1_000 if self.last is None else self.last)
        if rounds is not None and not 1 <= rounds[0] <= rounds[1]:
            raise BadRequest(f"there are no rounds from {rounds[0]} to {rounds[1]}")
        return [Choice(year=year, rounds=rounds, session=self.session) for year in range(first, last + 1)]


class _Part:
    """A listener for one of several seasons."""

    def __init__(self, listener: Listener, number: int, of: int) -> None:
        self._listener, self._number, self._of = listener, number, of
        self.record = listener.record

    def progress(self, done: float, what: str) -> None:
        self._listener.progress((self._number + done) / self._of, what)


class Run:
    """Seasons, one after the other. entries: what became of everything, as far as it came."""

    def __init__(
        self, settings: Settings, database: Database, listener: Listener, *, dry_run: bool = False, **options: Any
    ) -> None:
        """options: of `Filling`, for tests."""
        self.entries: list[Entry] = []
        self._settings, self._database, self._listener = settings, database, listener
        self._dry_run, self._options = dry_run, options
        self._began = time.monotonic()
        self._requests = 0
        self._done = 0.0
        self.record = listener.record

    def progress(self, done: float, what: str) -> None:
        """As a listener: passes it on."""
        self._done = done
        self._listener.progress(done, what)

    def run(self, wanted: Wanted, opening: Opening, cache: Path | None) -> None:
        """Raises BadRequest, NoSource, SourceError, Unavailable, and what the listener raises."""
        choices = wanted.choices(datetime.now(UTC).year)
        self._database.operations()
        with opening(self._settings, cache, self._wait) as web:
            try:
                for number, choice in enumerate(choices):
                    filling = Filling(
                        self._settings,
                        self._database,
                        web,
                        choice,
                        _Part(self, number, len(choices)),
                        dry_run=self._dry_run,
                        telemetry=wanted.telemetry,
                        again=wanted.again,
                        entries=self.entries,
                        **self._options,
                    )
                    filling.run()
            finally:
                self._requests = sum(getattr(server, "requests", 0) for server in (web.archive, web.jolpica.answers))
                self._requests += web.maps.answers.requests

    def _wait(self, seconds: float) -> None:
        """Sleeps, and says so every other second: a server may want patience for minutes."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if left > _A_MOMENT_S:
                self.progress(self._done, f"waiting {left:.0f} s before a server is asked again")
            time.sleep(min(left, _A_MOMENT_S))

    @property
    def failed(self) -> bool:
        """Whether anything failed, or is nowhere."""
        return any(entry.state in ("failed", "missing") for entry in self.entries)

    @property
    def passing(self) -> list[Entry]:
        """What failed and may not the next time."""
        return [entry for entry in self.entries if entry.state == "failed" and entry.passing]

    def summary(self) -> dict[str, Any]:
        """The run in figures. peakMiB: of the process. requests: to servers, without FastF1's own."""
        return {
            "states": dict(Counter(entry.state for entry in self.entries)),
            "documents": sum(entry.written for entry in self.entries),
            "repaired": sum(len(entry.repaired) for entry in self.entries),
            "refused": sum(len(entry.refused) for entry in self.entries),
            **self._database.operations(),
            "requests": self._requests,
            "seconds": round(time.monotonic() - self._began, 1),
            "peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


# -- the job -----------------------------------------------------------------------------------


class _Logged:
    """Tells a job's progress, and the log the rest."""

    def __init__(self, progress: Callable[[float, str], None]) -> None:
        self.progress = progress

    def record(self, severity: Severity, text: str, *, year: int, round_: int | None, session: str) -> None:
        log(severity, text, year=year, session=session, **({} if round_ is None else {"round": round_}))


def work(
    settings: Settings, database: Database, request: Mapping[str, Any], progress: Callable[[float, str], None]
) -> dict[str, Any]:
    """The work of the job `backfill`: `request` is as `Wanted`. See `work.Work`."""
    try:
        wanted = msgspec.convert(dict(request), Wanted)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
    run = Run(settings, database, _Logged(progress))
    try:
        run.run(wanted, web_of, None)
    except NoSource as error:
        raise SourceError(str(error)) from error
    if run.passing:
        first = run.passing[0]
        raise SourceError(
            f"{len(run.passing)} of {len(run.entries)} failed, {first.year} {first.session} first: {first.error}"
        )
    told = [one for one in run.entries if one.error or one.repaired or one.refused]
    return {**run.summary(), "told": msgspec.to_builtins(told[:TOLD])}


# -- the command -------------------------------------------------------------------------------


class Shown:
    """What is shown of the work: a bar on a terminal, and a line for each record on and off one."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = bars(console)
        self._task = self._bar.add_task("", total=1.0)

    @contextmanager
    def running(self) -> Iterator[Shown]:
        with self._bar:
            yield self

    def progress(self, done: float, what: str) -> None:
        self._bar.update(self._task, completed=done, description=what)

    def say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True, markup=False)

    def record(self, severity: Severity, text: str, *, year: int, round_: int | None, session: str) -> None:
        where = f"{year} {session}" if round_ is None else f"{year} round {round_} {session}"
        line = f"{severity:<7} {where}: {text}"
        self._console.print(line, style=_STYLES[severity], soft_wrap=True, markup=False)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m pitwall.history.backfill",
        description="Fills in what happened in a season, or several: every session's laps, weather, flags and results, "
        "standings, statistics, circuits; from F1's archive (since 2018) and Jolpica, into the project (or the "
        "emulators) that the environment names.",
        epilog="exit code: 0 all done, 1 something failed or is not there (the others are done), 2 nothing is called "
        "that, 130 interrupted; called again with the same words it goes on where it was.",
    )
    made.add_argument("--season", required=True, metavar="YEAR[-YEAR]", help="as 2023, or 1950-1999")
    made.add_argument("--round", type=int, metavar="ROUND", help="one round of the season")
    made.add_argument("--from", dest="first", type=int, metavar="ROUND", help="first round")
    made.add_argument("--to", dest="last", type=int, metavar="ROUND", help="last round")
    made.add_argument("--session", default="", metavar="SESSION", help="R, S, Q, SQ or SS, FP1 to FP3, or a name")
    made.add_argument("--telemetry", action="store_true", help="telemetry of these sessions, too")
    made.add_argument("--again", action="store_true", help="compare what was filled in before once more")
    made.add_argument("--dry-run", action="store_true", help="tell what would be written, and write nothing")
    made.add_argument("--cache", type=Path, metavar="DIR", help="keep what was fetched there, and take it from there")
    made.add_argument("--report", type=Path, metavar="FILE", help="write what became of everything there, as JSON")
    return made


def main(argv: Sequence[str] | None = None, opening: Opening = web_of, **filling: Any) -> int:
    """The exit code. opening, filling: whom to ask and options of `Filling`, for tests."""
    options = parser().parse_args(argv)
    if options.report is not None and not options.report.parent.is_dir():
        parser().error(f"there is no folder {options.report.parent}, for the report")
    names = ("season", "round", "first", "last", "session", "telemetry", "again")
    wanted = Wanted(**{name: getattr(options, name) for name in names})
    try:
        settings = Settings.from_env()
        wanted.choices(datetime.now(UTC).year)
    except (SettingsError, BadRequest) as error:
        return _refused(error, USAGE)
    set_lowest("ERROR")
    shown = Shown(Console(highlight=False))
    database = Database(settings.project)
    run = Run(settings, database, shown, dry_run=options.dry_run, **filling)
    code = DONE
    try:
        with shown.running():
            run.run(wanted, opening, options.cache)
        code = SOME_FAILED if run.failed else DONE
    except BadRequest as error:
        code = _refused(error, USAGE)
    except (NoSource, OSError, Unavailable) as error:
        code = _refused(error, SOME_FAILED)
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        summary = run.summary()
        database.close()
    counts = ", ".join(f"{count} {state}" for state, count in summary["states"].items())
    shown.say(
        f"{counts or 'nothing done'}; {summary['firestoreReads']} read, {summary['firestoreWrites']} written, "
        f"{summary['firestoreDeletes']} deleted, {summary['requests']} requests, {summary['peakMiB']} MiB at most"
    )
    if options.report is not None:
        told = {"wanted": msgspec.to_builtins(wanted), "entries": msgspec.to_builtins(run.entries)}
        report = {**told, **summary, "exitCode": code}
        options.report.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    return code


def _refused(error: Exception, code: int) -> int:
    """Says what is wrong; the exit code."""
    said = f"python -m pitwall.history.backfill: {error}"
    Console(stderr=True, highlight=False, soft_wrap=True).print(said, markup=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
