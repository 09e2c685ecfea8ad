"""Seasons, their races, and the results and laps of one."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import httpx
import pytest

from tests.api.conftest import got, pages, problem, problem_name
from tests.api.history_stored import YEARS, Served
from tests.history.seasons import tables

DAY, MINUTE = "max-age=86400", "max-age=60"


def items(api: httpx.Client, path: str, **query: str | int) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = got(api, path, **query)["items"]
    return listed


def held(*years: int) -> list[str]:
    """Ids of the races that the tables have, newest first."""
    known = tables()
    assert known is not None
    return [f"{year}-{one.number}" for year in years for one in reversed(known.rounds[year])]


# -- seasons -----------------------------------------------------------------------------------


def test_seasons_come_newest_first_with_who_leads(past: Served):
    listed = items(past.fresh, "/api/seasons")
    assert [(season["year"], season["racesHeld"], season["leadingDrivers"]) for season in listed] == [
        (2023, 22, ["max_verstappen"]),
        (2022, 22, ["max_verstappen"]),
        (1988, 16, ["senna"]),
    ]
    assert all("races" not in season for season in listed)


def test_seasons_come_page_by_page(past: Served):
    found = [[item["year"] for item in page["items"]] for page in pages(past.fresh, "/api/v1/seasons", limit=2)]
    assert found == [[2023, 2022], [1988]]


def test_the_calendar_of_a_season_is_where_it_was(past: Served):
    assert {item["name"] for item in items(past.fresh, "/api/seasons/2023")} == {
        "Azerbaijan Grand Prix",
        "A Grand Prix To Come",
    }


def test_the_races_of_a_season_come_by_round(past: Served):
    races = items(past.fresh, "/api/seasons/2023/races")
    assert [race["raceId"] for race in races] == list(reversed(held(2023)))
    assert races[3] == {
        "raceId": "2023-4",
        "year": 2023,
        "round": 4,
        "name": "Azerbaijan Grand Prix",
        "date": "2023-04-30",
        "circuit": "baku",
        "sprint": True,
        "winners": ["perez"],
    }


@pytest.mark.parametrize(("year", "status"), [("1949", 400), ("20x3", 400), ("2023.0", 400), ("1950", 404)])
def test_a_season_that_cannot_be_is_refused_and_one_without_results_is_not_found(past: Served, year: str, status: int):
    response = past.fresh.get(f"/api/seasons/{year}/races")
    assert response.status_code == status
    assert (problem(response).get("parameter") == "year") == (status == 400)


# -- races -------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [7, 22, 50, 200])
def test_all_races_come_newest_first_to_the_end(past: Served, limit: int):
    found = [[item["raceId"] for item in page["items"]] for page in pages(past.fresh, "/api/races", limit=limit)]
    assert [one for page in found for one in page] == held(*reversed(YEARS))
    assert all(len(page) == limit for page in found[:-1])


def test_races_of_one_season(past: Served):
    found = [item for page in pages(past.fresh, "/api/races", season=1988, limit=5) for item in page["items"]]
    assert [item["raceId"] for item in found] == held(1988)
    assert items(past.fresh, "/api/races", season=1987) == []


@pytest.mark.parametrize("offset", [0, 1, 21, 22, 50, 60, 500])
def test_offset_skips_races(past: Served, offset: int):
    listed = items(past.fresh, "/api/races", offset=offset, limit=10)
    assert [item["raceId"] for item in listed] == held(*reversed(YEARS))[offset : offset + 10]


def test_the_page_after_an_offset_is_found_by_cursor_and_by_link(past: Served):
    response = past.fresh.get("/api/races", params={"offset": 5, "limit": 4})
    assert [item["raceId"] for item in response.json()["items"]] == held(2023)[5:9]
    following = past.fresh.get(response.links["next"]["url"])
    assert [item["raceId"] for item in following.json()["items"]] == held(2023)[9:13]


def test_an_offset_with_a_cursor_is_refused(past: Served):
    cursor = got(past.fresh, "/api/races", limit=1)["nextCursor"]
    response = past.fresh.get("/api/races", params={"cursor": cursor, "offset": 1})
    assert response.status_code == 400
    assert problem(response)["parameter"] == "offset"


def test_a_cursor_of_all_races_is_none_of_a_season(past: Served):
    cursor = got(past.fresh, "/api/races", limit=1)["nextCursor"]
    assert problem(past.fresh.get("/api/races", params={"cursor": cursor, "season": 2023}))["parameter"] == "cursor"


def test_a_race_has_its_result_and_the_sessions_of_its_weekend(past: Served):
    race = got(past.fresh, "/api/races/2023-4")
    assert race["name"] == "Azerbaijan Grand Prix"
    assert race["winners"] == ["perez"]
    assert race["sessionKey"] == "9070"
    assert race["officialName"] == "FORMULA 1 AZERBAIJAN GRAND PRIX"
    assert [session["name"] for session in race["sessions"]] == ["Race", "Sprint", "Qualifying", "Practice 1"]


def test_a_race_that_is_yet_to_come_is_known_from_the_calendar(past: Served):
    race = got(past.fresh, "/api/races/2023-23")
    assert (race["name"], race["winners"]) == ("A Grand Prix To Come", [])
    assert "sessionKey" not in race


def test_a_race_without_a_calendar_is_known_from_its_season(past: Served):
    assert got(past.fresh, "/api/races/2022-22")["winners"] == ["max_verstappen"]


BAD = ["2023", "2023-", "2023-0", "2023-04", "23-4", "1949-1", "2023-x", "2023-4-1", "x", "-", "2023%204", "2023-4%0A"]


@pytest.mark.parametrize("race_id", BAD)
@pytest.mark.parametrize("of", ["", "/results", "/laps"])
def test_what_is_no_race_id_is_refused(past: Served, race_id: str, of: str):
    response = past.fresh.get(f"/api/races/{race_id}{of}")
    assert response.status_code == 400
    assert problem(response)["parameter"] == "raceId"


@pytest.mark.parametrize("path", ["2023-99", "2023-99/results", "2023-99/laps", "1950-1", "2022-1/results"])
def test_a_race_that_is_not_stored_is_not_found(past: Served, path: str):
    response = past.fresh.get(f"/api/races/{path}")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


@pytest.mark.parametrize(("path", "query"), [("2023-23", ""), ("1988-3", "?session=sprint")])
@pytest.mark.parametrize("of", ["results", "laps"])
def test_a_session_that_is_not_stored_is_not_found(past: Served, path: str, of: str, query: str):
    response = past.fresh.get(f"/api/races/{path}/{of}{query}")
    assert response.status_code == 404
    assert "is stored" in problem(response)["detail"]


# -- results -----------------------------------------------------------------------------------


def test_results_are_those_of_the_tables_as_they_are_listed(past: Served):
    known = tables()
    assert known is not None
    for race_id, year, number in (("2023-4", 2023, 4), ("1988-3", 1988, 3)):
        listed = sorted(known.rounds[year][number - 1].results, key=lambda result: result.order)
        assert [
            (item["driver"], item["positionText"], item["points"], item["laps"], item["grid"])
            for item in items(past.fresh, f"/api/races/{race_id}/results")
        ] == [(result.driver, result.position_text, result.points / 100, result.laps, result.grid) for result in listed]


def test_sprint_and_qualifying_have_results_too(past: Served):
    sprint = items(past.fresh, "/api/races/2023-4/results", session="sprint")
    assert (sprint[0]["driver"], sprint[0]["points"]) == ("perez", 8)
    qualifying = items(past.fresh, "/api/races/2023-4/results", session="qualifying")
    assert qualifying[0]["driver"] == "leclerc"
    assert "points" not in qualifying[0]


def test_results_without_spoilers_are_who_drove(past: Served):
    listed = items(past.fresh, "/api/races/2023-4/results", spoilers="false")
    assert [int(item["racingNumber"]) for item in listed] == sorted(int(item["racingNumber"]) for item in listed)
    assert {key for item in listed for key in item} == {
        *("racingNumber", "driver", "constructor", "at", "v", "writtenAt")
    }


def test_results_as_a_table(past: Served):
    response = past.fresh.get("/api/races/2023-4/results?format=csv&fields=order,driver,positionText,points")
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [rows[0][name] for name in ("order", "driver", "positionText", "points")] == ["1", "perez", "1", "25.0"]
    assert len(rows) == 20


def test_races_as_a_table(past: Served):
    rows = list(csv.DictReader(io.StringIO(past.fresh.get("/api/seasons/1988/races?format=csv").text)))
    assert [row["winners"] for row in rows] == [
        race["winners"][0] for race in items(past.fresh, "/api/seasons/1988/races")
    ]


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("/api/races", "winners"), ("/api/seasons/2023/races", "winners"), ("/api/seasons", "leadingDrivers")],
)
def test_lists_without_spoilers_do_not_say_who_won(past: Served, path: str, hidden: str):
    assert all(hidden in item for item in items(past.fresh, path))
    assert not any(hidden in item for item in items(past.fresh, path, spoilers="false"))


# -- laps --------------------------------------------------------------------------------------


def test_laps_are_those_of_the_races_session_to_the_end(past: Served):
    found = [lap for page in pages(past.fresh, "/api/races/2023-4/laps", limit=20) for lap in page["items"]]
    assert [lap["lap"] for lap in found] == list(range(1, 52))
    assert found == items(past.fresh, "/api/sessions/9070/laps", limit=200)


@pytest.mark.parametrize("driver", ["16", "leclerc", "LECLERC"])
def test_laps_of_a_driver_by_number_and_id(past: Served, driver: str):
    laps = items(past.fresh, "/api/races/2023-4/laps", driver=driver, **{"from": 50})
    assert [(lap["lap"], set(lap["drivers"])) for lap in laps] == [(50, {"16"}), (51, {"16"})]


def test_laps_of_nobody_are_none(past: Served):
    assert items(past.fresh, "/api/races/2023-4/laps", driver="nobody") == []


def test_a_cursor_of_a_race_is_none_of_its_session(past: Served):
    cursor = got(past.fresh, "/api/races/2023-4/laps", limit=1)["nextCursor"]
    response = past.fresh.get("/api/sessions/9070/laps", params={"cursor": cursor})
    assert problem(response)["parameter"] == "cursor"


# -- caches and reads --------------------------------------------------------------------------

FINAL = [
    "/api/seasons/2023/races",
    "/api/races?season=2022",
    "/api/races/2023-4",
    "/api/races/2023-4/results",
]
NEVER = ["/api/seasons", "/api/races", "/api/races/2023-4/results?session=sprint", "/api/races?season=2099"]


@pytest.mark.parametrize("path", FINAL)
def test_what_is_past_is_kept_a_day_once_it_has_not_changed_for_one(past: Served, path: str):
    assert MINUTE in past.fresh.get(path).headers["cache-control"]
    assert DAY in past.settled.get(path).headers["cache-control"]


@pytest.mark.parametrize("path", NEVER)
def test_what_may_grow_or_is_not_final_is_kept_a_minute(past: Served, path: str):
    assert MINUTE in past.settled.get(path).headers["cache-control"]


def test_laps_are_kept_as_long_as_those_of_the_session(past: Served):
    assert DAY in past.fresh.get("/api/races/2023-4/laps").headers["cache-control"]


@pytest.mark.parametrize("path", [*FINAL, "/api/seasons", "/api/races", "/api/races/2023-4/laps"])
def test_what_the_client_has_is_not_sent_again(past: Served, path: str):
    tag = past.fresh.get(path).headers["etag"]
    assert past.fresh.get(path, headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    ("path", "reads"),
    [
        ("/api/seasons?limit=2", 3),
        ("/api/seasons/2023/races", 1),
        ("/api/races?season=2023", 1),
        ("/api/races?limit=200", 3),
        ("/api/races?limit=5", 1),
        ("/api/races?limit=30", 2),
        ("/api/races?limit=5&offset=40", 3),
        ("/api/races/2023-4", 2),
        ("/api/races/2023-4/results", 2 + 20),
        ("/api/races/2023-4/laps?limit=10", 2 + 11),
        ("/api/races/2023-4/laps?limit=10&driver=16&from=40&to=51", 2 + 11),
        ("/api/races/2023-99/results", 1),
        ("/api/races/nonsense/results", 0),
    ],
)
def test_a_request_reads_no_more_than_it_says(past: Served, path: str, reads: int, capsys: pytest.CaptureFixture[str]):
    past.fresh.get(path)
    assert re.findall(r'"firestoreReads":(\d+)', capsys.readouterr().out) == [str(reads)]
