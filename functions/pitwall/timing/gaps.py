"""What a lost connection takes from a car's laps, and what the snapshot after it gives back.

A snapshot shows of each car how many laps it has done, the time of the last, its best with the lap it was set on,
its stints and stops so far, and three sectors: those of the last lap until the car reaches sector 1 of the next,
when sectors 2 and 3 are cleared. What a sector was before stays in its `PreviousValue`. So of the laps that ended in
a gap the last can be had whole where the sectors add up to its time, one more where it was the best; of the others
only that they were driven, and their tyres. What cannot be had stays absent and the lap is marked: nothing is made up,
no lap is left out and none gets a number that is not its own.

When a lap ended that ended in a gap, in what place and how far behind is never sent again.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from pitwall.timing import laps, stints
from pitwall.timing.laps import TOLERANCE_MS, LapRules
from pitwall.timing.merge import items
from pitwall.timing.records import Car, Lap, OpenLap, PitVisit, Stint
from pitwall.timing.values import duration_ms, flag, integer

Sectors = list[int | None]

TOOK_FLAG = 1024
"""Bit of a line's Status once the car took the chequered flag (Qatar and São Paulo 2025; not yet in 2018)."""
SLOWEST = 1.5
"""A car that has not crossed the line for so many of its laps after the chequered flag has taken it unseen."""


class Away(NamedTuple):
    """The gap that is being closed."""

    n: int
    since: int
    """Feed instant of the last message before it, ms."""
    at: int
    """Instant of the snapshot, ms."""
    part_changed: bool
    broken: bool
    """A red flag or a break between qualifying parts fell into it."""


def leave(car: Car, n: int, rules: LapRules) -> set[int]:
    """The connection is lost: whatever of the laps under way was still to come may be missed.

    n: number of the gap. Returns the laps to report again.
    """
    lap = car.open
    if lap is not None and rules.running and lap.number not in car.laps and not (car.flagged or car.lap_in_lane):
        mark(lap, n)
    done = car.laps.get(car.waiting) if car.waiting is not None else None
    awaited = done is not None and (done.time is None or (done.time_source != "feed" and not _first(done, rules.race)))
    if done is not None and (awaited or done.sectors[2] is None):
        mark(done, n)
        return {done.number} & car.told
    return set()


def _first(lap: Lap, race: bool) -> bool:
    """Whether it is lap 1 of a race, which has no time and no sector 1 in the feed."""
    return race and lap.number == 1


def incomplete(lap: Lap, race: bool, begun_unseen: bool) -> bool:
    """Whether a lap a gap fell into lacks something, or has what is not certain.

    begun_unseen: it began in a gap. The first of a race is timed from then.
    """
    if not lap.gaps:
        return False
    behind = lap.position is not None and (lap.position == 1 or lap.gap_ms is not None or lap.laps_down is not None)
    placed = behind if race else lap.position is not None
    if lap.lost or lap.doubtful or lap.time is None or lap.started_at is None or not placed:
        return True
    if _first(lap, race):
        return None in lap.sectors[1:] or begun_unseen
    return lap.time_source != "feed" or not _adds_up(lap.sectors, lap.time)


