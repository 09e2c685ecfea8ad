"""Standings from results: the rules on a few lines, and every round of 1950-2023 against Ergast's own tables.

What differs from Ergast is told here to the last line, and why in docs/standings.md: a difference that goes away fails
as one that comes does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pytest

from pitwall.history.scoring import Championship
from pitwall.history.standings import Result, Round, Standing, Standings, hundredths, standings
from tests.history.seasons import ABSENT, Listed, Table, Tables, tables

# -- the rules, on a few lines ---------------------------------------------------------------


def result(driver: str, place: int | str, points: float = 0, constructor: str = "", order: int = 0) -> Result:
    """place: the classified one, or the text of who has none, listed at `order`."""
    return Result(
        driver=driver,
        constructor=constructor or f"team of {driver}",
        order=place if isinstance(place, int) else order,
        position=place if isinstance(place, int) else None,
        position_text=str(place),
        points=round(points * 100),
    )


def season(year: int, *races: Sequence[Result], first: int = 1) -> list[Round]:
    return [Round(year=year, number=number, results=tuple(race)) for number, race in enumerate(races, first)]


def drivers(rounds: Sequence[Round]) -> list[tuple[str, str, float]]:
    """The last table as id, text and points."""
    return [(one.id, one.position_text, one.points / 100) for one in standings(rounds)[-1].drivers]


def constructors(rounds: Sequence[Round]) -> list[tuple[str, str, float]]:
    return [(one.id, one.position_text, one.points / 100) for one in standings(rounds)[-1].constructors]


def test_points_are_read_to_the_hundredth():
    assert [hundredths(points) for points in ("25", "12.5", "3.33", "0", "100")] == [2500, 1250, 333, 0, 10000]


@pytest.mark.parametrize("points", ["", "many", "0.125", "NaN", "Infinity"])
def test_points_that_are_none_are_refused(points: str):
    with pytest.raises(ValueError, match="point"):
        hundredths(points)


def test_only_the_best_results_of_a_season_count():
    rounds = season(1957, *[[result("moss", 1, points)] for points in (8, 6, 9, 3, 8, 4, 2)])
    assert [table.drivers[0].points // 100 for table in standings(rounds)] == [8, 14, 23, 26, 34, 35, 35]


def test_each_half_of_a_season_has_results_that_count():
    rounds = season(1979, *[[result("scheckter", 1, 9)] for _ in range(15)])
    assert [table.drivers[0].points // 900 for table in standings(rounds)] == [
        1,
        2,
        3,
        4,
        4,
        4,
        4,
        5,
        6,
        7,
        8,
        8,
        8,
        8,
        8,
    ]


def test_two_cars_of_one_driver_are_two_results():
    race = [result("fangio", 2, 4), result("fangio", 4, 1.5)]
    rounds = season(1956, race, *[[result("fangio", 1, 8)] for _ in range(4)])
    assert drivers(rounds) == [("fangio", "1", 36)]


def test_a_constructor_scored_with_its_best_car_until_1978():
    race = [result("andretti", 1, 9, "lotus"), result("peterson", 2, 6, "lotus"), result("lauda", 3, 4, "brabham")]
    assert constructors(season(1978, race)) == [("lotus", "1", 9), ("brabham", "2", 4)]
    assert constructors(season(1980, race)) == [("lotus", "1", 15), ("brabham", "2", 4)]


def test_constructors_had_neither_the_ninth_point_nor_that_of_the_fastest_lap():
    assert constructors(season(1961, [result("hill", 1, 9, "ferrari")])) == [("ferrari", "1", 8)]
    assert constructors(season(1959, [result("moss", 6, 1, "brm"), result("brooks", 3, 5, "ferrari")])) == [
        ("ferrari", "1", 4),
        ("brm", "2", 0),
    ]


def test_a_car_that_was_not_eligible_brings_its_constructor_nothing():
    race = [result("moss", 4, 3, "cooper"), result("brabham", 5, 0, "lotus")]
    assert constructors(season(1958, race)) == [("cooper", "1", 3), ("lotus", "2", 0)]


def test_indianapolis_was_not_for_constructors():
    rounds = season(1960, [result("moss", 1, 8, "lotus")], [], [result("rathmann", 1, 8, "watson")])
    assert drivers(rounds)[1][0] == "rathmann"
    assert constructors(rounds) == [("lotus", "1", 8)]


def test_there_were_no_constructors_before_1958():
    assert constructors(season(1957, [result("fangio", 1, 8)])) == []


def test_a_sprint_gives_points_but_no_win():
    race = Round(year=2023, number=4, results=(result("perez", 1, 25),), sprint=(result("leclerc", 1, 8),))
    assert [(one.id, one.points, one.wins) for one in standings([race])[0].drivers] == [
        ("perez", 2500, 1),
        ("leclerc", 800, 0),
    ]


def test_equal_points_go_to_the_better_places():
    rounds = season(
        2008,
        [result("hamilton", 1, 10), result("massa", 2, 8), result("glock", 9), result("sutil", 8)],
        [result("massa", 2, 8), result("hamilton", 4, 6), result("glock", 8), result("sutil", 11)],
    )
    assert drivers(rounds) == [("hamilton", "1", 16), ("massa", "2", 16), ("glock", "3", 0), ("sutil", "4", 0)]


def test_who_has_one_place_more_is_ahead():
    rounds = season(2023, [result("zhou", 12), result("sargeant", "R", order=19)], [result("sargeant", 12)], [])
    more = season(2023, [result("zhou", 12)], [result("sargeant", 12)], [result("zhou", 17)])
    assert [one[0] for one in drivers(rounds)] == ["sargeant", "zhou"]
    assert [one[0] for one in drivers(more)] == ["zhou", "sargeant"]


def test_who_is_equal_in_everything_shares_the_place():
    rounds = season(
        2017,
        [result("vettel", 1, 25), result("hamilton", 2, 18)],
        [result("hamilton", 1, 25), result("vettel", 2, 18), result("bottas", 6, 8)],
    )
    assert drivers(rounds) == [("hamilton", "1", 43), ("vettel", "1", 43), ("bottas", "3", 8)]


def test_who_was_not_classified_comes_after_who_was_in_the_order_listed():
    race = [result("ocon", "R", order=18), result("leclerc", "R", order=19), result("albon", 17), result("button", "D")]
    assert [one[:2] for one in drivers(season(2023, race))] == [
        ("albon", "1"),
        ("ocon", "2"),
        ("leclerc", "3"),
        ("button", "4"),
    ]


def test_a_disqualified_driver_keeps_the_points_the_source_gives():
    assert drivers(season(1959, [result("moss", "D", 1)])) == [("moss", "1", 1)]


def test_who_was_excluded_comes_last_with_the_points():
    race = [result("villeneuve", 1, 81), result("michael_schumacher", 2, 78), result("marques", 9)]
    assert drivers(season(1997, race, first=16))[1] == ("michael_schumacher", "2", 78)
    assert drivers(season(1997, race, first=17)) == [
        ("villeneuve", "1", 81),
        ("marques", "2", 0),
        ("michael_schumacher", "D", 78),
    ]


def test_deducted_points_are_missing_from_the_round_on():
    race = [result("stroll", 1, 25, "racing_point")]
    assert [table.constructors[0].points for table in standings(season(2020, race, race, first=4))] == [2500, 3500]


def test_a_new_entry_has_nothing_of_the_old():
    race = [result("ocon", 1, 25, "force_india")]
    tables = standings(season(2018, race, race, first=12))
    assert [(table.constructors[0].points, table.constructors[0].wins) for table in tables] == [(2500, 1), (2500, 1)]
    assert tables[1].drivers[0].points == 5000


def test_a_driver_has_the_constructors_he_drove_for_in_order():
    rounds = season(2019, [result("gasly", 11, constructor="red_bull")], [result("gasly", 9, 2, "toro_rosso")])
    assert standings(rounds)[1].drivers[0].constructors == ("red_bull", "toro_rosso")


def test_a_season_in_no_table_counts_everything():
    race = [result("norris", 1, 25, "mclaren"), result("piastri", 2, 18, "mclaren")]
    rounds = season(2031, *[race for _ in range(30)])
    assert drivers(rounds) == [("norris", "1", 750), ("piastri", "2", 540)]
    assert constructors(rounds) == [("mclaren", "1", 1290)]


def test_a_round_that_was_not_held_yet_has_no_standings():
    assert [table.round for table in standings(season(2024, [result("norris", 1, 25)], []))] == [1]
    assert standings([]) == []


def test_rounds_that_make_no_season_are_refused():
    one = season(2023, [result("norris", 1, 25)])
    with pytest.raises(ValueError, match="seasons"):
        standings(one + season(2022, [result("norris", 1, 25)], first=2))
    with pytest.raises(ValueError, match="twice"):
        standings(one + one)


# -- against Ergast --------------------------------------------------------------------------


class Known(NamedTuple):
    """A difference from Ergast's tables: of whom, after which rounds (first to last)."""

    year: int
    first: int
    last: int
    id: str

    def at(self, year: int, number: int) -> bool:
        return year == self.year and self.first <= number <= self.last


