"""What the pipeline's tests share: the database, topics, messages as Pub/Sub pushes them, a small recording."""

from __future__ import annotations

import base64
import itertools
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1

from pitwall.documents.encoding import to_fields
from pitwall.message import Message
from pitwall.pipeline import envelope
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.envelope import TickDocument
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.ticks import Reducer
from pitwall.pipeline.writer import Writer
from pitwall.sources.pitwall_format import encode_line
from pitwall.sources.recording import open_recording

START = 1_700_000_000_000

_message_ids = itertools.count(1)


@pytest.fixture
def database(firestore: firestore_api.Client, project: str) -> Iterator[Database]:
    opened = Database(project)
    yield opened
    opened.close()


@pytest.fixture
def topics(publisher: pubsub_v1.PublisherClient, project: str) -> dict[str, str]:
    """The topics by id, with a subscription `<id>-all` each from which a test can take what came."""
    subscriber = pubsub_v1.SubscriberClient()
    names = {}
    for topic in ("timing", "raw", "timing-dead", "raw-dead", "budget-dead", "jobs-dead"):
        names[topic] = f"projects/{project}/topics/{topic}"
        publisher.create_topic(name=names[topic])
        subscriber.create_subscription(
            request={
                "name": f"projects/{project}/subscriptions/{topic}-all",
                "topic": names[topic],
                "enable_message_ordering": True,
                "ack_deadline_seconds": 60,
            }
        )
    subscriber.close()
    return names


Taken = Callable[[str], list[Any]]


@pytest.fixture
def taken(subscriber: pubsub_v1.SubscriberClient, topics: dict[str, str], project: str) -> Taken:
    """Takes every message that has come on a topic, in order."""

    def take(topic: str) -> list[Any]:
        path = f"projects/{project}/subscriptions/{topic}-all"
        messages: list[Any] = []
        while True:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                answer = subscriber.pull(
                    request={"subscription": path, "max_messages": 1000, "return_immediately": True}, timeout=10
                )
            if not answer.received_messages:
                return messages
            messages += [received.message for received in answer.received_messages]
            subscriber.acknowledge(
                request={"subscription": path, "ack_ids": [one.ack_id for one in answer.received_messages]}
            )

    return take


def push_body(data: bytes, published: datetime | None = None, **attributes: str) -> bytes:
    """A push request's body, as the emulator sends it. published: when Pub/Sub took the message; else just now."""
    at = (published or datetime.now(UTC)).isoformat()
    message: dict[str, Any] = {"messageId": str(next(_message_ids)), "publishTime": at}
    if data:
        message["data"] = base64.b64encode(data).decode()
    if attributes:
        message["attributes"] = attributes
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def tower(number: str = "7", position: int = 1) -> dict[str, Any]:
    """Fields of `live/timing` as they travel."""
    return {"at": "2026-01-01T00:00:00Z", "lines": {number: {"p": position}}}


def message_of(
    documents: dict[str, Any], seq: int, epoch: int = 1, session: str = "7001", deletes: Sequence[str] = ()
) -> bytes:
    """A message of the topic `timing`. documents: fields by path. deletes: paths, without documents only."""
    import msgspec

    (data,) = envelope.encode(
        feed="f1",
        session=session,
        epoch=epoch,
        seq=seq,
        at=START,
        documents=[TickDocument(path, msgspec.Raw(json.dumps(fields).encode())) for path, fields in documents.items()],
        deletes=deletes,
        limit=10_000_000,
    )
    return data


SESSION_INFO = {"Key": 7001, "Type": "Race", "Name": "Race", "Path": "2031/a/b/"}


def little_race(laps: int = 8, cars: int = 3) -> list[Message]:
    """Some minutes of an invented race: laps of 20 s, a message every second or so."""
    messages = [
        Message("SessionInfo", SESSION_INFO, START),
        Message(
            "DriverList",
            {str(n): {"RacingNumber": str(n), "Tla": f"A{n}A", "Line": n} for n in range(1, cars + 1)},
            START,
        ),
        Message("SessionStatus", {"Status": "Started"}, START + 1_000),
    ]
    for lap in range(1, laps + 1):
        for car in range(1, cars + 1):
            begin = START + 1_000 + (lap - 1) * 20_000 + car * 300
            for sector in range(3):
                time = f"{6 + sector}.{(lap * 7 + car * 13 + sector) % 1000:03d}"
                line: dict[str, Any] = {"Position": str(car), "Sectors": {str(sector): {"Value": time}}}
                if sector == 2:
                    line |= {"NumberOfLaps": lap, "LastLapTime": {"Value": f"0:20.{(lap * 31 + car) % 1000:03d}"}}
                messages.append(Message("TimingData", {"Lines": {str(car): line}}, begin + (sector + 1) * 6_600))
        messages.append(Message("Heartbeat", {"Utc": "x"}, START + lap * 20_000))
        messages.append(Message("LapCount", {"CurrentLap": lap, "TotalLaps": laps}, START + lap * 20_000))
    messages.sort(key=lambda message: message.at)
    return [message._replace(cursor=n) for n, message in enumerate(messages)]


def write_recording(path: Path, messages: list[Message]) -> Path:
    """The messages as a recording in PitWall's own format."""
    path.write_bytes(b"".join(map(encode_line, messages)))
    return path


def stored(client: firestore_api.Client, session: str = "7001") -> dict[str, dict[str, Any]]:
    """Every document of a session by path, without what differs from run to run."""
    root = client.document(f"sessions/{session}")
    found = {}
    snapshots = [root.get(), *(snapshot for part in root.collections() for snapshot in part.stream())]
    for snapshot in snapshots:
        fields = snapshot.to_dict()
        if fields is not None and not snapshot.reference.path.endswith("live/feed"):
            found[snapshot.reference.path] = {
                k: v for k, v in fields.items() if k not in ("v", "writtenAt", "expireAt")
            }
    return found


Deliver = Callable[[], dict[str, dict[str, Any]]]


@pytest.fixture
def deliver(database: Database, project: str, firestore: firestore_api.Client, taken: Taken) -> Deliver:
    """Has the writer store everything that was published; returns what is stored then."""

    def run() -> dict[str, dict[str, Any]]:
        writer = Writer(VersionedStore(database), DeadLetters(project, "timing-dead"))
        for message in taken("timing"):
            assert writer.handle(push_body(message.data)).status_code == 204
        return stored(firestore)

    return run


def told_by(messages: Iterable[Message], session: str, source: str) -> dict[str, dict[str, Any]]:
    """What an uninterrupted run over the messages stores, by the state machine alone; `live/feed` left out."""
    reducer = Reducer(session, "f1", source)
    ticks = [tick for message in messages for tick in reducer.offer(message)] + reducer.finish()
    documents = {path: to_fields(document) for tick in ticks for path, document in tick.documents}
    return {path: fields for path, fields in documents.items() if not path.endswith("live/feed")}


def recorded(recording: Path) -> dict[str, dict[str, Any]]:
    """`told_by` of a recording."""
    source = open_recording(recording)
    return told_by(source.messages(), source.session, source.name)


def laps_of(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {path: fields for path, fields in documents.items() if "/laps/" in path}
