"""The OpenAPI document is true of what serves it, has an example of every answer, and its pages load nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple

import httpx
import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from pitwall.api import access, description, errors, openapi
from pitwall.api.app import create_app
from pitwall.api.description import JSON
from pitwall.settings import Settings
from tests.api.conftest import problem, problem_name

Json = dict[str, Any]
NO_DATA = ("/api/docs", "/api/docs/{asset}", "/api/redoc", "/api/openapi.json")
"""Routes whose answers are pages, or the document itself."""


def made(**settings: Any) -> Flask:
    return create_app(Settings(project="test-openapi", rate_limit_address=0, rate_limit_key=0, **settings))


APP = made()
DOCUMENT = openapi.document(APP, Settings(project="test-openapi"), "/api")


class Operation(NamedTuple):
    route: str
    path: str
    told: Json


OPERATIONS = {
    operation.route: operation
    for operation in (
        Operation(f"{method.upper()} {path}", path, told)
        for path, operations in DOCUMENT["paths"].items()
        for method, told in operations.items()
    )
}


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    """A client of an app that needs no database for what is asked here."""
    with httpx.Client(transport=httpx.WSGITransport(APP), base_url="http://pitwall.test") as client:
        yield client


def test_the_document_is_valid_openapi():
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_every_route_is_in_the_document():
    documented = {re.sub(r"{\w+}", "{}", route) for route in OPERATIONS}
    assert documented == set(access.shapes(APP))


def test_v1_has_the_same_routes_under_its_own_address(web: httpx.Client):
    paths = web.get("/api/v1/openapi.json").json()["paths"]
    assert {path.replace("/api/v1/", "/api/") for path in paths} == set(DOCUMENT["paths"])
    assert "/api/v1/sessions/current" in paths


def test_the_document_that_is_served_is_this_one(web: httpx.Client):
    assert web.get("/api/openapi.json").json() == DOCUMENT


def test_who_has_the_document_gets_304(web: httpx.Client):
    first = web.get("/api/openapi.json")
    again = web.get("/api/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert first.headers["cache-control"].startswith("public, max-age=")


def test_no_two_operations_have_one_id():
    ids = [operation.told["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "problem_type",
    [problem for problem in errors.PROBLEMS if problem is not errors.WrongMethod],  # a documented method is never it
    ids=lambda kind: kind.name,
)
def test_every_problem_is_documented(problem_type: type[errors.Problem]):
    documented = str(DOCUMENT["components"]["responses"])
    assert errors.TYPE_PREFIX + problem_type.name in documented


@pytest.mark.parametrize("route", OPERATIONS)
def test_a_route_says_who_may(route: str):
    security = OPERATIONS[route].told["security"]
    who = access.TABLE[route]
    assert (security == [{"idToken": []}]) == (who in (access.Access.USER, access.Access.TRACKS, access.Access.ADMIN))
    assert (security == [{"idToken": []}, {"apiKey": []}]) == (who is access.Access.ASKER)
    assert ({} in security) == (who in ANYBODY)


def test_sessions_that_are_not_public_need_a_token_or_a_key():
    closed = openapi.document(APP, Settings(project="x", public=False, app_check=True), "/api")
    security = closed["paths"]["/api/sessions/current"]["get"]["security"]
    assert security == [{"idToken": [], "appCheck": []}, {"apiKey": []}]


def responses() -> dict[str, tuple[Json, Any]]:
    """Schema and example of every body that the document describes, by route, status and content type."""
    found = {}
    for operation in OPERATIONS.values():
        for status, response in operation.told["responses"].items():
            if "$ref" in response:
                response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
            for content_type, content in response.get("content", {}).items():
                if content_type != "text/html" and (operation.path not in NO_DATA or not status.startswith("2")):
                    found[f"{operation.route} {status} {content_type}"] = content["schema"], content.get("example")
    return found


@pytest.mark.parametrize(("schema", "example"), responses().values(), ids=responses())
def test_a_body_has_an_example_that_fits_its_schema(schema: Json, example: Any):
    assert example, "run `make examples` and commit functions/pitwall/api/examples.json"
    whole = {**schema, "components": DOCUMENT["components"]}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(example)] == []


@pytest.mark.parametrize("route", [route for route in OPERATIONS if OPERATIONS[route].path not in NO_DATA])
def test_an_example_has_only_keys_the_schema_knows(route: str):
    for status, response in OPERATIONS[route].told["responses"].items():
        content = response.get("content", {}).get(JSON)
        if status.startswith("2") and content:
            assert list(unknown(content["example"], content["schema"])) == []


def unknown(value: Any, schema: Json, place: str = "$") -> Iterator[str]:
    """Places of the keys that a schema has not, where it has keys."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        for item in value:
            yield from unknown(item, schema.get("items", {}), f"{place}[]")
    if isinstance(value, dict):
        keys, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for key, inner in value.items():
            if key not in keys and not others and keys:
                yield f"{place}.{key}"
            yield from unknown(inner, keys.get(key) or (others if isinstance(others, dict) else {}), f"{place}.{key}")


