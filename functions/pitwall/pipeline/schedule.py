"""`schedule/{feedId}` as pollers use it: whether there is something to poll, and what the feed says of it.

The calendar's daily function keeps what is to come, pollers tell which session is on and which is over. Both change the
document by `change`, which depends on what was read, so neither undoes the other. "Now" is Firestore's own read time.

`v` counts the changes: no lease stands behind this document, and the condition on what was read keeps writers apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, from_fields, to_fields
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.documents.session import SessionDocument
from pitwall.pipeline.database import Conflict, Database, Unavailable
from pitwall.pipeline.log import log

UPCOMING: Final = 12
"""Sessions to come that the document holds: two weekends and a bit, should the calendar's function fail for days."""

SAME: Final = timedelta(hours=24)
"""A session may be moved by hours. One of the same name a day or more away is another one."""

AGAIN: Final = timedelta(hours=12)
"""A session that is over and is to start so much later than it did has been postponed: it is polled once more."""

USUAL_LENGTH: Final = timedelta(hours=2)
"""Of a session of which nobody says when it is to end."""

ATTEMPTS: Final = 5


class ToPoll(NamedTuple):
    """What a tick learns.

    session: to be polled now. next_at: when polling begins next. known: there is such a document at all.
    over: key of the session that was over last: the feed goes on telling of it until the next one begins.
    """

    session: ScheduledSession | None
    next_at: datetime | None
    known: bool
    over: str = ""


def same(one: ScheduledSession, other: ScheduledSession) -> bool:
    """Whether two sources mean one session: by F1's key where both have it, else by season, name and less than a day.

    Meetings are not compared, as their names differ between sources; no two of them are on one day.
    """
    if one.session_key is not UNSET and other.session_key is not UNSET:
        return one.session_key == other.session_key
    return (
        one.name.casefold() == other.name.casefold()
        and one.year == other.year
        and abs(one.start_date - other.start_date) < SAME
    )


def over_already(session: ScheduledSession, last: ScheduledSession | UnsetType) -> bool:
    """Whether a session is the last one, or comes before it: then it is over, whatever the calendar says."""
    if isinstance(last, UnsetType):
        return False
    if same(session, last):
        return session.start_date < last.start_date + AGAIN
    return session.start_date < last.start_date


def to_poll(schedule: ScheduleDocument, now: datetime, early: timedelta, late: timedelta) -> ToPoll:
    """What is to be polled at `now`: what is on by the feed's word, else what is to come.

    early, late: how long before its start and after its end a session is polled.
    """
    live = schedule.live
    waiting = [session for session in coming(schedule) if not over_already(session, schedule.last)]
    next_at = min((s.start_date - early for s in waiting if s.start_date - early > now), default=None)
    over = "" if isinstance(schedule.last, UnsetType) else schedule.last.session_key or ""
    if not isinstance(live, UnsetType) and now <= live.end_date + late:
        return ToPoll(live, next_at, True, over)
    # Of two that overlap, as when one is finished early and the next has begun, the later one.
    due = [s for s in waiting if s.start_date - early <= now <= s.end_date + late]
    begun = [s for s in due if s.start_date <= now]
    return ToPoll(begun[-1] if begun else due[0] if due else None, next_at, True, over)


def coming(schedule: ScheduleDocument) -> list[ScheduledSession]:
    """`next` and `upcoming`, in order, each once, without cancelled ones."""
    return in_order([*([] if isinstance(schedule.next, UnsetType) else [schedule.next]), *schedule.upcoming])


def in_order(sessions: Iterable[ScheduledSession]) -> list[ScheduledSession]:
    """Sessions by their start, each once, without cancelled ones."""
    found: list[ScheduledSession] = []
    for session in sessions:
        if not session.cancelled and not any(same(session, other) for other in found):
            found.append(session)
    return sorted(found, key=lambda session: session.start_date)


def with_coming(schedule: ScheduleDocument, sessions: list[ScheduledSession]) -> ScheduleDocument:
    """The schedule with these sessions to come."""
    return replace(schedule, next=sessions[0] if sessions else UNSET, upcoming=sessions)


def went_live(
    schedule: ScheduleDocument, session: ScheduledSession, now: datetime, late: timedelta
) -> ScheduleDocument:
    """The schedule once the feed is on `session`: what the feed says of it wins over the calendar.

    Nothing changes for one that is over: the feed goes on telling of it until the next one begins.
    """
    if over_already(session, schedule.last) or now > session.end_date + late:
        return schedule
    calendar = next((s for s in coming(schedule) if same(s, session)), None)
    if calendar is not None and session.round is UNSET:
        session = replace(session, round=calendar.round)
    before = schedule.live
    if not isinstance(before, UnsetType) and not same(before, session):
        schedule = replace(schedule, last=before)  # the feed has gone on: nobody said that one was over
    left = [s for s in coming(schedule) if not same(s, session) and s.start_date > session.start_date]
    return with_coming(replace(schedule, live=session), left)


