"""From the feed's list of stints, and its flags and times of the pit lane, to stints and stops.

Seen: the list is resent whole in mid-session, a set is told a second or a lap after the stop, as
UNKNOWN and then corrected (São Paulo 2025), and a set that is only planned stands in the list before
the race (Qatar 2025: HARD at index 1, raced later as SOFT). So a stint counts from the moment its laps
rise, or when it is told after the car was in the pits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pitwall.timing.merge import items
from pitwall.timing.records import Car, Lap, PitVisit, Stint
from pitwall.timing.values import flag, integer, text

NEW_STINT_MS = 300_000
"""How long after leaving the pits a set of tyres is still the one fitted there (Baku 2018: two and a half minutes)."""
TENTH_MS = 100


def read(car: Car, delta: Any, merged: Any, at: int, running: bool, race: bool) -> tuple[bool, set[int]]:
    """Takes a delta of a car's Stints; returns whether anything changed, and the laps it changes.

    delta: list (whole) or dict of indexes. merged: the list after the merge. running: the session has begun.
    """
    completed = _completed(car, race)
    stints = _listed(car, merged, completed)
    if stints == car.stints:
        return False, set()
    laps: set[int] = set()
    for index in (index for index, item in items(delta) if isinstance(item, dict) and index < len(stints)):
        before = car.stints[index] if index < len(car.stints) else Stint()
        now = stints[index]
        fitted = (now.compound, now.new, now.start_age) != (before.compound, before.new, before.start_age)
        counted = before.total_laps if before.total_laps is not None else now.start_age
        rose = counted is not None and (now.total_laps or 0) > counted
        if index > car.stint and running and (rose or (fitted and _lately_in_pits(car, at))):
            car.stint = index
            laps |= _laps_since_visit(car, index) if _lately_in_pits(car, at) else _last_laps(car, index, now)
        elif index < car.stint and rose and _counts_alone(car, stints, completed):
            laps |= _step_back(car, index)
        fitted_there = bool(car.visits) and index > car.visits[-1].stint and not now.same_tyres
        if index == car.stint and fitted_there and (fitted or rose):
            car.visits[-1].new_stint = True
        if fitted or _begin_unseen(car, index):
            laps |= {lap.number for lap in car.laps.values() if lap.stint == index}
    car.stints = stints
    return True, laps


def _listed(car: Car, told: Any, completed: int | None) -> list[Stint]:
    """The feed's list of stints, each with the laps the car had completed when its own were counted."""
    stints = [stint_of(item) for _, item in items(told)]
    # A list resent shorter takes nothing away from the laps already driven.
    stints += car.stints[len(stints) :]
    for before, now in zip(car.stints, stints, strict=False):
        now.counted_to = before.counted_to if now.total_laps == before.total_laps else completed
    for now in stints[len(car.stints) :]:
        now.counted_to = completed
    return stints


def take(car: Car, told: Any, race: bool) -> None:
    """Takes the whole list as it is after a gap: which stint the car is on, and its laps, are known from elsewhere."""
    car.stints = _listed(car, told, _completed(car, race))


def join(car: Car, pit_stops: int | None, race: bool) -> None:
    """The stint of a car first seen in mid-session. pit_stops: how often the feed says it came in.

    It is the last in the list; in a race one not driven yet may only be planned, if the car has not stopped for it.
    """
    car.stint = current(car.stints, pit_stops, race)


def current(stints: Sequence[Stint], pit_stops: int | None, race: bool) -> int:
    """Index of the stint a car is on, by the whole list; see `join`."""
    last = len(stints) - 1
    furthest = max((index for index, stint in enumerate(stints) if (driven(stint) or 0) > 0), default=0)
    return max(furthest, min(last, pit_stops or 0) if race else last, 0)


def driven_so_far(car: Car, lap: int) -> int | None:
    """Laps a car has driven on its set at the end of lap `lap` in this session; None where that cannot be told."""
    stint = car.stints[car.stint] if car.stint < len(car.stints) else None
    if stint is None:
        return None
    if _begin_unseen(car, car.stint):
        counted = driven(stint)
        return None if counted is None or stint.counted_to is None else counted + lap - stint.counted_to
    return sum(1 for other in car.laps.values() if other.stint == car.stint and other.finished)


def _completed(car: Car, race: bool) -> int | None:
    """Laps a car has completed; one that came into the pits outside a race has, though the feed may not say so yet."""
    if car.open is None:
        return None
    return car.open.number - (0 if car.in_pit and not race and not car.lap_in_lane else 1)


def _counts_alone(car: Car, stints: list[Stint], completed: int | None) -> bool:
    """Whether the feed goes on counting laps on an earlier set only: the car never had the later one."""
    visit = car.visits[-1] if car.visits else None
    if visit is None or visit.lap is None or completed is None or completed < visit.lap + 2:
        return False
    return car.stint >= len(car.stints) or stints[car.stint].total_laps == car.stints[car.stint].total_laps


