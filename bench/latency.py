"""`python -m bench.latency`: how long after its arrival a message is on a viewer's screen, at the feed's own pace.

Ten minutes of a simulated race at speed 1 through the whole local stack: from each message's arrival in the poller to
the first listener callback whose version covers it. By far the most of it is the wait for the end of the second in
which the tower is published at most once. Emulators and functions share this machine: run it while nothing else does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import recorded, result
from local.replay import Replay
from local.simulator import for_minutes

LIMIT_MS = 1_500


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="of racing, in real time (default 10)")
    parser.add_argument("--recording", type=Path, help="play this instead, to its end")
    options = parser.parse_args()
    with recorded(options.recording, lambda: for_minutes(options.minutes)) as (_, path):
        report = Replay(path, 1.0).run()
    names = ("latencyMs", "latencyPartsMs", "tower", "messages", "durationS")
    result("latency", limitMs=LIMIT_MS, **{name: report[name] for name in names})
    p99 = report["latencyMs"]["p99"]
    return 0 if p99 is not None and p99 < LIMIT_MS else 1


if __name__ == "__main__":
    raise SystemExit(main())
