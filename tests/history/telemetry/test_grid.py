from __future__ import annotations

from bisect import bisect_right

import numpy as np
import pytest

from local.simulator import Race
from pitwall.history.telemetry.grid import LONGEST_GAP_MS, STEADY, channel_at, on_grid, steps
from pitwall.history.telemetry.samples import UNKNOWN, Samples, Track
from pitwall.history.telemetry.timing import Timing
from pitwall.message import Message
from tests.history.telemetry.conftest import Played, apart

LATE_MS = 70
"""How far the simulated messages of crossings are from the crossings, at the median of a few laps."""


@pytest.mark.parametrize("step_ms", [100, 250, 333])
def test_steps_of_the_grid_are_equal_and_do_not_drift(played: Played, step_ms: int) -> None:
    telemetry = on_grid(played.samples, played.timing, step_ms)
    tracks = [*played.samples.cars.values(), *played.samples.positions.values()]
    first, last = min(int(track.at[0]) for track in tracks), max(int(track.at[-1]) for track in tracks)
    at = telemetry.at.tolist()
    assert at == [telemetry.start_ms + step_ms * index for index in range(telemetry.frames)]
    assert at[0] <= first < at[0] + step_ms
    assert at[-1] <= last < at[-1] + step_ms
    assert all(len(values) == len(at) for channels in telemetry.cars.values() for values in channels.values())


def test_every_value_lies_between_the_samples_around_it(played: Played) -> None:
    """By a walk through the samples in plain Python."""
    at = played.telemetry.at.tolist()
    known = 0
    for number, channels in played.telemetry.cars.items():
        for tracks in (played.samples.cars, played.samples.positions):
            track = tracks.get(number)
            for name in track.channels if track is not None else ():
                assert track is not None
                told = [
                    (time, value)
                    for time, value in zip(track.at.tolist(), track.channels[name].tolist(), strict=True)
                    if value != UNKNOWN
                ]
                times = [time for time, _ in told]
                for time, value in zip(at, channels[name].tolist(), strict=True):
                    index = bisect_right(times, time)
                    before = told[index - 1] if index else None
                    after = told[index] if index < len(told) else None
                    if before is not None and before[0] == time:
                        assert value == before[1]
                    elif before is None or after is None or after[0] - before[0] > LONGEST_GAP_MS:
                        assert value == UNKNOWN
                    elif name in STEADY:
                        assert value == before[1]
                    else:
                        assert min(before[1], after[1]) <= value <= max(before[1], after[1])
                    known += value != UNKNOWN
    assert known > 10_000


def test_nothing_is_made_up_in_a_gap() -> None:
    track = Track(np.array([0, 2_000, 4_001]), {"speed": np.array([100, 200, 300])})
    at = np.array([-1, 0, 1_000, 2_000, 3_000, 4_001, 4_002])
    assert channel_at(track, "speed", at).tolist() == [UNKNOWN, 100, 150, 200, UNKNOWN, 300, UNKNOWN]


def test_a_gear_holds_until_the_next() -> None:
    track = Track(np.array([0, 500]), {"gear": np.array([3, 7])})
    assert channel_at(track, "gear", np.array([0, 499, 500])).tolist() == [3, 3, 7]


def test_what_holds_is_the_last_that_was_told() -> None:
    assert steps([(100, 1), (200, 2), (200, 3)], np.array([99, 100, 199, 200, 500])).tolist() == [UNKNOWN, 1, 1, 3, 3]


def test_positions_lie_on_the_circuit(raced: Played, race: Race) -> None:
    """A straight line between two samples cuts off a metre of a corner; the pit lane, where a red flag is waited out,
    is 18 m aside."""
    points = [race.circuit.point(at) for at in np.arange(0.0, race.circuit.length, 2.0)]
    circuit = np.array([[point.x for point in points], [point.y for point in points]]) / 10
    every = [
        np.array([channels[axis][channels["x"] != UNKNOWN] for axis in ("x", "y")]) / 10
        for channels in raced.telemetry.cars.values()
    ]
    off = apart(np.concatenate(every, axis=1), circuit)
    assert len(off) > 40_000
    assert np.mean(off < 1.5) > 0.75
    assert off.max() < 18.5


