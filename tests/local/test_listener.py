"""The local listener against Google's emulator: nothing is missed, whatever happens to the stream."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from google.api_core.exceptions import Cancelled
from google.api_core.retry import Retry, if_exception_type
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from local.listener import Listener, Stored
from local.tower import listening_to_feed

WAIT_S = 20
TOWER = "sessions/1/live/timing"


class Told:
    """What a listener was called with."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Stored] = queue.Queue()
        self.all: list[tuple[str, int]] = []

    def __call__(self, stored: Stored) -> None:
        self.all.append((stored.path, stored["v"]))
        self._calls.put(stored)

    def next(self, timeout_s: float = WAIT_S) -> Stored:
        return self._calls.get(timeout=timeout_s)

    def until(self, path: str, v: int) -> None:
        while (stored := self.next()).path != path or stored["v"] != v:
            pass


def test_a_document_is_told_as_it_is_and_at_each_change(firestore: firestore_api.Client) -> None:
    told, at = Told(), datetime(2025, 5, 17, 14, 3, 0, 250_000, UTC)
    firestore.document(TOWER).set({"v": 1, "at": at, "lines": {"1": {"p": 1, "ip": True}}, "list": ["a", 1.5]})
    with Listener(firestore.project, told) as listener:
        listener.follow(TOWER)
        assert told.next().fields == {"v": 1, "at": at, "lines": {"1": {"p": 1, "ip": True}}, "list": ["a", 1.5]}
        firestore.document(TOWER).set({"v": 2})
        assert told.next().fields == {"v": 2}


def test_a_document_that_comes_later_is_told_when_it_is_there(firestore: firestore_api.Client) -> None:
    told = Told()
    with Listener(firestore.project, told) as listener:
        listener.follow(TOWER)
        listener.follow("sessions/1/laps/1")
        firestore.document("sessions/1/laps/1").set({"v": 7})
        assert (told.next().path, told.all) == ("sessions/1/laps/1", [("sessions/1/laps/1", 7)])


def test_the_last_version_is_told_of_each_of_many_documents_written_fast(firestore: firestore_api.Client) -> None:
    told = Told()
    laps = [f"sessions/1/laps/{n}" for n in range(1, 41)]
    with Listener(firestore.project, told) as listener:
        for v in range(1, 6):
            for path in laps:
                listener.follow(path)
                firestore.document(path).set({"v": v})
        last: dict[str, int] = {}
        dropped = 0
        while last != dict.fromkeys(laps, 5):
            try:
                stored = told.next(5)
            except queue.Empty:  # the emulator drops an answer now and then: docs/emulators.md
                dropped += 1
                assert dropped <= 3
                listener.again()
            else:
                last[stored.path] = stored["v"]
    versions = [[v for path, v in told.all if path == lap] for lap in laps]
    assert all(seen == sorted(seen) for seen in versions)


def test_another_document_of_the_collection_costs_no_call(firestore: firestore_api.Client) -> None:
    told = Told()
    with Listener(firestore.project, told) as listener:
        listener.follow("sessions/1/laps/1")
        firestore.document("sessions/1/laps/2").set({"v": 1})
        firestore.document("sessions/1/laps/1").set({"v": 2})
        told.until("sessions/1/laps/1", 2)
    assert told.all == [("sessions/1/laps/1", 2)]


def test_the_last_of_a_series_is_told_and_the_one_after_it(firestore: firestore_api.Client) -> None:
    told = Told()
    for n in (9, 10, 2):
        firestore.document(f"sessions/1/raceControl/{n}").set({"n": n, "v": n})
    with Listener(firestore.project, told) as listener:
        listener.follow_last("sessions/1", "raceControl", "n")
        assert told.next()["n"] == 10
        firestore.document("sessions/1/raceControl/11").set({"n": 11, "v": 11})
        assert told.next()["n"] == 11
    assert {v for _, v in told.all} == {10, 11}


class Wire:
    """A TCP connection's way to an emulator, which can be cut."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                upstream = socket.create_connection(("127.0.0.1", self._upstream))
                self._sockets += [client, upstream]
                for source, sink in ((client, upstream), (upstream, client)):
                    threading.Thread(target=_pump, args=(source, sink), daemon=True).start()

    def cut(self) -> None:
        for end in self._sockets:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def close(self) -> None:
        self._server.close()
        self.cut()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65_536):
            sink.sendall(received)
    for end in (source, sink):
        end.close()


@pytest.fixture
def wire(firestore_emulator: Emulator) -> Iterator[Wire]:
    made = Wire(int(firestore_emulator.value.rpartition(":")[2]))
    yield made
    made.close()


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_broken_stream_is_taken_up_again_with_what_was_missed(
    firestore: firestore_api.Client, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", wire.address)
    firestore.document(TOWER).set({"v": 1})
    with Listener(firestore.project, told) as listener:
        listener.follow(TOWER)
        told.until(TOWER, 1)
        for v in (2, 3):
            wire.cut()
            _wait_until(lambda v=v: listener.broken >= v - 1)  # type: ignore[misc]
            # The emulator now and then fails a write while it finds out that a listener is gone.
            Retry(if_exception_type(Cancelled), timeout=WAIT_S)(firestore.document(TOWER).set)({"v": v})
            told.until(TOWER, v)
        firestore.document(TOWER).set({"v": 4})
        told.until(TOWER, 4)
    seen = [v for _, v in told.all]
    assert seen == sorted(seen)


def test_closing_ends_the_thread_at_once(firestore: firestore_api.Client) -> None:
    with Listener(firestore.project, Told()) as listener:
        listener.follow(TOWER)
    assert "firestore-listener" not in {thread.name for thread in threading.enumerate()}


def test_a_tower_follows_its_feed_from_session_to_session(firestore: firestore_api.Client) -> None:
    told: queue.Queue[str] = queue.Queue()
    at = datetime(2025, 5, 17, 14, 3, 0, tzinfo=UTC)

    def begin(key: str, feed: str, minute: int) -> None:
        firestore.document(f"sessions/{key}/live/timing").set({"v": 1, "at": at})
        firestore.document(f"sessions/{key}").set({"v": 1, "at": at.replace(minute=minute), "feedId": feed})

    begin("1", "kart-a", 1)
    begin("2", "f1", 9)
    with listening_to_feed(firestore.project, "kart-a", lambda path, _: told.put(path)):
        first = [told.get(timeout=WAIT_S) for _ in range(2)]
        begin("3", "kart-a", 5)
        assert first + [told.get(timeout=WAIT_S) for _ in range(2)] == [
            "sessions/1",
            "sessions/1/live/timing",
            "sessions/3",
            "sessions/3/live/timing",
        ]
