"""What RMonitor has told of each registration, and the row of the board that makes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, NamedTuple

from pitwall.karting.vocabulary import Line

_NATION: Final = re.compile(r"[A-Za-z]{2,3}")


class Gap(NamedTuple):
    """How far behind: a time, or whole laps; neither where it is not known, or of the leader."""

    ms: int | None = None
    laps: int | None = None


UNKNOWN: Final = Gap()


@dataclass
class Row:
    """One registration. Durations in milliseconds; None is not told."""

    registration: str
    number: str = ""
    first: str = ""
    last: str = ""
    nation: str = ""
    team: str = ""
    category: str = ""
    """The id of its class."""
    place: int | None = None
    """In the race (`$G`)."""
    best_place: int | None = None
    """By best laps (`$H`)."""
    laps: int | None = None
    """As `$G` counts them: laps taken off as a penalty are not in it, it may be below zero."""
    total_ms: int | None = None
    driven: int = 0
    """Laps completed. `$H` numbers laps so."""
    best_lap: int = 0
    best_ms: int | None = None
    lap_ms: int | None = None
    """The last lap."""
    gap: Gap = UNKNOWN
    """To the leader, at its own last passing."""
    interval: Gap = UNKNOWN
    """To the one ahead, likewise."""
    told: Line = field(default_factory=Line)
    """The row as it was last told."""

    def count(self, laps: int, total_ms: int | None) -> None:
        """Takes over what `$G` says now, and works out how many laps were driven.

        Laps that go and leave the total as it is are a penalty; with the total they were annulled.
        """
        if self.laps is None:
            self.driven = max(laps, self.best_lap, 0)
        elif total_ms != self.total_ms:
            self.driven = max(self.driven + laps - self.laps, 0)
        self.laps, self.total_ms = laps, total_ms

    def best(self, place: int | None, lap: int, time_ms: int | None) -> None:
        """Takes over what `$H` says now."""
        self.best_place, self.best_lap, self.best_ms = place, lap, time_ms
        if self.laps is not None:
            self.driven = max(self.driven, lap)

    def goes_on(self, before: Row) -> None:
        """After a reset in mid-session, from what was known before it: laps driven, and the time of the last one."""
        if before.laps is None or self.laps is None:
            return
        laps, total = self.laps, self.total_ms
        self.laps, self.total_ms, self.driven = before.laps, before.total_ms, before.driven
        last = before.lap_ms if total == before.total_ms else self.lap_of(laps, total)
        if total == before.total_ms:
            self.gap, self.interval = before.gap, before.interval
        self.count(laps, total)
        self.driven = max(self.driven, self.best_lap)
        self.lap_ms = self.lap_ms if self.lap_ms is not None else last

    def behind(self, rows: Iterable[Row]) -> None:
        """Works out gap and interval as the row passes: whoever has more laps by now has lapped it."""
        ahead = [row for row in rows if row.order < self.order]
        self.gap = self._to(min(ahead, key=lambda row: row.order, default=None))
        self.interval = self._to(max(ahead, key=lambda row: row.order, default=None))

    @property
    def order(self) -> tuple[int, float]:
        """By it rows are in the order of a race: laps, then who completed them first."""
        return (-(self.laps or 0), self.total_ms or inf)

    def _to(self, other: Row | None) -> Gap:
        if other is None or not self.total_ms or not other.total_ms:
            return UNKNOWN
        laps = (other.laps or 0) - (self.laps or 0)
        return Gap(laps=laps) if laps else Gap(ms=self.total_ms - other.total_ms)

    def lap_of(self, laps: int, total_ms: int | None) -> int | None:
        """The time of the lap that brought the count to `laps`, by the totals: they differ by it to the millisecond."""
        if self.laps is None or laps != self.laps + 1 or not self.total_ms or total_ms is None:
            return None
        return total_ms - self.total_ms if total_ms > self.total_ms else None

    def line(self, categories: dict[str, str], best_of_all: int | None) -> Line:
        """The row, with what is known of it. best_of_all: the best lap where the order is by best laps, 0 if there is
        none yet; None in a race."""
        by_best = best_of_all is not None
        told = Line(Number=self.number or self.registration)
        if driver := " ".join(f"{self.first} {self.last}".split()):
            told["Driver"] = driver
        if self.team:
            told["Team"] = self.team
        if category := categories.get(self.category, self.category):
            told["Category"] = category
        if _NATION.fullmatch(self.nation):
            told["Nation"] = self.nation.upper()
        place = self.best_place if by_best and self.best_place is not None else self.place
        if place is not None:
            told["Position"] = place
        if self.laps is not None:
            told["Laps"] = self.driven
            if (taken := self.driven - self.laps) > 0:
                told["Penalty"] = f"{taken} lap{'s' if taken > 1 else ''}"
        if self.total_ms:
            told["TotalMs"] = self.total_ms
        if self.lap_ms:
            told["LastLapMs"] = self.lap_ms
        if self.best_ms:
            told["BestLapMs"] = self.best_ms
            told["BestLap"] = self.best_lap
        if best_of_all and self.best_ms and self.best_ms > best_of_all:
            told["GapMs"] = self.best_ms - best_of_all
        elif not by_best:
            for name, gap in (("Gap", self.gap), ("Interval", self.interval)):
                if gap.ms is not None:
                    told[f"{name}Ms"] = gap.ms  # type: ignore[literal-required]
                if gap.laps is not None:
                    told[f"{name}Laps"] = gap.laps  # type: ignore[literal-required]
        return told

    def changes(self, line: Line) -> dict[str, Any]:
        """What of a row is other than when it was last told, None where it is gone; it counts as told now."""
        before, self.told = self.told, line
        return {name: line.get(name) for name in (*line, *before) if line.get(name) != before.get(name)}
