"""Gaps of the feed: what a snapshot gives back of the laps driven in one, and what is marked where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from pitwall.documents.drivers import LapDocument
from pitwall.documents.encoding import to_fields
from pitwall.documents.session import GapDocument
from pitwall.message import FEED_GAP
from pitwall.timing.change import GAP, LAP, TOWER
from pitwall.timing.state import SessionState
from tests.timing.script import PRACTICE, QUALIFYING, RACE, SECTORS, START, TOTAL, Script, lap_time, racing, seconds

Shown = tuple[int | None, int | None, int | None]


def lost(script: Script, since: float, until: float) -> None:
    """The connection is lost for a while."""
    ms = [START + round(at * 1000) for at in (since, until)]
    script.tell(until, FEED_GAP, {"From": ms[0], "To": ms[1], "Reason": "the connection was lost"})


def line(counter: int, shown: Shown, time: int, **more: Any) -> dict[str, Any]:
    told = [{"Value": "" if ms is None else seconds(ms)} for ms in shown]
    return {"NumberOfLaps": counter, "Sectors": told, "LastLapTime": {"Value": lap_time(time)}, "InPit": False, **more}


def back(script: Script, at: float, of_7: dict[str, Any], stints: list[Any] | None = None) -> None:
    """The snapshot after a gap; the tyres are told before the laps, as in every subscribe answer."""
    script.tell(at, "SessionData", {"Series": [], "StatusSeries": []}, snapshot=True)
    if stints is not None:
        script.tell(at, "TimingAppData", {"Lines": {"7": {"Stints": stints}}}, snapshot=True)
    script.tell(at, "TimingData", {"Lines": {"7": of_7}}, snapshot=True)
    script.tell(at + 0.1, "Heartbeat", {"Utc": "2030-01-01T00:00:00Z"})


def told(script: Script, n: int = 0) -> GapDocument:
    document = script.document(GAP, n)
    assert isinstance(document, GapDocument)
    return document


def stored(script: Script, lap: int) -> dict[str, Any]:
    document = script.document(LAP, lap)
    assert isinstance(document, LapDocument)
    return dict(to_fields(document)["drivers"]["7"])


def test_the_last_lap_of_a_gap_is_whole_where_its_sectors_add_up_to_its_time() -> None:
    script, at = racing(1)
    script.sector1(at + 30.1, SECTORS[0])
    lost(script, at + 31, at + 90)
    back(script, at + 90, line(2, SECTORS, TOTAL))
    script.lap(at + 84.6, 3, SECTORS)
    script.finish()
    assert script.times() == {1: TOTAL, 2: TOTAL, 3: TOTAL}
    assert script.laps_of()[2].sectors == list(SECTORS)
    assert script.laps_of()[2].ended_at == START + round((at + 84.6) * 1000), "as its beginning and its time say"


def test_where_it_ended_and_how_far_behind_is_never_sent_again_so_it_is_marked() -> None:
    script, at = racing(1)
    lost(script, at + 31, at + 90)
    back(script, at + 90, line(2, SECTORS, TOTAL))
    script.finish()
    assert told(script).laps == {"7": [2]}
    assert stored(script, 2)["missed"] is True
    assert "position" not in stored(script, 2)


def test_laps_of_which_nothing_is_shown_have_an_entry_without_a_time() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 290)
    back(script, at + 290, line(4, (31_000, None, None), 84_000))
    script.finish()
    assert script.times() == {1: TOTAL, 2: None, 3: None, 4: 84_000}
    assert told(script).laps == {"7": [2, 3, 4]}


def test_laps_after_a_gap_go_on_with_their_own_numbers() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 290)
    back(script, at + 290, line(4, (31_000, None, None), 84_000))
    script.sector2(at + 300, 29_000)
    script.line(at + 330, NumberOfLaps=5, Sectors={"2": {"Value": "25.000"}}, LastLapTime={"Value": lap_time(85_000)})
    script.lap(at + 330, 6, SECTORS)
    script.finish()
    assert script.laps_of()[5].sectors == [31_000, 29_000, 25_000]
    assert list(script.laps_of()) == [1, 2, 3, 4, 5, 6]
    assert stored(script, 6).get("missed") is None


def test_a_best_lap_of_the_gap_has_its_time_whichever_lap_it_was() -> None:
    script, at = racing(2)
    lost(script, at + 5, at + 370)
    best = {"Value": lap_time(83_000), "Lap": 4}
    back(script, at + 370, line(6, (31_000, None, None), 84_000, BestLapTime=best))
    script.finish()
    assert script.times()[4] == 83_000
    assert script.document("driver", "7").best_lap == 4  # type: ignore[attr-defined]


def test_a_time_told_before_its_crossing_is_not_the_lap_before_s_where_the_best_lap_tells_its_number() -> None:
    """The snapshot falls into the second between a lap's time and its crossing; the lap before ended in the gap."""
    script, at = racing(1)
    script.sector1(at + 31, 31_000)
    lost(script, at + 32, at + 167)
    shown = [{"Value": "30.100"}, {"Value": "29.200"}, {"Value": "", "PreviousValue": "25.300"}]
    best = {"Value": lap_time(84_000), "Lap": 3}
    back(script, at + 167, line(2, SECTORS, 84_000) | {"Sectors": shown, "BestLapTime": best})
    script.line(at + 168.5, NumberOfLaps=3, Sectors={"2": {"Value": "24.700"}})
    script.finish()
    assert script.times() == {1: TOTAL, 2: None, 3: 84_000}
    assert script.laps_of()[2].sectors == [31_000, None, 25_300]