def resume(
    car: Car, line: Mapping[str, Any], before: Mapping[str, Any], merged: Mapping[str, Any], told: Any,
    away: Away, rules: LapRules,
) -> set[int]:  # fmt: skip
    """Takes what the snapshot after a gap shows of a car that was known before it; returns the laps to report.

    line: what of the car's line differs from before the gap. before, merged: its line then and now. told: its stints
    as the snapshot lists them, None where it does not.
    """
    touched: set[int] = set()
    counter = integer(merged.get("NumberOfLaps"))
    if counter is not None and car.counter is not None and counter < car.counter:
        # Older than what is known, or set right: it brings nothing of the lap under way.
        if car.open is not None:
            mark(car.open, away.n)
        _only_pits(car, merged, away, rules)
        return laps.read(car, line, merged, away.at, rules, snapshot=True)
    car.resumed_at = away.at
    if counter is not None and counter > 0 and car.open is None:
        laps.begin(car, 1, rules.started_at if rules.race else None)
    if counter is None or car.open is None or (rules.race and (car.flagged or not rules.running)):
        car.counter = counter if counter is not None else car.counter
        if car.open is not None and rules.running and not car.flagged:
            mark(car.open, away.n)
        _only_pits(car, merged, away, rules)
        _take_stints(car, told, rules)
        return touched
    in_lane = not rules.race and bool(flag(merged.get("InPit")))
    last = counter if rules.race or in_lane else counter - 1
    # Where the last lap ended in the lane and the car has not left it since, the open lap is the one after.
    numbers = [number for number in range(car.open.number, last + 1) if not _is_over(car, number)]
    if not numbers and ((car.lap_in_lane and in_lane) or car.open.number in car.laps):
        car.counter = counter
        _only_pits(car, merged, away, rules)
    elif not numbers:
        car.counter = counter
        _go_on(car, line, merged, away, rules, touched)
        _visits(car, [], None, before, merged, told, away, rules)
        car.lap_in_lane = False
    else:
        laps.settle(car, touched)
        spread = _spread(car, numbers, told, merged, rules)
        _find(car, numbers, line, merged, away, rules, touched)
        _visits(car, numbers, spread, before, merged, told, away, rules)
        car.counter, car.lap_in_lane = counter, in_lane
        _take_flag(car, counter, merged, away, rules)
        for number in numbers[:-1]:
            laps.tell(car, car.laps[number], touched)
    touched |= _take_stints(car, told, rules)
    laps.settle_if_moved_on(car, touched)
    return touched


# -- laps ----------------------------------------------------------------------------------


def _is_over(car: Car, number: int) -> bool:
    """Whether a lap was completed before; one the car stopped on may go on."""
    return number in car.laps and car.laps[number].finished


def mark(lap: Lap | OpenLap, n: int) -> None:
    """Gap `n` fell into a lap; they stay in their order."""
    if n not in lap.gaps:
        insort(lap.gaps, n)


def doubt(lap: OpenLap, n: int) -> None:
    """Gap `n` may have brought more into a lap than the snapshot tells."""
    lap.doubtful = True
    mark(lap, n)


def _previous(merged: Mapping[str, Any]) -> Sectors:
    """The sector times a car's line showed before those it shows, or once more where they have only just come."""
    sectors = dict(items(merged.get("Sectors")))
    told = [sectors.get(index) for index in range(3)]
    return [duration_ms(sector.get("PreviousValue")) if isinstance(sector, dict) else None for sector in told]


def _adds_up(sectors: Sequence[int | None], time: int | None) -> bool:
    known = [sector for sector in sectors if sector is not None]
    return time is not None and len(known) == 3 and abs(sum(known) - time) <= TOLERANCE_MS


def _go_on(
    car: Car, line: Mapping[str, Any], merged: Mapping[str, Any], away: Away, rules: LapRules, touched: set[int]
) -> None:
    """No lap ended in the gap: late values of the last one, and sectors of the one the car is on."""
    lap = car.open or OpenLap(number=1)
    sectors = laps.shown(merged)
    done = car.laps.get(car.waiting) if car.waiting is not None else None
    if done is not None and away.n in done.gaps:
        _late_values(car, done, line, merged, sectors, rules, touched)
    mark(lap, away.n)
    lap.aborted = lap.aborted or away.broken
    over = car.laps.get(lap.number - 1)
    of_the_last = over is not None and over.sectors[:2] == sectors[:2] and sectors[0] is not None
    if sectors[2] is None and not of_the_last and not out(merged):
        # What was told before the gap is of this lap; so is what is shown now that sector 3 is cleared.
        lap.sectors = [known if known is not None else now for known, now in zip(lap.sectors, sectors, strict=True)]
    news = laps.last_lap_time(line)
    timed = over is not None and away.n not in over.gaps and (over.time_source == "feed" or over.refused is not None)
    if rules.race and news is not None and timed and None not in lap.sectors[:2]:
        lap.early_time, lap.early_at = news, away.at  # told a moment before the crossing


