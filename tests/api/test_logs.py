"""What the API says of requests in its log: enough for Cloud Logging, and nothing of who asked or what they sent."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api

from pitwall.pipeline.database import Database
from tests.api.conftest import Serve, Stored
from tests.documents.examples import EXAMPLES

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SECRETS = {
    "token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzZWNyZXQtdWlkIn0.c2lnbmF0dXJl",
    "key": "pitwall_" + "s3cr3tK3y" * 4 + "s3cr3tK",
    "app check": "appcheck-s3cret",
    "e-mail": "lewis@example.org",
    "address": "203.0.113.77",
    "query": "s3cretquery",
    "agent": "s3cretagent",
    "body": "s3cretbody",
    "path": "s3cretpath",
}


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    "headers",
    [{"traceparent": f"00-{TRACE}-{SPAN}-01"}, {"X-Cloud-Trace-Context": f"{TRACE}/{int(SPAN, 16)};o=1"}],
    ids=["traceparent", "X-Cloud-Trace-Context"],
)
def test_every_line_of_a_request_carries_its_trace(
    api: httpx.Client,
    project: str,
    headers: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Database, "read", broken)
    api.get("/api/sessions/9845", headers=headers)
    lines = logged(capsys)
    assert len(lines) == 2
    for line in lines:
        assert line["logging.googleapis.com/trace"] == f"projects/{project}/traces/{TRACE}"
        assert line["logging.googleapis.com/spanId"] == SPAN
        assert line["logging.googleapis.com/trace_sampled"] is True


def test_a_request_does_not_carry_the_trace_of_the_one_before(api: httpx.Client, capsys: pytest.CaptureFixture[str]):
    api.get("/health/live", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    api.get("/health/live")
    assert ["logging.googleapis.com/trace" in line for line in logged(capsys)] == [True, False]


def test_a_line_has_what_cloud_logging_shows_of_a_request(
    store: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str]
):
    store(EXAMPLES)
    api.get("/api/sessions/9845/laps?driver=HAM")
    [line] = logged(capsys)
    seen = line["httpRequest"]
    assert seen["latency"].endswith("s")
    assert float(seen.pop("latency")[:-1]) >= 0
    assert seen == {"requestMethod": "GET", "requestUrl": "/api/sessions/<key>/laps", "status": 200}
    assert (line["severity"], line["message"]) == ("INFO", "GET /api/sessions/<key>/laps 200")


@pytest.mark.parametrize("works", [True, False], ids=["all is well", "a mistake of ours"])
def test_nothing_of_who_asked_or_what_was_sent_is_in_any_line(
    firestore: firestore_api.Client,
    serve: Serve,
    works: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(self: Database, paths: Any, *args: Any, **kwargs: Any) -> None:
        raise ValueError(f"cannot read {list(paths)}")

    if not works:
        monkeypatch.setattr(Database, "read", broken)
    headers = {
        "Authorization": f"Bearer {SECRETS['token']}",
        "X-API-Key": SECRETS["key"],
        "X-Firebase-AppCheck": SECRETS["app check"],
        "X-Forwarded-For": SECRETS["address"],
        "User-Agent": SECRETS["agent"],
        "Referer": f"https://example.org/?{SECRETS['query']}",
        "traceparent": SECRETS["token"],
        "X-Cloud-Trace-Context": SECRETS["e-mail"],
    }
    body = {"displayName": SECRETS["body"], "email": SECRETS["e-mail"]}
    for settings in ({}, {"public": False}, {"app_check": True}, {"proxies": 1}):
        api = serve(**settings)
        for sent in (headers, {name: value for name, value in headers.items() if name != "X-API-Key"}, {}):
            for path in (
                "/api/sessions/current",
                f"/api/sessions/{SECRETS['path']}",
                "/api/me",
                "/api/status",
                "/none",
            ):
                for query in (f"?series={SECRETS['query']}", f"?{SECRETS['query']}={SECRETS['e-mail']}", ""):
                    api.get(path + query, headers=sent)
            api.request(SECRETS["body"].upper(), "/api/sessions/current", headers=sent)
            api.post(f"/api/users?email={SECRETS['e-mail']}", json=body, headers=sent)
            api.patch("/api/me", content=SECRETS["body"].encode(), headers=sent)
            api.patch(f"/api/users/{SECRETS['path']}/role", json={"role": SECRETS["body"]}, headers=sent)
    lines = logged(capsys)
    assert len(lines) >= 200
    said = json.dumps(lines).lower()
    assert [name for name, secret in SECRETS.items() if secret.lower() in said] == []
    assert "127.0.0.1" not in said
