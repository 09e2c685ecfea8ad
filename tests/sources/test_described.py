"""Feeds nobody wrote a source for, live by their description."""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from pitwall.karting import vocabulary
from pitwall.karting.description import Description, Field, encode
from pitwall.pipeline.poller import SourceError, open_source
from pitwall.sources.described import open_described
from tests.sources.signalr.reading import Reading
from tests.sources.track.servers import Answer, http, quick, tcp, until_closed, websocket


def _description(kind: Any, keys: str, **more: Any) -> Description:
    roles = ("Number", "Position", "Laps", "LastLapMs")
    units = ("text", "count", "count", "clock")
    fields = [
        Field(key=key, role=role, unit=unit, confidence=0.95, origin="header")  # type: ignore[arg-type]
        for key, role, unit in zip(keys.split(), roles, units, strict=True)
    ]
    return Description(kind=kind, key=keys.split()[0], fields=fields, **more)


JSON = _description("json", "no pos laps last", whole=True)
LINES = _description("delimited", "0 1 2 3", separator=";", whole=True)


def board(laps: int, **more: Any) -> str:
    return json.dumps([{"no": "7", "pos": "1", "laps": str(laps), "last": "1:05.2", **more}, {"no": "8", "pos": "2"}])


def test_over_a_websocket_and_what_drifts_is_told_once():
    def talk(connection: ServerConnection, number: int) -> None:
        connection.send(board(3))
        connection.send(board(4, weather="rain"))
        if number:
            until_closed(connection)

    with websocket(talk) as url, Reading(open_described(url, JSON, quick())) as reading:
        assert reading.topic(vocabulary.GRID).data["Lines"]["7"]["Laps"] == 3
        reading.topic(vocabulary.CROSSING, 2)
        [notice] = [message for message in reading.messages if message.topic == vocabulary.NOTICE]
        assert notice.data == {
            "Kind": "new-field",
            "Key": "weather",
            "Role": "",
            "Message": "a field that was not there when the feed was looked at",
        }


def test_polled_and_only_what_changed_is_read():
    laps = itertools.chain([3, 3, 3], itertools.repeat(4))
    with (
        http(lambda _: Answer(board(next(laps)).encode())) as server,
        Reading(open_described(f"{server.url}/board.json", JSON, quick())) as reading,
    ):
        assert reading.topic(vocabulary.CROSSING).data["Laps"] == 4
        assert len([message for message in reading.messages if message.topic == vocabulary.GRID]) == 1


def test_lines_over_tcp_in_whatever_packets():
    def talk(connection: socket.socket, _: int) -> None:
        for packet in (b"7;1;3;1:05.2\r\n8;2;3;1:06.0\r", b"\n7;1;4;1:", b"05.1\r\n"):
            connection.sendall(packet)
        connection.recv(1)

    with tcp(talk) as address, Reading(open_described(f"tcp://{address}", LINES, quick())) as reading:
        crossing = reading.topic(vocabulary.CROSSING).data
        assert (crossing["Row"], crossing["Laps"], crossing["LapMs"]) == ("7", 4, 65_100)
        assert len([message for message in reading.messages if message.topic == vocabulary.GRID]) == 1


def test_a_description_in_a_file(tmp_path: Path):
    path = tmp_path / "description.json"
    path.write_bytes(encode(LINES))

    def talk(connection: socket.socket, _: int) -> None:
        connection.sendall(b"7;1;3;1:05.2\n")
        connection.recv(1)

    with tcp(talk) as address:
        opened = open_source(quick(source=f"described:tcp://{address}#{path}"))
        assert not opened.rewindable
        with Reading(opened.source) as reading:  # type: ignore[arg-type]
            assert reading.topic(vocabulary.GRID).data["Lines"]["7"]["LastLapMs"] == 65_200
    for wrong in ("tcp://127.0.0.1:1", f"tcp://127.0.0.1:1#{tmp_path}/none", f"nowhere#{path}"):
        with pytest.raises(SourceError):
            open_source(quick(source=f"described:{wrong}"))
