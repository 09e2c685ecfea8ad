"""Car data and positions, about four samples a second in batches of one second, as F1 sends them.

A sample is read off the car's path: between two loops a car moves as the ideal lap does, stretched
to the time it took. Payloads are what the feed puts on the wire: base64 of a raw deflate of JSON.
"""

from __future__ import annotations

import base64
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from random import Random

from local.simulator.circuit import Circuit
from local.simulator.wording import FeedMessage, utc

Path = Sequence[tuple[int, float, str]]
"""Where a car was when: instant in ms, metres from the start, and how it came there."""

_GEAR_SPEEDS = (0.0, 75.0, 115.0, 150.0, 185.0, 220.0, 258.0, 295.0)
_PIT_LANE_ASIDE = 18.0
_TOP_KPH = 346


def deflate(text: str) -> str:
    """The form of a `.z` payload."""
    packer = zlib.compressobj(level=6, wbits=-15)
    return base64.b64encode(packer.compress(text.encode()) + packer.flush()).decode()


class _Driven:
    """One car's path, read in order of time."""

    def __init__(self, number: str, path: Path, circuit: Circuit, retired_at: int | None) -> None:
        self.number = number
        self._path = path
        self._times = [at for at, _, _ in path]
        self._circuit = circuit
        self._retired_at = retired_at

    def at(self, instant: int) -> tuple[float, float, str]:
        """Metres from the start, m/s and the kind of stretch at `instant`."""
        index = bisect_right(self._times, instant)
        if index == 0 or index == len(self._times):
            _, distance, kind = self._path[max(index - 1, 0)]
            return distance, 0.0, "lane" if kind == "lane" else "still"
        start_at, start, before = self._path[index - 1]
        end_at, end, kind = self._path[index]
        span = end_at - start_at
        if kind == "still" or end <= start:
            moved = (end - start) * (instant - start_at) / span
            aside = "lane" if kind == "still" and before == "lane" else kind
            return start + moved, abs(end - start) / span * 1000.0, aside
        share = (instant - start_at) / span
        if kind == "lane":
            return start + (end - start) * share, (end - start) / span * 1000.0, kind
        if start < 0.0:
            # From a slot on the grid: even acceleration up to the first loop.
            return start + (end - start) * share**2, 2.0 * (end - start) * share / span * 1000.0, kind
        length = self._circuit.length
        base = start // length * length
        from_ms = self._circuit.time_at(start - base)
        to_ms = self._circuit.time_at(min(end - base, length))
        ideal = to_ms - from_ms
        if ideal <= 0.0:
            return start + (end - start) * share, (end - start) / span * 1000.0, kind
        distance = base + self._circuit.distance_at(from_ms + ideal * share)
        return distance, self._circuit.speed_at(distance) * ideal / span, kind

    def retired(self, instant: int) -> bool:
        return self._retired_at is not None and instant >= self._retired_at


def _channels(speed: float, pull: float, kind: str) -> str:
    """`0` rpm, `2` km/h, `3` gear, `4` throttle, `5` brake, as JSON. 2026 has no DRS channel."""
    kph = min(_TOP_KPH, round(speed * 3.6))
    if kph == 0:
        return '{"0":0,"2":0,"3":0,"4":0,"5":0}'
    gear = max(1, bisect_right(_GEAR_SPEEDS, kph - 1))
    low = _GEAR_SPEEDS[gear - 1]
    high = _GEAR_SPEEDS[gear] if gear < len(_GEAR_SPEEDS) else 350.0
    rpm = round(8_200 + 3_600 * (kph - low) / (high - low))
    throttle, brake = 100, 0
    if kind != "track":
        throttle = 22
    elif pull < -6.0:
        throttle, brake = 0, 100
    elif pull < 1.5:
        throttle = round(max(8.0, 40.0 + pull * 18.0))
    return f'{{"0":{rpm},"2":{kph},"3":{gear},"4":{throttle},"5":{brake}}}'


def messages(
    paths: dict[str, Path],
    circuit: Circuit,
    *,
    seed: int,
    opens: int,
    ends: int,
    retired: dict[str, int],
) -> Iterator[FeedMessage]:
    """CarData.z and Position.z from `opens` to `ends`, each topic in order of time.

    A message's own instant is that of its last sample; it is received a little later, so between
    others it seems to step back in time.
    """
    rng = Random(f"{seed}:telemetry")
    cars = [_Driven(number, paths[number], circuit, retired.get(number)) for number in sorted(paths, key=int)]
    car_at, position_at = opens + 300, opens + 340
    received = opens
    while car_at < ends:
        entries = []
        for _ in range(rng.choices((3, 4, 5), (3, 5, 2))[0]):
            car_at += rng.randint(160, 330)
            values = []
            for car in cars:
                distance, speed, kind = car.at(car_at)
                pull = circuit.acceleration_at(distance % circuit.length)
                values.append(f'"{car.number}":{{"Channels":{_channels(speed, pull, kind)}}}')
            entries.append(f'{{"Utc":"{utc(car_at)}","Cars":{{{",".join(values)}}}}}')
        text = f'{{"Entries":[{",".join(entries)}]}}'
        received = max(received, car_at + rng.randint(20, 420))
        yield FeedMessage(car_at, "CarData.z", deflate(text), received)

        samples = []
        while position_at < car_at:
            position_at += rng.randint(160, 320)
            values = []
            for car in cars:
                distance, _, kind = car.at(position_at)
                point = circuit.point(distance, _PIT_LANE_ASIDE if kind == "lane" else 0.0)
                status = "OffTrack" if car.retired(position_at) else "OnTrack"
                values.append(f'"{car.number}":{{"Status":"{status}","X":{point.x},"Y":{point.y},"Z":{point.z}}}')
            samples.append(f'{{"Timestamp":"{utc(position_at)}","Entries":{{{",".join(values)}}}}}')
        if samples:
            text = f'{{"Position":[{",".join(samples)}]}}'
            received = max(received, position_at + rng.randint(20, 420))
            yield FeedMessage(position_at, "Position.z", deflate(text), received)
