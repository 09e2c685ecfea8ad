"""What goes wrong with OpenF1's server: each is said in plain words, and the session goes on."""

from __future__ import annotations

import logging

import pytest

from local.openf1 import SECRET
from pitwall.message import FEED_GAP, FeedStatus, Message
from pitwall.sources.openf1.trouble import Trouble
from tests.sources.openf1.conftest import Told
from tests.sources.openf1.playing import (
    ACCOUNT,
    Clock,
    is_message,
    is_status,
    live,
    past,
    serving,
    statuses,
    until,
)

MIDDLE_MS = 100_000


def test_after_429_nothing_is_asked_for_as_long_as_the_server_said(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        server.fail(429, retry_after=17)
        until(live(server, clock).messages(), is_message)
        assert [request.status for request in server.asked[:2]] == [429, 200]
        assert server.asked[1].at - server.asked[0].at >= 17


def test_a_server_that_counts_stricter_than_it_says_is_obeyed(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, limits=((10, 60.0),)) as (server, clock):
        items = until(live(server, clock).messages(), is_message)
        assert 429 in {request.status for request in server.asked}
        assert isinstance(items[-1], Message)


@pytest.mark.parametrize("status", [401, 403])
def test_the_lock_while_a_session_is_on_is_said_and_tried_again(short: Told, status: int) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        server.fail(status, times=None)
        source = live(server, clock)
        messages = source.messages()
        items = until(messages, is_status("refused"))
        assert items[-1].detail == f"OpenF1 answers only with a paid account while a session is on ({status})"  # type: ignore[union-attr]
        asked = len(server.asked)
        server.allow()
        items = until(messages, is_message)
        assert ("live", "") in statuses(items)
        assert len(server.asked) > asked


def test_a_refused_question_is_not_repeated_at_once(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, locked=True) as (server, clock):
        messages = live(server, clock).messages()
        until(messages, is_status("refused"))
        assert len(server.asked) == 1


def test_a_server_error_in_mid_session_loses_nothing(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        source = live(server, clock)
        messages = source.messages()
        until(messages, lambda item: isinstance(item, Message) and not item.snapshot)
        server.fail(502, times=12)
        items = until(messages, is_status("live"))
        assert ("reconnecting", "OpenF1's server answers 502") in statuses(items)
        assert items[-1].reconnects == 1  # type: ignore[union-attr]
        items = until(messages, is_message)
        assert not [item for item in items if isinstance(item, Message) and (item.snapshot or item.topic == FEED_GAP)]


def test_one_server_error_is_not_worth_a_status(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        server.fail(500)
        items = until(live(server, clock).messages(), is_message)
        assert statuses(items) == [("connecting", ""), ("live", "")]


def test_garbage_is_asked_for_again(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        server.garble(times=4)
        items = until(live(server, clock).messages(), is_message)
        assert ("connecting", "OpenF1 answered what is no JSON") in statuses(items)


@pytest.mark.parametrize("body", [b'{"detail": "something"}', b"17", b'"rows"', b"null"])
def test_an_answer_that_is_no_table_is_said(short: Told, body: bytes) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        server.garble(body, times=4)
        items = until(live(server, clock).messages(), is_message)
        assert ("connecting", "OpenF1 answered what is no table") in statuses(items)


def test_rows_that_are_none_are_counted_and_passed_over(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        source = live(server, clock)
        messages = source.messages()
        until(messages, is_message)
        server.garble(b'[{"driver_number": "x"}, 3, null, {"driver_number": [1], "date": {}}]', times=3)
        until(messages, lambda _: bool(sum(source.rejected.values())))
        assert {reason.partition("-")[0] for reason in source.rejected} == {"bad"}


def test_a_slow_server_is_given_up_on_and_asked_again(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        server.slow(2.0, times=3)
        items = until(live(server, clock, connect_s=0.2).messages(), is_message)
        assert ("connecting", "OpenF1 did not answer within 0.2 s") in statuses(items)


def test_a_server_that_is_not_there_is_said(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        source = live(server, clock)
    items = until(source.messages(), lambda item: isinstance(item, FeedStatus) and bool(item.detail))
    assert statuses(items)[-1] == ("connecting", "OpenF1's server takes no connections")


def test_a_session_openf1_does_not_have_yet_is_waited_for(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS) as (server, clock):
        items = until(live(server, clock, "4711").messages(), lambda item: isinstance(item, FeedStatus) and item.detail)
        assert statuses(items)[-1] == ("connecting", "OpenF1 does not have session 4711 yet")


# -- the account ---------------------------------------------------------------------------


def test_an_account_opens_what_is_locked(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, account=ACCOUNT, locked=True) as (server, clock):
        until(live(server, clock, account=True).messages(), is_message)
        assert server.asked[0].path == "/token"
        assert {request.status for request in server.asked} <= {200, 404}


def test_a_token_is_renewed_before_it_expires(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, account=ACCOUNT, locked=True, token_lives_s=250.0) as (server, clock):
        ends = clock.seconds + 140
        until(live(server, clock, account=True).messages(), lambda _: clock.seconds > ends)
        assert sum(request.path == "/token" for request in server.asked) >= 2
        assert 401 not in {request.status for request in server.asked}


def test_a_token_that_is_not_accepted_any_more_is_got_anew(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, account=ACCOUNT, locked=True) as (server, clock):
        messages = live(server, clock, account=True).messages()
        until(messages, lambda item: isinstance(item, Message) and not item.snapshot)
        server.expire_tokens()
        asked = len(server.asked)
        items = until(messages, lambda _: len(server.asked) > asked + 5)
        assert [request.status for request in server.asked[asked : asked + 3]] == [401, 200, 200]
        assert statuses(items) == []


def test_a_wrong_password_is_said_without_it(short: Told, caplog: pytest.LogCaptureFixture) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, account=("someone", "another"), locked=True) as (server, clock):
        items = until(live(server, clock, account=True).messages(), is_status("refused"))
        assert statuses(items)[-1] == ("refused", "OpenF1 does not accept the user name and password")


def test_neither_password_nor_token_is_logged(short: Told, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(short.rows, since_ms=MIDDLE_MS, account=ACCOUNT, locked=True) as (server, clock):
        messages = live(server, clock, account=True).messages()
        items = until(messages, is_message)
        server.fail(403, times=3)
        items += until(messages, is_status("refused"))
    said = caplog.text + str(items)
    assert ACCOUNT[1] not in said
    assert SECRET not in said


def test_trouble_at_the_token_is_waited_out(short: Told) -> None:
    with serving(short.rows, since_ms=MIDDLE_MS, account=ACCOUNT, locked=True) as (server, clock):
        server.fail(502, times=5, tables=["token"])
        items = until(live(server, clock, account=True).messages(), is_message)
        assert ("connecting", "OpenF1's server answers 502") in statuses(items)


# -- history -------------------------------------------------------------------------------


def test_history_is_read_through_passing_troubles(short: Told) -> None:
    with serving(short.rows, since_ms=100_000_000) as (server, clock):
        server.fail(503, times=2, retry_after=5)
        server.fail(429, times=1, retry_after=9)
        assert len(list(past(server, clock, short.rows.session).messages())) > 500


def test_history_that_cannot_be_read_is_an_error(short: Told) -> None:
    with serving(short.rows, since_ms=100_000_000) as (server, clock):
        server.fail(500, times=None)
        with pytest.raises(Trouble, match="500"):
            list(past(server, clock, short.rows.session).messages())


def test_closed_history_ends(short: Told) -> None:
    with serving(short.rows, since_ms=100_000_000) as (server, clock):
        server.fail(500, times=None)
        source = past(server, Closing(clock), short.rows.session)
        source_of_the_clock.append(source)
        assert list(source.messages()) == []


source_of_the_clock: list[object] = []


class Closing(Clock):
    """Whoever waits by this clock finds the source closed."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock.now_ms())

    def pause(self, seconds: float) -> None:
        source_of_the_clock[-1].close()  # type: ignore[attr-defined]
