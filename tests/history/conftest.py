"""What the tests of history share: a short simulated race, and the writer behind Pub/Sub's push."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1

from local.simulator import for_minutes, write_recording
from pitwall.documents import paths
from pitwall.history.reconcile import play
from pitwall.message import Message
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.envelope import Envelope, decode
from pitwall.pipeline.push import parse
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.writer import Writer
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording
from tests.conftest import uncounted
from tests.local.serving import serving
from tests.pipeline.conftest import database, topics  # noqa: F401 (fixtures)


class Played:
    """Messages as a source that can be read from its beginning."""

    name = "archive"

    def __init__(self, messages: Sequence[Message], session: str) -> None:
        self.session = session
        self.rejected: Counter[str] = Counter()
        self._messages = messages

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        return iter(self._messages[cursor:])


class Race:
    """A simulated race and what its archive makes of it: fields by path, without those that are of the moment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with uncounted():
            write_recording(for_minutes(4, 5, telemetry=False), path)
            source = open_recording(path)
            self.session = source.session
            self.messages = list(source.messages())
            self.archived = play(self.source(), "f1", lambda _: None)[0]

    def source(self) -> Played:
        return Played(self.messages, self.session)

    def with_a_hole(self) -> list[Message]:
        """The messages that were received live by somebody who heard nothing for a tenth of the race."""
        count = len(self.messages)
        heard = self.messages[: int(count * 0.4)] + self.messages[int(count * 0.5) :]
        return [message._replace(cursor=n) for n, message in enumerate(heard)]

    @cached_property
    def heard(self) -> dict[str, dict[str, Any]]:
        """What is stored of the race `with_a_hole`."""
        with uncounted():
            return play(Played(self.with_a_hole(), self.session), "f1", lambda _: None)[0].documents


@pytest.fixture(scope="package")
def race(tmp_path_factory: pytest.TempPathFactory) -> Race:
    return Race(tmp_path_factory.mktemp("race") / "race.txt.gz")


@pytest.fixture
def settings(project: str, topics: dict[str, str]) -> Settings:  # noqa: F811
    """Those of production, but for smaller messages, so that a correction is several."""
    return Settings(project=project, instance="here", envelope_bytes=8_000)


class Pushed:
    """What was pushed to the writer, and taken by it."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    def whole(self) -> bool:
        """Whether every part of the last tick has come."""
        return bool(self.envelopes) and self.envelopes[-1].part == self.envelopes[-1].parts - 1


Writing = Callable[[], Any]


@pytest.fixture
def writing(
    database: Database,  # noqa: F811
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    topics: dict[str, str],  # noqa: F811
    project: str,
) -> Callable[[], Any]:
    """Has the writer behind an ordered push subscription of `timing`, as long as its context is open."""

    @contextmanager
    def run() -> Iterator[Pushed]:
        writer = Writer(VersionedStore(database), DeadLetters(project, "timing-dead"))
        pushed = Pushed()
        lock = threading.Lock()

        def answer(_path: str, body: bytes) -> tuple[int, str]:
            status = writer.handle(body).status_code
            with lock:
                pushed.envelopes.append(decode(parse(body).data))
            return status, ""

        with serving(answer) as url:
            name = f"projects/{project}/subscriptions/timing-writer"
            subscriber.create_subscription(
                request={
                    "name": name,
                    "topic": topics["timing"],
                    "enable_message_ordering": True,
                    "push_config": {"push_endpoint": url},
                }
            )
            try:
                yield pushed
            finally:
                subscriber.delete_subscription(subscription=name)

    return run


def stored(client: firestore_api.Client, session: str) -> dict[str, dict[str, Any]]:
    """Every document of a session by path, as stored."""
    root = client.document(paths.session(session))
    found = [root.get(), *(snapshot for part in root.collections() for snapshot in part.stream())]
    return {snapshot.reference.path: fields for snapshot in found if (fields := snapshot.to_dict()) is not None}


def unlike(some: dict[str, dict[str, Any]], others: dict[str, dict[str, Any]], *, sources: bool = False) -> list[str]:
    """Paths of what is not the same in both.

    Version, time of writing and `final` are left out, so is `live/feed`; an instant within 3 s of another is the same,
    and so is a lap time that both derived from such instants.
    sources: where lap times are from has to be the same too.
    """
    every = {path for path in some.keys() | others.keys() if not path.endswith("live/feed")}
    left_out = {"v", "writtenAt", "final"} | (set() if sources else {"timeSource"})
    return sorted(path for path in every if not _alike(some.get(path), others.get(path), left_out))


def _alike(one: Any, other: Any, left_out: set[str]) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs(one - other) <= timedelta(seconds=3)
    if isinstance(one, dict) and isinstance(other, dict):
        keys = (one.keys() | other.keys()) - left_out
        if one.get("timeSource") == other.get("timeSource") == "derived":
            assert abs(one["lapTimeMs"] - other["lapTimeMs"]) <= 3_000
            keys.discard("lapTimeMs")
        return all(key in one and key in other and _alike(one[key], other[key], left_out) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_alike, one, other, [left_out] * len(one)))
    return bool(one == other)


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, f"never: {what}"
        time.sleep(0.05)
