"""The hub's words beside those F1's servers were seen to use, and what it answers to a client that does wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from local.hub import Hub, Playing, wire
from tests.local.hub.asking import TOKEN, Client, connected, negotiate, recording


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub([Playing(recording(tmp_path / "session.jsonl"))], token=TOKEN, ping_s=0.05) as up:
        yield up


def test_records_are_written_as_f1_writes_them(recordings: Path):
    frames = json.loads((recordings / "2026-baku-practice-2-signalrcore-frames.json").read_text("utf-8"))
    topic, data, utc = json.loads(frames["feed"].rstrip(wire.SEPARATOR))["arguments"]
    [result] = json.loads("[" + frames["subscribeResult"].rstrip(wire.SEPARATOR) + "]")
    at = 1_790_254_479_455
    assert wire.utc(at) == utc
    assert wire.feed(topic, wire.to_json(data).decode(), at) == frames["feed"]
    assert wire.completion("0", result["result"]) == frames["subscribeResult"]
    assert [frames["handshake"], frames["ping"]] == [wire.HANDSHAKE_ANSWER, wire.PING]


def test_options_sets_the_cookie_though_it_is_not_allowed(hub: Hub):
    answer = httpx.options(f"{hub.url}/signalrcore/negotiate", trust_env=False)
    assert answer.status_code == 405
    assert answer.cookies["AWSALBCORS"]


def test_negotiate_offers_websockets_and_a_token_of_its_own_each_time(hub: Hub):
    one, other = negotiate(hub).json(), negotiate(hub).json()
    assert one["negotiateVersion"] == 1
    assert [transport["transport"] for transport in one["availableTransports"]] == ["WebSockets"]
    assert one["connectionToken"] not in (one["connectionId"], other["connectionToken"])


def test_legacy_endpoint_is_closed(hub: Hub):
    assert httpx.get(f"{hub.url}/signalr/negotiate?clientProtocol=1.5", trust_env=False).status_code == 401


@pytest.mark.parametrize("wrong", ["token", "cookie"])
def test_websocket_is_refused_without_what_was_negotiated(hub: Hub, wrong: str):
    answer = negotiate(hub)
    token = "unheard-of" if wrong == "token" else answer.json()["connectionToken"]
    cookie = "another" if wrong == "cookie" else answer.cookies["AWSALBCORS"]
    address = f"{hub.url.replace('http', 'ws', 1)}/signalrcore?id={token}"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, additional_headers={"Cookie": f"AWSALBCORS={cookie}"}, proxy=None)
    assert refused.value.response.status_code == 404


def test_other_protocol_is_refused_in_the_handshakes_answer(hub: Hub):
    answer = negotiate(hub)
    address = f"{hub.url.replace('http', 'ws', 1)}/signalrcore?id={answer.json()['connectionToken']}"
    cookie = {"Cookie": f"AWSALBCORS={answer.cookies['AWSALBCORS']}"}
    with connect(address, additional_headers=cookie, proxy=None) as socket:
        client = Client(socket)
        client.send({"protocol": "messagepack", "version": 1})
        assert "messagepack" in client.next()["error"]
        with pytest.raises(ConnectionClosed):
            client.next()


def test_subscribe_that_fails_is_answered_with_an_error_and_may_be_tried_again(hub: Hub):
    hub.fail_subscribe()
    with connected(hub) as client:
        client.send({"type": 1, "invocationId": "7", "target": "Subscribe", "arguments": [["TimingData"]]})
        failed = client.next()
        assert client.subscribe(["TimingData"]) == {}
    assert (failed["type"], failed["invocationId"]) == (3, "7")
    assert failed["error"]


def test_pings_come_while_the_feed_stands(hub: Hub):
    answer = negotiate(hub)
    address = f"{hub.url.replace('http', 'ws', 1)}/signalrcore?id={answer.json()['connectionToken']}"
    cookie = {"Cookie": f"AWSALBCORS={answer.cookies['AWSALBCORS']}"}
    with connect(address, additional_headers=cookie, proxy=None) as socket:
        socket.send('{"protocol":"json","version":1}\x1e')
        assert [socket.recv(30) for _ in range(3)] == ["{}\x1e", wire.PING, wire.PING]


def test_expired_token_closes_who_came_with_it_and_is_refused_from_then_on(hub: Hub):
    with connected(hub, TOKEN) as member, connected(hub) as guest:
        member.subscribe(["TimingData", "CarData.z"])
        hub.expire_token()
        closed = member.next()
        with pytest.raises(ConnectionClosed):
            member.next()
        assert guest.subscribe(["TimingData"]) == {}
    assert closed["type"] == 7
    assert negotiate(hub, {"Authorization": f"Bearer {TOKEN}"}).status_code == 401
