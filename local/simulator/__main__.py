"""`python -m local.simulator`: writes a simulated race as a recording, and its truth if asked."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from local.simulator import FORMS, Race, for_minutes, quick_race, simulate, write_recording


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.simulator",
        description="Simulates a race and writes it in the messages of F1's live timing feed.",
    )
    parser.add_argument("--seed", type=int, default=1, help="same seed, same race (default 1)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="about how long the recording lasts (default: ten laps)")
    length.add_argument("--laps", type=int, help="a race of this many laps of about 80 s; 57 make a Grand Prix")
    parser.add_argument("--out", type=Path, required=True, help="file, gzipped if it ends in .gz, or folder")
    parser.add_argument(
        "--form",
        choices=FORMS,
        default="merged",
        help="merged: one file of archive lines; archive: F1's folder; live: a listener's capture",
    )
    parser.add_argument("--truth", type=Path, help="where to write what really happened, as JSON")
    parser.add_argument("--no-telemetry", action="store_true", help="leave out car data and positions")
    return parser


def _race(options: argparse.Namespace) -> Race:
    telemetry = not options.no_telemetry
    if options.laps is not None:
        return simulate(options.seed, options.laps, telemetry=telemetry)
    if options.minutes is not None:
        return for_minutes(options.minutes, options.seed, telemetry=telemetry)
    return quick_race(options.seed, telemetry=telemetry)


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        race = _race(options)
    except ValueError as error:
        parser.error(str(error))
    count = write_recording(race, options.out, options.form)
    if options.truth:
        options.truth.parent.mkdir(parents=True, exist_ok=True)
        options.truth.write_text(json.dumps(race.truth.to_json(), indent=1) + "\n", encoding="utf-8")
    minutes = (race.ends - race.opens) / 60_000
    print(f"{options.out}: {race.laps} laps, {minutes:.1f} minutes, {count} messages")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
