"""What comes over the socket, whole, in pieces and broken: it is read, counted, or ends the connection."""

from __future__ import annotations

import gzip
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.sources.recording import open_recording
from pitwall.sources.signalr import SignalRSource, open_f1
from pitwall.sources.signalr.records import Records, RecordTooLong
from tests.sources.signalr.reading import Reading, live_settings
from tests.sources.signalr.scripted import Peer, Server, feed

UTC = "2026-09-24T12:54:39.455Z"
LAST = feed("Heartbeat", {"Utc": UTC}, UTC)


def read(script: Callable[[Peer], None]) -> tuple[SignalRSource, Reading]:
    """The source and what was read, once a Heartbeat has come or the connection is lost."""
    with Server(script) as server, Reading(source := open_f1(live_settings(server.url, silence_s=20))) as reading:
        reading.wait(lambda: bool(reading.deltas) or any(status.state == "reconnecting" for status in reading.statuses))
    return source, reading


# -- records -------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=30).map(lambda data: data.replace(b"\x1e", b"")), max_size=8), st.randoms())
def test_records_are_the_same_however_they_are_cut(records: list[bytes], rng: random.Random) -> None:
    stream = b"".join(record + b"\x1e" for record in records)
    cuts = sorted(rng.randint(0, len(stream)) for _ in range(rng.randint(0, 6)))
    reader = Records()
    found = [
        record
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
        for record in reader.feed(stream[start:end])
    ]
    assert found == [record for record in records if record]


def test_record_that_does_not_end_is_given_up() -> None:
    reader = Records(longest=100)
    assert reader.feed(b"x" * 99) == []
    with pytest.raises(RecordTooLong):
        reader.feed(b"xx")


def test_length_is_that_of_one_record_and_not_of_all() -> None:
    reader = Records(longest=100)
    for _ in range(200):
        assert reader.feed(b"x" * 50 + b"\x1e" + b"y" * 40 + b"\x1e" + b"z") != []
        assert reader.feed(b"\x1e") == [b"z"]


# -- frames --------------------------------------------------------------------------------


def test_record_cut_over_three_messages_is_one() -> None:
    def script(peer: Peer) -> None:
        peer.open()
        text = json.dumps(feed("TimingData", {"Name": "Pérez"}, UTC), ensure_ascii=False).encode() + b"\x1e"
        middle = text.index("é".encode()) + 1
        for piece in (text[:10], text[10:middle], text[middle:]):
            # Cut within a character, as a text message of its own.
            peer.text(piece)
        peer.wait()

    _, reading = read(script)
    assert [message.data for message in reading.deltas] == [{"Name": "Pérez"}]


def test_handshake_ping_and_snapshot_in_one_message() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.text('{}\x1e{"type":6}\x1e')
        peer.receive()
        answer = {"type": 3, "invocationId": "0", "result": {"LapCount": {"CurrentLap": 3}}}
        peer.records({"type": 6}, answer, LAST)
        peer.wait()

    _, reading = read(script)
    assert [(message.topic, message.snapshot) for message in reading.messages] == [
        ("LapCount", True),
        ("Heartbeat", False),
    ]


