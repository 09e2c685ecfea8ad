"""The whole state of every topic, as the hub's snapshots hold it: its own merge of what has been played.

A new SessionInfo begins a session: from then on only that session's values count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from local.hub import wire
from local.hub.playing import FeedRecord
from local.hub.topics import COMPRESSED, wire_name
from pitwall.timing.merge import merge

_SESSION: Final = "SessionInfo"


class FeedState:
    """The topics' states.

    leftovers: whether a topic's state of the session before stays in snapshots until the new session's first value
    replaces it; else it goes when the new SessionInfo comes.
    """

    def __init__(self, leftovers: bool = False) -> None:
        self._leftovers = leftovers
        self._topics: dict[str, Any] = {}
        # Topics whose state is the session before's: their next value is a whole one.
        self._stale: set[str] = set()

    def apply(self, record: FeedRecord) -> None:
        """Merges one message."""
        topic = record.topic
        if record.begins is not None:
            self._stale = set(self._topics)
        elif topic == _SESSION and self._is_another(record.data):
            self._stale = self._stale or set(self._topics)
        if topic == _SESSION and topic in self._stale and not self._leftovers:
            for left in self._stale:
                self._topics.pop(left, None)
            self._stale.clear()
        if topic in COMPRESSED:
            self._topics[topic] = record.payload
        else:
            before = None if topic in self._stale else self._topics.get(topic)
            self._topics[topic] = merge(before, record.data)
        self._stale.discard(topic)

    def _is_another(self, session_info: Any) -> bool:
        known = self._topics.get(_SESSION)
        if not isinstance(session_info, dict) or not isinstance(known, dict):
            return False
        return any(key in session_info and session_info[key] != known.get(key) for key in ("Key", "Path"))

    def snapshot(self, topics: Iterable[str]) -> dict[str, Any]:
        """The states of those topics that have one, by their name on the wire, each marked as a keyframe.

        Compressed topics hold their last message. The answer shares the states: it is to be written out at once.
        """
        return {wire_name(topic): self._whole(topic) for topic in topics if topic in self._topics}

    def _whole(self, topic: str) -> Any:
        state = self._topics[topic]
        if topic in COMPRESSED:
            return wire.deflated(state)
        return {**state, "_kf": True} if isinstance(state, dict) else state
