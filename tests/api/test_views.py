"""How a client wants to see an answer: `fields`, `times`, `spoilers` and `format`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from google.cloud import firestore as firestore_api
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from local.emulators import Emulator
from pitwall.api import drivers, laps, live, seasons, series, sessions, stints
from pitwall.api.analytics import routes as analytics
from pitwall.api.history import circuits, constructors, races, standings
from pitwall.api.history import drivers as careers
from pitwall.api.shapes import Shape, minutes
from pitwall.documents.base import Document
from pitwall.documents.drivers import LapDocument, PitStop, Stint
from pitwall.documents.live import TowerLine
from pitwall.documents.session import RaceControlDocument
from tests.api.conftest import NOW, Stored, got, problem, served
from tests.documents.examples import DRIVER, EXAMPLES, LAP, SESSION

LISTS = {
    "/api/sessions": sessions.SESSION,
    "/api/sessions/9845/laps": laps.LAP,
    "/api/sessions/9845/positions": laps.PLACES,
    "/api/sessions/9845/drivers/44/laps": laps.DRIVER_LAP,
    "/api/sessions/9845/drivers": drivers.DRIVER,
    "/api/sessions/9845/stints": stints.STINT,
    "/api/sessions/9845/pitStops": stints.PIT_STOP,
    "/api/sessions/9845/raceControl": series.RACE_CONTROL,
    "/api/sessions/9845/weather": series.WEATHER,
    "/api/sessions/9845/trackStatus": series.TRACK_STATUS,
    "/api/sessions/9845/teamRadio": series.TEAM_RADIO,
    "/api/sessions/9845/analytics/pace": analytics.PACE,
    "/api/sessions/9845/analytics/degradation": analytics.DEGRADATION,
    "/api/sessions/9845/analytics/sectors": analytics.SECTORS,
    "/api/sessions/9845/analytics/gaps": analytics.GAPS,
    "/api/sessions/9845/analytics/positionChart": analytics.POSITIONS,
    "/api/sessions/9845/analytics/pitTable": analytics.PIT_TABLE,
    "/api/seasons/2025": seasons.MEETING,
    "/api/seasons": seasons.SEASON,
    "/api/seasons/2025/races": races.HELD,
    "/api/races": races.HELD,
    "/api/drivers": careers.PROFILE,
    "/api/constructors": constructors.CONSTRUCTOR,
    "/api/circuits": circuits.CIRCUIT,
    "/api/standings/drivers": standings.STANDING,
}
ONES = {
    "/api/sessions/current": sessions.SESSION,
    "/api/sessions/9845": sessions.SESSION,
    "/api/sessions/9845/laps/8": laps.LAP,
    "/api/sessions/9845/drivers/44": drivers.DRIVER,
    "/api/sessions/9845/live": live.TOWER,
    "/api/races/2025-21": races.RACE,
    "/api/drivers/hamilton": careers.PROFILE,
    "/api/drivers/hamilton/stats": careers.STATISTICS,
    "/api/constructors/ferrari": constructors.CONSTRUCTOR,
    "/api/constructors/ferrari/stats": constructors.STATISTICS,
    "/api/circuits/interlagos": circuits.MAPPED,
    "/api/circuits/interlagos/layouts/2025": circuits.LAYOUT,
}
NOTHING_BUT_RESULTS = [
    "/api/sessions/9845/positions",
    *("/api/standings/drivers", "/api/drivers/hamilton/stats", "/api/constructors/ferrari/stats"),
    *(f"/api/sessions/9845/analytics/{name}" for name in ("pace", "sectors", "gaps", "positionChart")),
]


def raced(store: Stored) -> Stored:
    """One of everything, and three cars."""
    documents: dict[str, Document] = dict(EXAMPLES)
    documents["sessions/9845/drivers/7A"] = msgspec.structs.replace(DRIVER, racing_number="7A", tla="KAR", position=1)
    documents["sessions/9845/laps/8"] = LapDocument(
        at=NOW,
        lap=8,
        drivers={
            "44": LAP,
            "7A": msgspec.structs.replace(LAP, lap_time_ms=60_000, position=1, gap_to_leader_ms=msgspec.UNSET),
            "012": msgspec.structs.replace(LAP, lap_time_ms=msgspec.UNSET, speeds=msgspec.UNSET, position=3),
        },
    )
    store(documents)
    return store


@pytest.fixture
def race(store: Stored) -> Stored:
    return raced(store)


@pytest.fixture(scope="module")
def shown(firestore_emulator: Emulator) -> Iterator[httpx.Client]:
    """A client of the API on `raced`, for tests that only look."""
    project = "test-views"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(firestore_emulator.variable, firestore_emulator.value)
        raced(Stored(firestore_api.Client(project=project)))
        with served(project) as client:
            yield client


def rows(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(response.text, newline=""), strict=True))


def keys(value: Any) -> set[str]:
    """Every key of a body, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize(("path", "shape"), [*LISTS.items(), *ONES.items()], ids=[*LISTS, *ONES])
