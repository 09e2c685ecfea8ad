"""FastF1's own merge of the same samples, as a peer.

It has the same samples at the same instants, and draws the same straight lines between speeds, revolutions and
throttle. It differs, and the tests say where:

- positions: it lays parabolas through them, PitWall straight lines;
- a place of 0, 0, 0 is a place to FastF1, a throttle of 104 a throttle, a gear of 49 a gear: to PitWall all unknown;
- in a hole of any length, before a car's first sample and after its last, FastF1 has values; PitWall has none;
- distance: FastF1 adds up speed times time step by step and leaves it at that; PitWall fits it to the crossings.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.telemetry import fastf1_table
from local.simulator import Race
from pitwall.history.telemetry.grid import channel_at
from pitwall.history.telemetry.laps import lap_telemetry
from pitwall.history.telemetry.samples import UNKNOWN, Track
from tests.history.telemetry.conftest import Played
from tests.local.simulator.conftest import load_with_fastf1

pd = pytest.importorskip("pandas", reason="pandas is not installed: FastF1 cannot be asked")

STRAIGHT = {"rpm": "RPM", "speed": "Speed", "throttle": "Throttle"}


def instants(table: Any) -> Any:
    """Its dates as PitWall's instants, to the nearest millisecond as FastF1 rounds them."""
    return table["Date"].astype("datetime64[ms]").astype("int64").to_numpy()


@pytest.fixture(scope="module")
def theirs(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    """FastF1's car data and positions of the practice by car, read from the file by its own code."""
    from fastf1 import _api
    from fastf1.livetiming.data import LiveTimingData
    from fastf1.req import Cache

    path = tmp_path_factory.mktemp("fastf1") / "practice.txt"
    path.write_bytes(gzip.decompress((recordings / "2024-mexico-city-practice-3-telemetry.txt.gz").read_bytes()))
    livedata = LiveTimingData(str(path))
    with Cache.disabled():
        cars, positions = _api.car_data("", livedata=livedata), _api.position_data("", livedata=livedata)
    return {number: (fastf1_table(cars[number], number), fastf1_table(positions[number], number)) for number in cars}


def test_it_reads_the_same_samples(practice: Played, theirs: dict[str, tuple[Any, Any]]) -> None:
    for number, (car, position) in theirs.items():
        ours = practice.samples.cars[number]
        assert np.abs(ours.at - instants(car)).max() <= 1  # it rounds what PitWall cuts off
        for name, column in STRAIGHT.items():
            told = car[column].to_numpy()
            assert np.where(ours.channels[name] == UNKNOWN, told, ours.channels[name]).tolist() == told.tolist()
        somewhere = position[(position["X"] != 0) | (position["Y"] != 0) | (position["Z"] != 0)]
        places = practice.samples.positions.get(number)
        assert (0 if places is None else len(places)) == len(somewhere)
        if places is not None:
            assert places.channels["x"].tolist() == somewhere["X"].tolist()


def test_its_merge_draws_the_same_lines(practice: Played, theirs: dict[str, tuple[Any, Any]]) -> None:
    """At the instants of the positions, where both interpolate."""
    compared = 0
    for number, (car, position) in theirs.items():
        merged = position.merge_channels(car, frequency="original")
        at = instants(merged)
        track = practice.samples.cars[number]
        for name, column in STRAIGHT.items():
            # Where a value around it means nothing, FastF1 draws its lines to 104.
            sure = np.isin(np.searchsorted(track.at, at), _between_known(track.channels[name]))
            ours, told = channel_at(track, name, at), merged[column].to_numpy()
            sure &= ours != UNKNOWN
            # Half a unit is rounding; the rest is the millisecond that FastF1 rounds and PitWall cuts off.
            steepest = np.abs(np.diff(track.channels[name])).max() / 100
            assert np.abs(ours[sure] - told[sure]).max(initial=0) <= 0.5 + steepest + 1
            compared += int(sure.sum())
    assert compared > 100_000


def _between_known(values: Any) -> Any:
    known = values != UNKNOWN
    return np.flatnonzero(known[1:] & known[:-1]) + 1


def test_its_positions_differ_by_the_parabola(practice: Played, theirs: dict[str, tuple[Any, Any]]) -> None:
    apart = []
    for number in practice.samples.positions.keys() & theirs.keys():  # the safety car has no car data
        track = practice.samples.positions[number]
        car, position = theirs[number]
        driving = position[(position["X"] != 0) | (position["Y"] != 0)]
        inside = car[(car["Date"] >= driving["Date"].min()) & (car["Date"] <= driving["Date"].max())]
        merged = driving.merge_channels(inside, frequency="original")
        at = instants(merged)
        for name in ("x", "y"):
            ours, told = channel_at(track, name, at), merged[name.upper()].to_numpy()
            apart += np.abs(ours - told)[ours != UNKNOWN].tolist()
    assert len(apart) > 1_000
    assert np.percentile(apart, 95) < 10, "tenths of a metre"
    assert max(apart) < 100


def test_it_has_values_where_there_are_none() -> None:
    """A hole of a minute: FastF1 draws its line across."""
    at = pd.to_datetime([0, 1_000, 61_000], unit="ms")
    car = fastf1_table(
        pd.DataFrame(
            {"Time": at - at[0], "Date": at, "RPM": [9_000, 9_000, 0], "Speed": [200, 200, 0], "nGear": [5, 5, 0],
             "Throttle": [50, 50, 0], "Brake": [False] * 3, "DRS": [0] * 3, "Source": ["car"] * 3}
        ),
        "1",
    )  # fmt: skip
    at = pd.to_datetime([0, 31_000, 61_000], unit="ms")
    position = fastf1_table(
        pd.DataFrame(
            {"Time": at - at[0], "Date": at, "Status": ["OnTrack"] * 3, "X": [0, 1, 2], "Y": [0, 1, 2], "Z": [0, 1, 2],
             "Source": ["pos"] * 3}
        ),
        "1",
    )  # fmt: skip
    merged = position.merge_channels(car, frequency="original")
    assert merged["Speed"].tolist() == [200, 200, 100, 0]
    track = Track(np.array([0, 1_000, 61_000]), {"speed": np.array([200, 200, 0])})
    assert channel_at(track, "speed", instants(merged)).tolist() == [200, 200, UNKNOWN, 0]


def test_a_lap_has_the_same_speeds_and_a_truer_length(
    raced: Played,
    race: Race,
    archive: tuple[Path, str],
) -> None:
    session = load_with_fastf1(race, archive, telemetry=True)
    length = race.circuit.length
    ours_off, theirs_off = [], []
    compared = [lap for lap in race.truth.laps if lap.lap == 2 and not (lap.pitIn or lap.pitOut)][:6]
    for lap in compared:
        told = session.laps.pick_drivers(lap.number).pick_laps(2).iloc[0].get_telemetry()
        ours = lap_telemetry(raced.samples, raced.timing, lap.number, 2, (raced.telemetry.lap_length or 0) / 10)
        at = instants(told)
        inside = (at >= ours.start_ms) & (at <= ours.start_ms + ours.time_ms)
        speed = channel_at(raced.samples.cars[lap.number], "speed", at[inside])
        assert np.median(np.abs(speed - told["Speed"].to_numpy()[inside])) <= 1
        ours_off.append(abs(ours.metres[-1] - length))
        theirs_off.append(abs(told["Distance"].max() - length))
    assert len(compared) >= 4
    assert max(ours_off) < 0.002 * length
    assert np.mean(ours_off) < np.mean(theirs_off)