UNCLASSIFIED_LEFT_OUT = {1992, 1993, *range(1995, 2005), *range(2006, 2010)}
"""Seasons in which Ergast neither lists who was not classified yet, nor decides ties by such results."""

TIES_BY_CLASSIFIED = {(2010, 2), (2011, 2)}
"""Rounds of other seasons after which Ergast did not decide ties by results that were not classified."""

MISPLACED = {
    "drivers": [
        Known(1950, 3, 7, "banks"),
        Known(1951, 2, 8, "ayulo"),
        Known(1952, 6, 7, "bonetto"),
        Known(1958, 4, 11, "magill"),
        Known(1984, 2, 12, "brundle"),
        Known(1984, 16, 16, "brundle"),
        Known(1984, 2, 16, "bellof"),
        Known(2011, 10, 19, "karthikeyan"),
        Known(2011, 12, 12, "ambrosio"),
        Known(2022, 6, 6, "tsunoda"),
    ],
    "constructors": [Known(1959, 9, 9, "kurtis_kraft"), Known(1984, 2, 5, "tyrrell")],
}

ONLY_OURS = {
    "drivers": [
        # who had nothing but disqualifications so far
        Known(1954, 1, 2, "behra"),
        Known(1954, 1, 2, "hawthorn"),
        Known(1961, 5, 6, "fairman"),
        Known(1967, 8, 11, "wietzes"),
        Known(1969, 9, 11, "pease"),
        Known(1972, 1, 1, "walker"),
        Known(1973, 15, 15, "redman"),
        Known(1975, 1, 1, "watson"),
        Known(1983, 1, 1, "angelis"),
        Known(1983, 1, 1, "keke_rosberg"),
        Known(1984, 1, 1, "bellof"),
        Known(1984, 1, 1, "brundle"),
        Known(1984, 1, 1, "manfred_winkelhock"),
        Known(1984, 10, 11, "johansson"),
        Known(1987, 1, 1, "campos"),
        Known(1988, 1, 1, "senna"),
        Known(1989, 1, 1, "larini"),
        Known(1990, 1, 1, "alliot"),
        Known(2011, 1, 1, "kobayashi"),
        Known(2011, 1, 1, "perez"),
        # who had only retired (Adams), or failed to qualify
        Known(1994, 11, 12, "adams"),
        Known(2011, 1, 1, "karthikeyan"),
        Known(2011, 1, 1, "liuzzi"),
    ],
    "constructors": [
        Known(1961, 5, 8, "ferguson"),
        Known(1969, 9, 11, "eagle-climax"),
        Known(1975, 1, 1, "surtees"),
        Known(1977, 13, 13, "boro"),
        Known(1984, 1, 1, "ats"),
        Known(1984, 1, 1, "tyrrell"),
        Known(2011, 1, 1, "sauber"),
        Known(2011, 1, 1, "hrt"),
        Known(2012, 1, 1, "hrt"),
    ],
}
"""Who is listed by us and not by Ergast, beside those of `UNCLASSIFIED_LEFT_OUT`."""

