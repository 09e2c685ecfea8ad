"""The instant an archive's offsets begin at."""

from __future__ import annotations

from pathlib import Path

import pytest

from pitwall.sources.recording import open_recording
from pitwall.sources.timebase import TimeBase
from tests.sources.written import SESSION_INFO, at, merged, write


def clock(base: TimeBase, utc: str, offset: int) -> None:
    base.observe("ExtrapolatedClock", {"Utc": utc, "Remaining": "01:00:00"}, offset)


def test_is_the_median_over_the_clock() -> None:
    base = TimeBase()
    clock(base, "2025-06-01T12:00:05.010Z", 5_000)
    clock(base, "2025-06-01T12:30:00.000Z", 1_800_000)
    clock(base, "2025-06-01T12:40:00.000Z", 3_600_000)  # arrived 20 minutes late
    assert base.instant() == at("12:00:00")


def test_of_two_clocks_that_disagree_the_late_one_is_wrong() -> None:
    base = TimeBase()
    clock(base, "2025-06-01T12:00:05Z", 5_000)
    clock(base, "2025-06-01T12:10:00Z", 1_800_000)
    assert base.instant() == at("12:00:00")


def test_clock_comes_before_race_control() -> None:
    base = TimeBase()
    base.observe("RaceControlMessages", {"Messages": [{"Utc": "2025-06-01T11:00:00"}]}, 0)
    clock(base, "2025-06-01T12:00:05Z", 5_000)
    assert base.instant() == at("12:00:00")


@pytest.mark.parametrize("utc", ["2025-06-01T12:10:00", "2025-06-01T12:10:00Z"])
def test_race_control_with_and_without_z(utc: str) -> None:
    base = TimeBase()
    base.observe("RaceControlMessages", {"Messages": {"3": {"Utc": utc}}}, 600_000)
    base.observe("SessionInfo", SESSION_INFO, 0)
    assert base.instant() == at("12:00:00")


def test_first_race_control_list_counts_with_its_newest_message() -> None:
    base = TimeBase()
    base.observe(
        "RaceControlMessages", {"Messages": [{"Utc": "2025-06-01T10:00:00"}, {"Utc": "2025-06-01T12:00:05"}]}, 5_000
    )
    assert base.instant() == at("12:00:00")


def test_start_date_minus_gmt_offset_comes_next() -> None:
    base = TimeBase()
    base.observe_name("2024-01-01")
    base.observe("SessionInfo", {}, 0)
    base.observe("SessionInfo", SESSION_INFO, 0)
    assert base.instant() == at("12:00:00")


def test_date_in_a_name_comes_last() -> None:
    base = TimeBase()
    base.observe_name("static/2025/2025-05-30_Test_Grand_Prix/2025-06-01_Race/TimingData.jsonStream")
    assert base.instant() == at("00:00:00")


def test_nothing_known_is_the_epoch() -> None:
    assert TimeBase().instant() == 0


@pytest.mark.parametrize(
    "data",
    [None, [], "x", {}, {"Utc": None}, {"Utc": "0001-01-01T00:00:00Z"}, {"Messages": None}, {"Messages": [None, {}]}],
)
@pytest.mark.parametrize("topic", ["ExtrapolatedClock", "RaceControlMessages", "SessionInfo"])
def test_other_shapes_say_nothing(topic: str, data: object) -> None:
    base = TimeBase()
    base.observe(topic, data, 0)
    assert base.instant() == 0


def test_late_heartbeats_do_not_move_it(tmp_path: Path) -> None:
    heartbeats = [merged("00:20:00.000", "Heartbeat", {"Utc": f"2025-06-01T12:{m:02}:00Z"}) for m in range(20, 40)]
    path = write(
        tmp_path / "a.txt", merged("00:00:05.000", "ExtrapolatedClock", {"Utc": "2025-06-01T12:00:05Z"}), *heartbeats
    )
    assert next(open_recording(path).messages()).at == at("12:00:05")


def test_url_line_gives_the_date(tmp_path: Path) -> None:
    url = "URL: https://example.com/static/2025/2025-06-01_Test_Grand_Prix/2025-06-01_Race/TeamRadio.jsonStream"
    path = write(tmp_path / "a.txt", url, merged("12:00:05.000", "LapCount", {}))
    assert next(open_recording(path).messages()).at == at("12:00:05")
