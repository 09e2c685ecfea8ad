from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitwall.history.telemetry.compact import EXACT, MAGIC, MAX_VALUE, VIEWER, BadTelemetry, decode, encode
from pitwall.history.telemetry.grid import CHANNELS, Telemetry, on_grid
from pitwall.history.telemetry.samples import UNKNOWN, Samples
from pitwall.history.telemetry.timing import Timing
from tests.history.telemetry.conftest import Played


def differing(one: Telemetry, other: Telemetry) -> list[str]:
    """What is not the same in both."""
    found = [
        name
        for name in ("session", "race", "start_ms", "step_ms", "frames", "lap_length", "compounds", "weather_reports")
        if getattr(one, name) != getattr(other, name)
    ]
    arrays = ("leader", "track_status", "weather")
    found += [name for name in arrays if getattr(one, name).tolist() != getattr(other, name).tolist()]
    if list(one.cars) != list(other.cars):
        return [*found, "cars"]
    found += [
        f"{number} {name}"
        for number, channels in one.cars.items()
        for name in CHANNELS
        if channels[name].tolist() != other.cars[number][name].tolist()
    ]
    return found


def test_what_is_written_is_read_back(played: Played) -> None:
    assert differing(decode(encode(played.telemetry, EXACT)), played.telemetry) == []


def test_a_viewer_gets_values_within_half_a_unit(played: Played) -> None:
    read = decode(encode(played.telemetry, VIEWER))
    for number, channels in played.telemetry.cars.items():
        for name, values in channels.items():
            told = read.cars[number][name]
            assert ((told == UNKNOWN) == (values == UNKNOWN)).all()
            assert (np.abs(told - values) <= VIEWER.get(name, 1) / 2 if name in VIEWER else told == values).all()


def test_it_is_a_fraction_of_the_frames(raced: Played) -> None:
    """Guards what docs/telemetry.md says: an exact one about a fifth, a viewer's about an eighth."""
    from pitwall.history.telemetry.frames import encoded

    frames = len(zlib.compress(b"".join(encoded(raced.telemetry)), 6))
    assert len(encode(raced.telemetry)) / frames < 0.23
    assert len(encode(raced.telemetry, VIEWER)) / frames < 0.13


def test_a_session_without_samples_is_read_back() -> None:
    empty = on_grid(Samples(), Timing())
    assert differing(decode(encode(empty)), empty) == []


FRAMES = 24
VALUES = st.integers(-MAX_VALUE, MAX_VALUE) | st.integers(-3, 3) | st.just(UNKNOWN)
COLUMN = st.lists(VALUES, min_size=FRAMES, max_size=FRAMES) | VALUES.map(lambda value: [value] * FRAMES)
INDEX = st.lists(st.sampled_from([UNKNOWN, 0, 1]), min_size=FRAMES, max_size=FRAMES)


def telemetry_of(columns: list[list[int]], indexes: list[list[int]]) -> Telemetry:
    cars = {}
    for car, number in enumerate(("1", "__proto__")):
        own = columns[car * len(CHANNELS) : (car + 1) * len(CHANNELS)]
        cars[number] = {name: np.array(values) for name, values in zip(CHANNELS, own, strict=True)}
        cars[number]["compound"] = np.array(indexes[car])
    leader, weather, status = (np.array(values) for values in indexes[2:])
    return Telemetry(
        "9999", True, 1_729_962_949_000, 250, FRAMES, None, cars, leader, status, weather, ["HARD", "SÖFT"],
        [{"airTempC": 21.7}, {}],
    )  # fmt: skip


@st.composite
def telemetries(draw: st.DrawFn) -> Telemetry:
    columns = draw(st.lists(COLUMN, min_size=2 * len(CHANNELS), max_size=2 * len(CHANNELS)))
    return telemetry_of(columns, draw(st.lists(INDEX, min_size=5, max_size=5)))


@pytest.mark.whole
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(telemetries())
def test_any_telemetry_is_read_back(telemetry: Telemetry) -> None:
    assert differing(decode(encode(telemetry)), telemetry) == []


def test_a_value_too_large_is_refused() -> None:
    telemetry = telemetry_of([[MAX_VALUE + 1] * FRAMES] * 30, [[0] * FRAMES] * 5)
    with pytest.raises(ValueError, match="cannot be encoded"):
        encode(telemetry)


# -- hostile bytes -------------------------------------------------------------------------


SMALL = encode(telemetry_of([[index % 7 for index in range(FRAMES)]] * 30, [[0] * FRAMES] * 5))


def parts() -> tuple[dict[str, Any], list[bytes]]:
    """The header and the streams of the small one."""
    size = int.from_bytes(SMALL[4:8], "little")
    header = msgspec.json.decode(SMALL[8 : 8 + size])
    streams, at = [], 8 + size
    for stream in header["streams"]:
        streams.append(SMALL[at : at + stream["bytes"]])
        at += stream["bytes"]
    return header, streams


def whole(header: dict[str, Any], streams: list[bytes]) -> bytes:
    encoded = msgspec.json.encode(header)
    return b"".join((MAGIC, len(encoded).to_bytes(4, "little"), encoded, *streams))


def with_stream(raw: bytes, packed: bytes | None = None) -> bytes:
    """The small one, with other bytes for the leader."""
    header, streams = parts()
    streams[0] = zlib.compress(raw) if packed is None else packed
    header["streams"][0]["bytes"] = len(streams[0])
    return whole(header, streams)


