"""What the functions load: nothing heavy at the start, and never what only the history needs.

In a fresh interpreter each, since whatever an earlier test has loaded stays loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.emulators import Emulator

FUNCTIONS = Path(__file__).parents[1] / "functions"

OF_HISTORY = {"pandas", "numpy", "fastf1"}
LATER = {"firebase_admin", "google.cloud.pubsub_v1", "google.cloud.storage", "rich", "opentelemetry.sdk", "jsonschema"}
"""What is loaded once it is needed."""

CALL = """
import sys
from pathlib import Path
from functions_framework import create_app

response = create_app({target!r}, {source!r}).test_client().open({path!r}, method={method!r}, data={data!r})
print(response.status_code, *sorted(sys.modules))
"""

CALLS = {
    "api": ("GET", "/api/sessions/current", b"", 404),
    "poller": ("POST", "/", b"{}", 200),
    "karts": ("POST", "/", b"{}", 200),
    "writer": ("POST", "/", b"no push", 400),
    "recorder": ("POST", "/", b"no push", 400),
    "economy": ("POST", "/", b"no push", 400),
    "reconciler": ("POST", "/", b"{}", 200),
    "jobs": ("POST", "/", b"no push", 400),
}


@pytest.mark.parametrize("target", CALLS)
def test_a_function_loads_nothing_it_does_not_need_for_its_first_call(target: str, firestore_emulator: Emulator):
    method, path, data, status = CALLS[target]
    script = CALL.format(target=target, source=str(FUNCTIONS / "main.py"), path=path, method=method, data=data)
    environment = {
        **os.environ,
        **firestore_emulator.env,
        "GOOGLE_CLOUD_PROJECT": "test-imports",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9",
        "PITWALL_SOURCE": "f1",
        "PITWALL_HISTORY": "f1",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    answered, *loaded = done.stdout.splitlines()[-1].split()
    assert int(answered) == status
    assert (OF_HISTORY | LATER) & set(loaded) - ({"google.cloud.storage"} if target == "recorder" else set()) == set()


@pytest.mark.parametrize("modules", ["pitwall.pipeline.holder", "pitwall.sources.signalr, pitwall.sources.openf1"])
def test_holding_a_feed_needs_nothing_of_the_history(modules: str):
    script = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=FUNCTIONS, capture_output=True, text=True, check=True, timeout=60
    )
    assert OF_HISTORY & set(done.stdout.split()) == set()