def was_over(schedule: ScheduleDocument, key: str) -> ScheduleDocument:
    """The schedule once the session `key` is over. Of a session nobody has heard of, nothing is noted."""
    live = schedule.live
    if not isinstance(live, UnsetType) and live.session_key == key:
        over, schedule = live, replace(schedule, live=UNSET)
    else:
        known = next((s for s in coming(schedule) if s.session_key == key), None)
        if known is None or over_already(known, schedule.last):
            return schedule
        over = known
    left = [s for s in coming(schedule) if not over_already(s, over)]
    return with_coming(replace(schedule, last=over), left)


class Schedules:
    """The schedule of one feed."""

    def __init__(self, database: Database, feed: str, early_s: float = 1800.0, late_s: float = 14400.0) -> None:
        self._database = database
        self._path = paths.schedule(feed)
        self._early = timedelta(seconds=early_s)
        self._late = timedelta(seconds=late_s)

    def to_poll(self) -> ToPoll:
        """What there is to poll now. Reads one document. Raises Unavailable."""
        schedule, now, _, _ = self._read()
        return to_poll(schedule, now, self._early, self._late) if schedule is not None else ToPoll(None, None, False)

    def live(self, key: str, session: SessionDocument) -> None:
        """The feed is on this session. Raises Unavailable."""
        self.change(lambda schedule, now: went_live(schedule, scheduled(key, session, now), now, self._late))

    def over(self, key: str) -> bool:
        """It is finalised and quiet: it is not to be polled again. Whether another one is to be polled now.

        Raises Unavailable.
        """
        _, schedule, now = self.change(lambda schedule, _: was_over(schedule, key))
        return to_poll(schedule, now, self._early, self._late).session is not None

    def change(
        self, change: Callable[[ScheduleDocument, datetime], ScheduleDocument]
    ) -> tuple[bool, ScheduleDocument, datetime]:
        """Writes what `change` makes of the schedule, if that is something else. Raises Unavailable.

        Returns whether it was written, the schedule as it is now, and Firestore's time.
        """
        for _ in range(ATTEMPTS):
            schedule, now, updated, exists = self._read()
            before = schedule or ScheduleDocument(at=now, upcoming=[])
            after = replace(change(before, now), at=before.at, written_at=before.written_at, v=before.v)
            after = replace(after, upcoming=after.upcoming[:UPCOMING])
            if after == before and exists and schedule is not None:
                return False, after, now
            after = replace(after, at=now, written_at=now, v=before.v + 1 if isinstance(before.v, int) else 1)
            write = self._database.write(self._path, to_fields(after), updated, must_be_new=not exists)
            try:
                self._database.commit([write])
            except Conflict:
                continue
            return True, after, now
        raise Unavailable(f"{self._path} was changed by others {ATTEMPTS} times in a row")

    def _read(self) -> tuple[ScheduleDocument | None, datetime, object, bool]:
        """The document if there is one that can be read, Firestore's time, its update time, whether it exists."""
        stored = self._database.read([self._path])[self._path]
        if stored.fields is None:
            return None, stored.read_at, stored.updated, False
        try:
            document = from_fields(self._path, stored.fields)
        except InvalidDocument as error:
            log("ERROR", "the schedule cannot be read", reason="bad-schedule", detail=str(error)[:500])
            return None, stored.read_at, stored.updated, True
        assert isinstance(document, ScheduleDocument)  # noqa: S101 (the path says so)
        return document, stored.read_at, stored.updated, True


def scheduled(key: str, session: SessionDocument, now: datetime) -> ScheduledSession:
    """A session as the feed's own SessionInfo has it. now: stands in where that gives no start."""
    meeting = None if isinstance(session.meeting, UnsetType) else session.meeting
    start = now if isinstance(session.start_date, UnsetType) else session.start_date
    end = start + USUAL_LENGTH if isinstance(session.end_date, UnsetType) else session.end_date
    name = "" if isinstance(session.name, UnsetType) else session.name
    title = "" if meeting is None or isinstance(meeting.name, UnsetType) else meeting.name
    return ScheduledSession(
        session_key=key,
        year=start.year if isinstance(session.year, UnsetType) else session.year,
        round=session.round,
        meeting=title,
        location=UNSET if meeting is None else meeting.location,
        type="" if isinstance(session.type, UnsetType) else session.type,
        name=name,
        start_date=start,
        end_date=end,
        gmt_offset=session.gmt_offset,
        archive_path=session.archive_path,
    )
