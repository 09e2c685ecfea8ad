"""Laps and rows a board tells of again: corrected, missed, or gone for a while."""

from __future__ import annotations

from tests.karting.script import Script


def test_a_lap_that_is_told_again_has_its_time_corrected():
    script = Script("7")
    script.cross(60, Laps=1, LapMs=60_080)
    script.line(61, LastLapMs=60_000)
    script.cross(61, Laps=1, LapMs=60_000)
    assert {lap.number: (lap.time, lap.ended_at) for lap in script.kart().laps.values()} == {
        1: (60_000, script.kart().crossed_at)
    }
    script.cross(120, Laps=2, LapMs=60_500)
    assert [lap.time for lap in script.kart().laps.values()] == [60_000, 60_500]


def test_a_lap_that_was_taken_back_can_be_given_again():
    script = Script("7")
    script.line(60, Laps=1)
    script.cross(60, Laps=1, LapMs=60_000)
    script.line(70, Laps=0)
    assert script.kart().laps[1].taken_back
    script.line(80, Laps=1)
    script.cross(80, Laps=1, LapMs=60_000)
    assert not script.kart().laps[1].taken_back


def test_a_lap_driven_before_the_kart_was_seen_is_told_by_its_number():
    script = Script("7", Laps=5)
    script.cross(10, Laps=3, LapMs=61_000)
    lap = script.kart().laps[3]
    assert (lap.time, lap.unseen, lap.ended_at) == (61_000, True, None)
    assert script.kart().count == 5
    script.cross(60, Laps=6, LapMs=60_000)
    assert script.kart().count == 6


def test_a_row_that_is_told_of_again_is_back_on_the_board():
    script = Script("7", "8")
    script.board(10, {"r8": {"Number": "8", "Position": 1}})
    assert not script.kart("7").on_board
    script.line(20, Position=2)
    assert script.kart("7").on_board
