"""Race control, weather, track status and team radio: lists in the order of `n`."""

from __future__ import annotations

from itertools import chain
from typing import Any

import httpx
import msgspec
import pytest

from pitwall.documents.base import Document
from pitwall.documents.session import RaceControlDocument, TeamRadioDocument, TrackStatusDocument, WeatherDocument
from tests.api.conftest import NOW, Stored, got, pages, problem, problem_name
from tests.documents.examples import DRIVER, SESSION, WEATHER

LISTS = ("raceControl", "weather", "trackStatus", "teamRadio")
MESSAGES: list[dict[str, Any]] = [
    {"message": "GREEN LIGHT - PIT EXIT OPEN", "flag": "GREEN", "category": "Flag", "scope": "Track"},
    {"message": "DOUBLE YELLOW IN TRACK SECTOR 5", "flag": "DOUBLE YELLOW", "category": "Flag", "scope": "Sector"},
    {"message": "SAFETY CAR DEPLOYED", "category": "SafetyCar", "status": "DEPLOYED"},
    {"message": "WAVED BLUE FLAG FOR CAR 4 (NOR)", "flag": "BLUE", "category": "Flag", "racing_number": "4"},
    {"message": "TURN 4 INCIDENT INVOLVING CARS 14 (ALO), 4 (NOR) AND 87 (BEA) NOTED", "category": "Other"},
    {"message": "FIA STEWARDS: 5 SECOND TIME PENALTY FOR CAR 44 (HAM)", "category": "Other"},
    {"message": "CAR 27 STOPPED AT TURN 5", "category": "CarEvent"},
    {"message": "LAPPED CARS MAY NOW OVERTAKE - 2,9,10,20,28", "category": "Other"},
    {"message": "RED FLAG", "flag": "RED", "category": "Flag", "scope": "Track"},
    {"message": "ORDER FOR RESTART: 3, 21, 7, 54", "category": "Other"},
]


def messages(first: int = 0) -> dict[str, Document]:
    return {
        f"sessions/9845/raceControl/{n}": RaceControlDocument(at=NOW, n=n, **told)
        for n, told in enumerate(MESSAGES, first)
    }


@pytest.fixture
def session(store: Stored) -> Stored:
    store(
        {
            "sessions/9845": SESSION,
            "sessions/9845/drivers/4": msgspec.structs.replace(DRIVER, racing_number="4", tla="NOR"),
            **messages(),
            **{f"sessions/9845/weather/{n}": WeatherDocument(at=NOW, n=n, weather=WEATHER) for n in range(12)},
            "sessions/9845/trackStatus/0": TrackStatusDocument(at=NOW, n=0, code="1", message="AllClear"),
            "sessions/9845/trackStatus/1": TrackStatusDocument(at=NOW, n=1, code="4"),
            "sessions/9845/teamRadio/0": TeamRadioDocument(at=NOW, n=0, racing_number="44", path="TeamRadio/HAM.mp3"),
            "sessions/9845/teamRadio/1": TeamRadioDocument(at=NOW, n=1, racing_number="4", path="TeamRadio/NOR.mp3"),
        }
    )
    return store


def numbers(body: dict[str, Any]) -> list[int]:
    return [item["n"] for item in body["items"]]


def test_items_come_in_the_order_of_their_numbers(session: Stored, api: httpx.Client):
    assert numbers(got(api, "/api/sessions/9845/weather")) == list(range(12))


def test_items_are_their_documents(session: Stored, api: httpx.Client):
    assert got(api, "/api/sessions/9845/trackStatus")["items"][0] == {
        "at": "2025-11-08T14:03:08.000Z",
        "code": "1",
        "message": "AllClear",
        "n": 0,
        "v": session.v,
        "writtenAt": "2025-11-08T14:03:08.000Z",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"flag": "RED"}, [8]),
        ({"flag": "double yellow"}, [1]),
        ({"category": "Other"}, [4, 5, 7, 9]),
        ({"category": "Flag", "flag": "GREEN"}, [0]),
        ({"driver": "4"}, [3, 4]),
        ({"driver": "nor"}, [3, 4]),
        ({"driver": "nor", "category": "Flag"}, [3]),
        ({"driver": "14"}, [4]),
        ({"driver": "44"}, [5]),
        ({"driver": "7"}, []),
        ({"driver": "4", "spoilers": "false"}, []),
        ({"spoilers": "true"}, list(range(10))),
    ],
    ids=str,
)
def test_race_control_is_filtered(session: Stored, api: httpx.Client, query: dict[str, str], found: list[int]):
    assert numbers(got(api, "/api/sessions/9845/raceControl", **query)) == found


def test_without_spoilers_race_control_has_no_message_about_a_car(session: Stored, api: httpx.Client):
    assert numbers(got(api, "/api/sessions/9845/raceControl", spoilers="false")) == [0, 1, 2, 8]


@pytest.mark.parametrize("driver", ["4", "NOR"])
def test_team_radio_of_one_driver(session: Stored, api: httpx.Client, driver: str):
    assert numbers(got(api, "/api/sessions/9845/teamRadio", driver=driver)) == [1]


