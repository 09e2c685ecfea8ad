"""RMonitor over TCP and Race Monitor over its WebSocket, live."""

from __future__ import annotations

import json
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.server import ServerConnection

from pitwall.karting import vocabulary
from pitwall.sources.rmonitor.live import open_racemonitor, open_rmonitor
from pitwall.sources.track.tcp import LONGEST_LINE
from tests.sources.signalr.reading import Reading
from tests.sources.track.servers import RMONITOR, Answer, http, quick, tcp, until_closed, websocket

NAMES = ('$A,"8","8",13,"José","Núñez","ESP",1'.encode("cp1252"), '$A,"9","9",14,"Åsa","Öberg","SWE",1'.encode())
BOARD = [RMONITOR[0].encode(), *NAMES, *(record.encode() for record in RMONITOR[1:])]


def test_lines_are_whole_however_packets_cut_or_fuse_them():
    def talk(connection: socket.socket, _: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        everything = b"\r\n".join(BOARD) + b"\r\n"
        for start in range(0, len(everything), 3):
            connection.sendall(everything[start : start + 3])
        connection.sendall(b'$J,"7","00:01:04.000","00:04:19.000"$G,1,"7",4,"00:04:19.000"\r\n$F,9999,"00:0')
        connection.recv(1)

    with tcp(talk) as address, Reading(open_rmonitor(address, quick())) as reading:
        crossing = reading.topic(vocabulary.CROSSING).data
        assert (crossing["Row"], crossing["Laps"], crossing["LapMs"]) == ("7", 4, 64_000)
        drivers = {line["Driver"] for line in reading.topic(vocabulary.GRID).data["Lines"].values()}
        assert drivers == {"José Núñez", "Åsa Öberg", "Anna Holm"}
        assert not reading.source.rejected


def test_a_line_that_does_not_end_is_passed_over():
    def talk(connection: socket.socket, _: int) -> None:
        connection.sendall(b"$A" + b"x" * (LONGEST_LINE * 2))
        connection.sendall(b'y\r\n$A,"1"\r\n' + b"\r\n".join(BOARD) + b"\r\n")
        connection.recv(1)

    with tcp(talk) as address, Reading(open_rmonitor(address, quick())) as reading:
        assert set(reading.topic(vocabulary.GRID).data["Lines"]) == {"1", "7", "8", "9"}
        assert reading.source.rejected == {"line-too-long": 1}


def _lookup(url: str, **changes: Any) -> Answer:
    told = {
        "LiveTimingHost": urlsplit(url).netloc,
        "LiveTimingToken": "s3cret-t0ken",
        "CurrentRaces": [
            {"ID": 7, "Instance": "other", "ReceivingData": False},
            {"ID": 7, "Instance": "inst/1", "ReceivingData": True},
        ],
    }
    return Answer(json.dumps(told | changes).encode())


def test_a_race_at_race_monitor_is_looked_up_and_joined(caplog: pytest.LogCaptureFixture):
    joined: list[tuple[str, str]] = []

    def talk(connection: ServerConnection, number: int) -> None:
        assert connection.request is not None
        joined.append((connection.request.path, str(connection.recv())))
        connection.send("\n".join(RMONITOR))
        if number:
            until_closed(connection)

    with caplog.at_level(logging.DEBUG), websocket(talk) as url, http(lambda _: _lookup(url)) as server:
        settings = quick(racemonitor_url=server.url)
        with Reading(open_racemonitor("37872", settings)) as reading:
            reading.topic(vocabulary.GRID, 2)
        assert server.asked[0] == "/Info/WebRaceList?raceID=37872"
        assert joined[0] == ("/instance/inst%2F1/s3cret-t0ken", "$JOIN,inst/1,s3cret-t0ken")
        ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
        assert not [text for text in (*ours, *(status.detail for status in reading.statuses)) if "s3cret" in text]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"<html>"), "no list of races"),
        (Answer(b"[]"), "no list of races"),
        (_lookup("", CurrentRaces=[]), "no such race on now"),
        (_lookup("", CurrentRaces=["x"]), "no such race on now"),
        (_lookup("", LiveTimingHost="evil.example/path"), "how its race is joined"),
        (_lookup("ws://a:1/", LiveTimingToken=None), "how its race is joined"),
        (_lookup("ws://a:1/", LiveTimingToken="a\r\nb"), "how its race is joined"),
        (Answer(b"", 404), "answers 404"),
    ],
)
def test_what_is_wrong_with_a_lookup_is_told(answer: Answer, why: str):
    with (
        http(lambda _: answer) as server,
        Reading(open_racemonitor("1", quick(racemonitor_url=server.url))) as reading,
    ):
        reading.wait(lambda: any(why in status.detail for status in reading.statuses))


def test_a_race_is_a_number():
    with pytest.raises(ValueError, match="that is a number"):
        open_racemonitor("1/../2", quick())


def test_rmonitor_may_come_over_a_websocket():
    def talk(connection: ServerConnection, _: int) -> None:
        connection.send("\r\n".join(RMONITOR).encode())
        until_closed(connection)

    with websocket(talk) as url, Reading(open_rmonitor(url, quick())) as reading:
        assert reading.topic(vocabulary.GRID).data["Lines"]["7"]["Driver"] == "Anna Holm"
