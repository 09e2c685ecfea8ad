"""The F1TV token: read however it was stored, tried once, given up in plain words, and never told to anybody."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.message import FeedStatus
from pitwall.secret import SecretError
from pitwall.settings import Settings
from pitwall.sources.signalr import SignalRSource, open_f1
from pitwall.sources.signalr.gated import TIMING_MOST, GatedTopics
from pitwall.sources.signalr.login import BadToken, read_token
from pitwall.sources.signalr.topics import GATED, GATED_NAMES
from tests.sources.signalr.reading import Reading, live_settings
from tests.sources.signalr.scripted import OK, Peer, Server

UTC = "2026-09-24T12:54:39.455Z"
HOUR = 3600
EXPIRED = 1_790_000_000  # 2026-09-21 at 14:13 UTC


def token(expires: float | None = None, **claims: Any) -> str:
    """A token as F1's account service makes them: signed with a key that only F1 has."""
    if expires is not None:
        claims["exp"] = expires
    return jwt.encode({"SubscriptionStatus": "active"} | claims, "a key only F1 has, of at least 32 bytes", "HS256")


GOOD = token(time.time() + 96 * HOUR)
SESSION = {"data": {"subscriptionToken": GOOD, "subscriptionStatus": "active"}, "profile": {"SessionId": "eyJ"}}


# -- reading it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GOOD, id="bare"),
        pytest.param(f"  {GOOD}\n", id="with white space"),
        pytest.param(f"Bearer {GOOD}", id="Bearer"),
        pytest.param(f"Authorization: bearer {GOOD}", id="header"),
        pytest.param(json.dumps(SESSION), id="JSON"),
        pytest.param(quote(json.dumps(SESSION)), id="cookie's value"),
        pytest.param(f"login-session={quote(json.dumps(SESSION))}; other=1", id="cookie"),
        pytest.param(quote(quote(json.dumps(SESSION))), id="quoted twice"),
        pytest.param(json.dumps({"subscriptionToken": GOOD}), id="only the token in it"),
    ],
)
def test_token_is_found_however_it_was_copied(text: str) -> None:
    assert read_token(text).value == GOOD


@pytest.mark.parametrize(
    "text",
    ["short", "two words here", "{}", '{"data":{"subscriptionToken":null}}', "%7B%22data%22",
     "a.b\r\nHost: evil.example", '{"subscriptionToken":"a.b.c\\r\\nHost: evil.example"}'],
)  # fmt: skip
def test_what_is_no_token_is_not_sent_to_anybody(text: str) -> None:
    with pytest.raises(BadToken) as error:
        read_token(text)
    assert text not in str(error.value)


@given(st.text(max_size=60))
def test_any_text_is_a_token_or_none(text: str) -> None:
    try:
        found = read_token(text)
    except BadToken:
        return
    assert found.value.isascii()
    assert found.value in text


def test_end_of_a_token_is_told() -> None:
    read = read_token(token(EXPIRED))
    assert (read.expires, read.expiry) == (EXPIRED, "2026-09-21 at 14:13 UTC")
    assert (read.expired(EXPIRED - 1), read.expired(EXPIRED)) == (False, True)


@pytest.mark.parametrize("expires", ["never", True, -1, 1e40, float("inf"), None])
def test_end_that_makes_no_sense_is_none(expires: Any) -> None:
    read = read_token(token(exp=expires))
    assert read.expires is None
    assert not read.expired(time.time())


def test_token_of_another_kind_has_no_end() -> None:
    assert read_token("an-opaque-token").expires is None


def test_token_does_not_show() -> None:
    assert GOOD not in repr(read_token(GOOD))


# -- using it ------------------------------------------------------------------------------


def live(peer: Peer) -> None:
    topics = peer.open({"LapCount": {"CurrentLap": 3}})
    peer.feed("TimingData", {"gated": GATED[0] in topics}, UTC)
    peer.wait()


def test_expired_token_is_not_sent_and_said() -> None:
    with Server(live) as server, Reading(open_f1(live_settings(server.url, f1_token=token(EXPIRED)))) as reading:
        status = reading.status("live")
        assert reading.topic("TimingData").data == {"gated": False}
    assert status.detail == "the F1TV token expired on 2026-09-21 at 14:13 UTC; reading the public topics only"
    assert status.gated_topics == GATED_NAMES
    assert all("authorization" not in request.headers for request in server.requests)


def test_token_that_cannot_be_read_is_said() -> None:
    with Server(live) as server, Reading(open_f1(live_settings(server.url, f1_token="not a token"))) as reading:
        status = reading.status("live")
    assert status.detail == (
        "the F1TV token cannot be read (it is neither a token nor a login session with one in it); "
        "reading the public topics only"
    )


