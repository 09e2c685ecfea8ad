"""Reads a source in a thread of its own, into a queue that makes it wait when nobody takes.

Which source there is, and what is done with a message, is the poller's business.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pitwall.message import Message
from pitwall.sources import Source
from pitwall.sources.paced import MAX, paced

QUEUED: Final = 2_000
"""Messages that wait to be taken, at most: some minutes of a session."""

_WORTH_TELLING_S: Final = 0.02


class Opened(NamedTuple):
    """A source, and how it is to be read.

    speed: times the original timing; infinite for one that comes at its own time.
    rewindable: it can be read again from a cursor, so nothing is lost while nobody reads it.
    """

    source: Source
    speed: float
    rewindable: bool


class Quiet(NamedTuple):
    """Nothing comes before the feed instant `until` (ms). Now it is `at`; a second of ours is `speed` of the feed."""

    at: int
    until: int
    speed: float


class Ended(NamedTuple):
    """The source has come to its end; with an error if that was not its own."""

    error: Exception | None


Item = Message | Quiet | Ended


class Reader:
    """A source being read. `stop` it when done."""

    def __init__(self, opened: Opened, cursor: int) -> None:
        """cursor: ordinal of the first message wanted."""
        self.source = opened.source
        self._speed = opened.speed
        self._queue: queue.Queue[Item] = queue.Queue(QUEUED)
        self._stopped = threading.Event()
        self._next_at = 0
        self._thread = threading.Thread(target=self._read, args=(cursor,), name="reader", daemon=True)
        self._thread.start()

    def get(self, timeout_s: float) -> Item | None:
        """What came next, None if nothing has within `timeout_s`. After `Ended` nothing comes any more."""
        try:
            return self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None

    @property
    def waiting(self) -> int:
        """Items that wait to be taken."""
        return self._queue.qsize()

    def stop(self) -> None:
        """Reads no further. A source that blocks is left to itself: its thread ends with the next message."""
        self._stopped.set()
        close: Callable[[], None] | None = getattr(self.source, "close", None)
        if close is not None:
            close()

    def _read(self, cursor: int) -> None:
        try:
            for message in paced(self._noted(self.source.messages(cursor)), self._speed, sleep=self._wait):
                if not self._put(message):
                    return
        except Exception as error:  # whatever a source raises must reach the poller
            self._put(Ended(error))
        else:
            self._put(Ended(None))

    def _noted(self, messages: Iterator[Message]) -> Iterator[Message]:
        for message in messages:
            self._next_at = message.at
            yield message

    def _wait(self, seconds: float) -> None:
        """Waits for the next message's time, having told until when it will be quiet."""
        if self._speed != MAX and seconds > _WORTH_TELLING_S:
            now = self._next_at - int(seconds * 1000 * self._speed)
            self._put(Quiet(now, self._next_at, self._speed))
        self._stopped.wait(seconds)

    def _put(self, item: Item) -> bool:
        """False if nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


class FeedClock:
    """What time it is in the feed between two messages, so that what is due need not wait for the next one.

    A paced recording tells until when nothing comes; so a tick is never cut where another speed would not have cut it.
    A live feed tells nothing: its clock is taken to run on, a little late, so that messages under way are in time.
    """

    LATE_MS: Final = 250

    def __init__(self, *, live: bool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._live = live
        self._monotonic = monotonic
        self._quiet: Quiet | None = None
        self._since = 0.0

    def message(self, clock: int) -> None:
        """A message came; the feed's clock is now at `clock` (ms)."""
        self._since = self._monotonic()
        self._quiet = Quiet(clock - self.LATE_MS, 1 << 62, 1.0) if self._live else None

    def quiet(self, quiet: Quiet) -> None:
        self._since = self._monotonic()
        self._quiet = quiet

    def now(self) -> int | None:
        """Feed instant, ms; None if only the next message can tell."""
        if self._quiet is None:
            return None
        passed = int((self._monotonic() - self._since) * 1000 * self._quiet.speed)
        return min(self._quiet.at + passed, self._quiet.until)
