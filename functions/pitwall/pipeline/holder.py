"""Holding a feed: reads the source, publishes what changed, checkpoints, and keeps the lease alive.

One thread does all of it; only the calls to Firestore (renewal, checkpoint, what is to be spent, whose telemetry is
wanted) run beside it, so that none makes a tick late. Getting the lease, and what to do once it is gone, is `poller`'s
business.
"""

from __future__ import annotations

import math
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from hashlib import blake2b
from threading import Event
from typing import Final, Literal, NamedTuple, Protocol

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from pitwall.documents import paths
from pitwall.documents.economy import Mode
from pitwall.documents.encoding import millis
from pitwall.documents.session import SessionDocument
from pitwall.karting import vocabulary
from pitwall.message import FEED_GAP, FeedStatus, Message, feed_gap
from pitwall.pipeline import machines, metrics
from pitwall.pipeline.checkpoint import Checkpoint, Checkpoints, Superseded, TooLarge, Totals
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.economy import Economy, Watch
from pitwall.pipeline.envelope import TickDocument, encode
from pitwall.pipeline.lease import Held, Lease, LeaseLost
from pitwall.pipeline.log import log
from pitwall.pipeline.publisher import Publisher
from pitwall.pipeline.reader import Ended, FeedClock, Item, Opened, Quiet, Reader
from pitwall.pipeline.recorder import RawBatch
from pitwall.pipeline.telemetry_requests import Following, TelemetryRequests
from pitwall.pipeline.ticks import SLOW_TICK_MS, TICK_MS, Reducer, Tick
from pitwall.settings import Settings
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.session_status import FINAL

Outcome = Literal["ended", "session-over", "handed-over", "stopped", "lost", "failed"]

CARE_S: Final = 0.02
"""How often, in the middle of a burst, lease, acknowledgements and checkpoint are looked after."""

LOG_S: Final = 10.0
AGAIN_S: Final = 0.5
"""Pause after a renewal that Firestore did not answer."""


ASK_S: Final = 60.0
"""How often it is asked, after a session is over, whether the next one is still to come."""

_TOLD: Final = ("name", "type", "start_date", "end_date", "gmt_offset", "archive_path")
"""Fields of a session that a calendar is told of when they change."""


class SessionCalendar(Protocol):
    """What is told of sessions as they come and go: `pipeline.schedule`. Both raise Unavailable."""

    def live(self, key: str, session: SessionDocument) -> None:
        """The feed is on this session."""

    def over(self, key: str) -> bool:
        """It is finalised and quiet. Whether another session is to be polled now; asked again from time to time."""


def is_over(reducer: Reducer, now: int | None, end: datetime | UnsetType, quiet_s: float, late_s: float) -> bool:
    """Whether nothing is to come of the session any more, by the feed's clock `now` (ms).

    That is when it was finalised and no timing has come for `quiet_s` since, or `late_s` after its scheduled `end`:
    a session may start hours late, but not all are ever finalised.
    """
    if now is None:
        return False
    statuses = reducer.state.data.session_status
    if statuses and statuses[-1].data.get("Status") in FINAL:
        return now - max(reducer.timing_at, statuses[-1].at) >= quiet_s * 1000
    return isinstance(end, datetime) and now - millis(end) >= late_s * 1000


class _Saving(NamedTuple):
    """A checkpoint that waits for the publishes it covers."""

    session: str
    covered: int
    checkpoint: Checkpoint


