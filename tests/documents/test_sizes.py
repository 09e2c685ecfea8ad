"""Sizes are those of Firestore's published rules (storage size calculations in its documentation)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pitwall.documents.car_telemetry import CarChannelsSample, CarPositionSample, CarTelemetryDocument
from pitwall.documents.encoding import document_size, to_fields, value_size
from pitwall.documents.live import TowerDocument, TowerLine
from pitwall.documents.projection import MAX_SAMPLES


def test_the_worked_example_of_the_documentation():
    # Firestore's own example: users/jeff/tasks/my_task_id takes 147 bytes.
    fields = {"type": "Personal", "done": False, "priority": 1, "description": "Learn Cloud Firestore"}
    assert document_size("users/jeff/tasks/my_task_id", fields) == 147


@pytest.mark.parametrize(
    ("value", "size"),
    [
        (None, 1),
        (True, 1),
        (1, 8),
        (1.5, 8),
        (datetime(2025, 1, 1, tzinfo=UTC), 8),
        ("", 1),
        ("abc", 4),
        ("é", 3),
        (b"abc", 3),
        ([1, "a"], 10),
        ({"ab": 1}, 11),
        ({}, 0),
    ],
)
def test_size_of_a_value(value: object, size: int):
    assert value_size(value) == size


def test_what_firestore_cannot_store_is_refused():
    with pytest.raises(TypeError, match="set"):
        value_size({1})


def test_a_tower_of_22_cars_with_every_value_it_can_have_at_once_is_at_most_4_kib():
    # A car has either a gap or laps down, an interval or laps behind, and in a race no drop zone.
    running = TowerLine(
        p=22, g=90_123, i=12_345, n=57, l=92_345, lb="p", s1=30_001, s2=30_002, s3=32_342, b1="o", b2="p", b3="p"
    )
    at = datetime(2025, 1, 1, tzinfo=UTC)
    tower = TowerDocument(at=at, written_at=at, v=2**40, lines={str(n): running for n in range(10, 32)})
    assert document_size("sessions/9845/live/timing", to_fields(tower)) <= 4_096


def test_the_telemetry_of_a_car_is_never_larger_than_10_kib():
    at = datetime(2025, 1, 1, tzinfo=UTC)
    channels = CarChannelsSample(at=at, rpm=11_000, speed_kph=301, gear=8, throttle=100, brake=0, drs=12)
    position = CarPositionSample(at=at, x=-1, y=2, z=3, off_track=True)
    telemetry = CarTelemetryDocument(
        at=at,
        written_at=at,
        v=2**40,
        racing_number="44",
        until=at,
        telemetry=[channels] * MAX_SAMPLES,
        positions=[position] * MAX_SAMPLES,
    )
    assert document_size("sessions/9845/telemetry/44", to_fields(telemetry)) <= 10 * 1024
