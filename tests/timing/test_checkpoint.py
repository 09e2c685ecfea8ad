"""A state put down and taken up again goes on as if nothing had been: that is what a checkpoint is for."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.simulator import quick_race
from pitwall.message import Message
from pitwall.timing.change import POSITIONS, TELEMETRY, Change
from pitwall.timing.state import Data, SessionState
from tests.timing.script import Script, lap_time, seconds

pytestmark = pytest.mark.whole


def simulated() -> list[Message]:
    """A simulated race of ten laps with a safety car, stops and a red flag, in the order a listener gets it."""
    return [Message(sent.topic, sent.payload, sent.at) for sent in quick_race(3, telemetry=False)]


RACE = simulated()


def played(messages: Iterable[Message], cuts: Iterable[int] = ()) -> tuple[Data, list[set[Change]]]:
    """What is known after all messages, and all changes; at each index of `cuts` the state is dumped and loaded."""
    state, changes, pause = SessionState("cut"), [], set(cuts)
    for index, message in enumerate(messages):
        if index in pause:
            state = SessionState.load(state.dump())
        changes.append(state.apply(message))
    changes.append(state.finish())
    return SessionState.load(state.dump()).data, changes


UNCUT = played(RACE)


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, len(RACE) - 1), min_size=1, max_size=4))
def test_a_state_loaded_at_any_message_goes_on_as_the_one_that_was_dumped(cuts: list[int]) -> None:
    known, changes = played(RACE, cuts)
    assert (changes == UNCUT[1], known == UNCUT[0]) == (True, True)


def test_the_same_messages_give_the_same_state_and_changes() -> None:
    assert played(RACE) == UNCUT


def test_a_message_told_twice_changes_no_lap() -> None:
    once, twice = SessionState("once"), SessionState("twice")
    for message in RACE:
        once.apply(message)
        twice.apply(message)
        twice.apply(message)
    for number, car in once.data.cars.items():
        assert twice.data.cars[number].laps == car.laps


def test_a_checkpoint_of_the_longest_race_with_the_most_cars_is_far_below_a_mebibyte() -> None:
    """Monaco has 78 laps; Firestore stores a document of at most 1 MiB."""
    script = Script(laps=78)
    at = 0.0
    numbers = [str(n) for n in range(1, 23)]
    for lap in range(1, 79):
        for place, number in enumerate(numbers):
            start, s3 = at + place, 25_000 + 37 * place + lap % 7
            line = {
                "Position": str(place + 1), "GapToLeader": f"+{place}.{lap:03d}", "NumberOfLaps": lap,
                "Sectors": [{"Value": seconds(ms)} for ms in (30_000 + lap, 29_000 + place, s3)],
                "Speeds": {trap: {"Value": str(200 + lap)} for trap in ("I1", "I2", "FL", "ST")},
                "LastLapTime": {"Value": lap_time(59_000 + lap + place + s3)},
            }  # fmt: skip
            script.line(start, number, **line)
            if lap % 20 == 0:
                script.line(start + 1, number, InPit=True)
                script.line(start + 24, number, InPit=False)
                stint = {"Compound": "MEDIUM", "New": "true", "TotalLaps": 0, "StartLaps": 0}
                script.stints(start + 25, {str(lap // 20): stint}, number)
        script.race_control(at + 30, f"WAVED BLUE FLAG FOR CAR {lap} (AAA) TIMED AT 15:{lap % 60:02d}:01" * 4)
        script.tell(at + 40, "WeatherData", {"AirTemp": f"2{lap % 10}.{lap % 9}", "Humidity": str(lap)})
        at += 90
    script.finish()
    assert sum(len(car.laps) for car in script.state.data.cars.values()) == 22 * 78
    assert len(zlib.compress(script.state.dump())) < 2**19


@pytest.mark.parametrize("broken", [b"", b"\\xc1", b"\\x80", msgspec.msgpack.encode({"session": 7, "feed": "f1"})])
def test_what_is_no_checkpoint_is_refused(broken: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, msgspec.ValidationError)):
        SessionState.load(broken)


def test_samples_not_projected_yet_survive_a_checkpoint() -> None:
    script = Script()
    car = {"Entries": [{"Utc": "2030-01-01T12:00:00Z", "Cars": {"7": {"Channels": {"2": 300}}}}]}
    place = {"Position": [{"Timestamp": "2030-01-01T12:00:00Z", "Entries": {"7": {"X": 1, "Y": 2, "Z": 3}}}]}
    assert script.tell(1, "CarData", car) == {Change(TELEMETRY)}
    assert script.tell(1, "Position", place) == {Change(POSITIONS)}
    script.state = SessionState.load(script.state.dump())
    for what, sample in ((TELEMETRY, "speed_kph"), (POSITIONS, "x")):
        document = script.document(what)
        assert hasattr(document.samples[0].lines["7"], sample)  # type: ignore[attr-defined]
