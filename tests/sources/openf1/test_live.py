"""A session read from OpenF1 while it is on, from before its start to its end, on a clock nobody waits for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from local.openf1 import Asked, Rows, rows_of
from local.simulator import quick_race
from pitwall.message import FEED_GAP, FeedStatus, Message, feed_gap
from pitwall.sources.openf1.limits import FREE, PAID, Limit
from pitwall.sources.record import topic_rank
from pitwall.sources.recording import open_recording
from pitwall.timing.state import SessionState
from tests.sources.openf1.conftest import Told
from tests.sources.openf1.playing import (
    ACCOUNT,
    differences,
    documents,
    is_message,
    is_over,
    is_status,
    live,
    played,
    serving,
    session_statuses,
    until,
    write,
)
from tests.sources.openf1.test_history import NOT_IN_OPENF1, laps_of, of_the_retired

pytestmark = pytest.mark.whole

LONG_STOP_MS = 90_000
"""A stop longer than this, live, is told after the lap it ended: neither is marked."""


@dataclass(frozen=True)
class Followed:
    """A race followed to its end without an account: what came, what it makes, what was asked."""

    items: list[Message | FeedStatus]
    state: SessionState
    asked: list[Asked]
    rejected: Counter[str]


@pytest.fixture(scope="module")
def followed(race: Told) -> Followed:
    with serving(race.rows, since_ms=15_000) as (server, clock):
        source = live(server, clock, race.rows.session, quiet_s=60.0)
        items = until(source.messages(), is_over)
        source.close()
        return Followed(items, played(source.session, items), server.asked, source.rejected)


def test_every_lap_is_told_once_though_its_row_is_amended_sector_by_sector(race: Told, followed: Followed) -> None:
    assert followed.state.rejected == {}
    assert laps_of(followed.state) == laps_of(race.state)


def test_documents_are_those_of_the_recording(race: Told, followed: Followed) -> None:
    stopped_long = {
        car.number
        for car in race.state.data.cars.values()
        for visit in car.visits
        if visit.lane_time is not None and visit.lane_time > LONG_STOP_MS
    }
    allowed: dict[str, Any] = of_the_retired(race.retired) | {
        pattern: True
        for number in stopped_long
        for pattern in (rf"^drivers/{number} pitStops\.", rf"^laps/\d+ drivers\.{number}\.pitIn$")
    }
    assert differences(documents(race.state), documents(followed.state), allowed | NOT_IN_OPENF1) == []


def test_statuses_come_in_the_order_of_the_feeds(race: Told, followed: Followed) -> None:
    told = [status for _, status in session_statuses(followed.state)]
    assert told == [status for _, status in session_statuses(race.state)]


def test_it_begins_with_a_snapshot_of_one_instant_session_first(followed: Followed) -> None:
    messages = [item for item in followed.items if isinstance(item, Message)]
    snapshot = [message for message in messages if message.snapshot]
    assert snapshot == messages[: len(snapshot)]
    assert snapshot[0].topic == "SessionInfo"
    assert [message.topic for message in snapshot] == sorted((m.topic for m in snapshot), key=topic_rank)
    assert len({message.at for message in snapshot}) == 1


def test_nothing_is_told_twice(followed: Followed) -> None:
    once = ("RaceControlMessages", "WeatherData", "TeamRadio", "SessionStatus", "TrackStatus")
    told = Counter(
        (item.topic, str(item.data), item.at)
        for item in followed.items
        if isinstance(item, Message) and item.topic in once and not item.snapshot
    )
    assert [message for message, times in told.items() if times > 1] == []


def most_within(asked: list[Asked], seconds: float) -> int:
    instants = [request.at for request in asked]
    return max(sum(1 for at in instants if begin <= at < begin + seconds) for begin in instants)


@pytest.mark.parametrize("limit", FREE)
def test_without_an_account_the_free_limit_is_never_exceeded(followed: Followed, limit: Limit) -> None:
    assert most_within(followed.asked, limit.seconds) <= limit.requests


def test_the_limit_is_used(followed: Followed) -> None:
    assert most_within(followed.asked, 60.0) >= FREE[1].requests - 1


def test_only_what_may_be_newer_is_asked_for(followed: Followed) -> None:
    later = [request.path for request in followed.asked[200:]]
    for table in ("position", "intervals", "race_control"):
        assert all("date>=" in path for path in later if path.startswith(f"/v1/{table}?"))
    laps = [path for path in later if path.startswith("/v1/laps?")]
    assert sum("date_start>=" in path for path in laps) >= 0.9 * len(laps)


def test_the_urgent_tables_are_asked_for_most_often(followed: Followed) -> None:
    times = Counter(request.path.partition("?")[0].removeprefix("/v1/") for request in followed.asked)
    assert times["intervals"] > times["laps"] > times["race_control"] > times["stints"] > times["weather"]


def test_without_an_account_telemetry_is_not_asked_for_and_that_is_said(followed: Followed) -> None:
    assert not [request for request in followed.asked if "car_data" in request.path or "location" in request.path]
    status = next(item for item in followed.items if isinstance(item, FeedStatus) and item.state == "live")
    assert status.gated_topics == ("CarData", "Position")


@pytest.fixture(scope="module")
def telemetry(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Two laps with car data and positions."""
    race = quick_race(3, laps=2)
    return rows_of(open_recording(write(tmp_path_factory.mktemp("openf1") / "short.txt.gz", race)), telemetry=True)