def test_the_best_lap_of_the_gap_keeps_its_time_though_the_next_lap_takes_as_long() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 120)
    best = {"Value": lap_time(TOTAL), "Lap": 2}
    back(script, at + 120, line(2, (SECTORS[0], None, None), TOTAL, BestLapTime=best))
    script.lap(at + 84.6, 3, SECTORS, time=None)
    script.finish()
    assert script.times() == {1: TOTAL, 2: TOTAL, 3: TOTAL}
    assert "personalBest" not in stored(script, 3)


def test_a_lap_that_ends_after_the_gap_is_whole_and_not_marked() -> None:
    script, at = racing(1)
    script.line(at + 1, Position="1")
    script.sector1(at + 30.1, SECTORS[0])
    lost(script, at + 31, at + 65)
    back(script, at + 65, line(1, (SECTORS[0], SECTORS[1], None), TOTAL, Position="1"))
    crossing = {"Sectors": {"2": {"Value": "25.300"}}, "LastLapTime": {"Value": lap_time(TOTAL)}}
    script.line(at + 84.6, NumberOfLaps=2, **crossing)
    script.finish()
    assert script.laps_of()[2].sectors == list(SECTORS)
    assert (told(script).laps, told(script).merged) == ({}, True)


def test_a_snapshot_equal_to_what_is_known_changes_no_lap() -> None:
    script, at = racing(3)
    script.line(at, InPit=False)
    script.sector1(at + 30.1, SECTORS[0])
    before = dict(script.times())
    script.changes.clear()
    lost(script, at + 31, at + 32)
    of_7 = line(3, (SECTORS[0], None, None), TOTAL)
    back(script, at + 32, {**of_7, "Sectors": {str(n): sector for n, sector in enumerate(of_7["Sectors"])}})
    assert [change for change in script.changes if change.what in (LAP, TOWER)] == []
    assert script.times() == before


def test_an_older_snapshot_runs_no_counter_back() -> None:
    script, at = racing(3)
    lost(script, at + 1, at + 2)
    back(script, at + 2, line(2, SECTORS, TOTAL))
    at = script.lap(at, 4, SECTORS)
    script.finish()
    assert list(script.laps_of()) == [1, 2, 3, 4]
    assert script.times()[3] == TOTAL


def test_a_time_its_sectors_do_not_bear_out_is_not_the_last_laps() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 290)
    back(script, at + 290, line(4, SECTORS, TOTAL + 500))
    script.finish()
    assert script.times()[4] is None


def test_a_stop_in_the_gap_is_found_by_the_laps_counted_on_each_set() -> None:
    script = Script()
    worn = {"Compound": "MEDIUM", "New": "true", "StartLaps": 0, "TotalLaps": 0}
    script.stints(0, [worn])
    at = script.lap(0, 1, SECTORS, first=True)
    script.stints(at + 1, {"0": {"TotalLaps": 1}})
    lost(script, at + 5, at + 430)
    fitted = {"Compound": "HARD", "New": "true", "StartLaps": 0, "TotalLaps": 3}
    back(script, at + 430, line(6, (30_000, None, None), TOTAL, NumberOfPitStops=1), [{**worn, "TotalLaps": 3}, fitted])
    script.lap(at + 430, 7, SECTORS)
    script.finish()
    laps = script.laps_of()
    assert [lap.stint for lap in laps.values()] == [0, 0, 0, 1, 1, 1, 1]
    assert [n for n, lap in laps.items() if lap.pit_in] == [3]
    assert [n for n, lap in laps.items() if lap.pit_out] == [4]
    assert stored(script, 7)["tyreAge"] == 4


