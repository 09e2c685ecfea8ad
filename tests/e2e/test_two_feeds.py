"""Two sessions side by side through one stack: each with its own lease, schedule and documents, as if it were alone."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import export
from local.emulators import Emulator, Emulators
from local.hub import Hub, Playing
from local.simulator import Race, for_minutes, recording
from local.simulator.wording import FeedMessage
from local.stack import FeedSpec, Stack
from pitwall.documents.schedule import ScheduledSession
from pitwall.pipeline.database import Database
from pitwall.pipeline.schedule import Schedules, with_coming

pytestmark = [pytest.mark.e2e, pytest.mark.long]

TICK_S = 0.25
SPEED = 30.0
SESSIONS = {"f1": "9907", "f2-demo": "7731"}
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
    holders: dict[str, int]
    """How often one of its pollers began to hold each feed."""
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
            if entry.get("message") == "let go" and entry.get("outcome") in ("ended", "session-over"):
                said = entry
    return said


def holders(stack: Stack, feed: str) -> int:
    return sum(
        entry.get("message") == "holding" for poller in stack.pollers_of(feed) for entry, _ in stack.log_lines(poller)
    )


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
    with Stack(feeds=specs, history=False, project=project, tick_s=TICK_S, emulators=emulators) as stack:
        played = left(stack)
        if ask_api:
            for series in ("f1", "f2", "indycar"):
                url = f"{stack.api_url}/sessions/current"
                played.current[series] = httpx.get(url, params={"series": series}, trust_env=False)
    return played


def left(stack: Stack) -> Played:
    """What is there once every feed has come to its end and all of it is stored."""
    wait_for(lambda: all(held(stack, feed) for feed in stack.feeds), "playing")
    published = sum(held(stack, feed)["published"] for feed in stack.feeds)
    wait_for(lambda: stored(stack) >= published, "storing")
    client = stack.firestore()
    played = Played(
        documents=dict(export.documents(client)),
        leases={lease.id: lease.to_dict() or {} for lease in client.collection("leases").stream()},
        holders={feed: holders(stack, feed) for feed in stack.feeds},
        objects=Counter(blob.name.split("/")[0] for blob in stack.storage().list_blobs(stack.settings.raw_bucket)),
        dead_letters=len(stack.dead_letters()),
    )
    client.close()
    return played


def play_live(recordings: dict[str, Path], project: str, emulators: Emulators) -> Played:
    """Each feed from a hub of its own, in its own time, when its own schedule says so; the sessions begin now."""
    with ExitStack() as using:
        hubs = {
            feed: using.enter_context(Hub([Playing(path)], speed=SPEED, redate=True))
            for feed, path in recordings.items()
        }
        specs = [
            FeedSpec(feed, "f1", SPEED, {"PITWALL_F1_URL": hub.url, "PITWALL_QUIET_S": str(3 * SPEED)})
            for feed, hub in hubs.items()
        ]
        stack = using.enter_context(
            Stack(feeds=specs, history=False, project=project, tick_s=TICK_S, emulators=emulators)
        )
        for feed, hub in hubs.items():
            assert not hub.connections, "nothing is scheduled yet"
            database = Database(project)
            Schedules(database, feed).change(lambda schedule, now: with_coming(schedule, [race_at(now)]))
            database.close()
        for feed, hub in hubs.items():
            wait_for(lambda hub=hub: len(hub.snapshots) >= 2, f"connecting {feed}")
        for hub in hubs.values():
            hub.start()
        return left(stack)


def race_at(now: datetime) -> ScheduledSession:
    """A race that begins now, as a calendar has it that knows no key of F1's."""
    end = now + timedelta(hours=2)
    return ScheduledSession(year=now.year, meeting="Grand Prix", type="Race", name="Race", start_date=now, end_date=end)


def of(documents: dict[str, dict[str, Any]], session: str) -> dict[str, dict[str, Any]]:
    """The documents of a session, but for what differs from run to run."""
    return {
        path: {key: value for key, value in fields.items() if key not in ("v", "writtenAt", "expireAt")}
        for path, fields in documents.items()
        if path.split("/")[:2] == ["sessions", session] and not path.endswith("/live/feed")
    }


def since_its_start(documents: dict[str, dict[str, Any]], session: str) -> dict[str, Any]:
    """The documents of a session, every instant counted from its scheduled start.

    Without the towers kept for those behind a broadcast: which of them is where depends on the time of day.
    """
    own = of(documents, session)
    start = own[f"sessions/{session}"]["startDate"]

    def counted(value: Any) -> Any:
        if isinstance(value, datetime):
            return value - start
        if isinstance(value, dict):
            return {key: counted(item) for key, item in value.items()}
        return [counted(item) for item in value] if isinstance(value, list) else value

    return {path: counted(fields) for path, fields in own.items() if "/towers/" not in path}


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


@pytest.fixture(scope="module")
def live(recordings: dict[str, Path], emulators: Emulators) -> Played:
    return play_live(recordings, "test-two-live-feeds", emulators)


@pytest.mark.parametrize("feed", SESSIONS)
def test_documents_of_two_live_feeds_are_those_of_their_recordings(together: Played, live: Played, feed: str):
    session = SESSIONS[feed]
    assert since_its_start(live.documents, session) == since_its_start(together.documents, session)


def test_each_live_feed_has_a_schedule_of_its_own(live: Played):
    schedules = {path.split("/")[1]: fields for path, fields in live.documents.items() if path.startswith("schedule/")}
    assert {feed: schedule["last"]["sessionKey"] for feed, schedule in schedules.items()} == SESSIONS
    assert not any("live" in schedule or "next" in schedule for schedule in schedules.values())


def test_each_live_feed_has_a_lease_of_its_own(live: Played):
    assert {feed: lease["sessionKey"] for feed, lease in live.leases.items()} == SESSIONS


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


@pytest.mark.parametrize("how", ["together", "live"])
def test_epochs_of_one_feed_count_its_own_holders_only(how: str, request: pytest.FixtureRequest):
    played: Played = request.getfixturevalue(how)
    assert {feed: lease["epoch"] for feed, lease in played.leases.items()} == played.holders


def test_raw_messages_are_recorded_under_their_own_session(together: Played):
    assert together.dead_letters == 0
    assert set(together.objects) == set(SESSIONS.values())


@pytest.mark.parametrize(("series", "session"), [("f1", "9907"), ("f2", "7731")])
def test_current_session_of_a_series_is_that_of_its_feed(together: Played, series: str, session: str):
    answer = together.current[series]
    assert (answer.status_code, answer.json()["sessionKey"], answer.json()["series"]) == (200, session, series)


def test_series_nobody_feeds_has_no_current_session(together: Played):
    assert together.current["indycar"].status_code == 404


def test_two_feeds_of_one_name_are_refused():
    with pytest.raises(ValueError, match="twice"):
        Stack(feeds=[FeedSpec("f1", "recording:/a"), FeedSpec("f1", "recording:/b")])
