"""What happens in a race, in the words of the sport: what the model tells and feed and truth are made from.

Instants are integer milliseconds since the epoch, UTC, and exact; how late and in which words the
feed tells of them is decided in `local.simulator.feed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

TrackCode: TypeAlias = Literal["1", "2", "4", "5", "6", "7"]
"""Track status as F1 numbers it: clear, yellow, safety car, red, virtual safety car, VSC ending."""


@dataclass(frozen=True, slots=True)
class TyreSet:
    """Tyres as fitted. `age` counts laps done before they were fitted."""

    compound: str
    new: bool
    age: int
    changed: bool = True


@dataclass(frozen=True, slots=True)
class Fitted:
    """`tyres` are on the car from the start, or after its stop number `stint - 1`."""

    at: int
    number: str
    stint: int
    tyres: TyreSet


@dataclass(frozen=True, slots=True)
class LeftGarage:
    """A car drives out to the grid."""

    at: int
    number: str


@dataclass(frozen=True, slots=True)
class Crossing:
    """A car at the end of mini-sector `segment` (from 0) of `lap` (from 1).

    position: in the race, once this crossing is counted. gap: ms behind the leader, None for the
    leader and for lapped cars. interval: ms behind the car ahead in the race, None if that has done
    a lap more at this loop. laps_down: laps the leader is ahead. cool_down: after the flag.
    """

    at: int
    number: str
    lap: int
    segment: int
    duration: int
    position: int
    ahead: str | None
    gap: int | None
    interval: int | None
    laps_down: int
    in_lane: bool
    cool_down: bool


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """The order of the race from now on, by racing number."""

    at: int
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PitEntered:
    """A car in the pit lane. stop: a visit that counts (not the way home after the flag)."""

    at: int
    number: str
    lap: int
    stop: bool


@dataclass(frozen=True, slots=True)
class PitLeft:
    """A car back on track on `lap`; `entered` is when it had come in."""

    at: int
    number: str
    lap: int
    entered: int
    stationary: int
    red_flag: bool


@dataclass(frozen=True, slots=True)
class Stopped:
    """A car comes to rest on track, in mini-sector `segment` of `lap`."""

    at: int
    number: str
    lap: int
    segment: int


@dataclass(frozen=True, slots=True)
class Retired:
    """A car is out of the race. in_pit: it was pushed into its garage."""

    at: int
    number: str
    lap: int
    in_pit: bool


@dataclass(frozen=True, slots=True)
class TrackStatus:
    at: int
    code: TrackCode


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """Inactive, Started, Aborted (red flag), Finished, Finalised or Ends."""

    at: int
    status: str


@dataclass(frozen=True, slots=True)
class SectorFlag:
    """A marshal's flag in one of the track sectors (they are not the timing sectors)."""

    at: int
    flag: Literal["YELLOW", "DOUBLE YELLOW", "CLEAR"]
    sector: int


@dataclass(frozen=True, slots=True)
class RaceControl:
    """Any other message of race control. fields: what the feed adds to time, lap and text."""

    at: int
    text: str
    category: str = "Other"
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LapDeleted:
    """The time of `lap` is struck out; `offence` is the instant of the offence."""

    at: int
    number: str
    lap: int
    lap_time: int
    turn: int
    offence: int


@dataclass(frozen=True, slots=True)
class LapReinstated:
    at: int
    number: str
    lap: int
    lap_time: int


@dataclass(frozen=True, slots=True)
class LeaderLap:
    """The leader begins `lap`."""

    at: int
    lap: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A car takes the chequered flag."""

    at: int
    number: str
    laps: int


@dataclass(frozen=True, slots=True)
class Radio:
    """A team radio clip is published, spoken at `spoken`."""

    at: int
    number: str
    spoken: int


@dataclass(frozen=True, slots=True)
class Weather:
    """Degrees Celsius, per cent, hPa, degrees, m/s."""

    at: int
    air: float
    track: float
    humidity: float
    pressure: float
    wind_direction: int
    wind_speed: float
    rain: bool


Event: TypeAlias = (
    Fitted
    | LeftGarage
    | Crossing
    | OrderChanged
    | PitEntered
    | PitLeft
    | Stopped
    | Retired
    | TrackStatus
    | SessionStatus
    | SectorFlag
    | RaceControl
    | LapDeleted
    | LapReinstated
    | LeaderLap
    | Finished
    | Radio
    | Weather
)
