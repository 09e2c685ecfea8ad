"""When what changed is published: gathers changes on the feed's own clock and cuts them into ticks.

Pure: no wall clock, no I/O. The feed's clock is the highest instant of a message so far. A tick ends at its
deadline, a second after the one before, whether a later message or the poller's timer notices that it has passed; so a
recording gives the same ticks at every speed, and after a resume from any checkpoint.

Sending a tick is the poller's business, what a document looks like that of `pitwall.documents`.
"""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct, field

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import EPOCH, instant
from pitwall.documents.live import FeedDocument
from pitwall.documents.projection import project
from pitwall.message import Message
from pitwall.pipeline.envelope import TickDocument
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.state import SessionState

FEED: Final = "feed"
"""The change that means `live/feed`, which is about the feed and so none of the state machine's."""

ORDER: Final = (
    change.TOWER,
    change.SESSION,
    change.ENTRIES,
    change.TYRES,
    change.SEGMENTS,
    change.POSITIONS,
    change.TELEMETRY,
    change.DRIVER,
    change.LAP,
    change.RACE_CONTROL,
    change.WEATHER,
    change.TRACK_STATUS,
    change.SESSION_STATUS,
    change.TEAM_RADIO,
    FEED,
)
"""The order of documents in a tick: what everyone watches comes first when it must be split."""

SEGMENTS_MS: Final = 2_000
"""Mini-sectors change with nearly every message; two seconds halve what they cost."""

STRAY_MS: Final = 60_000
"""Steps back of up to 3.7 s were seen. A message this far behind the clock has a wrong instant, or the clock has."""

STRAYS: Final = 20
"""After so many in a row it is the clock that was wrong, and it follows them."""

FeedState = Literal["connecting", "live", "silent", "reconnecting", "refused", "ended"]


class FeedStatus(Struct, frozen=True):
    """How the feed is, as far as the poller knows: see `FeedDocument`."""

    source: str
    state: FeedState = "live"
    reconnects: int = 0
    gated_topics: tuple[str, ...] = ()


class Tick(NamedTuple):
    """What is published at once.

    at: the feed's instant, ms. arrived: `Message.arrived` of the messages that changed the tower in this tick.
    """

    session: str
    at: int
    documents: list[TickDocument]
    arrived: list[int]


class _Data(Struct):
    """All that a ticker knows besides the session's state; what a checkpoint stores."""

    feed: FeedStatus
    clock: int | None = None
    flushed_at: int | None = None
    slow_at: dict[str, int] = field(default_factory=dict)
    """When each kind that has a rate of its own was last published."""
    pending: set[tuple[str, str | int]] = field(default_factory=set)
    published: dict[tuple[str, str | int], bytes] = field(default_factory=dict)
    """Digest of the value each change last gave, its `at` aside."""
    arrived: list[int] = field(default_factory=list)
    slot: int = -1
    strays: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    """What earlier sessions of this feed could not use, and what could not be made a document."""


