"""`/circuits/{circuitId}/statistics`: how karts and drivers did in a session of a kart track, or over a day.

What each figure means is the business of `pitwall.karting.statistics`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, NamedTuple

import msgspec
from flask import Blueprint, Flask, current_app
from msgspec import UNSET, Meta, UnsetType

from pitwall.api import caching, drivers, lists, numbered, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.circuits import sessions
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.hot import Hot, Seconds
from pitwall.api.parameters import Parameter, Reader
from pitwall.api.reads import Reads, Stored
from pitwall.api.sessions import checked
from pitwall.api.shapes import Shape
from pitwall.api.table import by_number
from pitwall.documents import paths
from pitwall.documents.base import Fields, RacingNumber
from pitwall.documents.feeds import kart_feed
from pitwall.karting import statistics
from pitwall.karting.statistics import DriverStatistics, KartStatistics, Lap

routes = Blueprint("kart-statistics", __name__)

MOST_LAPS = 2_000
"""Documents of laps that one request reads: more than 24 hours of 45 s have."""
OVERLAP = timedelta(minutes=2)
"""How far back, in feed time, laps are read again: a tick's documents are not stored in the order of their instants."""
WHOLE_EVERY_S = 600
"""Seconds after which an instance reads all laps again: what was stored later than `OVERLAP` is seen then."""
HELD = "PITWALL_KART_STATISTICS"
CLOCK = "PITWALL_KART_STATISTICS_CLOCK"
"""Keys in the app's config of what an instance holds of sessions, and of its clock."""
MOST_SESSIONS = 20
"""Sessions of a day that one request looks at; a cursor leads to the others."""

Item = dict[str, Any]


class Whose(Fields, kw_only=True):
    """Of which session, and of whom; the figures come beside these."""

    session_key: str
    racing_number: Annotated[RacingNumber, Meta(description="of a kart")] | UnsetType = UNSET
    driver: Annotated[str, Meta(description="of a driver: the name, as the board has it")] | UnsetType = UNSET


STATISTICS = Shape(Whose, KartStatistics, DriverStatistics, name="KartOrDriverStatistics")


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("is not a date as 2026-11-21") from None


_QUERY = {
    "session": Parameter(
        parameters.matching(r"[^/\x00-\x1f]{1,128}", "the id of a session"), "this session; else the track's last one"
    ),
    "date": Parameter(
        Reader(_date, {"type": "string", "format": "date"}), "every session of this day (UTC) instead", "2026-11-21"
    ),
    "by": Parameter(parameters.one_of("kart", "driver", default="kart"), "`driver`: over all karts of a session"),
    "kart": Parameter(parameters.driver, "only this kart, by racing number in any case", "7A"),
    "driver": Parameter(
        parameters.matching(r"[^\x00-\x1f]{1,200}", "a name"), "only karts this driver drove, or only this driver"
    ),
    **{name: taken for name, taken in lists.paged(STATISTICS).items() if name != "spoilers"},
}


class _Place(NamedTuple):
    """Where a page ended: its last session, and how many items of that it has come to; 0: all of them."""

    at: datetime
    session: str
    items: int


@routes.get("/circuits/<circuit_id>/statistics")
@lists.listing("How karts or drivers did in a session of a kart track, or over a day", STATISTICS, _QUERY)
def of_track(circuit_id: str) -> Answer:
    """Laps, best, pace as the median of clean laps, consistency, stints, stops, and how good a kart is against the
    field; what each means is in docs/karting.md. Karts come by position, drivers by pace; of a day the sessions one
    after the other. A lap is clean if it is not the first one, neither into nor out of the pits, stands, was received
    whole, was driven on a clear track and within 107 % of the best. CSV leaves out stints.

    Reads the track, and of a session its document, one a kart and a lap, and the stops: at most 2,000 laps and 20
    sessions a page, after which there is a cursor. An instance that was asked before reads only laps that have changed.
    """
    given = parameters.given()
    if "session" in given and "date" in given:
        raise BadRequest("date", "Parameter 'date' asks for all sessions of a day: leave out 'session'.")
    filters = [given.get(name) for name in ("session", "date", "by", "kart", "driver")]
    this_list = ("statistics", circuit_id, *map(str, filters))
    after = lists.after_place(given, this_list, _Place)
    reading = reads.current()
    track = sessions.track(circuit_id)
    limit = given.get("limit", lists.DEFAULT_LIMIT)
    found = _sessions(reading, track, given, after)
    made_of: list[Stored] = [track]
    items: list[Item] = []
    laps_read = 0
    more_after: _Place | None = None
    for number, session in enumerate(found[:MOST_SESSIONS], start=1):
        held = _held(reading, session)
        made_of += [session, *held.documents]
        laps_read += len(held.laps)
        told = _items(session, held, given)
        passed = after.items if after is not None and after.session == session.id else 0
        shown = told[passed : passed + limit - len(items)]
        items += shown
        rest = len(told) - passed - len(shown)
        if rest or number < len(found):
            more_after = _Place(session.fields["at"], session.id, passed + len(shown) if rest else 0)
        else:
            more_after = None
        if rest or len(items) == limit or laps_read >= MOST_LAPS:
            break
    return lists.answer(
        lambda: items, made_of, STATISTICS, given, max_age=caching.SESSION_S, more_after=more_after, this_list=this_list
    )


