"""Results, standings and statistics as documents, and back. Pure: no I/O, no clock.

`documents` makes all that follows from the results of some seasons: standings after every round, what each driver and
constructor has counted up, by season and over all of them, and what each round brought (`contributions/...`).
`aggregates` keeps the same documents up to date with what has changed. `race_results` and `qualifying_results` make
those of one session. What is known of people, teams and races beside results is `Known`; without it documents have ids.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar, get_args

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from pitwall.documents import history, paths
from pitwall.documents.base import Document
from pitwall.documents.history import (
    Championship,
    ConstructorDocument,
    ConstructorSeasonDocument,
    ContributionDocument,
    CountedResult,
    DriverProfileDocument,
    DriverSeasonDocument,
    FastestLap,
    Name,
    ResultDocument,
    RoundStandings,
    SeasonDocument,
    SeasonRace,
    SeasonStanding,
    StandingLine,
    StandingsDocument,
    Statistics,
)
from pitwall.history.standings import Result, Round, Standing, Standings, standings
from pitwall.history.statistics import HeadToHead, Kind, Subject, Tallies, Tally, contributions

Documents = dict[str, Document]
"""By path."""

T = TypeVar("T")


# -- what is known beside results ------------------------------------------------------------


class Driver(Struct, frozen=True, kw_only=True):
    """Who a driver is. racing_number: the permanent one. born: as YYYY-MM-DD."""

    given_name: str | UnsetType = UNSET
    family_name: str | UnsetType = UNSET
    code: str | UnsetType = UNSET
    racing_number: str | UnsetType = UNSET
    born: str | UnsetType = UNSET
    nationality: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class Constructor(Struct, frozen=True, kw_only=True):
    """Who a constructor is."""

    name: str | UnsetType = UNSET
    nationality: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class Race(Struct, frozen=True, kw_only=True):
    """Which race a round is. date: as YYYY-MM-DD. circuit: id."""

    name: str | UnsetType = UNSET
    date: str | UnsetType = UNSET
    circuit: str | UnsetType = UNSET


class Known(Struct, frozen=True, kw_only=True):
    """What a source says beside results: drivers and constructors by id, races by season and round."""

    drivers: Mapping[str, Driver] = {}
    constructors: Mapping[str, Constructor] = {}
    races: Mapping[tuple[int, int], Race] = {}


NOTHING: Final = Known()

Names = Mapping[Championship, Mapping[str, Name]]
Races = Mapping[int, Race]
"""By round of one season."""
CHAMPIONSHIPS: Final[tuple[Championship, ...]] = get_args(Championship)


# -- everything from results -----------------------------------------------------------------


def documents(rounds: Iterable[Round], at: datetime, known: Known = NOTHING) -> Documents:
    """All documents that follow from the results of some seasons, which are taken for all there are.

    rounds: in any order. Raises ValueError if one is there twice.
    """
    made: Documents = {}
    total: dict[Subject, Tally] = defaultdict(Tally)
    by_season: dict[int, list[Round]] = defaultdict(list)
    for one in rounds:
        by_season[one.year].append(one)
    after: dict[int, Standings | None] = {}
    for year, held in by_season.items():
        tables = standings(held)
        made |= season_documents(year, held, tables, at, names_of(known), races_of(known, year))
        after[year] = tables[-1] if tables else None
        for one in held:
            if is_held(one):
                tallies = contributions(one)
                made[paths.contribution(year, one.number)] = contribution(one, tallies, at)
                for subject, tally in tallies.items():
                    total[subject] += tally
    seasons = seasons_of(total)
    for subject, tally in total.items():
        if subject.year is None:
            made[path_of(subject)] = career(subject, tally, seasons[subject.kind, subject.id], at, known)
        else:
            made[path_of(subject)] = season_of(subject, tally, after[subject.year], at)
    return made


def is_held(one: Round) -> bool:
    """Whether anything of a round was held: it has results, or its sprint has."""
    return bool(one.results or one.sprint)


def path_of(subject: Subject) -> str:
    """Where the statistics of a subject are."""
    kind, id_, year = subject
    if kind == "driver":
        return paths.profile(id_) if year is None else paths.driver_season(id_, year)
    return paths.constructor(id_) if year is None else paths.constructor_season(id_, year)


def seasons_of(tallies: Iterable[Subject]) -> dict[tuple[Kind, str], list[int]]:
    """The seasons of each driver and constructor, in order."""
    found: dict[tuple[Kind, str], list[int]] = defaultdict(list)
    for subject in tallies:
        if subject.year is not None:
            found[subject.kind, subject.id].append(subject.year)
    return {whose: sorted(years) for whose, years in found.items()}


# -- a season --------------------------------------------------------------------------------


def season_documents(
    year: int, rounds: Iterable[Round], tables: Sequence[Standings], at: datetime, names: Names, races: Races
) -> Documents:
    """`seasons/{year}` and its standings. rounds: all of the season. tables: the standings after each of them."""
    held = sorted(filter(is_held, rounds), key=lambda one: one.number)
    if not held:
        return {}
    made: Documents = {
        paths.season(year): SeasonDocument(
            at=at,
            year=year,
            races=[_season_race(one, races.get(one.number, Race())) for one in held],
            leading_drivers=_leading(tables[-1].drivers if tables else ()),
            leading_constructors=_leading(tables[-1].constructors if tables else ()),
        )
    }
    for championship in CHAMPIONSHIPS:
        listed = {standing.id for table in tables for standing in _table(table, championship)}
        if listed:
            made[paths.standings(year, championship)] = StandingsDocument(
                at=at,
                year=year,
                championship=championship,
                rounds=[
                    RoundStandings(round=table.round, lines=list(map(_line, _table(table, championship))))
                    for table in tables
                ],
                names={id_: name for id_, name in sorted(names.get(championship, {}).items()) if id_ in listed},
            )
    return made


def _season_race(one: Round, race: Race) -> SeasonRace:
    return SeasonRace(
        round=one.number,
        **asdict(race),
        sprint=bool(one.sprint),
        winners=[result.driver for result in one.results if result.position == 1],
    )


def _leading(table: Iterable[Standing]) -> list[str]:
    return [standing.id for standing in table if standing.position == 1]


def _table(after: Standings, championship: Championship) -> Sequence[Standing]:
    return after.drivers if championship == "drivers" else after.constructors


def _line(standing: Standing) -> StandingLine:
    return StandingLine(
        id=standing.id,
        position=standing.position,
        points=standing.points / 100,
        wins=standing.wins,
        excluded=_excluded(standing),
        constructors=list(standing.constructors) or UNSET,
    )


def _excluded(standing: Standing) -> Literal["D", "E"] | UnsetType:
    if standing.position_text == "D":
        return "D"
    return "E" if standing.position_text == "E" else UNSET


def names_of(known: Known) -> Names:
    """The names that standings show, of those whose are known."""
    drivers = {
        id_: Name(name=" ".join(names), code=driver.code)
        for id_, driver in known.drivers.items()
        if (names := [part for part in (driver.given_name, driver.family_name) if isinstance(part, str)])
    }
    constructors = {id_: Name(name=one.name) for id_, one in known.constructors.items() if isinstance(one.name, str)}
    return {"drivers": drivers, "constructors": constructors}


def races_of(known: Known, year: int) -> Races:
    """The races of a season that are known."""
    return {number: race for (season, number), race in known.races.items() if season == year}


def race_of(stored: SeasonRace) -> Race:
    """What was stored of a race beside its results."""
    return Race(name=stored.name, date=stored.date, circuit=stored.circuit)


# -- drivers and constructors ----------------------------------------------------------------


def career(
    subject: Subject,
    tally: Tally,
    seasons: list[int],
    at: datetime,
    known: Known = NOTHING,
    before: Document | None = None,
) -> Document:
    """The document of a driver or constructor over all seasons. before: as it is; what else it knows stays."""
    counted: dict[str, Any] = {"at": at, "seasons": seasons, "statistics": statistics(subject.kind, tally)}
    if subject.kind == "driver":
        driver = DriverProfileDocument(driver=subject.id, **counted)
        if isinstance(before, DriverProfileDocument):
            driver = replace(before, **counted)
        driver = replace(driver, **_said(known.drivers.get(subject.id)))
        return replace(driver, aliases=_aliases(driver) or UNSET)
    constructor = ConstructorDocument(constructor=subject.id, **counted)
    if isinstance(before, ConstructorDocument):
        constructor = replace(before, **counted)
    return replace(constructor, **_said(known.constructors.get(subject.id)))


def _aliases(driver: DriverProfileDocument) -> list[str]:
    """Code, family name and whole name as they are typed: `ver`, `verstappen`, `max_verstappen`; `hulkenberg`."""
    names = [name for name in (driver.given_name, driver.family_name) if isinstance(name, str)]
    told = [text for text in (driver.code, driver.family_name, " ".join(names)) if isinstance(text, str)]
    plain = (unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower() for text in told)
    return sorted({"_".join(words) for text in plain if (words := re.findall("[a-z0-9]+", text))})


def _said(who: Driver | Constructor | None) -> dict[str, Any]:
    return {name: value for name, value in asdict(who).items() if value is not UNSET} if who is not None else {}


def season_of(subject: Subject, tally: Tally, after: Standings | None, at: datetime) -> Document:
    """The document of a driver or constructor in a season. after: the standings after the last round held."""
    kind, id_, year = subject
    if year is None:
        raise ValueError(f"{subject} is of no season")
    standing: SeasonStanding | UnsetType = UNSET
    table = () if after is None else _table(after, "drivers" if kind == "driver" else "constructors")
    for one in table:
        if after is not None and one.id == id_:
            standing = SeasonStanding(
                round=after.round, position=one.position, points=one.points / 100, excluded=_excluded(one)
            )
    counted = statistics(kind, tally)
    if kind == "driver":
        return DriverSeasonDocument(at=at, driver=id_, year=year, standing=standing, statistics=counted)
    return ConstructorSeasonDocument(at=at, constructor=id_, year=year, standing=standing, statistics=counted)


def statistics(kind: Kind, tally: Tally) -> Statistics:
    """A tally as it is stored."""
    best = tally.best_place
    return Statistics(
        **{name: getattr(tally, name) for name in _COUNTS},
        wins=tally.wins,
        podiums=tally.podiums,
        points=tally.points / 100,
        laps_led=tally.laps_led if tally.races_with_laps else UNSET,
        best_place=UNSET if best is None else best,
        places={str(place): taken for place, taken in sorted(tally.places.items())},
        constructors=dict(sorted(tally.constructors.items())) if kind == "driver" else UNSET,
        team_mates={mate: history.HeadToHead(**asdict(one)) for mate, one in sorted(tally.team_mates.items())}
        if kind == "driver"
        else UNSET,
    )


_COUNTS: Final = (
    "entries",
    "races",
    "starts",
    "finishes",
    "retirements",
    "disqualifications",
    "poles",
    "fastest_laps",
    "laps",
    "races_with_laps",
    "sprint_wins",
)
"""Fields of a tally that are stored as they are."""


def tally_of(stored: Statistics) -> Tally:
    """The tally that was stored."""
    return Tally(
        **{name: getattr(stored, name) for name in _COUNTS},
        points=round(stored.points * 100),
        laps_led=stored.laps_led or 0,
        places={int(place): taken for place, taken in stored.places.items()},
        constructors=stored.constructors or {},
        team_mates={mate: HeadToHead(**asdict(one)) for mate, one in (stored.team_mates or {}).items()},
    )


# -- what a round contributes ----------------------------------------------------------------


def contribution(one: Round, tallies: Tallies, at: datetime) -> ContributionDocument:
    """A round as it is counted. tallies: what it contributes."""
    by: dict[Kind, dict[str, Statistics]] = {"driver": {}, "constructor": {}}
    for (kind, id_, year), tally in sorted(tallies.items(), key=lambda one: one[0].id):
        if year is not None:
            by[kind][id_] = statistics(kind, tally)
    return ContributionDocument(
        at=at,
        year=one.year,
        round=one.number,
        results=[_counted(result) for result in one.results],
        sprint=[_counted(result) for result in one.sprint],
        qualifying=dict(one.qualifying),
        laps_led=UNSET if one.laps_led is None else dict(one.laps_led),
        by_driver=by["driver"],
        by_constructor=by["constructor"],
    )


def round_of(held: ContributionDocument) -> Round:
    """The round that was counted."""
    return Round(
        year=held.year,
        number=held.round,
        results=tuple(_result(result) for result in held.results),
        sprint=tuple(_result(result) for result in held.sprint),
        qualifying=held.qualifying,
        laps_led=_or(held.laps_led, None),
    )


def contributed(held: ContributionDocument) -> dict[Subject, Tally]:
    """What the statistics hold of a round, as `statistics.contributions` gave it when it was counted."""
    kinds: dict[Kind, dict[str, Statistics]] = {"driver": held.by_driver, "constructor": held.by_constructor}
    return {
        Subject(kind, id_, year): tally_of(stored)
        for kind, by in kinds.items()
        for id_, stored in by.items()
        for year in (held.year, None)
    }


def _counted(result: Result) -> CountedResult:
    return CountedResult(
        driver=result.driver,
        constructor=result.constructor,
        order=result.order,
        position=_told(result.position),
        position_text=result.position_text,
        points=result.points / 100,
        racing_number=result.number or UNSET,
        grid=result.grid,
        laps=result.laps,
        status=result.status or UNSET,
        fastest_lap_rank=_told(result.fastest_lap_rank),
    )


def _result(stored: CountedResult) -> Result:
    return Result(
        driver=stored.driver,
        constructor=stored.constructor,
        order=stored.order,
        position=_or(stored.position, None),
        position_text=stored.position_text,
        points=round(stored.points * 100),
        number=stored.racing_number or "",
        grid=stored.grid,
        laps=stored.laps,
        status=stored.status or "",
        fastest_lap_rank=_or(stored.fastest_lap_rank, None),
    )


def _told(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _or(value: Any, otherwise: Any) -> Any:
    return otherwise if value is UNSET else value


# -- the results of a session ----------------------------------------------------------------


class Finish(Struct, frozen=True, kw_only=True):
    """A result of a race or sprint with its times; None: not known. time_ms: of the race."""

    result: Result
    code: str | None = None
    time_ms: int | None = None
    fastest_lap: int | None = None
    fastest_lap_ms: int | None = None
    average_speed_kph: float | None = None


class Qualified(Struct, frozen=True, kw_only=True):
    """A result of qualifying. number: the car's. parts_ms: the best lap of each part; None: no time."""

    driver: str
    constructor: str
    position: int
    number: str = ""
    code: str | None = None
    parts_ms: tuple[int | None, int | None, int | None] = (None, None, None)


