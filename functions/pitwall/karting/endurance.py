"""How an endurance race of karts stands: stints, stops made and owed, and what gaps are worth once all stops are made.

Pure: of a state and an instant. What was not seen, as of a kart that joined late or while the connection was lost, and
the board does not tell, is absent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from msgspec import Struct

from pitwall.karting.records import Kart, Lap, Visit
from pitwall.karting.state import KartState, laps_completed, laps_down, stops_made
from pitwall.timing.machine import SeriesItem

CLEAN_LAPS: Final = 5
"""Of so many last ones the median is the pace."""
FEWEST: Final = 3
"""Clean laps of a kart below which nothing is said of its pace."""
MINUTE_MS: Final = 60_000
"""Boards tell times at the wheel in minutes."""
_PENALTY: Final = re.compile(
    r"p[eé]nal|penalidad|straf|stop\s*(?:and|&|et|n|-)?\s*go|drive\s*-?\s*through|disqual|\+\s*\d+\s*(?:s\b|sec|tour|lap|\")",
    re.IGNORECASE,
)
_NUMBERED: Final = re.compile(
    r"(?:\b(?:karts?|car|dorsal|n[or]\.?|num(?:[eé]ro|ber))\s*|[#°º]\s*)#?\s*([0-9]{1,4}[A-Z]?)\b", re.IGNORECASE
)


class Standing(Struct):
    """One kart. Durations and instants in milliseconds; None is not known."""

    stint: int
    stops: int
    position: int | None = None
    stint_ms: int | None = None
    stint_left_ms: int | None = None
    driver: str | None = None
    driver_ms: int | None = None
    stops_owed: int | None = None
    in_pit_since: int | None = None
    last_stop_ms: int | None = None
    short_stops: int | None = None
    laps: int | None = None
    adjusted_position: int | None = None
    adjusted_gap_ms: int | None = None
    penalties: list[str] = []


def standing(state: KartState, at: int) -> dict[str, Standing]:
    """Every kart on the board whose number is known, by racing number, as it is at the instant `at`."""
    karts = _karts(state)
    rules = state.rules
    told = {kart.number: _standing(kart, rules, at) for kart in karts}
    for kart in karts:
        told[kart.number].penalties = penalties(kart, state.data.race_control)
    for place, (gap, number) in enumerate(_adjusted(karts, rules), start=1):
        told[number].adjusted_position, told[number].adjusted_gap_ms = place, gap
    return told


def pit_queue(state: KartState) -> list[str]:
    """Karts in the pits, who came first first; those of which that was not seen are before the others."""
    inside = [kart for kart in _karts(state) if kart.in_pit]
    return [kart.number for kart in sorted(inside, key=lambda kart: (kart.visits[-1].in_at or 0, kart.number))]


def _karts(state: KartState) -> list[Kart]:
    return [kart for kart in state.data.karts.values() if kart.on_board and kart.number]


def _standing(kart: Kart, rules: Mapping[str, int], at: int) -> Standing:
    stops, stint_ms = stops_made(kart), stint_time(kart, at)
    over = [visit for visit in (kart.visits[:-1] if kart.in_pit else kart.visits) if visit.stop]
    times = [time for visit in over if (time := _duration(visit)) is not None]
    seen = len(times) == stops - (kart.in_pit and kart.visits[-1].stop)
    longest, owed, shortest = rules.get("StintMs"), rules.get("Stops"), rules.get("StopMs")
    return Standing(
        stint=max(stops if kart.in_pit else stops + 1, 1),
        stops=stops,
        position=kart.line.get("Position"),
        stint_ms=stint_ms,
        stint_left_ms=longest - stint_ms if longest is not None and stint_ms is not None else None,
        driver=kart.line.get("Driver"),
        driver_ms=driver_time(kart, at),
        stops_owed=max(owed - stops, 0) if owed is not None else None,
        in_pit_since=kart.visits[-1].in_at if kart.in_pit else None,
        last_stop_ms=_duration(over[-1]) if over else None,
        short_stops=sum(time < shortest for time in times) if shortest is not None and seen else None,
        laps=laps_completed(kart),
    )


def _stops(kart: Kart) -> list[Visit]:
    return [visit for visit in kart.visits if visit.stop]


def _duration(visit: Visit) -> int | None:
    """How long a kart was in the pits; None where an end of it was not seen."""
    if visit.in_at is None or visit.out_at is None:
        return None
    return visit.out_at - visit.in_at


# -- at the wheel --------------------------------------------------------------------------


def stint_time(kart: Kart, at: int) -> int | None:
    """On the track since the last stop; None in the pits. Where its beginning was not seen, as the board tells it."""
    if kart.in_pit:
        return None
    begun = kart.stints[-1].started_at
    return at - begun if begun is not None else _running(kart, "StintMs", at)


def driver_time(kart: Kart, at: int) -> int | None:
    """At the wheel in all stints of who drives now. Where one of them was not seen whole, as the board tells it."""
    name = kart.line.get("Driver")
    if name is None:
        return None
    stints = kart.stints
    if kart.visits and not kart.visits[0].stop and stints[0].started_at is None:
        stints = stints[1:]  # from the pits into the session
    if len(stints) != stops_made(kart) + (not kart.in_pit):
        return _running(kart, "DriverMs", at)
    total = 0
    for index, stint in enumerate(stints, start=1):
        ended = at if index == len(stints) and not kart.in_pit else stint.ended_at
        if stint.started_at is None or ended is None or stint.driver is None:
            return _running(kart, "DriverMs", at)
        total += ended - stint.started_at if stint.driver == name else 0
    return total


def _running(kart: Kart, name: str, at: int) -> int | None:
    """A cell in minutes that goes on with the clock while the kart is on the track."""
    told: int | None = kart.line.get(name)
    if told is None:
        return None
    since = 0 if kart.in_pit else at - kart.told_at.get(name, at)
    return told + min(max(since, 0), MINUTE_MS)


# -- what gaps are worth -------------------------------------------------------------------


def clean(lap: Lap) -> bool:
    """Whether a lap tells how fast a kart is: driven whole, seen whole, under green."""
    whole = lap.time is not None and not (lap.partial or lap.unseen or lap.taken_back)
    return whole and set(lap.statuses) <= {"1"}


def pace(kart: Kart, last: int | None = CLEAN_LAPS) -> int | None:
    """Median of a kart's last clean laps (all of them for None), ms."""
    times = [lap.time or 0 for _, lap in sorted(kart.laps.items()) if clean(lap)]
    return round(median(times[-last:] if last else times)) if len(times) >= FEWEST else None


