"""Reads the archive's indexes: which sessions a season has, what they are called, which feeds a session has.

Finds sessions by the words people use for them. Fetching is `fetch`'s business.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from msgspec import Struct

from pitwall.sources.archive.errors import AmbiguousSession, ArchiveError, SessionNotFound
from pitwall.sources.instants import gmt_offset_ms, utc_ms

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_GRAND_PRIX: Final = "grand prix"
_SHORT: Final = {
    "fp1": "practice 1",
    "fp2": "practice 2",
    "fp3": "practice 3",
    "p1": "practice 1",
    "p2": "practice 2",
    "p3": "practice 3",
    "q": "qualifying",
    "quali": "qualifying",
    "r": "race",
    "gp": "race",
    "grand prix": "race",
    "s": "sprint",
    "sprint race": "sprint",
    "sq": "sprint qualifying",
    "sprint quali": "sprint qualifying",
    "ss": "sprint shootout",
    "shootout": "sprint shootout",
}
_RENAMED: Final = {"sprint qualifying": "sprint shootout", "sprint shootout": "sprint qualifying"}
"""What decides a sprint's grid was a shootout in 2023 and a qualifying after; each is found by the other's name too."""


class ArchivedSession(Struct, frozen=True):
    """A session as the index of its season has it.

    key: F1's session key, "" where the index has none. path: under the archive's root, with a slash at its end; "" for
    a session that was not held (cancelled) or is not in the archive yet. round: the season's round, None for testing.
    name: as F1 calls it, or its type where it has no name. type: Practice, Qualifying or Race. start, end: UTC.
    """

    year: int
    round: int | None
    meeting: str
    meeting_key: str
    location: str
    country: str
    country_code: str
    circuit: str
    name: str
    type: str
    key: str
    path: str
    start: datetime | None
    end: datetime | None

    @property
    def label(self) -> str:
        """`2025 Qatar Grand Prix, Sprint`."""
        return f"{self.year} {self.meeting}, {self.name}"


class ArchivedFeed(NamedTuple):
    """A feed of a session: the names of its files in the session's folder, "" where there is none."""

    topic: str
    keyframe: str
    stream: str


def read_season(year: int, index: Any) -> list[ArchivedSession]:
    """The sessions of a season's `Index.json`, meetings in the index' order, those without a path included.

    Raises ArchiveError for something that is no such index; of odd entries in one, what can be read is.
    """
    meetings = index.get("Meetings") if isinstance(index, dict) else None
    if not isinstance(meetings, list):
        raise ArchiveError(f"the index of {year} has no list of meetings")
    return [
        _session(year, meeting, session)
        for meeting in meetings
        if isinstance(meeting, dict)
        for session in _list(meeting.get("Sessions"))
        if isinstance(session, dict)
    ]


def read_feeds(index: Any) -> list[ArchivedFeed]:
    """The feeds of a session's `Index.json`. Raises ArchiveError for something that is no such index."""
    feeds = index.get("Feeds") if isinstance(index, dict) else None
    if not isinstance(feeds, dict):
        raise ArchiveError("the index of the session has no feeds")
    return [
        ArchivedFeed(topic, _file_name(feed.get("KeyFramePath")), _file_name(feed.get("StreamPath")))
        for topic, feed in feeds.items()
        if isinstance(feed, dict)
    ]


def search(sessions: Sequence[ArchivedSession], meeting: str = "", session: str = "") -> list[ArchivedSession]:
    """The sessions of a season that the words mean, in order; empty words stand for any.

    meeting: a name, location, country (or its three letters), circuit, round or meeting key; session: a name, a type, a
    short form (FP1, Q, SQ) or a session key. Case, accents and hyphens do not matter, a word may be begun only. Whole
    names go before parts, a meeting's own name before where it is. Raises SessionNotFound with what there is, and
    AmbiguousSession where several meetings are meant.
    """
    if not sessions:
        raise SessionNotFound("the season has no sessions")
    chosen = list(sessions)
    if meeting.strip():
        chosen = _of_meeting(chosen, meeting)
    if session.strip():
        chosen = _of_name(chosen, session, one_meeting=bool(meeting.strip()))
    return chosen


