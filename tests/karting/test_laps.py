"""Laps: told by crossings, timed by the board, numbered by its count where it has one."""

from __future__ import annotations

import pytest

from pitwall.karting import vocabulary
from pitwall.karting.state import best_lap, laps_completed
from pitwall.message import FEED_GAP, Message
from pitwall.timing import change
from tests.karting.script import START, Script


@pytest.mark.parametrize("counts", [True, False])
def test_a_crossing_ends_a_lap_with_the_time_of_its_cell(counts: bool):
    script = Script("7", counts=counts)
    script.cross(10, NoLap=True)
    script.lap(75.3, 65_295, Position=3)
    script.lap(141.1, 65_800)
    assert script.times() == {1: 65_295, 2: 65_800}
    first = script.kart().laps[1]
    assert (first.started_at, first.ended_at, first.position) == (START + 10_000, START + 75_300, 3)


@pytest.mark.parametrize("counts", [True, False])
def test_equal_laps_are_laps_although_the_time_is_not_told_again(counts: bool):
    script = Script("7", counts=counts)
    script.cross(10, NoLap=True)
    script.lap(75.3, 65_295)
    script.lap(140.6, None)
    script.lap(205.9, None)
    assert script.times() == {1: 65_295, 2: 65_295, 3: 65_295}


def test_a_time_told_again_in_another_colour_is_no_lap():
    script = Script("7")
    script.lap(75.3, 65_295, LastLapMark="overall")
    script.line(76, LastLapMs=65_295, LastLapMark="personal")
    script.lap(140.7, None)
    assert script.times() == {1: 65_295, 2: 65_295}
    assert [lap.personal_best for lap in script.kart().laps.values()] == [True, False]


@pytest.mark.parametrize("time", [66_100, 65_300])
def test_a_time_that_comes_after_the_crossing_is_of_it(time: int):
    """Mariembourg 2026: the crossing in one frame, its cell in the next, 0.2 s later."""
    script = Script("7", counts=False)
    script.cross(10, NoLap=True)
    script.lap(75.3, 65_295)
    script.cross(75.3 + time / 1000)
    script.line(75.5 + time / 1000, LastLapMs=time, LastLapMark="personal")
    script.lap(75.3 + time / 1000 + 67, 67_000)
    assert script.times() == {1: 65_295, 2: time, 3: 67_000}
    assert script.kart().laps[2].personal_best


def test_a_lap_counted_without_its_time_has_none_rather_than_the_one_before():
    """Its cell was lost: the time since the last crossing is not that of the lap before."""
    script = Script("7")
    script.lap(75.3, 65_295)
    script.line(145, Laps=2)
    script.cross(145)
    assert script.times() == {1: 65_295, 2: None}
    script.line(145.4, LastLapMs=69_700)
    assert script.times() == {1: 65_295, 2: 69_700}


def test_a_late_time_of_a_crossing_that_fits_nothing_makes_it_a_lap():
    script = Script("7", counts=False)
    script.cross(10, NoLap=True)
    script.lap(75.3, 65_295)
    script.cross(170.3)
    assert script.times() == {1: 65_295}
    script.line(170.5, LastLapMs=95_000)
    assert script.times() == {1: 65_295, 2: 95_000}
    assert script.kart().laps[2].ended_at == START + 170_300


def test_a_crossing_that_no_time_fits_is_no_lap():
    """Mariembourg 2026: a penalty of three laps had the row told anew, crossing and all, 61 s into a lap."""
    script = Script("7", counts=False)
    script.cross(10, NoLap=True)
    script.lap(75.3, 65_295)
    script.cross(90)
    script.lap(141.1, 65_800)
    assert script.times() == {1: 65_295, 2: 65_800}
    assert script.kart().laps[2].started_at == START + 75_300
    script.cross(150)
    script.state.finish()
    assert script.state.rejected == {"crossing-without-lap": 2}


def test_the_last_lap_counts_although_its_crossing_has_no_time():
    """Under the chequered flag the crossing is told empty, as at the start."""
    script = Script("7", counts=False)
    script.cross(10, NoLap=True)
    script.lap(75.3, 65_295)
    script.tell(80, vocabulary.FLAG, {"Flag": "chequered"})
    script.line(141.1, LastLapMs=65_800)
    script.cross(141.1, NoLap=True)
    script.cross(206.9, NoLap=True)
    assert script.times() == {1: 65_295, 2: 65_800, 3: 65_800}
    assert script.state.data.session_status[-1].data["Status"] == "Finished"