def _late_values(
    car: Car,
    done: Lap,
    line: Mapping[str, Any],
    merged: Mapping[str, Any],
    sectors: Sectors,
    rules: LapRules,
    touched: set[int],
) -> None:
    """The time and sectors 2 and 3 of a lap that had just ended when the connection was lost."""
    previous = _previous(merged)
    if sectors[2] is not None:
        found = sectors
    elif sectors[1] is None and sectors[0] is not None:
        found = [None, previous[1], previous[2]]
    else:
        found = [None, None, previous[2] if sectors[0] is not None else None]
    agrees = all(a is None or b is None or a == b for a, b in zip(done.sectors, found, strict=True))
    filled = [a if a is not None else b for a, b in zip(done.sectors, found, strict=True)]
    shown, news = laps.last_lap_time(merged), laps.last_lap_time(line)
    if agrees and _adds_up(filled, shown):
        done.sectors = filled
        laps.accept(car, done, shown or 0, rules, touched)
    elif news is not None and rules.race and (None in filled or not agrees):
        laps.accept(car, done, news, rules, touched)
    if sectors[2] is None and sectors[0] is not None:
        laps.settle(car, touched)


def _find(
    car: Car,
    numbers: Sequence[int],
    line: Mapping[str, Any],
    merged: Mapping[str, Any],
    away: Away,
    rules: LapRules,
    touched: set[int],
) -> None:
    """Laps ended in the gap: an entry for each, with what was told of it before and what is shown of the last."""
    opened = car.open or OpenLap(number=1)
    for number in numbers:
        own = opened if number == opened.number else OpenLap(number=number)
        lap = Lap(
            number=number,
            started_at=own.started_at,
            sectors=own.sectors,
            speeds=own.speeds,
            part=None if away.part_changed else rules.part,
            aborted=own.aborted or away.broken,
            gaps=list(own.gaps),
            doubtful=True,
            found_at=away.at,
        )
        mark(lap, away.n)
        if number == opened.number:
            lap.ended_at = away.since
            laps.mark_pits(car, lap, rules)
            lap.ended_at = None
        car.laps[number] = lap
    last = car.laps[numbers[-1]]
    of_next = _last_lap(car, last, len(numbers), line, merged, away, rules, touched)
    if out(merged):
        of_next = [None, None, None]  # where it stopped the sectors of the lap before may be left
    _best_laps(car, numbers, merged, touched)
    for number in numbers:
        lap, before = car.laps[number], car.laps.get(number - 1)
        if lap.started_at is None and before is not None:
            lap.started_at = before.ended_at
        laps.reckon(car, lap)
    begun = OpenLap(number=last.number + 1, started_at=last.ended_at, sectors=of_next, aborted=away.broken)
    if rules.race and (early := _early_time(merged, last.number)) is not None:
        begun.early_time, begun.early_at = early, away.at
    mark(begun, away.n)
    car.open = begun


def _last_lap(
    car: Car, lap: Lap, count: int, line: Mapping[str, Any], merged: Mapping[str, Any],
    away: Away, rules: LapRules, touched: set[int],
) -> Sectors:  # fmt: skip
    """Gives the last lap that ended in the gap what is shown of it; returns the sectors shown of the lap after it.

    count: how many laps ended in the gap.
    """
    sectors, previous = laps.shown(merged), _previous(merged)
    early = rules.race and _early_time(merged, lap.number) is not None
    time, news = (None, None) if early else (laps.last_lap_time(merged), laps.last_lap_time(line))
    car.waiting = lap.number
    if count > 1 and not rules.race and flag(merged.get("InPit")):
        # It may have come in without a sector told: what is shown can be of the lap before (Monza 2025, red flag).
        return [None, None, None]
    if sectors[2] is not None:
        # Not yet at sector 1 of the next lap, or (where they do not add up) a value of the crossing is late or early.
        if _adds_up(sectors, time) and not _of_another(car, sectors):
            lap.sectors = sectors
            _unsent_speeds(lap, merged, in_lane=not rules.race and bool(flag(merged.get("InPit"))))
            laps.accept(car, lap, time or 0, rules, touched)
        return [None, None, None]
    if _just_ended(car, lap, count, sectors, merged, away):
        lap.sectors = sectors
        return [None, None, None]
    found = _sectors_before(lap.sectors, sectors, previous, time)
    if _adds_up(found, time) and not _of_another(car, found):
        lap.sectors = found
        laps.accept(car, lap, time or 0, rules, touched)
    elif news is not None and rules.race and lap.number > 1 and None in found:
        lap.sectors = found
        laps.accept(car, lap, news, rules, touched)
        if lap.time is None:
            lap.refused = None
    elif early:
        lap.sectors = found
    laps.settle(car, touched)  # it ended long ago: the car has been through sector 1 since, or left the pits
    if not rules.race and flag(merged.get("InPit")):
        return [None, None, None]  # nothing is cleared before it leaves: what is shown is of the lap it came in on
    return sectors


