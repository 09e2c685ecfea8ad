"""The poller: an invocation that holds a feed, or stands by for the one that does.

Cloud Scheduler starts one a minute from each of two jobs. An invocation leaves at once when there is nothing to
do, else lives until the source ends or its time is over. What holding means is `holder`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import uuid4

import msgspec
import orjson
from flask import Request, Response

from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.holder import Holder
from pitwall.pipeline.lease import Lease, View
from pitwall.pipeline.log import log, set_lowest
from pitwall.pipeline.push import problem
from pitwall.pipeline.reader import Opened, Reader
from pitwall.settings import Settings

WATCH_S = 1.0
"""How often a standby looks at the lease: with a time to live of 10 s it takes over within 12."""


class SourceError(Exception):
    """The configured source cannot be opened; the text says why."""


class Summary(msgspec.Struct, omit_defaults=True):
    """What an invocation did.

    outcome: `no-source`, `finished` (nothing to do), `ended` (the source has come to its end), `handed-over`, `failed`
        (the source did), `stood-by` (somebody else held the feed all the time), `lost` (somebody took it).
    """

    outcome: str
    feed: str
    held: dict[str, Any] = {}


class Poller:
    """One invocation."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        open_source: Callable[[Settings], Opened],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._open_source = open_source
        self._monotonic = monotonic
        self._instance = f"{settings.instance}/{uuid4().hex[:8]}"
        self._lease = Lease(database, settings.feed, self._instance, ttl_s=settings.lease_ttl_s)
        self._opened: Opened | None = None
        self._buffering: Reader | None = None

    def run(self) -> Summary:
        """Polls until there is nothing to do or this invocation's life is over.

        Raises Unavailable when Firestore does not even answer the first question, SourceError.
        """
        settings = self._settings
        ends = self._monotonic() + settings.invocation_s
        summary = Summary("stood-by", settings.feed)
        if not settings.source:
            return Summary("no-source", settings.feed)
        if self._lease.view().finished == settings.source:
            return Summary("finished", settings.feed)
        self._opened = self._open_source(settings)
        announce_at = 0.0
        try:
            while (now := self._monotonic()) < ends:
                try:
                    held = self._lease.acquire(settings.source, ends - settings.handover_s - now)
                    if held is not None:
                        holder = Holder(settings, self._database, self._lease, held, self._opened, self._buffering)
                        self._buffering = None
                        summary = Summary(holder.run(ends), settings.feed, holder.summary)
                        if summary.outcome != "lost":
                            return summary
                        self._opened = self._open_source(settings)
                    elif now >= announce_at:
                        self._lease.stand_by(ready=self._ready())
                        announce_at = now + settings.lease_renew_s
                    if self._watch(ends):
                        return summary
                except Unavailable as error:
                    log("WARNING", "Firestore does not answer", instance=self._instance, detail=str(error)[:300])
                    time.sleep(WATCH_S)
        finally:
            if self._buffering is not None:
                self._buffering.stop()
        return summary

    def _watch(self, ends: float) -> bool:
        """Waits while somebody holds the lease, at most until it is time to announce again; True to leave."""
        until = min(ends, self._monotonic() + self._settings.lease_renew_s)
        while (now := self._monotonic()) < until:
            time.sleep(min(WATCH_S, until - now))
            view = self._lease.view()
            if view.finished == self._settings.source:
                return True
            if view.free:
                return False
            if self._too_old(view, ends):
                return True
            if view.handover_in_s <= 0:
                self._buffer()
        return False

    def _too_old(self, view: View, ends: float) -> bool:
        """Whether to make room for a younger standby: this one would be handed a feed it soon has to hand on.

        Both jobs start in the same minute; without this both invocations would end in the same minute too.
        """
        life, left = self._settings.invocation_s, ends - self._monotonic()
        return left < life / 2 and left - view.handover_in_s < life / 4

    def _buffer(self) -> None:
        """Connects to a live feed before its holder lets go, so that no message is missed in between."""
        if self._opened is not None and not self._opened.rewindable and self._buffering is None:
            self._buffering = Reader(self._opened, 0)

    def _ready(self) -> bool:
        if self._opened is not None and self._opened.rewindable:
            return True
        return self._buffering is not None and self._buffering.waiting > 0


def open_source(settings: Settings) -> Opened:
    """The source `settings.source` names. Raises SourceError."""
    kind, _, argument = settings.source.partition(":")
    opener = _SOURCES.get(kind)
    if opener is None:
        raise SourceError(f"there is no source {kind!r}; there are {', '.join(sorted(_SOURCES))}")
    return opener(argument, settings)


def _recording(path: str, settings: Settings) -> Opened:
    from pitwall.sources.recording import NotARecording, open_recording

    try:
        return Opened(open_recording(path), settings.speed, rewindable=True)
    except (NotARecording, OSError) as error:
        raise SourceError(str(error)) from None


_SOURCES: dict[str, Callable[[str, Settings], Opened]] = {"recording": _recording}
"""Sources by kind. Each imports what it needs only when it is wanted."""


@cache
def _database(project: str) -> Database:
    return Database(project)


def poll(request: Request) -> Response:
    """Entry point: one invocation by Cloud Scheduler. The body may name the feed: `{"feed": "f1"}`."""
    settings = Settings.from_env()
    set_lowest(settings.log_level)
    try:
        body = orjson.loads(request.get_data() or b"{}")
    except orjson.JSONDecodeError as error:
        return problem(400, "bad-request", f"the body is not JSON: {error}")
    feed = body.get("feed", settings.feed) if isinstance(body, dict) else None
    if feed != settings.feed:
        return problem(400, "bad-request", f"the body is to be {{}} or {{'feed': '{settings.feed}'}}")
    database = _database(settings.project)
    try:
        summary = Poller(settings, database, open_source).run()
    except SourceError as error:
        log("ERROR", "the source cannot be opened", feed=settings.feed, reason="bad-source", detail=str(error))
        return problem(500, "bad-source", str(error))
    except Unavailable as error:
        log("ERROR", "Firestore does not answer", feed=settings.feed, detail=str(error)[:300])
        return problem(503, "unavailable", "Firestore does not answer")
    log("INFO", "polled", feed=settings.feed, outcome=summary.outcome, **database.operations())
    return Response(msgspec.json.encode(summary), content_type="application/json")
