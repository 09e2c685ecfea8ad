"""The writer as Pub/Sub meets it: what it stores, what it answers, what it puts away."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.pipeline.checkpoint import Checkpoint, Checkpoints
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.envelope import version
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.writer import Writer
from tests.pipeline.conftest import Taken, message_of, push_body, tower
from tests.pipeline.outage import Outage

TOWER = "sessions/7001/live/timing"


CHECKPOINT = Checkpoint(source="apex", cursor=-1, reducer=b"state")


@pytest.fixture
def dead_letters(topics: dict[str, str], project: str) -> DeadLetters:
    return DeadLetters(project, "timing-dead", timeout_s=3.0)


@pytest.fixture
def writer(database: Database, dead_letters: DeadLetters) -> Writer:
    return Writer(VersionedStore(database), dead_letters)


def found(firestore: firestore_api.Client, path: str = TOWER) -> dict[str, Any]:
    return firestore.document(path).get().to_dict() or {}


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_documents_are_stored_with_version_and_time_of_writing(writer: Writer, firestore: firestore_api.Client) -> None:
    assert writer.handle(push_body(message_of({TOWER: tower()}, seq=7))).status_code == 204
    fields = found(firestore)
    assert fields["v"] == version(1, 7)
    assert fields["at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert fields["lines"] == {"7": {"p": 1}}
    assert (datetime.now(UTC) - fields["writtenAt"]).total_seconds() < 60


def test_a_line_is_logged_for_each_message_with_what_it_cost(
    writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    writer.handle(push_body(message_of({TOWER: tower()}, seq=2)))
    writer.handle(push_body(message_of({TOWER: tower()}, seq=1)))
    counts = ("documents", "written", "stale", "firestoreReads", "firestoreWrites", "firestoreDeletes")
    assert [[line[name] for name in counts] for line in logged(capsys)] == [[1, 1, 0, 0, 1, 0], [1, 0, 1, 0, 0, 0]]


def test_redelivered_late_and_reordered_messages_leave_what_in_order_would_have(
    database: Database, dead_letters: DeadLetters, firestore: firestore_api.Client
) -> None:
    """Five laps and the tower over 30 ticks and two holders; two instances, one of them cold half way."""
    rng = random.Random(4)
    ticks = [
        message_of(
            {TOWER: tower(position=seq), f"sessions/7001/towers/{seq % 5}": tower(position=seq)}, seq=seq, epoch=epoch
        )
        for epoch in (1, 2)
        for seq in range(1, 16)
    ]
    deliveries = [
        (n + rng.choice([0, 0, 4, 9]), tick) for n, tick in enumerate(ticks) for _ in range(rng.choice([1, 2]))
    ]
    writers = [Writer(VersionedStore(database), dead_letters) for _ in range(2)]
    for n, (_, tick) in enumerate(sorted(deliveries, key=lambda delivery: delivery[0])):
        if n == len(deliveries) // 2:
            writers[1] = Writer(VersionedStore(database), dead_letters)
        assert rng.choice(writers).handle(push_body(tick)).status_code == 204
    assert (found(firestore)["v"], found(firestore)["lines"]) == (version(2, 15), {"7": {"p": 15}})
    for slot in range(5):
        last = max(seq for seq in range(1, 16) if seq % 5 == slot)
        assert found(firestore, f"sessions/7001/towers/{slot}")["v"] == version(2, last)


def test_two_instances_with_the_same_message_at_the_same_time_both_succeed(
    project: str, dead_letters: DeadLetters, firestore: firestore_api.Client
) -> None:
    answers: list[int] = []
    barrier = threading.Barrier(4)

    def instance() -> None:
        writer = Writer(VersionedStore(Database(project)), dead_letters)
        for seq in range(1, 11):
            barrier.wait(30)
            answers.append(writer.handle(push_body(message_of({TOWER: tower(position=seq)}, seq=seq))).status_code)

    threads = [threading.Thread(target=instance) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [204] * 40
    assert found(firestore)["v"] == version(1, 10)


@pytest.mark.parametrize("body", [b"", b"{}", b"garbage", b'{"message":{"messageId":"1","data":"%"}}'])
def test_what_is_no_push_request_is_a_bad_request(writer: Writer, taken: Taken, body: bytes) -> None:
    answer = writer.handle(body)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert json.loads(answer.get_data())["status"] == 400
    assert taken("timing-dead") == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad-envelope"),
        (b"no json", "bad-envelope"),
        (message_of({TOWER: tower()}, seq=1).replace(b'"schema":1', b'"schema":99'), "unknown-schema"),
    ],
)
def test_a_message_that_can_never_be_read_is_put_away_as_it_came_with_the_reason(
    writer: Writer, taken: Taken, data: bytes, reason: str
) -> None:
    assert writer.handle(push_body(data)).status_code == 204
    (put_away,) = taken("timing-dead")
    assert put_away.data == data
    assert put_away.attributes["reason"] == reason


@pytest.mark.parametrize(
    ("path", "fields", "reason"),
    [
        ("nobody/knows", tower(), "unknown-path"),
        ("sessions/7001/live/nothing", tower(), "unknown-path"),
        ("sessions/../live/timing", tower(), "unknown-path"),
        ("users/u1", {"at": "2026-01-01T00:00:00Z", "createdAt": "2026-01-01T00:00:00Z"}, "unknown-path"),
        ("circuits/nowhere", {"at": "2026-01-01T00:00:00Z", "nom": "x"}, "unknown-path"),
        ("circuits/nowhere/timing/format", {"at": "2026-01-01T00:00:00Z", "columns": {}}, "unknown-path"),
        (
            "telemetryRequests/7001",
            {"at": "2026-01-01T00:00:00Z", "cars": {}, "expiresAt": "2026-01-01T00:00:00Z"},
            "unknown-path",
        ),
        (
            "sessions/7001/live/tyres",
            {"at": "2026-01-01T00:00:00Z", "lines": {"7": {"age": "old"}}},
            "invalid-document",
        ),
        ("sessions/7001/live/tyres", {"at": "yesterday", "lines": {}}, "invalid-document"),
        ("sessions/7001/live/tyres", {"at": "2026-01-01T00:00:00Z", "lines": {}, "more": 1}, "invalid-document"),
        ("sessions/7001/live/tyres", {"at": "2026-01-01T00:00:00Z", "lines": {"7": {"age": 2**64}}}, "refused"),
        (
            "sessions/7001/live/entries",
            {"at": "2026-01-01T00:00:00Z", "lines": {"7": {"fullName": "x" * 1_100_000}}},
            "too-large",
        ),
        (
            "sessions/7001/live/entries",
            {"at": "2026-01-01T00:00:00Z", "lines": {str(n): {"grid": 1} for n in range(60_000)}},
            "too-large",
        ),
    ],
)
def test_one_bad_document_is_put_away_alone_and_the_others_are_stored(
    writer: Writer, taken: Taken, firestore: firestore_api.Client, path: str, fields: dict[str, Any], reason: str
) -> None:
    data = message_of({path: fields, TOWER: tower()}, seq=3)
    assert writer.handle(push_body(data)).status_code == 204
    assert found(firestore)["v"] == version(1, 3)
    (put_away,) = taken("timing-dead")
    assert put_away.attributes["reason"] == reason
    assert put_away.attributes["path"] == path
    assert json.loads(put_away.data) == {"path": path, "fields": fields}


@pytest.mark.parametrize("data", [b"no json", message_of({"nobody/knows": {}}, seq=1)])
def test_what_could_not_be_put_away_is_delivered_again(
    database: Database, data: bytes, topics: Any, project: str
) -> None:
    writer = Writer(VersionedStore(database), DeadLetters(project, "no-such-topic", timeout_s=3.0))
    assert writer.handle(push_body(data)).status_code == 503


def test_a_message_whose_bad_document_could_not_be_put_away_is_stored_by_then(
    database: Database, topics: Any, project: str, firestore: firestore_api.Client
) -> None:
    """So the redelivery finds its good documents already there, and only puts the bad one away."""
    data = message_of({"nobody/knows": {}, TOWER: tower()}, seq=1)
    failing = Writer(VersionedStore(database), DeadLetters(project, "no-such-topic", timeout_s=3.0))
    assert failing.handle(push_body(data)).status_code == 503
    healthy = Writer(VersionedStore(database), DeadLetters(project, "timing-dead"))
    assert healthy.handle(push_body(data)).status_code == 204
    assert found(firestore)["v"] == version(1, 1)


def test_documents_are_deleted_and_counted(
    writer: Writer, firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"sessions/7001/weather/{n}" for n in range(3)]
    report = {"at": "2026-01-01T00:00:00Z", "weather": {"airTemp": 20.0}}
    writer.handle(push_body(message_of({path: {**report, "n": n} for n, path in enumerate(paths)}, seq=1)))
    writer.handle(push_body(message_of({}, seq=1, epoch=2, deletes=paths[1:])))
    assert [bool(found(firestore, path)) for path in paths] == [True, False, False]
    counts = ("documents", "written", "stale", "firestoreReads", "firestoreWrites", "firestoreDeletes")
    assert [[line[name] for name in counts] for line in logged(capsys)] == [[3, 3, 0, 0, 3, 0], [2, 0, 0, 0, 0, 2]]


@pytest.mark.parametrize("path", ["sessions/7001", "sessions/7002/weather/1", "leases/f1", "jobs/archive-7001", "x"])
def test_only_parts_of_the_messages_own_session_are_deleted(
    writer: Writer, taken: Taken, firestore: firestore_api.Client, path: str
) -> None:
    if path != "x":
        firestore.document(path).set({"v": 1})
    assert writer.handle(push_body(message_of({}, seq=1, epoch=2, deletes=[path]))).status_code == 204
    (put_away,) = taken("timing-dead")
    assert json.loads(put_away.data) == {"path": path, "delete": True}
    assert put_away.attributes["reason"] == "unknown-path"
    assert path == "x" or found(firestore, path) == {"v": 1}


@pytest.mark.parametrize("cold", [False, True])
def test_a_message_from_before_a_reconciliation_that_comes_long_after_it_brings_nothing_back(
    writer: Writer, database: Database, dead_letters: DeadLetters, firestore: firestore_api.Client, cold: bool
) -> None:
    """Epoch 3 has deleted the document; a message of epoch 2 was held up for an hour."""
    firestore.document("jobs/archive-7001").set({"v": version(3, 1)})
    writer.handle(push_body(message_of({}, seq=1, epoch=3, deletes=[TOWER])))
    held_up = push_body(message_of({TOWER: tower()}, seq=900, epoch=2), datetime.now(UTC) - timedelta(hours=1))
    instance = Writer(VersionedStore(database), dead_letters) if cold else writer
    assert instance.handle(held_up).status_code == 204
    assert found(firestore) == {}


def test_a_late_message_sets_back_nothing_that_a_reconciliation_left_as_it_was(
    writer: Writer, firestore: firestore_api.Client
) -> None:
    writer.handle(push_body(message_of({TOWER: tower(position=4)}, seq=5, epoch=2)))
    firestore.document("jobs/archive-7001").set({"v": version(3, 1)})
    late = push_body(message_of({TOWER: tower(position=9)}, seq=6, epoch=2), datetime.now(UTC) - timedelta(hours=1))
    writer.handle(late)
    assert found(firestore)["lines"] == {"7": {"p": 4}}


def test_a_late_message_of_a_session_that_was_not_reconciled_is_stored(
    writer: Writer, firestore: firestore_api.Client
) -> None:
    writer.handle(push_body(message_of({TOWER: tower()}, seq=5), datetime.now(UTC) - timedelta(hours=1)))
    assert found(firestore)["v"] == version(1, 5)


def test_a_late_message_of_a_session_with_an_impossible_key_is_put_away(
    writer: Writer, taken: Taken, firestore: firestore_api.Client
) -> None:
    data = message_of({"a/b": {}}, seq=5, session="a/b")
    assert writer.handle(push_body(data, datetime.now(UTC) - timedelta(hours=1))).status_code == 204
    assert len(taken("timing-dead")) == 1


@pytest.fixture
def broken(firestore_emulator: Emulator, firestore: firestore_api.Client) -> Iterator[Outage]:
    with Outage(firestore_emulator.address) as outage:
        yield outage


def test_an_outage_of_firestore_puts_nothing_away_and_is_made_up_by_redelivery(
    broken: Outage,
    project: str,
    dead_letters: DeadLetters,
    firestore: firestore_api.Client,
    taken: Taken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", broken.address)
    writer = Writer(VersionedStore(Database(project)), dead_letters)
    bodies = [push_body(message_of({TOWER: tower(position=seq)}, seq=seq)) for seq in range(1, 6)]
    assert writer.handle(bodies[0]).status_code == 204
    broken.cut()
    assert [writer.handle(body).status_code for body in bodies[1:] * 3] == [503] * 12
    broken.restore()
    for body in bodies[1:]:
        for _ in range(100):
            if writer.handle(body).status_code == 204:
                break
            threading.Event().wait(0.1)
    assert found(firestore)["v"] == version(1, 5)
    assert taken("timing-dead") == []


@pytest.mark.parametrize("days", [90, 0])
def test_what_is_of_a_kart_tracks_session_is_kept_for_a_while_and_nothing_else(
    days: int, database: Database, dead_letters: DeadLetters, firestore: firestore_api.Client
) -> None:
    kart = "kart-nowhere-20300101-1213-Race"
    log = {"at": "2026-01-01T00:00:00Z", "feedId": "kart-nowhere", "state": "live", "reconnects": 0}
    for_ever = tower() | {"expireAt": "2026-01-02T00:00:00Z"}  # a feed that says so is not heeded
    told = {f"sessions/{kart}/live/timing": tower(), "circuits/nowhere/log/1": log, TOWER: for_ever}
    writer = Writer(VersionedStore(database), dead_letters, days)
    assert writer.handle(push_body(message_of(told, seq=1, session=kart))).status_code == 204
    kept = {path: found(firestore, path) for path in told}
    expiring = {path for path, fields in kept.items() if "expireAt" in fields}
    assert expiring == ({path for path in told if path != TOWER} if days else set())
    assert {(kept[path]["expireAt"] - kept[path]["writtenAt"]).days for path in expiring} <= {days}
    Checkpoints(database, 1, days).save(kart, CHECKPOINT)
    Checkpoints(database, 1, days).save("7001", CHECKPOINT)
    assert ("expireAt" in found(firestore, f"checkpoints/{kart}")) is bool(days)
    assert "expireAt" not in found(firestore, "checkpoints/7001")
