"""The collector as a process beside the emulators, and one feed's loop by itself."""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from google.cloud import firestore as firestore_api

from local import FUNCTIONS
from local.emulators import Emulator
from pitwall.collect import NotConfigured, configured, health_app, main
from pitwall.message import Message
from pitwall.pipeline.collector import STUCK_S, Collector
from pitwall.pipeline.database import Database
from pitwall.pipeline.lease import Lease
from pitwall.pipeline.poller import SourceError
from pitwall.pipeline.reader import Opened
from pitwall.settings import Settings
from tests.pipeline.conftest import Deliver, little_race, recorded, write_recording

SPEED = 20
"""At which the little race takes some eight seconds: time enough to end a collector in its middle."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.02)


# -- as a process ------------------------------------------------------------------------------


@dataclass
class Running:
    """A `python -m pitwall.collect`."""

    process: subprocess.Popen[str]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]

    def says(self, message: str) -> dict[str, Any]:
        """The last line of the log with this message; empty if there is none yet."""
        return next((line for line in reversed(self.lines()) if line["message"] == message), {})

    def ask(self, path: str) -> httpx.Response:
        """Asks the health endpoint."""
        wait_for(lambda: self.says("collecting"), "starting")
        return httpx.get(httpx.URL(self.says("collecting")["health"]).copy_with(path=path), trust_env=False)

    def wait_until_in_the_middle(self) -> None:
        """Until it holds the feed and has published some of it."""
        wait_for(lambda: self.ask("/healthz").json()["feeds"][0]["holding"], "holding")
        wait_for(
            lambda: self.ask("/healthz").json()["feeds"][0].get("lastMessageAt", "") > "2023-11-14T22:13:50", "playing"
        )

    def end(self, how: signal.Signals) -> int:
        """Its exit code."""
        self.process.send_signal(how)
        return self.process.wait(30)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "little.jsonl", little_race())


Collect = Callable[..., Running]


@pytest.fixture
def collect(
    recording: Path,
    project: str,
    topics: dict[str, str],
    database: Database,
    tmp_path: Path,
) -> Iterator[Collect]:
    """Starts collectors of the recording; arguments, then settings by name. What is left of them ends with the test."""
    started: list[Running] = []

    def start(*arguments: str, **settings: Any) -> Running:
        own = Settings(
            project=project,
            instance=f"collector-{len(started) + 1}",
            source=f"recording:{recording}",
            **{"speed": SPEED, "checkpoint_s": 0.1, **settings},
        )
        log = tmp_path / f"collector-{len(started) + 1}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "pitwall.collect", "--health-port", "0", *arguments],
                env={**os.environ, **own.to_env(), "PYTHONPATH": str(FUNCTIONS)},
                stdout=out,
                text=True,
            )
        started.append(Running(process, log))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()


def lease(firestore: firestore_api.Client) -> dict[str, Any]:
    return firestore.document("leases/f1").get().to_dict() or {}


def test_collector_that_is_terminated_releases_the_feed_and_another_goes_on(
    collect: Collect, firestore: firestore_api.Client, recording: Path, deliver: Deliver
) -> None:
    first = collect()
    first.wait_until_in_the_middle()
    health = first.ask("/healthz")
    ready = first.ask("/readyz")
    assert first.end(signal.SIGTERM) == 0
    left = lease(firestore)

    assert (health.status_code, ready.status_code) == (200, 200)
    feed = health.json()["feeds"][0]
    assert (feed["feed"], feed["source"], feed["state"], feed["holding"]) == ("f1", "recording", "polling", True)
    assert "holder" not in left
    assert (left["finished"], left["sessionKey"]) == (False, "7001")

    second = collect("--once", speed=1000)
    assert second.process.wait(60) == 0
    assert second.says("holding")["cursor"] == first.says("let go")["messages"] > 0
    assert deliver() == recorded(recording)
    assert lease(firestore)["epoch"] == 2


def test_standby_goes_on_where_a_terminated_collector_let_go(
    collect: Collect, firestore: firestore_api.Client, recording: Path, deliver: Deliver
) -> None:
    first = collect(lease_renew_s=0.5)
    first.wait_until_in_the_middle()
    second = collect("--once", speed=1000)
    wait_for(lambda: "successor" in lease(firestore), "standing by")
    assert first.end(signal.SIGINT) == 0
    assert second.process.wait(60) == 0
    assert deliver() == recorded(recording)


def test_standby_goes_on_where_a_killed_collector_last_checkpointed(
    collect: Collect, firestore: firestore_api.Client, recording: Path, deliver: Deliver
) -> None:
    quick = {"lease_ttl_s": 2.0, "lease_renew_s": 0.3}
    first = collect(**quick)
    first.wait_until_in_the_middle()
    second = collect("--once", **{**quick, "speed": 1000})
    wait_for(lambda: "successor" in lease(firestore), "standing by")
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    assert second.process.wait(60) == 0
    assert deliver() == recorded(recording)
    assert lease(firestore)["epoch"] == 2


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def environment(
    project: str, recording: Path, topics: dict[str, str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """What the command goes by: the emulators, and the recording at full speed."""
    settings = Settings(project=project, instance="collector", source=f"recording:{recording}", speed=math.inf)
    return {**os.environ, **settings.to_env()}


def test_the_command_collects_once_and_ends(
    environment: dict[str, str], deliver: Deliver, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--once", "--health-port", "0"], environment) == 0
    said = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in said if line["message"] in ("collecting", "stopped")] == [
        "collecting",
        "stopped",
    ]
    assert said[-1]["outcomes"] == {"f1": "ended"}
    assert deliver() == recorded(recording)


def test_the_command_ends_when_it_is_terminated(
    environment: dict[str, str], firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    def terminate() -> None:
        wait_for(lambda: "holder" in lease(firestore), "holding")
        os.kill(os.getpid(), signal.SIGTERM)

    others = threading.Thread(target=terminate)
    others.start()
    before = signal.getsignal(signal.SIGTERM)
    assert main([], {**environment, "PITWALL_SPEED": str(SPEED)}) == 0
    others.join()
    assert '"signal":"SIGTERM"' in capsys.readouterr().out
    assert "holder" not in lease(firestore)
    assert signal.getsignal(signal.SIGTERM) == before


def test_kart_tracks_are_collected_until_it_is_terminated(collect: Collect, firestore: firestore_api.Client) -> None:
    track = {"at": datetime(2030, 1, 1, tzinfo=UTC), "circuits": {"nowhere": "kart-nowhere"}}
    running = collect("--karts")
    wait_for(lambda: running.says("collecting"), "starting")
    assert (running.says("collecting")["feeds"], running.ask("/readyz").json()["feeds"]) == ([], [])
    firestore.document("circuitFeeds/started").set(track)
    assert running.end(signal.SIGTERM) == 0
    second = collect("--karts")
    wait_for(lambda: second.says("the source cannot be opened"), "looking at the track that is on")
    [feed] = second.ask("/healthz").json()["feeds"]
    assert (feed["feed"], feed["source"]) == ("kart-nowhere", "circuit")
    assert second.end(signal.SIGTERM) == 0


def test_an_invocation_that_fails_is_told_by_the_exit_code(
    environment: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    garbage = tmp_path / "garbage.txt"
    garbage.write_text("nothing that anybody recorded")
    assert main(["--once", "--feed", f"f1=recording:{garbage}"], environment) == 1
    assert '"reason":"bad-source"' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "env", "named"),
    [
        ([], {"PUBSUB_EMULATOR_HOST": ""}, "PITWALL_PUBSUB_ENDPOINT"),
        ([], {"PITWALL_SOURCE": "carrier-pigeon"}, "carrier-pigeon"),
        ([], {"PITWALL_LEASE_TTL_S": "soon"}, "PITWALL_LEASE_TTL_S"),
        (["--feed", "=f1"], {}, "=f1"),
        (["--karts", "--once"], {}, "--once"),
        (["--karts"], {"PUBSUB_EMULATOR_HOST": ""}, "PITWALL_PUBSUB_ENDPOINT"),
    ],
    ids=["no endpoint", "no such source", "no time to live", "no feed", "karts once", "no endpoint for karts"],
)
def test_wrong_configuration_is_said_in_a_line_with_exit_code_2(
    arguments: list[str],
    env: dict[str, str],
    named: str,
    environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(arguments, {**environment, **env}) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert named in line


def test_a_port_that_is_taken_is_said_in_a_line(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--health-port", str(port)], environment) == 2
    assert f"no health at 127.0.0.1:{port}" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("port", ["", "http", "65536", "-1"])
def test_what_is_no_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--health-port", port])
    assert "is no port" in capsys.readouterr().err or port == "-1"


# -- its configuration -------------------------------------------------------------------------

IN_THE_CLOUD = {"GOOGLE_CLOUD_PROJECT": "p", "PITWALL_SOURCE": "f1"}
REGIONAL = {**IN_THE_CLOUD, "PITWALL_PUBSUB_ENDPOINT": "europe-west1-pubsub.googleapis.com:443"}


@pytest.mark.parametrize("endpoint", ["", "pubsub.googleapis.com", "pubsub.googleapis.com:443"])
def test_in_the_cloud_a_regional_endpoint_is_required(endpoint: str) -> None:
    with pytest.raises(NotConfigured, match="PITWALL_PUBSUB_ENDPOINT"):
        configured([], {**IN_THE_CLOUD, "PITWALL_PUBSUB_ENDPOINT": endpoint})


def test_beside_an_emulator_no_endpoint_is_needed() -> None:
    [settings] = configured([], {**IN_THE_CLOUD, "PUBSUB_EMULATOR_HOST": "127.0.0.1:1"})
    assert settings.pubsub_endpoint == ""


def test_each_feed_may_have_a_source_of_its_own() -> None:
    found = configured(["f1", "kart-demo=recording:/a=b"], REGIONAL)
    assert [(settings.feed, settings.source) for settings in found] == [("f1", "f1"), ("kart-demo", "recording:/a=b")]


def test_feed_that_is_named_twice_is_refused() -> None:
    with pytest.raises(NotConfigured, match="twice"):
        configured(["f1", "f1=openf1"], REGIONAL)


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(NotConfigured, match="PITWALL_SOURCE"):
        configured([], {**REGIONAL, "PITWALL_SOURCE": ""})


def test_invocation_has_no_deadline_unless_one_is_set() -> None:
    [own], [given] = configured([], REGIONAL), configured([], {**REGIONAL, "PITWALL_INVOCATION_S": "1740"})
    assert own.invocation_s > 12 * 3600
    assert given.invocation_s == 1740


# -- one feed's loop ---------------------------------------------------------------------------


class Fake:
    """A live source that a test has do what it wants; it counts how often it was opened."""

    name, session = "fake", "7001"

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self.opened = 0
        self.fails = False
        self.cannot_open = False
        self.closed = threading.Event()

    def open(self, settings: Settings) -> Opened:
        self.opened += 1
        if self.cannot_open:
            raise SourceError("no such thing")
        self.closed = threading.Event()
        return Opened(self, 1.0, rewindable=False)

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        if self.fails:
            raise RuntimeError("broken")
        now = int(time.time() * 1000)
        for message in little_race(1)[:4]:
            yield message._replace(cursor=-1, at=now - 150, arrived=now)
        self.closed.wait()

    def close(self) -> None:
        self.closed.set()


class Clock:
    """Monotonic time, which a test can have go on."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.skipped


