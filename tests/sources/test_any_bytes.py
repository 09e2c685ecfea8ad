"""Every sequence of bytes is a recording or is refused by name; nothing else comes out of the source."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitwall.message import Message
from pitwall.sources.recording import NotARecording, open_recording
from tests.sources.written import CAR_DATA, LAP_4, RADIO, SESSION_INFO, compact, core, legacy, merged, packed, type_json

INSTANT = "2025-06-01T12:00:01.5Z"
LINES = [
    merged("00:00:05.000", "TimingData", LAP_4),
    merged("00:00:00.000", "SessionInfo", SESSION_INFO),
    merged("00:00:07.000", "CarData.z", packed(CAR_DATA)),
    f"00:00:05.000{compact(LAP_4)}",
    type_json("TimingData", LAP_4, INSTANT),
    type_json("ExtrapolatedClock", {"Utc": INSTANT}, INSTANT),
    f"1748779201500000000:init:{compact({'SessionInfo': SESSION_INFO})}",
    f"1748779201500000000:TimingData:{compact(LAP_4)}",
    str(["RaceControlMessages", RADIO, INSTANT]),
    str(["SessionInfo", compact(SESSION_INFO), ""]),
    legacy(("TimingData", LAP_4, INSTANT), ("LapCount", {}, INSTANT)),
    compact({"R": {"SessionInfo": SESSION_INFO, "Heartbeat": {"Utc": INSTANT}}, "I": "1"}),
    core("TimingData", LAP_4, INSTANT) + "\x1e",
    compact({"type": 3, "invocationId": "0", "result": {"SessionInfo": SESSION_INFO}}),
    compact({"topic": "TimingData", "data": LAP_4, "at": 1748779201500, "cursor": 3}),
    compact({"handshake": "{}\x1e", "feed": core("TimingData", LAP_4, INSTANT) + "\x1e"}),
    "[",
    "{}",
    "",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Lines of all formats with bytes taken out, put in and changed."""
    content = bytearray(b"\n".join(line.encode() for line in draw(st.lists(st.sampled_from(LINES), max_size=6))))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        content[start:end] = draw(
            st.binary(max_size=6) | st.sampled_from([b'"', b"'", b"\\", b"{", b"]", b",", b"null", b"-"])
        )
    return bytes(content)


def play(content: bytes, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        for location in (path, Path(folder)):
            try:
                source = open_recording(location)
            except NotARecording:
                continue
            messages = list(source.messages())
            assert [message.cursor for message in messages] == list(range(len(messages)))
            for message in messages:
                assert isinstance(message, Message)
                assert isinstance(message.topic, str)
                assert message.topic
                assert type(message.at) is int
            assert source.session or source.feed != "f1"
            assert "/" not in source.session
            half = len(messages) // 2
            assert list(source.messages(half)) == messages[half:]


NAMES = st.sampled_from(
    ["a.txt", "TimingData.jsonStream", "CarData.z.jsonStream", "subscribe.txt", "000001-00000001.jsonl.gz"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400), NAMES, st.booleans())
def test_any_bytes(content: bytes, name: str, zipped: bool) -> None:
    play(gzip.compress(content) if zipped else content, name)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged(), NAMES)
def test_damaged_lines_of_every_format(content: bytes, name: str) -> None:
    play(content, name)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged(), st.integers(0, 200), st.binary(max_size=8))
def test_damaged_gzip(content: bytes, at: int, noise: bytes) -> None:
    packed_content = bytearray(gzip.compress(content))
    packed_content[at : at + len(noise)] = noise
    play(bytes(packed_content), "a.txt.gz")
