"""Chaos doubles, delays and fails deliveries and kills pollers, from a seed, and loses nothing."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
from google.cloud import firestore as firestore_api

from local.chaos import ChaosProxies, ChaosRates, Fate, PollerKiller
from local.processes import Processes
from tests.local.serving import serving

NOTHING = ChaosRates(twice=0, late=0, failing=0, handed_back=0, delay_s=(0.05, 0.2))
MESSAGES = 100


class Subscriber:
    """Remembers the ids of the messages it gets; `refuse` says which try of which is answered 503."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.refuse: Callable[[str, int], bool] = lambda message, tries: False
        self._lock = threading.Lock()

    def __call__(self, path: str, body: bytes) -> tuple[int, str]:
        message = json.loads(body)["message"]["messageId"]
        with self._lock:
            self.received.append(message)
            tries = self.received.count(message)
        return (503, "") if self.refuse(message, tries) else (204, "")


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


Chaos = Callable[..., AbstractContextManager[ChaosProxies]]


@pytest.fixture
def chaos(processes: Processes, subscriber: Subscriber) -> Chaos:
    """Starts a proxy before the subscriber; a context manager."""

    @contextmanager
    def start(rates: ChaosRates, seed: int = 1) -> Iterator[ChaosProxies]:
        with serving(subscriber) as url, ChaosProxies(processes, {"writer": url}, seed, rates) as proxies:
            yield proxies

    return start


def push(proxies: ChaosProxies, number: int = MESSAGES) -> None:
    """Pushes messages as Pub/Sub's ordered push does: one after another, each again until the answer is 2xx."""
    with httpx.Client(trust_env=False) as client:
        for n in range(number):
            body = {"message": {"messageId": str(n), "data": ""}, "subscription": "s"}
            while not client.post(proxies.urls["writer"], json=body).is_success:
                pass
    proxies.wait_until_drained()


def test_without_chaos_every_message_arrives_once_and_in_order(chaos: Chaos, subscriber: Subscriber):
    with chaos(NOTHING) as proxies:
        push(proxies)
    assert subscriber.received == [str(n) for n in range(MESSAGES)]


def test_some_messages_are_delivered_twice(chaos: Chaos, subscriber: Subscriber):
    with chaos(ChaosRates(twice=0.2, late=0, failing=0, delay_s=(0.05, 0.2))) as proxies:
        push(proxies)
        counted = proxies.counters()["writer"]
    times = Counter(subscriber.received)
    assert set(times) == {str(n) for n in range(MESSAGES)}
    assert Counter(times.values()) == {1: MESSAGES - counted.twice, 2: counted.twice}
    assert 5 <= counted.twice <= 40


def test_late_message_arrives_after_those_that_follow_it(chaos: Chaos, subscriber: Subscriber):
    with chaos(ChaosRates(twice=0, late=0.1, failing=0, delay_s=(0.05, 0.2))) as proxies:
        push(proxies)
        counted = proxies.counters()["writer"]
    in_order = [str(n) for n in range(MESSAGES)]
    assert sorted(subscriber.received, key=int) == in_order
    assert subscriber.received != in_order
    assert 0 < counted.reordered <= counted.late


def test_failing_attempts_lose_nothing(chaos: Chaos, subscriber: Subscriber):
    with chaos(ChaosRates(twice=0, late=0, failing=0.3, handed_back=0, delay_s=(0.05, 0.2))) as proxies:
        push(proxies)
        counted = proxies.counters()["writer"]
    times = Counter(subscriber.received)
    assert set(times) == {str(n) for n in range(MESSAGES)}
    assert sum(times.values()) == MESSAGES + counted.failed_after
    assert counted.failed_before > 0
    assert counted.failed_after > 0


def test_failure_that_is_handed_back_is_pubsubs_to_deliver_again(chaos: Chaos, subscriber: Subscriber):
    with chaos(ChaosRates(twice=0, late=0, failing=0.3, handed_back=1, delay_s=(0.05, 0.2))) as proxies:
        push(proxies)
        counted = proxies.counters()["writer"]
    assert set(subscriber.received) == {str(n) for n in range(MESSAGES)}
    assert counted.handed_back == counted.failed_before + counted.failed_after > 0


def test_message_that_was_taken_over_is_tried_until_the_subscriber_has_it(chaos: Chaos, subscriber: Subscriber):
    subscriber.refuse = lambda message, tries: tries <= 3
    with chaos(ChaosRates(twice=0, late=1, failing=0, handed_back=0, delay_s=(0.01, 0.02))) as proxies:
        push(proxies, 5)
        assert proxies.counters()["writer"].refused == 15
    assert Counter(subscriber.received) == {str(n): 4 for n in range(5)}


