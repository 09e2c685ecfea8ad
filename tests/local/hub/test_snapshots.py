"""What clients of the hub are told adds up: whoever comes, whenever, ends with the recording's merged state."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from local.hub import Hub, Playing
from local.simulator import for_minutes, write_recording
from pitwall.sources.recording import open_recording
from pitwall.timing.merge import merge
from tests.local.hub.asking import Client, connected, recording

TOPICS = ["SessionInfo", "DriverList", "TimingData", "TimingAppData", "RaceControlMessages", "LapCount"]


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hub") / "race.txt"
    write_recording(for_minutes(4, telemetry=False), path)
    return path


def merged(path: Path) -> dict[str, Any]:
    """Every topic's state after the whole recording."""
    topics: dict[str, Any] = {}
    for message in open_recording(path).messages():
        if message.topic in TOPICS:
            topics[message.topic] = merge(topics.get(message.topic), message.data)
    return topics


def without_marks(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {topic: merge(None, state) for topic, state in snapshot.items()}


class Listener(threading.Thread):
    """Merges a snapshot and all that follows, until the hub ends the connection."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(daemon=True)
        self._hub = hub
        self._up = threading.Event()
        self.topics: dict[str, Any] = {}
        self.heard = 0

    def begin(self) -> Listener:
        self.start()
        assert self._up.wait(30), "the hub did not answer Subscribe"
        return self

    def run(self) -> None:
        with connected(self._hub) as client:
            self.topics = without_marks(client.subscribe(TOPICS))
            self._up.set()
            self._listen(client)

    def _listen(self, client: Client) -> None:
        while True:
            try:
                topic, data, _ = client.next()["arguments"]
            except ConnectionClosed:
                return
            self.heard += 1
            self.topics[topic] = merge(self.topics.get(topic), data)


def played_past(hub: Hub, offset: int) -> None:
    while hub.position_ms < offset and not hub.ended:
        threading.Event().wait(0.002)


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_connects_at_whatever_moment_ends_with_the_whole_state(race: Path, seed: int):
    rng = Random(seed)
    with Hub([Playing(race)], speed=120) as hub:
        hub.cut_frames(0.1)
        listeners = [Listener(hub).begin()]
        hub.start()
        for offset in sorted(rng.randrange(240_000) for _ in range(4)):
            played_past(hub, offset)
            listeners.append(Listener(hub).begin())
        hub.wait_until_ended(60)
        hub.drop()
        for listener in listeners:
            listener.join(30)
    assert len({listener.heard for listener in listeners}) > 1, "they came at different moments"
    assert [listener.topics for listener in listeners] == [merged(race)] * len(listeners)


def test_two_hubs_play_side_by_side_without_mixing(tmp_path: Path):
    with ExitStack() as stack:
        hubs = [
            stack.enter_context(Hub([Playing(recording(tmp_path / f"{key}.jsonl", key=key))], speed=200))
            for key in (1, 2)
        ]
        listeners = [Listener(hub).begin() for hub in hubs]
        for hub in hubs:
            hub.start()
        for hub, listener in zip(hubs, listeners, strict=True):
            hub.wait_until_ended(30)
            hub.drop()
            listener.join(30)
    assert [listener.topics["SessionInfo"]["Key"] for listener in listeners] == [1, 2]


def test_part_of_a_recording_begins_with_all_that_came_before_it(tmp_path: Path):
    path = recording(tmp_path / "session.jsonl")
    with Hub([Playing(path, start_ms=10_000, end_ms=20_000)], speed=200) as hub, connected(hub) as client:
        snapshot = client.subscribe(["SessionInfo", "TimingData"])
        hub.start()
        got = client.until(lambda arguments: arguments[1]["Lines"]["4"]["NumberOfLaps"] == 19)
        hub.wait_until_ended(30)
        [served] = hub.served
    assert snapshot["SessionInfo"]["Key"] == 4711
    assert snapshot["TimingData"]["Lines"]["4"]["NumberOfLaps"] == 9
    assert [arguments[1]["Lines"]["4"]["NumberOfLaps"] for arguments in got] == list(range(10, 20))
    assert served.messages == 10


def test_next_session_replaces_the_states_of_the_one_before(tmp_path: Path):
    one, other = recording(tmp_path / "one.jsonl", key=1), recording(tmp_path / "other.jsonl", key=2)
    with Hub([Playing(one), Playing(other, end_ms=1)], speed=400) as hub:
        hub.start()
        hub.wait_until_ended(30)
        with connected(hub) as client:
            snapshot = client.subscribe(["SessionInfo", "TimingData"])
    assert snapshot["SessionInfo"]["Key"] == 2
    assert snapshot["TimingData"]["Lines"]["4"]["NumberOfLaps"] == 0


def test_client_for_whom_too_much_waits_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("local.hub.hub.OUTBOX_BYTES", 200)
    with Hub([Playing(recording(tmp_path / "session.jsonl"))], speed=400) as hub, connected(hub) as client:
        client.subscribe(["TimingData"])
        hub.silence(3600)
        hub.start()
        with pytest.raises(ConnectionClosed):
            client.next()
        hub.wait_until_ended(30)
        [served] = hub.served
        missed = hub.missed()
    assert served.ended == "too slow"
    assert len(missed) + served.messages == 40
