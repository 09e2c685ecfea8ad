"""The tables of 1950-2023 beside the project as answers of Jolpica: whole lists, for `local.web` to cut into pages."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson

from tests.history.seasons import Row, Tables

_LISTS = {
    "results": ("results", "Results"),
    "sprint": ("sprint_results", "SprintResults"),
    "qualifying": ("qualifying", "QualifyingResults"),
}
"""Table and key of each list."""


def write(tables: Tables, folder: Path, year: int, round_: int | None = None, laps: Any = None) -> None:
    """Writes the lists of a season, or of one round, under `folder`/jolpica. laps: by round, as `Laps` has them."""
    races = {row["raceId"]: row for row in tables.rows("races") if int(row["year"]) == year}
    races = {id_: row for id_, row in races.items() if round_ in (None, int(row["round"]))}
    circuits = {row["circuitId"]: row for row in tables.rows("circuits")}
    told = {id_: _race(row, circuits[row["circuitId"]]) for id_, row in races.items()}
    who = {row["driverId"]: _driver(row) for row in tables.rows("drivers")}
    teams = {row["constructorId"]: _constructor(row) for row in tables.rows("constructors")}
    status = {row["statusId"]: row["status"] for row in tables.rows("status")}
    for name, (table, key) in _LISTS.items():
        listed: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in tables.rows(table):
            if row["raceId"] in races:
                result = _qualified(row) if name == "qualifying" else _result(row, status)
                person, team = who[row["driverId"]], teams[row["constructorId"]]
                listed[row["raceId"]].append({**result, "Driver": person, "Constructor": team})
        for results in listed.values():
            results.sort(key=lambda result: int(result["position"]))
        found = [{**told[id_], key: listed[id_]} for id_ in told if id_ in listed]
        _answer(folder, year, round_, name, sorted(found, key=lambda race: int(race["round"])), key)
    for number, held in (laps or {}).items():
        race = next(race for race in told.values() if race["round"] == str(number))
        _answer(folder, year, number, "laps", [{**race, "Laps": held}], "Laps")


def _answer(folder: Path, year: int, round_: int | None, name: str, races: list[dict[str, Any]], key: str) -> None:
    rows = sum(len(lap["Timings"]) if key == "Laps" else 1 for race in races for lap in race[key])
    parts = [str(part) for part in (year, round_) if part is not None]
    file = folder.joinpath("jolpica", *parts, f"{name}.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    page = {"limit": str(rows), "offset": "0", "total": str(rows), "RaceTable": {"season": str(year), "Races": races}}
    file.write_bytes(orjson.dumps({"MRData": page}))


def _race(row: Row, circuit: Row) -> dict[str, Any]:
    return _known(
        season=row["year"],
        round=row["round"],
        url=row["url"],
        raceName=row["name"],
        date=row["date"],
        time=row["time"] if row["time"] == r"\N" else f"{row['time']}Z",
        Circuit={
            "circuitId": circuit["circuitRef"],
            "url": circuit["url"],
            "circuitName": circuit["name"],
            "Location": {
                "lat": circuit["lat"],
                "long": circuit["lng"],
                "locality": circuit["location"],
                "country": circuit["country"],
            },
        },
    )


def _driver(row: Row) -> dict[str, Any]:
    return _known(
        driverId=row["driverRef"],
        permanentNumber=row["number"],
        code=row["code"],
        url=row["url"],
        givenName=row["forename"],
        familyName=row["surname"],
        dateOfBirth=row["dob"],
        nationality=row["nationality"],
    )


def _constructor(row: Row) -> dict[str, Any]:
    return {
        "constructorId": row["constructorRef"],
        "url": row["url"],
        "name": row["name"],
        "nationality": row["nationality"],
    }


def _result(row: Row, status: dict[str, str]) -> dict[str, Any]:
    finish = _known(time=row["time"], millis=row["milliseconds"])
    fastest = _known(rank=row.get("rank", r"\N"), lap=row["fastestLap"], Time={"time": row["fastestLapTime"]})
    return _known(
        number=row["number"],
        position=row["positionOrder"],
        positionText=row["positionText"],
        points=row["points"],
        grid=row["grid"],
        laps=row["laps"],
        status=status[row["statusId"]],
        Time=finish if "time" in finish else r"\N",
        FastestLap=fastest if "lap" in fastest and fastest["Time"]["time"] != r"\N" else r"\N",
    )


def _qualified(row: Row) -> dict[str, Any]:
    return _known(number=row["number"], position=row["position"], Q1=row["q1"], Q2=row["q2"], Q3=row["q3"])


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value != r"\N"}