def race_results(session: str, finishes: Sequence[Finish], at: datetime) -> Documents:
    """The results of a race or sprint, by path. session: its key."""
    winner = next((finish for finish in finishes if finish.result.position == 1), None)
    ids = result_ids([(finish.result.number, finish.result.driver) for finish in finishes])
    return {
        paths.result(session, id_): _race_result(finish, winner, at) for id_, finish in zip(ids, finishes, strict=True)
    }


def qualifying_results(session: str, qualified: Sequence[Qualified], at: datetime) -> Documents:
    """The results of qualifying, by path. session: its key."""
    ids = result_ids([(one.number, one.driver) for one in qualified])
    return {
        paths.result(session, id_): ResultDocument(
            at=at,
            racing_number=one.number or UNSET,
            driver=one.driver,
            constructor=one.constructor,
            code=_told(one.code),
            order=one.position,
            position=one.position,
            position_text=str(one.position),
            q1_ms=_told(one.parts_ms[0]),
            q2_ms=_told(one.parts_ms[1]),
            q3_ms=_told(one.parts_ms[2]),
        )
        for id_, one in zip(ids, qualified, strict=True)
    }


def result_ids(cars: Collection[tuple[str, str]]) -> list[str]:
    """Ids of results: the racing number, but with the driver if it is shared, and the driver if there is none.

    cars: racing number ("" if not known) and driver of each result. Whoever has several cars of one number has them
    counted.
    """
    drivers: dict[str, set[str]] = defaultdict(set)
    for number, driver in cars:
        drivers[number].add(driver)
    ids, taken = [], Counter[str]()
    for number, driver in cars:
        id_ = driver if not number else number if len(drivers[number]) == 1 else f"{number}-{driver}"
        taken[id_] += 1
        ids.append(id_ if taken[id_] == 1 else f"{id_}-{taken[id_]}")
    return ids


