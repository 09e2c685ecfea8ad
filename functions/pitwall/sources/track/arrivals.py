"""Instants of what comes from a kart track: its feeds have none of their own, so they are those of its arrival."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Arrivals:
    """A clock of one feed that never goes back: the wall's when it was last set, then the seconds passed since."""

    def __init__(
        self,
        speed: float = 1.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """speed: how fast it runs, for feeds that are played; one that is not finite counts as 1."""
        self._speed = speed if math.isfinite(speed) else 1.0
        self._wall = wall
        self._monotonic = monotonic
        self._base_ms: int | None = None
        self._since = 0.0
        self._last = 0

    def set(self) -> None:
        """Sets it by the wall, at the beginning of a connection. One that runs faster is only set once."""
        if self._base_ms is None or self._speed == 1.0:
            self._base_ms, self._since = int(self._wall() * 1000), self._monotonic()

    def now(self) -> int:
        """The instant, ms since the epoch."""
        if self._base_ms is None:
            self.set()
        passed_ms = (self._monotonic() - self._since) * 1000 * self._speed
        self._last = max(self._last, (self._base_ms or 0) + int(passed_ms))
        return self._last
