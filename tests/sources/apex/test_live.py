"""Apex Timing live: where a track's feed is, polling instead of it and back again, and what is no longer as it was."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.server import ServerConnection

from pitwall.karting import vocabulary
from pitwall.message import FEED_GAP, FeedStatus
from pitwall.settings import Settings
from pitwall.sources.apex.drift import TOKENS, Drift
from pitwall.sources.apex.live import ApexReading, NoLivePage, find, of_websocket, open_apex
from pitwall.sources.track.web import Web
from tests.sources.signalr.reading import Reading
from tests.sources.track.servers import (
    APEX,
    LAP,
    Answer,
    http,
    quick,
    until_closed,
    unused_port,
    websocket,
)

PAGE = "/a-track/"
CONFIG = "/a-track/javascript/config.js"
QUESTIONS = "/functions/live_ajax.php"


def _talk(connection: ServerConnection, _: int) -> None:
    connection.send(APEX)
    until_closed(connection)


def _config(port: int, requests: str = "") -> Answer:
    """Of a track whose WebSocket is at that port, for a page without TLS."""
    lines = [f"var configPort = {port - 2};", "var configHost='127.0.0.1';", f"var configRequestUrl = '{requests}';"]
    return Answer("\n".join(lines if requests else lines[:2]).encode())


def test_the_live_page_leads_to_the_feed():
    with websocket(_talk) as url, http(lambda _: _config(urlsplit(url).port or 0)) as server:
        with Reading(open_apex(f"{server.url}{PAGE}?ref=mail#top", quick())) as reading:
            assert reading.topic(vocabulary.GRID).data["Lines"]["r1"]["Number"] == "7"
        assert set(server.asked) == {CONFIG}


def test_while_the_websocket_is_refused_it_is_polled_and_then_left_for_the_websocket_again():
    port = unused_port()
    told = {"1@0": f"0@17@{APEX}", "0@17": f"0@18@{LAP}", "0@18": "0@18@"}

    def answer(path: str) -> Answer:
        if path == CONFIG:
            return _config(port, server.url + "/functions")
        query = parse_qs(urlsplit(path).query)
        return Answer(told[f"{query['init'][0]}@{query['index'][0]}"].encode())

    with http(answer) as server, Reading(open_apex(f"{server.url}{PAGE}", quick(), after_s=0.0)) as reading:
        reading.topic(vocabulary.CROSSING)
        assert reading.source.name == "apex-polling"
        assert [status.state for status in reading.statuses][:2] == ["connecting", "refused"]
        assert "takes no connections; reading Apex Timing's polling instead" in reading.status("live").detail
        reading.wait(lambda: sum(path.startswith(QUESTIONS) for path in server.asked) >= 3)
        asked = [parse_qs(urlsplit(path).query) for path in server.asked if path.startswith(QUESTIONS)]
        assert [(query["init"], query["index"], query["counter"]) for query in asked[:3]] == [
            (["1"], ["0"], ["1"]),
            (["0"], ["17"], ["2"]),
            (["0"], ["18"], ["3"]),
        ]
        assert {query["port"][0] for query in asked} == {str(port + 2)}  # configPort + 4
        with websocket(_talk, port):
            board = reading.topic(vocabulary.GRID, 2)
            assert reading.source.name == "apex"
            told_then = [item.state if isinstance(item, FeedStatus) else item.topic for item in reading.items]
            gap = told_then.index(FEED_GAP)
            assert told_then[gap - 1 : gap + 3] == ["live", FEED_GAP, vocabulary.SESSION, vocabulary.GRID]
            assert reading.gaps[0].data["To"] == board.at


@pytest.mark.parametrize("page", [PAGE, "/no-live-page/"])
def test_a_websocket_that_has_moved_is_asked_for_where_the_page_says(page: str):
    def answer(path: str) -> Answer:
        if path.startswith(QUESTIONS):
            return Answer(f"0@1@{APEX}".encode())
        return _config(unused_port(), server.url + "/functions/") if path == CONFIG else Answer(status=404)

    moved = f"ws://127.0.0.1:{unused_port()}/"
    with (
        http(answer) as server,
        Reading(open_apex(moved, quick(), page=server.url + page, after_s=0.0)) as reading,
    ):
        if page == PAGE:
            reading.topic(vocabulary.GRID)
        else:  # it is asked for where the WebSocket's own server would answer, and that is not there either
            reading.wait(lambda: any("127.0.0.1:80 " in status.detail for status in reading.statuses))


def test_polling_begins_anew_when_it_is_told_to_and_goes_on_after_what_is_no_board():
    answers = iter([f"0@1@{APEX}", "0@2@REFRESH_BROWSER", f"0@3@{APEX}", "<html>Too many</html>", f"0@4@{APEX}"])
    asked: list[str] = []

    def answer(path: str) -> Answer:
        if path == CONFIG:
            return _config(unused_port(), server.url + "/functions/")
        query = parse_qs(urlsplit(path).query)
        asked.append(f"{query['init'][0]}@{query['index'][0]}")
        return Answer(next(answers, "0@5@").encode())

    with http(answer) as server, Reading(open_apex(f"{server.url}{PAGE}", quick(), after_s=0.0)) as reading:
        reading.topic(vocabulary.GRID, 3)
        assert asked[:5] == ["1@0", "0@1", "1@0", "0@3", "1@0"]
        assert any("answers with what is no board" in status.detail for status in reading.statuses)


class Told(Web):
    """A web in which every address answers the same."""

    def __init__(self, answer: str) -> None:
        super().__init__(Settings())
        self.answer = answer
        self.asked: list[str] = []

    def get(self, url: str, query: Any = None) -> str:
        self.asked.append(url)
        return self.answer


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        ("https://live.apex-timing.com/kip/", "https://live.apex-timing.com/kip/javascript/config.js"),
        ("https://live.apex-timing.com/kip", "https://live.apex-timing.com/kip/javascript/config.js"),
        ("https://www.apex-timing.com/live-timing/kip/index.html", "https://www.apex-timing.com/live-timing/kip/javascript/config.js"),
        ("https://live.apex-timing.com", "https://live.apex-timing.com/javascript/config.js"),
    ],
)  # fmt: skip
def test_where_a_feed_is(page: str, asked: str):
    web = Told('configPort="8310"; configHost = "live-data.apex-timing.com";')
    places = find(page, web)
    assert web.asked == [asked]
    assert places.websocket == "wss://live-data.apex-timing.com:8313/"
    assert places.questions == "https://live-data.apex-timing.com/live-timing/commonv2/functions/live_ajax.php"
    assert places.port == 8314
    assert of_websocket(places.websocket) == places
    assert of_websocket(page) is None
    assert find(page, Told("var configPort = 8310;")) == places  # the host is not told everywhere


@pytest.mark.parametrize("config", ["", "<html>", "configPort = 'x'", "configPort = 65535", "configPort = 0"])
def test_a_page_that_does_not_say_where_its_timing_is(config: str):
    with pytest.raises(NoLivePage, match="does not say where its timing is"):
        find("https://live.apex-timing.com/kip/", Told(config))


def test_what_a_human_said_of_a_column_stands_whatever_it_declares():
    reading = ApexReading(lambda _: None, Drift(), {"c4": "BestLapMs", "c5": ""}, {"c3": "Team"})
    [grid] = [message for message in reading.read([APEX], 1) if message.topic == vocabulary.GRID]
    assert grid.data["Lines"]["r1"] == {"Position": 1, "Number": "7", "Driver": "A", "BestLapMs": 65_295}
    roles = {column["Key"]: (column.get("Role"), column.get("Because")) for column in grid.data["Columns"]}
    assert roles["c4"] == ("BestLapMs", "human")
    assert roles["c5"] == (None, None)
    assert roles["c3"] == ("Driver", "type")  # what it declares goes before what an analysis found


def test_what_an_analysis_found_of_a_column_that_declares_nothing_is_used():
    board = APEX.replace('data-type="llp">Dernier T.', 'data-type="">?')
    reading = ApexReading(lambda _: None, Drift(), None, {"c4": "LastLapMs"})
    [grid] = [message for message in reading.read([board], 1) if message.topic == vocabulary.GRID]
    assert grid.data["Lines"]["r1"]["LastLapMs"] == 65_295
    assert grid.data["Columns"][3]["Because"] == "behaviour"


LOOKED_AT = {"c1": "Position", "c2": "Number", "c3": "Team", "c4": "BestLapMs", "c5": None}


def test_another_layout_than_that_which_was_looked_at_is_told_once():
    drift = Drift(LOOKED_AT, {"c9": "Gap", "c2": "Number"})
    board = APEX.replace("</td></tr><tr", '</td><td data-id="c6" data-type="">X</td></tr><tr', 1)

    def told(frame: str) -> list[tuple[str, str, str]]:
        messages = ApexReading(lambda _: None, drift).read([frame], 1)
        return [
            (message.data["Kind"], message.data["Key"], message.data["Role"])
            for message in messages
            if message.topic == vocabulary.NOTICE
        ]

    assert told(board) == [("new-layout", "c4", "LastLapMs"), ("new-field", "c6", ""), ("field-gone", "c9", "Gap")]
    assert told(board) == []  # after a reconnect as well


def test_what_cannot_be_read_is_told_once_it_is_more_than_now_and_then():
    reading = ApexReading(lambda _: None, Drift())
    messages = reading.read([APEX, *["GET / HTTP/1.1\r\n\r\n"] * 500, *["newword|x|1"] * (TOKENS - 1)], 1)
    assert vocabulary.NOTICE not in {message.topic for message in messages}
    [notice] = [message for message in reading.read(["newword|x|1"] * 5, 2) if message.topic == vocabulary.NOTICE]
    assert (notice.data["Kind"], notice.data["Key"]) == ("unknown-token", "unknown-command")
