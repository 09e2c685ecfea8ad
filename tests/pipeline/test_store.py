"""A document is written only over a lower version, whoever else writes: on Firestore's emulator."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.pipeline.database import Conflict, Database, Unavailable
from pitwall.pipeline.store import Deletion, Versioned, VersionedStore
from tests.pipeline.outage import Outage

PATH = "sessions/7001/live/timing"


def document(v: int, path: str = PATH) -> Versioned:
    return Versioned(path, {"text": f"version {v}"}, v)


@pytest.fixture
def store(database: Database) -> VersionedStore:
    return VersionedStore(database)


def found(firestore: firestore_api.Client, path: str = PATH) -> dict[str, Any] | None:
    fields: dict[str, Any] | None = firestore.document(path).get().to_dict()
    return fields


def test_a_new_document_and_its_next_version_are_stored_without_a_read(
    store: VersionedStore, firestore: firestore_api.Client
) -> None:
    outcomes = [store.write([document(v)]) for v in (1, 2, 3)]
    assert [(outcome.written, outcome.reads) for outcome in outcomes] == [(1, 0), (1, 0), (1, 0)]
    assert found(firestore) == {"v": 3, "text": "version 3"}


@pytest.mark.parametrize("v", [4, 5])
def test_the_same_and_a_lower_version_are_stale(store: VersionedStore, firestore: firestore_api.Client, v: int) -> None:
    store.write([document(5)])
    outcome = store.write([document(v)])
    assert (outcome.written, outcome.stale, outcome.reads) == (0, 1, 0)
    assert found(firestore) == {"v": 5, "text": "version 5"}


@pytest.mark.parametrize(("v", "written"), [(4, 0), (5, 0), (6, 1)])
def test_a_cold_instance_decides_as_a_warm_one(
    store: VersionedStore, database: Database, firestore: firestore_api.Client, v: int, written: int
) -> None:
    store.write([document(5)])
    cold = VersionedStore(database)
    assert cold.write([document(v)]).written == written
    assert found(firestore) == {"v": max(5, v), "text": f"version {max(5, v)}"}


def test_one_stale_document_does_not_keep_the_others_from_being_stored(
    store: VersionedStore, database: Database, firestore: firestore_api.Client
) -> None:
    VersionedStore(database).write([document(9)])
    outcome = store.write([document(5), document(5, "sessions/7001/live/entries")])
    assert (outcome.written, outcome.stale) == (1, 1)
    assert found(firestore) == {"v": 9, "text": "version 9"}
    assert found(firestore, "sessions/7001/live/entries") == {"v": 5, "text": "version 5"}


def test_a_whole_value_replaces_what_was_there(store: VersionedStore, firestore: firestore_api.Client) -> None:
    store.write([Versioned(PATH, {"old": 1}, 1)])
    store.write([Versioned(PATH, {"new": 1}, 2)])
    assert found(firestore) == {"v": 2, "new": 1}


def test_a_document_somebody_deleted_is_stored_again(store: VersionedStore, firestore: firestore_api.Client) -> None:
    store.write([document(1)])
    firestore.document(PATH).delete()
    assert store.write([document(2)]).written == 1
    assert found(firestore) == {"v": 2, "text": "version 2"}


def test_a_document_without_a_version_is_older_than_all(store: VersionedStore, firestore: firestore_api.Client) -> None:
    firestore.document(PATH).set({"text": "by hand"})
    assert store.write([document(0)]).written == 1


def test_a_path_twice_in_one_call_is_stored_once_with_the_higher_version(
    store: VersionedStore, firestore: firestore_api.Client
) -> None:
    outcome = store.write([document(1), document(3), document(2)])
    assert (outcome.written, outcome.stale) == (1, 2)
    assert found(firestore) == {"v": 3, "text": "version 3"}


def test_what_firestore_refuses_is_told_and_the_rest_is_stored(
    store: VersionedStore, firestore: firestore_api.Client
) -> None:
    outcome = store.write([Versioned("sessions/__x__", {}, 1), document(1)])
    assert outcome.written == 1
    assert [path for path, _ in outcome.refused] == ["sessions/__x__"]


@pytest.mark.parametrize("value", [2**63, object(), "\ud800"])
def test_what_cannot_be_encoded_is_told_and_the_rest_is_stored(store: VersionedStore, value: Any) -> None:
    outcome = store.write([Versioned("sessions/7001", {"x": value}, 1), document(1)])
    assert outcome.written == 1
    assert [path for path, _ in outcome.refused] == ["sessions/7001"]


def test_the_memory_of_an_instance_is_bounded(database: Database, firestore: firestore_api.Client) -> None:
    store = VersionedStore(database, cache_size=3)
    paths = [f"sessions/7001/laps/{n}" for n in range(10)]
    for v in (1, 2):
        for path in paths:
            store.write([document(v, path)])
    assert len(store._known) == 3
    assert {found(firestore, path)["v"] for path in paths} == {2}  # type: ignore[index]


def test_a_commit_whose_answer_was_lost_is_not_taken_for_somebody_elses(
    database: Database, firestore: firestore_api.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write happened, the answer did not come: the redelivery finds its own version and is content."""
    store = VersionedStore(database)
    store.write([document(1)])
    commit = database.commit

    def lost(writes: Any) -> Any:
        commit(writes)
        raise Unavailable("deadline exceeded")

    monkeypatch.setattr(database, "commit", lost)
    with pytest.raises(Unavailable):
        store.write([document(2)])
    monkeypatch.setattr(database, "commit", commit)
    outcome = store.write([document(2)])
    assert (outcome.written, outcome.stale) == (0, 1)
    assert store.write([document(3)]).written == 1
    assert found(firestore) == {"v": 3, "text": "version 3"}


