"""Sources of timing messages. Each module reads one kind of feed and yields `Message`s.

What a feed means is the business of `pitwall.timing`; when a message is let through
(speed, ticks) is the business of `pitwall.pipeline`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from pitwall.message import FeedStatus, Message


class Source(Protocol):
    """A feed the poller can read."""

    name: str
    """What `live/feed` shows as its source: `recording`, `f1`, `archive`, ..."""

    session: str
    """Session id the messages belong to until a SessionInfo says otherwise."""

    rejected: Counter[str]
    """Input that could not be read, counted by reason (`bad-json`, `bad-base64`, ...)."""

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        """Yields messages in feed order from the ordinal `cursor` on; blocks while waiting for more."""
        ...


class LiveSource(Protocol):
    """A feed that comes when it comes, and cannot be read again."""

    name: str
    session: str
    """Empty until the first message has told."""

    rejected: Counter[str]

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        """Yields messages as they come, cursor -1, and between them how the connection is; blocks while waiting.

        After a connection that may have missed something: `message.feed_gap`, then the snapshot. It never gives up.
        """
        ...

    def close(self) -> None:
        """Makes `messages` end soon; safe to call from another thread, and twice."""
        ...