def test_a_deletion_of_the_gap_deletes_the_lap_and_tells_its_time() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 290)
    back(script, at + 290, line(4, (31_000, None, None), 84_000))
    script.race_control(at + 291, "CAR 7 (AAA) TIME 1:23.456 DELETED - TRACK LIMITS AT TURN 4 LAP 3 15:32:01")
    lap = script.laps_of()[3]
    assert (lap.time, lap.deleted) == (83_456, True)


def test_the_best_lap_falls_back_where_it_was_deleted_in_the_gap() -> None:
    script, at = racing(1)
    at = script.lap(at, 2, (30_000, 29_000, 25_000))
    script.line(at, BestLapTime={"Value": lap_time(84_000), "Lap": 2})
    at = script.lap(at, 3, SECTORS)
    lost(script, at + 5, at + 50)
    best = {"Value": lap_time(TOTAL), "Lap": 3}
    back(script, at + 50, line(3, (SECTORS[0], None, None), TOTAL, BestLapTime=best))
    assert script.laps_of()[2].deleted
    assert script.document("driver", "7").best_lap_ms == TOTAL  # type: ignore[attr-defined]


def test_a_car_that_retired_in_the_gap_keeps_the_lap_it_was_on_without_a_time() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 290)
    back(script, at + 290, line(2, (31_000, None, None), TOTAL, Retired=True))
    script.finish()
    laps = script.laps_of()
    assert (laps[3].finished, laps[3].ended_at) == (False, None)
    assert 3 in told(script).laps["7"]


def test_the_end_of_the_race_in_the_gap_adds_no_lap() -> None:
    script = Script(laps=3)
    at = script.lap(0, 1, SECTORS, first=True)
    lost(script, at + 5, at + 290)
    script.tell(at + 290, "SessionStatus", {"Status": "Finalised"}, snapshot=True)
    back(script, at + 290, line(3, SECTORS, TOTAL))
    script.finish()
    assert list(script.laps_of()) == [1, 2, 3]
    assert all(lap.finished for lap in script.laps_of().values())


def test_the_start_of_the_race_in_the_gap_leaves_lap_one_without_a_time() -> None:
    script = Script(started=False)
    script.status(0, "Inactive")
    script.line(1, Position="1")
    lost(script, 2, 200)
    script.tell(200, "SessionStatus", {"Status": "Started"}, snapshot=True)
    back(script, 200, line(1, (31_000, None, None), TOTAL, Position="1"))
    script.finish()
    assert script.times().get(1) is None


def test_a_practice_lap_that_ended_in_the_pits_in_the_gap_is_told_from_the_one_after() -> None:
    script = Script(PRACTICE)
    script.line(0, InPit=False, NumberOfLaps=1)
    script.line(100, NumberOfLaps=2)
    lost(script, 110, 300)
    back(script, 300, line(2, SECTORS, TOTAL, InPit=True))
    script.line(600, InPit=False, NumberOfLaps=3)
    script.line(700, NumberOfLaps=4)
    script.finish()
    assert [n for n, lap in script.laps_of().items() if lap.pit_in] == [2]
    assert list(script.laps_of()) == [1, 2, 3]
    assert script.times()[2] == TOTAL


def test_a_part_of_qualifying_that_began_in_the_gap_takes_no_best_lap_back() -> None:
    script = Script(QUALIFYING)
    script.tell(0, "TimingData", {"SessionPart": 1, "Lines": {"7": {"InPit": False, "NumberOfLaps": 1}}})
    script.lap(0, 2, SECTORS)
    script.line(85, BestLapTime={"Value": lap_time(TOTAL), "Lap": 1})
    lost(script, 90, 700)
    of_7 = line(4, (None, None, None), 86_000, BestLapTime={"Value": lap_time(86_000), "Lap": 3})
    script.tell(700, "TimingData", {"SessionPart": 2, "Lines": {"7": of_7}}, snapshot=True)
    script.finish()
    assert not script.laps_of()[1].deleted
    assert script.times()[3] == 86_000


