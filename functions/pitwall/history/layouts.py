"""The layout of a circuit from the positions of cars on clean laps, where nobody has drawn a map. Pure NumPy.

A car tells its place some four times a second, every 20 m of a straight. One lap of places gives a coarse line; those
of all laps lie beside it, now left, now right, and the outline is the line through their middle, in driving order from
the start line on. What no place tells is left out: marshals' lights and sectors, letters of corners, how the map is
usually turned. Corners are where the outline bends, counted from the line on, which is not always how a circuit counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from pitwall.documents.history import LayoutDocument, TrackPoint
from pitwall.history.telemetry.grid import steps
from pitwall.history.telemetry.samples import UNKNOWN, Samples, Track
from pitwall.history.telemetry.timing import LapTimed, Timing

Floats: TypeAlias = NDArray[np.float64]

STEP_M: Final = 5.0
"""Between two points of an outline, about."""
LAPS: Final = 60
"""The fastest clean laps, which are put together; more add nothing."""
PACE: Final = 1.07
"""Times the fastest lap: whoever is slower leaves the line, to let others pass."""
LONGEST_GAP_MS: Final = 1_500
"""Between two places of a lap that is of use."""
FASTEST_MPS: Final = 110.0
JITTER_M: Final = 15.0
"""No car gets from one place to the next faster than this, m/s, and so much beside: their instants are not exact."""
ASIDE_M: Final = 20.0
"""A place farther from the line than this is not on the circuit."""
SHORTEST_M: Final = 500.0
"""What is shorter was not driven round."""
WIDTH_M: Final = 8.0
"""How far along the line places count for a point of it, as the standard deviation."""
BEND_M: Final = 9.0
"""Over which the outline's direction is evened out before it is asked how it turns, as the standard deviation."""
WIDEST_M: Final = 450.0
"""Radius up to which a bend may be a corner."""
TURN_DEG: Final = 12.0
"""What a corner turns at least."""
OPENS: Final = 0.7
"""Where a bend is less tight than this share of what it is before and after, it is two corners."""

_GREEN: Final = 1
_ROUNDS: Final = 5
_LINE_WIDTH_M: Final = 2.0
"""Places are this far from the line where they count half."""
_AHEAD_M: Final = 100.0
"""How far from where it should be by its share of the lap a place may be: pieces of a circuit run side by side."""


class NoLayout(LookupError):
    """The positions do not give the outline of a circuit; says why."""


@dataclass(frozen=True)
class _Lap:
    """A clean lap: instants in ms since the epoch, places in metres, from before its beginning to after its end."""

    timed: LapTimed
    started_at: int
    ended_at: int
    at: Floats
    x: Floats
    y: Floats

    @property
    def share(self) -> Floats:
        """How much of the way of the lap is driven at each place: below 0 before it, above 1 after."""
        driven = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(self.x), np.diff(self.y)))))
        start, end = np.interp([self.started_at, self.ended_at], self.at, driven)
        return (driven - start) / (end - start)


