"""From messages of CarData and Position to each car's samples in order of time, and what became of every one of them.

Seen in practice (Mexico City 2024): throttle and brake 104 and gears up to 49 from a car in its garage, and a place of
0, 0, 0 until a car has left it. A value that means nothing is unknown; the rest of its sample is kept.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pitwall.message import Message
from pitwall.timing.merge import items
from pitwall.timing.values import integer, utc_ms

Ints: TypeAlias = NDArray[np.int64]

UNKNOWN: Final = -(2**31)
"""What stands in an array of integers where nothing is known."""

CAR_CHANNELS: Final = {"rpm": "0", "speed": "2", "gear": "3", "throttle": "4", "brake": "5", "drs": "45"}
"""The feed's key of each channel: 1/min, km/h, gear (0 neutral), per cent, per cent (0 or 100), the feed's DRS code."""
POSITION_CHANNELS: Final = {"x": "X", "y": "Y", "z": "Z", "onTrack": "Status"}
"""Tenths of a metre; onTrack 1, or 0 for OffTrack."""
RANGES: Final = {
    "rpm": (0, 20_000), "speed": (0, 450), "gear": (0, 8), "throttle": (0, 100), "brake": (0, 100), "drs": (0, 14),
    "x": (-1_000_000, 1_000_000), "y": (-1_000_000, 1_000_000), "z": (-1_000_000, 1_000_000), "onTrack": (0, 1),
}  # fmt: skip
"""What is outside means nothing; throttle and brake are 104 where the feed has none."""
MAX_AGE_MS: Final = 3_600_000
"""A sample this far from the instant of its message is dated wrongly."""

_RACING_NUMBER = re.compile(r"[0-9A-Za-z]{1,6}")
_STATUSES = {"OnTrack": 1, "OffTrack": 0}


@dataclass(frozen=True)
class Track:
    """One car's samples of one topic: instants in ms since the epoch, rising, and as many values in each channel."""

    at: Ints
    channels: dict[str, Ints]

    def __len__(self) -> int:
        return len(self.at)


