"""A track as its documents tell it, read by whichever source fits."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from google.cloud import firestore as firestore_api
from websockets.sync.server import ServerConnection

from pitwall.karting import vocabulary
from pitwall.message import FEED_GAP, FeedStatus
from pitwall.pipeline.poller import SourceError, open_source
from pitwall.sources.circuit import listen, open_circuit, source_of
from pitwall.sources.trouble import Trouble
from tests.sources.signalr.reading import Reading
from tests.sources.test_described import JSON, board
from tests.sources.track.servers import APEX, RMONITOR, Answer, http, quick, until_closed, websocket

FEED = "wss://live-data.apex-timing.com:8313/"
AT = "2026-11-21T20:00:00Z"


def _analysis(protocol: str, confidence: float = 0.95, **more: Any) -> dict[str, Any]:
    told = {"protocols": [{"protocol": protocol, "confidence": confidence, "reasons": []}], "fields": [], **more}
    return {"heardFrom": "x", "frames": 9, "heardMs": 1_000, "job": "j", "at": AT, "analysis": told}


def _said(columns: dict[str, str], description: Any = None) -> dict[str, Any]:
    of = {} if description is None else {"description": msgspec.to_builtins(description)}
    return {"columns": columns, "at": AT, **of}


DESCRIBED = _analysis("json", description=msgspec.to_builtins(JSON))


@pytest.mark.parametrize(
    ("circuit", "said", "analysis", "source"),
    [
        ({"wssUrl": FEED}, None, None, f"apex:{FEED}"),
        ({"wssUrl": " ", "liveTimingUrl": f" {FEED} "}, None, None, f"apex:{FEED}"),
        ({"wssUrl": FEED}, None, _analysis("rmonitor"), f"rmonitor:{FEED}"),
        ({"wssUrl": FEED}, None, DESCRIBED, f"described:{FEED}"),
        ({"wssUrl": FEED}, _said({}, JSON), _analysis("apex"), f"described:{FEED}"),
        ({"wssUrl": FEED}, {"columns": "damaged"}, {"analysis": []}, f"apex:{FEED}"),
        ({"wssUrl": "tcp://track.example.com:50000"}, None, None, "rmonitor:tcp://track.example.com:50000"),
        ({"wssUrl": "tcp://track.example.com:5"}, None, DESCRIBED, "described:tcp://track.example.com:5"),
        ({"wssUrl": "racemonitor:37872"}, None, DESCRIBED, "racemonitor:37872"),
        ({"liveTimingUrl": "https://www.race-monitor.com/Live/Race/37872"}, None, None, "racemonitor:37872"),
        ({"liveTimingUrl": "https://race-monitor.com/x?raceID=5&y=1"}, None, None, "racemonitor:5"),
        (
            {"liveTimingUrl": "https://live.apex-timing.com/kip/"},
            None,
            None,
            "apex:https://live.apex-timing.com/kip/",
        ),
        ({"liveTimingUrl": "https://e.com/board"}, None, DESCRIBED, "described:https://e.com/board"),
    ],
)
def test_what_a_track_is_read_with(circuit: Any, said: Any, analysis: Any, source: str):
    assert source_of(circuit, said, analysis) == source


@pytest.mark.parametrize(
    ("circuit", "analysis", "why"),
    [
        ({}, None, "neither wssUrl nor liveTimingUrl"),
        ({"wssUrl": 5, "liveTimingUrl": ""}, None, "neither wssUrl nor liveTimingUrl"),
        ({"wssUrl": "ftp://e.com"}, None, "no address"),
        ({"wssUrl": "wss://me:word@e.com"}, None, "a user or a password"),
        ({"liveTimingUrl": "https://www.race-monitor.com/Results"}, None, "names no race"),
        ({"wssUrl": FEED}, _analysis("json"), "is json, and how that is to be read is not confirmed"),
        ({"wssUrl": "tcp://e.com:1"}, _analysis("apex"), "is apex"),
    ],
)
def test_what_cannot_be_read_is_told(circuit: Any, analysis: Any, why: str):
    with pytest.raises(ValueError, match=why):
        open_circuit("x", circuit, None, analysis, quick())


def test_the_circuit_comes_first_and_after_each_connect():
    def talk(connection: ServerConnection, number: int) -> None:
        connection.send(APEX)
        if number:
            until_closed(connection)

    with websocket(talk) as url:
        circuit = {
            "nom": "Genk",
            "wssUrl": url,
            "c1": "Clt",
            "c2": "Non utilisé",
            "c3": "",
            "endurance": {"stops": 7, "stintMs": 3_600_000, "stopMs": "long"},
        }
        analysis = _analysis("apex", notUnderstood=[{"key": key} for key in ("c1", "c2", "c3", "c5")])
        opened = open_circuit("genk", circuit, _said({"c4": "BestLapMs"}), analysis, quick())
        with Reading(opened) as reading:
            reading.topic(vocabulary.GRID, 2)
            told = [item.state if isinstance(item, FeedStatus) else item.topic for item in reading.items]
            assert told[:5] == [
                vocabulary.CIRCUIT, "connecting", "live", vocabulary.CIRCUIT, vocabulary.SESSION,
            ]  # fmt: skip
            again = told.index(FEED_GAP)
            assert told[again - 2 : again + 2] == ["live", vocabulary.CIRCUIT, FEED_GAP, vocabulary.SESSION]
            assert reading.messages[0].data == {
                "Circuit": "genk",
                "Labels": {"C1": "Clt", "C2": "Non utilisé"},
                "Endurance": {"Stops": 7, "StintMs": 3_600_000},
                "Map": {"c4": "BestLapMs"},
            }
            assert reading.messages[0].snapshot
            assert reading.topic(vocabulary.GRID).data["Lines"]["r1"]["BestLapMs"] == 65_295
            notices = [message.data for message in reading.messages if message.topic == vocabulary.NOTICE]
            # Nothing was said of any column when it was looked at; c4 is a human's.
            assert [(notice["Kind"], notice["Key"]) for notice in notices] == [
                ("new-layout", key) for key in ("c1", "c2", "c3", "c5")
            ]
            instants = [message.at for message in reading.messages]
            assert instants == sorted(instants)


def test_the_poller_reads_its_documents_from_the_database(firestore: firestore_api.Client, project: str):
    with websocket(lambda connection, _: (connection.send(board(3)), until_closed(connection))[1]) as url:
        firestore.document("circuits/Genk").set({"nom": "Genk", "wssUrl": url, "c1": "Clt"})
        firestore.document("circuits/Genk/timing/analysis").set(DESCRIBED)
        opened = open_source(quick(project=project, source="circuit:Genk"))
        with Reading(opened.source) as reading:  # type: ignore[arg-type]
            assert reading.topic(vocabulary.GRID).data["Lines"]["7"]["Laps"] == 3
            assert reading.source.name == "described"
            assert reading.messages[0].data == {"Circuit": "Genk", "Labels": {"C1": "Clt"}}
        for id_, why in (("nowhere", "there is no circuit"), ("a/b", "no id"), ("..", "no id")):
            with pytest.raises(SourceError, match=why):
                open_source(quick(project=project, source=f"circuit:{id_}"))


def test_listening_before_anything_is_known_of_a_feed():
    def talk(connection: ServerConnection, _: int) -> None:
        connection.send("\n".join(RMONITOR))
        until_closed(connection)

    def answer(path: str) -> Answer:
        if path == "/live/javascript/config.js":
            return Answer(f"configHost='127.0.0.1';configPort={int(url.rstrip('/').rpartition(':')[2]) - 2}".encode())
        return Answer(b"the page") if path == "/board" else Answer(b"", 404)

    def heard(circuit: dict[str, str]) -> str:
        channel, where = listen(circuit, quick(), lambda _: None)
        assert str(where).startswith("127.0.0.1:")
        try:
            channel.open()
            while not (texts := channel.receive(1.0)):
                pass
            return texts[0]
        finally:
            channel.close()

    with websocket(talk) as url, http(answer) as server:
        assert heard({"wssUrl": url}).startswith("$B,5")
        assert heard({"liveTimingUrl": f"{server.url}/live/"}).startswith("$B,5")
        assert heard({"liveTimingUrl": f"{server.url}/board"}) == "the page"
        with pytest.raises(Trouble, match="answers 404"):
            heard({"liveTimingUrl": f"{server.url}/nothing"})
