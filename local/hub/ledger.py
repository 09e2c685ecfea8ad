"""What a hub has done: who tried to connect, which messages each connection was sent, which ones nobody was.

Proofs read it; nothing in the hub depends on it. Messages are kept only where nobody was sent them.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from local.hub.playing import FeedRecord

_ATTEMPTS: Final = 20_000


class Attempt(NamedTuple):
    """One step of somebody's way to the feed.

    at: `time.monotonic()`. kind: `options`, `negotiate`, `connect`, `handshake`, `subscribe`. status: HTTP's; for the
    last two 200, 400 for a wrong one; 0 where the hub did not answer.
    """

    at: float
    kind: str
    status: int


class Played(NamedTuple):
    """A message of the feed. ordinal: among all the hub has played. at: its instant, ms since the epoch. cursor: its
    ordinal in its recording."""

    ordinal: int
    topic: str
    at: int
    cursor: int


class Snapshot(NamedTuple):
    """ordinal: of the first message that is not in it. connection: whose. topics: those it holds, without `.z`."""

    ordinal: int
    connection: str
    topics: frozenset[str]


@dataclass(slots=True)
class Served:
    """What one connection was sent.

    topics: subscribed and given. snapshots: ordinals as in `Snapshot`. first, last: ordinals of the first and last
    message sent, -1 if none; in between it was sent every one of its topics. messages: how many. ended: why, empty
    while it is open.
    """

    connection: str
    topics: set[str] = field(default_factory=set)
    snapshots: list[int] = field(default_factory=list)
    first: int = -1
    last: int = -1
    messages: int = 0
    ended: str = ""


class Ledger:
    """Kept on the hub's event loop; lists are read from anywhere."""

    def __init__(self) -> None:
        self.attempts: deque[Attempt] = deque(maxlen=_ATTEMPTS)
        self.served: list[Served] = []
        self.snapshots: list[Snapshot] = []
        self.missed: list[Played] = []
        self.wanted: set[str] = set()
        """Topics that have been given to somebody."""

    def attempt(self, kind: str, status: int) -> None:
        self.attempts.append(Attempt(time.monotonic(), kind, status))

    def opened(self, connection: str) -> Served:
        served = Served(connection)
        self.served.append(served)
        return served

    def snapshot(self, served: Served, ordinal: int, topics: frozenset[str]) -> None:
        """A snapshot is on its way; messages from `ordinal` on follow it."""
        self.snapshots.append(Snapshot(ordinal, served.connection, topics))
        served.snapshots.append(ordinal)

    def sent(self, served: Served, record: FeedRecord) -> None:
        """A message has been written to a connection's socket."""
        record.got = True
        record.pending -= 1
        if served.first < 0:
            served.first = record.ordinal
        served.last = record.ordinal
        served.messages += 1

    def lost(self, record: FeedRecord) -> None:
        """A connection ended before it was sent this message."""
        record.pending -= 1
        self.unsent(record)

    def unsent(self, record: FeedRecord) -> None:
        """Notes a message that nobody was sent and nobody will be, if somebody had wanted its topic."""
        if not record.pending and not record.got and record.topic in self.wanted:
            self.missed.append(Played(record.ordinal, record.topic, record.at, record.cursor))
