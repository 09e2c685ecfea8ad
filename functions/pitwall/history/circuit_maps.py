"""MultiViewer's circuit maps: the outline of a circuit as a car drove it, its corners, how it is turned.

`{PITWALL_MULTIVIEWER_URL}/circuits/{circuit key}/{year}`; the key is F1's (`Meeting.Circuit.Key` of SessionInfo). One
answer was seen (Monza 2020). What a layout's document has of it is others' business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct, field

from pitwall.history.answers import Answers, BadAnswer
from pitwall.settings import Settings

FRESH_S: Final = 30 * 86_400.0
"""Age up to which a kept map will do: a circuit changes once a year."""
_ABSENT: Final = b"Circuit not found"


class Point(Struct, frozen=True):
    """A point in the coordinates of F1's Position feed: tenths of a metre."""

    x: float
    y: float


class Marker(Struct, frozen=True, rename="camel", kw_only=True):
    """A corner, a marshal's light or the beginning of a marshal's sector.

    letter: tells corners of one number apart (2A), else "". angle: degrees, to where a label is put. length: tenths of
    a metre from the line along the lap the map was drawn from.
    """

    number: int
    letter: str = ""
    angle: float
    length: float | None = None
    track_position: Point


class CircuitMap(Struct, frozen=True, rename="camel", kw_only=True):
    """A circuit in one year.

    x, y: the outline, in tenths of a metre, in the direction of driving. rotation: degrees the map is to be turned by.
    mini_sectors_indexes: points of the outline at which mini sectors end.
    """

    circuit_key: int
    circuit_name: str
    year: int
    rotation: float
    x: tuple[float, ...]
    y: tuple[float, ...]
    corners: tuple[Marker, ...]
    marshal_lights: tuple[Marker, ...] = ()
    marshal_sectors: tuple[Marker, ...] = ()
    mini_sectors_indexes: tuple[int, ...] = field(default=())


class CircuitMaps:
    """A client of MultiViewer. A context manager; not for several threads. answers: how it asks, and how often."""

    def __init__(self, url: str, cache: Path | None = None, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """cache: folder in which maps are kept. sleep: for tests."""
        self.answers = Answers(url, per_second=2.0, per_hour=500, cache=cache, sleep=sleep)

    @classmethod
    def of(cls, settings: Settings, cache: Path | None = None) -> Self:
        return cls(settings.multiviewer_url, cache)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.close()

    def map(self, circuit_key: int, year: int) -> CircuitMap:
        """The map of a circuit. Raises NotThere if there is none, BadAnswer, Throttled, SourceError."""
        path = f"circuits/{circuit_key}/{year}"
        found = self.answers.ask(path, CircuitMap, fresh_s=FRESH_S, absent=_ABSENT)
        if (found.circuit_key, found.year) != (circuit_key, year):
            raise BadAnswer(f"{path}: the answer is the map {found.circuit_key} of {found.year}")
        points = len(found.x)
        if points < 3 or points != len(found.y) or not all(0 <= n < points for n in found.mini_sectors_indexes):
            raise BadAnswer(f"{path}: no outline: {points} x, {len(found.y)} y")
        return found
