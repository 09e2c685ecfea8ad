"""The race itself: who is where, when. Nothing here knows how the feed would say it.

The race is driven from timing loop to timing loop. Each car has one pending event, its next
crossing; the earliest is handled first, so a car always knows who is ahead of it on the road.
Every instant is a whole millisecond, so lap and sector times are exact differences of crossings.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Literal, TypeAlias

from local.simulator.circuit import Circuit, made_up
from local.simulator.entries import FIELD, Entry
from local.simulator.events import (
    Crossing,
    Event,
    Finished,
    Fitted,
    LapDeleted,
    LapReinstated,
    LeaderLap,
    LeftGarage,
    OrderChanged,
    PitEntered,
    PitLeft,
    RaceControl,
    Radio,
    Retired,
    SectorFlag,
    SessionStatus,
    Stopped,
    TrackCode,
    TrackStatus,
    TyreSet,
    Weather,
)

LIGHTS_OUT = 1_783_861_411_000
"""When the race starts: 2026-07-12T13:03:31Z."""

_RACE_PACE = 1.018
_LAPS_IN_TANK_LOSS = 0.018
_COMPOUND_LOSS = {"SOFT": -0.004, "MEDIUM": 0.001, "HARD": 0.006}
_WEAR_PER_RACE = {"SOFT": 0.050, "MEDIUM": 0.032, "HARD": 0.020}
"""Loss, as a share of a lap, of tyres that have done the whole distance."""
_RACING_GAP, _SLOW_GAP = 300, 620
_MARSHAL_SECTORS = 18
_TURNS = 14

Stretch: TypeAlias = Literal["track", "lane", "still"]


@dataclass(frozen=True, slots=True)
class Incidents:
    """What goes wrong, and on which lap of the leader. 0: it does not happen.

    deleted: laps on which race control strikes out the lap time of a car's previous lap;
    reinstated: the same, and it is given back soon after. red_flag_hold: seconds between the last
    car's stop in the pit lane and the restart. long_stop: from this lap on the next car to stop is
    held in its box until it is well over a lap down.
    """

    long_stop: int = 0

    vsc: int = 0
    vsc_seconds: float = 0.0
    safety_car: int = 0
    safety_car_laps: int = 0
    red_flag: int = 0
    red_flag_hold: float = 0.0
    pit_retirement: int = 0
    deleted: tuple[int, ...] = ()
    reinstated: int = 0
    penalty: int = 0

    @staticmethod
    def over(laps: int) -> Incidents:
        """All of them, spread over `laps`; a race of fewer than nine is a calm one."""
        if laps < 9:
            return Incidents.calm(laps)
        long = laps >= 30
        at = [max(2, round(laps * share)) for share in (0.30, 0.4, 0.5, 0.7, 0.9)]
        return Incidents(
            long_stop=2,
            deleted=(3, at[0] - 2, at[2] + 2, at[4] - 2) if long else (3, 4),
            pit_retirement=at[2],
            safety_car=at[1],
            safety_car_laps=4 if long else 1,
            reinstated=at[3] - 1 if long else at[3],
            red_flag=at[3],
            red_flag_hold=480.0 if long else 45.0,
            vsc=at[4],
            vsc_seconds=75.0 if long else 18.0,
            penalty=at[4],
        )

    @staticmethod
    def calm(laps: int) -> Incidents:
        """Nothing that slows the race: a deleted lap and a penalty."""
        return Incidents(deleted=(3,), penalty=laps - 1) if laps > 3 else Incidents()


@dataclass(slots=True)
class _Car:
    entry: Entry
    grid: int
    tyres: TyreSet
    stops: list[int]
    at: int
    lap: int = 1
    segment: int = 0
    """Mini-sectors of this lap that are done."""
    stint: int = 1
    tyre_laps: int = 0
    """Laps done on these tyres since they were fitted."""
    form: float = 0.0
    lost: int = 0
    """Milliseconds to lose in the next mini-sector, having been lapped."""
    boxing: bool = False
    in_lane: bool = False
    parked: bool = False
    waited: bool = False
    """This visit to the pit lane is spent waiting for a restart."""
    held: bool = False
    """Had the race's one very long stop."""
    changed: bool = False
    """Tyres were changed on this visit to the pit lane."""
    running: bool = True
    finished: int = 0
    stop_in_segment: int = -1
    retire_in_pit: bool = False
    entered: int = 0
    stationary: int = 0
    penalty: int = 0
    lane: list[tuple[int, str]] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    """Instant of every loop passed in the race; index 0 is the start."""
    lap_starts: list[int] = field(default_factory=list)
    disturbed: set[int] = field(default_factory=set)
    """Laps that were not free laps: flags, pit lane, start."""
    deleted: set[int] = field(default_factory=set)
    path: list[tuple[int, float, Stretch]] = field(default_factory=list)
    """Where the car was when: instant, metres from the start, how it came there."""

    @property
    def number(self) -> str:
        return self.entry.number


