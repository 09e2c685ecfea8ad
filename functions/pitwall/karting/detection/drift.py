"""Notices when a feed is no longer what its description says: other fields, words nobody knows, roles that do not fit.

Nothing is changed by it: a human, or another look at the feed, decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from pitwall.karting.description import Description, Field
from pitwall.karting.detection import behaviour
from pitwall.karting.detection.behaviour import Evidence
from pitwall.karting.detection.roles import REQUIRED
from pitwall.karting.detection.sample import Sample

WINDOW_MS: Final = 600_000
"""What roles do is looked at every ten minutes of the feed."""
_MOST_CELLS: Final = 20_000
_MISSING_ROWS: Final = 200
_TOKENS: Final = 5
_ENOUGH: Final = 16
_MOST_NOTICES: Final = 100


Kind = Literal["new-field", "field-gone", "unknown-token", "behaviour"]


class Notice(Struct, frozen=True, rename="camel"):
    """Something about a feed a human should know."""

    kind: Kind
    at: int
    key: str
    role: str
    message: str


class Drift:
    """Watches the rows of one feed. Each thing is told once."""

    def __init__(self, description: Description) -> None:
        self._fields = {field.key: field for field in description.fields if field.role and field.verdict == "used"}
        self._known = {field.key for field in description.fields} | set(description.ignored) | {description.key}
        self._told: set[tuple[str, str]] = set()
        self._absent: Counter[str] = Counter()
        self._bad: Counter[str] = Counter()
        self._good: Counter[str] = Counter()
        self._sample = Sample()
        self._cells = 0
        self.notices: list[Notice] = []

    def frame(self, at: int) -> None:
        """A frame begins."""
        began = self._sample.began
        if began is not None and (at - began > WINDOW_MS or self._cells > _MOST_CELLS):
            self._look(at)
            self._sample, self._cells = Sample(), 0
        self._sample.frame(at)

    def row(self, at: int, name: str, fields: dict[str, str], sparse: bool) -> None:
        """A row was told. sparse: rows of this feed leave out what has not changed."""
        for key in fields.keys() - self._known:
            self._notice("new-field", at, key, "", "a field that was not there when the feed was looked at")
        for key, field in self._fields.items():
            text = fields.get(key)
            if text is not None:
                self._absent[key] = 0
                self._sample.cell(at, name, key, text)
                self._cells += 1
            elif not sparse:
                self._absent[key] += 1
                if self._absent[key] >= _MISSING_ROWS:
                    self._notice("field-gone", at, key, field.role, f"not told in {_MISSING_ROWS} rows")

    def token(self, at: int, field: Field, readable: bool) -> None:
        """A value was read, or could not be."""
        counts = self._good if readable else self._bad
        counts[field.key] += 1
        bad, good = self._bad[field.key], self._good[field.key]
        if bad >= _TOKENS and bad * 4 > good:
            self._notice("unknown-token", at, field.key, field.role, f"{bad} of {bad + good} values cannot be read")

    def finish(self, at: int) -> None:
        """The feed has ended: what was heard since the last look is looked at."""
        self._look(at)

    def _look(self, at: int) -> None:
        for field, evidence in self._evidence():
            if evidence.of >= _ENOUGH and evidence.agree < evidence.of * REQUIRED[field.role] / 3:
                self._notice("behaviour", at, field.key, field.role, f"no longer {evidence}")

    def _evidence(self) -> Iterable[tuple[Field, Evidence]]:
        sample = self._sample
        by_role = {field.role: field for field in self._fields.values() if field.key in sample.fields}
        last = by_role.get("LastLapMs")
        known = behaviour.passes(
            sample, last.key if last is not None else None, last.unit if last is not None else "ms"
        )
        if last is not None:
            yield last, behaviour.last_lap(sample, last.key, last.unit)
        if (best := by_role.get("BestLapMs")) is not None:
            yield best, behaviour.best_lap(sample, best.key, best.unit, known)
        if (laps := by_role.get("Laps")) is not None:
            yield laps, behaviour.laps(sample, laps.key, known)
        if (place := by_role.get("Position")) is not None:
            yield place, behaviour.position(sample, place.key)

    def _notice(
        self,
        kind: Kind,
        at: int,
        key: str,
        role: str,
        why: str,
    ) -> None:
        if (kind, key) not in self._told and len(self.notices) < _MOST_NOTICES:
            self._told.add((kind, key))
            self.notices.append(Notice(kind, at, key[:120], role, why))
