"""Every real capture of RMonitor, played through the state machine: the classification is the one it ends with.

The captures are at ../shared/recordings/karting; what they say is read by `classification`, apart from the product's
code.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from pitwall.documents import live
from pitwall.karting.projection import project
from pitwall.karting.records import Kart
from pitwall.karting.state import KartState
from pitwall.sources.recording import open_recording
from pitwall.timing import change
from pitwall.timing.change import Change
from tests.sources.rmonitor.classification import Run, runs

pytestmark = pytest.mark.whole

SEBRING = "bradfier_2009_Sebring_ALMS_Session_4"
MISSING_LAPS = "redmist_TestMissingLaps"
SESSIONS = "redmist_TestSessionChanges"
CAPTURES = (SEBRING, MISSING_LAPS, SESSIONS)
BY_BEST_LAP = ("Practice", "Qualifying")
NO_TIME = 3_599_999
"""Sebring: `00:59:59.999`."""


@cache
def _played(path: Path) -> tuple[list[KartState], dict[str, int]]:
    """The states of a capture's sessions at their end, in order, and what could not be read."""
    source = open_recording(path)
    assert source.format == "rmonitor"
    states = [KartState(source.session, "kart-track")]
    for message in source.messages():
        if (key := states[-1].next_session(message)) is not None:
            states[-1].finish()
            states.append(KartState(key, "kart-track"))
        states[-1].apply(message)
    states[-1].finish()
    return states, dict(source.rejected)


@pytest.fixture(params=CAPTURES)
def capture(request: pytest.FixtureRequest, kart_captures: Path) -> Path:
    return kart_captures / f"{request.param}.txt.gz"


@pytest.fixture
def sessions(capture: Path) -> list[tuple[KartState, Run]]:
    states, _ = _played(capture)
    return list(zip(states, runs(capture), strict=True))


def karts(sessions: list[tuple[KartState, Run]]) -> Iterator[tuple[KartState, Run, str, Kart]]:
    """Every registration that is classified at the end."""
    for state, run in sessions:
        assert run.race.keys() <= state.data.karts.keys()
        for registration in run.race.keys() - run.left:
            yield state, run, registration, state.data.karts[registration]


def penalty(kart: Kart) -> int:
    return int(kart.line.get("Penalty", "0 laps").split()[0])


def test_every_run_of_the_day_is_a_session(sessions: list[tuple[KartState, Run]]):
    assert [(state.data.info.get("Run"), state.data.info["Name"]) for state, _ in sessions] == [
        (run.number, run.name) for _, run in sessions
    ]
    assert len({state.session for state, _ in sessions}) == len(sessions)


def test_nothing_is_left_unread(capture: Path):
    states, rejected = _played(capture)
    assert rejected == {}
    assert [dict(state.rejected) for state in states] == [{}] * len(states)


def test_position_laps_and_total_are_those_of_the_last_race_record(sessions: list[tuple[KartState, Run]]):
    compared = 0
    for state, run, registration, kart in karts(sessions):
        place, laps, total = run.race[registration]
        best_place, *_ = run.best.get(registration, (place,))
        by_best = state.data.info.get("Type") in BY_BEST_LAP
        assert (registration, kart.line["Position"]) == (registration, best_place if by_best else place)
        assert (registration, kart.line["Laps"] - penalty(kart)) == (registration, laps)
        assert (registration, kart.line.get("TotalMs", 0)) == (registration, 0 if total == NO_TIME else total)
        assert kart.number == run.numbers[registration]
        compared += 1
    assert compared == {"Test Session 4": 26, "7 Hour": 75}.get(sessions[0][1].name, 250)


def test_best_lap_and_its_number_are_those_of_the_last_best_record(sessions: list[tuple[KartState, Run]]):
    seen = 0
    for _, run, registration, kart in karts(sessions):
        _, lap, time = run.best.get(registration, (0, 0, 0))
        assert (kart.line.get("BestLap", 0), kart.line.get("BestLapMs", 0)) == ((lap, time) if lap else (0, 0))
        if (driven := kart.laps.get(lap)) is not None:
            assert (registration, driven.time) == (registration, time)
            seen += 1
    assert seen == {"Test Session 4": 11, "7 Hour": 58}.get(sessions[0][1].name, 165)


