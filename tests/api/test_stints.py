"""Stints and pit stops: what the drivers' documents hold, as lists."""

from __future__ import annotations

from itertools import chain
from typing import Any

import httpx
import msgspec
import pytest

from pitwall.documents.base import Document
from pitwall.documents.drivers import DriverDocument, PitStop, Stint
from tests.api.conftest import NOW, Stored, got, pages, problem, problem_name
from tests.documents.examples import DRIVER, SESSION


def driver(number: str, tla: str, stops: int) -> DriverDocument:
    """A driver who changed tyres so many times."""
    return msgspec.structs.replace(
        DRIVER,
        racing_number=number,
        tla=tla,
        stints=[Stint(stint=n, compound="SOFT") for n in range(1, stops + 2)],
        pit_stops=[PitStop(lap=10 * n, in_at=NOW, lane_time_ms=22_000 + n, stop=True) for n in range(1, stops + 1)],
    )


CARS = {"7": ("RAI", 2), "44": ("HAM", 0), "7A": ("KAR", 1), "100": ("HUN", 3)}
STOPS = [("7", 10), ("7", 20), ("7A", 10), ("100", 10), ("100", 20), ("100", 30)]


@pytest.fixture
def race(store: Stored) -> Stored:
    documents: dict[str, Document] = {
        f"sessions/9845/drivers/{number}": driver(number, tla, stops) for number, (tla, stops) in CARS.items()
    }
    store({"sessions/9845": SESSION, **documents})
    return store


def stops(body: dict[str, Any]) -> list[tuple[str, int]]:
    return [(item["racingNumber"], item["lap"]) for item in body["items"]]


def test_stops_come_by_racing_number_and_each_drivers_in_order(race: Stored, api: httpx.Client):
    assert stops(got(api, "/api/sessions/9845/pitStops")) == STOPS


def test_a_stop_says_whose_it_is(race: Stored, api: httpx.Client):
    assert got(api, "/api/sessions/9845/pitStops")["items"][2] == {
        "racingNumber": "7A",
        "tla": "KAR",
        "lap": 10,
        "inAt": "2025-11-08T14:03:08.000Z",
        "laneTimeMs": 22_001,
        "stop": True,
    }


def test_stints_come_by_racing_number_and_each_drivers_in_order(race: Stored, api: httpx.Client):
    assert [(item["racingNumber"], item["stint"]) for item in got(api, "/api/sessions/9845/stints")["items"]] == [
        *(("7", n) for n in (1, 2, 3)),
        *(("7A", n) for n in (1, 2)),
        ("44", 1),
        *(("100", n) for n in (1, 2, 3, 4)),
    ]


@pytest.mark.parametrize(("of", "found"), [("100", 3), ("hun", 3), ("7a", 1), ("HAM", 0), ("NOB", 0), ("5", 0)])
def test_stops_of_one_driver(race: Stored, api: httpx.Client, of: str, found: int):
    assert len(got(api, "/api/sessions/9845/pitStops", driver=of)["items"]) == found


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6, 7])
def test_pages_join_to_the_whole_list(race: Stored, api: httpx.Client, limit: int):
    *full, last = map(stops, pages(api, "/api/sessions/9845/pitStops", limit=limit))
    assert {len(page) for page in full} <= {limit}
    assert [*chain(*full), *last] == STOPS


def test_a_page_goes_on_where_it_ended_while_stops_are_added(race: Stored, api: httpx.Client):
    cursor = got(api, "/api/sessions/9845/pitStops", limit=3)["nextCursor"]
    race({"sessions/9845/drivers/7": driver("7", "RAI", 5), "sessions/9845/drivers/7A": driver("7A", "KAR", 2)})
    assert stops(got(api, "/api/sessions/9845/pitStops", cursor=cursor)) == [("7A", 20), *STOPS[3:]]


def test_a_cursor_of_another_list_is_refused(race: Stored, api: httpx.Client):
    cursor = got(api, "/api/sessions/9845/pitStops", limit=2)["nextCursor"]
    for path in ("stints", "pitStops?driver=100"):
        response = api.get(f"/api/sessions/9845/{path}", params={"cursor": cursor} | dict(driver_of(path)))
        assert response.status_code == 400
        assert problem(response)["parameter"] == "cursor"


def driver_of(path: str) -> list[tuple[str, str]]:
    return [("driver", "100")] if "?" in path else []


@pytest.mark.parametrize("name", ["stints", "pitStops"])
def test_a_session_without_drivers_has_none_and_one_that_is_not_there_is_not_found(
    store: Stored, api: httpx.Client, name: str
):
    store({"sessions/9845": SESSION})
    assert got(api, f"/api/sessions/9845/{name}") == {"items": []}
    assert got(api, f"/api/sessions/9845/{name}", driver="44") == {"items": []}
    for query in ("", "?driver=44", "?driver=HAM"):
        assert problem_name(api.get(f"/api/sessions/9846/{name}{query}")) == "not-found"


@pytest.mark.parametrize(("query", "reads"), [("", 5), ("?driver=100", 2), ("?driver=HUN", 2), ("?driver=7A", 2)])
def test_a_list_reads_the_session_and_a_document_a_driver(
    race: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str], query: str, reads: int
):
    api.get(f"/api/sessions/9845/stints{query}")
    assert f'"firestoreReads":{reads}' in capsys.readouterr().out
