"""Best laps and sets of tyres where the feed says little, says it late, or this state has not seen all."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from pitwall.timing import change
from pitwall.timing.bests import best
from pitwall.timing.change import Change
from pitwall.timing.records import Best
from tests.timing.script import PRACTICE, QUALIFYING, RACE, SECTORS, START, TOTAL, Script, lap_time


class TestBests:
    """The best lap, also of laps this state has not seen."""

    def test_a_best_told_of_a_lap_not_seen_counts(self) -> None:
        script = Script(PRACTICE)
        line = {"NumberOfLaps": 9, "InPit": False, "BestLapTime": {"Value": "1:19.500", "Lap": 4}}
        script.tell(0, "TimingData", {"Lines": {"7": line}}, snapshot=True)
        at = script.lap(0, 10, SECTORS)
        script.lap(at, 11, (30_000, 24_000, 25_000))
        script.finish()
        assert best(script.car()) == Best(79_000, 10)
        assert {n: lap.personal_best for n, lap in script.laps_of().items()} == {9: False, 10: True}

    def test_a_personal_best_is_the_best_of_its_part_of_qualifying(self) -> None:
        """As the feed marks it: Imola 2025, car 1's first lap of Q2 was slower than its best of Q1, and green."""
        script = Script(QUALIFYING)
        script.tell(0, "TimingData", {"SessionPart": 1, "Lines": {"7": {"InPit": True}}})
        script.line(10, InPit=False, NumberOfLaps=1)
        script.line(100, NumberOfLaps=2)
        script.line(180, NumberOfLaps=3, LastLapTime={"Value": "1:20.000"})
        script.line(240, InPit=True)
        script.line(245, LastLapTime={"Value": "1:25.000"})
        script.tell(400, "TimingData", {"SessionPart": 2, "Lines": {"7": {"LastLapTime": {"Value": ""}}}})
        script.line(500, InPit=False, NumberOfLaps=4)
        script.line(600, NumberOfLaps=5)
        script.line(681, NumberOfLaps=6, LastLapTime={"Value": "1:21.000"})
        script.line(763, NumberOfLaps=7, LastLapTime={"Value": "1:22.000"})
        script.finish()
        timed = {n: lap.personal_best for n, lap in script.laps_of().items() if lap.time}
        assert timed == {2: True, 3: False, 5: True, 6: False}
        driver: Any = script.document(change.DRIVER, "7")
        assert {part: told.lap_time_ms for part, told in driver.best_by_part.items()} == {"1": 80_000, "2": 81_000}

    def test_a_best_taken_back_that_no_lap_has_deletes_none(self) -> None:
        script = Script(PRACTICE)
        script.line(0, InPit=False, NumberOfLaps=1)
        script.lap(0, 2, SECTORS)
        script.line(200, BestLapTime={"Value": "1:19.000", "Lap": 1})
        script.line(230, BestLapTime={"Value": "1:20.000", "Lap": 1})
        script.line(260, BestLapTime={"Value": ""})
        assert not any(lap.deleted for lap in script.laps_of().values())

    def test_a_ruling_on_a_car_that_is_not_there_changes_no_lap(self) -> None:
        script = Script()
        told = {"Messages": [{"Message": "CAR 99 (ZZZ) TIME 1:20.000 DELETED - X LAP 3"}]}
        assert script.tell(1, "RaceControlMessages", told) == {Change(change.RACE_CONTROL, 0)}

    def test_a_ruling_on_a_lap_not_yet_told_is_there_when_it_is(self) -> None:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        script.sector1(at + 30.1, SECTORS[0])
        script.sector2(at + 59.3, SECTORS[1])
        script.line(at + 84.6, NumberOfLaps=2)
        script.race_control(at + 85, f"CAR 7 (AAA) TIME {lap_time(TOTAL)} DELETED - TRACK LIMITS LAP 2 15:00:00")
        script.line(at + 86, Sectors={"2": {"Value": "25.300"}}, LastLapTime={"Value": lap_time(TOTAL)})
        script.finish()
        assert (script.laps_of()[2].deleted, script.laps_of()[2].deleted_reason) == (True, "TRACK LIMITS")

    def test_two_rulings_wait_each_for_its_own_lap(self) -> None:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        for lap, time in ((3, "1:24.700"), (2, "1:24.600")):
            script.race_control(at + 1, f"CAR 7 (AAA) TIME {time} DELETED - TRACK LIMITS LAP {lap} 15:00:00")
        at = script.lap(at, 2, SECTORS)
        assert [n for n, lap in script.laps_of().items() if lap.deleted] == [2]
        script.lap(at, 3, (30_200, 29_200, 25_300))
        assert [n for n, lap in script.laps_of().items() if lap.deleted] == [2, 3]


