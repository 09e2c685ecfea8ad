"""Visits to the pits, stints, drivers who change, and numbers that come late."""

from __future__ import annotations

from pitwall.timing import change
from tests.karting.script import START, Script


def test_a_visit_ends_a_stint():
    script = Script("7")
    script.lap(70, 70_001)
    script.pit(130, True)
    assert script.tower()["7"].ip is True
    script.pit(250, False)
    script.line(250, Status="pitOut")
    assert script.tower()["7"].po is True
    script.lap(300, 230_000, Status="onTrack")
    script.lap(370, 70_002)
    driver = script.driver()
    assert [(stint.laps, stint.start_lap, stint.end_lap) for stint in driver.stints] == [(2, 1, 2), (1, 3, 3)]
    (stop,) = driver.pit_stops
    assert (stop.lap, stop.lane_time_ms, stop.stop) == (2, 120_000, True)
    assert (script.lap_document(2).pit_in, script.lap_document(2).pit_out) == (True, True)
    assert script.document(change.TYRES).lines["7"].stops == 1  # type: ignore[attr-defined]


def test_the_board_may_tell_a_visit_twice():
    script = Script("7")
    script.lap(70, 70_001)
    script.line(130, Status="inPit")
    script.pit(130.2, True)
    script.line(250, Status="pitOut")
    script.pit(250.2, False)
    assert len(script.kart().visits) == 1
    assert script.kart().visits[0].in_at == START + 130_000


def test_leaving_the_pits_into_the_session_is_no_stop():
    script = Script("7", Status="inPit")
    script.pit(20, False)
    script.lap(90, 70_001)
    assert [stop.stop for stop in script.driver().pit_stops] == [False]
    assert script.document(change.TYRES).lines["7"].stops == 0  # type: ignore[attr-defined]


def test_the_boards_count_of_stops_goes_before_what_was_seen():
    script = Script("7", Laps=100, LastLapMs=70_000, Stops=4)
    assert script.document(change.TYRES).lines["7"].stops == 4  # type: ignore[attr-defined]


def test_drivers_change_in_a_kart():
    script = Script("7", Team="Alpha", Driver="A. Driver")
    script.lap(70, 70_001)
    script.pit(130, True)
    script.line(140, Driver="B. Driver")
    script.pit(250, False)
    script.lap(300, 230_000)
    driver = script.driver()
    assert [(told.lap, told.driver) for told in driver.driver_changes] == [(2, "B. Driver")]
    assert driver.full_name == "B. Driver"
    assert driver.stints[-1].driver == "B. Driver"
    entry = script.document(change.ENTRIES).lines["7"]  # type: ignore[attr-defined]
    assert (entry.full_name, entry.team_name) == ("B. Driver", "Alpha")


def test_the_same_driver_after_a_stop_is_no_change():
    script = Script("7", Driver="A. Driver")
    script.lap(70, 70_001)
    script.pit(130, True)
    script.pit(250, False)
    script.line(260, Driver="A. Driver")
    assert not script.driver().driver_changes
    assert [stint.driver for stint in script.driver().stints] == ["A. Driver", "A. Driver"]


def test_a_board_told_anew_shows_the_team_and_forgets_no_driver():
    script = Script("7", Team="Alpha", Driver="A. Driver", Penalty="3 Trs")
    script.board(60, {"r7": {"Number": "7", "Team": "Alpha"}})
    entry = script.document(change.ENTRIES).lines["7"]  # type: ignore[attr-defined]
    assert (entry.full_name, entry.team_name, bool(entry.penalty)) == ("A. Driver", "Alpha", False)


def test_a_pit_cell_can_come_before_the_number_of_the_kart():
    script = Script()
    script.line(10, "9", Stops=1)
    script.pit(11, True, "9")
    script.lap(70, 70_001, "9")
    assert script.state.racing_numbers == []
    told = script.line(80, "9", Number="012")
    assert (change.LAP, 1) in told
    assert script.lap_document(1, "012").lap_time_ms == 70_001
    assert script.tower()["012"].ip is True


def test_numbers_are_as_painted_and_nobody_shares_one():
    script = Script()
    script.board(0, {"a": {"Number": "7A"}, "b": {"Number": "7A"}, "c": {"Number": "n° 3/4"}, "d": {"Number": "日"}})
    assert script.state.racing_numbers == ["7A", "7A-b", "n-3-4", "d"]


def test_categories_and_penalties_are_in_the_boards_words():
    script = Script("7", Category="Mini", Penalty="3 Trs", Colour="FF8000", Nation="ESP")
    entry = script.document(change.ENTRIES).lines["7"]  # type: ignore[attr-defined]
    assert (entry.category, entry.penalty, entry.team_colour) == ("Mini", "3 Trs", "FF8000")
    assert (script.driver().category, script.driver().country_code) == ("Mini", "ESP")
