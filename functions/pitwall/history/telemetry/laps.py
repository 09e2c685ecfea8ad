"""One car's telemetry of one lap, merged by distance, and two laps compared by distance.

Made of the samples themselves and not of the grid, so nothing is interpolated that was sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pitwall.history.telemetry.grid import Driven, channel_at
from pitwall.history.telemetry.samples import Ints, Samples
from pitwall.history.telemetry.timing import LapTimed, Timing

STEP_M: Final = 5.0
MAX_POINTS: Final = 100_000


class NoTelemetry(LookupError):
    """There is no such lap, or no telemetry of it; says which."""


@dataclass(frozen=True)
class LapTelemetry:
    """One lap of one car: a row for each of its car and position samples, and for its beginning and end.

    start_ms: its beginning, ms since the epoch. at: ms since then. metres: since then, stretched to the length of a
    lap where the lap was driven from line to line. channels: as `samples` names them, `UNKNOWN` in gaps. time_ms:
    from crossing to crossing.
    """

    number: str
    lap: int
    start_ms: int
    time_ms: int
    at: Ints
    metres: NDArray[np.float64]
    channels: dict[str, Ints]


@dataclass(frozen=True)
class Comparison:
    """Two laps at the same distances, metres. delta_ms: how much later the second was there than the first.

    first_speed, second_speed: km/h, `UNKNOWN` in gaps.
    """

    metres: NDArray[np.float64]
    delta_ms: Ints
    first_speed: Ints
    second_speed: Ints


def fastest(timing: Timing, number: str) -> int:
    """The lap on which a car was fastest, deleted ones aside. Raises NoTelemetry where none was timed."""
    timed = [(lap.time_ms, lap.number) for lap in timing.laps.get(number, ()) if lap.time_ms and not lap.deleted]
    if not timed:
        raise NoTelemetry(f"car {number} has no timed lap")
    return min(timed)[1]


def lap_telemetry(
    samples: Samples, timing: Timing, number: str, lap: int | None = None, length_m: float | None = None
) -> LapTelemetry:
    """A car's telemetry of a lap, by default its fastest. length_m: of a lap, as `grid.lap_length` finds it.

    Raises NoTelemetry.
    """
    wanted = fastest(timing, number) if lap is None else lap
    timed = next((one for one in timing.laps.get(number, ()) if one.number == wanted), None)
    if timed is None:
        raise NoTelemetry(f"car {number} has no lap {wanted}")
    if timed.started_at is None or timed.ended_at is None or timed.ended_at <= timed.started_at:
        raise NoTelemetry(f"when lap {wanted} of car {number} began or ended is not known")
    start, end = timed.started_at, timed.ended_at
    car, position = samples.cars.get(number), samples.positions.get(number)
    if car is None or not ((car.at >= start) & (car.at <= end)).any():
        raise NoTelemetry(f"there is no telemetry of lap {wanted} of car {number}")
    instants = [track.at[(track.at > start) & (track.at < end)] for track in (car, position) if track is not None]
    at = np.unique(np.concatenate(([start], *instants, [end])))
    channels = {
        name: channel_at(track, name, at) for track in (car, position) if track is not None for name in track.channels
    }
    return LapTelemetry(
        number, wanted, start, end - start, at - start, _metres(Driven.of(car), timed, at, length_m), channels
    )


def _metres(driven: Driven, lap: LapTimed, at: Ints, length_m: float | None) -> NDArray[np.float64]:
    metres = driven.metres_at(at) - driven.metres_at(at[:1])
    if length_m is not None and lap.clean and metres[-1] > 0:
        metres *= length_m / metres[-1]
    return metres


def at_distances(lap: LapTelemetry, metres: NDArray[np.float64]) -> Ints:
    """When the car was at each distance, ms since the lap began: where it stood, when it came there."""
    rising = np.concatenate(([True], np.diff(lap.metres) > 0))
    return np.rint(np.interp(metres, lap.metres[rising], lap.at[rising])).astype(np.int64)


def compare(samples: Samples, first: LapTelemetry, second: LapTelemetry, step_m: float = STEP_M) -> Comparison:
    """Two laps, of one car or of two, at every `step_m` metres that both drove, and at the last of them.

    Raises ValueError for a step that makes no sense.
    """
    length = min(float(first.metres[-1]), float(second.metres[-1]))
    if not step_m > 0 or length / step_m > MAX_POINTS:
        raise ValueError(f"a step of {step_m} m: it must be more than 0, and make at most {MAX_POINTS} points")
    metres: NDArray[np.float64] = np.append(np.arange(0.0, length, step_m), length)
    times = [at_distances(lap, metres) for lap in (first, second)]
    speeds = [
        channel_at(samples.cars[lap.number], "speed", lap.start_ms + time)
        for lap, time in zip((first, second), times, strict=True)
    ]
    return Comparison(metres, times[1] - times[0], speeds[0], speeds[1])
