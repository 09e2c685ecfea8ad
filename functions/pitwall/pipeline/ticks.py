"""When documents are published: once a second of feed time, and only what changed.

`Reducer` holds the state of the session a feed is on, gathers what messages change, and hands out
a `Tick` when it is due: the whole value of each changed document. It counts the feed's own clock (the
latest instant of any message), so a race gives the same ticks at every replay speed, and after a
resume from a dump; nothing here reads a wall clock or does I/O.

A tick is due one second after the last, or as long as `set_tick` says; the first change after so long a quiet goes at
once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec
from msgspec import UNSET, Struct, field

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import EPOCH, instant
from pitwall.documents.live import FeedDocument, TowerDocument
from pitwall.documents.projection import Projected
from pitwall.karting import vocabulary
from pitwall.message import FeedState, FeedStatus, Message
from pitwall.pipeline import machines
from pitwall.pipeline.car_telemetry import CarTelemetry
from pitwall.timing import change
from pitwall.timing.change import Change

TICK_MS = 1_000
SLOW_TICK_MS = 5_000
"""Between two ticks where viewers are to cost less. All of a tick waits: what goes under one version still agrees."""
SEGMENTS_MS = 2_000
"""Mini-sectors change with nearly every message and few screens show them: every other second will do."""
FEED_MS = 15_000
STRAY_MS = 60_000
"""Steps back of up to 3.7 s were seen. A message this far behind the clock has a wrong instant, or the clock has."""
MOST_EVENTS = 100
"""Events of a connection that are kept while the track they are of is not known: the last ones."""
STRAYS = 20
"""After so many in a row it was the clock, set by one wrong instant, and it follows them."""
_TIMING = frozenset(
    {"TimingData", "TimingDataF1", "TimingAppData", vocabulary.GRID, vocabulary.LINES, vocabulary.CROSSING}
)


class Tick(Struct, frozen=True):
    """What is published at once, all under one version."""

    session: str
    """Key of the session; the feed's id for what a kart track tells before its first session."""
    at: int
    """Feed instant, ms."""
    documents: list[tuple[str, Document]]
    """Paths and whole values, sorted by path; no path twice."""
    arrived: list[int]
    """Wall-clock ms at which messages arrived that changed the tower."""
    deletes: list[str] = field(default_factory=list)
    """Paths of documents that are not to be there any more."""


class Feed(Struct):
    """How the feed is, as the source tells; ends up in `live/feed`."""

    source: str
    state: FeedState = "live"
    reconnects: int = 0
    gated_topics: list[str] = field(default_factory=list)
    detail: str = ""
    """What the matter is, in plain words."""


class Pace(Struct):
    """Where the ticks are. All instants in feed ms."""

    clock: int = 0
    """Latest instant of a message."""
    ticked: int | None = None
    """When something of the session was last published; `live/feed` alone does not count."""
    since: int = 0
    """Since when something has been pending."""
    segments: int | None = None
    feed: int | None = None
    tower_slot: int | None = None
    tick: int = TICK_MS
    """Between two ticks."""
    pending: list[Change] = field(default_factory=list)
    feed_pending: bool = True
    arrived: list[int] = field(default_factory=list)
    timing: int = 0
    """Instant of the last message that tells of cars."""
    published: dict[str, bytes] = field(default_factory=dict)
    """Digest of what was last published at each path."""
    strays: int = 0
    """Messages in a row that were far behind the clock."""
    rejected: dict[str, int] = field(default_factory=dict)
    """What could not be used, by reason, in the feed's earlier sessions and on the way from state to document."""
    telemetry: CarTelemetry = field(default_factory=CarTelemetry)
    """Of single cars, while somebody asks for them."""
    events: list[tuple[str, FeedStatus]] = field(default_factory=list)
    """Of a kart track's connection, with the session it was on, that were not told yet."""
    event: FeedStatus | None = None
    """The last one."""


