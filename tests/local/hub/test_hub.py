"""The hub at its socket, asked by hand: nothing of PitWall's own client is in between."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from local.hub import FaultPlan, Hub, Playing
from local.hub.hub import HubError
from tests.local.hub.asking import BEGAN, GATED, MESSAGES, PUBLIC, TOKEN, connected, lap, negotiate, recording


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return recording(tmp_path / "session.jsonl")


@pytest.fixture
def hub(path: Path) -> Iterator[Hub]:
    """Not started yet; once it is, it plays forty seconds in one."""
    with Hub([Playing(path)], speed=40, token=TOKEN) as up:
        yield up


def test_every_message_comes_in_order_with_its_own_instant(hub: Hub):
    with connected(hub) as client:
        client.subscribe(PUBLIC)
        hub.start()
        got = client.until(lambda arguments: lap(arguments) == MESSAGES - 1)
    laps = [lap(arguments) for arguments in got if arguments[0] == "TimingData"]
    assert laps == list(range(MESSAGES))
    assert got[0][0] == "SessionInfo"
    assert got[-1][2] == datetime.fromtimestamp((BEGAN + (MESSAGES - 1) * 1000) / 1000, UTC).isoformat(
        timespec="milliseconds"
    ).replace("+00:00", "Z")


def test_snapshot_is_what_has_been_played_so_far_and_the_feed_goes_on_from_there(hub: Hub):
    hub.start()
    while hub.position_ms < 10_000:
        time.sleep(0.01)
    with connected(hub) as client:
        snapshot = client.subscribe(PUBLIC)
        following = client.until(lambda arguments: lap(arguments) is not None)
    assert snapshot["SessionInfo"]["Key"] == 4711
    assert snapshot["TimingData"]["_kf"] is True
    assert lap(following[-1]) == snapshot["TimingData"]["Lines"]["4"]["NumberOfLaps"] + 1


def test_gated_topic_is_given_deflated_to_who_has_the_token_and_to_nobody_else(hub: Hub):
    with connected(hub, TOKEN) as member, connected(hub) as guest:
        member.subscribe(PUBLIC + GATED)
        guest.subscribe(PUBLIC + GATED)
        hub.start()
        guest.until(lambda arguments: lap(arguments) == MESSAGES - 1)
        [*_, car_data] = member.until(lambda arguments: arguments[0] == "CarData.z")
        hub.wait_until_ended(30)
        served = {frozenset(served.topics) for served in hub.served}
    assert json.loads(zlib.decompress(base64.b64decode(car_data[1]), -15).removeprefix(b"\xef\xbb\xbf")) == {
        "Entries": [{"Cars": {}}]
    }
    assert served == {frozenset({"SessionInfo", "TimingData", "CarData"}), frozenset({"SessionInfo", "TimingData"})}


def test_wrong_token_is_refused(hub: Hub):
    assert negotiate(hub, {"Authorization": "Bearer another"}).status_code == 401


def test_refusals_meet_as_many_as_were_asked_for(hub: Hub):
    hub.refuse(429, times=2, retry_after_s=3)
    answers = [negotiate(hub) for _ in range(3)]
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in answers] == [
        (429, "3"),
        (429, "3"),
        (200, None),
    ]
    assert [attempt.status for attempt in hub.attempts] == [429, 429, 200]


def test_socket_without_the_negotiations_cookie_is_refused(hub: Hub):
    token = negotiate(hub).json()["connectionToken"]
    assert httpx.get(f"{hub.url}/signalrcore?id={token}", headers={"Upgrade": "websocket"}, trust_env=False).is_error


def test_what_nobody_was_sent_is_named(hub: Hub):
    with connected(hub) as client:
        client.subscribe(PUBLIC)
        hub.start()
        client.until(lambda arguments: lap(arguments) == 5)
        hub.drop()
        with pytest.raises(ConnectionClosed):
            client.until(lambda arguments: False)
    hub.wait_until_ended(30)
    [served] = hub.served
    missed = [played for played in hub.missed() if played.topic == "TimingData"]
    assert [played.at for played in missed] == [BEGAN + n * 1000 for n in range(MESSAGES - len(missed), MESSAGES)]
    assert served.last + 1 == missed[0].ordinal


@pytest.mark.parametrize("how", ["cut", "join"])
def test_records_are_whole_however_they_are_put_into_messages(hub: Hub, how: str):
    (hub.cut_frames if how == "cut" else hub.join_frames)(1.0)
    with connected(hub) as client:
        client.subscribe(PUBLIC)
        hub.start()
        got = client.until(lambda arguments: lap(arguments) == MESSAGES - 1)
    assert [lap(arguments) for arguments in got if arguments[0] == "TimingData"] == list(range(MESSAGES))


def test_close_record_says_whether_to_come_back(hub: Hub):
    with connected(hub) as client:
        client.subscribe(PUBLIC)
        hub.close_frame(allow_reconnect=True)
        closed = client.next()
    assert (closed["type"], closed["allowReconnect"]) == (7, True)


def test_next_session_follows_the_one_before(path: Path, tmp_path: Path):
    following = recording(tmp_path / "next.jsonl", key=4712)
    with Hub([Playing(path), Playing(following, quiet_ms=1000)], speed=80) as hub, connected(hub) as client:
        client.subscribe(PUBLIC)
        hub.start()
        client.until(lambda arguments: arguments[0] == "SessionInfo" and arguments[1]["Key"] == 4712)


def test_redated_session_begins_now(path: Path):
    before = time.time()
    redated = Hub([Playing(path)], speed=40, redate=True)
    after = time.time()
    with redated as hub, connected(hub) as client:
        client.subscribe(PUBLIC)
        hub.start()
        [*_, (_, _, utc)] = client.until(lambda arguments: lap(arguments) == 0)
    assert before - 60 <= datetime.fromisoformat(utc).timestamp() <= after, "in the minute before"


def test_same_seed_makes_the_same_plan():
    one, same, other = (FaultPlan.seeded(seed, 3_600_000) for seed in (1, 1, 2))
    assert list(one) == list(same) != list(other)


def test_hub_that_is_not_up_says_so(path: Path):
    with pytest.raises(HubError, match="not up"):
        Hub([Playing(path)]).start()
