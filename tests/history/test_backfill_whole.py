"""Whole weekends filled in from the frozen web: equal to what Jolpica, FastF1 and others' tables have of them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import storage as storage_api

from bench.accuracy import FIELDS, compare
from local.emulators import Emulator
from local.simulator import for_minutes, write_recording
from local.web import FrozenWeb
from pitwall.api.app import create_app
from pitwall.documents import paths
from pitwall.history.fastf1_web import fastf1_from
from pitwall.history.official import milliseconds
from pitwall.settings import Settings
from tests.conftest import SHARED
from tests.history.backfilling import Documents, Ran, everything
from tests.history.frozen import WEB, needs_web
from tests.history.webs import fastf1_asks_at_once

pytestmark = [pytest.mark.whole, needs_web]

ARDENMOOR = {
    "Races": [
        {
            "season": "2026",
            "round": "12",
            "raceName": "Ardenmoor Grand Prix",
            "date": "2026-07-12",
            "Circuit": {
                "circuitId": "ardenmoor",
                "circuitName": "Ardenmoor",
                "Location": {"lat": "0", "long": "0", "locality": "Ardenmoor", "country": "Ardenmoor"},
            },
            "Results": [
                {
                    "position": "1",
                    "positionText": "1",
                    "points": "25",
                    "Driver": {"driverId": "nobody", "givenName": "No", "familyName": "Body"},
                    "Constructor": {"constructorId": "none", "name": "None"},
                }
            ],
        }
    ]
}
"""What Jolpica would say of the simulated race, which knows circuits by name."""
LAPS = SHARED / "reference" / "laps" / "2018-baku-race.csv"


@dataclass
class Filled:
    """project: in which. first, second: what two runs told. asked: requests of the second. documents: by path.

    web: as settings.
    """

    project: str
    first: Ran
    second: Ran
    asked: int
    documents: Documents
    web: dict[str, str]

    def below(self, collection: str) -> Documents:
        """Documents of a collection, by id."""
        return {
            path.rpartition("/")[2]: fields
            for path, fields in self.documents.items()
            if path.rpartition("/")[0] == collection
        }


def filled(emulator: Emulator, folder: Path, *words: str) -> Iterator[Filled]:
    with FrozenWeb(WEB) as web, pytest.MonkeyPatch.context() as patch:
        fastf1_asks_at_once(patch)
        project = f"test-{folder.name}"
        patch.setenv("GOOGLE_CLOUD_PROJECT", project)
        patch.setenv(emulator.variable, emulator.value)
        for name, url in web.settings.items():
            patch.setenv(f"PITWALL_{name.upper()}", url)
        first = Ran(folder, *words)
        before = len(web.asked)
        second = Ran(folder, *words)
        client = firestore_api.Client(project=project)
        yield Filled(project, first, second, len(web.asked) - before, everything(client), web.settings)
        client.close()


@pytest.fixture(scope="module")
def race_of_2018(firestore_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    folder = tmp_path_factory.mktemp("baku-2018")
    yield from filled(firestore_emulator, folder, "--season", "2018", "--round", "4", "--session", "R")


@pytest.fixture(scope="module")
def weekend_of_2023(firestore_emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    yield from filled(firestore_emulator, tmp_path_factory.mktemp("baku-2023"), "--season", "2023", "--round", "4")


def frozen(path: str, key: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = orjson.loads((WEB / "jolpica" / path).read_bytes())["MRData"]["RaceTable"]["Races"][
        0
    ][key]
    return listed


def as_jolpica_has_it(result: dict[str, Any]) -> dict[str, Any]:
    """A frozen result of a race, as it is to be stored."""
    fastest, finish, text = result.get("FastestLap"), result.get("Time"), result["positionText"]
    return {
        "racingNumber": result["number"],
        "driver": result["Driver"]["driverId"],
        "constructor": result["Constructor"]["constructorId"],
        "order": int(result["position"]),
        "position": int(text) if text.isdecimal() else None,
        "positionText": text,
        "points": float(result["points"]),
        "grid": int(result["grid"]),
        "laps": int(result["laps"]),
        "status": result["status"],
        "timeMs": int(finish["millis"]) if finish else None,
        "fastestLapMs": milliseconds(fastest["Time"]["time"]) if fastest else None,
    }


def stored_results(documents: Documents) -> list[dict[str, Any]]:
    names = ("racingNumber", "driver", "constructor", "order", "position", "positionText", "points", "grid")
    return sorted(
        (
            {name: fields.get(name) for name in (*names, "laps", "status", "timeMs")}
            | {"fastestLapMs": fields.get("fastestLap", {}).get("lapTimeMs")}
            for fields in documents.values()
        ),
        key=lambda result: result["order"],
    )


# -- the race of 2018 ------------------------------------------------------------------------


def test_results_points_and_grid_of_the_race_are_jolpicas(race_of_2018: Filled):
    assert race_of_2018.first.code == 0
    stored = stored_results(race_of_2018.below("sessions/5090/results"))
    assert stored == [as_jolpica_has_it(result) for result in frozen("2018/4/results.json", "Results")]


def test_the_race_is_found_by_season_and_round(race_of_2018: Filled):
    event = race_of_2018.documents[paths.event(2018, "4")]
    (key,) = [session["sessionKey"] for session in event["sessions"] if session["name"] == "Race"]
    session = race_of_2018.documents[paths.session(key)]
    assert (key, session["final"], session["round"], session["year"]) == ("5090", True, 4, 2018)


def test_the_api_gives_the_race_as_it_was_filled_in(race_of_2018: Filled):
    app = create_app(Settings(project=race_of_2018.project, rate_limit_address=0, rate_limit_key=0))
    with httpx.Client(transport=httpx.WSGITransport(app), base_url="http://pitwall.test/api/") as api:
        race = api.get("races/2018-4").raise_for_status().json()
        assert (race["sessionKey"], race["winners"], race["circuit"]) == ("5090", ["hamilton"], "baku")
        results = api.get("races/2018-4/results").raise_for_status().json()["items"]
        assert stored_results({str(place): result for place, result in enumerate(results)}) == [
            as_jolpica_has_it(result) for result in frozen("2018/4/results.json", "Results")
        ]
        laps = api.get("races/2018-4/laps?limit=200").raise_for_status().json()["items"]
        assert [lap["lap"] for lap in laps] == list(range(1, 52))
        raikkonen = api.get("races/2018-4/laps?limit=200&driver=raikkonen").raise_for_status().json()["items"]
        assert {number for lap in raikkonen for number in lap["drivers"]} == {"7"}
        assert api.get("drivers/HAM/stats").raise_for_status().json()["statistics"]["wins"] == 1
        first = api.get("standings/drivers?year=2018&round=4").raise_for_status().json()["items"][0]
        assert (first["id"], first["name"], first["points"]) == ("hamilton", "Lewis Hamilton", 25)
        assert api.get("circuits/baku").raise_for_status().json()["name"] == "Baku City Circuit"


def test_laps_of_the_race_are_as_exact_as_bench_accuracy_says(race_of_2018: Filled):
    summary, _ = compare(SHARED / "recordings" / "f1" / "2018-baku-race", LAPS)
    with LAPS.open() as lines:
        rows = {(row["driver"], int(row["lap"])): row for row in csv.DictReader(lines)}
    stored = {
        (number, lap["lap"]): car
        for lap in race_of_2018.below("sessions/5090/laps").values()
        for number, car in lap["drivers"].items()
    }
    assert stored.keys() == rows.keys()
    counted = {name: Counter[str]() for name in summary["fields"]}
    for key, row in rows.items():
        for name, counts in counted.items():
            theirs = FIELDS[name].reference(row[FIELDS[name].column])
            ours = stored[key].get(name, False if name in ("pitIn", "pitOut", "deleted") else None)
            kind = "equal" if theirs == ours else "onlyPitWall" if theirs is None else "onlyReference"
            counts["different" if kind == "onlyReference" and ours is not None else kind] += 1
    assert {
        name: {kind: counts[kind] for kind in summary["fields"][name]} for name, counts in counted.items()
    } == summary["fields"]


def test_laps_led_are_counted_from_the_laps(race_of_2018: Filled):
    """As it was, but that Bottas led lap 48 as well: with his puncture the feed told it after Hamilton's."""
    led = race_of_2018.documents["contributions/2018-4"]["lapsLed"]
    assert led == {"vettel": 30, "bottas": 17, "hamilton": 4}
    assert race_of_2018.documents[paths.profile("vettel")]["statistics"]["lapsLed"] == 30


