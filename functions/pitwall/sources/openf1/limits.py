"""How often OpenF1 may be asked.

OpenF1 documents 3 requests a second and 30 a minute without an account, 6 and 60 with a paid one. How it counts is not
said; so no window of that length, wherever it begins, ever holds more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple


class Limit(NamedTuple):
    """At most so many requests in any `seconds`."""

    requests: int
    seconds: float


FREE: Final = (Limit(3, 1.0), Limit(30, 60.0))
PAID: Final = (Limit(6, 1.0), Limit(60, 60.0))

MARGIN_S: Final = 0.05
"""Added to every window: requests do not all take equally long on their way."""


class RateLimit:
    """Makes whoever asks wait until all limits allow it."""

    def __init__(
        self, limits: tuple[Limit, ...], monotonic: Callable[[], float], pause: Callable[[float], object]
    ) -> None:
        """monotonic: seconds. pause: waits so many seconds; may raise."""
        self._limits = limits
        self._monotonic = monotonic
        self._pause = pause
        self._asked: deque[float] = deque(maxlen=max(limit.requests for limit in limits))

    def wait(self) -> None:
        """Waits for the next request's turn, and counts it."""
        while (seconds := self.due_in_s()) > 0:
            self._pause(seconds)
        self._asked.append(self._monotonic())

    def due_in_s(self) -> float:
        """Seconds until the next request is allowed."""
        now = self._monotonic()
        waits = [
            self._asked[-limit.requests] + limit.seconds + MARGIN_S - now
            for limit in self._limits
            if len(self._asked) >= limit.requests
        ]
        return max(waits, default=0.0)
