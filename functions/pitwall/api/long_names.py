"""The tower as people read it: `gapToLeaderMs` for `g`, `personal` for `p`.

Long names and values are those of the schema (`x-longName`, `x-longValues`), so there is one list of them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from pitwall.documents.live import TowerLine


def tower(fields: dict[str, Any]) -> dict[str, Any]:
    """A stored tower with long names. A key this version does not know stays as it is."""
    lines = fields.get("lines", {})
    keys = _keys()
    return {**fields, "lines": {racing_number: _line(line, keys) for racing_number, line in lines.items()}}


@cache
def _keys() -> dict[str, dict[str, Any]]:
    """What the schema says of each key of a line."""
    keys: dict[str, dict[str, Any]] = msgspec.json.schema(TowerLine)["$defs"]["TowerLine"]["properties"]
    return keys


def _line(line: dict[str, Any], keys: dict[str, dict[str, Any]]) -> dict[str, Any]:
    shown = {}
    for short, value in line.items():
        told = keys.get(short, {})
        spelled = told.get("x-longValues")
        shown[told.get("x-longName", short)] = spelled.get(value, value) if spelled else value
    return shown
