"""Whether the instance runs, and whether it can answer."""

from __future__ import annotations

import json
import socket

import httpx
import pytest
from google.cloud import firestore as firestore_api

from pitwall.api import health
from tests.api.conftest import Serve, problem_name


@pytest.fixture(autouse=True)
def _answering(firestore: firestore_api.Client) -> None:
    """An emulator that has just been started takes longer for its first answer than an instance may wait."""
    firestore.document("schedule/f1").get()


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/live", "/health/ready"])
def test_an_instance_that_can_answer_says_so_and_no_cache_keeps_it(api: httpx.Client, path: str):
    response = api.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["cache-control"] == "no-store"
    assert api.head(path).status_code == 200


def test_an_instance_without_firestore_lives_and_is_not_ready(
    firestore: firestore_api.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # takes the connection, and never says a word
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{silent.getsockname()[1]}")
        api = serve()
        assert api.get("/health/live").status_code == 200
        response = api.get("/health/ready", timeout=10 * health.READY_S)
    assert response.status_code == 503
    assert problem_name(response) == "unavailable"
    assert response.headers["cache-control"] == "no-store"


def test_only_readiness_reads_firestore_and_at_most_once_a_second(
    firestore: firestore_api.Client, serve: Serve, capsys: pytest.CaptureFixture[str]
):
    api = serve(seconds=lambda: 7.0)
    for path in ("/health/", "/health/live", "/health/ready", "/health/ready"):
        api.get(path)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["firestoreReads"] for line in lines] == [0, 0, 1, 0]


def test_nobody_has_to_sign_in_where_sessions_are_not_public(firestore: firestore_api.Client, serve: Serve):
    api = serve(public=False, app_check=True)
    assert {api.get(f"/health/{path}").status_code for path in ("", "live", "ready")} == {200}


def test_parameters_are_refused_by_name(api: httpx.Client):
    assert api.get("/health/ready?deep=true").json()["parameter"] == "deep"