def test_fragmented_message_is_put_together() -> None:
    def script(peer: Peer) -> None:
        peer.open()
        text = json.dumps(LAST).encode() + b"\x1e"
        peer.raw(struct.pack("!BB", 0x01, 20) + text[:20])
        peer.frame(9, b"are you there")
        peer.frame(0, text[20:])
        peer.wait()

    _, reading = read(script)
    assert reading.deltas


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        pytest.param(b'{"type":1,"target":"feed","argum\x1e', "bad-json", id="half a record"),
        pytest.param(b"\xff\xfe\x00\x80\x1e", "bad-json", id="no text"),
        pytest.param(b"<html>504</html>\x1e", "bad-json", id="a page"),
        pytest.param(b"[1,2]\x1e", "bad-frame", id="a list"),
        pytest.param(b'{"target":"feed"}\x1e', "bad-frame", id="no type"),
        pytest.param(b'{"type":true}\x1e', "bad-frame", id="a type that is no number"),
        pytest.param(b'{"type":77}\x1e', "unknown-frame", id="a type nobody knows"),
        pytest.param(b'{"type":1,"target":"feed","arguments":{"a":1}}\x1e', "bad-line", id="no arguments"),
        pytest.param(b'{"type":1,"target":"feed","arguments":[7,8,9]}\x1e', "bad-line", id="no topic"),
        pytest.param(
            b'{"type":1,"target":"feed","arguments":["CarData.z","?","2026-09-24T12:54:39Z"]}\x1e',
            "bad-base64",
            id="no base64",
        ),
        pytest.param(
            b'{"type":1,"target":"feed","arguments":["CarData.z","AAAA","2026-09-24T12:54:39Z"]}\x1e',
            "bad-deflate",
            id="no deflate",
        ),
        pytest.param(b"[" * 50_000 + b"\x1e", "bad-json", id="fifty thousand levels"),
    ],
)
def test_what_cannot_be_read_is_counted_and_the_feed_goes_on(garbage: bytes, reason: str) -> None:
    def script(peer: Peer) -> None:
        peer.open()
        for opcode in (1, 2):
            peer.frame(opcode, garbage)
            peer.records(LAST)
        peer.wait()

    with Server(script) as server, Reading(source := open_f1(live_settings(server.url, silence_s=20))) as reading:
        reading.topic("Heartbeat", 2)
    assert [message.topic for message in reading.deltas] == ["Heartbeat", "Heartbeat"]
    assert dict(source.rejected) == {reason: 2}
    assert [status.state for status in reading.statuses] == ["connecting", "live"]


def test_unreadable_topic_of_the_snapshot_is_counted_and_the_others_come() -> None:
    def script(peer: Peer) -> None:
        peer.open({"Position.z": "broken", "LapCount": {"CurrentLap": 3}})
        peer.records(LAST)
        peer.wait()

    source, reading = read(script)
    assert [message.topic for message in reading.messages] == ["LapCount", "Heartbeat"]
    assert dict(source.rejected) == {"bad-base64": 1}


def test_windows_text_is_read_as_in_a_recording() -> None:
    def script(peer: Peer) -> None:
        peer.open()
        peer.text(json.dumps(feed("DriverList", {"11": "P?rez"}, UTC)).encode().replace(b"?", b"\xe9") + b"\x1e")
        peer.wait()

    _, reading = read(script)
    assert reading.deltas[0].data == {"11": "Pérez"}


def test_other_calls_of_the_hub_are_no_messages() -> None:
    def script(peer: Peer) -> None:
        peer.open()
        peer.records(*({"type": kind, "invocationId": "5"} for kind in (2, 3, 4, 5, 8, 9)))
        peer.records({"type": 1, "target": "hello", "arguments": []}, LAST)
        peer.wait()

    source, reading = read(script)
    assert [message.topic for message in reading.messages] == ["Heartbeat"]
    assert not source.rejected


# -- ends ----------------------------------------------------------------------------------


def huge(peer: Peer) -> None:
    peer.open()
    peer.raw(struct.pack("!BBQ", 0x81, 127, 64 * 1024 * 1024) + b"x" * 1000)
    peer.wait()


def masked(peer: Peer) -> None:
    peer.open()
    peer.raw(struct.pack("!BB", 0x81, 0x80 | 4) + b"abcdefgh")
    peer.wait()


def no_websocket(peer: Peer) -> None:
    peer.open()
    peer.raw(b"HTTP/1.1 502 Bad Gateway\r\n" + b" " * 100)
    peer.wait()


def half_a_frame(peer: Peer) -> None:
    peer.open()
    peer.raw(struct.pack("!BB", 0x81, 100) + b'{"type":1')


def half_a_record(peer: Peer) -> None:
    peer.open()
    peer.text('{"type":1,"target":"feed"')


def ends(peer: Peer) -> None:
    peer.open()
    peer.records({"type": 7, "error": "Connection closed with an error.", "allowReconnect": True})
    peer.wait()


