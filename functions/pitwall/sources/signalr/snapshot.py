"""The subscribe answer: its messages in order, and the instant it is of, which the answer itself does not tell.

As `pitwall.sources.dating` does for recordings; but what follows a live snapshot is not known yet, and it is newer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pitwall.sources.dating import HEARTBEAT_LEAD_MS
from pitwall.sources.instants import gmt_offset_ms, utc_ms

_DAY_MS: Final = 86_400_000

_SERIES: Final = (
    # topic without .z, what holds its items, the item's instant
    ("RaceControlMessages", "Messages", "Utc"),
    ("SessionData", "Series", "Utc"),
    ("SessionData", "StatusSeries", "Utc"),
    ("CarData", "Entries", "Utc"),
    ("Position", "Position", "Timestamp"),
)


def snapshot_instant(states: Mapping[str, Any], now: int) -> int | None:
    """The newest instant the states (by topic, without `.z`) tell of, ms; `now`: wall clock, ms.

    All of them are at or before the answer: the clock, what race control said, the session's statuses, the newest
    telemetry; Heartbeat less the two seconds it runs ahead. Instants a day after `now` are no instants. Where there is
    none, the session's start, or `now` if that is to come; None where not even that is told.
    """
    told = [instant for instant in _instants(states) if instant < now + _DAY_MS]
    if told:
        return max(told)
    info = _dict(states.get("SessionInfo"))
    start, gmt_offset = utc_ms(info.get("StartDate")), gmt_offset_ms(info.get("GmtOffset"))
    return None if start is None or gmt_offset is None else min(start - gmt_offset, now)


def _instants(states: Mapping[str, Any]) -> Iterable[int]:
    if (clock := utc_ms(_dict(states.get("ExtrapolatedClock")).get("Utc"))) is not None:
        yield clock
    if (heartbeat := utc_ms(_dict(states.get("Heartbeat")).get("Utc"))) is not None:
        yield heartbeat - HEARTBEAT_LEAD_MS
    for topic, key, instant in _SERIES:
        series = _dict(states.get(topic)).get(key)
        for item in series.values() if isinstance(series, dict) else series if isinstance(series, list) else ():
            if (at := utc_ms(_dict(item).get(instant))) is not None:
                yield at


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
