"""The function `karts`: a poller for each kart track that is on, all in one invocation; and the same for a collector.

Which tracks are on is one document, `circuitFeeds/started`. Each has a lease of its own. Two jobs of Cloud Scheduler
start an invocation a minute; the one that is there first holds every track, the other one stands by for all of them:

- one that holds nothing leaves what is newly started to the one that does;
- the one that does not hold the first track leaves after half its life, so that a younger one stands by when the life
  of the other is over. What it holds by then, because the other one has failed, it hands over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import replace
from typing import Any, Final, NamedTuple

import msgspec
from flask import Request, Response

from pitwall.documents import paths
from pitwall.documents.circuits import StartedDocument
from pitwall.documents.encoding import InvalidDocument, from_fields
from pitwall.documents.feeds import KART
from pitwall.pipeline.collector import Collector
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.invocation import database_of, invoke
from pitwall.pipeline.lease import Lease
from pitwall.pipeline.log import log
from pitwall.pipeline.poller import open_source
from pitwall.pipeline.reader import Opened
from pitwall.pipeline.shutdown import stopping_calls
from pitwall.settings import Settings

LOOK_S: Final = 15.0
"""Seconds between two looks at which tracks are on."""

SETTLE_S: Final = 5.0
"""Seconds a track's poller has to find out who holds the track, before the next one begins."""

_TURN_S: Final = 0.05


class Summary(msgspec.Struct):
    """What an invocation did.

    outcome: `none-started`, `handed-over` (its life was over), `stood-by` (it left for a younger one), `stopped`.
    tracks: outcome of each track's last poller, by circuit.
    """

    outcome: str
    tracks: dict[str, str]


class _Track(NamedTuple):
    """A track that is polled."""

    collector: Collector
    thread: threading.Thread


