"""Whatever is sent, the answer to a failure is a problem, and it says nothing about the inside."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api

from pitwall.api.errors import PROBLEMS
from pitwall.pipeline.database import Database, Unavailable
from tests.api.conftest import Serve, Stored, problem, problem_name
from tests.documents.examples import EXAMPLES

IDS = {
    "encoded slash": "a%2Fb",
    "encoded backslash": "a%5Cb",
    "parent": "..",
    "encoded parent": "%2e%2e",
    "parent of parent": "..%2F..%2Fleases%2Ff1",
    "here": ".",
    "reserved": "__9845__",
    "two kilobytes": "9" * 2048,
    "zero byte": "%00",
    "newline": "9845%0A",
    "carriage return": "%0D%0Ax",
    "escape": "%1B[31m",
    "unicode": "%C3%A9preuve",
    "emoji": "%F0%9F%8F%81",
    "not utf-8": "%FF%FE",
    "half a surrogate": "%ED%A0%80",
    "space": "%20",
    "percent": "%25",
    "bare percent": "%",
    "quote": "%22%27%60",
    "template": "{{7*7}}",
    "query": "9845%3Fseries=f1",
}
RESOURCES = ["", "/laps", "/laps/1", "/drivers", "/drivers/44", "/live", "/live?delay=5", "/laps?driver=HAM"]


def get(api: httpx.Client, path: str, method: str = "GET") -> httpx.Response:
    """A request whose path is sent as it is: httpx would tidy it."""
    connection = HTTPConnection(api.base_url.host, api.base_url.port or 80, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return httpx.Response(response.status, headers=response.getheaders(), content=response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_malformed_session_id_is_a_problem(store: Stored, api: httpx.Client, resource: str):
    store(EXAMPLES)
    answers = {name: get(api, f"/api/sessions/{key}{resource}") for name, key in IDS.items()}
    assert {name: problem_name(answer) for name, answer in answers.items()} == dict.fromkeys(IDS, "not-found")


@pytest.mark.parametrize("resource", ["laps", "drivers"])
def test_a_malformed_id_below_a_session_is_a_problem(store: Stored, api: httpx.Client, resource: str):
    store(EXAMPLES)
    answers = {name: get(api, f"/api/sessions/9845/{resource}/{key}") for name, key in IDS.items()}
    assert {name for name, answer in answers.items() if problem(answer)["status"] not in (400, 404)} == set()


@pytest.mark.parametrize(
    "path",
    ["/", "/api", "/api/", "/api/sessions/", "/api/sessions/9845/", "/api/sessions/9845/fuel",
     "/api/v2/sessions/current", "/api//sessions/current", "/api/sessions//laps", "/robots.txt"],
)  # fmt: skip
def test_there_is_nothing_beside_the_routes(store: Stored, api: httpx.Client, path: str):
    store(EXAMPLES)
    response = get(api, path)
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


@pytest.mark.parametrize(
    "route",
    ["sessions/current", "sessions/9845", "sessions/9845/laps/8", "sessions/9845/drivers", "sessions/9845/live"],
)
def test_unknown_parameters_are_refused_by_name(store: Stored, api: httpx.Client, route: str):
    store(EXAMPLES)
    response = api.get(f"/api/{route}?spoiler=false")
    assert response.status_code == 400
    assert problem(response)["parameter"] == "spoiler"


@pytest.mark.parametrize("series", ["", "a b", "f1/../x", "x" * 33])
def test_a_malformed_series_is_refused_by_name(api: httpx.Client, series: str):
    response = api.get("/api/sessions/current", params={"series": series})
    assert response.status_code == 400
    assert problem(response)["parameter"] == "series"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("route", ["sessions/current", "sessions/9845", "sessions/9845/laps", "sessions/9845/live"])
def test_only_reading_is_allowed(api: httpx.Client, method: str, route: str):
    response = api.request(method, f"/api/{route}")
    assert response.status_code == 405
    assert problem_name(response) == "method-not-allowed"
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_method_nobody_knows_is_not_allowed(api: httpx.Client):
    assert problem_name(get(api, "/api/sessions/9845", "BREW")) == "method-not-allowed"


def test_options_says_what_is_allowed(api: httpx.Client):
    response = api.options("/api/sessions/9845/laps")
    assert response.status_code == 200
    assert sorted(response.headers["allow"].split(", ")) == ["GET", "HEAD", "OPTIONS"]


def test_a_long_parameter_is_not_repeated_whole(store: Stored, api: httpx.Client):
    store(EXAMPLES)
    response = api.get("/api/sessions/9845/laps", params={"driver": "x" * 10_000, "limit": "5"})
    assert response.status_code == 400
    assert len(response.content) < 500


def test_firestore_that_does_not_answer_is_unavailable_for_now(
    firestore: firestore_api.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{nobody.getsockname()[1]}")
        response = serve().get("/api/sessions/9845/laps")
    assert response.status_code == 503
    assert problem_name(response) == "unavailable"
    assert int(response.headers["retry-after"]) > 0


def test_firestore_that_fails_once_is_asked_again(store: Stored, api: httpx.Client, monkeypatch: pytest.MonkeyPatch):
    store(EXAMPLES)
    failures = [Unavailable("the channel was idle")]
    read = Database.read

    def fail_once(*args: Any, **kwargs: Any) -> Any:
        if failures:
            raise failures.pop()
        return read(*args, **kwargs)

    monkeypatch.setattr(Database, "read", fail_once)
    assert api.get("/api/sessions/9845").status_code == 200


def test_a_mistake_of_ours_is_logged_and_not_shown(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(Database, "read", broken)
    response = api.get("/api/sessions/9845")
    assert response.status_code == 500
    assert problem_name(response) == "internal"
    assert "1234" not in response.text
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [told] = [line["message"] for line in logged if "Traceback" in line["message"]]
    assert "RuntimeError" in told
    assert "in broken" in told
    assert "1234" not in told.replace('raise RuntimeError("the password is 1234")', "")


def test_every_request_writes_one_line_about_itself(
    store: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str]
):
    store(EXAMPLES)
    api.get("/api/sessions/9845/laps?driver=HAM")
    [line] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert float(line["httpRequest"].pop("latency").removesuffix("s")) >= 0
    assert line == {
        "severity": "INFO",
        "message": "GET /api/sessions/<key>/laps 200",
        "function": "api",
        "route": "/api/sessions/<key>/laps",
        "httpRequest": {"requestMethod": "GET", "requestUrl": "/api/sessions/<key>/laps", "status": 200},
        "firestoreReads": 3,
    }


def test_every_problem_is_documented():
    documented = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    missing = [
        kind.name
        for kind in PROBLEMS
        if f"| `urn:pitwall:problem:{kind.name}` | {kind.status.value} |" not in documented
    ]
    assert missing == []
