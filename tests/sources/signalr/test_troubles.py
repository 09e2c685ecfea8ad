"""What keeps the feed from coming, said in plain words, and how often the server is asked again."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pitwall.message import FeedStatus
from pitwall.sources import backoff as backoff_module
from pitwall.sources.backoff import LONGEST_ASKED_S, Backoff
from pitwall.sources.instants import utc_ms
from pitwall.sources.signalr import SignalRSource, open_f1
from pitwall.sources.trouble import retry_after_s
from tests.sources.signalr.conftest import Certificate
from tests.sources.signalr.reading import Reading, live_settings
from tests.sources.signalr.scripted import OK, Answer, Peer, Server

UTC = "2026-09-24T12:54:39.455Z"


def live(peer: Peer) -> None:
    peer.open({"LapCount": {"CurrentLap": 3}})
    peer.feed("TimingData", {"n": 1}, UTC)
    peer.wait()


class Attempts:
    """The waits of a source that does not wait; ends it after so many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.waits: list[float] = []
        self.source: SignalRSource | None = None

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) >= self.most:
            assert self.source is not None
            self.source.close()


def attempts(url: str, most: int, **settings: Any) -> tuple[list[float], list[FeedStatus]]:
    """Lets a source try so often; the waits it would have made, and what it said."""
    count = Attempts(most)
    count.source = SignalRSource(live_settings(url, **settings), pause=count.pause)
    items = list(count.source.messages())
    return count.waits, [item for item in items if isinstance(item, FeedStatus)]


# -- what the server answers ---------------------------------------------------------------


def answers(status: int, headers: dict[str, str] | None = None) -> list[Answer]:
    return [(status, headers or {}, "")]


BLOCKED = "F1 blocks this address (403); run the collector elsewhere, see docs/collector.md"


@pytest.mark.parametrize("where", ["negotiate", "upgrade"])
@pytest.mark.parametrize(
    ("status", "state", "detail"),
    [
        (401, "refused", "F1 wants a login (401) even for the public topics"),
        (403, "refused", BLOCKED),
        (429, "connecting", "F1's server was asked too often (429)"),
        (502, "connecting", "F1's server answers 502"),
        (503, "connecting", "F1's server answers 503"),
        (404, "connecting", "F1's server answers 404, which is not the live feed (127.0.0.1)"),
        (302, "connecting", "F1's server answers 302, which is not the live feed (127.0.0.1)"),
    ],
)
def test_answer_is_said_in_plain_words(where: str, status: int, state: str, detail: str) -> None:
    with Server(live, **{where: answers(status)}) as server:  # type: ignore[arg-type]
        _, statuses = attempts(server.url, 3)
    assert [(one.state, one.detail) for one in statuses] == [("connecting", ""), (state, detail)]


@pytest.mark.parametrize("status", [429, 502])
def test_busy_server_is_not_asked_a_second_question(status: int) -> None:
    with Server(live, options=answers(status)) as server:
        attempts(server.url, 2)
        assert [request.method for request in server.requests] == ["OPTIONS", "OPTIONS"]


def test_feed_that_was_refused_comes_when_it_is_allowed() -> None:
    with Server(live, negotiate=[(403, {}, ""), OK]) as server, Reading(open_f1(live_settings(server.url))) as reading:
        reading.status("live")
    assert [status.state for status in reading.statuses[:3]] == ["connecting", "refused", "live"]


