"""Damaged recordings: what can be read is played, the rest counted by reason; what is no recording is refused."""

from __future__ import annotations

import gzip
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pitwall.sources.lines import LINE_LIMIT
from pitwall.sources.recording import NotARecording, open_recording
from tests.sources.written import LAP_4, compact, core, legacy, merged, type_json, write

GOOD = merged("00:00:05.000", "TimingData", LAP_4)
INSTANT = "2025-06-01T12:00:01.5Z"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (GOOD[:-9], "bad-json"),
        (b"00:00:06.000\xff\xfe\x00\x01\x02", "bad-line"),
        (b"00:00:06.000{\xff\xfe\x00\x01\x02", "bad-json"),
        ("0:00:77.000" + GOOD[12:], "bad-time"),
        ("##:00:06.000" + GOOD[12:], "bad-time"),
        ("999:00:00.000" + GOOD[12:], "bad-time"),
        ('00:00:06.000{"stream":"TimingData"}', "bad-line"),
        ('00:00:06.000{"stream":null,"payload":{}}', "bad-line"),
        ('00:00:06.000{"stream":["a"],"payload":{}}', "bad-line"),
        ("00:00:06.000[1,2]", "bad-line"),
        ("Connection lost", "bad-line"),
        (merged("00:00:06.000", "CarData.z", "7ZTN!!!"), "bad-base64"),
        (merged("00:00:06.000", "CarData.z", "AAAAAAAA"), "bad-deflate"),
        (merged("00:00:06.000", "CarData.z", "é"), "bad-base64"),
        (merged("00:00:06.000", "DriverList", '{"1":'), "bad-json"),
        ("[" * 100_000, "bad-line"),
        ("00:00:06.000" + "[" * 100_000, "bad-json"),
    ],
)
def test_damaged_line_is_counted_and_the_rest_is_played(tmp_path: Path, line: str | bytes, reason: str) -> None:
    source = open_recording(write(tmp_path / "a.txt", GOOD, line, GOOD))
    assert [message.data for message in source.messages()] == [LAP_4, LAP_4]
    assert source.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("good", "line", "reason"),
    [
        (type_json("LapCount", {}, INSTANT), '{"Type":"LapCount","Json":{', "bad-json"),
        (type_json("LapCount", {}, INSTANT), '{"Type":7,"Json":{},"DateTime":"x"}', "bad-line"),
        (type_json("LapCount", {}, INSTANT), '["Type"]', "bad-line"),
        ("1748779201500000000:LapCount:{}", "1748779201500000000:LapCount:{", "bad-json"),
        ("1748779201500000000:LapCount:{}", "x7:LapCount:{}", "bad-time"),
        ("1748779201500000000:LapCount:{}", "9999999999999999999:LapCount:{}", "bad-time"),
        ("1748779201500000000:LapCount:{}", "1748779201500000000:init:[]", "bad-line"),
        (str(["LapCount", {}, INSTANT]), "['LapCount', {'CurrentLap': ", "bad-json"),
        (str(["LapCount", {}, INSTANT]), "['LapCount', __import__('os').getcwd(), '']", "bad-json"),
        (str(["LapCount", {}, INSTANT]), "['LapCount', 'un'terminated", "bad-json"),
        (str(["LapCount", {}, INSTANT]), "['LapCount']", "bad-line"),
        (str(["LapCount", {}, INSTANT]), "[['LapCount'], {}, '']", "bad-line"),
        (core("LapCount", {}, INSTANT), '{"type":1,"target":"feed","arguments":["LapCount",{', "bad-json"),
        (core("LapCount", {}, INSTANT), '{"type":1,"target":"feed","arguments":{"a":1}}', "bad-line"),
        (core("LapCount", {}, INSTANT), '{"type":1,"target":"feed","arguments":[null,{},""]}', "bad-line"),
        (core("LapCount", {}, INSTANT), '{"level":"info"}', "bad-line"),
        (legacy(("LapCount", {}, INSTANT)), '{"M":[{"M":"feed","A":"LapCount"}]}', "bad-line"),
        ('{"topic":"LapCount","data":{},"at":1748779201500}', '{"topic":"LapCount","data":{}', "bad-json"),
        ('{"topic":"LapCount","data":{},"at":1748779201500}', '{"topic":"LapCount","data":{}}', "bad-line"),
        ('{"topic":"LapCount","data":{},"at":1748779201500}', '{"topic":[],"data":{},"at":1}', "bad-line"),
    ],
)
def test_every_format_counts_its_damage(tmp_path: Path, good: str, line: str, reason: str) -> None:
    source = open_recording(write(tmp_path / "a.txt", good, line, good))
    assert [message.topic for message in source.messages()] == ["LapCount", "LapCount"]
    assert source.rejected == {reason: 1}


