"""Rows of one car, as they come and are amended, to laps that are told once."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from pitwall.message import Message
from pitwall.sources.openf1.laps import PATIENCE_MS
from pitwall.sources.openf1.session import Session
from pitwall.timing.records import Lap
from pitwall.timing.state import SessionState

START = int(datetime(2025, 11, 29, 14, 3, 34, 554_000, tzinfo=UTC).timestamp() * 1000)
SESSION = {
    "session_key": 9845,
    "meeting_key": 1275,
    "session_type": "Race",
    "session_name": "Sprint",
    "date_start": "2025-11-29T14:00:00+00:00",
    "date_end": "2025-11-29T15:00:00+00:00",
    "gmt_offset": "03:00:00",
}
S1, S2, S3 = 31.501, 28.571, 25.014
TIME = 85.086


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def row(lap: int, start: int | None, *sectors: float | None, time: float | None = None, **more: Any) -> dict[str, Any]:
    """A row of `laps` of car 4."""
    told = [*sectors, None, None, None][:3]
    return {
        "session_key": 9845,
        "driver_number": 4,
        "lap_number": lap,
        "date_start": iso(start) if start is not None else None,
        "lap_duration": time,
        **{f"duration_sector_{n}": sector for n, sector in enumerate(told, start=1)},
        "is_pit_out_lap": False,
        **more,
    }


class Car:
    """Car 4 of a session that is told row by row, and the state machine's idea of it."""

    def __init__(self, kind: str = "Race") -> None:
        self.rejected: Counter[str] = Counter()
        self.session = Session({**SESSION, "session_type": kind}, lambda reason: self.rejected.update([reason]))
        self.state = SessionState("9845")
        self.told: list[Message] = []
        self.now = START

    def take(self, table: str, *rows: dict[str, Any], now: int = 0, final: bool = False) -> list[Message]:
        self.session.take(table, rows)
        self.now = max(self.now, now)
        messages = self.session.messages(self.now, final=final)
        for message in messages:
            self.state.apply(message)
        self.told += messages
        return messages

    def lap(self, number: int) -> Lap:
        return self.state.data.cars["4"].laps[number]

    @property
    def laps(self) -> list[int]:
        return sorted(self.state.data.cars["4"].laps)


SECOND = START + 88_504
THIRD = SECOND + 85_086


@pytest.fixture
def car() -> Car:
    """On its second lap, the first one told."""
    car = Car()
    car.take("laps", row(1, START))
    car.take("laps", row(1, START, None, 29.03, 24.748), row(2, SECOND))
    car.take("laps", row(2, SECOND, S1))
    assert car.laps == [1]
    return car


def test_a_lap_is_told_sector_by_sector_as_its_row_grows(car: Car) -> None:
    open_lap = car.state.data.cars["4"].open
    assert open_lap is not None
    assert open_lap.sectors == [31_501, None, None]
    car.take("laps", row(2, SECOND, S1, S2))
    assert open_lap.sectors == [31_501, 28_571, None]


def test_the_lap_time_is_shown_before_the_lap_is_counted(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD), now=THIRD + 3_000)
    assert car.state.line("4")["LastLapTime"]["Value"] == "1:25.086"
    assert car.laps == [1]


def test_a_lap_is_counted_when_sector_1_of_the_next_has_come(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD))
    car.take("laps", row(3, THIRD, S1))
    assert car.laps == [1, 2]
    lap = car.lap(2)
    assert (lap.time, lap.sectors, lap.ended_at) == (85_086, [31_501, 28_571, 25_014], THIRD)


def test_a_lap_time_filled_in_after_the_next_lap_began_is_the_laps(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2), row(3, THIRD))
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD), now=THIRD + 8_000)
    car.take("laps", row(3, THIRD, S1))
    assert (car.lap(2).time, car.lap(2).sectors[2]) == (85_086, 25_014)


def test_a_lap_openf1_leaves_the_time_out_of_has_the_sum_of_its_sectors(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2, S3), row(3, THIRD))
    car.take("laps", row(3, THIRD, S1))
    assert (car.lap(2).time, car.lap(2).time_source) == (85_086, "derived")


def test_a_sector_openf1_leaves_out_is_what_remains_of_the_time(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD, None, S2, S3, time=TIME))
    car.take("laps", row(4, THIRD + 85_086, S1))
    assert car.lap(3).sectors == [31_501, 28_571, 25_014]


