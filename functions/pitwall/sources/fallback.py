"""A live source that reads another one while the first is refused, and goes back as soon as that one answers.

F1 blocks some address ranges, those of clouds among them; then OpenF1 is read instead. Both sources are read in threads
of their own: the first goes on trying by itself, as often as it thinks right, while the second is being read. The seam
is told as a gap, so what was missed between the two is known to be missing.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from pitwall.message import FEED_GAP, FeedStatus, Message, feed_gap
from pitwall.sources import LiveSource

AFTER_S: Final = 20.0
"""A source that has been refused for so long is not waited for any more."""
AFTER_TIMES: Final = 3
"""So many refusals one after the other are enough, too."""
QUEUED: Final = 20_000
WAIT_S: Final = 0.5
IN_WORDS: Final = {
    "openf1": "OpenF1",
    "f1": "F1's live feed",
    "apex": "Apex Timing's WebSocket",
    "apex-polling": "Apex Timing's polling",
}


class _Ended(NamedTuple):
    error: Exception | None


class _Reading:
    """A source being read into the queue both share."""

    def __init__(self, source: LiveSource, out: queue.Queue[tuple[_Reading, Message | FeedStatus | _Ended]]) -> None:
        self.source = source
        self._out = out
        self._stopped = threading.Event()
        self.thread = threading.Thread(target=self._read, name=f"fallback-{source.name}", daemon=True)

    def stop(self) -> None:
        self._stopped.set()
        self.source.close()

    def _read(self) -> None:
        try:
            for item in self.source.messages():
                if not self._put(item):
                    return
        except Exception as error:  # whatever a source raises is its reader's to raise
            self._put(_Ended(error))
        else:
            self._put(_Ended(None))

    def _put(self, item: Message | FeedStatus | _Ended) -> bool:
        while not self._stopped.is_set():
            try:
                self._out.put((self, item), timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


def with_fallback(
    primary: LiveSource,
    open_secondary: Callable[[], LiveSource],
    *,
    after_s: float = AFTER_S,
    monotonic: Callable[[], float] = time.monotonic,
) -> FallbackSource:
    """A live source that reads `primary`, and while that is refused what `open_secondary` opens.

    after_s: seconds of refusal after which the other one is opened; three refusals in a row are enough, too.
    """
    return FallbackSource(primary, open_secondary, after_s=after_s, monotonic=monotonic)


class FallbackSource:
    """Two live sources as one. name, session: those of the one being read. rejected: what neither could read."""

    def __init__(
        self,
        primary: LiveSource,
        open_secondary: Callable[[], LiveSource],
        *,
        after_s: float = AFTER_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = primary.name
        self.session = primary.session
        self.rejected: Counter[str] = Counter()
        self._open_secondary = open_secondary
        self._after_s = after_s
        self._monotonic = monotonic
        self._queue: queue.Queue[tuple[_Reading, Message | FeedStatus | _Ended]] = queue.Queue(QUEUED)
        self._primary = _Reading(primary, self._queue)
        self._secondary: _Reading | None = None
        self._rejected_before: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._refused_since: float | None = None
        self._refusals = 0
        self._why = ""
        self._last: int | None = None
        """Feed instant of the last message passed on."""
        self._snapshot_of: _Reading | None = None
        """The source whose snapshot is being told."""
        self._told_by: _Reading | None = None
        """The source of the last message passed on."""

    @property
    def _reading(self) -> _Reading:
        return self._secondary if self._secondary is not None else self._primary

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        """The messages of whichever source is being read, and how that is, until `close`; blocks while waiting.

        Where one source takes over from the other there come a FeedStatus that says so, a FeedGap from the last
        message (if there was one), and the other's snapshot, none of it before that message. Raises what a source does.
        """
        del cursor
        self._primary.thread.start()
        while not self._closed.is_set():
            try:
                reading, item = self._queue.get(timeout=WAIT_S)
            except queue.Empty:
                self._look()
                yield from self._give_up()
                continue
            self._look()
            if isinstance(item, _Ended):
                if item.error is not None:
                    raise item.error
                if reading is self._primary:
                    return
                continue
            if reading is self._primary:
                yield from self._of_primary(item)
            elif reading is self._secondary:
                yield from self._of_secondary(reading, item)
        self._stop()

    def close(self) -> None:
        """Closes both sources and ends the iteration soon. From any thread."""
        self._closed.set()
        self._stop()

    def _look(self) -> None:
        """Who is being read, and what was rejected so far."""
        secondary = self._secondary
        now = secondary.source.rejected if secondary is not None else Counter[str]()
        self.rejected = self._primary.source.rejected + self._rejected_before + now
        self.name = self._reading.source.name
        self.session = self._reading.source.session or self._primary.source.session

    # -- the first -------------------------------------------------------------------------

    def _of_primary(self, item: Message | FeedStatus) -> Iterator[Message | FeedStatus]:
        if isinstance(item, FeedStatus):
            self._note(item)
            if self._secondary is not None and item.state == "live":
                self._leave_secondary()
            if self._secondary is None:
                yield item
                yield from self._give_up()
            return
        if self._secondary is not None:
            self._leave_secondary()  # it told a message before it said that it is live
        self._refused_since, self._refusals = None, 0
        yield from self._passed(self._primary, item)

    def _note(self, status: FeedStatus) -> None:
        if status.state == "refused":
            self._why = status.detail
            self._refusals += 1
            if self._refused_since is None:
                self._refused_since = self._monotonic()
        elif status.state == "live":
            self._refused_since, self._refusals = None, 0

    def _give_up(self) -> Iterator[FeedStatus]:
        """Goes over to the second source once the first has been refused for long enough."""
        since = self._refused_since
        if self._secondary is not None or since is None:
            return
        if self._monotonic() - since < self._after_s and self._refusals < AFTER_TIMES:
            return
        with self._lock:
            if self._closed.is_set():
                return
            secondary = _Reading(self._open_secondary(), self._queue)
            self._secondary = secondary
        secondary.thread.start()
        self._look()
        yield FeedStatus("connecting", self._instead(), at=int(time.time() * 1000))

    # -- the second ------------------------------------------------------------------------

    def _of_secondary(self, reading: _Reading, item: Message | FeedStatus) -> Iterator[Message | FeedStatus]:
        if isinstance(item, FeedStatus):
            yield item._replace(detail=f"{self._instead()}: {item.detail}" if item.detail else self._instead())
            return
        yield from self._passed(reading, item)

    def _instead(self) -> str:
        return f"{self._why}; reading {_in_words(self._reading.source.name)} instead"

    def _leave_secondary(self) -> None:
        with self._lock:
            secondary, self._secondary = self._secondary, None
        if secondary is not None:
            secondary.stop()
            self._rejected_before += secondary.source.rejected
        self._look()

    # -- the seam --------------------------------------------------------------------------

    def _passed(self, reading: _Reading, message: Message) -> Iterator[Message]:
        """A message of the source being read; before its first one after the other's, the gap between the two."""
        if self._told_by is not reading:
            if self._told_by is not None and self._last is not None:
                if message.topic == FEED_GAP:
                    message = feed_gap(self._last, max(message.at, self._last), message.data["Reason"], message.arrived)
                else:
                    reason = f"the source changed to {_in_words(reading.source.name)}"
                    yield feed_gap(self._last, max(message.at, self._last), reason, message.arrived)
            self._told_by, self._snapshot_of = reading, reading
        if self._snapshot_of is reading and self._last is not None:
            if message.snapshot or message.topic == FEED_GAP:
                message = message._replace(at=max(message.at, self._last))
            else:
                self._snapshot_of = None
        self._last = max(message.at, self._last or message.at)
        yield message

    def _stop(self) -> None:
        with self._lock:
            secondary = self._secondary
        self._primary.stop()
        if secondary is not None:
            secondary.stop()


def _in_words(name: str) -> str:
    return IN_WORDS.get(name, name)