LISTED_UNCLASSIFIED = {
    "drivers": [Known(2009, 2, 2, "kovalainen"), Known(2009, 13, 13, "liuzzi")],
    "constructors": [Known(1997, 6, 17, "lola")],
}
"""Whom Ergast lists in a season of `UNCLASSIFIED_LEFT_OUT` although he was not classified yet."""

POINTS = {
    # eight points for a win, as the rules had it, and not nine
    (1961, 1, "lotus-climax"): (800, 900),
    (1961, 2, "lotus-climax"): (1200, 1300),
    (1961, 3, "lotus-climax"): (1200, 1300),
    (1961, 4, "lotus-climax"): (1600, 1700),
    (1961, 5, "lotus-climax"): (1600, 1700),
    (1961, 6, "lotus-climax"): (2400, 2600),
    (1961, 7, "lotus-climax"): (2400, 2600),
    (1961, 8, "lotus-climax"): (3200, 3500),
    (1961, 2, "ferrari"): (1400, 1500),
    (1961, 3, "ferrari"): (2200, 2400),
    (1961, 4, "ferrari"): (3000, 3300),
    (1961, 5, "ferrari"): (3800, 4200),
    (1961, 6, "ferrari"): (3800, 4200),
    (1961, 7, "ferrari"): (4000, 4500),
    (1961, 8, "ferrari"): (4000, 4500),
    # seven of the first eight results counted; Ergast drops one of six already
    (1973, 6, "team_lotus"): (4100, 3700),
    (1973, 7, "team_lotus"): (4700, 4300),
    (1973, 6, "tyrrell"): (4500, 3900),
    (1973, 7, "tyrrell"): (4900, 4300),
    # the points taken in Hungary, which Ergast has given back
    (2007, 14, "mclaren"): (17700, 19200),
    (2007, 15, "mclaren"): (18700, 20200),
    (2007, 16, "mclaren"): (19500, 21000),
    (2007, 17, "mclaren"): (20300, 21800),
}
"""Hundredths of a point of constructors, ours and Ergast's. Drivers have none that differ."""