def test_page_instead_of_an_upgrade_is_no_live_feed() -> None:
    with Server(live, upgrade=[(200, {"Content-Type": "text/html"}, "<html>")]) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == "F1's server answers 200, which is not the live feed (127.0.0.1)"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("<html>maintenance</html>", "F1's server answers with a page where it should negotiate"),
        ("[]", "F1's server answers with a page where it should negotiate"),
        ("x" * 100_000, "F1's server answers with a page where it should negotiate"),
        ('{"connectionToken": 7}', "F1's server negotiates no connection"),
        ('{"error": "Try\\nlater"}', "F1's server does not let us connect: Try later"),
    ],
)
def test_negotiation_without_a_connection_is_said(body: str, detail: str) -> None:
    with Server(live, negotiate=[(200, {}, body)]) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == detail


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ('{"error":"Requested protocol \'json\' is not available."}\x1e',
         "F1's server does not shake hands: Requested protocol 'json' is not available"),
        ('{"type":6}\x1e', "F1's server answers the handshake with something else"),
        ("hello\x1e", "F1's server answers the handshake with something else"),
        ("[]\x1e", "F1's server answers the handshake with something else"),
    ],
)  # fmt: skip
def test_wrong_answer_to_the_handshake_is_said(answer: str, detail: str) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.text(answer)
        peer.wait()

    with Server(script) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == detail


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"error": "It failed."}, "F1's server refuses the subscription: It failed"),
        ({"result": ["TimingData"]}, "F1's server answers the subscription with something else than states"),
    ],
)  # fmt: skip
def test_wrong_answer_to_the_subscription_is_said(answer: dict[str, Any], detail: str) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.records({})
        peer.receive()
        peer.records({"type": 3, "invocationId": "0"} | answer)
        peer.wait()

    with Server(script) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == detail


# -- what does not come --------------------------------------------------------------------


def drip(connection: socket.socket) -> None:
    """An answer that would take an hour, a byte now and then."""
    connection.recv(65536)
    while connection.send(b"HTTP/1.1 200 OK\r\nX-Slow: ") and not threading.Event().wait(0.1):
        pass


