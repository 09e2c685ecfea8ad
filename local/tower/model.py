"""What the terminal tower knows: the latest documents its Firestore listeners were called with.

Nothing here asks the poller or the recording: it is what any client of the database would know. How it
looks is `table`'s business.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

STALE_MS = 30_000
"""Feed time without a message after which a feed is stale; its clock is not counted on any further."""
_LIVE_MS = 3_600_000
"""A feed whose instants are this close to the wall clock is of now, not played from a recording."""

_NONE: Mapping[str, Any] = {}


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def instant_ms(value: object) -> int | None:
    """An instant of a document as ms since the epoch; None for what is none."""
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else None


@dataclass(frozen=True)
class Known:
    """All that is known at one moment. A document that has not come yet is an empty mapping."""

    session: Mapping[str, Any] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)
    entries: Mapping[str, Any] = field(default_factory=dict)
    tyres: Mapping[str, Any] = field(default_factory=dict)
    feed: Mapping[str, Any] = field(default_factory=dict)
    race_control: Mapping[str, Any] = field(default_factory=dict)
    """The latest message of race control."""
    feed_at: int | None = None
    """Latest feed instant of a live document, ms."""
    received_at: int | None = None
    """Wall-clock ms at which `feed_at` became known."""
    tower_at: int | None = None
    """Wall-clock ms of the last call with a tower."""
    delay_ms: int | None = None
    """How old the last tower was when it came: since its feed instant if the feed is of now, else since it was
    stored."""
    speed: float = 1.0

    @property
    def racing(self) -> bool:
        """Whether gaps are on the road rather than to the best lap."""
        return self.session.get("type") == "Race"

    @property
    def order(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Racing number and tower line of every car by position, those without one last. Cars that are entered but
        not in the tower yet come after those, in the order of the grid."""
        lines = _lines(self.timing)
        entries = _lines(self.entries)
        missing = {number: _NONE for number in entries if number not in lines}
        grid = {number: line.get("grid", math.inf) for number, line in entries.items()}
        last = math.inf
        return sorted(
            [*lines.items(), *missing.items()],
            key=lambda item: (item[0] in missing, item[1].get("p", last), grid.get(item[0], last), item[0].zfill(4)),
        )

    def entry(self, number: str) -> Mapping[str, Any]:
        return _lines(self.entries).get(number, _NONE)

    def tyre(self, number: str) -> Mapping[str, Any]:
        return _lines(self.tyres).get(number, _NONE)

    @property
    def best_lap_ms(self) -> int | None:
        """The best lap of all."""
        return min((line["bestLapMs"] for line in _lines(self.tyres).values() if "bestLapMs" in line), default=None)

    @property
    def best_lap_by(self) -> str | None:
        """Racing number of whoever has the best lap of all: of equal ones, the car that is ahead."""
        best = self.best_lap_ms
        holders = (number for number, _ in self.order if self.tyre(number).get("bestLapMs") == best)
        return None if best is None else next(holders, None)

    @property
    def laps(self) -> tuple[int | None, int | None]:
        """The lap the leader is on, and how many there are to be."""
        count = self.session.get("lapCount", _NONE)
        current, led = count.get("current"), self.laps_led
        if current is None and led is not None and self.racing:
            current = led + 1 if self.session.get("status") == "Started" else led
        return current, count.get("total")

    @property
    def laps_led(self) -> int | None:
        """Laps the car in first position has completed."""
        return next((line.get("n") for _, line in self.order if line.get("p") == 1), None)

    def feed_now(self, now_ms: int) -> int | None:
        """The feed's instant at the wall-clock instant `now_ms`, as far as can be told."""
        if self.feed_at is None or self.received_at is None:
            return None
        if not math.isfinite(self.speed) or self.feed.get("state") == "ended":
            return self.feed_at
        return self.feed_at + min(STALE_MS, max(0, round((now_ms - self.received_at) * self.speed)))

    def remaining_ms(self, now_ms: int) -> int | None:
        """What the session's clock shows, ms."""
        clock = self.session.get("clock", _NONE)
        remaining: int | None = clock.get("remainingMs")
        at, now = instant_ms(clock.get("at")), self.feed_now(now_ms)
        if remaining is None or not clock.get("running") or at is None or now is None:
            return remaining
        return max(0, remaining - max(0, now - at))

    def silent_ms(self, now_ms: int) -> int | None:
        """Feed time since the feed's last message, as far as can be told; at `STALE_MS` or more it may be longer."""
        last = max((at for at in (instant_ms(self.feed.get("lastMessageAt")), self.feed_at) if at), default=None)
        now = self.feed_now(now_ms)
        return None if last is None or now is None else max(0, now - last)


class TowerModel:
    """Collects what listeners are called with, of one session: where several follow each other, of the one whose
    document came last. Safe to use from any thread.

    speed: feed time per wall-clock time, to count the clock on between two documents. wall_ms: the wall clock.
    """

    def __init__(self, speed: float = 1.0, wall_ms: Callable[[], int] = _wall_ms) -> None:
        self.wall_ms = wall_ms
        self._lock = threading.Lock()
        self._documents: dict[str, Mapping[str, Any]] = {}
        self._times: dict[str, int | None] = {}
        self._speed = speed
        self._session = ""

    @property
    def session(self) -> str:
        """Key of the session it is of, empty before the first document."""
        return self._session

    def on_change(self, path: str, fields: dict[str, Any]) -> None:
        """Takes a document as Firestore's client gives it; one the tower does not show is left."""
        parts = path.split("/")
        name = "session" if len(parts) == 2 else parts[-1] if parts[2:3] == ["live"] else parts[2]
        now, at = self.wall_ms(), instant_ms(fields.get("at"))
        with self._lock:
            if parts[1] != self._session:
                if self._session and len(parts) != 2:
                    return  # the last words of a session that another has followed
                self._session = parts[1]
                self._documents.clear()
                self._times.clear()
            if len(parts) == 2 or parts[2] == "live":
                self._documents[name] = fields
                if at is not None and at > (self._times.get("feed_at") or 0):
                    self._times.update(feed_at=at, received_at=now)
            elif name == "raceControl" and _said(fields) >= _said(self._documents.get(name, _NONE)):
                self._documents[name] = fields
            if name == "timing":
                self._times.update(tower_at=now, delay_ms=_delay(now, at, instant_ms(fields.get("writtenAt"))))

    def known(self) -> Known:
        """What is known now; later documents do not change it."""
        with self._lock:
            names = ("session", "timing", "entries", "tyres", "feed")
            documents = {name: self._documents.get(name, _NONE) for name in names}
            return Known(
                **documents,
                race_control=self._documents.get("raceControl", _NONE),
                feed_at=self._times.get("feed_at"),
                received_at=self._times.get("received_at"),
                tower_at=self._times.get("tower_at"),
                delay_ms=self._times.get("delay_ms"),
                speed=self._speed,
            )


def _lines(document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    lines: Mapping[str, Mapping[str, Any]] = document.get("lines", _NONE)
    return lines


def _said(message: Mapping[str, Any]) -> tuple[int, int]:
    return (instant_ms(message.get("at")) or 0, message.get("n", -1))


def _delay(now: int, at: int | None, written_at: int | None) -> int | None:
    since = at if at is not None and abs(now - at) < _LIVE_MS else written_at
    return None if since is None else max(0, now - since)
