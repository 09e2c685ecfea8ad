"""Two collectors on one live feed instead of the cloud's pollers: one goes in mid-race, and nothing is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from local.emulators import Emulator, Emulators
from local.hub import Hub, Playing
from local.simulator import for_minutes, write_recording
from local.stack import Stack
from tests.pipeline.conftest import recorded, stored

pytestmark = pytest.mark.e2e

SPEED = 15.0


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"{what} took too long"
        time.sleep(0.05)


class Collector:
    """A `python -m pitwall.collect` and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def said(self, message: str) -> dict[str, Any]:
        """The last line with this message; empty if there is none yet."""
        lines = [json.loads(line) for line in self._log.read_bytes().splitlines(True) if line.endswith(b"\n")]
        return next((line for line in reversed(lines) if line["message"] == message), {})

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def collecting(name: str, hub: Hub, folder: Path) -> Iterator[Collector]:
    own = {
        "PITWALL_INSTANCE": name,
        "PITWALL_SOURCE": "f1",
        "PITWALL_F1_URL": hub.url,
        "PITWALL_SPEED": str(SPEED),
        "PITWALL_SCHEDULE": "off",
        "PITWALL_QUIET_S": str(2 * SPEED),
    }
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "pitwall.collect"], env={**os.environ, **own}, stdout=out)
    try:
        yield Collector(process, log)
    finally:
        process.kill()
        process.wait()


def messages_stored(stack: Stack) -> int:
    ticks = {(e["v"], e["part"]) for e, _ in stack.log_lines("writer") if e.get("message") == "stored"}
    return len(ticks) + len({e["object"] for e, _ in stack.log_lines("recorder") if "object" in e})


def test_collector_that_is_terminated_hands_a_live_feed_over_without_a_gap(
    firestore_emulator: Emulator,
    pubsub_emulator: Emulator,
    storage_emulator: Emulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = tmp_path / "race.txt.gz"
    write_recording(for_minutes(2.5, 8, telemetry=False), recording)
    emulators = Emulators(firestore_emulator, pubsub_emulator, storage_emulator)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2] / "functions"))
    with (
        Hub([Playing(recording)], speed=SPEED) as hub,
        Stack(history=False, project="test-collectors", tick_s=None, emulators=emulators) as stack,
        collecting("first", hub, tmp_path) as first,
    ):
        wait_for(lambda: len(hub.snapshots) >= 1, "the first collector")
        with collecting("second", hub, tmp_path) as second:
            wait_for(lambda: len(hub.snapshots) >= 2, "the second collector")
            hub.start()
            wait_for(lambda: hub.position_ms > 60_000, "the race")
            ended = first.end(), first.said("let go")
            hub.wait_until_ended(120)
            wait_for(lambda: second.said("the session is over"), "the end of the session")
            ended_too = second.end(), second.said("let go")
            wait_for(lambda: messages_stored(stack) >= ended_too[1]["published"], "storing")
        client = stack.firestore()
        documents = stored(client, "9907")
        lease = client.document("leases/f1").get().to_dict() or {}
        client.close()
    assert (ended[0], ended_too[0]) == (0, 0)
    assert 0 < ended[1]["messages"] < ended_too[1]["messages"]
    assert (lease["epoch"], "holder" in lease) == (2, False)
    assert documents == recorded(recording)