def test_with_an_account_telemetry_is_told_within_the_paid_limit(telemetry: Rows) -> None:
    with serving(telemetry, since_ms=30_000, account=ACCOUNT, locked=True) as (server, clock):
        source = live(server, clock, account=True)
        ends = clock.seconds + 60
        items = until(source.messages(), lambda _: clock.seconds > ends)
        topics = Counter(item.topic for item in items if isinstance(item, Message))
        assert topics["CarData"] > 100
        assert topics["Position"] > 100
        for limit in PAID:
            assert most_within(server.asked, limit.seconds) <= limit.requests
        state = played(source.session, items)
        assert state.rejected == {}


def test_a_session_joined_in_its_middle_is_told_as_it_stands(race: Told) -> None:
    with serving(race.rows, since_ms=400_000) as (server, clock):
        source = live(server, clock)
        items = until(source.messages(), lambda item: isinstance(item, Message) and not item.snapshot)
        state = played(source.session, items)
    assert source.session == race.rows.session
    assert state.data.started_at == race.state.data.started_at
    assert max(car.counter or 0 for car in state.data.cars.values()) == 4
    assert len(state.data.race_control) >= 10
    assert not [item for item in items if isinstance(item, Message) and item.topic == FEED_GAP]


@pytest.mark.parametrize("after_s", [300, 800])
def test_taking_over_from_f1_in_mid_session_neither_loses_nor_doubles_nor_changes_a_lap(
    race: Told, after_s: int
) -> None:
    state, last = SessionState(race.rows.session), 0
    for message in race.messages():
        if message.at > race.rows.begins + after_s * 1000:
            break
        state.apply(message)
        last = max(last, message.at)
    with serving(race.rows, since_ms=(after_s + 25) * 1000) as (server, clock):
        source = live(server, clock, race.rows.session, quiet_s=60.0)
        messages = [item for item in until(source.messages(), is_over) if isinstance(item, Message)]
    state.apply(feed_gap(last, messages[0].at, "the source changed to OpenF1"))
    for message in messages:
        state.apply(message)
    state.finish()
    true, found = laps_of(race.state), laps_of(state)
    assert found.keys() == true.keys()
    assert {key: lap[0] for key, lap in found.items() if lap[0] not in (None, true[key][0])} == {}


def test_the_next_session_is_gone_over_to_when_openf1_has_it(short: Told) -> None:
    following = renumbered(short.rows, "9908", begins=short.rows.ends + 1_000_000)
    with serving(short.rows, following, since_ms=short.rows.ends - short.rows.begins - 30_000) as (server, clock):
        source = live(server, clock, quiet_s=60.0)
        items = until(source.messages(), lambda item: isinstance(item, Message) and "9908" in str(item.data.get("Key")))
        assert any(is_over(item) for item in items)
        last = items[-1]
        assert isinstance(last, Message)
        assert (last.topic, last.snapshot) == ("SessionInfo", True)
        assert source.session == "9908"


def renumbered(rows: Rows, key: str, begins: int) -> Rows:
    """The same session under another key, as it is in its end, known from `begins` on."""
    forms = {
        table: {row: [(begins, {**kept[-1][1], "session_key": int(key)})] for row, kept in found.items()}
        for table, found in rows.forms.items()
    }
    return Rows(key, begins, begins + 1, forms)


def test_closing_ends_the_iteration(race: Told) -> None:
    with serving(race.rows, since_ms=400_000) as (server, clock):
        source = live(server, clock)
        messages = source.messages()
        until(messages, is_message)
        source.close()
        assert not [item for item in messages if is_status("reconnecting")(item)]