def test_a_time_told_with_the_crossing_goes_before_the_cell():
    script = Script("7", counts=False)
    script.cross(75.3, LapMs=65_295)
    script.cross(140.6, LapMs=65_295)
    script.cross(206, LapMs=65_400)
    assert script.times() == {1: 65_295, 2: 65_295, 3: 65_400}


def test_a_count_that_comes_after_the_crossing_is_of_it():
    """RMonitor: `$J` tells the lap, the `$G` after it the count."""
    script = Script("7", counts=False)
    for lap in (1, 2, 3):
        script.cross(70 * lap, LapMs=70_000 + lap)
        script.line(70 * lap + 0.1, Laps=lap)
    assert script.times() == {1: 70_001, 2: 70_002, 3: 70_003}
    assert script.state.rejected == {}


def test_laps_the_board_counted_without_a_crossing_keep_their_number():
    script = Script("7")
    script.lap(70, 70_001)
    script.line(140, Laps=2)
    script.line(280, Laps=4, LastLapMs=70_004)
    script.cross(280.1)
    assert script.times() == {1: 70_001, 4: 70_004}


def test_a_board_without_crossings_tells_laps_by_its_count():
    """As when it is polled."""
    script = Script("7")
    script.line(70, Laps=1, LastLapMs=70_001)
    script.line(140, Laps=2, LastLapMs=70_002)
    script.state.finish()
    assert script.times() == {1: 70_001, 2: 70_002}
    assert script.kart().laps[2].ended_at == START + 140_000


def test_a_kart_first_seen_in_mid_race_has_the_boards_number():
    script = Script("7", Laps=29, LastLapMs=66_000, BestLapMs=64_000)
    script.lap(30, 65_295)
    assert script.times() == {29: 66_000, 30: 65_295}
    assert script.kart().laps[29].unseen
    assert not script.kart().laps[30].unseen
    assert script.driver().laps == 30


def test_without_a_count_laps_driven_before_are_not_made_up():
    script = Script("7", counts=False, LastLapMs=66_000, BestLapMs=64_000)
    script.lap(30, 65_295)
    script.lap(95.3, None)
    assert script.times() == {1: 65_295, 2: 65_295}
    assert laps_completed(script.kart()) is None
    assert script.driver().best_lap_ms == 64_000


def test_sectors_are_those_of_the_lap():
    script = Script("7")
    script.line(20, Sector1Ms=26_138, Sector2Ms=None, Sector3Ms=None)
    script.line(40, Sector2Ms=20_000)
    script.lap(65, 65_295, Sector3Ms=19_157)
    lap = script.lap_document(1)
    assert (lap.sector1_ms, lap.sector2_ms, lap.sector3_ms) == (26_138, 20_000, 19_157)


@pytest.mark.parametrize("counts", [True, False])
def test_laps_the_timekeeper_takes_back_are_deleted(counts: bool):
    script = Script("7", counts=counts)
    for lap, time in enumerate((65_000, 64_000, 66_000), start=1):
        script.lap(70 * lap, time, BestLapMs=min(65_000, time))
    script.line(215, LastLapMs=None, BestLapMs=None, **({"Laps": None} if counts else {}))
    assert script.times() == {}
    assert script.lap_document(2).deleted is True
    assert best_lap(script.kart()) is None
    script.cross(220, NoLap=True)
    script.lap(290, 70_000)
    assert list(script.times().values()) == [70_000]
    assert laps_completed(script.kart()) == 1


def test_one_lap_taken_back_leaves_those_before_it():
    script = Script("7")
    for lap in (1, 2, 3):
        script.lap(70 * lap, 70_000 + lap)
    script.line(215, Laps=2, LastLapMs=70_002)
    script.lap(284, 70_009)
    assert script.times() == {1: 70_001, 2: 70_002, 3: 70_009}


