"""What was just answered is given out again before Flask is asked, and nobody can tell by the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, request_started
from google.cloud import firestore as firestore_api
from werkzeug.test import TestResponse

from pitwall.api.app import create_app
from pitwall.api.front import Front
from pitwall.settings import Settings
from tests.api.conftest import NOW, Stored
from tests.documents.examples import EXAMPLES

LIVE = "/api/sessions/9845/live"
OF_EACH_CLIENT = ("RateLimit", "RateLimit-Policy")


class Asked:
    """An app whose clock stands, and how many requests Flask was given."""

    def __init__(self, project: str, **settings: Any) -> None:
        self.now = 100.0
        self.by_flask = 0
        self.app: Flask = create_app(Settings(project=project, **settings), lambda: NOW, lambda: self.now)
        request_started.connect(self._count, self.app)

    def _count(self, sender: Flask, **_: object) -> None:
        self.by_flask += 1

    def __call__(self, path: str = LIVE, method: str = "GET", **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.app.test_client().open(path, method=method, headers=named)


@pytest.fixture
def make(firestore: firestore_api.Client, store: Stored, project: str) -> Callable[..., Asked]:
    store(EXAMPLES)
    return lambda **settings: Asked(project, **settings)


@pytest.fixture
def ask(make: Callable[..., Asked]) -> Asked:
    return make()


def shown(response: TestResponse) -> tuple[int, bytes, dict[str, str]]:
    """All of a response but what it says of its client's limit."""
    headers = {name: value for name, value in response.headers.items() if name not in OF_EACH_CLIENT}
    return response.status_code, response.data, headers


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br, gzip;q=0.5"])
@pytest.mark.parametrize("path", [LIVE, "/api/sessions/9845/laps?limit=1&format=csv", "/api/sessions/current"])
def test_the_second_is_answered_before_flask_and_alike(ask: Asked, path: str, encoding: str):
    first, second = (ask(path, Accept_Encoding=encoding) for _ in range(2))
    assert first.status_code == 200
    assert shown(second) == shown(first)
    assert ask.by_flask == 1


@pytest.mark.parametrize("first_knows", [False, True], ids=["after a whole answer", "after a 304"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_who_has_it_already_is_told_so(ask: Asked, make: Callable[..., Asked], first_knows: bool, encoding: str):
    known = make()(Accept_Encoding=encoding).headers["ETag"]
    told = [ask(Accept_Encoding=encoding, **({"If_None_Match": known} if first_knows else {}))]
    told += [ask(Accept_Encoding=encoding, If_None_Match=known) for _ in range(2)]
    assert ask.by_flask == 1
    assert [response.status_code for response in told] == [304 if first_knows else 200, 304, 304]
    assert [response.data for response in told[1:]] == [b"", b""]
    assert "Content-Type" not in told[2].headers
    by_flask = make()(Accept_Encoding=encoding, If_None_Match=known)
    assert shown(told[2]) == shown(by_flask)


def test_after_a_304_somebody_else_gets_all_of_it(ask: Asked, make: Callable[..., Asked]):
    whole = make()(Accept_Encoding="gzip")
    ask(Accept_Encoding="gzip", If_None_Match=whole.headers["ETag"])
    assert shown(ask(Accept_Encoding="gzip")) == shown(whole)
    assert ask.by_flask == 1


def test_who_has_another_one_gets_this_one(ask: Asked):
    first = ask()
    assert shown(ask(If_None_Match='"other"')) == shown(first)
    assert ask.by_flask == 1


def test_after_a_second_it_is_read_again(ask: Asked, store: Stored):
    first = ask()
    store(EXAMPLES)
    ask.now += 0.99
    assert ask().headers["ETag"] == first.headers["ETag"]
    assert ask.by_flask == 1
    ask.now += 0.01
    assert ask().headers["ETag"] != first.headers["ETag"]
    assert ask.by_flask == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X_API_Key": "pitwall_" + "0" * 43}, 401),
        ({"Authorization": "Bearer nonsense"}, 200),
        ({"X_Firebase_AppCheck": "nonsense"}, 200),
        ({"If_Match": '"other"'}, 412),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": 'W/"other"'}, 200),
        ({"If_None_Match": '"one", "two"'}, 200),
        ({"If_Modified_Since": "Sat, 08 Nov 2025 14:00:00 GMT"}, 200),
    ],
    ids=str,
)
def test_what_is_unusual_goes_to_flask(ask: Asked, headers: dict[str, str], status: int):
    ask()
    assert ask(**headers).status_code == status
    assert ask.by_flask == 2


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405), ("OPTIONS", 200)])
def test_other_methods_go_to_flask(ask: Asked, method: str, status: int):
    ask()
    response = ask(method=method)
    assert (response.status_code, ask.by_flask) == (status, 2)
    assert method == "POST" or response.data == b""


