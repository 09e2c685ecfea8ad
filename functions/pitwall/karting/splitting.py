"""Splits frames of feeds nobody wrote a source for into rows of named texts: JSON, lines, key-value pairs, HTML tables.

Total: what is none of the kind gives no rows. What the texts mean is `description`'s business.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson
from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from pitwall.karting.description import Description, Kind

ROW_NAME: Final = "@key"
"""The field for the name of a row that stands outside it: the key of a map, the id of a table's row."""
EVERY: Final = "*"
LONGEST_FRAME: Final = 2_000_000
LONGEST_LINE: Final = 20_000
MOST_ROWS: Final = 1_000
MOST_FIELDS: Final = 64
_DEEPEST: Final = 3

Row = dict[str, str]


class Layout(NamedTuple):
    """Where the rows of a frame are; as in `Description`."""

    kind: Kind
    path: tuple[str, ...] = ()
    separator: str = ""
    assign: str = ""


def layout_of(description: Description) -> Layout:
    return Layout(description.kind, tuple(description.rows), description.separator, description.assign)


def rows(text: str, layout: Layout) -> list[Row]:
    """The rows of a frame, in order; at most `MOST_ROWS`, with at most `MOST_FIELDS` fields."""
    if len(text) > LONGEST_FRAME:
        return []
    # Halves of letters, which a capture may hold and nothing can be stored with.
    text = text.encode("utf-8", "replace").decode()
    if layout.kind == "json":
        told = [row for value in documents(text) for row in json_rows(value, layout.path)]
    elif layout.kind == "html-table":
        told = table(text).rows
    else:
        told = [
            row
            for line in lines(text)
            if (row := pairs(line, layout) if layout.kind == "key-value" else cells(line, layout.separator))
        ]
    return told[:MOST_ROWS]


def lines(text: str) -> Iterator[str]:
    return (line for line in text.replace("\r", "\n").split("\n") if line.strip() and len(line) <= LONGEST_LINE)


# -- JSON ----------------------------------------------------------------------------------


def documents(text: str) -> list[Any]:
    """The JSON of a frame: one value, or one a line. Numbers alone are none."""
    whole = _loads(text)
    if whole is not None:
        return [whole]
    return [value for line in lines(text) if (value := _loads(line)) is not None]


def _loads(text: str) -> Any:
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def json_rows(value: Any, path: Sequence[str]) -> list[Row]:
    """The rows at a path: of a list each, of an object itself, behind `*` each of its values."""
    for index, part in enumerate(path):
        if not isinstance(value, dict):
            return []
        if part == EVERY and index == len(path) - 1:
            named = [(str(name), of) for name, of in value.items() if isinstance(of, dict)]
            return [{ROW_NAME: name, **flat(of)} for name, of in named[:MOST_ROWS]]
        value = value.get(part)
    told = value if isinstance(value, list) else [value]
    return [row for of in told[:MOST_ROWS] if isinstance(of, dict | list) and (row := flat(of))]


def flat(value: dict[str, Any] | list[Any]) -> Row:
    """Every number and text in it by its path, parts joined by points."""
    told: Row = {}
    _flatten(value, "", 0, told)
    return told


def _flatten(value: dict[str, Any] | list[Any], prefix: str, depth: int, told: Row) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, of in items:
        key = f"{prefix}{name}"
        if len(told) >= MOST_FIELDS:
            return
        if isinstance(of, dict | list):
            if depth < _DEEPEST:
                _flatten(of, f"{key}.", depth + 1, told)
        elif 0 < len(key) <= 120:
            told[key] = "" if of is None else str(of).lower() if isinstance(of, bool) else str(of)


# -- lines ---------------------------------------------------------------------------------


def cells(line: str, separator: str) -> Row:
    """The cells of a line by their number from 0, quoted or not; nothing where there is one only."""
    try:
        told = next(csv.reader([line], delimiter=separator[:1] or ",", skipinitialspace=True), [])
    except csv.Error:
        return {}
    return {str(index): cell.strip() for index, cell in enumerate(told[:MOST_FIELDS])} if len(told) > 1 else {}


def pairs(line: str, layout: Layout) -> Row:
    """The pairs of a line by their keys."""
    told: Row = {}
    for piece in line.split(layout.separator or " ")[:MOST_FIELDS]:
        key, found, value = piece.partition(layout.assign or "=")
        key = key.strip().strip('"')
        if found and 0 < len(key) <= 120:
            told[key] = value.strip().strip('"')
    return told


# -- tables --------------------------------------------------------------------------------


class Table(NamedTuple):
    """The tables of a page as one: headers by the number of their column, and the rows."""

    headers: Row
    rows: list[Row]


def table(html: str) -> Table:
    """Rows of `td`s; `th`s, or the row in `thead`, are the headers. A row with an id has it as `@key`."""
    headers: Row = {}
    told: list[Row] = []
    try:
        tree = LexborHTMLParser(html.encode("utf-8", "replace"))
        for node in tree.css("tr"):
            names, values = _texts(node, "th"), _texts(node, "td")
            if names and not values:
                headers = headers or names
            elif values and node.parent is not None and node.parent.tag == "thead":
                headers = headers or values
            elif len(values) > 1 and len(told) < MOST_ROWS:
                name = (node.attributes.get("data-id") or node.attributes.get("id") or "").strip()
                told.append({ROW_NAME: name, **values} if name else values)
    except (SelectolaxError, ValueError):
        return Table({}, [])
    return Table(headers, told)


def _texts(row: LexborNode, tag: str) -> Row:
    return {str(index): " ".join(cell.text().split()) for index, cell in enumerate(row.css(tag)[:MOST_FIELDS])}
