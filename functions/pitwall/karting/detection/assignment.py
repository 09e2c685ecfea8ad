"""Gives each row at most one column so that the sum of the scores is the highest (the Hungarian method)."""

from __future__ import annotations

from collections.abc import Sequence


def assign(scores: Sequence[Sequence[float]]) -> list[int | None]:
    """The column of each row; None for a row that no column has a score above zero for. Exact, of cubic time.

    scores: rows of the same length, each 0 or more.
    """
    rows = len(scores)
    columns = len(scores[0]) if rows else 0
    # A column of its own for each row, worth nothing, stands for none.
    costs = [[-score for score in row] + [0.0] * rows for row in scores]
    width = columns + rows
    row_price, column_price = [0.0] * (rows + 1), [0.0] * (width + 1)
    row_of = [0] * (width + 1)  # 1-based; 0 is none
    for row in range(1, rows + 1):
        _augment(costs, row, row_of, row_price, column_price)
    told: list[int | None] = [None] * rows
    for column in range(1, columns + 1):
        if (row := row_of[column]) and scores[row - 1][column - 1] > 0:
            told[row - 1] = column - 1
    return told


def _augment(
    costs: Sequence[Sequence[float]], row: int, row_of: list[int], row_price: list[float], column_price: list[float]
) -> None:
    """Takes one more row in along the shortest augmenting path."""
    width = len(row_of) - 1
    least, way = [float("inf")] * (width + 1), [0] * (width + 1)
    done = [False] * (width + 1)
    row_of[0], column = row, 0
    while row_of[column]:
        done[column] = True
        current, step, following = row_of[column], float("inf"), 0
        for other in range(1, width + 1):
            if done[other]:
                continue
            cost = costs[current - 1][other - 1] - row_price[current] - column_price[other]
            if cost < least[other]:
                least[other], way[other] = cost, column
            if least[other] < step:
                step, following = least[other], other
        for other in range(width + 1):
            if done[other]:
                row_price[row_of[other]] += step
                column_price[other] -= step
            else:
                least[other] -= step
        column = following
    while column:
        row_of[column] = row_of[way[column]]
        column = way[column]