def _step_back(car: Car, index: int) -> set[int]:
    """Baku 2018, car 7: one stop was listed as two sets, the second marked as not changed and not counted on."""
    wrong = {number for number, lap in car.laps.items() if lap.stint == car.stint}
    for number in wrong:
        car.laps[number].stint = index
    car.stint = index
    car.visits[-1].fitted = index
    return wrong


def driven(stint: Stint) -> int | None:
    """Laps the feed has counted on a stint; None where it has not told."""
    return None if stint.total_laps is None else stint.total_laps - (stint.start_age or 0)


def _begin_unseen(car: Car, index: int) -> bool:
    """Whether the first lap of a stint is not known: this state joined in it, or lost the connection for a while."""
    first = min((number for number, lap in car.laps.items() if lap.stint == index), default=1)
    before = car.laps.get(first - 1)
    if any(visit.fitted == index and visit.lap == first - 1 for visit in car.visits):
        return False
    return first != 1 and (before is None or (before.lost and before.stint is None))


def _last_laps(car: Car, index: int, stint: Stint) -> set[int]:
    """Laps driven on a set whose stop was not seen (a message or the connection was lost): as many as it counts."""
    driven = (stint.total_laps or 0) - (stint.start_age or 0)
    numbers = {number for number in car.laps if stint.counted_to is not None and number > stint.counted_to - driven}
    for number in numbers:
        car.laps[number].stint = index
    return numbers


def _laps_since_visit(car: Car, stint: int) -> set[int]:
    """Laps driven since the car left the pits, now known to be on the set told late."""
    visit = car.visits[-1] if car.visits else None
    if visit is None or visit.fitted is not None:
        return set()  # the set fitted on that visit is known: this one is of now
    visit.fitted = stint
    out = visit.out_at
    since = [lap for lap in car.laps.values() if out is not None and lap.ended_at is not None and lap.ended_at > out]
    for lap in since:
        lap.stint = stint
    return {lap.number for lap in since}


def _lately_in_pits(car: Car, at: int) -> bool:
    """Whether a set told now is the one fitted in the pits: the car is in them, or left them lately."""
    if not car.visits:
        return False
    visit = car.visits[-1]
    return visit.out_at is None or at - visit.out_at <= NEW_STINT_MS


def stint_of(item: Any) -> Stint:
    """One item of the feed's list."""
    if not isinstance(item, dict):
        return Stint()
    return Stint(
        compound=text(item.get("Compound")),
        new=flag(item.get("New")),
        start_age=integer(item.get("StartLaps")),
        total_laps=integer(item.get("TotalLaps")),
        same_tyres=text(item.get("TyresNotChanged")) == "1",
    )


def enter(car: Car, at: int, part: int | None) -> None:
    """The car came into the pit lane. part: of qualifying."""
    car.in_pit = True
    car.visits.append(PitVisit(in_at=at, stint=car.stint, part=part))


def leave(car: Car, at: int) -> None:
    """The car left the pit lane. One that was in it from the beginning has no way in."""
    if not car.visits or car.visits[-1].out_at is not None:
        car.visits.append(PitVisit())
    car.in_pit = False
    car.visits[-1].out_at = at


def lane_time(car: Car, lap: int | None, lane_ms: int | None, stop_ms: int | None) -> bool:
    """A pit-lane time the feed tells, with the lap the car came in on; returns whether it was news."""
    stops = [visit for visit in car.visits if visit.in_at is not None]
    found = next((visit for visit in reversed(stops) if lap is not None and visit.lap == lap), None)
    if found is None and stops and (lap is None or stops[-1].lap is None or abs(stops[-1].lap - lap) <= 1):
        found = stops[-1]
    if found is None:
        return False  # of a stop nobody saw
    if lane_ms is not None and found.lane_time is not None and abs(lane_ms - found.lane_time) <= TENTH_MS:
        # Told twice, to the tenth of a second (PitLaneTimeCollection) and to the thousandth (PitStopSeries).
        lane_ms = max(lane_ms, found.lane_time, key=lambda told: told % TENTH_MS != 0)
    news = (lane_ms is not None and found.lane_time != lane_ms) or (stop_ms is not None and found.stop_time != stop_ms)
    found.lane_time = lane_ms if lane_ms is not None else found.lane_time
    found.stop_time = stop_ms if stop_ms is not None else found.stop_time
    return news


def is_stop(visit: PitVisit) -> bool:
    """A visit that was a stop and no drive through: tyres were changed, or the car stood still."""
    return visit.new_stint or (visit.stop_time or 0) > 0


def age_at(car: Car, lap: Lap) -> int | None:
    """Laps on the tyres at the end of `lap`, those before this session included.

    None where it cannot be told: the set is not known, nor how far it was when this state joined.
    """
    if lap.stint is None or lap.stint >= len(car.stints):
        return None
    stint = car.stints[lap.stint]
    if _begin_unseen(car, lap.stint):
        if stint.total_laps is None or stint.counted_to is None:
            return None
        return stint.total_laps - stint.counted_to + lap.number
    if stint.start_age is None:
        return None
    first = min((other.number for other in car.laps.values() if other.stint == lap.stint), default=lap.number)
    return stint.start_age + lap.number - first + 1
