"""Reads what `packing` has stored, in parts and without NumPy: every so many-th frame, one lap, two laps compared."""

from __future__ import annotations

import gzip
import math
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby, islice, pairwise
from operator import itemgetter
from typing import Any, Final

import orjson

from pitwall.history.telemetry.objects import SKIPS, LapStored, Manifest, Race, Store, frames_object, laps_object

STEP_M: Final = 5.0
MAX_SKIP: Final = 1_000
_AT_ONCE: Final = 16
"""Pieces that are read together: some two megabytes of twenty cars."""

Item = dict[str, Any]


def stored_skip(skip: int) -> int:
    """The most frames apart that an object has them of which every so many-th is among those asked for."""
    return max(stored for stored in SKIPS if skip % stored == 0)


def frames(
    store: Store, race: Race, manifest: Manifest, skip: int, from_s: int = 0, to_s: int | None = None
) -> Iterator[bytes]:
    """The JSON of every `skip`-th frame from one second to another since the first frame, in parts.

    As the object of all frames is, but for `stepMs` and `frameCount`. Reads the pieces that are needed. Raises
    StoreUnavailable, Gone.
    """
    stored = stored_skip(skip)
    name, apart = frames_object(stored), skip // stored
    wanted = chosen(manifest, skip, from_s, to_s)
    begins = manifest.pieces[name]
    packed = store.read(race, manifest, name, 0, begins[0])
    head = orjson.loads(zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed) + b"]}")
    head.pop("frames")
    head |= {"stepMs": manifest.step_ms * skip, "frameCount": len(wanted)}
    yield orjson.dumps(head)[:-1] + b',"frames":['
    between = b"\n"
    places = (divmod(frame * apart, manifest.piece_frames) for frame in wanted)
    by_piece = ((piece, [place for _, place in found]) for piece, found in groupby(places, key=itemgetter(0)))
    while group := dict(islice(by_piece, _AT_ONCE)):
        first, last = min(group), max(group) + 1
        content = store.read(race, manifest, name, begins[first], begins[last] - begins[first])
        for piece, lines_wanted in group.items():
            part = content[begins[piece] - begins[first] : begins[piece + 1] - begins[first]]
            lines = zlib.decompressobj(-zlib.MAX_WBITS).decompress(part).split(b"\n")
            yield between + b",\n".join(lines[line].removesuffix(b",") for line in lines_wanted)
            between = b",\n"
    yield b"\n]}\n"


def chosen(manifest: Manifest, skip: int, from_s: int = 0, to_s: int | None = None) -> range:
    """Which frames are meant, of those that are `skip` apart."""
    step_ms = manifest.step_ms * skip
    count = -(-manifest.frames // skip)
    last = count if to_s is None else min(count, to_s * 1000 // step_ms + 1)
    return range(min(-(-from_s * 1000 // step_ms), last), last)


def lap(store: Store, race: Race, manifest: Manifest, number: str, of: LapStored) -> Item:
    """`objects.LapTelemetry` of a car's lap, as JSON has it. Raises StoreUnavailable, Gone."""
    packed = store.read(race, manifest, laps_object(number), of.first, of.size)
    told: Item = orjson.loads(gzip.decompress(packed))
    return told


# -- two laps ------------------------------------------------------------------------------


def compared(a: Item, b: Item, step_m: float = STEP_M) -> Item:
    """`objects.Comparison` of two laps, at every `step_m` metres that both drove, and at the last of them.

    As `laps.compare` has it, to what distances were rounded by.
    """
    length = min(one["points"][-1]["distance"] for one in (a, b))
    distances = [index * step_m for index in range(math.ceil(length / step_m))] + [length]
    times = [_times(one["points"], distances) for one in (a, b)]
    speeds = [_speeds(one["points"], at) for one, at in zip((a, b), times, strict=True)]
    points = []
    for distance, at_a, at_b, a_speed, b_speed in zip(distances, *times, *speeds, strict=True):
        point = {"distance": round(distance, 2), "deltaMs": at_b - at_a}
        point |= {"aSpeedKph": a_speed} if a_speed is not None else {}
        point |= {"bSpeedKph": b_speed} if b_speed is not None else {}
        points.append(point)
    return {"a": _named(a), "b": _named(b), "points": points}


def _named(one: Item) -> Item:
    return {key: one[key] for key in ("racingNumber", "tla", "lap", "lapTimeMs") if key in one}


def _times(points: Sequence[Item], distances: Sequence[float]) -> list[int]:
    """When the car was at each distance, ms since the lap began: where it stood, when it came there."""
    rising = [points[0]]
    rising += [point for before, point in pairwise(points) if point["distance"] > before["distance"]]
    places, instants = [point["distance"] for point in rising], [point["atMs"] for point in rising]
    return [round(_between(places, instants, distance)) for distance in distances]


def _speeds(points: Sequence[Item], instants: Sequence[int]) -> list[int | None]:
    """The speed at each instant, None between points of which one has none."""
    at = [point["atMs"] for point in points]
    told: list[int | None] = []
    for instant in instants:
        after = min(bisect_right(at, instant), len(at) - 1)
        ends = [points[max(0, after - 1)], points[after]]
        if any("speedKph" not in end for end in ends):
            told.append(None)
            continue
        told.append(round(_between([end["atMs"] for end in ends], [end["speedKph"] for end in ends], instant)))
    return told


def _between(places: Sequence[float], values: Sequence[float], place: float) -> float:
    """The straight line between the values around a place; before the first and after the last, that one."""
    after = bisect_right(places, place)
    if after == 0:
        return values[0]
    if after == len(places):
        return values[-1]
    before = after - 1
    share = (place - places[before]) / (places[after] - places[before])
    return values[before] + share * (values[after] - values[before])
