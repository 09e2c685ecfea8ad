"""F1's archive as a source: a session's files fetched into a folder, and played as any archive on disk is.

How files are fetched is `fetch`'s business, how they are read `pitwall.sources.layouts`'.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pitwall.settings import Settings
from pitwall.sources.archive.errors import ArchiveError, ArchiveNotComplete, NotInArchive
from pitwall.sources.archive.feeds import AT_ONCE, FILES, INSTEAD, KEYFRAME_WILL_DO, TELEMETRY, USED
from pitwall.sources.archive.fetch import Fetcher, Missing
from pitwall.sources.archive.index import ArchivedFeed, ArchivedSession, only, read_feeds, read_season, search
from pitwall.sources.layouts import ArchiveFolder
from pitwall.sources.record import plain_topic
from pitwall.sources.recording import RecordingSource

logger = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
"""Told the part done (0 to 1) and what is being done."""

_ROOT: Final = re.compile(r"(?:https?://[^/]+)?/*(?:static/)?")
_SESSION_PATH: Final = re.compile(r"(\d{4})/(?!\.)[^/\\?#%]+/(?!\.)[^/\\?#%]+/")


class ArchiveSource(RecordingSource):
    """A session of the archive, fetched. `Archive.open` and `open_archive` make them.

    archive_path: under the archive's root. folder: where its files are. keyframes: topics of which nothing
    but the state at the end was there. missing: topics that the session's index has, and of which nothing was there.
    """

    name = "archive"

    def __init__(
        self,
        path: str,
        folder: Path,
        layout: ArchiveFolder,
        session: str,
        keyframes: tuple[str, ...],
        missing: tuple[str, ...],
        kept: tempfile.TemporaryDirectory[str] | None,
    ) -> None:
        super().__init__(folder, layout, session)
        self.archive_path = path
        self.folder = folder
        self.keyframes = keyframes
        self.missing = missing
        # Deleted with the last reference to it: a source is opened again from its beginning as long as it lives.
        self._kept = kept


class Archive:
    """The archive of F1's live timing, over HTTP; a context manager. For one thread.

    cache: folder in which what is fetched is kept, laid out as the archive is, so each session in it is a recording;
    several processes may share it. Without one, a session's files last as long as its source.
    """

    def __init__(
        self,
        base_url: str,
        *,
        cache: str | os.PathLike[str] | None = None,
        requests_per_s: float = 2.0,
        timeout_s: float = 30.0,
        attempts: int = 6,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """base_url: the `static/` folder of the server. The others are as `fetch.Fetcher` has them."""
        self._fetcher = Fetcher(
            base_url.rstrip("/") + "/",
            requests_per_s=requests_per_s,
            timeout_s=timeout_s,
            attempts=attempts,
            sleep=sleep,
        )
        self._cache = Path(cache) if cache is not None else None
        self._seasons: dict[int, list[ArchivedSession]] = {}

    @classmethod
    def of(cls, settings: Settings, cache: str | os.PathLike[str] | None = None) -> Archive:
        """The archive beside the live feed the settings name."""
        return cls(f"{settings.f1_url.rstrip('/')}/static/", cache=cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection. Sources that were opened stay as they are."""
        self._fetcher.close()

    @property
    def requests(self) -> int:
        """HTTP requests made."""
        return self._fetcher.requests

    # -- what there is -----------------------------------------------------------------------

    def sessions(self, year: int, meeting: str = "", session: str = "", *, held: bool = True) -> list[ArchivedSession]:
        """Sessions of a season in its order, those the words mean (`index.search`); empty words stand for any.

        held: only those with a path; the others were cancelled or are still to come. Raises NotInArchive (no such
        season, or nothing that was meant has been held), SessionNotFound, AmbiguousSession, ArchiveError.
        """
        if year not in self._seasons:
            try:
                index = self._fetcher.json(f"{year}/Index.json")
            except Missing as error:
                raise NotInArchive(f"the archive has no season {year} ({self._said(error)})") from error
            self._seasons[year] = read_season(year, index)
        chosen = search(self._seasons[year], meeting, session)
        there = [one for one in chosen if one.path or not held]
        if not there:
            raise NotInArchive(f"{chosen[0].label} has no path in the archive: cancelled, or not held yet")
        return there

    def find(self, year: int, meeting: str, session: str) -> ArchivedSession:
        """The one session that is meant: `find(2025, "Qatar", "Sprint")`. Raises as `sessions` does."""
        return only(self.sessions(year, meeting, session), f"{year} {meeting} {session}")

    def feeds(self, path: str) -> list[ArchivedFeed]:
        """The feeds a session has, by its index; where it has none (2018), all that might be there.

        Raises NotInArchive when nothing of the session is there (yet), ArchiveError.
        """
        path = session_path(path)
        try:
            return read_feeds(self._fetcher.json(f"{path}Index.json"))
        except Missing as error:
            if self._status(path) is None:
                raise self._not_there(path, error) from error
            return [ArchivedFeed(name, f"{name}.json", f"{name}.jsonStream") for name in FILES.values()]

    def complete(self, path: str) -> bool:
        """Whether a session's archive is complete: SessionInfo or ArchiveStatus says so.

        Raises NotInArchive when neither is there (yet), ArchiveError.
        """
        path = session_path(path)
        status = self._status(path)
        if status is None:
            try:
                self._fetcher.json(f"{path}Index.json")
            except Missing as error:
                raise self._not_there(path, error) from error
        return status == "complete"

    def _status(self, path: str) -> str | None:
        """What the archive says of itself, in small letters; None if it says nothing."""
        told = None
        for name in ("SessionInfo", "ArchiveStatus"):
            try:
                said = self._fetcher.json(f"{path}{name}.json")
            except Missing:
                continue
            status = said.get("ArchiveStatus", said) if isinstance(said, dict) else None
            status = status.get("Status") if isinstance(status, dict) else None
            told = status.lower() if isinstance(status, str) else told or ""
            if told == "complete":
                return told
        return told

    def _not_there(self, path: str, error: Missing) -> ArchiveError:
        """Tells a session that is not there from an address that is given nothing: both may be a 403."""
        if error.status == 403:
            year = path[:4]
            try:
                if int(year) not in self._seasons:
                    self._fetcher.json(f"{year}/Index.json")
            except Missing as season:
                if season.status == 403:
                    return ArchiveError(f"the archive refuses this address, or has no {year} at all (403 for {path})")
        return NotInArchive(f"{path} is not in the archive, or not yet ({self._said(error)})")

    @staticmethod
    def _said(error: Missing) -> str:
        if error.status == 403:
            return "403: it is not there, or this address is refused"
        return str(error.status)

    # -- a session ---------------------------------------------------------------------------

    def open(
        self, path: str, *, force: bool = False, telemetry: bool = True, on_progress: Progress | None = None
    ) -> ArchiveSource:
        """Fetches a session and opens it as a source.

        path: as SessionInfo's `Path` and `ArchivedSession.path` have it, or the session's whole URL. force: also while
        the archive is not complete. telemetry: car data and positions too, nine tenths of the bytes. Raises
        ArchiveNotComplete, NotInArchive, ArchiveError; what has been fetched until then stays in the cache, if any.
        """
        path = session_path(path)
        told = on_progress or (lambda *_: None)
        told(0.0, "looking for the archive")
        complete = self.complete(path)
        if not complete and not force:
            raise ArchiveNotComplete(f"the archive of {path} is not complete yet")
        kept = None
        if self._cache is None:
            kept = tempfile.TemporaryDirectory(prefix="pitwall-archive-")
            folder = Path(kept.name) / path
        else:
            folder = self._cache / path
        folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(folder):
            return self._open(path, folder, complete, telemetry, told, kept)

    def _open(
        self,
        path: str,
        folder: Path,
        complete: bool,
        telemetry: bool,
        told: Progress,
        kept: tempfile.TemporaryDirectory[str] | None,
    ) -> ArchiveSource:
        listed = {plain_topic(feed.topic): feed for feed in self.feeds(path)}
        wanted = [*USED, *(TELEMETRY if telemetry else ())]
        streams: dict[str, Path] = {}
        keyframes: dict[str, Path] = {}
        missing: list[str] = []
        for number, topic in enumerate(wanted):
            names = [name for name in (topic, INSTEAD.get(topic)) if name in listed]

            def of_all(have: int, size: int | None, number: int = number, topic: str = topic) -> None:
                told((number + (min(1.0, have / size) if size else 0.0)) / len(wanted), f"fetching {topic}")

            of_all(0, None)
            for feed in (listed[name] for name in names):
                if (stream := self._fetched(path, feed.stream, folder, complete, of_all)) is not None:
                    streams[feed.stream.removesuffix(".jsonStream")] = stream
                    break
            else:
                for name in names if topic in KEYFRAME_WILL_DO else ():
                    if (keyframe := self._fetched(path, listed[name].keyframe, folder, complete, of_all)) is not None:
                        keyframes[name] = keyframe
                        break
                else:
                    missing += names
        if not streams:
            raise NotInArchive(f"{path} has none of the feeds PitWall reads")
        layout = ArchiveFolder(streams, keyframes, AT_ONCE)
        session = layout.survey()
        if missing or keyframes:
            logger.warning("%s: keyframes alone of %s; nothing of %s", path, sorted(keyframes), missing)
        told(1.0, "fetched")
        name = session or f"archive-{re.sub(r'[^A-Za-z0-9]+', '-', path).strip('-')}"
        return ArchiveSource(path, folder, layout, name, tuple(sorted(keyframes)), tuple(missing), kept)

    def _fetched(
        self, path: str, name: str, folder: Path, final: bool, told: Callable[[int, int | None], None]
    ) -> Path | None:
        """One file of the session; None if the server does not have it."""
        if not name:
            return None
        try:
            self._fetcher.download(f"{path}{name}", folder / name, final=final, told=told)
        except Missing:
            return None
        return folder / name


def open_archive(
    settings: Settings,
    path: str,
    cache: str | os.PathLike[str] | None = None,
    on_progress: Progress | None = None,
    *,
    force: bool = False,
    telemetry: bool = True,
) -> ArchiveSource:
    """Fetches a session of the archive the settings name and opens it as a source (`Archive.open`)."""
    with Archive.of(settings, cache) as archive:
        return archive.open(path, force=force, telemetry=telemetry, on_progress=on_progress)


def session_path(text: str) -> str:
    """A session's path under the archive's root, with a slash at its end. Raises NotInArchive for what can be none."""
    rest = _ROOT.sub("", text.strip(), count=1) if _ROOT.match(text.strip()) else text.strip()
    path = f"{rest.strip('/')}/"
    if not _SESSION_PATH.fullmatch(path):
        raise NotInArchive(f"{text!r} is no session's path, as 2025/2025-11-30_Qatar_Grand_Prix/2025-11-29_Sprint/ is")
    return path


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps other processes from fetching the same session into the same folder."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