def only_without_token(status: int) -> dict[str, Any]:
    return {"negotiate": [(status, {}, ""), OK]}


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["negotiate", "upgrade"])
def test_token_that_is_not_accepted_leaves_the_public_topics(where: str, status: int) -> None:
    answers: dict[str, Any] = {where: [(status, {}, ""), OK if where == "negotiate" else None]}
    with Server(live, **answers) as server, Reading(open_f1(live_settings(server.url, f1_token=GOOD))) as reading:
        said = reading.status("live")
        assert reading.topic("TimingData").data == {"gated": False}
        sent = ["authorization" in request.headers for request in server.requests if request.method == "POST"]
    assert said.detail == f"F1 did not accept the F1TV token ({status}); reading the public topics only"
    assert said.gated_topics == GATED_NAMES
    assert [one.state for one in reading.statuses[:2]] == ["connecting", "live"]
    assert sent == [True, False]


def test_subscription_refused_for_the_token_leaves_the_public_topics() -> None:
    def unauthorized(peer: Peer) -> None:
        peer.receive()
        peer.records({})
        peer.receive()
        peer.records({"type": 3, "invocationId": "0", "error": "Failed to invoke 'Subscribe': user is unauthorized"})
        peer.wait()

    settings = {"f1_token": GOOD}
    with Server(unauthorized, live) as server, Reading(open_f1(live_settings(server.url, **settings))) as reading:
        assert reading.topic("TimingData").data == {"gated": False}


def test_blocked_address_is_told_from_a_token_that_is_not_accepted() -> None:
    with Server(live, negotiate=[(403, {}, "")]) as server:
        source = SignalRSource(live_settings(server.url, f1_token=GOOD), pause=lambda _: source.close())
        states = [item.state for item in source.messages() if isinstance(item, FeedStatus)]
        sent = ["authorization" in request.headers for request in server.requests if request.method == "POST"]
    assert states == ["connecting", "refused"]
    assert sent == [True, False]


def test_token_is_tried_again_once_the_address_is_no_longer_blocked() -> None:
    blocked = [(403, {}, ""), (403, {}, ""), OK]
    with (
        Server(live, negotiate=blocked) as server,
        Reading(open_f1(live_settings(server.url, f1_token=GOOD))) as reading,
    ):
        assert reading.topic("TimingData").data == {"gated": True}


class Secret:
    """A secret of which there are new versions; the last for good."""

    def __init__(self, *versions: str | Exception) -> None:
        self.versions = list(versions)
        self.read = 0

    def __call__(self, version: str, timeout_s: float) -> str:
        self.read += 1
        held = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        if isinstance(held, Exception):
            raise held
        return held


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Secret]:
    def has(*versions: str | Exception) -> Secret:
        held = Secret(*versions)
        monkeypatch.setattr("pitwall.sources.signalr.source.read_secret", held)
        return held

    return has


def secret_settings(url: str, **changes: Any) -> Settings:
    return live_settings(url, f1_token_secret="projects/p/secrets/f1tv-token/versions/latest", **changes)


def once(peer: Peer) -> None:
    topics = peer.open({"LapCount": {"CurrentLap": 3}})
    peer.feed("TimingData", {"gated": GATED[0] in topics}, UTC)


def test_new_version_of_the_secret_counts_at_the_next_connection(secret: Callable[..., Secret]) -> None:
    held = secret(token(EXPIRED), GOOD)
    with Server(once, live) as server, Reading(open_f1(secret_settings(server.url))) as reading:
        reading.topic("TimingData", 2)
    assert [message.data for message in reading.deltas] == [{"gated": False}, {"gated": True}]
    assert held.read == 2


def test_token_that_was_not_accepted_is_tried_again_only_when_it_has_changed(secret: Callable[..., Secret]) -> None:
    other = token(time.time() + HOUR, other=True)
    secret(GOOD, GOOD, GOOD, other)
    with Server(once, once, live, negotiate=[(401, {}, ""), OK]) as server:
        with Reading(open_f1(secret_settings(server.url))) as reading:
            reading.topic("TimingData", 3)
        sent = [request.headers.get("authorization") for request in server.requests if request.method == "POST"]
    assert sent == [f"Bearer {GOOD}", None, None, f"Bearer {other}"]
    assert [message.data["gated"] for message in reading.deltas] == [False, False, True]


def test_secret_that_cannot_be_read_leaves_the_public_topics(secret: Callable[..., Secret]) -> None:
    secret(SecretError("Secret Manager does not give it: permission denied"))
    with Server(live) as server, Reading(open_f1(secret_settings(server.url))) as reading:
        status = reading.status("live")
    assert status.detail == (
        "the F1TV token cannot be read (Secret Manager does not give it: permission denied); "
        "reading the public topics only"
    )


def test_token_in_the_environment_is_taken_before_the_secret(secret: Callable[..., Secret]) -> None:
    held = secret(token(EXPIRED))
    with Server(live) as server, Reading(open_f1(secret_settings(server.url, f1_token=GOOD))) as reading:
        assert reading.topic("TimingData").data == {"gated": True}
    assert not held.read


