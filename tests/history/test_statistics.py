"""What drivers and constructors count up: a round's contribution, corrections, sums over the tables of 1950-2023."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pitwall.history.standings import Result, Round, hundredths
from pitwall.history.statistics import (
    HeadToHead,
    Subject,
    Tallies,
    Tally,
    applied,
    change,
    contributions,
    laps_led,
)
from tests.conftest import uncounted
from tests.history.seasons import ABSENT, Row, Tables, every_round, tables

pytestmark = pytest.mark.whole

# -- what a round contributes ----------------------------------------------------------------


def result(
    driver: str, place: int | str, points: int = 0, constructor: str = "team", order: int = 0, **fields: int
) -> Result:
    """place: the classified one, or the text of who has none, listed at `order`. A race has fifty laps."""
    return Result(
        driver=driver,
        constructor=constructor,
        order=place if isinstance(place, int) else order,
        position=place if isinstance(place, int) else None,
        position_text=str(place),
        points=100 * points,
        **{"laps": 0 if place in ("W", "F") else 50, **fields},
    )


def race(*results: Result, number: int = 1) -> Round:
    return Round(year=2023, number=number, results=results)


def driver(id_: str, tallies: Tallies) -> Tally:
    """Of the season, which is that of all seasons too."""
    assert tallies[Subject("driver", id_, 2023)] == tallies[Subject("driver", id_, None)]
    return tallies[Subject("driver", id_, 2023)]


def test_a_win_from_pole_with_the_fastest_lap_and_a_sprint_win():
    one = race(result("perez", 1, 26, grid=1, fastest_lap_rank=1))
    one = replace(one, sprint=(result("perez", 1, 8),), laps_led={"perez": 40})
    assert driver("perez", contributions(one)) == Tally(
        entries=1,
        races=1,
        starts=1,
        finishes=1,
        places={1: 1},
        poles=1,
        fastest_laps=1,
        laps=50,
        laps_led=40,
        races_with_laps=1,
        points=3400,
        sprint_wins=1,
        constructors={"team": 1},
    )


def _started(**outcome: int) -> Tally:
    return Tally(entries=1, races=1, starts=1, laps=50, constructors={"team": 1}, **outcome)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("R", _started(retirements=1)),
        ("N", _started(retirements=1)),
        ("D", _started(disqualifications=1)),
        ("E", _started(disqualifications=1)),
        ("W", Tally(entries=1)),
        ("F", Tally(entries=1)),
    ],
)
def test_every_start_is_a_finish_a_retirement_or_a_disqualification(text: str, outcome: Tally):
    assert driver("moss", contributions(race(result("moss", text)))) == outcome


def test_who_was_on_pole_and_did_not_start_was_on_pole():
    assert driver("leclerc", contributions(race(result("leclerc", "W", grid=1)))) == Tally(entries=1, poles=1)


def test_a_shared_car_is_two_drivers_and_one_car():
    tallies = contributions(race(result("fagioli", 1, 4, grid=1), result("fangio", 1, 5, grid=1)))
    assert (driver("fagioli", tallies).wins, driver("fangio", tallies).wins) == (1, 1)
    assert (driver("fagioli", tallies).poles, driver("fangio", tallies).poles) == (1, 0)
    team = tallies[Subject("constructor", "team", 2023)]
    assert (team.races, team.starts, team.wins, team.poles, team.laps, team.points) == (1, 1, 1, 1, 50, 900)
    assert driver("fangio", tallies).team_mates == {}


def test_two_cars_of_one_driver_are_one_start_with_both_places():
    tally = driver("farina", contributions(race(result("farina", 2, 2), result("farina", 3, 1))))
    assert (tally.races, tally.finishes, tally.podiums, tally.points) == (1, 1, 2, 300)


def test_team_mates_are_compared_where_both_were_classified_or_qualified():
    first = replace(race(result("albon", 8), result("sargeant", 12)), qualifying={"albon": 9, "sargeant": 14})
    second = race(result("albon", "R", order=19), result("sargeant", 15), number=2)
    total = applied(contributions(first), contributions(second))
    assert driver("albon", total).team_mates == {"sargeant": HeadToHead(races_ahead=1, qualifying_ahead=1)}
    assert driver("sargeant", total).team_mates == {"albon": HeadToHead(races_behind=1, qualifying_behind=1)}


def test_drivers_of_other_constructors_are_no_team_mates():
    tallies = contributions(race(result("albon", 8), result("ocon", 12, constructor="alpine")))
    assert driver("albon", tallies).team_mates == {}


def test_laps_led_are_counted_from_the_leaders():
    assert laps_led(["norris", "norris", "piastri"]) == {"norris": 2, "piastri": 1}


# -- corrections -----------------------------------------------------------------------------


def test_a_disqualified_winner_hands_on_the_win_and_others_are_left_alone():
    before = race(result("russell", 1, 25), result("hamilton", 2, 18), result("ocon", 9, 2, "alpine"))
    after = race(result("hamilton", 1, 25), result("russell", "D", order=20), result("ocon", 9, 2, "alpine"))
    changed = change(before, after)
    assert {subject.id for subject in changed} == {"russell", "hamilton", "team"}
    assert driver("hamilton", changed) == Tally(
        places={1: 1, 2: -1}, points=700, team_mates={"russell": HeadToHead(races_behind=-1)}
    )
    assert applied(contributions(before), changed) == contributions(after)


def test_a_round_as_it_was_changes_nothing():
    one = race(result("norris", 1, 25), result("piastri", 2, 18))
    assert change(one, one) == {}
    assert change(None, None) == {}


names = st.sampled_from(["norris", "piastri", "verstappen", "perez"])
teams = st.sampled_from(["mclaren", "red_bull"])
few = st.integers(0, 3)
laps = st.none() | st.dictionaries(names, st.integers(1, 50), max_size=2)


@st.composite
def results(draw: st.DrawFn) -> Result:
    place = draw(st.none() | st.integers(1, 4))
    return Result(
        driver=draw(names),
        constructor=draw(teams),
        order=draw(st.integers(1, 6)) if place is None else place,
        position=place,
        position_text=str(place) if place is not None else draw(st.sampled_from("RNDEWF")),
        points=draw(st.sampled_from([0, 33, 50, 133, 314, 2500])),
        grid=draw(few),
        laps=draw(few),
        fastest_lap_rank=draw(st.none() | few),
    )


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    return Round(
        year=draw(st.integers(2022, 2023)),
        number=draw(st.integers(1, 2)),
        results=tuple(draw(st.lists(results(), max_size=5))),
        sprint=tuple(draw(st.lists(results(), max_size=2))),
        qualifying=draw(st.dictionaries(names, st.integers(1, 20))),
        laps_led=draw(laps),
    )


def from_scratch(held: Iterable[Round]) -> Tallies:
    empty: Tallies = {}
    return reduce(applied, map(contributions, held), empty)


@given(st.lists(st.tuples(rounds(), st.booleans()), max_size=8))
def test_any_corrections_come_to_what_the_last_results_add_up_to(corrections: list[tuple[Round, bool]]):
    held: dict[tuple[int, int], Round] = {}
    kept: Tallies = {}
    for one, withdrawn in corrections:
        key = (one.year, one.number)
        before, after = held.pop(key, None), None if withdrawn else one
        kept = applied(kept, change(before, after))
        if after is not None:
            held[key] = after
    assert kept == from_scratch(held.values())


@given(rounds(), rounds(), rounds())
def test_adding_up_is_in_any_order(one: Round, other: Round, third: Round):
    a, b, c = map(contributions, (one, other, third))
    assert applied(applied(a, b), c) == applied(a, applied(b, c))
    assert applied(a, b) == applied(b, a)


# -- sums over the tables --------------------------------------------------------------------


@pytest.fixture(scope="module")
def ergast() -> Tables:
    found = tables()
    if found is None:
        pytest.skip(ABSENT)
    return found


@pytest.fixture(scope="module")
def totals(ergast: Tables) -> Tallies:
    total: dict[Subject, Tally] = defaultdict(Tally)
    with uncounted():
        for one in every_round(ergast.rounds.values()):
            for subject, tally in contributions(one).items():
                total[subject] += tally
    return total


def test_sums_are_those_of_the_tables(ergast: Tables, totals: Tallies):
    """Counted anew from the rows, without a round or a result."""
    sums: dict[tuple[str, int | None], Counter[str]] = defaultdict(Counter)
    started: set[tuple[str, str]] = set()
    finished: set[tuple[str, str]] = set()

    def count(row: Row, **counts: int) -> None:
        for year in (ergast.races[row["raceId"]][0], None):
            sums[ergast.drivers[row["driverId"]], year].update(counts)

    for row in ergast.rows("results"):
        race_and_driver = (row["raceId"], row["driverId"])
        place = int(row["position"]) if row["position"].isdigit() else 0
        if (row["positionText"] not in "FWE" or int(row["laps"])) and race_and_driver not in started:
            started.add(race_and_driver)
            count(row, races=1)
        if place and race_and_driver not in finished:
            finished.add(race_and_driver)
            count(row, finishes=1)
        count(row, wins=place == 1, podiums=0 < place < 4, fastest_laps=row["rank"] == "1", laps=int(row["laps"]))
        count(row, points=hundredths(row["points"]))
    for row in ergast.rows("sprint_results"):
        count(row, points=hundredths(row["points"]), sprint_wins=row["position"] == "1")

    drivers = {(subject.id, subject.year): tally for subject, tally in totals.items() if subject.kind == "driver"}
    assert drivers.keys() == sums.keys()
    for key, tally in drivers.items():
        assert {name: getattr(tally, name) for name in sums[key]} == dict(sums[key]), key
        assert tally.starts == tally.races == tally.finishes + tally.retirements + tally.disqualifications


@pytest.mark.parametrize(
    ("id_", "year", "known"),
    [
        ("hamilton", None, {"races": 332, "wins": 103, "podiums": 197, "poles": 104, "points": 463950}),
        ("max_verstappen", None, {"races": 185, "wins": 54, "podiums": 98, "poles": 32, "fastest_laps": 30}),
        ("max_verstappen", 2023, {"wins": 19, "podiums": 21, "poles": 12, "points": 57500, "sprint_wins": 4}),
        ("michael_schumacher", None, {"wins": 91, "podiums": 155, "poles": 68, "points": 156600}),
        ("senna", None, {"races": 161, "wins": 41, "podiums": 80, "poles": 65, "points": 61400}),
        ("clark", None, {"races": 72, "wins": 25, "podiums": 32, "poles": 33, "points": 27400}),
        ("fangio", None, {"races": 51, "wins": 24, "podiums": 35, "poles": 29}),
        ("moss", None, {"races": 66, "wins": 16, "podiums": 24, "poles": 16}),
        ("farina", None, {"races": 33, "wins": 5, "podiums": 20, "poles": 5}),
        ("barrichello", None, {"races": 322, "wins": 11, "podiums": 68, "poles": 14}),
    ],
)
def test_the_record_books_say_the_same(totals: Tallies, id_: str, year: int | None, known: dict[str, int]):
    tally = totals[Subject("driver", id_, year)]
    assert {name: getattr(tally, name) for name in known} == known


def test_every_race_has_one_pole_and_its_wins(ergast: Tables, totals: Tallies):
    for kind in ("driver", "constructor"):
        careers = [tally for subject, tally in totals.items() if subject.kind == kind and subject.year is None]
        assert sum(tally.poles for tally in careers) == len(ergast.races)
        # three wins were shared by two drivers
        assert sum(tally.wins for tally in careers) == len(ergast.races) + (3 if kind == "driver" else 0)


def test_head_to_heads_of_a_season(totals: Tallies):
    alonso = totals[Subject("driver", "alonso", 2023)].team_mates["stroll"]
    assert alonso == HeadToHead(races_ahead=14, races_behind=2, qualifying_ahead=19, qualifying_behind=3)
    assert totals[Subject("driver", "stroll", 2023)].team_mates["alonso"] == HeadToHead(
        races_ahead=2, races_behind=14, qualifying_ahead=3, qualifying_behind=19
    )


def test_laps_led_of_a_season(ergast: Tables):
    leaders = ergast.leaders(2023)
    total = from_scratch(replace(one, laps_led=laps_led(leaders[one.number])) for one in ergast.rounds[2023])
    led = Counter({id_: tally.laps_led for (kind, id_, year), tally in total.items() if kind == "driver" and year})
    assert led.total() == sum(map(len, leaders.values()))
    assert led.most_common(2) == [("max_verstappen", 978), ("perez", 169)]
    assert total[Subject("constructor", "red_bull", 2023)].laps_led == 978 + 169
    assert driver("sargeant", total).races_with_laps == driver("sargeant", total).races == 22


def test_who_did_not_start_led_no_lap() -> None:
    one = replace(race(result("norris", "W", 0, "mclaren", 1)), laps_led={"norris": 1})
    assert {tally.laps_led for tally in contributions(one).values()} == {0}