def _early_time(merged: Mapping[str, Any], last: int) -> int | None:
    """The last lap time shown, where it is of the lap after the `last` counted, a moment before the crossing.

    A car's best tells its lap's number with it, in a race as we count.
    """
    best, time = merged.get("BestLapTime"), laps.last_lap_time(merged)
    if not isinstance(best, dict) or time is None or time != duration_ms(best.get("Value")):
        return None
    return time if integer(best.get("Lap")) == last + 1 else None


def _of_another(car: Car, sectors: Sectors) -> bool:
    """Whether sectors are still those of a lap known from before the gap: on the last nothing was told."""
    return any(lap.sectors == sectors for lap in car.laps.values())


def _just_ended(car: Car, lap: Lap, count: int, sectors: Sectors, merged: Mapping[str, Any], away: Away) -> bool:
    """Whether sectors 1 and 2 shown are of the lap that just ended, whose sector 3 is late: there was no time for more.

    Sector 3 has been seen five seconds after the counter.
    """
    if sectors[0] is None or sectors[1] is None:
        return False
    if any(known not in (None, now) for known, now in zip(lap.sectors[:2], sectors, strict=False)):
        return False
    if lap.sectors[:2] == sectors[:2]:
        return True
    since = max((o.ended_at for o in car.laps.values() if o.ended_at is not None and not o.lost), default=None)
    best = merged.get("BestLapTime")
    told = [laps.last_lap_time(merged), duration_ms(best.get("Value")) if isinstance(best, dict) else None]
    times = [o.time for o in car.laps.values() if o.time_source == "feed"] + told
    quickest = min((time for time in times if time is not None), default=None)
    if since is None or quickest is None:
        return lap.sectors[0] == sectors[0]
    return away.at - since < count * quickest + (sectors[0] + sectors[1]) * 3 // 4


def _sectors_before(known: Sectors, shown: Sectors, previous: Sectors, time: int | None) -> Sectors:
    """Sectors of a lap when the car is past sector 1 of the next, or has left the pits, where all are cleared.

    known: what was told before the gap. A sector driven on the next lap has, a few seconds later, no previous value
    of another lap any more; where one is still that of this lap, the time bears it out.
    """
    either: list[list[int | None]] = []
    for index in range(3):
        if known[index] is not None:
            either.append([known[index]])
        elif shown[index] is None:
            either.append([previous[index]])
        else:
            either.append([previous[index]] if previous[index] != shown[index] else [None])
    for sectors in product(*either):
        if _adds_up(sectors, time):
            return list(sectors)
    # Not borne out: only what was told, and what was cleared since.
    return [a if a is not None or shown[i] is not None else previous[i] for i, a in enumerate(known)]


def _unsent_speeds(lap: Lap, merged: Mapping[str, Any], in_lane: bool) -> None:
    """Speeds shown while the last lap's sectors are; the trap on the longest straight may be passed already.

    in_lane: the lap ended in the pit lane: the speed at the line is of one before.
    """
    traps = merged.get("Speeds")
    for trap in ("I1", "I2") if in_lane else ("I1", "I2", "FL"):
        told = traps.get(trap) if isinstance(traps, dict) else None
        kph = integer(told.get("Value")) if isinstance(told, dict) else None
        if kph is not None:
            lap.speeds[trap] = kph