def with_header(**changed: Any) -> bytes:
    header, streams = parts()
    return whole(header | changed, streams)


def renamed(name: str) -> bytes:
    header, streams = parts()
    header["streams"][3]["name"] = name
    return whole(header, streams)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "does not begin with PWT"),
    "other bytes": (b"\x1f\x8b\x08\x00 gzip", "does not begin with PWT"),
    "a later version": (b"PWT\x02" + SMALL[4:], "of another version"),
    "only the magic": (MAGIC, "header is longer"),
    "a header longer than all": (MAGIC + b"\xff\xff\xff\xff{}", "header is longer"),
    "a header that is no JSON": (MAGIC + b"\x03\x00\x00\x00{x}", "the header: "),
    "a header that is no UTF-8": (MAGIC + b'\x04\x00\x00\x00"\xff\xff"', "the header: "),
    "a header that is a list": (MAGIC + b"\x02\x00\x00\x00[]", "the header: "),
    "frames below 0": (with_header(frames=-1), "the header: "),
    "more frames than memory": (with_header(frames=1_000_000, cars=[str(n) for n in range(99)]), "more than 67108864"),
    "a step of 0": (with_header(stepMs=0), "the header: "),
    "a car twice": (with_header(cars=["1", "1"]), "twice"),
    "a car too few": (with_header(cars=["1"]), "more after the last column"),
    "a car too many": (with_header(cars=["1", "2", "3"]), "a number does not end"),
    "a frame too many": (with_header(frames=FRAMES + 1), "not as long"),
    "a stream of another name": (renamed("altitude"), "the streams are not"),
    "fewer compounds": (with_header(compounds=[]), "points to what the header does not have"),
    "fewer reports": (with_header(weatherReports=[]), "points to what the header does not have"),
    "cut short": (SMALL[:-1], "end early"),
    "something after it": (SMALL + b"\x00", "go on after"),
    "no deflate": (with_stream(b"", b"\x00\x01\x02\x03"), "leader: cannot be inflated"),
    "deflate cut short": (with_stream(b"", zlib.compress(b"\x02\x04\x00")[:-3]), "leader: cannot be inflated"),
    "a bomb": (with_stream(bytes(10_000_000)), "leader: cannot be inflated"),
    "no column": (with_stream(b""), "leader: a number does not end"),
    "an empty column": (with_stream(b"\x00"), "leader: a column is longer than its stream"),
    "a column longer than its stream": (with_stream(b"\x09\x04\x01"), "leader: a column is longer than its stream"),
    "a coding of its own": (with_stream(b"\x03\x05\x00\x00"), "leader: "),
    "a number that does not end": (with_stream(b"\x02\x04\x80"), "leader: a number does not end"),
    "a number of six bytes": (with_stream(b"\x07\x04\x80\x80\x80\x80\x80\x01"), "leader: a number"),
    "more runs than numbers": (with_stream(b"\x03\x00\x05\x01"), "leader: "),
    "runs too short": (with_stream(b"\x03\x00\x01\x05"), "leader: the runs of a column are not as long"),
    "runs too long": (with_stream(b"\x03\x00\x01\x7f"), "leader: the runs of a column are not as long"),
    "runs that add up to the rest": (with_stream(b"\x05\x00\x03\x7f\x7f\x7f"), "leader: the runs of a column"),
    "too few values": (with_stream(b"\x03\x00\x01\x18"), "leader: "),
    "too many values": (with_stream(b"\x1c\x00\x01\x18" + bytes(25)), "leader: a column has more"),
    "no change": (with_stream(b"\x04\x04\x01\x18\x00"), "leader: a column has "),
    "a first change that is late": (with_stream(b"\x06\x04\x01\x18\x01\x01\x00"), "leader: the changes of a column"),
    "a change beyond the end": (with_stream(b"\x08\x04\x01\x18\x02\x00\x18\x00\x00"), "leader: the changes"),
    "a change of nothing": (with_stream(b"\x08\x04\x01\x18\x02\x00\x00\x00\x00"), "leader: the changes of a column"),
    "a value out of range": (
        with_stream(b"\x0a\x04\x01\x18\x01\x00\xfe\xff\xff\xff\x0f"),
        "leader: a value is beyond",
    ),
    "a sum out of range": (
        with_stream(b"\x7b\x03\x01\x18" + b"\xfe\xff\xff\xff\x7f" * 24),
        "leader: a ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_bytes_that_are_no_telemetry_are_refused(name: str) -> None:
    data, reason = HOSTILE[name]
    with pytest.raises(BadTelemetry, match=reason):
        decode(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BadTelemetry):
        decode(MAGIC + data)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_stream_is_read_or_refused(raw: bytes) -> None:
    try:
        leader = decode(with_stream(raw)).leader
    except BadTelemetry:
        return
    assert len(leader) == FRAMES


@settings(deadline=None)
@given(st.integers(0, len(SMALL) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_refused_or_changes_what_is_said_of_the_session(at: int, byte: int) -> None:
    """Of the streams every byte is covered by zlib's checksum."""
    damaged = SMALL[:at] + bytes([byte]) + SMALL[at + 1 :]
    start = 8 + int.from_bytes(SMALL[4:8], "little")
    if damaged == SMALL:
        return
    try:
        decode(damaged)
    except BadTelemetry:
        return
    assert at < start
