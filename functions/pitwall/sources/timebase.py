"""Finds the instant at which an archive's offsets begin.

The base is the median of Utc minus offset over ExtrapolatedClock, else over race control, else StartDate minus
GmtOffset, else midnight of the date in the recording's name or URL, else the epoch. Never Heartbeat: late ones bunch
on one offset and are wrong by up to 1,000 s.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from typing import Any

from pitwall.sources.instants import gmt_offset_ms, utc_ms

TOPICS = ("SessionInfo", "ExtrapolatedClock", "RaceControlMessages")
"""The topics a time base is found from."""

_DATE = re.compile(r"(?<!\d)(20\d\d-[01]\d-[0-3]\d)(?!\d)")
# Two clocks that differ by more than this are not both right.
_DISAGREEMENT_MS = 2_000


class TimeBase:
    """Collects what a recording says about its own clock.

    >>> base = TimeBase()
    >>> base.observe("ExtrapolatedClock", {"Utc": "2025-11-29T13:33:49.012Z"}, 5_012)
    >>> base.instant()
    1764423224000
    """

    def __init__(self) -> None:
        self._clock: list[int] = []
        self._race_control: list[int] = []
        self._start: int | None = None
        self._date: int | None = None

    def observe(self, topic: str, data: Any, offset: int) -> None:
        """Takes a message of one of `TOPICS` into account; `offset` in milliseconds."""
        if not isinstance(data, dict):
            return
        if topic == "ExtrapolatedClock":
            utc = utc_ms(data.get("Utc"))
            if utc is not None:
                self._clock.append(utc - offset)
        elif topic == "RaceControlMessages":
            # The first line repeats what was said before the recording began; only its newest is of now.
            newest = max(_race_control_instants(data), default=None)
            if newest is not None:
                self._race_control.append(newest - offset)
        elif topic == "SessionInfo" and self._start is None:
            start, gmt_offset = utc_ms(data.get("StartDate")), gmt_offset_ms(data.get("GmtOffset"))
            if start is not None and gmt_offset is not None:
                self._start = start - gmt_offset

    def observe_name(self, text: str) -> None:
        """Takes the last date in a path or URL into account, for a recording that says nothing else."""
        dates = _DATE.findall(text)
        if dates and self._date is None:
            self._date = utc_ms(dates[-1])

    def instant(self) -> int:
        """Milliseconds since the epoch of offset 0."""
        for differences in (self._clock, self._race_control):
            if differences:
                return _median(differences)
        return next((known for known in (self._start, self._date) if known is not None), 0)


def _median(differences: list[int]) -> int:
    if len(differences) == 2 and abs(differences[0] - differences[1]) > _DISAGREEMENT_MS:
        # A message can be late, never early: of two, the later difference is right.
        return max(differences)
    return round(statistics.median(differences))


def _race_control_instants(data: dict[str, Any]) -> Iterator[int]:
    messages = data.get("Messages")
    for message in messages.values() if isinstance(messages, dict) else messages if isinstance(messages, list) else ():
        utc = utc_ms(message.get("Utc")) if isinstance(message, dict) else None
        if utc is not None:
            yield utc
