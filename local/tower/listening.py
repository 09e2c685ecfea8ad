"""Feeds a tower as any client would be fed: Firestore listeners on the few documents that it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from local.listener import Listener, Stored
from pitwall.documents import paths

_LIVE = ("timing", "entries", "tyres", "feed")

OnChange = Callable[[str, dict[str, Any]], None]


@contextmanager
def listening(project: str, session: str, on_change: OnChange) -> Iterator[None]:
    """Calls `on_change` with path and fields of the session's documents, as they are and whenever they change."""

    def tell(stored: Stored) -> None:
        on_change(stored.path, stored.fields)

    with Listener(project, tell) as listener:
        listener.follow(paths.session(session))
        _follow(listener, session)
        yield


@contextmanager
def listening_to_feed(project: str, feed: str, on_change: OnChange) -> Iterator[None]:
    """The same with whatever session a feed is on: the one whose document changed last, by the feed's time."""
    followed: set[str] = set()

    def tell(stored: Stored) -> None:
        on_change(stored.path, stored.fields)
        parts = stored.path.split("/")
        if len(parts) == 2 and parts[1] not in followed:
            followed.add(parts[1])
            _follow(listener, parts[1])

    with Listener(project, tell) as listener:
        listener.follow_last("", paths.SESSIONS, "at", where=("feedId", feed))
        yield


def _follow(listener: Listener, session: str) -> None:
    for name in _LIVE:
        listener.follow(paths.live(session, name))
    listener.follow_last(paths.session(session), "raceControl", "n")