def test_laps_are_those_that_were_driven(raced: Played, race: Race) -> None:
    at = raced.telemetry.at
    for lap in race.truth.laps:
        inside = (at >= lap.startedAt + LATE_MS) & (at < lap.endedAt - LATE_MS)
        channels = raced.telemetry.cars[lap.number]
        assert set(channels["lap"][inside].tolist()) == {lap.lap}
        compounds = {raced.telemetry.compounds[index] for index in channels["compound"][inside].tolist()}
        assert compounds == {lap.compound}
        assert set(channels["tyreAge"][inside].tolist()) == {lap.tyreAge}


def test_what_is_driven_after_the_flag_is_no_lap_and_has_no_gap(raced: Played, race: Race) -> None:
    last = {lap.number: lap for lap in race.truth.laps if lap.lap == race.truth.totalLaps}
    assert last
    for number, lap in last.items():
        after = raced.telemetry.at > lap.endedAt + LATE_MS
        assert after.any()
        channels = raced.telemetry.cars[number]
        assert set(channels["lap"][after].tolist()) == {UNKNOWN}
        assert set(channels["gap"][after].tolist()) == {UNKNOWN}
        assert (channels["distance"][after] != UNKNOWN).any()


def test_who_is_out_has_no_lap(raced: Played, race: Race) -> None:
    assert race.truth.retirements
    for out in race.truth.retirements:
        channels = raced.telemetry.cars[out.number]
        late = raced.telemetry.at > out.at + 60_000
        assert set(channels["lap"][late].tolist()) == {UNKNOWN}
        assert set(channels["gap"][late].tolist()) == {UNKNOWN}


def test_crossings_are_nearer_the_truth_than_the_messages_of_them(raced: Played, race: Race) -> None:
    told, fitted = [], []
    for lap in race.truth.laps:
        own = next(one for one in raced.timing.laps[lap.number] if one.number == lap.lap)
        ended_at = raced.state.data.cars[lap.number].laps[lap.lap].ended_at
        assert own.ended_at is not None
        assert ended_at is not None
        told.append(ended_at - lap.endedAt)
        fitted.append(own.ended_at - lap.endedAt)
    assert np.std(fitted) < np.std(told) * 0.65
    assert max(map(abs, fitted)) < LATE_MS


def test_a_lap_is_as_long_as_the_circuit(raced: Played, race: Race) -> None:
    assert raced.telemetry.lap_length is not None
    assert raced.telemetry.lap_length / 10 == pytest.approx(race.circuit.length, rel=0.002)


def test_distance_is_where_the_car_is(raced: Played, race: Race) -> None:
    """Held against the positions, which it is not made of: the place on the circuit at that distance is near."""
    length = race.circuit.length
    scale = length / (raced.telemetry.lap_length or 1)
    apart = []
    for lap in race.truth.laps:
        if lap.pitIn or lap.pitOut or lap.lap == 1:
            continue
        channels = raced.telemetry.cars[lap.number]
        inside = (raced.telemetry.at > lap.startedAt) & (raced.telemetry.at < lap.endedAt) & (channels["x"] != UNKNOWN)
        for index in np.flatnonzero(inside).tolist():
            point = race.circuit.point(channels["distance"][index] * scale % length)
            apart.append(np.hypot(point.x - channels["x"][index], point.y - channels["y"][index]) / 10)
    assert len(apart) > 10_000
    assert np.median(apart) < 5.0
    assert max(apart) < 20.0


def test_cars_stand_behind_the_line_on_the_grid_in_its_order(raced: Played, race: Race) -> None:
    frame = (race.truth.startedAt - raced.telemetry.start_ms) // raced.telemetry.step_ms
    slots = [int(raced.telemetry.cars[number]["distance"][frame]) for number in race.truth.grid]
    assert max(slots) < 0
    assert slots[0] > slots[-1]
    assert slots == pytest.approx(sorted(slots, reverse=True), abs=150)