def test_a_list_of_the_examples_is_not_empty():
    lists = {
        route: operation.told["responses"]["200"]["content"][JSON]["example"]["items"]
        for route, operation in OPERATIONS.items()
        if "items" in operation.told["responses"].get("200", {}).get("content", {}).get(JSON, {}).get("example", {})
    }
    assert {route for route, items in lists.items() if not items} == set()
    assert len(lists) > 10


ANYBODY = (access.Access.PUBLIC, access.Access.SESSIONS)
"""Who may without saying who they are; elsewhere that is found out before the parameters are."""


@pytest.mark.parametrize(
    "route", [route for route in OPERATIONS if route.startswith("GET ") and access.TABLE[route] in ANYBODY]
)
@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
def test_unknown_parameters_are_refused_by_name_on_every_public_route(web: httpx.Client, route: str, prefix: str):
    path = re.sub(r"{(\w+)}", lambda variable: {"lap": "3", "year": "2025"}.get(variable[1], "44"), route[4:])
    response = web.get(re.sub(r"^/api(?=/)", prefix, path) + "?spoiler=1")
    assert response.status_code == 400
    assert problem_name(response) == "bad-request"
    assert problem(response)["parameter"] == "spoiler"


def test_a_route_without_a_description_keeps_the_app_from_being_created():
    app = Flask("undescribed", static_folder=None)
    app.add_url_rule("/api/secret", view_func=lambda: "")
    with pytest.raises(ValueError, match="/api/secret"):
        list(description.routes(app))


def test_no_stack_trace_leaves_whatever_a_route_raises():
    app = made()

    def raises() -> None:
        raise RuntimeError("the password is 1234")

    app.view_functions["docs.swagger"] = raises
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://pitwall.test") as client:
        response = client.get("/api/docs")
    assert response.status_code == 500
    assert problem_name(response) == "internal"
    assert "1234" not in response.text
    assert "RuntimeError" not in response.text


class Loaded(HTMLParser):
    """What a page loads, and whether it runs anything that is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        address = named.get("src") or named.get("href")
        if address:
            self.addresses.append(address)
        self.inline |= tag == "style" or (tag == "script" and "src" not in named)
        self.inline |= any(name.startswith("on") for name in named)


@pytest.mark.parametrize("page", ["docs", "redoc"])
@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
def test_a_page_loads_only_what_is_served_here(web: httpx.Client, page: str, prefix: str):
    response = web.get(f"{prefix}/{page}")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    loaded = Loaded()
    loaded.feed(response.text)
    assert not loaded.inline
    files = [address for address in loaded.addresses if address != "data:,"]
    assert len(files) >= 2
    for address in files:
        assert address.startswith(f"{prefix}/docs/")
        asset = web.get(address)
        assert asset.status_code == 200
        assert len(asset.content) > 50
        assert asset.headers["content-type"].split(";")[0] in ("text/javascript", "text/css")


@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_a_pages_policy_lets_it_load_nothing_from_elsewhere(web: httpx.Client, page: str):
    policy = web.get(f"/api/{page}").headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["connect-src"] == "'self'"
    assert not re.search(r"https?:|\*|unsafe-eval", policy)


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css", "redoc.standalone.js"])
def test_a_file_names_no_place_to_load_from(web: httpx.Client, name: str):
    text = web.get(f"/api/docs/{name}").text
    assert re.findall(r"https?://(?:cdn|fonts|unpkg|[\w.]*jsdelivr)[\w./-]*|url\(\s*['\"]?https?:", text) == []


def test_a_file_that_no_page_loads_is_not_found(web: httpx.Client):
    assert problem_name(web.get("/api/docs/index.template.html")) == "not-found"
