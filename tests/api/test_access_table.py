"""The table of who may do what, walked: every route, by everybody there is, where sessions are public and where not."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from flask import Flask

from local.emulators import Emulator
from pitwall.api import access
from pitwall.api.access import TABLE, Access
from pitwall.api.app import create_app
from pitwall.settings import Settings
from tests.api.accounts import Accounts, bearer, expired
from tests.api.conftest import Serve, Stored, problem_name
from tests.documents.examples import EXAMPLES

TEXT = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
ADDRESSES = {"lap": "8", "racingNumber": "44", "driverId": "44", "year": "2025", "uid": "nobody"}
IN, UNKNOWN, REFUSED = "in", "unauthenticated", "forbidden"

ANYBODY = dict.fromkeys(
    (
        "anonymous",
        "account",
        "viewer",
        "service",
        "admin",
        "expired",
        "wrong audience",
        "no token",
        "key",
        "revoked key",
    ),
    IN,
)
MAY: dict[Access, dict[str, str]] = {
    Access.PUBLIC: ANYBODY,
    Access.SESSIONS: {**ANYBODY, "revoked key": UNKNOWN},
    Access.ASKER: {
        **dict.fromkeys(("account", "viewer", "service", "admin", "key"), IN),
        **dict.fromkeys(("anonymous", "expired", "wrong audience", "no token", "revoked key"), UNKNOWN),
    },
    Access.USER: {
        **dict.fromkeys(("account", "viewer", "service", "admin"), IN),
        **dict.fromkeys(("anonymous", "expired", "wrong audience", "no token", "revoked key"), UNKNOWN),
        "key": REFUSED,
    },
    Access.TRACKS: {
        **dict.fromkeys(("service", "admin"), IN),
        **dict.fromkeys(("anonymous", "expired", "wrong audience", "no token", "revoked key"), UNKNOWN),
        **dict.fromkeys(("account", "viewer", "key"), REFUSED),
    },
    Access.ADMIN: {
        "admin": IN,
        **dict.fromkeys(("anonymous", "expired", "wrong audience", "no token", "revoked key"), UNKNOWN),
        **dict.fromkeys(("account", "viewer", "service", "key"), REFUSED),
    },
}
"""What becomes of whom, by who may."""

MAY_WHERE_CLOSED: dict[Access, dict[str, str]] = {
    **MAY,
    Access.ASKER: {**MAY[Access.ASKER], "account": REFUSED},
    Access.SESSIONS: {
        **dict.fromkeys(("viewer", "service", "admin", "key"), IN),
        **dict.fromkeys(("anonymous", "expired", "wrong audience", "no token", "revoked key"), UNKNOWN),
        "account": REFUSED,
    },
}


@pytest.fixture
def callers(
    store: Stored, serve: Serve, accounts: Accounts, auth_emulator: Emulator, project: str
) -> dict[str, dict[str, str]]:
    """The headers of everybody there is."""
    store(EXAMPLES)
    admin = accounts.token("admin")
    api = serve()
    made = [api.post("/api/keys", headers=bearer(admin), json={"name": name}).json() for name in ("good", "revoked")]
    api.delete(f"/api/keys/{made[1]['id']}", headers=bearer(admin))
    return {
        "anonymous": {},
        "account": bearer(accounts.token()),
        "viewer": bearer(accounts.token("viewer")),
        "service": bearer(accounts.token("service")),
        "admin": bearer(admin),
        "expired": bearer(expired(admin)),
        "wrong audience": bearer(Accounts(auth_emulator, f"{project}-other").token("admin")),
        "no token": {"Authorization": "Basic YWRtaW46YWRtaW4="},
        "key": {"X-API-Key": made[0]["key"]},
        "revoked key": {"X-API-Key": made[1]["key"]},
    }


def ask(api: httpx.Client, route: str, headers: dict[str, str]) -> str:
    """What becomes of a request: let in (whatever the route then says of it), or the problem it is refused with."""
    method, path = route.split()
    session = "9845" if path.startswith("/api/sessions") else "0" * 64
    address = re.sub(r"{(\w+)}", lambda part: ADDRESSES.get(part[1], session), path)
    response = api.request(method, address, headers=headers)
    return problem_name(response) if response.status_code in (401, 403) else IN


@pytest.mark.parametrize("public", [True, False], ids=["public", "closed"])
def test_everybody_may_what_the_table_says(serve: Serve, callers: dict[str, dict[str, str]], public: bool):
    api = serve(public=public)
    may = MAY if public else MAY_WHERE_CLOSED
    served = set(access.shapes(create_app(Settings())))
    routes = [route for route in TABLE if re.sub(r"{\w+}", "{}", route) in served]
    found = {route: {name: ask(api, route, headers) for name, headers in callers.items()} for route in routes}
    assert found == {route: may[TABLE[route]] for route in routes}


def test_every_route_is_in_the_table_once_and_the_table_has_no_other():
    listed = [re.sub(r"{\w+}", "{}", route) for route in TABLE]
    assert sorted(listed) == sorted(set(access.shapes(create_app(Settings()))))


def test_an_app_with_a_route_that_is_not_in_the_table_is_not_created():
    app = Flask("another")
    app.add_url_rule("/api/secrets", view_func=lambda: "")
    with pytest.raises(ValueError, match="GET /api/secrets"):
        access.enforce(app, Settings(), lambda: 0.0)


def test_a_method_that_is_not_in_the_table_is_not_created_either():
    app = Flask("another")
    app.add_url_rule("/api/sessions/<key>", view_func=lambda key: "", methods=["PUT"])
    with pytest.raises(ValueError, match="PUT /api/sessions"):
        access.enforce(app, Settings(), lambda: 0.0)


def test_the_documentation_shows_the_table():
    rows = re.findall(r"^\| `([A-Z]+ /[^`]+)` \| ([^|]+) \|$", TEXT, re.MULTILINE)
    assert dict(rows) == {route: may.value for route, may in TABLE.items()}
    assert len(rows) == len(TABLE)


def test_options_tells_nothing_and_asks_nobody(serve: Serve, store: Stored):
    api = serve(public=False, cors_origins="https://app.example")
    for method, path in (
        ("PATCH", "/api/me"),
        ("POST", "/api/keys"),
        ("DELETE", "/api/me"),
        ("GET", "/api/sessions/1"),
    ):
        headers = {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "Authorization, X-API-Key, X-Firebase-AppCheck, Content-Type",
        }
        response = api.options(path, headers=headers)
        assert response.status_code == 200
        assert method in response.headers["access-control-allow-methods"].split(", ")
        allowed = response.headers["access-control-allow-headers"].lower().split(", ")
        assert set(allowed) == {"authorization", "x-api-key", "x-firebase-appcheck", "content-type"}
        assert response.content == b""