def test_the_head_of_something_is_not_given_for_it(ask: Asked):
    ask(method="HEAD")
    assert ask().data


def test_where_sessions_are_not_everybodys_everybody_is_looked_at(make: Callable[..., Asked]):
    ask = make(public=False)
    assert [ask().status_code for _ in range(2)] == [401, 401]
    assert ask.by_flask == 2


@pytest.mark.parametrize("settings", [{"public": False}, {"app_check": True}], ids=str)
def test_what_not_everybody_may_have_is_never_given_out_again(make: Callable[..., Asked], settings: dict[str, Any]):
    assert not isinstance(make(**settings).app.wsgi_app, Front)


def test_a_request_with_a_body_goes_to_flask(ask: Asked):
    ask()
    assert ask.app.test_client().get(LIVE, data=b"{}").status_code == 200
    assert ask.by_flask == 2


def test_a_problem_is_not_given_out_again(ask: Asked):
    assert [ask("/api/sessions/1/live").status_code for _ in range(2)] == [404, 404]
    assert ask.by_flask == 2


def test_each_origin_is_told_what_is_said_to_it(make: Callable[..., Asked]):
    ask = make(cors_origins="https://app.example,https://other.example")
    for _ in range(2):
        for origin in ("https://app.example", "https://other.example"):
            assert ask(Origin=origin).headers["Access-Control-Allow-Origin"] == origin
        assert "Access-Control-Allow-Origin" not in ask(Origin="https://evil.example").headers
    assert ask.by_flask == 3


def test_a_browser_and_a_program_are_each_given_their_own(ask: Asked):
    for _ in range(2):
        assert ask("/api/status", Accept="text/html").mimetype == "text/html"
        assert ask("/api/status", Accept="application/json").mimetype == "application/json"
    assert ask.by_flask == 2


def test_who_asks_by_the_alias_is_led_on_by_it(ask: Asked):
    for _ in range(2):
        for prefix in ("/api", "/api/v1"):
            assert ask(f"{prefix}/sessions/current").headers["Content-Location"] == f"{prefix}/sessions/9845"
    assert ask.by_flask == 2


def test_what_depends_on_another_header_is_not_given_out_again(ask: Asked):
    @ask.app.after_request
    def in_a_language(response: Response) -> Response:
        response.vary.add("Accept-Language")
        return response

    for _ in range(2):
        ask()
    assert ask.by_flask == 2


def test_all_are_counted_whoever_answers(make: Callable[..., Asked]):
    ask = make(rate_limit_address=3)
    responses = [ask() for _ in range(5)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429, 429]
    left = [response.headers["RateLimit"].split(";")[1] for response in responses]
    assert left == ["r=2", "r=1", "r=0", "r=0", "r=0"]
    assert ask.by_flask == 3


def test_a_line_is_logged_whoever_answers(ask: Asked, capsys: pytest.CaptureFixture[str], project: str):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    for _ in range(2):
        ask(traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first.pop("firestoreReads"), second.pop("firestoreReads")) == (1, 0)
    assert first["httpRequest"].pop("latency")
    assert second["httpRequest"].pop("latency")
    assert second == first
    assert second["logging.googleapis.com/trace"] == f"projects/{project}/traces/{trace}"


def test_memory_is_bounded_and_what_was_not_asked_for_the_longest_goes_first(
    make: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pitwall.api.front.MAX_BYTES", 10_000)
    ask = make()
    first, *others = (f"/api/sessions/9845/laps?limit={n}" for n in range(1, 6))
    for path in (first, *others):
        ask(path)
    ask(others[-1])
    assert ask.by_flask == 5
    ask(first)
    assert ask.by_flask == 6