def closes(peer: Peer) -> None:
    peer.open()
    peer.frame(8, struct.pack("!H", 1001) + b"going away")


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        (huge, "F1's server sent a message that is too long for the feed"),
        (masked, "F1's server sent what is no WebSocket message"),
        (no_websocket, "F1's server sent what is no WebSocket message"),
        (half_a_frame, "the connection broke"),
        (half_a_record, "the connection broke"),
        (ends, "F1's server ended the connection: Connection closed with an error"),
        (closes, "F1's server closed the connection (1001)"),
    ],
)
def test_connection_that_ends_is_said_and_made_again(
    script: Callable[[Peer], None], detail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitwall.sources.signalr.source.PING_S", 600)

    def afterwards(peer: Peer) -> None:
        peer.open()
        peer.wait()

    with Server(script, afterwards) as server, Reading(open_f1(live_settings(server.url, silence_s=600))) as reading:
        reading.status("live", 2)
    assert [(status.state, status.detail) for status in reading.statuses[2:3]] == [("reconnecting", detail)]
    assert reading.statuses[3].reconnects == 1


def test_record_that_does_not_end_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitwall.sources.signalr.connection.Records", lambda: Records(longest=10_000))

    def script(peer: Peer) -> None:
        peer.open()
        while True:
            peer.text("x" * 1000)

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        assert reading.status("reconnecting").detail == "F1's server sent a record that does not end"


def test_messages_before_the_end_are_not_lost() -> None:
    def script(peer: Peer) -> None:
        peer.open()
        peer.records(LAST, LAST, {"type": 7})

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        reading.status("reconnecting")
        assert [message.topic for message in reading.deltas[:2]] == ["Heartbeat", "Heartbeat"]


# -- real frames ---------------------------------------------------------------------------


def test_five_real_frames_of_the_core_hub_are_read(recordings: Path) -> None:
    frames = json.loads((recordings / "2026-baku-practice-2-signalrcore-frames.json").read_text())

    def script(peer: Peer) -> None:
        peer.receive()
        peer.text(frames["handshake"])
        peer.receive()
        peer.text(frames["subscribeResult"])
        peer.text(frames["ping"])
        peer.text(frames["feed"])
        peer.text(frames["feedBatch"])
        peer.wait()

    with Server(script) as server, Reading(source := open_f1(live_settings(server.url, silence_s=20))) as reading:
        reading.topic("TimingAppData")
    assert [message.topic for message in reading.messages if message.snapshot] == [
        "SessionInfo",
        "TrackStatus",
        "WeatherData",
        "Heartbeat",
    ]
    lap = reading.deltas[1].data["Lines"]["30"]
    assert (lap["NumberOfLaps"], lap["LastLapTime"]) == (20, {"Value": "1:50.132"})
    assert [message.topic for message in reading.deltas] == ["TimingData", "TimingData", "TimingAppData"]
    assert source.session == "11371"
    assert not source.rejected


def test_real_legacy_messages_come_through_a_core_hub_as_from_the_recording(recordings: Path) -> None:
    path = recordings / "2023-monaco-practice-2-signalr.txt.gz"
    recorded = list(open_recording(path).messages())
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        frames = [json.loads(line) for line in lines if line.startswith("{")]
    snapshot = next(frame["R"] for frame in frames if frame.get("R"))
    calls = [call["A"] for frame in frames for call in frame.get("M", ())]
    assert calls

    def script(peer: Peer) -> None:
        peer.open(snapshot)
        for start in range(0, len(calls), 7):
            peer.records(*({"type": 1, "target": "feed", "arguments": call} for call in calls[start : start + 7]))
        peer.wait()

    count = len(calls)
    with Server(script) as server, Reading(source := open_f1(live_settings(server.url, silence_s=20))) as reading:
        reading.wait(lambda: len(reading.deltas) >= count - sum(source.rejected.values()))
    assert not source.rejected
    assert [(message.topic, message.data, message.at) for message in reading.deltas] == [
        (message.topic, message.data, message.at) for message in recorded if not message.snapshot
    ]
    assert {message.topic: message.data for message in reading.messages if message.snapshot} == {
        message.topic: message.data for message in recorded if message.snapshot
    }
