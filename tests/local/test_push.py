"""What PitWall relies on in the Pub/Sub emulator's push; docs/emulators.md tells it in words."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import pubsub_v1

from local import topology
from pitwall.settings import Settings
from tests.local.serving import serving

KEY = "9845"


class Subscriber:
    """Answers pushes and remembers them. `refuse` says for which message, and which try of it, the answer is 500."""

    def __init__(self) -> None:
        self.pushes: list[dict[str, Any]] = []
        self.received: list[bytes] = []
        self.refuse: Callable[[bytes, int], bool] = lambda data, tries: False
        self.most_at_once = 0
        self._running = 0
        self._lock = threading.Lock()

    def __call__(self, path: str, body: bytes) -> tuple[int, str]:
        push = json.loads(body)
        data = base64.b64decode(push["message"]["data"])
        with self._lock:
            self.pushes.append(push)
            self.received.append(data)
            tries = self.received.count(data)
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        time.sleep(0.002)
        with self._lock:
            self._running -= 1
        return (500, "") if self.refuse(data, tries) else (204, "")

    def wait_for(self, number: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.received) < number and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(self.received) >= number


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber()


@pytest.fixture
def settings(publisher: pubsub_v1.PublisherClient, subscriber: Subscriber) -> Iterator[Settings]:
    """Settings whose topics are there, with the subscription `timing-writer` pushing to `subscriber`."""
    settings = Settings.from_env()
    with serving(subscriber) as url:
        topology.create(settings, {"writer": url, "recorder": url})
        yield settings


@pytest.fixture
def publish(publisher: pubsub_v1.PublisherClient, settings: Settings) -> Callable[..., None]:
    topic = publisher.topic_path(settings.project, settings.topic_timing)

    def send(*messages: bytes, **attributes: str) -> None:
        sent = [publisher.publish(topic, data, ordering_key=KEY, **attributes) for data in messages]
        for message in sent:
            message.result(30)

    return send


def test_messages_of_a_session_are_pushed_in_order_and_one_at_a_time(
    publish: Callable[..., None], subscriber: Subscriber
):
    messages = [b"%d" % n for n in range(200)]
    publish(*messages)
    subscriber.wait_for(200)
    assert (subscriber.received, subscriber.most_at_once) == (messages, 1)


def test_message_that_was_not_accepted_is_pushed_again_before_those_after_it(
    publish: Callable[..., None], subscriber: Subscriber
):
    subscriber.refuse = lambda data, tries: data == b"1" and tries <= 2
    publish(b"0", b"1", b"2")
    subscriber.wait_for(5)
    assert subscriber.received == [b"0", b"1", b"1", b"1", b"2"]


def test_message_that_is_refused_for_long_is_neither_lost_nor_put_away(
    publish: Callable[..., None], subscriber: Subscriber, settings: Settings
):
    subscriber.refuse = lambda data, tries: data == b"1" and tries <= 6  # one more than the least a policy can have
    publish(b"1", b"2")
    subscriber.wait_for(8)
    assert subscriber.received == [b"1"] * 7 + [b"2"]


def test_push_has_attributes_and_no_ordering_key(publish: Callable[..., None], subscriber: Subscriber):
    publish(b"0", session="9845")
    subscriber.wait_for(1)
    message = subscriber.pushes[0]["message"]
    assert message["attributes"] == {"session": "9845"}
    assert not [name for name in message if "ordering" in name.lower()]


def test_message_id_is_the_same_when_it_is_pushed_again(publish: Callable[..., None], subscriber: Subscriber):
    subscriber.refuse = lambda data, tries: tries == 1
    publish(b"0")
    subscriber.wait_for(2)
    assert len({push["message"]["messageId"] for push in subscriber.pushes}) == 1


def test_no_subscription_has_a_dead_letter_policy(settings: Settings):
    with pubsub_v1.SubscriberClient() as client:
        found = list(client.list_subscriptions(project=f"projects/{settings.project}"))
    assert {s.name.rpartition("/")[2]: s.dead_letter_policy.dead_letter_topic for s in found} == {
        "timing-writer": "",
        "raw-recorder": "",
        "timing-dead": "",
        "events-dead": "",
        "raw-dead": "",
        "budget-dead": "",
        "jobs-dead": "",
    }


def test_dead_letters_wait_to_be_read(publisher: pubsub_v1.PublisherClient, settings: Settings):
    publisher.publish(publisher.topic_path(settings.project, "timing-dead"), b"{}", reason="unknown-path").result(30)
    with pubsub_v1.SubscriberClient() as client:
        path = client.subscription_path(settings.project, "timing-dead")
        received = client.pull(subscription=path, max_messages=1).received_messages
    assert [message.message.attributes["reason"] for message in received] == ["unknown-path"]
