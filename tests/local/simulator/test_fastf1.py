"""FastF1's own loader reads the simulator's archive and must find the race that was driven.

FastF1 is a peer, not the truth. Where it is known to leave something out, the laps are named one by one
and nothing else may differ:

- a lap over 150 s counts for FastF1 only if all three sectors were sent and add up to it; the lap on
  which a red flag was waited out has no first sector, so its time is missing in FastF1;
- so is the time of a slow lap that was sent before its third sector: FastF1 adds up what it has by then;
- two laps in a row equal in lap time *and* first sector leave FastF1 with neither: it fills in one
  missing value from the others, not two;
- for a car that stops on track FastF1 makes up the lap it did not complete.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.simulator import Race, quick_race
from local.simulator.truth import Lap
from local.simulator.wording import lap_time, seconds
from tests.local.simulator.conftest import SEEDS, load_with_fastf1

pytestmark = [pytest.mark.whole, pytest.mark.long]

pd = pytest.importorskip("pandas", reason="pandas is not installed: FastF1 cannot be asked")


class Loaded:
    """A race and FastF1's laps of it, by racing number and lap."""

    def __init__(self, race: Race, session: Any) -> None:
        self.race, self.session = race, session
        self.laps = {(row.DriverNumber, int(row.LapNumber)): row for row in session.laps.itertuples()}
        self.truth = {(lap.number, lap.lap): lap for lap in race.truth.laps}

    def differing(self, ours: str, theirs: Any) -> dict[tuple[str, int], tuple[Any, Any]]:
        """Laps on which our field and FastF1's value differ; fields the feed keeps to itself are None."""
        found = {}
        for key, lap in self.truth.items():
            own = None if ours in lap.unsent else getattr(lap, ours)
            told = theirs(self.laps[key])
            if own != told:
                found[key] = (own, told)
        return found

    def before(self, lap: Lap) -> Lap | None:
        return self.truth.get((lap.number, lap.lap - 1))

    def restart_laps(self) -> set[tuple[str, int]]:
        return {key for key, lap in self.truth.items() if lap.redFlag}

    def slow_laps_told_early(self) -> set[tuple[str, int]]:
        """Laps over 150 s whose time was sent before their third sector."""
        times: dict[tuple[str, str], int] = {}
        thirds: dict[tuple[str, str], int] = {}
        for message in self.race:
            if message.topic != "TimingData" or message.received < self.race.truth.startedAt:
                continue
            for number, line in message.payload["Lines"].items():
                if value := line.get("LastLapTime", {}).get("Value"):
                    times[number, value] = message.received
                if value := line.get("Sectors", {}).get("2", {}).get("Value"):
                    thirds[number, value] = message.received
        slow = [lap for lap in self.truth.values() if lap.lapTimeMs >= 150_000 and not lap.redFlag]
        return {
            (lap.number, lap.lap)
            for lap in slow
            if times[lap.number, lap_time(lap.lapTimeMs)] < thirds[lap.number, seconds(lap.sector3Ms)]
        }

    def doubly_repeated(self) -> set[tuple[str, int]]:
        """Laps whose lap time and first sector are both those of the lap before."""
        return {
            key
            for key, lap in self.truth.items()
            if (before := self.before(lap)) and (before.lapTimeMs, before.sector1Ms) == (lap.lapTimeMs, lap.sector1Ms)
        }


@pytest.fixture(scope="module", params=SEEDS)
def loaded(request: pytest.FixtureRequest, archive: tuple[Path, str]) -> Loaded:
    race = quick_race(request.param, telemetry=False)
    return Loaded(race, load_with_fastf1(race, archive, telemetry=False))


def ms(value: Any) -> int | None:
    return None if pd.isna(value) else round(value.total_seconds() * 1000)


def test_every_lap_is_found_and_none_made_up_but_those_cut_short(loaded: Loaded) -> None:
    assert loaded.truth.keys() <= loaded.laps.keys()
    cut_short = {(out.number, out.lap) for out in loaded.race.truth.retirements if not out.inPit}
    extra = loaded.laps.keys() - loaded.truth.keys()
    assert extra == cut_short
    assert all(loaded.laps[key].FastF1Generated for key in extra)


def test_lap_times_agree_to_the_millisecond(loaded: Loaded) -> None:
    differing = loaded.differing("lapTimeMs", lambda row: ms(row.LapTime))
    slow = {key for key in loaded.restart_laps() if loaded.truth[key].lapTimeMs >= 150_000}
    assert differing.keys() == slow | loaded.slow_laps_told_early() | loaded.doubly_repeated()
    assert {told for _, told in differing.values()} <= {None}


