"""The hubs at their sockets, asked by hand: what they send, and what goes wrong when it is to."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from local.hub.plan import KART_KINDS, Fault, FaultPlan
from local.karts import ApexHub, RaceMonitorHub, RMonitorHub, protocol_of
from local.karts.hub import SCANNERS
from local.karts.rmonitor import LineHub
from pitwall.sources.recording import NotARecording
from pitwall.sources.rmonitor import protocol
from tests.local.karts.asking import (
    BOARD,
    FRAMES,
    PACKET,
    WAIT_S,
    Lines,
    frame,
    frames,
    looked_up,
    packet,
    packets,
    polled,
    until,
    watching,
)

LAST, LAST_LINE = f"r2|*|{FRAMES}|", packet(FRAMES)
HOUR_MS = 3_600_000


@pytest.fixture
def apex(tmp_path: Path) -> Iterator[ApexHub]:
    """Not started yet. The board is there; the laps come as fast as they are read."""
    with ApexHub(frames(tmp_path / "track.jsonl"), math.inf, start_ms=500) as hub:
        yield hub


@pytest.fixture
def rmonitor(tmp_path: Path) -> Iterator[RMonitorHub]:
    with RMonitorHub(packets(tmp_path / "track.txt"), math.inf, start_ms=500) as hub:
        yield hub


class TestApexTiming:
    def test_frames_come_as_they_were_behind_the_board(self, apex: ApexHub):
        with watching(apex) as client:
            assert client.recv(WAIT_S) == BOARD
            apex.start()
            assert until(client, LAST) == [frame(n) for n in range(1, FRAMES + 1)]
        apex.wait_until_ended(WAIT_S)
        assert apex.missed() == []
        assert [(served.first, served.last, served.messages) for served in apex.served] == [(0, FRAMES - 1, FRAMES)]

    def test_late_comer_gets_the_board_as_it_is_over_socket_and_polling(self, apex: ApexHub):
        apex.start()
        apex.wait_until_ended(WAIT_S)
        with watching(apex) as client:
            board = str(client.recv(WAIT_S))
        assert f'data-id="r2c5" class="tn">1:{FRAMES}.000<' in board
        assert polled(apex) == ("0", str(FRAMES), board)
        assert polled(apex, "0", str(FRAMES - 2)) == ("0", str(FRAMES), frame(FRAMES - 1) + frame(FRAMES))
        assert polled(apex, "0", str(FRAMES)) == ("0", str(FRAMES), "")
        assert polled(apex, "0", str(FRAMES + 1))[2] == "REFRESH_BROWSER"

    def test_cut_and_joined_frames_hold_the_same_lines(self, apex: ApexHub):
        apex.cut_frames(0.5)
        apex.join_frames(0.5)
        with watching(apex) as client:
            assert client.recv(WAIT_S) == BOARD
            apex.start()
            got = until(client, LAST)
        assert "".join(got) == "".join(frame(n) for n in range(1, FRAMES + 1))
        assert got != [frame(n) for n in range(1, FRAMES + 1)]

    def test_scanners_and_a_board_anew_come_between_the_frames(self, apex: ApexHub):
        with watching(apex) as client:
            board = client.recv(WAIT_S)
            for _ in SCANNERS:
                apex.junk()
            apex.reset()
            assert [client.recv(WAIT_S) for _ in range(4)] == [*SCANNERS, board]

    def test_dropped_client_may_come_back_when_it_is_let_in(self, apex: ApexHub):
        with watching(apex) as client:
            client.recv(WAIT_S)
            apex.refuse(403)
            apex.refuse(429, where="poll", retry_after_s=7)
            apex.drop()
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(WAIT_S)
        assert closed.value.rcvd is None  # no close frame
        with pytest.raises(InvalidStatus) as refused, watching(apex):
            pass
        assert refused.value.response.status_code == 403
        with pytest.raises(httpx.HTTPStatusError) as answered:
            polled(apex)
        assert (answered.value.response.status_code, answered.value.response.headers["Retry-After"]) == (429, "7")
        with watching(apex) as client:
            assert client.recv(WAIT_S) == BOARD
        assert [attempt.status for attempt in apex.attempts if attempt.kind == "connect"] == [101, 403, 101]

    def test_silent_client_is_told_nothing_and_is_not_hung_up_on(self, apex: ApexHub):
        with watching(apex) as client:
            client.recv(WAIT_S)
            apex.silence()
            apex.start()
            apex.wait_until_ended(WAIT_S)
            with pytest.raises(TimeoutError):
                client.recv(0.05)
            client.ping().wait(WAIT_S)
            assert (apex.connections, len(apex.missed())) == (1, FRAMES)

    def test_what_is_held_comes_later_and_all_of_it(self, apex: ApexHub):
        with watching(apex) as client:
            client.recv(WAIT_S)
            apex.silence(0.3)
            apex.start()
            with pytest.raises(TimeoutError):
                client.recv(0.05)
            assert len(until(client, LAST)) == FRAMES


class TestRMonitor:
    def test_lines_come_as_they_were_behind_the_board(self, rmonitor: RMonitorHub):
        client = Lines(rmonitor)
        board = client.until('"Green "\r\n').split("\r\n")
        rmonitor.start()
        assert sorted(board) == sorted(PACKET.split("\r\n"))
        assert client.until(LAST_LINE) == "".join(packet(n) for n in range(1, FRAMES + 1))
        client.close()

    def test_cut_and_fused_lines_hold_the_same_records(self, rmonitor: RMonitorHub):
        rmonitor.cut_frames(1.0)
        rmonitor.join_frames(0.7)
        client = Lines(rmonitor)
        client.until('"Green "\r\n')
        rmonitor.start()
        lines = client.until(LAST_LINE).split("\r\n")
        client.close()
        told = "".join(packet(n) for n in range(1, FRAMES + 1)).split("\r\n")
        assert len(lines) < len(told)
        assert list(records(lines)) == list(records(told))

    def test_reset_comes_with_the_board_and_scanners_between(self, rmonitor: RMonitorHub):
        client = Lines(rmonitor)
        board = client.until('"Green "\r\n')
        rmonitor.junk()
        rmonitor.reset()
        assert client.until('"Green "\r\n') == f'{SCANNERS[0]}$I,"12:00:00","01 Jan 30"\r\n{board}'
        client.close()

    def test_dropped_client_is_hung_up_on_until_it_is_let_in(self, rmonitor: RMonitorHub):
        rmonitor.refuse(502, times=None)
        with pytest.raises(EOFError):
            Lines(rmonitor).until("\n")
        rmonitor.allow()
        client = Lines(rmonitor)
        client.until('"Green "\r\n')
        rmonitor.drop()
        with pytest.raises(EOFError):
            client.until("\n")


def records(lines: list[str]) -> Iterator[protocol.Fields]:
    for line in lines:
        yield from protocol.records(line, pytest.fail)


class TestRaceMonitor:
    @pytest.fixture
    def hub(self, tmp_path: Path) -> Iterator[RaceMonitorHub]:
        with RaceMonitorHub(packets(tmp_path / "track.txt"), math.inf, start_ms=500) as hub:
            yield hub

    def test_who_has_looked_it_up_and_joined_gets_board_and_lines(self, hub: RaceMonitorHub):
        url, join = looked_up(hub)
        with connect(url, proxy=None) as client:
            client.send(join)
            assert sorted(str(client.recv(WAIT_S)).split("\r\n")) == sorted(PACKET.split("\r\n"))
            hub.start()
            assert until(client, LAST_LINE) == [packet(n) for n in range(1, FRAMES + 1)]

    def test_who_joins_by_another_name_gets_nothing(self, hub: RaceMonitorHub):
        url, join = looked_up(hub)
        with connect(url, proxy=None) as client:
            client.send(f"{join}x")
            with pytest.raises(ConnectionClosed):
                client.recv(WAIT_S)
        with pytest.raises(InvalidStatus), connect(f"{url}x", proxy=None):
            pass
        with pytest.raises(IndexError):
            looked_up(hub, "1")
        hub.refuse(429)
        with pytest.raises(httpx.HTTPStatusError):
            looked_up(hub)
        assert [(attempt.kind, attempt.status) for attempt in hub.attempts] == [
            ("lookup", 200), ("connect", 101), ("subscribe", 400), ("connect", 403), ("lookup", 200), ("lookup", 429),
        ]  # fmt: skip


def test_plan_of_faults_is_applied_and_a_client_that_comes_back_knows_the_end(tmp_path: Path):
    plan = FaultPlan([(3_000, Fault("junk")), (6_000, Fault("drop")), (9_000, Fault("refuse-connect"))])
    with ApexHub(frames(tmp_path / "track.jsonl"), 60, plan=plan) as hub:
        hub.start()
        got = ""
        while LAST not in got and f"1:{FRAMES}.000" not in got:
            try:
                with watching(hub) as client:
                    while LAST not in got and f"1:{FRAMES}.000" not in got:
                        got = str(client.recv(WAIT_S))
            except (ConnectionClosed, InvalidStatus):
                continue
        hub.wait_until_ended(WAIT_S)
        assert hub.served[0].ended == "drop"


def test_seeded_plan_has_every_kind_a_track_can_have():
    plan = FaultPlan.seeded(5, HOUR_MS, kinds=KART_KINDS)
    assert {fault.kind for _, fault in plan} == set(KART_KINDS)
    assert "the whole board is sent anew" in str(plan)


def test_hub_tells_a_poller_what_it_needs(apex: ApexHub, rmonitor: RMonitorHub):
    assert (apex.source, apex.env) == (f"apex:{apex.url}", {"PITWALL_PRIVATE_HOSTS": "on"})
    assert rmonitor.source == "rmonitor:{}:{}".format(*rmonitor.address)
    assert isinstance(rmonitor, LineHub)


def test_what_is_no_capture_of_a_track_is_refused(tmp_path: Path):
    assert protocol_of(packets(tmp_path / "track.txt")) == "rmonitor"
    race = tmp_path / "race.txt"
    race.write_text('00:00:01.000{"Lines": {}}\n')
    with pytest.raises(NotARecording):
        ApexHub(race)
    command = [sys.executable, "-m", "local.karts", str(tmp_path / "track.txt"), "--protocol", "apex"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "cannot be played as apex" in done.stderr) == (2, True)
