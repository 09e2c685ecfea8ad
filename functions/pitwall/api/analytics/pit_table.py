"""Every visit to the pits: tyres before and after, how long it took, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.api.analytics.record import Fields as Stored
from pitwall.api.analytics.record import Laps, Record
from pitwall.documents.base import Fields, Ms, RacingNumber
from pitwall.documents.drivers import PitStop

NEIGHBOURS = 3
"""Cars ahead, and cars behind, that a stop is compared with."""

_SAFETY_CARS = ("4", "6", "7")
_RED = "5"


class Tyres(Fields, kw_only=True):
    compound: str | UnsetType = UNSET
    new: bool | UnsetType = UNSET
    age: Annotated[int, Meta(description="laps on the set by then, earlier use included")] | UnsetType = UNSET


class Visit(PitStop, kw_only=True):
    """A stop, or a drive through the lane, with what it changed and cost."""

    tyres_before: Tyres | UnsetType = UNSET
    tyres_after: Tyres | UnsetType = UNSET
    loss_ms: (
        Annotated[
            Ms,
            Meta(
                description="in a race: how much more the laps in and out took than the same two laps took the cars "
                "around it that stayed out"
            ),
        ]
        | UnsetType
    ) = UNSET
    track_status: Annotated[str, Meta(description="code of the track's status when the car came in")] | UnsetType = (
        UNSET
    )
    under_safety_car: (
        Annotated[
            Literal[True],
            Meta(description="the car came in under a safety car, also a virtual one; absent: it did not"),
        ]
        | UnsetType
    ) = UNSET


def visits(record: Record) -> dict[RacingNumber, list[Visit]]:
    """By racing number, each car's in order."""
    return {
        number: [_visit(record, number, stop) for stop in driver.get("pitStops", ())]
        for number, driver in record.drivers.items()
    }


def _visit(record: Record, number: RacingNumber, stop: Stored) -> Visit:
    status = _status(record, stop)
    lap = stop.get("lap")
    told = Visit(
        lap=stop.get("lap", UNSET),
        in_at=stop.get("inAt", UNSET),
        out_at=stop.get("outAt", UNSET),
        lane_time_ms=stop.get("laneTimeMs", UNSET),
        stop_time_ms=stop.get("stopTimeMs", UNSET),
        stop=stop["stop"],
        track_status=UNSET if status is None else status,
        under_safety_car=True if status in _SAFETY_CARS else UNSET,
    )
    if lap is not None:
        told.tyres_before, told.tyres_after = _tyres(record.drivers[number], record.laps[number], lap)
        told.loss_ms = _loss(record, number, lap)
    return told


def _status(record: Record, stop: Stored) -> str | None:
    """The track's status when the car came in, where both are known."""
    if "inAt" not in stop:
        return None
    codes = [change["code"] for change in record.track_statuses if change["at"] <= stop["inAt"]]
    return codes[-1] if codes else None


def _tyres(driver: Stored, laps: Laps, lap: int) -> tuple[Tyres | UnsetType, Tyres | UnsetType]:
    """The set the car came in on at the end of `lap`, and the one it went out on."""
    last, first = laps.get(lap, {}), laps.get(lap + 1, {})
    before = _known(
        Tyres(compound=last.get("compound", UNSET), new=last.get("tyreNew", UNSET), age=last.get("tyreAge", UNSET))
    )
    if "stint" in first and first["stint"] == last.get("stint"):
        return before, before
    fitted = next(
        (
            stint
            for stint in driver.get("stints", ())
            if (stint["stint"] == first["stint"] if "stint" in first else stint.get("startLap") == lap + 1)
        ),
        None,
    )
    after: Tyres | UnsetType = UNSET
    if fitted is not None:
        after = _known(
            Tyres(
                compound=fitted.get("compound", UNSET), new=fitted.get("new", UNSET), age=fitted.get("startAge", UNSET)
            )
        )
    return (before if "stint" in last else UNSET), after


def _known(tyres: Tyres) -> Tyres | UnsetType:
    """Karts have none to tell of."""
    return UNSET if tyres == Tyres() else tyres


def _loss(record: Record, number: RacingNumber, lap: int) -> int | UnsetType:
    """What a visit at the end of `lap` cost in a race, ms.

    Cars around it drove under the same flags and on the same track, so what remains is the stop.
    """
    laps = record.laps[number]
    own = _two_laps(laps, lap)
    place = laps.get(lap - 1, {}).get("position")
    if not record.race or own is None or place is None or _visited_twice(laps, lap):
        return UNSET
    if any(_RED in laps[n].get("trackStatuses", ()) for n in (lap, lap + 1)):
        return UNSET
    others = sorted(_stayed_out(record, lap))
    ahead = [time for position, time in others if position < place][-NEIGHBOURS:]
    behind = [time for position, time in others if position > place][:NEIGHBOURS]
    around = ahead + behind
    return round(own - median(around)) if len(around) >= NEIGHBOURS else UNSET


def _stayed_out(record: Record, lap: int) -> Iterator[tuple[int, int]]:
    """Place before lap `lap`, and time of it and the next, of the cars that drove both without the pits."""
    for laps in record.laps.values():
        place, time = laps.get(lap - 1, {}).get("position"), _two_laps(laps, lap)
        pits = any(laps[n].get(mark) for n in (lap, lap + 1) for mark in ("pitIn", "pitOut")) if time else True
        if place is not None and time is not None and not pits:
            yield place, time


def _two_laps(laps: Laps, lap: int) -> int | None:
    """Time of lap `lap` and the next, where both are known."""
    times: list[int] = [laps[n]["lapTimeMs"] for n in (lap, lap + 1) if "lapTimeMs" in laps.get(n, {})]
    return sum(times) if len(times) == 2 else None


def _visited_twice(laps: Laps, lap: int) -> bool:
    """Whether the car had come out on lap `lap`, or came in again at the end of the next.

    A kart comes in and goes out on one lap where the line is behind the pits.
    """
    came_out_before = laps[lap].get("pitOut") and laps[lap + 1].get("pitOut")
    return bool(came_out_before or laps[lap + 1].get("pitIn"))