def test_statuses_that_came_and_went_in_the_gap_are_known_with_their_instants() -> None:
    script, at = racing(1)
    script.tell(at, "TrackStatus", {"Status": "1", "Message": "AllClear"})
    lost(script, at + 1, at + 60)
    yellow = {"Utc": "2030-01-01T12:15:00Z", "TrackStatus": "Yellow"}
    clear = {"Utc": "2030-01-01T12:15:20Z", "TrackStatus": "AllClear"}
    script.tell(at + 60, "SessionData", {"StatusSeries": [yellow, clear]}, snapshot=True)
    script.tell(at + 60, "TrackStatus", {"Status": "1", "Message": "AllClear"}, snapshot=True)
    told_now = [(item.at - START, item.data["Status"]) for item in script.state.data.track_status]
    assert told_now[1:] == [(100_000, "2"), (120_000, "1")]


def test_equal_weather_in_a_snapshot_is_no_report() -> None:
    script, at = racing(1)
    weather = {"AirTemp": "22.4", "Humidity": "55.0"}
    script.tell(at, "WeatherData", weather)
    lost(script, at + 1, at + 60)
    script.tell(at + 60, "WeatherData", weather, snapshot=True)
    assert len(script.state.data.weather) == 1


def test_a_gap_never_closed_names_the_laps_that_were_under_way() -> None:
    script, at = racing(1)
    script.sector1(at + 30.1, SECTORS[0])
    lost(script, at + 31, at + 3_000)
    script.finish()
    assert (told(script).merged, told(script).laps) == (False, {"7": [2]})


def test_a_gap_before_anything_is_known_is_none() -> None:
    script = Script(info=None, started=False)
    lost(script, 0, 10)
    assert script.state.data.gaps == []


@pytest.mark.parametrize("data", [{}, {"From": "x", "To": None}, {"From": 9e99}, [], None, "gap"])
def test_a_gap_that_says_nothing_harms_nothing(data: Any) -> None:
    script, at = racing(1)
    script.tell(at + 10, FEED_GAP, data)
    back(script, at + 40, line(1, (SECTORS[0], None, None), TOTAL))
    assert script.times() == {1: TOTAL}


def test_a_state_put_down_in_a_gap_goes_on_where_it_was() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 290)
    script.state = SessionState.load(script.state.dump())
    back(script, at + 290, line(4, (31_000, None, None), 84_000))
    script.state = SessionState.load(script.state.dump())
    assert told(script).laps == {"7": [2, 3, 4]}


def test_a_car_that_stood_in_the_pits_until_the_gap_has_all_its_laps_and_left_on_the_first() -> None:
    script = Script(PRACTICE)
    script.line(0, InPit=True)
    lost(script, 10, 400)
    back(script, 400, line(3, (30_100, None, None), TOTAL))
    script.finish()
    laps = script.laps_of()
    assert list(laps) == [1, 2]
    assert [n for n, lap in laps.items() if lap.pit_out] == [1]
    assert told(script).laps == {"7": [1, 2]}


def test_the_time_of_a_lap_that_had_just_ended_is_its_own_though_its_sector_three_was_not_told() -> None:
    script, at = racing(1)
    script.sector1(at + 30.1, SECTORS[0])
    script.sector2(at + 59.3, SECTORS[1])
    script.line(at + 84.6, NumberOfLaps=2)
    lost(script, at + 85, at + 89)
    back(script, at + 89, line(2, (SECTORS[0], SECTORS[1], None), TOTAL))
    script.finish()
    assert script.times()[2] == TOTAL
    assert script.laps_of()[2].sectors == list(SECTORS)


def test_a_time_no_lap_takes_is_not_the_last_laps() -> None:
    """As after a red flag: it counts the time the cars stood."""
    script, at = racing(1)
    lost(script, at + 5, at + 2_000)
    back(script, at + 2_000, line(4, (31_000, None, None), 1_500_000))
    script.lap(at + 2_000, 5, SECTORS)
    script.finish()
    assert script.times()[4] is None
    assert script.times()[5] == TOTAL