def test_laps_are_the_passings_that_were_counted(sessions: list[tuple[KartState, Run]]):
    """Every lap between two totals that were told, with the time of its passing: they differ by it."""
    laps = 0
    everything = sum(len(kart.laps) for state, _ in sessions for kart in state.data.karts.values())
    assert everything == {"Test Session 4": 360, "7 Hour": 442}.get(sessions[0][1].name, 1495)
    for _, run, registration, kart in karts(sessions):
        off = penalty(kart)
        told = run.counted[registration]
        for count, total in told.items():
            time = run.passings.get((registration, total))
            if time and count <= run.race[registration][1] and told.get(count - 1) is not None:
                assert (registration, count, kart.laps[count + off].time) == (registration, count, time)
                laps += 1
    assert laps > 350


def test_laps_that_were_missed_are_made_good_where_the_totals_tell_them(kart_captures: Path):
    """Of 484 a passing was taken back and two were added; 286 had one added without a passing."""
    (state,), _ = _played(kart_captures / f"{MISSING_LAPS}.txt.gz")
    laps = {number: lap.time for number, lap in state.data.karts["286"].laps.items()}
    assert laps[8] == 172_476  # 00:23:31.504 less 00:20:39.028
    assert 8 not in state.data.karts["484"].laps or state.data.karts["484"].laps[8].taken_back
    assert state.data.karts["484"].laps[9].time is not None


def test_penalties_before_the_start_are_no_laps(kart_captures: Path):
    """29 is told to have 34 laps less than none, and drives on from there."""
    (state,), _ = _played(kart_captures / f"{MISSING_LAPS}.txt.gz")
    kart = state.data.karts["29"]
    assert (kart.line["Laps"], kart.line["Penalty"], len(kart.laps)) == (8, "34 laps", 8)


def test_resets_in_mid_session_take_no_lap_back(kart_captures: Path):
    path = kart_captures / f"{MISSING_LAPS}.txt.gz"
    (state,), _ = _played(path)
    (run,) = runs(path)
    assert run.resets == 15
    assert sum(lap.taken_back for kart in state.data.karts.values() for lap in kart.laps.values()) == 1  # 484's


def test_gaps_are_the_differences_of_the_totals(kart_captures: Path):
    """Of karts on the leader's lap, at the end of the club race."""
    path = kart_captures / f"{MISSING_LAPS}.txt.gz"
    (state,), _ = _played(path)
    (run,) = runs(path)
    leader, laps, total = next((key, *told[1:]) for key, told in run.race.items() if told[0] == 1)
    behind = {key: told[2] - total for key, told in run.race.items() if told[1] == laps and key != leader}
    assert behind
    assert {key: state.data.karts[key].line["GapMs"] for key in behind} == behind


def test_tower_and_best_laps_are_the_classification(sessions: list[tuple[KartState, Run]]):
    for state, run in sessions:
        if not run.race:
            continue
        tower = project(state, Change(change.TOWER))
        bests = project(state, Change(change.TYRES))
        assert tower is not None
        assert isinstance(tower[1], live.TowerDocument)
        assert bests is not None
        assert isinstance(bests[1], live.TyresDocument)
        assert tower[1].lines.keys() == {run.numbers[registration] for registration in run.race.keys() - run.left}
        for registration in run.race.keys() - run.left:
            kart = state.data.karts[registration]
            line = tower[1].lines[kart.number]
            assert (line.p, line.n) == (kart.line["Position"], kart.line["Laps"])
            _, lap, time = run.best.get(registration, (0, 0, 0))
            best = bests[1].lines[kart.number]
            if lap:
                assert (registration, best.best_lap, best.best_lap_ms) == (registration, lap, time)


def test_instants_are_those_of_the_capture(kart_captures: Path):
    def begins(name: str) -> int:
        return _played(kart_captures / f"{name}.txt.gz")[0][0].data.session_status[0].at

    assert begins(MISSING_LAPS) == 1_761_485_750_329  # ##2025-10-26 13:35:50.329, the first heartbeat's
    assert begins(SEBRING) == 1_233_043_255_000  # 27 January 2009, 08:00:55 on the circuit's clock


def test_the_zone_is_the_one_of_the_circuits_clock(kart_captures: Path):
    zones = {name: _played(kart_captures / f"{name}.txt.gz")[0][-1].data.info.get("GmtOffset") for name in CAPTURES}
    assert zones == {SEBRING: None, MISSING_LAPS: "-05:00:00", SESSIONS: "-05:00:00"}
