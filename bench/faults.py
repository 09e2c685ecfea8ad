"""`python -m bench.faults`: whatever goes wrong at the live feed, the same documents, or the loss is named.

Plays a recording through the hub and the whole stack once as it is, then once for each seed with a plan of faults:
connections dropped, silent, held back, refused, stalled, closed, frames cut and joined. What differs from the clean
run has to be told by the run's own `gaps/{n}` documents (`local.gaps`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import recorded, result
from local import export, gaps
from local.replay import Replay
from local.simulator import for_minutes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3], help="seeds of the plans (default 1 2 3)")
    parser.add_argument("--speed", type=float, default=20.0, help="times real time (default 20)")
    parser.add_argument("--recording", type=Path, help="play this instead of a simulated race of half an hour")
    options = parser.parse_args()
    unexplained = named = 0
    with recorded(options.recording, lambda: for_minutes(30)) as (folder, path):
        Replay(path, export_to=folder / "recorded").run()
        wanted = export.read(folder / "recorded" / export.FILE)
        for seed in [None, *options.seeds]:
            report = Replay(path, options.speed, live=True, faults=seed, export_to=folder / str(seed)).run()
            got = export.read(folder / str(seed) / export.FILE)
            differences = gaps.unexplained(wanted, got)
            lost = sum(len(laps) for gap in gaps.gaps_in(got) for laps in gap.laps.values())
            unexplained += len(differences) + len(report["fallenVersions"]) + report["deadLetters"]
            named += lost
            print(
                f"{'clean' if seed is None else f'plan {seed}'}: {len(gaps.gaps_in(got))} gaps, {lost} laps named, "
                f"{len(differences)} differences unexplained, {report['durationS']} s",
                flush=True,
            )
            for difference in differences[:10]:
                print(f"  {difference}", flush=True)
    result("faults", plans=len(options.seeds), unexplained=unexplained, lapsNamed=named)
    return 1 if unexplained else 0


if __name__ == "__main__":
    raise SystemExit(main())
