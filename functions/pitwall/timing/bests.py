"""Best laps, and rulings on lap times: a deleted time gives the best lap back to the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pitwall.timing.deletions import Ruling
from pitwall.timing.merge import items
from pitwall.timing.records import Best, Car, Lap
from pitwall.timing.values import duration_ms, integer


def _counts(lap: Lap) -> bool:
    return lap.time is not None and lap.time_source == "feed" and not lap.deleted


def best(car: Car, part: int | None = None) -> Best | None:
    """The car's best lap, of one qualifying part if asked: its own laps, and what the feed said of laps not seen."""
    found = [
        Best(lap.time, lap.number)
        for lap in car.laps.values()
        if _counts(lap) and lap.time is not None and (part is None or lap.part == part)
    ]
    if part is None:
        found += [told for told in car.feed_bests if _unseen(car, told)]
    elif part in car.part_bests and _unseen(car, car.part_bests[part]):
        found.append(car.part_bests[part])
    return min(found, key=lambda best: (best.time, best.lap or 0), default=None)


def _unseen(car: Car, told: Best) -> bool:
    """Whether a best the feed told is of a lap this state has no time for (it joined later, or a message was lost)."""
    if any(lap.time == told.time for lap in car.laps.values()):
        return False
    lap = car.laps.get(told.lap) if told.lap is not None else None
    return lap is None or (lap.time is None and not lap.deleted)


def best_of(car: Car, before: int, beats: Lap) -> bool:
    """Whether `beats` was the car's best when it was set."""
    if not _counts(beats) or beats.time is None:
        return False
    earlier = [lap.time for lap in car.laps.values() if lap.number < before and _counts(lap) and lap.time is not None]
    earlier += [told.time for told in car.feed_bests if _unseen(car, told) and (told.lap or 0) < before]
    return not earlier or beats.time < min(earlier)


def note_feed_best(car: Car, line: Mapping[str, Any], merged: Mapping[str, Any]) -> bool:
    """Keeps a best lap the feed tells; returns whether one was told."""
    told = False
    declared = line.get("BestLapTime")
    if isinstance(declared, dict) and (time := duration_ms(declared.get("Value"))) is not None:
        whole = merged.get("BestLapTime")
        lap = integer(whole.get("Lap")) if isinstance(whole, dict) else None
        # One is kept: it only matters for laps from before this state joined.
        car.feed_bests = [Best(time, lap)]
        told = True
    merged_parts = dict(items(merged.get("BestLapTimes")))
    for index, item in items(line.get("BestLapTimes")):
        time = duration_ms(item.get("Value")) if isinstance(item, dict) else None
        if time is not None:
            whole = merged_parts.get(index)
            car.part_bests[index + 1] = Best(time, integer(whole.get("Lap")) if isinstance(whole, dict) else None)
            told = True
    return told


def apply_ruling(car: Car, what: Ruling | Lap, race: bool) -> set[int]:
    """Applies a ruling to the lap it means, or waiting rulings to a lap that has come; returns laps that changed."""
    if isinstance(what, Lap):
        for waiting in list(car.deletions):
            time, number, reason = waiting
            if _means(what, time, number, race):
                car.deletions.remove(waiting)
                what.deleted, what.deleted_reason = True, reason
                return {what.number}
        return set()
    found = [lap for lap in car.laps.values() if _means(lap, what.time_ms, what.lap, race)]
    if not found and what.time_ms is not None and what.lap is not None:
        found = [lap for lap in car.laps.values() if lap.time == what.time_ms]
    if not what.deleted:
        car.deletions = [waiting for waiting in car.deletions if waiting[0] != what.time_ms]
        found = [lap for lap in found if lap.deleted]
    if not found:
        if what.deleted:
            car.deletions.append((what.time_ms, what.lap, what.reason))
        return set()
    lap = max(found, key=lambda lap: lap.number)
    lap.deleted, lap.deleted_reason = what.deleted, what.reason if what.deleted else None
    return {lap.number}


def _means(lap: Lap, time: int | None, number: int | None, race: bool) -> bool:
    """Whether a ruling's time and lap number mean this lap. Outside a race its number is one more than ours."""
    if time is not None and lap.time is not None and lap.time != time and lap.refused != time:
        return False
    if number is not None:
        return lap.number == (number if race else number - 1)
    return time is not None and lap.time == time