@pytest.mark.parametrize("payload", [None, 7, "", "text", [], [None], {}, {"Lines": None}, {"Lines": {"4": None}}])
def test_payload_of_any_shape_is_passed_on(tmp_path: Path, payload: object) -> None:
    source = open_recording(write(tmp_path / "a.txt", merged("00:00:05.000", "TimingData", payload)))
    assert [message.data for message in source.messages()] == [payload]


def test_topic_nobody_knows_is_passed_on(tmp_path: Path) -> None:
    source = open_recording(write(tmp_path / "a.txt", core("Brandnew.Topic", {"A": 1}, INSTANT)))
    assert [(message.topic, message.data) for message in source.messages()] == [("Brandnew.Topic", {"A": 1})]


def test_latin_1_names_are_read(tmp_path: Path) -> None:
    line = merged("00:00:05.000", "DriverList", {"11": {"FullName": "Sergio PÉREZ"}}).encode("latin-1")
    source = open_recording(write(tmp_path / "a.txt", line))
    assert [message.data for message in source.messages()] == [{"11": {"FullName": "Sergio PÉREZ"}}]


def test_five_mebibyte_line_is_read(tmp_path: Path) -> None:
    big = merged("00:00:06.000", "RaceControlMessages", {"Messages": [{"Message": "x" * 5 * 2**20}]})
    source = open_recording(write(tmp_path / "a.txt", GOOD, big, GOOD, zipped=True))
    assert len(list(source.messages())) == 3
    assert not source.rejected


def test_line_beyond_the_limit_is_counted_without_being_held(tmp_path: Path) -> None:
    big = merged("00:00:06.000", "RaceControlMessages", {"Messages": [{"Message": "x" * 60 * 2**20}]})
    path = write(tmp_path / "a.txt", GOOD, big, GOOD, zipped=True)
    del big
    tracemalloc.start()
    source = open_recording(path)
    count = sum(1 for _ in source.messages())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2
    assert source.rejected == {"line-too-long": 1}
    assert peak < 2 * LINE_LIMIT


@pytest.mark.whole
def test_long_recording_is_not_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.txt.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(60_000):
            line = merged(f"00:{number // 1000:02}:00.000", "TimingData", {"Lines": {"4": {"Value": str(number) * 80}}})
            file.write(line.encode() + b"\n")
    tracemalloc.start()
    source = open_recording(path)
    count = sum(1 for _ in source.messages())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 60_000
    assert peak < 8 * 2**20  # the file is 25 MB unpacked