def _best_laps(car: Car, numbers: Sequence[int], merged: Mapping[str, Any], touched: set[int]) -> None:
    """A best lap that was driven in the gap: the feed tells its number with its time."""
    by_part = [(index + 1, item) for index, item in items(merged.get("BestLapTimes"))]
    for part, told in [(None, merged.get("BestLapTime")), *by_part]:
        number = integer(told.get("Lap")) if isinstance(told, dict) else None
        time = duration_ms(told.get("Value")) if isinstance(told, dict) else None
        if time is not None and time == laps.last_lap_time(merged) and number != numbers[-1]:
            continue  # it is the last lap's: the number is still that of the best before (Baku 2018)
        if number in numbers and number is not None and time is not None:
            lap = car.laps[number]
            lap.time, lap.time_source, lap.refused = time, "feed", None
            lap.part = part if part is not None else lap.part
            if None not in lap.sectors and not _adds_up(lap.sectors, time):
                lap.sectors = [None, None, None]
            laps.fill(car, lap, touched)


def took_flag(merged: Mapping[str, Any]) -> bool:
    """Whether the feed says that a car took the chequered flag."""
    return bool((integer(merged.get("Status")) or 0) & TOOK_FLAG)


def out(merged: Mapping[str, Any]) -> bool:
    """Whether a car is out of the race, or stands."""
    return bool(flag(merged.get("Retired")) or flag(merged.get("Stopped")))


def _take_flag(car: Car, counter: int, merged: Mapping[str, Any], away: Away, rules: LapRules) -> None:
    """Whether the last lap of the gap was the car's last of the race."""
    if not rules.race:
        return
    if rules.total_laps is not None and counter >= rules.total_laps and rules.finished_at is None:
        rules.finished_at = away.at
    # The flag may be told a moment before the crossing: then the lap is still to be completed.
    coming = laps.shown(merged)[1] is not None and laps.shown(merged)[2] is None
    times = [lap.time for lap in car.laps.values() if lap.time is not None]
    done = rules.total_laps is not None and counter >= rules.total_laps
    long_ago = rules.finished_at is not None and times and away.at - rules.finished_at > SLOWEST * min(times)
    if not out(merged) and ((took_flag(merged) and not coming) or done or long_ago):
        car.flagged = True


# -- pits and tyres ------------------------------------------------------------------------


def _stints_told(told: Any) -> list[Stint]:
    return [stints.stint_of(item) for _, item in items(told)]


def _now_on(car: Car, told: Sequence[Stint], merged: Mapping[str, Any], rules: LapRules) -> int:
    """Index of the stint a car is on after the gap. One that stands in the pits has not gone out on the next yet."""
    stops = (integer(merged.get("NumberOfPitStops")) or 0) - (1 if flag(merged.get("InPit")) else 0)
    # What was listed and counted before the gap, and has not been counted on since, the car never had (Baku 2018).
    never = {index for index in range(car.stint + 1, min(len(told), len(car.stints)))
             if told[index].total_laps == car.stints[index].total_laps}  # fmt: skip
    counted = [Stint() if index in never else stint for index, stint in enumerate(told)]
    return max(car.stint, stints.current(counted, stops, rules.race))


def _spread(
    car: Car, numbers: Sequence[int], told: Any, merged: Mapping[str, Any], rules: LapRules
) -> list[int] | None:
    """The stint of each lap that ended in the gap, by the laps the feed counts on each; None where they disagree.

    Outside a race it does not always count the lap a car came in on (Imola, Monza 2025).
    """
    listed = _stints_told(told) or car.stints
    now = _now_on(car, listed, merged, rules)
    if now == car.stint or now >= len(listed):
        return [car.stint] * len(numbers) if now == car.stint else None
    if not rules.race:
        return None
    driven = [stints.driven(stint) for stint in listed[car.stint : now + 1]]
    before = stints.driven_so_far(car, numbers[0] - 1)
    if before is None or any(count is None for count in driven):
        return None
    counts = [count or 0 for count in driven]
    counts[0] -= before
    rest = len(numbers) - sum(counts[:-1])
    # The laps on a set are told some seconds after the crossing.
    if min(counts) < 0 or rest < 0 or counts[-1] not in (rest, rest - 1):
        return None
    counts[-1] = rest
    return [car.stint + index for index, count in enumerate(counts) for _ in range(count)]


