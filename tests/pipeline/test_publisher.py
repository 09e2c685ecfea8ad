"""The publisher keeps the order of a session's messages and leaves none out, whatever fails: on Pub/Sub's emulator."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from google.cloud import pubsub_v1

from local.emulators import Emulator
from pitwall.pipeline.publisher import MAX_MESSAGE_BYTES, Publisher
from tests.pipeline.conftest import Taken
from tests.pipeline.outage import Outage


@pytest.fixture
def ours(topics: dict[str, str], project: str) -> Iterator[Publisher]:
    publisher = Publisher(project, timeout_s=2.0)
    yield publisher
    publisher.close()


def until(publisher: Publisher, holds: Callable[[], bool], patience_s: float = 30.0) -> None:
    give_up = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < give_up, "not acknowledged in time"
        publisher.wait(0.05)
        time.sleep(0.001)


def settled(publisher: Publisher) -> None:
    until(publisher, lambda: publisher.acknowledged(publisher.messages))


def numbers(taken: Taken, key: str = "7001") -> list[int]:
    return [int(message.data) for message in taken("timing") if message.ordering_key == key]


def publish(publisher: Publisher, *several: int, key: str = "7001") -> None:
    for n in several:
        publisher.publish("timing", key, str(n).encode())


def without_repeats(told: list[int]) -> list[int]:
    """The order in which each number came last: what a subscriber that takes whole values is left with."""
    return sorted(set(told), key=lambda n: len(told) - told[::-1].index(n))


def test_messages_of_a_session_arrive_in_order(ours: Publisher, taken: Taken) -> None:
    publish(ours, *range(300))
    settled(ours)
    assert numbers(taken) == list(range(300))


def test_attributes_and_ordering_key_go_along(ours: Publisher, taken: Taken) -> None:
    ours.publish("raw", "7001", b"x", session="7001", epoch="3")
    settled(ours)
    (message,) = taken("raw")
    assert (dict(message.attributes), message.ordering_key) == ({"session": "7001", "epoch": "3"}, "7001")


def test_after_a_failed_publish_everything_arrives_and_in_order(
    ours: Publisher,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    topics: dict[str, str],
    taken: Taken,
    project: str,
) -> None:
    """The topic is not there yet: an error after which Pub/Sub's client refuses all that follows."""

    def failed() -> bool:
        lane = ours._lanes["late", "7001"]
        return lane.waiting[0].future.done() and lane.resume_at is not None

    for n in range(20):
        ours.publish("late", "7001", str(n).encode())
    until(ours, failed)
    for n in range(20, 30):
        ours.publish("late", "7001", str(n).encode())
    assert not ours.acknowledged(1)
    topic = f"projects/{project}/topics/late"
    publisher.create_topic(name=topic)
    subscriber.create_subscription(
        request={
            "name": f"projects/{project}/subscriptions/late-all",
            "topic": topic,
            "enable_message_ordering": True,
            "ack_deadline_seconds": 60,
        }
    )
    settled(ours)
    assert [int(message.data) for message in taken("late")] == list(range(30))


def test_an_outage_of_pubsub_neither_loses_nor_reorders(
    taken: Taken, pubsub_emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Outage(pubsub_emulator.address) as outage:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", outage.address)
        ours = Publisher(project, timeout_s=1.0)
        publish(ours, *range(10))
        settled(ours)
        outage.cut()
        publish(ours, *range(10, 60))
        for _ in range(20):
            ours.wait(0.05)
        publish(ours, *range(60, 80))
        assert not ours.acknowledged(ours.messages)
        outage.restore()
        settled(ours)
        ours.close()
    told = numbers(taken)
    assert set(told) == set(range(80))
    assert without_repeats(told) == list(range(80))


def test_a_failing_topic_does_not_hold_up_another(ours: Publisher, taken: Taken) -> None:
    ours.publish("no-such-topic", "7001", b"x")
    publish(ours, 1, 2)
    until(ours, lambda: ("timing", "7001") not in ours._lanes)
    assert numbers(taken) == [1, 2]
    assert not ours.acknowledged(1)


def test_acknowledged_covers_what_was_published_before_and_not_more(ours: Publisher) -> None:
    assert ours.acknowledged(0)
    publish(ours, 1)
    settled(ours)
    ours.publish("no-such-topic", "7001", b"x")
    assert ours.acknowledged(1)
    assert not ours.acknowledged(2)


def test_a_publisher_is_full_when_too_much_waits(topics: dict[str, str], project: str) -> None:
    ours = Publisher(project, max_outstanding=10, max_outstanding_bytes=1000)
    for _ in range(9):
        ours.publish("no-such-topic", "7001", b"x")
    assert not ours.full
    ours.publish("no-such-topic", "7001", b"x")
    assert ours.full
    ours.close()
    large = Publisher(project, max_outstanding=10, max_outstanding_bytes=1000)
    large.publish("no-such-topic", "7001", b"x" * 1000)
    assert large.full
    large.close()


def test_a_message_that_pubsub_could_never_take_does_not_hold_up_the_others(ours: Publisher, taken: Taken) -> None:
    ours.publish("timing", "7001", b"0" * (MAX_MESSAGE_BYTES + 1))
    publish(ours, 1)
    settled(ours)
    assert numbers(taken) == [1]


def test_messages_and_bytes_are_counted_once(ours: Publisher) -> None:
    ours.publish("timing", "7001", b"12345", a="bc")
    ours.publish("raw", "7001", b"1")
    settled(ours)
    assert (ours.messages, ours.bytes) == (2, 4 + 5 + 3 + 4 + 1)