@pytest.mark.parametrize("sector_1_told", [True, False])
def test_without_a_time_to_compare_sector_one_says_whose_the_sectors_shown_are(sector_1_told: bool) -> None:
    script, at = racing(1)
    if sector_1_told:
        script.sector1(at + 30.1, SECTORS[0])
    lost(script, at + 31, at + 86)
    back(script, at + 86, {**line(2, (SECTORS[0], SECTORS[1], None), TOTAL), "LastLapTime": {"Value": ""}})
    script.line(at + 87, Sectors={"2": {"Value": seconds(SECTORS[2])}}, LastLapTime={"Value": lap_time(TOTAL)})
    script.finish()
    assert script.laps_of()[2].sectors == (list(SECTORS) if sector_1_told else [None, None, None])


def test_sectors_that_do_not_bear_out_the_best_lap_are_not_kept_with_it() -> None:
    script, at = racing(1)
    script.sector1(at + 30.1, SECTORS[0])
    script.sector2(at + 59.3, SECTORS[1])
    script.line(at + 84.5, Sectors={"2": {"Value": seconds(SECTORS[2])}})
    lost(script, at + 84.6, at + 200)
    best = {"Value": lap_time(83_000), "Lap": 2}
    back(script, at + 200, line(3, (31_000, None, None), 86_000, BestLapTime=best))
    script.finish()
    assert script.times()[2] == 83_000
    assert script.laps_of()[2].sectors == [None, None, None]


def test_the_chequered_flag_of_the_gap_ends_the_race_of_those_a_lap_down() -> None:
    script = Script(laps=3)
    at = script.lap(0, 1, SECTORS, first=True)
    script.lap(0, 1, (31_000, 30_000, 39_000), number="8", first=True)
    lost(script, at + 20, at + 175)
    both = {"7": line(3, SECTORS, TOTAL), "8": line(1, (31_000, 30_000, None), 100_000)}
    script.tell(at + 175, "TimingData", {"Lines": both}, snapshot=True)
    script.line(at + 190, "8", NumberOfLaps=2, Sectors={"2": {"Value": "39.000"}}, LastLapTime={"Value": "1:40.000"})
    script.lap(at + 190, 3, SECTORS, number="8")
    script.finish()
    assert list(script.laps_of()) == [1, 2, 3]
    assert list(script.laps_of("8")) == [1, 2]


STOPPED_ONCE = [
    pytest.param(None, (3, 3), id="nothing was told of the tyres before"),
    pytest.param(1, (3, 9), id="more laps are counted than were driven"),
]


@pytest.mark.parametrize(("counted", "then"), STOPPED_ONCE)
def test_where_the_laps_on_each_set_are_not_certain_no_lap_is_given_a_set(
    counted: int | None, then: tuple[int, int]
) -> None:
    script = Script()
    at = script.lap(0, 1, SECTORS, first=True)
    sets: list[dict[str, Any]] = [{"Compound": name, "New": "true", "StartLaps": 0} for name in ("MEDIUM", "HARD")]
    if counted is not None:
        script.stints(at + 1, [{**sets[0], "TotalLaps": counted}])
    lost(script, at + 5, at + 430)
    now = [{**one, "TotalLaps": laps} for one, laps in zip(sets, then, strict=True)]
    back(script, at + 430, line(6, (30_000, None, None), TOTAL, NumberOfPitStops=1), now)
    script.lap(at + 430, 7, SECTORS)
    script.finish()
    assert [script.laps_of()[n].stint for n in range(2, 8)] == [None] * 5 + [1]
    assert [n for n, lap in script.laps_of().items() if lap.pit_in] == []


def test_a_stop_in_the_gap_is_found_though_the_set_was_fitted_before_anyone_listened() -> None:
    script = Script()
    worn = {"Compound": "MEDIUM", "New": "true", "StartLaps": 0, "TotalLaps": 10}
    script.tell(900, "TimingData", {"Lines": {"7": line(10, (30_000, None, None), TOTAL)}}, snapshot=True)
    script.tell(900, "TimingAppData", {"Lines": {"7": {"Stints": [worn]}}}, snapshot=True)
    at = script.lap(870, 11, SECTORS)
    script.stints(at + 1, {"0": {"TotalLaps": 11}})
    lost(script, at + 5, at + 290)
    fitted = {"Compound": "HARD", "New": "true", "StartLaps": 0, "TotalLaps": 1}
    now = [{**worn, "TotalLaps": 13}, fitted]
    back(script, at + 290, line(14, (31_000, None, None), 84_000, NumberOfPitStops=1), now)
    script.finish()
    laps = script.laps_of()
    assert [laps[n].stint for n in (12, 13, 14)] == [0, 0, 1]
    assert [n for n, lap in laps.items() if lap.pit_in] == [13]


