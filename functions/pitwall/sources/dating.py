"""Gives every record of a live capture its instant: snapshots, which carry none, and messages whose own cannot be read.

Archive offsets are `timebase`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pitwall.sources.instants import gmt_offset_ms, utc_ms
from pitwall.sources.literals import loads
from pitwall.sources.record import Record, Reject, topic_rank

HEARTBEAT_LEAD_MS = 2_000
"""Heartbeat's Utc runs about this far ahead of the feed's other instants."""

_DAY_MS = 86_400_000
# Enough for any snapshot; a file in which nothing has an instant is not held as a whole.
_HELD = 4_096


def dated(records: Iterable[Record], reject: Reject) -> Iterator[Record]:
    """The records in their order, each with an instant.

    A snapshot is as of its ExtrapolatedClock or Heartbeat, but never after the message that follows it, so it does
    not run the feed clock ahead. A message without a readable instant, or a day away from the messages around it,
    takes the one before it and is counted `bad-time`.
    """
    held: list[Record] = []
    instants = Instants()
    for record in records:
        if record.snapshot:
            held.append(record)
            if len(held) >= _HELD:
                yield from _settled(held, None, instants.last)
                held.clear()
            continue
        before = instants.last
        at = instants.settle(record.at, reject)
        if at is None:
            held.append(record)
            continue
        if held:
            yield from _settled(held, at, before)
            held.clear()
        yield record if at == record.at else record._replace(at=at)
    if held:
        yield from _settled(held, None, instants.last)


class Instants:
    """The instants of a live feed's messages, in their order.

    last: that of the newest message; None before the first readable one.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self._doubtful: int | None = None

    def settle(self, at: int | None, reject: Reject) -> int | None:
        """The next message's instant: its own `at`, or `last` where that cannot be read or is a day away from it,
        which is counted `bad-time`; None if there is none yet."""
        # One wrong year would hold the feed clock there for good; two messages that agree are a new day.
        if at is not None and _day_apart(at, self.last) and (self._doubtful is None or _day_apart(at, self._doubtful)):
            self._doubtful, at = at, None
        if at is None:
            reject("bad-time")
            return self.last
        self._doubtful = None
        self.last = at
        return at


def _day_apart(at: int, other: int | None) -> bool:
    return other is not None and abs(at - other) > _DAY_MS


def _settled(held: list[Record], following: int | None, before: int | None) -> list[Record]:
    """Held records with an instant: the snapshot, SessionInfo first, then what came before any instant was known."""
    at = _snapshot_instant(held, following, before)
    snapshot = sorted((record for record in held if record.snapshot), key=lambda record: topic_rank(record.topic))
    return [record._replace(at=at) for record in snapshot + [record for record in held if not record.snapshot]]


def _snapshot_instant(held: list[Record], following: int | None, before: int | None) -> int:
    at = next((record.at for record in held if record.at is not None), None)
    if at is None:
        states = {record.topic: _state(record.data) for record in held if record.topic in _CLOCKS}
        clock, heartbeat = (utc_ms(states.get(topic, {}).get("Utc")) for topic in ("ExtrapolatedClock", "Heartbeat"))
        # Both are at or before the moment of the answer; a Heartbeat can be left over from the session before.
        known = [instant for instant in (clock, heartbeat and heartbeat - HEARTBEAT_LEAD_MS) if instant is not None]
        at = max(known) if known else following if following is not None else before
        if at is None:
            at = _start(states.get("SessionInfo", {}))
    return at if following is None else min(at, following)


_CLOCKS = {"ExtrapolatedClock", "Heartbeat", "SessionInfo"}


def _state(data: Any) -> dict[str, Any]:
    if isinstance(data, str):
        try:
            data = loads(data.encode("utf-8", "replace"))
        except ValueError:
            return {}
    return data if isinstance(data, dict) else {}


def _start(session_info: dict[str, Any]) -> int:
    start, gmt_offset = utc_ms(session_info.get("StartDate")), gmt_offset_ms(session_info.get("GmtOffset"))
    return start - gmt_offset if start is not None and gmt_offset is not None else 0