def test_the_rest_of_the_race_is_there(race_of_2018: Filled):
    counts = Counter(path.split("/")[2] for path in race_of_2018.documents if path.startswith("sessions/5090/"))
    assert counts == {
        "raceControl": 109,
        "laps": 51,
        "trackStatus": 22,
        "drivers": 20,
        "results": 20,
        "sessionStatus": 5,
        "live": 3,
    }
    standings = race_of_2018.documents[paths.standings(2018, "drivers")]["rounds"][0]["lines"][0]
    assert (standings["id"], standings["points"]) == ("hamilton", 25.0)
    assert race_of_2018.documents["circuits/baku"]["key"] == "144"


@pytest.mark.parametrize("which", ["race_of_2018", pytest.param("weekend_of_2023", marks=pytest.mark.long)])
def test_a_second_run_reads_little_and_writes_nothing(which: str, request: pytest.FixtureRequest):
    run: Filled = request.getfixturevalue(which)
    first, second = run.first.report, run.second.report
    assert (second["firestoreWrites"], second["firestoreDeletes"], second["documents"]) == (0, 0, 0)
    events = len(run.below(f"seasons/{second['wanted']['season']}/events"))
    # The calendar is listed and read; then the season's marks, the schedule, and each session of the round.
    assert second["firestoreReads"] <= 2 * events + 2 + 5 + 1 < first["firestoreReads"] / 5
    assert run.asked <= (3 if which == "race_of_2018" else 12)