# -- in mid-session ------------------------------------------------------------------------


def test_token_that_ends_in_mid_session_is_said_once_its_topics_have_stopped() -> None:
    now = time.time()
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})
        peer.feed("DriverRaceInfo", {"n": 1}, UTC)
        over.wait()
        while True:
            peer.feed("TimingData", {"n": 1}, UTC)
            threading.Event().wait(0.05)

    with Server(script) as server:
        source = SignalRSource(live_settings(server.url, f1_token=token(int(now) + HOUR)), wall=lambda: now)
        with Reading(source) as reading:
            reading.topic("DriverRaceInfo")
            reading.wait(lambda: reading.statuses[-1].gated_topics == ())
            now += 2 * HOUR
            over.set()
            reading.wait(lambda: reading.statuses[-1].gated_topics == GATED_NAMES)
    status = reading.statuses[-1]
    assert status.state == "live"
    assert status.detail.startswith("the F1TV token expired on ")


def test_server_that_closes_for_the_token_is_asked_again_without() -> None:
    def expires(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})
        peer.feed("TimingData", {"gated": True}, UTC)
        peer.records({"type": 7, "error": "The access token expired"})
        peer.wait()

    with Server(expires, live) as server, Reading(open_f1(live_settings(server.url, f1_token=GOOD))) as reading:
        again = reading.status("live", 2)
        assert reading.topic("TimingData", 2).data == {"gated": False}
    assert again.detail == "F1's server ended the connection: The access token expired; reading the public topics only"
    assert again.gated_topics == GATED_NAMES
    assert len(reading.gaps) == 1


def test_gated_topics_that_do_not_come_while_cars_are_timed_are_said_until_they_do() -> None:
    gated = GatedTopics(quiet_s=35, since=0)
    for _ in range(TIMING_MOST):
        gated.message("TimingData", 1)
    assert gated.trouble(34, expired=False) is None
    assert gated.trouble(35, expired=False) == "F1 sends nothing that needs a login, though there is an F1TV token"
    gated.message("CarData", 36)
    assert gated.trouble(36, expired=False) is None


def test_gated_topics_that_stop_while_cars_are_timed_are_said() -> None:
    gated = GatedTopics(quiet_s=35, since=0)
    gated.message("CarData", 1)
    for _ in range(TIMING_MOST):
        gated.message("TimingData", 36)
    assert gated.trouble(35, expired=False) is None
    assert gated.trouble(36, expired=False) == "F1 stopped sending what needs a login; is the F1TV token still good?"


def test_gated_topics_that_are_rare_are_no_trouble() -> None:
    gated = GatedTopics(quiet_s=35, since=0)
    for _ in range(5):
        gated.message("CarData", 0)
        for _ in range(TIMING_MOST - 1):
            gated.message("TimingData", 36)
    assert gated.trouble(36, expired=False) is None


def test_gated_topics_that_stop_with_the_session_are_no_trouble() -> None:
    gated = GatedTopics(quiet_s=35, since=0)
    gated.message("CarData", 0)
    for _ in range(200):
        gated.message("Heartbeat", 3000)
    assert gated.trouble(3000, expired=False) is None
    assert gated.trouble(3000, expired=True) is not None


@pytest.mark.parametrize(
    ("held", "line"),
    [
        ("", "no F1TV token; reading the public topics only"),
        (token(EXPIRED), "the F1TV token expired on 2026-09-21 at 14:13 UTC; reading the public topics only"),
    ],
)
def test_login_problem_is_logged_once(held: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    with Server(once, once, live) as server, Reading(open_f1(live_settings(server.url, f1_token=held))) as reading:
        reading.topic("TimingData", 3)
    assert caplog.messages.count(f"F1's live feed: {line}") == 1


# -- telling nobody ------------------------------------------------------------------------


def test_nothing_secret_is_said_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    secrets = [GOOD, "secret-connection-token", "secret-cookie"]
    options = [(405, {"Set-Cookie": "AWSALBCORS=secret-cookie; Path=/"}, "")]

    def tells(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})
        peer.feed("TimingData", {"n": 1}, UTC)
        peer.records({"type": 7, "error": f"oh: {' '.join(secrets)}"})
        peer.wait()

    caplog.set_level(logging.DEBUG)
    with Server(tells, live, options=options, negotiate=[OK, (502, {}, ""), OK]) as server:
        with Reading(open_f1(live_settings(server.url, f1_token=GOOD))) as reading:
            reading.status("live", 2)
            reading.topic("TimingData", 2)
        assert server.count("GET") == 2
    said = "\n".join([caplog.text, *map(repr, reading.items)])
    assert "F1's server ended the connection: oh: … … …" in said
    assert not [secret for secret in secrets if secret in said]
