"""Documents from results: standings, statistics, what a round brought, and the results of a session."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pitwall.documents.base import Document
from pitwall.documents.encoding import document_size, from_fields, rfc3339, to_fields
from pitwall.documents.history import (
    ContributionDocument,
    DriverProfileDocument,
    DriverSeasonDocument,
    ResultDocument,
    SeasonDocument,
    StandingsDocument,
)
from pitwall.documents.schema import validate
from pitwall.history.season_documents import (
    Constructor,
    Documents,
    Driver,
    Finish,
    Known,
    Qualified,
    Race,
    contributed,
    contribution,
    documents,
    qualifying_results,
    race_results,
    result_ids,
    round_of,
)
from pitwall.history.standings import Round, hundredths, standings
from pitwall.history.statistics import contributions
from tests.conftest import uncounted
from tests.history.seasons import ABSENT, Tables, every_round, tables
from tests.history.test_statistics import race, result, rounds

AT = datetime(2023, 4, 30, 13, tzinfo=UTC)
MOST_BYTES = 200 * 1024


def exported(document: Document) -> dict[str, Any]:
    """As `--export` writes it."""
    fields = {**to_fields(document), "v": 1, "writtenAt": AT}
    wire = orjson.dumps(fields, option=orjson.OPT_PASSTHROUGH_DATETIME, default=rfc3339)
    decoded: dict[str, Any] = orjson.loads(wire)
    return decoded


def fields(made: Documents, path: str) -> dict[str, Any]:
    return to_fields(made[path])


# -- a season --------------------------------------------------------------------------------

BAKU = replace(
    race(
        result("perez", 1, 25, "red_bull", grid=3), result("leclerc", 3, 15, "ferrari", grid=1, fastest_lap_rank=1),
        result("max_verstappen", 2, 18, "red_bull", grid=2), result("de_vries", "R", 0, "alphatauri", 20, laps=9),
        number=4,
    ),
    sprint=(result("perez", 1, 8, "red_bull"), result("leclerc", 2, 7, "ferrari")),
)  # fmt: skip
MIAMI = race(result("max_verstappen", 1, 26, "red_bull", grid=9), result("perez", 2, 18, "red_bull"), number=5)


def test_a_season_has_its_races_and_who_leads():
    known = Known(races={(2023, 4): Race(name="Azerbaijan Grand Prix", date="2023-04-30", circuit="baku")})
    season = fields(documents([MIAMI, BAKU], AT, known), "seasons/2023")
    assert season == {
        "at": AT,
        "year": 2023,
        "races": [
            {
                "round": 4, "name": "Azerbaijan Grand Prix", "date": "2023-04-30", "circuit": "baku", "sprint": True,
                "winners": ["perez"],
            },
            {"round": 5, "sprint": False, "winners": ["max_verstappen"]},
        ],
        "leadingDrivers": ["perez"],
        "leadingConstructors": ["red_bull"],
    }  # fmt: skip


def test_standings_are_those_after_each_round():
    known = Known(
        drivers={"perez": Driver(given_name="Sergio", family_name="Pérez", code="PER"), "hill": Driver(code="HIL")},
        constructors={"red_bull": Constructor(name="Red Bull"), "lotus": Constructor(name="Lotus")},
    )
    made = documents([BAKU, MIAMI], AT, known)
    drivers, constructors = (fields(made, f"seasons/2023/standings/{who}") for who in ("drivers", "constructors"))
    assert [one["round"] for one in drivers["rounds"]] == [4, 5]
    assert drivers["rounds"][1]["lines"][:2] == [
        {"id": "perez", "position": 1, "points": 51.0, "wins": 1, "constructors": ["red_bull"]},
        {"id": "max_verstappen", "position": 2, "points": 44.0, "wins": 1, "constructors": ["red_bull"]},
    ]
    assert constructors["rounds"][0]["lines"][0] == {"id": "red_bull", "position": 1, "points": 51.0, "wins": 1}
    assert drivers["names"] == {"perez": {"name": "Sergio Pérez", "code": "PER"}}
    assert constructors["names"] == {"red_bull": {"name": "Red Bull"}}


def test_there_is_no_table_of_constructors_before_1958():
    made = documents([Round(year=1957, number=1, results=(result("fangio", 1, 8, "maserati"),))], AT)
    assert "seasons/1957/standings/constructors" not in made
    assert "standing" not in fields(made, "constructors/maserati/seasons/1957")
    assert fields(made, "seasons/1957")["leadingConstructors"] == []


def test_who_was_excluded_from_a_championship_says_so():
    season = [
        Round(year=1997, number=number, results=(result("michael_schumacher", 1, 10), result("villeneuve", 2, 6)))
        for number in range(1, 18)
    ]
    made = documents(season, AT)
    last = fields(made, "seasons/1997/standings/drivers")["rounds"][-1]["lines"]
    assert [(line["id"], line["points"], line.get("excluded")) for line in last] == [
        ("villeneuve", 102.0, None),
        ("michael_schumacher", 170.0, "D"),
    ]
    assert fields(made, "drivers/michael_schumacher/seasons/1997")["standing"]["excluded"] == "D"


def test_a_sprint_counts_before_its_race_is_held():
    made = documents([replace(BAKU, results=())], AT)
    assert fields(made, "seasons/2023")["races"] == [{"round": 4, "sprint": True, "winners": []}]
    assert fields(made, "drivers/perez")["statistics"]["sprintWins"] == 1
    assert "standing" not in fields(made, "drivers/perez/seasons/2023")
    assert "seasons/2023/standings/drivers" not in made


def test_a_driver_is_who_is_told_and_has_what_was_counted_over_all_seasons():
    earlier = Round(year=2022, number=1, results=(result("perez", 18, 0, "red_bull"),))
    known = Known(drivers={"perez": Driver(given_name="Sergio", racing_number="11", born="1990-01-26")})
    perez = fields(documents([earlier, BAKU, MIAMI], AT, known), "drivers/perez")
    assert (perez["givenName"], perez["racingNumber"], perez["born"]) == ("Sergio", "11", "1990-01-26")
    assert perez["seasons"] == [2022, 2023]
    counted = perez["statistics"]
    assert (counted["entries"], counted["wins"], counted["podiums"], counted["points"]) == (3, 1, 2, 51.0)
    assert counted["places"] == {"1": 1, "2": 1, "18": 1}
    assert counted["teamMates"]["max_verstappen"]["racesBehind"] == 1
    assert "lapsLed" not in counted  # of no race is known who led


def test_a_driver_has_his_place_after_the_last_round_in_each_season():
    made = documents([BAKU, MIAMI], AT)
    assert fields(made, "drivers/leclerc/seasons/2023")["standing"] == {"round": 5, "position": 3, "points": 22.0}
    assert fields(made, "constructors/ferrari/seasons/2023")["standing"] == {"round": 5, "position": 2, "points": 22.0}


@settings(deadline=None)
@given(rounds())
def test_a_round_comes_back_from_what_is_remembered_of_it(one: Round):
    path = f"contributions/{one.year}-{one.number}"
    tallies = contributions(one)
    document = contribution(one, tallies, AT)
    stored = from_fields(path, exported(document))
    assert isinstance(stored, ContributionDocument)
    assert round_of(stored) == one
    assert contributed(stored) == tallies


@pytest.mark.whole
@settings(deadline=None)
@given(st.lists(rounds(), max_size=4, unique_by=lambda one: (one.year, one.number)))
def test_every_document_fits_the_schema_of_its_path(several: list[Round]):
    for path, document in documents(several, AT).items():
        validate(path, exported(document))


# -- results of a session --------------------------------------------------------------------


def finish(driver: str, place: int | str, time_ms: int | None = None, laps: int = 51, number: str = "1") -> Finish:
    return Finish(result=replace(result(driver, place, order=20, laps=laps), number=number), time_ms=time_ms)


def test_a_result_is_what_the_source_says():
    first = replace(
        finish("perez", 1, 5_562_436, number="11"),
        code="PER", fastest_lap=51, fastest_lap_ms=104_589, average_speed_kph=206.625,
    )  # fmt: skip
    made = race_results("9070", [replace(first, result=replace(first.result, points=2500, grid=3))], AT)
    assert fields(made, "sessions/9070/results/11") == {
        "at": AT, "racingNumber": "11", "driver": "perez", "constructor": "team", "code": "PER", "order": 1,
        "position": 1, "positionText": "1", "points": 25.0, "grid": 3, "laps": 51, "timeMs": 5_562_436,
        "fastestLap": {"lap": 51, "lapTimeMs": 104_589, "averageSpeedKph": 206.625},
    }  # fmt: skip


def test_who_is_behind_is_so_by_time_or_by_laps():
    finishes = [
        finish("perez", 1, 5_562_436, number="11"),
        finish("max_verstappen", 2, 5_564_573, number="1"),
        finish("hulkenberg", 17, 5_600_000, laps=50, number="27"),
        finish("unknown", 18, number="28"),
        finish("de_vries", "R", laps=9, number="21"),
    ]
    made = race_results("9070", finishes, AT)

    def behind(number: str) -> tuple[int | None, int | None]:
        one = fields(made, f"sessions/9070/results/{number}")
        return one.get("gapMs"), one.get("lapsDown")

    assert list(map(behind, ("11", "1", "27", "28", "21"))) == [
        (None, None), (2_137, None), (None, 1), (None, None), (None, None),
    ]  # fmt: skip


def test_who_is_not_classified_has_no_place():
    made = race_results("9070", [finish("de_vries", "R", laps=9, number="21")], AT)
    one = made["sessions/9070/results/21"]
    assert isinstance(one, ResultDocument)
    assert (to_fields(one).get("position"), one.position_text, one.order) == (None, "R", 20)


def test_qualifying_has_the_best_lap_of_each_part_and_no_points():
    qualified = Qualified(
        driver="leclerc", constructor="ferrari", position=1, number="16", code="LEC", parts_ms=(101_269, None, 100_203)
    )
    assert fields(qualifying_results("9069", [qualified], AT), "sessions/9069/results/16") == {
        "at": AT, "racingNumber": "16", "driver": "leclerc", "constructor": "ferrari", "code": "LEC", "order": 1,
        "position": 1, "positionText": "1", "q1Ms": 101_269, "q3Ms": 100_203,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("cars", "ids"),
    [
        ([("44", "hamilton"), ("1", "max_verstappen")], ["44", "1"]),
        ([("6", "fangio"), ("6", "fagioli"), ("2", "farina")], ["6-fangio", "6-fagioli", "2"]),
        ([("2", "farina"), ("4", "farina")], ["2", "4"]),
        ([("", "ayulo"), ("", "mcgrath")], ["ayulo", "mcgrath"]),
        ([("", "ayulo"), ("", "ayulo")], ["ayulo", "ayulo-2"]),
    ],
)
def test_every_result_has_an_id_of_its_own(cars: list[tuple[str, str]], ids: list[str]):
    assert result_ids(cars) == ids


def test_results_of_a_session_fit_the_schema():
    made = race_results("9070", [finish("perez", 1, 1, number="11"), finish("x", "W", laps=0, number="")], AT)
    made |= qualifying_results("9070", [Qualified(driver="y", constructor="team", position=2)], AT)
    assert set(made) == {f"sessions/9070/results/{id_}" for id_ in ("11", "x", "y")}
    for path, document in made.items():
        validate(path, exported(document))


# -- the tables of 1950-2023 -----------------------------------------------------------------


@pytest.fixture(scope="module")
def ergast() -> Tables:
    found = tables()
    if found is None:
        pytest.skip(ABSENT)
    return found


@pytest.fixture(scope="module")
def history(ergast: Tables) -> Documents:
    with uncounted():
        return documents(every_round(ergast.rounds.values()), AT)


def test_a_whole_season_fits_the_schema(ergast: Tables):
    made = documents(ergast.rounds[2023], AT)
    for path, document in made.items():
        validate(path, exported(document))
    assert sum(isinstance(document, ContributionDocument) for document in made.values()) == 22
    assert sum(isinstance(document, DriverSeasonDocument) for document in made.values()) == 22


def test_a_seasons_standings_are_ergasts_after_every_round(ergast: Tables):
    made = documents(ergast.rounds[2023], AT)
    for championship, told in (("drivers", ergast.driver_standings), ("constructors", ergast.constructor_standings)):
        table = made[f"seasons/2023/standings/{championship}"]
        assert isinstance(table, StandingsDocument)
        for one in table.rounds:
            lines = {line.id: (line.position, hundredths(str(line.points)), line.wins) for line in one.lines}
            expected = told[2023, one.round]
            points_and_wins = {id_: (listed.points, listed.wins) for id_, listed in expected.items()}
            assert {id_: line[1:] for id_, line in lines.items()} == points_and_wins
            scored = {id_ for id_, listed in expected.items() if listed.points}
            assert {id_: lines[id_][0] for id_ in scored} == {id_: expected[id_].position for id_ in scored}


@pytest.mark.whole
def test_every_season_has_its_champions(history: Documents):
    champions: dict[str, list[int]] = {}
    for document in history.values():
        if isinstance(document, SeasonDocument):
            for driver in document.leading_drivers:
                champions.setdefault(driver, []).append(document.year)
    assert champions["fangio"] == [1951, 1954, 1955, 1956, 1957]
    assert champions["michael_schumacher"] == [1994, 1995, 2000, 2001, 2002, 2003, 2004]
    assert champions["hamilton"] == [2008, 2014, 2015, 2017, 2018, 2019, 2020]
    assert sum(map(len, champions.values())) == 74


@pytest.mark.parametrize(
    ("driver", "first", "last", "counted"),
    [
        ("hamilton", 2007, 2023, {"races": 332, "wins": 103, "poles": 104, "podiums": 197, "points": 4639.5}),
        ("fangio", 1950, 1958, {"races": 51, "wins": 24, "poles": 29, "podiums": 35}),
        ("michael_schumacher", 1991, 2012, {"wins": 91, "podiums": 155, "bestPlace": 1}),
        ("amon", 1963, 1976, {"wins": 0, "podiums": 11, "bestPlace": 2}),
    ],
)
def test_careers_are_those_of_the_record_books(
    history: Documents, driver: str, first: int, last: int, counted: dict[str, float]
):
    one = history[f"drivers/{driver}"]
    assert isinstance(one, DriverProfileDocument)
    assert (one.seasons[0], one.seasons[-1]) == (first, last)
    statistics = fields(history, f"drivers/{driver}")["statistics"]
    assert {name: statistics[name] for name in counted} == counted


@pytest.mark.whole
def test_the_largest_documents_are_far_from_firestores_limit(history: Documents):
    largest: dict[str, int] = {}
    for path, document in history.items():
        name = type(document).__name__
        largest[name] = max(largest.get(name, 0), document_size(path, to_fields(document)))
    assert largest["StandingsDocument"] > 50_000  # it has every round
    assert max(largest.values()) < MOST_BYTES


@pytest.mark.whole
def test_standings_are_told_of_every_season(ergast: Tables, history: Documents):
    for year, season in ergast.rounds.items():
        table = history[f"seasons/{year}/standings/drivers"]
        assert isinstance(table, StandingsDocument)
        after = standings(season)
        assert [(line.id, line.position) for line in table.rounds[-1].lines] == [
            (one.id, one.position) for one in after[-1].drivers
        ]
