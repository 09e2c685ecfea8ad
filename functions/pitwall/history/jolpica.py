"""Results since 1950 from an Ergast-compatible API: Jolpica's, `{PITWALL_JOLPICA_URL}/2018/4/results.json`.

Every list is read to its end, page by page, checked, and returned whole or not at all. `rounds` makes of the races what
`standings` and `statistics` count. Limits, and what was seen: docs/jolpica.md.
"""

from __future__ import annotations

import datetime
import time as clock
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Literal, Self

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from pitwall.history.answers import Answers, BadAnswer
from pitwall.history.standings import Result, Round, hundredths
from pitwall.settings import Settings

PER_SECOND: Final = 4.0
PER_HOUR: Final = 200
"""Jolpica says 500 and that it will be less; FastF1 3.9 holds itself to 200."""
PAGE: Final = 100
"""Rows of an answer, at most."""
FINISHED_S: Final = 30 * 86_400.0
RUNNING_S: Final = 3_600.0
EVERY_SEASON_S: Final = 86_400.0
"""Ages up to which a kept answer will do: of a season before this year's, of this year's, of all seasons."""

Points = Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]{1,2})?\Z")]


class Season(Struct, frozen=True):
    season: int
    url: str = ""


class Location(Struct, frozen=True):
    """lat, long: degrees."""

    lat: float
    long: float
    locality: str
    country: str


class Circuit(Struct, frozen=True, rename="camel"):
    circuit_id: str
    circuit_name: str
    location: Location = field(name="Location")
    url: str = ""


class Driver(Struct, frozen=True, rename="camel"):
    """code, permanent_number: "" if the driver has none, as before 2014."""

    driver_id: str
    given_name: str
    family_name: str
    code: str = ""
    permanent_number: str = ""
    date_of_birth: datetime.date | None = None
    nationality: str = ""
    url: str = ""


class Constructor(Struct, frozen=True, rename="camel"):
    constructor_id: str
    name: str
    nationality: str = ""
    url: str = ""


class Start(Struct, frozen=True):
    """When a session begins, in UTC. time: None if only the day is known."""

    date: datetime.date
    time: datetime.time | None = None


class Finish(Struct, frozen=True):
    """time: of the winner, h:mm:ss.000, and the gap of those who follow (`+17.973`). millis: the whole time."""

    time: str
    millis: int | None = None


class LapTime(Struct, frozen=True):
    """time: m:ss.000."""

    time: str


class AverageSpeed(Struct, frozen=True):
    """speed: km/h, the only unit that was seen."""

    speed: float
    units: Literal["kph"] = "kph"


class FastestLap(Struct, frozen=True):
    """rank: 1 is the fastest of the race; None in a sprint, and so is the speed."""

    lap: int
    time: LapTime = field(name="Time")
    rank: int | None = None
    average_speed: AverageSpeed | None = field(name="AverageSpeed", default=None)


class RaceResult(Struct, frozen=True, rename="camel", kw_only=True):
    """A driver's result of a race or sprint.

    position: where it is listed, from 1. position_text: the classified place, or R, N, D, E, F, W. grid: 0: pit lane.
    """

    number: str = ""
    position: Annotated[int, Meta(ge=1)]
    position_text: str
    points: Points
    driver: Driver = field(name="Driver")
    constructor: Constructor = field(name="Constructor")
    grid: int = 0
    laps: int = 0
    status: str = ""
    time: Finish | None = field(name="Time", default=None)
    fastest_lap: FastestLap | None = field(name="FastestLap", default=None)


class QualifyingResult(Struct, frozen=True):
    """q1, q2, q3: m:ss.000, "" if the driver has none."""

    position: Annotated[int, Meta(ge=1)]
    driver: Driver = field(name="Driver")
    constructor: Constructor = field(name="Constructor")
    number: str = ""
    q1: str = field(name="Q1", default="")
    q2: str = field(name="Q2", default="")
    q3: str = field(name="Q3", default="")


class Timing(Struct, frozen=True, rename="camel"):
    driver_id: str
    time: str
    position: int | None = None


class Lap(Struct, frozen=True):
    """A lap of the race, with everybody's time and place."""

    number: int
    timings: tuple[Timing, ...] = field(name="Timings")


