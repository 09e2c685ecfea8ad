"""Publishes in order: per topic and ordering key, every message arrives after the one before it, none is left out.

After a failed publish Pub/Sub's client refuses everything that follows under the same ordering key until it is
told to go on; then what failed is published again in its order. A message whose fate is unknown may so be
published twice, which subscribers expect. Whether the caller still may publish is the caller's business: nothing
here goes on in the background once `publish` and `settle` are no longer called.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from google.cloud import pubsub_v1
from google.cloud.pubsub_v1 import types

from pitwall.pipeline.log import log

MAX_MESSAGE_BYTES = 9_900_000
"""Pub/Sub takes 10,000,000 bytes in a request; the rest is for attributes."""

_BATCHING = types.BatchSettings(max_messages=100, max_bytes=1_000_000, max_latency=0.005)
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


@dataclass(slots=True)
class _Sent:
    ordinal: int
    data: bytes
    attributes: dict[str, str]
    future: Any


@dataclass(slots=True)
class _Lane:
    """What must stay in order, one ordering key of one topic: its unacknowledged messages, oldest first."""

    topic: str
    key: str
    waiting: deque[_Sent] = field(default_factory=deque)
    pause_s: float = _FIRST_PAUSE_S
    resume_at: float | None = None


class Publisher:
    """Publishes to the topics of one project. For one thread.

    messages, bytes: accepted for publishing so far, republished ones counted once; bytes as Pub/Sub bills them.
    """

    def __init__(
        self,
        project: str,
        *,
        endpoint: str = "",
        timeout_s: float = 5.0,
        max_outstanding: int = 200,
        max_outstanding_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        options = {"client_options": {"api_endpoint": endpoint}} if endpoint else {}
        self._client = pubsub_v1.PublisherClient(_BATCHING, types.PublisherOptions(True), **options)
        self._project = project
        self._timeout_s = timeout_s
        self._max_outstanding = max_outstanding
        self._max_outstanding_bytes = max_outstanding_bytes
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self._outstanding = 0
        self._outstanding_bytes = 0
        self.messages = 0
        self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether so much is unacknowledged that the caller should wait before it publishes more."""
        return self._outstanding >= self._max_outstanding or self._outstanding_bytes >= self._max_outstanding_bytes

    def publish(self, topic: str, key: str, data: bytes, **attributes: str) -> None:
        """Hands a message over. One that Pub/Sub could never take (10 MB) is logged and left out."""
        size = len(data) + len(key) + sum(len(name) + len(value) for name, value in attributes.items())
        if size > MAX_MESSAGE_BYTES:
            log("ERROR", "too large to be published", topic=topic, session=key, bytes=size, reason="message-too-large")
            return
        lane = self._lanes.get((topic, key))
        if lane is None:
            lane = self._lanes[topic, key] = _Lane(f"projects/{self._project}/topics/{topic}", key)
        self.messages += 1
        self.bytes += size
        self._outstanding += 1
        self._outstanding_bytes += len(data)
        sent = _Sent(self.messages, data, attributes, None)
        self._send(lane, sent)
        lane.waiting.append(sent)

    def settle(self) -> None:
        """Takes note of acknowledgements, and publishes again what failed. Never blocks."""
        for name, lane in list(self._lanes.items()):
            waiting = lane.waiting
            while waiting and waiting[0].future.done() and waiting[0].future.exception() is None:
                sent = waiting.popleft()
                self._outstanding -= 1
                self._outstanding_bytes -= len(sent.data)
                lane.pause_s = _FIRST_PAUSE_S
            if not waiting:
                del self._lanes[name]
            elif waiting[0].future.done():
                self._go_on(lane)

    def acknowledged(self, through: int) -> bool:
        """Whether every message up to the `through`-th (as counted by `messages`) has been acknowledged."""
        return all(lane.waiting[0].ordinal > through for lane in self._lanes.values())

    def wait(self, timeout_s: float) -> None:
        """Waits at most `timeout_s` for the oldest message to be acknowledged or to be due again; then settles."""
        lane = min(self._lanes.values(), key=lambda lane: lane.waiting[0].ordinal, default=None)
        if lane is not None:
            if lane.resume_at is not None:
                time.sleep(min(timeout_s, max(0.0, lane.resume_at - time.monotonic())))
            else:
                with suppress(FutureTimeoutError):
                    lane.waiting[-1 if lane.waiting[0].future.done() else 0].future.exception(timeout_s)
        self.settle()

    def close(self) -> None:
        """Publishes nothing more; what has not been acknowledged is left to a successor."""
        self._client.stop()
        self._client.transport.close()
        self._lanes.clear()

    def _send(self, lane: _Lane, sent: _Sent) -> None:
        # Without the library's own retry, which for ordered messages never ends: a holder that has been
        # succeeded would go on publishing.
        sent.future = self._client.publish(
            lane.topic, sent.data, lane.key, retry=None, timeout=self._timeout_s, **sent.attributes
        )

    def _go_on(self, lane: _Lane) -> None:
        """The lane's first message has failed: once all behind it have too, publishes them again in order."""
        if not all(sent.future.done() for sent in lane.waiting):
            return
        now = time.monotonic()
        if lane.resume_at is None:
            lane.resume_at = now + lane.pause_s
            lane.pause_s = min(lane.pause_s * 2, _LONGEST_PAUSE_S)
            log(
                "WARNING",
                "publishing failed, to be tried again",
                topic=lane.topic,
                session=lane.key,
                messages=len(lane.waiting),
                detail=str(lane.waiting[0].future.exception())[:300],
            )
        if now >= lane.resume_at:
            lane.resume_at = None
            with suppress(RuntimeError):  # not paused: it was the last message that failed
                self._client.resume_publish(lane.topic, lane.key)
            for sent in lane.waiting:
                self._send(lane, sent)
