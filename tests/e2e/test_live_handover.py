"""A live feed changes hands, planned and not: two pollers of the whole stack on a hub that repeats nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from google.cloud import pubsub_v1

from local import export
from local.emulators import Emulator, Emulators
from local.functions import FunctionServer
from local.gaps import LATE, STAMPS, Gap, gaps_in, unexplained
from local.hub import Hub, Playing
from local.simulator import for_minutes, recording
from local.stack import FeedSpec, Stack
from pitwall.documents.encoding import instant
from pitwall.documents.encoding import millis as millis_of
from pitwall.pipeline.checkpoint import Checkpoints
from pitwall.pipeline.database import Database
from pitwall.pipeline.envelope import Envelope, decode, encode
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from tests.e2e.test_two_feeds import told_as, wait_for
from tests.pipeline.conftest import recorded

pytestmark = pytest.mark.e2e

SPEED = 25.0
TICK_S = 0.25
TTL_S = 3.0
SESSIONS = {"planned": "9911", "killed": "9912", "alone": "9913", "hung": "9914"}
"""Session key by feed; each feed has one thing happen to it."""

IN_THE_RACE_MS = 100_000
"""Feed time at which it happens: on the first of three laps."""
BEFORE_THE_LINE_MS = 170_000
"""The same, shortly before the end of the second lap."""

TOLD_LATE_MS = 6_000
"""Feed time from a crossing to the last of what it brings: of sector 3 five seconds have been seen."""

WITHIN = timedelta(seconds=15)
"""From a crash to the take-over, with the time to live that is deployed; here it is shorter, to save time."""

ENV = {
    "PITWALL_SCHEDULE": "off",
    "PITWALL_QUIET_S": str(2 * SPEED),
    "PITWALL_LEASE_TTL_S": str(TTL_S),
    "PITWALL_LEASE_RENEW_S": "0.5",
}
OWN = {
    "planned": {"PITWALL_INVOCATION_S": "8", "PITWALL_HANDOVER_S": "1.5"},
    "alone": {"PITWALL_CHECKPOINT_S": "0.2"},
}

Documents = dict[str, dict[str, Any]]


@dataclass
class Feed:
    """One feed of the stack, its hub and its two pollers."""

    name: str
    hub: Hub
    stack: Stack
    clean: Documents
    """What an uninterrupted run stores."""
    told: list[Envelope] = field(default_factory=list)
    """What was published, in order, as far as it has been asked for."""

    @property
    def session(self) -> str:
        return SESSIONS[self.name]

    @property
    def lease(self) -> dict[str, Any]:
        return self.stack.firestore().document(f"leases/{self.name}").get().to_dict() or {}

    @property
    def holder(self) -> str:
        """Name of the poller that holds the feed."""
        return str(self.lease.get("holder", "")).partition("/")[0]

    @property
    def standby(self) -> str:
        (other,) = set(self.stack.pollers_of(self.name)) - {self.holder}
        return other

    @property
    def is_covered(self) -> bool:
        """Whether somebody holds the feed and somebody else is ready to."""
        lease = self.lease
        return "holder" in lease and bool(lease.get("successor", {}).get("ready")) and bool(lease.get("sessionKey"))

    def lines(self, message: str) -> list[dict[str, Any]]:
        """What the feed's pollers logged with this message, one poller's after the other's."""
        return [
            entry
            for poller in self.stack.pollers_of(self.name)
            for entry, _ in self.stack.log_lines(poller)
            if entry.get("message") == message
        ]

    def taken_over_at(self) -> datetime:
        """When the second holder had the lease, or had renewed it, by Firestore's clock. Waits for it."""
        lease = self.stack.firestore().document(f"leases/{self.name}")
        wait_for(lambda: lease.get().get("epoch") > 1, "the take-over")
        return lease.get().update_time

    def checkpoint_clock(self) -> int:
        """Feed instant, ms, of the newest message that the checkpoint covers."""
        database = Database(self.stack.project)
        checkpoint = Checkpoints(database, 0).load(self.session)
        database.close()
        assert checkpoint is not None
        return Reducer.load(checkpoint.reducer).clock

    def publish_late(self, known: int) -> list[Envelope]:
        """Publishes what a former holder may have in line: what it did since its checkpoint, under its next versions.

        known: feed instant, ms, of that checkpoint.
        """
        publisher = self.stack.publisher()
        topic = publisher.topic_path(self.stack.project, self.stack.settings.topic_timing)
        own = [envelope for envelope in self.told if envelope.epoch == 1]
        told = []
        for envelope in own:
            if millis_of(envelope.at) <= known:
                continue
            documents = [document for document in envelope.documents if "/towers/" not in document.path]
            for data in encode(
                feed=self.name,
                session=self.session,
                epoch=1,
                seq=own[-1].seq + envelope.seq,
                at=millis_of(envelope.at),
                documents=documents,
                arrived=(),
                tower="",
                limit=1_000_000,
            ):
                publisher.publish(topic, data, self.session).result()
                told.append(decode(data))
        publisher.stop()
        return told

    def take(self) -> int:
        """Takes what has been published since; the highest epoch seen."""
        path = f"projects/{self.stack.project}/subscriptions/{self.name}"
        with pubsub_v1.SubscriberClient() as subscriber, warnings.catch_warnings(action="ignore"):
            request = {"subscription": path, "max_messages": 1000, "return_immediately": True}
            while received := subscriber.pull(request=request).received_messages:
                for data in (one.message.data for one in received):
                    if (envelope := decode(data)).session == self.session:
                        self.told.append(envelope)
                subscriber.acknowledge(subscription=path, ack_ids=[one.ack_id for one in received])
        return max((envelope.epoch for envelope in self.told), default=0)

    def stored(self) -> dict[tuple[int, int], dict[str, Any]]:
        """The writer's lines on messages of the session, by version and part; the last one where there are several."""
        return {
            (entry["v"], entry["part"]): entry
            for entry, _ in self.stack.log_lines("writer")
            if entry.get("message") == "stored" and entry["session"] == self.session
        }

    def play_to_the_end(self) -> Documents:
        """What is stored once the race is over, the pollers have gone and all they published is stored."""
        self.hub.wait_until_ended(120)
        wait_for(lambda: self.lines("the session is over"), "the end of the session")
        self.stack.schedulers[self.name].stop()
        FunctionServer.end(self.stack.pollers_of(self.name).values())
        self.take()
        wait_for(lambda: {(e.v, e.part) for e in self.told} <= self.stored().keys(), "storing")
        return {
            path: export.jsonable(fields)
            for path, fields in export.documents(self.stack.firestore())
            if path.split("/")[1] == self.session
        }


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A race for every feed, under a session key of its own."""
    folder = tmp_path_factory.mktemp("races")
    for feed, key in SESSIONS.items():
        race = for_minutes(6 if feed == "alone" else 5, 5, telemetry=False)
        recording.write(told_as(race, key), race.opens, folder / f"{feed}.txt.gz", "merged")
    return {feed: folder / f"{feed}.txt.gz" for feed in SESSIONS}


def clean_of(recording: Path, feed: str) -> Documents:
    """What an uninterrupted run stores."""
    documents = {path: export.jsonable(fields) for path, fields in recorded(recording).items()}
    documents[f"sessions/{SESSIONS[feed]}"] |= {"feedId": feed, "series": feed}
    return documents


@pytest.fixture(scope="module")
def feeds(
    recordings: dict[str, Path],
    firestore_emulator: Emulator,
    pubsub_emulator: Emulator,
    storage_emulator: Emulator,
) -> Iterator[dict[str, Feed]]:
    emulators = Emulators(firestore_emulator, pubsub_emulator, storage_emulator)
    with ExitStack() as using:
        hubs = {
            feed: using.enter_context(Hub([Playing(path)], speed=SPEED, token="good"))
            for feed, path in recordings.items()
        }
        specs = [
            FeedSpec(
                feed,
                "f1",
                SPEED,
                {**ENV, **OWN.get(feed, {}), "PITWALL_F1_URL": hub.url, "PITWALL_F1_TOKEN": "good"},
            )
            for feed, hub in hubs.items()
        ]
        stack = using.enter_context(
            Stack(feeds=specs, history=False, project="test-handover", tick_s=None, emulators=emulators)
        )
        subscriber = using.enter_context(pubsub_v1.SubscriberClient())
        topic = f"projects/{stack.project}/topics/{stack.settings.topic_timing}"
        for feed in SESSIONS:
            name = f"projects/{stack.project}/subscriptions/{feed}"
            subscriber.create_subscription(
                request={"name": name, "topic": topic, "enable_message_ordering": True, "ack_deadline_seconds": 60}
            )
        yield {
            feed: Feed(
                feed,
                hub,
                stack,
                clean_of(recordings[feed], feed),
            )
            for feed, hub in hubs.items()
        }


@pytest.fixture
def play(feeds: dict[str, Feed]) -> Iterator[Callable[..., Feed]]:
    """Begins a feed; returns it in mid-race, held by one poller while the other one is ready."""
    with ExitStack() as using:

        def begin(name: str, at_ms: int = IN_THE_RACE_MS) -> Feed:
            feed = feeds[name]
            feed.stack.schedulers[name] = using.enter_context(feed.stack.ticking(name, TICK_S))
            wait_for(lambda: len(feed.hub.snapshots) >= 2, "connecting")
            feed.hub.start()
            wait_for(lambda: feed.hub.position_ms > at_ms and feed.is_covered, "the race")
            return feed

        yield begin


def said(documents: Documents) -> dict[tuple[str, str], Any]:
    """What the documents say, field by field. Without copies of the tower: their second is the machine's."""
    return {
        (path, name): value
        for path, fields in documents.items()
        for name, value in fields.items()
        if name not in STAMPS and "/towers/" not in path and not path.endswith("/live/feed")
    }