def _only_pits(car: Car, merged: Mapping[str, Any], away: Away, rules: LapRules) -> None:
    """A car that drove no lap: it may have come in or gone out all the same."""
    now = bool(flag(merged.get("InPit")))
    if now and not car.in_pit:
        part = None if away.part_changed else rules.part
        car.visits.append(PitVisit(in_at=away.at, stint=car.stint, part=part, in_unseen=True))
    elif car.in_pit and not now and car.visits and car.visits[-1].out_at is None:
        car.visits[-1].out_at, car.visits[-1].out_unseen = away.at, True
        if car.open is not None and rules.race and rules.running:
            car.visits[-1].out_lap = _out_on(car.open.number, away, rules)
    car.in_pit = now


def _visits(
    car: Car, numbers: Sequence[int], spread: list[int] | None, before: Mapping[str, Any], merged: Mapping[str, Any],
    told: Any, away: Away, rules: LapRules,
) -> None:  # fmt: skip
    """Visits to the pits in the gap: those a change of tyres shows, and those of which an end was seen."""
    opened = car.open or OpenLap(number=1)
    was_in, now_in = car.in_pit, bool(flag(merged.get("InPit")))
    stops = (integer(merged.get("NumberOfPitStops")) or 0) - (integer(before.get("NumberOfPitStops")) or 0)
    listed = _stints_told(told) or car.stints
    first, now = car.stint, _now_on(car, listed, merged, rules)
    left_at_once = bool(flag(merged.get("PitOut"))) and not now_in
    if was_in == now_in and stops <= 0 and now == first:
        if spread is not None:
            _fit(car, numbers, spread)
        return
    opened.doubtful = True
    begun = numbers[0] if numbers else opened.number
    made: list[PitVisit] = []
    if was_in and (not now_in or stops > 0 or now > first):
        if not car.visits or car.visits[-1].out_at is not None:
            car.visits.append(PitVisit(stint=first))  # it was in the pits from the beginning
        elif car.visits[-1].lap is None and numbers and _on_a_lap(car.visits[-1], begun, car, away, rules):
            car.visits[-1].lap = begun  # the lap it came in on had not ended yet
            car.laps[begun].pit_in = True
        visit = car.visits[-1]
        visit.out_at, visit.out_unseen = away.at, True
        visit.out_lap = visit.lap + 1 if visit.lap is not None and visit.lap >= begun else _out_on(begun, away, rules)
        made.append(visit)
    for index in range(first, now):
        came_in = _last_on(numbers, spread, index)
        if index == first and made:
            visit = made[0]
        elif index == first and came_in is None and _just_out(car, away):
            visit = car.visits[-1]  # it had left before the gap; only its tyres were still to be told
        else:
            visit = PitVisit(
                in_at=away.since, out_at=away.at, lap=came_in, stint=index, in_unseen=True, out_unseen=True
            )
            visit.out_lap = came_in + 1 if came_in is not None else None
            car.visits.append(visit)
            made.append(visit)
        visit.fitted = index + 1
        visit.new_stint = not listed[index + 1].same_tyres
    more = stops - len([visit for visit in made if visit.in_unseen])
    if now_in and (not was_in or made):
        came_in = _came_in_on(car, numbers, opened, merged, rules)
        car.visits.append(PitVisit(in_at=away.at, lap=came_in, stint=now, part=rules.part, in_unseen=True))
        made.append(car.visits[-1])
    elif not now_in and (more > 0 if rules.race else left_at_once and numbers and not made):
        # A drive through the lane, or a set that is told later.
        came_in = numbers[-1] if left_at_once and numbers else None
        visit = PitVisit(in_at=away.since, out_at=away.at, lap=came_in, stint=now, in_unseen=True, out_unseen=True)
        visit.out_lap = came_in + 1 if came_in is not None else None
        car.visits.append(visit)
        made.append(visit)
    for visit in made:
        _mark_laps(car, numbers, visit, rules)
    if left_at_once and numbers and made and made[-1].lap is None and made[-1].in_unseen:
        made[-1].lap, made[-1].out_lap = numbers[-1], opened.number
        _mark_laps(car, numbers, made[-1], rules)
    if spread is not None and (now > first or not made or now_in):
        _fit(car, numbers, spread)
    car.in_pit, car.stint = now_in, now


