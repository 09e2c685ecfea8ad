"""The best sectors of each car, and the lap they would make together."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from pitwall.api.analytics.record import Laps, Record
from pitwall.documents.base import Fields, Ms, RacingNumber

SECTORS = (1, 2, 3)
_IN_THE_PITS = {1: "pitOut", 3: "pitIn"}
"""What marks a lap of which this sector, or a part of it, was driven in the pit lane."""

_LAP = "the lap it was set on"
_BEHIND = "how much more that is than anybody's best; 0: nobody was quicker"


class Sectors(Fields, kw_only=True):
    sector1_ms: Annotated[Ms, Meta(description="best first sector")] | UnsetType = UNSET
    sector1_lap: Annotated[int, Meta(description=_LAP)] | UnsetType = UNSET
    sector1_behind_ms: Annotated[Ms, Meta(description=_BEHIND)] | UnsetType = UNSET
    sector2_ms: Annotated[Ms, Meta(description="best second sector")] | UnsetType = UNSET
    sector2_lap: Annotated[int, Meta(description=_LAP)] | UnsetType = UNSET
    sector2_behind_ms: Annotated[Ms, Meta(description=_BEHIND)] | UnsetType = UNSET
    sector3_ms: Annotated[Ms, Meta(description="best third sector")] | UnsetType = UNSET
    sector3_lap: Annotated[int, Meta(description=_LAP)] | UnsetType = UNSET
    sector3_behind_ms: Annotated[Ms, Meta(description=_BEHIND)] | UnsetType = UNSET
    ideal_lap_ms: (
        Annotated[Ms, Meta(description="sum of the best sectors, or the best lap where that is less")] | UnsetType
    ) = UNSET
    best_lap_ms: Annotated[Ms, Meta(description="best lap that was driven")] | UnsetType = UNSET
    best_lap: Annotated[int, Meta(description=_LAP)] | UnsetType = UNSET
    lost_ms: Annotated[Ms, Meta(description="how much more the best lap takes than the ideal one")] | UnsetType = UNSET


class _Best(NamedTuple):
    """To be compared: of equal times that of the earlier lap is the best."""

    time: int
    lap: int


def sectors(record: Record) -> dict[RacingNumber, Sectors]:
    """By racing number; what is not known of a car is left out."""
    best = {number: _bests(laps) for number, laps in record.laps.items()}
    quickest: dict[int, int] = {}
    for of_car in best.values():
        for sector, set_on in of_car.items():
            quickest[sector] = min(set_on.time, quickest.get(sector, set_on.time))
    found = {}
    for number, of_car in best.items():
        driver = record.drivers[number]
        told = Sectors(best_lap_ms=driver.get("bestLapMs", UNSET), best_lap=driver.get("bestLap", UNSET))
        for sector, set_on in of_car.items():
            setattr(told, f"sector{sector}_ms", set_on.time)
            setattr(told, f"sector{sector}_lap", set_on.lap)
            setattr(told, f"sector{sector}_behind_ms", set_on.time - quickest[sector])
        if len(of_car) == len(SECTORS):
            told.ideal_lap_ms = sum(set_on.time for set_on in of_car.values())
            if isinstance(told.best_lap_ms, int):
                told.ideal_lap_ms = min(told.ideal_lap_ms, told.best_lap_ms)
                told.lost_ms = told.best_lap_ms - told.ideal_lap_ms
        found[number] = told
    return found


def _bests(laps: Laps) -> dict[int, _Best]:
    """The best of each sector that is known, of laps that were not deleted and outside of the pit lane."""
    found: dict[int, _Best] = {}
    for number, lap in laps.items():
        for sector in SECTORS:
            time = lap.get(f"sector{sector}Ms")
            if time is None or lap.get("deleted") or lap.get(_IN_THE_PITS.get(sector, "")):
                continue
            found[sector] = min(_Best(time, number), found.get(sector, _Best(time, number)))
    return found
