"""How fields move, which needs no header: each function holds the values of a field against what its role would do.

Instants and durations in milliseconds. A last lap is about the time since that row's last crossing, a best lap only
falls and is a lap that was driven, laps count one up at a crossing, positions are a permutation, a gap grows down the
board, an interval is the difference of two gaps, sectors add up to the lap.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import combinations, groupby, pairwise
from math import sqrt
from typing import Final, NamedTuple

from pitwall.karting import values
from pitwall.karting.description import Unit
from pitwall.karting.detection.sample import Sample, Told
from pitwall.karting.detection.shapes import median_of, milliseconds, whole

NEAR_MS: Final = 3_000
"""Cells of one crossing come within this."""
SHORTEST_LAP_MS: Final = 5_000
LAP_WITHIN_MS: Final = 1_000
"""Crossing to crossing equals the lap within 0.24 s in 95 of 100 (Apex Timing, 2026), and frames are late."""
_Z: Final = 1.28
"""Standard deviations for nine in ten."""
_Z_OF_AGAINST: Final = 2.33
"""For 99 of a hundred."""
_FEWEST_STEPS: Final = 6
_FEWEST_LARGE: Final = 3
_ENOUGH: Final = 8
_FEW: Final = 0.85
_OTHERS_TOO: Final = 0.7
_PROPOSED: Final = 0.75
"""Not enough to use it."""
_UNSURE: Final = 0.55
"""Not enough to propose it."""
_STEEP: Final = 0.5
"""How far from one the slope of intervals over last laps may be, in which laps before, averages and sectors differ."""
_RISES: Final = 0.05
"""Of the changes of a best lap: the timekeeper takes laps back."""
_ONLY_FALLS: Final = 0.03
"""A last lap that rises less often than this may as well be a best one."""
_FEW_LAPS: Final = 3
"""Of which a board may show the best, as it shows that of all."""
_HALF: Final = 0.5
"""Half the values of any field fall, or are above those of another row."""
_GONE_MS: Final = 120_000
_MOST_PASSES: Final = 4_000
_MOST_SECTORS: Final = 8


class Evidence(NamedTuple):
    """How often values did what a role would do."""

    agree: int
    of: int
    rows: int
    """In which it was seen."""
    what: str
    chance: float = 0.2
    """The share any field would have."""
    most: float = 0.98
    """Not surer than this: less where other roles do the same."""
    tells: bool = True
    """Whether few that agree speak against the role."""

    def __str__(self) -> str:
        return f"{self.what}: {self.agree} of {self.of}"


class Pass(NamedTuple):
    """A kart crossed the line; lap_ms where the field of the last lap tells it."""

    at: int
    lap_ms: int | None


Passes = Mapping[str, list[Pass]]


def lower(agree: int, of: int) -> float:
    """The share that is meant at the least, nine in ten times (Wilson's lower bound): 5 of 5 say less than 50 of 50."""
    if not of:
        return 0.0
    z = _Z
    share = agree / of
    middle = share + z * z / (2 * of)
    spread = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + z * z / of))


def confidence(evidence: Evidence, required: float) -> float:
    """0 to 0.98. required: the share from which it is sure."""
    share = max(0.0, lower(evidence.agree, evidence.of) - evidence.chance)
    told = min(evidence.most, 0.98 * share / (required - evidence.chance))
    return min(told, _FEW) if evidence.of < _ENOUGH or evidence.rows < 2 else told


def _changes(rows: list[Told]) -> Iterator[tuple[Told, Told]]:
    return pairwise(rows)


