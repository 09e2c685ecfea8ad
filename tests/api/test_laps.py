"""`/sessions/{id}/laps`: filters, pages and single laps."""

from __future__ import annotations

from itertools import chain
from typing import Any

import httpx
import msgspec
import pytest

from pitwall.documents.base import Document
from pitwall.documents.drivers import Lap, LapDocument
from tests.api.conftest import NOW, Stored, got, pages, problem, problem_name
from tests.documents.examples import DRIVER, LAP, SESSION

ALL = "/api/sessions/9845/laps"
LAPS = 12
RETIRED_AFTER = 7


def lap(number: int) -> LapDocument:
    """Car 44 drives to the end; car 7A retires."""
    drivers = {"44": msgspec.structs.replace(LAP, lap_time_ms=90_000 + number)}
    if number <= RETIRED_AFTER:
        drivers["7A"] = Lap(lap_time_ms=95_000 + number)
    return LapDocument(at=NOW, lap=number, drivers=drivers)


@pytest.fixture
def race(store: Stored) -> Stored:
    documents: dict[str, Document] = {f"sessions/9845/laps/{n}": lap(n) for n in range(1, LAPS + 1)}
    documents["sessions/9845"] = SESSION
    documents["sessions/9845/drivers/44"] = DRIVER
    documents["sessions/9845/drivers/7A"] = msgspec.structs.replace(DRIVER, racing_number="7A", tla="KAR")
    store(documents)
    return store


def walk(api: httpx.Client, **query: str | int) -> list[list[int]]:
    """The lap numbers of every page of the list."""
    return [numbers(page) for page in pages(api, ALL, **query)]


def numbers(body: dict[str, Any]) -> list[int]:
    return [item["lap"] for item in body["items"]]


def test_laps_come_in_the_order_of_their_numbers(race: Stored, api: httpx.Client):
    assert numbers(got(api, ALL)) == list(range(1, LAPS + 1))


def test_a_lap_is_its_document(race: Stored, api: httpx.Client):
    first = got(api, ALL)["items"][0]
    assert set(first) == {"at", "drivers", "lap", "v", "writtenAt"}
    assert first["drivers"]["44"]["lapTimeMs"] == 90_001
    assert first["drivers"]["44"]["startedAt"] == "2025-11-08T14:03:07.412Z"
    assert first["drivers"]["44"]["speeds"] == {"flKph": 310, "i1Kph": 301, "i2Kph": 288, "stKph": 327}


@pytest.mark.parametrize("driver", ["7A", "7a", "KAR", "kar", "Kar"])
def test_laps_of_one_driver_have_only_that_driver(race: Stored, api: httpx.Client, driver: str):
    items = got(api, ALL, driver=driver)["items"]
    assert [list(item["drivers"]) for item in items] == [["7A"]] * RETIRED_AFTER
    assert set(items[0]) == {"at", "drivers", "lap", "v", "writtenAt"}


def test_a_driver_without_laps_has_an_empty_list(race: Stored, api: httpx.Client):
    assert got(api, ALL, driver="99") == {"items": []}
    assert got(api, ALL, driver="NOB") == {"items": []}


def test_from_and_to_are_inclusive(race: Stored, api: httpx.Client):
    body = got(api, ALL, **{"from": 3, "to": 5})
    assert numbers(body) == [3, 4, 5]
    assert "nextCursor" not in body


@pytest.mark.parametrize("limit", [1, 5, 11, 12, 13])
def test_pages_join_to_the_whole_list(race: Stored, api: httpx.Client, limit: int):
    pages = walk(api, limit=limit)
    assert list(chain(*pages)) == list(range(1, LAPS + 1))
    assert {len(items) for items in pages[:-1]} <= {limit}


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_pages_of_a_driver_who_retired_end_with_his_last_lap(race: Stored, api: httpx.Client, limit: int):
    pages = walk(api, driver="7A", limit=limit)
    assert list(chain(*pages)) == list(range(1, RETIRED_AFTER + 1))
    assert all(pages)


def test_pages_keep_to_from_and_to(race: Stored, api: httpx.Client):
    assert walk(api, **{"from": 4, "to": 9, "limit": 4}) == [[4, 5, 6, 7], [8, 9]]


def test_a_cursor_stays_good_when_laps_are_added_and_corrected(race: Stored, api: httpx.Client):
    first = got(api, ALL, limit=5)
    race({"sessions/9845/laps/3": lap(3), "sessions/9845/laps/13": lap(13)})
    rest = got(api, ALL, limit=50, cursor=first["nextCursor"])
    assert numbers(rest) == list(range(6, 14))


@pytest.mark.parametrize(
    "change",
    [{"driver": "44"}, {"from": 2}, {"to": 11}],
    ids=str,
)
def test_a_cursor_of_another_list_is_refused(race: Stored, api: httpx.Client, change: dict[str, Any]):
    cursor = got(api, ALL, limit=5)["nextCursor"]
    response = api.get("/api/sessions/9845/laps", params={"cursor": cursor, **change})
    assert response.status_code == 400
    assert problem(response)["parameter"] == "cursor"


