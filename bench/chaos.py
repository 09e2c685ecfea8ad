"""`python -m bench.chaos`: whatever goes wrong on the way, the same documents.

Plays a recording once as it is and then once for each seed with deliveries doubled, late and failing and the poller
killed twice; each export must be that of the clean run, but for `v`, `writtenAt` and `live/feed`, and no listener may
see a version fall.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import recorded, result
from local import export
from local.replay import Replay
from local.simulator import quick_race


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds (default 10)")
    parser.add_argument("--recording", type=Path, help="play this instead of a simulated race")
    options = parser.parse_args()
    wrong, killed = 0, 0
    with recorded(options.recording, quick_race) as (folder, path):
        Replay(path, export_to=folder / "clean").run()
        for seed in range(1, options.seeds + 1):
            report = Replay(path, chaos=seed, export_to=folder / str(seed)).run()
            differences = export.compare(folder / "clean" / export.FILE, folder / str(seed) / export.FILE)
            chaos = report["chaos"]
            killed += chaos["pollersKilled"]
            bad = len(differences) + len(report["fallenVersions"]) + report["deadLetters"]
            wrong += bad
            print(
                f"seed {seed}: {'the same' if not bad else f'{bad} differences'}, epochs {report['epochs']}, "
                f"{chaos['writer']['twice']} twice, {chaos['writer']['late']} late, "
                f"{chaos['writer']['reordered']} reordered, {report['durationS']} s",
                flush=True,
            )
            for difference in differences[:5]:
                print(f"  {difference}")
    result("chaos", seeds=options.seeds, differences=wrong, pollersKilled=killed)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