class Samples:
    """What CarData and Position told, car by car.

    Each car in each entry is one sample, and is counted once in `counts`, as `car` or `position` and what became of it:
    `kept`; `late`: kept, put in its place among those that had come before; `duplicate`: as one already there;
    `conflict`: at the instant of another that came before and says otherwise; or why it is of no use: `no-channels`,
    `no-position` (0, 0, 0), `bad-sample`, `bad-instant`, `bad-number`. Entries that hold no cars are `bad-entry`,
    messages that hold no entries `bad-message`. `unknown` counts values that mean nothing, by channel.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._told: dict[str, dict[str, _Told]] = {"car": {}, "position": {}}
        self._counts: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self._sorted: dict[str, dict[str, Track]] | None = None
        for message in messages:
            self.take(message)

    def take(self, message: Message) -> bool:
        """Takes what a message has of samples; whether it was one that may have any.

        Raises ValueError once the samples were looked at.
        """
        if message.topic == "CarData":
            self._read(message, "car", "Entries", "Utc", "Cars")
        elif message.topic == "Position":
            self._read(message, "position", "Position", "Timestamp", "Entries")
        else:
            return False
        return True

    @property
    def cars(self) -> dict[str, Track]:
        """Channels of `CAR_CHANNELS` by racing number."""
        return self._made()["car"]

    @property
    def positions(self) -> dict[str, Track]:
        """Channels of `POSITION_CHANNELS` by racing number."""
        return self._made()["position"]

    @property
    def counts(self) -> Counter[str]:
        """What became of the samples: `car kept`, `position no-position`, ..."""
        self._made()
        return Counter(self._counts)

    @property
    def unknown(self) -> Counter[str]:
        """Values of kept samples that are not told or mean nothing, by channel."""
        self._made()
        return Counter(self._unknown)

    def _read(self, message: Message, kind: str, entries_key: str, instant_key: str, cars_key: str) -> None:
        if self._sorted is not None:
            raise ValueError("these samples were looked at already: take every message first")
        entries = message.data.get(entries_key) if isinstance(message.data, dict) else None
        if not isinstance(entries, list | dict):
            self._counts[f"{kind} bad-message"] += 1
            return
        told, counts = self._told[kind], self._counts
        for _, entry in items(entries):
            cars = entry.get(cars_key) if isinstance(entry, dict) else None
            if not isinstance(cars, dict):
                counts[f"{kind} bad-entry"] += 1
                continue
            instant = entry.get(instant_key)
            at = message.at if instant is None else utc_ms(instant)
            if at is None or abs(at - message.at) > MAX_AGE_MS:
                counts[f"{kind} bad-instant"] += len(cars)
                continue
            for number, car in cars.items():
                values = _car_values(car) if kind == "car" else _position_values(car)
                if isinstance(values, str):
                    counts[f"{kind} {values}"] += 1
                    continue
                series = told.get(number)
                if series is None:
                    if not _RACING_NUMBER.fullmatch(number):
                        counts[f"{kind} bad-number"] += 1
                        continue
                    series = told[number] = _Told(array("q"), array("q"))
                series.at.append(at)
                series.values.extend(values)

    def _made(self) -> dict[str, dict[str, Track]]:
        if self._sorted is None:
            self._sorted = {
                "car": {number: self._put_in_order("car", told, CAR_CHANNELS) for number, told in self._series("car")},
                "position": {
                    number: self._put_in_order("position", told, POSITION_CHANNELS)
                    for number, told in self._series("position")
                },
            }
            self._told = {}
        return self._sorted

    def _series(self, kind: str) -> Iterator[tuple[str, _Told]]:
        return iter(sorted(self._told[kind].items(), key=lambda item: (len(item[0]), item[0])))

    def _put_in_order(self, kind: str, told: _Told, channels: Iterable[str]) -> Track:
        """Sorts by instant, of several at one keeps the first, and marks what means nothing as unknown."""
        names = tuple(channels)
        at: Ints = np.frombuffer(told.at, dtype=np.int64)
        values: Ints = np.frombuffer(told.values, dtype=np.int64).reshape(len(at), len(names))
        late = at < np.maximum.accumulate(at)
        order = np.argsort(at, kind="stable")
        at, values, late = at[order], values[order], late[order]
        first: NDArray[np.bool_] = np.ones(len(at), dtype=bool)
        first[1:] = at[1:] != at[:-1]
        of_first = np.maximum.accumulate(np.where(first, np.arange(len(at)), 0))
        same = (values == values[of_first]).all(axis=1)
        self._counts[f"{kind} duplicate"] += int((~first & same).sum())
        self._counts[f"{kind} conflict"] += int((~first & ~same).sum())
        self._counts[f"{kind} late"] += int((first & late).sum())
        self._counts[f"{kind} kept"] += int((first & ~late).sum())
        at, values = at[first], values[first]
        track = {}
        for index, name in enumerate(names):
            low, high = RANGES[name]
            column = values[:, index]
            meaningless = (column < low) | (column > high)
            self._unknown[name] += int(meaningless.sum())
            track[name] = np.where(meaningless, UNKNOWN, column)
        return Track(at, track)


@dataclass
class _Told:
    """Samples of one car in the order they came: instants, and the values of one after those of the other."""

    at: array[int]
    values: array[int]


_SIX: Final = itemgetter(*CAR_CHANNELS.values())
_XYZ: Final = itemgetter("X", "Y", "Z")
_INT: Final = frozenset({int})


def _whole(value: Any) -> int:
    """A value that is an integer of a sensible size, else unknown."""
    number = integer(value)
    return UNKNOWN if number is None else number


def _car_values(car: Any) -> Sequence[int] | str:
    """Values in the order of `CAR_CHANNELS`, or why there are none."""
    channels = car.get("Channels") if isinstance(car, dict) else None
    if not isinstance(channels, dict):
        return "bad-sample"
    try:
        values: tuple[Any, ...] = _SIX(channels)
    except KeyError:
        values = tuple(map(channels.get, CAR_CHANNELS.values()))
    if not _INT.issuperset(map(type, values)) or max(values) > 2**31 or min(values) <= UNKNOWN:
        values = tuple(map(_whole, values))
        if all(value == UNKNOWN for value in values):
            return "no-channels"
    return values


def _position_values(car: Any) -> Sequence[int] | str:
    """Values in the order of `POSITION_CHANNELS`, or why there are none."""
    if not isinstance(car, dict):
        return "bad-sample"
    try:
        x, y, z = _XYZ(car)
    except KeyError:
        return "bad-sample"
    if not (type(x) is type(y) is type(z) is int):
        x, y, z = map(_whole, (x, y, z))
    if not all(low <= value <= high for value, (low, high) in zip((x, y, z), _PLACE, strict=True)):
        return "bad-sample"
    if x == y == z == 0:
        return "no-position"
    status = car.get("Status")
    return x, y, z, _STATUSES.get(status, UNKNOWN) if isinstance(status, str) else UNKNOWN


_PLACE: Final = tuple(RANGES[axis] for axis in ("x", "y", "z"))


def feed_step_ms(samples: Samples) -> int:
    """The feed's own rate: the median time between a car's samples, ms; 250 where there are none."""
    steps = list(chain.from_iterable(np.diff(track.at).tolist() for track in samples.cars.values()))
    return max(1, round(float(np.median(steps)))) if steps else 250
