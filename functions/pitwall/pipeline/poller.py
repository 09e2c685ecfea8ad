"""The poller: an invocation that holds a feed, or stands by for the one that does.

Cloud Scheduler starts one a minute from each of two jobs. An invocation leaves at once when there is nothing to
do, else lives until the source ends or its time is over. What holding means is `holder`'s business.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

import msgspec
from flask import Request, Response
from msgspec import UNSET

from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.invocation import check_feed, database_of, invoke
from pitwall.pipeline.lease import Held, Lease, View
from pitwall.pipeline.log import log
from pitwall.pipeline.push import problem
from pitwall.pipeline.reader import Opened, Reader
from pitwall.pipeline.schedule import Schedules, ToPoll
from pitwall.pipeline.shutdown import stopping_calls
from pitwall.settings import Settings
from pitwall.sources import LiveSource

WATCH_S = 1.0
"""How often a standby looks at the lease: with a time to live of 10 s it takes over within 12."""


class SourceError(Exception):
    """The configured source cannot be opened; the text says why."""


class Summary(msgspec.Struct, omit_defaults=True):
    """What an invocation did.

    outcome: `no-source`, `no-schedule`, `between-sessions`, `finished` (nothing to do), `ended` (the source has come to
        its end), `session-over`, `handed-over`, `stopped` (it is not to be held any more), `failed` (the source did),
        `stood-by` (somebody else held the feed all the time), `lost` (somebody took it).
    next_at: when polling begins next, between sessions.
    """

    outcome: str
    feed: str
    next_at: datetime | None = None
    held: dict[str, Any] = {}


class Poller:
    """One invocation."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        open_source: Callable[[Settings], Opened],
        monotonic: Callable[[], float] = time.monotonic,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """wanted: asked before a feed that nobody holds is taken: whether anybody is to hold it. Raises Unavailable."""
        self._settings = settings
        self._database = database
        self._open_source = open_source
        self._monotonic = monotonic
        self._wanted = wanted
        self._instance = f"{settings.instance}/{uuid4().hex[:8]}"
        self._lease = Lease(database, settings.feed, self._instance, ttl_s=settings.lease_ttl_s)
        self._schedule: Schedules | None = None
        if settings.schedule and is_scheduled(settings.source):
            self._schedule = Schedules(database, settings.feed, settings.early_s, settings.late_s)
        self._opened: Opened | None = None
        self._keeping: Reader | None = None
        self._stopping = threading.Event()
        self._no_more = threading.Event()
        self.held_by_another = False
        """Whether another instance held the feed when this one last looked."""

    def stop(self, *, for_good: bool = False) -> None:
        """Has `run` hand over, or leave, within a second or two. From any thread.

        for_good: nobody is to go on, and a session that is being published has ended.
        """
        if for_good:
            self._no_more.set()
        self._stopping.set()

    @property
    def holding(self) -> bool:
        """Whether this invocation may publish now."""
        return self._lease.held

    def run(self) -> Summary:
        """Polls until there is nothing to do or this invocation's life is over.

        Raises Unavailable when Firestore does not even answer the first question, SourceError.
        """
        settings = self._settings
        ends = self._monotonic() + settings.invocation_s
        summary = Summary("stood-by", settings.feed)
        if not settings.source:
            return Summary("no-source", settings.feed)
        to_poll: ToPoll | None = None
        if self._schedule is None:
            if self._lease.view().finished == settings.source:
                return Summary("finished", settings.feed)
        elif (to_poll := self._schedule.to_poll()).session is None:
            return _idle(settings.feed, to_poll)
        announce_at, announced, free, standing_back = 0.0, False, True, False
        try:
            while (now := self._monotonic()) < ends and not self._stopping.is_set():
                try:
                    self._opened = self._opened or self._open()
                    if free and not self._wanted():
                        return Summary("stopped", settings.feed)
                    if free and self._schedule is not None and to_poll is None:
                        to_poll = self._schedule.to_poll()
                        if to_poll.session is None:  # that is why nobody holds it any more
                            return _idle(settings.feed, to_poll)
                    if free and standing_back:
                        # Whoever stood by has kept what came; this instance has not, and would begin with a gap.
                        self._stopping.wait(settings.lease_ttl_s)
                        free, standing_back, now = self._lease.view().free, False, self._monotonic()
                    held = self._lease.acquire(settings.source, ends - settings.handover_s - now) if free else None
                    self.held_by_another = held is None
                    if held is not None:
                        summary = self._hold(held, ends, to_poll)
                        if summary.outcome != "lost":
                            return summary
                        standing_back = self._lease.successor_ready
                    elif now >= announce_at:
                        self._keep()
                        self._lease.stand_by(ready=self._ready())
                        announced = True
                        announce_at = now + settings.lease_renew_s
                    seen = self._watch(ends)
                    if seen == "leave":
                        return summary
                    free, to_poll = seen == "free", None
                except Unavailable as error:
                    log("WARNING", "Firestore does not answer", instance=self._instance, detail=str(error)[:300])
                    self._stopping.wait(WATCH_S)
        finally:
            if self._keeping is not None:
                self._keeping.stop()
            if announced:
                with suppress(Unavailable):
                    self._lease.stand_down()
        return summary

    def _hold(self, held: Held, ends: float, to_poll: ToPoll | None) -> Summary:
        # What holding needs (state machine, Pub/Sub) is loaded by the invocation that holds: most ticks only look.
        from pitwall.pipeline.holder import Holder

        expected = to_poll.session.session_key if to_poll is not None and to_poll.session is not None else UNSET
        self._opened = self._opened or self._open()
        holder = Holder(
            self._settings,
            self._database,
            self._lease,
            held,
            self._opened,
            self._keeping,
            reopen=self._open,
            session=expected or "",
            stopping=self._stopping,
            no_more=self._no_more,
            calendar=self._schedule,
            closed="" if to_poll is None else to_poll.over,
            monotonic=self._monotonic,
        )
        self._opened = self._keeping = None  # the holder's from here on; one that was held is not used again
        return Summary(holder.run(ends), self._settings.feed, held=holder.summary)

    def _open(self) -> Opened:
        return self._open_source(self._settings)

    def _watch(self, ends: float) -> Literal["leave", "free", "held"]:
        """Waits while somebody holds the lease, at most until it is time to announce again."""
        until = min(ends, self._monotonic() + self._settings.lease_renew_s)
        while (now := self._monotonic()) < until:
            if self._stopping.wait(min(WATCH_S, until - now)):
                return "leave"
            view = self._lease.view()
            if view.finished == self._settings.source:
                return "leave"
            if view.free:
                return "free"
            if self._too_old(view, ends):
                return "leave"
        return "held"

    def _too_old(self, view: View, ends: float) -> bool:
        """Whether to make room for a younger standby: this one would be handed a feed it soon has to hand on.

        Both jobs start in the same minute; without this both invocations would end in the same minute too.
        """
        life, left = self._settings.invocation_s, ends - self._monotonic()
        return left < life / 2 and left - view.handover_in_s < life / 4

    def _keep(self) -> None:
        """Connects to a live feed while somebody else holds it, and keeps the last minute of what it sends.

        So neither a hand-over nor the holder's crash loses a message, though the feed gives nothing twice.
        """
        if self._opened is not None and not self._opened.rewindable and self._keeping is None:
            self._keeping = Reader(self._opened, 0, keep_s=self._settings.remember_s)

    def _ready(self) -> bool:
        """Whether this instance could go on at once: with a live feed, from what it has kept."""
        if self._keeping is not None:
            return self._keeping.settled(self._settings.lease_renew_s)
        return self._opened is not None and self._opened.rewindable


