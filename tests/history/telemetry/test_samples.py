from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.simulator import Race
from pitwall.history.telemetry.samples import UNKNOWN, Samples, feed_step_ms
from pitwall.message import Message
from tests.history.telemetry.conftest import Played

pytestmark = pytest.mark.whole

AT = 1_729_962_949_000
WHEN = "2024-10-26T17:15:49.000Z"


def car_data(*entries: tuple[str | None, dict[str, Any]]) -> Message:
    told = [{"Utc": when, "Cars": cars} if when else {"Cars": cars} for when, cars in entries]
    return Message("CarData", {"Entries": told}, AT)


def car(**channels: Any) -> dict[str, Any]:
    keys = {"rpm": "0", "speed": "2", "gear": "3", "throttle": "4", "brake": "5", "drs": "45"}
    whole = {"rpm": 11_000, "speed": 250, "gear": 7, "throttle": 100, "brake": 0, "drs": 8} | channels
    return {"Channels": {keys[name]: value for name, value in whole.items()}}


def told_by(messages: list[Message]) -> Counter[str]:
    """How many samples there are in the messages, counted apart from the code under test."""
    count: Counter[str] = Counter()
    for message in messages:
        if message.topic == "CarData":
            count["car"] += sum(len(entry["Cars"]) for entry in message.data["Entries"])
        if message.topic == "Position":
            for entry in message.data["Position"]:
                count["position"] += len(entry["Entries"])
                at_zero = [one for one in entry["Entries"].values() if one["X"] == one["Y"] == one["Z"] == 0]
                count["nowhere"] += len(at_zero)
    return count


def test_every_sample_of_a_session_is_accounted_for(played: Played) -> None:
    counts, told = played.samples.counts, told_by(played.messages)
    assert sum(number for name, number in counts.items() if name.startswith("car ")) == told["car"] > 0
    assert sum(number for name, number in counts.items() if name.startswith("position ")) == told["position"] > 0
    assert counts["position no-position"] == told["nowhere"]
    assert sum(len(track) for track in played.samples.cars.values()) == counts["car kept"] + counts["car late"]
    assert sum(map(len, played.samples.positions.values())) == counts["position kept"] + counts["position late"]


def test_none_of_a_simulated_race_is_lost(raced: Played, race: Race) -> None:
    counts = raced.samples.counts
    assert {name for name, number in counts.items() if number} <= {
        "car kept",
        "position kept",
        "position no-position",  # the line is at 0, 0, 0 there
    }
    assert set(raced.samples.cars) == set(race.truth.grid)


def test_what_a_car_in_its_garage_tells_is_unknown(practice: Played) -> None:
    meaningless: Counter[str] = Counter()
    for message in practice.messages:
        if message.topic == "CarData":
            for entry in message.data["Entries"]:
                for told in entry["Cars"].values():
                    channels = told["Channels"]
                    meaningless["throttle"] += channels["4"] > 100
                    meaningless["brake"] += channels["5"] > 100
                    meaningless["gear"] += channels["3"] > 8
    assert {name: number for name, number in practice.samples.unknown.items() if number} == meaningless
    assert meaningless["gear"] > 50


def test_a_late_sample_is_put_in_its_place() -> None:
    first, second, third = "2024-10-26T17:15:49.000Z", "2024-10-26T17:15:49.250Z", "2024-10-26T17:15:49.500Z"
    messages = [car_data((first, {"1": car(speed=1)}), (third, {"1": car(speed=3)})), car_data((second, {"1": car()}))]
    samples = Samples(messages)
    assert samples.cars["1"].at.tolist() == [AT, AT + 250, AT + 500]
    assert samples.cars["1"].channels["speed"].tolist() == [1, 250, 3]
    assert samples.counts["car late"] == 1
    assert samples.counts["car kept"] == 2


def test_of_two_samples_at_one_instant_the_first_stays() -> None:
    samples = Samples([car_data((WHEN, {"1": car()})), car_data((WHEN, {"1": car()}), (WHEN, {"1": car(speed=9)}))])
    assert samples.cars["1"].channels["speed"].tolist() == [250]
    assert samples.counts["car duplicate"] == 1
    assert samples.counts["car conflict"] == 1


