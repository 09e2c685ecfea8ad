"""Which laps there are and what belongs to them, in cases no list names: the edges of the rules in `laps`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.timing.script import (
    LAP,
    PRACTICE,
    QUALIFYING,
    RACE,
    SECTORS,
    START,
    TOTAL,
    Script,
    count,
    lap_time,
    racing,
    seconds,
)


class TestLateValues:
    """Values after the crossing they belong to."""

    def test_sectors_two_and_three_that_both_come_after_the_counter_are_the_last_laps(self) -> None:
        script, at = racing(2)
        script.sector1(at + 30.1, SECTORS[0])
        script.line(at + 84.6, NumberOfLaps=3)
        script.line(at + 86, Sectors={"1": {"Value": seconds(SECTORS[1])}})
        script.line(at + 87, Sectors={"2": {"Value": seconds(SECTORS[2])}}, LastLapTime={"Value": lap_time(TOTAL)})
        script.lap(at + 84.6, 4, SECTORS)
        script.finish()
        assert script.laps_of()[3].sectors == list(SECTORS)

    def test_a_crossing_told_much_too_late_leaves_the_next_lap_its_own_start(self) -> None:
        """Baku 2018: 36 s late, and the time later still."""
        script, at = racing(2)
        script.sector1(at + 30.1, SECTORS[0])
        script.sector2(at + 59.3, SECTORS[1])
        script.line(at + 104.6, NumberOfLaps=3, Sectors={"2": {"Value": seconds(SECTORS[2])}})
        script.line(at + 106, LastLapTime={"Value": lap_time(TOTAL + 1)})
        script.line(at + 106.1, LastLapTime={"Value": lap_time(TOTAL)})
        script.lap(at + 84.6, 4, SECTORS)
        script.finish()
        laps = script.laps_of()
        assert laps[3].ended_at is not None
        assert abs(laps[3].ended_at - (START + round((at + 84.6) * 1000))) <= 1
        assert laps[4].started_at == laps[3].ended_at

    def test_a_speed_at_the_line_that_comes_after_it_is_the_last_laps(self) -> None:
        script, at = racing(2)
        script.line(at + 2, Speeds={"FL": {"Value": "301"}})
        script.line(at + 5, Speeds={"ST": {"Value": "322"}, "I1": {"Value": ""}, "I2": None, "XX": {"Value": "1"}})
        script.line(at + 30, Speeds={"FL": {"Value": ""}})
        script.lap(at, 3, SECTORS)
        script.finish()
        assert (script.laps_of()[2].speeds, script.laps_of()[3].speeds) == ({"FL": 301}, {"ST": 322})
        assert count(script.changes, LAP, 2) == 2

    def test_a_speed_equal_to_the_lap_before_is_not_sent_and_is_the_same(self) -> None:
        script, at = racing(1)
        script.line(at + 20, Speeds={"I1": {"Value": "250"}, "I2": {"Value": "260"}})
        at = script.lap(at, 2, SECTORS)
        script.line(at + 30, Speeds={"I2": {"Value": ""}})
        script.lap(at, 3, SECTORS)
        script.finish()
        assert [script.laps_of()[n].speeds for n in (2, 3)] == [{"I1": 250, "I2": 260}, {"I1": 250}]

    def test_what_is_told_before_the_first_lap_is_of_no_lap(self) -> None:
        script = Script(PRACTICE)
        script.line(
            1, LastLapTime={"Value": "1:20.000"}, Sectors={"0": {"Value": "30.0"}}, Speeds={"ST": {"Value": "1"}}
        )
        script.finish()
        assert script.laps_of() == {}


class TestDoubtfulTimes:
    """Times that cannot be so."""

    def test_a_time_shorter_than_two_of_its_sectors_fills_no_third(self) -> None:
        script, at = racing(2)
        script.sector2(at + 59.3, 50_000)
        script.line(
            at + 84.6, NumberOfLaps=3, Sectors={"2": {"Value": "40.000"}}, LastLapTime={"Value": lap_time(TOTAL)}
        )
        script.finish()
        assert script.laps_of()[3].sectors == [None, 50_000, 40_000]

    def test_a_red_flag_lap_of_a_race_that_lacks_a_sector_has_the_feeds_time_and_no_third_sector(self) -> None:
        script, at = racing(2)
        script.tell(at + 10, "TrackStatus", {"Status": "5", "Message": "Red"})
        script.sector2(at + 60, 40_000)
        script.line(at + 110, NumberOfLaps=3, LastLapTime={"Value": "1:50.000"}, Sectors={"2": {"Value": "35.000"}})
        script.finish()
        lap = script.laps_of()[3]
        assert (lap.time, lap.sectors) == (110_000, [None, 40_000, 35_000])

    def test_a_red_flag_lap_whose_sectors_take_longer_than_its_time_has_none(self) -> None:
        script, at = racing(2)
        script.tell(at + 10, "TrackStatus", {"Status": "5", "Message": "Red"})
        script.sector2(at + 60, 80_000)
        script.line(at + 110, NumberOfLaps=3, LastLapTime={"Value": "1:50.000"}, Sectors={"2": {"Value": "35.000"}})
        script.finish()
        assert script.times()[3] is None

    def test_sectors_that_come_late_bear_out_a_time_refused_at_first(self) -> None:
        script, at = racing(2)
        script.sector1(at + 60, 60_000)
        script.sector2(at + 110, 50_000)
        script.line(at + 160, NumberOfLaps=3, LastLapTime={"Value": "2:40.000"})
        script.line(at + 163, Sectors={"2": {"Value": "50.000"}})
        script.finish()
        assert (script.times()[3], script.laps_of()[3].time_source) == (160_000, "feed")

    def test_a_red_flag_stop_is_not_driven(self) -> None:
        """São Paulo 2025, lap 8: 24 minutes, most of them in the pit lane."""
        script, at = racing(2)
        script.status(at + 5, "Aborted")
        script.sector1(at + 30.1, SECTORS[0])
        script.sector2(at + 1_400, SECTORS[1])
        script.line(at + 1_447, NumberOfLaps=3, LastLapTime={"Value": "24:07.356"}, Sectors={"2": {"Value": "25.300"}})
        script.finish()
        assert script.times()[3] is None


class TestCounter:
    """A counter that does not only rise."""

    def test_a_lap_timed_whole_is_kept_when_the_counter_comes_to_it_again(self) -> None:
        script, at = racing(3)
        script.line(at + 1, NumberOfLaps=2)
        script.line(at + 1.5, NumberOfLaps=1)
        script.line(at + 84.6, NumberOfLaps=3)
        at = script.lap(at + 84.6, 4, (31_000, 29_000, 25_000))
        script.finish()
        assert script.times() == {1: TOTAL, 2: TOTAL, 3: TOTAL, 4: 85_000}

    def test_in_practice_a_lap_that_is_over_is_kept_when_the_counter_comes_to_it_again(self) -> None:
        script = Script(PRACTICE)
        script.line(0, InPit=False, NumberOfLaps=1)
        script.line(100, NumberOfLaps=2)
        at = script.lap(100, 3, SECTORS)
        script.line(at + 30, NumberOfLaps=2)
        script.line(at + 90, NumberOfLaps=3, LastLapTime={"Value": "1:30.000"})
        script.lap(at + 90, 4, (31_000, 29_000, 25_000))
        script.finish()
        assert script.times() == {1: None, 2: TOTAL, 3: 85_000}

    def test_a_practice_told_from_its_middle_without_a_snapshot_begins_with_the_lap_that_ends(self) -> None:
        script = Script(PRACTICE)
        script.line(0, NumberOfLaps=5, LastLapTime={"Value": "1:30.000"})
        script.lap(0, 6, SECTORS)
        script.finish()
        assert script.times() == {4: 90_000, 5: TOTAL}

    def test_a_race_told_from_its_middle_without_a_snapshot_begins_with_the_first_lap_timed(self) -> None:
        script = Script(started=False)
        script.line(0, NumberOfLaps=12)
        script.lap(0, 13, SECTORS)
        script.finish()
        assert script.times() == {13: TOTAL}


class TestEnd:
    """Where a session, or a car's part in it, ends."""

    def test_the_flag_falls_when_the_first_car_has_done_all_laps_not_when_the_status_says_so(self) -> None:
        script = Script(laps=2)
        at = script.lap(0, 1, SECTORS, first=True)
        script.lap(0, 1, (40_000, 40_000, 40_000), number="8", first=True)
        at = script.lap(at, 2, SECTORS)
        script.line(at + 0.5, "8", LastLapTime={"Value": "1:00.000"})
        script.line(at + 1, "9", NumberOfLaps=1)
        script.status(at + 3, "Finished")
        script.line(at + 100, "9", NumberOfLaps=2, LastLapTime={"Value": "2:00.000"})
        script.status(at + 200, "Finalised")
        assert list(script.laps_of("9")) == [1]

    def test_a_car_that_neither_stopped_nor_took_the_flag_ended_on_the_lap_it_was_on(self) -> None:
        script = Script(laps=4)
        at, other = 0.0, 0.0
        for lap in range(1, 5):
            at = script.lap(at, lap, SECTORS, first=lap == 1)
            if lap < 3:
                other = script.lap(other, lap, (30_200, 29_300, 25_400), number="8", first=lap == 1)
        script.sector1(other + 31, 31_000, "8")
        script.status(at + 1, "Finished")
        script.status(at + 200, "Finalised")
        script.status(at + 300, "Ends")
        assert [(n, lap.finished) for n, lap in script.laps_of("8").items()] == [(1, True), (2, True), (3, False)]
        assert all(lap.finished for lap in script.laps_of("7").values())

    def test_a_recording_that_ends_before_the_flag_makes_no_lap_of_the_one_under_way(self) -> None:
        script, at = racing(3)
        script.sector1(at + 30, SECTORS[0])
        script.finish()
        assert list(script.laps_of()) == [1, 2, 3]

    def test_a_car_that_retires_in_the_pits_keeps_the_lap_it_came_in_on(self) -> None:
        script, at = racing(2)
        script.sector1(at + 30, SECTORS[0])
        script.sector2(at + 60, SECTORS[1])
        script.line(at + 80, InPit=True)
        script.line(at + 300, Retired=True)
        lap = script.laps_of()[3]
        assert (lap.finished, lap.pit_in, lap.time) == (False, True, None)
        assert lap.ended_at == START + round((at + 80) * 1000)

    def test_a_car_that_retires_in_the_pits_past_the_line_has_no_further_lap(self) -> None:
        script, at = racing(2)
        script.line(at - 1, InPit=True)
        script.line(at + 300, Retired=True)
        script.status(at + 400, "Finished")
        script.status(at + 500, "Finalised")
        assert list(script.laps_of()) == [1, 2]

    def practice(self, last: float, **end: Any) -> Script:
        """Two laps of practice, flagged off at 300 s; the third begins at `last` and ends as `end` says."""
        script = Script(PRACTICE)
        script.line(0, InPit=False, NumberOfLaps=1)
        script.line(100, NumberOfLaps=2)
        script.line(last, NumberOfLaps=3)
        script.status(max(300, last - 1), "Finished") if last > 300 else script.status(300, "Finished")
        script.line(max(310, last + 40), **end)
        script.status(600, "Finalised")
        return script

    def test_the_way_from_the_line_to_parc_ferme_is_no_lap(self) -> None:
        assert list(self.practice(305, InPit=True).laps_of()) == [1, 2]

    def test_a_lap_begun_before_the_flag_that_ended_in_the_pits_is_one(self) -> None:
        script = self.practice(290, InPit=True)
        assert (list(script.laps_of()), script.laps_of()[3].pit_in) == ([1, 2, 3], True)

    def test_a_car_left_on_the_track_in_practice_keeps_the_lap_it_was_on(self) -> None:
        """Monza 2025, practice 1: stopped after the flag on a lap begun before it."""
        script = self.practice(290, Stopped=True)
        assert [(n, lap.finished) for n, lap in script.laps_of().items()] == [(1, True), (2, True), (3, False)]

    def test_a_car_parked_on_the_grid_after_the_flag_has_no_further_lap(self) -> None:
        """Shanghai 2024."""
        assert list(self.practice(305, Stopped=True).laps_of()) == [1, 2]