@dataclass(frozen=True)
class _Outline:
    """A closed line in equal steps, metres, in driving order."""

    x: Floats
    y: Floats

    @classmethod
    def through(cls, x: Floats, y: Floats, begin: float = 0.0) -> _Outline:
        """In equal steps through points of a closed line. begin: metres from the first point."""
        x, y = np.append(x, x[0]), np.append(y, y[0])
        metres = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
        points = max(3, round(metres[-1] / STEP_M))
        at = (begin + np.arange(points) * metres[-1] / points) % metres[-1]
        return cls(np.interp(at, metres, x), np.interp(at, metres, y))

    @property
    def step(self) -> float:
        return self.length / len(self.x)

    @property
    def length(self) -> float:
        return float(np.hypot(np.roll(self.x, -1) - self.x, np.roll(self.y, -1) - self.y).sum())

    @property
    def direction(self) -> tuple[Floats, Floats]:
        """The unit vector along the line at each point."""
        x, y = (np.roll(values, -1) - np.roll(values, 1) for values in (self.x, self.y))
        size = np.maximum(np.hypot(x, y), 1e-9)
        return x / size, y / size

    def beside(self, lap: _Lap) -> tuple[Floats, Floats]:
        """Where a lap's places are: metres along the line, and to the left of it.

        Along goes on after a whole lap, and is below 0 before it. The line begins near the start line.
        """
        count, step = len(self.x), self.step
        expected = np.rint(lap.share * count).astype(np.int64)
        reach = min(int(_AHEAD_M / step), count // 4)
        near = expected[:, None] + np.arange(-reach, reach + 1)
        away = np.hypot(lap.x[:, None] - self.x[near % count], lap.y[:, None] - self.y[near % count])
        nearest = near[np.arange(len(near)), away.argmin(axis=1)]
        index = nearest % count
        along_x, along_y = (values[index] for values in self.direction)
        off_x, off_y = lap.x - self.x[index], lap.y - self.y[index]
        return nearest * step + off_x * along_x + off_y * along_y, off_y * along_x - off_x * along_y


def layout_from(samples: Samples, timing: Timing, circuit: str, year: int, at: datetime) -> LayoutDocument:
    """The layout that the cars of a session drove. circuit: its id. Raises NoLayout."""
    laps = _clean_laps(samples, timing)
    outline = _fused(laps)
    outline = _Outline.through(outline.x, outline.y, _line(outline, laps) % outline.length)
    x, y = (np.rint(values * 10).astype(np.int64).tolist() for values in (outline.x, outline.y))
    layout = LayoutDocument(
        at=at,
        circuit=circuit,
        year=year,
        source="positions",
        x=x,
        y=y,
        rotation=0.0,
        length=round(outline.length, 1),
        corners=_corners(outline),
        marshal_lights=[],
        marshal_sectors=[],
    )
    return _with_sector_ends(layout, outline, laps)


def with_sector_ends(layout: LayoutDocument, samples: Samples, timing: Timing) -> LayoutDocument:
    """A layout with the ends of sectors 1 and 2 where the cars of a session show them, else as it is."""
    try:
        laps = _clean_laps(samples, timing)
    except NoLayout:
        return layout
    return _with_sector_ends(layout, _Outline.through(np.array(layout.x) / 10, np.array(layout.y) / 10), laps)


# -- laps ----------------------------------------------------------------------------------


def _clean_laps(samples: Samples, timing: Timing) -> list[_Lap]:
    """The fastest laps that were driven from line to line under green with places all the way. Raises NoLayout."""
    timed = sorted(
        (
            (lap.time_ms, number, lap)
            for number, laps in timing.laps.items()
            for lap in laps
            if lap.clean and lap.at_line and not lap.deleted and lap.time_ms is not None and _green(lap, timing)
        ),
        key=lambda one: one[:2],
    )
    laps: list[_Lap] = []
    for time_ms, number, lap in timed:
        track = samples.positions.get(number)
        if len(laps) == LAPS or (laps and time_ms > PACE * (laps[0].ended_at - laps[0].started_at)):
            break
        if track is not None and (driven := _driven(track, lap)) is not None:
            laps.append(driven)
    if not laps:
        raise NoLayout(f"of {len(timed)} clean laps under green none has places all the way round")
    return laps


def _green(lap: LapTimed, timing: Timing) -> bool:
    """Whether the track was clear all through a lap; where nothing is told of it, it was."""
    if lap.started_at is None or lap.ended_at is None or not timing.track_status:
        return lap.started_at is not None and lap.ended_at is not None
    within = [at for at, _ in timing.track_status if lap.started_at < at < lap.ended_at]
    return set(steps(timing.track_status, np.array([lap.started_at, *within])).tolist()) <= {_GREEN, UNKNOWN}


def _driven(track: Track, lap: LapTimed) -> _Lap | None:
    """A lap's places; None if some are missing, or it does not end where it began."""
    if lap.started_at is None or lap.ended_at is None or lap.ended_at <= lap.started_at:
        return None
    first = np.searchsorted(track.at, lap.started_at - LONGEST_GAP_MS)
    last = np.searchsorted(track.at, lap.ended_at + LONGEST_GAP_MS, side="right")
    on_track = track.channels["onTrack"][first:last] != 0
    at, x, y = (
        values[first:last][on_track].astype(np.float64)
        for values in (track.at, track.channels["x"] / 10, track.channels["y"] / 10)
    )
    for _ in range(2):  # what stands still tells nothing, and then: what jumps there and back
        if len(at) < 3:
            return None
        moved, took = np.hypot(np.diff(x), np.diff(y)), np.diff(at) / 1000
        moves = np.concatenate(([True], moved > 0))
        far = moved > FASTEST_MPS * took + JITTER_M
        jumps = np.concatenate(([False], far)) & np.concatenate((far, [False]))
        at, x, y = (values[moves & ~jumps] for values in (at, x, y))
    begins, ends = np.searchsorted(at, lap.started_at, side="right") - 1, np.searchsorted(at, lap.ended_at)
    if begins < 0 or ends >= len(at) or (np.diff(at[begins : ends + 1]) > LONGEST_GAP_MS).any():
        return None
    whole = slice(begins, ends + 1)
    found = _Lap(lap, lap.started_at, lap.ended_at, at[whole], x[whole], y[whole])
    way = np.hypot(np.diff(found.x), np.diff(found.y))
    (x0, x1), (y0, y1) = (np.interp([found.started_at, found.ended_at], found.at, v) for v in (found.x, found.y))
    closed = np.hypot(x1 - x0, y1 - y0) < _AHEAD_M
    return (
        found
        if closed and way.sum() > SHORTEST_M and (way <= FASTEST_MPS * np.diff(found.at) / 1000 + JITTER_M).all()
        else None
    )


# -- the outline ---------------------------------------------------------------------------


def _fused(laps: Sequence[_Lap]) -> _Outline:
    """The line through the middle of all places. It begins near the start line. Raises NoLayout."""
    share = laps[0].share
    within = (share >= 0) & (share < 1)
    outline = _Outline.through(laps[0].x[within], laps[0].y[within])
    for _ in range(_ROUNDS):
        places = [outline.beside(lap) for lap in laps]
        along, aside = (np.concatenate(values) for values in zip(*places, strict=True))
        near = np.abs(aside) < ASIDE_M
        outline = _moved(outline, along[near], aside[near])
    if outline.length < SHORTEST_M:
        raise NoLayout(f"an outline of {outline.length:.0f} m is no circuit")
    return outline


def _moved(outline: _Outline, along: Floats, aside: Floats) -> _Outline:
    """Each point of an outline aside to the places around it, by a straight line through them."""
    count, step = len(outline.x), outline.step
    width = max(WIDTH_M, 1.5 * outline.length / len(along))
    node = np.rint(along / step).astype(np.int64)
    sums = np.zeros((5, count))
    near = 1.0 / (1.0 + (aside / _LINE_WIDTH_M) ** 2)
    reach = int(np.ceil(3 * width / step))
    for ahead in range(-reach, reach + 1):
        from_point = along - (node + ahead) * step
        weight = near * np.exp(-0.5 * (from_point / width) ** 2)
        index = (node + ahead) % count
        for row, value in enumerate((1.0, from_point, from_point**2, aside, aside * from_point)):
            sums[row] += np.bincount(index, weight * value, minlength=count)
    whole, first, second, told, tilted = sums
    spread = whole * second - first**2
    level = np.where(spread > 1e-6 * whole**2, (second * told - first * tilted) / np.where(spread == 0, 1, spread), 0.0)
    along_x, along_y = outline.direction
    return _Outline.through(outline.x - level * along_y, outline.y + level * along_x)


def _line(outline: _Outline, laps: Sequence[_Lap]) -> float:
    """Where along an outline laps begin and end, by the median."""
    found = []
    for lap in laps:
        along, _ = outline.beside(lap)
        start, end = np.interp([lap.started_at, lap.ended_at], lap.at, along)
        found += [start, end - outline.length]
    return float(np.median(found))


def _with_sector_ends(layout: LayoutDocument, outline: _Outline, laps: Sequence[_Lap]) -> LayoutDocument:
    ends: tuple[list[float], list[float]] = ([], [])
    for lap in laps:
        first, second = [*lap.timed.sectors_ms, None, None][:2]
        if first is None or second is None:
            continue
        along, _ = outline.beside(lap)
        start, *sectors = np.interp(lap.started_at + np.array([0, first, first + second]), lap.at, along)
        for found, end in zip(ends, sectors, strict=True):
            found.append(end - start)
    if not ends[0]:
        return layout
    return replace(layout, sector_ends=[round(float(np.median(found)), 1) for found in ends])


# -- corners -------------------------------------------------------------------------------


def _corners(outline: _Outline) -> list[TrackPoint]:
    """Where an outline bends, in driving order, each where half of it is turned."""
    turning = _turning(outline)
    count, step = len(turning), outline.step
    bent = np.abs(turning) > step / WIDEST_M
    if bent.all() or not bent.any():
        return []
    straight = int(np.argmin(bent))  # to begin with, so that no corner is cut in two
    side = np.roll(np.where(bent, np.sign(turning), 0), -straight)
    bends = np.split((straight + np.arange(count)) % count, np.flatnonzero(np.diff(side)) + 1)
    found = [middle for bend in bends if bent[bend[0]] for middle in _middles(np.abs(turning), bend)]
    along_x, along_y = outline.direction
    corners = []
    for number, middle in enumerate(sorted(found), start=1):
        outward = -np.sign(turning[middle])
        corners.append(
            TrackPoint(
                number=number,
                x=round(float(outline.x[middle]) * 10),
                y=round(float(outline.y[middle]) * 10),
                angle=round(float(np.degrees(np.arctan2(outward * along_x[middle], -outward * along_y[middle]))), 1),
                distance=round(float(middle * step), 1),
            )
        )
    return corners


def _turning(outline: _Outline) -> Floats:
    """Radians an outline turns to the left at each of its points, evened out."""
    along_x, along_y = outline.direction
    turns = np.diff(np.unwrap(np.arctan2(along_y, along_x)), append=0.0)
    turns[-1] = np.angle(np.exp(1j * (np.arctan2(along_y[0], along_x[0]) - np.arctan2(along_y[-1], along_x[-1]))))
    turns = (turns + np.roll(turns, 1)) / 2  # between this point and the next; now at the point
    reach = int(np.ceil(3 * BEND_M / outline.step))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * outline.step / BEND_M) ** 2)
    around = np.arange(len(turns))[:, None] + np.arange(-reach, reach + 1)
    return (turns[around % len(turns)] * (weights / weights.sum())).sum(axis=1)


def _middles(turning: Floats, bend: NDArray[np.int64]) -> list[int]:
    """Where half of each corner of a bend to one side is turned: two corners if it opens in between."""
    values = turning[bend]
    if values.sum() < np.radians(TURN_DEG):
        return []
    tightest = int(values.argmax())
    peaks: list[int] = (np.flatnonzero((values[1:-1] >= values[:-2]) & (values[1:-1] > values[2:])) + 1).tolist()
    for other in peaks:
        first, second = sorted((other, tightest))
        opens = first + int(values[first : second + 1].argmin())
        if values[opens] < OPENS * values[other]:
            return _middles(turning, bend[:opens]) + _middles(turning, bend[opens:])
    return [int(bend[np.searchsorted(np.cumsum(values), values.sum() / 2)])]
