"""`schedule/{feedId}` and `seasons/{year}/events/{id}`: when sessions are, and which one is on."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Instant


class ScheduledSession(Fields, kw_only=True):
    """A session and when it is to be."""

    session_key: (
        Annotated[str, Meta(description="F1's own, absent until F1 has given it one; before 2018 `f1-1988-4-race`")]
        | UnsetType
    ) = UNSET
    year: int
    round: Annotated[int, Meta(description="number of the meeting in the season; absent for testing")] | UnsetType = (
        UNSET
    )
    meeting: Annotated[str, Meta(description="name of the meeting, as in São Paulo Grand Prix")]
    location: str | UnsetType = UNSET
    type: Annotated[str, Meta(description="Practice, Qualifying or Race (a sprint is a Race)")]
    name: Annotated[str, Meta(description="Practice 1, Sprint Qualifying, Sprint, Race, ...")]
    start_date: Annotated[Instant, Meta(description="scheduled start, UTC")]
    end_date: Annotated[Instant, Meta(description="scheduled end, UTC")]
    gmt_offset: Annotated[str, Meta(description="of the circuit on that day, as [-]HH:MM:SS")] | UnsetType = UNSET
    archive_path: (
        Annotated[str, Meta(description="path under F1's static archive, with a slash at the end")] | UnsetType
    ) = UNSET
    cancelled: Annotated[bool, Meta(description="it was in the calendar, and is not to take place")] = False


class ScheduleDocument(Document, kw_only=True):
    """`schedule/{feedId}`: what is on, what was last and what is next; all a poller reads between sessions. Public.

    Pollers and the calendar's daily function change it, each only what it has read. `v` counts the changes.
    """

    live: Annotated[ScheduledSession, Meta(description="on now, by the feed's own word")] | UnsetType = UNSET
    last: Annotated[ScheduledSession, Meta(description="the one that was over last")] | UnsetType = UNSET
    next: Annotated[ScheduledSession, Meta(description="the first one that is not over")] | UnsetType = UNSET
    upcoming: Annotated[list[ScheduledSession], Meta(description="the next ones in order, at most 12")]


class EventDocument(Document, kw_only=True):
    """`seasons/{year}/events/{round}`: a meeting and its sessions. Public.

    Testing has ids of its own (`testing-1`), and so has a meeting that was cancelled (`cancelled-<name>`), as rounds
    are counted without it. `v` counts the changes: no poller writes this document.
    """

    year: int
    round: int | UnsetType = UNSET
    name: Annotated[str, Meta(description="Azerbaijan Grand Prix, Pre-Season Testing, ...")]
    official_name: str | UnsetType = UNSET
    meeting_key: Annotated[str, Meta(description="F1's own; absent until F1 has given it one")] | UnsetType = UNSET
    country: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    format: (
        Annotated[str, Meta(description="conventional, sprint, sprint_shootout, sprint_qualifying or testing")]
        | UnsetType
    ) = UNSET
    start_date: Annotated[Instant, Meta(description="start of the first session, UTC")] | UnsetType = UNSET
    end_date: Annotated[Instant, Meta(description="end of the last session, UTC")] | UnsetType = UNSET
    cancelled: Annotated[bool, Meta(description="the meeting was in the calendar, and is not to take place")] = False
    sessions: list[ScheduledSession]
