"""Puts away what can never be stored, with the reason, and says so only once Pub/Sub has it.

Pub/Sub's own dead-letter policy counts deliveries and knows no reason: it is left for what fails for more than an hour,
and the emulator's subscriptions have none.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from google.api_core.exceptions import GoogleAPIError

from pitwall.pipeline import metrics

if TYPE_CHECKING:
    from google.cloud import pubsub_v1

_MAX_REASON_BYTES = 1_000
"""An attribute's value may have 1,024 bytes."""


class NotPutAway(Exception):
    """The dead-letter topic has not acknowledged; the message must be delivered again."""


class DeadLetters:
    """The dead-letter topic of one subscription."""

    def __init__(self, project: str, topic: str, timeout_s: float = 10.0) -> None:
        self._name = topic
        self._topic = f"projects/{project}/topics/{topic}"
        self._timeout_s = timeout_s

    @cached_property
    def _client(self) -> pubsub_v1.PublisherClient:
        """Loaded and opened for the first message that is put away: most instances never have one."""
        from google.cloud import pubsub_v1

        return pubsub_v1.PublisherClient(pubsub_v1.types.BatchSettings(max_messages=1))

    def put(self, data: bytes, reason: str, detail: str, **attributes: str) -> None:
        """Publishes with the attributes `reason`, `detail` and those given; returns once acknowledged.

        Raises NotPutAway.
        """
        held = {"reason": reason, "detail": detail, **attributes}
        cut = {
            key: value.encode()[:_MAX_REASON_BYTES].decode("utf-8", "ignore") for key, value in held.items() if value
        }
        try:
            self._client.publish(self._topic, data, retry=None, timeout=self._timeout_s, **cut).result(self._timeout_s)
        except (GoogleAPIError, TimeoutError, ValueError) as error:
            raise NotPutAway(f"{self._topic}: {error}") from None
        metrics.dead_letter(self._name, reason)
