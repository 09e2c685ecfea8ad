"""Stints, stops owed and what gaps are worth: races written by hand, and two that were driven."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pitwall.documents.circuits import EnduranceDocument, EnduranceLine
from pitwall.documents.schema import validate
from pitwall.karting import endurance, vocabulary
from pitwall.karting.endurance import Standing
from pitwall.karting.projection import project
from pitwall.karting.state import ENDURANCE_MS, KartState
from pitwall.message import Message, feed_gap
from pitwall.sources.recording import open_recording
from pitwall.timing import change
from pitwall.timing.change import Change
from tests.documents.test_schema import exported
from tests.karting.script import RACE, START, Script

RULES = {"Stops": 2, "StopMs": 120_000, "StintMs": 600_000}


class Race(Script):
    """A race whose start is seen at second 10; karts drive laps of 60 s."""

    def __init__(self, *numbers: str, rules: dict[str, int] | None = None, **line: Any) -> None:
        super().__init__(*numbers, **line)
        if rules:
            self.tell(1, vocabulary.CIRCUIT, {"Circuit": "nowhere", "Endurance": rules}, snapshot=True)

    def told(self, at: float) -> dict[str, Standing]:
        return endurance.standing(self.state, START + round(at * 1000))

    def drive(self, number: str, since: float, *laps: float, **fields: Any) -> float:
        """Laps one after the other; returns the instant at which the last ends."""
        for lap in laps:
            since += lap
            self.lap(since, round(lap * 1000), number, **fields)
        return since

    def stop(self, number: str, at: float, lasts: float) -> None:
        self.pit(at, True, number)
        self.pit(at + lasts, False, number)


def from_the_start(*numbers: str, rules: dict[str, int] | None = None) -> Race:
    """The board is told before the light is green."""
    race = Race.__new__(Race)
    race.state, race.counts = KartState("", "kart-nowhere"), True
    race.tell(0, vocabulary.SESSION, RACE, snapshot=True)
    race.board(0, {f"r{n}": {"Number": n, "Position": place} for place, n in enumerate(numbers, start=1)})
    race.tell(10, vocabulary.FLAG, {"Flag": "green"})
    if rules:
        race.tell(10, vocabulary.CIRCUIT, {"Circuit": "nowhere", "Endurance": rules}, snapshot=True)
    return race


def test_stints_and_stops_of_a_kart_seen_from_the_start():
    race = from_the_start("7", rules=RULES)
    race.line(20, "7", Driver="A. Driver")
    assert race.told(100)["7"].stint_ms == 90_000
    race.drive("7", 10, 60, 60)
    race.pit(180, True)
    told = race.told(200)["7"]
    assert (told.stint, told.stint_ms, told.stops, told.stops_owed, told.in_pit_since) == (
        1, None, 1, 1, START + 180_000,
    )  # fmt: skip
    assert endurance.pit_queue(race.state) == ["7"]
    race.line(210, "7", Driver="B. Driver")
    race.pit(270, False)
    told = race.told(900)["7"]
    assert (told.stint, told.stint_ms, told.stint_left_ms) == (2, 630_000, -30_000)
    assert (told.driver, told.driver_ms) == ("B. Driver", 630_000)
    assert (told.last_stop_ms, told.short_stops) == (90_000, 1)
    race.stop("7", 900, 130)
    race.line(1_029, "7", Driver="A. Driver")
    told = race.told(1_100)["7"]
    assert (told.driver_ms, told.stops_owed, told.short_stops, told.stint) == (170_000 + 70_000, 0, 1, 3)


def test_of_a_kart_that_joined_late_only_what_the_board_tells_is_known():
    race = Race("7", Laps=40, LastLapMs=60_000, Stops=2, StintMs=720_000, DriverMs=1_500_000, rules=RULES)
    race.line(5, "7", Driver="A. Driver")
    told = race.told(30)["7"]
    assert (told.stint, told.stops, told.stops_owed, told.laps) == (3, 2, 0, 40)
    assert (told.stint_ms, told.driver_ms) == (720_000 + 30_000, 1_500_000 + 25_000)
    assert (told.last_stop_ms, told.short_stops, told.stint_left_ms) == (None, None, -150_000)
    assert race.told(500)["7"].stint_ms == 780_000  # no cell in minutes stands for longer
    race.stop("7", 500, 130)
    told = race.told(700)["7"]
    assert (told.stint_ms, told.last_stop_ms) == (70_000, 130_000)


def test_without_a_cell_nothing_is_known_of_a_stint_that_began_before():
    race = Race("7", Laps=40, LastLapMs=60_000, Driver="A. Driver", rules=RULES)
    told = race.told(60)["7"]
    assert (told.stint_ms, told.driver_ms, told.stint_left_ms, told.in_pit_since) == (None, None, None, None)


def test_a_kart_that_is_in_the_pits_when_it_is_first_seen_was_there_first():
    race = Race("7", "8", Laps=40, LastLapMs=60_000, rules=RULES)
    race.board(0, {"r9": {"Number": "9", "Laps": 40, "LastLapMs": 60_000, "Status": "inPit"}})
    race.line(1, "7", Position=1)
    race.line(1, "8", Position=2)
    race.pit(20, True, "8")
    race.pit(10, True, "7")
    assert endurance.pit_queue(race.state) == ["9", "7", "8"]
    assert race.told(30)["9"].in_pit_since is None


def test_a_stop_made_while_nobody_listened_is_a_stop_of_unknown_length():
    race = from_the_start("7", rules=RULES)
    race.drive("7", 10, 60, 60)
    race.state.apply(feed_gap(START + 140_000, START + 400_000, "away"))
    race.board(400, {"r7": {"Number": "7", "Laps": 4, "LastLapMs": 60_000, "Stops": 1, "Status": "onTrack"}})
    told = race.told(450)["7"]
    assert (told.stint, told.stops, told.stint_ms, told.last_stop_ms, told.short_stops) == (2, 1, None, None, None)
    (stop,) = race.driver().pit_stops
    assert (stop.stop, bool(stop.lap), bool(stop.in_at), bool(stop.out_at)) == (True, False, False, False)


def two_karts(rules: dict[str, int]) -> Race:
    """Kart 7 has made a stop of 100 s that cost 90, and is a lap and a half behind kart 8."""
    race = from_the_start("8", "7", rules=rules)
    race.drive("8", 10, *[60.0] * 8)
    at = race.drive("7", 10, 60, 60, 60)
    race.stop("7", at + 40, 100)
    race.drive("7", race.drive("7", at, 145), 65, 60, 60)
    race.line(491, "8", Position=1, GapMs=None)
    race.line(491, "7", Position=2, GapLaps=1)
    return race


def test_a_gap_is_adjusted_for_stops_still_owed():
    race = two_karts({"Stops": 2})
    assert endurance.stop_cost(race.state.data.karts.values()) == 85_000  # the lap in and out is one, of 145 s
    told = race.told(520)
    assert [(n, told[n].stops_owed, told[n].adjusted_position, told[n].adjusted_gap_ms) for n in ("7", "8")] == [
        ("7", 1, 2, 90_000 - 85_000), ("8", 2, 1, 0),
    ]  # fmt: skip
    told = two_karts({"Stops": 2, "StopCostMs": 100_000}).told(520)
    assert [(n, told[n].adjusted_position, told[n].adjusted_gap_ms) for n in ("7", "8")] == [
        ("7", 1, 0), ("8", 2, 10_000),
    ]  # fmt: skip


def test_what_stops_cost_counts_the_lap_out_where_the_line_is_before_the_pits():
    race = from_the_start("7")
    at = race.drive("7", 10, 60, 60, 60)
    race.pit(at + 55, True)
    at = race.drive("7", at, 62)
    race.pit(at + 40, False)
    race.drive("7", at, 101)
    assert endurance.stop_cost(race.state.data.karts.values()) == 62_000 + 101_000 - 2 * 60_000


def test_without_rules_or_a_stop_there_is_nothing_to_adjust_by():
    race = from_the_start("8", "7")
    race.drive("8", 10, 60, 60, 60)
    race.line(190, "8", Position=1)
    assert race.told(200)["8"].adjusted_position is None
    race.tell(200, vocabulary.CIRCUIT, {"Circuit": "nowhere", "Endurance": {"Stops": 3}})
    race.line(201, "7", GapMs=4_000)
    told = race.told(202)
    assert (told["7"].adjusted_gap_ms, told["8"].adjusted_gap_ms) == (4_000, 0)  # both owe as many
    race.pit(210, True)
    assert race.told(220)["7"].adjusted_gap_ms is None  # nobody knows where it is, nor what the stop costs


def test_a_kart_on_a_stop_is_where_it_was_when_it_last_crossed_the_line():
    race = two_karts({"Stops": 2, "StopCostMs": 85_000})
    race.pit(500, True, "7")
    race.line(510, "7", GapLaps=3)
    assert race.told(520)["7"].adjusted_gap_ms == 90_000 - 85_000
    assert race.told(520)["7"].stops_owed == 0


def test_laps_down_are_laps_at_the_karts_pace_where_crossings_are_not_known():
    race = Race("8", "7", Laps=20, LastLapMs=60_000, Stops=1, rules={"Stops": 1})
    for number in ("8", "7"):
        race.drive(number, 10, *[61.0, 61, 62])
    race.kart("8").laps.clear()
    race.line(300, "8", Position=1)
    race.line(300, "7", Position=2, GapLaps=2)
    assert endurance.pace(race.kart("7")) == 61_000
    assert race.told(300)["7"].adjusted_gap_ms == 122_000


@pytest.mark.parametrize(
    ("said", "about"),
    [
        ({"Message": "Pénalité - RELAIS TROP LONG - 3 Tours", "Flag": "penalty", "Number": "7"}, ["7"]),
        ({"Message": "Avertissement - PUSH TO PASS", "Flag": "warning", "Number": "7"}, []),
        ({"Message": "Kart 7: Stop & Go 10 s"}, ["7"]),
        ({"Message": "Penalty #12 +5 sec"}, ["12"]),
        ({"Message": "Penalización nº 7: 1 vuelta"}, ["7"]),
        ({"Message": "Drive-through kart 12A"}, []),
        ({"Message": "Straf number 12, 10 sec"}, ["12"]),
        ({"Message": "Best lap of kart 7: 1:05.2"}, []),
        ({"Message": "10 s", "Flag": "penalty", "Number": "012"}, ["012"]),
        ({"Message": "Penalty lap opened"}, []),
    ],
)
def test_penalties_are_those_of_the_kart_that_race_control_names(said: dict[str, str], about: list[str]):
    race = Race("7", "12", "012")
    race.tell(5, vocabulary.RACE_CONTROL, {"Messages": [said]})
    told = race.told(6)
    assert [number for number in told if told[number].penalties] == about
    assert all(told[number].penalties == [said["Message"]] for number in about)


def test_it_is_told_every_five_seconds_and_when_a_kart_comes_in_or_goes_out():
    race = from_the_start("7", rules=RULES)
    tells = [at for at in range(11, 31) if Change(change.ENDURANCE) in race.line(at, "7", Position=at)]
    assert [b - a for a, b in pairwise(tells)] == [ENDURANCE_MS // 1000] * (len(tells) - 1)
    assert Change(change.ENDURANCE) in race.tell(32, vocabulary.PIT, {"Row": "r7", "In": True})
    assert Change(change.ENDURANCE) not in race.tell(32.5, vocabulary.PIT, {"Row": "r7", "In": True})
    race.tell(40, vocabulary.FLAG, {"Flag": "chequered"})
    assert Change(change.ENDURANCE) not in race.line(900, "7", Position=1)


def test_a_sprint_in_which_nobody_stops_has_none():
    race = from_the_start("7")
    assert Change(change.ENDURANCE) not in race.line(50, "7", Position=2)
    assert project(race.state, Change(change.ENDURANCE)) is None
    race.stop("7", 60, 5)
    document = race.document(change.ENDURANCE)
    assert isinstance(document, EnduranceDocument)
    validate("sessions/1/live/endurance", exported(document))
    assert not document.rules


def test_pace_is_of_clean_laps():
    race = from_the_start("7")
    at = race.drive("7", 10, 60, 61, 62)
    race.tell(at, vocabulary.FLAG, {"Flag": "yellow"})
    at = race.drive("7", at, 80)
    race.tell(at + 5, vocabulary.FLAG, {"Flag": "green"})
    at = race.drive("7", at, 79)
    assert endurance.pace(race.kart()) == 61_000
    race.drive("7", at, 63, 64, 65)
    assert endurance.pace(race.kart()) == 63_000


# -- races that were driven ----------------------------------------------------------------

ANNULLED = {"42", "43"}
"""Karts of Mariembourg whose rows the timekeeper emptied: their cells begin again from nothing."""


@pytest.mark.parametrize(("name", "cost"), [("los-santos-3h", (170_000, 190_000)), ("mariembourg", (145_000, 155_000))])
def test_stints_stops_and_times_at_the_wheel_are_those_of_the_board(
    kart_captures: Path, name: str, cost: tuple[int, int]
):
    """The board's own cells: stops to the number, stints and drivers to the minute, visits to the second."""
    state = KartState("", "kart-track")
    compared = {"stint": 0, "driver": 0, "visit": 0, "adjusted": 0}
    circuit = Message(vocabulary.CIRCUIT, {"Circuit": "x", "Endurance": {"Stops": 4}}, 0)
    state.apply(circuit)
    for message in open_recording(kart_captures / f"apex-{name}.jsonl.gz").messages():
        if Change(change.ENDURANCE) not in state.apply(message):
            continue
        told = endurance.standing(state, message.at)
        places = sorted(line.adjusted_position for line in told.values() if line.adjusted_position)
        assert places == list(range(1, len(places) + 1))
        compared["adjusted"] += len(places)
        for kart in state.data.karts.values():
            if kart.number in ANNULLED or kart.number not in told:
                continue
            line, board = told[kart.number], kart.line
            assert line.stops == board.get("Stops", line.stops)
            begun = kart.stints[-1].started_at
            if line.stint_ms is not None and begun is not None and message.at - begun > 65_000:
                assert -3_000 <= line.stint_ms - board["StintMs"] <= 63_000
                compared["stint"] += 1
            if line.driver_ms is not None and "DriverMs" in board and not kart.in_pit:
                assert -3_000 <= line.driver_ms - board["DriverMs"] <= 85_000  # each cell is shown for ten seconds
                compared["driver"] += 1
            if line.last_stop_ms is not None and (told_ms := kart.visits[-1].board_ms) and not kart.in_pit:
                assert -500 <= line.last_stop_ms - told_ms <= 2_000
                compared["visit"] += 1
    assert all(count > 500 for count in compared.values()), compared
    price = endurance.stop_cost(state.data.karts.values())
    assert price is not None
    assert cost[0] < price < cost[1]


def test_a_penalty_of_mariembourg_is_that_of_its_kart(kart_captures: Path):
    state = KartState("", "kart-track")
    for message in open_recording(kart_captures / "apex-mariembourg.jsonl.gz").messages():
        if message.topic in (vocabulary.SESSION, vocabulary.GRID, vocabulary.RACE_CONTROL):
            state.apply(message)
    told = endurance.standing(state, state.data.last_at)
    penalised = {number: line.penalties for number, line in told.items() if line.penalties}
    assert penalised == {"21": ["Pénalité - RELAIS TROP LONG - 3 Tours"]}


def test_lines_have_no_more_than_is_known():
    line = EnduranceLine(stint=1, stops=0)
    race = Race("7", Laps=40, LastLapMs=60_000)
    race.pit(5, True)
    document = race.document(change.ENDURANCE)
    assert isinstance(document, EnduranceDocument)
    told = document.lines["7"]
    unknown = ("stint_ms", "stint_left_ms", "driver", "driver_ms", "stops_owed", "short_stops", "adjusted_gap_ms")
    assert all(getattr(told, name) is getattr(line, name) for name in unknown)