class Reducer:
    """Messages in, ticks out, for one feed and whatever session it is on."""

    def __init__(self, session: str, feed: str, source: str) -> None:
        self.state = machines.begin(session, feed)
        self.feed = Feed(source)
        self._pace = Pace()

    @property
    def session(self) -> str:
        """Key of the session the feed is on."""
        return self.state.session

    @property
    def clock(self) -> int:
        """Latest instant of a message, feed ms; 0 before the first."""
        return self._pace.clock

    @property
    def rejected(self) -> Counter[str]:
        """Messages and documents that could not be used, by reason."""
        return self.state.rejected + Counter(self._pace.rejected)

    @property
    def timing_at(self) -> int:
        """Instant of the last message that tells of cars, feed ms; 0 before the first."""
        return self._pace.timing

    @property
    def tick_ms(self) -> int:
        """How far apart ticks are, feed ms."""
        return self._pace.tick

    def set_tick(self, tick_ms: int) -> None:
        """From now on ticks are so far apart. What would have gone out by now then goes out at the clock's instant."""
        pace = self._pace
        if tick_ms < pace.tick:
            pace.since = max(pace.since, pace.clock)
        pace.tick = tick_ms

    def follow_cars(self, wanted: Mapping[str, int], left: Iterable[str] = ()) -> list[Tick]:
        """From now on these cars have their telemetry told, by racing number, each until a wall-clock instant, ms.

        Documents of those that are no longer wanted go at once. left: cars whose documents others may have left.
        Nothing else depends on what is wanted.
        """
        gone = {*self._pace.telemetry.follow(wanted), *left} - wanted.keys()
        deletes = sorted(paths.car_telemetry(self.session, number) for number in gone)
        return [Tick(self.session, self._pace.clock, [], [], deletes)] if deletes else []

    def set_feed(self, state: FeedState) -> None:
        """Notes how the feed is; published with the next tick if it is news."""
        self._note_feed(msgspec.structs.replace(self.feed, state=state))

    def tell_feed(self, status: FeedStatus, reconnects_before: int = 0) -> list[Tick]:
        """Notes what a live source says of its connection; goes out with the next tick if it is news.

        Before the first message there is no feed clock: then it is told at once, at the status's own instant, if
        the session is known from elsewhere. reconnects_before: of connections this source knows nothing of.
        """
        reconnects = reconnects_before + status.reconnects
        self._log_event(status._replace(reconnects=reconnects))
        news = self._note_feed(
            Feed(self.feed.source, status.state, reconnects, sorted(status.gated_topics), status.detail)
        )
        if not self.session:
            return self._before_session(status.at)
        if not news or self._pace.clock:
            return []
        tick = Tick(self.session, status.at, self._feed_documents(status.at), [])
        self._pace.feed = None
        return [tick]

    def _log_event(self, status: FeedStatus) -> None:
        """Keeps an event of a kart track's connection to be told with `live/feed`, once the track is known."""
        pace, last = self._pace, self._pace.event
        if not self.state.data.feed.startswith(machines.KART):
            return
        if last is None or (status.state, status.detail, status.reconnects) != (
            last.state,
            last.detail,
            last.reconnects,
        ):
            pace.event = status
            pace.events = [*pace.events, (self.session, status)][-MOST_EVENTS:]
            pace.feed_pending = True

    def _events(self) -> list[tuple[str, Document]]:
        told = [machines.connection(self.state, session, status) for session, status in self._pace.events]
        documents = dict(projected for projected in told if projected is not None)
        if documents:
            self._pace.events = []
        return list(documents.items())

    def _before_session(self, at: int) -> list[Tick]:
        """What a kart track tells before its first session: it may be refused, and have none."""
        documents = self._events()
        return [Tick(self.state.data.feed, at, documents, [])] if documents else []

    def _note_feed(self, feed: Feed) -> bool:
        """Whether it is news."""
        if feed == self.feed:
            return False
        self.feed = feed
        self._pace.feed_pending = True
        return True

    def offer(self, message: Message) -> list[Tick]:
        """Applies a message; returns the ticks that were due before it, and its own if it goes at once."""
        following = self.state.next_session(message)
        if following is not None:
            return [*self._leave(following), *self.offer(message)]
        pace = self._pace
        self._follow(message.at)
        ticks = self.due(message.at)
        if message.at > pace.clock:
            pace.clock = message.at
        if message.topic in _TIMING:
            pace.timing = max(pace.timing, message.at)
        changes = self.state.apply(message)
        self._gather(changes, message.arrived)
        return [*ticks, *self.due(pace.clock)]

    def due(self, now: int) -> list[Tick]:
        """The ticks that are due by the feed instant `now`. A live feed asks while it is quiet."""
        pace = self._pace
        ticks: list[Tick] = []
        if not self.session:
            return self._before_session(pace.clock)  # a live feed that has not told its session yet
        while (when := self._due_at()) is not None and when <= now:
            ticks += self._tick(when, everything=False)
        if pace.clock and (told := self._feed_due_at()) <= now:
            told = now - (now - told) % FEED_MS  # after a long silence once is enough
            ticks.append(Tick(self.session, told, self._feed_documents(told), []))
        return ticks

    def finish(self) -> list[Tick]:
        """The source has ended, or the session: everything that is pending goes out now."""
        self._gather(self.state.finish(), 0)
        if not self.session:
            return self._before_session(self._pace.clock)
        return [*self._tick(self._pace.clock, everything=True), *self.follow_cars({})]

    def publish_anew(self) -> None:
        """Somebody else may have published since, who knows what: whatever may change back goes out with the next tick.

        That is what tells how things are now. A lap, an item of a series and a gap only ever become more complete.
        """
        self._pace.published.clear()
        self._gather(set(machines.standing(self.state)), 0)

    def dump(self) -> bytes:
        """All of it, for a checkpoint."""
        return msgspec.msgpack.encode((self.state.dump(), self.feed, self._pace))

    @classmethod
    def load(cls, dumped: bytes) -> Reducer:
        """A reducer that goes on where the dumped one was. Raises msgspec.DecodeError or ValidationError."""
        state, feed, pace = msgspec.msgpack.decode(dumped, type=tuple[bytes, Feed, Pace])
        reducer = cls.__new__(cls)
        reducer.state, reducer.feed, reducer._pace = machines.load(state), feed, pace
        return reducer

    # -- inside ----------------------------------------------------------------------------

    def _leave(self, following: str) -> list[Tick]:
        """Ends the session and begins another."""
        state = self.feed.state
        self.feed.state = "ended"
        ticks = self.finish()
        self.feed.state = state
        rejected = dict(self.rejected)
        self.state = machines.follow(self.state, following)
        before = self._pace
        self._pace = Pace(rejected=rejected, tick=before.tick, events=before.events, event=before.event)
        return ticks

    def _follow(self, at: int) -> None:
        """Sets the clock back when it has long been ahead of everything that comes: it would never tick again."""
        pace = self._pace
        pace.strays = pace.strays + 1 if at < pace.clock - STRAY_MS else 0
        if pace.strays >= STRAYS:
            pace.strays = 0
            pace.clock = pace.since = at
            pace.ticked = pace.segments = pace.feed = pace.tower_slot = None

    def _gather(self, changes: set[Change], arrived: int) -> None:
        pace = self._pace
        known = set(pace.pending)
        if not known:
            pace.since = pace.clock
        pace.pending += sorted((c for c in changes if c not in known), key=lambda c: (c.what, str(c.key)))
        if arrived and any(what == change.TOWER for what, _ in changes):
            pace.arrived.append(arrived)

    def _due_at(self) -> int | None:
        """Feed instant at which what is pending goes out; None while nothing is."""
        pace = self._pace
        if not pace.pending:
            return None
        next_tick = pace.since if pace.ticked is None else max(pace.since, pace.ticked + pace.tick)
        urgent = any(c.what != change.SEGMENTS for c in pace.pending)
        return next_tick if urgent else max(next_tick, (pace.segments or 0) + SEGMENTS_MS)

    def _feed_due_at(self) -> int:
        """Feed instant at which `live/feed` is told again."""
        pace = self._pace
        if pace.feed is None:
            return pace.clock
        return pace.feed + (TICK_MS if pace.feed_pending else FEED_MS)

    def _tick(self, at: int, everything: bool) -> list[Tick]:
        pace = self._pace
        with_segments = everything or pace.segments is None or at >= pace.segments + SEGMENTS_MS
        going = [c for c in pace.pending if with_segments or c.what != change.SEGMENTS]
        pace.pending = [c for c in pace.pending if not with_segments and c.what == change.SEGMENTS]
        documents: list[tuple[str, Document]] = []
        for what in going:
            projected = self._project(what)
            if what.what == change.SEGMENTS:
                pace.segments = at
            if projected is None or not self._is_news(*projected):
                continue
            documents.append(projected)
            pace.telemetry.take(projected[1], at)
            if isinstance(projected[1], TowerDocument):
                documents += self._kept_tower(projected[1], at)
        documents += pace.telemetry.documents(self.session, at)
        if everything or at >= self._feed_due_at():
            documents += self._feed_documents(at)
        arrived, pace.arrived = pace.arrived, []
        if not any(isinstance(document, TowerDocument) for _, document in documents):
            arrived = []  # the tower shows what it showed before
        pace.ticked = at
        if not documents:
            return []
        documents.sort(key=lambda document: document[0])
        return [Tick(self.session, at, documents, arrived)]

    def _project(self, what: Change) -> Projected:
        try:
            return machines.project(self.state, what)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError):
            # The feed sent what nobody has seen before; the other documents must not suffer.
            reason = f"bad-document-{what.what}"
            self._pace.rejected[reason] = self._pace.rejected.get(reason, 0) + 1
            return None

    def _is_news(self, path: str, document: Document) -> bool:
        """Whether a document differs from what was last published there, its instant aside."""
        digest = blake2b(msgspec.json.encode(msgspec.structs.replace(document, at=EPOCH)), digest_size=8).digest()
        if self._pace.published.get(path) == digest:
            return False
        self._pace.published[path] = digest
        return True

    def _kept_tower(self, tower: TowerDocument, at: int) -> list[tuple[str, Document]]:
        """The tower once more, every five seconds, for those who watch with a delay.

        By the tick's instant: that of its last change may be in one slot twice where ticks are five seconds apart.
        """
        slot = at // paths.TOWER_SLOT_MS
        if self._pace.tower_slot is not None and slot <= self._pace.tower_slot:
            return []
        self._pace.tower_slot = slot
        return [(paths.tower_slot(self.session, at), tower)]

    def _feed_documents(self, at: int) -> list[tuple[str, Document]]:
        """How the feed is, and what became of its connection since that was last told."""
        feed, self._pace.feed, self._pace.feed_pending = self.feed, at, False
        document = FeedDocument(
            at=instant(at),
            source=feed.source,
            state=feed.state,
            last_message_at=instant(self._pace.clock) if self._pace.clock else UNSET,
            reconnects=feed.reconnects,
            gated_topics=feed.gated_topics,
            message=feed.detail or UNSET,
        )
        return [(paths.live(self.session, "feed"), document), *self._events()]
