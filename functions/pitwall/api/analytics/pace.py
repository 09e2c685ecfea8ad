"""How fast each car was over the session: the median of its clean laps."""

from __future__ import annotations

from statistics import median
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pitwall.api.analytics.record import Record, clean
from pitwall.documents.base import Fields, Ms, RacingNumber


class Pace(Fields, kw_only=True):
    clean_laps: Annotated[int, Meta(description="how many laps the median is of")]
    median_lap_ms: Annotated[Ms, Meta(description="median of the clean laps")] | UnsetType = UNSET
    behind_ms: Annotated[Ms, Meta(description="how much more that is than the least median")] | UnsetType = UNSET


def pace(record: Record) -> dict[RacingNumber, Pace]:
    """By racing number; a car without clean laps has no median."""
    times = {number: list(clean(laps).values()) for number, laps in record.laps.items()}
    medians = {number: round(median(of_car)) for number, of_car in times.items() if of_car}
    least = min(medians.values(), default=0)
    return {
        number: Pace(clean_laps=len(of_car), median_lap_ms=medians[number], behind_ms=medians[number] - least)
        if of_car
        else Pace(clean_laps=0)
        for number, of_car in times.items()
    }
