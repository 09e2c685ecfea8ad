"""Sums in Firestore that a corrected result adjusts: whatever comes and crashes, they are those of what was held."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from google.cloud import firestore as firestore_api
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, to_fields
from pitwall.history import aggregates
from pitwall.history.aggregates import count
from pitwall.history.season_documents import Constructor, Driver, Known, Race, documents
from pitwall.history.standings import Round
from pitwall.history.statistics import Subject, Tally, contributions
from pitwall.history.stored import ATTEMPTS, said, store
from pitwall.pipeline.database import Conflict, Database, Unavailable
from tests.history.seasons import ABSENT, tables
from tests.history.test_statistics import race, result, rounds
from tests.pipeline.conftest import database  # noqa: F401 (fixture)

AT = datetime(2023, 4, 30, 13, tzinfo=UTC)
YEARS, NUMBERS = (2022, 2023), (1, 2)
DRIVERS, TEAMS = ("norris", "piastri", "verstappen", "perez"), ("mclaren", "red_bull")
EVERY_PATH = [
    path
    for year in YEARS
    for path in (
        paths.season(year),
        paths.standings(year, "drivers"),
        paths.standings(year, "constructors"),
        *(paths.contribution(year, number) for number in NUMBERS),
        *(paths.driver_season(driver, year) for driver in DRIVERS),
        *(paths.constructor_season(team, year) for team in TEAMS),
    )
] + [*map(paths.profile, DRIVERS), *map(paths.constructor, TEAMS)]
"""All that can be stored of the rounds that hypothesis makes."""

Held = dict[tuple[int, int], Round]


def stored(database: Database, wanted: Iterable[str] = EVERY_PATH) -> dict[str, dict[str, Any]]:  # noqa: F811
    """What the documents that there are say, by path."""
    return {path: said(one.fields) for path, one in database.read(wanted).items() if one.fields is not None}


def from_scratch(held: Iterable[Round], known: Known = Known()) -> dict[str, dict[str, Any]]:  # noqa: B008 (frozen)
    return {path: said(to_fields(document)) for path, document in documents(held, AT, known).items()}


def withdrawn(one: Round) -> Round:
    return replace(one, results=(), sprint=())


BAKU = race(
    result("perez", 1, 25, "red_bull", grid=3),
    result("max_verstappen", 2, 18, "red_bull", grid=2),
    result("leclerc", 3, 15, "ferrari", grid=1),
)
CORRECTED = race(
    result("max_verstappen", 1, 25, "red_bull", grid=2),
    result("leclerc", 2, 18, "ferrari", grid=1),
    result("perez", "D", 0, "red_bull", 3, grid=3),
)


# -- corrections and crashes -----------------------------------------------------------------


class Killed(Exception):
    """Stands for the end of the process."""


class Mortal(Database):
    """A database whose client is killed at a commit: before it was sent, or before the answer came."""

    dies: Literal["before", "after"] | None = None

    def commit(self, writes: Any) -> list[Any]:
        dies, self.dies = self.dies, None
        if dies == "before":
            raise Killed
        updated = super().commit(writes)
        if dies == "after":
            raise Killed
        return updated


_projects = itertools.count()
corrections = st.lists(
    st.tuples(rounds(), st.booleans(), st.sampled_from(["before", "after", None])), min_size=1, max_size=5
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corrections)
def test_any_corrections_and_crashes_come_to_what_the_last_results_add_up_to(
    firestore: firestore_api.Client, project: str, corrections: list[tuple[Round, bool, Literal["before", "after"]]]
):
    mortal = Mortal(f"{project}-{next(_projects)}")
    held: Held = {}
    for one, away, dies in corrections:
        given_ = withdrawn(one) if away else one
        mortal.dies = dies
        try:
            count(mortal, [given_])
        except Killed:
            count(mortal, [given_])
        mortal.dies = None
        held[one.year, one.number] = given_
        assert stored(mortal) == from_scratch(held.values())
    assert [count(mortal, [one]) for one in held.values()] == [0] * len(held)
    mortal.close()


def test_a_run_that_is_killed_between_two_seasons_ends_right_on_the_next(firestore: firestore_api.Client, project: str):
    seasons = [[replace(BAKU, year=year, number=number) for number in (1, 2)] for year in (2021, 2022, 2023)]

    def run(mortal: Mortal) -> int:
        return sum(count(mortal, season) for season in seasons)

    for commits in range(3):
        for dies in ("before", "after"):
            mortal = Mortal(f"{project}-{commits}-{dies}")
            for season in seasons[:commits]:
                count(mortal, season)
            mortal.dies = "before" if dies == "before" else "after"
            with pytest.raises(Killed):
                run(mortal)
            run(mortal)
            expected = from_scratch(itertools.chain(*seasons))
            assert stored(mortal, expected) == expected
            assert run(mortal) == 0
            mortal.close()


# -- what is written -------------------------------------------------------------------------


def test_a_disqualified_winner_adjusts_sums_and_standings(database: Database):  # noqa: F811
    count(database, [BAKU, replace(BAKU, number=2)])
    assert count(database, [CORRECTED]) > 0
    now = stored(database, ["drivers/perez", "drivers/max_verstappen", "seasons/2023", "constructors/ferrari"])
    assert now["drivers/perez"]["statistics"]["wins"] == 1
    assert now["drivers/perez"]["statistics"]["disqualifications"] == 1
    assert now["drivers/max_verstappen"]["statistics"]["wins"] == 1
    assert now["constructors/ferrari"]["statistics"]["points"] == 33.0
    assert now["seasons/2023"]["leadingDrivers"] == ["max_verstappen"]


def test_a_correction_touches_nobody_else(database: Database):  # noqa: F811
    last_year = replace(BAKU, year=2022, results=(*BAKU.results, result("vettel", 10, 1, "aston_martin")))
    count(database, [last_year])
    count(database, [BAKU])
    before = database.read(["drivers/vettel", "seasons/2022", "seasons/2022/standings/drivers", "drivers/perez"])
    count(database, [CORRECTED])
    after = database.read(before)
    changed = {path for path in before if before[path].updated != after[path].updated}
    assert changed == {"drivers/perez"}


def test_marks_tell_when_and_how_often_a_document_changed(database: Database):  # noqa: F811
    count(database, [BAKU])
    count(database, [CORRECTED])
    count(database, [CORRECTED])
    fields = database.read(["drivers/perez"])["drivers/perez"].fields
    assert fields is not None
    assert fields["v"] == 2
    assert fields["at"] == fields["writtenAt"] > AT


def test_who_has_no_result_any_more_is_gone(database: Database):  # noqa: F811
    count(database, [BAKU])
    assert count(database, [withdrawn(BAKU)]) == len(from_scratch([BAKU]))
    assert stored(database, from_scratch([BAKU])) == {}


def test_what_was_told_of_somebody_stays_when_it_is_not_told_again(database: Database):  # noqa: F811
    known = Known(
        drivers={"perez": Driver(given_name="Sergio", family_name="Pérez", code="PER", born="1990-01-26")},
        constructors={"red_bull": Constructor(name="Red Bull", nationality="Austrian")},
        races={(2023, 1): Race(name="Azerbaijan Grand Prix", circuit="baku")},
    )
    count(database, [BAKU], known)
    expected = from_scratch([CORRECTED], known)
    count(database, [CORRECTED])
    assert stored(database, expected) == expected


def test_what_is_told_of_somebody_is_stored_though_no_result_has_changed(database: Database):  # noqa: F811
    count(database, [BAKU])
    known = Known(drivers={"perez": Driver(given_name="Sergio", code="PER")})
    assert count(database, [BAKU], known) == 3  # the profile, the names in the standings, the season that guards them
    assert stored(database, ["drivers/perez"])["drivers/perez"]["givenName"] == "Sergio"
    assert count(database, [BAKU], known) == 0


def test_a_rule_that_changes_is_put_right_once_the_rounds_are_counted_again(
    database: Database,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
):
    def once(one: Round) -> dict[Subject, Tally]:
        """As a rule that gave everybody a pole more."""
        return {subject: tally + Tally(poles=1) for subject, tally in contributions(one).items()}

    season = [BAKU, replace(BAKU, number=2)]
    with monkeypatch.context() as patch:
        patch.setattr(aggregates, "contributions", once)
        count(database, season)
    assert stored(database, ["drivers/perez"])["drivers/perez"]["statistics"]["poles"] == 2
    count(database, season)
    expected = from_scratch(season)
    assert stored(database, expected) == expected


# -- at the same time ------------------------------------------------------------------------


class Overtaken(Database):
    """A database in which somebody else always commits first."""

    first: Database
    rounds: Iterator[Round]

    def commit(self, writes: Any) -> list[Any]:
        if (other := next(self.rounds, None)) is not None:
            count(self.first, [other])
        return super().commit(writes)


@pytest.fixture
def overtaken(database: Database, project: str) -> Iterator[Overtaken]:  # noqa: F811
    opened = Overtaken(project)
    opened.first = database
    yield opened
    opened.close()


@pytest.mark.parametrize(
    "other",
    [replace(CORRECTED, number=2), replace(CORRECTED, year=2022), CORRECTED],
    ids=["another round", "another season", "the same round"],
)
def test_of_two_at_a_time_one_begins_anew_and_both_are_counted(
    overtaken: Overtaken,
    database: Database,  # noqa: F811
    other: Round,
):
    count(database, [replace(BAKU, number=3)])
    overtaken.rounds = iter([other])
    count(overtaken, [BAKU])
    held: Mapping[tuple[int, int], Round] = {
        (one.year, one.number): one for one in (replace(BAKU, number=3), other, BAKU)
    }
    expected = from_scratch(held.values())
    assert stored(database, expected) == expected


def test_who_is_always_overtaken_gives_up(overtaken: Overtaken):
    overtaken.rounds = (replace(BAKU, number=2 + n) for n in itertools.count())
    with pytest.raises(Unavailable, match="changed by others"):
        count(overtaken, [BAKU])
    assert next(overtaken.rounds).number == 2 + ATTEMPTS


def test_several_at_once_are_all_counted(database: Database, project: str):  # noqa: F811
    every = [[replace(BAKU, year=year, number=n)] for year in YEARS for n in (1, 2)]
    failed: list[Exception] = []

    def run(some: list[Round]) -> None:
        own = Database(project)
        try:
            count(own, some)
        except Exception as error:
            failed.append(error)
        finally:
            own.close()

    threads = [threading.Thread(target=run, args=(some,)) for some in every]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    expected = from_scratch(itertools.chain(*every))
    assert stored(database, expected) == expected


# -- bad input -------------------------------------------------------------------------------


@pytest.mark.parametrize("several", [[BAKU, BAKU], [BAKU, replace(BAKU, year=2022)]], ids=["twice", "two seasons"])
def test_rounds_that_are_not_of_one_season_are_refused(database: Database, several: list[Round]):  # noqa: F811
    with pytest.raises(ValueError, match="rounds"):
        count(database, several)
    assert stored(database, ["seasons/2023"]) == {}


def test_what_is_stored_and_cannot_be_read_is_not_counted_over(database: Database):  # noqa: F811
    count(database, [BAKU])
    database.commit([database.write("drivers/perez", {"at": AT, "driver": "perez", "wins": "many"})])
    with pytest.raises(InvalidDocument, match="drivers/perez"):
        count(database, [CORRECTED])
    assert stored(database, ["contributions/2023-1"]) == {
        path: fields for path, fields in from_scratch([BAKU]).items() if path == "contributions/2023-1"
    }


def test_nothing_given_is_nothing_counted(database: Database):  # noqa: F811
    assert count(database, []) == 0


# -- documents that depend on no others ------------------------------------------------------


def test_what_is_stored_already_is_not_written_again(database: Database):  # noqa: F811
    made = documents([BAKU], AT)
    assert store(database, made) == len(made)
    assert store(database, made) == 0
    assert store(database, {**made, "drivers/perez": None}) == 1
    assert "drivers/perez" not in stored(database, made)


def test_documents_that_others_change_meanwhile_are_read_again(database: Database, project: str):  # noqa: F811
    class Late(Database):
        conflicts = 0

        def commit(self, writes: Any) -> list[Any]:
            if not self.conflicts:
                store(database, {"drivers/perez": documents([CORRECTED], AT)["drivers/perez"]})
            try:
                return super().commit(writes)
            except Conflict:
                self.conflicts += 1
                raise

    late = Late(project)
    wanted = {"drivers/perez": documents([BAKU], AT)["drivers/perez"]}
    assert store(late, wanted) == 1
    assert late.conflicts == 1
    assert stored(database, wanted)["drivers/perez"] == said(to_fields(wanted["drivers/perez"]))
    late.close()


# -- a whole season --------------------------------------------------------------------------


def test_a_season_is_one_commit_and_a_second_run_writes_nothing(database: Database):  # noqa: F811
    found = tables()
    if found is None:
        pytest.skip(ABSENT)
    season = found.rounds[2023]
    expected = from_scratch(season)
    database.operations()
    assert count(database, season) == len(expected)
    assert stored(database, expected) == expected
    database.operations()
    assert count(database, season) == 0
    assert database.operations()["firestoreReads"] < len(expected) + 5
    fourth = season[3]
    corrected = replace(fourth, results=(fourth.results[0], *reversed(fourth.results[1:])))
    count(database, [corrected])
    now = from_scratch([*season[:3], corrected, *season[4:]])
    assert stored(database, now) == now
