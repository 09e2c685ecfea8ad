"""`python -m bench.accuracy`: the laps PitWall stores beside tables that others have made of the same sessions.

A table is no truth: it was made with FastF1 from the same feed. Each difference is listed, by field; who is right and
why is written down in docs/accuracy.md. Exit code 1 if a lap is missing or one too many, or a lap time differs.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench import SHARED, require, result
from pitwall.sources.recording import open_recording
from pitwall.timing import stints
from pitwall.timing.records import Car, Lap
from pitwall.timing.state import SessionState

SESSIONS = {
    "2018-baku-race": "2018-baku-race",
    "2025-qatar-sprint": "2025-qatar-sprint.txt.gz",
    "2025-sao-paulo-sprint": "2025-sao-paulo-sprint.txt.gz",
}

Row = Mapping[str, str]


def _ms(text: str) -> int | None:
    return round(float(text) * 1000) if text else None


def _whole(text: str) -> int | None:
    return int(float(text)) if text else None


def _compound(car: Car, lap: Lap) -> str | None:
    return car.stints[lap.stint].compound if lap.stint is not None and lap.stint < len(car.stints) else None


class Compared(NamedTuple):
    """A field: its column in the table, how to read it, and how to read it from a stored lap."""

    column: str
    reference: Callable[[str], Any]
    stored: Callable[[Car, Lap], Any]


FIELDS = {
    "lapTimeMs": Compared("lap_time_s", _ms, lambda _, lap: lap.time),
    "sector1Ms": Compared("sector_1_s", _ms, lambda _, lap: lap.sectors[0]),
    "sector2Ms": Compared("sector_2_s", _ms, lambda _, lap: lap.sectors[1]),
    "sector3Ms": Compared("sector_3_s", _ms, lambda _, lap: lap.sectors[2]),
    "position": Compared("position", _whole, lambda _, lap: lap.position),
    "stint": Compared("stint", _whole, lambda _, lap: None if lap.stint is None else lap.stint + 1),
    "compound": Compared("compound", lambda text: text or None, _compound),
    "tyreAge": Compared("tyre_life", _whole, stints.age_at),
    "pitIn": Compared("pit_in", lambda text: text == "True", lambda _, lap: lap.pit_in),
    "pitOut": Compared("pit_out", lambda text: text == "True", lambda _, lap: lap.pit_out),
    "deleted": Compared("deleted", lambda text: text == "True", lambda _, lap: lap.deleted),
}


class Tally:
    """How one field compares over a session."""

    def __init__(self) -> None:
        self.equal = 0
        self.only_stored: list[tuple[str, int]] = []
        self.only_reference: list[tuple[str, int]] = []
        self.different: list[tuple[str, int, Any, Any]] = []

    def counts(self) -> dict[str, int]:
        return {
            "equal": self.equal,
            "different": len(self.different),
            "onlyPitWall": len(self.only_stored),
            "onlyReference": len(self.only_reference),
        }


def compare(recording: Path, table: Path) -> tuple[dict[str, Any], dict[str, Tally]]:
    """Plays a recording and compares; returns the counts, and each field's differences."""
    source = open_recording(recording)
    state = SessionState(source.session)
    for message in source.messages():
        state.apply(message)
    state.finish()
    with table.open() as stream:
        rows: dict[tuple[str, int], Row] = {(row["driver"], int(row["lap"])): row for row in csv.DictReader(stream)}
    stored = {(car.number, n): (car, car.laps[n]) for car in state.data.cars.values() for n in car.told}
    tallies: dict[str, Tally] = defaultdict(Tally)
    for key in sorted(rows.keys() & stored.keys()):
        car, lap = stored[key]
        for name, field in FIELDS.items():
            if field.column not in rows[key]:
                continue
            theirs, ours = field.reference(rows[key][field.column]), field.stored(car, lap)
            tally = tallies[name]
            if theirs == ours:
                tally.equal += 1
            elif theirs is None:
                tally.only_stored.append(key)
            elif ours is None:
                tally.only_reference.append(key)
            else:
                tally.different.append((*key, theirs, ours))
    summary = {
        "laps": len(stored),
        "missing": sorted(rows.keys() - stored.keys()),
        "extra": sorted(stored.keys() - rows.keys()),
        "fields": {name: tally.counts() for name, tally in tallies.items()},
    }
    return summary, tallies


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recordings", type=Path, default=SHARED / "recordings" / "f1")
    parser.add_argument("--tables", type=Path, default=SHARED / "reference" / "laps")
    parser.add_argument("--all", action="store_true", help="list every difference, not the first ten of each field")
    options = parser.parse_args()
    figures, wrong = {}, 0
    for name, recording in SESSIONS.items():
        table = require(options.tables / f"{name}.csv")
        summary, tallies = compare(require(options.recordings / recording), table)
        figures[name] = summary
        print(f"\n{name}: {summary['laps']} laps, {len(summary['missing'])} missing, {len(summary['extra'])} too many")
        print(f"  {'field':<10} {'equal':>6} {'differ':>7} {'only PitWall':>13} {'only reference':>15}")
        for field, tally in tallies.items():
            counts = tally.counts()
            print("  {:<10} {:>6} {:>7} {:>13} {:>15}".format(field, *counts.values()))
        for field, tally in tallies.items():
            for driver, lap, theirs, ours in tally.different[: None if options.all else 10]:
                print(f"    {field}: car {driver} lap {lap}: reference {theirs}, PitWall {ours}")
        late = [d for d in tallies["lapTimeMs"].different if d[1] > 1]
        wrong += len(summary["missing"]) + len(summary["extra"]) + len(late) + len(tallies["lapTimeMs"].only_reference)
    result("accuracy", lapsMissingExtraOrMistimed=wrong, sessions=figures)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
