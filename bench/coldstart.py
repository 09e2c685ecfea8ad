"""`python -m bench.coldstart`: how long an instance takes to come up, beside the least a function on Firestore can be.

That is a functions-framework app that creates the Firestore client and answers "ok" (`coldstart_function`). Each
measurement is of a fresh process, the functions taking turns with the empty one; a ratio is of the medians.

import: the framework, and the modules a function's first call loads. first: from starting the framework's server, as
deployed, to the end of the first answer; ours have then done what that call is for, where the empty
one has done nothing; `schedule` alone is to find no source, as the measurement asks no server of others.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import httpx
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from bench import ROOT, result, without_options
from local.emulators import Emulators
from local.functions import SOURCE, FunctionServer
from local.processes import Processes
from local.stack import RULES, environment
from pitwall.pipeline.envelope import TickDocument, encode

ROUNDS = 7
LIMIT = 1.3

EMPTY = "empty"
MODULES = {
    EMPTY: "google.cloud.firestore",
    "api": "pitwall.api.app",
    "poller": "pitwall.pipeline.poller",
    "writer": "pitwall.pipeline.writer",
    "recorder": "pitwall.pipeline.recorder",
    "reconciler": "pitwall.history.reconciler",
    "schedule": "pitwall.history.calendar",
    "economy": "pitwall.pipeline.budget",
    "karts": "pitwall.pipeline.karts",
}
CALLS = {EMPTY: ("GET", ""), "api": ("GET", "api/sessions/current")}
"""Method and path of a first call; of the others it is a POST to the root."""


def push(data: bytes, **attributes: str) -> bytes:
    """A push request's body."""
    at = datetime.now(UTC).isoformat()
    message = {"messageId": "1", "publishTime": at, "data": base64.b64encode(data).decode(), "attributes": attributes}
    return json.dumps({"message": message}).encode()


def tick() -> bytes:
    """A message of `timing` with a small tower."""
    import msgspec

    fields = msgspec.Raw(b'{"at":"2026-01-01T00:00:00Z","lines":{"7":{"p":1}}}')
    document = TickDocument("sessions/7001/live/timing", fields)
    return next(encode(feed="f1", session="7001", epoch=1, seq=1, at=0, documents=[document], limit=262_144))


def costs() -> bytes:
    """What Cloud Billing tells of a month that has cost next to nothing."""
    since = datetime.now(UTC).replace(day=1).isoformat()
    told = {"budgetDisplayName": "pitwall", "costAmount": 0.1, "budgetAmount": 20.0, "costIntervalStart": since}
    return json.dumps(told).encode()


def imported(name: str, env: Mapping[str, str]) -> float:
    """Seconds a fresh interpreter takes to load a function."""
    paths = os.pathsep.join((str(ROOT / "functions"), str(ROOT)))
    script = (
        "import time; began = time.perf_counter(); import functions_framework, "
        f"{MODULES[name]}; print(time.perf_counter() - began)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **env, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return float(done.stdout)


def answered(name: str, processes: Processes, env: Mapping[str, str], source: Path) -> float:
    """Seconds from starting a server to the end of its first answer."""
    method, path = CALLS.get(name, ("POST", ""))
    bodies = {
        "writer": lambda: push(tick()),
        "recorder": lambda: push(gzip.compress(b""), session="7001", epoch="1", seq="1"),
        "economy": lambda: push(costs()),
    }
    body = bodies.get(name, lambda: b"{}")()
    began = time.perf_counter()
    env = {**env, "PITWALL_HISTORY": "none"} if name == "schedule" else env
    server = FunctionServer(processes, f"{name}-{time.monotonic_ns()}", name, env, threads=1, source=source)
    while True:
        try:
            response = httpx.request(method, server.url + path, content=body, trust_env=False, timeout=60)
            break
        except httpx.ConnectError:
            time.sleep(0.002)
    took = time.perf_counter() - began
    FunctionServer.end([server])
    if name not in ("schedule", "api") and response.status_code >= 300:
        raise RuntimeError(f"{name} answered {response.status_code}: {response.text}")
    return took


def main() -> int:
    without_options("bench.coldstart", __doc__)
    imports: dict[str, list[float]] = {name: [] for name in MODULES}
    firsts: dict[str, list[float]] = {name: [] for name in MODULES}
    with Processes() as processes, tempfile.TemporaryDirectory() as compiled:
        emulators = Emulators.start(processes, RULES)
        env = {
            **emulators.env,
            # Google's builder compiles what it deploys; here the first round does, whatever this machine's habit.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": compiled,
            "GOOGLE_CLOUD_PROJECT": "coldstart",
            "PITWALL_SOURCE": "f1",
            "PITWALL_HISTORY": "f1",
            "PITWALL_F1_URL": "http://127.0.0.1:9",
        }
        with environment(emulators.env):
            nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
            storage.Client(project="coldstart", credentials=nobody).create_bucket("coldstart-raw")
        for round_ in range(ROUNDS + 1):
            for name in MODULES:
                source = Path(__file__).with_name("coldstart_function.py") if name == EMPTY else SOURCE
                took = imported(name, env), answered(name, processes, env, source)
                if round_:  # the first one also writes the byte code
                    imports[name].append(took[0])
                    firsts[name].append(took[1])
    ratios = {}
    for name in MODULES:
        import_s, first_s = statistics.median(imports[name]), statistics.median(firsts[name])
        ratios[name] = {
            "import": round(import_s / statistics.median(imports[EMPTY]), 2),
            "first": round(first_s / statistics.median(firsts[EMPTY]), 2),
        }
        print(f"{name:<11} import {import_s * 1000:5.0f} ms ({ratios[name]['import']:.2f})   "
              f"first answer {first_s * 1000:5.0f} ms ({ratios[name]['first']:.2f})", flush=True)  # fmt: skip
    worst = max(max(pair.values()) for pair in ratios.values())
    result("coldstart", rounds=ROUNDS, limit=LIMIT, worst=worst, ratios=ratios)
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
