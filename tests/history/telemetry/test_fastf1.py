"""FastF1's own merge of the same samples, as a peer.

It has the same samples at the same instants, and draws the same straight lines between speeds, revolutions and
throttle. It differs, and the tests say where:

- positions: it lays parabolas through them, PitWall straight lines; they are within half a metre for 95 % of the
  instants, and 7 m apart at most;
- a place of 0, 0, 0 is a place to FastF1, a throttle of 104 a throttle, a gear of 49 a gear: to PitWall all unknown;
- in a hole of any length, before a car's first sample and after its last, FastF1 has values; PitWall has none;
- distance: FastF1 adds up speed times time step by step and leaves it at that; PitWall fits it to the crossings.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from bench.telemetry import Payload, fastf1_read, fastf1_table
from local.simulator import Incidents, quick_race, write_recording
from local.simulator.telemetry import deflate
from pitwall.history.telemetry.grid import channel_at
from pitwall.history.telemetry.laps import lap_telemetry
from pitwall.history.telemetry.samples import UNKNOWN, Track
from tests.history.telemetry.conftest import Played, play
from tests.local.simulator.conftest import load_with_fastf1

pytestmark = pytest.mark.whole

pd = pytest.importorskip("pandas", reason="pandas is not installed: FastF1 cannot be asked")

STRAIGHT = {"rpm": "RPM", "speed": "Speed", "throttle": "Throttle"}
SWINGS_MS = 2_000
CARS = {"CarData": ("Entries", "Cars"), "Position": ("Position", "Entries")}
STEPS = {"gear": "nGear", "brake": "Brake", "drs": "DRS"}


def instants(table: Any) -> Any:
    """Its dates as PitWall's instants, to the nearest millisecond as FastF1 rounds them."""
    return table["Date"].astype("datetime64[ms]").astype("int64").to_numpy()


Tables = dict[str, tuple[Any, Any]]
"""FastF1's car data and positions of each car."""