def test_a_value_out_of_range_is_unknown_and_the_rest_is_kept() -> None:
    samples = Samples([car_data((WHEN, {"1": car(throttle=104, gear=49, speed=None, rpm="11000")}))])
    channels = {name: values.tolist() for name, values in samples.cars["1"].channels.items()}
    assert channels == {
        "rpm": [11_000],
        "speed": [UNKNOWN],
        "gear": [UNKNOWN],
        "throttle": [UNKNOWN],
        "brake": [0],
        "drs": [8],
    }
    assert samples.unknown == Counter(throttle=1, gear=1, speed=1, rpm=0, brake=0, drs=0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "car bad-message"),
        ({"Entries": "x"}, "car bad-message"),
        ({"Entries": [None]}, "car bad-entry"),
        ({"Entries": [{"Utc": WHEN, "Cars": []}]}, "car bad-entry"),
        ({"Entries": [{"Utc": "yesterday", "Cars": {"1": {}}}]}, "car bad-instant"),
        ({"Entries": [{"Utc": "1999-01-01T00:00:00Z", "Cars": {"1": {}}}]}, "car bad-instant"),
        ({"Entries": [{"Utc": WHEN, "Cars": {"1": None}}]}, "car bad-sample"),
        ({"Entries": [{"Utc": WHEN, "Cars": {"_kf": car()}}]}, "car bad-number"),
        ({"Entries": [{"Utc": WHEN, "Cars": {"1": {"Channels": {}}}}]}, "car no-channels"),
    ],
)
def test_what_is_of_no_use_is_counted_by_reason(data: Any, reason: str) -> None:
    samples = Samples([Message("CarData", data, AT)])
    assert {name: number for name, number in samples.counts.items() if number} == {reason: 1}
    assert samples.cars == {}


def test_messages_that_come_after_the_samples_were_looked_at_are_not_lost_in_silence() -> None:
    samples = Samples([car_data((WHEN, {"1": car()}))])
    assert len(samples.cars["1"]) == 1
    assert not samples.take(Message("TimingData", {}, AT))
    with pytest.raises(ValueError, match="looked at already"):
        samples.take(car_data((WHEN, {"1": car()})))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ({"X": 0, "Y": 0, "Z": 0}, "position no-position"),
        ({"X": 1, "Y": 2}, "position bad-sample"),
        ({"X": 1, "Y": 2, "Z": 10**9}, "position bad-sample"),
        (7, "position bad-sample"),
    ],
)
def test_a_place_that_is_none_is_counted_by_reason(place: Any, reason: str) -> None:
    samples = Samples([Message("Position", {"Position": [{"Timestamp": WHEN, "Entries": {"1": place}}]}, AT)])
    assert {name: number for name, number in samples.counts.items() if number} == {reason: 1}


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
CARS = st.dictionaries(
    st.sampled_from(["1", "44", ""]),
    ANYTHING
    | st.fixed_dictionaries({"Channels": st.dictionaries(st.sampled_from(["0", "2", "3", "4", "5", "45"]), ANYTHING)}),
    max_size=3,
)
INSTANTS = st.sampled_from([WHEN, "2024-10-26T17:15:48.100Z", "2024-10-26T17:15:49.2Z", "no"])
ENTRIES = st.lists(st.fixed_dictionaries({"Utc": INSTANTS, "Cars": CARS}), max_size=4)


@given(st.lists(ENTRIES, max_size=4))
def test_whatever_cars_tell_each_sample_is_counted_once(batches: list[list[dict[str, Any]]]) -> None:
    samples = Samples(Message("CarData", {"Entries": entries}, AT) for entries in batches)
    told = sum(len(entry["Cars"]) for entries in batches for entry in entries)
    assert samples.counts.total() == told
    for track in samples.cars.values():
        assert (np.diff(track.at) > 0).all()


@given(ANYTHING, st.sampled_from(["CarData", "Position"]))
def test_no_message_is_too_odd(data: Any, topic: str) -> None:
    samples = Samples([Message(topic, data, AT)])
    assert samples.cars == samples.positions == {}


def test_the_feeds_own_rate_is_the_median_of_its_steps(practice: Played) -> None:
    assert 200 <= feed_step_ms(practice.samples) <= 300
    assert feed_step_ms(Samples()) == 250