def stop_cost(karts: Iterable[Kart]) -> int | None:
    """What a stop costs: the median, over all stops made, of the laps in and out less as many clean ones."""
    costs = [cost for kart in karts for visit in _stops(kart) if (cost := _cost(kart, visit)) is not None]
    return round(median(costs)) if costs else None


def _cost(kart: Kart, visit: Visit) -> int | None:
    """Where the line is in the pit lane, or after it, the lap in and the lap out are one."""
    usual = pace(kart, None)
    lap = kart.laps.get(visit.lap) if visit.lap is not None else None
    if usual is None or lap is None or visit.out_at is None:
        return None
    laps = [lap] if lap.pit_out else [lap, kart.laps.get(lap.number + 1)]
    times = [one.time for one in laps if one is not None and not one.unseen and one.time is not None]
    if len(times) < len(laps) or not (laps[-1] and laps[-1].pit_out):
        return None
    return sum(times) - len(times) * usual


def _adjusted(karts: list[Kart], rules: Mapping[str, int]) -> list[tuple[int, str]]:
    """Time to the first and number of every kart of which it is known, in the order with all stops owed made."""
    required = rules.get("Stops")
    leader = next((kart for kart in karts if kart.line.get("Position") == 1), None)
    if required is None or leader is None:
        return []
    owed = {kart.number: max(required - stops_made(kart) + _stopping(kart), 0) for kart in karts}
    cost = rules.get("StopCostMs")
    cost = stop_cost(karts) if cost is None else cost
    if cost is None:
        if len(set(owed.values())) > 1:
            return []
        cost = 0  # all owe the same
    down, pace_of_all = laps_down(karts), [usual for kart in karts if (usual := pace(kart)) is not None]
    field = round(median(pace_of_all)) if pace_of_all else None
    behind: list[tuple[int, int, str]] = []
    for kart in karts:
        time = _behind(kart, leader, down.get(kart.row, 0), field)
        if time is not None:
            behind.append((time + owed[kart.number] * cost, kart.line.get("Position") or 0, kart.number))
    behind.sort()
    return [(time - behind[0][0], number) for time, _, number in behind]


def _stopping(kart: Kart) -> bool:
    """Whether a kart is on a stop, or on the lap out: its gap has a part of what the stop costs, or none."""
    return kart.in_pit or (kart.pit_out and bool(_stops(kart)))


def _behind(kart: Kart, leader: Kart, down: int, field: int | None) -> int | None:
    """Time behind the leader, of a kart on a stop as it was when it last completed a lap.

    A kart that is laps down is so far behind as it completed the same lap later, else its laps at its own pace.
    """
    if kart is leader:
        return 0
    gap, last = kart.line.get("GapMs"), kart.laps.get(kart.count)
    theirs = leader.laps.get(kart.count)
    stopping = _stopping(kart)
    if not down and not stopping:
        return gap
    if kart.counted and leader.counted and last and theirs and last.ended_at and theirs.ended_at:
        return last.ended_at - theirs.ended_at
    if stopping:
        if last is None or last.position == 1:
            return None if last is None else 0
        gap, down = last.gap_ms, last.gap_laps or 0
        if not down:
            return gap
    usual = pace(kart) or field
    return None if usual is None else down * usual + (gap or 0)


# -- penalties -----------------------------------------------------------------------------


def penalties(kart: Kart, said: Iterable[SeriesItem]) -> list[str]:
    """What race control said of penalties of a kart, in its words. Which kart is told beside it, else in the text."""
    numbers = {kart.number, kart.line.get("Number")}
    return [item.data["Message"] for item in said if _is_penalty(item) and numbers & _about(item)]


def _is_penalty(item: SeriesItem) -> bool:
    return item.data.get("Flag") == "penalty" or (
        item.data.get("Flag") != "warning" and _PENALTY.search(item.data["Message"]) is not None
    )


def _about(item: SeriesItem) -> set[str]:
    if "Number" in item.data:
        return {item.data["Number"]}
    return {number.upper() for number in _NUMBERED.findall(item.data["Message"])}
