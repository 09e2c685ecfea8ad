"""What Jolpica tells, as documents: what is put right, what is refused, and what is made where F1 has no archive."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from msgspec import UNSET

from pitwall.documents import paths
from pitwall.documents.drivers import LapDocument
from pitwall.documents.history import ResultDocument
from pitwall.history import official
from pitwall.history.jolpica import (
    Circuit,
    Constructor,
    Driver,
    Finish,
    Lap,
    Location,
    QualifyingResult,
    Race,
    RaceResult,
    Timing,
)

AT = datetime.datetime(2023, 5, 1, tzinfo=datetime.UTC)
BAKU = Circuit("baku", "Baku City Circuit", Location(40.37, 49.85, "Baku", "Azerbaijan"))


def result(driver: str, number: str, position: int, **more: Any) -> RaceResult:
    return RaceResult(
        number=number,
        position=position,
        position_text=str(position),
        points="0",
        driver=Driver(driver, driver.title(), driver.title(), driver[:3].upper()),
        constructor=Constructor("red_bull", "Red Bull"),
        **more,
    )


def race(year: int = 2003, **more: Any) -> Race:
    return Race(
        season=year, round=4, race_name="Azerbaijan Grand Prix", circuit=BAKU, date=datetime.date(year, 4, 30), **more
    )


@pytest.mark.parametrize(
    ("text", "ms"),
    [("1:43:44.291", 6_224_291), ("1:45.412", 105_412), ("59.037", 59_037), ("", None), ("+1 Lap", None)],
)
def test_times_are_read_as_jolpica_writes_them(text: str, ms: int | None):
    assert official.milliseconds(text) == ms


def test_a_number_nobody_drove_with_is_the_one_f1_has_for_the_three_letters():
    told = official.of_race("9070", [result("verstappen", "33", 1)], {"1": "VER", "11": "PER"}, AT)
    assert list(told.documents) == [paths.result("9070", "1")]
    assert told.repaired == ["verstappen drove car 1, Jolpica has 33"]


def test_a_number_stays_where_f1_does_not_say_otherwise():
    results = [result("verstappen", "33", 1), result("perez", "11", 2)]
    for cars in ({}, {"33": "VER", "11": "PER"}, {"1": "ABC", "2": "ABC"}):
        told = official.of_race("9070", results, cars, AT)
        assert (sorted(told.documents), told.repaired) == (["sessions/9070/results/11", "sessions/9070/results/33"], [])


def test_a_time_that_is_none_is_refused_and_the_result_is_kept():
    qualified = QualifyingResult(1, Driver("perez", "S", "P", "PER"), Constructor("red_bull", "R"), "11", q1="1:4x.203")
    told = official.of_qualifying("9064", [qualified], {}, AT)
    assert told.refused == ["Q1 of perez: '1:4x.203' is no time"]
    document = told.documents[paths.result("9064", "11")]
    assert isinstance(document, ResultDocument)
    assert (document.position, document.q1_ms) == (1, UNSET)


@pytest.mark.parametrize(("text", "gap"), [("+2.460", 2_460), ("+1:02.460", 62_460), ("+1 Lap", None)])
def test_a_gap_without_milliseconds_is_added_to_the_winners_time(text: str, gap: int | None):
    results = [
        result("perez", "11", 1, laps=51, time=Finish("1:32:42.436", 5_562_436)),
        result("leclerc", "16", 2, laps=51, time=Finish(text)),
    ]
    document = official.of_race("9070", results, {}, AT).documents[paths.result("9070", "16")]
    assert isinstance(document, ResultDocument)
    assert (document.gap_ms or None) == gap


def test_laps_are_of_cars_and_who_is_unknown_or_there_twice_is_refused():
    timings = (Timing("perez", "1:50.000", 1), Timing("perez", "1:51.000", 2), Timing("nobody", "1:52.000", 3))
    told = official.laps("k", race(laps=(Lap(1, timings),)), {"perez": "11"}, AT)
    lap = told.documents[paths.lap("k", 1)]
    assert isinstance(lap, LapDocument)
    assert {number: (one.lap_time_ms, one.position) for number, one in lap.drivers.items()} == {"11": (110_000, 1)}
    assert told.refused == ["lap 1: perez is there twice", "lap 1: nobody has no car"]


def test_laps_are_led_by_who_is_first_at_their_end():
    laps = [{"drivers": {"11": {"position": 1}, "1": {"position": 2}}}, {"drivers": {"1": {"position": 1}, "9": {}}}]
    assert official.laps_led([*laps, laps[0]], {"11": "perez", "1": "max_verstappen"}) == {
        "max_verstappen": 1,
        "perez": 2,
    }


def test_before_f1s_archive_sessions_have_keys_of_their_own_and_last_the_day_if_no_time_is_known():
    event = official.event(race(), True, AT)
    assert [(s.session_key, s.name) for s in event.sessions] == [
        ("f1-2003-4-qualifying", "Qualifying"),
        ("f1-2003-4-race", "Race"),
    ]
    day = datetime.datetime(2003, 4, 30, tzinfo=datetime.UTC)
    assert (event.sessions[1].start_date, event.sessions[1].end_date) == (day, day + datetime.timedelta(days=1))
    timed = official.event(race(time=datetime.time(12, 0)), False, AT).sessions
    assert [(s.name, s.start_date.hour, s.end_date.hour) for s in timed] == [("Race", 12, 14)]


def test_who_is_not_known_to_drive_a_car_or_has_no_place_is_refused():
    cars = [{"racingNumber": "1", "position": 2}, {"racingNumber": "11"}, {"racingNumber": "99", "position": 1}]
    who = {"1": official.Entrant("max_verstappen", "red_bull", "VER"), "11": official.Entrant("perez", "red_bull", "")}
    told = official.of_timing("k", cars, who, AT)
    assert list(told.documents) == [paths.result("k", "1")]
    assert sorted(told.refused) == ["car 11 has no place", "nobody is known to drive car 99"]


def test_a_list_that_is_not_known_leaves_what_was_counted_of_it():
    whole = official.Season(results=[race(results=(result("perez", "11", 1),))], sprints=[], qualifying=[])
    (counted,) = official.rounds(whole, {}, {})
    only_qualifying = official.Season(qualifying=[race()])
    (again,) = official.rounds(only_qualifying, {4: counted}, {4: {"perez": 51}})
    assert (again.results, again.laps_led) == (counted.results, {"perez": 51})
