"""Pages of other origins may read the API only where the settings say so."""

from __future__ import annotations

import httpx
import pytest

from tests.api.conftest import Serve, Stored
from tests.documents.examples import EXAMPLES

APP = "https://app.example"
OTHER = "https://other.example"


def allowed(api: httpx.Client, origin: str) -> str | None:
    return api.get("/api/sessions/9845", headers={"Origin": origin}).headers.get("access-control-allow-origin")


def test_no_origin_is_allowed_by_default(store: Stored, serve: Serve):
    store(EXAMPLES)
    assert allowed(serve(), APP) is None


def test_only_the_origins_of_the_settings_are_allowed(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(cors_origins=f"{APP}, https://app2.example")
    assert allowed(api, APP) == APP
    assert allowed(api, OTHER) is None


@pytest.mark.parametrize("origin", ["https://app.example.evil", "https://appxexample", "http://app.example"])
def test_an_origin_that_looks_alike_is_not_allowed(store: Stored, serve: Serve, origin: str):
    store(EXAMPLES)
    assert allowed(serve(cors_origins=APP), origin) is None


def test_all_origins_may_be_allowed(store: Stored, serve: Serve):
    store(EXAMPLES)
    assert allowed(serve(cors_origins="*"), OTHER) == "*"


def test_a_page_may_see_tag_and_location(store: Stored, serve: Serve):
    store(EXAMPLES)
    response = serve(cors_origins="*").get("/api/sessions/current", headers={"Origin": OTHER})
    exposed = response.headers["access-control-expose-headers"]
    assert {"ETag", "Content-Location", "Retry-After"} <= set(exposed.split(", "))


def test_caches_are_told_that_the_answer_depends_on_the_origin(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(cors_origins=f"{APP},https://app2.example")
    vary = api.get("/api/sessions/9845", headers={"Origin": APP}).headers.get_list("vary", split_commas=True)
    assert sorted(vary) == ["Accept-Encoding", "Origin"]


def test_a_problem_can_be_read_by_a_page_too(serve: Serve, store: Stored):
    response = serve(cors_origins=APP).get("/api/sessions/9845", headers={"Origin": APP})
    assert response.status_code == 404
    assert response.headers["access-control-allow-origin"] == APP


def test_a_preflight_allows_a_conditional_get(serve: Serve, store: Stored):
    response = serve(cors_origins=APP).options(
        "/api/sessions/9845",
        headers={
            "Origin": APP,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "If-None-Match",
        },
    )
    assert response.headers["access-control-allow-origin"] == APP
    assert "GET" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"].lower() == "if-none-match"
