"""A simulated race through a recording, the state machine and its documents, against what really happened.

The truth comes from the race itself and never from its messages, so every difference is a mistake or one
of the things no listener can know, which are named where they are allowed for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import UNSET

from local.simulator import Form, Race, quick_race, write_recording
from local.simulator import truth as true
from pitwall.documents.base import Document
from pitwall.documents.drivers import DriverDocument, Lap, LapDocument
from pitwall.documents.encoding import millis, to_fields
from pitwall.documents.live import TowerDocument
from pitwall.documents.projection import project
from pitwall.sources.recording import open_recording
from pitwall.timing.change import DRIVER, ENTRIES, LAP, SEGMENTS, SESSION, TOWER, TYRES, Change
from pitwall.timing.state import SessionState

pytestmark = pytest.mark.whole

PUNCTUAL_MS = 500
"""Most crossings are told within this; the counter of one lap in some hundred comes up to two seconds late."""
LATEST_MS = 2_500
WRITTEN_EVERY_MS = 5_000
TENTH_MS = 50
"""PitStopSeries tells tenths of a second: rounding may take half of one away or add it."""

GAMES: list[tuple[int, Form]] = [(1, "merged"), (1, "live"), (2, "merged"), (2, "live"), (3, "merged")]


@dataclass(frozen=True)
class Played:
    """A race, and the documents there are after its recording was played."""

    race: Race
    state: SessionState
    documents: dict[str, Document]

    @property
    def laps(self) -> dict[tuple[str, int], Lap]:
        return {
            (number, document.lap): lap
            for document in self.documents.values()
            if isinstance(document, LapDocument)
            for number, lap in document.drivers.items()
        }

    @property
    def drivers(self) -> dict[str, DriverDocument]:
        return {
            document.racing_number: document
            for document in self.documents.values()
            if isinstance(document, DriverDocument)
        }

    def compared(self) -> list[tuple[true.Lap, Lap]]:
        laps = self.laps
        return [(lap, laps[lap.number, lap.lap]) for lap in self.race.truth.laps]


@pytest.fixture(scope="module", params=GAMES, ids=lambda game: f"{game[0]}-{game[1]}")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    seed, form = request.param
    race = quick_race(seed, telemetry=False)
    path = tmp_path_factory.mktemp("race") / "race.txt.gz"
    write_recording(race, path, form)
    source = open_recording(path)
    state = SessionState(source.session)
    documents: dict[str, Document] = {}
    changes: set[Change] = set()
    written = 0
    for message in source.messages():
        # As the pipeline does: what changed is stored once in a while, as it then is.
        if message.at >= written + WRITTEN_EVERY_MS:
            written = message.at
            documents.update(_projected(state, changes))
            changes = set()
        changes |= state.apply(message)
    documents.update(_projected(state, changes | state.finish()))
    return Played(race, state, documents)


def _projected(state: SessionState, changes: set[Change]) -> dict[str, Document]:
    return dict(projected for change in changes if (projected := project(state, change)) is not None)


def known(value: Any) -> Any:
    return None if value is UNSET else value


def wrong(played: Played, **fields: str) -> list[tuple[str, int, str, Any, Any]]:
    """Where a field of the stored laps is not that of the true one: stored name to true name."""
    return [
        (lap.number, lap.lap, name, stored, truth)
        for lap, document in played.compared()
        for name, real in fields.items()
        if real not in lap.unsent
        for stored, truth in [(known(getattr(document, name)), getattr(lap, real))]
        if stored != truth
    ]


def test_everything_the_feed_sends_is_understood(played: Played) -> None:
    assert played.state.rejected == {}


def test_what_is_stored_is_what_the_state_says_in_the_end_because_every_change_was_reported(played: Played) -> None:
    cars = played.state.data.cars
    changes = {
        *(Change(what) for what in (SESSION, TOWER, ENTRIES, TYRES, SEGMENTS)),
        *(Change(DRIVER, number) for number in cars),
        *(Change(LAP, lap) for car in cars.values() for lap in car.told),
    }
    stale = [
        path
        for path, document in _projected(played.state, changes).items()
        if {**to_fields(document), "at": 0} != {**to_fields(played.documents[path]), "at": 0}
    ]
    assert stale == []


def test_no_lap_is_missing_and_only_laps_on_which_a_car_stopped_are_added(played: Played) -> None:
    driven = {(lap.number, lap.lap) for lap in played.race.truth.laps}
    # A car that parks beside the track never completes its lap: it is kept, without a time.
    stopped = {(car.number, car.lap) for car in played.race.truth.retirements if not car.inPit}
    assert set(played.laps) == driven | stopped
    assert {played.laps[key].lap_time_ms for key in stopped} == {UNSET}


def test_every_lap_time_the_feed_can_bear_out_is_exact(played: Played) -> None:
    wrong_times = [found for found in wrong(played, lap_time_ms="lapTimeMs") if not _waited(played, found)]
    assert wrong_times == []


def _waited(played: Played, found: tuple[str, int, str, Any, Any]) -> bool:
    return any(lap.redFlag and (lap.number, lap.lap) == found[:2] for lap in played.race.truth.laps)


def test_a_lap_spent_waiting_out_a_red_flag_has_no_time_its_sectors_could_not_bear_out(played: Played) -> None:
    waited = [stored for lap, stored in played.compared() if lap.redFlag]
    assert waited
    assert {lap.lap_time_ms for lap in waited} == {UNSET}


def test_lap_one_is_timed_from_the_start_as_exactly_as_its_crossing_is_told(played: Played) -> None:
    first = [(lap, stored) for lap, stored in played.compared() if lap.lap == 1]
    late = [known(stored.lap_time_ms) - lap.lapTimeMs for lap, stored in first]
    assert {stored.time_source for _, stored in first} == {"derived"}
    assert max(map(abs, late)) <= LATEST_MS
    assert sum(abs(ms) > PUNCTUAL_MS for ms in late) <= 1


def test_every_sector_is_exact(played: Played) -> None:
    assert wrong(played, sector1_ms="sector1Ms", sector2_ms="sector2Ms", sector3_ms="sector3Ms") == []


def test_stint_compound_and_tyres_are_those_of_every_lap(played: Played) -> None:
    assert wrong(played, stint="stint", compound="compound", tyre_age="tyreAge", tyre_new="tyreNew") == []


@pytest.mark.parametrize(("stored", "real"), [("pit_in", "pitIn"), ("pit_out", "pitOut"), ("deleted", "deleted")])
def test_pit_laps_and_deleted_laps_are_marked_and_no_others(played: Played, stored: str, real: str) -> None:
    marked = {(lap.number, lap.lap) for lap, document in played.compared() if known(getattr(document, stored))}
    assert marked == {(lap.number, lap.lap) for lap in played.race.truth.laps if getattr(lap, real)}


def test_cars_complete_a_lap_in_the_order_in_which_they_did(played: Played) -> None:
    """But for a car whose crossing is told late: when it was, the feed keeps to itself."""
    for number in range(1, played.race.laps + 1):
        cars = [(lap, stored) for lap, stored in played.compared() if lap.lap == number]
        assert sorted(known(stored.position) for _, stored in cars) == list(range(1, len(cars) + 1))
        opens = min(millis(stored.ended_at) - lap.endedAt for lap, stored in cars)
        punctual = [pair for pair in cars if millis(pair[1].ended_at) - pair[0].endedAt - opens <= PUNCTUAL_MS]
        by_truth = [lap.number for lap, _ in sorted(punctual, key=lambda pair: pair[0].position)]
        by_document = [lap.number for lap, _ in sorted(punctual, key=lambda pair: pair[1].position)]
        assert by_document == by_truth, number
        assert len(cars) - len(punctual) <= 1


def test_laps_begin_and_end_when_they_did_within_the_feeds_delay(played: Played) -> None:
    for lap, stored in played.compared():
        assert abs(millis(stored.ended_at) - lap.endedAt) <= LATEST_MS
        assert abs(millis(stored.started_at) - lap.startedAt) <= LATEST_MS


def test_every_stint_is_stored_and_no_other(played: Played) -> None:
    truth = played.race.truth
    # A stint reaches as far as the lap on which the car stopped.
    stopped = {car.number: car.lap for car in truth.retirements if not car.inPit}
    for number, driver in played.drivers.items():
        stored = [
            (
                stint.stint,
                known(stint.compound),
                known(stint.new),
                known(stint.start_age),
                known(stint.start_lap),
                known(stint.end_lap),
                stint.laps,
            )
            for stint in driver.stints
        ]
        own = [stint for stint in truth.stints if stint.number == number]
        real = []
        for stint in own:
            last = stopped.get(number, stint.lastLap) if stint is own[-1] else stint.lastLap
            laps = last - stint.firstLap + 1
            real.append(
                (stint.stint, stint.compound, stint.new, stint.startAge, stint.firstLap, last, laps),
            )
        assert stored == real, number


def test_every_visit_to_the_pit_lane_is_stored_with_its_times_and_no_other(played: Played) -> None:
    for number, driver in played.drivers.items():
        real = [stop for stop in played.race.truth.pitStops if stop.number == number]
        assert [known(stop.lap) for stop in driver.pit_stops] == [stop.lap for stop in real]
        for stop, stored in zip(real, driver.pit_stops, strict=True):
            where = (number, stop.lap)
            assert (known(stored.lane_time_ms) is None) == (stop.laneMs is None), where
            if stop.laneMs is not None:
                assert abs(stored.lane_time_ms - stop.laneMs) <= TENTH_MS, where
            if stop.stationaryMs:
                assert abs(stored.stop_time_ms - stop.stationaryMs) <= TENTH_MS, where
            assert abs(millis(stored.in_at) - stop.inAt) <= LATEST_MS, where


def test_a_visit_is_a_stop_where_the_car_stood_or_got_other_tyres(played: Played) -> None:
    changed = {
        (stint.number, stint.firstLap - 1)
        for stint in played.race.truth.stints
        if stint.stint > 1 and stint.tyresChanged and stint.firstLap
    }
    stops = {
        (number, known(stop.lap)) for number, driver in played.drivers.items() for stop in driver.pit_stops if stop.stop
    }
    real = {
        (stop.number, stop.lap)
        for stop in played.race.truth.pitStops
        if stop.stationaryMs or (stop.number, stop.lap) in changed
    }
    assert stops == real


def test_best_laps_are_the_quickest_that_count(played: Played) -> None:
    stored = {
        number: (driver.best_lap, driver.best_lap_ms)
        for number, driver in played.drivers.items()
        if driver.best_lap_ms is not UNSET
    }
    assert stored == {best.number: (best.lap, best.lapTimeMs) for best in played.race.truth.bestLaps}


def test_final_positions_are_the_classification(played: Played) -> None:
    order = sorted(played.drivers, key=lambda number: played.drivers[number].position)
    tower = played.documents[f"sessions/{played.state.session}/live/timing"]
    assert isinstance(tower, TowerDocument)
    assert order == played.race.truth.finalPositions
    assert sorted(tower.lines, key=lambda number: tower.lines[number].p) == order


def test_retired_cars_are_told_from_those_that_finish(played: Played) -> None:
    out = {number for number, driver in played.drivers.items() if driver.status != "running"}
    assert out == {car.number for car in played.race.truth.retirements}
