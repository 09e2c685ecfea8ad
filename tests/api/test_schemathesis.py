"""schemathesis asks the served API what its OpenAPI document allows, and what it does not, and checks every answer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1
from google.cloud import storage as storage_api
from werkzeug.serving import make_server

from local.emulators import Emulator
from pitwall.api.app import create_app
from pitwall.documents.drivers import Lap, LapDocument
from pitwall.documents.encoding import millis
from pitwall.documents.live import TowerDocument
from pitwall.documents.paths import lap, tower_slot
from pitwall.settings import Settings
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import NOW, Stored
from tests.documents.examples import AT, EXAMPLES, TOWER_LINE

SESSIONS_S = 18
PAST_S = 10
ACCOUNTS_S = 8
TRACKS_S = 10
ROLE_S = 3
"""Seconds for which it goes on asking."""

PAST = "^/api/(seasons|races|drivers|constructors|circuits/[^/]+/layouts|standings|f1/(sessions|race-telemetry/))"
ACCOUNTS = "^/api/(me|keys|users$|jobs|privacy|sessions/[^/]+/telemetry|f1/(race-telemetry$|process-telemetry))"
TRACKS = "^/api/circuits(?!/[^/]+/layouts)"

CONFIG = """
seed = 1
color = false

[checks]
# A cursor of another list, a first lap after the last one: what a schema cannot say.
positive_data_acceptance.expected-statuses = [200, 201, 202, 204, 400, 401, 403, 404, 409]
[generation]
max-examples = 12
"""


@pytest.fixture
def served(firestore: firestore_api.Client, storage: storage_api.Client, project: str) -> Iterator[str]:
    """Address of the API on a small session, without limits to how often it may be asked."""
    bucket = storage.create_bucket(f"{project}-telemetry").name
    towers = {
        tower_slot("9845", millis(at)): TowerDocument(at=at, lines={"44": TOWER_LINE})
        for at in (AT - timedelta(seconds=5 * i) for i in range(5))
    }
    fifth = LapDocument(at=AT, lap=5, drivers={"44": Lap(position=1)})
    Stored(firestore)({**EXAMPLES, **towers, lap("9845", 5): fifth})
    settings = Settings(project=project, telemetry_bucket=bucket, rate_limit_address=0, rate_limit_key=0)
    app = create_app(settings, clock=lambda: NOW)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(served: str, folder: Path, seconds: int, *options: str) -> None:
    """Has schemathesis look for what is wrong; fails with what it found."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)]
    asked = ["run", f"{served}/api/openapi.json", "--checks", "all", "--max-time", str(seconds), *options]
    found = subprocess.run([*command, *asked], cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-2_000:]


def test_the_api_keeps_to_its_contract(served: str, tmp_path: Path):
    run(served, tmp_path, SESSIONS_S, "--exclude-path-regex", f"^/api/users|{ACCOUNTS}|{PAST}|{TRACKS}")


def test_what_is_of_the_past_keeps_to_its_contract(served: str, tmp_path: Path):
    run(served, tmp_path, PAST_S, "--include-path-regex", PAST)


@pytest.mark.parametrize(
    ("routes", "seconds"),
    [(ACCOUNTS, ACCOUNTS_S), (TRACKS, TRACKS_S), ("^/api/users/{uid}/role$", ROLE_S)],
    ids=[
        "accounts, keys, jobs and what starts them, a car's telemetry",
        "circuits, and kart tracks with their timing",
        "roles, by which an admin who knew its own uid would end the other run",
    ],
)
def test_what_is_for_accounts_keeps_to_its_contract(
    auth_emulator: Emulator,
    publisher: pubsub_v1.PublisherClient,
    served: str,
    project: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    routes: str,
    seconds: int,
):
    monkeypatch.setenv(auth_emulator.variable, auth_emulator.value)
    publisher.create_topic(name=publisher.topic_path(project, "jobs"))
    token = bearer(Accounts(auth_emulator, project).token("admin"))["Authorization"]
    run(served, tmp_path, seconds, "--include-path-regex", routes, "--header", f"Authorization: {token}")