class PitStop(Struct, frozen=True, rename="camel"):
    """time: of day at the circuit, hh:mm:ss. duration: ss.000 or mm:ss.000, in the pit lane, red flags included."""

    driver_id: str
    lap: int
    stop: int
    time: str = ""
    duration: str = ""


class Race(Struct, frozen=True, rename="camel", kw_only=True):
    """A round, with the list that was asked for.

    date, time: when the race begins, in UTC. The other sessions are known since 2021.
    """

    season: int
    round: int
    race_name: str
    circuit: Circuit = field(name="Circuit")
    date: datetime.date
    time: datetime.time | None = None
    url: str = ""
    first_practice: Start | None = field(name="FirstPractice", default=None)
    second_practice: Start | None = field(name="SecondPractice", default=None)
    third_practice: Start | None = field(name="ThirdPractice", default=None)
    qualifying_start: Start | None = field(name="Qualifying", default=None)
    sprint: Start | None = field(name="Sprint", default=None)
    sprint_qualifying: Start | None = field(name="SprintQualifying", default=None)
    sprint_shootout: Start | None = field(name="SprintShootout", default=None)
    results: tuple[RaceResult, ...] = field(name="Results", default=())
    sprint_results: tuple[RaceResult, ...] = field(name="SprintResults", default=())
    qualifying_results: tuple[QualifyingResult, ...] = field(name="QualifyingResults", default=())
    laps: tuple[Lap, ...] = field(name="Laps", default=())
    pit_stops: tuple[PitStop, ...] = field(name="PitStops", default=())


class DriverStanding(Struct, frozen=True, rename="camel"):
    """position: None of who is not placed."""

    points: Points
    wins: int
    driver: Driver = field(name="Driver")
    constructors: tuple[Constructor, ...] = field(name="Constructors", default=())
    position: int | None = None
    position_text: str = ""


class ConstructorStanding(Struct, frozen=True, rename="camel"):
    """position: None of who is not placed."""

    points: Points
    wins: int
    constructor: Constructor = field(name="Constructor")
    position: int | None = None
    position_text: str = ""


class StandingsList(Struct, frozen=True):
    """The standings after a round, with the championship that was asked for."""

    season: int
    round: int
    drivers: tuple[DriverStanding, ...] = field(name="DriverStandings", default=())
    constructors: tuple[ConstructorStanding, ...] = field(name="ConstructorStandings", default=())


class _Table(Struct):
    """The lists an answer may have; it has one of them."""

    seasons: list[Season] = field(name="Seasons", default_factory=list)
    races: list[Race] = field(name="Races", default_factory=list)
    drivers: list[Driver] = field(name="Drivers", default_factory=list)
    constructors: list[Constructor] = field(name="Constructors", default_factory=list)
    circuits: list[Circuit] = field(name="Circuits", default_factory=list)
    standings: list[StandingsList] = field(name="StandingsLists", default_factory=list)


class _Page(Struct):
    limit: Annotated[int, Meta(ge=0)]
    offset: Annotated[int, Meta(ge=0)]
    total: Annotated[int, Meta(ge=0)]
    season_table: _Table | None = field(name="SeasonTable", default=None)
    race_table: _Table | None = field(name="RaceTable", default=None)
    driver_table: _Table | None = field(name="DriverTable", default=None)
    constructor_table: _Table | None = field(name="ConstructorTable", default=None)
    circuit_table: _Table | None = field(name="CircuitTable", default=None)
    standings_table: _Table | None = field(name="StandingsTable", default=None)


class _Answer(Struct):
    page: _Page = field(name="MRData")


_List = Literal["results", "sprint_results", "qualifying_results", "laps", "pit_stops"]


class _Changed(Exception):
    """A list became another while its pages were read."""


