"""A few messages of kart timing, written by hand: invented karts, real habits."""

from __future__ import annotations

from typing import Any

from pitwall.documents.base import Document
from pitwall.karting import vocabulary
from pitwall.karting.projection import project
from pitwall.karting.records import Kart
from pitwall.karting.state import KartState
from pitwall.timing import change
from pitwall.timing.change import Change

START = 1_893_500_000_000
"""Instant 0 of every script, ms: 1 January 2030, 12:13 UTC."""
RACE = {"Title": "6H of Nowhere", "Name": "Race", "Type": "Race", "Fresh": True}


class Script:
    """Plays messages into a state; instants are seconds after `START`. Rows are `r<number>`."""

    def __init__(self, *numbers: str, counts: bool = True, info: dict[str, Any] | None = None, **line: Any) -> None:
        """numbers: of karts that are on the board and have not driven, unless `line` says more of all of them.

        counts: whether the board counts laps.
        """
        self.state = KartState("", "kart-nowhere")
        self.counts = counts
        self.tell(0, vocabulary.SESSION, info or RACE, snapshot=True)
        lines = {f"r{n}": {"Number": n, "Position": place, **line} for place, n in enumerate(numbers, start=1)}
        self.board(0, lines)
        self.tell(0, vocabulary.FLAG, {"Flag": "green"})

    def tell(self, at: float, topic: str, data: Any, snapshot: bool = False) -> set[Change]:
        """One message; returns what it changed."""
        return self.state.apply(vocabulary.message(topic, data, START + round(at * 1000), snapshot))

    def board(self, at: float, lines: dict[str, dict[str, Any]]) -> None:
        self.tell(at, vocabulary.GRID, {"Columns": [], "Lines": lines}, snapshot=True)

    def line(self, at: float, number: str = "7", **fields: Any) -> set[Change]:
        return self.tell(at, vocabulary.LINES, {f"r{number}": fields})

    def cross(self, at: float, number: str = "7", **fields: Any) -> set[Change]:
        return self.tell(at, vocabulary.CROSSING, {"Row": f"r{number}", **fields})

    def lap(self, at: float, time: int | None, number: str = "7", **fields: Any) -> None:
        """A lap that ends at `at`, as a board tells it: its cells, then the crossing. time None: not told again."""
        told = {"LastLapMs": time, "LastLapMark": None, **fields} if time is not None else fields
        if self.counts:
            told["Laps"] = self.kart(number).count + 1
        self.line(at, number, **told)
        self.cross(at, number)

    def pit(self, at: float, inside: bool, number: str = "7") -> None:
        self.tell(at, vocabulary.PIT, {"Row": f"r{number}", "In": inside})

    def kart(self, number: str = "7") -> Kart:
        return self.state.data.karts[f"r{number}"]

    def times(self, number: str = "7") -> dict[int, int | None]:
        """Lap times by lap, but of laps that were taken back."""
        return {n: lap.time for n, lap in sorted(self.kart(number).laps.items()) if not lap.taken_back}

    def document(self, what: str, key: str | int = "") -> Document:
        projected = project(self.state, Change(what, key))
        assert projected is not None
        return projected[1]

    def tower(self) -> dict[str, Any]:
        return self.document(change.TOWER).lines  # type: ignore[attr-defined, no-any-return]

    def driver(self, number: str = "7") -> Any:
        return self.document(change.DRIVER, number)

    def lap_document(self, lap: int, number: str = "7") -> Any:
        return self.document(change.LAP, lap).drivers[number]  # type: ignore[attr-defined]
