"""The feed's words and forms: how it writes instants and times, and what a session is called.

Used by all that makes messages; knows nothing of a race.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

SESSION_KEY = 9907
GMT_OFFSET_MS = 2 * 3_600_000
PATH = "2026/2026-07-12_Ardenmoor_Grand_Prix/2026-07-12_Race/"
RACE_CLOCK_MS = 2 * 3_600_000
"""A race lasts two hours at most; so long does its clock run."""

RUNNING_IN_PIT = 80
"""Status of a car in its garage: the bits 64 and 16."""

TRACK_MESSAGES = {
    "1": "AllClear",
    "2": "Yellow",
    "4": "SCDeployed",
    "5": "Red",
    "6": "VSCDeployed",
    "7": "VSCEnding",
}
WHOLE = frozenset({"Heartbeat", "SessionInfo", "SessionStatus", "TrackStatus", "WeatherData"})
"""Topics sent whole every time; all others send only what changed."""


class FeedMessage(NamedTuple):
    """One message. at: its own instant; received: when a listener gets it. Both ms since the epoch, UTC."""

    at: int
    topic: str
    payload: Any
    received: int


def utc(at: int, digits: int = 3) -> str:
    """RFC 3339 as the feed writes it: trailing zeros of the fraction dropped."""
    text = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if not digits:
        return text
    fraction = f"{at % 1000:03d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def lap_time(ms: int) -> str:
    """`1:27.123`."""
    return f"{ms // 60_000}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def seconds(ms: int) -> str:
    """`31.501`, also beyond a minute."""
    return f"{ms // 1000}.{ms % 1000:03d}"


def clock(ms: int) -> str:
    """`01:59:59`."""
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}"


def merge(into: dict[str, Any], delta: dict[str, Any]) -> None:
    """Merges `delta` into `into`, dict by dict."""
    for key, value in delta.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = value
