"""How a race went, lap by lap: each car's gap to the leader, and its place. Of other sessions there are none, as cars
end a lap of the same number whenever they like there.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.api.analytics.record import Fields as Stored
from pitwall.api.analytics.record import Record
from pitwall.documents.base import Fields, Ms, RacingNumber
from pitwall.documents.encoding import millis


class GapAtLap(Fields, kw_only=True):
    lap: int
    gap_to_leader_ms: (
        Annotated[Ms, Meta(description="behind the car that led at the end of this lap; 0 for that car")] | UnsetType
    ) = UNSET
    laps_down: Annotated[int, Meta(description="as the feed tells it")] | UnsetType = UNSET
    derived: (
        Annotated[
            Literal[True],
            Meta(description="the gap is reckoned from the instants of the crossings; absent: the feed tells it"),
        ]
        | UnsetType
    ) = UNSET


class GapChart(Fields, kw_only=True):
    laps: list[GapAtLap]


class PlaceAtLap(Fields, kw_only=True):
    lap: Annotated[int, Meta(description="0 for the grid")]
    position: int


class PositionChart(Fields, kw_only=True):
    laps: list[PlaceAtLap]


def gaps(record: Record) -> dict[RacingNumber, GapChart]:
    """By racing number, of the cars of a race that completed a lap; laps of which nothing is known are left out."""
    if not record.race:
        return {}
    leaders: dict[int, Stored] = {}
    for laps in record.laps.values():
        for number, lap in laps.items():
            # Two have been told to lead where one was corrected: then it is who crossed the line first.
            if lap.get("position") == 1 and (number not in leaders or _crossed(lap) < _crossed(leaders[number])):
                leaders[number] = lap
    charts = {
        car: GapChart(laps=[told for number, lap in laps.items() if (told := _gap(number, lap, leaders.get(number)))])
        for car, laps in record.laps.items()
    }
    return {car: chart for car, chart in charts.items() if chart.laps}


def positions(record: Record) -> dict[RacingNumber, PositionChart]:
    """By racing number, of the cars of a race of which a place is known, on the grid or at the end of a lap."""
    if not record.race:
        return {}
    charts = {}
    for car, laps in record.laps.items():
        grid = record.drivers[car].get("grid")
        places = {number: lap["position"] for number, lap in laps.items() if "position" in lap}
        if grid is not None:
            places = {0: grid, **places}
        if places:
            charts[car] = PositionChart(laps=[PlaceAtLap(lap=lap, position=place) for lap, place in places.items()])
    return charts


def _crossed(lap: Stored) -> float:
    return millis(lap["endedAt"]) if "endedAt" in lap else math.inf


def _gap(number: int, lap: Stored, leaders: Stored | None) -> GapAtLap | None:
    """leaders: the same lap of the car that led at its end. None where nothing is known."""
    if lap.get("position") == 1:
        return GapAtLap(lap=number, gap_to_leader_ms=0)
    gap, laps_down = lap.get("gapToLeaderMs"), lap.get("lapsDown", UNSET)
    if gap is not None:
        return GapAtLap(lap=number, gap_to_leader_ms=gap, laps_down=laps_down)
    completed = "position" in lap  # a car that stopped on the lap has no place at its end
    if completed and leaders is not None and "endedAt" in leaders and "endedAt" in lap:
        reckoned = millis(lap["endedAt"]) - millis(leaders["endedAt"])
        if reckoned >= 0:  # messages of two crossings may have come in the wrong order
            return GapAtLap(lap=number, gap_to_leader_ms=reckoned, laps_down=laps_down, derived=True)
    return None if laps_down is UNSET else GapAtLap(lap=number, laps_down=laps_down)