def test_a_row_answered_again_tells_nothing(car: Car) -> None:
    assert car.take("laps", row(1, START, None, 29.03, 24.748), row(2, SECOND, S1)) == []


def test_an_amended_sector_of_the_open_lap_replaces_it(car: Car) -> None:
    car.take("laps", row(2, SECOND, 31.6, S2))
    open_lap = car.state.data.cars["4"].open
    assert open_lap is not None
    assert open_lap.sectors[0] == 31_600


def test_what_is_amended_long_after_the_lap_is_counted_and_not_taken_for_another_laps(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD))
    car.take("laps", row(3, THIRD, S1))
    car.take("laps", row(2, SECOND, S1, S2, S3, time=84.0))
    assert car.rejected == {"amended-too-late": 1}
    assert car.lap(2).time == 85_086
    open_lap = car.state.data.cars["4"].open
    assert open_lap is not None
    assert open_lap.early_time is None


def test_a_phantom_lap_at_the_start_is_left_out() -> None:
    car = Car()
    rows = [row(1, START), row(2, START + 4_000), row(3, SECOND, S1, S2, S3, time=TIME), row(4, THIRD, S1)]
    car.take("laps", *rows, final=True)
    assert car.rejected["phantom-lap"] == 1


def test_a_row_without_anything_in_it_is_no_lap(car: Car) -> None:
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD, S1), row(7, None))
    assert car.laps == [1, 2]


def test_laps_after_the_chequered_flag_are_none_but_end_the_last_one(car: Car) -> None:
    flag = {"date": iso(THIRD - THIRD % 1000), "category": "Flag", "flag": "CHEQUERED", "message": "CHEQUERED FLAG"}
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD))
    car.take("race_control", flag)
    car.take("laps", row(3, THIRD, S1, S2, S3, time=TIME), row(4, THIRD + 85_086, S1), final=True)
    assert car.laps == [1, 2]
    assert car.lap(2).ended_at == THIRD


def test_a_stop_marks_the_lap_it_ended_and_the_one_after() -> None:
    car = Car()
    car.take("laps", row(1, START))
    car.take("laps", row(1, START, None, 29.03, 24.748), row(2, SECOND))
    out = SECOND + 21_000
    car.take("laps", row(2, SECOND, 52.0, is_pit_out_lap=True))
    assert car.laps == []  # it left the pits: its stop is still to come
    stop = {"driver_number": 4, "lap_number": 1, "date": iso(out), "lane_duration": 28.876, "stop_duration": 2.9}
    car.take("pit", stop)
    car.take("laps", row(2, SECOND, 52.0, S2, S3, time=105.585, is_pit_out_lap=True), row(3, SECOND + 105_585, S1))
    assert (car.lap(1).pit_in, car.lap(1).pit_out) == (True, False)
    assert (car.lap(2).pit_in, car.lap(2).pit_out) == (False, True)
    (visit,) = car.state.data.cars["4"].visits
    assert (visit.lap, visit.out_at, visit.lane_time, visit.stop_time) == (1, out, 28_876, 2_900)


def test_a_stop_that_is_never_told_does_not_hold_the_lap_back_for_ever() -> None:
    car = Car()
    car.take("laps", row(1, START))
    car.take("laps", row(1, START, None, 29.03, 24.748), row(2, SECOND, 52.0, is_pit_out_lap=True))
    car.take("laps", now=SECOND + PATIENCE_MS - 1)
    assert car.laps == []
    car.take("laps", now=SECOND + PATIENCE_MS)
    assert car.laps == [1]


def test_under_a_red_flag_a_lap_waits_for_the_restart(car: Car) -> None:
    red = {"date": iso(SECOND + 40_000), "category": "Flag", "flag": "RED", "scope": "Track", "message": "RED FLAG"}
    car.take("race_control", red)
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD), now=THIRD + 20 * 60_000)
    assert car.laps == [1]
    green = {"date": iso(THIRD + 20 * 60_000), "category": "Flag", "flag": "GREEN", "scope": "Track"}
    car.take("race_control", {**green, "message": "GREEN LIGHT - PIT EXIT OPEN"})
    assert car.laps == [1]
    car.take("laps", now=THIRD + 20 * 60_000 + PATIENCE_MS)
    assert car.laps == [1, 2]


