"""Two kart tracks and a session of F1 at once in one stack: each is stored as if it had been alone.

All three come over real sockets, in the same seconds: the tracks from hubs that play pieces of real captures, read by
the function `karts` as their circuits say. Beside them runs a recording of a third track with more than one session.
"""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import Any

import pytest

from local import export
from local.emulators import Emulator, Emulators
from local.functions import FunctionServer
from local.hub import Fault, FaultPlan, Hub, Playing
from local.karts import ApexHub, RMonitorHub
from local.simulator import for_minutes, recording
from local.stack import KARTS, FeedSpec, Stack
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.documents.feeds import kart_feed
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording

pytestmark = pytest.mark.e2e

FEEDS = F1, ALPHA, BETA, GAMMA = "f1", "kart-alpha", "kart-beta", "kart-gamma"
APEX, RMONITOR = "apex-los-santos-3h.jsonl.gz", "redmist_TestMissingLaps.txt.gz"
SEVERAL = "apex-misanino-sprints.jsonl.gz"
TICK_S = 0.25
WAIT_S = 120
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG = timedelta(seconds=8)
"""Of the feed's time."""


@dataclass(frozen=True)
class Piece:
    """What is played of each capture and of a race, ms of its time, how fast, and what goes wrong at the tracks."""

    start_ms: int
    end_ms: int
    speed: float
    faults: FaultPlan


QUICK = Piece(600_000, 680_000, 20.0, FaultPlan([]))
WHOLE = Piece(
    0,
    900_000,
    10.0,
    FaultPlan([(100_000, Fault("junk")), (200_000, Fault("cut", probability=0.5)), (300_000, Fault("junk"))]),
)


@dataclass
class Played:
    """documents: all that is stored. raw: folder with a folder of each session's recorded objects."""

    piece: Piece
    several: Path
    documents: dict[str, dict[str, Any]]
    raw: Path
    dead_letters: int

    def sessions(self, feed: str) -> list[str]:
        """Keys of a feed's sessions, in order."""
        told = {path: fields for path, fields in self.documents.items() if path.count("/") == 1}
        own = [path for path, fields in told.items() if path.startswith("sessions/") and fields["feedId"] == feed]
        return sorted(path.split("/")[1] for path in own)


def wait_for(condition: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} took too long"
        time.sleep(0.1)


def published(stack: Stack) -> int:
    """Messages of Pub/Sub by the last word of each feed's last holder."""
    return sum(held(stack, feed).get("published", 0) for feed in FEEDS)


def held(stack: Stack, feed: str) -> dict[str, Any]:
    """What the feed's last holder said as it let go; empty before."""
    said: dict[str, Any] = {}
    for process in stack.pollers_of(feed) if feed in stack.feeds else [KARTS]:
        for entry, _ in stack.log_lines(process):
            told = entry.get("message") == "let go" and entry.get("feed") == feed
            if told and entry.get("epoch", 0) >= said.get("epoch", 0):
                said = entry
    return said


def stored(stack: Stack) -> int:
    ticks = {
        (entry["session"], entry["v"], entry["part"])
        for entry, _ in stack.log_lines("writer")
        if entry.get("message") == "stored"
    }
    return len(ticks) + len({entry["object"] for entry, _ in stack.log_lines("recorder") if "object" in entry})


def start(stack: Stack, tracks: dict[str, str]) -> None:
    """Notes circuits with where their timing comes from, as their app does, and that they are on."""
    client = stack.firestore()
    for circuit, url in tracks.items():
        client.document(f"circuits/{circuit}").set({"nom": circuit.title(), "wssUrl": url, "c1": "Clt"})
    client.document(paths.started()).set({"at": NOW, "circuits": {circuit: kart_feed(circuit) for circuit in tracks}})
    client.close()


def settled(stack: Stack) -> bool:
    """Whether every live feed has told how it is long after its last message: what was pending has gone out by then."""
    told = [snapshot.to_dict() or {} for snapshot in stack.firestore().collection_group("live").stream()]
    feeds = [fields for fields in told if "lastMessageAt" in fields]
    feeds = [fields for fields in feeds if fields["source"] != "recording"]
    return len(feeds) == len(FEEDS) - 1 and all(fields["at"] - fields["lastMessageAt"] > LONG for fields in feeds)


