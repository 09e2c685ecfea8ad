"""How the terminal tower writes numbers of the sport: lap times, gaps, clocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRACK = {
    "1": ("GREEN", "#0e1014", "#2ecc55"),
    "2": ("YELLOW", "#0e1014", "#ffd60a"),
    "4": ("SAFETY CAR", "#0e1014", "#ffa726"),
    "5": ("RED FLAG", "#ffffff", "#e0162b"),
    "6": ("VSC", "#0e1014", "#ffa726"),
    "7": ("VSC ENDING", "#0e1014", "#ffa726"),
}
"""Of each track status: what it is called, and the colours of the letters and of the flag."""

SHORT_TRACK = {"2": "YELLOW", "4": "SC", "5": "RED", "6": "VSC", "7": "VSC"}

_LONG_MS = 1_000_000
"""As far behind is only who was stopped by a red flag."""


def lap_time(ms: int | None) -> str:
    """`1:21.345`, `58.123`; nothing for None."""
    if ms is None:
        return ""
    minutes, rest = divmod(ms, 60_000)
    return f"{minutes}:{rest / 1000:06.3f}" if minutes else f"{rest / 1000:.3f}"


def sector_time(ms: int | None) -> str:
    """In six characters: `31.228`, `1:02.1`, `12:02`."""
    text = lap_time(ms)
    return text if len(text) <= 6 else text.rpartition(".")[0] if len(text) > 8 else text[:-2]


def gap(ms: int | None, laps: int | None) -> str:
    """In eight characters: `+1.234`, `+62.345`, `+21:35.4`, `+1 LAP`; nothing if neither is known."""
    if laps:
        return f"+{laps} LAP" + ("S" if laps > 1 else "")
    if ms is None:
        return ""
    return f"{ms / 1000:+.3f}" if ms < _LONG_MS else f"+{lap_time(ms)[:-2]}"


def clock(ms: int | None) -> str:
    """`0:42:07`; whole seconds, a begun one counts."""
    if ms is None:
        return ""
    seconds = -(-ms // 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def duration(ms: int) -> str:
    """`45 ms`, `1.2 s`, `37 s`, `12 min`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 10_000:
        return f"{ms / 1000:.1f} s"
    return f"{ms // 1000} s" if ms < 120_000 else f"{ms // 60_000} min"


def laps(current: int | None, total: int | None) -> str:
    """`LAP 12/57`, `LAP 12`; nothing before the first."""
    if current is None:
        return ""
    return f"LAP {current}/{total}" if total else f"LAP {current}"


def driver(entry: Mapping[str, Any], number: str) -> str:
    """The three letters, or the racing number where a series has none."""
    return str(entry.get("tla") or number)
