"""One holder at a time, in ever higher epochs, on Firestore's own clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from google.cloud import firestore as firestore_api

from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.lease import Lease, LeaseLost
from tests.clock import Clock

SOURCE = "recording:/a"


@pytest.fixture
def make(database: Database) -> Callable[..., Lease]:
    def lease(instance: str, ttl_s: float = 10.0, clock: Clock | None = None) -> Lease:
        return Lease(database, "f1", instance, ttl_s=ttl_s, monotonic=clock or time.monotonic)

    return lease


def waits_for(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_the_first_to_ask_holds_and_the_second_does_not(make: Callable[..., Lease]) -> None:
    first, second = make("a"), make("b")
    held = first.acquire(SOURCE, 60)
    assert held is not None
    assert (held.epoch, held.session_key) == (1, "")
    assert second.acquire(SOURCE, 60) is None
    assert first.held
    assert not second.held


def test_a_standby_sees_who_holds_until_when(make: Callable[..., Lease]) -> None:
    make("a").acquire(SOURCE, 60)
    view = make("b").view()
    assert (view.free, view.holder, view.epoch, view.finished) == (False, "a", 1, "")
    assert 50 < view.handover_in_s < 61


def test_an_unknown_feed_is_free(make: Callable[..., Lease]) -> None:
    view = make("a").view()
    assert (view.free, view.epoch, view.finished) == (True, 0, "")


def test_a_lease_that_is_not_renewed_ends_and_the_next_epoch_knows_the_session(make: Callable[..., Lease]) -> None:
    crashed, standby = make("a", ttl_s=1.0), make("b", ttl_s=1.0)
    crashed.acquire(SOURCE, 60)
    crashed.renew("7001")
    assert standby.acquire(SOURCE, 60) is None
    waits_for(lambda: standby.view().free)
    held = standby.acquire(SOURCE, 60)
    assert held is not None
    assert (held.epoch, held.session_key) == (2, "7001")


def test_a_holder_that_was_succeeded_finds_out_and_changes_nothing(
    make: Callable[..., Lease], firestore: firestore_api.Client
) -> None:
    slow, quick = make("a", ttl_s=0.5), make("b")
    slow.acquire(SOURCE, 60)
    waits_for(lambda: quick.view().free)
    quick.acquire(SOURCE, 60)
    before = firestore.document("leases/f1").get().to_dict()
    with pytest.raises(LeaseLost):
        slow.renew("7001")
    with pytest.raises(LeaseLost):
        slow.release("7001")
    assert not slow.held
    assert firestore.document("leases/f1").get().to_dict() == before


def test_a_holder_stops_by_itself_before_its_lease_ends_for_others(make: Callable[..., Lease]) -> None:
    clock = Clock()
    lease = make("a", ttl_s=10.0, clock=clock)
    lease.acquire(SOURCE, 60)
    clock.now += 8.9
    assert lease.held
    clock.now += 0.2
    assert not lease.held


def test_a_renewal_counts_from_when_it_was_asked_for_not_from_its_answer(
    make: Callable[..., Lease], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    lease = make("a", ttl_s=10.0, clock=clock)
    lease.acquire(SOURCE, 60)
    commit = database.commit

    def slow(writes: object) -> object:
        clock.now += 5.0
        return commit(writes)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "commit", slow)
    lease.renew("7001")
    clock.now += 4.1
    assert not lease.held


def test_wall_clocks_of_instances_do_not_matter(
    make: Callable[..., Lease], firestore: firestore_api.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance whose wall clock is an hour ahead neither takes a living lease nor grants itself a longer one."""
    make("a").acquire(SOURCE, 60)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600)
    assert make("b").acquire(SOURCE, 60) is None
    ahead = make("a")
    assert ahead.acquire(SOURCE, 60) is not None
    fields = firestore.document("leases/f1").get().to_dict() or {}
    assert fields["expiresAt"].timestamp() < now + 600


def test_a_released_lease_is_free_at_once(make: Callable[..., Lease]) -> None:
    first, second = make("a"), make("b")
    first.acquire(SOURCE, 60)
    first.release("7001")
    assert not first.held
    held = second.acquire(SOURCE, 60)
    assert held is not None
    assert (held.epoch, held.session_key) == (2, "7001")


def test_another_source_does_not_go_on_from_this_ones_checkpoint(make: Callable[..., Lease]) -> None:
    first = make("a")
    first.acquire(SOURCE, 60)
    first.release("7001")
    held = make("b").acquire("recording:/another", 60)
    assert held is not None
    assert held.session_key == ""


