"""Feeds a tower as any client would be fed: Firestore listeners on the few documents that it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from local.listener import Listener, Stored
from pitwall.documents import paths

_LIVE = ("timing", "entries", "tyres", "feed")


@contextmanager
def listening(project: str, session: str, on_change: Callable[[str, dict[str, Any]], None]) -> Iterator[None]:
    """Calls `on_change` with path and fields of the session's documents, as they are and whenever they change."""

    def tell(stored: Stored) -> None:
        on_change(stored.path, stored.fields)

    with Listener(project, tell) as listener:
        listener.follow(paths.session(session))
        for name in _LIVE:
            listener.follow(paths.live(session, name))
        listener.follow_last(paths.session(session), "raceControl", "n")
        yield