WINS = {(2007, 9, "mclaren"): (4, 5)}
"""Of constructors, ours and Ergast's, which has the win of the Nürburgring one race early."""

LINES = {"drivers": 34344, "constructors": 13151}
"""Of Ergast's tables."""

UNEQUAL = {
    "drivers": {
        1950: "96 134 145 163 138 58 87 82 270 155",
        1960: "87 8 30 10 10 28 3 25 14 7",
        1970: "4 16 8 3 30 14 39 14 7 1",
        1980: "13 11 0 1 82 0 0 1 0 0",
        1990: "1 3 6 10 6 24 12 1 0 9",
        2000: "7 5 6 0 4 1 4 2 3 0",
        2010: "8 26 0 0 0 0 1 11 0 1",
        2020: "0 0 2 0",
    },
    "constructors": {
        1950: "0 0 0 0 0 0 0 0 0 4",
        1960: "1 0 0 3 0 0 1 11 0 0",
        1980: "0 0 0 0 12 0 0 0 0 0",
        1990: "0 0 2 4 0 4 0 0 0 2",
    },
}
"""In how many lines of each season of a decade the place is another, whether by a tie or by who is in `MISPLACED`."""


class Compared(NamedTuple):
    year: int
    number: int
    ours: dict[str, Standing]
    theirs: Table
    classified: dict[str, Counter[int]]
    """How often each place was taken by then."""


@pytest.fixture(scope="module")
def ergast() -> Tables:
    found = tables()
    if found is None:
        pytest.skip(ABSENT)
    return found


@pytest.fixture(scope="module")
def computed(ergast: Tables) -> dict[int, list[Standings]]:
    return {year: standings(rounds) for year, rounds in ergast.rounds.items()}


def compared(ergast: Tables, computed: dict[int, list[Standings]], championship: Championship) -> Iterator[Compared]:
    """Every round of every season that had the championship, in order."""
    their_tables = ergast.driver_standings if championship == "drivers" else ergast.constructor_standings
    by: Callable[[Result], str] = _driver if championship == "drivers" else _constructor
    for year, rounds in ergast.rounds.items():
        classified: dict[str, Counter[int]] = defaultdict(Counter)
        for one, table in zip(rounds, computed[year], strict=True):
            for line in one.results:
                if line.position is not None:
                    classified[by(line)][line.position] += 1
            ours = {standing.id: standing for standing in getattr(table, championship)}
            theirs = their_tables.get((year, one.number), {})
            assert bool(ours) == bool(theirs), (year, one.number)
            yield Compared(year, one.number, ours, theirs, classified)


def _driver(line: Result) -> str:
    return line.driver


def _constructor(line: Result) -> str:
    return line.constructor


CHAMPIONSHIPS: tuple[Championship, ...] = ("drivers", "constructors")


@pytest.mark.parametrize("championship", CHAMPIONSHIPS)
def test_points_and_wins_are_ergasts_after_every_round(
    championship: Championship, ergast: Tables, computed: dict[int, list[Standings]]
):
    points, wins, lines = {}, {}, 0
    for year, number, ours, theirs, _ in compared(ergast, computed, championship):
        for id_, listed in theirs.items():
            standing = ours[id_]
            lines += 1
            if standing.points != listed.points:
                points[year, number, id_] = standing.points, listed.points
            if standing.wins != listed.wins:
                wins[year, number, id_] = standing.wins, listed.wins
    assert lines == LINES[championship]
    assert points == (POINTS if championship == "constructors" else {})
    assert wins == (WINS if championship == "constructors" else {})


