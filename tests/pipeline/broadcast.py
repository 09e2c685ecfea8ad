"""A live feed for the pipeline's tests: it goes on whether heard or not, and repeats nothing but its state."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pitwall.message import FeedStatus, Message
from pitwall.pipeline.reader import Opened
from pitwall.timing.merge import merge


class Broadcast:
    """Sends messages at `speed` times their own timing from the first connection on.

    Who connects gets the state of every topic, then what is sent from then on. ends: it is over after the last message,
    and does not fall silent.
    """

    def __init__(self, sent: list[Message], speed: float, *, ends: bool = False) -> None:
        self.connections = 0
        self._sent = sent
        self._speed = speed
        self._ends = ends
        self._began = 0.0
        self._lock = threading.Lock()

    def opened(self) -> Opened:
        return Opened(Connection(self), self._speed, rewindable=False)

    def due(self, message: Message) -> float:
        return self._began + (message.at - self._sent[0].at) / 1000 / self._speed

    def messages(self, closing: threading.Event) -> Iterator[Message | FeedStatus]:
        with self._lock:
            now = time.monotonic()
            self.connections += 1
            self._began = self._began or now
        before = [message for message in self._sent if self.due(message) < now]
        if before:
            yield from self._snapshot(before)
        yield FeedStatus("live")
        for message in self._sent[len(before) :]:
            if closing.wait(max(0.0, self.due(message) - time.monotonic())):
                return
            yield message._replace(cursor=-1)
        if not self._ends:
            closing.wait(60)

    def _snapshot(self, before: list[Message]) -> Iterator[Message]:
        topics: dict[str, Any] = {}
        for message in before:
            topics[message.topic] = merge(topics.get(message.topic), message.data)
        for topic in sorted(topics, key=lambda topic: topic != "SessionInfo"):
            yield Message(topic, topics[topic], before[-1].at, snapshot=True)


class Connection:
    """One instance's connection to a `Broadcast`."""

    name = "broadcast"
    session = ""

    def __init__(self, broadcast: Broadcast) -> None:
        self.rejected: Counter[str] = Counter()
        self._broadcast = broadcast
        self._closing = threading.Event()

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        yield FeedStatus("connecting")
        yield from self._broadcast.messages(self._closing)

    def close(self) -> None:
        self._closing.set()