def differences(clean: Documents, got: Documents) -> dict[tuple[str, str], Any]:
    """Path and field of what two runs say differently, with what they say."""
    told, now = said(clean), said(got)
    return {key: (told.get(key), now.get(key)) for key in told.keys() | now.keys() if told.get(key) != now.get(key)}


@pytest.mark.long
def test_planned_hand_overs_leave_no_trace(play: Callable[..., Feed]) -> None:
    feed = play("planned")
    documents = feed.play_to_the_end()
    assert {line["epoch"] for line in feed.lines("let go") if line["outcome"] == "handed-over"} >= {1, 2}
    assert feed.hub.missed() == []
    assert differences(feed.clean, documents) == {}


def test_standby_takes_over_from_a_killed_holder_and_nothing_is_missing(play: Callable[..., Feed]) -> None:
    """The standby does, and not the instance that is started in the killed one's place and has kept nothing."""
    feed = play("killed")
    standby = feed.standby
    feed.stack.pollers[feed.holder].crash()
    expired = feed.lease["expiresAt"]
    taken_at = feed.taken_over_at()
    assert feed.holder == standby
    assert timedelta(seconds=Settings().lease_ttl_s) + (taken_at - expired) < WITHIN
    documents = feed.play_to_the_end()
    assert feed.hub.missed() == []
    assert differences(feed.clean, documents) == {}


