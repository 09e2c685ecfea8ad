"""Reads what OpenF1's rows hold: instants, seconds, racing numbers; and writes them as F1's feed does."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from pitwall.sources.instants import utc_ms

MAX_SECONDS = 24 * 3600


def instant(row: dict[str, Any], key: str = "date") -> int | None:
    """Milliseconds since the epoch; below a millisecond is cut off."""
    return utc_ms(row.get(key))


def duration_ms(value: Any) -> int | None:
    """Seconds as integer milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value * 1000) if math.isfinite(value) and 0 < value < MAX_SECONDS else None


def whole(value: Any) -> int | None:
    """An integer; OpenF1 writes some as `5.0`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def racing_number(row: dict[str, Any]) -> str | None:
    number = whole(row.get("driver_number"))
    return str(number) if number is not None and 0 <= number < 1_000_000 else None


def text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def utc(at: int) -> str:
    """An instant in the feed's words (`2025-11-29T13:30:01`, with a fraction only where there is one)."""
    whole_seconds = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole_seconds}.{at % 1000:03d}" if at % 1000 else whole_seconds


def lap_time(ms: int) -> str:
    """`1:27.123`."""
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}.{ms % 1000:03d}" if ms >= 60_000 else seconds(ms)


def seconds(ms: int) -> str:
    """`27.123`."""
    return f"{ms // 1000}.{ms % 1000:03d}"


def gap(value: Any) -> str | None:
    """A gap in the feed's words; None where OpenF1 has none, or has the leader's zero."""
    if isinstance(value, str):
        return value.strip() or None
    ms = duration_ms(value)
    return None if ms is None else f"+{lap_time(ms)}"
