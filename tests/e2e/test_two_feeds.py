"""Two sessions side by side through one stack: each with its own lease, schedule and documents, as if it were alone."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import export
from local.emulators import Emulator, Emulators
from local.simulator import Race, for_minutes, recording
from local.simulator.wording import FeedMessage
from local.stack import FeedSpec, Stack

pytestmark = pytest.mark.e2e

TICK_S = 0.25
SESSIONS = {"f1": "9907", "kart-demo": "7731"}
"""Session key by feed."""


def told_as(race: Race, key: str) -> Iterator[FeedMessage]:
    """The race's messages, under another session key."""
    for message in race:
        if message.topic == "SessionInfo":
            own = {"Key": int(key), "Path": f"2026/{key}/"}
            message = message._replace(payload={**message.payload, **own})
        yield message


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A race for each feed, each another one."""
    folder = tmp_path_factory.mktemp("two-feeds")
    paths = {}
    for seed, (feed, key) in enumerate(SESSIONS.items(), 5):
        race = for_minutes(2.5, seed, telemetry=False)
        paths[feed] = folder / f"{feed}.txt.gz"
        recording.write(told_as(race, key), race.opens, paths[feed], "merged")
    return paths


@dataclass
class Played:
    """What is there once every feed of a stack has come to its end and all of it is stored."""

    documents: dict[str, dict[str, Any]]
    leases: dict[str, dict[str, Any]]
    outcomes: dict[str, dict[str, Any]]
    objects: Counter[str]
    dead_letters: int
    current: dict[str, httpx.Response] = field(default_factory=dict)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"{what} took too long"
        time.sleep(0.1)


def held(stack: Stack, feed: str) -> dict[str, Any]:
    """What the feed's last holder said as it let go; empty before."""
    said: dict[str, Any] = {}
    for poller in stack.pollers_of(feed):
        for entry, _ in stack.log_lines(poller):
            if entry.get("message") == "let go" and entry.get("outcome") == "ended":
                said = entry
    return said


def stored(stack: Stack) -> int:
    """Messages of Pub/Sub that writer and recorder have stored, redelivered ones once."""
    ticks = {
        (entry["session"], entry["v"], entry["part"])
        for entry, _ in stack.log_lines("writer")
        if entry.get("message") == "stored"
    }
    batches = {entry["object"] for entry, _ in stack.log_lines("recorder") if "object" in entry}
    return len(ticks) + len(batches)


def play(
    feeds: Iterable[str], recordings: dict[str, Path], project: str, emulators: Emulators, *, ask_api: bool = False
) -> Played:
    specs = [FeedSpec(feed, f"recording:{recordings[feed]}", math.inf) for feed in feeds]
    with Stack(feeds=specs, project=project, tick_s=TICK_S, emulators=emulators) as stack:
        wait_for(lambda: all(held(stack, spec.feed) for spec in specs), "playing")
        outcomes = {spec.feed: held(stack, spec.feed) for spec in specs}
        published = sum(outcome["published"] for outcome in outcomes.values())
        wait_for(lambda: stored(stack) >= published, "storing")
        client = stack.firestore()
        played = Played(
            documents=dict(export.documents(client)),
            leases={lease.id: lease.to_dict() or {} for lease in client.collection("leases").stream()},
            outcomes=outcomes,
            objects=Counter(blob.name.split("/")[0] for blob in stack.storage().list_blobs(stack.settings.raw_bucket)),
            dead_letters=len(stack.dead_letters()),
        )
        if ask_api:
            for series in ("f1", "kart", "indycar"):
                url = f"{stack.api_url}/sessions/current"
                played.current[series] = httpx.get(url, params={"series": series}, trust_env=False)
        client.close()
    return played


def of(documents: dict[str, dict[str, Any]], session: str) -> dict[str, dict[str, Any]]:
    """The documents of a session, but for what differs from run to run."""
    return {
        path: {key: value for key, value in fields.items() if key not in ("v", "writtenAt")}
        for path, fields in documents.items()
        if path.split("/")[1] == session and not path.endswith("/live/feed")
    }


@pytest.fixture(scope="module")
def emulators(firestore_emulator: Emulator, pubsub_emulator: Emulator, storage_emulator: Emulator) -> Emulators:
    return Emulators(firestore_emulator, pubsub_emulator, storage_emulator)


@pytest.fixture(scope="module")
def together(recordings: dict[str, Path], emulators: Emulators) -> Played:
    return play(SESSIONS, recordings, "test-two-feeds", emulators, ask_api=True)


@pytest.fixture(scope="module", params=list(SESSIONS))
def alone(request: pytest.FixtureRequest, recordings: dict[str, Path], emulators: Emulators) -> tuple[str, Played]:
    """One of the two feeds, with a stack for itself."""
    return request.param, play([request.param], recordings, f"test-alone-{request.param}", emulators)


def test_documents_are_those_of_the_feed_run_alone(together: Played, alone: tuple[str, Played]):
    feed, played = alone
    session = SESSIONS[feed]
    assert len(of(played.documents, session)) > 20
    assert of(together.documents, session) == of(played.documents, session)


def test_nothing_else_is_stored(together: Played):
    assert {path.split("/")[1] for path in together.documents} == set(SESSIONS.values())


@pytest.mark.parametrize("feed", SESSIONS)
def test_session_names_its_feed(together: Played, feed: str):
    assert together.documents[f"sessions/{SESSIONS[feed]}"]["feedId"] == feed


def test_each_feed_has_a_lease_of_its_own(together: Played):
    assert {feed: (lease["sessionKey"], lease["finished"]) for feed, lease in together.leases.items()} == {
        feed: (key, True) for feed, key in SESSIONS.items()
    }


def test_epochs_of_one_feed_do_not_count_for_the_other(together: Played):
    assert {feed: lease["epoch"] for feed, lease in together.leases.items()} == dict.fromkeys(SESSIONS, 1)


def test_raw_messages_are_recorded_under_their_own_session(together: Played):
    assert together.dead_letters == 0
    assert set(together.objects) == set(SESSIONS.values())


@pytest.mark.parametrize(("series", "session"), [("f1", "9907"), ("kart", "7731")])
def test_current_session_of_a_series_is_that_of_its_feed(together: Played, series: str, session: str):
    answer = together.current[series]
    assert (answer.status_code, answer.json()["sessionKey"], answer.json()["series"]) == (200, session, series)


def test_series_nobody_feeds_has_no_current_session(together: Played):
    assert together.current["indycar"].status_code == 404


def test_two_feeds_of_one_name_are_refused():
    with pytest.raises(ValueError, match="twice"):
        Stack(feeds=[FeedSpec("f1", "recording:/a"), FeedSpec("f1", "recording:/b")])