@pytest.mark.parametrize("info", [RACE, PRACTICE, QUALIFYING])
def test_a_snapshot_from_before_the_session_is_no_lap(info: dict[str, Any]) -> None:
    script = Script(info, started=False)
    script.tell(0, "SessionStatus", {"Status": "Inactive"}, snapshot=True)
    script.tell(0, "TimingData", {"Lines": {"7": {"InPit": True, "NumberOfLaps": 0}}}, snapshot=True)
    script.tell(5, "TimingData", {"Lines": {"7": {"InPit": True, "NumberOfLaps": 0, "Position": "3"}}}, snapshot=True)
    script.status(10, "Started")
    script.finish()
    assert script.laps_of() == {}


def test_a_car_that_took_the_flag_has_no_lap_from_a_later_snapshot() -> None:
    script = Script(laps=2)
    at = script.lap(0, 1, SECTORS, first=True)
    at = script.lap(at, 2, SECTORS)
    told = {"NumberOfLaps": 3, "LastLapTime": {"Value": "2:10.000"}, "InPit": True}
    script.tell(at + 200, "TimingData", {"Lines": {"7": told}}, snapshot=True)
    script.finish()
    assert list(script.laps_of()) == [1, 2]


def test_a_practice_lap_missed_on_the_track_is_told_by_what_the_snapshot_shows() -> None:
    script = Script(PRACTICE)
    script.line(0, InPit=False, NumberOfLaps=1)
    script.line(100, NumberOfLaps=2)
    shown = [{"Value": seconds(ms)} for ms in SECTORS]
    told = {"NumberOfLaps": 4, "InPit": False, "Sectors": shown, "LastLapTime": {"Value": lap_time(TOTAL)}}
    script.tell(290, "TimingData", {"Lines": {"7": told}}, snapshot=True)
    script.finish()
    assert script.times() == {1: None, 3: TOTAL}


def test_a_practice_lap_ended_in_the_pits_is_kept_though_the_next_crossings_were_missed() -> None:
    script = Script(PRACTICE)
    script.line(0, InPit=False, NumberOfLaps=1)
    script.line(100, NumberOfLaps=2)
    script.line(160, InPit=True)
    told = {"NumberOfLaps": 5, "InPit": False}
    script.tell(700, "TimingData", {"Lines": {"7": told}}, snapshot=True)
    lap = script.laps_of()[2]
    assert (lap.pit_in, lap.ended_at) == (True, START + 160_000)
    assert script.state.racing_numbers == ["7"]
