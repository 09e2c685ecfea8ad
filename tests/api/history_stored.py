"""Three seasons as they are stored, counted from the tables beside the project, and the API on them."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest
from msgspec import UNSET
from werkzeug.serving import make_server

from local.emulators import Emulator
from pitwall.api.app import create_app
from pitwall.documents import paths
from pitwall.documents.base import SCHEMA_VERSION, Document
from pitwall.documents.circuits import CircuitDocument
from pitwall.documents.drivers import Lap, LapDocument
from pitwall.documents.history import LayoutDocument
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.documents.session import SessionDocument
from pitwall.history.aggregates import count
from pitwall.history.season_documents import (
    Constructor,
    Driver,
    Finish,
    Known,
    Qualified,
    Race,
    qualifying_results,
    race_results,
)
from pitwall.history.stored import store
from pitwall.pipeline.database import Database
from pitwall.settings import Settings
from tests.history.seasons import ABSENT, Tables, tables

YEARS = (1988, 2022, 2023)
PROJECT = "test-history-of-the-api"
AT = datetime(2023, 5, 1, 12, tzinfo=UTC)
A_DAY_LATER = timedelta(days=2)
"""How much later than when it was stored the clock of `settled` is."""


class Served(NamedTuple):
    """Clients of the API on the same documents. fresh: they were stored a moment ago. settled: two days ago."""

    fresh: httpx.Client
    settled: httpx.Client
    database: Database


@pytest.fixture(scope="session")
def past(firestore_emulator: Emulator) -> Iterator[Served]:
    """The seasons 1988, 2022 and 2023, with a weekend of 2023 and a race of 1988 whole."""
    known = tables()
    if known is None:
        pytest.skip(ABSENT)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(firestore_emulator.variable, firestore_emulator.value)
        database = Database(PROJECT, timeout_s=60)
        for year in YEARS:
            count(database, known.rounds[year], told(known))
        store(database, weekend(known) | monaco(known) | circuits())
        with served(timedelta()) as fresh, served(A_DAY_LATER) as settled:
            yield Served(fresh, settled, database)
        database.close()


@contextmanager
def served(later: timedelta) -> Iterator[httpx.Client]:
    """A client of the API. later: how far its clock is ahead."""
    looks = itertools.count()
    app = create_app(
        Settings(project=PROJECT, rate_limit_address=0, rate_limit_key=0),
        clock=lambda: datetime.now(UTC) + later,
        seconds=lambda: next(looks),
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", trust_env=False, timeout=30) as client:
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


def told(known: Tables) -> Known:
    """What the tables say beside results."""

    def given(row: dict[str, str], name: str) -> Any:
        return UNSET if row[name] == r"\N" else row[name]

    circuits = {row["circuitId"]: row["circuitRef"] for row in known.rows("circuits")}
    return Known(
        drivers={
            row["driverRef"]: Driver(
                given_name=row["forename"],
                family_name=row["surname"],
                code=given(row, "code"),
                racing_number=given(row, "number"),
                born=row["dob"],
                nationality=row["nationality"],
            )
            for row in known.rows("drivers")
        },
        constructors={
            row["constructorRef"]: Constructor(name=row["name"], nationality=row["nationality"])
            for row in known.rows("constructors")
        },
        races={
            (int(row["year"]), int(row["round"])): Race(
                name=row["name"], date=row["date"], circuit=circuits[row["circuitId"]]
            )
            for row in known.rows("races")
        },
    )


def finishes(known: Tables, year: int, number: int, *, sprint: bool = False) -> list[Finish]:
    one = known.rounds[year][number - 1]
    return [Finish(result=result) for result in (one.sprint if sprint else one.results)]


def weekend(known: Tables) -> dict[str, Document | None]:
    """Baku in 2023: race, sprint and qualifying, with the laps of the race that the table has."""
    keys = {"Race": "9070", "Sprint": "9069", "Qualifying": "9064", "Practice 1": "9063"}
    made: dict[str, Document | None] = {
        paths.event(2023, "4"): event(2023, 4, "Azerbaijan Grand Prix", keys),
        paths.event(2023, "23"): event(2023, 23, "A Grand Prix To Come", {"Race": ""}),
    }
    for name, key in keys.items():
        made[paths.session(key)] = session(2023, 4, name, final=name == "Race")
    made |= race_results("9070", finishes(known, 2023, 4), AT)
    made |= race_results("9069", finishes(known, 2023, 4, sprint=True), AT)
    places = known.rounds[2023][3].qualifying
    numbers = {result.driver: result for result in known.rounds[2023][3].results}
    made |= qualifying_results(
        "9064",
        [
            Qualified(driver=driver, constructor=numbers[driver].constructor, position=place)
            for driver, place in places.items()
            if driver in numbers
        ],
        AT,
    )
    laps: dict[int, dict[str, Lap]] = {}
    for row in known.rows("laps-2023"):
        if row["RoundNumber"] == "4" and row["LapTime"]:
            lap = Lap(lap_time_ms=round(float(row["LapTime"]) * 1000), position=int(float(row["Position"])))
            laps.setdefault(int(float(row["LapNumber"])), {})[row["DriverNumber"]] = lap
    return made | {
        paths.lap("9070", number): LapDocument(at=AT, lap=number, drivers=drivers) for number, drivers in laps.items()
    }


def monaco(known: Tables) -> dict[str, Document | None]:
    """A race before F1 gave its sessions keys."""
    key = "f1-1988-3-race"
    return {
        paths.event(1988, "3"): event(1988, 3, "Monaco Grand Prix", {"Race": key}),
        paths.session(key): session(1988, 3, "Race", final=True),
        **race_results(key, finishes(known, 1988, 3), AT),
    }


def session(year: int, number: int, name: str, *, final: bool) -> SessionDocument:
    return SessionDocument(
        at=AT,
        series="f1",
        feed_id="f1",
        year=year,
        round=number,
        name=name,
        final=final,
        schema_version=SCHEMA_VERSION,
    )


def event(year: int, number: int, name: str, keys: dict[str, str]) -> EventDocument:
    """A meeting. keys: of its sessions by name; "": F1 has given none yet."""
    start = datetime(year, 4, 30, 11, tzinfo=UTC)
    return EventDocument(
        at=AT,
        year=year,
        round=number,
        name=name,
        official_name=f"FORMULA 1 {name.upper()}",
        country="Azerbaijan",
        location="Baku",
        sessions=[
            ScheduledSession(
                session_key=key or UNSET,
                year=year,
                round=number,
                meeting=name,
                type="Race",
                name=session,
                start_date=start,
                end_date=start + timedelta(hours=2),
            )
            for session, key in keys.items()
        ],
    )


def circuits() -> dict[str, Document | None]:
    """Three circuits, one of them with maps."""
    made: dict[str, Document | None] = {
        paths.circuit(id_): CircuitDocument(at=AT, circuit=id_, name=name)
        for id_, name in (("baku", "Baku City Circuit"), ("monaco", "Monaco"), ("ain-diab", "Ain Diab"))
    }
    for year in (2018, 2023):
        made[paths.layout("baku", year)] = LayoutDocument(
            at=AT,
            circuit="baku",
            year=year,
            source="positions",
            x=[0, 10, 20],
            y=[0, 5, 0],
            rotation=0.0,
            corners=[],
            marshal_lights=[],
            marshal_sectors=[],
        )
    return made
