"""The deployed function `api`, served by the Functions Framework as a program of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from local.processes import LOOPBACK, Process, Processes, accepts_connections, free_port
from tests.api.conftest import Stored
from tests.documents.examples import EXAMPLES

FUNCTIONS = Path(__file__).parents[2] / "functions"
HEAVY = ("pandas", "numpy", "fastf1", "firebase_admin", "google.cloud.pubsub", "google.cloud.storage", "jsonschema")


@pytest.fixture(scope="module")
def project() -> str:
    return "test-api-function"


@pytest.fixture(scope="module")
def function(processes: Processes, firestore_emulator: Emulator, project: str) -> Iterator[tuple[int, Process]]:
    """The port of the function, and its process."""
    port = free_port()
    framework = Path(sys.executable).parent / "functions-framework"
    command: list[str | Path] = [framework, "--target", "api", "--source", FUNCTIONS / "main.py"]
    environment = {**firestore_emulator.env, "GOOGLE_CLOUD_PROJECT": project, "PYTHONPATH": str(FUNCTIONS)}
    served = processes.start("api", [*command, "--host", LOOPBACK, "--port", str(port)], environment)
    served.wait_until(lambda: accepts_connections(port))
    client = firestore_api.Client(project=project)
    Stored(client)(EXAMPLES)
    client.close()
    yield port, served
    processes.end(served)


@pytest.fixture(autouse=True, scope="module")
def _emulated(firestore_emulator: Emulator) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(firestore_emulator.variable, firestore_emulator.value)
        yield


def send(
    function: tuple[int, Process], method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(LOOPBACK, function[0], timeout=30)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


@pytest.mark.parametrize(
    "path",
    [
        "current",
        "9845",
        "9845/laps",
        "9845/laps/8",
        "9845/drivers",
        "9845/drivers/HAM",
        "9845/live",
        "9845/live?delay=5",
    ],
)
def test_the_deployed_function_serves_every_route(function: tuple[int, Process], path: str):
    response, content = send(function, "GET", f"/api/sessions/{path}")
    assert response.status == 200
    assert json.loads(content)["v" if "items" not in json.loads(content) else "items"]


def test_head_has_no_body(function: tuple[int, Process]):
    response, content = send(function, "HEAD", "/api/sessions/9845")
    assert response.status == 200
    assert content == b""
    assert int(response.headers["Content-Length"]) > 0


def test_who_has_it_already_gets_304(function: tuple[int, Process]):
    first, _ = send(function, "GET", "/api/sessions/9845")
    second, content = send(function, "GET", "/api/sessions/9845", **{"If-None-Match": first.headers["ETag"]})
    assert second.status == 304
    assert content == b""


def test_options_says_what_is_allowed(function: tuple[int, Process]):
    response, _ = send(function, "OPTIONS", "/api/sessions/9845/laps")
    assert response.status == 200
    assert sorted(response.headers["Allow"].split(", ")) == ["GET", "HEAD", "OPTIONS"]


def test_a_post_with_a_body_is_refused(function: tuple[int, Process]):
    response, content = send(function, "POST", "/api/sessions/9845", b"x" * 100_000)
    assert response.status == 405
    assert json.loads(content)["status"] == 405


@pytest.mark.parametrize("key", ["a%0Ab", "9845%0A", "a%2Fb", "..", "%00", "__x__", "9" * 2048, "%FF"])
def test_a_malformed_id_is_a_problem_behind_the_framework_too(function: tuple[int, Process], key: str):
    for path in (f"/api/sessions/{key}", f"/api/sessions/{key}/laps", f"/api/sessions/9845/drivers/{key}"):
        response, content = send(function, "GET", path)
        assert response.status == 404, path
        assert response.headers["Content-Type"] == "application/problem+json", path
        assert json.loads(content)["type"] == "urn:pitwall:problem:not-found"


def test_the_function_logs_each_request_as_json_on_standard_output(function: tuple[int, Process]):
    send(function, "GET", "/api/sessions/9845/drivers/44")
    lines = [json.loads(line) for line in function[1].stdout.read_text().splitlines() if line.startswith("{")]
    assert {"route": "/api/sessions/<key>/drivers/<driver_id>", "firestoreReads": 2}.items() <= lines[-1].items()


def test_the_function_loads_nothing_it_does_not_need():
    script = f"import sys, main, pitwall.api.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=FUNCTIONS, capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.strip() == "[]"
