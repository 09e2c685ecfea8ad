"""Reads a source in a thread of its own, into a queue that makes it wait when nobody takes.

Which source there is, and what is done with a message, is the poller's business.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from typing import Final, NamedTuple, cast

from pitwall.message import FeedStatus, Message
from pitwall.sources import LiveSource, Source
from pitwall.sources.paced import MAX, paced

QUEUED: Final = 2_000
"""Messages of a recording that wait to be taken, at most: some minutes of a session."""
QUEUED_LIVE: Final = 20_000
"""The same of a live feed, which does not wait: an hour and more of a session, some ten megabytes."""

_WORTH_TELLING_S: Final = 0.02


class Opened(NamedTuple):
    """A source, and how it is to be read.

    speed: times the original timing. A live feed comes at its own time; then it is how fast its clock runs, and
        a speed that is not finite counts as 1.
    rewindable: it can be read again from a cursor, so nothing is lost while nobody reads it.
    """

    source: Source | LiveSource
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


Item = Message | FeedStatus | Quiet | Ended


class Reader:
    """A source being read. `stop` it when done."""

    def __init__(self, opened: Opened, cursor: int, *, keep_s: float | None = None) -> None:
        """cursor: ordinal of the first message wanted.

        keep_s: a standby's reader of a live feed: what nobody has taken after so many seconds is dropped, until
        `keep_all` is called.
        """
        self.source = opened.source
        self.dropped = False
        """Whether something was dropped: then what waits is the end of what came, its snapshot gone."""
        self.status: FeedStatus | None = None
        """What a live source last said of its connection."""
        self._rewindable = opened.rewindable
        self._speed = opened.speed
        self._keep_s = keep_s
        self._settled_at = float("inf")
        self._queue: queue.Queue[Item] = queue.Queue(QUEUED if opened.rewindable else QUEUED_LIVE)
        self._stopped = threading.Event()
        self._next_at = 0
        reading = copy_context().run  # its lines belong to the invocation that reads
        self._thread = threading.Thread(target=reading, args=(self._read, cursor), name="reader", daemon=True)
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

    def settled(self, for_s: float) -> bool:
        """Whether a live feed's snapshot came at least `for_s` seconds ago, on a connection that still stands."""
        return time.monotonic() - self._settled_at >= for_s

    def taken(self) -> list[Item]:
        """Everything that waits."""
        items: list[Item] = []
        while (item := self.get(0.0)) is not None:
            items.append(item)
        return items

    def keep_all(self) -> None:
        """From now on nothing is dropped: somebody is about to take what waits."""
        self._keep_s = None

    def stop(self) -> None:
        """Reads no further. A source that blocks is left to itself: its thread ends with the next message."""
        self._stopped.set()
        close: Callable[[], None] | None = getattr(self.source, "close", None)
        if close is not None:
            close()

    def _read(self, cursor: int) -> None:
        try:
            for item in self._items(cursor):
                if not self._put(item):
                    return
        except Exception as error:  # whatever a source raises must reach the poller
            self._put(Ended(error))
        else:
            self._put(Ended(None))

    def _items(self, cursor: int) -> Iterable[Message | FeedStatus]:
        if self._rewindable:
            recorded = cast(Source, self.source).messages(cursor)
            return paced(self._noted(recorded), self._speed, sleep=self._wait)
        return self._live()

    def _live(self) -> Iterator[Message | FeedStatus]:
        for item in self.source.messages():
            if isinstance(item, FeedStatus):
                self.status = item
                self._settled_at = time.monotonic() if item.state == "live" else float("inf")
            else:
                if self._settled_at == float("inf"):
                    self._settled_at = time.monotonic()
                if not item.arrived:
                    item = item._replace(arrived=int(time.time() * 1000))
                self._drop_before(item.arrived)
            yield item

    def _drop_before(self, now: int) -> None:
        """Forgets, as a standby, what came too long before the wall-clock instant `now` (ms)."""
        while (keep_s := self._keep_s) is not None and self._queue.qsize():
            first = self._queue.queue[0]
            old = not isinstance(first, Message) or first.arrived < now - keep_s * 1000  # `status` keeps the others
            if not old and self._queue.qsize() < QUEUED_LIVE // 2:
                return
            self._queue.get_nowait()
            self.dropped |= isinstance(first, Message)

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

    def __init__(self, *, live: float | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """live: times real time at which a live feed's clock runs; None for a recording."""
        self._live = live
        self._monotonic = monotonic
        self._quiet: Quiet | None = None
        self._since = 0.0

    def message(self, clock: int) -> None:
        """A message came; the feed's clock is now at `clock` (ms)."""
        self._since = self._monotonic()
        if self._live is not None:
            self._quiet = Quiet(clock - int(self.LATE_MS * self._live), 1 << 62, self._live)
        else:
            self._quiet = None

    def quiet(self, quiet: Quiet) -> None:
        self._since = self._monotonic()
        self._quiet = quiet

    def now(self) -> int | None:
        """Feed instant, ms; None if only the next message can tell."""
        if self._quiet is None:
            return None
        passed = int((self._monotonic() - self._since) * 1000 * self._quiet.speed)
        return min(self._quiet.at + passed, self._quiet.until)
