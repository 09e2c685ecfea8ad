"""`/sessions/{id}/analytics/...`: as lists, in the views of every list, and what they read."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from google.cloud import firestore as firestore_api

from pitwall.api import caching
from pitwall.documents.base import Document
from pitwall.documents.drivers import Lap, LapDocument, PitStop, Stint
from pitwall.documents.session import TrackStatusDocument
from tests.api.conftest import NOW, Stored, before, got, problem, problem_name
from tests.documents.examples import DRIVER, SESSION

ALL = "/api/sessions/9845/analytics"
NAMES = ("pace", "degradation", "sectors", "gaps", "positionChart", "pitTable")
LAPS = 9
STOPPED_ON = 5
CARS = {"44": ("HAM", 0), "7A": ("KAR", 300), "100": ("HUN", 600), "1": ("VER", -300)}
"""Code, and by how much slower than car 44."""


def lap(number: int, car: str, place: int) -> Lap:
    """Soft tyres that lose 20 ms a lap; car 44 changes them for hard ones at the end of lap 5."""
    slower = CARS[car][1]
    stopped = car == "44" and number > STOPPED_ON
    return Lap(
        lap_time_ms=90_000 + slower + 20 * number + (20_000 if car == "44" and number == STOPPED_ON + 1 else 0),
        sector1_ms=30_000 + slower,
        sector2_ms=30_000 + number,
        sector3_ms=29_000 - number,
        position=place,
        gap_to_leader_ms=msgspec.UNSET if place == 1 else 1_000 * place,
        stint=2 if stopped else 1,
        compound="HARD" if stopped else "SOFT",
        tyre_age=number - STOPPED_ON if stopped else number,
        tyre_new=True,
        pit_in=True if car == "44" and number == STOPPED_ON else msgspec.UNSET,
        pit_out=True if car == "44" and number == STOPPED_ON + 1 else msgspec.UNSET,
        track_statuses=["1"],
    )


@pytest.fixture
def race(store: Stored) -> Stored:
    order = ("1", "44", "7A", "100")
    documents: dict[str, Document] = {
        f"sessions/9845/laps/{n}": LapDocument(
            at=NOW, lap=n, drivers={car: lap(n, car, place) for place, car in enumerate(order, 1)}
        )
        for n in range(1, LAPS + 1)
    }
    for place, car in enumerate(order, 1):
        stops = [PitStop(lap=STOPPED_ON, in_at=before(60), lane_time_ms=21_000, stop=True)] if car == "44" else []
        stints = [Stint(stint=1, compound="SOFT", new=True, start_age=0, start_lap=1)]
        if car == "44":
            stints.append(Stint(stint=2, compound="HARD", new=True, start_age=0, start_lap=STOPPED_ON + 1))
        documents[f"sessions/9845/drivers/{car}"] = msgspec.structs.replace(
            DRIVER,
            racing_number=car,
            tla=CARS[car][0],
            grid=place,
            position=place,
            best_lap_ms=89_500,
            best_lap=2,
            stints=stints,
            pit_stops=stops,
        )
    for n, (seconds, code) in enumerate(((900, "1"), (61, "4"), (30, "1"))):
        documents[f"sessions/9845/trackStatus/{n}"] = TrackStatusDocument(at=before(seconds), n=n, code=code)
    documents["sessions/9845"] = SESSION
    store(documents)
    return store


def test_the_pace_is_quickest_first(race: Stored, api: httpx.Client):
    assert got(api, f"{ALL}/pace", fields="tla,cleanLaps,medianLapMs,behindMs")["items"] == [
        {"tla": "VER", "cleanLaps": 8, "medianLapMs": 89_810, "behindMs": 0},
        {"tla": "HAM", "cleanLaps": 6, "medianLapMs": 90_110, "behindMs": 300},
        {"tla": "KAR", "cleanLaps": 8, "medianLapMs": 90_410, "behindMs": 600},
        {"tla": "HUN", "cleanLaps": 8, "medianLapMs": 90_710, "behindMs": 900},
    ]


def test_a_driver_without_clean_laps_comes_last(race: Stored, api: httpx.Client):
    race({"sessions/9845/drivers/3": msgspec.structs.replace(DRIVER, racing_number="3", tla="RIC")})
    assert got(api, f"{ALL}/pace")["items"][-1] == {"racingNumber": "3", "tla": "RIC", "cleanLaps": 0}


def test_degradation_is_by_compound_and_stint(race: Stored, api: httpx.Client):
    soft, hard = got(api, f"{ALL}/degradation")["items"]
    assert (soft["compound"], soft["compoundCleanLaps"], soft["compoundLossPerLapMs"]) == ("SOFT", 24, 20)
    assert [(stint["tla"], stint["cleanLaps"], stint.get("lossPerLapMs")) for stint in soft["stints"]] == [
        ("VER", 8, 20),
        ("KAR", 8, 20),
        ("HAM", 3, None),
        ("HUN", 8, 20),
    ]
    assert hard == {
        "compound": "HARD",
        "compoundCleanLaps": 0,
        "stints": [{"racingNumber": "44", "tla": "HAM", "stint": 2, "cleanLaps": 3}],
    }


def test_degradation_of_one_driver_has_the_compounds_he_drove_as_they_are_for_all(race: Stored, api: httpx.Client):
    [soft] = got(api, f"{ALL}/degradation", driver="kar")["items"]
    assert (soft["compoundCleanLaps"], [stint["tla"] for stint in soft["stints"]]) == (24, ["KAR"])


def test_sectors_are_quickest_first(race: Stored, api: httpx.Client):
    first, *_, last = got(api, f"{ALL}/sectors", times="iso")["items"]
    assert first == {
        "racingNumber": "1",
        "tla": "VER",
        "sector1Ms": 29_700,
        "sector1Time": "0:29.700",
        "sector1Lap": 1,
        "sector1BehindMs": 0,
        "sector1BehindTime": "0:00.000",
        "sector2Ms": 30_001,
        "sector2Time": "0:30.001",
        "sector2Lap": 1,
        "sector2BehindMs": 0,
        "sector2BehindTime": "0:00.000",
        "sector3Ms": 28_991,
        "sector3Time": "0:28.991",
        "sector3Lap": 9,
        "sector3BehindMs": 0,
        "sector3BehindTime": "0:00.000",
        "idealLapMs": 88_692,
        "idealLapTime": "1:28.692",
        "bestLapMs": 89_500,
        "bestLapTime": "1:29.500",
        "bestLap": 2,
        "lostMs": 808,
        "lostTime": "0:00.808",
    }
    assert (last["tla"], last["sector1BehindMs"]) == ("HUN", 900)


def test_charts_have_a_series_a_car_by_racing_number(race: Stored, api: httpx.Client):
    gaps, places = (got(api, f"{ALL}/{name}")["items"] for name in ("gaps", "positionChart"))
    assert [item["tla"] for item in gaps] == [item["tla"] for item in places] == ["VER", "KAR", "HAM", "HUN"]
    assert gaps[1]["laps"] == [{"lap": n, "gapToLeaderMs": 3_000} for n in range(1, LAPS + 1)]
    assert places[1]["laps"] == [{"lap": n, "position": 3} for n in range(LAPS + 1)]


def test_a_chart_as_csv_has_a_row_for_each_driver_and_lap(race: Stored, api: httpx.Client):
    lines = api.get(f"{ALL}/positionChart?format=csv&driver=44").text.splitlines()
    assert lines[:3] == ["racingNumber,tla,lap,position", "44,HAM,0,2", "44,HAM,1,2"]
    assert len(lines) == 1 + 1 + LAPS


def test_degradation_as_csv_has_a_row_for_each_stint(race: Stored, api: httpx.Client):
    lines = api.get(f"{ALL}/degradation?format=csv").text.splitlines()
    assert lines[0] == "compound,compoundCleanLaps,compoundLossPerLapMs,racingNumber,tla,stint,cleanLaps,lossPerLapMs"
    assert lines[1:] == [
        *("SOFT,24,20,1,VER,1,8,20", "SOFT,24,20,7A,KAR,1,8,20", "SOFT,24,20,44,HAM,1,3,"),
        *("SOFT,24,20,100,HUN,1,8,20", "HARD,0,,44,HAM,2,3,"),
    ]


def test_the_pit_table_tells_tyres_time_and_what_a_stop_cost(race: Stored, api: httpx.Client):
    [stop] = got(api, f"{ALL}/pitTable")["items"]
    assert stop == {
        "racingNumber": "44",
        "tla": "HAM",
        "lap": 5,
        "inAt": "2025-11-08T14:02:08.000Z",
        "laneTimeMs": 21_000,
        "stop": True,
        "trackStatus": "4",
        "underSafetyCar": True,
        "tyresBefore": {"compound": "SOFT", "new": True, "age": 5},
        "tyresAfter": {"compound": "HARD", "new": True, "age": 0},
        "lossMs": 20_000 - 600,
    }


def test_the_pit_table_is_in_the_order_of_the_stops(race: Stored, api: httpx.Client):
    def stopped(car: str, *stops: PitStop) -> None:
        path = f"sessions/9845/drivers/{car}"
        race({path: msgspec.structs.replace(DRIVER, racing_number=car, tla=CARS[car][0], pit_stops=list(stops))})

    stopped("1", PitStop(lap=5, in_at=before(59), stop=True), PitStop(stop=False))
    stopped("7A", PitStop(lap=4, in_at=before(99), stop=True), PitStop(lap=5, stop=True))
    stopped("100", PitStop(lap=5, in_at=before(61), stop=True))
    table = got(api, f"{ALL}/pitTable", fields="lap,tla")["items"]
    assert [(stop.get("lap"), stop["tla"]) for stop in table] == [
        *((4, "KAR"), (5, "HUN"), (5, "HAM"), (5, "VER"), (5, "KAR"), (None, "VER")),
    ]


def test_tyres_are_columns_of_a_table(race: Stored, api: httpx.Client):
    header, row = api.get(f"{ALL}/pitTable?format=csv&fields=tla,tyresBefore,tyresAfter.compound").text.splitlines()
    assert header == "tla,tyresBefore.compound,tyresBefore.new,tyresBefore.age,tyresAfter.compound"
    assert row == "HAM,SOFT,true,5,HARD"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("driver", ["44", "ham", "HAM"])
def test_one_driver_by_number_or_code(race: Stored, api: httpx.Client, name: str, driver: str):
    items = got(api, f"{ALL}/{name}", driver=driver)["items"]
    assert items
    assert {each["tla"] for item in items for each in item.get("stints", [item])} == {"HAM"}
    assert got(api, f"{ALL}/{name}", driver="NOB") == {"items": []}


def test_a_number_that_reads_as_a_code_is_found(race: Stored, api: httpx.Client):
    assert len(got(api, f"{ALL}/pace", driver="7a")["items"]) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_session_without_laps_has_none_and_one_that_is_not_there_is_not_found(
    store: Stored, api: httpx.Client, name: str
):
    store({"sessions/9845": SESSION})
    assert got(api, f"{ALL}/{name}") == {"items": []}
    assert api.get(f"{ALL}/{name}?format=csv").status_code == 200
    assert problem_name(api.get(f"/api/sessions/9846/analytics/{name}")) == "not-found"


def test_laps_of_a_driver_who_has_no_document_count(store: Stored, api: httpx.Client):
    store(
        {"sessions/9845": SESSION, "sessions/9845/laps/2": LapDocument(at=NOW, lap=2, drivers={"44": lap(2, "44", 1)})}
    )
    [item] = got(api, f"{ALL}/pace")["items"]
    assert item == {"racingNumber": "44", "cleanLaps": 1, "medianLapMs": 90_040, "behindMs": 0}


@pytest.mark.parametrize("name", NAMES)
def test_keys_this_version_does_not_know_do_no_harm(
    race: Stored, api: httpx.Client, firestore: firestore_api.Client, name: str
):
    told = got(api, f"{ALL}/{name}")
    firestore.document("sessions/9845/laps/3").update({"drivers.`44`.battery": 3, "holiday": True})
    firestore.document("sessions/9845/drivers/44").update({"winner": True})
    assert got(api, f"{ALL}/{name}") == told


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("parameter", ["limit", "cursor", "from"])
def test_there_are_no_pages(race: Stored, api: httpx.Client, name: str, parameter: str):
    assert problem(api.get(f"{ALL}/{name}?{parameter}=1"))["parameter"] == parameter


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "path", ["sessions/9845/laps/3", "sessions/9845/drivers/44", "sessions/9845/trackStatus/1", "sessions/9845"]
)
def test_the_tag_is_that_of_what_was_used(race: Stored, api: httpx.Client, name: str, path: str):
    tag = api.get(f"{ALL}/{name}").headers["etag"]
    stored: dict[str, Document] = {
        "sessions/9845": SESSION,
        "sessions/9845/laps/3": LapDocument(at=NOW, lap=3, drivers={}),
        "sessions/9845/drivers/44": msgspec.structs.replace(DRIVER, stints=[]),
        "sessions/9845/trackStatus/1": TrackStatusDocument(at=NOW, n=1, code="6"),
    }
    race({path: stored[path]})
    unused = path == "sessions/9845" or (name != "pitTable" and "trackStatus" in path)
    again = api.get(f"{ALL}/{name}", headers={"If-None-Match": tag})
    assert again.status_code == (304 if unused else 200)


def test_a_session_that_turns_out_to_be_none_of_cars_that_start_together_has_a_new_tag(race: Stored, api: httpx.Client):
    tag = api.get(f"{ALL}/gaps").headers["etag"]
    race({"sessions/9845": msgspec.structs.replace(SESSION, type="Practice")})
    again = api.get(f"{ALL}/gaps", headers={"If-None-Match": tag})
    assert again.json() == {"items": []}


@pytest.mark.parametrize("final", [False, True])
def test_answers_are_kept_as_those_of_the_session(race: Stored, api: httpx.Client, final: bool):
    race({"sessions/9845": msgspec.structs.replace(SESSION, final=final)})
    max_age = caching.FINAL_S if final else caching.SESSION_S
    for name in NAMES:
        assert f"max-age={max_age}," in api.get(f"{ALL}/{name}").headers["cache-control"]


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_reads_the_session_drivers_and_laps_once_a_second(
    race: Stored, serve: Any, capsys: pytest.CaptureFixture[str], name: str
):
    api = serve(seconds=lambda: 0.0)
    for _ in range(3):
        got(api, f"{ALL}/{name}")
    reads = 1 + len(CARS) + LAPS + (3 if name == "pitTable" else 0)
    assert capsys.readouterr().out.count(f'"firestoreReads":{reads}') == 1
