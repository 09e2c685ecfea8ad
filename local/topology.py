"""Which Pub/Sub topics and subscriptions there are, and their creation in the emulator.

`infra/` creates the same in the cloud. The subscriptions have no dead-letter policy here, as the emulator's stops an
ordering key for good. What can never succeed is put into the dead-letter topic by the subscriber, with the reason;
there it waits in a pull subscription.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from google.cloud import pubsub_v1

from pitwall.settings import Settings, dead_letter

ACK_DEADLINE_S = 60
"""How long one push may take; a slower subscriber gets the message a second time while it still works."""


class PushSubscription(NamedTuple):
    """An ordered push subscription, and the function that it pushes to."""

    id: str
    topic: str
    function: str
    ack_deadline_s: int = ACK_DEADLINE_S


def topics(settings: Settings) -> tuple[str, ...]:
    """Ids of all topics, dead-letter topics included."""
    own = (settings.topic_timing, settings.topic_events, settings.topic_raw, settings.topic_budget, settings.topic_jobs)
    return (*own, *(dead_letter(topic) for topic in own))


def push_subscriptions(settings: Settings) -> tuple[PushSubscription, ...]:
    return (
        PushSubscription("timing-writer", settings.topic_timing, "writer"),
        PushSubscription("raw-recorder", settings.topic_raw, "recorder"),
        PushSubscription("budget-economy", settings.topic_budget, "economy"),
        PushSubscription("jobs-worker", settings.topic_jobs, "jobs", 600),
    )


def dead_letter_subscriptions(settings: Settings) -> tuple[str, ...]:
    """Ids of the pull subscriptions in which dead letters wait; each is named as its topic."""
    return tuple(topic for topic in topics(settings) if topic.endswith(dead_letter("")))


def create(settings: Settings, endpoints: Mapping[str, str]) -> None:
    """Creates it where PUBSUB_EMULATOR_HOST points, without the subscriptions of functions that are not served.

    endpoints: URL to push to, by function.
    """
    publisher = pubsub_v1.PublisherClient()
    with pubsub_v1.SubscriberClient() as subscriber:
        for topic in topics(settings):
            publisher.create_topic(name=publisher.topic_path(settings.project, topic))
        for name in dead_letter_subscriptions(settings):
            subscriber.create_subscription(
                name=subscriber.subscription_path(settings.project, name),
                topic=publisher.topic_path(settings.project, name),
            )
        for subscription in push_subscriptions(settings):
            if subscription.function not in endpoints:
                continue  # nothing here bills, so nothing here asks `economy`
            subscriber.create_subscription(
                request={
                    "name": subscriber.subscription_path(settings.project, subscription.id),
                    "topic": publisher.topic_path(settings.project, subscription.topic),
                    "push_config": {"push_endpoint": endpoints[subscription.function]},
                    "ack_deadline_seconds": subscription.ack_deadline_s,
                    "enable_message_ordering": True,
                    "retry_policy": {
                        "minimum_backoff": timedelta(milliseconds=100),
                        "maximum_backoff": timedelta(seconds=10),
                    },
                    "expiration_policy": {},
                }
            )
    publisher.stop()