@dataclass
class Loop:
    """A collector in a thread of its own."""

    collector: Collector
    source: Fake
    clock: Clock

    def status(self, path: str) -> int:
        return health_app([self.collector]).test_client().get(path).status_code

    @property
    def health(self) -> dict[str, Any]:
        return self.collector.health()


@pytest.fixture
def loop(
    project: str,
    topics: dict[str, str],
    database: Database,
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Loop]]:
    """Starts one; keyword arguments of the collector, and what the source does at first."""
    running: list[tuple[Collector, threading.Thread]] = []

    def start(*, cannot_open: bool = False, fails: bool = False, tick_s: float = 3600.0, **others: Any) -> Loop:
        source, clock = Fake(), Clock()
        source.cannot_open, source.fails = cannot_open, fails
        settings = replace(
            Settings(project=project, instance="here", source="fake", schedule=False, invocation_s=600.0), **others
        )
        collector = Collector(settings, database, tick_s=tick_s, open_source=source.open, monotonic=clock)
        thread = threading.Thread(target=collector.run, daemon=True)
        running.append((collector, thread))
        thread.start()
        return Loop(collector, source, clock)

    yield start
    for collector, thread in running:
        collector.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_live_feed_tells_how_far_it_lags(loop: Callable[..., Loop]) -> None:
    running = loop()
    wait_for(lambda: "lastMessageAt" in running.health, "a message")
    assert running.health["lagMs"] >= 150