def _idle(feed: str, to_poll: ToPoll) -> Summary:
    if not to_poll.known:
        log("WARNING", "there is no schedule to poll by; has the function `schedule` ever run?", feed=feed)
        return Summary("no-schedule", feed)
    return Summary("between-sessions", feed, next_at=to_poll.next_at)


def open_source(settings: Settings) -> Opened:
    """The source `settings.source` names. Raises SourceError."""
    check_source(settings.source)
    kind, _, argument = settings.source.partition(":")
    return _SOURCES[kind](argument, settings)


def check_source(source: str) -> None:
    """That there are sources of that kind. Raises SourceError."""
    kind = source.partition(":")[0]
    if kind not in _SOURCES:
        raise SourceError(f"there is no source {kind!r}; there are {', '.join(sorted(_SOURCES))}")


def _recording(path: str, settings: Settings) -> Opened:
    from pitwall.sources.recording import NotARecording, open_recording

    try:
        return Opened(open_recording(path), settings.speed, rewindable=True)
    except (NotARecording, OSError) as error:
        raise SourceError(str(error)) from None


def _archive(path: str, settings: Settings) -> Opened:
    from pitwall.sources.archive import ArchiveError, open_archive

    try:
        return Opened(open_archive(settings, path), settings.speed, rewindable=True)
    except ArchiveError as error:
        raise SourceError(str(error)) from None


