"""What drivers and constructors have counted up, by season and over all seasons. Pure: no I/O, no clock.

A round contributes a tally to each of its drivers and constructors (`contributions`), and every aggregate is a sum of
contributions. So when a round's results change, what it contributed before is taken off and what it contributes now is
put on (`change`, `applied`): nothing is scanned, and nothing drifts, for everything is a whole number. What each thing
counts is told in docs/standings.md.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from operator import add
from typing import Any, Final, Literal, NamedTuple, TypeVar

from msgspec import Struct

from pitwall.history.standings import STRUCK_OUT, Result, Round

_NOT_STARTED: Final = frozenset({"F", "W", "E"})
"""Texts of who did not race, unless laps were driven (excluded after the race, stopped by the team)."""


class HeadToHead(Struct, frozen=True, kw_only=True):
    """How a driver did against one team mate, in races that both were classified in, and in qualifying."""

    races_ahead: int = 0
    races_behind: int = 0
    qualifying_ahead: int = 0
    qualifying_behind: int = 0

    def __add__(self, other: HeadToHead) -> HeadToHead:
        return HeadToHead(
            races_ahead=self.races_ahead + other.races_ahead,
            races_behind=self.races_behind + other.races_behind,
            qualifying_ahead=self.qualifying_ahead + other.qualifying_ahead,
            qualifying_behind=self.qualifying_behind + other.qualifying_behind,
        )

    def __neg__(self) -> HeadToHead:
        return HeadToHead(
            races_ahead=-self.races_ahead,
            races_behind=-self.races_behind,
            qualifying_ahead=-self.qualifying_ahead,
            qualifying_behind=-self.qualifying_behind,
        )

    def __bool__(self) -> bool:
        return self != _NO_HEAD_TO_HEAD


class Tally(Struct, frozen=True, kw_only=True):
    """Counts that are added up; those of a change may be negative.

    entries: rounds with a result, whatever it is: nobody who was there has nothing. races: started in. starts: a
    driver's are his races; a constructor's are its cars in them. finishes: starts that were classified. retirements:
    those neither classified nor disqualified. places: how often each was taken, with every car a driver drove (he
    could be second and third). poles: first places on the grid. laps: raced. laps_led: in the races_with_laps, of
    which it is known. points: hundredths, every one that was scored, in sprints too, whether it counted for a
    championship or not. constructors: a driver's races for each. team_mates: by driver; empty of a constructor. Maps
    have no zeros.
    """

    entries: int = 0
    races: int = 0
    starts: int = 0
    finishes: int = 0
    retirements: int = 0
    disqualifications: int = 0
    places: Mapping[int, int] = {}
    poles: int = 0
    fastest_laps: int = 0
    laps: int = 0
    laps_led: int = 0
    races_with_laps: int = 0
    points: int = 0
    sprint_wins: int = 0
    constructors: Mapping[str, int] = {}
    team_mates: Mapping[str, HeadToHead] = {}

    @property
    def wins(self) -> int:
        return self.places.get(1, 0)

    @property
    def podiums(self) -> int:
        return sum(self.places.get(place, 0) for place in (1, 2, 3))

    @property
    def best_place(self) -> int | None:
        return min(self.places, default=None)

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: _ADD.get(name, add)(getattr(self, name), getattr(other, name)) for name in _FIELDS})

    def __neg__(self) -> Tally:
        return Tally(**{name: _negative(getattr(self, name)) for name in _FIELDS})

    def __sub__(self, other: Tally) -> Tally:
        return self + -other

    def __bool__(self) -> bool:
        return self != _NOTHING


_Key = TypeVar("_Key")


def _added(some: Mapping[_Key, Any], others: Mapping[_Key, Any]) -> dict[_Key, Any]:
    total = dict(some)
    for key, value in others.items():
        total[key] = total[key] + value if key in total else value
        if not total[key]:
            del total[key]
    return total


def _negative(value: Any) -> Any:
    return {key: -one for key, one in value.items()} if isinstance(value, Mapping) else -value


_FIELDS: Final = Tally.__struct_fields__
_ADD: Final[Mapping[str, Callable[[Any, Any], Any]]] = dict.fromkeys(("places", "constructors", "team_mates"), _added)
_NO_HEAD_TO_HEAD: Final = HeadToHead()
_NOTHING: Final = Tally()


Kind = Literal["driver", "constructor"]


class Subject(NamedTuple):
    """Whose tally it is. year: of a season; None: over all seasons."""

    kind: Kind
    id: str
    year: int | None


Tallies = Mapping[Subject, Tally]


def contributions(one: Round) -> dict[Subject, Tally]:
    """What a round adds to the tallies of its drivers and constructors, of the season and of all seasons."""
    kinds: dict[Kind, dict[str, Tally]] = {"driver": _drivers(one), "constructor": _constructors(one)}
    return {
        Subject(kind, id_, year): tally
        for kind, tallies in kinds.items()
        for id_, tally in tallies.items()
        for year in (one.year, None)
    }


def change(before: Round | None, after: Round | None) -> dict[Subject, Tally]:
    """What has to be added to the tallies when a round's results change; nothing for those it leaves as they are.

    before: the round as it is in the tallies; None: it is not. after: as it is to be; None: it is to go.
    """
    old = contributions(before) if before is not None else {}
    new = contributions(after) if after is not None else {}
    changed = {
        subject: new.get(subject, _NOTHING) - old.get(subject, _NOTHING) for subject in sorted(old | new, key=str)
    }
    return {subject: tally for subject, tally in changed.items() if tally}


def applied(tallies: Tallies, changed: Tallies) -> dict[Subject, Tally]:
    """Tallies with a change added; those that come to nothing are gone."""
    return _added(tallies, changed)


def laps_led(leaders: Iterable[str]) -> dict[str, int]:
    """Laps led by driver. leaders: who was first at the end of each lap."""
    return dict(Counter(leaders))


def _drivers(one: Round) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    mates = _team_mates(one)
    pole = _pole(one.results)
    for driver, results in _by(one.results, _driver).items():
        started = [result for result in results if _started(result)]
        tallies[driver] += _outcome(started) + Tally(
            entries=1,
            races=int(bool(started)),
            starts=int(bool(started)),
            places=_places(results),
            poles=int(pole is not None and pole.driver == driver),
            fastest_laps=int(any(result.fastest_lap_rank == 1 for result in results)),
            laps=sum(result.laps for result in started),
            laps_led=(one.laps_led or {}).get(driver, 0) if started else 0,
            races_with_laps=int(bool(started) and one.laps_led is not None),
            points=sum(result.points for result in results),
            constructors=dict.fromkeys((result.constructor for result in started), 1),
            team_mates=mates.get(driver, {}),
        )
    _add_sprint(tallies, one.sprint, _driver)
    return tallies


def _constructors(one: Round) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    pole = _pole(one.results)
    led = one.laps_led or {}
    for constructor, results in _by(one.results, _constructor).items():
        # drivers who shared a car are listed at one place
        cars = _by([result for result in results if _started(result)], _order).values()
        tallies[constructor] += Tally(
            entries=1,
            races=int(bool(cars)),
            starts=len(cars),
            poles=int(pole is not None and pole.constructor == constructor),
            fastest_laps=int(any(result.fastest_lap_rank == 1 for result in results)),
            laps=sum(max(result.laps for result in shared) for shared in cars),
            laps_led=sum(led.get(driver, 0) for driver in {result.driver for result in results}) if cars else 0,
            races_with_laps=int(bool(cars) and one.laps_led is not None),
            points=sum(result.points for result in results),
        )
        for shared in cars:
            tallies[constructor] += _outcome(shared) + Tally(places=_places(shared[:1]))
    _add_sprint(tallies, one.sprint, _constructor)
    return tallies


def _add_sprint(tallies: dict[str, Tally], sprint: Iterable[Result], key: Callable[[Result], str]) -> None:
    for result in sprint:
        tally = tallies.get(key(result), Tally(entries=1))
        tallies[key(result)] = tally + Tally(points=result.points, sprint_wins=int(result.position == 1))


def _outcome(started: Sequence[Result]) -> Tally:
    """The best of what a driver started with, or of those who shared a car."""
    if _best(started) is not None:
        return Tally(finishes=1)
    if any(result.position_text in STRUCK_OUT for result in started):
        return Tally(disqualifications=1)
    return Tally(retirements=int(bool(started)))


def _places(results: Iterable[Result]) -> dict[int, int]:
    return dict(Counter(result.position for result in results if result.position is not None))


def _team_mates(one: Round) -> dict[str, dict[str, HeadToHead]]:
    """By driver and team mate; those who can be compared in nothing are left out."""
    found: dict[str, dict[str, HeadToHead]] = defaultdict(dict)
    for results in _by(one.results, _constructor).values():
        for (driver, some), (mate, others) in combinations(_by(results, _driver).items(), 2):
            races = _ahead(_best(some), _best(others))
            qualifying = _ahead(one.qualifying.get(driver), one.qualifying.get(mate))
            if not any((*races, *qualifying)):
                continue
            for name, other, way in ((driver, mate, 1), (mate, driver, -1)):
                compared = HeadToHead(
                    races_ahead=races[::way][0],
                    races_behind=races[::way][1],
                    qualifying_ahead=qualifying[::way][0],
                    qualifying_behind=qualifying[::way][1],
                )
                found[name][other] = found[name].get(other, _NO_HEAD_TO_HEAD) + compared
    return found


def _ahead(one: int | None, other: int | None) -> tuple[int, int]:
    """One for who has the better place; none for who shares it, or if one has none."""
    return (int(one < other), int(other < one)) if one is not None and other is not None else (0, 0)


def _best(results: Iterable[Result]) -> int | None:
    return min((result.position for result in results if result.position is not None), default=None)


def _started(result: Result) -> bool:
    return result.position_text not in _NOT_STARTED or result.laps > 0


def _pole(results: Iterable[Result]) -> Result | None:
    """Of drivers who shared the car of the first place on the grid, the first listed began in it."""
    return next((result for result in results if result.grid == 1), None)


def _by(results: Iterable[Result], key: Callable[[Result], _Key]) -> dict[_Key, list[Result]]:
    groups: dict[_Key, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _driver(result: Result) -> str:
    return result.driver


def _constructor(result: Result) -> str:
    return result.constructor


def _order(result: Result) -> int:
    return result.order
