"""What a source leaves behind, however its connections end, and how soon it ends itself."""

from __future__ import annotations

import gc
import socket
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from pitwall.message import FeedStatus
from pitwall.sources.signalr import SignalRSource, open_f1
from tests.sources.signalr.reading import Reading, live_settings
from tests.sources.signalr.scripted import OK, Peer, Server

UTC = "2026-09-24T12:54:39.455Z"
STATES = {"LapCount": {"CurrentLap": 3}}


def drops(peer: Peer) -> None:
    peer.open(STATES)
    peer.feed("TimingData", {"n": 1}, UTC)


def ends(peer: Peer) -> None:
    peer.open(STATES)
    peer.records({"type": 7})
    peer.wait()


def breaks_the_protocol(peer: Peer) -> None:
    peer.open(STATES)
    peer.raw(b"\xff" * 200)
    peer.wait()


def refuses(peer: Peer) -> None:
    peer.receive()
    peer.records({"error": "no"})
    peer.wait()


def stalls(peer: Peer) -> None:
    peer.wait()


def stays(peer: Peer) -> None:
    peer.open(STATES)
    peer.wait()


def ours(server: Server) -> int:
    """Sockets of this process that lead to the server."""
    port = int(server.url.rpartition(":")[2])
    return sum(bool(one.raddr) and one.raddr.port == port for one in psutil.Process().net_connections("tcp"))


def test_no_socket_is_left_open_after_thirty_reconnects() -> None:
    scripts = [stalls, *([drops, ends, drops, refuses, drops, drops, drops, breaks_the_protocol, drops] * 3)]
    upgrades: list[Any] = [None, None, None, (502, {}, "")] * 20
    open_between: list[int] = []

    def pause(seconds: float) -> None:
        open_between.append(ours(server))
        if len(open_between) == 34:
            source.close()

    def connect_and_end() -> None:
        with Server(stays) as server, Reading(open_f1(live_settings(server.url))) as reading:
            reading.status("live")

    connect_and_end()
    gc.collect()
    before = psutil.Process().num_fds(), threading.active_count()
    with Server(*scripts, stays, upgrade=upgrades, negotiate=[OK] * 20 + [(403, {}, ""), OK]) as server:
        source = SignalRSource(live_settings(server.url, silence_s=0.2), pause=pause)
        statuses = [item for item in source.messages() if isinstance(item, FeedStatus)]
    gc.collect()
    assert max(status.reconnects for status in statuses) >= 15
    assert open_between == [0] * 34
    assert (psutil.Process().num_fds(), threading.active_count()) == before


@pytest.mark.parametrize("script", [stays, stalls])
def test_reader_that_goes_away_leaves_no_socket(script: Callable[[Peer], None]) -> None:
    with Server(script) as server:
        source = open_f1(live_settings(server.url, connect_s=20))
        messages = source.messages()
        next(messages)
        if script is stays:
            next(messages)
            assert ours(server) == 1
        messages.close()  # type: ignore[attr-defined]
        assert ours(server) == 0


def test_reader_that_goes_away_while_more_waits_than_it_took_leaves_no_socket() -> None:
    sent = threading.Event()

    def script(peer: Peer) -> None:
        peer.open(STATES)
        for _ in range(100):
            peer.feed("TimingData", {"n": 1}, UTC)
        sent.set()
        peer.wait()

    with Server(script) as server:
        messages = open_f1(live_settings(server.url)).messages()
        while isinstance(next(messages), FeedStatus):
            pass
        assert sent.wait(30)
        messages.close()  # type: ignore[attr-defined]
        assert ours(server) == 0


def test_memory_does_not_grow_with_messages() -> None:
    line = {"Lines": {str(number): {"Sectors": {"0": {"Value": "27.123"}}} for number in range(40)}}

    def script(peer: Peer) -> None:
        peer.open(STATES)
        for _ in range(2000):
            peer.feed("TimingData", line, UTC)
        peer.wait()

    with Server(script) as server:
        source = open_f1(live_settings(server.url, silence_s=20))
        used: list[int] = []
        tracemalloc.start()
        try:
            for number, _ in enumerate(source.messages()):
                if number in (500, 2000):
                    gc.collect()
                    used.append(tracemalloc.get_traced_memory()[0])
                if number == 2000:
                    source.close()
        finally:
            tracemalloc.stop()
    # Fifteen hundred messages of 2 KB each have passed in between.
    assert used[1] - used[0] < 500_000


# -- close ---------------------------------------------------------------------------------


def nothing(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


LONG: dict[str, float] = {"silence_s": 600, "connect_s": 600, "backoff_s": 600}
"""So long that only `close` ends anything."""


@pytest.mark.parametrize(
    "script",
    [pytest.param(stalls, id="in a stalled handshake"), pytest.param(stays, id="on a silent socket")],
)
def test_close_ends_the_iteration(script: Callable[[Peer], None]) -> None:
    with Server(script) as server, Reading(source := open_f1(live_settings(server.url, **LONG))) as reading:
        if script is stays:
            reading.topic("LapCount")
        else:
            reading.wait(lambda: server.count("GET") == 1)
        source.close()
        reading.join()
        assert ours(server) == 0


def test_close_ends_a_stalled_negotiation() -> None:
    reached = threading.Event()

    def stalls_at_once(connection: socket.socket) -> None:
        connection.recv(65536)
        reached.set()
        nothing(connection)

    with Server(raw=stalls_at_once) as server, Reading(source := open_f1(live_settings(server.url, **LONG))) as reading:
        reading.wait(reached.is_set)
        source.close()
        reading.join()
        assert ours(server) == 0


def test_close_ends_a_stalled_upgrade() -> None:
    reached = threading.Event()

    def negotiates(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            if b"GET " in data:
                reached.set()
            else:
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(OK[2])}\r\n\r\n{OK[2]}".encode())

    with Server(raw=negotiates) as server, Reading(source := open_f1(live_settings(server.url, **LONG))) as reading:
        reading.wait(reached.is_set)
        source.close()
        reading.join()
        assert ours(server) == 0


def test_close_ends_a_wait_between_attempts() -> None:
    with Server(stays, negotiate=[(429, {"Retry-After": "600"}, "")]) as server:
        with Reading(source := open_f1(live_settings(server.url, **LONG))) as reading:
            reading.wait(lambda: bool(reading.statuses[-1].detail))
            source.close()
            reading.join()
        assert server.count("POST") == 1


def test_close_is_no_trouble_and_says_nothing() -> None:
    with Server(stays) as server, Reading(source := open_f1(live_settings(server.url, **LONG))) as reading:
        reading.topic("LapCount")
        source.close()
        source.close()
        reading.join()
    assert [status.state for status in reading.statuses] == ["connecting", "live"]


def test_closed_source_connects_nowhere() -> None:
    with Server(stays) as server:
        source = open_f1(live_settings(server.url))
        source.close()
        assert [item.state for item in source.messages() if isinstance(item, FeedStatus)] == ["connecting"]
        assert not server.requests
