"""How a live source's connection stands, and saying so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pitwall.message import FeedState, FeedStatus


class Standing:
    """gated: topics that are not asked for or not given, to be set by the source."""

    def __init__(self, wall: Callable[[], float]) -> None:
        """wall: seconds since the epoch."""
        self.gated: tuple[str, ...] = ()
        self._wall = wall
        self._connections = 0
        self._told: FeedStatus | None = None

    def connected(self) -> None:
        """A connection has got as far as a snapshot."""
        self._connections += 1

    @property
    def between(self) -> FeedState:
        """The state while there is no connection."""
        return "reconnecting" if self._connections else "connecting"

    def say(self, state: FeedState, detail: str = "") -> Iterator[FeedStatus]:
        """The status, if anything but its time differs from the last one's."""
        status = FeedStatus(state, detail, max(self._connections - 1, 0), self.gated)
        if status != self._told:
            self._told = status
            yield status._replace(at=int(self._wall() * 1000))
