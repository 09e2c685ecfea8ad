"""Moves a recording to another day: every instant in it by the same whole number of minutes.

Seconds stay, so what race control says of a lap (`... LAP 7 15:32:01`) stays right to the second. `Path` and `Key` are
no instants and stay too: they say which session it is.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

MINUTE_MS: Final = 60_000

_INSTANT: Final = re.compile(
    rb'"(20\d\d-\d\d-\d\dT\d\d:\d\d)((?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)"(?!\s*:)',
)
_CACHED: Final = 4_096


def minutes_to(first_at: int, begin_at: int, *, not_before: bool = False) -> int:
    """By how many ms, whole minutes, `first_at` has to move to fall into the minute before `begin_at`, or after it if
    `not_before`. All in ms since the epoch."""
    distance = begin_at - first_at
    return -(-distance // MINUTE_MS) * MINUTE_MS if not_before else distance // MINUTE_MS * MINUTE_MS


class Redating:
    """Moves the instants of JSON texts by `shift_ms`, whole minutes."""

    def __init__(self, shift_ms: int) -> None:
        self._shift = timedelta(milliseconds=shift_ms)
        self._known: dict[bytes, bytes] = {}

    def __call__(self, payload: bytes) -> bytes:
        """The JSON text with every string that is an ISO 8601 instant, with or without `Z`, moved, decimals kept."""
        return _INSTANT.sub(self._moved, payload)

    def _moved(self, match: re.Match[bytes]) -> bytes:
        minute = match[1]
        moved = self._known.get(minute)
        if moved is None:
            try:
                moved = (datetime.fromisoformat(minute.decode()) + self._shift).isoformat(timespec="minutes").encode()
            except (ValueError, OverflowError):
                moved = minute
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[minute] = moved
        return b'"' + moved + match[2] + b'"'
