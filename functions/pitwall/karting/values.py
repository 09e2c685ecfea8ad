"""What stands in a cell of a board, whoever sent it, as numbers. None where a value says nothing."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TIME: Final = re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6})(?:[.,](\d{0,6}))?", re.ASCII)
_HOURS: Final = re.compile(r"(\d{1,4}):(\d\d)", re.ASCII)
_INTEGER: Final = re.compile(r"\d{1,9}", re.ASCII)
_LAPS_BEHIND: Final = re.compile(r"[+-]?\s*(\d{1,5})\s*[^\W\d_]{1,12}\.?")
_LAP_OF: Final = re.compile(r"[^\W\d_]{1,12}\.?\s*(\d{1,5})(?:\s*/\s*(\d{1,5}))?")
_AT_THE_WHEEL: Final = re.compile(r"(.*?)\s*\[\s*(\d{1,4}):(\d\d)\s*\]", re.ASCII | re.DOTALL)
_CLOCK: Final = re.compile(r"(?:(\d{1,3}):)?(\d{1,2}):(\d\d)", re.ASCII)


def duration_ms(text: str) -> int | None:
    """`1:05.295`, `59.609`, `1:05,3`, `2:48.`, `00.`, `1:02:03.4` as ms. A running timer has no decimals."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds, fraction = match.groups()
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds)
    return whole * 1000 + int(((fraction or "") + "000")[:3])


def hours_ms(text: str) -> int | None:
    """`0:26`, hours and minutes, as ms."""
    match = _HOURS.fullmatch(text.strip())
    return None if match is None else (int(match[1]) * 60 + int(match[2])) * 60_000


def clock_ms(text: str) -> int | None:
    """`00:09:30` and `09:30` as ms."""
    match = _CLOCK.fullmatch(text.strip())
    return None if match is None else ((int(match[1] or 0) * 60 + int(match[2])) * 60 + int(match[3])) * 1000


def integer(text: str) -> int | None:
    """`12` as a number."""
    stripped = text.strip()
    return int(stripped) if _INTEGER.fullmatch(stripped) else None


class Gap(NamedTuple):
    """What a cell of gaps says: a time, whole laps, or, of the leader, the laps completed."""

    ms: int | None = None
    laps: int | None = None
    leads: int | None = None


def gap(text: str) -> Gap | None:
    """`0.718`, `1:02.387`, `+2,1`; `5 Tours`, `1 Giro`, `2 Vueltas`; of the leader `Tour 55`, `Giro 12`. None else."""
    stripped = text.strip()
    ms = duration_ms(stripped.lstrip("+"))
    if ms is not None:
        return Gap(ms=ms)
    if (behind := _LAPS_BEHIND.fullmatch(stripped)) is not None:
        return Gap(laps=int(behind[1]))
    told = _LAP_OF.fullmatch(stripped)
    return Gap(leads=int(told[1])) if told is not None else None


def lap_count(text: str) -> tuple[int, int | None] | None:
    """`Tour 9/10`, `Giro 0/11`, `Lap 3`: the lap and how many there are."""
    match = _LAP_OF.fullmatch(text.strip())
    return None if match is None else (int(match[1]), int(match[2]) if match[2] else None)


def at_the_wheel(text: str) -> tuple[str, int | None]:
    """`A Name [1:26]`: who drives, and for how long so far, ms."""
    match = _AT_THE_WHEEL.fullmatch(text.strip())
    if match is None:
        return text.strip(), None
    return match[1], (int(match[2]) * 60 + int(match[3])) * 60_000
