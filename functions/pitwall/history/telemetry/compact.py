"""The compact encoding: integers by column, as differences, deflated. Byte by byte in docs/telemetry.md.

`web/public/telemetry.js` reads the same in a browser or Node. What is written is read back exactly, in the units it was
written in; bytes that are anything else raise `BadTelemetry`, never another error, and never take more memory than
`MAX_VALUES` values.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from pitwall.history.telemetry.grid import CHANNELS, MAX_FRAMES, Telemetry
from pitwall.history.telemetry.samples import UNKNOWN, Ints

MAGIC: Final = b"PWT\x01"
EXACT: Final[Mapping[str, int]] = {}
VIEWER: Final[Mapping[str, int]] = {
    "x": 10, "y": 10, "z": 10, "distance": 10, "rpm": 100, "throttle": 5, "gap": 100,
}  # fmt: skip
"""Units for a viewer: metres, hundreds of revolutions, twentieths of the throttle, tenths of a second."""

MAX_VALUES: Final = 2**26
MAX_VALUE: Final = 2**30
_MAX_SUM: Final = 2**33
_MAX_HEADER: Final = 2**24
_MAX_ORDER: Final = 3
_CHANGES: Final = 4
_SELDOM: Final = 32
"""A column that changes less often than once in so many values is written as its changes."""
_OF_SESSION: Final = ("leader", "trackStatus", "weather")
_SPAN: Final = np.array([1 << (7 * index) for index in range(1, 5)], dtype=np.int64)
_MAX_VARINT: Final = 5


class BadTelemetry(ValueError):
    """Bytes that are no telemetry in the compact encoding; says why."""


class _Stream(Struct, rename="camel"):
    """One channel: bytes it takes, and what its integers are multiplied by."""

    name: str
    bytes: Annotated[int, Meta(ge=0)]
    unit: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class _Header(Struct, rename="camel", kw_only=True):
    session: str
    race: bool
    start_ms: Annotated[int, Meta(ge=-(2**53), le=2**53)]
    step_ms: Annotated[int, Meta(ge=1, le=2**31)]
    frames: Annotated[int, Meta(ge=0, le=MAX_FRAMES)]
    lap_length: Annotated[int, Meta(ge=0, le=MAX_VALUE)] | None
    cars: list[str]
    compounds: list[str]
    weather_reports: list[dict[str, float]]
    streams: list[_Stream]


# -- writing -------------------------------------------------------------------------------


def encode(telemetry: Telemetry, units: Mapping[str, int] = EXACT) -> bytes:
    """The telemetry in bytes. units: what channels are rounded to, in their own units; the rest is exact.

    Raises ValueError for a value beyond `MAX_VALUE`.
    """
    columns = {
        "leader": [telemetry.leader],
        "trackStatus": [telemetry.track_status],
        "weather": [telemetry.weather],
        **{name: [channels[name] for channels in telemetry.cars.values()] for name in CHANNELS},
    }
    streams, parts = [], []
    for name, values in columns.items():
        unit = units.get(name, 1)
        part = _stream([_in_units(column, unit) for column in values])
        streams.append(_Stream(name, len(part), unit))
        parts.append(part)
    header = msgspec.json.encode(
        _Header(
            session=telemetry.session,
            race=telemetry.race,
            start_ms=telemetry.start_ms,
            step_ms=telemetry.step_ms,
            frames=telemetry.frames,
            lap_length=telemetry.lap_length,
            cars=list(telemetry.cars),
            compounds=telemetry.compounds,
            weather_reports=telemetry.weather_reports,
            streams=streams,
        )
    )
    return b"".join((MAGIC, len(header).to_bytes(4, "little"), header, *parts))


def _in_units(values: Ints, unit: int) -> Ints:
    return values if unit == 1 else np.where(values == UNKNOWN, UNKNOWN, np.rint(values / unit).astype(np.int64))


def _stream(columns: list[Ints]) -> bytes:
    """All columns of a channel, deflated, with the order of differences that takes the least."""
    written = [b"".join(_column(values, order) for values in columns) for order in range(_MAX_ORDER + 1)]
    # "Filtered" is zlib's own word for small numbers that seldom repeat.
    strategies = (zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED)
    ways = [(raw, strategy) for raw in dict.fromkeys(written) for strategy in strategies]
    # Which one is best shows at once; only that one is worth the time of the last few per cent.
    raw, strategy = min(ways, key=lambda way: len(_deflate(way[0], way[1], 6)))
    return _deflate(raw, strategy, 9)


def _deflate(raw: bytes, strategy: int, level: int) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
    return packer.compress(raw) + packer.flush()


def _column(values: Ints, order: int) -> bytes:
    known = values != UNKNOWN
    told = values[known]
    if len(told) and int(np.abs(told).max()) > MAX_VALUE:
        raise ValueError(f"a value beyond {MAX_VALUE} cannot be encoded")
    runs = _runs(known)
    changed = np.flatnonzero(np.diff(told, prepend=told[0] + 1)) if len(told) else np.zeros(0, dtype=np.int64)
    if len(changed) * _SELDOM <= len(told):
        order = _CHANGES
        numbers = [len(changed), *np.diff(changed, prepend=0), *_zigzag(np.diff(told[changed], prepend=0))]
        rest = np.array(numbers, dtype=np.int64)
    else:
        for _ in range(order):
            told = np.diff(told, prepend=0)
        rest = _zigzag(told)
    body = bytes([order]) + _varints(np.concatenate(([len(runs)], runs, rest)).astype(np.int64))
    return _varints(np.array([len(body)])) + body


def _runs(known: Ints) -> Ints:
    """Lengths of runs by turns known and unknown, the first of them known (and perhaps of length 0)."""
    if not len(known):
        return np.zeros(0, dtype=np.int64)
    ends = np.concatenate((np.flatnonzero(known[1:] != known[:-1]) + 1, [len(known)]))
    lengths = np.diff(ends, prepend=0)
    return lengths if known[0] else np.concatenate(([0], lengths))


def _zigzag(values: Ints) -> Ints:
    return np.where(values >= 0, values * 2, values * -2 - 1)


def _varints(values: Ints) -> bytes:
    """Whole numbers from 0 to 2**35 - 1, seven bits a byte, the lowest first, the top bit set where more follow."""
    sizes: Ints = 1 + np.searchsorted(_SPAN, values, side="right")
    starts = np.cumsum(sizes) - sizes
    out: NDArray[np.uint8] = np.zeros(int(sizes.sum()), dtype=np.uint8)
    for index in range(_MAX_VARINT):
        longer = sizes > index
        if not longer.any():
            break
        more = np.where(sizes[longer] > index + 1, 128, 0)
        out[starts[longer] + index] = (values[longer] >> (7 * index) & 127) | more
    packed: bytes = out.tobytes()
    return packed


# -- reading -------------------------------------------------------------------------------


def decode(data: bytes) -> Telemetry:
    """The telemetry in bytes that `encode` made. Raises BadTelemetry for any others."""
    header, at = _header(data)
    columns = len(_OF_SESSION) + len(CHANNELS) * len(header.cars)
    if header.frames * columns > MAX_VALUES:
        raise BadTelemetry(f"{header.frames} frames of {len(header.cars)} cars: more than {MAX_VALUES} values")
    if len(set(header.cars)) != len(header.cars):
        raise BadTelemetry("a car is in the header twice")
    if [stream.name for stream in header.streams] != [*_OF_SESSION, *CHANNELS]:
        raise BadTelemetry(f"the streams are not {', '.join((*_OF_SESSION, *CHANNELS))}")
    if at + sum(stream.bytes for stream in header.streams) != len(data):
        raise BadTelemetry("the bytes end early, or go on after the last stream")
    read: dict[str, list[Ints]] = {}
    for stream in header.streams:
        count = 1 if stream.name in _OF_SESSION else len(header.cars)
        try:
            read[stream.name] = _columns(data[at : at + stream.bytes], count, header.frames, stream.unit)
        except BadTelemetry as error:
            raise BadTelemetry(f"{stream.name}: {error}") from None
        at += stream.bytes
    for name, names in (("leader", header.cars), ("weather", header.weather_reports), ("compound", header.compounds)):
        for values in read[name]:
            if ((values != UNKNOWN) & ((values < 0) | (values >= len(names)))).any():
                raise BadTelemetry(f"{name}: points to what the header does not have")
    return Telemetry(
        session=header.session,
        race=header.race,
        start_ms=header.start_ms,
        step_ms=header.step_ms,
        frames=header.frames,
        lap_length=header.lap_length,
        cars={number: {name: read[name][index] for name in CHANNELS} for index, number in enumerate(header.cars)},
        leader=read["leader"][0],
        track_status=read["trackStatus"][0],
        weather=read["weather"][0],
        compounds=header.compounds,
        weather_reports=header.weather_reports,
    )


def _header(data: bytes) -> tuple[_Header, int]:
    """The header, and where the streams begin."""
    if data[:4] != MAGIC:
        raise BadTelemetry("no telemetry, or of another version: it does not begin with PWT and 1")
    size = int.from_bytes(data[4:8], "little")
    if len(data) < 8 or size > _MAX_HEADER or 8 + size > len(data):
        raise BadTelemetry("the header is longer than the bytes")
    try:
        # As text: msgspec does not look at the bytes of a key it passes over.
        return msgspec.json.decode(data[8 : 8 + size].decode(), type=_Header), 8 + size
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadTelemetry(f"the header: {error}") from None


def _columns(packed: bytes, count: int, frames: int, unit: int) -> list[Ints]:
    most = count * (_MAX_VARINT * (2 * frames + 4) + 16)
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(packed, most)
    except zlib.error as error:
        raise BadTelemetry(f"cannot be inflated: {error}") from None
    if not stream.eof or stream.unused_data:
        raise BadTelemetry("cannot be inflated: it ends early, goes on, or is too long")
    read, at = [], 0
    for _ in range(count):
        size, at = _length(raw, at)
        if size < 1 or at + size > len(raw):
            raise BadTelemetry("a column is longer than its stream")
        values = _values(raw[at], _numbers(raw[at + 1 : at + size]), frames)
        if len(values) and int(np.abs(values[values != UNKNOWN]).max(initial=0)) * unit > MAX_VALUE:
            raise BadTelemetry(f"a value is beyond {MAX_VALUE}")
        read.append(np.where(values == UNKNOWN, UNKNOWN, values * unit))
        at += size
    if at != len(raw):
        raise BadTelemetry("there is more after the last column")
    return read


def _length(raw: bytes, at: int) -> tuple[int, int]:
    """The varint at a place, and the place after it."""
    value = 0
    for index, byte in enumerate(raw[at : at + _MAX_VARINT]):
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, at + index + 1
    raise BadTelemetry("a number does not end")


def _numbers(raw: bytes) -> Ints:
    """A row of varints."""
    octets = np.frombuffer(raw, dtype=np.uint8).astype(np.int64)
    if not len(octets):
        return octets
    last = octets < 128
    if not last[-1]:
        raise BadTelemetry("a number does not end")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    if int((ends - starts).max()) >= _MAX_VARINT:
        raise BadTelemetry("a number is longer than five bytes")
    place = np.arange(len(octets)) - np.repeat(starts, ends - starts + 1)
    numbers: Ints = np.add.reduceat((octets & 127) << (7 * place), starts)
    return numbers


def _values(coding: int, numbers: Ints, frames: int) -> Ints:
    """One column of `frames` values."""
    count = int(numbers[0]) if len(numbers) else -1
    if not 0 <= count < len(numbers):
        raise BadTelemetry("a column has fewer runs than it says")
    runs, rest = numbers[1 : 1 + count], numbers[1 + count :]
    # Each at most a frame long: their sum cannot overflow.
    if (count and int(runs.max()) > frames) or int(runs.sum()) != frames:
        raise BadTelemetry("the runs of a column are not as long as it")
    known: Ints = np.repeat(np.arange(count) % 2 == 0, runs)
    told = int(known.sum())
    if coding == _CHANGES:
        values = _from_changes(rest, told)
    elif coding <= _MAX_ORDER:
        if len(rest) != told:
            raise BadTelemetry("a column has more or fewer values than its runs say")
        values = _summed(_unzigzag(rest), coding)
    else:
        raise BadTelemetry(f"there is no coding {coding}")
    if len(values) and int(np.abs(values).max()) > MAX_VALUE:
        raise BadTelemetry(f"a value is beyond {MAX_VALUE}")
    column: Ints = np.full(frames, UNKNOWN, dtype=np.int64)
    column[known] = values
    return column


def _from_changes(rest: Ints, told: int) -> Ints:
    count = int(rest[0]) if len(rest) else -1
    if count < 0 or len(rest) != 1 + 2 * count or (count == 0) != (told == 0):
        raise BadTelemetry("a column has more or fewer changes than it says")
    steps, values = rest[1 : 1 + count], _summed(_unzigzag(rest[1 + count :]), 1)
    if count and (int(steps[0]) != 0 or (count > 1 and int(steps[1:].min()) < 1) or int(steps.max()) >= told):
        raise BadTelemetry("the changes of a column are not in order")
    since = np.cumsum(steps)
    if count and int(since[-1]) >= told:
        raise BadTelemetry("a column changes after its end")
    return np.repeat(values, np.diff(since, append=told))


def _unzigzag(numbers: Ints) -> Ints:
    return np.where(numbers % 2 == 0, numbers // 2, -(numbers + 1) // 2)


def _summed(values: Ints, order: int) -> Ints:
    for _ in range(order):
        values = np.cumsum(values)
        if len(values) and int(np.abs(values).max()) > _MAX_SUM:
            raise BadTelemetry(f"a sum is beyond {_MAX_SUM}")
    return values
