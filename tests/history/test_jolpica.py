"""The client of Jolpica's results, against the frozen web: whole lists, and clear errors when the server misbehaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from local.web import FrozenWeb
from pitwall.history import jolpica
from pitwall.history.answers import ATTEMPTS, BadAnswer, NotThere, SourceError, Throttled
from pitwall.history.jolpica import Jolpica, rounds
from pitwall.history.standings import Result, standings
from pitwall.settings import Settings
from tests.history.frozen import WEB, Sleeps, needs_web
from tests.history.seasons import ABSENT, SEASONS, tables

NOW = 1_800_000_000.0
"""In January 2027."""
RESULTS = "jolpica/2018/4/results.json*"
DAY_S = 86_400.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def web() -> Iterator[FrozenWeb]:
    with FrozenWeb(WEB) as running:
        yield running


@pytest.fixture
def asking(web: FrozenWeb, sleeps: Sleeps) -> Callable[..., Jolpica]:
    def make(**options: Any) -> Jolpica:
        return Jolpica(web.settings["jolpica_url"], sleep=sleeps, **options)

    return make


@pytest.fixture
def client(asking: Callable[..., Jolpica]) -> Iterator[Jolpica]:
    with asking() as made:
        yield made


def rows(path: str, *, table: str = "RaceTable", listed: str = "Races") -> Any:
    return orjson.loads((WEB / "jolpica" / path).read_bytes())["MRData"][table][listed]


def served(tmp_path: Path, path: str, change: Callable[[Any], None]) -> Path:
    """A folder that has one frozen answer, changed."""
    answer = orjson.loads((WEB / "jolpica" / path).read_bytes())
    change(answer["MRData"])
    file = tmp_path / "web" / "jolpica" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(orjson.dumps(answer))
    return tmp_path / "web"


# -- what is read ----------------------------------------------------------------------------


@needs_web
@pytest.mark.parametrize(
    "path", sorted(str(file.relative_to(WEB / "jolpica")) for file in (WEB / "jolpica").rglob("*.json*"))
)
def test_every_frozen_answer_is_understood(path: str) -> None:
    content = (WEB / "jolpica" / path).read_bytes()
    page = msgspec.json.decode(content, type=jolpica._Answer, strict=False).page
    table = jolpica._table(page)
    assert table is not None
    endpoint = Path(path).parent.name if Path(path).parent.name == "laps" else Path(path).name.partition(".")[0]
    wanted = next((key for key, name in jolpica._ENDPOINTS.items() if name == endpoint), None)
    assert jolpica._rows(table, wanted) == min(page.limit, page.total)


@needs_web
def test_results_are_those_of_the_file(client: Jolpica) -> None:
    (race,) = client.results(2018, 4)
    (frozen,) = rows("2018/4/results.json")
    assert (race.season, race.round, race.race_name, race.circuit.circuit_id) == (2018, 4, frozen["raceName"], "baku")
    assert len(race.results) == 20
    for ours, theirs in zip(race.results, frozen["Results"], strict=True):
        assert [ours.number, str(ours.position), ours.position_text, ours.points, str(ours.grid), str(ours.laps)] == [
            theirs[key] for key in ("number", "position", "positionText", "points", "grid", "laps")
        ]
        assert ours.driver.driver_id == theirs["Driver"]["driverId"]
        assert (ours.driver.code, ours.status) == (theirs["Driver"]["code"], theirs["status"])
        assert (ours.time.time if ours.time else None) == theirs.get("Time", {}).get("time")
        fastest = theirs.get("FastestLap")
        assert (ours.fastest_lap and ours.fastest_lap.time.time) == (fastest and fastest["Time"]["time"])


@needs_web
def test_a_weekend_has_its_sprint_and_qualifying(client: Jolpica) -> None:
    (sprint,), (qualifying,) = client.sprints(2023, 4), client.qualifying(2023, 4)
    assert [result.driver.driver_id for result in sprint.sprint_results[:2]] == ["perez", "leclerc"]
    assert (qualifying.qualifying_results[0].q3, qualifying.qualifying_results[-1].q2) == ("1:40.203", "")


@needs_web
def test_a_calendar_has_starts_in_utc_where_they_are_known(client: Jolpica) -> None:
    race = client.races(2023)[3]
    assert (race.round, race.date.isoformat(), race.time and race.time.isoformat()) == (
        4,
        "2023-04-30",
        "11:00:00+00:00",
    )
    assert race.sprint is not None
    assert client.races(1979)[0].time is None


@needs_web
def test_drivers_of_a_season(client: Jolpica) -> None:
    drivers = client.drivers(2023)
    assert len(drivers) == len({driver.driver_id for driver in drivers}) == 22
    assert drivers[0].date_of_birth is not None


# -- what is not frozen, written as Jolpica's documentation has it ---------------------------

HAMILTON = {"driverId": "hamilton", "givenName": "Lewis", "familyName": "Hamilton"}
MERCEDES = {"constructorId": "mercedes", "name": "Mercedes", "nationality": "German"}
SPA = {
    "circuitId": "spa",
    "circuitName": "Spa",
    "Location": {"lat": "50.4372", "long": "5.97139", "locality": "Spa", "country": "Belgium"},
}
RACE = {"season": "2030", "round": "3", "raceName": "Belgian Grand Prix", "Circuit": SPA, "date": "2030-05-05"}
STANDING = {"position": "1", "positionText": "1", "points": "26.5", "wins": "1"}


@pytest.fixture
def written(tmp_path: Path, sleeps: Sleeps) -> Iterator[Callable[[str, int, str, str, list[Any]], Jolpica]]:
    """A client of a server, in pages of one row, that has what is written to it."""
    with FrozenWeb(tmp_path, largest_page=1) as web, Jolpica(f"{web.url}/jolpica", sleep=sleeps) as client:

        def write(path: str, total: int, table: str, listed: str, items: list[Any]) -> Jolpica:
            file = tmp_path / "jolpica" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            head = {"limit": "30", "offset": "0", "total": str(total)}
            file.write_bytes(orjson.dumps({"MRData": {**head, table: {listed: items}}}))
            return client

        yield write


def test_standings_are_joined_from_their_pages(written: Callable[..., Jolpica]) -> None:
    unplaced = {"positionText": "-", "points": "0", "wins": "0", "Driver": {**HAMILTON, "driverId": "other"}}
    listed = [{**STANDING, "Driver": HAMILTON, "Constructors": [MERCEDES]}, {**unplaced, "Constructors": []}]
    part = {"season": "2030", "round": "3", "DriverStandings": listed}
    found = written("2030/3/driverstandings.json", 2, "StandingsTable", "StandingsLists", [part]).driver_standings(
        2030, 3
    )
    assert found is not None
    assert [(one.driver.driver_id, one.position, one.points) for one in found.drivers] == [
        ("hamilton", 1, "26.5"),
        ("other", None, "0"),
    ]


def test_standings_of_another_round_are_an_error(written: Callable[..., Jolpica]) -> None:
    part = {"season": "2030", "round": "2", "ConstructorStandings": [{**STANDING, "Constructor": MERCEDES}]}
    client = written("2030/3/constructorstandings.json", 1, "StandingsTable", "StandingsLists", [part])
    with pytest.raises(BadAnswer, match=r"2030/3/constructorstandings\.json: has 2030, round 2"):
        client.constructor_standings(2030, 3)


def test_the_last_standings_are_of_whatever_round_they_say(written: Callable[..., Jolpica]) -> None:
    part = {"season": "2030", "round": "2", "ConstructorStandings": [{**STANDING, "Constructor": MERCEDES}] * 3}
    client = written("2030/constructorstandings.json", 3, "StandingsTable", "StandingsLists", [part])
    found = client.constructor_standings(2030)
    assert found is not None
    assert (found.round, len(found.constructors)) == (2, 3)


def test_a_season_without_standings_has_none(written: Callable[..., Jolpica]) -> None:
    assert (
        written("2030/driverstandings.json", 0, "StandingsTable", "StandingsLists", []).driver_standings(2030) is None
    )


def test_a_round_that_was_not_held_yet_has_no_results(written: Callable[..., Jolpica]) -> None:
    assert written("2030/9/results.json", 0, "RaceTable", "Races", []).results(2030, 9) == []


def test_pit_stops_are_joined_from_their_pages(written: Callable[..., Jolpica]) -> None:
    stops = [
        {"driverId": "hamilton", "lap": "12", "stop": "1", "time": "15:06:26", "duration": "20.647"},
        {"driverId": "hamilton", "lap": "64", "stop": "2", "time": "16:33:22", "duration": "40:55.302"},
    ]
    (race,) = written("2030/3/pitstops.json", 2, "RaceTable", "Races", [{**RACE, "PitStops": stops}]).pit_stops(2030, 3)
    assert [(stop.lap, stop.stop, stop.duration) for stop in race.pit_stops] == [
        (12, 1, "20.647"),
        (64, 2, "40:55.302"),
    ]


def test_a_season_of_results_has_each_race_once(written: Callable[..., Jolpica]) -> None:
    result = {"position": "1", "positionText": "R", "points": "0.5", "Driver": HAMILTON, "Constructor": MERCEDES}
    races = [{**RACE, "round": str(n), "Results": [result, result]} for n in (1, 2)]
    found = written("2030/results.json", 4, "RaceTable", "Races", races).results(2030)
    assert [(race.round, len(race.results)) for race in found] == [(1, 2), (2, 2)]
    counted = rounds(found)[0].results[0]
    assert (counted.position, counted.position_text, counted.points, counted.grid) == (None, "R", 50, 0)


def test_seasons_constructors_and_circuits(written: Callable[..., Jolpica]) -> None:
    client = written("seasons.json", 2, "SeasonTable", "Seasons", [{"season": "1950"}, {"season": "1951"}])
    assert [one.season for one in client.seasons()] == [1950, 1951]
    written("2030/constructors.json", 1, "ConstructorTable", "Constructors", [MERCEDES])
    assert [one.constructor_id for one in client.constructors(2030)] == ["mercedes"]


def test_circuits_have_places(written: Callable[..., Jolpica]) -> None:
    (circuit,) = written("circuits.json", 1, "CircuitTable", "Circuits", [SPA]).circuits()
    assert (circuit.circuit_id, circuit.location.lat, circuit.location.country) == ("spa", 50.4372, "Belgium")


# -- pages -----------------------------------------------------------------------------------


@needs_web
@pytest.mark.parametrize("largest", [1, 7, 19, 20])
def test_pages_are_read_to_the_end_and_joined(web: FrozenWeb, client: Jolpica, largest: int) -> None:
    web.largest_page = largest
    (race,) = client.results(2018, 4)
    assert [str(result.position) for result in race.results] == [
        result["position"] for result in rows("2018/4/results.json")[0]["Results"]
    ]
    assert client.answers.requests == -(-20 // largest)


@needs_web
def test_a_lap_goes_on_on_the_next_page(tmp_path: Path, sleeps: Sleeps) -> None:
    def shorten(data: Any) -> None:
        data["total"] = "100"

    (tmp_path / "web" / "jolpica" / "2023" / "1").mkdir(parents=True)
    folder = served(tmp_path, "2023/1/laps.json_limit_1200", shorten)
    with FrozenWeb(folder, largest_page=33) as web, Jolpica(f"{web.url}/jolpica", sleep=sleeps) as client:
        (race,) = client.laps(2023, 1)
        assert client.answers.requests == 4
    assert [(lap.number, len(lap.timings)) for lap in race.laps] == [(n, 20) for n in range(1, 6)]
    frozen = rows("2023/1/laps.json_limit_1200")[0]["Laps"]
    assert [[one.driver_id for one in lap.timings] for lap in race.laps] == [
        [one["driverId"] for one in lap["Timings"]] for lap in frozen
    ]


@needs_web
def test_a_list_that_breaks_off_gives_nothing(client: Jolpica) -> None:
    """The first 30 rows of 440 are frozen."""
    with pytest.raises(NotThere, match=r"2022/results\.json\?limit=100&offset=0"):
        client.results(2022)


class Growing(FrozenWeb):
    """Its lists are a row longer each time somebody looks."""

    def _page(self, name: str, query: str) -> bytes | None:
        answer = orjson.loads(super()._page(name, query) or b"")
        answer["MRData"]["total"] = str(20 + len(self.asked))
        return orjson.dumps(answer)


@needs_web
def test_rows_that_are_missing_are_an_error(sleeps: Sleeps) -> None:
    """20 rows, of which the answer says that they are 21."""
    with Growing(WEB) as web, Jolpica(f"{web.url}/jolpica", sleep=sleeps) as client:
        web.refuse(502, fits=RESULTS)
        with pytest.raises(BadAnswer, match="asked for rows 0 on of 21, the answer says 100 rows from 0 on and has 20"):
            client.results(2018, 4)


@needs_web
def test_a_list_that_has_changed_since_its_first_page_was_kept_is_read_anew(
    web: FrozenWeb, asking: Callable[..., Jolpica], tmp_path: Path
) -> None:
    def before(data: Any) -> None:
        del data["RaceTable"]["Races"][0]["Results"][0]
        data["total"] = "19"

    web._folder, today = served(tmp_path, "2018/4/results.json", before), web._folder
    web.hide("*offset=10")
    with asking(cache=tmp_path / "cache", page=10) as client:
        with pytest.raises(NotThere):
            client.results(2018, 4)
        web.show()
        web._folder = today
        (race,) = client.results(2018, 4)
    assert [result.position for result in race.results] == list(range(1, 21))


@needs_web
def test_a_list_that_goes_on_changing_is_told(sleeps: Sleeps) -> None:
    with Growing(WEB, largest_page=10) as web, Jolpica(f"{web.url}/jolpica", sleep=sleeps) as client:
        with pytest.raises(BadAnswer, match=r"2018/4/results\.json: there were 22 rows, then 23, twice"):
            client.results(2018, 4)
        assert len(web.asked) == 4


# -- what goes wrong -------------------------------------------------------------------------


@needs_web
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_passes_is_asked_for_again(web: FrozenWeb, client: Jolpica, status: int) -> None:
    web.refuse(status, 2, fits=RESULTS)
    assert len(client.results(2018, 4)[0].results) == 20
    assert client.answers.requests == 3


@needs_web
def test_retry_after_is_waited(web: FrozenWeb, client: Jolpica, sleeps: Sleeps) -> None:
    web.refuse(429, fits=RESULTS, retry_after="77")
    client.results(2018, 4)
    assert sleeps.longest == 77


@needs_web
def test_a_long_retry_after_is_left_to_the_caller(web: FrozenWeb, client: Jolpica, sleeps: Sleeps) -> None:
    web.refuse(429, fits=RESULTS, retry_after="3600")
    with pytest.raises(Throttled, match=r"2018/4/results\.json.*429, and asks for 3600 s of patience") as raised:
        client.results(2018, 4)
    assert raised.value.after_s == 3600
    assert client.answers.requests == 1
    assert sleeps.slept == []


@needs_web
@pytest.mark.parametrize(
    ("kind", "says"),
    [("html", r"the server answers HTML: '<!DOCTYPE html>"), ("truncated", r"the server answers what is no JSON")],
)
def test_what_is_no_json_is_asked_for_again_and_then_told(
    web: FrozenWeb, client: Jolpica, kind: Any, says: str
) -> None:
    web.garble(kind, fits=RESULTS)
    assert len(client.results(2018, 4)[0].results) == 20
    web.garble(kind, None, fits=RESULTS)
    with pytest.raises(BadAnswer, match=rf"2018/4/results\.json.*{says}"):
        client.results(2018, 4)
    assert client.answers.requests == 2 + ATTEMPTS


@needs_web
def test_a_server_that_stays_down_is_told(web: FrozenWeb, client: Jolpica, sleeps: Sleeps) -> None:
    web.refuse(502, None)
    with pytest.raises(SourceError, match=r"2018/4/results\.json.*: the server answers 502"):
        client.results(2018, 4)
    assert client.answers.requests == ATTEMPTS
    assert [wait >= 2**n for n, wait in enumerate(wait for wait in sleeps.slept if wait >= 1)] == [True] * 5


@needs_web
def test_an_error_on_the_last_page_gives_nothing(web: FrozenWeb, client: Jolpica) -> None:
    web.largest_page = 7
    web.refuse(502, None, fits="*offset=14")
    with pytest.raises(SourceError, match="offset=14"):
        client.results(2018, 4)


@needs_web
def test_a_connection_that_breaks_is_made_again(web: FrozenWeb, client: Jolpica) -> None:
    web.drop(100, fits=RESULTS)
    assert len(client.results(2018, 4)[0].results) == 20


@needs_web
def test_an_answer_that_takes_too_long_is_asked_for_again(web: FrozenWeb, client: Jolpica) -> None:
    client.answers._client.timeout = 1.0
    web.delay(60, fits=RESULTS)
    web.stall(100, fits=RESULTS)
    assert len(client.results(2018, 4)[0].results) == 20
    assert client.answers.requests >= 3


@needs_web
def test_nobody_at_the_address_is_told(sleeps: Sleeps) -> None:
    with Jolpica("http://127.0.0.1:9", sleep=sleeps) as client, pytest.raises(SourceError, match=r"127\.0\.0\.1:9"):
        client.results(2018, 4)


@needs_web
@pytest.mark.parametrize(("year", "round_"), [(2018, 99), (1949, 1)])
def test_what_the_server_does_not_have_is_not_asked_for_twice(client: Jolpica, year: int, round_: int) -> None:
    with pytest.raises(NotThere, match=f"{year}/{round_}/results.json.*404"):
        client.results(year, round_)
    assert client.answers.requests == 1


@needs_web
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"points": "many"}, r"\$\.MRData\.RaceTable\.Races\[0\]\.Results\[2\]\.points"),
        ({"grid": "first"}, r"\$\.MRData\.RaceTable\.Races\[0\]\.Results\[2\]\.grid"),
        ({"Driver": {"code": "VET"}}, r"missing required field `driverId`.*Results\[2\]\.Driver"),
        ({"position": "0"}, r"Results\[2\]\.position"),
    ],
)
def test_a_record_that_is_wrong_is_named(tmp_path: Path, sleeps: Sleeps, change: dict[str, Any], says: str) -> None:
    folder = served(
        tmp_path, "2018/4/results.json", lambda data: data["RaceTable"]["Races"][0]["Results"][2].update(change)
    )
    with FrozenWeb(folder) as web, Jolpica(f"{web.url}/jolpica", sleep=sleeps) as client:
        with pytest.raises(BadAnswer, match=says):
            client.results(2018, 4)
        assert client.answers.requests == 1


@needs_web
def test_another_round_than_was_asked_for_is_an_error(tmp_path: Path, sleeps: Sleeps) -> None:
    folder = served(tmp_path, "2018/4/results.json", lambda data: data["RaceTable"]["Races"][0].update(round="5"))
    with FrozenWeb(folder) as web, Jolpica(f"{web.url}/jolpica", sleep=sleeps) as client:
        says = r"2018/4/results\.json: has 2018, round 5"
        with pytest.raises(BadAnswer, match=says):
            client.results(2018, 4)
        assert len(web.asked) == 1


# -- how often it asks -----------------------------------------------------------------------


@needs_web
def test_four_requests_a_second_at_most(web: FrozenWeb, client: Jolpica, sleeps: Sleeps) -> None:
    web.largest_page = 4
    client.results(2018, 4)
    assert len(sleeps.slept) == 4
    assert all(0 < wait <= 0.25 for wait in sleeps.slept)


@needs_web
def test_more_requests_an_hour_than_allowed_are_left_to_the_caller(
    web: FrozenWeb, client: Jolpica, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answers._made = type(client.answers._made)(maxlen=3)
    web.largest_page = 4
    with pytest.raises(Throttled, match="3 requests an hour are made") as raised:
        client.results(2018, 4)
    assert 3_500 < raised.value.after_s <= 3_600
    assert len(web.asked) == 3


@needs_web
def test_a_finished_season_is_kept_for_long_and_then_asked_for_by_its_tag(
    web: FrozenWeb, asking: Callable[..., Jolpica], tmp_path: Path
) -> None:
    clock = Clock()
    for days, statuses in ((0, [200]), (29, [200]), (31, [200, 304]), (59, [200, 304])):
        clock.now = NOW + days * DAY_S
        with asking(cache=tmp_path, now=clock) as client:
            assert len(client.results(2018, 4)[0].results) == 20
        assert [asked.status for asked in web.asked] == statuses


@needs_web
def test_this_years_season_is_kept_for_an_hour(web: FrozenWeb, asking: Callable[..., Jolpica], tmp_path: Path) -> None:
    clock = Clock()
    clock.now = 1_525_100_000.0  # the day after the race
    for seconds, count in ((0, 1), (3_500, 1), (3_700, 2)):
        clock.now = 1_525_100_000.0 + seconds
        with asking(cache=tmp_path, now=clock) as client:
            client.results(2018, 4)
        assert len(web.asked) == count


@needs_web
@pytest.mark.parametrize("kind", ["html", "truncated"])
def test_nothing_bad_is_kept(web: FrozenWeb, asking: Callable[..., Jolpica], tmp_path: Path, kind: Any) -> None:
    web.garble(kind, None)
    with asking(cache=tmp_path) as client, pytest.raises(BadAnswer):
        client.results(2018, 4)
    assert list(tmp_path.iterdir()) == []


@needs_web
def test_a_damaged_cache_is_asked_for_anew(web: FrozenWeb, asking: Callable[..., Jolpica], tmp_path: Path) -> None:
    with asking(cache=tmp_path) as client:
        client.results(2018, 4)
        (file,) = tmp_path.iterdir()
        file.write_bytes(file.read_bytes()[:100])
        assert len(client.results(2018, 4)[0].results) == 20
    assert [asked.status for asked in web.asked] == [200, 200]


# -- what is made of it ----------------------------------------------------------------------


@needs_web
def test_a_round_counts_as_the_points_of_its_results(client: Jolpica) -> None:
    (one,) = rounds(client.results(2018, 4))
    (after,) = standings([one])
    frozen = rows("2018/4/results.json")[0]["Results"]
    scored = {result["Driver"]["driverId"]: int(float(result["points"]) * 100) for result in frozen}
    assert {standing.id: standing.points for standing in after.drivers} == scored
    assert [result.position for result in one.results] == [
        int(result["positionText"]) if result["positionText"].isdecimal() else None for result in frozen
    ]
    assert next(result.driver for result in one.results if result.fastest_lap_rank == 1) == "bottas"


@needs_web
def test_a_round_has_its_sprint_and_qualifying(client: Jolpica) -> None:
    """The results of another round stand for those of the race, which are not frozen."""
    race = msgspec.structs.replace(client.results(2023, 5)[0], round=4)
    (one,) = rounds([race], client.sprints(2023, 4), client.qualifying(2023, 4))
    assert (one.sprint[0].driver, one.sprint[0].points) == ("perez", 800)
    assert one.qualifying["leclerc"] == 1


@needs_web
@pytest.mark.skipif(not SEASONS.is_dir(), reason=ABSENT)
@pytest.mark.parametrize(
    ("year", "round_"),
    sorted(
        (int(file.parts[-3]), int(file.parts[-2]))
        for file in (WEB / "jolpica").glob("*/*/results.json")
        if int(file.parts[-3]) <= 2023
    ),
)
def test_results_agree_with_the_tables_of_seasons(client: Jolpica, year: int, round_: int) -> None:
    """But for the words of a status, which Jolpica has chosen anew, and the rank 0 of who has no fastest lap."""
    (ours,) = rounds(client.results(year, round_))
    theirs = next(one for one in tables().rounds[year] if one.number == round_)

    def compared(result: Result) -> Result:
        return msgspec.structs.replace(result, status="", fastest_lap_rank=result.fastest_lap_rank or None)

    assert [compared(result) for result in ours.results] == [compared(result) for result in theirs.results]


@needs_web
@pytest.mark.skipif(not SEASONS.is_dir(), reason=ABSENT)
def test_a_sprint_weekend_agrees_with_the_tables_of_seasons(client: Jolpica) -> None:
    """But for Sargeant, who did not start the sprint: withdrawn (W) in the tables, retired (R) at Jolpica."""
    sprint = [jolpica.result_of(result) for result in client.sprints(2023, 4)[0].sprint_results]
    qualifying = {one.driver.driver_id: one.position for one in client.qualifying(2023, 4)[0].qualifying_results}
    theirs = tables().rounds[2023][3]
    assert qualifying == theirs.qualifying
    unlike = [(one, other) for one, other in zip(sprint, theirs.sprint, strict=True) if one.points != other.points]
    assert unlike == []
    texts = [
        (one.driver, one.position_text, other.position_text) for one, other in zip(sprint, theirs.sprint, strict=True)
    ]
    assert [text for text in texts if text[1] != text[2]] == [("sargeant", "R", "W")]


@needs_web
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_for_good_is_told_at_once(web: FrozenWeb, client: Jolpica, status: int) -> None:
    web.refuse(status, fits=RESULTS)
    with pytest.raises(SourceError, match=rf"2018/4/results\.json.*: the server answers {status}"):
        client.results(2018, 4)
    assert client.answers.requests == 1


def test_the_settings_name_the_server() -> None:
    with Jolpica.of(Settings(jolpica_url="http://127.0.0.1:9/f1")) as client:
        assert str(client.answers._client.base_url) == "http://127.0.0.1:9/f1/"
