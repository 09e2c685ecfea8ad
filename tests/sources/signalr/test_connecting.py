"""From negotiation to the first message: what is asked for, and what the subscribe answer becomes."""

from __future__ import annotations

from typing import Any

import pytest

from pitwall.message import FeedStatus
from pitwall.sources.instants import utc_ms
from pitwall.sources.signalr import open_f1
from pitwall.sources.signalr.snapshot import snapshot_instant
from pitwall.sources.signalr.topics import GATED, GATED_NAMES, PUBLIC
from tests.sources.signalr.conftest import Certificate
from tests.sources.signalr.reading import Reading, live_settings
from tests.sources.signalr.scripted import OK, Peer, Server, feed
from tests.sources.written import packed

UTC = "2026-09-24T12:54:39.455Z"
STATES: dict[str, Any] = {
    "Heartbeat": {"Utc": "2026-09-24T12:54:32.000Z"},
    "CarData.z": packed({"Entries": []}),
    "TimingData": {"Lines": {}},
    "LapCount": None,
    "SessionInfo": {"Key": 11371},
}


def live(peer: Peer) -> None:
    peer.open(STATES)
    peer.wait()


def test_subscribe_asks_for_public_topics_only_without_a_token() -> None:
    asked: list[str] = []

    def script(peer: Peer) -> None:
        asked.extend(peer.open(STATES))
        peer.wait()

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        status = reading.status("live")
    assert asked == list(PUBLIC)
    assert status.gated_topics == GATED_NAMES
    assert all("authorization" not in request.headers for request in server.requests)


def test_subscribe_asks_for_gated_topics_too_with_a_token() -> None:
    asked: list[str] = []

    def script(peer: Peer) -> None:
        asked.extend(peer.open(STATES))
        peer.wait()

    with Server(script) as server, Reading(open_f1(live_settings(server.url, f1_token="a.good-token"))) as reading:
        status = reading.status("live")
    assert asked == [*PUBLIC, *GATED]
    assert (status.gated_topics, status.detail) == ((), "")
    bearers = {request.method: request.headers.get("authorization") for request in server.requests}
    assert bearers == {"OPTIONS": None, "POST": "Bearer a.good-token", "GET": "Bearer a.good-token"}


def test_every_cookie_of_both_answers_goes_with_the_websocket() -> None:
    options = [(405, {"Set-Cookie": "AWSALBCORS=one; Path=/; SameSite=None; Secure"}, "")]
    negotiate = [(200, {"Set-Cookie": "AWSALB=two; Path=/"}, OK[2])]
    with Server(live, options=options, negotiate=negotiate) as server:
        with Reading(open_f1(live_settings(server.url))) as reading:
            reading.status("live")
        post, get = (next(one for one in server.requests if one.method == method) for method in ("POST", "GET"))
    assert post.headers["cookie"] == "AWSALBCORS=one"
    assert sorted(get.headers["cookie"].split("; ")) == ["AWSALB=two", "AWSALBCORS=one"]
    assert get.target == "/signalrcore?id=secret-connection-token"


def test_preflight_that_succeeds_is_as_good_as_405() -> None:
    with Server(live, options=[(200, {}, "")]) as server, Reading(open_f1(live_settings(server.url))) as reading:
        assert reading.status("live").reconnects == 0


def test_feed_comes_over_tls_where_the_url_says_so(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))

    def script(peer: Peer) -> None:
        peer.open(STATES)
        peer.feed("TimingData", {"Lines": {"1": "x" * 100_000}}, UTC)
        peer.wait()

    with Server(script, tls=certificate.context) as server:
        with Reading(open_f1(live_settings(server.url, connect_s=20, silence_s=600))) as reading:
            delta = reading.topic("TimingData", 2)
        assert [request.method for request in server.requests] == ["OPTIONS", "POST", "GET"]
    assert len(delta.data["Lines"]["1"]) == 100_000


def test_snapshot_comes_in_the_order_of_topics_at_one_instant_with_payloads_opened() -> None:
    with Server(live) as server, Reading(source := open_f1(live_settings(server.url))) as reading:
        reading.topic("Heartbeat")
    assert [(message.topic, message.data) for message in reading.messages] == [
        ("SessionInfo", {"Key": 11371}),
        ("TimingData", {"Lines": {}}),
        ("CarData", {"Entries": []}),
        ("Heartbeat", STATES["Heartbeat"]),
    ]
    assert {message.at for message in reading.messages} == {utc_ms("2026-09-24T12:54:30Z")}
    assert all(message.snapshot and message.cursor == -1 and message.arrived for message in reading.messages)
    assert source.session == "11371"


def test_first_connection_says_connecting_then_live_and_marks_no_gap() -> None:
    with Server(live) as server, Reading(open_f1(live_settings(server.url))) as reading:
        reading.topic("Heartbeat")
        items = list(reading.items)
    assert [item.state for item in items[:2] if isinstance(item, FeedStatus)] == ["connecting", "live"]
    assert not reading.gaps
    assert len(reading.statuses) == 2


