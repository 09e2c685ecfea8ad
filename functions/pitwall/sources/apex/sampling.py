"""Frames of Apex Timing as samples for `pitwall.karting.detection`, one for each layout of the board."""

from __future__ import annotations

from collections.abc import Iterable

from pitwall.karting import values
from pitwall.karting.detection.sample import Sample
from pitwall.sources.apex import grid, protocol
from pitwall.sources.apex.columns import TYPES, Declared


def samples(frames: Iterable[tuple[int, str]], declared: bool = True) -> list[Sample]:
    """The samples of frames (instant in ms, text), in order; what comes before the first board is left out.

    A board with the columns of the one before goes on with its sample. declared: False to read no declared types and
    no headers, as if the board had none; then every board is a layout of its own.
    """
    told: list[Sample] = []
    layout: list[Declared] | None = None
    for at, frame in frames:
        if told:
            told[-1].frame(at)
        for line in protocol.lines(frame, _ignore):
            if line.command == "grid" and (board := grid.board(line.value)) is not None:
                if not declared or board.columns != layout or not told:
                    layout = board.columns
                    told.append(Sample())
                    told[-1].frame(at)
                    for column in board.columns:
                        role = TYPES.get(column.type.strip().lower(), "")
                        told[-1].declare(column.key, *((role, column.header) if declared else ()))
                _board(told[-1], board, at)
            elif told:
                _line(told[-1], line, at)
    return told


def _board(sample: Sample, board: grid.Board, at: int) -> None:
    for row, of_row in board.rows.items():
        if (place := values.integer(of_row.place)) is not None:
            sample.place(at, row, place)
        for column, cell in of_row.cells.items():
            sample.cell(at, row, column, cell.text)


def _line(sample: Sample, line: protocol.Line, at: int) -> None:
    if line.command == "cell":
        sample.cell(at, line.row, line.column, grid.text(line.value))
    elif line.command == "row" and line.kind == "*":
        sample.crossing(at, line.row)
    elif line.command == "row" and line.kind == "#" and (place := values.integer(line.value)) is not None:
        sample.place(at, line.row, place)


def _ignore(_reason: str) -> None:
    """What cannot be read says nothing about fields."""
