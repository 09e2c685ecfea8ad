"""The job `telemetry`: a session's telemetry computed, once, and put where the API serves it from (`objects`).

The messages come from F1's archive, or from PitWall's own recording while that is not there. What was computed from a
complete archive by this encoder is left as it is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from pitwall.documents import paths
from pitwall.history.layout_store import keep_layout
from pitwall.history.reconcile import RETRIES
from pitwall.history.telemetry.grid import on_grid
from pitwall.history.telemetry.objects import SESSIONS, Race, Store, StoreUnavailable
from pitwall.history.telemetry.packing import packed
from pitwall.history.telemetry.samples import Samples
from pitwall.history.telemetry.timing import Timing
from pitwall.history.work import BadRequest
from pitwall.pipeline.database import Database
from pitwall.pipeline.log import log
from pitwall.settings import Settings
from pitwall.sources import Source
from pitwall.sources.archive import Archive, ArchiveError, NotInArchive, SessionNotFound
from pitwall.sources.recording import NotARecording, open_recording
from pitwall.timing.state import SessionState

Progress = Callable[[float, str], None]

FIRST_SEASON: Final = 2018
_TOLD: Final = 2_000
"""Messages between two words about progress."""
_HALF: Final = 50_000
"""Messages after which the reading counts as half done: how many there are nobody says, a race has some 70,000."""
_FETCHED: Final = 0.3
"""Part of the work that is done once the session's files are there."""


class Opened(NamedTuple):
    """A session to be read. name: as F1 calls it. final: nothing is to come any more."""

    source: Source
    name: str
    final: bool


