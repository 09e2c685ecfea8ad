"""What the state machines of a session share, that of F1's timing and that of kart timing: data that can be dumped,
messages of which none raises, changes with their instants."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Set
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec
from msgspec import Struct, field

from pitwall.message import Message
from pitwall.timing.change import Change

UNUSABLE = (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError)
"""What reading a message may raise that is not what it should be."""


class SeriesItem(Struct, array_like=True):
    """One item of a series: its instant, and what was told."""

    at: int
    data: dict[str, Any]


class SessionData(Struct):
    """What is kept of any session; what a checkpoint stores."""

    session: str
    feed: str
    track_status: list[SeriesItem] = field(default_factory=list)
    session_status: list[SeriesItem] = field(default_factory=list)
    started_at: int | None = None
    finished_at: int | None = None
    clock: tuple[int, bool, int] | None = None
    """Remaining ms, running, instant."""
    last_at: int = 0
    """Latest instant of a message."""
    changed_at: dict[str, int] = field(default_factory=dict)
    """Instant of the last change of each part, by `what/key`."""
    rejected: dict[str, int] = field(default_factory=dict)


D = TypeVar("D", bound=SessionData)


class Machine(ABC, Generic[D]):
    """The state machine of one session. Never raises on what a feed sends: what it cannot use is counted."""

    data: D
    _kept: ClassVar[type[Any]]
    """Type of `data`."""
    _ignored: ClassVar[Set[str]] = frozenset()
    """Topics that say nothing that is kept."""
    _changes: set[Change]
    _handlers: dict[str, Callable[[dict[str, Any], Message], None]]

    @abstractmethod
    def _begin(self) -> None:
        """Sets up all but `data`: what is not dumped."""

    # -- what others use -------------------------------------------------------------------

    @property
    def session(self) -> str:
        """The session's key: the feed's own once it has told it."""
        return self.data.session

    @property
    def rejected(self) -> Counter[str]:
        """Messages that could not be used, by reason."""
        return Counter(self.data.rejected)

    def dump(self) -> bytes:
        """The whole state, for a checkpoint."""
        return msgspec.msgpack.encode(self.data)

    @classmethod
    def load(cls, dumped: bytes) -> Self:
        """A state from what `dump` gave. Raises msgspec.DecodeError or ValidationError on anything else."""
        state = cls.__new__(cls)
        state.data = msgspec.msgpack.decode(dumped, type=cls._kept)
        state._begin()
        return state

    def changed_at(self, what: Change) -> int:
        """Instant of the last change of a part, ms."""
        return self.data.changed_at.get(f"{what.what}/{what.key}", self.data.last_at)

    # -- inside ----------------------------------------------------------------------------

    def _handle(self, message: Message) -> None:
        """Has the topic's handler read a message; counts what is of no known topic or is not what it should be."""
        handler = self._handlers.get(message.topic)
        if handler is None:
            if message.topic not in self._ignored:
                self._reject("unknown-topic")
        elif not isinstance(message.data, dict):
            self._reject(f"bad-{message.topic}")
        else:
            try:
                handler(message.data, message)
            except UNUSABLE:
                self._reject(f"bad-{message.topic}")

    def _reject(self, reason: str) -> None:
        self.data.rejected[reason] = self.data.rejected.get(reason, 0) + 1

    def _note(self, what: str, key: str | int = "") -> None:
        self._changes.add(Change(what, key))

    def _stamp(self, at: int) -> set[Change]:
        """What has changed, from now on with its instant."""
        for what, key in self._changes:
            name = f"{what}/{key}"
            self.data.changed_at[name] = max(at, self.data.changed_at.get(name, at))
        return self._changes
