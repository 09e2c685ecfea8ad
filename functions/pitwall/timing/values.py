"""The feed's strings as numbers: lap times, gaps, instants, flags. None where a value says nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(1900, 2200)
"""Years an instant can be of; anything else is a mistake no document could hold."""
_TIME = re.compile(r"^(?:(\d{1,4}):)?(?:(\d{1,4}):)?(\d{1,6})(?:\.(\d{1,6}))?$", re.ASCII)
_LAPS = re.compile(r"^\+?(\d{1,4})\s*L(?:APS?)?$", re.IGNORECASE | re.ASCII)
_DAY_MS = 24 * 3_600_000


def duration_ms(value: Any) -> int | None:
    """`1:27.123`, `87.123`, `1:02:03.4` as integer milliseconds."""
    if not isinstance(value, str):
        return None
    match = _TIME.match(value.strip())
    if match is None:
        return None
    first, second, seconds, fraction = match.groups()
    minutes = int(first or 0) if second is None else int(first) * 60 + int(second)
    return (minutes * 60 + int(seconds)) * 1000 + int(((fraction or "") + "000")[:3])


def utc_ms(value: Any) -> int | None:
    """An instant of the feed (`2025-11-29T13:30:01`, with or without fraction and Z) as ms since the epoch."""
    if not isinstance(value, str) or len(value) < 19:
        return None
    text = value[:-1] if value.endswith("Z") else value
    head, dot, fraction = text.partition(".")
    if dot:
        text = f"{head}.{(fraction + '000')[:3]}" if fraction.isdecimal() else text
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    if parsed.year not in _YEARS:
        return None
    return (parsed - _EPOCH) // timedelta(milliseconds=1)


def offset_ms(value: Any) -> int | None:
    """A GmtOffset (`03:00:00`, `-03:00:00`) as milliseconds."""
    if not isinstance(value, str):
        return None
    sign = -1 if value.startswith("-") else 1
    amount = duration_ms(value.lstrip("+-"))
    return None if amount is None or amount > _DAY_MS else sign * amount


MAX_INTEGER = 2**53 - 1
"""The largest integer every client can read."""
_INTEGER = re.compile(r"-?\d{1,15}", re.ASCII)


def integer(value: Any) -> int | None:
    """An int, or a string that is one."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if _INTEGER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -MAX_INTEGER <= value <= MAX_INTEGER else None


def decimal(value: Any) -> float | None:
    """A number, or a string that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e9 else None


def flag(value: Any) -> bool | None:
    """true, "true", "1" and their opposites."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
    return bool(value) if isinstance(value, int) else None


def text(value: Any) -> str | None:
    """A string with something in it; numbers become strings."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


class Gap(NamedTuple):
    """A gap or interval: milliseconds, or whole laps."""

    ms: int | None = None
    laps: int | None = None


def gap(value: Any) -> Gap | None:
    """`+1.234`, `+1:02.345`, `1L`, `1 L`, `+2 LAPS`. None for the leader (`LAP 12`), "" and anything else."""
    if not isinstance(value, str):
        return None
    stripped = value.strip()
    match = _LAPS.match(stripped)
    if match is not None:
        return Gap(laps=int(match.group(1)))
    ms = duration_ms(stripped.lstrip("+"))
    return None if ms is None else Gap(ms=ms)