class TestTyres:
    """The set a car is on."""

    def test_stints_told_before_any_line_of_the_car_are_kept(self) -> None:
        script = Script(started=False)
        script.stints(0, {"0": {"Compound": "SOFT", "TotalLaps": 2, "StartLaps": 2, "New": "false"}, "1": None})
        assert [stint.compound for stint in script.car().stints] == ["SOFT", None]

    def test_a_stint_whose_start_is_not_told_has_no_age(self) -> None:
        script = Script()
        script.stints(0, [{"Compound": "SOFT"}])
        script.lap(0, 1, SECTORS, first=True)
        script.finish()
        lap: Any = script.document(change.LAP, 1)
        assert (lap.drivers["7"].compound, lap.drivers["7"].tyre_age) == ("SOFT", UNSET)

    def test_the_last_lap_on_the_old_set_counted_after_the_new_one_is_told_changes_no_stint(self) -> None:
        script = Script()
        script.stints(0, [{"Compound": "SOFT", "TotalLaps": 0, "StartLaps": 0}])
        script.sector2(60, 29_000)
        script.line(84, InPit=True)
        script.line(85, NumberOfLaps=1)
        script.stints(87, {"1": {"Compound": "HARD", "TotalLaps": 0, "StartLaps": 0}})
        script.stints(88, {"0": {"TotalLaps": 1}})
        script.line(105, InPit=False)
        script.lap(85, 2, SECTORS)
        script.finish()
        assert [lap.stint for lap in script.laps_of().values()] == [0, 1]

    def test_joined_in_a_stint_the_feed_does_not_count_the_age_is_not_known(self) -> None:
        script = Script()
        told = {"Lines": {"7": {"Stints": [{"Compound": "SOFT", "StartLaps": 0}]}}}
        script.tell(0, "TimingAppData", told, snapshot=True)
        script.tell(0, "TimingData", {"Lines": {"7": {"NumberOfLaps": 12}}}, snapshot=True)
        script.lap(0, 13, SECTORS)
        script.finish()
        lap: Any = script.document(change.LAP, 13)
        assert (lap.drivers["7"].compound, lap.drivers["7"].tyre_age) == ("SOFT", UNSET)

    def test_a_pit_lane_time_of_another_lap_is_the_last_visits(self) -> None:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        script.line(at - 1, InPit=True)
        script.line(at + 20, InPit=False)
        script.tell(at + 21, "PitLaneTimeCollection", {"PitTimes": {"7": {"Duration": "21.0", "Lap": "9"}}})
        assert [visit.lane_time for visit in script.car().visits] == [21_000]


def test_a_status_that_steps_back_in_time_is_placed_by_its_instant() -> None:
    script = Script()
    at = script.lap(0, 1, SECTORS, first=True)
    script.tell(at + 16, "TrackStatus", {"Status": "2"})
    script.tell(at + 6, "TrackStatus", {"Status": "1"})
    script.lap(at, 2, SECTORS)
    script.finish()
    assert set(script.laps_of()[2].statuses) == {"1", "2"}


def test_an_instant_of_a_part_never_goes_back() -> None:
    script = Script()
    script.line(10, Position="1")
    script.line(8, Position="2")
    assert script.state.changed_at(Change(change.TOWER)) == START + 10_000


def test_joined_late_the_status_is_known_from_session_info() -> None:
    script = Script({**RACE, "SessionStatus": "Started"}, started=False)
    assert [item.data["Status"] for item in script.state.data.session_status] == ["Started"]
    assert script.state.data.started_at is None, "when it started is not known"


def test_mini_sectors_alone_change_no_tower() -> None:
    script = Script()
    script.line(1, Position="1")
    changed = script.line(2, Sectors={"0": {"Segments": {"1": {"Status": 2049}}}}, Speeds={"ST": {"Value": "300"}})
    assert changed == {Change(change.SEGMENTS)}
    segments: Any = script.document(change.SEGMENTS)
    assert segments.lines["7"].s1 == "g"
