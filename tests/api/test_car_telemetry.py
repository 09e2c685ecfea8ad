"""Asking for the telemetry of one car: who may, for how long, and when there is none to be had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api
from msgspec.structs import replace

from pitwall.api.keys import PREFIX, id_of
from pitwall.documents.api_key import ApiKeyDocument
from pitwall.documents.base import Document
from pitwall.documents.economy import EconomyDocument, Mode
from pitwall.documents.live import EntriesDocument, EntryLine, FeedDocument, TowerDocument, TowerLine
from pitwall.pipeline.database import Database
from pitwall.pipeline.telemetry_requests import TelemetryRequests
from tests.api.conftest import Serve, Stored, problem, problem_name
from tests.documents.examples import AT, EXAMPLES

CAR = "/api/sessions/9845/telemetry/44"
SESSION = EXAMPLES["sessions/9845"]
FEED = FeedDocument(at=AT, source="f1", state="live", reconnects=0, gated_topics=[])
CARS = EntriesDocument(at=AT, lines={number: EntryLine(tla=f"A{number}") for number in ("1", "4", "16", "44", "81")})
RUNNING: dict[str, Document] = {
    "sessions/9845": SESSION,
    "sessions/9845/live/entries": CARS,
    "sessions/9845/live/feed": FEED,
}


def key_of(name: str) -> str:
    return PREFIX + name.ljust(43, "x")


@pytest.fixture
def asking(store: Stored, serve: Serve) -> httpx.Client:
    """A client with an API key, of a session that runs."""
    store(RUNNING)
    keys = {name: ApiKeyDocument(at=AT, name=name, role="service", created_at=AT, created_by="x") for name in "ab"}
    store({f"apiKeys/{id_of(key_of(name))}": key for name, key in keys.items()})
    api = serve()
    api.headers["X-API-Key"] = key_of("a")
    return api


def requested(client: firestore_api.Client) -> dict[str, Any]:
    fields = client.document("telemetryRequests/9845").get().to_dict() or {}
    cars: dict[str, Any] = fields.get("cars", {})
    return cars


def test_who_asks_is_told_what_to_listen_to_and_for_how_long(
    asking: httpx.Client, firestore: firestore_api.Client
) -> None:
    response = asking.post(CAR)
    assert response.status_code == 201
    body = response.json()
    assert body["path"] == "sessions/9845/telemetry/44"
    left = datetime.fromisoformat(body["until"]) - datetime.now(UTC)
    assert timedelta(seconds=90) < left <= timedelta(seconds=121)
    assert requested(firestore).keys() == {"44"}
    assert "public" not in response.headers["cache-control"]


def test_asking_again_is_the_same_request(asking: httpx.Client) -> None:
    first = asking.post(CAR)
    again = asking.post("/api/v1/sessions/9845/telemetry/44")
    assert (again.status_code, again.json()) == (200, first.json())


def test_of_two_who_ask_neither_ends_what_the_other_sees(
    asking: httpx.Client, firestore: firestore_api.Client, project: str
) -> None:
    asking.post(CAR)
    assert asking.post(CAR, headers={"X-API-Key": key_of("b")}).status_code == 200
    for name in "ab":
        assert asking.delete(CAR, headers={"X-API-Key": key_of(name)}).status_code == 204
    assert TelemetryRequests(Database(project), 4).asked("9845").wanted.keys() == {"44"}


def test_who_asked_alone_ends_it(asking: httpx.Client, project: str) -> None:
    asking.post(CAR)
    assert asking.delete(CAR).status_code == 204
    assert TelemetryRequests(Database(project), 4).asked("9845").wanted == {}


def test_ending_what_was_never_asked_for_is_done(asking: httpx.Client) -> None:
    assert asking.delete(CAR).status_code == 204


def test_more_cars_than_may_be_are_refused_with_those_that_are_told(store: Stored, asking: httpx.Client) -> None:
    for number in ("1", "4", "16", "44"):
        assert asking.post(f"/api/sessions/9845/telemetry/{number}").status_code == 201
    response = asking.post("/api/sessions/9845/telemetry/81")
    assert response.status_code == 409
    assert problem_name(response) == "too-many-cars"
    assert problem(response)["cars"] == ["1", "16", "4", "44"]
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("number", ["99", "7A", "x" * 40, "a b", "%00"])
def test_a_car_that_is_not_in_the_session_is_not_found(
    asking: httpx.Client, firestore: firestore_api.Client, number: str
) -> None:
    assert problem_name(asking.post(f"/api/sessions/9845/telemetry/{number}")) == "not-found"
    assert requested(firestore) == {}


def test_a_car_that_is_in_the_tower_alone_is_in_the_session(store: Stored, asking: httpx.Client) -> None:
    store({"sessions/9845/live/timing": TowerDocument(at=AT, lines={"99": TowerLine(p=1)})})
    assert asking.post("/api/sessions/9845/telemetry/99").status_code == 201


@pytest.mark.parametrize("key", ["1", "__x__", "a" * 200])
def test_a_session_that_there_is_not_is_not_found(asking: httpx.Client, key: str) -> None:
    response = asking.post(f"/api/sessions/{key}/telemetry/44")
    assert problem_name(response) == "not-found"


OVER: dict[str, dict[str, Document]] = {
    "final": {"sessions/9845": replace(SESSION, final=True)},
    "finalised": {"sessions/9845": replace(SESSION, status="Finalised")},
    "its feed has ended": {"sessions/9845/live/feed": replace(FEED, state="ended")},
    "telemetry held back": {"sessions/9845/live/feed": replace(FEED, gated_topics=["CarData.z", "Position.z"])},
    "telemetry held back by OpenF1": {"sessions/9845/live/feed": replace(FEED, gated_topics=["CarData", "Position"])},
}


@pytest.mark.parametrize("stored", OVER.values(), ids=OVER)
def test_where_nothing_will_be_told_the_answer_says_so(
    store: Stored, asking: httpx.Client, firestore: firestore_api.Client, stored: dict[str, Document]
) -> None:
    store(stored)
    response = asking.post(CAR)
    assert response.status_code == 409
    assert problem_name(response) == "no-telemetry"
    assert requested(firestore) == {}


@pytest.mark.parametrize(("mode", "status"), [("off", 201), ("slow", 409), ("closed", 409)])
def test_where_viewers_are_to_cost_less_there_is_none(
    store: Stored, asking: httpx.Client, mode: Mode, status: int
) -> None:
    store({"economy/current": EconomyDocument(at=AT, mode=mode, set_by="hand")})
    assert asking.post(CAR).status_code == status


def test_what_the_feed_holds_back_of_it_is_named(store: Stored, asking: httpx.Client) -> None:
    store({"sessions/9845/live/feed": replace(FEED, gated_topics=["CarData.z", "PitStopSeries"])})
    assert asking.post(CAR).json()["withheld"] == ["CarData"]


def test_where_it_is_switched_off_there_is_none(asking: httpx.Client, serve: Serve) -> None:
    off = serve(telemetry_cars=0)
    assert problem_name(off.post(CAR, headers={"X-API-Key": key_of("a")})) == "no-telemetry"


def test_without_saying_who_asks_nothing_is_asked(store: Stored, serve: Serve, firestore: firestore_api.Client) -> None:
    store(RUNNING)
    api = serve()
    assert problem_name(api.post(CAR)) == "unauthenticated"
    assert problem_name(api.delete(CAR)) == "unauthenticated"
    assert requested(firestore) == {}


def test_who_asks_too_often_is_refused(asking: httpx.Client, serve: Serve) -> None:
    api = serve(rate_limit_key=3)
    headers = {"X-API-Key": key_of("a")}
    assert [api.post(CAR, headers=headers).status_code for _ in range(4)] == [201, 200, 200, 429]


def test_asking_again_at_once_writes_nothing(asking: httpx.Client, firestore: firestore_api.Client) -> None:
    asking.post(CAR)
    before = firestore.document("telemetryRequests/9845").get().update_time
    asking.post(CAR)
    assert firestore.document("telemetryRequests/9845").get().update_time == before