class Tracks:
    """The kart tracks that are on, polled until stopped.

    until: monotonic instant by which all is handed over; without one it stays while no track is on. look_s: seconds
    between two looks at which tracks are on.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        until: float = float("inf"),
        look_s: float = LOOK_S,
        open_source: Callable[[Settings], Opened] = open_source,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._until = until
        self._half = monotonic() + (until - monotonic()) / 2
        self._look_s = look_s
        self._open_source = open_source
        self._monotonic = monotonic
        self._stopping = threading.Event()
        self._tracks: dict[str, _Track] = {}
        self._leaving: list[_Track] = []
        self._free: set[str] = set()
        self._outcomes: dict[str, str] = {}
        self._left_out = 0

    @property
    def collectors(self) -> list[Collector]:
        """Of the tracks that are on now."""
        return [track.collector for track in tuple(self._tracks.values())]

    def stop(self) -> None:
        """Has `run` hand over what it holds and return. From any thread."""
        self._stopping.set()

    def run(self) -> Summary:
        """Begins with each track that is started and ends with each that is stopped, until there is nothing to do.

        What fails of one track is that track's own. Raises Unavailable when Firestore does not answer the first look.
        """
        started, outcome = self._started(), "handed-over"
        while True:
            self._look(started)
            if not self._tracks and not started and self._until < float("inf"):
                outcome = "none-started"
                break
            self._stopping.wait(min(self._look_s, max(self._until - self._monotonic(), 0.0)))
            if self._stopping.is_set():
                outcome = "stopped"
                break
            if self._monotonic() >= self._until:
                break
            if self._monotonic() >= self._half and self._is_spare():
                outcome = "stood-by"
                break
            try:
                started = self._started()
            except Unavailable as error:
                log("WARNING", "which tracks are on is not known, going on", detail=str(error)[:300])
        self._leave()
        return Summary(outcome, dict(sorted(self._outcomes.items())))

    def _started(self) -> dict[str, str]:
        """The feed of each track that is on, by circuit, at most as many as may be. Raises Unavailable."""
        path = paths.started()
        fields = self._database.read([path])[path].fields
        if fields is None:
            return {}
        try:
            document = from_fields(path, fields)
        except InvalidDocument as error:
            log("ERROR", "which tracks are on cannot be read", reason="bad-started", detail=str(error)[:300])
            return {circuit: track.collector.settings.feed for circuit, track in self._tracks.items()}
        assert isinstance(document, StartedDocument)  # noqa: S101 (the path says so)
        feeds = {circuit: feed for circuit, feed in sorted(document.circuits.items()) if feed.startswith(KART)}
        there = [circuit for circuit in feeds if circuit in self._tracks]
        most = [*there, *(circuit for circuit in feeds if circuit not in there)][: self._settings.kart_tracks]
        if (left_out := len(feeds) - len(most)) != self._left_out:
            self._left_out = left_out
            if left_out:
                log("ERROR", "more kart tracks are on than may be", reason="too-many-tracks", leftOut=left_out)
        return {circuit: feeds[circuit] for circuit in sorted(most)}

    def _look(self, started: dict[str, str]) -> None:
        """Ends with the tracks that are not on any more and begins with those that are."""
        for circuit in [circuit for circuit in self._tracks if circuit not in started]:
            track = self._tracks.pop(circuit)
            track.collector.stop(for_good=True)
            self._leaving.append(track)
        for circuit, feed in started.items():
            if circuit in self._tracks or self._stopping.is_set():
                continue
            try:
                if self._is_mine(feed):
                    self._begin(circuit, feed)
            except Unavailable as error:
                log("WARNING", "who holds a track is not known, asking again", feed=feed, detail=str(error)[:300])
        self._leaving = [track for track in self._leaving if track.thread.is_alive()]

    def _is_mine(self, feed: str) -> bool:
        """Whether to begin with a track now: not while another invocation, which holds others, is about to."""
        if any(one.holding for one in self.collectors) or not any(one.held_by_another for one in self.collectors):
            return True
        settings = self._settings
        if not Lease(self._database, feed, settings.instance, ttl_s=settings.lease_ttl_s).view().free:
            return True
        waited = feed in self._free
        self._free.symmetric_difference_update({feed})
        return waited

    def _begin(self, circuit: str, feed: str) -> None:
        settings = replace(self._settings, feed=feed, source=f"circuit:{circuit}", schedule=False)
        database = Database(settings.project)  # its own: a line of the log tells the operations of its track
        collector = Collector(
            settings,
            database,
            until=self._until,
            wanted=lambda: circuit in self._started(),
            open_source=self._open_source,
            monotonic=self._monotonic,
        )

        def run() -> None:
            try:
                collector.run()
            finally:
                self._outcomes[circuit] = collector.outcome
                database.close()

        thread = threading.Thread(target=copy_context().run, args=(run,), name=feed, daemon=True)
        self._tracks[circuit] = track = _Track(collector, thread)
        thread.start()
        if not any(one.holding for one in self.collectors):
            self._settle(track)

    def _settle(self, track: _Track) -> None:
        """Waits until it is known who holds a track, which decides who begins with the others."""
        ends = self._monotonic() + SETTLE_S
        one = track.collector
        while not (one.holding or one.held_by_another or one.failed or self._stopping.is_set()):
            if not track.thread.is_alive() or self._monotonic() > ends:
                return
            time.sleep(_TURN_S)

    def _is_spare(self) -> bool:
        """Whether another invocation holds the first of the tracks that anybody holds."""
        held = {circuit: one.collector.holding for circuit, one in self._tracks.items() if _is_held(one.collector)}
        return bool(held) and not held[min(held)]

    def _leave(self) -> None:
        """Hands over what is held, and waits until it is."""
        for track in self._tracks.values():
            track.collector.stop()
        ends = self._monotonic() + self._settings.lease_ttl_s
        for track in (*self._tracks.values(), *self._leaving):
            track.thread.join(max(ends - self._monotonic(), 0.0))
        for circuit, track in self._tracks.items():
            if track.thread.is_alive():
                log("ERROR", "a track was not released in time", feed=track.collector.settings.feed)
                self._outcomes[circuit] = "not-released"


def _is_held(collector: Collector) -> bool:
    return collector.holding or collector.held_by_another


def poll(request: Request) -> Response:
    """Entry point: one invocation by Cloud Scheduler."""
    return invoke(request, _poll)


def _poll(settings: Settings, _: Any) -> Response:
    database = database_of(settings.project)
    tracks = Tracks(settings, database, until=time.monotonic() + settings.invocation_s)
    with stopping_calls(tracks.stop):
        summary = tracks.run()
    log("INFO", "polled tracks", outcome=summary.outcome, tracks=summary.tracks, **database.operations())
    return Response(msgspec.json.encode(summary), content_type="application/json")
