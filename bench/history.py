"""`python -m bench.history`: documents stored a second beside one `set()` at a time, and what telemetry takes.

The documents of a simulated race are stored in an empty database of Firestore's emulator: by `set()` of Google's
client, one after the other; as a backfill stores a session, through the writer's code (`session`); and as it stores
what is no session's, by `stored.store` (`store`). Then `store` once more when nothing differs (`storeAgain`): how
many documents a second are found to be as they should. In turns in one run; of each the best round counts. What
telemetry takes is `bench.telemetry`.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from google.cloud import firestore

from bench import api, result, telemetry
from local.emulators import Programs, start_firestore
from local.processes import Processes
from local.stack import RULES, environment
from pitwall.documents.base import Document
from pitwall.documents.encoding import from_fields
from pitwall.history.direct import Direct
from pitwall.history.stored import store
from pitwall.pipeline.database import Database
from pitwall.pipeline.envelope import TickDocument, encode
from pitwall.settings import Settings

AT = 1_783_861_200_000


def set_each(project: str, documents: Mapping[str, dict[str, Any]]) -> None:
    """The baseline: a `set()` for each, as it is written in every tutorial."""
    client = firestore.Client(project)
    for path, fields in documents.items():
        client.document(path).set({**fields, "v": 1, "writtenAt": firestore.SERVER_TIMESTAMP})
    client.close()


def store_session(settings: Settings, session: str, documents: Mapping[str, dict[str, Any]]) -> None:
    """Documents of a session, as a backfill stores them."""
    database = Database(settings.project)
    direct = Direct(database)
    told = [TickDocument(path, msgspec.Raw(msgspec.json.encode(fields))) for path, fields in documents.items()]
    for message in encode(
        feed=settings.feed, session=session, epoch=1, seq=1, at=AT, documents=told, limit=settings.envelope_bytes
    ):
        direct.publish(settings.topic_timing, session, message)
    database.close()
    if direct.refused:
        raise RuntimeError(f"{direct.refused[0]} and others were refused")


def store_others(project: str, documents: Mapping[str, Document], expected: int) -> None:
    """Documents that are no session's, as a backfill stores them."""
    database = Database(project)
    written = store(database, documents)
    database.close()
    if written != expected:
        raise RuntimeError(f"{written} documents were written, not {expected}")


def per_second(documents: int, work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return documents / (time.perf_counter() - began)


def measure(rounds: int) -> dict[str, Any]:
    """Documents a second, by how they are stored."""
    session, fields = api.race()
    fields = {path: of for path, of in fields.items() if "/towers/" not in path}
    documents = {path: from_fields(path, of) for path, of in fields.items()}
    best: dict[str, float] = {}
    for number in range(rounds):
        project = f"history-{os.getpid()}-{number}"
        settings = Settings(project=project)
        for name, work in {
            "set": lambda: set_each(f"{project}-set", fields),  # noqa: B023 (called in this round)
            "session": lambda: store_session(settings, session, fields),  # noqa: B023
            "store": lambda: store_others(f"{project}-store", documents, len(documents)),  # noqa: B023
            "storeAgain": lambda: store_others(f"{project}-store", documents, 0),  # noqa: B023
        }.items():
            best[name] = max(best.get(name, 0.0), per_second(len(documents), work))
    for name, found in best.items():
        print(f"{name:<18} {found:>8.0f} documents a second")
    return {
        "documents": len(documents),
        "perSecond": {name: round(found) for name, found in best.items()},
        "timesSet": {name: round(found / best["set"], 1) for name, found in best.items() if name != "set"},
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default 3)")
    options = parser.parse_args()
    with Processes() as processes:
        emulator = start_firestore(processes, Programs.find(), RULES)
        with environment(emulator.env):
            stored = measure(options.rounds)
    result("history", stored=stored, telemetry=telemetry.of_race(rounds=options.rounds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