def test_loop_without_a_sign_of_life_is_stuck(loop: Callable[..., Loop], monkeypatch: pytest.MonkeyPatch) -> None:
    hang, hanging = threading.Event(), threading.Event()
    acquire = Lease.acquire

    def never(self: Lease, source: str, lifetime_s: float) -> Any:
        hanging.set()
        hang.wait(60)
        return acquire(self, source, lifetime_s)

    monkeypatch.setattr(Lease, "acquire", never)
    running = loop()
    assert hanging.wait(30)
    before = running.status("/healthz")
    running.clock.skipped = STUCK_S + 1
    stuck = running.status("/healthz"), running.health["state"]
    hang.set()
    assert (before, stuck) == (200, (503, "stuck"))


def test_source_that_cannot_be_opened_is_told_and_tried_again(loop: Callable[..., Loop]) -> None:
    running = loop(cannot_open=True, tick_s=0.05)
    wait_for(lambda: running.source.opened >= 2, "a second attempt")
    assert (running.status("/healthz"), running.status("/readyz")) == (503, 503)
    assert "no such thing" in running.health["error"]
    running.source.cannot_open = False
    wait_for(lambda: running.status("/readyz") == 200, "health")


def test_source_that_fails_is_told_until_a_message_comes(loop: Callable[..., Loop]) -> None:
    running = loop(fails=True, tick_s=0.05)
    wait_for(lambda: running.health["failures"] >= 1, "a failure")
    assert running.status("/healthz") == 503
    running.source.fails = False
    wait_for(lambda: running.status("/healthz") == 200, "health")
    assert "error" not in running.health


