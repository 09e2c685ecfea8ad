"""Best laps, and rulings on lap times: a deleted time gives the best lap back to the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitwall.timing.deletions import Ruling
from pitwall.timing.merge import items
from pitwall.timing.records import Best, Car, Lap
from pitwall.timing.values import duration_ms, integer

WITHDRAWN = "WITHDRAWN BY THE TIMEKEEPERS"
"""Reason of a deletion race control did not announce, or not yet: the feed took the best lap back."""


def _counts(car: Car, lap: Lap) -> bool:
    """Whether a lap can be a best: timed by the feed, not deleted, and not ended in the pit lane of practice."""
    return (
        lap.time is not None
        and lap.time_source == "feed"
        and not lap.deleted
        and (not lap.in_lane or lap.time in car.declared)
    )


def best(car: Car, part: int = 0) -> Best | None:
    """The car's best lap, of one qualifying part if asked: its own laps, and what the feed said of laps not seen."""
    found = [
        Best(lap.time, lap.number)
        for lap in car.laps.values()
        if lap.time is not None and _counts(car, lap) and part in (0, lap.part)
    ]
    for key, told in car.told_bests.items():
        if part in (0, key) and _unseen(car, told):
            found.append(told if told.lap not in car.laps or car.laps[told.lap].time is None else Best(told.time))
    return min(found, key=lambda best: (best.time, best.lap or 0), default=None)


def _unseen(car: Car, told: Best) -> bool:
    """Whether a best the feed told is of a lap this state has no time for (it joined later, or a message was lost)."""
    if any(lap.time == told.time for lap in car.laps.values()):
        return False
    if any(lap.lost and lap.time is None for lap in car.laps.values()):
        return True  # of one that ended in a gap, whatever its number: the feed's may run behind (Imola 2025)
    lap = car.laps.get(told.lap) if told.lap is not None else None
    return lap is None or (lap.time is None and not lap.deleted)


def was_best(car: Car, lap: Lap) -> bool:
    """Whether `lap` was the car's best when it was set; in qualifying, of its part, as the feed marks it."""
    if lap.time is None or not _counts(car, lap):
        return False
    earlier = [
        other.time
        for other in car.laps.values()
        if other.number < lap.number and other.part == lap.part and other.time is not None and _counts(car, other)
    ]
    told = car.told_bests.get(lap.part or 0)
    if told is not None and _unseen(car, told) and (told.lap or 0) < lap.number:
        earlier.append(told.time)
    return not earlier or lap.time < min(earlier)


def read(car: Car, line: Mapping[str, Any], merged: Mapping[str, Any]) -> tuple[bool, set[int]]:
    """Takes the best laps a delta tells; returns whether one was told, and the laps it changes.

    A best that gets worse within one part was taken back: the lap is deleted (Barcelona 2022: 33 s after it was
    set; Imola 2025: with the lap counter running back). One that comes back is reinstated.
    """
    told: dict[int, tuple[Any, Any]] = {0: (line.get("BestLapTime"), merged.get("BestLapTime"))}
    parts = dict(items(merged.get("BestLapTimes")))
    for index, item in items(line.get("BestLapTimes")):
        told[index + 1] = (item, parts.get(index))
    changed: set[int] = set()
    news = False
    for part, (delta, whole) in told.items():
        if not isinstance(delta, dict) or "Value" not in delta:
            continue
        before = car.told_bests.pop(part, None)
        time = duration_ms(delta["Value"])
        news = True
        if time is None:
            continue
        lap = integer(whole.get("Lap")) if isinstance(whole, dict) else None
        car.told_bests[part] = Best(time, lap)
        car.declared.add(time)
        if before is not None and time > before.time:
            changed |= _withdraw(car, before.time)
        else:
            changed |= _give_back(car, time)
    return news, changed


def _withdraw(car: Car, time: int) -> set[int]:
    for lap in sorted(car.laps.values(), key=lambda lap: -lap.number):
        if lap.time == time and not lap.deleted:
            lap.deleted, lap.deleted_reason = True, WITHDRAWN
            return {lap.number}
    return set()


def _give_back(car: Car, time: int) -> set[int]:
    for lap in car.laps.values():
        if lap.time == time and lap.deleted and lap.deleted_reason == WITHDRAWN:
            lap.deleted, lap.deleted_reason = False, None
            return {lap.number}
    return set()


def apply_ruling(car: Car, what: Ruling | Lap, race: bool) -> set[int]:
    """Applies a ruling to the lap it means, or waiting rulings to a lap that has come; returns laps that changed."""
    if isinstance(what, Lap):
        for waiting in list(car.deletions):
            time, number, reason = waiting
            if _means(what, time, number, race):
                car.deletions.remove(waiting)
                _time_from_ruling(what, time)
                what.deleted, what.deleted_reason = True, reason
                return {what.number}
        return set()
    found = [lap for lap in car.laps.values() if _means(lap, what.time_ms, what.lap, race)]
    if not found and what.time_ms is not None and what.lap is not None:
        found = [lap for lap in car.laps.values() if lap.time == what.time_ms and lap.time_source == "feed"]
    if not what.deleted:
        car.deletions = [waiting for waiting in car.deletions if waiting[0] != what.time_ms]
        found = [lap for lap in found if lap.deleted]
    if not found:
        if what.deleted:
            car.deletions.append((what.time_ms, what.lap, what.reason))
        return set()
    lap = max(found, key=lambda lap: lap.number)
    _time_from_ruling(lap, what.time_ms)
    lap.deleted, lap.deleted_reason = what.deleted, what.reason if what.deleted else None
    return {lap.number}


def _time_from_ruling(lap: Lap, time: int | None) -> None:
    """The time of a lap that ended in a gap of the feed, where race control deletes it: it is told nowhere else."""
    if lap.lost and lap.time is None and time is not None:
        lap.time, lap.time_source = time, "feed"


def _means(lap: Lap, time: int | None, number: int | None, race: bool) -> bool:
    """Whether a ruling's time and lap number mean this lap. Outside a race its number is one more than ours."""
    if time is not None and lap.time is not None and lap.time != time and lap.refused != time:
        return False
    if lap.lost and lap.time is None and time is not None and not race:
        return False  # the numbers differ now and then: without its time nobody knows which lap is meant
    if number is not None:
        return lap.number == (number if race else number - 1)
    return time is not None and lap.time == time
