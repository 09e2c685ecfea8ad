"""Items as CSV (RFC 4180): a header, a row an item or a row a member, nested keys with dots.

The columns are those of the schema, so pages of a list can be put one under the other. Lists of maps and maps by number
are no columns: their members are rows, or they are left out. Lists of values are joined with spaces.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from pitwall.api.shapes import Schema
from pitwall.documents.encoding import rfc3339

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"
MEMBER = "racingNumber"
"""The column that names the member of a map by racing number."""

_FORMULA = re.compile(r"\s*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9:.]*")


def table(items: Iterable[dict[str, Any]], schema: Schema, rows: str = "") -> bytes:
    """The items as CSV. rows: the map or list whose members are a row each, with what their item has beside it."""
    columns, members = dict.fromkeys(_columns(schema)), schema["properties"].get(rows)
    if members is not None:
        by_number = members.get("additionalProperties")
        columns |= {**({MEMBER: None} if by_number else {}), **dict.fromkeys(_columns(by_number or members["items"]))}
        items = _members(items, rows)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(item, column) for column in columns] for item in items)
    return text.getvalue().encode()


def _columns(schema: Schema, prefix: str = "") -> Iterator[str]:
    for key, inner in schema["properties"].items():
        if "properties" in inner:
            yield from _columns(inner, f"{prefix}{key}.")
        elif "additionalProperties" not in inner and "properties" not in inner.get("items", ()):
            yield prefix + key


def _members(items: Iterable[dict[str, Any]], rows: str) -> Iterator[dict[str, Any]]:
    for item in items:
        members = item.get(rows, ())
        if isinstance(members, dict):
            yield from ({**item, MEMBER: number, **members[number]} for number in sorted(members, key=by_number))
        else:
            yield from ({**item, **member} for member in members)


def by_number(racing_number: str) -> tuple[int, str]:
    """To order racing numbers by: 7, 7A, 012, 100, X1."""
    digits = re.match(r"[0-9]{1,9}", racing_number)
    return int(digits.group()) if digits else 10**9, racing_number


def _cell(item: dict[str, Any], column: str) -> str:
    value: Any = item
    for key in column.split("."):
        value = value.get(key)
        if value is None:
            return ""
    return _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, int | float):
        return str(value)
    text = " ".join(map(_text, value)) if isinstance(value, list) else str(value)
    return "'" + text if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
