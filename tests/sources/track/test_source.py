"""Connections to kart tracks: lost, half open, silent, refused, junk; and that they end when they are to."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

import pytest
from websockets.sync.server import ServerConnection

from pitwall.karting import vocabulary
from pitwall.message import FEED_GAP, FeedStatus
from pitwall.sources import LiveSource
from pitwall.sources.apex.drift import Drift
from pitwall.sources.apex.live import ApexReading, open_apex
from pitwall.sources.rmonitor.live import open_rmonitor
from pitwall.sources.track.arrivals import Arrivals
from pitwall.sources.track.source import QUIET, TrackSource
from tests.sources.signalr.reading import PATIENCE_S, Reading
from tests.sources.track.servers import (
    APEX,
    LAP,
    RMONITOR,
    Answer,
    Way,
    http,
    quick,
    tcp,
    until_closed,
    unused_port,
    websocket,
)

BOARD = "\r\n".join([*RMONITOR, ""]).encode()


def test_after_a_lost_connection_come_status_gap_and_the_board_as_it_is_then():
    def talk(connection: ServerConnection, number: int) -> None:
        connection.send(APEX)
        if number == 0:
            connection.send(LAP)
        else:
            until_closed(connection)

    with websocket(talk) as url, Reading(open_apex(url, quick())) as reading:
        reading.topic(vocabulary.GRID, 2)
        told = [item.state if isinstance(item, FeedStatus) else item.topic for item in reading.items]
        again = told.index("live", told.index("live") + 1)
        assert told[:2] == ["connecting", "live"]
        assert told[again - 1 : again + 3] == ["reconnecting", "live", FEED_GAP, vocabulary.SESSION]
        assert reading.status("live", 2).reconnects == 1
        [gap] = reading.gaps
        before = [message for message in reading.messages if message.topic == vocabulary.CROSSING][-1]
        assert gap.data["From"] == before.at <= gap.data["To"] == reading.topic(vocabulary.GRID, 2).at
        assert "closed the connection" in gap.data["Reason"]
        instants = [message.at for message in reading.messages]
        assert instants == sorted(instants)
        assert all(message.arrived for message in reading.messages)


def test_a_server_that_no_longer_answers_is_left_and_asked_again():
    def talk(connection: ServerConnection, _: int) -> None:
        connection.send(APEX)
        until_closed(connection)

    with websocket(talk) as url:
        way = Way(int(url.strip("/").rpartition(":")[2]))
        with way.open() as port, Reading(open_apex(f"ws://127.0.0.1:{port}/", quick(silence_s=0.2))) as reading:
            assert way.answered.wait(PATIENCE_S)
            way.freezes.set()
            assert "has not answered for 0.2 s" in reading.status("silent").detail
            way.freezes.clear()
            reading.status("live", reading.status("silent").reconnects + 2)


class Scripted:
    """A connection that hears something after so many seconds each, on a clock of its own; then nothing any more."""

    def __init__(self, heard: list[tuple[float, list[str]]]) -> None:
        self._heard = heard
        self.now = 0.0

    def open(self) -> None:
        """It is there."""

    def receive(self, timeout_s: float) -> list[str]:
        passed, texts = self._heard.pop(0) if self._heard else (timeout_s, [])
        self.now += passed
        return texts

    def close(self) -> None:
        """It stays."""


def test_a_track_with_nothing_on_it_is_connected_to_anew_now_and_then_and_not_while_blank_lines_come():
    channel = Scripted([(0, [APEX]), *[(60, ["\n"])] * 100, (60, []), (239, [])])
    source = TrackSource(
        "apex",
        quick(kart_stale_s=300.0),
        lambda _: channel,
        lambda reject: ApexReading(reject, Drift()),
        monotonic=lambda: channel.now,
    )
    with Reading(source) as reading:
        assert reading.status("silent").detail == "nothing has come for 300 s"
        assert channel.now >= 100 * 60 + 300
    assert [status.state for status in reading.statuses][:3] == ["connecting", "live", "silent"]


def test_a_feed_that_tells_the_time_each_second_is_silent_sooner():
    def talk(connection: socket.socket, _: int) -> None:
        connection.sendall(BOARD)
        connection.recv(1)

    settings = quick(silence_s=0.3)
    with tcp(talk) as address, Reading(open_rmonitor(address, settings)) as reading:
        assert reading.status("silent").detail == "nothing has come for 0.3 s"
        reading.topic(vocabulary.GRID, 2)


def test_a_connection_over_which_nothing_has_come_is_not_live():
    with tcp(_mute) as address, Reading(open_rmonitor(address, quick(kart_stale_s=0.3))) as reading:
        reading.wait(lambda: any(status.detail == QUIET for status in reading.statuses))
        reading.status("silent")
        assert not reading.messages
        assert "live" not in {status.state for status in reading.statuses}


def test_after_as_many_attempts_as_are_configured_it_is_refused_and_tried_seldom(caplog: pytest.LogCaptureFixture):
    port = unused_port()
    settings = quick(kart_attempts=3, backoff_s=0.05)
    with caplog.at_level(logging.INFO), Reading(open_rmonitor(f"127.0.0.1:{port}", settings)) as reading:
        reading.wait(lambda: any("3 attempts came to nothing" in status.detail for status in reading.statuses))
        assert reading.statuses[-1].state == "refused"
        with socket.create_server(("127.0.0.1", port)) as server:
            connection, _ = server.accept()
            with connection:
                connection.sendall(BOARD)
                reading.status("live")
    assert any("takes no connections (attempt 1)" in record.getMessage() for record in caplog.records)
    assert any("rmonitor: live" in record.getMessage() for record in caplog.records)


def test_junk_binary_and_oversized_frames_do_no_harm():
    def talk(connection: ServerConnection, number: int) -> None:
        connection.send(b"GET / HTTP/1.1\r\n\x16\x03\x01\xff\xfe")
        connection.send(APEX.encode())
        connection.send("|||\n" + "r1c4|tn|not a time" if number else b"x" * 3_000_000)
        connection.send(LAP)
        until_closed(connection)

    with websocket(talk) as url, Reading(open_apex(url, quick())) as reading:
        assert "too long" in reading.status("reconnecting").detail
        reading.topic(vocabulary.CROSSING)
        assert reading.source.rejected["junk"] >= 2
        assert reading.source.rejected["bad-time"] == 1


def _mute(connection: socket.socket, _: int) -> None:
    connection.recv(65_536)
    connection.recv(1)


def _slow(_: str) -> Answer:
    threading.Event().wait(0.8)
    return Answer()


@pytest.mark.parametrize("what", ["handshake", "waiting", "pausing", "asking"])
def test_closing_from_another_thread_ends_it_soon(what: str):
    """Each of these would go on for ten seconds or for ever."""
    settings = quick(connect_s=20.0, backoff_s=60.0)
    opens: dict[str, Callable[[str], LiveSource]] = {
        "handshake": lambda address: open_apex(f"ws://{address}/", settings),
        "waiting": lambda address: open_rmonitor(address, settings),
        "pausing": lambda _: open_rmonitor(f"127.0.0.1:{unused_port()}", settings),
        "asking": lambda address: open_apex(f"http://{address}/track/", settings),
    }
    connected = threading.Event()

    def talk(connection: socket.socket, number: int) -> None:
        connected.set()
        _mute(connection, number)

    with tcp(talk) as address:
        reading = Reading(opens[what](address))
        with reading:
            reading.status("connecting")
            if what == "pausing":
                reading.status("refused")
            else:
                assert connected.wait(10)
            reading.source.close()
            reading.join()
            reading.source.close()


def test_what_it_says_and_logs_names_no_path_or_query(caplog: pytest.LogCaptureFixture):
    def answer(_: str) -> Answer:
        return Answer(b"no", 403)

    with caplog.at_level(logging.DEBUG), http(answer) as server:
        url = server.url.replace("http", "ws")
        with Reading(open_apex(f"{url}/secret-path?key=secret-key", quick())) as reading:
            told = reading.status("refused").detail
    assert told.endswith("answers 403")
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    assert not [line for line in [told, *ours] if "secret" in line]


def test_an_address_with_a_password_is_none():
    for url in ("wss://me:secret@live.example.com/", "ftp://example.com/", "wss:///", "https://example.com:99999/"):
        with pytest.raises(ValueError):  # noqa: PT011
            open_apex(url, quick())


def test_the_clock_of_arrivals_never_goes_back():
    wall, monotonic = [1_000.0], [0.0]
    arrivals = Arrivals(1.0, lambda: wall[0], lambda: monotonic[0])
    arrivals.set()
    monotonic[0] = 2.0
    assert arrivals.now() == 1_002_000
    wall[0] = 900.0  # somebody has set the clock back
    monotonic[0] = 3.0
    assert arrivals.now() == 1_003_000
    arrivals.set()
    assert arrivals.now() == 1_003_000
    wall[0] = 2_000.0
    arrivals.set()
    assert arrivals.now() == 2_000_000

    fast = Arrivals(20.0, lambda: wall[0], lambda: monotonic[0])
    fast.set()
    monotonic[0] = 4.0
    fast.set()
    assert fast.now() == 2_020_000