def _race_result(finish: Finish, winner: Finish | None, at: datetime) -> ResultDocument:
    result = finish.result
    fastest = FastestLap(
        rank=_told(result.fastest_lap_rank),
        lap=_told(finish.fastest_lap),
        lap_time_ms=_told(finish.fastest_lap_ms),
        average_speed_kph=_told(finish.average_speed_kph),
    )
    gap, down = _behind(finish, winner)
    return ResultDocument(
        at=at,
        racing_number=result.number or UNSET,
        driver=result.driver,
        constructor=result.constructor,
        code=_told(finish.code),
        order=result.order,
        position=_told(result.position),
        position_text=result.position_text,
        points=result.points / 100,
        grid=result.grid,
        laps=result.laps,
        status=result.status or UNSET,
        time_ms=_told(finish.time_ms),
        gap_ms=_told(gap),
        laps_down=_told(down),
        fastest_lap=UNSET if fastest == FastestLap() else fastest,
    )


def _behind(finish: Finish, winner: Finish | None) -> tuple[int | None, int | None]:
    """Milliseconds and laps behind the winner: neither of the winner, nor of who is not classified."""
    if winner is None or finish.result.position in (None, 1):
        return None, None
    if down := max(0, winner.result.laps - finish.result.laps):
        return None, down
    if finish.time_ms is None or winner.time_ms is None:
        return None, None
    return finish.time_ms - winner.time_ms, None
