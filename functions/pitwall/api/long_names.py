"""The tower as people read it: `gapToLeaderMs` for `g`, `personal` for `p`.

Long names and values are those of the schema (`x-longName`, `x-longValues`), so there is one list of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pitwall.documents.live import TowerLine

_KEYS: dict[str, dict[str, Any]] = msgspec.json.schema(TowerLine)["$defs"]["TowerLine"]["properties"]
_NAMES: dict[str, str] = {short: key["x-longName"] for short, key in _KEYS.items()}
_VALUES: dict[str, dict[Any, str]] = {short: key.get("x-longValues", {}) for short, key in _KEYS.items()}


def tower(fields: dict[str, Any]) -> dict[str, Any]:
    """A stored tower with long names. A key this version does not know stays as it is."""
    lines = fields.get("lines", {})
    return {**fields, "lines": {racing_number: _line(line) for racing_number, line in lines.items()}}


def _line(line: dict[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(key, key): _value(key, value) for key, value in line.items()}


def _value(key: str, value: Any) -> Any:
    spelled = _VALUES.get(key)
    return spelled.get(value, value) if spelled else value
