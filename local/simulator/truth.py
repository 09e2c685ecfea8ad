"""What really happened, for tests to hold everything else against.

Made from the race's own events, never from the messages, so that a mistake in telling the race
cannot hide in what the race is said to have been. Conventions are PitWall's: stints count from 1,
tyre age is the laps on the tyres at the end of the lap, earlier use included.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from local.simulator.circuit import Circuit
from local.simulator.events import (
    Crossing,
    Event,
    Fitted,
    LapDeleted,
    LapReinstated,
    PitEntered,
    PitLeft,
    Retired,
    Stopped,
)


@dataclass(slots=True)
class Lap:
    """A completed lap. Durations in ms, instants in ms since the epoch.

    redFlag: a red flag was waited out on this lap, in the pit lane; its time is long and, as one
    sector is missing, cannot be checked. unsent: fields the feed keeps to itself: lap 1 has no lap
    time and no first sector, a lap under red no first sector, a lap that ends in the pit lane no gap.
    """

    number: str
    lap: int
    lapTimeMs: int  # noqa: N815 (names as in PitWall's documents)
    sector1Ms: int  # noqa: N815
    sector2Ms: int  # noqa: N815
    sector3Ms: int  # noqa: N815
    position: int
    stint: int
    compound: str
    tyreAge: int  # noqa: N815
    tyreNew: bool  # noqa: N815
    pitIn: bool  # noqa: N815
    pitOut: bool  # noqa: N815
    startedAt: int  # noqa: N815
    endedAt: int  # noqa: N815
    gapToLeaderMs: int | None = None  # noqa: N815
    lapsDown: int = 0  # noqa: N815
    deleted: bool = False
    reinstated: bool = False
    redFlag: bool = False  # noqa: N815
    unsent: tuple[str, ...] = ()


@dataclass(slots=True)
class Stint:
    """startAge: laps on the tyres when fitted. lastLap 0: the stint saw no completed lap."""

    number: str
    stint: int
    compound: str
    new: bool
    startAge: int  # noqa: N815
    tyresChanged: bool  # noqa: N815
    firstLap: int = 0  # noqa: N815
    lastLap: int = 0  # noqa: N815


@dataclass(slots=True)
class PitStop:
    """A visit to the pit lane on `lap`. laneMs: in it, None for a car that never left it again."""

    number: str
    lap: int
    inAt: int  # noqa: N815
    outAt: int | None = None  # noqa: N815
    laneMs: int | None = None  # noqa: N815
    stationaryMs: int | None = None  # noqa: N815
    redFlag: bool = False  # noqa: N815


@dataclass(slots=True)
class Retirement:
    number: str
    lap: int
    at: int
    inPit: bool  # noqa: N815


@dataclass(slots=True)
class BestLap:
    number: str
    lap: int
    lapTimeMs: int  # noqa: N815


@dataclass(slots=True)
class Truth:
    """One race as it was. `finalPositions`: racing numbers, the winner first."""

    session: str
    startedAt: int  # noqa: N815
    endedAt: int  # noqa: N815
    totalLaps: int  # noqa: N815
    grid: list[str] = field(default_factory=list)
    finalPositions: list[str] = field(default_factory=list)  # noqa: N815
    laps: list[Lap] = field(default_factory=list)
    stints: list[Stint] = field(default_factory=list)
    pitStops: list[PitStop] = field(default_factory=list)  # noqa: N815
    retirements: list[Retirement] = field(default_factory=list)
    bestLaps: list[BestLap] = field(default_factory=list)  # noqa: N815

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists, keys as in the fields."""
        return asdict(self)


def record(
    events: Iterable[Event],
    circuit: Circuit,
    *,
    session: str,
    started_at: int,
    ended_at: int,
    total_laps: int,
    grid: list[str],
    classification: list[str],
) -> Truth:
    """Reads the race's events, in order of time, into a `Truth`."""
    truth = Truth(session, started_at, ended_at, total_laps, grid, classification)
    lap_start = dict.fromkeys(grid, started_at)
    marks: dict[str, list[int]] = {number: [started_at] for number in grid}
    stints: dict[str, list[Stint]] = {number: [] for number in grid}
    stops: dict[str, list[PitStop]] = {number: [] for number in grid}
    pit_out: dict[tuple[str, int], PitStop] = {}
    laps: dict[tuple[str, int], Lap] = {}

    for event in events:
        match event:
            case Fitted(number=number, stint=count, tyres=tyres):
                stints[number].append(Stint(number, count, tyres.compound, tyres.new, tyres.age, tyres.changed))
            case PitEntered(at=at, number=number, lap=lap, stop=True):
                stops[number].append(PitStop(number, lap, at))
            case PitLeft(at=at, number=number, lap=lap, stationary=stationary, red_flag=red_flag):
                stop = stops[number][-1]
                stop.outAt, stop.laneMs, stop.stationaryMs = at, at - stop.inAt, stationary
                stop.redFlag = red_flag
                pit_out[number, lap] = stop
            case Crossing(cool_down=False) as crossing:
                number = crossing.number
                if crossing.segment + 1 not in circuit.sector_ends:
                    continue
                marks[number].append(crossing.at)
                if crossing.segment + 1 != circuit.segments:
                    continue
                first, second, third = (b - a for a, b in zip(marks[number], marks[number][1:], strict=False))
                stint = stints[number][-1]
                stint.firstLap = stint.firstLap or crossing.lap
                stint.lastLap = crossing.lap
                out = pit_out.get((number, crossing.lap))
                red_flag = out is not None and out.redFlag
                unsent = ["lapTimeMs", "sector1Ms"] if crossing.lap == 1 else []
                if red_flag:
                    unsent.append("sector1Ms")
                if crossing.in_lane:
                    unsent.append("gapToLeaderMs")
                laps[number, crossing.lap] = Lap(
                    number,
                    crossing.lap,
                    crossing.at - lap_start[number],
                    first,
                    second,
                    third,
                    crossing.position,
                    stint.stint,
                    stint.compound,
                    stint.startAge + crossing.lap - stint.firstLap + 1,
                    stint.new,
                    any(stop.lap == crossing.lap for stop in stops[number][-1:]),
                    out is not None,
                    lap_start[number],
                    crossing.at,
                    crossing.gap,
                    crossing.laps_down,
                    redFlag=red_flag,
                    unsent=tuple(unsent),
                )
                lap_start[number] = crossing.at
                marks[number] = [crossing.at]
            case LapDeleted(number=number, lap=lap):
                laps[number, lap].deleted = True
            case LapReinstated(number=number, lap=lap):
                laps[number, lap].deleted = False
                laps[number, lap].reinstated = True
            case Stopped(at=at, number=number, lap=lap):
                truth.retirements.append(Retirement(number, lap, at, inPit=False))
            case Retired(at=at, number=number, lap=lap, in_pit=True):
                truth.retirements.append(Retirement(number, lap, at, inPit=True))
            case _:
                pass

    for number in grid:
        own = [lap for lap in laps.values() if lap.number == number]
        truth.laps += own
        truth.stints += stints[number]
        truth.pitStops += stops[number]
        counted = [lap for lap in own if not lap.deleted and "lapTimeMs" not in lap.unsent]
        if counted:
            best = min(counted, key=lambda lap: (lap.lapTimeMs, lap.lap))
            truth.bestLaps.append(BestLap(number, best.lap, best.lapTimeMs))
    return truth
