"""An instance that is told to go lets go of its feed first: the real server, a real SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx

from local.processes import free_port
from pitwall.pipeline.database import Database
from pitwall.pipeline.lease import Lease
from pitwall.settings import Settings
from tests.pipeline.conftest import Taken, little_race, write_recording

ROOT = Path(__file__).resolve().parents[2]


def posting(url: str) -> None:
    """Ticks the function until it answers, or is gone."""
    for _ in range(300):
        try:
            httpx.post(url, json={"feed": "f1"}, timeout=120.0, trust_env=False)
        except httpx.ConnectError:
            time.sleep(0.1)
        except httpx.HTTPError:
            return
        else:
            return


def test_a_holder_releases_its_lease_on_sigterm(
    tmp_path: Path, project: str, database: Database, topics: dict[str, str], taken: Taken
) -> None:
    recording = write_recording(tmp_path / "little.jsonl", little_race())
    settings = replace(Settings(), project=project, instance="here", source=f"recording:{recording}", speed=1.0)
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--source", str(ROOT / "functions/main.py")]
    command += ["--target", "poller", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, **settings.to_env(), "THREADS": "1", "WORKERS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        threading.Thread(target=posting, args=(f"http://127.0.0.1:{port}/",), daemon=True).start()
        lease = Lease(database, "f1", "watcher", ttl_s=10.0)
        for _ in range(600):
            if not lease.view().free:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("nobody has taken the lease")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
    assert lease.view().holder == "", "the lease ran on though its holder was told to stop"
    assert database.read(["checkpoints/7001"])["checkpoints/7001"].fields is not None
