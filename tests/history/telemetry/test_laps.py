from __future__ import annotations

import numpy as np
import pytest

from local.simulator import Race
from pitwall.history.telemetry.laps import LapTelemetry, NoTelemetry, at_distances, compare, fastest, lap_telemetry
from pitwall.history.telemetry.samples import UNKNOWN, Samples
from tests.history.telemetry.conftest import Played


def lap_of(raced: Played, number: str, lap: int | None = None) -> LapTelemetry:
    length = (raced.telemetry.lap_length or 0) / 10
    return lap_telemetry(raced.samples, raced.timing, number, lap, length)


def clean(race: Race) -> list[tuple[str, int]]:
    return [
        (lap.number, lap.lap)
        for lap in race.truth.laps
        if lap.lap > 1 and not (lap.pitIn or lap.pitOut or lap.deleted or lap.redFlag)
    ]


def test_the_fastest_lap_is_the_one_that_was(raced: Played, race: Race) -> None:
    for best in race.truth.bestLaps:
        assert fastest(raced.timing, best.number) == best.lap
        assert lap_of(raced, best.number).lap == best.lap


def test_a_lap_takes_its_lap_time(raced: Played, race: Race) -> None:
    times = {(lap.number, lap.lap): lap.lapTimeMs for lap in race.truth.laps}
    off = [lap_of(raced, number, lap).time_ms - times[number, lap] for number, lap in clean(race)]
    assert np.median(np.abs(off)) == 0
    # A row of laps begins at the message of a crossing, which is only about right.
    assert max(map(abs, off)) < 100


def test_a_lap_has_every_sample_and_its_two_ends(raced: Played, race: Race) -> None:
    for number, lap in clean(race)[:10]:
        told = lap_of(raced, number, lap)
        start, end = told.start_ms, told.start_ms + told.time_ms
        instants = {
            at
            for track in (raced.samples.cars[number], raced.samples.positions[number])
            for at in track.at.tolist()
            if start <= at <= end
        } | {start, end}
        assert (told.start_ms + told.at).tolist() == sorted(instants)
        assert all(UNKNOWN not in values.tolist() for name, values in told.channels.items() if name != "drs")


def test_distance_rises_to_the_length_of_a_lap(raced: Played, race: Race) -> None:
    for number, lap in clean(race):
        metres = lap_of(raced, number, lap).metres
        assert metres[0] == 0
        assert (np.diff(metres) >= 0).all()
        assert metres[-1] * 10 == pytest.approx(raced.telemetry.lap_length)


def test_two_laps_differ_at_the_end_by_their_times(raced: Played, race: Race) -> None:
    (number, one), (other, two) = clean(race)[0], clean(race)[-1]
    first, second = lap_of(raced, number, one), lap_of(raced, other, two)
    told = compare(raced.samples, first, second)
    assert told.delta_ms[0] == 0
    assert told.delta_ms[-1] == second.time_ms - first.time_ms
    assert np.allclose(np.diff(told.metres)[:-1], 5.0)
    back = compare(raced.samples, second, first)
    assert back.delta_ms.tolist() == (-told.delta_ms).tolist()
    assert back.first_speed.tolist() == told.second_speed.tolist()


def test_delta_is_the_time_between_being_there(raced: Played, race: Race) -> None:
    """At one place of the circuit, by the positions, which the distances are not made of."""
    (number, one), (other, two) = clean(race)[0], clean(race)[-1]
    first, second = lap_of(raced, number, one), lap_of(raced, other, two)
    told = compare(raced.samples, first, second, step_m=200.0)
    scale = race.circuit.length / first.metres[-1]
    # Not at the line itself, which is near at both ends of a lap.
    for metres, delta in zip(told.metres[1:-1].tolist(), told.delta_ms[1:-1].tolist(), strict=True):
        point = race.circuit.point(metres * scale)
        nearest = [
            lap.at[np.hypot(lap.channels["x"] - point.x, lap.channels["y"] - point.y).argmin()]
            for lap in (first, second)
        ]
        # The nearest sample is up to an eighth of a second away in each lap.
        assert delta == pytest.approx(nearest[1] - nearest[0], abs=400)


def test_a_lap_differs_from_itself_by_nothing(raced: Played, race: Race) -> None:
    lap = lap_of(raced, *clean(race)[0])
    told = compare(raced.samples, lap, lap)
    assert set(told.delta_ms.tolist()) == {0}
    assert told.first_speed.tolist() == told.second_speed.tolist()


def test_where_a_car_stood_is_when_it_came_there() -> None:
    lap = LapTelemetry("1", 1, 0, 30, np.array([0, 10, 20, 30]), np.array([0.0, 5.0, 5.0, 10.0]), {})
    assert at_distances(lap, np.array([0.0, 5.0, 10.0])).tolist() == [0, 10, 30]


def test_what_is_not_there_is_told(raced: Played) -> None:
    with pytest.raises(NoTelemetry, match="car 999 has no timed lap"):
        lap_telemetry(raced.samples, raced.timing, "999")
    number = next(iter(raced.samples.cars))
    with pytest.raises(NoTelemetry, match=f"car {number} has no lap 77"):
        lap_telemetry(raced.samples, raced.timing, number, 77)
    with pytest.raises(NoTelemetry, match=f"no telemetry of lap 2 of car {number}"):
        lap_telemetry(Samples(), raced.timing, number, 2)
    lap = lap_telemetry(raced.samples, raced.timing, number, 2)
    for step in (0.0, -1.0, float("nan"), 1e-9):
        with pytest.raises(ValueError, match="more than 0"):
            compare(raced.samples, lap, lap, step)