class TestBestLap:
    def test_is_the_one_the_board_calls_so(self):
        script = Script("7")
        script.lap(70, 30_000, BestLapMs=None)  # a short cut: the board does not count it
        script.lap(140, 65_000, BestLapMs=65_000)
        assert (script.driver().best_lap_ms, script.driver().best_lap) == (65_000, 2)

    def test_has_the_number_the_board_gives_it(self):
        """RMonitor's `$H` names it; the lap may not have been seen."""
        script = Script("7")
        script.lap(70, 65_000)
        script.lap(140, 65_000, BestLapMs=65_000, BestLap=2)
        assert (script.driver().best_lap_ms, script.driver().best_lap) == (65_000, 2)
        script.line(150, BestLapMs=64_000, BestLap=9)
        assert (script.driver().best_lap_ms, script.driver().best_lap) == (64_000, 9)

    def test_is_none_of_the_laps_into_and_out_of_the_pits(self):
        script = Script("7", counts=False)
        script.lap(70, 66_000)
        script.pit(100, True)
        script.lap(110, 40_000)
        script.pit(150, False)
        script.lap(160, 50_000)
        script.lap(226, 66_500)
        assert (script.driver().best_lap_ms, script.driver().best_lap) == (66_000, 1)
        assert [lap.personal_best for lap in script.kart().laps.values()] == [True, False, False, False]

    def test_is_a_lap_and_no_average(self):
        """Brignoles 2026: the board's best is the average of five laps."""
        script = Script("7")
        script.lap(70, 65_000, BestLapMs=65_000)
        script.lap(140, 66_000, BestLapMs=65_500)
        assert (script.driver().best_lap_ms, script.driver().best_lap) == (65_000, 1)

    def test_of_before_the_kart_was_seen_has_no_number(self):
        script = Script("7", Laps=29, LastLapMs=66_000, BestLapMs=64_000)
        script.lap(30, 65_295)
        assert script.driver().best_lap_ms == 64_000
        assert script.driver().best_lap is not None
        assert not script.driver().best_lap


class TestAfterTheConnectionWasLost:
    def lost(self, script: Script, at: float) -> None:
        data = {"From": START, "To": START + round(at * 1000), "Reason": "gone"}
        script.state.apply(Message(FEED_GAP, data, START + round(at * 1000)))

    def test_a_lap_the_board_has_counted_since_is_found_on_it(self):
        script = Script("7")
        script.lap(70, 70_001)
        self.lost(script, 150)
        script.tell(150, vocabulary.SESSION, {**script.state.data.info, "Fresh": False}, snapshot=True)
        script.board(150, {"r7": {"Number": "7", "Laps": 2, "LastLapMs": 70_002}})
        script.lap(210, 70_003)
        assert script.times() == {1: 70_001, 2: 70_002, 3: 70_003}
        assert [lap.unseen for lap in script.kart().laps.values()] == [False, True, True]
        assert script.kart().laps[3].started_at is None

    def test_a_row_that_has_left_the_board_keeps_its_laps(self):
        script = Script("7", "8")
        script.lap(70, 70_001)
        script.board(80, {"r8": {"Number": "8"}})
        assert script.tower().keys() == {"8"}
        assert script.driver().laps == 1


def test_race_lap_has_the_whole_laps_it_was_behind():
    """Los Santos 2026: of the karts two laps down the first has `2 Vueltas`, the next its time to that one."""
    script = Script("1", "2", "3")
    script.line(60, "2", GapLaps=2)
    script.line(60, "3", GapMs=2_396)
    script.lap(70, 70_001, "3")
    lap = script.lap_document(1, "3")
    assert (lap.laps_down, bool(lap.gap_to_leader_ms)) == (2, False)
    assert script.tower()["3"].ld == 2
    assert not script.tower()["3"].g
    assert not script.tower()["1"].ld


def test_a_lap_knows_the_track_it_was_driven_on():
    script = Script("7")
    script.cross(1, NoLap=True)
    script.lap(70, 69_000)
    script.tell(80, vocabulary.FLAG, {"Flag": "yellow"})
    script.tell(90, vocabulary.FLAG, {"Flag": "red"})
    script.lap(140, 70_000)
    assert script.kart().laps[1].statuses == ["1"]
    assert script.kart().laps[2].statuses == ["1", "2", "5"]


def test_changes_name_the_documents_of_a_lap():
    script = Script("7")
    script.line(70, LastLapMs=70_001, Laps=1)
    told = script.cross(70)
    assert {what for what, _ in told} == {change.LAP, change.TOWER, change.TYRES, change.DRIVER}
