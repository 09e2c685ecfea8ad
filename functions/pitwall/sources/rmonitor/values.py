"""What is in a field of RMonitor. None where it says nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from pitwall.karting.values import duration_ms
from pitwall.karting.vocabulary import FlagName, SessionType

NO_TIME_MS: Final = 3_599_999
"""`00:59:59.999`: what older Orbits shows where there is no time (Sebring 2009)."""
NO_LAPS_TO_GO: Final = 9999
FLAGS: Final[dict[str, FlagName]] = {
    "": "none",
    "green": "green",
    "white": "green",
    "yellow": "yellow",
    "red": "red",
    "purple": "code60",
    "warmup": "warmup",
    "warm up": "warmup",
    "finish": "chequered",
    "checkered": "chequered",
    "chequered": "chequered",
}

_INTEGER: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_DATE: Final = re.compile(r"(\d{1,2}) ([A-Za-z]{3})[a-z]* (\d{2}|\d{4})", re.ASCII)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_MS: Final = 86_400_000

# A practice for a race is a practice: the first that fits.
_TYPES: Final[tuple[tuple[SessionType, re.Pattern[str]], ...]] = (
    ("Qualifying", re.compile(r"\bquali|\bqually|\bqual\b|\bQ\d\b|chrono|clasificaci|zeittraining", re.IGNORECASE)),
    (
        "Practice",
        re.compile(
            r"practi[cs]e|\bprac\b|\btest|warm.?up|\bhpde\b|\blapping|essai|libre|\bprove\b|training|entren",
            re.IGNORECASE,
        ),
    ),
    (
        "Race",
        re.compile(
            r"\brace|\bheat|\bfinal|feature|enduro|endurance|grand prix|course|carrera|\bgara\b|rennen"
            r"|\d\s*(?:h|hr|hrs|hour|hours|laps)\b",
            re.IGNORECASE,
        ),
    ),
)


def time_of_day_ms(text: str) -> int | None:
    """`08:35:50` as ms since midnight; None for what is none."""
    told = duration_ms(text)
    return told if told is not None and told < _DAY_MS and text.count(":") == 2 else None


def integer(text: str) -> int | None:
    """`12`, `-3` as a number."""
    return int(text) if _INTEGER.fullmatch(text) else None


def date_ms(text: str) -> int | None:
    """`27 Jan 09` as ms since the epoch of that day's beginning; None for anything else, as `0/0/0000`."""
    match = _DATE.fullmatch(text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    year = int(match[3]) + (2000 if len(match[3]) == 2 else 0)
    try:
        day = datetime(year, _MONTHS.index(match[2].lower()) + 1, int(match[1]), tzinfo=UTC)
    except ValueError:
        return None
    return int(day.timestamp()) * 1000 if year >= 1970 else None


def session_type(name: str) -> SessionType | None:
    """What the name of a run says it is; the protocol itself does not tell."""
    return next((kind for kind, words in _TYPES if words.search(name)), None)
