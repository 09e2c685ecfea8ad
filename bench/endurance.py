"""`python -m bench.endurance`: eight hours of a live feed, the pollers handing over every few minutes.

Eight races, one an hour, through the hub and the whole stack, the feed's time compressed: memory has to be flat after
the first hour, the log bounded, and every lap stored as the recordings tell it (`local.endurance`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import result
from local.endurance import Endurance, failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hours", type=float, default=8.0, help="of feed (default 8)")
    parser.add_argument("--speed", type=float, default=45.0, help="times real time (default 45)")
    parser.add_argument("--life", type=float, default=15.0, help="minutes of feed a poller lives (default 15)")
    parser.add_argument("--no-telemetry", action="store_true", help="leave out car data and positions")
    parser.add_argument("--logs", type=Path, help="folder in which to leave what the programs print")
    options = parser.parse_args()
    report = Endurance(
        options.hours,
        options.speed,
        life_minutes=options.life,
        telemetry=not options.no_telemetry,
        logs=options.logs,
        on_progress=lambda line: print(line, flush=True),
    ).run()
    wrong = failures(report)
    for line in wrong:
        print(f"  {line}", flush=True)
    result("endurance", failures=len(wrong), **{**report, "differences": len(report["differences"])})
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