def test_the_leader_is_who_led(raced: Played, race: Race) -> None:
    numbers = list(raced.telemetry.cars)
    for lap in race.truth.laps:
        if lap.position == 1 and lap.lap < race.truth.totalLaps:
            frame = (lap.endedAt - raced.telemetry.start_ms) // raced.telemetry.step_ms + 1
            assert numbers[raced.telemetry.leader[frame]] == lap.number, lap
    assert numbers[raced.telemetry.leader[-1]] == race.truth.finalPositions[0]
    started = raced.telemetry.at >= raced.timing.started_at
    assert set(raced.telemetry.leader[~started].tolist()) == {UNKNOWN}
    assert UNKNOWN not in raced.telemetry.leader[started].tolist()


def test_gaps_are_those_of_the_crossings(raced: Played, race: Race) -> None:
    """A gap at the line is the time between the leader's crossing and the car's."""
    first = {lap.lap: lap for lap in race.truth.laps if lap.position == 1}
    off = []
    for lap in race.truth.laps:
        leader = first[lap.lap]
        frame = (lap.endedAt - raced.telemetry.start_ms) // raced.telemetry.step_ms
        leads = list(raced.telemetry.cars)[raced.telemetry.leader[frame]]
        gap = int(raced.telemetry.cars[lap.number]["gap"][frame])
        if leads == leader.number != lap.number and gap != UNKNOWN and lap.lap < race.truth.totalLaps:
            off.append(gap - (lap.endedAt - leader.endedAt))
    assert len(off) > 40
    assert np.median(np.abs(off)) < 50
    assert max(map(abs, off)) < 600


def test_a_gap_to_oneself_is_none(raced: Played) -> None:
    leader = raced.telemetry.leader
    for index, channels in enumerate(raced.telemetry.cars.values()):
        own = channels["gap"][(leader == index) & (channels["lap"] != UNKNOWN)]
        assert set(own.tolist()) <= {0}
        assert ((channels["gap"] >= 0) | (channels["gap"] == UNKNOWN)).all()


def test_practice_has_no_leader(practice: Played) -> None:
    assert set(practice.telemetry.leader.tolist()) == {UNKNOWN}


def test_track_status_and_weather_are_the_last_told(played: Played) -> None:
    at = played.telemetry.at.tolist()
    for told, column in (
        ([item.at for item in played.state.data.track_status], played.telemetry.track_status),
        ([item.at for item in played.state.data.weather], played.telemetry.weather),
    ):
        codes = [int(item.data["Status"]) for item in played.state.data.track_status]
        values = codes if column is played.telemetry.track_status else list(range(len(told)))
        expected = [values[index - 1] if (index := bisect_right(told, time)) else UNKNOWN for time in at]
        assert column.tolist() == expected
    assert played.telemetry.weather_reports[0].keys() >= {"airTempC", "trackTempC", "windSpeedMs"}


def test_frames_can_be_left_out(raced: Played) -> None:
    third = raced.telemetry.every(3)
    assert third.at.tolist() == raced.telemetry.at.tolist()[::3]
    number = next(iter(third.cars))
    assert third.cars[number]["x"].tolist() == raced.telemetry.cars[number]["x"].tolist()[::3]
    with pytest.raises(ValueError, match="1 or more"):
        raced.telemetry.every(0)


def test_a_session_without_samples_has_no_frames() -> None:
    telemetry = on_grid(Samples(), Timing())
    assert (telemetry.frames, telemetry.cars) == (0, {})


def test_samples_days_apart_are_refused() -> None:
    places = {"1": {"X": 1, "Y": 1, "Z": 1, "Status": "OnTrack"}}
    days = [Message("Position", {"Position": [{"Entries": places}]}, at) for at in (0, 10 * 86_400_000)]
    with pytest.raises(ValueError, match="more than 1000000 steps"):
        on_grid(Samples(days), Timing())