@pytest.mark.parametrize("championship", CHAMPIONSHIPS)
def test_everybody_ergast_lists_is_listed_and_who_else_is_told(
    championship: Championship, ergast: Tables, computed: dict[int, list[Standings]]
):
    only_ours, listed_unclassified = set(), set()
    for year, number, ours, theirs, classified in compared(ergast, computed, championship):
        assert theirs.keys() <= ours.keys()
        left_out = ours.keys() - theirs.keys()
        if year in UNCLASSIFIED_LEFT_OUT:
            unclassified = {id_ for id_ in ours if not classified[id_]}
            listed_unclassified |= {(year, number, id_) for id_ in unclassified - left_out}
            left_out -= unclassified
        only_ours |= {(year, number, id_) for id_ in left_out}
    assert only_ours == _every(ONLY_OURS[championship])
    assert listed_unclassified == _every(LISTED_UNCLASSIFIED[championship])


def _every(known: Sequence[Known]) -> set[tuple[int, int, str]]:
    return {(one.year, number, one.id) for one in known for number in range(one.first, one.last + 1)}


@pytest.mark.parametrize("championship", CHAMPIONSHIPS)
def test_places_are_ergasts_but_for_ties_and_the_few_it_misplaced(
    championship: Championship, ergast: Tables, computed: dict[int, list[Standings]]
):
    unequal: Counter[int] = Counter()
    for one in compared(ergast, computed, championship):
        misplaced = {known.id for known in MISPLACED[championship] if known.at(one.year, one.number)}
        where = (one.year, one.number)
        assert _same_order(one, misplaced), where
        for known in misplaced:
            assert not _same_order(one, misplaced - {known}), (*where, known)
        for id_, listed in one.theirs.items():
            standing = one.ours[id_]
            unequal[one.year] += standing.position != listed.position
            texts = (standing.position_text, listed.position_text)
            assert texts[0] == texts[1] or all(text.isdigit() for text in texts), (*where, id_)
    assert +unequal == +Counter(
        {
            year: int(count)
            for decade, counts in UNEQUAL[championship].items()
            for year, count in enumerate(counts.split(), decade)
        }
    )


def _same_order(one: Compared, misplaced: set[str]) -> bool:
    """Whether both have the same order of who is listed by both, without the misplaced.

    Ergast gives who is equal in everything places one after another, in an order of its own: any will do.
    """
    ours = [standing for id_, standing in one.ours.items() if id_ in one.theirs and id_ not in misplaced]
    theirs = sorted((one.theirs[standing.id] for standing in ours), key=_place)
    place = {listed.position: place for place, listed in enumerate(theirs, 1)}
    by_classified = one.year in UNCLASSIFIED_LEFT_OUT or (one.year, one.number) in TIES_BY_CLASSIFIED
    tied: dict[object, list[int]] = defaultdict(list)
    for standing in ours:
        classified = tuple(sorted(one.classified[standing.id].items()))
        out = not standing.position_text.isdigit()
        key = (out, standing.points, classified) if by_classified else standing.position
        tied[key].append(place[one.theirs[standing.id].position])
    return [place for group in tied.values() for place in sorted(group)] == list(range(1, len(ours) + 1))


def _place(listed: Listed) -> int:
    return listed.position


def test_champions_are_the_champions(computed: dict[int, list[Standings]]):
    """A few that dropped scores, half points or countback decided, in words of the record books."""
    last = {year: tables[-1] for year, tables in computed.items()}
    assert [(one.id, one.points) for one in last[1964].drivers[:2]] == [("surtees", 4000), ("hill", 3900)]
    assert [(one.id, one.points) for one in last[1984].drivers[:2]] == [("lauda", 7200), ("prost", 7150)]
    assert [(one.id, one.points) for one in last[1988].drivers[:2]] == [("senna", 9000), ("prost", 8700)]
    assert [(one.id, one.points) for one in last[1958].constructors[:2]] == [("vanwall", 4800), ("ferrari", 4000)]
    assert [(one.id, one.points) for one in last[2021].drivers[:2]] == [("max_verstappen", 39550), ("hamilton", 38750)]