def _on_a_lap(visit: PitVisit, lap: int, car: Car, away: Away, rules: LapRules) -> bool:
    """Whether a car that was in the pits had come in on the lap it was on: not before the start, nor at a lap's end."""
    if not rules.race:
        return not car.lap_in_lane
    return lap > 1 or (visit.in_at or 0) > (rules.started_at if rules.started_at is not None else away.at)


def _out_on(lap: int, away: Away, rules: LapRules) -> int | None:
    """The lap on which a car left the pits that had not come in on it. Before the start it only went to the grid."""
    before_start = rules.race and lap == 1 and (rules.started_at is None or away.since < rules.started_at)
    return None if before_start else lap


def _just_out(car: Car, away: Away) -> bool:
    """Whether a car had left the pits just before the gap, and what it was fitted there had not been told."""
    visit = car.visits[-1] if car.visits else None
    if visit is None or visit.out_at is None or visit.fitted is not None or visit.new_stint:
        return False
    return visit.in_at is not None and away.since - visit.out_at <= stints.NEW_STINT_MS


def _fit(car: Car, numbers: Sequence[int], spread: list[int]) -> None:
    for number, stint in zip(numbers, spread, strict=True):
        car.laps[number].stint = stint


def _mark_laps(car: Car, numbers: Sequence[int], visit: PitVisit, rules: LapRules) -> None:
    """Marks the lap a car came in on, and the one it went out on, where they ended in the gap."""
    if visit.lap in numbers and visit.lap is not None and visit.in_unseen:
        lap = car.laps[visit.lap]
        lap.pit_in, lap.in_lane = True, not rules.race
    if visit.out_lap in numbers and visit.out_lap is not None and visit.out_unseen:
        car.laps[visit.out_lap].pit_out = True


def _last_on(numbers: Sequence[int], spread: list[int] | None, stint: int) -> int | None:
    """The last lap driven on a stint, which is the one the car came in on."""
    if spread is None or not numbers:
        return None
    on = [number for number, index in zip(numbers, spread, strict=True) if index <= stint]
    return on[-1] if on else None


def _came_in_on(
    car: Car, numbers: Sequence[int], opened: OpenLap, merged: Mapping[str, Any], rules: LapRules
) -> int | None:
    """The lap on which a car came in that is in the pits. In a race the line is in the lane: the lap ends there."""
    if not rules.race:
        return numbers[-1] if numbers else None
    if numbers and (took_flag(merged) or numbers[-1] == rules.total_laps):
        return None  # after the chequered flag
    sectors = laps.shown(merged)
    just_ended = bool(numbers) and car.laps[numbers[-1]].sectors == sectors
    if sectors[2] is not None or just_ended:
        return numbers[-1] if numbers else None
    return opened.number if sectors[1] is not None else None


def _take_stints(car: Car, told: Any, rules: LapRules) -> set[int]:
    """The list of stints as it now is; returns the laps whose tyres it changes."""
    if told is None:
        return set()
    known = list(car.stints)
    stints.take(car, told, rules.race)
    changed = {
        index
        for index, stint in enumerate(car.stints)
        if index >= len(known)
        or (stint.compound, stint.new, stint.start_age)
        != (known[index].compound, known[index].new, known[index].start_age)
    }
    return {lap.number for lap in car.laps.values() if lap.stint in changed and lap.number in car.told}
