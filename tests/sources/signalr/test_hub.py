"""The live source through the hub that plays recordings as F1 does: every fault, and what is left of the feed after it.

The hub was written from FEED.md and not from this client. What it keeps note of is the measure: of the messages it
sent, none may be lost, come twice or come in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from local.hub import Hub, Playing
from local.hub.faults import Where
from pitwall.message import FEED_GAP, FeedState, FeedStatus, Message
from pitwall.sources.signalr import open_f1
from pitwall.sources.signalr.topics import GATED_NAMES
from tests.sources.signalr.reading import Reading, live_settings
from tests.sources.written import SESSION_INFO, core, packed, write

START = "2025-06-01T12:"
TOKEN = "a.token.of-this-test"
SECONDS = 180
LAST = SECONDS * 10 - 1
NEVER = 1 << 62
PATIENT: dict[str, float] = {"silence_s": 20, "connect_s": 20}
"""Settings under which a machine that stands still for a moment is not taken for a fault of the hub."""
SPEED = 30.0
"""Three minutes of feed in six seconds; a test takes as much of it as it needs, and the rest at once."""


BLOCKED = "F1 blocks this address (403); run the collector elsewhere, see docs/collector.md"


def clock(second: float) -> str:
    return f"{START}{int(second) // 60:02d}:{second % 60:06.3f}Z"


def session(path: Path, key: int = 4711) -> Path:
    """A session in which every message is another one: TimingData ten times a second, telemetry twice, Heartbeats."""
    lines = [core("SessionInfo", SESSION_INFO | {"Key": key, "Path": f"2025/{key}/"}, clock(0))]
    for number in range(LAST + 1):
        second = number / 10
        if number % 150 == 0:
            lines.append(core("Heartbeat", {"Utc": clock(second + 2)}, clock(second)))
        if number % 5 == 0:
            entries = [{"Utc": clock(second), "Cars": {"4": {"Channels": {"2": number % 300}}}}]
            lines.append(core("CarData.z", packed({"Entries": entries}), clock(second)))
        lines.append(core("TimingData", {"Lines": {"4": {"NumberOfLaps": number}}}, clock(second)))
    return write(path, *lines)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return session(tmp_path / "session.txt")


@pytest.fixture
def hub(recording: Path) -> Iterator[Hub]:
    with Hub([Playing(recording)], speed=SPEED, token=TOKEN) as playing:
        yield playing


def number(message: Message) -> int:
    """The lap of a TimingData message, which counts them."""
    count: int = message.data["Lines"]["4"]["NumberOfLaps"]
    return count


def timing(reading: Reading) -> list[Message]:
    return [message for message in reading.messages if message.topic == "TimingData"]


@contextmanager
def playing(hub: Hub, *, rush: bool = True, **changes: Any) -> Iterator[Reading]:
    """Reads the hub's feed from its first message on; at its end proves that what was sent has come.

    rush: what the test leaves of the feed is played at once.

    Nothing the hub sent is missing, doubled or out of order; every snapshot stands where the messages around it say;
    what nobody was sent lies between the two messages around a gap.
    """
    source = open_f1(live_settings(hub.url, speed=SPEED, **(PATIENT | changes)))
    with Reading(source) as reading:
        reading.status("live")
        hub.start()
        yield reading
        if rush:
            hub.set_speed(600)
        hub.wait_until_ended(60)
        reading.wait(lambda: number(timing(reading)[-1]) == LAST)
    deltas = [number(message) for message in timing(reading) if not message.snapshot]
    missed = [played for played in hub.missed() if played.topic == "TimingData"]
    assert deltas == sorted(set(deltas))
    assert len(deltas) + len(missed) == LAST + 1
    for before, after in pairwise(timing(reading)):
        if after.snapshot:
            assert number(after) >= number(before)
        else:
            assert number(after) == number(before) + 1
    assert all(any(start <= played.at < end for start, end in gaps(reading)) for played in missed)
    assert not source.rejected


def gaps(reading: Reading) -> Iterator[tuple[int, int]]:
    """For each gap the instants of the last message before and of the first after its snapshot."""
    following = iter(reading.messages)
    for message in following:
        if message.topic == FEED_GAP:
            yield message.data["From"], next((later.at for later in following if not later.snapshot), NEVER)


def lost(reading: Reading, fault: Callable[[], None], state: FeedState = "reconnecting") -> FeedStatus:
    """Does something to a connection some way into the feed; waits until the feed has come again for a while. What was
    said about it."""
    reading.wait(lambda: len(reading.deltas) > 30)
    lives = sum(status.state == "live" for status in reading.statuses)
    fault()
    said = reading.status(state)
    reading.status("live", lives + 1)
    seen = len(reading.deltas)
    reading.wait(lambda: len(reading.deltas) > seen + 20)
    assert len(reading.gaps) == 1
    assert said.detail.startswith(reading.gaps[0].data["Reason"])
    return said


def test_session_comes_whole_without_a_fault(hub: Hub) -> None:
    with playing(hub) as reading:
        pass
    assert not hub.missed()
    assert [status.state for status in reading.statuses] == ["connecting", "live"]
    assert [served.ended for served in hub.served] in (["hung up"], ["the hub is closed"], [""])


def test_gated_topics_come_with_the_token_and_only_then(hub: Hub) -> None:
    with playing(hub, f1_token=TOKEN) as reading:
        reading.topic("CarData")
    assert (reading.statuses[-1].gated_topics, reading.statuses[-1].detail) == ((), "")


def test_public_topics_come_without_a_token(hub: Hub) -> None:
    with playing(hub) as reading:
        pass
    assert "CarData" not in {message.topic for message in reading.messages}
    assert reading.statuses[-1].gated_topics == GATED_NAMES


def test_frames_that_are_cut_in_two_are_whole(hub: Hub) -> None:
    hub.cut_frames(0.8)
    with playing(hub):
        pass
    assert not hub.missed()


def test_frames_that_come_together_are_all_read(hub: Hub) -> None:
    hub.join_frames(0.8)
    with playing(hub):
        pass
    assert not hub.missed()


def test_dropped_connection_is_made_again(hub: Hub) -> None:
    with playing(hub) as reading:
        assert lost(reading, hub.drop).detail == "the connection broke"
    assert hub.missed()


def test_silent_connection_is_given_up(hub: Hub) -> None:
    with playing(hub, silence_s=1.5) as reading:
        assert lost(reading, hub.silence, "silent").detail == "nothing has come for 1.5 s"


def test_messages_that_come_late_are_no_silence(hub: Hub) -> None:
    with playing(hub) as reading:
        reading.wait(lambda: len(reading.deltas) > 30)
        hub.silence(1.0)
    assert not hub.missed()
    assert len(hub.served) == 1


def test_connection_that_is_closed_by_the_hub_is_made_again(hub: Hub) -> None:
    with playing(hub) as reading:
        said = lost(reading, hub.close_frame)
    assert said.detail == "F1's server ended the connection: Connection closed with an error"


@pytest.mark.parametrize(
    ("status", "where", "state", "detail"),
    [
        (403, "negotiate", "refused", BLOCKED),
        (429, "negotiate", "reconnecting", "F1's server was asked too often (429)"),
        (502, "negotiate", "reconnecting", "F1's server answers 502"),
        (502, "connect", "reconnecting", "F1's server answers 502"),
    ],
)
def test_feed_that_is_refused_for_a_while_comes_again(
    hub: Hub, status: int, where: Where, state: FeedState, detail: str
) -> None:
    def fault() -> None:
        hub.refuse(status, times=2, where=where)
        hub.drop()

    with playing(hub) as reading:
        lost(reading, fault)
    assert (state, detail) in [(said.state, said.detail) for said in reading.statuses]
    assert [attempt.status for attempt in hub.attempts].count(status) == 2


@pytest.mark.parametrize("stall", [Hub.stall_negotiate, Hub.stall_handshake, Hub.fail_subscribe])
def test_step_that_is_not_answered_is_tried_again(hub: Hub, stall: Callable[[Hub, int], None]) -> None:
    def fault() -> None:
        stall(hub, 1)
        hub.drop()

    with playing(hub, connect_s=1.5) as reading:
        lost(reading, fault)
    assert reading.statuses[-1].reconnects == 1


def test_token_that_expires_in_mid_session_leaves_the_public_topics(hub: Hub) -> None:
    with playing(hub, f1_token=TOKEN) as reading:
        reading.topic("CarData")
        lost(reading, hub.expire_token)
        status = reading.statuses[-1]
        seen = len(reading.messages)
    assert status.gated_topics == GATED_NAMES
    assert status.detail.endswith("; reading the public topics only")
    assert "CarData" not in {message.topic for message in reading.messages[seen:]}


def test_token_the_hub_does_not_know_leaves_the_public_topics(hub: Hub) -> None:
    with playing(hub, f1_token="another.token.altogether") as reading:
        pass
    assert reading.statuses[-1].detail == "F1 did not accept the F1TV token (401); reading the public topics only"
    assert not hub.missed()


def test_next_session_follows_in_the_same_connection(recording: Path, tmp_path: Path) -> None:
    following = session(tmp_path / "next.txt", key=4712)
    with (
        Hub([Playing(recording, end_ms=20_000), Playing(following, end_ms=20_000)], SPEED, redate=True) as hub,
        Reading(source := open_f1(live_settings(hub.url, speed=SPEED, **PATIENT))) as reading,
    ):
        reading.status("live")
        hub.start()
        hub.wait_until_ended(60)
        reading.wait(lambda: source.session == "4712" and number(timing(reading)[-1]) == 199)
    keys = [message.data["Key"] for message in reading.messages if message.topic == "SessionInfo"]
    assert keys == [4711, 4712]
    assert [number(message) for message in timing(reading)] == [*range(200), *range(200)]


def test_next_session_that_begins_while_nobody_listens_is_in_the_snapshot(recording: Path, tmp_path: Path) -> None:
    following = session(tmp_path / "next.txt", key=4712)
    with (
        Hub([Playing(recording, end_ms=20_000), Playing(following, end_ms=20_000)], SPEED, redate=True) as hub,
        Reading(source := open_f1(live_settings(hub.url, speed=SPEED, **PATIENT))) as reading,
    ):
        reading.status("live")
        hub.start()
        reading.wait(lambda: len(timing(reading)) > 60)
        hub.refuse(502, times=None)
        hub.drop()
        hub.wait_until_ended(60)
        hub.allow()
        reading.topic(FEED_GAP)
        reading.topic("TimingData")
        reading.wait(lambda: reading.messages[-1].snapshot and source.session == "4712")
    after = reading.messages[reading.messages.index(reading.gaps[0]) + 1 :]
    assert [message.topic for message in after[:2]] == ["SessionInfo", "TimingData"]
    assert (after[0].data["Key"], number(after[1])) == (4712, 199)


def test_hub_that_drops_us_after_a_while_is_asked_once_each_time(recording: Path) -> None:
    """The real one does so every two hours."""
    with Hub([Playing(recording)], SPEED, lifetime_s=40) as hub, playing(hub, rush=False, backoff_s=0.1):
        pass
    assert len(hub.served) > 2
    assert [attempt.kind for attempt in hub.attempts].count("negotiate") == len(hub.served)
