"""Takes the examples of the OpenAPI document from a replay: `python -m local.examples`, as `make examples` does.

A simulated race is played through the whole stack; then every route of the served document is asked over HTTP, and
what it answers is kept, cut to its first items. Accounts are those of Firebase Authentication's emulator. What no
replay has, the calendar and the past, is stored beside it: a made-up season of the same drivers. With a pattern only
the routes that match are asked, and what the file has of others stays.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Any

import httpx
import orjson
from google.cloud import storage
from msgspec import UNSET

from local import auth_emulator, made_up_kart_race, made_up_season
from local.commands import simulated
from local.processes import Processes
from local.replay import Replay
from local.stack import Stack
from pitwall.api import openapi
from pitwall.api.description import JSON
from pitwall.api.jobs import EVENTS
from pitwall.documents import paths
from pitwall.documents.circuits import AnalysisDocument, ConnectionDocument, NoticeDocument
from pitwall.documents.encoding import millis, to_fields
from pitwall.documents.feeds import kart_feed
from pitwall.documents.live import FeedDocument
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.history.format_analysis import stored_form
from pitwall.history.persons import export_object
from pitwall.history.telemetry.objects import COMPACT_TYPE, Race, Store
from pitwall.history.telemetry.processing import Opened, computed
from pitwall.karting.detection.rows import Heard
from pitwall.pipeline.database import Database
from pitwall.settings import LOCAL_PROJECT
from pitwall.sources.analysis import analyse
from pitwall.sources.recording import open_recording

ITEMS = 2
"""Items of a list that are kept, and members of a map by racing number."""

WIDEST = 3
"""Keys of a map above which it is one by racing number, if all of them are numbers."""

_BODIES: dict[str, Any] = {
    "POST /api/users": None,
    "PATCH /api/me": {"displayName": "Sam", "favouriteDrivers": ["44", "VER"], "notifications": {"results": True}},
    "PATCH /api/users/{uid}/role": {"role": "viewer"},
    "POST /api/keys": {"name": "a bot"},
    "POST /api/jobs": {"kind": "backfill", "season": 2018, "round": 4},
    "POST /api/privacy/export": {"name": "Ana Kart"},
    "POST /api/privacy/erase": {"name": "Ana Kart"},
    "POST /api/f1/race-telemetry": {"year": 2026, "round": 12, "frame_skip": 4},
    "POST /api/circuits": {
        "nom": "Ardenmoor Karting",
        "liveTimingUrl": "https://live.example.com/ardenmoor/",
        "c1": "Clt",
        "c2": "Kart",
        "endurance": {"stops": 12, "stopMs": 180_000, "stintMs": 2_400_000},
    },
    "PATCH /api/circuits/{circuitId}": {"c3": "Equipe/Pilote", "c14": None},
    "PUT /api/circuits/{circuitId}/format": {"columns": {"c6": "Team"}},
}
"""What routes are sent, in the order in which they have to come; every other one follows."""

_MAKES = {"POST /api/keys": "/keys/", "POST /api/jobs": "/jobs/"}
"""Routes that make what others are about, and what the paths of those have in them."""

_LAST = (
    "POST /api/circuits/{circuitId}/stop-timing",
    "DELETE /api/circuits/{circuitId}/notices/{n}",
    "DELETE /api/circuits/{circuitId}/format",
    "DELETE /api/circuits/{circuitId}",
    "POST /api/jobs/{id}/cancel",
    "DELETE /api/keys/{id}",
    "PATCH /api/users/{uid}/role",
    "DELETE /api/me",
)
CSV = "text/csv"
_FORMATS = {CSV: {"format": "csv"}, EVENTS: {"format": "events"}, COMPACT_TYPE: {"compress": "true"}}
_QUERIES = {
    "GET /api/races/{raceId}/telemetry": {"driver": "{racingNumber}", "lap": "5"},
    "GET /api/races/{raceId}/telemetry/compare": {"a": "{racingNumber}:fastest", "b": "{racingNumber}:5"},
}
"""What routes are asked with."""
_OF_WHAT_RUNS = ("POST /api/sessions/{id}/telemetry/{racingNumber}",)
"""Routes that have no answer for a session that is over."""
_OF_NO_USE = re.compile(r"/api/(docs|redoc|openapi\.json)")
_OF_THE_PAST = re.compile(r" /api/(races|drivers|constructors|circuits|standings)\b")
_OF_A_TRACK = re.compile(r" /api/circuits/{circuitId}/(?!layouts)|(PATCH|DELETE) /api/circuits/{circuitId}$")
"""Routes of kart tracks: they are asked about `_store_track`'s, which a route that needs more of one adds to."""
_OF_A_KART_RACE = ("GET /api/sessions/{id}/endurance",)
"""Routes that have no answer for a session of F1: they are asked about the race of that track."""
_TRACK = made_up_kart_race.CIRCUIT
_BOARD = (
    'init|r|\ngrid||<tbody><tr data-id="r0" class="head"><td data-id="c1" data-type="rk">Clt</td>'
    '<td data-id="c2" data-type="no">Kart</td><td data-id="c3" data-type="llp">Dernier T.</td></tr>'
    '<tr data-id="r7"><td data-id="r7c1">1</td><td data-id="r7c2">7</td><td data-id="r7c3">59.105</td></tr></tbody>'
)
"""What a made-up kart track's feed says."""
_NOTICE = "new-field-c15"
_HIDDEN = "x" * 43
_EXPORT = "c9f0f895fb98ab9159f51fd0297e236d"