def test_the_gap_of_a_lap_is_the_one_at_the_line_though_it_is_counted_later(car: Car) -> None:
    def gap(at: int, value: float) -> dict[str, Any]:
        return {"driver_number": 4, "date": iso(at), "gap_to_leader": value, "interval": 0.5}

    car.take("intervals", gap(THIRD - 2_000, 3.125))
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD))
    car.take("intervals", gap(THIRD + 20_000, 9.875))
    car.take("laps", row(3, THIRD, S1))
    assert car.lap(2).gap_ms == 3_125
    assert car.state.data.cars["4"].gap_ms == 9_875


@pytest.mark.parametrize(
    ("told", "ms", "laps"),
    [(1.234, 1_234, None), (73.5, 73_500, None), ("+1 LAP", None, 1), ("+2 LAPS", None, 2)],
)
def test_gaps_are_seconds_or_laps(car: Car, told: Any, ms: int | None, laps: int | None) -> None:
    car.take("intervals", {"driver_number": 4, "date": iso(THIRD), "gap_to_leader": told, "interval": told})
    driven = car.state.data.cars["4"]
    assert (driven.gap_ms, driven.gap_laps) == (ms, laps)
    assert (driven.interval_ms, driven.interval_laps) == (ms, laps)


def test_a_late_position_does_not_bring_back_an_old_place(car: Car) -> None:
    car.take("position", {"driver_number": 4, "date": iso(THIRD), "position": 3})
    car.take("position", {"driver_number": 4, "date": iso(SECOND), "position": 8})
    assert car.state.line("4")["Position"] == "3"


def test_tyres_are_those_of_the_stint_and_age_with_the_laps(car: Car) -> None:
    car.take(
        "stints", {"driver_number": 4, "stint_number": 1, "lap_start": 1, "compound": "MEDIUM", "tyre_age_at_start": 5}
    )
    car.take("laps", row(2, SECOND, S1, S2, S3, time=TIME), row(3, THIRD, S1))
    (stint,) = car.state.data.cars["4"].stints
    assert (stint.compound, stint.new, stint.start_age, stint.total_laps) == ("MEDIUM", False, 5, 7)


def test_in_practice_the_lap_before_leaving_the_pits_ended_in_them() -> None:
    car = Car("Practice")
    out = START + 600_000
    car.take(
        "laps",
        row(1, START, None, 29.0, 25.0, is_pit_out_lap=True),
        row(2, SECOND, S1, S2, S3, time=TIME),
        row(3, THIRD, 40.0, 35.0, 45.0, time=120.0),
        row(4, out, None, 29.0, 25.0, is_pit_out_lap=True),
        row(5, out + 100_000, S1),
        final=True,
    )
    assert car.laps[:4] == [1, 2, 3, 4]
    assert [car.lap(n).pit_in for n in (1, 2, 3, 4)] == [False, False, True, False]
    assert [car.lap(n).pit_out for n in (1, 2, 3, 4)] == [True, False, False, True]
    assert (car.lap(2).time, car.lap(3).time) == (85_086, 120_000)


def test_in_practice_a_lap_time_waits_until_it_is_known_that_the_car_stayed_out() -> None:
    car = Car("Practice")
    car.take("laps", row(1, START, None, 29.0, 25.0, is_pit_out_lap=True), row(2, SECOND, S1, S2, S3, time=TIME))
    assert "LastLapTime" not in car.state.line("4")
    car.take("laps", row(3, THIRD, S1))
    assert car.lap(2).time == 85_086


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"driver_number": None, "lap_number": 1},
        {"driver_number": True, "lap_number": 1},
        {"driver_number": 4, "lap_number": 0},
        {"driver_number": 4, "lap_number": "3"},
        {"driver_number": [4], "lap_number": 3},
    ],
)
def test_a_row_that_is_no_lap_is_counted(car: Car, bad: dict[str, Any]) -> None:
    assert car.take("laps", bad) == []
    assert car.rejected == {"bad-laps": 1}


@pytest.mark.parametrize("value", [-1, 0, True, "85.1", float("nan"), float("inf"), 1e9, None, []])
def test_a_duration_that_is_none_is_not_known(car: Car, value: Any) -> None:
    car.take("laps", {**row(2, SECOND, S1, S2, S3), "lap_duration": value}, row(3, THIRD, S1))
    assert car.lap(2).time_source == "derived"