class Jolpica:
    """A client of the API. A context manager; not for several threads. answers: how it asks, and how often.

    Every method raises NotThere (no such thing), BadAnswer (what came is not as expected; says where), Throttled (wait
    `after_s`), SourceError (it could not be asked). What has not been held yet is no error: its list is empty.
    """

    def __init__(
        self,
        url: str,
        cache: Path | None = None,
        *,
        page: int = PAGE,
        sleep: Callable[[float], None] = clock.sleep,
        now: Callable[[], float] = clock.time,
    ) -> None:
        """cache: folder in which answers are kept. page: rows that are asked for at once. sleep, now: for tests."""
        self.answers = Answers(url, per_second=PER_SECOND, per_hour=PER_HOUR, cache=cache, sleep=sleep, now=now)
        self._page = page

    @classmethod
    def of(cls, settings: Settings, cache: Path | None = None) -> Self:
        return cls(settings.jolpica_url, cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.close()

    def seasons(self) -> list[Season]:
        """Every season, from 1950."""
        return [season for table in self._tables("seasons") for season in table.seasons]

    def races(self, year: int) -> list[Race]:
        """The calendar of a season."""
        return self._races(None, year)

    def results(self, year: int, round_: int | None = None) -> list[Race]:
        """Races with their results, of a season or one round."""
        return self._races("results", year, round_)

    def sprints(self, year: int, round_: int | None = None) -> list[Race]:
        """Rounds that had a sprint, with its results."""
        return self._races("sprint_results", year, round_)

    def qualifying(self, year: int, round_: int | None = None) -> list[Race]:
        """Rounds with the results of qualifying; known since 1994, whole since 2003."""
        return self._races("qualifying_results", year, round_)

    def laps(self, year: int, round_: int) -> list[Race]:
        """One round with its laps; known since 1996."""
        return self._races("laps", year, round_)

    def pit_stops(self, year: int, round_: int) -> list[Race]:
        """One round with its pit stops; known since 2011."""
        return self._races("pit_stops", year, round_)

    def drivers(self, year: int | None = None) -> list[Driver]:
        """Those of a season, or of all."""
        return [driver for table in self._tables("drivers", year) for driver in table.drivers]

    def constructors(self, year: int | None = None) -> list[Constructor]:
        """Those of a season, or of all."""
        return [constructor for table in self._tables("constructors", year) for constructor in table.constructors]

    def circuits(self, year: int | None = None) -> list[Circuit]:
        """Those of a season, or of all."""
        return [circuit for table in self._tables("circuits", year) for circuit in table.circuits]

    def driver_standings(self, year: int, round_: int | None = None) -> StandingsList | None:
        """The drivers' championship after a round, or the last one that was held; None if none was."""
        return self._standings("driverstandings", year, round_)

    def constructor_standings(self, year: int, round_: int | None = None) -> StandingsList | None:
        """The constructors' championship after a round, or the last one that was held; None if there was none."""
        return self._standings("constructorstandings", year, round_)

    # -- pages -------------------------------------------------------------------------------

    def _races(self, wanted: _List | None, year: int, round_: int | None = None) -> list[Race]:
        """Races of a season, each once, with the whole of the wanted list."""
        races: dict[int, Race] = {}
        for table in self._tables(_ENDPOINTS[wanted], year, round_, wanted):
            for race in table.races:
                if race.season != year or (round_ is not None and race.round != round_):
                    raise BadAnswer(f"{_path(_ENDPOINTS[wanted], year, round_)}: has {race.season}, round {race.round}")
                before = races.get(race.round)
                races[race.round] = race if before is None else _joined(before, race)
        return [races[number] for number in sorted(races)]

    def _standings(self, endpoint: str, year: int, round_: int | None) -> StandingsList | None:
        whole: StandingsList | None = None
        for table in self._tables(endpoint, year, round_):
            for part in table.standings:
                if part.season != year or part.round != (round_ or part.round if whole is None else whole.round):
                    raise BadAnswer(f"{_path(endpoint, year, round_)}: has {part.season}, round {part.round}")
                whole = (
                    part
                    if whole is None
                    else replace(
                        whole,
                        drivers=whole.drivers + part.drivers,
                        constructors=whole.constructors + part.constructors,
                    )
                )
        return whole

    def _tables(
        self, endpoint: str, year: int | None = None, round_: int | None = None, wanted: _List | None = None
    ) -> list[_Table]:
        """All pages of a list."""
        path, fresh_s = _path(endpoint, year, round_), self._fresh_s(year)
        try:
            return self._pages(path, wanted, fresh_s)
        except _Changed:
            # Pages of different days, some kept and some not; or it was changed just now.
            try:
                return self._pages(path, wanted, 0.0)
            except _Changed as error:
                raise BadAnswer(f"{path}: {error}, twice") from error

    def _pages(self, path: str, wanted: _List | None, fresh_s: float) -> list[_Table]:
        tables: list[_Table] = []
        rows, total = 0, None
        while total is None or rows < total:
            params = {"limit": self._page, "offset": rows}
            page = self.answers.ask(path, _Answer, params=params, fresh_s=fresh_s).page
            table = _table(page)
            if table is None:
                raise BadAnswer(f"{path}: the answer has no table")
            if total is not None and page.total != total:
                raise _Changed(f"there were {total} rows, then {page.total}")
            total = page.total
            count = _rows(table, wanted)
            if page.offset != rows or count != min(page.limit, total - rows) or (count == 0 and rows < total):
                raise BadAnswer(
                    f"{path}: asked for rows {rows} on of {total}, the answer says {page.limit} rows from {page.offset}"
                    f" on and has {count}"
                )
            tables.append(table)
            rows += count
        return tables

    def _fresh_s(self, year: int | None) -> float:
        if year is None:
            return EVERY_SEASON_S
        today = datetime.datetime.fromtimestamp(self.answers.now(), datetime.UTC)
        return FINISHED_S if year < today.year else RUNNING_S


_ENDPOINTS: Final[Mapping[_List | None, str]] = {
    None: "",
    "results": "results",
    "sprint_results": "sprint",
    "qualifying_results": "qualifying",
    "laps": "laps",
    "pit_stops": "pitstops",
}


def _path(endpoint: str, year: int | None, round_: int | None) -> str:
    return f"{'/'.join(str(part) for part in (year, round_, endpoint) if part)}.json"


def _table(page: _Page) -> _Table | None:
    tables = (
        page.season_table,
        page.race_table,
        page.driver_table,
        page.constructor_table,
        page.circuit_table,
        page.standings_table,
    )
    return next((table for table in tables if table is not None), None)


def _rows(table: _Table, wanted: _List | None) -> int:
    """What `limit`, `offset` and `total` count: of laps, everybody's times."""
    count = len(table.seasons) + len(table.drivers) + len(table.constructors) + len(table.circuits)
    count += sum(len(part.drivers) + len(part.constructors) for part in table.standings)
    for race in table.races:
        if wanted is None:
            count += 1
        elif wanted == "laps":
            count += sum(len(lap.timings) for lap in race.laps)
        else:
            count += len(getattr(race, wanted))
    return count


def _joined(before: Race, after: Race) -> Race:
    """A race whose list goes on on the next page."""
    laps = {lap.number: lap for lap in before.laps}
    for lap in after.laps:
        timings = laps[lap.number].timings if lap.number in laps else ()
        laps[lap.number] = replace(lap, timings=timings + lap.timings)
    return replace(
        before,
        results=before.results + after.results,
        sprint_results=before.sprint_results + after.sprint_results,
        qualifying_results=before.qualifying_results + after.qualifying_results,
        laps=tuple(laps.values()),
        pit_stops=before.pit_stops + after.pit_stops,
    )


# -- what is made of it ----------------------------------------------------------------------


def rounds(results: Iterable[Race], sprints: Iterable[Race] = (), qualifying: Iterable[Race] = ()) -> list[Round]:
    """The rounds of a season, from its races with results, its sprints and its qualifying."""
    of_sprint = {race.round: race.sprint_results for race in sprints}
    of_qualifying = {race.round: race.qualifying_results for race in qualifying}
    return [
        Round(
            year=race.season,
            number=race.round,
            results=tuple(result_of(result) for result in race.results),
            sprint=tuple(result_of(result) for result in of_sprint.get(race.round, ())),
            qualifying={result.driver.driver_id: result.position for result in of_qualifying.get(race.round, ())},
        )
        for race in results
    ]


def result_of(result: RaceResult) -> Result:
    """A result as `standings` takes it. A place is only what `position_text` has as one."""
    text = result.position_text
    return Result(
        driver=result.driver.driver_id,
        constructor=result.constructor.constructor_id,
        order=result.position,
        position=int(text) if text.isdecimal() else None,
        position_text=text,
        points=hundredths(result.points),
        number=result.number,
        grid=result.grid,
        laps=result.laps,
        status=result.status,
        fastest_lap_rank=(result.fastest_lap.rank or None) if result.fastest_lap is not None else None,
    )
