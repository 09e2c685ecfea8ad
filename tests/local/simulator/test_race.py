"""The simulated race: the same for a seed, consistent in itself, with everything in it that goes wrong."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest

from local.simulator import Incidents, Race, for_minutes, quick_race, simulate
from local.simulator.entries import FIELD
from local.simulator.events import LapReinstated, SessionStatus, TrackStatus
from local.simulator.truth import Lap

pytestmark = pytest.mark.whole

ROOT = Path(__file__).resolve().parents[3]


def laps_of(race: Race) -> dict[str, list[Lap]]:
    laps: dict[str, list[Lap]] = defaultdict(list)
    for lap in race.truth.laps:
        laps[lap.number].append(lap)
    return laps


def digest(race: Race) -> str:
    whole = hashlib.sha256()
    for message in race:
        whole.update(repr(message).encode())
    whole.update(json.dumps(race.truth.to_json()).encode())
    return whole.hexdigest()


def test_same_seed_gives_the_same_race_in_another_process() -> None:
    program = (
        "from local.simulator import quick_race\n"
        "from tests.local.simulator.test_race import digest\n"
        "print(digest(quick_race(4, laps=2)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == digest(quick_race(4, laps=2))


def test_another_seed_gives_another_race() -> None:
    assert digest(quick_race(4, laps=2, telemetry=False)) != digest(quick_race(5, laps=2, telemetry=False))


def test_telemetry_changes_nothing_else() -> None:
    def timing(race: Race) -> list[tuple[object, ...]]:
        return [tuple(message) for message in race if not message.topic.endswith(".z")]

    assert timing(quick_race(4, laps=2)) == timing(quick_race(4, laps=2, telemetry=False))


def test_field_has_twenty_two_cars_of_eleven_teams() -> None:
    assert len({entry.number for entry in FIELD}) == len({entry.tla for entry in FIELD}) == 22
    assert len({entry.team.name for entry in FIELD}) == len({entry.team.colour for entry in FIELD}) == 11


def test_sectors_add_up_to_the_lap(race: Race) -> None:
    wrong = [lap for lap in race.truth.laps if lap.sector1Ms + lap.sector2Ms + lap.sector3Ms != lap.lapTimeMs]
    assert wrong == []


def test_laps_follow_one_another_without_a_gap(race: Race) -> None:
    for laps in laps_of(race).values():
        assert [lap.lap for lap in laps] == list(range(1, len(laps) + 1))
        assert laps[0].startedAt == race.truth.startedAt
        assert all(lap.endedAt - lap.startedAt == lap.lapTimeMs for lap in laps)
        assert all(before.endedAt == after.startedAt for before, after in pairwise(laps))


def test_position_is_the_rank_of_completing_the_lap(race: Race) -> None:
    by_lap: dict[int, list[Lap]] = defaultdict(list)
    for lap in race.truth.laps:
        by_lap[lap.lap].append(lap)
    for laps in by_lap.values():
        laps.sort(key=lambda lap: lap.endedAt)
        assert [lap.position for lap in laps] == list(range(1, len(laps) + 1))


def test_gap_is_the_time_behind_a_car_that_did_the_lap_before(race: Race) -> None:
    ends: dict[int, set[int]] = defaultdict(set)
    for lap in race.truth.laps:
        ends[lap.lap].add(lap.endedAt)
    for lap in race.truth.laps:
        assert (lap.gapToLeaderMs is None) == (lap.position == 1 or lap.lapsDown > 0)
        if lap.gapToLeaderMs is not None:
            assert lap.gapToLeaderMs > 0
            assert lap.endedAt - lap.gapToLeaderMs in ends[lap.lap]


def test_tyre_age_grows_by_one_and_starts_anew_with_the_stint(race: Race) -> None:
    stints = {(stint.number, stint.stint): stint for stint in race.truth.stints}
    for number, laps in laps_of(race).items():
        for lap in laps:
            stint = stints[number, lap.stint]
            assert stint.firstLap <= lap.lap <= stint.lastLap
            assert lap.tyreAge == stint.startAge + lap.lap - stint.firstLap + 1
            assert (lap.compound, lap.tyreNew) == (stint.compound, stint.new)


def test_every_pit_visit_ends_a_stint(race: Race) -> None:
    visits = {(stop.number, stop.lap): stop for stop in race.truth.pitStops}
    for number, laps in laps_of(race).items():
        assert [lap.lap for lap in laps if lap.pitIn] == [lap for car, lap in visits if car == number]
        for before, after in pairwise(laps):
            assert after.pitOut == before.pitIn
            assert (after.stint == before.stint + 1) == before.pitIn


def test_pit_visit_lies_around_the_line(race: Race) -> None:
    ends = {(lap.number, lap.lap): lap.endedAt for lap in race.truth.laps}
    for stop in race.truth.pitStops:
        assert stop.inAt < ends[stop.number, stop.lap]
        if stop.outAt is not None:
            assert stop.outAt - stop.inAt == stop.laneMs
            assert stop.outAt > ends[stop.number, stop.lap]


def test_best_lap_is_the_quickest_that_counts(race: Race) -> None:
    laps = laps_of(race)
    for best in race.truth.bestLaps:
        counted = [lap.lapTimeMs for lap in laps[best.number] if not lap.deleted and lap.lap > 1]
        assert best.lapTimeMs == min(counted)


def test_everyone_who_finishes_is_ahead_of_those_who_did_not(race: Race) -> None:
    out = {retired.number for retired in race.truth.retirements}
    assert sorted(race.truth.finalPositions) == sorted(entry.number for entry in FIELD)
    assert set(race.truth.finalPositions[-len(out) :]) == out


def test_time_penalty_counts_in_the_final_positions() -> None:
    changed = 0
    for seed in range(1, 13):
        race = quick_race(seed, telemetry=False)
        flag = sorted(race.truth.laps, key=lambda lap: (-lap.lap, lap.endedAt))
        on_road = list(dict.fromkeys(lap.number for lap in flag))
        out = {retired.number for retired in race.truth.retirements}
        changed += [n for n in on_road if n not in out] != [n for n in race.truth.finalPositions if n not in out]
    assert changed >= 3


def test_quick_race_has_every_incident(race: Race) -> None:
    track = {event.code for event in race.events if isinstance(event, TrackStatus)}
    session = [event.status for event in race.events if isinstance(event, SessionStatus)]
    assert track == {"1", "2", "4", "5", "6", "7"}
    assert session == ["Inactive", "Started", "Aborted", "Started", "Finished", "Finalised", "Ends"]
    assert {retired.inPit for retired in race.truth.retirements} == {True, False}
    assert any(lap.deleted for lap in race.truth.laps)
    assert any(isinstance(event, LapReinstated) for event in race.events)
    assert any(lap.lapsDown for lap in race.truth.laps)
    assert any(stop.redFlag for stop in race.truth.pitStops)
    assert any(not stint.tyresChanged for stint in race.truth.stints)


def test_quick_race_lasts_about_a_quarter_of_an_hour(race: Race) -> None:
    assert 14.5 <= (race.ends - race.opens) / 60_000 <= 17.5
    assert race.truth.startedAt - race.opens <= 60_000


@pytest.mark.parametrize("minutes", [6, 10, 15, 20, 95])
def test_length_can_be_asked_for_in_minutes(minutes: int) -> None:
    race = for_minutes(minutes, telemetry=False)
    assert (race.ends - race.opens) / 60_000 == pytest.approx(minutes, rel=0.15, abs=1.0)


@pytest.mark.parametrize("laps", [1, 2, 3, 5, 8, 9, 13])
def test_race_of_any_length_finishes(laps: int) -> None:
    race = quick_race(3, laps=laps, telemetry=False)
    winner = race.truth.finalPositions[0]
    assert len(laps_of(race)[winner]) == laps


def test_race_without_incidents_stays_green() -> None:
    race = simulate(2, 6, lap_seconds=60.0, incidents=Incidents(), pre_start=30.0, telemetry=False)
    assert [event for event in race.events if isinstance(event, TrackStatus)] == []
    assert race.truth.retirements == []


@pytest.mark.parametrize(("laps", "lap_seconds"), [(0, 80.0), (10, 5.0), (10, 500.0)])
def test_impossible_race_is_refused(laps: int, lap_seconds: float) -> None:
    with pytest.raises(ValueError, match=r"a race has at least one lap|a lap takes"):
        simulate(1, laps, lap_seconds=lap_seconds)