class RaceModel:
    """One race, driven by `run`; afterwards `events` and each car's path hold all of it."""

    def __init__(
        self,
        seed: int,
        laps: int,
        lap_seconds: float,
        incidents: Incidents,
        *,
        pre_start: float,
        after_flag: float,
        lights_out: int = LIGHTS_OUT,
    ) -> None:
        if laps < 1:
            raise ValueError(f"a race has at least one lap, not {laps}")
        if not 40.0 <= lap_seconds <= 150.0:
            raise ValueError(f"a lap takes 40 to 150 seconds, not {lap_seconds}")
        self.laps = laps
        self.circuit: Circuit = made_up(lap_seconds)
        self.incidents = incidents
        self.lights_out = lights_out
        self.opens = lights_out - round(pre_start * 1000)
        """When the recording opens."""
        self.after_flag = round(after_flag * 1000)
        self.ends = 0
        self.events: list[Event] = []
        self._rng = Random(f"{seed}:race")
        self._heap: list[tuple[int, int, str, str]] = []
        self._pushed = 0
        self._tails: list[list[tuple[int, str]]] = [[] for _ in range(self.circuit.segments)]
        self._status: TrackCode = "1"
        """How the cars drive. Behind the safety car after a restart the feed already says "clear"."""
        self._shown: TrackCode = "1"
        self._leader_lap = 1
        self._slow_laps = 0
        self._flag = 0
        self._box_free: dict[str, int] = {}
        self._long_stop_due = incidents.long_stop > 0
        self._twins = 30.0 / (len(FIELD) * laps)
        self._flagged_sector = 0
        self.cars: dict[str, _Car] = {}
        self.order: list[str] = []
        self.classification: list[str] = []
        """Final order, penalties counted."""

    # -- driving the race ------------------------------------------------------------------------

    def run(self) -> None:
        """Drives the race from the garages to the end of the session."""
        self._line_up()
        self._start()
        while self._heap:
            at, _, kind, number = heapq.heappop(self._heap)
            if self.ends and at > self.ends:
                break
            match kind:
                case "loop":
                    self._cross(self.cars[number], at)
                case "lane":
                    self._lane_step(self.cars[number], at)
                case "rest":
                    self._rest_on_track(self.cars[number], at)
                case _:
                    self._act(kind, number, at)
        for car in self.cars.values():
            car.path.append((self.ends, car.path[-1][1], "still"))
        self._weather()
        self.events.sort(key=lambda event: event.at)

    def _push(self, at: int, kind: str, number: str = "") -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (at, self._pushed, kind, number))

    def _tell(self, event: Event) -> None:
        self.events.append(event)

    def _act(self, kind: str, number: str, at: int) -> None:
        match kind:
            case "break-down":
                self._break_down(at)
            case "give-up":
                self._give_up(at)
            case "yellow":
                self._set_status(at, "2")
            case "safety-car":
                self._deploy_safety_car(at)
            case "red-flag":
                self._show_red(at)
            case "restart":
                self._restart(at)
            case "vsc":
                self._deploy_vsc(at)
            case "vsc-ending":
                self._tell(
                    RaceControl(
                        at,
                        "VIRTUAL SAFETY CAR ENDING",
                        "SafetyCar",
                        (("Status", "ENDING"), ("Mode", "VIRTUAL SAFETY CAR")),
                    )
                )
                self._show_status(at, "7")
            case "green":
                self._go_green(at)
            case "delete":
                self._delete_a_lap(at, reinstate=bool(number))
            case "penalty":
                self._penalise(at)
            case "classify":
                self._classify(at)
            case _:
                raise ValueError(f"no such action: {kind}")

    # -- before the start ------------------------------------------------------------------------

    def _line_up(self) -> None:
        rng = self._rng
        ranked = sorted(FIELD, key=lambda entry: entry.team.pace + entry.skill + rng.gauss(0.0, 0.0016))
        for grid, entry in enumerate(ranked):
            compound = rng.choices(("SOFT", "MEDIUM", "HARD"), (3, 6, 1))[0]
            used = rng.random() < 0.45
            tyres = TyreSet(compound, not used, rng.randint(1, 6) if used else 0)
            car = _Car(entry, grid, tyres, self._plan_stops(compound), self.lights_out)
            car.path.append((self.opens, 40.0 + grid * 4.0, "lane"))
            leaves = self.opens + round((self.lights_out - self.opens) * rng.uniform(0.15, 0.45))
            car.path.append((leaves, 40.0 + grid * 4.0, "still"))
            slot = -8.0 * (grid + 1)
            car.path.append((leaves + round((self.lights_out - leaves) * 0.6), slot, "lane"))
            car.path.append((self.lights_out, slot, "still"))
            self.cars[entry.number] = car
            self._tell(Fitted(self.opens, entry.number, 1, tyres))
            self._tell(LeftGarage(leaves, entry.number))
        self.order = [entry.number for entry in ranked]
        self._tell(OrderChanged(self.opens, tuple(self.order)))
        self._tell(SessionStatus(self.opens, "Inactive"))
        exit_open = self.opens + round((self.lights_out - self.opens) * 0.1)
        green = (("Flag", "GREEN"), ("Scope", "Track"))
        self._tell(RaceControl(exit_open, "GREEN LIGHT - PIT EXIT OPEN", "Flag", green))
        exit_closed = self.opens + round((self.lights_out - self.opens) * 0.55)
        self._tell(RaceControl(exit_closed, "PIT EXIT CLOSED"))
        self._tell(RaceControl(exit_closed + 4_000, "RISK OF RAIN FOR F1 RACE IS 0%"))
        self._tell(SessionStatus(self.lights_out, "Started"))
        self._tell(RaceControl(self.lights_out + 180, "GREEN LIGHT - PIT EXIT OPEN", "Flag", green))

    def _plan_stops(self, compound: str) -> list[int]:
        """Laps at whose end a car means to stop."""
        if self.laps < 6:
            return []
        share = {"SOFT": 0.33, "MEDIUM": 0.45, "HARD": 0.6}[compound]
        first = round(self.laps * share + self._rng.gauss(0.0, max(0.7, self.laps * 0.03)))
        stops = [min(max(first, 2), self.laps - 2)]
        if self.laps > 30 and self._rng.random() < 0.35:
            stops.append(min(stops[0] + round(self.laps * 0.32), self.laps - 3))
        return stops

    def _start(self) -> None:
        rng = self._rng
        launched = []
        for car in self.cars.values():
            car.times.append(self.lights_out)
            car.lap_starts.append(self.lights_out)
            car.disturbed.add(1)
            car.form = rng.gauss(0.0, 0.002)
            launch = self.circuit.base_ms[0] * 1.4 + 2_350 + car.grid * 118 + rng.gauss(0.0, 170.0)
            launched.append((round(launch), car.grid, car))
        launched.sort(key=lambda item: item[:2])
        last = 0
        for launch, _, car in launched:
            last = max(launch, last + 60)
            self._tails[0].append((self.lights_out + last, car.number))
            self._push(self.lights_out + last, "loop", car.number)
        self._plan_lap(1, self.lights_out)

    # -- from loop to loop -----------------------------------------------------------------------

    def _pace(self, car: _Car) -> float:
        """How much longer than the ideal lap this car takes everywhere, now."""
        if car.finished:
            return 1.8
        tyres = car.tyres
        wear = _WEAR_PER_RACE[tyres.compound] * (tyres.age + car.tyre_laps) / max(self.laps, 12)
        fuel = _LAPS_IN_TANK_LOSS * (1.0 - (car.lap - 1) / self.laps)
        pace = _RACE_PACE + car.entry.team.pace + car.entry.skill + car.form
        pace += _COMPOUND_LOSS[tyres.compound] + wear + fuel
        if car.lap == 1:
            pace += 0.035
        leading = self.order[0] == car.number
        match self._status:
            case "5":
                pace *= 1.5
            case "4":
                pace *= (1.52 if self._slow_laps else 1.34) if leading else 1.24
            case "6" | "7":
                pace *= 1.38
            case _:
                pass
        return pace

    def _drive(self, car: _Car) -> None:
        """Plans the car's next crossing."""
        segment = car.segment
        if segment == self.circuit.pit_entry and not car.finished and (car.boxing or self._status == "5"):
            self._enter_lane(car)
            return
        if segment == self.circuit.pit_entry and car.finished:
            car.running = False
            car.path.append((car.at + 6_000, car.path[-1][1] + 130.0, "lane"))
            self._tell(PitEntered(car.at + 260, car.number, car.lap, stop=False))
            return
        ideal = self.circuit.base_ms[segment]
        free = ideal * self._pace(car) * (1.0 + self._rng.gauss(0.0, 0.0025)) + car.lost
        car.lost = 0
        if segment == car.stop_in_segment:
            self._push(car.at + round(free * 0.8), "rest", car.number)
            return
        exit_at = self._through_traffic(car, segment, car.at + round(free), round(free))
        exit_at = self._repeat_a_time(car, segment, exit_at)
        insort(self._tails[segment], (exit_at, car.number))
        del self._tails[segment][:-8]
        self._push(exit_at, "loop", car.number)

    def _through_traffic(self, car: _Car, segment: int, free: int, duration: int) -> int:
        """When the car reaches the loop, with who is ahead on the road and whether it gets past."""
        tail = self._tails[segment]
        if not tail:
            return free
        gap = round((_RACING_GAP if self._status in "12" else _SLOW_GAP) * self._rng.uniform(0.8, 1.7))
        if car.lap == 1 and self._status in "12":
            gap = self._rng.randint(90, 210)
        ahead_at, ahead_number = tail[-1]
        ahead = self.cars[ahead_number]
        lapping = len(ahead.times) + self.circuit.segments // 2 < len(car.times)
        if lapping and self._status == "1" and free < ahead_at + 1_500 and self._rng.random() < 0.2:
            self._show_blue(car.at, ahead_number)
        if free >= ahead_at + gap:
            return free
        if self._status in "12" or car.finished or ahead.finished:
            blocked = ahead_at + gap - free
            chance = min(0.6, blocked / 300.0)
            if segment not in self.circuit.overtaking:
                chance *= 0.08
            if car.lap == 1:
                chance *= 1.3
            if lapping or ahead.finished or car.finished:
                chance = 0.85
            if self._rng.random() < chance:
                after = tail[-2][0] + gap if len(tail) > 1 else 0
                past = min(free, ahead_at - self._rng.randint(60, 210))
                if past >= max(after, car.at + round(duration * 0.84)):
                    if lapping:
                        ahead.lost += self._rng.randint(150, 600)
                    return past
        return ahead_at + gap

    def _repeat_a_time(self, car: _Car, segment: int, exit_at: int) -> int:
        """Now and then a car repeats its last sector or lap time to the millisecond; the feed is then silent."""
        ends = self.circuit.sector_ends
        if segment + 1 not in (ends[0], ends[2]) or car.lap < 3 or self._rng.random() >= self._twins:
            return exit_at
        if {car.lap, car.lap - 1} & car.disturbed or self._status != "1":
            return exit_at
        base = (car.lap - 2) * self.circuit.segments
        wanted = car.lap_starts[-1] + car.times[base + segment + 1] - car.times[base]
        tail = self._tails[segment]
        if abs(wanted - exit_at) > 450 or (tail and wanted <= tail[-1][0] + 50):
            return exit_at
        return max(wanted, car.at + 200)

    def _cross(self, car: _Car, at: int, *, in_lane: bool = False) -> None:
        segment = car.segment
        duration, car.at = at - car.at, at
        car.segment += 1
        lane: Stretch = "lane" if in_lane else "track"
        here = (car.lap - 1) * self.circuit.length + self.circuit.boundaries[car.segment]
        car.path.append((at, here, lane))
        if not car.finished:
            car.times.append(at)
            self._move_up(car, at)
            if self._status != "1":
                car.disturbed.add(car.lap)
        self._tell(self._crossing(car, segment, duration, in_lane))
        if car.segment == self.circuit.segments:
            self._complete_lap(car)
        if not in_lane and car.running:
            self._drive(car)

    def _crossing(self, car: _Car, segment: int, duration: int, in_lane: bool) -> Crossing:
        place = self.order.index(car.number)
        loop = len(car.times) - 1
        gap = interval = ahead = None
        down = 0
        if place:
            leader, ahead = self.cars[self.order[0]], self.order[place - 1]
            down = max(0, len(leader.times) - 1 - loop) // self.circuit.segments
            if not down and len(leader.times) > loop:
                gap = car.at - leader.times[loop]
            next_ahead = self.cars[ahead].times
            if loop < len(next_ahead) <= loop + self.circuit.segments:
                interval = car.at - next_ahead[loop]
        return Crossing(
            car.at,
            car.number,
            car.lap,
            segment,
            duration,
            place + 1,
            ahead,
            gap,
            interval,
            down,
            in_lane,
            bool(car.finished),
        )

    def _move_up(self, car: _Car, at: int) -> None:
        """A car that has passed more loops than the one ahead of it in the order goes ahead of it."""
        place = self.order.index(car.number)
        found = place
        while found and len(self.cars[self.order[found - 1]].times) < len(car.times):
            found -= 1
        if found != place:
            self.order.insert(found, self.order.pop(place))
            self._tell(OrderChanged(at, tuple(self.order)))

    def _complete_lap(self, car: _Car) -> None:
        car.segment = 0
        if car.finished:
            car.lap += 1
            return
        car.tyre_laps += 1
        leading = self.order[0] == car.number
        if self._flag or (leading and car.lap >= self.laps):
            self._take_flag(car, leading=leading)
            return
        car.lap += 1
        car.lap_starts.append(car.at)
        car.form = 0.6 * car.form + self._rng.gauss(0.0, 0.0022)
        car.boxing = self._wants_to_stop(car)
        if leading and car.lap > self._leader_lap:
            self._leader_lap = car.lap
            self._tell(LeaderLap(car.at, car.lap))
            self._lead_lap_begins(car.at)

    # -- pit lane --------------------------------------------------------------------------------

    def _wants_to_stop(self, car: _Car) -> bool:
        """Decided at the start of the lap at whose end the car would come in."""
        if car.retire_in_pit:
            return True
        if not car.stops or car.lap >= self.laps:
            return False
        if car.lap >= car.stops[0]:
            return True
        cheap = self._status == "4" and car.stops[0] - car.lap < self.laps * 0.3
        return cheap and self._rng.random() < 0.6

    def _enter_lane(self, car: _Car) -> None:
        """Drives the car down the pit lane: past the line, to its box and on to the exit."""
        circuit, rng = self.circuit, self._rng
        car.in_lane, car.disturbed = True, car.disturbed | {car.lap, car.lap + 1}
        car.entered, car.waited, car.changed = car.at + 260, False, False
        self._tell(PitEntered(car.entered, car.number, car.lap, stop=True))
        to_line = circuit.length - circuit.boundaries[circuit.pit_entry]

        def driving(metres: float) -> int:
            return round(metres / circuit.pit_speed * 1000.0)

        line_at = car.at + driving(to_line) + rng.randint(150, 450)
        first = circuit.boundaries[circuit.pit_entry + 1] - circuit.boundaries[circuit.pit_entry]
        lane_end = circuit.boundaries[circuit.pit_exit] * 0.9
        box = 12.0 + 8.0 * sorted({entry.team.name for entry in FIELD}).index(car.entry.team.name)
        car.lane = [(car.at + driving(first), "loop"), (line_at, "loop")]
        if self._status == "5":
            loop = line_at + driving(circuit.boundaries[1])
            car.lane += [(loop, "loop"), (line_at + driving(lane_end) + 1_500, "exit")]
            car.stationary = 0
            return self._push(car.lane[0][0], "lane", car.number)
        arrives = max(line_at + driving(box) + 900, self._box_free.get(car.entry.team.name, 0))
        slow = rng.random() < 0.12
        car.stationary = round(rng.uniform(4.0, 9.0) * 1000 if slow else rng.gauss(2_600, 260))
        car.stationary = max(1_900, car.stationary)
        if self._long_stop_due and car.lap >= self.incidents.long_stop:
            self._long_stop_due = False
            car.held = True
            car.stationary = round(sum(circuit.base_ms) * rng.uniform(1.6, 1.75))
        if car.retire_in_pit:
            car.lane.append((arrives + 18_000, "retire"))
            return self._push(car.lane[0][0], "lane", car.number)
        leaves = arrives + car.stationary
        self._box_free[car.entry.team.name] = leaves + 1_500
        car.lane += [(arrives, "box"), (leaves, "leave")]
        car.lane.append((leaves + 700 + driving(max(circuit.boundaries[1] - box, 1.0)), "loop"))
        car.lane.append((leaves + 700 + driving(lane_end - box), "exit"))
        return self._push(car.lane[0][0], "lane", car.number)

    def _lane_step(self, car: _Car, at: int) -> None:
        _, step = car.lane.pop(0)
        lap_start = (car.lap - 1) * self.circuit.length
        match step:
            case "loop":
                self._cross(car, at, in_lane=True)
                if car.finished:
                    car.lane.clear()
                    car.running = False
            case "box":
                box = lap_start + self.circuit.boundaries[1] * 0.4
                car.path.append((at, max(box, car.path[-1][1]), "lane"))
            case "leave":
                car.path.append((at, car.path[-1][1], "still"))
                self._fit_tyres(car)
            case "retire":
                car.running = False
                self._tell(Retired(at, car.number, car.lap, in_pit=True))
            case "exit":
                where = lap_start + self.circuit.boundaries[self.circuit.pit_exit] * 0.9
                car.path.append((at, where, "lane"))
                if self._status == "5":
                    self._park(car, at)
                else:
                    self._leave_lane(car, at)
        if car.lane:
            self._push(car.lane[0][0], "lane", car.number)

    def _fit_tyres(self, car: _Car) -> None:
        rng = self._rng
        left = self.laps - car.lap + 1
        others = [name for name in ("SOFT", "MEDIUM", "HARD") if name != car.tyres.compound]
        if left <= self.laps * 0.35 and "SOFT" in others:
            weights = [3 if name == "SOFT" else 2 for name in others]
        else:
            weights = [1 if name == "SOFT" else 3 for name in others]
        used = rng.random() < 0.3
        car.tyres = TyreSet(rng.choices(others, weights)[0], not used, rng.randint(1, 5) if used else 0)
        car.tyre_laps = 0
        car.stint += 1
        car.changed = True
        if car.stops:
            car.stops.pop(0)
        car.boxing = False

    def _leave_lane(self, car: _Car, at: int) -> None:
        """Out of the lane, between the cars that come down the straight."""
        car.in_lane = False
        self._tell(PitLeft(at, car.number, car.lap, car.entered, car.stationary, car.waited))
        self._tell(Fitted(at, car.number, car.stint, car.tyres))
        segment = self.circuit.pit_exit - 1
        gap = 150 if self._status in "12" else 400
        exit_at = at + self._rng.randint(1_000, 1_300)
        for other, _ in self._tails[segment]:
            if abs(other - exit_at) < gap:
                exit_at = other + gap
        insort(self._tails[segment], (exit_at, car.number))
        self._push(exit_at, "loop", car.number)

    # -- flags -----------------------------------------------------------------------------------

    def _set_status(self, at: int, code: TrackCode) -> None:
        self._status = code
        self._show_status(at, code)
        if code != "1":
            for car in self.cars.values():
                car.disturbed.add(car.lap)

    def _show_status(self, at: int, code: TrackCode) -> None:
        if code != self._shown:
            self._shown = code
            self._tell(TrackStatus(at, code))

    def _lead_lap_begins(self, at: int) -> None:
        """What the leader's new lap brings: the safety car's way home, and the incidents planned for it."""
        if self._status == "4":
            self._slow_laps -= 1
            if self._slow_laps == 1:
                self._tell(
                    RaceControl(
                        at + 6_000,
                        "SAFETY CAR IN THIS LAP",
                        "SafetyCar",
                        (("Status", "IN THIS LAP"), ("Mode", "SAFETY CAR")),
                    )
                )
            elif self._slow_laps <= 0:
                self._go_green(at)
        self._plan_lap(self._leader_lap, at)

    def _plan_lap(self, lap: int, at: int) -> None:
        plan, rng = self.incidents, self._rng
        if lap in (plan.safety_car, plan.red_flag):
            self._push(at + rng.randint(14_000, 24_000), "break-down")
        if lap == plan.pit_retirement:
            self._push(at + rng.randint(14_000, 24_000), "give-up")
        if lap in plan.deleted:
            self._push(at + rng.randint(9_000, 22_000), "delete")
        if lap == plan.reinstated:
            self._push(at + rng.randint(9_000, 22_000), "delete", "reinstate")
        if lap == plan.vsc:
            begins = at + rng.randint(4_000, 12_000)
            self._push(begins, "vsc")
        if lap == plan.penalty:
            self._push(at + rng.randint(6_000, 16_000), "penalty")
        for _ in range(2):
            if rng.random() < 0.25:
                spoken = at + rng.randint(0, 45_000)
                number = rng.choice(self.order)
                if self.cars[number].running:
                    self._tell(Radio(spoken + rng.randint(14_000, 40_000), number, spoken))

    def _is_free(self, car: _Car) -> bool:
        return (
            car.running
            and not car.in_lane
            and not car.finished
            and car.stop_in_segment < 0
            and not car.boxing
            and not car.held
            and not car.retire_in_pit
            and car.segment < self.circuit.pit_entry - 6
        )

    def _break_down(self, at: int) -> None:
        """Picks a car that will stop on track in the next few mini-sectors; tries again if there is none."""
        runners = [self.cars[n] for n in self.order[4:] if self._is_free(self.cars[n])]
        if runners:
            car = self._rng.choice(runners)
            car.stop_in_segment = car.segment + self._rng.randint(2, 4)
        else:
            self._push(at + 3_000, "break-down")

    def _give_up(self, at: int) -> None:
        """Picks a car that will come into the pits and stay there."""
        runners = [self.cars[n] for n in self.order[10:] if self._is_free(self.cars[n])]
        if runners:
            car = self._rng.choice(runners)
            car.retire_in_pit = car.boxing = True
        else:
            self._push(at + 3_000, "give-up")

    def _rest_on_track(self, car: _Car, at: int) -> None:
        rng = self._rng
        place = self.circuit.boundaries[car.segment] + 0.5 * (
            self.circuit.boundaries[car.segment + 1] - self.circuit.boundaries[car.segment]
        )
        car.path.append((at, (car.lap - 1) * self.circuit.length + place, "track"))
        car.running = False
        self._tell(Stopped(at, car.number, car.lap, car.segment))
        self._tell(Retired(at + rng.randint(25_000, 45_000), car.number, car.lap, in_pit=False))
        sector = 1 + round(place / self.circuit.length * (_MARSHAL_SECTORS - 1))
        self._flagged_sector = sector
        self._tell(SectorFlag(at + 1_900, "YELLOW", sector))
        self._tell(SectorFlag(at + 4_300, "DOUBLE YELLOW", sector))
        turn = 1 + round(place / self.circuit.length * (_TURNS - 1))
        name = f"CAR {car.number} ({car.entry.tla})"
        self._tell(
            RaceControl(at + 6_400, f"{name} STOPPED AT TURN {turn}", "CarEvent", (("RacingNumber", car.number),))
        )
        self._push(at + 1_800, "yellow")
        red = self._leader_lap >= self.incidents.red_flag > 0
        self._push(at + rng.randint(9_000, 13_000), "red-flag" if red else "safety-car")

    def _deploy_safety_car(self, at: int) -> None:
        self._slow_laps = self.incidents.safety_car_laps + 1
        self._tell(
            RaceControl(
                at,
                "SAFETY CAR DEPLOYED",
                "SafetyCar",
                (("Status", "DEPLOYED"), ("Mode", "SAFETY CAR")),
            )
        )
        self._set_status(at + 90, "4")
        for car in self.cars.values():
            if self._is_free(car):
                car.boxing = self._wants_to_stop(car)

    def _deploy_vsc(self, at: int) -> None:
        if self._status != "1":
            return
        sector = self._rng.randint(1, _MARSHAL_SECTORS)
        self._flagged_sector = sector
        self._tell(SectorFlag(at - 1_500, "YELLOW", sector))
        self._show_status(at - 1_480, "2")
        self._tell(
            RaceControl(
                at,
                "VIRTUAL SAFETY CAR DEPLOYED",
                "SafetyCar",
                (("Status", "DEPLOYED"), ("Mode", "VIRTUAL SAFETY CAR")),
            )
        )
        self._set_status(at + 60, "6")
        over = at + round(self.incidents.vsc_seconds * 1000)
        self._push(over, "vsc-ending")
        self._push(over + self._rng.randint(8_000, 11_000), "green")

    def _go_green(self, at: int) -> None:
        if self._shown != "1":
            self._clear_sector(at - 40)
            self._tell(RaceControl(at, "TRACK CLEAR", "Flag", (("Flag", "CLEAR"), ("Scope", "Track"))))
        self._set_status(at + 70, "1")

    def _clear_sector(self, at: int) -> None:
        if self._flagged_sector:
            self._tell(SectorFlag(at, "CLEAR", self._flagged_sector))
            self._flagged_sector = 0

    def _show_red(self, at: int) -> None:
        self._tell(SessionStatus(at, "Aborted"))
        self._tell(RaceControl(at + 60, "RED FLAG", "Flag", (("Flag", "RED"), ("Scope", "Track"))))
        self._set_status(at + 400, "5")

    def _park(self, car: _Car, at: int) -> None:
        """Red flag: the car waits at the end of the pit lane. The last one there sets the clock."""
        car.parked = car.waited = True
        if all(other.parked for other in self.cars.values() if other.running and not other.finished):
            hold = round(self.incidents.red_flag_hold * 1000)
            resumes = at + hold
            minute = -(-resumes // 60_000) * 60_000 if hold > 120_000 else resumes
            self._push(minute, "restart")
            waiting = [n for n in self.order if self.cars[n].parked]
            order = ", ".join(waiting)
            self._tell(RaceControl(at + hold // 4, f"ORDER FOR RESTART: {order}"))
            self._tell(RaceControl(at + hold // 3, f"RACE WILL RESUME AT {_local_clock(minute)[:5]}"))
            self._tell(RaceControl(minute - hold // 3, "SAFETY CAR LIGHTS ON"))
            self._tell(RaceControl(minute - hold // 8, "ROLLING START PROCEDURE"))

    def _restart(self, at: int) -> None:
        """Behind the safety car, in the order of the race; the leader races when he next crosses the line."""
        self._clear_sector(at - 4_000)
        self._tell(RaceControl(at - 3_000, "TRACK CLEAR", "Flag", (("Flag", "CLEAR"), ("Scope", "Track"))))
        self._show_status(at - 2_900, "1")
        self._tell(SessionStatus(at, "Started"))
        green = (("Flag", "GREEN"), ("Scope", "Track"))
        self._tell(RaceControl(at + 300, "GREEN LIGHT - PIT EXIT OPEN", "Flag", green))
        self._status, self._slow_laps = "4", 1
        self._tell(RaceControl(at + 9_000, "ROLLING START"))
        leaves = at + 4_000
        for number in self.order:
            car = self.cars[number]
            if not car.parked:
                continue
            car.parked = False
            if car.changed:
                pass
            elif self._rng.random() < 0.8:
                self._fit_tyres(car)
            else:
                age = car.tyres.age + car.tyre_laps
                car.tyres = TyreSet(car.tyres.compound, new=False, age=age, changed=False)
                car.tyre_laps = 0
                car.stint += 1
            car.path.append((leaves, car.path[-1][1], "still"))
            car.lane = [(leaves, "exit")]
            self._push(leaves, "lane", number)
            leaves += self._rng.randint(900, 1_500)

    def _show_blue(self, at: int, number: str) -> None:
        clock = _local_clock(at)
        name = f"CAR {number} ({self.cars[number].entry.tla})"
        fields = (("Flag", "BLUE"), ("Scope", "Driver"), ("RacingNumber", number))
        self._tell(RaceControl(at, f"WAVED BLUE FLAG FOR {name} TIMED AT {clock}", "Flag", fields))

    # -- stewards --------------------------------------------------------------------------------

    def _delete_a_lap(self, at: int, *, reinstate: bool) -> None:
        """Strikes out the last lap of a car that had a free one, and gives it back if `reinstate`."""
        candidates = []
        for number in self.order:
            car = self.cars[number]
            lap = len(car.lap_starts) - 1
            if lap < 2 or lap in car.disturbed or not car.running or lap in car.deleted:
                continue
            time = car.lap_starts[lap] - car.lap_starts[lap - 1]
            candidates.append((car, lap, time))
        if not candidates:
            return
        best = [item for item in candidates if item[2] == min(self._lap_times(item[0]).values())]
        car, lap, time = self._rng.choice(best or candidates)
        offence = car.lap_starts[lap] - self._rng.randint(4_000, time - 4_000)
        self._tell(LapDeleted(at, car.number, lap, time, self._rng.randint(1, _TURNS), offence))
        if reinstate:
            self._tell(LapReinstated(at + self._rng.randint(24_000, 38_000), car.number, lap, time))
        else:
            car.deleted.add(lap)

    @staticmethod
    def _lap_times(car: _Car) -> dict[int, int]:
        """Times of the laps that count, but the first, by lap."""
        starts = car.lap_starts
        return {lap: starts[lap] - starts[lap - 1] for lap in range(2, len(starts)) if lap not in car.deleted}

    def _penalise(self, at: int) -> None:
        runners = [n for n in self.order[2:14] if self.cars[n].running and not self.cars[n].finished]
        if not runners:
            return
        number = self._rng.choice(runners)
        self.cars[number].penalty = 5_000
        name = f"CAR {number} ({self.cars[number].entry.tla})"
        reason = "TRACK LIMITS"
        self._tell(RaceControl(at - 4_000, f"INCIDENT INVOLVING {name} NOTED - {reason}"))
        self._tell(RaceControl(at, f"FIA STEWARDS: INCIDENT INVOLVING {name} UNDER INVESTIGATION - {reason}"))
        self._tell(RaceControl(at + 14_000, f"FIA STEWARDS: 5 SECOND TIME PENALTY FOR {name} - {reason}"))

    # -- the end ---------------------------------------------------------------------------------

    def _take_flag(self, car: _Car, *, leading: bool) -> None:
        if leading and not self._flag:
            self._flag = car.at
            flag = (("Flag", "CHEQUERED"), ("Scope", "Track"))
            self._tell(RaceControl(car.at + 400, "CHEQUERED FLAG", "Flag", flag))
            self._tell(SessionStatus(car.at + 1_100, "Finished"))
        car.finished = car.at
        self._tell(Finished(car.at, car.number, car.lap))
        car.lap_starts.append(car.at)
        car.lap += 1
        if all(other.finished or not other.running for other in self.cars.values()):
            self.ends = car.at + self.after_flag
            self._push(car.at + round(self.after_flag * 0.4), "classify")
            self._tell(SessionStatus(self.ends - 4_000, "Finalised"))
            self._tell(SessionStatus(self.ends - 1_000, "Ends"))

    def _classify(self, at: int) -> None:
        """Adds time penalties to the race times of cars on the same number of laps."""

        def rank(number: str) -> tuple[bool, int, int]:
            car = self.cars[number]
            out = not car.finished
            return out, -len(car.times), car.times[-1] + car.penalty

        classified = sorted(self.order, key=rank)
        if classified != self.order:
            self.order = classified
            self._tell(OrderChanged(at, tuple(classified)))
        self.classification = classified

    def _weather(self) -> None:
        rng = self._rng
        air, track, humidity = rng.uniform(17, 29), rng.uniform(28, 44), rng.uniform(35, 70)
        pressure, wind = rng.uniform(985, 1015), rng.randint(0, 359)
        for at in range(self.opens + 1_100, self.ends, 60_000):
            self._tell(Weather(at, air, track, humidity, pressure, wind, abs(rng.gauss(1.6, 0.7)), rain=False))
            air += rng.gauss(0.0, 0.08)
            track += rng.gauss(-0.02, 0.2)
            humidity += rng.gauss(0.0, 0.6)
            pressure += rng.gauss(0.0, 0.08)
            wind = (wind + round(rng.gauss(0.0, 25.0))) % 360


def _local_clock(at: int) -> str:
    """Time of day at the track, two hours ahead of UTC."""
    seconds = at // 1000 + 2 * 3600
    return f"{seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def numbers(entries: Iterable[Entry] = FIELD) -> list[str]:
    """Racing numbers of the field."""
    return [entry.number for entry in entries]