@pytest.mark.parametrize("info", [RACE, PRACTICE], ids=["race", "practice"])
def test_a_car_that_came_in_before_the_gap_on_a_lap_begun_unseen_did_so_on_that_lap(info: dict[str, Any]) -> None:
    script = Script(info)
    on = 11 if info is RACE else 10
    script.tell(900, "TimingData", {"Lines": {"7": line(10, (30_000, None, None), TOTAL)}}, snapshot=True)
    script.line(940, InPit=True)
    lost(script, 941, 1_200)
    back(script, 1_200, line(12, (31_000, None, None), 84_000, NumberOfPitStops=1))
    script.finish()
    laps = script.laps_of()
    assert list(laps) == [on, on + 1]
    assert [n for n, lap in laps.items() if lap.pit_in] == [on]
    assert [n for n, lap in laps.items() if lap.pit_out] == [on + 1]


def test_a_lap_under_way_when_the_race_ended_in_the_gap_has_no_instant_it_ended() -> None:
    script, at = racing(2)
    script.sector1(at + 30.1, SECTORS[0])
    lost(script, at + 31, at + 60)
    over = {"Utc": "2030-01-01T12:17:00Z", "SessionStatus": "Finished"}
    assert START + round((at + 31) * 1000) < START + 220_000 < START + round((at + 60) * 1000)
    script.tell(at + 60, "SessionData", {"Series": [], "StatusSeries": [over]}, snapshot=True)
    script.tell(at + 60, "SessionStatus", {"Status": "Finished"}, snapshot=True)
    of_7 = line(2, (SECTORS[0], None, None), TOTAL)
    script.tell(at + 60, "TimingData", {"Lines": {"7": of_7}}, snapshot=True)
    script.status(at + 61, "Finalised")
    lap = script.laps_of()[3]
    assert (lap.finished, lap.ended_at) == (False, None)
    assert told(script).laps == {"7": [3]}


def test_a_connection_lost_again_before_the_snapshot_came_is_one_gap() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 20)
    lost(script, at + 20, at + 290)
    back(script, at + 290, line(4, (31_000, None, None), 84_000))
    script.finish()
    (gap,) = script.state.data.gaps
    assert (gap.started_at, gap.ended_at) == (START + round((at + 5) * 1000), START + round((at + 290) * 1000))
    assert told(script).laps == {"7": [2, 3, 4]}


def test_tyres_of_a_snapshot_that_has_nothing_else_of_the_cars_are_taken() -> None:
    script, at = racing(1)
    worn = {"Compound": "MEDIUM", "New": "true", "StartLaps": 0, "TotalLaps": 0}
    script.stints(at + 1, [worn])
    lost(script, at + 5, at + 50)
    script.tell(at + 50, "TimingAppData", {"Lines": {"7": {"Stints": [{**worn, "Compound": "SOFT"}]}}}, snapshot=True)
    script.tell(at + 51, "Heartbeat", {"Utc": "2030-01-01T00:00:00Z"})
    assert [stint.compound for stint in script.car().stints] == ["SOFT"]
    assert "TimingData" in script.state.data.gaps[0].withheld


def test_sectors_left_of_the_lap_before_are_not_those_of_the_lap_the_car_is_on() -> None:
    script, at = racing(1)
    lost(script, at + 5, at + 310)
    back(script, at + 310, line(4, (31_000, 29_000, None), 84_000))
    script.lap(at + 310, 5, SECTORS)
    script.finish()
    assert list(script.laps_of()) == [1, 2, 3, 4, 5]
    assert script.laps_of()[5].sectors == list(SECTORS)


def test_a_practice_lap_that_ended_in_the_pits_unseen_has_no_instant_it_ended() -> None:
    """The counter of the snapshot is older than what was told: it brings nothing but that the car is in."""
    script = Script(PRACTICE)
    script.line(0, InPit=False, NumberOfLaps=1)
    at = script.lap(0, 2, SECTORS)
    script.sector1(at + 30.1, SECTORS[0])
    lost(script, at + 31, at + 120)
    back(script, at + 120, line(1, (SECTORS[0], None, None), TOTAL, InPit=True))
    script.finish()
    lap = script.laps_of()[2]
    assert (lap.pit_in, lap.ended_at) == (True, None)
    assert told(script).laps == {"7": [2]}
