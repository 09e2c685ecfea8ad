"""How many lines of each package the tests reach, against its floor: `make test` fails below one."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from coverage import Coverage

ROOT = Path("functions/pitwall").resolve()
FLOORS = {"api": 80, "sources": 75, "timing": 100}
"""Per cent of lines."""
OTHERS = 85
"""The floor of the services and what they share: pipeline, history, documents and the modules beside them."""


def main() -> int:
    """Prints a line for each package; returns 1 where one is below its floor."""
    measured = Coverage()
    measured.load()
    lines: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for name in measured.get_data().measured_files():
        path = Path(name)
        if not path.is_relative_to(ROOT) or not path.exists():
            continue
        _, statements, _, missing, _ = measured.analysis2(name)
        package = path.relative_to(ROOT).parts[0] if path.parent != ROOT else "pitwall"
        lines[package] += len(statements)
        missed[package] += len(missing)
    low = FLOORS.keys() - lines.keys()
    print(f"{'package':<12}{'lines':>8}{'missed':>8}{'reached':>10}{'floor':>8}")
    for package in sorted(lines):
        floor, reached = FLOORS.get(package, OTHERS), lines[package] - missed[package]
        below = 100 * reached < floor * lines[package]
        low |= {package} if below else set()
        share = 100 * reached / (lines[package] or 1)
        tail = "  below" if below else ""
        print(f"{package:<12}{lines[package]:>8}{missed[package]:>8}{share:>8.1f} %{floor:>6} %{tail}")
    if low:
        print(f"too few lines are tested: {', '.join(sorted(low))}", file=sys.stderr)
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())