def work(settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Computes what `{"year", "round", "session"?, "again"?}` names; the result of `process`.

    Raises as `process`.
    """
    if unknown := request.keys() - {"year", "round", "session", "again"}:
        raise BadRequest(f"{', '.join(sorted(unknown))}: a request has year, round, session and again")
    year, round_, session = request.get("year"), request.get("round"), request.get("session", "R")
    again = request.get("again", False)
    if type(year) is not int or type(round_) is not int or round_ < 1:
        raise BadRequest(f"year {year!r} and round {round_!r}: both are whole numbers, the round from 1 on")
    if not isinstance(session, str) or session not in SESSIONS:
        raise BadRequest(f"there is no session {session!r}; there are {', '.join(SESSIONS)}")
    if type(again) is not bool:
        raise BadRequest(f"again is {again!r}: it is true or false")
    return process(settings, database, year, round_, session, progress, again=again)


def process(
    settings: Settings,
    database: Database,
    year: int,
    round_: int,
    session: str,
    progress: Progress,
    *,
    again: bool = False,
    archive: Archive | None = None,
) -> dict[str, Any]:
    """Computes and stores the telemetry of a session (a key of `objects.SESSIONS`); what became of it, for JSON.

    again: also what was computed from the same archive before. archive: that of the settings, unless another is given.
    Raises BadRequest where there is no such session or it has no telemetry, OSError where the archive, the recording or
    Cloud Storage does not answer (yet), Unavailable, and what `progress` raises. Nothing is half there then.
    """
    race = Race(year, round_, session)
    store = Store.of(settings)
    progress(0.0, f"looking for the telemetry of {race.id}")
    there = store.manifest(race)
    if there is not None and there.final and not again:
        return {
            "race": race.id,
            "session": there.session,
            "frames": there.frames,
            "cars": len(there.cars),
            "written": 0,
        }
    with opened(settings, database, race, _part(progress, 0.0, _FETCHED), archive) as found:
        keep = partial(keep_layout, database, year, round_)
        return computed(store, race, found, _part(progress, _FETCHED, 1.0), keep)


def computed(
    store: Store, race: Race, found: Opened, progress: Progress, keep: Callable[[Samples, Timing], object] | None = None
) -> dict[str, Any]:
    """The same of a session that is open already, whatever source it is from.

    keep: called with what was read, before anything is stored, so that it is again if it fails.
    """
    source = found.source
    state, samples = SessionState(source.session), Samples()
    reading = _part(progress, 0.0, 0.3)
    for number, message in enumerate(source.messages()):
        if number % _TOLD == 0:
            reading(number / (number + _HALF), f"reading, {number} messages so far")
        if not samples.take(message):
            state.apply(message)
    state.finish()
    progress(0.3, "putting everything on one grid")
    timing = Timing.of(state)
    try:
        telemetry = on_grid(samples, timing)
    except ValueError as error:
        raise BadRequest(f"{race.id}: {error}") from error
    counts = samples.counts
    if not telemetry.frames:
        raise BadRequest(f"{race.id} has no telemetry: {_listed(counts) or 'no car data and no positions'}")
    if keep is not None:
        keep(samples, timing)
    drivers = state.data.topics.get("DriverList")
    manifest, objects = packed(
        samples,
        timing,
        telemetry,
        drivers if isinstance(drivers, dict) else {},
        source=source.name,
        final=found.final,
        session_name=found.name,
        progress=_part(progress, 0.35, 0.8),
    )
    frames = telemetry.frames
    del samples, timing, telemetry, state
    written = store.publish(race, manifest, objects, _part(progress, 0.8, 1.0))
    size = sum(manifest.sizes.values())
    log("INFO", "telemetry published", race=race.id, frames=frames, bytes=size, written=written, source=source.name)
    return {
        "race": race.id,
        "session": manifest.session,
        "source": source.name,
        "final": found.final,
        "frames": frames,
        "cars": len(manifest.cars),
        "laps": sum(len(car.laps) for car in manifest.cars.values()),
        "samples": manifest.samples,
        "bytes": size,
        "written": written,
    }


def _part(progress: Progress, first: float, last: float) -> Progress:
    """Progress of a part of the whole."""
    return lambda done, what: progress(first + done * (last - first), what)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items()) if count)


# -- where the messages are ----------------------------------------------------------------


@contextmanager
def opened(
    settings: Settings, database: Database, race: Race, progress: Progress, archive: Archive | None = None
) -> Iterator[Opened]:
    """A session's archive, else PitWall's own recording of it. Raises BadRequest, OSError, Unavailable."""
    planned = _planned(database, race)
    try:
        if archive is not None:
            archived = _archived(archive, planned, race, progress)
        elif "f1" in settings.history:
            with Archive.of(settings) as of_f1:
                archived = _archived(of_f1, planned, race, progress)
        else:
            raise NotInArchive("PITWALL_HISTORY does not name f1: there is no archive to read")
    except ArchiveError as error:
        missing = error
    else:
        yield Opened(archived, _name(planned, race), final=True)
        return
    key = planned.get("sessionKey")
    if not key:
        raise missing
    with tempfile.TemporaryDirectory(prefix="pitwall-recording-") as folder:
        if not _recording(settings, key, Path(folder), progress):
            raise missing
        log("INFO", "telemetry from PitWall's own recording", race=race.id, session=key, archive=str(missing)[:300])
        try:
            recording = open_recording(folder)
        except NotARecording as error:
            raise missing from error
        yield Opened(recording, _name(planned, race), final=False)


def _planned(database: Database, race: Race) -> Mapping[str, Any]:
    """The session as the calendar has it; empty if there is no calendar. Raises BadRequest, Unavailable."""
    path = paths.event(race.year, str(race.round))
    event = RETRIES(lambda: database.read([path]))[path].fields
    if event is None:
        return {}
    sessions: list[dict[str, Any]] = event.get("sessions", [])
    found = next((session for session in sessions if race.named(session.get("name"))), None)
    if found is None:
        names = ", ".join(str(session.get("name")) for session in sessions) or "no session"
        raise BadRequest(f"{event.get('name', race.id)} has no {' or '.join(SESSIONS[race.session])}: it has {names}")
    if found.get("cancelled"):
        raise BadRequest(f"{found.get('name')} of {event.get('name', race.id)} was cancelled")
    return found


def _archived(archive: Archive, planned: Mapping[str, Any], race: Race, progress: Progress) -> Source:
    """Raises BadRequest, ArchiveError."""
    return archive.open(planned.get("archivePath") or _archive_path(archive, race), on_progress=progress)


def _archive_path(archive: Archive, race: Race) -> str:
    """Where the archive's own index has it. Raises BadRequest, ArchiveError."""
    if race.year < FIRST_SEASON:
        raise BadRequest(f"there is no telemetry of {race.year}: F1's archive begins in {FIRST_SEASON}")
    try:
        return archive.find(race.year, str(race.round), SESSIONS[race.session][0]).path
    except SessionNotFound as error:
        raise BadRequest(str(error)) from error


def _name(planned: Mapping[str, Any], race: Race) -> str:
    return str(planned.get("name") or SESSIONS[race.session][0])


def _recording(settings: Settings, key: str, folder: Path, progress: Progress) -> int:
    """Fetches the recorder's objects of a session; how many there are. Raises StoreUnavailable."""
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.cloud import storage

    bucket = storage.Client(project=settings.project).bucket(settings.raw_bucket)
    count = 0
    try:
        for count, blob in enumerate(bucket.list_blobs(prefix=f"{key}/"), start=1):
            progress(0.5, f"fetching the recording, {count} objects so far")
            (folder / blob.name.rpartition("/")[2]).write_bytes(blob.download_as_bytes(raw_download=True))
    except NotFound:
        return 0
    except (GoogleAPIError, OSError) as error:
        raise StoreUnavailable(f"the recording of {key}: {error}"[:500]) from error
    return count
