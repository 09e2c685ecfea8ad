"""What the rows of a feed told over a while: the changes of each field, with their instants. Bounded."""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_FIELDS: Final = 64
MOST_ROWS: Final = 1_000
MOST_CHANGES: Final = 400_000
LONGEST_TEXT: Final = 120


class Told(NamedTuple):
    """A value of a field from an instant on, ms."""

    at: int
    text: str


class Declared(NamedTuple):
    """What a field says of itself: the role its protocol declares for it, and its header or name; "" where none."""

    role: str = ""
    header: str = ""


class Sample:
    """One layout of one feed, as far as it was listened to."""

    def __init__(self) -> None:
        self.declared: dict[str, Declared] = {}
        self.fields: dict[str, dict[str, list[Told]]] = {}
        """By field and row: its values in order, equal ones once. The first one is where it began and no change."""
        self.crossings: dict[str, list[int]] = {}
        """Of each row, where the protocol tells them by themselves."""
        self.places: dict[str, list[tuple[int, int]]] = {}
        """Of each row, instant and place, where the protocol tells them by themselves."""
        self.frames = 0
        self.began: int | None = None
        self.ended = 0
        self._changes = 0

    @property
    def rows(self) -> list[str]:
        return list(dict.fromkeys(row for rows in self.fields.values() for row in rows))

    @property
    def full(self) -> bool:
        """Whether no more is taken in."""
        return self._changes >= MOST_CHANGES

    def frame(self, at: int) -> None:
        """A frame begins at the instant `at`."""
        self.frames += 1
        self.began = at if self.began is None else self.began
        self.ended = max(self.ended, at)

    def declare(self, field: str, role: str = "", header: str = "") -> None:
        if field in self.declared or len(self.declared) < MOST_FIELDS:
            self.declared[field] = Declared(role, header[:LONGEST_TEXT])

    def cell(self, at: int, row: str, field: str, text: str) -> None:
        """What a row's field says now."""
        if self.full or not 0 < len(row) <= LONGEST_TEXT:
            return
        if field not in self.fields and len(self.fields) >= MOST_FIELDS:
            return
        rows = self.fields.setdefault(field, {})
        if row not in rows and len(rows) >= MOST_ROWS:
            return
        told = rows.setdefault(row, [])
        text = text.strip()[:LONGEST_TEXT]
        if not told or told[-1].text != text:
            told.append(Told(at, text))
            self._changes += 1

    def crossing(self, at: int, row: str) -> None:
        if row in self.crossings or len(self.crossings) < MOST_ROWS:
            self.crossings.setdefault(row, []).append(at)

    def place(self, at: int, row: str, place: int) -> None:
        if row in self.places or len(self.places) < MOST_ROWS:
            self.places.setdefault(row, []).append((at, place))