class Ticker:
    """Turns messages into ticks, over the sessions of one feed. Not safe for several threads."""

    def __init__(
        self, session: str, feed: str, status: FeedStatus, *, tick_ms: int = 1_000, feed_status_ms: int = 15_000
    ) -> None:
        """session: key until a SessionInfo says otherwise. Times in milliseconds of feed time."""
        self.state = SessionState(session, feed)
        self._feed = feed
        self._data = _Data(feed=status)
        self._tick_ms = tick_ms
        self._intervals = {change.SEGMENTS: SEGMENTS_MS, FEED: feed_status_ms}

    # -- what goes in ----------------------------------------------------------------------

    def offer(self, message: Message) -> list[Tick]:
        """Merges a message; returns the ticks that are due before and with it."""
        data = self._data
        session = self.state.next_session(message)
        ticks = [] if session is None else self.finish()
        ticks += self._advance(message.at)
        if session is not None:
            self._begin(session)
        key = self.state.session
        changes = self.state.apply(message)
        if self.state.session != key:
            # What was published under the provisional key is the session's all the same.
            data.pending.update(data.published)
            data.published.clear()
        data.pending.update(changes)
        data.pending.add((FEED, ""))
        if message.arrived and (change.TOWER, "") in changes:
            data.arrived.append(message.arrived)
        if data.clock is not None:
            ticks += self._flush_due(data.clock, at_once=True)
        return ticks

    def due(self, feed_now: int) -> list[Tick]:
        """The tick whose deadline has passed at `feed_now` (ms), though no message has shown it yet."""
        return self._flush_due(feed_now)

    def tell(self, status: FeedStatus) -> None:
        """How the feed is now; goes out with the next tick."""
        if status != self._data.feed:
            self._data.feed = status
            self._data.slow_at.pop(FEED, None)
            self._data.pending.add((FEED, ""))

    def finish(self) -> list[Tick]:
        """The session is over: everything pending, at once, and `live/feed` as ended."""
        data = self._data
        if data.clock is None:
            return []
        data.pending.update(self.state.finish())
        before = data.feed
        data.feed = msgspec.structs.replace(before, state="ended")
        data.pending.add((FEED, ""))
        ticks = self._flush(data.clock, data.pending)
        data.feed = before
        data.pending.clear()
        data.arrived.clear()
        return ticks

    # -- what can be asked -----------------------------------------------------------------

    @property
    def session(self) -> str:
        return self.state.session

    @property
    def clock(self) -> int | None:
        """The feed's instant, ms; None before the first message."""
        return self._data.clock

    @property
    def deadline(self) -> int | None:
        """Feed instant (ms) at which the next tick is due; None if nothing has changed."""
        data = self._data
        if not data.pending:
            return None
        earliest = min(self._earliest(what) for what in {what for what, _ in data.pending})
        return earliest if data.flushed_at is None else max(earliest, data.flushed_at + self._tick_ms)

    @property
    def rejected(self) -> Counter[str]:
        """Messages and documents that could not be used, by reason."""
        return self.state.rejected + Counter(self._data.rejected)

    def dump(self) -> bytes:
        """All of it, for a checkpoint."""
        data = self._data
        return msgspec.msgpack.encode(
            (
                self.state.dump(),
                msgspec.structs.replace(data, pending=set(), published={}),
                sorted(data.pending, key=_order),
                sorted(((what, key, digest) for (what, key), digest in data.published.items()), key=_order),
            )
        )

    def load(self, dumped: bytes) -> None:
        """Goes on from what `dump` gave, with this ticker's own rates. Raises msgspec.DecodeError."""
        state, data, pending, published = msgspec.msgpack.decode(
            dumped, type=tuple[bytes, _Data, list[tuple[str, str | int]], list[tuple[str, str | int, bytes]]]
        )
        self.state = SessionState.load(state)
        data.pending = set(pending)
        data.published = {(what, key): digest for what, key, digest in published}
        self._data = data

    # -- inside ----------------------------------------------------------------------------

    def _begin(self, session: str) -> None:
        """The feed goes on with another session."""
        old = self._data
        self._data = _Data(
            feed=old.feed,
            clock=old.clock,
            flushed_at=old.flushed_at,
            strays=old.strays,
            rejected=dict(self.rejected),
        )
        self.state = SessionState(session, self._feed)

    def _advance(self, at: int) -> list[Tick]:
        """Moves the clock; returns the tick that ends before it."""
        data = self._data
        if data.clock is None:
            data.clock = at
            return []
        if at < data.clock - STRAY_MS:
            data.strays += 1
            if data.strays >= STRAYS:
                data.strays = 0
                data.clock = at
                data.flushed_at = None
                data.slow_at.clear()
            return []
        data.strays = 0
        ticks = self._flush_due(at)
        data.clock = max(data.clock, at)
        return ticks

    def _earliest(self, what: str) -> int:
        last = self._data.slow_at.get(what)
        return -(1 << 62) if last is None else last + self._intervals[what]

    def _flush_due(self, now: int, *, at_once: bool = False) -> list[Tick]:
        """The pending tick if its deadline is not after `now`; it is as of the deadline, or of `now` if `at_once`."""
        deadline = self.deadline
        if deadline is None or deadline > now:
            return []
        at = now if at_once else deadline
        return self._flush(at, {item for item in self._data.pending if self._earliest(item[0]) <= at})

    def _flush(self, at: int, ready: set[tuple[str, str | int]]) -> list[Tick]:
        data = self._data
        documents: list[TickDocument] = []
        arrived: list[int] = []
        for item in sorted(ready, key=_order):
            what = item[0]
            projected = self._project(item)
            if what == change.TOWER:
                arrived, data.arrived = data.arrived, []
            if projected is None:
                continue
            path, document = projected
            if what not in (change.POSITIONS, change.TELEMETRY):
                digest = _digest(document)
                if data.published.get(item) == digest:
                    if what == change.TOWER:
                        arrived = []
                    continue
                data.published[item] = digest
            if what in self._intervals:
                data.slow_at[what] = at
            fields = msgspec.Raw(msgspec.json.encode(document))
            documents.append(TickDocument(path, fields))
            slot = at // paths.TOWER_SLOT_MS
            if what == change.TOWER and slot != data.slot:
                data.slot = slot
                documents.append(TickDocument(paths.tower_slot(self.session, at), fields))
        data.pending -= ready
        if not documents:
            return []
        data.flushed_at = at
        return [Tick(self.session, at, documents, arrived)]

    def _project(self, item: tuple[str, str | int]) -> tuple[str, Document] | None:
        if item[0] == FEED:
            return self._feed_document()
        try:
            return project(self.state, Change(*item))
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            # The feed sent what nobody has seen before; the other documents are not to suffer.
            reason = f"bad-document-{item[0]}"
            self._data.rejected[reason] = self._data.rejected.get(reason, 0) + 1
            return None

    def _feed_document(self) -> tuple[str, Document] | None:
        data = self._data
        if data.clock is None:
            return None
        return paths.live(self.session, FEED), FeedDocument(
            at=instant(data.clock),
            source=data.feed.source,
            state=data.feed.state,
            last_message_at=instant(data.clock),
            reconnects=data.feed.reconnects,
            gated_topics=list(data.feed.gated_topics),
        )


def _order(item: tuple[str, str | int] | tuple[str, str | int, bytes]) -> tuple[int, int, str]:
    """The same order everywhere, whatever the hash seed of a process."""
    what, key = item[0], item[1]
    return ORDER.index(what), key if isinstance(key, int) else -1, str(key)


def _digest(document: Document) -> bytes:
    return blake2b(msgspec.msgpack.encode(msgspec.structs.replace(document, at=EPOCH)), digest_size=8).digest()