def test_limit_may_change_from_page_to_page(race: Stored, api: httpx.Client):
    cursor = got(api, ALL, limit=5)["nextCursor"]
    assert numbers(got(api, ALL, limit=2, cursor=cursor)) == [6, 7]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=1e2", "limit"),
        ("limit=", "limit"),
        ("limit=5&limit=6", "limit"),
        ("from=0", "from"),
        ("from=x", "from"),
        ("from=%D9%A1", "from"),
        ("to=1.5", "to"),
        ("to=007", "to"),
        ("from=5&to=4", "to"),
        ("driver=", "driver"),
        ("driver=../44", "driver"),
        ("driver=%00", "driver"),
        ("driver=44%0A", "driver"),
        ("driver=HAMIL_TON", "driver"),
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        ("cursor=AQAAAAAAAAAAAAE", "cursor"),
        ("cursor=%C3%A9%C3%A9", "cursor"),
        ("cursor=" + "A" * 5000, "cursor"),
        ("page=2", "page"),
        ("Limit=5", "Limit"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_by_name(
    race: Stored, api: httpx.Client, query: str, parameter: str
):
    response = api.get(f"/api/sessions/9845/laps?{query}")
    assert response.status_code == 400
    assert problem_name(response) == "bad-request"
    assert problem(response)["parameter"] == parameter


def test_laps_of_a_session_that_is_not_there_are_not_found(race: Stored, api: httpx.Client):
    response = api.get("/api/sessions/9846/laps")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


def test_laps_of_a_session_without_any_are_an_empty_list(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    assert got(api, ALL) == {"items": []}


def test_one_lap_is_its_document(race: Stored, api: httpx.Client):
    body = api.get("/api/sessions/9845/laps/3").json()
    assert body["lap"] == 3
    assert set(body["drivers"]) == {"44", "7A"}


def test_a_lap_that_was_not_driven_is_not_found(race: Stored, api: httpx.Client):
    response = api.get("/api/sessions/9845/laps/13")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


def test_a_lap_of_a_session_that_is_not_there_is_not_found(race: Stored, api: httpx.Client):
    assert api.get("/api/sessions/9846/laps/3").status_code == 404


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.0", "01", "1e3", "%D9%A1", "3%0A", "9" * 400, "+3", " 3"])
def test_what_is_no_lap_number_is_a_bad_request(race: Stored, api: httpx.Client, number: str):
    response = api.get(f"/api/sessions/9845/laps/{number}")
    assert response.status_code == 400
    assert problem(response)["parameter"] == "lap"


def test_a_page_reads_its_laps_the_session_and_one_more(
    race: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str]
):
    got(api, ALL, limit=5)
    assert '"firestoreReads":7' in capsys.readouterr().out


@pytest.mark.parametrize("driver", ["7A", "7a", "KAR", "kar"])
def test_laps_of_a_driver_are_those_he_completed(race: Stored, api: httpx.Client, driver: str):
    body = got(api, f"/api/sessions/9845/drivers/{driver}/laps")
    assert [(lap["lap"], lap["racingNumber"], lap["lapTimeMs"]) for lap in body["items"]] == [
        (n, "7A", 95_000 + n) for n in range(1, RETIRED_AFTER + 1)
    ]
    assert set(body["items"][0]) == {"at", "lap", "lapTimeMs", "racingNumber", "v", "writtenAt"}


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_pages_of_a_drivers_laps_join(race: Stored, api: httpx.Client, limit: int):
    found = pages(api, "/api/sessions/9845/drivers/44/laps", limit=limit, **{"from": 2, "to": 11})
    assert list(chain.from_iterable(map(numbers, found))) == list(range(2, 12))


@pytest.mark.parametrize("path", ["9846/drivers/44/laps", "9845/drivers/99/laps", "9845/drivers/NOB/laps"])
def test_laps_of_a_driver_who_is_not_there_are_not_found(race: Stored, api: httpx.Client, path: str):
    response = api.get(f"/api/sessions/{path}")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


def test_a_driver_without_laps_is_there_with_none(race: Stored, api: httpx.Client):
    race({"sessions/9845/drivers/3": msgspec.structs.replace(DRIVER, racing_number="3", tla="RIC")})
    assert got(api, "/api/sessions/9845/drivers/RIC/laps") == {"items": []}


def test_a_cursor_of_the_laps_of_all_is_none_of_a_drivers(race: Stored, api: httpx.Client):
    cursor = got(api, ALL, driver="44", limit=5)["nextCursor"]
    response = api.get("/api/sessions/9845/drivers/44/laps", params={"cursor": cursor})
    assert problem(response)["parameter"] == "cursor"


def test_positions_are_places_and_gaps_at_the_end_of_each_lap(race: Stored, api: httpx.Client):
    race(
        {
            "sessions/9845/laps/2": LapDocument(
                at=NOW, lap=2, drivers={"44": LAP, "7A": Lap(position=20, laps_down=1), "3": Lap(lap_time_ms=1)}
            )
        }
    )
    items = api.get("/api/sessions/9845/positions?from=2&to=3").json()["items"]
    assert [item["lap"] for item in items] == [2, 3]
    assert items[0]["drivers"] == {
        "44": {"position": 2, "gapToLeaderMs": 1_534},
        "7A": {"position": 20, "lapsDown": 1},
    }
    assert items[1]["drivers"] == {"44": {"position": 2, "gapToLeaderMs": 1_534}}
    one = api.get("/api/sessions/9845/positions?from=2&limit=1&driver=KAR").json()
    assert [item["drivers"] for item in one["items"]] == [{"7A": {"position": 20, "lapsDown": 1}}]
    assert "nextCursor" in one