def test_first_sectors_agree(loaded: Loaded) -> None:
    differing = loaded.differing("sector1Ms", lambda row: ms(row.Sector1Time))
    assert differing.keys() == loaded.doubly_repeated()


@pytest.mark.parametrize("sector", [2, 3])
def test_other_sectors_agree(loaded: Loaded, sector: int) -> None:
    assert loaded.differing(f"sector{sector}Ms", lambda row: ms(getattr(row, f"Sector{sector}Time"))) == {}


def test_stints_agree(loaded: Loaded) -> None:
    assert loaded.differing("stint", lambda row: int(row.Stint)) == {}


def test_compounds_agree(loaded: Loaded) -> None:
    assert loaded.differing("compound", lambda row: row.Compound) == {}


def test_tyre_ages_agree(loaded: Loaded) -> None:
    assert loaded.differing("tyreAge", lambda row: int(row.TyreLife)) == {}


def test_new_tyres_agree(loaded: Loaded) -> None:
    assert loaded.differing("tyreNew", lambda row: bool(row.FreshTyre)) == {}


def test_laps_into_the_pits_agree(loaded: Loaded) -> None:
    assert loaded.differing("pitIn", lambda row: not pd.isna(row.PitInTime)) == {}


def test_laps_out_of_the_pits_agree(loaded: Loaded) -> None:
    assert loaded.differing("pitOut", lambda row: not pd.isna(row.PitOutTime)) == {}


def test_positions_agree(loaded: Loaded) -> None:
    assert loaded.differing("position", lambda row: int(row.Position)) == {}


def test_deleted_laps_agree(loaded: Loaded) -> None:
    assert any(lap.deleted for lap in loaded.truth.values())
    assert any(lap.reinstated for lap in loaded.truth.values())
    assert loaded.differing("deleted", lambda row: bool(row.Deleted)) == {}


def test_pit_lane_instants_agree_within_the_feeds_delay(loaded: Loaded) -> None:
    for stop in loaded.race.truth.pitStops:
        entered = ms(loaded.laps[stop.number, stop.lap].PitInTime)
        assert entered is not None
        assert 0 < entered - (stop.inAt - loaded.race.opens) < 500
        if stop.outAt is not None:
            left = ms(loaded.laps[stop.number, stop.lap + 1].PitOutTime)
            assert left is not None
            assert 0 < left - (stop.outAt - loaded.race.opens) < 500


def test_drivers_agree(loaded: Loaded) -> None:
    results = loaded.session.results
    assert set(results["DriverNumber"]) == set(loaded.race.truth.grid)
    assert results.loc["7", "Abbreviation"] == "MAR"
    assert results.loc["7", "TeamName"] == "Kestrel"


def test_start_and_statuses_are_read(loaded: Loaded) -> None:
    start = ms(loaded.session.session_start_time)
    assert start == pytest.approx(loaded.race.truth.startedAt - loaded.race.opens, abs=300)
    assert set(loaded.session.track_status["Status"]) == {"1", "2", "4", "5", "6", "7"}
    assert loaded.session.total_laps == loaded.race.truth.totalLaps


def test_weather_and_race_control_are_read(loaded: Loaded) -> None:
    assert len(loaded.session.weather_data) >= 14
    assert loaded.session.race_control_messages["Message"].str.contains("RED FLAG").any()


def test_telemetry_is_read_and_lies_on_the_circuit(archive: tuple[Path, str]) -> None:
    race = quick_race(5, laps=3)
    session = load_with_fastf1(race, archive, telemetry=True)
    lap = session.laps.pick_drivers(race.truth.finalPositions[0]).pick_laps(2).iloc[0]
    telemetry = lap.get_telemetry()
    driven = telemetry["Distance"].max()
    assert driven == pytest.approx(race.circuit.length, rel=0.03)
    assert 250 < telemetry["Speed"].max() < 350
    assert 60 < telemetry["Speed"].min() < 150
    line = [race.circuit.point(distance) for distance in range(0, round(race.circuit.length), 5)]
    farthest = max(
        min((x - point.x) ** 2 + (y - point.y) ** 2 for point in line) ** 0.5
        for x, y in zip(telemetry["X"], telemetry["Y"], strict=True)
    )
    assert farthest < 200, "a sample lies more than 20 m off the track"
