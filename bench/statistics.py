"""`python -m bench.statistics`: what statistics of a kart race of 24 hours cost beside reading all of it each time.

A race of 43 karts and 1,400 laps is stored in an empty database of Firestore's emulator, and goes on: a lap is stored
before each request. The API, asked again, reads what changed (`api`); beside it all documents are read by Google's own
client, as one writes first, and the same figures worked out of them (`naive`). In turns in one run; the median counts.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from google.cloud import firestore

from bench import result
from local.emulators import Programs, start_firestore
from local.processes import Processes
from local.stack import RULES, environment
from pitwall.api.app import create_app
from pitwall.api.circuits.statistics import WHOLE_EVERY_S
from pitwall.documents import paths
from pitwall.documents.base import SCHEMA_VERSION, Document
from pitwall.documents.drivers import DriverDocument, Lap, LapDocument, Stint
from pitwall.documents.encoding import to_fields
from pitwall.documents.feeds import kart_feed
from pitwall.documents.session import SessionDocument
from pitwall.karting import statistics
from pitwall.pipeline.database import Database
from pitwall.settings import Settings

CIRCUIT = "kartpark"
SESSION = f"{kart_feed(CIRCUIT)}-20260101-1200-24H"
BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
KARTS = 43
LAP_S = 61.7
STINT = 50
"""Laps from one stop to the next."""
AT_ONCE = 50


def race(laps: int) -> dict[str, Document]:
    """Documents by path, of laps some of which are slow."""
    chance = random.Random(1)
    numbers = [str(number) for number in range(1, KARTS + 1)]
    documents: dict[str, Document] = {
        paths.session(SESSION): SessionDocument(
            at=BEGAN,
            series="kart",
            feed_id=kart_feed(CIRCUIT),
            type="Race",
            status="Started",
            final=False,
            schema_version=SCHEMA_VERSION,
        )
    }
    for number in numbers:
        stints = [Stint(stint=n + 1, driver=f"Driver {number}-{n % 3}") for n in range(laps // STINT + 1)]
        documents[paths.driver(SESSION, number)] = DriverDocument(
            at=BEGAN, racing_number=number, laps=laps, stints=stints, pit_stops=[], status="running"
        )
    for lap in range(1, laps + 1):
        documents[paths.lap(SESSION, lap)] = of_lap(lap, numbers, chance)
    return documents


def of_lap(lap: int, numbers: list[str], chance: random.Random) -> LapDocument:
    ended = BEGAN + timedelta(seconds=LAP_S * lap)
    return LapDocument(
        at=ended,
        lap=lap,
        drivers={
            number: Lap(
                lap_time_ms=round(1000 * LAP_S + 20 * place + abs(chance.gauss(0, 400))),
                position=place,
                gap_to_leader_ms=1_000 * place,
                stint=1 + lap // STINT,
                track_statuses=["1"],
                started_at=ended - timedelta(seconds=LAP_S),
                ended_at=ended,
                time_source="feed",
            )
            for place, number in enumerate(numbers, start=1)
        },
    )


def store(database: Database, documents: dict[str, Document]) -> None:
    items = iter(documents.items())
    while some := list(itertools.islice(items, AT_ONCE)):
        database.commit([database.write(path, {**to_fields(document), "v": 1}) for path, document in some])


def naive(client: firestore.Client) -> int:
    """Documents read."""
    laps = [lap.to_dict() or {} for lap in client.collection(paths.laps(SESSION)).order_by("lap").stream()]
    drivers = [driver.to_dict() or {} for driver in client.collection(paths.drivers(SESSION)).stream()]
    statistics.karts(statistics.record(drivers, map(statistics.laps_of, laps)))
    return len(laps) + len(drivers)


def measure(laps: int, rounds: int) -> dict[str, Any]:
    """Seconds and documents read a request, by how it is answered."""
    project = f"statistics-{os.getpid()}"
    database, client = Database(project, timeout_s=60), firestore.Client(project)
    store(database, race(laps))
    client.document(paths.circuit(CIRCUIT)).set({"nom": "Kart Park"})
    looks = itertools.count()
    settings = Settings(project=project, rate_limit_address=0, rate_limit_key=0)
    api = create_app(settings, seconds=lambda: next(looks) % WHOLE_EVERY_S).test_client()
    chance, numbers = random.Random(2), [str(number) for number in range(1, KARTS + 1)]
    took: dict[str, list[float]] = {"first": [], "api": [], "naive": []}
    read = {"naive": 0}
    for number in range(rounds + 1):
        store(database, {paths.lap(SESSION, laps + number + 1): of_lap(laps + number + 1, numbers, chance)})
        began = time.perf_counter()
        answer = api.get(f"/api/circuits/{CIRCUIT}/statistics?limit=200")
        took["api" if number else "first"].append(time.perf_counter() - began)
        if answer.status_code != 200 or len(answer.get_json()["items"]) != KARTS:
            raise RuntimeError(answer.get_data(as_text=True)[:500])
        if number:
            began = time.perf_counter()
            read["naive"] = naive(client)
            took["naive"].append(time.perf_counter() - began)
    seconds = {name: median(times) for name, times in took.items()}
    for name, found in seconds.items():
        print(f"{name:<8} {found:>8.3f} s a request")
    return {
        "laps": laps,
        "karts": KARTS,
        "seconds": {name: round(found, 3) for name, found in seconds.items()},
        "documentsNaive": read["naive"],
        "timesNaive": round(seconds["naive"] / seconds["api"], 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.statistics", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--laps", type=int, default=1_400, help="of the race (default 1400)")
    parser.add_argument("--rounds", type=int, default=3, help="requests of each (default 3)")
    options = parser.parse_args()
    with Processes() as processes:
        emulator = start_firestore(processes, Programs.find(), RULES)
        with environment(emulator.env):
            told = measure(options.laps, options.rounds)
    result("statistics", **told)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
