"""What a capture of Apex Timing itself says at the end of each of its sessions, read with regular expressions only.

Shares no code with `pitwall.sources.apex`: this is what its messages, laps and documents are held against.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_HEAD = re.compile(r'<td data-id="(c\d+)" data-type="([^"]*)"')
_ROW = re.compile(r'<tr data-id="(r\d+)" data-pos="(\d+)"')
_CELL = re.compile(r'data-id="(r\d+)(c\d+)" class="([^"]*)">([^<]*)')


@dataclass
class Board:
    """The board of one session, cells as text by declared type."""

    title: tuple[str, ...] = ()
    types: dict[str, str] = field(default_factory=dict)
    """Declared type by column."""
    cells: dict[tuple[str, str], str] = field(default_factory=dict)
    """Text by row and column."""
    places: dict[str, str] = field(default_factory=dict)
    """Of each row, from its `data-pos` and `#`."""
    counted: dict[str, list[str]] = field(default_factory=dict)
    """Of each row the last lap at the crossing after every rise of its cell of laps; on boards without one, every
    change of the last lap."""
    numbers: dict[str, str] = field(default_factory=dict)
    grids: int = 0
    layouts: int = 0

    def text(self, row: str, kind: str) -> str:
        column = next((column for column, declared in self.types.items() if declared == kind), None)
        return self.cells.get((row, column or ""), "").strip()

    @property
    def rows(self) -> list[str]:
        return list(self.places)

    def number(self, row: str) -> str:
        """Of the kart: a board may empty the cell at the end, and fill it late."""
        return self.numbers.get(row, "")

    def has(self, kind: str) -> bool:
        return kind in self.types.values()


def milliseconds(text: str) -> int | None:
    """A lap time on the board."""
    if not text:
        return None
    minutes, _, seconds = text.rpartition(":")
    return round((int(minutes or 0) * 60 + float(seconds)) * 1000)


def frames(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            told = json.loads(line)
            frame = told.get("msg", told.get("raw"))
            if frame is not None:
                yield frame


def boards(path: Path) -> list[Board]:
    """The boards of a capture as each session left them, in order; rows before the first grid are none of any."""
    told: list[Board] = []
    board: Board | None = None
    for frame in frames(path):
        lines = frame.split("\n")
        if any(line.startswith("init|") for line in lines):
            by_name = {line.split("|")[0]: line for line in lines}
            title = tuple(by_name.get(name, "") for name in ("init", "title1", "title2"))
            grid = by_name.get("grid", "")
            fresh = not any(value for _, _, _, value in _laps_in(grid))
            if board is None or board.title != title or (fresh and any(board.counted.values())):
                board = Board(title)
                told.append(board)
        if board is not None:
            for line in lines:
                _read(board, line)
    return told


def _laps_in(grid: str) -> list[tuple[str, str, str, str]]:
    """Cells of laps and lap times of a grid."""
    columns = {column for column, kind in _HEAD.findall(grid) if kind in ("tlp", "llp", "blp")}
    return [cell for cell in _CELL.findall(grid) if cell[1] in columns]


def _read(board: Board, line: str) -> None:
    if line.startswith("grid|"):
        types = dict(_HEAD.findall(line))
        board.layouts += types != board.types
        board.types = types
        board.grids += 1
        board.cells = {(row, column): text for row, column, _, text in _CELL.findall(line)}
        board.places = dict(_ROW.findall(line))
        for row in board.places:
            if text := board.text(row, "no"):
                board.numbers.setdefault(row, text)
        return
    parts = line.split("|")
    if len(parts) < 3 or (match := re.fullmatch(r"(r\d+)(c\d+)?", parts[0])) is None:
        return
    row, column = match[1], match[2]
    if column is None:
        if parts[1] == "#":
            board.places[row] = parts[2]
        elif parts[1] == "*" and board.has("tlp") and board.counted.get(row):
            board.counted[row][-1] = board.text(row, "llp")  # the cells may come in either order, the crossing is last
        return
    before = board.cells.get((row, column), "")
    board.cells[row, column] = parts[2]
    kind = board.types.get(column)
    if kind == "no" and parts[2]:
        board.numbers.setdefault(row, parts[2])
    laps = board.counted.setdefault(row, [])
    if kind == "tlp" and parts[2].isdigit() and int(parts[2]) > int(before or 0):
        laps.append(board.text(row, "llp"))
    elif kind == "llp" and not board.has("tlp") and parts[2] and parts[2] != before:
        laps.append(parts[2])