def nothing(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("raw", [nothing, drip])
def test_stalled_negotiation_is_given_up(raw: Callable[[socket.socket], None]) -> None:
    with Server(raw=raw) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == "F1's server did not answer within 0.5 s (negotiating)"


def no_handshake(peer: Peer) -> None:
    peer.wait()


def no_snapshot(peer: Peer) -> None:
    peer.receive()
    peer.records({})
    while True:
        peer.records({"type": 6})
        threading.Event().wait(0.05)


@pytest.mark.parametrize(("script", "step"), [(no_handshake, "shaking hands"), (no_snapshot, "subscribing")])
def test_stalled_step_is_given_up(script: Callable[[Peer], None], step: str) -> None:
    with Server(script) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == f"F1's server did not answer within 0.5 s ({step})"


def test_stalled_upgrade_is_given_up() -> None:
    def negotiates(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            if b"GET " not in data:
                connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(OK[2])}\r\n\r\n{OK[2]}".encode())

    with Server(raw=negotiates) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == "F1's server did not answer within 0.5 s (opening the WebSocket)"


def test_answer_that_is_no_http_is_said() -> None:
    def garbage(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x00\x01\x02 garbage\r\n\r\n")

    with Server(raw=garbage) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == "F1's server broke off or does not speak the protocol (negotiating)"


def test_server_that_hangs_up_is_said() -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(65536)

    with Server(raw=hang_up) as server:
        _, statuses = attempts(server.url, 1)
    assert statuses[-1].detail == "F1's server broke off or does not speak the protocol (negotiating)"


def test_name_that_cannot_be_found_is_said() -> None:
    _, statuses = attempts("http://livetiming.invalid", 1, connect_s=20.0)
    assert statuses[-1].detail == "the name livetiming.invalid cannot be found"


def test_server_that_takes_no_connections_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    _, statuses = attempts(f"http://127.0.0.1:{port}", 1)
    assert statuses[-1].detail == "127.0.0.1 takes no connections"


def test_certificate_nobody_vouches_for_is_said(certificate: Certificate) -> None:
    with Server(live, tls=certificate.context) as server:
        _, statuses = attempts(server.url, 1, connect_s=20.0)
    assert statuses[-1].detail == "no secure connection to 127.0.0.1 can be made: self-signed certificate"
    assert not server.requests


def test_server_that_does_not_speak_tls_is_said() -> None:
    def plain(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Server(raw=plain) as server:
        _, statuses = attempts(server.url.replace("http:", "https:"), 1)
    assert statuses[-1].detail.startswith("no secure connection to 127.0.0.1 can be made")


# -- silence and loss ----------------------------------------------------------------------


def test_pings_alone_are_silence() -> None:
    def script(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})
        while True:
            peer.records({"type": 6})
            threading.Event().wait(0.05)

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        status = reading.status("silent")
        reading.status("live", 2)
    assert status.detail == "nothing has come for 0.5 s"


def test_reader_that_takes_its_time_is_no_silence() -> None:
    def script(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})
        peer.feed("TimingData", {"n": 1}, UTC)
        peer.wait()

    now = 1000.0
    with Server(script) as server:
        source = SignalRSource(live_settings(server.url, silence_s=20), monotonic=lambda: now)
        messages = source.messages()
        topics = []
        for item in messages:
            if isinstance(item, FeedStatus):
                assert item.state in ("connecting", "live")
                continue
            topics.append(item.topic)
            now += 60  # longer than silence, at every message
            if len(topics) == 2:
                break
        threading.Timer(0.3, source.close).start()
        assert list(messages) == []
    assert topics == ["LapCount", "TimingData"]


def test_after_a_loss_status_gap_and_snapshot_come_in_this_order() -> None:
    def lost(peer: Peer) -> None:
        peer.open({"Heartbeat": {"Utc": "2026-09-24T12:54:32Z"}})
        peer.feed("TimingData", {"n": 1}, UTC)

    def again(peer: Peer) -> None:
        states = {"Heartbeat": {"Utc": "2026-09-24T12:55:02Z"}, "SessionInfo": {"Key": 1}}
        peer.open(states)
        peer.feed("TimingData", {"n": 2}, "2026-09-24T12:55:01Z")
        peer.wait()

    with Server(lost, again) as server, Reading(open_f1(live_settings(server.url, silence_s=20))) as reading:
        reading.topic("TimingData", 2)
    after = reading.items[reading.items.index(reading.status("live", 2)) :]
    resumed = utc_ms("2026-09-24T12:55:00Z")
    assert isinstance(after[0], FeedStatus)
    assert after[0].reconnects == 1
    assert [(one.topic, one.at) for one in after[1:] if not isinstance(one, FeedStatus)] == [
        ("FeedGap", resumed),
        ("SessionInfo", resumed),
        ("Heartbeat", resumed),
        ("TimingData", utc_ms("2026-09-24T12:55:01Z")),
    ]
    assert reading.gaps[0].data == {"From": utc_ms(UTC), "To": resumed, "Reason": "the connection broke"}


@pytest.mark.parametrize("speed", [1.0, float("inf")])
def test_snapshot_after_a_loss_is_never_before_the_newest_message(speed: float) -> None:
    def script(peer: Peer) -> None:
        peer.open({"Heartbeat": {"Utc": "2026-09-24T12:54:32Z"}})
        peer.feed("TimingData", {"n": 1}, UTC)
        peer.feed("TimingData", {"n": 2}, "2026-09-24T12:54:38Z")  # the feed's instants step back now and then

    with Server(script) as server:
        source = SignalRSource(live_settings(server.url, speed=speed), monotonic=lambda: 1000.0)
        with Reading(source) as reading:
            reading.topic("Heartbeat", 2)
    assert reading.gaps[0].at == utc_ms(UTC)
    assert reading.gaps[0].data["From"] == utc_ms("2026-09-24T12:54:38Z")
    assert [message.at for message in reading.messages if message.snapshot][:2] == [
        utc_ms("2026-09-24T12:54:30Z"),
        utc_ms(UTC),
    ]


def test_gap_lasts_as_long_as_nobody_listened_where_the_snapshot_is_old() -> None:
    def script(peer: Peer) -> None:
        peer.open({"Heartbeat": {"Utc": "2026-09-24T12:54:32Z"}})
        peer.feed("TimingData", {"n": 1}, UTC)

    now = 1000.0

    def pause(seconds: float) -> None:
        nonlocal now
        now += 90.25

    with Server(script) as server:
        source = SignalRSource(live_settings(server.url, speed=2.0), monotonic=lambda: now, pause=pause)
        gap = next(item for item in source.messages() if not isinstance(item, FeedStatus) and item.topic == "FeedGap")
    assert gap.data["To"] - gap.data["From"] == 180_000


# -- how often -----------------------------------------------------------------------------


@pytest.fixture
def longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes chance out of the waits: the longest of each."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)


@pytest.mark.usefixtures("longest")
def test_waits_grow_to_the_cap_and_stay_there() -> None:
    backoff = Backoff(60)
    waits = []
    for _ in range(2000):
        backoff.failed(0)
        waits.append(backoff.wait_s())
    assert waits[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(waits[8:]) == {60}


def test_waits_differ_between_two_that_failed_together() -> None:
    one, other = Backoff(60), Backoff(60)
    for backoff in (one, other):
        backoff.failed(0)
        backoff.failed(0)
    assert [one.wait_s() for _ in range(5)] != [other.wait_s() for _ in range(5)]
    assert min(one.wait_s() for _ in range(500)) >= 0.1


@pytest.mark.usefixtures("longest")
def test_connection_that_lived_two_hours_is_made_again_at_once() -> None:
    backoff = Backoff(60)
    for _ in range(9):
        backoff.failed(0)
    backoff.failed(7200)
    assert backoff.wait_s() <= backoff_module.FIRST_S


@pytest.mark.usefixtures("longest")
def test_connection_that_is_dropped_at_once_does_not_start_the_count_anew() -> None:
    backoff = Backoff(60)
    waits = []
    for _ in range(8):
        backoff.failed(5)
        waits.append(backoff.wait_s())
    assert waits[-1] == 60


def test_server_that_lets_us_in_and_drops_us_makes_no_storm(longest: None, caplog: pytest.LogCaptureFixture) -> None:
    def script(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})

    with Server(script) as server:
        waits, _ = attempts(server.url, 20, backoff_s=60.0)
        assert server.count("GET") == 20
    assert sum(waits) == 1 + 2 + 4 + 8 + 16 + 32 + 14 * 60
    assert len([line for line in caplog.messages if "the connection broke" in line]) == 5


def test_log_has_fewer_lines_the_longer_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    waits, statuses = attempts(f"http://127.0.0.1:{port}", 40)
    assert len(waits) == 40
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("pitwall")]
    assert [line.rpartition("(")[2] for line in lines] == [f"attempt {n})" for n in (1, 2, 4, 8, 16, 32)]
    assert len(statuses) == 2