def main(wanted: str = "") -> None:
    """Writes functions/pitwall/api/examples.json. wanted: pattern of the routes to ask; all without."""
    with ExitStack() as using:
        emulator = auth_emulator.start_auth(using.enter_context(Processes()), LOCAL_PROJECT)
        os.environ[emulator.variable] = emulator.value
        Replay(simulated(1), stay=lambda stack, _: _write(stack, f"http://{emulator.address}", wanted)).run()


def _write(stack: Stack, auth: str, wanted: str) -> None:
    calendar = _store_calendar(stack)
    with httpx.Client(base_url=stack.api_url.removesuffix("/api"), trust_env=False, timeout=30) as api:
        uid, token = _admin(auth)
        api.headers["Authorization"] = f"Bearer {token}"
        current = api.get("/api/sessions/current").raise_for_status().json()
        drivers = api.get(f"/api/sessions/{current['sessionKey']}/drivers").raise_for_status().json()
        winner = drivers["items"][0]["racingNumber"]
        given = {"id": current["sessionKey"], "lap": 5, "driverId": winner, "year": calendar, "uid": uid}
        given |= {"exportId": _store_export(stack)}
        given |= {"racingNumber": winner, "round": _store_telemetry(stack, calendar, current["round"])}
        season = _store_season(current["sessionKey"])
        past = {
            **given,
            "raceId": season.race,
            "driverId": season.driver,
            "constructorId": season.constructor,
            "circuitId": season.circuit,
        }
        circuit, race = _store_track(stack)
        track = {**given, "circuitId": circuit, "n": _NOTICE}
        examples: dict[str, Any] = orjson.loads(openapi.EXAMPLES.read_bytes()) if wanted else {}
        ids: dict[str, str] = {}
        served = _routes(api.get("/api/openapi.json").raise_for_status().json())
        routes = {route: told for route, told in served.items() if re.search(wanted, route)}
        for route in sorted(routes, key=lambda route: (_turn(route), route)):
            with _running(stack, given["id"]) if route in _OF_WHAT_RUNS else nullcontext():
                to = track if _OF_A_TRACK.search(route) else past if _OF_THE_PAST.search(route) else given
                own = race if route in _OF_A_KART_RACE else given["id"]
                made = next((id_ for part, id_ in ids.items() if part in route), own)
                shown = _example(api, route, routes[route], {**to, "id": made})
            if route in _MAKES:
                ids[_MAKES[route]] = shown[JSON]["id"]
            if route == "POST /api/keys":
                shown[JSON]["key"] = "pitwall_" + _HIDDEN
            if shown:
                examples[route] = shown
    openapi.EXAMPLES.write_bytes(orjson.dumps(examples, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n")
    sys.stdout.write(f"{openapi.EXAMPLES}: {len(examples)} routes\n")


def _routes(document: dict[str, Any]) -> dict[str, list[str]]:
    """Every route that has data, and the content types of its success."""
    return {
        f"{method.upper()} {path}": [
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
        query = {name: value.format(**given) for name, value in _QUERIES.get(route, {}).items()}
        query |= _FORMATS.get(content_type, {})
        answer = api.request(method, path, params=query, json=_BODIES.get(route))
        answer.raise_for_status()
        if content_type == EVENTS:
            shown[content_type] = answer.text
        elif content_type == COMPACT_TYPE:
            shown[content_type] = answer.content[: len("PWT1")].decode()
        elif content_type == CSV:
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


@contextmanager
def _running(stack: Stack, key: str) -> Iterator[None]:
    """With the session that was played stored as if it still ran."""
    database = stack.firestore()
    session, feed = database.document(paths.session(key)), database.document(paths.live(key, "feed"))
    before = session.get(["status"]).to_dict(), feed.get(["state"]).to_dict()
    session.update({"status": "Started"})
    feed.update({"state": "live"})
    yield
    session.update(before[0])
    feed.update(before[1])


def _store_season(key: str) -> made_up_season.Stored:
    """Stores a made-up season around the session that was played."""
    with closing(Database(LOCAL_PROJECT)) as database:
        return made_up_season.store_season(database, key)


def _store_track(stack: Stack) -> tuple[str, str]:
    """Stores a kart track as the app does, what its feed was found to say, how it was heard, and a race; ids of both.

    The race is older than the one that was played, which stays the current one.
    """
    at = datetime.fromisoformat("2026-07-01T12:00:00Z")
    analysis = AnalysisDocument(
        at=at,
        written_at=at,
        v=1,
        heard_from="live.example.com:8523",
        frames=1,
        heard_ms=120_000,
        analysis=stored_form(analyse([Heard(0, _BOARD)])),
        job=f"analyze-format-kart-{_TRACK}",
    )
    race = made_up_kart_race.documents(made_up_kart_race.race(millis(at)))
    key = made_up_kart_race.session_of(race)
    feed = kart_feed(_TRACK)
    heard = FeedDocument(at=at, source="apex", state="live", last_message_at=at, reconnects=0, gated_topics=[])
    event = ConnectionDocument(at=at, feed_id=feed, state="live", reconnects=0, session=key)
    new = "there is a field c15 that was not there before"
    notice = NoticeDocument(at=at, kind="new-field", field="c15", role="", message=new, session=key)
    stored = {
        **race,
        paths.circuit_analysis(_TRACK): analysis,
        paths.live(key, "feed"): heard,
        paths.connection(_TRACK, f"{millis(at)}-live"): event,
        paths.notice(_TRACK, _NOTICE): notice,
    }
    for path, document in stored.items():
        stack.firestore().document(path).set({**to_fields(document), "v": 1, "writtenAt": at})
    stack.firestore().document(paths.circuit(_TRACK)).set({"nom": "Kart Park", "wssUrl": "wss://live.example.com:8523"})
    return _TRACK, key


def _store_telemetry(stack: Stack, year: int, round_: int) -> int:
    """Computes the telemetry of the race that was played, as the job does; the race's round."""
    recorded = Opened(open_recording(simulated(1)), "Race", final=True)
    computed(Store.of(stack.settings), Race(year, round_), recorded, lambda *_: None)
    return round_


def _store_export(stack: Stack) -> str:
    """Stores what was found of somebody at a kart track; its id."""
    says = {"racingNumber": "7", "fullName": "Ana Kart", "teamName": "Quick Ones", "laps": 41, "bestLapMs": 58_212}
    found = {"stored": "sessions/kart-kart-park-20260701-1200-race/drivers/7", "at": "/", "says": says}
    bucket = storage.Client(project=LOCAL_PROJECT).bucket(stack.settings.telemetry_bucket)
    bucket.blob(export_object(_EXPORT)).upload_from_string(gzip.compress(orjson.dumps({"places": [found]})))
    return _EXPORT


def _store_calendar(stack: Stack) -> int:
    """Stores the meeting of the session that was played as a calendar; its year."""
    [found] = stack.firestore().collection(paths.SESSIONS).limit(1).stream()
    played = found.to_dict()
    at, start, end = (datetime.fromisoformat(played[key].isoformat()) for key in ("at", "startDate", "endDate"))
    name = played["meeting"]["name"]
    event = EventDocument(
        at=at,
        v=1,
        written_at=at,
        year=start.year,
        round=played["round"],
        name=name,
        start_date=start - timedelta(days=2),
        end_date=end,
        sessions=[
            ScheduledSession(
                year=start.year,
                session_key=found.id if kind == "Race" else UNSET,
                round=played["round"],
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
    stack.firestore().document(paths.event(start.year, str(played["round"]))).set(to_fields(event))
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
    main(*sys.argv[1:2])