# -- the weekend of 2023 ---------------------------------------------------------------------


@pytest.mark.long
def test_results_points_and_grid_of_the_sprint_are_jolpicas(weekend_of_2023: Filled):
    stored = stored_results(weekend_of_2023.below("sessions/9069/results"))
    assert stored == [as_jolpica_has_it(result) for result in frozen("2023/4/sprint.json", "SprintResults")]


@pytest.mark.long
def test_results_of_qualifying_are_jolpicas(weekend_of_2023: Filled):
    stored = weekend_of_2023.below("sessions/9064/results").values()
    assert {
        (fields["racingNumber"], fields["driver"], fields["position"], *(fields.get(f"q{n}Ms") for n in (1, 2, 3)))
        for fields in stored
    } == {
        (
            result["number"],
            result["Driver"]["driverId"],
            int(result["position"]),
            *(milliseconds(result.get(f"Q{n}", "")) for n in (1, 2, 3)),
        )
        for result in frozen("2023/4/qualifying.json", "QualifyingResults")
    }


@pytest.mark.long
def test_results_of_the_sprint_shootout_are_fastf1s(weekend_of_2023: Filled, monkeypatch: pytest.MonkeyPatch):
    """Jolpica has none of it: FastF1 works them out of the same feed."""
    fastf1_asks_at_once(monkeypatch)
    with fastf1_from(Settings(project="none", **weekend_of_2023.web)) as fastf1:
        theirs = fastf1.load(2023, 4, "SS").session.results

    def ms(value: Any) -> int | None:
        return None if value != value else round(value.total_seconds() * 1000)

    stored = weekend_of_2023.below("sessions/9278/results")
    assert {n: [fields.get(f"q{part}Ms") for part in (1, 2, 3)] for n, fields in stored.items()} == {
        number: [ms(row[part]) for part in ("Q1", "Q2", "Q3")] for number, row in theirs.iterrows()
    }
    assert {n: fields["code"] for n, fields in stored.items()} == dict(theirs["Abbreviation"])
    places = {number: row["Position"] for number, row in theirs.iterrows() if row["Position"] == row["Position"]}
    assert {n: float(fields["position"]) for n, fields in stored.items() if n in places} == places


@pytest.mark.long
def test_what_is_not_there_is_told_and_keeps_nothing_from_being_done(weekend_of_2023: Filled):
    assert weekend_of_2023.first.code == 1
    states = weekend_of_2023.first.states()
    assert {session: state for session, state in states.items() if state == "missing"} == {
        "results": "missing",
        "Practice 1": "missing",
        "Race": "missing",
    }
    assert "404" in weekend_of_2023.first.of("Race")["error"]
    for key in ("9064", "9278", "9069"):
        assert weekend_of_2023.documents[paths.session(key)]["final"] is True
    race = weekend_of_2023.documents[paths.session("9070")]
    assert (race["final"], race["name"], race["round"]) == (False, "Race", 4)
    sprint = weekend_of_2023.documents["contributions/2023-4"]
    assert (len(sprint["sprint"]), sprint["results"]) == (20, [])


# -- telemetry -------------------------------------------------------------------------------


def test_telemetry_of_a_race_is_stored_with_the_layout_it_shows_and_only_once(
    firestore: firestore_api.Client,
    storage: storage_api.Client,
    project: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    storage.create_bucket(f"{project}-telemetry")
    recording = tmp_path / "race.txt.gz"
    write_recording(for_minutes(4, 5), recording)
    results = tmp_path / "jolpica/2026/results.json"
    results.parent.mkdir(parents=True)
    results.write_bytes(orjson.dumps({"MRData": {"limit": "1", "offset": "0", "total": "1", "RaceTable": ARDENMOOR}}))
    with FrozenWeb(tmp_path) as web:
        web.add(recording)
        monkeypatch.setenv("PITWALL_HISTORY", "f1")
        for name, url in web.settings.items():
            monkeypatch.setenv(f"PITWALL_{name.upper()}", url)
        words = ("--season", "2026", "--session", "R", "--telemetry")
        later = datetime(2027, 1, 1, tzinfo=UTC)
        first, second = Ran(tmp_path, *words, now=later), Ran(tmp_path, *words, now=later)
    assert first.of("Race, telemetry")["state"] == "done"
    assert first.of("Race, telemetry")["objects"] > 3
    assert (second.of("Race, telemetry")["state"], second.report["firestoreWrites"]) == ("skipped", 0)
    layout = firestore.document("circuits/ardenmoor/layouts/2026").get().to_dict() or {}
    assert (layout["source"], len(layout["sectorEnds"])) == ("positions", 2)
