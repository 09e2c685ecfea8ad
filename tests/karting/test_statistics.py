"""What laps say of karts and drivers: pace, consistency, stints, stops, and how good a kart is."""

from __future__ import annotations

from typing import Any

from pitwall.documents.base import Document
from pitwall.documents.encoding import to_fields
from pitwall.karting import statistics
from pitwall.karting.statistics import DriverStatistics, Kart, KartStatistics
from pitwall.timing import change
from tests.karting.script import Script


def known(script: Script) -> dict[str, Kart]:
    """The record that a script's documents give."""

    def fields(document: Document) -> dict[str, Any]:
        return to_fields(document)

    numbers = script.state.racing_numbers
    laps = sorted({lap for kart in script.state.data.karts.values() for lap in kart.laps})
    return statistics.record(
        [fields(script.driver(number)) for number in numbers],
        [statistics.laps_of(fields(script.document(change.LAP, lap))) for lap in laps],
        fields(script.document(change.TYRES)),
    )


def driven(script: Script, times: list[int], number: str = "7", start: float = 0, **fields: Any) -> float:
    """Laps one after the other; returns when the last one ended, s."""
    for time in times:
        start += time / 1000
        script.lap(start, time, number, **fields)
    return start


def kart(script: Script, number: str = "7") -> KartStatistics:
    return statistics.karts(known(script))[number]


def of_driver(script: Script, name: str) -> DriverStatistics:
    return statistics.drivers(known(script))[name]


def told(of: KartStatistics) -> dict[str, Any]:
    return to_fields(of)  # type: ignore[arg-type]


def test_what_is_not_known_is_absent():
    assert told(kart(Script("7"))) == {
        "timedLaps": 0,
        "cleanLaps": 0,
        "stops": 0,
        "stints": [],
        "position": 1,
        "laps": 0,
    }
    one = Script("7", counts=False)
    driven(one, [70_000])
    assert told(kart(one)) == {
        "timedLaps": 1,
        "cleanLaps": 0,
        "stops": 0,
        "position": 1,
        "laps": 1,
        "bestLapMs": 70_000,
        "averageLapMs": 70_000,
        "stints": [{"stint": 1, "startLap": 1, "endLap": 1, "laps": 1, "cleanLaps": 0}],
    }


def test_laps_that_are_all_equal_are_as_consistent_as_can_be():
    script = Script("7")
    driven(script, [70_000] * 11)
    of = kart(script)
    assert (of.median_lap_ms, of.spread_ms, of.consistency, of.improvement_ms) == (70_000, 0, 1, 0)
    assert (of.timed_laps, of.clean_laps, of.average_lap_ms) == (11, 10, 70_000)


def test_the_pace_is_of_laps_driven_for_their_time():
    """Not the start, a lap under yellow, the pits, a lap out of them, one far off, one across the grass."""
    script = Script("7")
    end = driven(script, [75_000, 70_000, 70_200, 70_400])
    script.tell(end + 1, "KartFlag", {"Flag": "yellow"})
    end = driven(script, [71_000], start=end)
    script.tell(end, "KartFlag", {"Flag": "green"})
    end = driven(script, [71_000, 70_600, 78_000, 55_000], start=end)
    script.pit(end + 50, True)
    script.pit(end + 110, False)
    end = driven(script, [130_000, 70_800, 70_300], start=end)
    of = kart(script)
    assert (of.clean_laps, of.median_lap_ms) == (7, 70_400)
    assert of.best_lap_ms == 55_000  # what the board calls so, or would
    assert (of.stops, of.pit_time_ms, of.median_stop_ms) == (1, 60_000, 60_000)
    assert [(stint.laps, stint.clean_laps, stint.start_lap, stint.end_lap) for stint in of.stints] == [
        (10, 5, 1, 10),
        (2, 2, 11, 12),
    ]
    assert (of.spread_ms, of.consistency) == (450, 0.9936)


def test_two_drivers_of_a_kart_are_told_apart():
    script = Script("7", "8", "9", Driver="A. Quick")
    end = driven(script, [70_000] * 8)
    script.pit(end + 50, True)
    script.line(end + 60, Driver="B. Slow")
    script.pit(end + 110, False)
    end = driven(script, [130_000, *[72_000] * 7], start=end)
    quick, slow = of_driver(script, "A. Quick"), of_driver(script, "B. Slow")
    assert (quick.karts, quick.median_lap_ms, quick.timed_laps) == (["7"], 70_000, 8)
    assert (slow.karts, slow.median_lap_ms, slow.clean_laps) == (["7"], 72_000, 7)
    of = kart(script)
    assert of.drivers == ["A. Quick", "B. Slow"]
    assert [(stint.driver, stint.median_lap_ms) for stint in of.stints] == [("A. Quick", 70_000), ("B. Slow", 72_000)]
    assert of.improvement_ms == -2_000


def test_a_kart_is_as_good_as_its_last_five_clean_laps_against_the_fields():
    script = Script("7", "8", "9", "10")
    for number, time in (("7", 69_300), ("8", 70_000), ("9", 71_000)):
        driven(script, [time + 1_000] * 6 + [time] * 5, number)
    driven(script, [60_000] * 4, "10")  # too few to be of the field
    of = statistics.karts(known(script))
    assert [of[number].quality for number in ("7", "8", "9")] == [0.99, 1.0, 1.0143]
    assert not of["10"].quality
    assert not kart(_alone()).quality


def _alone() -> Script:
    script = Script("7", "8")
    driven(script, [70_000] * 10)
    driven(script, [71_000] * 10, "8")
    return script


def test_a_good_kart_is_told_from_a_good_driver_who_drove_others():
    """The same driver is a second quicker in kart 8 than in kart 7 before."""
    script = Script("7", "8", "9")
    script.line(0, "7", Driver="A. Quick")
    driven(script, [70_000] * 7)
    driven(script, [72_000] * 7, "9")
    script.pit(510, True)
    script.line(520, "7", Driver="B. Slow")
    script.pit(530, False)
    script.line(520, "8", Driver="A. Quick")
    driven(script, [69_000] * 7, "8", start=530)
    of = statistics.karts(known(script))
    assert of["8"].quality_for_driver == round(69 / 70, 4)
    assert not of["9"].quality_for_driver


def test_of_a_kart_that_joined_late_only_what_was_seen_is_told():
    script = Script("7", Laps=100, LastLapMs=70_000, BestLapMs=69_000, BestLap=40, Position=3)
    driven(script, [70_100, 70_200])
    of = told(kart(script))
    assert "stops" not in of
    assert (of["laps"], of["timedLaps"], of["bestLapMs"]) == (102, 3, 69_000)
    counted = Script("7", Laps=100, LastLapMs=70_000, Stops=4)
    assert kart(counted).stops == 4


def test_sectors_of_several_laps_make_the_ideal_lap():
    script = Script("7")
    end = driven(script, [70_000], Sector1Ms=20_000, Sector2Ms=20_000, Sector3Ms=30_000)
    driven(script, [69_500], start=end, Sector1Ms=20_500, Sector2Ms=20_000, Sector3Ms=29_000)
    of = kart(script)
    assert (of.best_sector1_ms, of.best_sector2_ms, of.best_sector3_ms) == (20_000, 20_000, 29_000)
    assert of.ideal_lap_ms == 69_000
