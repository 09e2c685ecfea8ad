"""Kart tracks are started and stopped while two invocations of `karts` run: one holds them, the other stands by."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from pitwall.collect import health_app
from pitwall.documents import paths
from pitwall.documents.circuits import StartedDocument
from pitwall.documents.encoding import instant, to_fields
from pitwall.documents.feeds import kart_feed
from pitwall.karting import vocabulary
from pitwall.message import FeedStatus, Message
from pitwall.pipeline.database import Database
from pitwall.pipeline.envelope import decode
from pitwall.pipeline.karts import Summary, Tracks
from pitwall.pipeline.poller import SourceError
from pitwall.pipeline.reader import Opened
from pitwall.settings import Settings
from tests.pipeline.conftest import START, Taken

LIFE_S = 60.0


class Board:
    """A live board with one kart on it, of which nothing more comes."""

    name, session = "board", ""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self._closing = threading.Event()

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        lines = {"r7": {"Number": "7", "Position": 1}}
        yield Message(vocabulary.SESSION, {"Title": "", "Name": "Race", "Type": "Race"}, START, True)
        yield Message(vocabulary.GRID, {"Columns": [], "Lines": lines}, START, True)
        yield FeedStatus("live")
        self._closing.wait(LIFE_S)

    def close(self) -> None:
        self._closing.set()


def open_track(settings: Settings) -> Opened:
    """Stands for the tracks' servers: each has a board but one."""
    if settings.source == "circuit:wrong":
        raise SourceError("it has no address")
    return Opened(Board(), 1.0, rewindable=False)


class Invocation(threading.Thread):
    """One of `karts`."""

    def __init__(self, settings: Settings, life_s: float = LIFE_S) -> None:
        super().__init__(daemon=True)
        self.summary: Summary | None = None
        self.tracks = Tracks(
            settings,
            Database(settings.project),
            until=time.monotonic() + life_s,
            look_s=0.2,
            open_source=open_track,
        )
        self.start()

    def run(self) -> None:
        self.summary = self.tracks.run()

    @property
    def holds(self) -> set[str]:
        return {one.settings.feed.removeprefix("kart-") for one in self.tracks.collectors if one.holding}

    @property
    def ready(self) -> set[str]:
        return {one.settings.feed.removeprefix("kart-") for one in self.tracks.collectors if one.held_by_another}

    def end(self) -> Summary:
        self.tracks.stop()
        self.join(30)
        assert self.summary is not None
        return self.summary


def until(true: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def settings(project: str, topics: dict[str, str], database: Database) -> Settings:
    return Settings(
        project=project, instance="here", lease_ttl_s=2.0, lease_renew_s=0.3, checkpoint_s=0.1, handover_s=0.1
    )


Begin = Callable[..., Invocation]


@pytest.fixture
def begin(settings: Settings) -> Iterator[Begin]:
    """Starts an invocation, with other settings and life if wanted; it ends with the test at the latest."""
    started: list[Invocation] = []

    def invoke(life_s: float = LIFE_S, **others: Any) -> Invocation:
        started.append(Invocation(replace(settings, **others), life_s))
        return started[-1]

    yield invoke
    for one in started:
        one.tracks.stop()
    for one in started:
        one.join(30)


@pytest.fixture
def start(database: Database) -> Callable[..., None]:
    """Has these tracks on, and no others."""

    def set_to(*circuits: str, **feeds: str) -> None:
        started = StartedDocument(at=instant(START), circuits={one: kart_feed(one) for one in circuits} | feeds)
        database.commit([database.write(paths.started(), to_fields(started))])

    return set_to


def test_where_no_track_is_on_a_tick_costs_one_read(settings: Settings, start: Callable[..., None]) -> None:
    for before in (lambda: None, start):
        before()
        database = Database(settings.project)
        summary = Tracks(settings, database, until=time.monotonic() + LIFE_S, open_source=open_track).run()
        assert (summary, database.operations()["firestoreReads"]) == (Summary("none-started", {}), 1)


def test_tracks_are_held_by_one_invocation_while_another_stands_by_for_all_of_them(
    begin: Begin, start: Callable[..., None], firestore: firestore_api.Client, taken: Taken
) -> None:
    start("genk", "misanino", "wrong", f1="f1")
    first = begin()
    until(lambda: first.holds == {"genk", "misanino"}, "one track that cannot be read keeps no other from being")
    second = begin(instance="there")
    until(lambda: second.ready == {"genk", "misanino"}, "standing by for both")

    start("aaa", "genk", "misanino")
    until(lambda: first.holds == {"aaa", "genk", "misanino"}, "a track that is started is held by who holds the others")
    until(lambda: second.ready == {"aaa", "genk", "misanino"}, "and the other stands by")
    third = begin(3.0, instance="older")
    third.join(30)
    assert third.summary is not None
    assert third.summary.outcome == "stood-by"

    start("aaa", "misanino")
    until(lambda: first.holds == {"aaa", "misanino"} and len(second.tracks.collectors) == 2, "stopped by both")
    lease = firestore.document("leases/kart-genk")
    until(lambda: "holder" not in (lease.get().to_dict() or {}), "let go")
    assert (lease.get().to_dict() or {})["epoch"] == 1
    ended = [
        document
        for message in taken("timing")
        for document in decode(message.data).documents
        if document.path.startswith("sessions/kart-genk-") and b'"ended"' in bytes(document.fields)
    ]
    assert [document.path.rpartition("/")[2] for document in ended] == ["feed"]

    leases = [firestore.document(f"leases/kart-{one}") for one in ("aaa", "misanino")]
    until(lambda: all((one.get().to_dict() or {})["successor"]["ready"] for one in leases), "ready to go on")
    handed_over = first.end()
    until(lambda: second.holds == {"aaa", "misanino"}, "the other goes on")
    assert handed_over.outcome == "stopped"
    tracks = {"aaa": "handed-over", "genk": "stopped", "misanino": "handed-over"}
    assert handed_over.tracks == {**tracks, "wrong": "failed"}
    start()
    second.join(30)
    assert second.summary is not None
    assert second.summary.outcome == "none-started"
    # It found the lease of the one that was stopped first free, or itself told to stop, whichever came first.
    assert second.summary.tracks.pop("genk") in ("stopped", "stood-by")
    assert second.summary.tracks == second.summary.tracks | {"aaa": "stopped", "misanino": "stopped"}


def test_no_more_tracks_are_polled_than_may_be(
    begin: Begin, start: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    start("genk", "misanino")
    running = begin(kart_tracks=1)
    until(lambda: running.holds == {"genk"}, "the first of them")
    health = health_app([running.tracks]).test_client().get("/healthz")
    assert health.json is not None
    assert [feed["feed"] for feed in health.json["feeds"]] == ["kart-genk"]
    start("aaa", "genk")
    assert running.end().tracks == {"genk": "handed-over"}
    assert "more kart tracks are on than may be" in capsys.readouterr().out


def test_what_nobody_can_read_of_the_tracks_changes_nothing(
    begin: Begin, start: Callable[..., None], firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    start("genk")
    running = begin()
    until(lambda: running.holds == {"genk"}, "held")
    firestore.document(paths.started()).set({"circuits": 7})
    said = ""

    def told() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "which tracks are on cannot be read" in said

    until(told, "told")
    assert running.holds == {"genk"}
    running.end()
