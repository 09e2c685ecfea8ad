"""Looks every quarter of an hour whether the last session's archive is complete, and corrects the session from it.

F1's archive appears half an hour to two hours after a session. Until then, and once the session is final, a look costs
two reads. How a session is corrected, is the business of `reconcile`; which session was the last, that of the schedule.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from flask import Request, Response
from msgspec import UnsetType

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, from_fields, rfc3339
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.history.job import Job, JobLost, JobRunning
from pitwall.pipeline.database import Database, Stored
from pitwall.pipeline.invocation import check_feed, database_of, invoke
from pitwall.pipeline.log import log
from pitwall.settings import Settings
from pitwall.sources import Source

if TYPE_CHECKING:
    from pitwall.pipeline.publisher import Publisher

LOOK_AGAIN: Final = timedelta(minutes=15)
"""How often Cloud Scheduler asks."""
GIVE_UP: Final = timedelta(hours=24)
"""Time after a session's end from which on its archive is no longer looked for."""

State = Literal["no-archive", "nothing-to-do", "final", "waiting", "reconciled", "failed", "gave-up"]


class Look(msgspec.Struct, omit_defaults=True):
    """What came of a look.

    state: `no-archive` (none is configured, nothing was read), `nothing-to-do` (no session was the last one), `final`
        (it is already), `waiting` (for the archive, the poller or another run), `reconciled`, `failed` (to be tried
        again), `gave-up`.
    again_at: when it looks again, RFC 3339; absent if there is nothing more to do.
    """

    state: State
    feed: str
    session: str = ""
    detail: str = ""
    again_at: str = ""


Opening = Callable[[Settings, str], Source]


def open_session(settings: Settings, path: str) -> Source:
    """The session of an archive, without telemetry."""
    from pitwall.sources.archive import open_archive

    return open_archive(settings, path, telemetry=False)


def look(
    settings: Settings,
    database: Database,
    publisher: Callable[[], Publisher],
    open_source: Opening = open_session,
) -> Look:
    """One look at the last session of the feed. publisher: makes one, if it is needed. Raises Unavailable."""
    if "f1" not in settings.history:
        return Look("no-archive", settings.feed)
    schedule_path = paths.schedule(settings.feed)
    schedule = database.read([schedule_path])[schedule_path]
    last = _last(schedule_path, schedule)
    if last is None or isinstance(last.session_key, UnsetType):
        return Look("nothing-to-do", settings.feed)
    key, now = last.session_key, schedule.read_at
    session_path = paths.session(key)
    session = database.read([session_path])[session_path]
    fields = session.fields or {}
    if fields.get("final") is True:
        return Look("final", settings.feed, key)
    # What correcting needs is loaded by the look that corrects: most find nothing to do.
    from pitwall.history.reconcile import KIND, Implausible, NotStored, StillPolled, reconcile
    from pitwall.sources.archive import ArchiveNotComplete, NotInArchive

    # The feed itself tells the path while the session is on; the calendar may not know it yet.
    path = fields.get("archivePath") or last.archive_path
    if not isinstance(path, str):
        return Look("nothing-to-do", settings.feed, key, "nobody knows where its archive will be")
    again_at = rfc3339(now + LOOK_AGAIN)
    if now > _ended(last, fields, now) + GIVE_UP:
        return _give_up(settings, database, key)
    held = publisher()
    try:
        report = reconcile(settings, database, held, open_source(settings, path))
    except (ArchiveNotComplete, NotInArchive) as error:
        detail = f"{error}; looks again at {again_at}"
        Job.wait(database, KIND, key, "waiting", detail)
        return Look("waiting", settings.feed, key, detail, again_at)
    except (JobRunning, StillPolled) as error:
        return Look("waiting", settings.feed, key, str(error), again_at)
    except (JobLost, NotStored, Implausible, OSError, ValueError) as error:
        return Look("failed", settings.feed, key, f"{type(error).__name__}: {error}", again_at)
    finally:
        held.close()
    return Look("reconciled", settings.feed, key, report.line)


def _last(path: str, schedule: Stored) -> ScheduledSession | None:
    """The session that was over last, if there was one."""
    if schedule.fields is None:
        return None
    try:
        document = from_fields(path, schedule.fields)
    except InvalidDocument as error:
        log("ERROR", "the schedule cannot be read", reason="invalid-document", detail=str(error)[:500])
        return None
    if not isinstance(document, ScheduleDocument) or isinstance(document.last, UnsetType):
        return None
    return document.last


def _ended(last: ScheduledSession, session: dict[str, Any], now: datetime) -> datetime:
    """When the session was over: what the calendar says or, of one that lasted longer, what was last heard of it."""
    told = (last.end_date, session.get("at"))
    return max((at for at in told if isinstance(at, datetime) and at <= now), default=now)


def _give_up(settings: Settings, database: Database, key: str) -> Look:
    """Says once why, in the job; what it says in the log it says every time."""
    from pitwall.history.reconcile import KIND

    path = paths.job(KIND, key)
    job = database.read([path])[path].fields or {}
    hours = int(GIVE_UP.total_seconds() / 3600)
    why = str(job.get("error") or job.get("message") or "it was never looked for in that time")
    error = f"given up {hours} hours after the session: {why}"
    if job.get("state") == "failed" and str(job.get("error", "")).startswith("given up"):
        error = str(job["error"])
    else:
        Job.wait(database, KIND, key, "failed", "", error)
    return Look("gave-up", settings.feed, key, error)


def run(request: Request) -> Response:
    """Entry point: one look by Cloud Scheduler. The body may name the feed: `{"feed": "f1"}`."""
    return invoke(request, _run)


def _run(settings: Settings, body: Any) -> Response:
    check_feed(settings, body)
    database = database_of(settings.project)

    def publisher() -> Publisher:
        from pitwall.pipeline.publisher import Publisher

        return Publisher(settings.project, endpoint=settings.pubsub_endpoint)

    found = look(settings, database, publisher)
    severity = "ERROR" if found.state in ("failed", "gave-up") else "INFO"
    log(severity, "looked for the archive", **msgspec.to_builtins(found), **database.operations())
    return Response(msgspec.json.encode(found), content_type="application/json")