def test_failing_source_is_asked_ever_more_seldom(project: str, database: Database) -> None:
    clock = [0.0]
    source = Fake()
    source.cannot_open = True
    settings = Settings(project=project, instance="here", source="fake", schedule=False)
    collector = Collector(settings, database, open_source=source.open, monotonic=lambda: clock[0])
    pauses = []
    for _ in range(8):
        collector._poll()
        pauses.append(collector._pause(0.0))
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_after_a_session_the_next_tick_is_waited_for(
    recording: Path,
    project: str,
    topics: dict[str, str],
    database: Database,
) -> None:
    settings = Settings(project=project, instance="here", source=f"recording:{recording}", speed=float("inf"))
    collector = Collector(settings, database, tick_s=3600)
    thread = threading.Thread(target=collector.run)
    thread.start()
    wait_for(lambda: collector.health()["state"] == "waiting", "the end")
    assert collector.outcome == "ended"
    assert collector.ready
    collector.stop()
    thread.join(10)
    assert collector.health()["state"] == "stopped"


def test_between_sessions_a_tick_costs_one_read(
    project: str,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[Any] = []
    read = database.read
    monkeypatch.setattr(database, "read", lambda paths, only=(): reads.append(list(paths)) or read(paths, only))
    source = Fake()
    settings = Settings(project=project, instance="here", source="f1")
    collector = Collector(settings, database, tick_s=0.05, open_source=source.open)
    thread = threading.Thread(target=collector.run)
    thread.start()
    wait_for(lambda: len(reads) >= 3, "three ticks")
    collector.stop()
    thread.join(10)
    assert (reads[:3], source.opened) == ([["schedule/f1"]] * 3, 0)
    assert not collector.failed


def test_nobody_is_ready_before_the_first_invocation(project: str, firestore_emulator: Emulator) -> None:
    settings = Settings(project=project, instance="here", source="fake")
    collector = Collector(settings, Database.__new__(Database))
    client = health_app([collector]).test_client()
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)