class Holder:
    """The holder of one lease. `run` it once."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        lease: Lease,
        held: Held,
        opened: Opened,
        reader: Reader | None = None,
        *,
        reopen: Callable[[], Opened] | None = None,
        session: str = "",
        stopping: Event | None = None,
        no_more: Event | None = None,
        calendar: SessionCalendar | None = None,
        closed: str = "",
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """reader: one that has been keeping what a live feed sent since before the lease was acquired.

        reopen: opens the source once more, for a live feed of which too little was kept. session: the one to expect of
        a feed that has not told its session yet. stopping: set to have it let go.
        calendar: told which session is on and which is over; when no other is to be polled then, this instance leaves.
        Without one a live feed is held from session to session. closed: key of a session that is over, of which the
        feed goes on telling until the next one begins: nothing is published of it any more, for the archive may have
        corrected it meanwhile.
        """
        self._settings = settings
        self._database = database
        self._lease = lease
        self._held = held
        self._opened = opened
        self._reopen = reopen
        self._stopping = stopping or Event()
        self._no_more = no_more or Event()
        self._calendar = calendar
        self._told: tuple[str, SessionDocument] | None = None
        self._closed = closed
        self._over = closed
        self._telling: Future[bool | None] | None = None
        self._to_tell: deque[Callable[[], bool | None]] = deque()
        self._leave = False
        self._ask_at = float("inf")
        self._monotonic = monotonic
        self._checkpoints = Checkpoints(database, held.epoch, settings.kart_retention_days)
        checkpoint, reducer = self._known_state()
        self._publisher = Publisher(settings.project, endpoint=settings.pubsub_endpoint)
        self._beside = ThreadPoolExecutor(3, thread_name_prefix="holder")
        self._renewing: Future[None] | None = None
        self._renew_at = monotonic() + settings.lease_renew_s
        self._waiting: _Saving | None = None
        self._saving: tuple[str, Future[int]] | None = None
        self._save_at = monotonic()  # a live feed that nobody has a checkpoint of begins anew, and nothing is marked
        self._log_at = monotonic() + LOG_S
        self._saved_key = held.session_key
        self._seq = 0
        self._raw = RawBatch(settings.raw_batch_s, settings.raw_batch_bytes)
        self._raw_seq = 0
        self._recent: deque[tuple[int, bytes]] = deque()
        self._refused: Counter[str] = Counter()
        live_speed = opened.speed if math.isfinite(opened.speed) else 1.0
        self._clock = FeedClock(live=None if opened.rewindable else live_speed)
        self._ahead: deque[Item] = deque()
        self._live_speed = live_speed
        self._resumed = checkpoint is not None
        self._saved_at = int((time.time() - self._checkpoints.age_s) * 1000)
        self._snapshot_at: int | None = None

        if checkpoint is None or reducer is None:
            self._reducer = Reducer(opened.source.session or session, settings.feed, opened.source.name)
            if not opened.rewindable:
                self._reducer.set_feed("connecting")
            self._cursor = 0 if opened.rewindable else -1
            self._totals = Totals()
            self._known: frozenset[bytes] = frozenset()
        else:
            self._reducer = reducer
            self._cursor = checkpoint.cursor
            self._totals = checkpoint.totals
            self._recent.extend(checkpoint.recent)
            self._known = frozenset(digest for _, digest in checkpoint.recent)
            self._clock.message(reducer.clock)
        self._watch = Watch(Economy(database), self._beside, monotonic)
        self._economise(self._watch.first())
        self._following: Following | None = None
        if settings.telemetry_cars:
            requests = TelemetryRequests(database, settings.telemetry_cars)
            self._following = Following(requests, self._beside, monotonic)
        self._reconnects = self._reducer.feed.reconnects
        self._before = msgspec.structs.replace(self._totals)
        self._reader = reader or Reader(opened, max(self._cursor, 0))

    def run(self, until: float) -> Outcome:
        """Holds until the source ends, the lease is lost, or it is time to hand over.

        until: monotonic instant at which to let go even if nobody stands by; from `handover_s` before it on, as soon
        as somebody does. Returns "lost" when this instance may not publish any more, and then has already stopped.
        """
        self._log("INFO", "holding", cursor=self._cursor)
        outcome: Outcome
        try:
            if not self._opened.rewindable:
                self._join()
                self._tell_calendar()
            outcome = self._hold(until)
        except (LeaseLost, Superseded) as error:
            log("WARNING", "no longer the holder", feed=self._settings.feed, epoch=self._held.epoch, detail=str(error))
            outcome = "lost"
        finally:
            self._lease.lose()
            self._reader.stop()
            self._publisher.close()
            self._beside.shutdown(wait=False, cancel_futures=True)
        self._log("INFO", "let go", outcome=outcome)
        return outcome

    @property
    def summary(self) -> dict[str, object]:
        """Totals of the session so far, earlier holders' included (since what their last checkpoint covers)."""
        self._count()
        rejected = Counter(self._totals.rejected) + self._reducer.rejected
        return {
            "feed": self._settings.feed,
            "session": self._reducer.session,
            "epoch": self._held.epoch,
            "messages": self._totals.messages,
            "rejected": dict(rejected),
            "published": self._totals.published,
            "bytes": self._totals.bytes,
        }

    def _known_state(self) -> tuple[Checkpoint, Reducer] | tuple[None, None]:
        """Where the holder before was, if that can be known. Raises Unavailable."""
        key = self._held.session_key
        checkpoint = self._checkpoints.load(key) if key and key != self._closed else None
        if checkpoint is None or checkpoint.source != self._held.source:
            return None, None
        try:
            return checkpoint, Reducer.load(checkpoint.reducer)
        except msgspec.DecodeError as error:
            # Written by a version whose state looks otherwise. What is stored stays; a recording is played anew.
            log("ERROR", "the checkpoint's state cannot be read, starting anew", session=key, detail=str(error)[:500])
            return None, None

    # -- the loop --------------------------------------------------------------------------

    def _hold(self, until: float) -> Outcome:
        care_at = 0.0
        while True:
            now = self._monotonic()
            if now >= care_at:
                self._care(now)
                if self._session_over():
                    self._let_go(finished=False)
                    return "session-over"
                if self._no_more.is_set():
                    self._reducer.set_feed("ended")
                    self._publish(self._reducer.finish())
                    self._let_go(finished=False)
                    return "stopped"
                if self._is_time(now, until):
                    self._let_go(finished=False)
                    return "handed-over"
                care_at = now + CARE_S
            if self._publisher.full:
                self._publisher.wait(CARE_S)
                continue
            item = self._ahead.popleft() if self._ahead else self._reader.get(0.0 if self._reader.waiting else CARE_S)
            if isinstance(item, Message):
                self._apply(item)
            elif isinstance(item, FeedStatus):
                self._tell(item)
            elif isinstance(item, Quiet):
                self._clock.quiet(item)
            elif isinstance(item, Ended):
                return self._end(item)
            if item is None and (feed_now := self._clock.now()) is not None:
                self._publish(self._reducer.due(feed_now))

    def _is_time(self, now: float, until: float) -> bool:
        """Whether to let go: this life is over, or nearly and a successor is ready, or somebody wants it to be."""
        ending = now >= until - self._settings.handover_s and self._lease.successor_ready
        return now >= until or ending or self._stopping.is_set()

    def _join(self) -> None:
        """Goes on with a live feed where the holder before was: with what this instance's own connection kept.

        If what it kept reaches back to what the checkpoint covers, nothing is missing; its own older snapshot says
        nothing new then. Else the feed's snapshot has to do, behind a gap.
        """
        self._reader.keep_all()
        kept = self._reader.taken()
        known = [n for n, item in enumerate(kept) if isinstance(item, Message) and self._digest(item) in self._known]
        if known:
            snapshots = (n for n, item in enumerate(kept[: known[-1]]) if isinstance(item, Message) and item.snapshot)
            self._ahead.extend(kept[max(known[0], max(snapshots, default=-1) + 1) :])
            self._resumed = False
        elif self._reader.dropped and self._reopen is not None:
            self._reader.stop()
            self._opened = self._reopen()
            self._reader = Reader(self._opened, 0)
        else:
            self._ahead.extend(kept)
        if self._reader.status is not None:
            self._tell(self._reader.status)

    def _apply(self, message: Message) -> None:
        if message.cursor < 0:
            if self._resumed:
                self._resumed = False
                at = self._resumed_at(message)
                if at > self._reducer.clock:
                    reason = "the poller was replaced and nothing was kept of what came meanwhile"
                    self._apply(feed_gap(self._reducer.clock, at, reason, message.arrived))
                    self._snapshot_at = at
            if self._snapshot_at is not None:
                if message.snapshot:
                    message = message._replace(at=max(message.at, self._snapshot_at))
                elif message.topic != FEED_GAP:
                    self._snapshot_at = None
                    self._reducer.publish_anew()
            if not self._is_news(message):
                return
            if not message.snapshot and message.topic != FEED_GAP:
                metrics.feed_delay(self._settings.feed, (message.arrived - message.at) / 1000)
            if self._reducer.feed.state == "connecting" and self._reader.status is None:
                self._reducer.set_feed("live")  # a source that says nothing of its connection
        following = self._reducer.state.next_session(message)
        if following is not None:
            self._publish_raw()
        elif not self._raw and (board := machines.board(self._reducer.state, message.at)) is not None:
            self._raw.add(board)
        ticks = self._offer(message)
        if following is not None and self._reducer.feed.state == "ended":
            self._reducer.set_feed(self._reader.status.state if self._reader.status else "live")
        if message.topic in ("SessionInfo", vocabulary.SESSION) and message.cursor < 0:
            self._tell_calendar()
        if message.cursor >= 0:
            self._cursor = message.cursor + 1
        self._totals.messages += 1
        self._clock.message(self._reducer.clock)
        self._raw.add(message)
        self._publish(ticks)
        if self._raw.due:
            self._publish_raw()

    def _resumed_at(self, message: Message) -> int:
        """Feed instant, ms, at which a feed is heard again that nobody has heard since the checkpoint.

        What the snapshot tells may be half a minute old; so the clock is run on by the time since the checkpoint was
        written, a moment after its last message. By Firestore's clock, for instances' own may differ.
        """
        passed_ms = message.arrived - self._saved_at - FeedClock.LATE_MS
        return max(message.at, self._reducer.clock + int(passed_ms * self._live_speed))

    def _tell(self, status: FeedStatus) -> None:
        """What a live source says of its connection, into `live/feed` and the log."""
        self._reducer.feed.source = self._opened.source.name
        log(
            "INFO" if status.state in ("connecting", "live") and not status.detail else "WARNING",
            f"the feed is {status.state}",
            feed=self._settings.feed,
            session=self._reducer.session,
            detail=status.detail,
            reconnects=self._reconnects + status.reconnects,
            gatedTopics=sorted(status.gated_topics),
        )
        self._publish(self._reducer.tell_feed(status, self._reconnects))

    def _offer(self, message: Message) -> list[Tick]:
        try:
            return self._reducer.offer(message)
        except Exception:
            # A message that stops one holder would stop every one after it: it is left out, and told.
            if not self._refused["not-understood"]:
                trace = traceback.format_exc()
                log("ERROR", "a message was left out", topic=message.topic, cursor=message.cursor, detail=trace[-3000:])
            self._refused["not-understood"] += 1
            return []

    def _end(self, ended: Ended) -> Outcome:
        if ended.error is not None:
            # Not the source's end: the next holder tries again from here.
            detail = f"{type(ended.error).__name__}: {ended.error}"
            log("ERROR", "the source failed", feed=self._settings.feed, reason="source-failed", detail=detail)
            self._let_go(finished=False)
            return "failed"
        self._reducer.set_feed("ended")
        self._publish(self._reducer.finish())
        self._let_go(finished=True)
        return "ended"

    def _is_news(self, message: Message) -> bool:
        """Whether a message of a feed without cursors is not one that the holder before has applied."""
        if message.snapshot or message.topic == FEED_GAP:
            self._recent.clear()  # what came before it says nothing about what a successor lacks
            return True
        digest = self._digest(message)
        if digest in self._known:
            return False
        arrived = message.arrived
        self._recent.append((arrived, digest))
        while self._recent[0][0] < arrived - self._settings.remember_s * 1000:
            self._recent.popleft()
        return True

    @staticmethod
    def _digest(message: Message) -> bytes:
        content = orjson.dumps([message.topic, message.at, message.data], option=orjson.OPT_NON_STR_KEYS)
        return blake2b(content, digest_size=8).digest()

    # -- publishing ------------------------------------------------------------------------

    def _publish(self, ticks: list[Tick]) -> None:
        for tick in ticks:
            if tick.session == self._closed:
                continue
            if not self._lease.held:
                raise LeaseLost("the lease ran out before it was renewed")
            self._seq += 1
            for data in encode(
                feed=self._settings.feed,
                session=tick.session,
                epoch=self._held.epoch,
                seq=self._seq,
                at=tick.at,
                documents=[
                    TickDocument(path, msgspec.Raw(msgspec.json.encode(document))) for path, document in tick.documents
                ],
                deletes=tick.deletes,
                arrived=tick.arrived,
                tower=paths.live(tick.session, "timing"),
                limit=self._settings.envelope_bytes,
            ):
                self._publisher.publish(self._settings.topic_timing, tick.session, data)

    def _publish_raw(self) -> None:
        if not self._reducer.session and not self._raw.full:
            return  # it waits for the session's name, which is the object's
        at, batch = self._raw.at, self._raw.take()
        session = self._reducer.session
        if batch is not None and self._lease.held and session not in ("", self._closed):
            self._raw_seq += 1
            self._publisher.publish(
                self._settings.topic_raw,
                session,
                batch,
                session=session,
                epoch=str(self._held.epoch),
                seq=str(self._raw_seq),
                at=str(max(at, 0)),
            )

    # -- sessions of a live feed -----------------------------------------------------------

    def _tell_calendar(self) -> None:
        """Notes which session the feed is on, and when it says that is, for the ticks of other instances."""
        projected = machines.project(self._reducer.state, Change(change.SESSION, "")) if self._reducer.session else None
        if projected is None or not isinstance(session := projected[1], SessionDocument):
            return
        key, before = self._reducer.session, self._told
        self._told = key, session
        if (calendar := self._calendar) is None or key == self._closed:
            return
        if before is not None and before[0] != key:
            self._to_tell.append(lambda: calendar.over(before[0]))
        elif before is not None and all(getattr(before[1], name) == getattr(session, name) for name in _TOLD):
            return
        self._to_tell.append(lambda: calendar.live(key, session))

    def _session_over(self) -> bool:
        """Whether the session is finalised and quiet, or long past its end, and everybody knows. Goes with the feed's
        clock. Without a calendar to leave the rest to, what was awaited is published and the feed is held on."""
        if self._telling is not None and self._telling.done():
            telling, self._telling = self._telling, None
            try:
                more = telling.result()
                self._to_tell.popleft()
                self._leave = more is False
            except Unavailable as error:
                log("WARNING", "the schedule could not be written, trying again", detail=str(error)[:300])
        if self._telling is None and self._to_tell:
            self._telling = self._beside.submit(self._to_tell[0])
        key = self._reducer.session
        if self._opened.rewindable or not key:
            return False
        if self._over != key:
            end = self._told[1].end_date if self._told is not None and self._told[0] == key else UNSET
            if not is_over(self._reducer, self._clock.now(), end, self._settings.quiet_s, self._settings.late_s):
                return False
            self._over = key
            log("INFO", "the session is over", feed=self._settings.feed, session=key)
            self._reducer.set_feed("ended")
            self._publish(self._reducer.finish())
            self._ask_at = self._monotonic()
        if (calendar := self._calendar) is not None and self._monotonic() >= self._ask_at and not self._to_tell:
            self._ask_at = self._monotonic() + ASK_S
            self._to_tell.append(lambda: calendar.over(key))
        return self._leave and not self._to_tell

    # -- lease and checkpoint --------------------------------------------------------------

    def _care(self, now: float) -> None:
        """Everything but messages. Raises LeaseLost or Superseded."""
        if not self._lease.held:
            raise LeaseLost("the lease ran out before it was renewed")
        self._publisher.settle()
        if self._raw.due:
            self._publish_raw()
        self._renew(now)
        self._save(now)
        self._economise(self._watch.look(now))
        self._follow_cars(now)
        if now >= self._log_at:
            self._log_at = now + LOG_S
            self._log("INFO", "polling", waiting=self._reader.waiting)

    def _economise(self, mode: Mode | None) -> None:
        """Ticks as the economy's mode wants them; as they are where it is not known."""
        tick_ms = TICK_MS if mode == "off" else SLOW_TICK_MS
        if mode is not None and tick_ms != self._reducer.tick_ms:
            log("INFO", f"the economy is {mode}", feed=self._settings.feed, tickMs=tick_ms)
            self._reducer.set_tick(tick_ms)

    def _follow_cars(self, now: float) -> None:
        """Tells telemetry of the cars somebody asks for, while the session is on and viewers may cost what they do."""
        session = self._reducer.session
        if self._following is None or session in ("", self._over):
            return
        if self._reducer.tick_ms != TICK_MS:
            self._publish(self._reducer.follow_cars({}))
        elif (asked := self._following.look(now, session)) is not None:
            wanted = {number: millis(until) for number, until in asked.wanted.items()}
            self._publish(self._reducer.follow_cars(wanted, asked.over))

    def _renew(self, now: float) -> None:
        if self._renewing is not None and self._renewing.done():
            renewal, self._renewing = self._renewing, None
            try:
                renewal.result()
            except Unavailable as error:
                log("WARNING", "the lease could not be renewed, trying again", detail=str(error)[:300])
                self._renew_at = now + AGAIN_S
        if self._renewing is None and now >= self._renew_at:
            self._renew_at = now + self._settings.lease_renew_s
            self._renewing = self._beside.submit(self._lease.renew, self._saved_key)

    def _save(self, now: float) -> None:
        if self._saving is not None and self._saving[1].done():
            session, saving = self._saving
            self._saving = None
            self._saved(session, saving)
        if self._waiting is None and self._saving is None and now >= self._save_at and self._to_save:
            self._save_at = now + self._settings.checkpoint_s
            self._waiting = self._checkpoint(finished=False)
        if self._waiting is not None and self._saving is None and self._publisher.acknowledged(self._waiting.covered):
            waiting, self._waiting = self._waiting, None
            save = self._beside.submit(self._checkpoints.save, waiting.session, waiting.checkpoint)
            self._saving = waiting.session, save

    @property
    def _to_save(self) -> bool:
        """Whether there is a session to go on with."""
        return self._reducer.session not in ("", self._closed)

    def _saved(self, session: str, saving: Future[int]) -> None:
        try:
            saving.result()
        except Unavailable as error:
            log("WARNING", "the checkpoint was not written, the next one will be", detail=str(error)[:300])
        except TooLarge as error:
            log("ERROR", "the checkpoint is too large to be written", reason="checkpoint-too-large", detail=str(error))
        else:
            if session != self._saved_key:
                self._renew_at = self._monotonic()  # the lease is to name it
            self._saved_key = session

    def _checkpoint(self, *, finished: bool) -> _Saving:
        self._publish_raw()
        self._count()
        return _Saving(
            self._reducer.session,
            self._publisher.messages,
            Checkpoint(
                source=self._held.source,
                cursor=self._cursor,
                reducer=self._reducer.dump(),
                finished=finished,
                recent=list(self._recent),
                totals=msgspec.structs.replace(self._totals),
            ),
        )

    def _let_go(self, *, finished: bool) -> None:
        """Everything acknowledged, then the checkpoint, then the release. Raises LeaseLost or Superseded."""
        self._following = None
        last = self._checkpoint(finished=finished)
        self._waiting = None
        self._save_at = float("inf")
        while not self._publisher.acknowledged(last.covered) or self._saving is not None:
            self._publisher.wait(CARE_S)
            self._care(self._monotonic())
            time.sleep(0.001)
        self._renew_at = float("inf")
        if self._renewing is not None:
            self._renewing.exception()
        while self._lease.held:
            try:
                if self._to_save:
                    self._checkpoints.save(last.session, last.checkpoint)
            except TooLarge as error:
                log("ERROR", "the checkpoint is too large", reason="checkpoint-too-large", detail=str(error))
            except Unavailable as error:
                log("WARNING", "could not be released, trying again", detail=str(error)[:300])
                time.sleep(AGAIN_S)
                continue
            self._lease.release(last.session, finished=finished)
            return
        raise LeaseLost("the lease ran out before it could be released")

    # -- counting --------------------------------------------------------------------------

    def _count(self) -> None:
        self._totals.published = self._before.published + self._publisher.messages
        self._totals.bytes = self._before.bytes + self._publisher.bytes
        self._totals.rejected = dict(Counter(self._before.rejected) + self._opened.source.rejected + self._refused)

    def _log(self, severity: str, message: str, **fields: object) -> None:
        log(severity, message, **self.summary, **self._database.operations(), **fields)
