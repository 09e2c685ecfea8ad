"""`python -m bench.soak`: the long proofs.

Eight hours of a live feed, ten seeds of chaos, ten minutes in real time, every recording to its end, and the tests
that play more sessions than `make test` has time for.
"""

from __future__ import annotations

import subprocess
import sys

from bench import SHARED, without_options

PROOFS = (["bench.endurance"], ["bench.chaos"], ["bench.latency"], ["pytest", "-m", "long"])


def main() -> int:
    without_options("bench.soak", __doc__)
    failed = 0
    commands = [*PROOFS]
    recordings = SHARED / "recordings" / "f1"
    if recordings.is_dir():
        commands += [["local", "replay", str(path)] for path in sorted(recordings.iterdir())]
    for command in commands:
        print(f"\n== {' '.join(command)}", flush=True)
        failed |= subprocess.call([sys.executable, "-m", *command])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
