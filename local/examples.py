"""Takes the examples of the OpenAPI document from a replay: `python -m local.examples`, which `make examples` runs.

A simulated race is played through the whole stack; then every route of the served document is asked over HTTP, and
what it answers is kept, cut to its first items. Accounts are those of Firebase Authentication's emulator. What no
replay has, the calendar, is stored beside it.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson

from local import auth_emulator
from local.commands import simulated
from local.processes import Processes
from local.replay import Replay
from local.stack import Stack
from pitwall.api import openapi
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.settings import LOCAL_PROJECT

ITEMS = 2
"""Items of a list that are kept, and members of a map by racing number."""

WIDEST = 3
"""Keys of a map above which it is one by racing number, if all of them are numbers."""

_BODIES: dict[str, Any] = {
    "POST /api/users": None,
    "PATCH /api/me": {"displayName": "Sam", "favouriteDrivers": ["44", "VER"], "notifications": {"results": True}},
    "PATCH /api/users/{uid}/role": {"role": "viewer"},
    "POST /api/keys": {"name": "a bot"},
}
"""What routes are sent, in the order in which they have to come; every other one follows."""

_LAST = ("DELETE /api/keys/{id}", "PATCH /api/users/{uid}/role", "DELETE /api/me")
_OF_NO_USE = re.compile(r"/api/(docs|redoc|openapi\.json)")
_HIDDEN = "x" * 43


def main() -> None:
    """Writes functions/pitwall/api/examples.json."""
    with ExitStack() as using:
        emulator = auth_emulator.start_auth(using.enter_context(Processes()), LOCAL_PROJECT)
        os.environ[emulator.variable] = emulator.value
        Replay(simulated(1), stay=lambda stack, _: _write(stack, f"http://{emulator.address}")).run()


def _write(stack: Stack, auth: str) -> None:
    calendar = _store_calendar(stack)
    with httpx.Client(base_url=stack.api_url.removesuffix("/api"), trust_env=False, timeout=30) as api:
        uid, token = _admin(auth)
        api.headers["Authorization"] = f"Bearer {token}"
        current = api.get("/api/sessions/current").raise_for_status().json()
        drivers = api.get(f"/api/sessions/{current['sessionKey']}/drivers").raise_for_status().json()
        winner = drivers["items"][0]["racingNumber"]
        given = {"id": current["sessionKey"], "lap": 5, "driverId": winner, "year": calendar, "uid": uid}
        examples, key = {}, ""
        routes = _routes(api.get("/api/openapi.json").raise_for_status().json())
        for route in sorted(routes, key=lambda route: (_turn(route), route)):
            shown = _example(api, route, routes[route], {**given, "id": key} if "/keys/" in route else given)
            if route == "POST /api/keys":
                key = shown["application/json"]["id"]
                shown["application/json"]["key"] = "pitwall_" + _HIDDEN
            if shown:
                examples[route] = shown
    openapi.EXAMPLES.write_bytes(orjson.dumps(examples, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    sys.stdout.write(f"{openapi.EXAMPLES}: {len(examples)} routes\n")


def _routes(document: dict[str, Any]) -> dict[str, list[str]]:
    """Every route that has data, and the content types of its success."""
    return {
        openapi.name(method.upper(), path): [
            content_type
            for status, response in operation["responses"].items()
            if status.startswith("2")
            for content_type in response.get("content", ())
            if content_type != "text/html"
        ]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if not _OF_NO_USE.match(path)
    }


def _turn(route: str) -> int:
    if route in _LAST:
        return len(_BODIES) + 1 + _LAST.index(route)
    return list(_BODIES).index(route) if route in _BODIES else len(_BODIES)


def _example(api: httpx.Client, route: str, content_types: list[str], given: dict[str, Any]) -> dict[str, Any]:
    method, _, template = route.partition(" ")
    path = re.sub(r"{(\w+)}", lambda variable: str(given[variable[1]]), template)
    shown = {}
    for content_type in dict.fromkeys(content_types or [""]):
        query = {"format": "csv"} if content_type == "text/csv" else {}
        answer = api.request(method, path, params=query, json=_BODIES.get(route))
        answer.raise_for_status()
        if content_type == "text/csv":
            shown[content_type] = "".join(answer.text.splitlines(keepends=True)[: ITEMS + 1])
        elif content_type:
            shown[content_type] = _cut(answer.json())
    return shown


def _cut(value: Any) -> Any:
    if isinstance(value, list):
        return [_cut(item) for item in value[:ITEMS]]
    if isinstance(value, dict):
        by_number = len(value) > WIDEST and all(re.match(r"\d", key) for key in value)
        return {key: _cut(item) for key, item in list(value.items())[: ITEMS if by_number else None]}
    return value


def _store_calendar(stack: Stack) -> int:
    """Stores the meeting of the session that was played as a calendar; its year."""
    [played] = [found.to_dict() for found in stack.firestore().collection(paths.SESSIONS).limit(1).stream()]
    at, start, end = (datetime.fromisoformat(played[key].isoformat()) for key in ("at", "startDate", "endDate"))
    name = played["meeting"]["name"]
    event = EventDocument(
        at=at,
        v=1,
        written_at=at,
        year=start.year,
        round=1,
        name=name,
        start_date=start - timedelta(days=2),
        end_date=end,
        sessions=[
            ScheduledSession(
                year=start.year,
                round=1,
                meeting=name,
                type=kind,
                name=session,
                start_date=start - before,
                end_date=end - before,
            )
            for kind, session, before in (
                ("Practice", "Practice 1", timedelta(days=2)),
                ("Race", "Race", timedelta()),
            )
        ],
    )
    stack.firestore().document(paths.event(start.year, "1")).set(to_fields(event))
    return int(start.year)


def _admin(auth: str) -> tuple[str, str]:
    """An account with the role admin: its uid, and an ID token."""
    account = {"email": "sam@example.com", "password": "a long pass phrase", "returnSecureToken": True}
    base = f"{auth}/identitytoolkit.googleapis.com/v1"
    owner = {"Authorization": "Bearer owner"}
    with httpx.Client(trust_env=False, timeout=30) as http:
        made = http.post(f"{base}/accounts:signUp?key=any", json=account).raise_for_status().json()
        claims = {"localId": made["localId"], "customAttributes": '{"role": "admin"}'}
        http.post(f"{base}/projects/{LOCAL_PROJECT}/accounts:update", json=claims, headers=owner).raise_for_status()
        signed = http.post(f"{base}/accounts:signInWithPassword?key=any", json=account).raise_for_status().json()
    return made["localId"], signed["idToken"]


if __name__ == "__main__":
    main()