def test_what_is_stored_is_in_the_shape_of_the_answer(shown: httpx.Client, path: str, shape: Shape):
    body = got(shown, path, times="iso")
    closed = _closed(shape.schema)
    for item in body["items"] if path in LISTS else [body]:
        Draft202012Validator(closed).validate(item)
    if path in LISTS:
        assert body["items"]


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without room for keys it does not have."""
    if "properties" in schema:
        return {
            **schema,
            "properties": {key: _closed(inner) for key, inner in schema["properties"].items()},
            "additionalProperties": False,
        }
    return {key: _closed(inner) if key in ("items", "additionalProperties") else inner for key, inner in schema.items()}


def test_fields_leave_out_everything_else(shown: httpx.Client):
    assert got(shown, "/api/sessions/9845/laps", fields="lap,drivers.lapTimeMs,drivers.speeds.stKph", driver="44") == {
        "items": [{"lap": 8, "drivers": {"44": {"lapTimeMs": 72_345, "speeds": {"stKph": 327}}}}]
    }
    assert got(shown, "/api/sessions/9845/drivers/44", fields="tla,stints.compound,bestByPart.1.lap") == {
        "tla": "HAM",
        "stints": [{"compound": "SOFT"}],
        "bestByPart": {"1": {"lap": 4}},
    }
    assert got(shown, "/api/sessions/9845/live", fields="lines.position")["lines"] == {
        "1": {"position": 1},
        "44": {"position": 2},
    }


def test_a_map_stands_for_all_it_has(shown: httpx.Client):
    [item] = got(shown, "/api/sessions", fields="meeting.country,sessionKey")["items"]
    assert item == {"meeting": {"country": {"code": "EXA", "name": "Example"}}, "sessionKey": "9845"}


@pytest.mark.parametrize("path", [*LISTS, *ONES])
@pytest.mark.parametrize("name", ["secret", "drivers.44.lapTimeMs", "at.", ".at", "*", "", "__class__", "at\x00", "AT"])
def test_a_field_that_is_not_there_is_refused_by_name(shown: httpx.Client, path: str, name: str):
    known = {**LISTS, **ONES}[path].names[0]
    response = shown.get(path, params={"fields": f"{known},{name}"})
    assert response.status_code == 400
    told = problem(response)
    assert told["parameter"] == "fields"
    assert repr(name) in told["detail"]


def test_times_have_a_text_beside_the_milliseconds(shown: httpx.Client):
    line = got(shown, "/api/sessions/9845/laps/8", times="iso")["drivers"]["44"]
    assert (line["lapTimeMs"], line["lapTime"]) == (72_345, "1:12.345")
    assert (line["sector1Ms"], line["sector1Time"]) == (20_001, "0:20.001")
    assert line["gapToLeaderTime"] == "0:01.534"
    driver = got(shown, "/api/sessions/9845/drivers/44", times="iso")
    assert (driver["bestLap"], driver["bestLapTime"]) == (8, "1:12.345")
    assert driver["pitStops"][0]["laneTime"] == "0:22.000"
    assert driver["bestByPart"]["1"]["lapTime"] == "1:11.000"
    assert got(shown, "/api/sessions/9845/live", times="iso")["lines"]["44"]["lastLapTime"] == "1:12.345"


def test_a_time_that_is_not_known_has_no_text(shown: httpx.Client):
    assert "lapTime" not in got(shown, "/api/sessions/9845/laps/8", times="iso")["drivers"]["012"]


def test_texts_come_with_their_field(shown: httpx.Client):
    [item] = got(shown, "/api/sessions/9845/drivers/44/laps", fields="lapTimeMs", times="iso")["items"]
    assert item == {"lapTimeMs": 72_345, "lapTime": "1:12.345"}


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_a_text_says_the_milliseconds(milliseconds: int):
    text = minutes(milliseconds)
    sign, (whole, seconds) = (-1 if text.startswith("-") else 1), text.lstrip("-").split(":")
    assert len(seconds) == 6
    assert float(seconds) < 60
    assert sign * (int(whole) * 60_000 + round(float(seconds) * 1000)) == milliseconds


RESULTS = {
    *("position", "gapToLeaderMs", "gapToLeaderTime", "intervalMs", "lapsDown", "intervalLaps"),
    *("bestLapMs", "bestLap", "bestLapTime", "bestByPart", "cutOffMs", "cutOffTime", "grid"),
    *("winners", "leadingDrivers", "leadingConstructors", "statistics"),
    *("lastLapBest", "sector1Best", "sector2Best", "sector3Best", "retired", "stopped", "knockedOut", "inDropZone"),
}


@pytest.mark.parametrize("path", [path for path in (*LISTS, *ONES) if path not in NOTHING_BUT_RESULTS])
def test_without_spoilers_nothing_tells_places_or_results(shown: httpx.Client, path: str):
    body = got(shown, path, spoilers="false", times="iso")
    assert keys(body) & RESULTS == set()
    if path in LISTS:
        table = shown.get(path, params={"spoilers": "false", "times": "iso", "format": "csv"}).text
        assert {part for name in table.splitlines()[0].split(",") for part in name.split(".")} & RESULTS == set()


def test_without_spoilers_a_session_still_says_how_it_stands(shown: httpx.Client):
    body = got(shown, "/api/sessions/9845", spoilers="false")
    assert body["status"] == "Started"
    assert body["qualifying"] == {"part": 1, "entries": [20, 15, 10]}


def test_without_spoilers_a_driver_is_not_said_to_be_out(shown: httpx.Client):
    assert "status" not in got(shown, "/api/sessions/9845/drivers/44", spoilers="false")


def test_without_spoilers_fields_do_not_bring_a_result_back(shown: httpx.Client):
    line = got(shown, "/api/sessions/9845/laps", spoilers="false", fields="drivers.position,lap")["items"]
    assert line == [{"lap": 8}]


def test_without_spoilers_drivers_come_by_racing_number(race: Stored, api: httpx.Client):
    def numbers(**query: str) -> list[str]:
        return [driver["racingNumber"] for driver in got(api, "/api/sessions/9845/drivers", **query)["items"]]

    race({"sessions/9845/drivers/100": msgspec.structs.replace(DRIVER, racing_number="100", position=3)})
    assert numbers() == ["7A", "44", "100"]
    race({"sessions/9845/drivers/7A": msgspec.structs.replace(DRIVER, racing_number="7A", position=4)})
    assert numbers() == ["44", "100", "7A"]
    assert numbers(spoilers="false") == ["7A", "44", "100"]


@pytest.mark.parametrize("path", NOTHING_BUT_RESULTS)
def test_what_is_nothing_but_results_cannot_be_asked_for_without(shown: httpx.Client, path: str):
    response = shown.get(f"{path}?spoilers=false")
    assert response.status_code == 400
    assert problem(response)["parameter"] == "spoilers"


@pytest.mark.parametrize("path", LISTS)
def test_a_table_has_the_same_columns_whatever_is_known(shown: httpx.Client, path: str):
    full = shown.get(path, params={"format": "csv"})
    assert rows(full)
    assert full.text.endswith("\r\n")
    assert all(len(row) == len(rows(full)[0]) for row in csv.reader(io.StringIO(full.text, newline="")))


def test_laps_have_a_row_for_each_driver_and_lap(shown: httpx.Client):
    table = rows(shown.get("/api/sessions/9845/laps?format=csv&times=iso"))
    assert [(row["lap"], row["racingNumber"], row["lapTime"]) for row in table] == [
        ("8", "7A", "1:00.000"),
        ("8", "012", ""),
        ("8", "44", "1:12.345"),
    ]
    assert table[2]["speeds.stKph"] == "327"
    assert table[2]["trackStatuses"] == "1 4"
    assert table[2]["pitIn"] == "true"
    assert table[2]["startedAt"] == "2025-11-08T14:03:07.412Z"
    assert table[1]["speeds.stKph"] == ""


def test_columns_are_the_fields_that_were_asked_for(shown: httpx.Client):
    response = shown.get("/api/sessions/9845/laps?format=csv&fields=lap,drivers.position,drivers.speeds")
    assert (
        response.text.splitlines()[0] == "lap,racingNumber,speeds.i1Kph,speeds.i2Kph,speeds.flKph,speeds.stKph,position"
    )
    assert shown.get("/api/sessions/9845/laps?format=csv&fields=lap").text == "lap\r\n8\r\n"


def test_the_calendar_has_a_row_for_each_session(shown: httpx.Client):
    table = rows(shown.get("/api/seasons/2025?format=csv"))
    assert [(row["round"], row["country"], row["meeting"], row["name"], row["cancelled"]) for row in table] == [
        ("21", "Brazil", "São Paulo Grand Prix", "Sprint", ""),
        ("21", "Brazil", "São Paulo Grand Prix", "Practice 2", "true"),
    ]


def test_an_empty_table_has_its_header(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    assert api.get("/api/sessions/9845/trackStatus?format=csv").text == "at,n,code,message,v,writtenAt\r\n"


@pytest.mark.parametrize(
    ("told", "cell"),
    [
        ("plain, with a comma", "plain, with a comma"),
        ('a "quote"', 'a "quote"'),
        ("two\r\nlines", "two\r\nlines"),
        ('=HYPERLINK("https://evil.example")', '\'=HYPERLINK("https://evil.example")'),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        (" =1", "' =1"),
        ("＝1", "'＝1"),
        ("-03:00:00", "-03:00:00"),
        ("+1.5", "+1.5"),
    ],
)
def test_no_cell_of_a_table_is_a_formula(store: Stored, api: httpx.Client, told: str, cell: str):
    store(
        {
            "sessions/9845": SESSION,
            "sessions/9845/raceControl/0": RaceControlDocument(at=NOW, n=0, message=told, lap=-5),
        }
    )
    [row] = rows(api.get("/api/sessions/9845/raceControl?format=csv"))
    assert (row["message"], row["lap"]) == (cell, "-5")


def test_no_racing_number_of_a_table_is_a_formula(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION, "sessions/9845/laps/1": LapDocument(at=NOW, lap=1, drivers={"=1+1": LAP})})
    assert [row["racingNumber"] for row in rows(api.get("/api/sessions/9845/laps?format=csv"))] == ["'=1+1"]


def test_a_table_leads_to_its_next_page(race: Stored, api: httpx.Client):
    race({f"sessions/9845/laps/{lap}": LapDocument(at=NOW, lap=lap, drivers={"44": LAP}) for lap in range(1, 8)})
    url: str | None = "/api/v1/sessions/9845/laps?format=csv&limit=3&driver=HAM&fields=lap"
    seen = []
    while url:
        page = api.get(url)
        seen += [row["lap"] for row in rows(page)]
        link = page.headers.get("link", "")
        url = link[1:].partition(">")[0]
        assert not link or link.endswith('; rel="next"')
        assert not link or parse_qs(urlsplit(url).query)["driver"] == ["HAM"]
    assert seen == ["1", "2", "3", "4", "5", "6", "7", "8"]


def test_every_view_of_a_list_has_a_tag_of_its_own(shown: httpx.Client):
    views = [
        "",
        "?format=csv",
        "?times=iso",
        "?spoilers=false",
        "?fields=lap",
        "?fields=lap,v",
        "?format=csv&times=iso",
    ]
    tags = [shown.get(f"/api/sessions/9845/laps{view}").headers["etag"] for view in views]
    assert len(set(tags)) == len(tags)
    assert not any(tag.startswith("W/") for tag in tags)
    for view, tag in zip(views, tags, strict=True):
        again = shown.get(f"/api/sessions/9845/laps{view}", headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")


def test_keys_this_version_does_not_know_are_shown_unless_something_is_to_be_hidden(
    race: Stored, api: httpx.Client, firestore: firestore_api.Client
):
    firestore.document("sessions/9845/drivers/44").update({"winner": True})
    assert got(api, "/api/sessions/9845/drivers/44")["winner"] is True
    assert "winner" not in got(api, "/api/sessions/9845/drivers/44", spoilers="false")


def test_results_are_named_as_the_shapes_name_them():
    for shape in {*LISTS.values(), *ONES.values()}:
        assert set(shape.results) <= set(shape.names)


def test_stints_and_stops_show_what_their_types_have():
    assert set(Stint.__struct_encode_fields__) < set(stints.STINT.names)
    assert set(PitStop.__struct_encode_fields__) < set(stints.PIT_STOP.names)


def test_a_tower_line_has_all_long_names():
    assert len([name for name in live.TOWER.names if name.startswith("lines.")]) == len(TowerLine.__struct_fields__)