@pytest.mark.parametrize("query", [{}, {"driver": "4"}, {"spoilers": "false"}, {"category": "Flag"}], ids=str)
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_join_to_the_whole_list(session: Stored, api: httpx.Client, query: dict[str, str], limit: int):
    *full, last = map(numbers, pages(api, "/api/sessions/9845/raceControl", **query, limit=limit))
    assert {len(page) for page in full} <= {limit}
    assert [*chain(*full), *last] == numbers(got(api, "/api/sessions/9845/raceControl", **query))


def test_a_cursor_stays_good_while_items_are_added(session: Stored, api: httpx.Client):
    cursor = got(api, "/api/sessions/9845/raceControl", limit=5)["nextCursor"]
    session(messages(first=10))
    assert numbers(got(api, "/api/sessions/9845/raceControl", limit=200, cursor=cursor)) == list(range(5, 20))


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("weather", {}),
        ("trackStatus", {}),
        ("raceControl", {"category": "Flag"}),
        ("raceControl", {"flag": "RED"}),
        ("raceControl", {"driver": "4"}),
        ("laps", {}),
        ("stints", {}),
    ],
    ids=str,
)
def test_a_cursor_of_another_list_is_refused(session: Stored, api: httpx.Client, name: str, query: dict[str, str]):
    cursor = got(api, "/api/sessions/9845/raceControl", limit=2)["nextCursor"]
    response = api.get(f"/api/sessions/9845/{name}", params={"cursor": cursor, **query})
    assert response.status_code == 400
    assert problem(response)["parameter"] == "cursor"


def test_a_cursor_of_another_session_is_refused(session: Stored, api: httpx.Client):
    session({"sessions/9846": SESSION})
    cursor = got(api, "/api/sessions/9845/raceControl", limit=2)["nextCursor"]
    response = api.get("/api/sessions/9846/raceControl", params={"cursor": cursor})
    assert problem(response)["parameter"] == "cursor"


@pytest.mark.parametrize(
    ("name", "query", "parameter"),
    [
        ("raceControl", "flag=", "flag"),
        ("raceControl", "flag=RED%00", "flag"),
        ("raceControl", "flag=%D8%A7", "flag"),
        ("raceControl", "category=" + "A" * 33, "category"),
        ("raceControl", "driver=__id__", "driver"),
        ("weather", "driver=4", "driver"),
        ("teamRadio", "flag=RED", "flag"),
        ("trackStatus", "limit=99999999999999999999", "limit"),
        ("trackStatus", "limit=201", "limit"),
        ("trackStatus", "cursor=..%2F", "cursor"),
        ("trackStatus", "spoilers=no", "spoilers"),
        ("trackStatus", "times=ms", "times"),
        ("trackStatus", "format=xml", "format"),
        ("trackStatus", "fields=", "fields"),
        ("trackStatus", "fields=code,secret", "fields"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_by_name(
    session: Stored, api: httpx.Client, name: str, query: str, parameter: str
):
    response = api.get(f"/api/sessions/9845/{name}?{query}")
    assert response.status_code == 400
    assert problem(response)["parameter"] == parameter


@pytest.mark.parametrize("name", LISTS)
def test_a_session_without_any_has_an_empty_list_and_one_that_is_not_there_is_not_found(
    store: Stored, api: httpx.Client, name: str
):
    store({"sessions/9845": SESSION})
    assert got(api, f"/api/sessions/9845/{name}") == {"items": []}
    assert problem_name(api.get(f"/api/sessions/9846/{name}")) == "not-found"
    assert problem_name(api.get(f"/api/sessions/__x__/{name}")) == "not-found"


@pytest.mark.parametrize(
    ("path", "reads"),
    [
        ("weather?limit=5", 7),
        ("weather?limit=12", 13),
        ("raceControl?flag=RED", 2),
        ("raceControl?category=Flag&limit=2", 4),
        ("teamRadio?driver=4", 2),
        ("teamRadio?driver=NOR", 3),
    ],
)
def test_a_page_reads_its_items_the_session_and_one_more(
    session: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str], path: str, reads: int
):
    assert api.get(f"/api/sessions/9845/{path}").status_code == 200
    assert f'"firestoreReads":{reads}' in capsys.readouterr().out


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_not_sent_again_until_it_changes(session: Stored, api: httpx.Client, name: str):
    tag = api.get(f"/api/v1/sessions/9845/{name}").headers["etag"]
    unchanged = api.get(f"/api/v1/sessions/9845/{name}", headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["cache-control"] == "public, max-age=60, stale-while-revalidate=30"
    session(
        {
            **messages(),
            "sessions/9845/weather/0": WeatherDocument(at=NOW, n=0, weather=WEATHER),
            "sessions/9845/trackStatus/0": TrackStatusDocument(at=NOW, n=0, code="1"),
            "sessions/9845/teamRadio/0": TeamRadioDocument(at=NOW, n=0, racing_number="44", path="TeamRadio/HAM.mp3"),
        }
    )
    assert api.get(f"/api/v1/sessions/9845/{name}", headers={"If-None-Match": tag}).status_code == 200