def _sessions(reading: Reads, track: Stored, given: dict[str, Any], after: _Place | None) -> list[Stored]:
    """The sessions that were asked for, one more than a page looks at if there are more. Raises NotFound."""
    if "date" not in given:
        return [_session(reading, track, given.get("session"))]
    day: datetime = given["date"]
    found = []
    if after is not None and after.items:
        found += [stored for stored in reading.get(paths.session(checked(after.session))) if stored is not None]
    place = None if after is None else (after.at, checked(after.session))
    last = day + timedelta(days=1, microseconds=-1)
    return found + sessions.changed(reading, track, day, last, MOST_SESSIONS + 1 - len(found), place)


def _session(reading: Reads, track: Stored, key: str | None) -> Stored:
    if key is None:
        found = sessions.latest(reading, track)
    else:
        [found] = reading.get(paths.session(checked(key)))
    if found is None or found.fields.get("feedId") != kart_feed(track.id):
        which = "no session yet" if key is None else f"no session {key!r}"
        raise NotFound(f"Kart track {parameters.shorten(track.id)!r} has {which}.")
    return found


# -- what an instance has read of a session ------------------------------------------------


class _OfLap(NamedTuple):
    """A document of laps as it was read: what counts of it, and what tells whether it has changed."""

    laps: dict[RacingNumber, Lap]
    version: Stored


class _Held:
    """A session's karts as an instance has read them, for whoever asks next: of laps only what changed is read again.

    read_at: seconds of the instance's clock when all laps were read.
    """

    def __init__(self, reading: Reads, key: str, last: _Held | None, now: float) -> None:
        if last is not None and now - last.read_at >= WHOLE_EVERY_S:
            last = None
        self.read_at: float = now if last is None else last.read_at
        self.laps = _laps(reading, key, last)
        entered = reading.query(paths.drivers(key), limit=drivers.MOST)
        tyres = [stored for stored in reading.get(paths.live(key, "tyres")) if stored is not None]
        self._karts = statistics.record(
            [driver.fields for driver in entered],
            [of_lap.laps for of_lap in self.laps.values()],
            tyres[0].fields if tyres else None,
        )
        self.documents = [*map(_version, [*entered, *tyres]), *(of_lap.version for of_lap in self.laps.values())]

    @property
    def size(self) -> int:
        return 512 * len(self.laps) + 240 * sum(len(of_lap.laps) for of_lap in self.laps.values())

    @cached_property
    def karts(self) -> list[tuple[RacingNumber, KartStatistics]]:
        """By position."""
        return sorted(
            statistics.karts(self._karts).items(), key=lambda told: (_known(told[1].position), by_number(told[0]))
        )

    @cached_property
    def drivers(self) -> list[tuple[str, DriverStatistics]]:
        """By pace."""
        return sorted(
            statistics.drivers(self._karts).items(), key=lambda told: (_known(told[1].median_lap_ms), told[0])
        )


def register(app: Flask, seconds: Seconds) -> None:
    """Gives `app` what it holds of sessions. seconds: the clock of the instance."""
    app.config[HELD] = Hot[_Held](seconds)
    app.config[CLOCK] = seconds


def _held(reading: Reads, session: Stored) -> _Held:
    hot: Hot[_Held] = current_app.config[HELD]
    seconds: Seconds = current_app.config[CLOCK]
    return hot.get(session.id, lambda last: _Held(reading, session.id, last, seconds())).made


def _laps(reading: Reads, key: str, last: _Held | None) -> dict[int, _OfLap]:
    """By lap, in order: the last 2,000. What was read last is not read again, if it has not changed since."""
    known = {} if last is None else dict(last.laps)
    if known:
        newest: datetime = max(of_lap.version.fields["at"] for of_lap in known.values())
        found = reading.query(
            paths.laps(key), where=[("at", ">=", newest - OVERLAP)], order_by="at", descending=True, limit=MOST_LAPS
        )
    else:
        found = numbered.last(reading, paths.laps(key), "lap", MOST_LAPS)
    known |= {stored.fields["lap"]: _OfLap(statistics.laps_of(stored.fields), _version(stored)) for stored in found}
    return {lap: known[lap] for lap in sorted(known)[-MOST_LAPS:]}


def _version(stored: Stored) -> Stored:
    """Of a document only what tells whether it has changed."""
    return Stored(stored.path, {name: stored.fields.get(name) for name in ("at", "v", "writtenAt")})


# -- what is shown -------------------------------------------------------------------------


def _items(session: Stored, held: _Held, given: dict[str, Any]) -> list[Item]:
    """Of a session, in order."""
    kart, name = given.get("kart", "").upper(), given.get("driver", "").casefold()
    of_session = {"sessionKey": session.id}
    if given.get("by") == "driver":
        return [
            of_session | {"driver": driver} | _plain(told)
            for driver, told in held.drivers
            if name in ("", driver.casefold()) and (not kart or kart in map(str.upper, told.karts))
        ]
    return [
        of_session | {"racingNumber": number} | _plain(told)
        for number, told in held.karts
        if kart in ("", number.upper()) and (not name or name in map(str.casefold, told.drivers or ()))
    ]


def _known(value: int | UnsetType) -> tuple[bool, int]:
    """To order by: what is not known comes last."""
    return value is UNSET, 0 if value is UNSET else value


def _plain(fields: Fields) -> Item:
    plain: Item = msgspec.to_builtins(fields)
    return plain
