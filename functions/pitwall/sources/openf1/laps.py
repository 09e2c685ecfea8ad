"""One car's laps, stops and tyres: from OpenF1's rows, which are amended, to deltas of the feed, which are told once.

A row of `laps` grows: it appears when the lap begins, its sectors and its time come as they are driven, some of it
seconds later. What of it can be told is told as a `Fact`, with the instant at which it happened:

- The lap counter is told last, when a sector of the next lap has come (or long enough has passed): only then is it
  known whether the lap ended in the pit lane, and whether its time is still to come. Sectors and time need not wait.
- Outside a race the time of a lap waits for the next one, which says whether the car came in.
- What is amended later than that is counted `amended-too-late`; a session read as history has it.
- Rows that no lap can be are left out, counted `phantom-lap`: begun when the one before it had hardly begun, or
  without anything in them; after the chequered flag of a race they only tell when the lap before ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pitwall.sources.openf1.rows import duration_ms, instant, lap_time, seconds, text, utc, whole

Reject = Callable[[str], None]

PATIENCE_MS: Final = 90_000
"""So long after its end a lap's counter is told, though sector 1 of the next lap has not come: a stop and a slow
sector. While a red flag stops the session nobody drives one, so that time does not count."""
LAST_MS: Final = 20_000
"""The same of a lap that no other follows: its time may still come."""
SHORTEST_MS: Final = 15_000
"""No lap is shorter than this."""
SPEEDS: Final = {"I1": "i1_speed", "I2": "i2_speed", "ST": "st_speed"}
NO_SPEEDS: Final[dict[str, dict[str, str]]] = {trap: {"Value": ""} for trap in ("I1", "I2", "FL", "ST")}


class Fact(NamedTuple):
    """Something that happened to a car, as a delta of its line.

    at: when, ms. lap: the lap it belongs to. kind: which of the lap's facts. topic: `TimingData`, `TimingAppData` or
    `PitStopSeries`.
    """

    at: int
    lap: int
    kind: str
    topic: str
    payload: Any


@dataclass(slots=True)
class Around:
    """What a car's laps depend on beside its own rows. Instants in ms.

    now: the feed's. final: nothing more is to come. started_at: start of the race. flag_at: the chequered flag of a
    race. resumed_at: when the session last went on; None while it is stopped. gap_at: a car's gap and interval as a
    delta of its line, at an instant.
    """

    race: bool
    now: int
    final: bool
    started_at: int | None
    flag_at: int | None
    resumed_at: int | None
    gap_at: Callable[[str, int], dict[str, Any]]


@dataclass(slots=True)
class Lap:
    """A row of `laps`. Instants and durations in ms."""

    number: int
    start: int | None = None
    time: int | None = None
    sectors: list[int | None] = field(default_factory=lambda: [None, None, None])
    speeds: dict[str, int] = field(default_factory=dict)
    segments: list[list[int]] = field(default_factory=lambda: [[], [], []])
    pit_out: bool = False

    @property
    def empty(self) -> bool:
        return self.start is None and self.time is None and not any(self.sectors)

    @property
    def lasted(self) -> int | None:
        """How long the lap took, as far as it says."""
        if self.time is not None:
            return self.time
        known = [sector for sector in self.sectors if sector is not None]
        return sum(known) if len(known) == 3 else None


class Pit(NamedTuple):
    """A row of `pit`. out_at: ms; lane, still: ms, None where not told; the rest as in the row."""

    lap: int
    out_at: int
    lane: int | None
    still: int | None


class Stint(NamedTuple):
    """A row of `stints`. number: from 1; lap_start: its first lap; age: laps on the tyres when fitted."""

    number: int
    lap_start: int
    compound: str | None
    age: int | None


def lap_of(row: dict[str, Any]) -> Lap | None:
    """The lap of a row; None if it has no number."""
    number = whole(row.get("lap_number"))
    if number is None or not 1 <= number <= 200:
        return None
    lap = Lap(number, instant(row, "date_start"), duration_ms(row.get("lap_duration")))
    for index in range(3):
        lap.sectors[index] = duration_ms(row.get(f"duration_sector_{index + 1}"))
        told = row.get(f"segments_sector_{index + 1}")
        if isinstance(told, list):
            lap.segments[index] = [whole(status) or 0 for status in told[:32]]
    for trap, key in SPEEDS.items():
        if (kph := whole(row.get(key))) is not None and 0 < kph < 500:
            lap.speeds[trap] = kph
    lap.pit_out = row.get("is_pit_out_lap") is True
    return lap


def pit_of(row: dict[str, Any]) -> Pit | None:
    """The stop of a row; None without a lap or an instant. OpenF1 renamed its fields now and then."""
    lap, out_at = whole(row.get("lap_number")), instant(row)
    if lap is None or out_at is None:
        return None
    lane = next((ms for key in ("lane_duration", "pit_duration") if (ms := duration_ms(row.get(key)))), None)
    return Pit(lap, out_at, lane, duration_ms(row.get("stop_duration")))


def stint_of(row: dict[str, Any]) -> Stint | None:
    """The stint of a row; None without a number or a first lap."""
    number, lap_start = whole(row.get("stint_number")), whole(row.get("lap_start"))
    if number is None or lap_start is None or not 1 <= number <= 40 or lap_start < 1:
        return None
    age = whole(row.get("tyre_age_at_start"))
    return Stint(number, lap_start, text(row.get("compound")), age if age is not None and age >= 0 else None)


class CarLaps:
    """What OpenF1 told of one car, and what of it has been told on."""

    def __init__(self, number: str, reject: Reject) -> None:
        self.number = number
        self.laps: dict[int, Lap] = {}
        self.pits: dict[int, Pit] = {}
        self.stints: dict[int, Stint] = {}
        self._reject = reject
        self._told: dict[tuple[int, str], Any] = {}
        self._crossed = 0
        """The lap whose end was told last; outside a race, the last one before the lap the car is on."""
        self._begun = False
        self._stints_told: dict[int, tuple[Any, ...]] = {}
        self._phantoms: set[int] = set()

    def first_stint(self) -> dict[str, Any] | None:
        """The tyres the car begins on, as a delta of its line of TimingAppData."""
        stint = self.stints.get(1)
        if stint is None or stint.compound is None:
            return None
        self._stints_told[1] = stint[2:]
        return {"Stints": {"0": self._tyres(stint)}}

    def facts(self, around: Around) -> Iterator[Fact]:
        """What has not been told and can be, in the order in which it happened."""
        if around.race:
            yield from self._race(around)
        else:
            yield from self._practice(around)
        yield from self._late_stints(around)
        for key in [key for key in self._told if key[0] < self._crossed - 1]:
            del self._told[key]

    # -- laps ------------------------------------------------------------------------------

    def _race(self, around: Around) -> Iterator[Fact]:
        chain, after = self._chain(around)
        for index, lap in enumerate(chain):
            if lap.number < self._crossed:
                continue
            following = chain[index + 1] if index + 1 < len(chain) else None
            end = self._end(lap, following.start if following is not None else after)
            yield from self._sectors(lap, end)
            if end is None:
                return
            yield from self._fact(lap, "end", end, self._ending(lap))
            if (lap.number, "cross") not in self._told:
                if not self._is_over(lap, following, end, around):
                    return
                yield from self._comes_in(lap, end)
                delta = {"NumberOfLaps": lap.number, "Speeds": NO_SPEEDS, **around.gap_at(self.number, end)}
                yield from self._fact(lap, "cross", end, delta)
                self._crossed = lap.number
                yield from self._counted(lap.number, end)
                if lap.number not in self.pits:
                    yield from self._fitted(lap.number, end + 1)
            else:
                yield from self._comes_in(lap, end, late=True)
            yield from self._goes_out(lap, end)

    def _practice(self, around: Around) -> Iterator[Fact]:
        chain, _ = self._chain(around)
        if not chain:
            return
        if not self._begun:
            first = chain[0]
            if first.start is None:
                return
            self._begun, self._crossed = True, first.number - 1
            leaves = {"NumberOfLaps": first.number, "InPit": False, "PitOut": True}
            yield Fact(first.start, first.number - 1, "cross", "TimingData", leaves)
        for index, lap in enumerate(chain):
            if lap.number < self._crossed:
                continue
            following = chain[index + 1] if index + 1 < len(chain) else None
            comes_in = following is not None and following.pit_out
            lasted = lap.lasted
            end = lap.start + lasted if lap.start is not None and lasted is not None else None
            if not comes_in and following is not None and following.start is not None:
                end = following.start
            yield from self._sectors(lap, end)
            if following is None or following.start is None:
                if around.final and end is not None:
                    # Nothing follows it and nothing will: the car came in on it.
                    yield from self._fact(lap, "in", self._in_at(lap, end, end, None), {"InPit": True})
                    yield from self._fact(lap, "end", end, self._ending(lap))
                return
            pit = self._pit_before(following.start)
            if (lap.number, "cross") not in self._told:
                if not comes_in and not self._is_over(lap, following, following.start, around):
                    return
                if comes_in:
                    in_at = self._in_at(lap, following.start, end, pit)
                    if end is None:
                        yield from self._fact(lap, "end", in_at - 1, self._ending(lap))
                    yield from self._fact(lap, "in", in_at, {"InPit": True})
                if end is not None:
                    yield from self._fact(lap, "end", end, self._ending(lap))
                delta: dict[str, Any] = {"NumberOfLaps": following.number, "Speeds": NO_SPEEDS}
                if comes_in:
                    delta |= {"InPit": False, "PitOut": True}
                yield from self._fact(lap, "cross", following.start, delta)
                self._crossed = lap.number
                yield from self._counted(lap.number, following.start)
                yield from self._fitted(lap.number, following.start + 1)
            elif end is not None:
                yield from self._fact(lap, "end", end, self._ending(lap))
            if pit is not None and comes_in:
                yield from self._lane(lap, pit)

    def _pit_before(self, out_at: int) -> Pit | None:
        """The row of the stop a car left the pits after, outside a race, where its lap numbers are not the laps'."""
        return next((pit for pit in self.pits.values() if abs(pit.out_at - out_at) <= SHORTEST_MS), None)

    def _chain(self, around: Around) -> tuple[list[Lap], int | None]:
        """The rows that are laps, in order, and the start of the first one after the chequered flag of a race."""
        chain: list[Lap] = []
        last: int | None = None
        for number in sorted(self.laps):
            lap = self.laps[number]
            if around.race and number == 1 and lap.start is None:
                lap.start = around.started_at
            start = lap.start
            if around.race and around.flag_at is not None and start is not None and start >= around.flag_at:
                return chain, start if chain and chain[-1].number == number - 1 else None
            too_short = start is not None and last is not None and start < last + SHORTEST_MS
            if too_short or (number > 1 and lap.empty):
                if number not in self._phantoms:
                    self._phantoms.add(number)
                    if too_short:
                        self._reject("phantom-lap")
                continue
            last = start if start is not None else last
            chain.append(lap)
        return chain, None

    @staticmethod
    def _end(lap: Lap, next_start: int | None) -> int | None:
        if next_start is not None:
            return next_start
        lasted = lap.lasted
        return lap.start + lasted if lap.start is not None and lasted is not None else None

    def _is_over(self, lap: Lap, following: Lap | None, end: int, around: Around) -> bool:
        """Whether all that can be expected of a lap has come."""
        if around.final or (around.race and lap.number in self.pits):
            return True
        driven = following is not None and (any(following.sectors) or following.time is not None)
        if driven and following is not None and not (around.race and following.pit_out):
            return True
        patience = PATIENCE_MS if following is not None else LAST_MS
        return around.resumed_at is not None and around.now - max(end, around.resumed_at) >= patience

    def _sectors(self, lap: Lap, end: int | None) -> Iterator[Fact]:
        first, second, third = lap.sectors
        segments = {
            str(index): {"Segments": {str(n): {"Status": status} for n, status in enumerate(told)}}
            for index, told in enumerate(lap.segments)
            if told
        }
        if segments and lap.start is not None:
            driven = sum(sector for sector in lap.sectors[:2] if sector is not None)
            at = end if end is not None and third is not None else lap.start + driven
            yield from self._fact(lap, "segments", at, {"Sectors": segments})
        if first is not None and lap.start is not None:
            sectors = {"0": {"Value": seconds(first)}, "1": {"Value": ""}, "2": {"Value": ""}}
            delta = {"Sectors": sectors, "PitOut": False, **self._speeds(lap, "I1")}
            yield from self._fact(lap, "s1", lap.start + first, delta)
        if second is None:
            if lap.start is not None and (speeds := self._speeds(lap, "I2", "ST")):
                yield from self._fact(lap, "speeds", lap.start + (first or 0) + 1, speeds)
            return
        at_second = None
        if lap.start is not None and first is not None:
            at_second = lap.start + first + second
        elif end is not None and third is not None:
            at_second = end - third
        if at_second is not None:
            sectors = {"1": {"Value": seconds(second)}, "2": {"Value": ""}}
            if first is None:
                sectors["0"] = {"Value": ""}  # what is still shown there is the lap's before
            delta = {"Sectors": sectors, **self._speeds(lap, "I2", "ST")}
            yield from self._fact(lap, "s2", at_second, delta)

    def _ending(self, lap: Lap) -> dict[str, Any]:
        """Sector 3 and the lap time, and what of the lap could not be placed before."""
        delta: dict[str, Any] = {}
        first, second, third = lap.sectors
        if third is not None:
            delta["Sectors"] = {"2": {"Value": seconds(third)}}
        if second is not None and (lap.number, "s2") not in self._told:
            delta.setdefault("Sectors", {})["1"] = {"Value": seconds(second)}
        if first is None and delta:
            delta["Sectors"]["0"] = {"Value": ""}
        if lap.time is not None:
            delta["LastLapTime"] = {"Value": lap_time(lap.time)}
        if first is None or second is None:
            delta |= self._speeds(lap, "I1", "I2", "ST")
        return delta

    @staticmethod
    def _speeds(lap: Lap, *traps: str) -> dict[str, Any]:
        told = {trap: {"Value": str(lap.speeds[trap])} for trap in traps if trap in lap.speeds}
        return {"Speeds": told} if told else {}

    def _fact(self, lap: Lap, kind: str, at: int, payload: dict[str, Any]) -> Iterator[Fact]:
        """The fact, unless it was told like this already or comes too late."""
        if not payload:
            return
        key = (lap.number, kind)
        before = self._told.get(key)
        if before == payload:
            return
        if before is not None and kind in ("cross", "in", "out"):
            return
        if kind in ("segments", "speeds"):
            if lap.number <= self._crossed:
                return
        elif lap.number <= self._crossed and (kind != "end" or (lap.number + 1, "s1") in self._told):
            self._told[key] = payload
            self._reject("amended-too-late")
            return
        self._told[key] = payload
        yield Fact(at, lap.number, kind, "TimingData", payload if before is None else _changed(before, payload))

    # -- the pit lane ----------------------------------------------------------------------

    def _comes_in(self, lap: Lap, end: int, late: bool = False) -> Iterator[Fact]:
        """The way in of a race's stop, which the lap ends with."""
        pit = self.pits.get(lap.number)
        if pit is None or (lap.number, "in") in self._told:
            return
        if late:
            self._reject("stop-told-late")
        in_at = pit.out_at - pit.lane if pit.lane is not None else end - 1
        self._told[lap.number, "in"] = True
        yield Fact(min(in_at, end - 1), lap.number, "in", "TimingData", {"InPit": True})

    def _goes_out(self, lap: Lap, end: int) -> Iterator[Fact]:
        pit = self.pits.get(lap.number)
        if pit is None:
            return
        out_at = max(pit.out_at, end + 1)
        if (lap.number, "out") not in self._told:
            self._told[lap.number, "out"] = True
            yield Fact(out_at, lap.number, "out", "TimingData", {"InPit": False, "PitOut": True})
            yield from self._fitted(lap.number, out_at + 1)
        yield from self._lane(lap, pit)

    def _lane(self, lap: Lap, pit: Pit) -> Iterator[Fact]:
        """How long a stop took; that of the car standing still comes later than that of the lane."""
        stop = {"RacingNumber": self.number, "Lap": str(lap.number)}
        if pit.lane is not None:
            stop["PitLaneTime"] = seconds(pit.lane)
        if pit.still is not None:
            stop["PitStopTime"] = seconds(pit.still)
        if len(stop) > 2 and self._told.get((lap.number, "lane")) != stop:
            self._told[lap.number, "lane"] = stop
            payload = [{"Timestamp": utc(pit.out_at), "PitStop": stop}]
            yield Fact(pit.out_at + 1, lap.number, "lane", "PitStopSeries", payload)

    @staticmethod
    def _in_at(lap: Lap, out_at: int, end: int | None, pit: Pit | None) -> int:
        """When a car came in, outside a race: as long before it left as it was in the lane, or where last seen."""
        start = lap.start or out_at
        if pit is not None and pit.lane is not None:
            latest = end - 1 if end is not None else out_at - 1
            return max(start + 1, min(out_at - pit.lane, latest))
        known = [sector for sector in lap.sectors[:2] if sector is not None]
        seen = end - 1 if end is not None and end <= out_at else start + sum(known) + 1
        return max(start + 1, min(seen, out_at - 1))

    # -- tyres -----------------------------------------------------------------------------

    def _tyres(self, stint: Stint) -> dict[str, Any]:
        tyres: dict[str, Any] = {"TyresNotChanged": "1" if self._same_set(stint) else "0"}
        if stint.compound is not None:
            tyres["Compound"] = stint.compound
        if stint.age is not None:
            tyres["New"] = "true" if stint.age == 0 else "false"
            tyres["StartLaps"] = stint.age
            tyres["TotalLaps"] = self._total(stint)
        return tyres

    def _total(self, stint: Stint) -> int:
        """Laps on the tyres, as far as the car's laps have been told."""
        return (stint.age or 0) + max(0, min(self._crossed, self._last(stint)) - stint.lap_start + 1)

    def _last(self, stint: Stint) -> int:
        following = self.stints.get(stint.number + 1)
        return following.lap_start - 1 if following is not None else 1_000

    def _same_set(self, stint: Stint) -> bool:
        """Whether the car went on with the tyres it came in on: the compound is the same and the age goes on."""
        before = self.stints.get(stint.number - 1)
        if before is None or before.age is None or not stint.age or before.compound != stint.compound:
            return False
        driven = before.age + stint.lap_start - before.lap_start
        return 0 <= stint.age - driven <= 1

    def _counted(self, lap: int, at: int) -> Iterator[Fact]:
        """At the end of a lap: one more on the tyres, and the set fitted for the next one."""
        for stint in self.stints.values():
            if stint.lap_start <= lap <= self._last(stint) and stint.number in self._stints_told:
                if stint.age is not None:
                    total = {"Stints": {str(stint.number - 1): {"TotalLaps": self._total(stint)}}}
                    yield Fact(at, lap, "total", "TimingAppData", total)
                return

    def _fitted(self, lap: int, at: int) -> Iterator[Fact]:
        """The stints that begin after a lap. One whose compound is not known yet waits: it is told as a correction."""
        for number in sorted(self.stints):
            stint = self.stints[number]
            if stint.lap_start == lap + 1 or (number not in self._stints_told and stint.lap_start <= lap):
                yield from self._stint(stint, lap, at)

    def _late_stints(self, around: Around) -> Iterator[Fact]:
        """Stints that no stop was told for, that came late, or that were corrected."""
        for number in sorted(self.stints):
            stint = self.stints[number]
            if self._stints_told.get(number) == stint[2:]:
                continue
            if number > 1 and stint.lap_start > self._crossed + 1:
                continue
            first = self.laps.get(stint.lap_start)
            at = around.now
            if first is not None and first.start is not None and number not in self._stints_told:
                at = first.start + 1
            yield from self._stint(stint, stint.lap_start - 1, at)

    def _stint(self, stint: Stint, lap: int, at: int) -> Iterator[Fact]:
        if self._stints_told.get(stint.number) == stint[2:]:
            return
        first = stint.number not in self._stints_told
        self._stints_told[stint.number] = stint[2:]
        told = {str(stint.number - 1): self._tyres(stint)}
        before = self.stints.get(stint.number - 1)
        if first and before is not None and before.age is not None:
            # A lap that was counted on the set before while this one was not known yet.
            told[str(before.number - 1)] = {"TotalLaps": self._total(before)}
        yield Fact(at, lap, "stint", "TimingAppData", {"Stints": told})


def _changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """What of a delta told before is otherwise now; one sector's value that was not told before is not cleared."""
    changed: dict[str, Any] = {}
    for key, value in after.items():
        if key not in before:
            changed[key] = value
        elif isinstance(value, dict) and isinstance(before[key], dict):
            if inner := _changed(before[key], value):
                changed[key] = inner
        elif before[key] != value:
            changed[key] = value
    return changed
