"""A made-up circuit: its line in space, how fast each metre of it is, and where the timing loops lie.

Everything here is geometry and one ideal lap. Who drives how well, traffic and flags are the
business of `local.simulator.race`; how a crossing is told is that of `local.simulator.feed`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

# Corner points of the track in metres (x, y, z), joined by a closed Catmull-Rom spline. The first
# point is the start and finish line, on the longest straight.
_CONTROL_POINTS: tuple[tuple[float, float, float], ...] = (
    (0.0, 0.0, 0.0),
    (210.0, 6.0, 0.5),
    (430.0, 4.0, 3.0),
    (505.0, 60.0, 6.0),
    (470.0, 150.0, 11.0),
    (560.0, 250.0, 18.0),
    (700.0, 330.0, 24.0),
    (850.0, 420.0, 27.0),
    (880.0, 520.0, 25.0),
    (790.0, 560.0, 22.0),
    (620.0, 500.0, 17.0),
    (460.0, 480.0, 14.0),
    (390.0, 400.0, 12.0),
    (300.0, 330.0, 9.0),
    (180.0, 390.0, 8.0),
    (40.0, 480.0, 9.0),
    (-130.0, 500.0, 10.0),
    (-230.0, 430.0, 8.0),
    (-210.0, 330.0, 6.0),
    (-330.0, 240.0, 4.0),
    (-470.0, 190.0, 3.0),
    (-520.0, 100.0, 2.0),
    (-450.0, 20.0, 1.0),
    (-300.0, 4.0, 0.5),
    (-140.0, -4.0, 0.0),
)

# Length of each mini-sector as a share of the lap. Nine, seven and eight of them make the three
# sectors; the pit lane leaves before the last two and comes back after the first two.
_SEGMENT_SHARES: tuple[tuple[float, ...], ...] = (
    (0.030, 0.026, 0.032, 0.052, 0.050, 0.044, 0.042, 0.050, 0.034),
    (0.052, 0.036, 0.052, 0.038, 0.052, 0.058, 0.036),
    (0.048, 0.040, 0.054, 0.052, 0.060, 0.056, 0.024, 0.012),
)

_STEP_M = 5.0
_LATERAL_ACCELERATION = 30.0
_BRAKING = 36.0
_TOP_SPEED = 91.0
_SLOWEST_CORNER = 19.0


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the feed's units: a tenth of a metre."""

    x: int
    y: int
    z: int


def _catmull_rom(
    p0: tuple[float, ...], p1: tuple[float, ...], p2: tuple[float, ...], p3: tuple[float, ...], t: float
) -> tuple[float, float, float]:
    values = [
        0.5
        * (2.0 * b + (c - a) * t + (2.0 * a - 5.0 * b + 4.0 * c - d) * t * t + (3.0 * b - 3.0 * c + d - a) * t * t * t)
        for a, b, c, d in zip(p0, p1, p2, p3, strict=True)
    ]
    return values[0], values[1], values[2]


def _curve(scale: float) -> list[tuple[float, float, float]]:
    """The circuit's line, sampled finely, scaled about the start line."""
    points: list[tuple[float, float, float]] = []
    n = len(_CONTROL_POINTS)
    for i in range(n):
        before, here, after, then = (_CONTROL_POINTS[(i + k - 1) % n] for k in range(4))
        for j in range(40):
            x, y, z = _catmull_rom(before, here, after, then, j / 40.0)
            points.append((x * scale, y * scale, z * scale))
    return points


def _resample(curve: list[tuple[float, float, float]]) -> tuple[list[tuple[float, float, float]], float]:
    """The same line in even steps of about `_STEP_M`, and the length of one step."""
    lengths = [0.0]
    for a, b in zip(curve, curve[1:] + curve[:1], strict=True):
        lengths.append(lengths[-1] + math.dist(a, b))
    total = lengths[-1]
    count = round(total / _STEP_M)
    step = total / count
    out = []
    index = 0
    for i in range(count):
        at = i * step
        while lengths[index + 1] <= at:
            index += 1
        share = (at - lengths[index]) / (lengths[index + 1] - lengths[index])
        a, b = curve[index], curve[(index + 1) % len(curve)]
        out.append((a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share))
    return out, step


def _speeds(line: list[tuple[float, float, float]], step: float) -> list[float]:
    """Speed in m/s at every step of an ideal flying lap: corner limits, then braking, then power."""
    n = len(line)
    reach = 3
    limit = []
    for i in range(n):
        a, b, c = line[i - reach], line[i], line[(i + reach) % n]
        ab, bc, ca = math.dist(a[:2], b[:2]), math.dist(b[:2], c[:2]), math.dist(c[:2], a[:2])
        area = abs((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])) / 2.0
        radius = ab * bc * ca / (4.0 * area) if area > 1e-6 else 1e6
        limit.append(min(_TOP_SPEED, max(_SLOWEST_CORNER, math.sqrt(_LATERAL_ACCELERATION * radius))))
    for i in range(2 * n, -1, -1):
        here, after = i % n, (i + 1) % n
        limit[here] = min(limit[here], math.sqrt(limit[after] ** 2 + 2.0 * _BRAKING * step))
    for i in range(2 * n):
        here, after = i % n, (i + 1) % n
        power = min(13.0, 620.0 / limit[here])
        limit[after] = min(limit[after], math.sqrt(limit[here] ** 2 + 2.0 * power * step))
    return limit


