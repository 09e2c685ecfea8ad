"""Results of a season's rounds, and the championships' standings after each of them. Pure: no I/O, no clock.

Which points count is `scoring`'s to say. Equal points are decided by countback: most wins, most second places, and so
on; then, as in Ergast's, Jolpica's and F1's own tables, by the places at which those were listed who were not
classified. Who is still equal shares the place. The rules, and every difference from Ergast: docs/standings.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from msgspec import Struct

from pitwall.history.scoring import (
    DEDUCTIONS,
    EXCLUSIONS,
    NEW_ENTRIES,
    Championship,
    Exclusion,
    Part,
    Scoring,
    scoring,
)

STRUCK_OUT: Final = frozenset({"D", "E"})
"""Texts of a result that is no place: disqualified, excluded. Its points stay (Moss's fastest lap, France 1959)."""


class Result(Struct, frozen=True, kw_only=True):
    """One driver's result in one car of a race or sprint.

    A shared car has a result for each driver, a driver of two cars one for each. order: where it is listed, from 1.
    position: the classified place; None: not classified. position_text: as Ergast and Jolpica have it: the place, or R
    retired, N not classified, D disqualified, E excluded, F failed to qualify, W withdrawn. points: hundredths, as the
    source gives them (what was halved, shared, or for the fastest lap is in them). number: the car's, "" if not known.
    grid: from 1; 0: from the pit lane, or not known. status: in the source's words. fastest_lap_rank: 1 has the
    fastest lap; None: not known.
    """

    driver: str
    constructor: str
    order: int
    position: int | None
    position_text: str
    points: int
    number: str = ""
    grid: int = 0
    laps: int = 0
    status: str = ""
    fastest_lap_rank: int | None = None


class Round(Struct, frozen=True, kw_only=True):
    """What came of one round.

    results: in the source's order. sprint: empty if it had none. qualifying: places by driver, empty if not known.
    laps_led: by driver; None: not known.
    """

    year: int
    number: int
    results: tuple[Result, ...]
    sprint: tuple[Result, ...] = ()
    qualifying: Mapping[str, int] = {}
    laps_led: Mapping[str, int] | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """Somebody's place in a championship.

    id: of the driver or constructor. position: shared by who is equal in everything. position_text: the place, D or E
    for who was excluded. points: hundredths, as the championship counted them. wins: races. constructors: whom the
    driver had results for, in order of the first; empty of a constructor.
    """

    id: str
    position: int
    position_text: str
    points: int
    wins: int
    constructors: tuple[str, ...] = ()


class Standings(Struct, frozen=True, kw_only=True):
    """The championships after a round, each in order of place, then of id. constructors: none before 1958."""

    year: int
    round: int
    drivers: tuple[Standing, ...]
    constructors: tuple[Standing, ...]


def hundredths(points: str) -> int:
    """Points as a source writes them ("25", "12.5", "3.33") in hundredths of a point.

    Raises ValueError if it is no number, or finer.
    """
    try:
        value = Decimal(points) * 100
        whole = int(value)
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise ValueError(f"no points: {points!r}") from error
    if whole != value:
        raise ValueError(f"finer than hundredths of a point: {points!r}")
    return whole


def standings(rounds: Iterable[Round]) -> list[Standings]:
    """The standings after each round of one season, in order.

    rounds: in any order; a round without results (not held yet) is left out. Raises ValueError if they are of several
    seasons, or one is there twice.
    """
    held = sorted((one for one in rounds if one.results), key=lambda one: one.number)
    if len({one.year for one in held}) > 1 or len({one.number for one in held}) < len(held):
        raise ValueError("rounds of several seasons, or one round twice")
    if not held:
        return []
    rules = scoring(held[0].year)
    drivers, constructors = _Drivers(rules), _Constructors(rules)
    after = []
    for one in held:
        drivers.add(one)
        if rules.constructors:
            constructors.add(one)
        after.append(
            Standings(
                year=one.year,
                round=one.number,
                drivers=drivers.ranked(one.year, one.number),
                constructors=constructors.ranked(one.year, one.number),
            )
        )
    return after


class _Record:
    """What somebody has done so far. scores: round and hundredths of a point of each result that may count."""

    def __init__(self) -> None:
        self.scores: list[tuple[int, int]] = []
        self.deducted = 0
        self.places: list[int] = []
        self.listed: list[int] = []
        self.constructors: dict[str, None] = {}

    def points(self, parts: Sequence[Part]) -> int:
        """Hundredths of a point that count: the best results of each part of the season."""
        total, first = -self.deducted, 1
        for last, best in parts:
            scores = [points for number, points in self.scores if first <= number and (last is None or number <= last)]
            total += sum(scores if best is None else sorted(scores, reverse=True)[:best])
            first = (last or 0) + 1
        return total

    def countback(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Less is better: how often each place was taken, classified and not."""
        return _counted(self.places), _counted(self.listed)


def _counted(places: Sequence[int]) -> tuple[int, ...]:
    """Minus the number of times each place was taken, from the first; ends above any that goes on."""
    counts = [0] * max(places, default=0)
    for place in places:
        counts[place - 1] -= 1
    return (*counts, 1)


class _Table:
    """The records of one championship."""

    def __init__(self, championship: Championship, parts: tuple[Part, ...]) -> None:
        self.records: dict[str, _Record] = {}
        self._championship = championship
        self._parts = parts

    def ranked(self, year: int, number: int) -> tuple[Standing, ...]:
        """The table after a round; those who were excluded by then come last."""
        excluded = {
            exclusion.id: exclusion
            for exclusion in EXCLUSIONS
            if exclusion.championship == self._championship and exclusion.year == year and number >= exclusion.round
        }
        points = {id_: record.points(self._parts) for id_, record in self.records.items()}
        keys = {id_: (id_ in excluded, -points[id_], record.countback()) for id_, record in self.records.items()}
        standing: list[Standing] = []
        for place, id_ in enumerate(sorted(keys, key=lambda id_: (keys[id_], id_)), 1):
            equal = bool(standing) and keys[standing[-1].id] == keys[id_]
            position = standing[-1].position if equal else place
            record, out = self.records[id_], excluded.get(id_)
            standing.append(
                Standing(
                    id=id_,
                    position=position,
                    position_text=_text(position, out),
                    points=points[id_],
                    wins=record.places.count(1),
                    constructors=tuple(record.constructors),
                )
            )
        return tuple(standing)

    def _note(self, id_: str, results: Iterable[Result]) -> _Record:
        """Puts down the places of a race; a record begins with the first result, whatever it is."""
        record = self.records.setdefault(id_, _Record())
        for result in results:
            if result.position is not None:
                record.places.append(result.position)
            elif result.position_text not in STRUCK_OUT:
                record.listed.append(result.order)
        return record


def _text(position: int, exclusion: Exclusion | None) -> str:
    return str(position) if exclusion is None else exclusion.text


class _Drivers(_Table):
    def __init__(self, rules: Scoring) -> None:
        super().__init__("drivers", rules.drivers)

    def add(self, one: Round) -> None:
        for result in one.results:
            record = self._note(result.driver, [result])
            record.scores.append((one.number, result.points))
            record.constructors.setdefault(result.constructor)
        for result in one.sprint:
            record = self._note(result.driver, [])
            record.scores.append((one.number, result.points))
            record.constructors.setdefault(result.constructor)


class _Constructors(_Table):
    def __init__(self, rules: Scoring) -> None:
        super().__init__("constructors", rules.constructors)
        self._rules = rules

    def add(self, one: Round) -> None:
        for entry in NEW_ENTRIES:
            if (entry.year, entry.round) == (one.year, one.number):
                self.records.pop(entry.constructor, None)
        if one.number not in self._rules.not_for_constructors:
            self._score(one)
        for deduction in DEDUCTIONS:
            if (deduction.year, deduction.round) == (one.year, one.number):
                self._note(deduction.constructor, []).deducted += deduction.points

    def _score(self, one: Round) -> None:
        cars: dict[str, list[Result]] = {}
        for result in one.results:
            cars.setdefault(result.constructor, []).append(result)
        for constructor, results in cars.items():
            scores = [self._points(result) for result in results]
            record = self._note(constructor, results)
            record.scores.append((one.number, max(scores) if self._rules.best_car else sum(scores)))
        for result in one.sprint:
            self._note(result.constructor, []).scores.append((one.number, result.points))

    def _points(self, result: Result) -> int:
        """Hundredths of a point for the constructor. Who scored nothing as a driver was not eligible (Formula 2)."""
        by_place = self._rules.constructor_points
        if by_place is None:
            return result.points
        place = result.position
        return by_place[place - 1] if result.points and place is not None and place <= len(by_place) else 0