def test_other_trouble_is_worth_a_line() -> None:
    backoff = Backoff(60)
    said = []
    for text in ("502", "502", "502", "503", "503"):
        backoff.failed(0)
        said.append(backoff.worth_saying(text))
    assert said == [True, True, False, True, False]


@pytest.mark.usefixtures("longest")
@pytest.mark.parametrize("status", [429, 503])
def test_time_the_server_asks_for_is_waited(status: int) -> None:
    with Server(live, negotiate=answers(status, {"Retry-After": "120"})) as server:
        waits, _ = attempts(server.url, 1)
    assert waits == [121]


@pytest.mark.usefixtures("longest")
def test_time_asked_for_at_the_websocket_is_waited_too() -> None:
    with Server(live, upgrade=[(429, {"retry-after": "120"}, "")]) as server:
        waits, _ = attempts(server.url, 1)
    assert waits == [121]


@pytest.mark.usefixtures("longest")
def test_time_asked_for_has_a_limit() -> None:
    backoff = Backoff(60)
    backoff.failed(0)
    assert backoff.wait_s(1e9) == LONGEST_ASKED_S + 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120", 120), (" 0 ", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None), ("", None), (None, None),
     ("-5", None), ("9" * 400, 999999999999)],
)  # fmt: skip
def test_retry_after_is_a_count_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text) == seconds


def test_half_open_websocket_frame_does_not_hold_up_the_end() -> None:
    """A frame that never ends is silence."""

    def script(peer: Peer) -> None:
        peer.open({"LapCount": {"CurrentLap": 3}})
        peer.raw(struct.pack("!BB", 0x81, 100) + b'{"type":1')
        peer.wait()

    with Server(script) as server, Reading(open_f1(live_settings(server.url))) as reading:
        assert reading.status("silent").detail == "nothing has come for 0.5 s"


def test_httpx_says_when_it_has_opened_a_socket() -> None:
    """What deadlines and `close` rely on."""
    seen = []

    def trace(event: str, info: dict[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            seen.append(info["return_value"].get_extra_info("socket"))

    with Server(live) as server, httpx.Client() as client:
        client.post(f"{server.url}/signalrcore/negotiate", extensions={"trace": trace})
    assert isinstance(seen[0], socket.socket)