class Circuit:
    """A circuit whose ideal lap takes `lap_seconds`.

    Distances are metres from the start line along the track, times milliseconds of the ideal lap.
    """

    name = "Ardenmoor"
    meeting_name = "Ardenmoor Grand Prix"
    location = "Ardenmoor"
    country = ("ARM", "Ardenmoor Isles")
    pit_speed = 80.0 / 3.6
    """Speed limit in the pit lane, m/s."""

    def __init__(self, lap_seconds: float) -> None:
        scale = 1.0
        for _ in range(12):
            self._line, self._step = _resample(_curve(scale))
            self._speed = _speeds(self._line, self._step)
            seconds = sum(self._step / v for v in self._speed)
            if abs(seconds - lap_seconds) < 0.01:
                break
            scale *= (lap_seconds / seconds) ** 1.25
        self.length = self._step * len(self._line)
        factor = lap_seconds / seconds
        self._clock = [0.0]
        for i, speed in enumerate(self._speed):
            mean = (speed + self._speed[(i + 1) % len(self._speed)]) / 2.0
            self._clock.append(self._clock[-1] + self._step / mean * 1000.0 * factor)
        shrink = lap_seconds * 1000.0 / self._clock[-1]
        self._clock = [value * shrink for value in self._clock]

        shares = [share for sector in _SEGMENT_SHARES for share in sector]
        total = sum(shares)
        self.segments_per_sector: tuple[int, ...] = tuple(len(sector) for sector in _SEGMENT_SHARES)
        self.segments = len(shares)
        self.sector_ends: tuple[int, ...] = (
            self.segments_per_sector[0],
            sum(self.segments_per_sector[:2]),
            self.segments,
        )
        self.boundaries = [0.0]
        """Distance of every timing loop; loop `i` ends mini-sector `i - 1`."""
        for share in shares:
            self.boundaries.append(self.boundaries[-1] + share / total * self.length)
        self.boundaries[-1] = self.length
        times = [self.time_at(distance) for distance in self.boundaries]
        self.base_ms = [b - a for a, b in pairwise(times)]
        """Time of each mini-sector in the ideal lap, ms."""
        self.pit_entry = self.segments - 2
        """Mini-sectors driven before the pit lane leaves the track."""
        self.pit_exit = 2
        """The pit lane joins the track at the loop that ends this many mini-sectors."""
        by_time = sorted(range(self.pit_entry), key=lambda i: -self.base_ms[i])
        self.overtaking = frozenset(by_time[:6])
        """The longest mini-sectors: where there is room to pass."""

    def time_at(self, distance: float) -> float:
        """Milliseconds of the ideal lap at `distance` metres, within one lap."""
        place = distance / self._step
        index = min(int(place), len(self._clock) - 2)
        return self._clock[index] + (self._clock[index + 1] - self._clock[index]) * (place - index)

    def distance_at(self, time: float) -> float:
        """The inverse of `time_at`."""
        index = min(max(bisect_right(self._clock, time) - 1, 0), len(self._clock) - 2)
        share = (time - self._clock[index]) / (self._clock[index + 1] - self._clock[index])
        return (index + share) * self._step

    def speed_at(self, distance: float) -> float:
        """Speed of the ideal lap in m/s."""
        return self._speed[int(distance / self._step) % len(self._speed)]

    def acceleration_at(self, distance: float) -> float:
        """Slope of the ideal speed over distance times speed: m/s², negative under braking."""
        index = int(distance / self._step) % len(self._speed)
        before, after = self._speed[index - 1], self._speed[(index + 1) % len(self._speed)]
        return (after**2 - before**2) / (4.0 * self._step)

    def boundary_speed(self, boundary: int) -> float:
        """Speed of the ideal lap at timing loop `boundary`, m/s."""
        return self.speed_at(self.boundaries[boundary] % self.length)

    def point(self, distance: float, aside: float = 0.0) -> Point:
        """Where a car is that has driven `distance` metres, `aside` metres to the right of the line."""
        n = len(self._line)
        place = (distance % self.length) / self._step
        index = int(place) % n
        share = place - int(place)
        a, b = self._line[index], self._line[(index + 1) % n]
        x = a[0] + (b[0] - a[0]) * share
        y = a[1] + (b[1] - a[1]) * share
        if aside:
            x += (b[1] - a[1]) / self._step * aside
            y -= (b[0] - a[0]) / self._step * aside
        return Point(round(x * 10), round(y * 10), round((a[2] + (b[2] - a[2]) * share) * 10))

    def sector_of(self, segment: int) -> tuple[int, int]:
        """Sector index and index within it of mini-sector `segment` of the lap."""
        for sector, count in enumerate(self.segments_per_sector):
            if segment < count:
                return sector, segment
            segment -= count
        raise ValueError(f"no such mini-sector: {segment}")


@lru_cache(maxsize=8)
def made_up(lap_seconds: float) -> Circuit:
    """The simulator's circuit for an ideal lap of `lap_seconds`; built once per length."""
    return Circuit(lap_seconds)
