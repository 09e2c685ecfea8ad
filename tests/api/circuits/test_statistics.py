"""How karts and drivers did, over HTTP, in the views of every list; and what is read for it."""

from __future__ import annotations

import httpx
import pytest
from google.cloud import firestore as firestore_api

from local import made_up_kart_race as karts
from pitwall.api import numbered
from pitwall.api.circuits import statistics
from tests.api.conftest import NOW, Stored, got, pages, problem, problem_name

TRACK = "/api/circuits/kartpark/statistics"
HOUR = 3_600_000
BEGAN = round(NOW.timestamp() * 1000) - HOUR


@pytest.fixture
def day(store: Stored, firestore: firestore_api.Client) -> list[str]:
    """Keys of two races of a track in one day, and another track that has none."""
    firestore.document("circuits/kartpark").set({"nom": "Kart Park"})
    firestore.document("circuits/lac").set({"nom": "Piste du Lac"})
    firestore.document("circuits/monza").set({"circuit": "monza", "name": "Monza"})
    keys = []
    for at in (BEGAN - 2 * HOUR, BEGAN):
        stored = karts.documents(karts.race(at))
        store(stored)
        keys.append(karts.session_of(stored))
    return keys


def test_karts_of_the_last_session_come_by_position(day: list[str], api: httpx.Client):
    items = got(api, TRACK)["items"]
    assert [item["racingNumber"] for item in items] == list(karts.STORED)
    assert {item["sessionKey"] for item in items} == {day[1]}
    first, second = items[:2]
    assert (first["laps"], first["cleanLaps"], first["medianLapMs"], first["consistency"]) == (12, 10, 60_000, 1.0)
    assert (first["stops"], first["pitTimeMs"], first["drivers"]) == (1, 40_000, ["A. Driver", "E. Driver"])
    assert [(stint["driver"], stint["laps"], stint["medianLapMs"]) for stint in first["stints"]] == [
        ("A. Driver", 7, 60_000),
        ("E. Driver", 5, 60_000),
    ]
    assert (first["quality"], second["quality"]) == (0.9756, 0.9919)
    assert second["bestSector1Ms"] == 20_001


def test_one_kart_and_one_driver_over_a_session_and_a_day(day: list[str], api: httpx.Client):
    [one] = got(api, TRACK, kart="7a", session=day[0], times="iso", fields="sessionKey,racingNumber,medianLapMs")[
        "items"
    ]
    assert one == {"sessionKey": day[0], "racingNumber": "7A", "medianLapMs": 61_000, "medianLapTime": "1:01.000"}
    history = got(api, TRACK, date="2025-11-08", kart="7A-R4", fields="sessionKey,racingNumber")["items"]
    assert history == [{"sessionKey": key, "racingNumber": "7A-r4"} for key in day]
    drivers = got(api, TRACK, by="driver")["items"]
    assert [item["driver"] for item in drivers] == [f"{name}. Driver" for name in "AEBCD"]
    assert drivers[1]["karts"] == ["012"]
    [driven] = got(api, TRACK, driver="e. driver")["items"]
    assert driven["racingNumber"] == "012"


@pytest.mark.parametrize("limit", [3, 4])
def test_pages_of_a_day_join_to_the_whole(day: list[str], api: httpx.Client, limit: int):
    *full, last = (page["items"] for page in pages(api, TRACK, date="2025-11-08", limit=limit))
    assert {len(page) for page in full} <= {limit}
    told = [(item["sessionKey"], item["racingNumber"]) for page in (*full, last) for item in page]
    assert told == [(key, number) for key in day for number in karts.STORED]


def test_a_page_reads_no_more_than_it_may(day: list[str], api: httpx.Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(statistics, "MOST_LAPS", 10)
    monkeypatch.setattr(numbered, "BATCH", 4)
    first, second = pages(api, TRACK, date="2025-11-08")
    assert [len(page["items"]) for page in (first, second)] == [4, 4]
    assert first["items"][0]["timedLaps"] == 10  # the last ones


def test_only_laps_that_changed_are_read_again(
    day: list[str], api: httpx.Client, store: Stored, capsys: pytest.CaptureFixture[str]
):
    """Those of the last two minutes, three here; what has changed is seen, and has another tag."""
    first = api.get(TRACK)
    capsys.readouterr()
    assert api.get(TRACK).headers["etag"] == first.headers["etag"]
    beside = 1 + 1 + len(karts.STORED) + 1  # the track, the session, its karts and their stops
    assert f'"firestoreReads":{beside + 3}' in capsys.readouterr().out
    messages = karts.race(BEGAN, laps=13)
    store({path: document for path, document in karts.documents(messages).items() if "/laps/" in path})
    second = api.get(TRACK)
    assert second.headers["etag"] != first.headers["etag"]
    assert [item["timedLaps"] for item in second.json()["items"]] == [13] * 4


def test_as_a_table(day: list[str], api: httpx.Client):
    header, *rows = api.get(TRACK, params={"format": "csv", "fields": "racingNumber,medianLapMs,stints"}).text.split()
    assert header == "racingNumber,medianLapMs"
    assert rows == ["012,60000", "7A,61000", "9,62000", "7A-r4,63000"]


def test_what_is_not_there_or_cannot_be_asked(day: list[str], api: httpx.Client):
    not_there = [
        ("lac", {}),
        ("lac", {"session": day[0]}),
        ("monza", {}),
        ("nowhere", {}),
        ("kartpark", {"session": "9845"}),
    ]
    for circuit, query in not_there:
        assert problem_name(api.get(f"/api/circuits/{circuit}/statistics", params=query)) == "not-found"
    for name, query in (
        ("date", {"date": "2025-11-08", "session": day[0]}),
        ("date", {"date": "8 November"}),
        ("cursor", {"cursor": "x"}),
    ):
        assert problem(api.get(TRACK, params=query))["parameter"] == name
    assert got(api, TRACK, date="2025-11-07") == {"items": []}