def _f1(_: str, settings: Settings) -> Opened:
    from pitwall.sources.signalr import open_f1

    source: LiveSource = open_f1(settings)
    if settings.fallback == "openf1":
        from pitwall.sources.fallback import with_fallback
        from pitwall.sources.openf1 import open_openf1

        source = with_fallback(source, lambda: open_openf1(settings))
    elif settings.fallback:
        raise SourceError(f"{settings.fallback!r} cannot stand in for f1; openf1 can")
    return Opened(source, settings.speed, rewindable=False)


def _openf1(_: str, settings: Settings) -> Opened:
    from pitwall.sources.openf1 import open_openf1

    return Opened(open_openf1(settings), settings.speed, rewindable=False)


def _apex(url: str, settings: Settings) -> Opened:
    from pitwall.sources.apex.live import open_apex

    return _track(lambda: open_apex(url, settings), settings)


def _rmonitor(address: str, settings: Settings) -> Opened:
    from pitwall.sources.rmonitor.live import open_rmonitor

    return _track(lambda: open_rmonitor(address, settings), settings)


def _racemonitor(race: str, settings: Settings) -> Opened:
    from pitwall.sources.rmonitor.live import open_racemonitor

    return _track(lambda: open_racemonitor(race, settings), settings)


def _described(argument: str, settings: Settings) -> Opened:
    """`<url>#<file of the description>`."""
    from pitwall.sources.described import open_described, read_description

    url, _, path = argument.partition("#")
    return _track(lambda: open_described(url, read_description(path), settings), settings)


def _circuit(id_: str, settings: Settings) -> Opened:
    from pitwall.documents import paths
    from pitwall.sources.circuit import open_circuit

    if not paths.valid_id(id_):
        raise SourceError(f"{id_!r} is no id of a circuit")
    of = (paths.circuit(id_), paths.circuit_format(id_), paths.circuit_analysis(id_))
    stored = database_of(settings.project).read(of)
    circuit, said, analysis = (stored[path].fields for path in of)
    if circuit is None:
        raise SourceError(f"there is no circuit {id_}")
    return _track(lambda: open_circuit(id_, circuit, said, analysis, settings), settings)


def _track(open_track: Callable[[], LiveSource], settings: Settings) -> Opened:
    try:
        return Opened(open_track(), settings.speed, rewindable=False)
    except ValueError as error:
        raise SourceError(str(error)) from None


_SOURCES: dict[str, Callable[[str, Settings], Opened]] = {
    "apex": _apex,
    "archive": _archive,
    "circuit": _circuit,
    "described": _described,
    "f1": _f1,
    "openf1": _openf1,
    "racemonitor": _racemonitor,
    "recording": _recording,
    "rmonitor": _rmonitor,
}
"""Sources by kind. Each imports what it needs only when it is wanted."""


_SCHEDULED = frozenset({"f1", "openf1"})
"""Those that are polled only around the sessions of a calendar."""


def is_scheduled(source: str) -> bool:
    """Whether a source, as configured, is polled only while `schedule/{feedId}` says so."""
    return source.partition(":")[0] in _SCHEDULED


def poll(request: Request) -> Response:
    """Entry point: one invocation by Cloud Scheduler. The body may name the feed: `{"feed": "f1"}`."""
    return invoke(request, _poll)


def _poll(settings: Settings, body: Any) -> Response:
    check_feed(settings, body)
    database = database_of(settings.project)
    poller = Poller(settings, database, open_source)
    try:
        with stopping_calls(poller.stop):
            summary = poller.run()
    except SourceError as error:
        log("ERROR", "the source cannot be opened", feed=settings.feed, reason="bad-source", detail=str(error))
        return problem(500, "bad-source", str(error))
    log("INFO", "polled", feed=settings.feed, outcome=summary.outcome, **database.operations())
    return Response(msgspec.json.encode(summary), content_type="application/json")
