"""A made-up season of the simulator's field, stored as the history stores one: for the API's examples of the past.

Its last round is the race that was played; the one before was won by whoever came second in it. Nobody's data is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from local.simulator.circuit import Circuit, made_up
from pitwall.documents import paths
from pitwall.documents.circuits import CircuitDocument
from pitwall.documents.history import LayoutDocument
from pitwall.history.aggregates import count
from pitwall.history.season_documents import Constructor, Driver, Finish, Known, Race, race_results
from pitwall.history.standings import Result, Round
from pitwall.history.stored import store
from pitwall.pipeline.database import Database

POINTS = (25, 18, 15, 12, 10, 8, 6, 4, 2, 1)
"""Of the first places."""

LAP_S = 64.0
"""Seconds of an ideal lap of the circuit: those of a quick race."""

STEP_M = 20
"""Between two points of the circuit's outline."""

Fields = Mapping[str, Any]


class Stored(NamedTuple):
    """What of the season can be asked for: ids."""

    race: str
    driver: str
    constructor: str
    circuit: str


def store_season(database: Database, key: str) -> Stored:
    """Stores results, standings, statistics and the circuit of the race that was played. key: of its session."""
    session = database.read([paths.session(key)])[paths.session(key)].fields or {}
    drivers = [fields for _, fields in database.query(paths.drivers(key), order_by="position", limit=None)]
    year, number, at = session["year"], session["round"], session["at"]
    orders = {number - 1: [drivers[1], drivers[0], *drivers[2:]], number: drivers}
    finishes = {round_: [_finish(driver, place) for place, driver in enumerate(orders[round_], 1)] for round_ in orders}
    circuit = made_up(LAP_S)
    name = _id(circuit.name)
    race = Race(name=session["meeting"]["name"], date=session["startDate"].date().isoformat(), circuit=name)
    known = Known(
        drivers={
            _id(driver["lastName"]): Driver(
                given_name=driver["firstName"],
                family_name=driver["lastName"],
                code=driver["tla"],
                racing_number=driver["racingNumber"],
            )
            for driver in drivers
        },
        constructors={_id(driver["teamName"]): Constructor(name=driver["teamName"]) for driver in drivers},
        races={(year, number - 1): Race(name="Another Grand Prix"), (year, number): race},
    )
    rounds = [
        Round(year=year, number=round_, results=tuple(finish.result for finish in held))
        for round_, held in finishes.items()
    ]
    count(database, rounds, known)
    store(
        database,
        {
            **race_results(key, finishes[number], at),
            paths.circuit(name): CircuitDocument(
                at=at, circuit=name, name=circuit.name, location=circuit.location, country=circuit.country[1]
            ),
            paths.layout(name, year): _layout(circuit, name, year, at),
        },
    )
    winner = drivers[0]
    return Stored(f"{year}-{number}", _id(winner["lastName"]), _id(winner["teamName"]), name)


def _finish(driver: Fields, place: int) -> Finish:
    classified = driver["status"] != "retired"
    return Finish(
        result=Result(
            driver=_id(driver["lastName"]),
            constructor=_id(driver["teamName"]),
            order=place,
            position=place if classified else None,
            position_text=str(place) if classified else "R",
            points=100 * POINTS[place - 1] if classified and place <= len(POINTS) else 0,
            number=driver["racingNumber"],
            grid=driver.get("grid", 0),
            laps=driver.get("laps", 0),
            status="Finished" if classified else "Retired",
        ),
        code=driver["tla"],
        fastest_lap=driver.get("bestLap"),
        fastest_lap_ms=driver.get("bestLapMs"),
    )


def _layout(circuit: Circuit, id_: str, year: int, at: datetime) -> LayoutDocument:
    outline = [circuit.point(metres) for metres in range(0, int(circuit.length), STEP_M)]
    return LayoutDocument(
        at=at,
        circuit=id_,
        year=year,
        source="positions",
        x=[point.x for point in outline],
        y=[point.y for point in outline],
        rotation=0.0,
        length=round(circuit.length, 1),
        corners=[],
        marshal_lights=[],
        marshal_sectors=[],
        sector_ends=[round(circuit.boundaries[end], 1) for end in circuit.sector_ends[:2]],
    )


def _id(name: str) -> str:
    """`Scuderia Vela` as `scuderia_vela`."""
    return "_".join(re.findall(r"[a-z0-9]+", name.lower()))