def _poll(sample: Sample) -> int:
    """How far apart frames come, where that is what limits how well an instant is known."""
    if sample.frames < 2 or sample.began is None:
        return 0
    return min((sample.ended - sample.began) // (sample.frames - 1), 5_000)


class _Timed(NamedTuple):
    """A value of a field, and how long the row took, ms."""

    time: int
    took: int


def last_lap(sample: Sample, field: str, unit: Unit, within: int = LAP_WITHIN_MS) -> Evidence:
    """A value that changes is the time since that row's crossing before, or since the value changed before.

    Laps of one kart are much alike, so the lap before or an average fits as well: it is sure where the times go up and
    down as the intervals do.
    """
    within += _poll(sample)
    agree = of = seen = rises = changes = 0
    timed: list[list[_Timed]] = []
    for row, told in sample.fields[field].items():
        crossings = sample.crossings.get(row, [])
        fits: list[_Timed] = []
        timed.append(fits)
        for first, second in pairwise(told[1:]):
            before, after = milliseconds(first.text, unit), milliseconds(second.text, unit)
            if before is not None and after is not None:
                changes += 1
                rises += after > before
        for time, took in _intervals(told, crossings, unit) if sample.crossings else _own_intervals(told, unit):
            of += 1
            if time is None or abs(time - took) > within:
                fits = []
                timed.append(fits)
            else:
                agree += 1
                fits.append(_Timed(time, took))
        seen += bool(fits) or (len(timed) > 1 and bool(timed[-2]))
    most = _as_the_intervals(timed, within)
    if changes >= _ENOUGH and rises < _ONLY_FALLS * changes:
        most = min(most, _UNSURE)
    return Evidence(agree, of, seen, "is the time since the crossing before", most=most)


def _intervals(told: list[Told], crossings: list[int], unit: Unit) -> Iterator[tuple[int | None, int]]:
    """From crossing to crossing: what the field then changed to, None if it did not, and the time it took."""
    instants = [value.at for value in told]
    for last, at in pairwise(crossings):
        if at - last < SHORTEST_LAP_MS:
            continue
        index = bisect_right(instants, at + NEAR_MS) - 1
        changed = index >= 1 and instants[index] >= at - NEAR_MS
        yield milliseconds(told[index].text, unit) if changed else None, at - last


def _own_intervals(told: list[Told], unit: Unit) -> Iterator[tuple[int | None, int]]:
    """From change to change. A field that was emptied in between began anew: that is how sectors are told."""
    for first, second in pairwise(told[1:]):
        time = milliseconds(second.text, unit)
        if time is not None and first.text:
            yield time if time >= SHORTEST_LAP_MS else None, second.at - first.at


def _as_the_intervals(timed: list[list[_Timed]], within: int) -> float:
    """How sure it can be that times are those of the very intervals: by how much these change with them.

    The slope is one whatever else the intervals are off by; it is half below none for the lap before, and above two for
    an average. Neither fits two intervals in a row that differ by more than twice of what each may be off.
    """
    steps = [
        (second.time - first.time, second.took - first.took)
        for of_row in timed
        for first, second in pairwise(of_row[:_MOST_PASSES])
    ]
    if sum(abs(time) > 2 * within for time, _ in steps) >= _FEWEST_LARGE:
        return 0.98
    # A slow lap makes two large steps of an average, which hide how flat it is besides.
    small = sorted(steps, key=lambda step: abs(step[0]))[: max(len(steps) * 4 // 5, _FEWEST_STEPS)]
    return min(_steepness(steps), _steepness(small))


def _steepness(steps: list[tuple[int, int]]) -> float:
    """How sure it can be that a step of the time and one of the interval are the same."""
    spread = sum(time * time for time, _ in steps)
    if len(steps) < _FEWEST_STEPS or not spread:
        return _PROPOSED
    slope = sum(time * took for time, took in steps) / spread
    rest = sum((took - slope * time) ** 2 for time, took in steps) / (len(steps) - 1)
    error = sqrt(rest / spread)
    if abs(slope - 1) + _Z * error <= _STEEP:
        return 0.98
    return _UNSURE if abs(slope - 1) - _Z_OF_AGAINST * error > _STEEP else _PROPOSED


def passes(sample: Sample, field: str | None, unit: Unit) -> dict[str, list[Pass]]:
    """The crossings of each row: as the protocol tells them, else whenever the last lap changes."""
    told: dict[str, list[Pass]] = {}
    cells = sample.fields.get(field, {}) if field is not None else {}
    for row in sample.rows:
        laps = cells.get(row, [])
        changes = [Pass(value.at, milliseconds(value.text, unit)) for value in laps[1:] if value.text]
        if not sample.crossings:
            told[row] = changes[:_MOST_PASSES]
            continue
        instants = [change.at for change in changes]
        of_row: list[Pass] = []
        for at in sample.crossings.get(row, [])[:_MOST_PASSES]:
            index = bisect_right(instants, at + NEAR_MS) - 1
            known = index >= 0 and instants[index] >= at - NEAR_MS
            of_row.append(Pass(at, changes[index].lap_ms if known else None))
        told[row] = of_row
    return told


def _near(of_row: list[Pass], at: int) -> list[Pass]:
    """The passes of a row within `NEAR_MS` of an instant."""
    begin = bisect_left(of_row, at - NEAR_MS, key=lambda known: known.at)
    end = bisect_right(of_row, at + NEAR_MS, key=lambda known: known.at)
    return of_row[begin:end]


def best_lap(sample: Sample, field: str, unit: Unit, known: Passes) -> Evidence:
    """It only falls, and to the lap that was just driven where laps are known.

    So does the best of the last few laps until better ones are behind these: it is proposed where those are not shown.
    """
    driven = any(each.lap_ms is not None for of_row in known.values() for each in of_row)
    agree = of = seen = rises = kept = slower = 0
    for row, told in sample.fields[field].items():
        before = agree
        of_row = known.get(row, [])
        for first, second in _changes(told):
            time, last = milliseconds(second.text, unit), milliseconds(first.text, unit)
            if time is None:
                continue
            of += 1
            falls = last is None or time < last
            rises += last is not None and time > last
            index = bisect_right(of_row, second.at + NEAR_MS, key=lambda each: each.at)
            # The one before may have its best lap told late.
            lap = not driven or any(
                each.lap_ms is not None and abs(each.lap_ms - time) <= 1 for each in of_row[max(index - 2, 0) : index]
            )
            agree += falls and lap
        seen += agree > before
        for shown, few in _after_slower_laps(told, of_row, unit):
            slower += 1
            kept += shown < few
    if driven:
        most = _PROPOSED if kept * 2 < slower else 0.98
        most = _UNSURE if rises > max(1, _RISES * of) else most
        return Evidence(agree, of, seen, "falls to the lap just driven", most=most)
    return Evidence(agree, of, seen, "only falls", _HALF, _UNSURE, tells=False)


def _after_slower_laps(told: list[Told], of_row: list[Pass], unit: Unit) -> Iterator[tuple[int, int]]:
    """What a field shows, and the best of the last few laps, wherever a lap before these was better."""
    best: int | None = None
    few: deque[int] = deque(maxlen=_FEW_LAPS)
    for each in of_row:
        if each.lap_ms is None:
            continue
        if len(few) == _FEW_LAPS and (best is None or few[0] < best):
            best = few[0]
        few.append(each.lap_ms)
        if best is not None and best < min(few):
            shown = _standing(told, each.at + NEAR_MS, unit)
            if shown is not None:
                yield shown, min(few)


def below(sample: Sample, best: str, last: str, units: Mapping[str, Unit]) -> float:
    """How surely the best lap is the shorter one wherever the two differ, 0 to 1; 0.5 where they never do."""
    agree = of = 0
    for row, told in sample.fields[last].items():
        bests = sample.fields[best].get(row, [])
        for value in told[:_MOST_PASSES]:
            time, shown = milliseconds(value.text, units[last]), _standing(bests, value.at + NEAR_MS, units[best])
            if time is not None and shown is not None and time != shown:
                of += 1
                agree += shown < time
    return lower(agree, of) if of else 0.5


def laps(sample: Sample, field: str, known: Passes) -> Evidence:
    """One more at a crossing. Fields that count something else miss most crossings."""
    crossed = any(known.values())
    agree = of = seen = crossings = again = 0
    for row, told in sample.fields[field].items():
        before = agree
        crossings += len(known.get(row, []))
        instants = [second.at for _, second in _changes(told)]
        usual = median_of(second - first for first, second in pairwise(instants))
        for first, second in _changes(told):
            count, last = whole(second.text), whole(first.text or "0")
            if count is None or last is None:
                continue
            of += 1
            of_row = known.get(row, [])
            # The crossing that begins the first lap is none that is counted.
            here = bool(_near(of_row, second.at)) and (not first.text or _between(of_row, first, second) <= 1)
            if not crossed and usual:
                index = bisect_left(instants, second.at)
                here = index > 0 and abs(instants[index] - instants[index - 1] - usual) <= usual * 0.3
            agree += count == last + 1 and here
        seen += agree > before
        again += max(agree - before - 1, 0)
    if not crossed:
        return Evidence(agree, of, seen, "one more at even times", most=_PROPOSED, tells=False)
    # What rose once in each row may count anything.
    most = 0.98 if again >= _ENOUGH else _PROPOSED
    return Evidence(agree, max(of, int(crossings * 0.7)), seen, "one more at each crossing", most=most)


def _between(of_row: list[Pass], first: Told, second: Told) -> int:
    """The passes of a row after one change of a field and up to another, each told within `NEAR_MS`."""
    begin = bisect_right(of_row, first.at + NEAR_MS, key=lambda known: known.at)
    end = bisect_right(of_row, second.at + NEAR_MS, key=lambda known: known.at)
    return end - begin


def total(sample: Sample, field: str, unit: Unit, known: Passes) -> Evidence:
    """It grows by the lap just driven."""
    agree = of = seen = 0
    for row, told in sample.fields[field].items():
        before = agree
        for first, second in _changes(told):
            time, last = milliseconds(second.text, unit), milliseconds(first.text, unit)
            if time is None or last is None:
                continue
            of += 1
            agree += any(
                each.lap_ms is not None and abs(time - last - each.lap_ms) <= 5
                for each in _near(known.get(row, []), second.at)
            )
        seen += agree > before
    return Evidence(agree, of, seen, "grows by the lap just driven")


def position(sample: Sample, field: str) -> Evidence:
    """It agrees with the place the protocol tells; else the rows have 1 to their number, each once."""
    if sample.places:
        return _places(sample, field)
    agree = of = 0
    moved: set[str] = set()
    current: dict[str, int] = {}
    leaves = _leaves(sample)
    for at, row, text, first in _in_time(sample, field):
        place = whole(text)
        for gone in [other for other in current if leaves[other] < at]:
            del current[gone]
        if place is None:
            current.pop(row, None)
            continue
        current[row] = place
        if first:
            continue
        of += 1
        if (
            1 <= place <= 1.2 * len(current) + 1
            and len(current) >= 3
            and len(set(current.values())) >= 0.75 * len(current)
        ):
            agree += 1
            moved.add(row)
    return Evidence(agree, of, len(moved), "each place once")


def _leaves(sample: Sample) -> dict[str, int]:
    """When each row is taken to have left the board: two minutes after it last told anything."""
    last: dict[str, int] = {}
    for rows in sample.fields.values():
        for row, told in rows.items():
            last[row] = max(last.get(row, 0), told[-1].at + _GONE_MS)
    return last


def _places(sample: Sample, field: str) -> Evidence:
    """Whenever either is told, the field and the place are the same within a moment. A kart without a lap may have no
    rank."""
    agree = of = 0
    moved: set[str] = set()
    for row, told in sample.fields[field].items():
        places = sample.places.get(row, [])
        instants = [at for at, _ in places]
        apart = [value.at for value in told[1:] if not _within(instants, value.at)]
        for at in sorted([*instants, *apart])[:_MOST_PASSES]:
            stood = {whole(value.text) for value in _around(told, at)} - {None}
            begin, end = bisect_right(instants, at - NEAR_MS) - 1, bisect_right(instants, at + NEAR_MS)
            shown = {place for _, place in places[max(begin, 0) : end]}
            if not stood or not shown:
                continue
            of += 1
            if stood & shown:
                agree += 1
                if len(told) > 1 and told[1].at <= at + NEAR_MS:
                    moved.add(row)
    # Numbers may be in the order of the grid: until it changes they are places as well.
    most = 0.98 if moved else _UNSURE
    return Evidence(agree, of, len(moved), "is the place the protocol tells", most=most, tells=bool(moved))


def _within(instants: list[int], at: int) -> bool:
    return bisect_left(instants, at - NEAR_MS) < bisect_right(instants, at + NEAR_MS)


def _around(told: list[Told], at: int) -> list[Told]:
    """What stands at an instant, and what is told within `NEAR_MS` of it."""
    begin = bisect_right(told, at - NEAR_MS, key=lambda value: value.at) - 1
    end = bisect_right(told, at + NEAR_MS, key=lambda value: value.at)
    return told[max(begin, 0) : end]


def _in_time(sample: Sample, *fields: str) -> Iterator[tuple[int, str, str, bool]]:
    """Changes of one field, of all rows: instant, row, text, whether it is the row's first."""
    told = [
        (value.at, row, value.text, index == 0)
        for field in fields
        for row, of_row in sample.fields[field].items()
        for index, value in enumerate(of_row)
    ]
    return iter(sorted(told, key=lambda each: each[0]))


class _Board(NamedTuple):
    """The board at an instant: which rows changed their value, what stands, and who is at which place."""

    changed: list[str]
    standing: Mapping[str, Mapping[str, str]]
    """Text by field and row."""
    places: Mapping[str, int]
    rows: Mapping[int, str]


def boards(sample: Sample, field: str, others: tuple[str, ...], place: str | None) -> Iterator[_Board]:
    """The board at every instant at which a field changed. place: the field of positions; None where they are told."""
    events: list[tuple[int, str, str, str]] = [
        (value.at, name, row, value.text)
        for name in {field, *others} | ({place} if place is not None else set())
        for row, of_row in sample.fields[name].items()
        for value in of_row
    ]
    if place is None:
        events += [(at, "#", row, str(told)) for row, of_row in sample.places.items() for at, told in of_row]
    events.sort(key=lambda event: event[0])
    standing: dict[str, dict[str, str]] = {}
    places: dict[str, int] = {}
    for _, group in groupby(events, key=lambda event: event[0]):
        changed = []
        for _, name, row, text in group:
            if name == (place or "#") and (told := whole(text)) is not None:
                places[row] = told
            standing.setdefault(name, {})[row] = text
            if name == field:
                changed.append(row)
        if changed and places:
            yield _Board(changed, standing, places, {told: row for row, told in places.items()})


def gap_ms(text: str, unit: Unit) -> int | None:
    """A gap that is a time, ms."""
    if unit == "ms":
        return values.integer(text.lstrip("+"))
    told = values.gap(text)
    return told.ms if told is not None else None


def gap(sample: Sample, field: str, unit: Unit, place: str | None) -> Evidence:
    """No shorter than that of the row before; the leader has none."""
    agree = of = leading = of_leaders = blank = of_others = 0
    seen: set[str] = set()
    for board in boards(sample, field, (), place):
        cells = board.standing[field]
        others = [text for row, text in cells.items() if board.places.get(row, 1) > 1]
        of_others += len(others)
        blank += others.count("")
        leader = cells.get(board.rows.get(1, ""))
        if leader is not None:
            of_leaders += 1
            leading += not gap_ms(leader, unit)
        for row in board.changed:
            where, told = board.places.get(row), gap_ms(cells[row], unit)
            if where is None or told is None:
                continue
            ahead = cells.get(board.rows.get(where - 1, ""), "")
            before = 0 if where <= 2 else gap_ms(ahead, unit)
            if before is None:
                continue
            of += 1
            if (where == 1 and told == 0) or (where > 1 and told >= before):
                agree += 1
                seen.add(row)
    if leading * 2 < of_leaders or blank * 2 > of_others:
        agree = 0
    return Evidence(agree, of, len(seen), "grows down the board", _HALF)


def interval(sample: Sample, field: str, gaps: str, unit: Unit, place: str | None) -> Evidence:
    """The row's gap less that of the row before."""
    agree = of = 0
    seen: set[str] = set()
    for board in boards(sample, field, (gaps,), place):
        cells, known = board.standing[field], board.standing.get(gaps, {})
        for row in board.changed:
            where, told = board.places.get(row), gap_ms(cells[row], unit)
            if where is None or where < 3 or told is None:
                continue
            own = gap_ms(known.get(row, ""), unit)
            ahead = gap_ms(known.get(board.rows.get(where - 1, ""), ""), unit)
            if own is None or ahead is None:
                continue
            of += 1
            if abs(own - ahead - told) <= 60:
                agree += 1
                seen.add(row)
    return Evidence(agree, of, len(seen), "is the difference of two gaps")


def sectors(sample: Sample, candidates: list[str], units: Mapping[str, Unit], known: Passes) -> dict[str, Evidence]:
    """Sectors by field, those of three (else two) that add up to the lap, in the order in which they are driven.

    The result's fields are in that order.
    """
    ends = [
        (row, each.at, each.lap_ms)
        for row, of_row in known.items()
        for each in of_row
        if each.lap_ms is not None and each.lap_ms >= SHORTEST_LAP_MS
    ][:_MOST_PASSES]
    standing: dict[str, list[int | None]] = {}
    for field in candidates[:_MOST_SECTORS]:
        rows = sample.fields[field]
        standing[field] = [_standing(rows.get(row, []), at, units[field]) for row, at, _ in ends]
    best: tuple[float, tuple[str, ...], Evidence] | None = None
    for size in (3, 2):
        for chosen in combinations(standing, size):
            agree = of = 0
            seen = set()
            for (row, _, lap), parts in zip(
                ends, zip(*(standing[field] for field in chosen), strict=True), strict=True
            ):
                if any(part is None for part in parts):
                    continue
                of += 1
                if abs(sum(part or 0 for part in parts) - (lap or 0)) <= 30:
                    agree += 1
                    seen.add(row)
            share = lower(agree, of)
            if best is None or share > best[0]:
                best = (share, chosen, Evidence(agree, of, len(seen), "sectors add up to the lap"))
    if best is None:
        return {}
    ordered = sorted(best[1], key=lambda field: _after(sample.fields[field], known))
    return dict.fromkeys(ordered, best[2])


def _standing(told: list[Told], at: int, unit: Unit) -> int | None:
    index = bisect_right(told, at, key=lambda value: value.at) - 1
    return milliseconds(told[index].text, unit) if index >= 0 else None


def _after(rows: Mapping[str, list[Told]], known: Passes) -> float:
    """How long after the crossing a field usually changes."""
    since = []
    for row, told in rows.items():
        of_row = known.get(row, [])
        for value in told[1:]:
            index = bisect_left(of_row, value.at, key=lambda each: each.at) - 1
            if value.text and index >= 0:
                since.append(float(value.at - of_row[index].at))
    return median_of(since)


def timer(sample: Sample, field: str, unit: Unit) -> Evidence:
    """It goes with the time of day."""
    agree = of = seen = 0
    for told in sample.fields[field].values():
        before = agree
        for first, second in _changes(told):
            time, last = milliseconds(second.text, unit), milliseconds(first.text, unit)
            if time is None or last is None or time <= last:
                continue
            of += 1
            step = 60_000 if unit == "hours" else 1_000
            agree += abs((time - last) - (second.at - first.at)) <= step
        seen += agree > before
    return Evidence(agree, of, seen, "goes with the clock", most=_OTHERS_TOO, tells=False)


def stops(sample: Sample, field: str, known: Passes) -> Evidence:
    """One more now and then, and never less."""
    agree = of = seen = 0
    crossings = sum(len(of_row) for of_row in known.values())
    for told in sample.fields[field].values():
        before = agree
        for first, second in _changes(told):
            count, last = whole(second.text), whole(first.text or "0")
            if count is None or last is None:
                continue
            of += 1
            agree += count == last + 1
        seen += agree > before
    agree = agree if agree * 3 <= crossings else 0
    return Evidence(agree, of, seen, "one more now and then", _HALF, _OTHERS_TOO, tells=False)