@pytest.fixture(scope="module")
def of_practice(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Those of the practice, read from the file by FastF1's own code."""
    from fastf1 import _api
    from fastf1.livetiming.data import LiveTimingData
    from fastf1.req import Cache

    path = tmp_path_factory.mktemp("fastf1") / "practice.txt"
    path.write_bytes(gzip.decompress((recordings / "2024-mexico-city-practice-3-telemetry.txt.gz").read_bytes()))
    livedata = LiveTimingData(str(path))
    with Cache.disabled():
        cars, positions = _api.car_data("", livedata=livedata), _api.position_data("", livedata=livedata)
    return {number: (fastf1_table(cars[number], number), fastf1_table(positions[number], number)) for number in cars}


@pytest.fixture(scope="module")
def of_race(raced: Played) -> Tables:
    """Those of six cars of the race, read from the feed's payloads by FastF1's own code."""
    numbers = sorted(raced.samples.cars)[:6]
    payloads = []
    for message in raced.messages:
        if message.topic in CARS:
            entries, cars = CARS[message.topic]
            told = [
                entry | {cars: {number: entry[cars][number] for number in numbers}} for entry in message.data[entries]
            ]
            payloads.append(Payload(message.topic, deflate(orjson.dumps({entries: told}).decode()), message.at))
    car_data, positions = fastf1_read(payloads)
    return {
        number: (fastf1_table(car_data[number], number), fastf1_table(positions[number], number)) for number in numbers
    }


@pytest.fixture(scope="module", params=["race", "practice"])
def both(request: pytest.FixtureRequest) -> tuple[Played, Tables]:
    """A session as PitWall and as FastF1 has it."""
    played = request.getfixturevalue({"race": "raced", "practice": "practice"}[request.param])
    return played, request.getfixturevalue(f"of_{request.param}")


def test_it_reads_the_same_samples(both: tuple[Played, Tables]) -> None:
    played, theirs = both
    for number, (car, position) in theirs.items():
        ours = played.samples.cars[number]
        assert np.abs(ours.at - instants(car)).max() <= 1  # it rounds what PitWall cuts off
        for name, column in (STRAIGHT | STEPS).items():
            told = car[column].to_numpy() * (100 if name == "brake" else 1)  # to FastF1 it is on or off
            known = ours.channels[name] != UNKNOWN
            assert ours.channels[name][known].tolist() == told[known].tolist()
        somewhere = position[(position["X"] != 0) | (position["Y"] != 0) | (position["Z"] != 0)]
        places = played.samples.positions.get(number)
        assert (0 if places is None else len(places)) == len(somewhere)
        for axis in ("x", "y", "z") if places is not None else ():
            assert places is not None
            assert places.channels[axis].tolist() == somewhere[axis.upper()].tolist()


def test_its_merge_says_the_same_at_the_same_instants(both: tuple[Played, Tables]) -> None:
    """Car data and positions in one table, at the instants of both: a straight line, or what held, between samples."""
    played, theirs = both
    compared = 0
    for number, (car, position) in theirs.items():
        merged = position.merge_channels(car, frequency="original")
        at = instants(merged)
        track = played.samples.cars[number]
        for name, column in (STRAIGHT | STEPS).items():
            # Where a value around it means nothing, FastF1 draws its lines to 104.
            sure = np.isin(np.searchsorted(track.at, at), _between_known(track.channels[name]))
            ours, told = channel_at(track, name, at), merged[column].to_numpy()
            sure &= ours != UNKNOWN
            if name in STEPS:
                # At a change itself, the millisecond that FastF1 rounds and PitWall cuts off.
                sure &= ~np.isin(at, [track.at + late for late in (-1, 0, 1)])
                assert ours[sure].tolist() == (told[sure] * (100 if name == "brake" else 1)).tolist()
            else:
                # Half a unit is rounding; the rest is that millisecond.
                steepest = np.abs(np.diff(track.channels[name])).max() / 100
                assert np.abs(ours[sure] - told[sure]).max(initial=0) <= 0.5 + steepest + 1
            compared += int(sure.sum())
    assert compared > 100_000


def _between_known(values: Any) -> Any:
    known = values != UNKNOWN
    return np.flatnonzero(known[1:] & known[:-1]) + 1


def test_its_positions_differ_by_the_parabola(both: tuple[Played, Tables]) -> None:
    played, theirs = both
    apart = []
    for number in played.samples.positions.keys() & theirs.keys():  # the safety car has no car data
        track = played.samples.positions[number]
        car, position = theirs[number]
        driving = position[(position["X"] != 0) | (position["Y"] != 0)]
        inside = car[(car["Date"] >= driving["Date"].min()) & (car["Date"] <= driving["Date"].max())]
        merged = driving.merge_channels(inside, frequency="original")
        at = instants(merged)
        for name in ("x", "y", "z"):
            ours, told = channel_at(track, name, at), merged[name.upper()].to_numpy()
            # From the pit lane, where z is 0, to the track at 2,227 m: its parabola swings by 400 m.
            jumps = track.at[1:][np.abs(np.diff(track.channels[name])) > 1_000]
            steady = np.abs(at[:, None] - jumps).min(axis=1, initial=SWINGS_MS) >= SWINGS_MS
            apart += np.abs(ours - told)[steady & (ours != UNKNOWN)].tolist()
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
    archive: tuple[Path, str],
    tmp_path: Path,
) -> None:
    """The whole way of FastF1's users: a session loaded over HTTP, laps picked, their telemetry asked for."""
    race = quick_race(5, laps=3, incidents=Incidents.calm(3))
    write_recording(race, tmp_path / "race.txt")
    played = play(tmp_path / "race.txt")
    session = load_with_fastf1(race, archive, telemetry=True)
    length = race.circuit.length
    ours_off, theirs_off = [], []
    compared = [lap for lap in race.truth.laps if lap.lap == 2 and not (lap.pitIn or lap.pitOut)][:6]
    for lap in compared:
        told = session.laps.pick_drivers(lap.number).pick_laps(2).iloc[0].get_telemetry()
        ours = lap_telemetry(played.samples, played.timing, lap.number, 2, (played.telemetry.lap_length or 0) / 10)
        at = instants(told)
        inside = (at >= ours.start_ms) & (at <= ours.start_ms + ours.time_ms)
        speed = channel_at(played.samples.cars[lap.number], "speed", at[inside])
        assert np.median(np.abs(speed - told["Speed"].to_numpy()[inside])) <= 1
        ours_off.append(abs(ours.metres[-1] - length))
        theirs_off.append(abs(told["Distance"].max() - length))
    assert len(compared) >= 4
    assert max(ours_off) < 0.002 * length
    assert np.mean(ours_off) < np.mean(theirs_off)
