"""What race control says about lap times: deleted, or reinstated.

Seen: "CAR 23 (ALB) TIME 1:27.123 DELETED - TRACK LIMITS AT TURN 4 LAP 7 15:32:01",
"CAR 81 (PIA) LAP DELETED - TRACK LIMITS AT TURN 15 LAP 7 16:31:06 (PIT)" and
"CAR 12 (ANT) TIME 1:25.936 WILL BE REINSTATED" (Imola and Qatar 2025).

In a race LAP n is the lap itself; in practice and qualifying it is one more than the feed's
own number of the lap (Imola 2025: the time of BestLapTime.Lap 8 is deleted as LAP 9).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pitwall.timing.values import duration_ms

_CAR = re.compile(r"\bCAR\s+(\w+)\s*\(")
_TIME = re.compile(r"\bTIME\s+((?:\d+:)?\d+\.\d{3})\b")
_LAP = re.compile(r"\bLAP\s+(\d+)\b")
_DELETED = re.compile(r"\b(?:TIME(?:\s+\S+)?|LAP(?:\s+\d+)?)\s+(?:WAS\s+|HAS BEEN\s+|IS\s+)?DELETED\b(?:\s*-\s*(.*))?")
_REINSTATED = re.compile(r"\bREINSTATED\b")
_WHEN = re.compile(r"\s*\bLAP\s+\d+\b.*$")


class Ruling(NamedTuple):
    """A ruling on one lap time of one car."""

    racing_number: str
    deleted: bool
    time_ms: int | None
    lap: int | None
    reason: str | None


def ruling(message: str) -> Ruling | None:
    """The ruling a race-control message gives on a lap time, if it gives one."""
    upper = message.upper()
    car = _CAR.search(upper)
    if car is None:
        return None
    time = _TIME.search(upper)
    lap = _LAP.search(upper)
    time_ms = duration_ms(time.group(1)) if time else None
    number = int(lap.group(1)) if lap else None
    if time_ms is None and number is None:
        return None
    if _REINSTATED.search(upper):
        return Ruling(car.group(1), False, time_ms, number, None)
    deleted = _DELETED.search(upper)
    if deleted is None:
        return None
    reason = _WHEN.sub("", deleted.group(1) or "").strip(" -") or None
    return Ruling(car.group(1), True, time_ms, number, reason)
