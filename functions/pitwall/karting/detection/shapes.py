"""What the values of a field look like, and what they are as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import Final, NamedTuple

from pitwall.karting import values
from pitwall.karting.description import Unit
from pitwall.karting.detection.sample import Told

_TIME: Final = re.compile(r"(?:\d{1,4}:){0,2}\d{1,6}[.,]\d{1,6}|(?:\d{1,4}:){1,2}\d\d", re.ASCII)
_TIMER: Final = re.compile(r"(?:\d{1,3}:)?\d{1,4}\.|\d{1,4}:\d\d", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,15}", re.ASCII)
_START_NUMBER: Final = re.compile(r"\d{1,4}[A-Za-z]?|[A-Za-z]\d{1,3}", re.ASCII)
_NATION: Final = re.compile(r"[A-Z]{2,3}", re.ASCII)
_MS_FROM: Final = 1_000


class Shape(NamedTuple):
    """Shares of the values that are not empty, 0 to 1, and how they are spread over the rows."""

    told: int
    """Values, equal ones in a row once."""
    changes: int
    rows: int
    time: float
    timer: float
    number: float
    start_number: float
    words: float
    nation: float
    gap: float
    constant: float
    """Rows that never said anything else."""
    distinct: int
    """Different values, of all rows."""
    unique: float
    """Rows whose first value no other row has."""
    middle: float
    """Of those that are whole numbers."""
    length: float
    """Letters, the middle one."""

    @property
    def name(self) -> str:
        """In a word, for a human to read: values themselves may be names of persons."""
        shares = {
            "empty": float(not self.told), "times": self.time, "timers": self.timer, "whole numbers": self.number,
            "gaps": self.gap, "words": self.words,
        }  # fmt: skip
        name, share = max(shares.items(), key=lambda item: item[1])
        return name if share >= 0.5 else "mixed"


def shape(rows: dict[str, list[Told]]) -> Shape:
    """The shape of a field, of its values by row."""
    texts = Counter(told.text for row in rows.values() for told in row if told.text)
    total = sum(texts.values())
    filled = {row: [told.text for told in of if told.text] for row, of in rows.items()}
    filled = {row: of for row, of in filled.items() if of}
    firsts = Counter(of[0] for of in filled.values())

    def share(pattern: re.Pattern[str]) -> float:
        return sum(count for text, count in texts.items() if pattern.fullmatch(text)) / total if total else 0.0

    words = sum(count for text, count in texts.items() if sum(letter.isalpha() for letter in text) * 2 >= len(text))
    gaps = sum(count for text, count in texts.items() if values.gap(text) is not None)
    numbers = [int(text) for text in texts if _NUMBER.fullmatch(text)]
    return Shape(
        told=total,
        changes=sum(len(of) - 1 for of in rows.values()),
        rows=len(filled),
        time=share(_TIME),
        timer=share(_TIMER),
        number=share(_NUMBER),
        start_number=share(_START_NUMBER),
        words=words / total if total else 0.0,
        nation=share(_NATION),
        gap=gaps / total if total else 0.0,
        constant=sum(len(set(of)) == 1 for of in filled.values()) / len(filled) if filled else 0.0,
        distinct=len(texts),
        unique=sum(firsts[of[0]] == 1 for of in filled.values()) / len(filled) if filled else 0.0,
        middle=float(median(numbers)) if numbers else 0.0,
        length=float(median(len(text) for text in texts)) if texts else 0.0,
    )


def time_unit(of: Shape) -> Unit:
    """How times are written in a field: whole numbers from a thousand on are milliseconds, not seconds."""
    return "ms" if of.number >= 0.9 and of.middle >= _MS_FROM else "clock"


def milliseconds(text: str, unit: Unit) -> int | None:
    """A duration in ms; None for what is none, and for nothing at all (`00.`)."""
    told = (
        values.integer(text) if unit == "ms" else values.hours_ms(text) if unit == "hours" else values.duration_ms(text)
    )
    return told or None


def whole(text: str) -> int | None:
    return values.integer(text)


def median_of(numbers: Iterable[float], default: float = 0.0) -> float:
    told = list(numbers)
    return float(median(told)) if told else default
