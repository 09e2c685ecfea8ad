"""How much time a lap costs the next one on the same tyres: by stint, and by compound.

The slope is that of Theil and Sen, the median over all pairs of laps: a lap in traffic or a mistake moves it little.
It is what the stopwatch says. A car that gets lighter, a track that gets faster and a driver who saves tyres are in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from statistics import median
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pitwall.api.analytics.record import Fields as Stored
from pitwall.api.analytics.record import Laps, Record, clean
from pitwall.documents.base import Fields, Ms, RacingNumber

FEWEST = 5
"""Clean laps of a stint below which its slope says nothing."""

_LOSS = "time a lap takes longer than the one before, the fuel that was burnt not allowed for; below 0: it gets quicker"


class StintDegradation(Fields, kw_only=True):
    """A stint on the compound it is listed under."""

    racing_number: RacingNumber
    tla: str | UnsetType = UNSET
    stint: int
    clean_laps: Annotated[int, Meta(description="clean laps of the stint")]
    loss_per_lap_ms: Annotated[Ms, Meta(description=_LOSS)] | UnsetType = UNSET


class CompoundDegradation(Fields, kw_only=True):
    """A compound: all stints on it, and what they have in common."""

    compound: str | UnsetType = UNSET
    compound_clean_laps: Annotated[int, Meta(description="clean laps of the stints long enough to count")]
    compound_loss_per_lap_ms: (
        Annotated[Ms, Meta(description="the same over the pairs of laps of all those stints")] | UnsetType
    ) = UNSET
    stints: list[StintDegradation]


def degradation(record: Record) -> dict[str | None, CompoundDegradation]:
    """By compound, None for stints of which it is not known; the stints of each in no order."""
    listed: dict[str | None, list[StintDegradation]] = {}
    slopes: dict[str | None, list[float]] = {}
    counted: dict[str | None, int] = {}
    for number, driver in record.drivers.items():
        for stint, laps in _by_stint(record.laps[number]).items():
            compound = next((lap["compound"] for lap in laps.values() if "compound" in lap), None)
            times = clean(laps)
            of_stint = between_laps(times) if len(times) >= FEWEST else []
            listed.setdefault(compound, []).append(
                StintDegradation(
                    racing_number=number,
                    tla=driver.get("tla", UNSET),
                    stint=stint,
                    clean_laps=len(times),
                    loss_per_lap_ms=round(median(of_stint)) if of_stint else UNSET,
                )
            )
            if of_stint:
                slopes.setdefault(compound, []).extend(of_stint)
                counted[compound] = counted.get(compound, 0) + len(times)
    return {
        compound: CompoundDegradation(
            compound=UNSET if compound is None else compound,
            compound_clean_laps=counted.get(compound, 0),
            compound_loss_per_lap_ms=round(median(slopes[compound])) if compound in slopes else UNSET,
            stints=stints,
        )
        for compound, stints in listed.items()
    }


def between_laps(times: Mapping[int, int]) -> list[float]:
    """Slopes (ms a lap) between each two laps; times: ms by number of the lap."""
    return [(times[later] - times[lap]) / (later - lap) for lap, later in combinations(sorted(times), 2)]


def _by_stint(laps: Laps) -> dict[int, Laps]:
    found: dict[int, dict[int, Stored]] = {}
    for number, lap in laps.items():
        if "stint" in lap:
            found.setdefault(lap["stint"], {})[number] = lap
    return dict(found)