def test_a_source_played_to_its_end_is_told_and_can_be_played_again_in_a_later_epoch(
    make: Callable[..., Lease],
) -> None:
    lease = make("a")
    lease.acquire(SOURCE, 60)
    lease.release("7001", finished=True)
    assert make("b").view().finished == SOURCE
    lease.again()
    assert make("b").view().finished == ""
    held = make("b").acquire(SOURCE, 60)
    assert held is not None
    assert (held.epoch, held.session_key) == (2, "")


def test_the_holder_learns_of_a_standby_that_is_ready(make: Callable[..., Lease]) -> None:
    holder, standby = make("a"), make("b")
    holder.acquire(SOURCE, 60)
    standby.stand_by(ready=False)
    holder.renew("7001")
    assert not holder.successor_ready
    standby.stand_by(ready=True)
    holder.renew("7001")
    assert holder.successor_ready


def test_a_standby_that_is_gone_does_not_count(make: Callable[..., Lease]) -> None:
    holder, standby = make("a", ttl_s=1.0), make("b", ttl_s=1.0)
    holder.acquire(SOURCE, 60)
    standby.stand_by(ready=True)
    time.sleep(0.6)
    holder.renew("7001")
    time.sleep(0.6)
    holder.renew("7001")
    assert not holder.successor_ready


def test_a_second_standby_does_not_push_out_the_first(
    make: Callable[..., Lease], firestore: firestore_api.Client
) -> None:
    make("a").acquire(SOURCE, 60)
    make("b").stand_by(ready=True)
    make("c").stand_by(ready=True)
    fields = firestore.document("leases/f1").get().to_dict() or {}
    assert fields["successor"]["id"] == "b"


def test_nobody_stands_by_for_a_lease_that_is_free(make: Callable[..., Lease], firestore: firestore_api.Client) -> None:
    make("b").stand_by(ready=True)
    assert firestore.document("leases/f1").get().to_dict() is None


def test_of_many_that_ask_at_once_exactly_one_holds_each_epoch(project: str, make: Callable[..., Lease]) -> None:
    """Six instances go for the lease again and again; each holder looks whether it is alone, then lets go."""
    make("warm").view()
    epochs: list[int] = []
    holding = threading.Semaphore(1)
    failures: list[str] = []

    def instance(name: str) -> None:
        lease = Lease(Database(project), "f1", name, ttl_s=30.0)
        for _ in range(15):
            try:
                held = lease.acquire(SOURCE, 60)
                if held is None:
                    continue
                if not holding.acquire(blocking=False):
                    failures.append(f"{name} in epoch {held.epoch} is not alone")
                    continue
                epochs.append(held.epoch)
                lease.renew("7001")
                holding.release()
                lease.release("7001")
            except Unavailable:
                continue

    threads = [threading.Thread(target=instance, args=(f"i{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert epochs == sorted(set(epochs))
    assert len(epochs) > 1


def test_a_free_lease_is_the_ready_standbys_and_nobody_elses(make: Callable[..., Lease]) -> None:
    """Who has only just come has kept nothing of a live feed."""
    holder, standby, newcomer = make("a"), make("b"), make("c")
    holder.acquire(SOURCE, 60)
    standby.stand_by(ready=True)
    holder.release("7001")
    assert newcomer.acquire(SOURCE, 60) is None
    held = standby.acquire(SOURCE, 60)
    assert held is not None
    assert held.epoch == 2


def test_a_standby_that_is_not_ready_keeps_nobody_waiting(make: Callable[..., Lease]) -> None:
    holder, standby, newcomer = make("a"), make("b"), make("c")
    holder.acquire(SOURCE, 60)
    standby.stand_by(ready=False)
    holder.release("7001")
    assert newcomer.acquire(SOURCE, 60) is not None


def test_a_standby_that_leaves_keeps_nobody_waiting(make: Callable[..., Lease]) -> None:
    holder, standby, newcomer = make("a"), make("b"), make("c")
    holder.acquire(SOURCE, 60)
    standby.stand_by(ready=True)
    standby.stand_down()
    holder.release("7001")
    assert newcomer.acquire(SOURCE, 60) is not None


def test_a_standby_that_is_gone_is_waited_for_no_longer_than_a_lease_lives(make: Callable[..., Lease]) -> None:
    holder, standby, newcomer = (make(name, ttl_s=1.0) for name in "abc")
    holder.acquire(SOURCE, 60)
    standby.stand_by(ready=True)
    holder.release("7001")
    assert newcomer.acquire(SOURCE, 60) is None
    waits_for(lambda: newcomer.acquire(SOURCE, 60) is not None)