def play(piece: Piece, captures: Path, folder: Path, emulators: Emulators) -> Played:
    length_ms = piece.end_ms - piece.start_ms
    race = for_minutes(length_ms / 60_000, 5, telemetry=False)
    recording.write(race, race.opens, folder / "race.txt.gz", "merged")
    several = folder / "several.jsonl"
    with gzip.open(captures / SEVERAL, "rb") as capture:
        header, *lines = islice(capture, 4520)
        several.write_bytes(b"".join([header, *lines[4300:]]))  # the end of one without its board, and two more
    part = {"start_ms": piece.start_ms, "end_ms": piece.end_ms, "plan": piece.faults}
    hubs: dict[str, Hub | ApexHub | RMonitorHub] = {
        F1: Hub([Playing(folder / "race.txt.gz", end_ms=length_ms)], piece.speed),
        ALPHA: ApexHub(captures / APEX, piece.speed, **part),
        BETA: RMonitorHub(captures / RMONITOR, piece.speed, **part),
    }
    with ExitStack() as using:
        for hub in hubs.values():
            using.enter_context(hub)
        specs = [
            FeedSpec(F1, "f1", piece.speed, {"PITWALL_F1_URL": hubs[F1].url, "PITWALL_SCHEDULE": "off"}),
            FeedSpec(GAMMA, f"recording:{several}", math.inf),
        ]
        stack = using.enter_context(
            Stack(
                feeds=specs,
                history=False,
                tracks=piece.speed,
                project=f"test-{folder.name}",
                tick_s=TICK_S,
                env={"PITWALL_PRIVATE_HOSTS": "on"},
                emulators=emulators,
            )
        )
        start(stack, {"alpha": hubs[ALPHA].url, "beta": hubs[BETA].url})
        wait_for(lambda: all(hub.snapshots for hub in hubs.values()), "connecting")
        for hub in hubs.values():
            hub.start()
        wait_for(lambda: all(hub.ended for hub in hubs.values()), "playing", WAIT_S + length_ms / 1000 / piece.speed)
        wait_for(lambda: settled(stack), "publishing")
        assert {feed: hub.missed() for feed, hub in hubs.items()} == {feed: [] for feed in hubs}
        wait_for(lambda: held(stack, GAMMA).get("outcome") == "ended", "the recording")
        assert stack.tracks is not None
        for scheduler in (stack.tracks, *stack.schedulers.values()):
            scheduler.stop()
        FunctionServer.end([stack.functions[KARTS], *stack.pollers.values()])
        wait_for(lambda: stored(stack) >= published(stack), "storing")
        raw = folder / "raw"
        for blob in stack.storage().list_blobs(stack.settings.raw_bucket):
            (raw / blob.name).parent.mkdir(parents=True, exist_ok=True)
            blob.download_to_filename(str(raw / blob.name))
        return Played(piece, several, dict(export.documents(stack.firestore())), raw, len(stack.dead_letters()))


def alone(path: Path, feed: str, end_ms: float = math.inf, *, ended: bool = False) -> dict[str, dict[str, Any]]:
    """What a replay of a recording stores, by reducer and documents alone.

    end_ms: up to where it is played, from its begin. ended: whether the session ends there; else it is still on.
    """
    source = open_recording(path)
    reducer = Reducer(source.session, feed, source.name)
    messages = source.messages()
    first = next(messages)
    begun = takewhile(lambda message: message.at - first.at < end_ms, messages)
    ticks = [tick for message in chain([first], begun) for tick in reducer.offer(message)]
    ticks += reducer.finish() if ended else reducer.due(reducer.clock + 60_000)
    return {path: to_fields(document) for tick in ticks for path, document in tick.documents}


