"""Drivers, constructors, circuits and standings: found by id, code and name, and paged to the end.

And the commands of the documentation, which ask for all of it.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
from collections import Counter

import httpx
import msgspec
import pytest

from pitwall.api.history.drivers import MOST_ALIKE
from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.history import DriverProfileDocument
from pitwall.history.season_documents import career
from pitwall.history.standings import standings
from pitwall.history.statistics import Subject, Tally
from tests.api.conftest import Stored, got, pages, problem, problem_name
from tests.api.history_stored import AT, YEARS, Served, told
from tests.api.test_docs import PAST, address_of, blocks, needs_curl
from tests.documents.examples import EXAMPLES
from tests.history.seasons import tables

DAY, MINUTE = "max-age=86400", "max-age=60"


def everybody(kind: str, *years: int) -> list[str]:
    """Ids of those who have a result in these seasons, by the tables. kind: driver or constructor."""
    known = tables()
    assert known is not None
    rounds = [one for year in years for one in known.rounds[year]]
    return sorted({getattr(result, kind) for one in rounds for result in (*one.results, *one.sprint)})


# -- lists -------------------------------------------------------------------------------------

LISTS = {"/api/drivers": "driver", "/api/constructors": "constructor"}


@pytest.mark.parametrize(("path", "kind"), LISTS.items())
@pytest.mark.parametrize("limit", [9, 50, 200])
def test_everybody_comes_by_id_to_the_end(past: Served, path: str, kind: str, limit: int):
    found = [[item[kind] for item in page["items"]] for page in pages(past.fresh, path, limit=limit)]
    assert [one for page in found for one in page] == everybody(kind, *YEARS)
    assert all(len(page) == limit for page in found[:-1])


@pytest.mark.parametrize(("path", "kind"), LISTS.items())
def test_only_those_of_a_season(past: Served, path: str, kind: str):
    found = [item for page in pages(past.fresh, path, season=2022, limit=6) for item in page["items"]]
    assert [item[kind] for item in found] == everybody(kind, 2022)
    assert got(past.fresh, path, season=1999) == {"items": []}


@pytest.mark.parametrize("path", LISTS)
def test_a_cursor_of_everybody_is_none_of_a_season(past: Served, path: str):
    cursor = got(past.fresh, path, limit=1)["nextCursor"]
    assert problem(past.fresh.get(path, params={"cursor": cursor, "season": 2022}))["parameter"] == "cursor"


@pytest.mark.parametrize("path", [*LISTS, "/api/circuits"])
def test_an_offset_is_only_for_races(past: Served, path: str):
    assert problem(past.fresh.get(path, params={"offset": 1}))["parameter"] == "offset"


def test_drivers_as_a_table_have_no_columns_that_differ(past: Served):
    first = past.fresh.get("/api/drivers?format=csv&limit=40")
    second = past.fresh.get(first.links["next"]["url"])
    tables_read = [list(csv.DictReader(io.StringIO(text))) for text in (first.text, second.text)]
    assert tables_read[0][0].keys() == tables_read[1][0].keys()
    assert [row["driver"] for rows in tables_read for row in rows] == everybody("driver", *YEARS)
    max_ = next(row for rows in tables_read for row in rows if row["driver"] == "max_verstappen")
    assert (max_["aliases"], max_["seasons"]) == ("max_verstappen ver verstappen", "2022 2023")


def test_drivers_without_spoilers_have_no_statistics(past: Served):
    assert all("statistics" not in item for item in got(past.fresh, "/api/drivers", spoilers="false")["items"])
    assert "statistics" not in got(past.fresh, "/api/drivers/hamilton", spoilers="false")


# -- one driver --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "driver"),
    [
        ("max_verstappen", "max_verstappen"),
        ("MAX_VERSTAPPEN", "max_verstappen"),
        ("verstappen", "max_verstappen"),
        ("VER", "max_verstappen"),
        ("ver", "max_verstappen"),
        ("hulkenberg", "hulkenberg"),
        ("HUL", "hulkenberg"),
        ("Prost", "prost"),
        ("nico_hulkenberg", "hulkenberg"),
        ("de_vries", "de_vries"),
        ("de-vries", "de_vries"),
    ],
)
def test_a_driver_is_found_by_id_code_and_name_in_any_case(past: Served, who: str, driver: str):
    response = past.fresh.get(f"/api/drivers/{who}")
    assert response.status_code == 200, response.text
    assert response.json()["driver"] == driver
    assert response.headers["content-location"] == f"/api/drivers/{driver}"
    assert got(past.fresh, f"/api/v1/drivers/{who}/stats")["driver"] == driver


@pytest.mark.parametrize("who", ["nobody", "XXX", "44", "a" * 200, "%C3%A9", "%20", "__x__", "..%2Fjobs", "%00"])
@pytest.mark.parametrize("of", ["", "/stats"])
@pytest.mark.parametrize("kind", ["drivers", "constructors", "circuits"])
def test_who_is_not_stored_is_not_found(past: Served, kind: str, who: str, of: str):
    response = past.fresh.get(f"/api/{kind}/{who}{of}")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


def drivers(*told: tuple[str, str, int]) -> dict[str, Document]:
    """Drivers, each with id, code and last season; all of one family."""
    example = EXAMPLES["drivers/hamilton"]
    assert isinstance(example, DriverProfileDocument)
    return {
        paths.profile(id_): msgspec.structs.replace(example, driver=id_, aliases=[code, "smith"], seasons=[1990, last])
        for id_, code, last in told
    }


def test_of_several_with_a_code_it_is_who_raced_last(store: Stored, api: httpx.Client):
    store(drivers(("old", "smi", 2003), ("young", "smi", 2023), ("older", "smi", 1994)))
    assert got(api, "/api/drivers/SMI")["driver"] == "young"
    assert got(api, "/api/drivers/older")["driver"] == "older"


def test_an_id_comes_before_the_name_of_who_raced_later(store: Stored, api: httpx.Client):
    store(drivers(("smith", "one", 1994), ("max_smith", "two", 2023)))
    assert got(api, "/api/drivers/smith")["driver"] == "smith"
    assert got(api, "/api/drivers/TWO")["driver"] == "max_smith"


@pytest.mark.parametrize("of", ["", "/stats"])
def test_a_name_of_two_who_raced_last_in_one_season_is_ambiguous(store: Stored, api: httpx.Client, of: str):
    store(drivers(("b_smith", "smi", 2023), ("a_smith", "smi", 2023), ("c_smith", "smi", 1994)))
    response = api.get(f"/api/drivers/Smith{of}")
    assert response.status_code == 409
    body = problem(response)
    assert body["type"] == "urn:pitwall:problem:ambiguous"
    assert body["candidates"] == ["a_smith", "b_smith"]


# -- statistics --------------------------------------------------------------------------------


def test_statistics_are_those_of_the_stored_documents(past: Served):
    body = got(past.fresh, "/api/drivers/PER/stats")
    assert body["statistics"] == got(past.fresh, "/api/drivers/perez")["statistics"]
    assert [season["year"] for season in body["bySeason"]] == [2022, 2023]
    assert [season["statistics"]["wins"] for season in body["bySeason"]] == [2, 2]
    assert [season["standing"]["position"] for season in body["bySeason"]] == [3, 2]
    for counted in ("wins", "podiums", "points", "laps", "entries"):
        assert body["statistics"][counted] == sum(season["statistics"][counted] for season in body["bySeason"])


def test_statistics_of_a_constructor(past: Served):
    body = got(past.fresh, "/api/constructors/Red_Bull/stats")
    assert body["constructor"] == "red_bull"
    assert [season["statistics"]["wins"] for season in body["bySeason"]] == [17, 21]
    assert got(past.fresh, "/api/constructors/mclaren")["seasons"] == list(YEARS)


def test_some_fields_of_statistics(past: Served):
    body = got(past.fresh, "/api/drivers/VER/stats", fields="bySeason.year,bySeason.statistics.wins")
    assert body == {
        "bySeason": [{"year": year, "statistics": {"wins": wins}} for year, wins in ((2022, 15), (2023, 19))]
    }


# -- standings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("championship", ["drivers", "constructors"])
@pytest.mark.parametrize(("year", "after"), [(1988, 16), (2022, 7), (2023, 22)])
def test_standings_are_those_after_the_round(past: Served, championship: str, year: int, after: int):
    known = tables()
    assert known is not None
    table = next(one for one in standings(known.rounds[year]) if one.round == after)
    lines = table.drivers if championship == "drivers" else table.constructors
    found = got(past.fresh, f"/api/standings/{championship}", year=year, round=after)["items"]
    assert [(item["id"], item["position"], item["points"], item["wins"]) for item in found] == [
        (line.id, line.position, line.points / 100, line.wins) for line in lines
    ]
    assert {(item["year"], item["round"]) for item in found} == {(year, after)}


def test_standings_have_names(past: Served):
    first = got(past.fresh, "/api/standings/drivers", year=2023)["items"][0]
    assert (first["name"], first["code"], first["constructors"]) == ("Max Verstappen", "VER", ["red_bull"])


@pytest.mark.parametrize(
    ("query", "shown"), [({}, (2023, 22)), ({"year": 2022}, (2022, 22)), ({"round": 5}, (2023, 5))]
)
def test_without_season_and_round_standings_are_the_last(past: Served, query: dict[str, int], shown: tuple[int, int]):
    first = got(past.fresh, "/api/standings/drivers", **query)["items"][0]
    assert (first["year"], first["round"]) == shown


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("year=1957", 404),
        ("year=2023&round=23", 404),
        ("round=99", 404),
        ("year=1949", 400),
        ("year=x", 400),
        ("year=2023&round=0", 400),
        ("year=2023&round=last", 400),
        ("spoilers=false", 400),
        ("season=2023", 400),
    ],
)
@pytest.mark.parametrize("championship", ["drivers", "constructors"])
def test_what_standings_there_are_not(past: Served, championship: str, query: str, status: int):
    response = past.fresh.get(f"/api/standings/{championship}?{query}")
    assert response.status_code == status
    assert problem_name(response) == ("not-found" if status == 404 else "bad-request")


def test_there_are_no_standings_where_nothing_is_stored(api: httpx.Client):
    assert problem_name(api.get("/api/standings/drivers")) == "not-found"


def test_standings_as_a_table(past: Served):
    text = past.fresh.get("/api/standings/constructors?year=1988&format=csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [rows[0][name] for name in ("year", "round", "id", "position", "points")] == [
        *("1988", "16", "mclaren", "1", "199.0")
    ]


# -- circuits ----------------------------------------------------------------------------------


def test_circuits_come_by_id(past: Served):
    found = [[item["circuit"] for item in page["items"]] for page in pages(past.fresh, "/api/circuits", limit=2)]
    assert found == [["ain-diab", "baku"], ["monaco"]]


def test_a_circuit_says_of_which_seasons_there_are_maps(past: Served):
    assert got(past.fresh, "/api/circuits/Baku")["layouts"] == [2018, 2023]
    assert got(past.fresh, "/api/circuits/monaco")["layouts"] == []


def test_the_map_of_a_circuit_in_a_season(past: Served):
    assert got(past.fresh, "/api/circuits/baku/layouts/2018")["x"] == [0, 10, 20]


@pytest.mark.parametrize(
    ("path", "status"), [("baku/layouts/2019", 404), ("monaco/layouts/2018", 404), ("baku/layouts/18", 400)]
)
def test_what_maps_there_are_not(past: Served, path: str, status: int):
    assert past.fresh.get(f"/api/circuits/{path}").status_code == status


# -- caches and reads --------------------------------------------------------------------------

FINAL = [
    "/api/drivers/VER",
    "/api/drivers/prost/stats",
    "/api/constructors/ferrari",
    "/api/constructors/ferrari/stats",
    "/api/standings/drivers?year=1988",
    "/api/standings/constructors?round=3",
    "/api/circuits/baku/layouts/2018",
]
GROWS = ["/api/drivers", "/api/drivers?season=1988", "/api/constructors", "/api/circuits", "/api/circuits/baku"]


@pytest.mark.parametrize("path", [path for path in FINAL if "round=3" not in path])
def test_what_is_past_is_kept_a_day_once_it_has_not_changed_for_one(past: Served, path: str):
    assert MINUTE in past.fresh.get(path).headers["cache-control"]
    assert DAY in past.settled.get(path).headers["cache-control"]


@pytest.mark.parametrize("path", [*GROWS, "/api/standings/drivers", "/api/standings/constructors?round=3"])
def test_what_may_grow_is_kept_a_minute(past: Served, path: str):
    assert MINUTE in past.settled.get(path).headers["cache-control"]


@pytest.mark.parametrize("path", [*FINAL, *GROWS])
def test_what_the_client_has_is_not_sent_again(past: Served, path: str):
    tag = past.fresh.get(path).headers["etag"]
    assert past.fresh.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_a_driver_is_sent_again_once_he_has_changed(store: Stored, api: httpx.Client):
    store(drivers(("smith", "smi", 2023)))
    tag = api.get("/api/drivers/SMI").headers["etag"]
    store(drivers(("smith", "smi", 2024)))
    assert api.get("/api/drivers/SMI", headers={"If-None-Match": tag}).status_code == 200


def test_somebodys_answer_changes_when_the_name_is_somebody_elses(store: Stored, api: httpx.Client):
    store(drivers(("old", "smi", 2003)))
    tag = api.get("/api/drivers/SMI").headers["etag"]
    store(drivers(("young", "smi", 2023)))
    assert api.get("/api/drivers/SMI", headers={"If-None-Match": tag}).json()["driver"] == "young"


@pytest.mark.parametrize(
    ("path", "reads"),
    [
        ("/api/drivers?limit=10", 11),
        ("/api/drivers?season=1988&limit=10", 11),
        ("/api/drivers/hamilton", 1),
        ("/api/drivers/HAM", 2 + 1),
        ("/api/drivers/verstappen", 1 + 1),
        ("/api/drivers/nobody", 1 + 1),
        ("/api/drivers/hamilton/stats", 1 + 2),
        ("/api/constructors/red_bull", 1),
        ("/api/circuits/baku", 1 + 2),
        ("/api/circuits/baku/layouts/2018", 1),
        ("/api/standings/drivers?year=2023", 1),
        ("/api/standings/drivers", 1 + 1),
    ],
)
def test_a_request_reads_no_more_than_it_says(past: Served, path: str, reads: int, capsys: pytest.CaptureFixture[str]):
    past.fresh.get(path)
    assert re.findall(r'"firestoreReads":(\d+)', capsys.readouterr().out) == [str(reads)]


def test_no_code_or_name_is_of_more_drivers_than_are_looked_at(past: Served):
    known = tables()
    assert known is not None
    beside = told(known)
    aliases: Counter[str] = Counter()
    for id_ in beside.drivers:
        document = career(Subject("driver", id_, None), Tally(), [2023], AT, beside)
        assert isinstance(document, DriverProfileDocument)
        aliases.update(list(document.aliases or ()))
    [(most, drivers_alike)] = aliases.most_common(1)
    assert (most, drivers_alike) == ("taylor", 5)
    assert drivers_alike < MOST_ALIKE


# -- the documentation -------------------------------------------------------------------------


@needs_curl
def test_the_commands_of_a_race_results_site_work(past: Served):
    [commands] = blocks("sh", PAST)
    strict = re.sub(r"^curl -s ", r"curl -s -w '\\n%{http_code} %{size_download}\\n' ", commands, flags=re.MULTILINE)
    environment = {"API": address_of(past.fresh), "PATH": os.environ["PATH"]}
    ran = subprocess.run(["bash", "-uc", strict], env=environment, capture_output=True, text=True, timeout=60)
    answers = re.findall(r"^(\d{3}) (\d+)$", ran.stdout, re.MULTILINE)
    assert len(answers) == commands.count("curl -s") > 10
    assert {code for code, _ in answers} == {"200"}, ran.stdout
    assert '{"items":[]}' not in ran.stdout