def test_chaos_is_not_drained_while_it_holds_a_message(chaos: Chaos, subscriber: Subscriber):
    gate = threading.Event()
    subscriber.refuse = lambda message, tries: not gate.is_set()
    with chaos(ChaosRates(twice=0, late=1, failing=0, delay_s=(0, 0.01))) as proxies:
        body = {"message": {"messageId": "0", "data": ""}}
        assert httpx.post(proxies.urls["writer"], json=body, trust_env=False).status_code == 204
        assert not proxies.drained()
        gate.set()
        proxies.wait_until_drained()
    assert set(subscriber.received) == {"0"}


def test_waiting_for_what_never_arrives_ends_with_the_counters(chaos: Chaos, subscriber: Subscriber):
    subscriber.refuse = lambda message, tries: True
    with chaos(ChaosRates(twice=0, late=1, failing=0, delay_s=(0, 0.01))) as proxies:
        httpx.post(proxies.urls["writer"], json={"message": {"messageId": "0"}}, trust_env=False)
        with pytest.raises(TimeoutError, match="pending=1"):
            proxies.wait_until_drained(0.2)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"message": {}}', b'{"message": 1}'])
def test_what_is_no_push_is_the_subscribers_to_refuse(processes: Processes, body: bytes):
    with serving(lambda path, got: (418, "")) as url, ChaosProxies(processes, {"writer": url}, 1, NOTHING) as proxies:
        assert httpx.post(proxies.urls["writer"], content=body, trust_env=False).status_code == 418


def fates(seed: int) -> list[tuple[float | None, float | None]]:
    drawn = [Fate(seed, n, ChaosRates()) for n in range(2000)]
    return [(fate.late_s, fate.copy_s) for fate in drawn]


def test_same_seed_gives_every_message_the_same_fate():
    assert fates(7) == fates(7)


def test_another_seed_gives_other_fates():
    assert fates(7) != fates(8)


def test_one_message_in_ten_is_late_and_one_in_five_goes_twice():
    drawn = fates(7)
    late = sum(late is not None for late, _ in drawn) / len(drawn)
    twice = sum(copy is not None for _, copy in drawn) / len(drawn)
    assert (round(late, 1), round(twice, 1)) == (0.1, 0.2)


class FakeServer:
    """An instance of the poller that counts how often it was killed."""

    def __init__(self) -> None:
        self.crashes = 0

    def crash(self) -> None:
        self.crashes += 1


class FakeStack:
    """As much of a stack as a killer needs: Firestore is the emulator's."""

    def __init__(self, client: firestore_api.Client) -> None:
        self._client = client
        self.pollers = {"poller-a": FakeServer(), "poller-b": FakeServer()}

    def firestore(self) -> firestore_api.Client:
        return self._client

    def crashes(self) -> tuple[int, int]:
        return self.pollers["poller-a"].crashes, self.pollers["poller-b"].crashes


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_holder_is_killed_and_then_the_next_one(firestore: firestore_api.Client):
    stack = FakeStack(firestore)
    lease = firestore.document("leases/f1")
    with PollerKiller(stack, "f1", seed=1, after_s=(0, 0.05)) as killer:
        lease.set({"holder": "poller-b/1", "epoch": 1})
        wait_for(lambda: stack.crashes() == (0, 1))
        lease.set({"holder": "poller-a/2", "epoch": 2})
        wait_for(lambda: stack.crashes() == (1, 1))
        wait_for(lambda: killer.done)
    assert killer.killed == ["poller-b/1", "poller-a/2"]


def test_lease_that_outlives_its_killed_holder_gets_nobody_killed(firestore: firestore_api.Client):
    stack = FakeStack(firestore)
    with PollerKiller(stack, "f1", seed=1, after_s=(0, 0.05)) as killer:
        firestore.document("leases/f1").set({"holder": "poller-b/1", "epoch": 1})
        wait_for(lambda: stack.crashes() == (0, 1))
        time.sleep(0.3)
    assert (stack.crashes(), killer.done) == ((0, 1), False)


def test_nobody_is_killed_while_nobody_holds_the_feed(firestore: firestore_api.Client):
    stack = FakeStack(firestore)
    with PollerKiller(stack, "f1", seed=1, after_s=(0, 0.05)):
        firestore.document("leases/f1").set({"epoch": 3, "finished": True})
        time.sleep(0.3)
    assert stack.crashes() == (0, 0)
