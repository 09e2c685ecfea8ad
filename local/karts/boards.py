"""The board as it is now, for those who come late: what a relay keeps of what it has passed on."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import deque
from typing import Final

from local.hub.playing import FeedRecord
from local.karts.programme import END

_KEPT: Final = 5_000
"""Frames that a client which polls may ask for again; who has missed more begins anew."""


class Board(ABC):
    """What has been played, as a board."""

    @abstractmethod
    def apply(self, record: FeedRecord) -> None:
        """Merges one message."""

    @abstractmethod
    def whole(self, offset: int, /) -> str:
        """The board at that feed time (ms), as the protocol has it; empty before anything is known."""


_COMMAND: Final = re.compile(r"(init|title\d|track|gmt|dyn\d|light|grid|css|com|msg|wth\d|best|effects|comments)\|")
_CELL: Final = re.compile(r"(r\d+c\d+)\|([^|]*)\|(.*)", re.DOTALL)
_PLACE: Final = re.compile(r"(r\d+)\|#\|(\d+)")
_ROW: Final = re.compile(r'<tr\b[^>]*\bdata-id="(r\d+)"[^>]*>.*?</tr>', re.DOTALL)
_POSITION: Final = re.compile(r'\bdata-pos="(\d*)"')
_HOLDER: Final = re.compile(r'<(\w+)\b([^>]*\bdata-id="(r\d+c\d+)"[^>]*)>(.*?)</\1>', re.DOTALL)
_CLASS: Final = re.compile(r'\s*\bclass="[^"]*"')
_HEAD: Final = "r0"


class ApexBoard(Board):
    """Apex Timing's: one frame with everything, the grid as its cells are now and its rows in their order."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._clocks: dict[str, int] = {}
        """Feed time at which each clock was told."""
        self._cells: dict[str, tuple[str, str]] = {}
        self._places: dict[str, int] = {}
        self.recent: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        """Ordinal and text of the last frames that were played."""

    def apply(self, record: FeedRecord) -> None:
        if record.ordinal >= 0:
            self.recent.append((record.ordinal, record.text))
        for line in record.text.split("\n"):
            if (command := _COMMAND.match(line)) is not None:
                self._told(command[1], line, record.offset)
            elif (cell := _CELL.fullmatch(line)) is not None:
                self._cells[cell[1]] = cell[2], cell[3]
            elif (place := _PLACE.match(line)) is not None:
                self._places[place[1]] = int(place[2])

    def _told(self, command: str, line: str, offset: int) -> None:
        if command == "init":
            self._lines.clear()
            self._clocks.clear()
        if command == "grid":
            self._cells.clear()
            self._places.clear()
        if command.startswith("dyn"):
            self._clocks[command] = offset
        self._lines[f"css|{line.split('|')[1]}" if command == "css" else command] = line

    def whole(self, offset: int, /) -> str:
        if "grid" not in self._lines:
            return ""
        lines = {**self._lines, "grid": self._grid()}
        for command, since in self._clocks.items():
            lines[command] = _run_on(lines[command], max(offset - since, 0))
        return "".join(f"{line}\n" for line in lines.values())

    def _grid(self) -> str:
        command, kind, html = self._lines["grid"].split("|", 2)
        html = _HOLDER.sub(self._cell, html)
        rows = {match[1]: match[0] for match in _ROW.finditer(html)}
        told = "".join(rows.values())
        if not rows or told not in html:
            return f"{command}|{kind}|{html}"
        placed = {row: self._placed(row, text) for row, text in rows.items()}
        order = sorted(placed, key=lambda row: (row != _HEAD, _position(placed[row])))
        return f"{command}|{kind}|{html.replace(told, ''.join(placed[row] for row in order))}"

    def _cell(self, match: re.Match[str]) -> str:
        now = self._cells.get(match[3])
        if now is None:
            return match[0]
        return f'<{match[1]}{_CLASS.sub("", match[2])} class="{now[0]}">{now[1]}</{match[1]}>'

    def _placed(self, row: str, text: str) -> str:
        place = self._places.get(row)
        return text if place is None else _POSITION.sub(f'data-pos="{place}"', text, count=1)


def _position(row: str) -> int:
    told = _POSITION.search(row)
    return int(told[1] or 0) if told is not None else 0


def _run_on(line: str, passed_ms: int) -> str:
    """A clock's line, so long after it was told."""
    command, kind, value = line.split("|", 2)
    if not value.strip().isdecimal():
        return line
    match kind:
        case "countdown":
            return f"{command}|{kind}|{max(int(value) - passed_ms, 0)}"
        case "count":
            return f"{command}|{kind}|{int(value) + passed_ms}"
    return line


_TAGS: Final = "A|B|C|COMP|COR|E|F|G|H|I|J|L|RMS|RMHL|RMLT|RMCA|RMDTL|T|SP|SR"
_BEGINS: Final = re.compile(rf"(?=\$(?:{_TAGS}),)")
_TAG: Final = re.compile(rf"\$({_TAGS}),")
_KEYED: Final = {"A": 0, "COMP": 0, "C": 0, "E": 0, "G": 1, "H": 1}
"""Records of which the last of each registration (or class, or setting) counts, and the field that says whose it is."""
_ORDER: Final = ("I", "B", "C", "E", "A", "COMP", "G", "H", "RMS", "F")
_OF_A_RUN: Final = ("A", "COMP", "C", "G", "H")


class LineBoard(Board):
    """RMonitor's and Race Monitor's: the last record of each kind and registration."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, str]] = {}

    def apply(self, record: FeedRecord) -> None:
        for line in record.text.split(END):
            for told in _BEGINS.split(line):
                if (tag := _TAG.match(told)) is not None:
                    self._told(tag[1], told)

    def _told(self, tag: str, line: str) -> None:
        fields = [field.strip().strip('"') for field in line.split(",")[1:]]
        if tag == "I":
            self._records = {kept: self._records[kept] for kept in ("RMS",) if kept in self._records}
        elif tag == "B" and (before := self._records.get("B")) and before[""].split(",")[1] != line.split(",")[1]:
            for of_a_run in _OF_A_RUN:
                self._records.pop(of_a_run, None)
        if tag in _KEYED:
            if len(fields) > _KEYED[tag]:
                self._records.setdefault(tag, {})[fields[_KEYED[tag]]] = line
        elif tag in _ORDER:
            self._records[tag] = {"": line}

    def whole(self, _offset: int, /) -> str:
        return "".join(line + END for tag in _ORDER for line in self._records.get(tag, {}).values())