def _of_meeting(sessions: Sequence[ArchivedSession], words: str) -> list[ArchivedSession]:
    sought = plain(words)
    tiers: list[Callable[[ArchivedSession], bool]]
    if sought.isdecimal():
        number = int(sought)
        tiers = [lambda s: s.round == number, lambda s: s.meeting_key == sought]
    else:
        bare = sought.removesuffix(_GRAND_PRIX).strip() or sought
        tiers = [
            lambda s: bare == _bare(s.meeting),
            lambda s: sought in (plain(s.location), plain(s.circuit)),
            lambda s: sought in (plain(s.country), plain(s.country_code)),
            lambda s: _begins(sought, f"{s.meeting} {s.location} {s.country} {s.circuit}"),
        ]
    chosen = _first_tier(sessions, tiers)
    there_is = _unique(f"{s.meeting} ({'testing' if s.round is None else f'round {s.round}'})" for s in sessions)
    if not chosen:
        year = sessions[0].year
        raise SessionNotFound(f"{year} has no meeting called {words!r}; it has {', '.join(there_is)}", there_is)
    meetings = _unique(s.meeting_key or s.meeting for s in chosen)
    if len(meetings) > 1:
        choices = _unique(s.meeting for s in chosen)
        raise AmbiguousSession(f"{words!r} is more than one meeting of {chosen[0].year}: {', '.join(choices)}", choices)
    return chosen


def _of_name(sessions: Sequence[ArchivedSession], words: str, *, one_meeting: bool) -> list[ArchivedSession]:
    sought, *others = meant(words)
    chosen = _first_tier(
        sessions,
        [
            lambda s: sought == plain(s.name) or (sought.isdecimal() and sought == s.key),
            lambda s: plain(s.name) in others,
            lambda s: sought == plain(s.type),
            lambda s: _begins(sought, s.name),
        ],
    )
    if not chosen:
        there_is = _unique(s.name for s in sessions)
        where = f"{sessions[0].year} {sessions[0].meeting}" if one_meeting else f"{sessions[0].year}"
        raise SessionNotFound(f"{where} has no session called {words!r}; it has {', '.join(there_is)}", there_is)
    return chosen


def meant(words: str) -> tuple[str, ...]:
    """What a session that is called so may be named, plain: `SQ` is a sprint qualifying or a sprint shootout."""
    sought = plain(words)
    sought = _SHORT.get(sought, sought)
    return (sought, _RENAMED[sought]) if sought in _RENAMED else (sought,)


def only(sessions: Sequence[ArchivedSession], words: str) -> ArchivedSession:
    """The one session there is. Raises AmbiguousSession where there are several."""
    if len(sessions) > 1:
        choices = _unique(s.label for s in sessions)
        raise AmbiguousSession(f"{words!r} is more than one session: {'; '.join(choices)}", choices)
    return sessions[0]


def plain(text: str) -> str:
    """The text without case, accents and punctuation: `São Paulo` and `sao-paulo` are one."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", bare.casefold()))


def _bare(meeting: str) -> str:
    return plain(meeting).removesuffix(_GRAND_PRIX).strip()


def _begins(sought: str, text: str) -> bool:
    """Whether every word sought is one of the text's, or the beginning of one."""
    words = plain(text).split()
    return all(any(word.startswith(part) for word in words) for part in sought.split())


def _first_tier(
    sessions: Sequence[ArchivedSession], tiers: Sequence[Callable[[ArchivedSession], bool]]
) -> list[ArchivedSession]:
    for means in tiers:
        if chosen := [session for session in sessions if means(session)]:
            return chosen
    return []


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _session(year: int, meeting: dict[str, Any], session: dict[str, Any]) -> ArchivedSession:
    name, kind = _text(meeting.get("Name")), _text(session.get("Type"))
    number = meeting.get("Number")
    country = meeting.get("Country") if isinstance(meeting.get("Country"), dict) else {}
    circuit = meeting.get("Circuit") if isinstance(meeting.get("Circuit"), dict) else {}
    # Tests are numbered as if they were rounds (2022: the second of a season has the number of its second race).
    is_round = isinstance(number, int) and not isinstance(number, bool) and not _begins("test", name)
    key = session.get("Key")
    return ArchivedSession(
        year=year,
        round=number if is_round else None,
        meeting=name,
        meeting_key=_text(meeting.get("Key")),
        location=_text(meeting.get("Location")),
        country=_text((country or {}).get("Name")),
        country_code=_text((country or {}).get("Code")),
        circuit=_text((circuit or {}).get("ShortName")),
        name=_text(session.get("Name")) or kind,
        type=kind,
        # -1 stands for sessions that have not been given a key (Qatar 2023).
        key="" if key in (-1, "-1") else _text(key),
        path=_path(session.get("Path")),
        start=_instant(session.get("StartDate"), session.get("GmtOffset")),
        end=_instant(session.get("EndDate"), session.get("GmtOffset")),
    )


def _instant(local: Any, gmt_offset: Any) -> datetime | None:
    at, ahead = utc_ms(local), gmt_offset_ms(gmt_offset)
    return None if at is None or ahead is None else _EPOCH + timedelta(milliseconds=at - ahead)


def _path(value: Any) -> str:
    text = _text(value).strip("/")
    return f"{text}/" if text else ""


def _file_name(value: Any) -> str:
    """A name in the session's own folder, as all of them are; anything else is none."""
    text = _text(value)
    return text if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", text) else ""


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _list(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
