"""Benchmarks and long proofs. Each prints what it found and closes with one line of JSON.

Speed and size are compared with a peer or a baseline in the same run, as ratios: a figure of one machine says little.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from local.simulator import Race

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
"""Recordings and reference tables; not part of the project."""

if str(ROOT / "functions") not in sys.path:
    sys.path.insert(0, str(ROOT / "functions"))

MISSING = 2


def result(name: str, **figures: Any) -> None:
    """The closing line."""
    print(orjson.dumps({"bench": name, **figures}).decode(), flush=True)


def without_options(program: str, about: str | None) -> None:
    """Reads the words of a program that takes none but `--help`."""
    argparse.ArgumentParser(prog=f"python -m {program}", description=(about or "").split("\n")[0]).parse_args()


def require(path: Path) -> Path:
    """The path, or an end with a clear word where the data is not there."""
    if not path.exists():
        print(f"{path} is not here: this benchmark needs the recordings beside the project", file=sys.stderr)
        raise SystemExit(MISSING)
    return path


@contextmanager
def recorded(given: Path | None, simulate: Callable[[], Race]) -> Iterator[tuple[Path, Path]]:
    """A folder for as long as the block lasts, and the recording to play: the given one, else a simulated one in it."""
    from local.simulator import write_recording

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = given or folder / "race.txt.gz"
        if given is None:
            write_recording(simulate(), path)
        yield folder, path
