"""Every car's samples on one time grid, with what the timing knows of the same moments.

The grid is exact: frame k is at start + k steps, whole milliseconds. Between two samples a continuous channel is the
straight line, rounded to the feed's own unit, and any other the earlier sample's value. Nothing is made up: between two
samples more than `LONGEST_GAP_MS` apart, before a car's first and after its last, a channel is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from pitwall.history.telemetry.samples import UNKNOWN, Ints, Samples, Track
from pitwall.history.telemetry.timing import LapTimed, Timing

STEP_MS: Final = 250
LONGEST_GAP_MS: Final = 2_000
MAX_FRAMES: Final = 1_000_000
"""Three days at 4 Hz. A grid longer than this has a sample that is dated wrongly."""

STEADY: Final = frozenset({"gear", "brake", "drs", "onTrack"})
"""Channels that jump: the last value holds."""
CHANNELS: Final = (
    "x", "y", "z", "onTrack", "rpm", "speed", "gear", "throttle", "brake", "drs", "lap", "distance", "compound",
    "tyreAge", "gap",
)  # fmt: skip
"""Those of `samples`, and: lap; distance, decimetres (see `distances`); compound, index in `Telemetry.compounds`;
tyreAge, laps at the end of this one; gap to the leader, ms, to the hundredth of a second."""


@dataclass(frozen=True)
class Telemetry:
    """A session's telemetry: integers on one grid, `UNKNOWN` where nothing is known.

    start_ms: instant of the first frame, ms since the epoch. cars: channels by racing number, each of `frames` values.
    leader: index in the list of cars. track_status: the feed's code. weather: index in weather_reports.
    lap_length: decimetres, None where no whole lap was seen.
    """

    session: str
    race: bool
    start_ms: int
    step_ms: int
    frames: int
    lap_length: int | None
    cars: dict[str, dict[str, Ints]]
    leader: Ints
    track_status: Ints
    weather: Ints
    compounds: list[str] = field(default_factory=list)
    weather_reports: list[dict[str, float]] = field(default_factory=list)

    @property
    def at(self) -> Ints:
        """The instant of each frame, ms since the epoch."""
        return self.start_ms + self.step_ms * np.arange(self.frames, dtype=np.int64)

    def every(self, frame_skip: int) -> Telemetry:
        """Each `frame_skip`-th frame, the first one included. Raises ValueError below 1."""
        if frame_skip < 1:
            raise ValueError(f"every {frame_skip}th frame: it must be 1 or more")
        leader = self.leader[::frame_skip]
        return replace(
            self,
            step_ms=self.step_ms * frame_skip,
            frames=len(leader),
            cars={
                number: {name: values[::frame_skip] for name, values in channels.items()}
                for number, channels in self.cars.items()
            },
            leader=leader,
            track_status=self.track_status[::frame_skip],
            weather=self.weather[::frame_skip],
        )


def on_grid(samples: Samples, timing: Timing, step_ms: int = STEP_MS) -> Telemetry:
    """The telemetry of a session, from the first sample to the last; no frames where there are no samples.

    Raises ValueError for a step below a millisecond, or for samples so far apart that one must be dated wrongly.
    """
    if step_ms < 1:
        raise ValueError(f"a step of {step_ms} ms: it must be 1 or more")
    tracks = [track for tracks in (samples.cars, samples.positions) for track in tracks.values() if len(track)]
    start = min((int(track.at[0]) for track in tracks), default=0) // step_ms * step_ms
    end = max((int(track.at[-1]) for track in tracks), default=start - 1)
    frames = (end - start) // step_ms + 1
    if frames > MAX_FRAMES:
        raise ValueError(f"samples from {start} to {end}: more than {MAX_FRAMES} steps of {step_ms} ms")
    at: Ints = start + step_ms * np.arange(frames, dtype=np.int64)

    numbers = sorted({*samples.cars, *samples.positions}, key=lambda number: (len(number), number))
    empty: Ints = np.full(frames, UNKNOWN, dtype=np.int64)
    compounds = sorted({lap.compound for laps in timing.laps.values() for lap in laps if lap.compound is not None})
    driven = {number: Driven.of(track) for number, track in samples.cars.items() if len(track)}
    length = lap_length(driven, timing.laps)
    cars: dict[str, dict[str, Ints]] = {}
    for number in numbers:
        channels = dict.fromkeys(CHANNELS, empty)
        for track in (samples.cars.get(number), samples.positions.get(number)):
            if track is not None:
                channels |= {name: channel_at(track, name, at) for name in track.channels}
        laps = timing.laps.get(number, [])
        channels |= _of_laps(laps, compounds, at)
        if number in driven:
            channels["distance"] = distances(driven[number], laps, length, at)
        cars[number] = channels
    leader, gaps = leader_and_gaps(cars, timing, at)
    for number, gap in gaps.items():
        cars[number]["gap"] = gap
    codes = [(since, code) for since, code in timing.track_status]
    reports = [(since, index) for index, (since, _) in enumerate(timing.weather)]
    return Telemetry(
        session=timing.session,
        race=timing.race,
        start_ms=start,
        step_ms=step_ms,
        frames=frames,
        lap_length=None if length is None else round(length * 10),
        cars=cars,
        leader=leader,
        track_status=steps(codes, at),
        weather=steps(reports, at),
        compounds=compounds,
        weather_reports=[values for _, values in timing.weather],
    )


def channel_at(track: Track, name: str, at: Ints) -> Ints:
    """One channel of a car at other instants than those of its samples."""
    values = track.channels[name]
    known = values != UNKNOWN
    times, values = track.at[known], values[known]
    if not len(times):
        return np.full(len(at), UNKNOWN, dtype=np.int64)
    before = np.searchsorted(times, at, side="right") - 1
    exact = (before >= 0) & (times[before] == at)
    after = np.minimum(before + 1, len(times) - 1)
    between = (before >= 0) & (before + 1 < len(times)) & (times[after] - times[before] <= LONGEST_GAP_MS)
    told = values[before] if name in STEADY else np.rint(np.interp(at, times, values)).astype(np.int64)
    return np.where(exact | between, told, UNKNOWN)


def steps(changes: Sequence[tuple[int, int]], at: Ints) -> Ints:
    """What holds at each instant of a list of (instant, value) in order of time; unknown before the first."""
    if not changes:
        return np.full(len(at), UNKNOWN, dtype=np.int64)
    since = np.array([instant for instant, _ in changes], dtype=np.int64)
    values = np.array([UNKNOWN, *(value for _, value in changes)], dtype=np.int64)
    return values[np.searchsorted(since, at, side="right")]


def _of_laps(laps: Sequence[LapTimed], compounds: Sequence[str], at: Ints) -> dict[str, Ints]:
    """lap, compound and tyreAge: what holds from the beginning of each lap to the end of the last."""
    changes: list[tuple[int, int, int, int]] = []
    for one, after in zip(laps, [*laps[1:], None][: len(laps)], strict=True):
        if one.started_at is not None:
            compound = UNKNOWN if one.compound is None else compounds.index(one.compound)
            age = UNKNOWN if one.tyre_age is None else one.tyre_age
            changes.append((one.started_at, one.number, compound, age))
        if one.ended_at is not None and (after is None or after.started_at is None or after.started_at > one.ended_at):
            changes.append((one.ended_at, UNKNOWN, UNKNOWN, UNKNOWN))
    changes.sort(key=lambda change: change[0])
    return {
        name: steps([(change[0], change[column]) for change in changes], at)
        for column, name in enumerate(("lap", "compound", "tyreAge"), start=1)
    }


# -- distance ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Driven:
    """How far a car has driven by its speed: metres since its first sample, at the instants of its samples."""

    at: Ints
    metres: Ints

    @classmethod
    def of(cls, track: Track) -> Driven:
        """The integral of the speed. Over a gap the speed is taken for a straight line; the next crossing corrects."""
        known = track.channels["speed"] != UNKNOWN
        at, speed = track.at[known], track.channels["speed"][known] / 3.6
        moved = np.diff(at) / 1000.0 * (speed[1:] + speed[:-1]) / 2.0
        return cls(at, np.concatenate((np.zeros(min(1, len(at))), np.cumsum(moved))))

    def covers(self, start: int, end: int) -> bool:
        """Whether there are samples all the way from one instant to another, without a gap."""
        if not len(self.at) or self.at[0] > start or self.at[-1] < end:
            return False
        first, last = np.searchsorted(self.at, start, side="right") - 1, np.searchsorted(self.at, end, side="left")
        return bool((np.diff(self.at[first : last + 1]) <= LONGEST_GAP_MS).all())

    def metres_at(self, at: Ints) -> Ints:
        """The same at other instants."""
        return np.interp(at, self.at, self.metres)


def lap_length(driven: Mapping[str, Driven], laps: Mapping[str, Sequence[LapTimed]]) -> float | None:
    """Metres of a lap: the median of what was driven on clean laps by speed; None where there is none.

    The speed is that of the wheels at four samples a second, so it is some tenths of a per cent off the true length.
    """
    lengths = []
    for number, car in driven.items():
        for lap in laps.get(number, ()):
            if lap.clean and lap.started_at is not None and lap.ended_at is not None and lap.ended_at > lap.started_at:
                if not car.covers(lap.started_at, lap.ended_at):
                    continue
                start, end = car.metres_at(np.array([lap.started_at, lap.ended_at]))
                lengths.append(end - start)
    # A slow lap behind the safety car is as long as any other; one through the run-off is not.
    return float(np.median(lengths)) if lengths else None


def distances(driven: Driven, laps: Sequence[LapTimed], length: float | None, at: Ints) -> Ints:
    """Decimetres from the start line: at the end of lap n, n times the length of a lap; unknown in gaps.

    Between two crossings what was driven by speed is stretched to fit. Before the first crossing that was seen and
    after the last it is as it is, so a car is behind the line (below 0) on the grid. Without a crossing, or a length,
    it is what was driven since the first sample.
    """
    metres = driven.metres_at(at) if len(driven.at) else np.zeros(len(at))
    if length is not None:
        ends = [(lap.ended_at, lap.number) for lap in laps if lap.at_line and lap.ended_at is not None]
        ends += [(lap.started_at, lap.number - 1) for lap in laps[:1] if lap.started_at is not None and lap.number > 1]
        ends = [(end, number) for end, number in sorted(ends) if driven.at[0] <= end <= driven.at[-1]]
        if ends:
            raw = driven.metres_at(np.array([end for end, _ in ends], dtype=np.int64))
            told = np.array([number for _, number in ends]) * length
            rising = np.concatenate(([True], (np.diff(raw) > 0) & (np.diff(told) > 0)))
            raw, told = raw[rising], told[rising]
            fitted = np.interp(metres, raw, told)
            fitted = np.where(metres < raw[0], told[0] + metres - raw[0], fitted)
            metres = np.where(metres > raw[-1], told[-1] + metres - raw[-1], fitted)
    known = channel_at(Track(driven.at, {"distance": np.zeros(len(driven.at), dtype=np.int64)}), "distance", at)
    return np.where(known == UNKNOWN, UNKNOWN, np.rint(metres * 10).astype(np.int64))


# -- leader and gaps -----------------------------------------------------------------------


def leader_and_gaps(cars: Mapping[str, Mapping[str, Ints]], timing: Timing, at: Ints) -> tuple[Ints, dict[str, Ints]]:
    """Of a race: the index of the car that has driven farthest, and each car's gap to it.

    The gap is the time since the leader was where the car is now, in ms to the hundredth of a second. Both are unknown
    before the start; a car's gap also before its first frame and after its last lap. Once the race is won the leader
    stays.
    """
    nobody: Ints = np.full(len(at), UNKNOWN, dtype=np.int64)
    order = list(cars)
    ends = {
        number: [lap.ended_at for lap in timing.laps.get(number, ()) if lap.at_line and lap.ended_at is not None]
        for number in order
    }
    if not timing.race or timing.started_at is None or not len(at):
        return nobody, {}
    whole = {number: len(ended) for number, ended in ends.items()}
    most = max(whole.values(), default=0)
    won_at = min((ended[-1] for number, ended in ends.items() if most and whole[number] == most), default=None)
    if timing.finished_at is None:
        won_at = None
    started = at >= timing.started_at
    farthest = np.stack(
        [np.where(cars[number]["lap"] == UNKNOWN, UNKNOWN, cars[number]["distance"]) for number in order]
    )
    leader = np.where(started & (farthest.max(axis=0) != UNKNOWN), farthest.argmax(axis=0), UNKNOWN)
    over = at >= won_at if won_at is not None else np.zeros(len(at), dtype=bool)
    if over.any() and not over.all():
        leader = np.where(over, leader[int(np.argmax(over)) - 1], leader)
    gaps = {number: nobody.copy() for number in order}
    for index in {int(one) for one in np.unique(leader) if one != UNKNOWN}:
        led = leader == index
        ahead = cars[order[index]]["distance"]
        told = (ahead != UNKNOWN) & started
        # When the leader first got as far as that: standing still it gets nowhere.
        reached = np.maximum.accumulate(ahead[told])
        new = np.concatenate(([True], np.diff(reached) > 0))
        times, reached = at[told][new], reached[new]
        for number in order:
            mine = cars[number]["distance"]
            asked = led & (mine != UNKNOWN) & (cars[number]["lap"] != UNKNOWN)
            if number == order[index]:
                gaps[number][asked] = 0
                continue
            asked &= (mine >= reached[0]) & (mine <= reached[-1])
            since = at[asked] - np.interp(mine[asked], reached, times)
            gaps[number][asked] = np.maximum(0, np.rint(since / 10)).astype(np.int64) * 10
    return leader, gaps