def test_what_nobody_heard_is_named_and_nothing_else_is_missing(play: Callable[..., Feed]) -> None:
    feed = play("alone", at_ms=BEFORE_THE_LINE_MS)
    holder, standby = feed.holder, feed.standby
    feed.stack.pollers[standby].crash()
    feed.stack.pollers[holder].crash()
    known = feed.checkpoint_clock()
    documents = feed.play_to_the_end()
    missed = feed.hub.missed()
    (gap,) = gaps_in(documents)

    # The gap is from the last checkpoint to the snapshot of whoever took over, give or take a second at the track's
    # pace; in between is all the hub sent to nobody, and nobody was sent nothing else.
    assert gap.since == instant(known) <= instant(missed[0].at)
    assert abs(instant(missed[-1].at) - gap.until) < timedelta(seconds=SPEED)
    assert missed[-1].ordinal + 1 in {snapshot.ordinal for snapshot in feed.hub.snapshots}
    heard = max(served.last for served in feed.hub.served[:2])
    assert [message.ordinal for message in missed] == list(range(heard + 1, missed[-1].ordinal + 1))

    assert unexplained(feed.clean, documents) == []
    clean, got = laps_of(feed.clean), laps_of(documents)
    named = {(number, lap) for number, laps in gap.laps.items() for lap in laps}
    # What a crossing brings may be told some seconds late, and then somebody was there again to hear it.
    ended = {key: millis(lap["endedAt"]) for key, lap in clean.items()}
    unheard = {key for key, at in ended.items() if missed[0].at < at < missed[-1].at - TOLD_LATE_MS}
    # A snapshot does not say of which instant it is: nobody may have heard a moment more than the gap tells.
    silence = gap._replace(until=max(gap.until, instant(missed[-1].at)))
    touched = {key for key, lap in clean.items() if overlaps(lap, silence)}
    assert unheard
    assert unheard <= named <= touched
    assert {key for key, lap in got.items() if lap.get("missed")} == named
    whole = clean.keys() - touched
    assert whole
    assert {key: got.get(key) for key in whole} == {key: clean[key] for key in whole}


