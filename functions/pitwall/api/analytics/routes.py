"""`/sessions/{id}/analytics/...`: what is worked out from a session's laps, a list a route.

Each reads all laps of the session, so none has pages. What the figures mean is the business of the modules beside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint

from pitwall.api import caching, drivers, lists, numbered, parameters, reads
from pitwall.api.analytics import charts, degradation, pace, pit_table, record, sectors
from pitwall.api.analytics.record import Record
from pitwall.api.caching import Answer
from pitwall.api.numbered import MOST_READ
from pitwall.api.parameters import Parameter
from pitwall.api.shapes import Shape
from pitwall.api.stints import OfDriver
from pitwall.api.table import by_number
from pitwall.documents import paths
from pitwall.documents.base import Fields, RacingNumber

routes = Blueprint("analytics", __name__)

Item = dict[str, Any]
OfCars = Mapping[RacingNumber, Fields]

PACE = Shape(OfDriver, pace.Pace, name="Pace")
DEGRADATION = Shape(degradation.CompoundDegradation, rows="stints")
SECTORS = Shape(OfDriver, sectors.Sectors, name="Sectors")
GAPS = Shape(OfDriver, charts.GapChart, name="GapChart", rows="laps")
POSITIONS = Shape(OfDriver, charts.PositionChart, name="PositionChart", rows="laps")
PIT_TABLE = Shape(OfDriver, pit_table.Visit, name="PitTableRow")

MOST_LAPS = 2_000
"""Documents of laps that one request reads: more than 24 hours of karting have."""
COMPOUNDS = ("SOFT", "MEDIUM", "HARD", "INTERMEDIATE", "WET")
"""In the order in which they are listed; others follow."""

_OF_DRIVER = {"driver": Parameter(parameters.driver, "only this driver's, by racing number or code in any case")}


def _query(shape: Shape, *, spoilers: bool) -> dict[str, Parameter]:
    """spoilers: whether something is left where nothing tells places and results."""
    return {
        **_OF_DRIVER,
        **{name: taken for name, taken in lists.whole(shape).items() if spoilers or name != "spoilers"},
    }


@routes.get("/sessions/<key>/analytics/pace")
@lists.listing("The median of each driver's clean laps, quickest first", PACE, _query(PACE, spoilers=False))
def of_pace(key: str) -> Answer:
    """A lap is clean if it is not the first one, neither into nor out of the pits, not deleted, received whole, driven
    on a clear track, and within 107 % of the driver's best such lap. Drivers without clean laps come last.

    Reads the session and a document a driver and a lap.
    """

    def items(of: Record) -> list[Item]:
        return sorted(_by_driver(of, pace.pace(of)), key=lambda item: _known_first(item.get("medianLapMs")))

    return _listed(key, PACE, items)


@routes.get("/sessions/<key>/analytics/degradation")
@lists.listing("How much slower tyres get, by compound and stint", DEGRADATION, _query(DEGRADATION, spoilers=True))
def of_tyres(key: str) -> Answer:
    """Milliseconds a lap takes longer than the one before on the same tyres: the median of the slopes between each two
    clean laps of a stint (Theil and Sen), where it has five; clean as for the pace, but within 107 % of the stint's
    best. Of a compound, the same over all those stints. Fuel is not allowed for: in a race it hides a part of the loss.
    With `driver` the figures of a compound remain those of everybody. CSV has a row for each stint.

    Reads the session and a document a driver and a lap.
    """

    def items(of: Record) -> list[Item]:
        compounds = degradation.degradation(of)
        return [_degradation(compounds[compound]) for compound in sorted(compounds, key=_compound)]

    return _listed(key, DEGRADATION, items, _only_stints)


@routes.get("/sessions/<key>/analytics/sectors")
@lists.listing(
    "Each driver's best sectors and the ideal lap of them, quickest first", SECTORS, _query(SECTORS, spoilers=False)
)
def of_sectors(key: str) -> Answer:
    """Sectors of deleted laps do not count, nor those driven in part in the pit lane: the third of a lap into the pits,
    the first of a lap out of them. Whose `sector1BehindMs` is 0 has the best first sector of all.

    Reads the session and a document a driver and a lap.
    """

    def items(of: Record) -> list[Item]:
        return sorted(_by_driver(of, sectors.sectors(of)), key=lambda item: _known_first(item.get("idealLapMs")))

    return _listed(key, SECTORS, items)


@routes.get("/sessions/<key>/analytics/gaps")
@lists.listing("Each car's gap to the leader at the end of each lap of a race", GAPS, _query(GAPS, spoilers=False))
def of_gaps(key: str) -> Answer:
    """A chart's series, a car each, by racing number; no items for other sessions than races. Where the feed tells no
    time, as of lapped cars, it is reckoned from the instants of the two crossings, and `derived`. CSV has a row for
    each driver and lap.

    Reads the session and a document a driver and a lap.
    """
    return _listed(key, GAPS, lambda of: _by_driver(of, charts.gaps(of)))


@routes.get("/sessions/<key>/analytics/positionChart")
@lists.listing(
    "Each car's place on the grid and at the end of each lap of a race", POSITIONS, _query(POSITIONS, spoilers=False)
)
def of_positions(key: str) -> Answer:
    """A chart's series, a car each, by racing number; lap 0 is the grid. No items for other sessions than races. CSV
    has a row for each driver and lap.

    Reads the session and a document a driver and a lap.
    """
    return _listed(key, POSITIONS, lambda of: _by_driver(of, charts.positions(of)))


@routes.get("/sessions/<key>/analytics/pitTable")
@lists.listing(
    "Pit stops in the order they were made: tyres, times, and what they cost",
    PIT_TABLE,
    _query(PIT_TABLE, spoilers=True),
)
def of_pit_stops(key: str) -> Answer:
    """Drives through the lane are among them, with `stop` false. `lossMs` compares the laps in and out with the median
    of the same two laps of the cars around that stayed out, three ahead and three behind; it is there where three of
    six did, no flag was red, and the car did not stop again.

    Reads the session and a document a driver, a lap and a change of the track's status.
    """

    def items(of: Record) -> list[Item]:
        made = pit_table.visits(of)
        told = [
            item
            for number in sorted(made, key=by_number)
            for visit in made[number]
            for item in _by_driver(of, {number: visit})
        ]
        return sorted(told, key=lambda item: (_known_first(item.get("lap")), "inAt" not in item, item.get("inAt", 0)))

    return _listed(key, PIT_TABLE, items, with_track_status=True)


Only = Callable[[list[Item], str], Iterable[Item]]


def _only_items(items: list[Item], number: RacingNumber) -> Iterator[Item]:
    return (item for item in items if item["racingNumber"] == number)


def _only_stints(items: list[Item], number: RacingNumber) -> Iterator[Item]:
    for item in items:
        stints = list(_only_items(item["stints"], number))
        if stints:
            yield {**item, "stints": stints}


def _listed(
    key: str,
    shape: Shape,
    items: Callable[[Record], list[Item]],
    only: Only = _only_items,
    *,
    with_track_status: bool = False,
) -> Answer:
    """items: of all drivers. only: those of one of them."""
    given = parameters.given()
    reading = reads.current()
    session, entered = drivers.everybody(reading, key)
    laps = numbered.last(reading, paths.laps(key), "lap", MOST_LAPS)
    changes = (
        reading.query(paths.series_items(key, "trackStatus"), order_by="n", limit=MOST_READ)
        if with_track_status
        else []
    )
    number = drivers.number_among(entered, given["driver"]) if "driver" in given else None

    def shown() -> Iterable[Item]:
        found = items(
            record.made_of(
                session.fields,
                *([document.fields for document in documents] for documents in (entered, laps, changes)),
            )
        )
        return found if number is None else only(found, number)

    return lists.answer(
        shown,
        [*entered, *laps, *changes],
        shape,
        given,
        max_age=caching.session_max_age(session),
        type=session.fields.get("type"),
    )


def _by_driver(of: Record, found: OfCars) -> list[Item]:
    """An item a car, by racing number, with whose it is."""
    return [
        {key: told for key in ("racingNumber", "tla") if (told := of.drivers[number].get(key)) is not None}
        | _plain(found[number])
        for number in sorted(found, key=by_number)
    ]


def _degradation(compound: degradation.CompoundDegradation) -> Item:
    item = _plain(compound)
    item["stints"].sort(key=lambda stint: (by_number(stint["racingNumber"]), stint["stint"]))
    return item


def _plain(fields: Fields) -> Item:
    plain: Item = msgspec.to_builtins(fields, builtin_types=(datetime,))
    return plain


def _compound(name: str | None) -> tuple[bool, int, str]:
    return name is None, COMPOUNDS.index(name) if name in COMPOUNDS else len(COMPOUNDS), name or ""


def _known_first(number: int | None) -> tuple[bool, int]:
    """To order by: what is not known comes last."""
    return number is None, number or 0
