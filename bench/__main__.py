"""`python -m bench`: the benchmarks that take minutes, one after the other; each closes with a line of JSON.

What takes longer (`bench.latency`, `bench.chaos`, `bench.soak`) is run by its name, or by `make soak`.
"""

from __future__ import annotations

import subprocess
import sys

from bench import without_options

QUICK = ("accuracy", "speed", "push", "api", "coldstart", "history", "detect")


def main() -> int:
    without_options("bench", __doc__)
    failed = 0
    for name in QUICK:
        print(f"\n== bench.{name}", flush=True)
        failed |= subprocess.call([sys.executable, "-m", f"bench.{name}"])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