def test_delta_keeps_its_own_instant() -> None:
    def script(peer: Peer) -> None:
        peer.open(STATES)
        peer.feed("TimingData", {"Lines": {"1": {}}}, UTC)
        peer.wait()

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        delta = reading.topic("TimingData", 2)
    assert (delta.data, delta.at, delta.snapshot) == ({"Lines": {"1": {}}}, utc_ms(UTC), False)


def test_delta_without_readable_instant_takes_the_one_before_and_is_counted() -> None:
    def script(peer: Peer) -> None:
        peer.open(STATES)
        peer.feed("TimingData", {"n": 1}, UTC)
        peer.feed("TimingData", {"n": 2}, "0001-01-01T00:00:00Z")
        peer.wait()

    with Server(script) as server, Reading(source := open_f1(live_settings(server.url))) as reading:
        assert reading.topic("TimingData", 3).at == utc_ms(UTC)
    assert source.rejected["bad-time"] == 1


def test_delta_before_the_answer_comes_after_the_snapshot() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.records({})
        peer.receive()
        peer.records(feed("TimingData", {"n": 1}, UTC))
        answer = {"type": 3, "invocationId": "0", "result": STATES}
        peer.records({"type": 6}, feed("TimingData", {"n": 2}, UTC), answer, feed("TimingData", {"n": 3}, UTC))
        peer.wait()

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        reading.topic("TimingData", 4)
    assert [message.snapshot for message in reading.messages] == [True] * 4 + [False] * 3
    assert [message.data for message in reading.deltas] == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_answer_without_states_is_a_live_feed_with_nothing_to_tell() -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.records({})
        peer.receive()
        peer.records({"type": 3, "invocationId": "0", "result": None})
        peer.feed("SessionInfo", {"Key": 11372}, UTC)
        peer.wait()

    with Server(script) as server, Reading(source := open_f1(live_settings(server.url))) as reading:
        assert reading.topic("SessionInfo").at == utc_ms(UTC)
    assert source.session == "11372"


def test_next_session_in_one_connection_is_the_sources_session() -> None:
    def script(peer: Peer) -> None:
        peer.open(STATES)
        peer.feed("SessionInfo", {"Key": 11372}, UTC)
        peer.wait()

    with Server(script) as server, Reading(source := open_f1(live_settings(server.url), "11370")) as reading:
        reading.topic("SessionInfo", 2)
    assert source.session == "11372"


def test_we_ping_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitwall.sources.signalr.source.PING_S", 0.05)
    pings: list[Any] = []

    def script(peer: Peer) -> None:
        peer.open(STATES)
        pings.append(peer.receive())
        pings.append(peer.receive())
        peer.feed("TimingData", {}, UTC)
        peer.wait()

    with Server(script) as server, Reading(open_f1(live_settings(server.url, silence_s=20))) as reading:
        reading.topic("TimingData", 2)
    assert pings == [{"type": 6}, {"type": 6}]


# -- the instant of a snapshot -------------------------------------------------------------

NOW = utc_ms("2026-09-24T12:55:00Z") or 0


def test_snapshot_is_of_the_heartbeat_less_its_lead() -> None:
    states = {"Heartbeat": {"Utc": "2026-09-24T12:54:32Z"}, "ExtrapolatedClock": {"Utc": "2026-09-24T12:30:00Z"}}
    assert snapshot_instant(states, NOW) == utc_ms("2026-09-24T12:54:30Z")


def test_snapshot_is_of_the_newest_thing_it_tells() -> None:
    states = {
        "Heartbeat": {"Utc": "2026-09-24T12:54:22Z"},
        "RaceControlMessages": {"Messages": [{"Utc": "2026-09-24T12:54:26"}, {"Utc": "2026-09-24T12:10:00"}, None]},
        "SessionData": {"StatusSeries": {"0": {"Utc": "2026-09-24T12:00:00Z"}}},
    }
    assert snapshot_instant(states, NOW) == utc_ms("2026-09-24T12:54:26Z")


def test_snapshot_is_not_of_a_day_that_is_to_come() -> None:
    states = {"Heartbeat": {"Utc": "2026-09-24T12:54:22Z"}, "ExtrapolatedClock": {"Utc": "2027-09-24T12:54:22Z"}}
    assert snapshot_instant(states, NOW) == utc_ms("2026-09-24T12:54:20Z")


def test_snapshot_without_instants_is_of_the_sessions_start() -> None:
    info = {"StartDate": "2026-09-24T16:00:00", "GmtOffset": "04:00:00"}
    assert snapshot_instant({"SessionInfo": info}, NOW) == utc_ms("2026-09-24T12:00:00Z")
    assert snapshot_instant({"SessionInfo": info | {"StartDate": "2026-09-25T16:00:00"}}, NOW) == NOW
    assert snapshot_instant({"SessionInfo": []}, NOW) is None
