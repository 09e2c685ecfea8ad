"""Captures of frames as recordings: told apart by content, played as messages."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pitwall.karting import vocabulary
from pitwall.sources.pitwall_format import encode_line
from pitwall.sources.recording import NotARecording, open_recording
from tests.sources.apex.frames import DRIVEN, grid, init

FIRST = f"{init()}\n{grid({'r1': DRIVEN})}\n"
HEADER = {"v": 1, "circuit_url": "https://example.com/nowhere/", "ws_port": 8000, "name": "nowhere",
          "started_at": "2030-01-01T12:00:00.500000+00:00"}  # fmt: skip
NOON = 1_893_499_200_000


def write(path: Path, *values: object) -> Path:
    path.write_bytes(gzip.compress("\n".join(json.dumps(value) for value in values).encode()))
    return path


def test_seconds_are_since_the_header(tmp_path: Path):
    path = write(tmp_path / "a.gz", HEADER, {"t": 0.25, "msg": FIRST}, {"event_meta": {"title1": "6H"}},
                 {"t": 60.5, "msg": "\n"}, {"t": 61.0, "msg": "r1|*|65295|\n"})  # fmt: skip
    source = open_recording(path)
    messages = list(source.messages())
    assert source.format == "apex"
    assert [message.topic for message in messages] == [
        vocabulary.SESSION, vocabulary.GRID, vocabulary.FLAG, vocabulary.CROSSING,
    ]  # fmt: skip
    assert [message.at - NOON for message in messages] == [750, 750, 750, 61_500]
    assert [message.cursor for message in messages] == [0, 1, 2, 3]
    assert list(source.messages(3)) == messages[3:]
    assert source.rejected == {}


def test_milliseconds_are_since_the_epoch(tmp_path: Path):
    source = open_recording(write(tmp_path / "a", {"t": NOON, "raw": FIRST}, {"t": NOON + 9, "raw": "r1|*||"}))
    assert [message.at - NOON for message in source.messages()] == [0, 0, 0, 9]


def test_damage_is_counted(tmp_path: Path):
    path = write(tmp_path / "a", HEADER, {"t": 0, "msg": FIRST}, {"t": None, "msg": "r1|*||"}, {"t": 3, "msg": 4})
    path.write_bytes(
        gzip.decompress(path.read_bytes()) + b'\n{"t": 4.0, "msg": "r1|*||\n{"t": 5, "msg": "GET / HTTP/1.1"}'
    )
    source = open_recording(path)
    assert [message.topic for message in source.messages()][-1] == vocabulary.CROSSING
    assert source.rejected == {"bad-time": 1, "bad-line": 1, "bad-json": 1, "junk": 1}


def test_a_folder_with_one_capture_is_that_capture(tmp_path: Path):
    write(tmp_path / "a.gz", HEADER, {"t": 0, "msg": FIRST})
    assert open_recording(tmp_path).format == "apex"
    write(tmp_path / "b.gz", HEADER, {"t": 0, "msg": FIRST})
    with pytest.raises(NotARecording, match="several recordings"):
        open_recording(tmp_path)


def test_every_real_capture_is_told_apart(kart_captures: Path):
    captures = sorted(kart_captures.glob("apex-*"))
    assert len(captures) == 5
    assert {open_recording(path).format for path in captures} == {"apex"}


def test_a_recording_names_the_feed_it_is_of(tmp_path: Path):
    capture = write(tmp_path / "Los_Santos 3H.jsonl.gz", HEADER, {"t": 0, "msg": FIRST})
    own = tmp_path / "0000000001-000000001.jsonl"
    own.write_bytes(b"".join(encode_line(message) for message in open_recording(capture).messages()))
    assert [(source.feed, source.session) for source in map(open_recording, (capture, own))] == [
        ("kart-los-santos-3h", ""),
        ("kart-0000000001-000000001", ""),
    ]