class TestGzip:
    @pytest.fixture
    def lines(self) -> list[str]:
        noise = random.Random(7)
        return [merged("00:00:05.000", "LapCount", {"CurrentLap": noise.getrandbits(256)}) for _ in range(2_000)]

    def test_truncated(self, tmp_path: Path, lines: list[str]) -> None:
        path = write(tmp_path / "a.txt.gz", *lines, zipped=True)
        path.write_bytes(path.read_bytes()[:-30_000])
        source = open_recording(path)
        assert 1_000 < len(list(source.messages())) < 2_000
        assert source.rejected["truncated-gzip"] == 1
        assert set(source.rejected) <= {"truncated-gzip", "bad-json", "bad-line"}

    def test_damaged_in_the_middle(self, tmp_path: Path, lines: list[str]) -> None:
        path = write(tmp_path / "a.txt.gz", *lines, zipped=True)
        content = bytearray(path.read_bytes())
        half = len(content) // 2
        content[half : half + 200] = b"\xff" * 200
        path.write_bytes(bytes(content))
        source = open_recording(path)
        assert len(list(source.messages())) >= 900
        assert source.rejected["bad-gzip"] == 1

    def test_wrong_checksum_loses_no_line(self, tmp_path: Path, lines: list[str]) -> None:
        path = write(tmp_path / "a.txt.gz", *lines, zipped=True)
        path.write_bytes(path.read_bytes()[:-8] + b"\x00" * 8)
        source = open_recording(path)
        assert len(list(source.messages())) == 2_000
        assert source.rejected == {"bad-gzip": 1}

    def test_members_after_each_other(self, tmp_path: Path, lines: list[str]) -> None:
        path = tmp_path / "a.txt.gz"
        halves = ("\n".join(lines[:1_000]) + "\n", "\n".join(lines[1_000:]))
        path.write_bytes(b"".join(gzip.compress(half.encode()) for half in halves) + b"\0" * 512)
        source = open_recording(path)
        assert len(list(source.messages())) == 2_000
        assert not source.rejected


class TestNotARecording:
    def refused(self, path: Path) -> str:
        with pytest.raises(NotARecording) as refusal:
            open_recording(path)
        assert str(path) in str(refusal.value)
        return refusal.value.reason

    def test_missing(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path / "nowhere") == "there is no such file or folder"

    def test_empty_file(self, tmp_path: Path) -> None:
        assert self.refused(write(tmp_path / "a.txt")) == "the file is empty"

    def test_empty_gzip(self, tmp_path: Path) -> None:
        assert self.refused(write(tmp_path / "a.txt.gz", zipped=True)) == "no line of it is in a format PitWall knows"

    def test_empty_folder(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path) == "the folder is empty"

    def test_folder_of_other_things(self, tmp_path: Path) -> None:
        write(tmp_path / "README.md", "hello")
        write(tmp_path / "TimingData.jsonStream", "")
        assert self.refused(tmp_path) == "nothing in it can be read"

    def test_archive_index_alone(self, tmp_path: Path) -> None:
        feeds = {"SessionInfo": {"KeyFramePath": "SessionInfo.json"}, "TimingData": {"KeyFramePath": "TimingData.json"}}
        assert self.refused(write(tmp_path / "Index.json", compact({"Feeds": feeds}))).startswith("no line")

    def test_zip_archive(self, tmp_path: Path) -> None:
        assert "unpack it first" in self.refused(write(tmp_path / "a.zip", b"PK\x03\x04\x14\x00"))

    def test_neither_file_nor_folder(self) -> None:
        assert self.refused(Path("/dev/null")) == "it is neither a file nor a folder"

    def test_folder_of_several_recordings_names_them(self, tmp_path: Path) -> None:
        write(tmp_path / "one.txt", GOOD)
        write(tmp_path / "two.txt", core("LapCount", {}, INSTANT))
        assert "one.txt, two.txt" in self.refused(tmp_path)

    @pytest.mark.parametrize(
        "content",
        [
            b"\x00" * 5_000,
            bytes(range(256)) * 40,
            b"some text\n" * 50,
            b'{"a": 1}\n{"b": [1, 2]}\n',
            b"[1, 2, 3]",
            b'{"SessionInfo": null}',
            b"12:00:01 [INFO] started\n12:00:02 [INFO] stopped\n",
            b"init|r|\ntitle1||3H\nr24089c5|tb|1:05.2\n",
            b'<?xml version="1.0"?><a/>',
        ],
    )
    def test_other_content(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.txt"
        path.write_bytes(content)
        assert self.refused(path) == "no line of it is in a format PitWall knows"


def test_long_log_before_the_data(tmp_path: Path) -> None:
    def lines() -> Iterator[str]:
        yield from (f"DEBUG waiting for the session, {number}" for number in range(2_000))
        yield core("LapCount", {}, INSTANT)

    source = open_recording(write(tmp_path / "a.log", *lines()))
    assert len(list(source.messages())) == 1
    assert not source.rejected
