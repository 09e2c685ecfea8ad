"""Car data and positions of the simulated race: packed as F1 packs them, and moving as cars move."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from local.simulator import Race

pytestmark = pytest.mark.whole


def unpacked(race: Race, topic: str) -> list[dict[str, Any]]:
    return [
        json.loads(zlib.decompress(base64.b64decode(message.payload), -15))
        for message in race
        if message.topic == topic
    ]


def instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.fixture(scope="module")
def positions(race_with_telemetry: Race) -> dict[str, list[tuple[float, int, int]]]:
    """Instant, X and Y of every sample, by racing number."""
    samples: dict[str, list[tuple[float, int, int]]] = defaultdict(list)
    for payload in unpacked(race_with_telemetry, "Position.z"):
        for sample in payload["Position"]:
            for number, place in sample["Entries"].items():
                samples[number].append((instant(sample["Timestamp"]), place["X"], place["Y"]))
    return samples


def test_messages_hold_three_to_five_samples_of_every_car(race_with_telemetry: Race) -> None:
    payloads = unpacked(race_with_telemetry, "CarData.z")
    assert {len(payload["Entries"]) for payload in payloads} == {3, 4, 5}
    assert all(set(e["Cars"]) == set(race_with_telemetry.truth.grid) for p in payloads for e in p["Entries"])


def test_four_samples_a_second(race_with_telemetry: Race) -> None:
    seconds = (race_with_telemetry.ends - race_with_telemetry.opens) / 1000
    for topic, key in (("CarData.z", "Entries"), ("Position.z", "Position")):
        count = sum(len(payload[key]) for payload in unpacked(race_with_telemetry, topic))
        assert 3.5 < count / seconds < 4.6


def test_cars_data_have_the_channels_of_2026(race_with_telemetry: Race) -> None:
    for payload in unpacked(race_with_telemetry, "CarData.z"):
        for entry in payload["Entries"]:
            for car in entry["Cars"].values():
                assert car["Channels"].keys() == {"0", "2", "3", "4", "5"}
                assert 0 <= car["Channels"]["2"] <= 350
                assert 0 <= car["Channels"]["3"] <= 8


def test_samples_come_in_order_of_time(positions: dict[str, list[tuple[float, int, int]]]) -> None:
    for samples in positions.values():
        assert all(before[0] < after[0] for before, after in pairwise(samples))


def test_no_car_jumps(positions: dict[str, list[tuple[float, int, int]]]) -> None:
    fastest = max(
        math.dist(before[1:], after[1:]) / 10.0 / (after[0] - before[0])
        for samples in positions.values()
        for before, after in pairwise(samples)
    )
    assert fastest < 200, "metres a second between two samples"


def test_winner_is_at_the_line_when_his_lap_ends(
    race_with_telemetry: Race, positions: dict[str, list[tuple[float, int, int]]]
) -> None:
    winner = race_with_telemetry.truth.finalPositions[0]
    for lap in race_with_telemetry.truth.laps:
        if lap.number == winner:
            at = lap.endedAt / 1000
            before = max(sample for sample in positions[winner] if sample[0] <= at)
            assert math.hypot(before[1], before[2]) / 10 < 40, "metres from the line, a third of a second before"


def test_circuit_closes_and_its_clock_matches_its_line(race_with_telemetry: Race) -> None:
    circuit = race_with_telemetry.circuit
    start, end = circuit.point(0.0), circuit.point(circuit.length - 0.01)
    assert math.dist((start.x, start.y, start.z), (end.x, end.y, end.z)) < 5
    assert sum(circuit.base_ms) == pytest.approx(64_000, abs=5)
    for distance in range(0, round(circuit.length), 37):
        assert circuit.distance_at(circuit.time_at(distance)) == pytest.approx(distance, abs=0.01)