@pytest.mark.long
def test_holder_that_hung_finds_itself_succeeded_and_sets_nothing_back(play: Callable[..., Feed]) -> None:
    feed = play("hung")
    standby = feed.standby
    # One worker, as in production. The server above it has no time limit: it does not end a worker that hangs.
    (worker,) = psutil.Process(feed.stack.pollers[feed.holder].process.pid).children()
    worker.suspend()
    known = feed.checkpoint_clock()
    feed.taken_over_at()
    assert feed.holder == standby
    wait_for(lambda: feed.take() > 1, "publishing by the successor")
    told = list(feed.told)
    worker.resume()
    wait_for(lambda: feed.lines("no longer the holder"), "the former holder's waking")
    assert worker.is_running()
    late = feed.publish_late(known)
    documents = feed.play_to_the_end()
    after = [envelope for envelope in feed.told[len(told) :] if envelope.epoch == 1]
    assert {(e.v, e.part) for e in late} <= {(e.v, e.part) for e in after}
    stored = feed.stored()
    assert {stored[e.v, e.part]["written"] for e in after} == {0}
    left = [served for served in feed.hub.served[:2] if served.last < served_to_the_end(feed.hub)]
    assert [served.ended for served in left] == ["hung up"]
    assert feed.hub.missed() == []
    assert differences(feed.clean, documents) == {}


def served_to_the_end(hub: Hub) -> int:
    """Ordinal of the feed's last message."""
    return max(served.last for served in hub.served)


def laps_of(documents: Documents) -> dict[tuple[str, int], dict[str, Any]]:
    """Laps by racing number and lap."""
    return {
        (number, fields["lap"]): lap
        for path, fields in documents.items()
        if "/laps/" in path
        for number, lap in fields["drivers"].items()
    }


def overlaps(lap: dict[str, Any], gap: Gap) -> bool:
    """Whether a gap fell into a lap, or into the time in which its last values may still come."""
    started, ended = (datetime.fromisoformat(lap[name]) for name in ("startedAt", "endedAt"))
    return gap.since <= ended + LATE and started <= gap.until


def millis(told: str) -> int:
    return round(datetime.fromisoformat(told).timestamp() * 1000)
