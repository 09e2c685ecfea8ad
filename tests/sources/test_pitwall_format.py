"""PitWall's own recordings: written, read again, and cleaned of what two pollers both sent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.message import Message
from pitwall.sources.pitwall_format import (
    ObjectName,
    decode_line,
    encode_line,
    from_instant,
    object_name,
    parse_object_name,
)
from pitwall.sources.recording import open_recording
from tests.sources.written import LAP_3, LAP_4, SESSION_INFO, at, compact, core, write

NOON = at("12:00:00")

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def store(root: Path, epoch: int, seq: int, messages: Iterable[Message]) -> None:
    lines = (encode_line(message) for message in messages)
    write(root / object_name("4711", epoch, seq, NOON), *lines, end=b"", zipped=True)


def lap(number: int, cursor: int, instant: int | None = None) -> Message:
    return Message(
        "LapCount", {"CurrentLap": number}, NOON + number * 1_000 if instant is None else instant, False, cursor
    )


def laps(root: Path) -> list[Any]:
    return [message.data["CurrentLap"] for message in open_recording(root).messages()]


@given(
    st.builds(
        Message,
        topic=st.text(min_size=1),
        data=json_values,
        at=st.integers(0, 4_000_000_000_000),
        snapshot=st.booleans(),
        cursor=st.integers(-1, 2**40),
        arrived=st.just(0),
    )
)
def test_line_read_again_is_the_message(message: Message) -> None:
    line = encode_line(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_line(line) == message


def test_line_says_snapshot_only_where_it_is_one() -> None:
    assert (
        encode_line(Message("LapCount", {}, 5, False, 3, 99)) == b'{"topic":"LapCount","data":{},"at":5,"cursor":3}\n'
    )
    assert b'"snapshot":true' in encode_line(Message("LapCount", {}, 5, True, 3))


def test_line_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="PitWall"):
        decode_line(core("LapCount", {}, "2025-06-01T12:00:00Z").encode())


def test_object_names_sort_as_their_instants_do() -> None:
    assert object_name("4711", 3, 17, NOON) == f"4711/{NOON}-000003-00000017.jsonl.gz"
    assert object_name("4711", 3, 17, -5) == "4711/0000000000000-000003-00000017.jsonl.gz"
    assert object_name("4711", 9, 1, NOON - 1) < from_instant("4711", NOON) < object_name("4711", 1, 0, NOON)


@pytest.mark.parametrize("name", [object_name("4711", 3, 17, NOON), "4711/000003-00000017.jsonl.gz"])
def test_object_names_say_their_epoch_and_seq_with_an_instant_or_without(name: str) -> None:
    assert parse_object_name(Path(name)) == ObjectName(3, 17)
    assert parse_object_name(Path("4711/notes.jsonl.gz")) is None


def test_session_snapshot_and_instants_survive(tmp_path: Path) -> None:
    store(
        tmp_path,
        1,
        0,
        [Message("SessionInfo", SESSION_INFO, NOON, True, 0), Message("TimingData", LAP_3, NOON + 1_234, False, 1)],
    )
    for path in (tmp_path, tmp_path / "4711", tmp_path / object_name("4711", 1, 0, NOON)):
        source = open_recording(path)
        assert source.session == "4711"
        assert list(source.messages()) == [
            Message("SessionInfo", SESSION_INFO, NOON, True, 0),
            Message("TimingData", LAP_3, NOON + 1_234, False, 1),
        ]


def test_objects_are_read_in_order_of_epoch_and_seq(tmp_path: Path) -> None:
    store(tmp_path, 2, 5, [lap(4, 3)])
    store(tmp_path, 1, 900, [lap(3, 2)])
    store(tmp_path, 1, 10, [lap(1, 0), lap(2, 1)])
    assert laps(tmp_path) == [1, 2, 3, 4]


def test_what_the_next_poller_sent_again_is_dropped_by_cursor(tmp_path: Path) -> None:
    store(tmp_path, 1, 0, [lap(number, number - 1) for number in range(1, 11)])
    store(tmp_path, 2, 0, [lap(number, number - 1) for number in range(7, 15)])
    assert laps(tmp_path) == list(range(1, 15))


def test_equal_messages_at_different_cursors_are_both_kept(tmp_path: Path) -> None:
    store(tmp_path, 1, 0, [lap(1, 0), lap(1, 1)])
    store(tmp_path, 2, 0, [lap(1, 1), lap(1, 2)])
    assert laps(tmp_path) == [1, 1, 1]


class TestLiveFeed:
    def test_what_both_pollers_received_is_dropped_by_content(self, tmp_path: Path) -> None:
        store(tmp_path, 1, 0, [lap(number, -1) for number in range(1, 11)])
        store(tmp_path, 2, 0, [lap(number, -1) for number in range(7, 15)])
        store(tmp_path, 3, 0, [lap(number, -1) for number in range(13, 17)])
        assert laps(tmp_path) == list(range(1, 17))

    def test_the_feeds_own_repetition_within_an_epoch_is_kept(self, tmp_path: Path) -> None:
        store(tmp_path, 1, 0, [lap(1, -1), lap(1, -1)])
        store(tmp_path, 2, 0, [lap(2, -1), lap(2, -1)])
        assert laps(tmp_path) == [1, 1, 2, 2]

    def test_same_content_at_another_instant_is_kept(self, tmp_path: Path) -> None:
        store(tmp_path, 1, 0, [lap(1, -1)])
        store(tmp_path, 2, 0, [lap(1, -1, NOON + 5_000)])
        assert laps(tmp_path) == [1, 1]

    def test_new_pollers_snapshot_is_kept(self, tmp_path: Path) -> None:
        store(tmp_path, 1, 0, [Message("TimingData", LAP_3, NOON, False, -1)])
        store(tmp_path, 2, 0, [Message("TimingData", LAP_3, NOON, True, -1)])
        assert [message.snapshot for message in open_recording(tmp_path).messages()] == [False, True]

    def test_only_the_last_two_minutes_are_compared(self, tmp_path: Path) -> None:
        store(tmp_path, 1, 0, [lap(1, -1), lap(200, -1)])
        store(tmp_path, 2, 0, [lap(1, -1), lap(200, -1), lap(201, -1)])
        assert laps(tmp_path) == [1, 200, 1, 201]


def test_cursor_of_the_recording_is_its_own(tmp_path: Path) -> None:
    store(tmp_path, 1, 0, [lap(1, 500), lap(2, 501)])
    assert [message.cursor for message in open_recording(tmp_path).messages()] == [0, 1]


def test_unpacked_single_file_of_another_name(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.txt", *(encode_line(lap(number, number)) for number in (1, 2)), end=b"")
    source = open_recording(path)
    assert source.session == "recording-mine"
    assert len(list(source.messages())) == 2


def test_damaged_object_does_not_keep_the_next_from_being_read(tmp_path: Path) -> None:
    store(tmp_path, 1, 0, [lap(1, 0)])
    store(tmp_path, 1, 1, [lap(number, number - 1) for number in range(2, 2_000)])
    store(tmp_path, 1, 2, [lap(2_000, 1_999)])
    cut = tmp_path / object_name("4711", 1, 1, NOON)
    cut.write_bytes(cut.read_bytes()[:-2_000])
    source = open_recording(tmp_path)
    played = [message.data["CurrentLap"] for message in source.messages()]
    assert played[0] == 1
    assert played[-1] == 2_000
    assert source.rejected["truncated-gzip"] == 1


def test_instant_that_is_no_number_is_the_one_before(tmp_path: Path) -> None:
    good = encode_line(lap(1, 0))
    path = write(tmp_path / "a.jsonl", good, compact({"topic": "TimingData", "data": LAP_4, "at": "noon"}), end=b"\n")
    source = open_recording(path)
    assert [message.at for message in source.messages()] == [NOON + 1_000] * 2
    assert source.rejected == {"bad-time": 1}
