"""Reads what is written in infra/ as it stands, without Terraform: maps with literal keys, blocks and their names."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"

FILES = sorted(path for path in INFRA.rglob("*.tf") if ".terraform" not in path.parts)
"""Every Terraform file of ours."""


@cache
def parsed(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as stream:
        return hcl2.load(stream)


def local(file: str, name: str) -> Any:
    """The value of a local in a file of infra/, texts in quotes as in the file."""
    [value] = [block[name] for block in parsed(INFRA / file)["locals"] if name in block]
    return value


def text(value: str) -> str:
    """The text that is written in quotes, its inner quotes without their backslashes."""
    assert value.startswith('"'), f"{value} is no literal text"
    assert value.endswith('"'), f"{value} is no literal text"
    return value[1:-1].replace('\\"', '"')


def blocks(kind: str) -> list[tuple[Path, tuple[str, ...], dict[str, Any]]]:
    """File, names and body of each block of a kind: `resource`, `data`, `variable`, `output`, `module`."""
    found = []
    for path in FILES:
        for block in parsed(path).get(kind, []):
            names: tuple[str, ...] = ()
            while len(block) == 1:
                [(name, block)] = block.items()
                names = (*names, name.strip('"'))
            found.append((path, names, block))
    return found
