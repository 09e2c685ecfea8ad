"""The meetings of a season from F1's index and FastF1's schedule, made one calendar. Pure: fetches and stores nothing.

Who is believed, and where that was seen (docs/schedule.md has the reasons at length):

    which meetings and rounds there are   FastF1: it knows the season ahead; F1's index lists a meeting days before it
    when a session starts                 FastF1: the index went on saying Saturday for a qualifying held on Sunday
                                          (Japan 2019), and 2:00 for a practice that began at 2:30 (Las Vegas 2023)
    how far ahead of UTC the clocks are   the time zone database (`zones`)
    how long a session is, key, path      F1's index, which alone has them
    what was stored                       fills in what a source that does not answer would have said
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.history.zones import offset_at, to_utc, written
from pitwall.sources.archive.errors import ArchiveError
from pitwall.sources.archive.index import ArchivedSession, read_season
from pitwall.sources.instants import gmt_offset_ms

TESTING: Final = "testing"
_NEAR: Final = timedelta(days=3)
"""Two sources mean one test, or one renamed meeting, if it begins within this."""
_STRAY: Final = timedelta(days=7)
"""A session of the index so far from its meeting is no part of it (a test filed under a race, Saudi Arabia 2021)."""
_PLACEHOLDER: Final = timedelta(hours=4)
"""A session without key beside one of its type that has one stood in for it (Qatar 2023)."""
_HELD_BY_NOW: Final = timedelta(days=1)

_LENGTHS: Final = {
    "Practice": timedelta(hours=1),
    "Qualifying": timedelta(hours=1),
    "Sprint Shootout": timedelta(minutes=44),
    "Sprint Qualifying": timedelta(minutes=44),
    "Sprint": timedelta(hours=1),
    "Race": timedelta(hours=2),
}
_TEST_DAY: Final = timedelta(hours=9)
"""Most test days are from ten to seven."""


class Meeting(Struct, kw_only=True):
    """A meeting as a source tells it, or as all of them do.

    round: None for testing, what is cancelled, and where it is not known. key: F1's, "" if not known. Empty texts are
    not known. sessions: in order; those of a cancelled meeting are cancelled.
    """

    year: int
    round: int | None
    name: str
    official_name: str = ""
    key: str = ""
    country: str = ""
    location: str = ""
    format: str
    cancelled: bool = False
    sessions: list[ScheduledSession]

    @property
    def testing(self) -> bool:
        return self.format == TESTING

    @property
    def held(self) -> bool:
        """Whether F1 has an archive of any of it."""
        return any(session.archive_path for session in self.sessions)

    @property
    def start(self) -> datetime:
        return min(session.start_date for session in self.sessions)

    @property
    def end(self) -> datetime:
        return max(session.end_date for session in self.sessions)


# -- the sources -----------------------------------------------------------------------------


def of_index(year: int, index: Any, left_out: Counter[str]) -> list[Meeting]:
    """The meetings of F1's `Index.json` of a season. left_out: what cannot be used is counted there by its reason.

    Raises ArchiveError for something that is no such index, or an empty one.
    """
    found = []
    for told in index["Meetings"] if read_season(year, index) else []:
        sessions: list[tuple[ArchivedSession, ScheduledSession]] = []
        told_sessions = told.get("Sessions") if isinstance(told, dict) else None
        for raw in told_sessions.values() if isinstance(told_sessions, dict) else told_sessions or []:
            # Read one at a time: the archive's reader leaves the offset out, and the clocks are what is told right.
            for archived in read_season(year, {"Meetings": [{**told, "Sessions": [raw]}]}):
                session = _of_index(archived, raw.get("GmtOffset"))
                if session is None:
                    left_out["no-start"] += 1
                else:
                    sessions.append((archived, session))
        placeholders = [one for one in sessions if _stands_in(one, sessions)]
        left_out["placeholder"] += len(placeholders)
        real = [session for session in sessions if session not in placeholders]
        if real:
            first, official = real[0][0], told.get("OfficialName")
            found.append(
                Meeting(
                    year=year,
                    round=first.round,
                    name=first.meeting,
                    official_name=official if isinstance(official, str) else "",
                    key=first.meeting_key,
                    country=first.country,
                    location=first.location,
                    format=_format(first.meeting, [session for _, session in real]),
                    sessions=_by_start(session for _, session in real),
                )
            )
    if not found:
        raise ArchiveError(f"the index of {year} has no sessions")
    return found


def _of_index(archived: ArchivedSession, gmt_offset: Any) -> ScheduledSession | None:
    ahead = gmt_offset_ms(gmt_offset)
    if archived.start is None or ahead is None or not archived.type:
        return None
    told = timedelta(milliseconds=ahead)
    local = archived.start.replace(tzinfo=None) + told
    offset = offset_at(archived.location, local, told) or told
    start = to_utc(local, offset)
    # In 2021 the sprint itself was called so; since 2024 it is what decides its grid.
    name = "Sprint" if archived.type == "Race" and archived.name == "Sprint Qualifying" else archived.name
    length = archived.end - archived.start if archived.end is not None else timedelta(0)
    return ScheduledSession(
        session_key=archived.key or UNSET,
        year=archived.year,
        meeting=archived.meeting,
        type=archived.type,
        name=name,
        start_date=start,
        end_date=start + (length if length > timedelta(0) else usual_length(name, testing=False)),
        gmt_offset=written(offset),
        archive_path=archived.path or UNSET,
    )


def _stands_in(one: tuple[ArchivedSession, ScheduledSession], of: Sequence[tuple[ArchivedSession, Any]]) -> bool:
    archived, session = one
    return not archived.key and any(
        other.key and other.type == archived.type and abs(real.start_date - session.start_date) <= _PLACEHOLDER
        for other, real in of
    )


def of_fastf1(year: int, rows: Iterable[Mapping[str, Any]], left_out: Counter[str]) -> list[Meeting]:
    """The meetings of FastF1's event schedule, given as its rows.

    left_out: as in `of_index`. Raises ValueError for an empty schedule.
    """
    found = []
    for row in rows:
        format_, location = str(row["EventFormat"]), _text(row["Location"])
        sessions = []
        for n in range(1, 6):
            name, at = _text(row[f"Session{n}"]), row[f"Session{n}Date"]
            if not name:
                continue
            if not isinstance(at, datetime) or at != at:  # pandas' NaT is a datetime that does not equal itself
                left_out["no-start"] += 1
                continue
            local = at.replace(tzinfo=None)
            offset = offset_at(location, local, at.utcoffset())
            if offset is None:
                left_out["no-offset"] += 1
                continue
            local = datetime(*local.timetuple()[:6])
            start = to_utc(local, offset)
            sessions.append(
                ScheduledSession(
                    year=year,
                    meeting=_text(row["EventName"]),
                    type=_type(name),
                    name=name,
                    start_date=start,
                    end_date=start + usual_length(name, testing=format_ == TESTING),
                    gmt_offset=written(offset),
                )
            )
        if not sessions:
            left_out["no-sessions"] += 1
            continue
        found.append(
            Meeting(
                year=year,
                round=None if format_ == TESTING else int(row["RoundNumber"]),
                name=_text(row["EventName"]),
                official_name=_text(row["OfficialEventName"]),
                country=_text(row["Country"]),
                location=location,
                format=format_,
                sessions=_by_start(sessions),
            )
        )
    if not found:
        raise ValueError(f"FastF1's schedule of {year} has no events")
    return found


def usual_length(name: str, *, testing: bool) -> timedelta:
    """How long a session is scheduled for, where nobody tells its end. FastF1 never does."""
    if testing:
        return _TEST_DAY
    return _LENGTHS.get(name) or _LENGTHS[_type(name)]


# -- one calendar ----------------------------------------------------------------------------


def merged(
    index: Sequence[Meeting] | None, schedule: Sequence[Meeting] | None, now: datetime, left_out: Counter[str]
) -> list[Meeting]:
    """One calendar of both sources; None for one that did not answer.

    A race meeting that one of them has and the other has not is cancelled: one that FastF1 does not list and F1 has no
    archive of, or one that is past without F1's index knowing it, though it knows a later one that was held.
    """
    if index is None or schedule is None:
        return list(index or schedule or [])
    pairs = matched(schedule, index)
    of_schedule, of_archive = {id(ours) for ours, _ in pairs}, {id(theirs) for _, theirs in pairs}
    last_held = max((meeting.start for meeting in index if meeting.held), default=now)
    result = [_one(ours, theirs, left_out) for ours, theirs in pairs]
    for meeting in schedule:
        if id(meeting) not in of_schedule:
            gone = not meeting.testing and meeting.end < min(now - _HELD_BY_NOW, last_held)
            result.append(cancelled(meeting) if gone else meeting)
    for meeting in index:
        if id(meeting) not in of_archive:
            # Its round counts what FastF1 does not; tests are not always listed there.
            gone = not meeting.testing and not meeting.held
            result.append(cancelled(meeting) if gone else replace(meeting, round=None))
    return sorted(result, key=lambda meeting: meeting.start)


def _one(ours: Meeting, theirs: Meeting, left_out: Counter[str]) -> Meeting:
    """A meeting that FastF1 (`ours`) and F1's index (`theirs`) have.

    A session without a path between others that have one may have been cancelled (practice 3, Japan 2019) or held
    without timing (practice 1, Emilia Romagna 2021): that is not taken for a sign of either.
    """
    pairs, left = _paired(ours.sessions, theirs.sessions)
    sessions = []
    for session, other in pairs:
        if other is not None:
            session = replace(
                session,
                session_key=other.session_key,
                archive_path=other.archive_path,
                end_date=session.start_date + (other.end_date - other.start_date),
            )
        sessions.append(session)
    for other in left:
        if ours.start - _STRAY <= other.start_date <= ours.end + _STRAY:
            sessions.append(other)
        else:
            left_out["stray-session"] += 1
    return replace(
        ours,
        key=theirs.key,
        official_name=ours.official_name or theirs.official_name,
        country=ours.country or theirs.country,
        location=ours.location or theirs.location,
        sessions=_by_start(sessions),
    )


def kept(
    fresh: Sequence[Meeting], stored: Sequence[Meeting], *, index_known: bool, schedule_known: bool
) -> list[Meeting]:
    """The calendar of today with what is stored from the days before.

    index_known, schedule_known: whether F1's index and FastF1 answered. What is stored and FastF1 does not list any
    more is cancelled, unless F1 has an archive of it. If FastF1 did not answer, nothing is, and stored rounds and times
    stay.
    """
    pairs = {id(today): before for today, before in matched(fresh, stored)}
    result = []
    for today in fresh:
        before = pairs.get(id(today))
        result.append(
            today
            if before is None
            else _going_on(today, before, index_known=index_known, schedule_known=schedule_known)
        )
    known = {id(before) for before in pairs.values()}
    gone = [before for before in stored if id(before) not in known]
    result += [cancelled(before) if schedule_known and not before.held else before for before in gone]
    return sorted(result, key=lambda meeting: meeting.start)


def _going_on(today: Meeting, before: Meeting, *, index_known: bool, schedule_known: bool) -> Meeting:
    pairs, left = _paired(today.sessions, before.sessions)
    sessions = []
    for session, stored in pairs:
        if stored is not None:
            session = replace(
                session,
                session_key=session.session_key or stored.session_key,
                archive_path=session.archive_path or stored.archive_path,
            )
            if not schedule_known:
                session = replace(
                    session,
                    start_date=stored.start_date,
                    end_date=stored.end_date,
                    gmt_offset=stored.gmt_offset or session.gmt_offset,
                )
            elif not index_known:
                # Only the index tells lengths.
                session = replace(session, end_date=session.start_date + (stored.end_date - stored.start_date))
        sessions.append(session)
    for stored in left:
        if not schedule_known or stored.archive_path:
            sessions.append(stored)
        elif today.format == before.format:
            sessions.append(replace(stored, cancelled=True))
    meeting = replace(
        today,
        key=today.key or before.key,
        official_name=today.official_name or before.official_name,
        country=today.country or before.country,
        location=today.location or before.location,
        sessions=_by_start(sessions),
    )
    if schedule_known:
        return meeting
    return replace(
        meeting,
        name=before.name,
        round=before.round,
        format=before.format,
        cancelled=before.cancelled and not today.held,
    )


def cancelled(meeting: Meeting) -> Meeting:
    """The meeting, not held: rounds are counted without it."""
    return replace(
        meeting,
        round=None,
        cancelled=True,
        sessions=[replace(session, cancelled=True) for session in meeting.sessions],
    )


def matched(one: Sequence[Meeting], other: Sequence[Meeting]) -> list[tuple[Meeting, Meeting]]:
    """Which meetings of two calendars are the same.

    By F1's key, else by name, however far a race has been moved; tests, whose names repeat, and meetings that were
    renamed, by their date and, for the latter, their place.
    """
    pairs: list[tuple[Meeting, Meeting]] = []
    tests: tuple[Callable[[Meeting, Meeting], bool], ...] = (
        lambda a, b: bool(a.key) and a.key == b.key,
        lambda a, b: not a.testing and not b.testing and _plain(a.name) == _plain(b.name),
        lambda a, b: abs(a.start - b.start) <= _NEAR and a.testing and b.testing,
        lambda a, b: (
            abs(a.start - b.start) <= _NEAR and a.testing == b.testing and _plain(a.location) == _plain(b.location)
        ),
    )
    for test in tests:
        for ours in one:
            if any(ours is a for a, _ in pairs):
                continue
            free = [
                theirs
                for theirs in other
                if not any(theirs is b for _, b in pairs)
                and test(ours, theirs)
                and not (ours.key and theirs.key and ours.key != theirs.key)
            ]
            if free:
                pairs.append((ours, min(free, key=lambda theirs: abs(theirs.start - ours.start))))
    return pairs


def _near(one: Meeting, other: Meeting) -> bool:
    return abs(one.start - other.start) <= _NEAR


def _paired(
    ours: Iterable[ScheduledSession], theirs: Iterable[ScheduledSession]
) -> tuple[list[tuple[ScheduledSession, ScheduledSession | None]], list[ScheduledSession]]:
    """Each of our sessions with theirs that is the same, if they have it, and what is left of theirs."""
    pairs, left = [], list(theirs)
    for session in ours:
        other = _alike(session, left)
        if other is not None:
            left.remove(other)
        pairs.append((session, other))
    return pairs, left


def _alike(session: ScheduledSession, among: Iterable[ScheduledSession]) -> ScheduledSession | None:
    """The session of the same meeting in another source: by key, else by type and name, on whatever day."""
    named = []
    for other in among:
        if session.session_key and other.session_key:
            if session.session_key == other.session_key:
                return other
        elif (session.type, _plain(session.name)) == (other.type, _plain(other.name)):
            named.append(other)
    return min(named, key=lambda other: abs(other.start_date - session.start_date), default=None)


# -- documents -------------------------------------------------------------------------------


def identified(meetings: Sequence[Meeting]) -> dict[str, Meeting]:
    """The meetings by the ids of their documents."""
    found: dict[str, Meeting] = {}
    tests = 0
    # What is in the way of another's id takes a longer one: those that FastF1 counts come first.
    for meeting in sorted(meetings, key=lambda meeting: (meeting.cancelled, meeting.start)):
        if meeting.cancelled:
            wanted = f"cancelled-{_slug(meeting.name)}"
        elif meeting.testing:
            tests += 1
            wanted = f"testing-{tests}"
        else:
            wanted = str(meeting.round) if meeting.round is not None else _slug(meeting.name)
        free, n = wanted, 1
        while free in found:
            n += 1
            free = f"{wanted}-{n}"
        found[free] = meeting
    return found


def document(meeting: Meeting, at: datetime) -> EventDocument:
    """The document of a meeting, without `v`."""
    round_ = UNSET if meeting.round is None else meeting.round
    return EventDocument(
        at=at,
        year=meeting.year,
        round=round_,
        name=meeting.name,
        official_name=meeting.official_name or UNSET,
        meeting_key=meeting.key or UNSET,
        country=meeting.country or UNSET,
        location=meeting.location or UNSET,
        format=meeting.format,
        start_date=meeting.start,
        end_date=meeting.end,
        cancelled=meeting.cancelled,
        sessions=[
            replace(session, round=round_, meeting=meeting.name, location=meeting.location or UNSET)
            for session in meeting.sessions
        ],
    )


def meeting_of(event: EventDocument) -> Meeting | None:
    """The meeting a document is of; None if it has no sessions."""
    if not event.sessions:
        return None
    return Meeting(
        year=event.year,
        round=None if isinstance(event.round, UnsetType) else event.round,
        name=event.name,
        official_name=event.official_name or "",
        key=event.meeting_key or "",
        country=event.country or "",
        location=event.location or "",
        format=event.format or "conventional",
        cancelled=event.cancelled,
        sessions=list(event.sessions),
    )


def _by_start(sessions: Iterable[ScheduledSession]) -> list[ScheduledSession]:
    return sorted(sessions, key=lambda session: session.start_date)


def _format(meeting: str, sessions: Sequence[ScheduledSession]) -> str:
    """The format of a meeting by its sessions, as FastF1 calls it."""
    names = {session.name for session in sessions}
    if re.search(r"\btest|\btrack session", meeting, re.IGNORECASE):
        return TESTING
    for name in ("Sprint Qualifying", "Sprint Shootout", "Sprint"):
        if name in names:
            return name.lower().replace(" ", "_")
    return "conventional"


def _type(name: str) -> str:
    """F1's type of a session that FastF1 names."""
    if name.startswith("Practice"):
        return "Practice"
    return "Race" if name in ("Race", "Sprint") else "Qualifying"


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and value.lower() not in ("none", "nan") else ""


def _plain(text: str) -> str:
    """A name without accents and case: FastF1 writes São Paulo, others Sao Paulo."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).casefold().strip()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", _plain(name)).strip("-") or "meeting"


__all__ = [
    "Meeting",
    "cancelled",
    "document",
    "identified",
    "kept",
    "matched",
    "meeting_of",
    "merged",
    "of_fastf1",
    "of_index",
    "usual_length",
]