def test_endless_contention_is_given_up_for_a_redelivery(
    database: Database, firestore: firestore_api.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contended(writes: Any) -> Any:
        raise Conflict("somebody else")

    monkeypatch.setattr(database, "commit", contended)
    with pytest.raises(Unavailable, match=PATH):
        VersionedStore(database).write([document(1)])


@pytest.mark.parametrize(("v", "deleted"), [(4, 0), (5, 0), (6, 1)])
@pytest.mark.parametrize("cold", [False, True])
def test_a_document_is_deleted_only_over_a_lower_version(
    store: VersionedStore, database: Database, firestore: firestore_api.Client, v: int, deleted: int, cold: bool
) -> None:
    store.write([document(5)])
    outcome = (VersionedStore(database) if cold else store).write([], [Deletion(PATH, v)])
    assert (outcome.deleted, outcome.stale) == (deleted, 1 - deleted)
    assert (found(firestore) is None) == bool(deleted)


def test_what_somebody_else_wrote_meanwhile_is_deleted_only_if_it_is_older(
    store: VersionedStore, database: Database, firestore: firestore_api.Client
) -> None:
    store.write([document(1)])
    VersionedStore(database).write([document(3)])
    assert store.write([], [Deletion(PATH, 2)]).deleted == 0
    assert store.write([], [Deletion(PATH, 4)]).deleted == 1
    assert found(firestore) is None


def test_a_deletion_of_what_is_not_there_is_done(store: VersionedStore, firestore: firestore_api.Client) -> None:
    outcome = store.write([document(1, "sessions/7001")], [Deletion(PATH, 1)])
    assert (outcome.written, outcome.deleted, outcome.stale) == (1, 0, 1)


@pytest.mark.parametrize("first", [True, False])
def test_an_older_write_after_a_deletion_does_not_bring_the_document_back(
    store: VersionedStore, firestore: firestore_api.Client, first: bool
) -> None:
    if first:
        store.write([document(1)])
    store.write([], [Deletion(PATH, 3)])
    assert store.write([document(2)]).stale == 1
    assert found(firestore) is None
    assert store.write([document(4)]).written == 1
    assert found(firestore) == {"v": 4, "text": "version 4"}


def test_a_deletion_delivered_again_deletes_what_another_instance_brought_back(
    store: VersionedStore, database: Database, firestore: firestore_api.Client
) -> None:
    store.write([document(1)])
    store.write([], [Deletion(PATH, 3)])
    VersionedStore(database).write([document(2)])
    assert store.write([], [Deletion(PATH, 3)]).deleted == 1
    assert found(firestore) is None


@pytest.mark.parametrize("seed", range(3))
def test_slow_twins_with_redeliveries_end_at_the_highest_version_and_a_listener_never_sees_it_fall(
    project: str, firestore: firestore_api.Client, seed: int
) -> None:
    """Four instances of the writer get the same 60 ticks, each in its own order and some of them twice."""
    rng = random.Random(seed)
    paths = [PATH, "sessions/7001", "sessions/7001/live/tyres"]
    seen: dict[str, list[int]] = {path: [] for path in paths}
    watches = []
    for path in paths:

        def listen(snapshots: Any, *_: Any, seen_of: list[int] = seen[path]) -> None:
            seen_of.extend(snapshot.to_dict()["v"] for snapshot in snapshots if snapshot.exists)

        firestore.document(path).set({"v": 0})
        watches.append(firestore.document(path).on_snapshot(listen))
    for _ in range(400):  # what answers a listener that begins amid changes may be garbled: docs/emulators.md
        if all(seen.values()):
            break
        threading.Event().wait(0.05)
    ticks = [[document(v, path) for path in paths if v % (2 + paths.index(path)) == 0] for v in range(1, 61)]
    failures: list[BaseException] = []

    def twin(order: list[int]) -> None:
        own = Database(project)
        store = VersionedStore(own)
        try:
            for n in order:
                while True:
                    try:
                        store.write(ticks[n])
                    except Unavailable:
                        continue  # Pub/Sub delivers again
                    break
        except BaseException as error:
            failures.append(error)
        finally:
            own.close()

    threads = []
    for _ in range(4):
        order = [n + rng.randrange(8) / 10 for n in range(60)]
        shuffled = sorted(range(60), key=lambda n, order=order: order[n] + rng.choice([0, 0, 0, 5]))
        shuffled += rng.sample(range(60), 12)
        threads.append(threading.Thread(target=twin, args=(shuffled,)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for path in paths:
        highest = max(v for tick in ticks for p, _, v in tick if p == path)
        assert found(firestore, path) == {"v": highest, "text": f"version {highest}"}
    for _ in range(200):
        if all(versions and versions[-1] >= 56 for versions in seen.values()):
            break
        threading.Event().wait(0.05)
    for watch in watches:
        watch.unsubscribe()
    for path, versions in seen.items():
        assert versions[-1] >= 56, path
        assert versions == sorted(versions), path


@pytest.fixture
def broken(firestore_emulator: Emulator, firestore: firestore_api.Client) -> Iterator[Outage]:
    with Outage(firestore_emulator.address) as outage:
        yield outage


def test_an_outage_is_told_and_over_when_it_is_over(
    broken: Outage, project: str, firestore: firestore_api.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", broken.address)
    store = VersionedStore(Database(project))
    store.write([document(1)])
    broken.cut()
    for _ in range(3):
        with pytest.raises(Unavailable):
            store.write([document(2)])
    broken.restore()
    for _ in range(100):
        try:
            store.write([document(2)])
        except Unavailable:
            threading.Event().wait(0.1)
        else:
            break
    assert found(firestore) == {"v": 2, "text": "version 2"}
