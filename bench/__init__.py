"""Benchmarks and long proofs. Each prints what it found and closes with one line of JSON.

Speed and size are compared with a peer or a baseline in the same run, as ratios: a figure of one machine says little.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
"""Recordings and reference tables; not part of the project."""

if str(ROOT / "functions") not in sys.path:
    sys.path.insert(0, str(ROOT / "functions"))

MISSING = 2


def result(name: str, **figures: Any) -> None:
    """The closing line."""
    print(orjson.dumps({"bench": name, **figures}).decode(), flush=True)


def require(path: Path) -> Path:
    """The path, or an end with a clear word where the data is not there."""
    if not path.exists():
        print(f"{path} is not here: this benchmark needs the recordings beside the project", file=sys.stderr)
        raise SystemExit(MISSING)
    return path
