"""Captures of lines as recordings: told apart by content, played as messages."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pitwall.karting import vocabulary
from pitwall.sources.recording import NotARecording, open_recording
from pitwall.sources.rmonitor.capture import DayClock
from tests.sources.rmonitor.lines import BOARD, DRIVEN, beat

NOON = 1_893_499_200_000
"""1 January 2030, 12:00 UTC."""
LAP = ('$J,"1001","00:01:02.000","00:06:12.000"', '$G,1,"1001",6,"00:06:12.000"')


def write(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(gzip.compress("\r\n".join(lines).encode(encoding)))
    return path


def test_instants_are_those_between_the_lines(tmp_path: Path):
    path = write(
        tmp_path / "a.gz", "##2030-01-01 12:00:00.250", *BOARD, *DRIVEN, "", "##2030-01-01 12:00:00.900", beat(), "",
        "##2030-01-01 12:01:01.5", *LAP, encoding="utf-8-sig",
    )  # fmt: skip
    source = open_recording(path)
    messages = list(source.messages())
    assert source.format == "rmonitor"
    assert [(message.topic, message.at - NOON) for message in messages] == [
        (vocabulary.SESSION, 900), (vocabulary.GRID, 900), (vocabulary.FLAG, 900), (vocabulary.CLOCK, 900),
        (vocabulary.LINES, 61_500), (vocabulary.CROSSING, 61_500),
    ]  # fmt: skip
    assert list(source.messages(3)) == messages[3:]
    assert source.rejected == {}


def test_without_them_they_are_the_circuits_time_of_day(tmp_path: Path):
    path = write(tmp_path / "a", *BOARD, *DRIVEN, beat(), *LAP, beat(5), '$I,"13:20:00","01 Jan 30"')
    source = open_recording(path)
    messages = list(source.messages())
    assert list(source.messages(2)) == messages[2:]
    twenty_past_one = NOON + 80 * 60_000 - 6 * 60_000 - 40_000
    assert [message.at for message in messages if message.topic == vocabulary.CROSSING] == [twenty_past_one]
    assert "GmtOffset" not in messages[0].data


def test_race_monitors_clock_tells_the_day_and_the_zone(tmp_path: Path):
    path = write(tmp_path / "a", '$RMDTL,""', f"$RMCA,{NOON + 22 * 60_000}", *BOARD, *DRIVEN, beat(), *LAP)
    messages = list(open_recording(path).messages())
    assert {message.at for message in messages} == {NOON + 13 * 60_000 + 20_000}
    assert messages[0].data["GmtOffset"] == "01:00:00"


def test_a_capture_over_midnight_has_two_days(tmp_path: Path):
    beats = [f'$F,9999,"00:00:00","{time}","00:00:00","Green "' for time in ("23:59:59", "00:00:01")]
    path = write(tmp_path / "a", *BOARD, beats[0], beats[1], *LAP, '$I,"00:00:02","02 Jan 30"')
    messages = list(open_recording(path).messages())
    assert messages[0].at == NOON + 12 * 3_600_000 - 1000
    assert messages[-1].at == NOON + 12 * 3_600_000 + 1000


def test_a_clock_that_leaps_is_not_followed_until_it_stays_there():
    clock = DayClock(0)
    times = ("08:00:00", "19:30:00", "08:00:01", "09:59:00", "09:59:01", "", "99:00:00")
    assert [clock.told(time) for time in times] == [
        28_800_000, 28_800_000, 28_801_000, 28_801_000, 35_941_000, 35_941_000, 35_941_000,
    ]  # fmt: skip


def test_damage_is_counted(tmp_path: Path):
    path = write(
        tmp_path / "a", "##2030-01-01 12:00:00.000", *BOARD, beat(), "##2030-99-01 12:00:00.000", "$G,1",
        "GET / HTTP/1.1", "\x16\x03\x01", "$ZZZ,1",
    )  # fmt: skip
    source = open_recording(path)
    assert list(source.messages())
    assert source.rejected == {"bad-time": 1, "bad-registration": 1, "junk": 2, "unknown-record": 1}


def test_names_of_an_old_windows_are_read(tmp_path: Path):
    path = write(tmp_path / "a", "##2030-01-01 12:00:00.000", '$A,"1","1",1,"Zoë","Ñu","",1', beat(), encoding="cp1252")
    grid = list(open_recording(path).messages())[1]
    assert grid.data["Lines"]["1"]["Driver"] == "Zoë Ñu"


def test_a_folder_with_one_capture_is_that_capture(tmp_path: Path):
    write(tmp_path / "a.gz", *BOARD, beat())
    assert open_recording(tmp_path).format == "rmonitor"
    write(tmp_path / "b.gz", *BOARD, beat())
    with pytest.raises(NotARecording, match="several recordings"):
        open_recording(tmp_path)
