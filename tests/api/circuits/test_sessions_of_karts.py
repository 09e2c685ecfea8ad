"""What every route of a session says of one of karts: numbers with letters, no codes, no tyres, penalties in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local import made_up_kart_race as karts
from tests.api.conftest import NOW, Stored, got, pages, problem_name


@pytest.fixture
def race(store: Stored) -> str:
    """The address of a race of karts."""
    stored = karts.documents(karts.race(round(NOW.timestamp() * 1000) - 3_600_000))
    store(stored)
    return f"/api/sessions/{karts.session_of(stored)}"


def numbers(items: list[dict[str, Any]]) -> list[str]:
    return [item["racingNumber"] for item in items]


def test_the_session_its_karts_and_its_tower(race: str, api: httpx.Client):
    assert got(api, "/api/sessions/current", series="kart")["sessionKey"] == race.rpartition("/")[2]
    assert got(api, race)["series"] == "kart"
    assert numbers(got(api, f"{race}/drivers")["items"]) == list(karts.STORED)
    assert numbers(got(api, f"{race}/drivers", spoilers="false")["items"]) == ["7A", "7A-r4", "9", "012"]
    for asked, found in (("012", "012"), ("7a", "7A"), ("7A-r4", "7A-r4")):
        assert got(api, f"{race}/drivers/{asked}")["racingNumber"] == found
        assert numbers(got(api, f"{race}/drivers/{asked}/laps", limit=2)["items"]) == [found] * 2
    assert problem_name(api.get(f"{race}/drivers/7B-r4")) == "not-found"
    tower = got(api, f"{race}/live")["lines"]
    assert tower.keys() == set(karts.STORED)
    assert (tower["7A"]["position"], tower["7A"]["lastLapMs"], tower["7A"]["laps"]) == (2, 61_000, 12)
    assert "position" not in got(api, f"{race}/live", spoilers="false")["lines"]["7A"]


def test_laps_and_places_of_one_kart(race: str, api: httpx.Client):
    for asked, time in (("012", 60_000), ("7a", 61_000), ("7A-r4", 63_000)):
        laps = [lap for page in pages(api, f"{race}/laps", driver=asked, limit=5) for lap in page["items"]]
        told = [lap["drivers"] for lap in laps]
        assert (len(told), {line["lapTimeMs"] for line in map(single, told[:6])}) == (12, {time})
        assert len(got(api, f"{race}/positions", driver=asked)["items"]) == 12
    header, *rows = api.get(f"{race}/laps", params={"format": "csv", "fields": "lap,drivers.lapTimeMs"}).text.split()
    assert (header, rows[:4]) == (
        "lap,racingNumber,lapTimeMs",
        ["1,7A,61000", "1,7A-r4,63000", "1,9,62000", "1,012,60000"],
    )
    assert got(api, f"{race}/laps/7")["drivers"]["012"]["pitIn"] is True


def single(line: dict[str, Any]) -> Any:
    (of_kart,) = line.values()
    return of_kart


def test_stints_and_stops(race: str, api: httpx.Client):
    stints = got(api, f"{race}/stints", driver="012")["items"]
    assert [(stint["stint"], stint["driver"], stint["laps"]) for stint in stints] == [
        (1, "A. Driver", 7),
        (2, "E. Driver", 5),
    ]
    assert len(got(api, f"{race}/stints")["items"]) == 5
    [stop] = got(api, f"{race}/pitStops")["items"]
    assert (stop["racingNumber"], stop["laneTimeMs"], stop["stop"]) == ("012", 40_000, True)
    [visit] = got(api, f"{race}/analytics/pitTable")["items"]
    assert (visit["racingNumber"], visit["lossMs"]) == ("012", 36_000)
    assert not {"tyresBefore", "tyresAfter"} & visit.keys()


def test_endurance_and_what_is_left_of_it_without_results(race: str, api: httpx.Client):
    lines = got(api, f"{race}/endurance")["lines"]
    assert (lines["012"]["stint"], lines["012"]["stops"], lines["012"]["lastStopMs"]) == (2, 1, 40_000)
    hidden = got(api, f"{race}/endurance", spoilers="false")["lines"]["012"]
    assert (
        hidden.items() == {key: told for key, told in lines["012"].items() if key not in ("position", "laps")}.items()
    )
    assert api.get("/api/sessions/9845/endurance").status_code == 404


def test_analytics_are_of_every_kart(race: str, api: httpx.Client):
    pace = got(api, f"{race}/analytics/pace")["items"]
    assert [(item["racingNumber"], item["medianLapMs"]) for item in pace] == [
        ("012", 60_000),
        ("7A", 61_000),
        ("9", 62_000),
        ("7A-r4", 63_000),
    ]
    [stints] = got(api, f"{race}/analytics/degradation", driver="7a")["items"]  # on nothing that is known
    assert [(stint["racingNumber"], stint["lossPerLapMs"]) for stint in stints["stints"]] == [("7A", 0)]
    [sectors] = got(api, f"{race}/analytics/sectors", driver="7A-r4")["items"]
    assert (sectors["sector1Ms"], sectors["sector1BehindMs"]) == (20_001, 0)
    for name in ("gaps", "positionChart"):
        [chart] = got(api, f"{race}/analytics/{name}", driver="012")["items"]
        assert len(chart["laps"]) == 12


def test_race_control_and_flags(race: str, api: httpx.Client):
    [said] = got(api, f"{race}/raceControl")["items"]
    assert (said["category"], said["racingNumber"], said["message"]) == ("Penalty", "9", "Kart 9: 10 s")
    assert len(got(api, f"{race}/raceControl", driver="9")["items"]) == 1
    for left_out in ({"driver": "7A"}, {"spoilers": "false"}, {"flag": "yellow"}):
        assert got(api, f"{race}/raceControl", **left_out)["items"] == []
    assert [change["code"] for change in got(api, f"{race}/trackStatus")["items"]] == ["1"]
    assert got(api, f"{race}/weather") == got(api, f"{race}/teamRadio") == {"items": []}
