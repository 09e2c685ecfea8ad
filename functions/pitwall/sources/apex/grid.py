"""Reads the board (`grid||<tbody>...`): its columns, and the cells of every row.

The first row is the header, its cells `data-id="c5" data-type="llp"`. A row is `data-id="r24089" data-pos="1"`, its
cells `data-id="r24089c5"`; the cells of position and number carry the id on an element inside them.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from pitwall.sources.apex.columns import Declared

_ROW: Final = re.compile(r"r\d{1,12}", re.ASCII)
_CELL: Final = re.compile(r"(r\d{1,12})(c\d{1,4})", re.ASCII)
_COLUMN: Final = re.compile(r"c\d{1,4}", re.ASCII)
HEADER: Final = "r0"


class Cell(NamedTuple):
    """A cell: its CSS class and its text."""

    kind: str
    text: str


class Row(NamedTuple):
    """A row: where it stands on the board, and its cells by column."""

    place: str
    cells: dict[str, Cell]


class Board(NamedTuple):
    """A grid as it came, rows in the board's order by their ids."""

    columns: list[Declared]
    rows: dict[str, Row]


class Said(NamedTuple):
    """One paragraph of race control's messages."""

    time: str
    flag: str
    number: str
    text: str


def board(html: str) -> Board | None:
    """The board; None if there is no header in it, which is no grid."""
    tree = _tree(f"<table>{html}</table>")
    declared: list[Declared] = []
    rows: dict[str, Row] = {}
    for row in tree.css("tr") if tree is not None else ():
        name = _attribute(row, "data-id")
        if name == HEADER or "head" in _attribute(row, "class").split():
            declared = [
                Declared(key, _attribute(cell, "data-type"), _text(cell))
                for cell in row.css("[data-id]")
                if _COLUMN.fullmatch(key := _attribute(cell, "data-id"))
            ]
        elif _ROW.fullmatch(name):
            cells = {
                match[2]: Cell(_attribute(cell, "class"), _text(cell))
                for cell in row.css("[data-id]")
                if (match := _CELL.fullmatch(_attribute(cell, "data-id"))) is not None and match[1] == name
            }
            rows[name] = Row(_attribute(row, "data-pos"), cells)
    return Board(declared, rows) if declared else None


def said(html: str) -> list[Said]:
    """The messages of race control (`com||<p><b>10:58</b><span data-flag="chequered"></span>...`), as they stand."""
    tree = _tree(html)
    told = []
    for paragraph in tree.css("p") if tree is not None else ():
        time = _text(paragraph.css_first("b"))
        flag = _attribute(paragraph.css_first("[data-flag]"), "data-flag")
        number = _text(paragraph.css_first(".com_no"))
        for part in paragraph.css("b, .com_no"):
            part.decompose()
        text = _text(paragraph)
        if text or flag:
            told.append(Said(time, flag, number, text))
    return told


def text(html: str) -> str:
    """What a value says without its markup: the values of cells have some now and then."""
    if "<" not in html and "&" not in html:
        return " ".join(html.split())
    tree = _tree(html)
    return _text(tree.body) if tree is not None else ""


def _tree(html: str) -> LexborHTMLParser | None:
    try:
        return LexborHTMLParser(html.encode("utf-8", "replace"))
    except (SelectolaxError, ValueError):
        return None


def _attribute(node: LexborNode | None, name: str) -> str:
    return (node.attributes.get(name) or "").strip() if node is not None else ""


def _text(node: LexborNode | None) -> str:
    return " ".join(node.text().split()) if node is not None else ""
