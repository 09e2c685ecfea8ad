"""The tables of 1950-2023 beside the project, as rounds and as the standings they give."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from pitwall.history.standings import Result, Round, hundredths
from tests.conftest import SHARED

SEASONS = SHARED / "seasons"
ABSENT = "the tables of seasons are not at ../shared/seasons: nothing to compare with"

Row = dict[str, str]


class Listed(NamedTuple):
    """A line of Ergast's standings. points: hundredths."""

    position: int
    position_text: str
    points: int
    wins: int


Table = dict[str, Listed]
"""By id of driver or constructor."""


class Tables:
    """The files, read once each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self, name: str) -> Iterator[Row]:
        with gzip.open(self._folder / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as lines:
            yield from csv.DictReader(lines)

    @cached_property
    def drivers(self) -> dict[str, str]:
        return {row["driverId"]: row["driverRef"] for row in self.rows("drivers")}

    @cached_property
    def constructors(self) -> dict[str, str]:
        return {row["constructorId"]: row["constructorRef"] for row in self.rows("constructors")}

    @cached_property
    def races(self) -> dict[str, tuple[int, int]]:
        """Season and round by Ergast's key of the race."""
        return {row["raceId"]: (int(row["year"]), int(row["round"])) for row in self.rows("races")}

    @cached_property
    def rounds(self) -> dict[int, list[Round]]:
        """By season, in order."""
        status = {row["statusId"]: row["status"] for row in self.rows("status")}
        results, sprints = (self._results(name, status) for name in ("results", "sprint_results"))
        seasons: dict[int, list[Round]] = defaultdict(list)
        for race in sorted(results, key=self.races.__getitem__):
            year, number = self.races[race]
            seasons[year].append(
                Round(
                    year=year,
                    number=number,
                    results=tuple(results[race]),
                    sprint=tuple(sprints.get(race, ())),
                    qualifying=self._qualifying.get(race, {}),
                )
            )
        return seasons

    @cached_property
    def _qualifying(self) -> dict[str, dict[str, int]]:
        places: dict[str, dict[str, int]] = defaultdict(dict)
        for row in self.rows("qualifying"):
            places[row["raceId"]][self.drivers[row["driverId"]]] = int(row["position"])
        return places

    def leaders(self, year: int) -> dict[int, list[str]]:
        """Who was first at the end of each lap that the tables of 2018-2023 have, by round."""
        drove = {result.driver for one in self.rounds[year] for result in one.results}
        by_code = {row["code"]: row["driverRef"] for row in self.rows("drivers") if row["driverRef"] in drove}
        laps: dict[int, list[str]] = defaultdict(list)
        for row in self.rows(f"laps-{year}"):
            if row["Position"] and float(row["Position"]) == 1:
                laps[int(row["RoundNumber"])].append(by_code[row["Driver"]])
        return laps

    def _results(self, name: str, status: dict[str, str]) -> dict[str, list[Result]]:
        found: dict[str, list[Result]] = defaultdict(list)
        for row in self.rows(name):
            found[row["raceId"]].append(
                Result(
                    driver=self.drivers[row["driverId"]],
                    constructor=self.constructors[row["constructorId"]],
                    order=int(row["positionOrder"]),
                    position=_known(row["position"]),
                    position_text=row["positionText"],
                    points=hundredths(row["points"]),
                    number="" if row["number"] == r"\N" else row["number"],
                    grid=int(row["grid"]),
                    laps=int(row["laps"]),
                    status=status[row["statusId"]],
                    fastest_lap_rank=_known(row["rank"]),
                )
            )
        return found

    @cached_property
    def driver_standings(self) -> dict[tuple[int, int], Table]:
        return self._standings("driver", self.drivers)

    @cached_property
    def constructor_standings(self) -> dict[tuple[int, int], Table]:
        return self._standings("constructor", self.constructors)

    def _standings(self, kind: str, names: dict[str, str]) -> dict[tuple[int, int], Table]:
        tables: dict[tuple[int, int], Table] = defaultdict(dict)
        for row in self.rows(f"{kind}_standings"):
            tables[self.races[row["raceId"]]][names[row[f"{kind}Id"]]] = Listed(
                int(row["position"]), row["positionText"], hundredths(row["points"]), int(row["wins"])
            )
        return tables


def _known(text: str) -> int | None:
    return None if text in ("", r"\N") else int(text)


@cache
def tables() -> Tables | None:
    """None where they are not."""
    return Tables(SEASONS) if SEASONS.is_dir() else None


def every_round(rounds: Iterable[list[Round]]) -> list[Round]:
    return [one for season in rounds for one in season]