def differences(one: dict[str, dict[str, Any]], other: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """By path and field."""
    return {
        f"{path} {key}": (fields.get(key), other[path].get(key))
        for path, fields in one.items()
        for key in fields.keys() | other[path].keys()
        if fields.get(key) != other[path].get(key)
    }


def of(documents: dict[str, dict[str, Any]], session: str) -> dict[str, dict[str, Any]]:
    """The documents of a session, but for what differs from run to run, and the towers kept of every five seconds."""
    return {
        path: {key: value for key, value in fields.items() if key not in ("v", "writtenAt", "expireAt")}
        for path, fields in documents.items()
        if path.split("/")[:2] == ["sessions", session] and not path.endswith("/live/feed") and "/towers/" not in path
    }


@pytest.fixture(scope="module")
def emulators(firestore_emulator: Emulator, pubsub_emulator: Emulator, storage_emulator: Emulator) -> Emulators:
    return Emulators(firestore_emulator, pubsub_emulator, storage_emulator)


@pytest.fixture(
    scope="module", params=[pytest.param(QUICK, id="quick"), pytest.param(WHOLE, id="whole", marks=pytest.mark.long)]
)
def played(
    request: pytest.FixtureRequest, kart_captures: Path, tmp_path_factory: pytest.TempPathFactory, emulators: Emulators
) -> Played:
    return play(request.param, kart_captures, tmp_path_factory.mktemp("two-tracks"), emulators)


def test_each_feed_has_its_session_and_nothing_else_is_stored(played: Played):
    sessions = {feed: played.sessions(feed) for feed in FEEDS}
    assert [len(keys) for keys in sessions.values()] == [1, 1, 1, 2]
    assert sessions[ALPHA][0].startswith("kart-alpha-")
    known = {key for keys in sessions.values() for key in keys}
    stray = {path for path in played.documents if path.split("/")[:2] not in [["sessions", key] for key in known]}
    assert {"/".join(path.split("/")[:2]) for path in stray} - {"schedule/f1"} == {"circuits/alpha", "circuits/beta"}
    assert played.documents["circuits/alpha"]["nom"] == "Alpha"
    assert played.dead_letters == 0
    assert {folder.name for folder in played.raw.iterdir()} == known


@pytest.mark.parametrize("feed", [F1, ALPHA, BETA])
def test_documents_of_each_are_those_of_what_was_recorded_of_it_alone(played: Played, feed: str):
    (session,) = played.sessions(feed)
    own = of(played.documents, session)
    replayed = of(alone(played.raw / session, feed), session)
    assert len(own) > 20
    assert own.keys() == replayed.keys()
    assert differences(own, replayed) == {}


def test_recording_with_several_sessions_is_stored_as_if_alone(played: Played):
    replayed = alone(played.several, GAMMA, ended=True)
    assert {path.split("/")[1] for path in replayed} == set(played.sessions(GAMMA))
    for session in played.sessions(GAMMA):
        own = of(played.documents, session)
        assert len(own) > 5
        assert own.keys() == of(replayed, session).keys()
        assert differences(own, replayed) == {}


@pytest.mark.parametrize(("feed", "capture"), [(ALPHA, APEX), (BETA, RMONITOR)])
def test_a_track_has_the_laps_and_the_order_of_its_capture_played_alone(
    played: Played, kart_captures: Path, feed: str, capture: str
):
    (session,) = played.sessions(feed)
    replayed = alone(kart_captures / capture, feed, played.piece.end_ms)
    (known,) = {path.split("/")[1] for path in replayed if path.startswith(f"sessions/{feed}-")}
    laps = lap_times(played.documents, session)
    assert len(laps) > 10
    assert laps - lap_times(replayed, known) == set()
    places, last_laps = tower(played.documents, session)
    assert (places, last_laps - tower(replayed, known)[1]) == (tower(replayed, known)[0], set())


def lap_times(documents: dict[str, dict[str, Any]], session: str) -> set[tuple[str, int | None]]:
    """By racing number. Not by lap: RMonitor does not tell who comes late which laps were taken off as a penalty."""
    return {
        (number, lap.get("lapTimeMs"))
        for path, fields in documents.items()
        if path.startswith(f"sessions/{session}/laps/")
        for number, lap in fields["drivers"].items()
    }


def tower(documents: dict[str, dict[str, Any]], session: str) -> tuple[dict[str, int], set[tuple[str, int]]]:
    """Position, and where it is known the last lap, of each number."""
    lines = documents[f"sessions/{session}/live/timing"]["lines"]
    last_laps = {(number, line["l"]) for number, line in lines.items() if "l" in line}
    return {number: line["p"] for number, line in lines.items()}, last_laps


@pytest.mark.parametrize("circuit", ["alpha", "beta"])
def test_a_tracks_app_is_told_its_board_and_its_connection_beside_it(played: Played, circuit: str):
    told = played.documents[f"circuits/{circuit}/live/timing"]
    (session,) = played.sessions(kart_feed(circuit))
    places, _ = tower(played.documents, session)
    assert (told["circuit_id"], told["session"], told["rows"].keys()) == (circuit, session, places.keys())
    assert {number: int(row["mapped_data"]["C1"]) for number, row in told["rows"].items()} == places
    assert [path for path in played.documents if path.startswith(f"circuits/{circuit}/log/")]
