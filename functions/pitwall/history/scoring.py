"""How each season's results became championship points: a declared table, read by `standings`. Pure.

Which results count, and what was decided about whom: the FIA's rules as Wikipedia's "List of Formula One World
Championship points scoring systems" and its page of each season tell them, checked against Ergast's standings after
every round of 1950-2023 (docs/standings.md). What a place is worth is not here: results come with their points.

A season that no table names counts every result of every car: so it is since 1991, and so it is taken to stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from msgspec import Struct

Championship = Literal["drivers", "constructors"]

FIRST_CONSTRUCTORS: Final = 1958
"""Season of the first constructors' championship."""


class Part(NamedTuple):
    """A part of a season, of which the best results count. last_round: None: to the end. best: how many; None: all."""

    last_round: int | None
    best: int | None


WHOLE: Final = (Part(None, None),)


class Scoring(Struct, frozen=True, kw_only=True):
    """What counts in a season.

    drivers, constructors: parts in order, of which the best results count; of constructors none before there was a
    championship. best_car: a constructor scores with its best car of a race only. constructor_points: hundredths of a
    point by place, from the first, where a constructor's were not its driver's. not_for_constructors: rounds.
    """

    drivers: tuple[Part, ...] = WHOLE
    constructors: tuple[Part, ...] = WHOLE
    best_car: bool = False
    constructor_points: tuple[int, ...] | None = None
    not_for_constructors: frozenset[int] = frozenset()


class Deduction(NamedTuple):
    """Points taken from a constructor. points: hundredths. round: after which they are missing."""

    year: int
    round: int
    constructor: str
    points: int


class NewEntry(NamedTuple):
    """A constructor that went on as a new entry, with nothing of what it had. round: its first."""

    year: int
    round: int
    constructor: str


class Exclusion(NamedTuple):
    """Who was taken out of a championship, and is listed last. round: after which first. text: stands for the place."""

    year: int
    round: int
    championship: Championship
    id: str
    text: str


_BEST: Final[Mapping[int, int]] = {
    **dict.fromkeys(range(1950, 1954), 4),
    **dict.fromkeys(range(1954, 1958), 5),
    **dict.fromkeys((1958, 1960, 1963, 1964, 1965), 6),
    **dict.fromkeys((1959, 1961, 1962, 1966), 5),
    **dict.fromkeys(range(1981, 1991), 11),
}
"""How many results counted in a season. Of two cars that one driver shared in a race each is a result."""

_HALVES: Final[Mapping[int, tuple[Part, Part]]] = {
    1967: (Part(6, 5), Part(None, 4)),
    1968: (Part(6, 5), Part(None, 5)),
    1969: (Part(6, 5), Part(None, 4)),
    1970: (Part(7, 6), Part(None, 5)),
    1971: (Part(6, 5), Part(None, 4)),
    1972: (Part(6, 5), Part(None, 5)),
    1973: (Part(8, 7), Part(None, 6)),
    1974: (Part(8, 7), Part(None, 6)),
    1975: (Part(7, 6), Part(None, 6)),
    1976: (Part(8, 7), Part(None, 7)),
    1977: (Part(9, 8), Part(None, 7)),
    1978: (Part(8, 7), Part(None, 7)),
    1979: (Part(7, 4), Part(None, 4)),
    1980: (Part(7, 5), Part(None, 5)),
}
"""Seasons of two halves, each with a number of results that counted."""

_LAST_OF_BEST_CAR: Final = 1978
"""To this season a constructor scored with its best car, and dropped results as drivers did."""

_CONSTRUCTOR_POINTS: Final[Mapping[int, tuple[int, ...]]] = {
    1958: (800, 600, 400, 300, 200),
    1959: (800, 600, 400, 300, 200),
    1960: (800, 600, 400, 300, 200, 100),
    1961: (800, 600, 400, 300, 200, 100),
}
"""No point for the fastest lap (1958, 1959), and eight for a win when drivers had nine (1961)."""

_INDIANAPOLIS: Final[Mapping[int, int]] = {1958: 4, 1959: 2, 1960: 3}
"""The rounds that counted for drivers only."""

DEDUCTIONS: Final = (
    Deduction(2007, 11, "mclaren", 1500),  # no points in Hungary, for what happened in qualifying
    Deduction(2020, 5, "racing_point", 1500),  # brake ducts; decided on 7 August, before that round
)

NEW_ENTRIES: Final = (NewEntry(2018, 13, "force_india"),)
"""Racing Point took over Force India's place on the grid, not its points. Ergast has one constructor for both."""

EXCLUSIONS: Final = (
    Exclusion(1997, 17, "drivers", "michael_schumacher", "D"),  # decided on 11 November, after the last race
    Exclusion(2007, 1, "constructors", "mclaren", "E"),  # decided on 13 September, of the whole season
)


def scoring(year: int) -> Scoring:
    """The rules of a season; those of the latest for one that is not in the tables."""
    parts: tuple[Part, ...] = _HALVES.get(year) or (Part(None, _BEST.get(year)),)
    if year < FIRST_CONSTRUCTORS:
        return Scoring(drivers=parts, constructors=())
    if year > _LAST_OF_BEST_CAR:
        return Scoring(drivers=parts)
    return Scoring(
        drivers=parts,
        constructors=parts,
        best_car=True,
        constructor_points=_CONSTRUCTOR_POINTS.get(year),
        not_for_constructors=frozenset({_INDIANAPOLIS[year]} if year in _INDIANAPOLIS else ()),
    )
