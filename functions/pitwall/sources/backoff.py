"""When to connect again, and which attempts are worth a line of the log.

A connection that lived as long as the longest wait starts the count anew, so a server that drops us every two hours is
asked again at once, and one that lets us in and drops us is not asked more often than one that does not let us in.
"""

from __future__ import annotations

import random
from typing import Final

from tenacity import RetryCallState, Retrying, wait_random_exponential

FIRST_S: Final = 1.0
"""The first attempt after a connection that lived comes within this many seconds."""

LONGEST_ASKED_S: Final = 600.0
"""Seconds of a `Retry-After` that are heeded; a mistake there must not cost a session."""


class Backoff:
    """Counts attempts that came to nothing and says how long to wait after each.

    attempts: since a connection last lived for a while.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        # Full jitter; a floor that keeps it from drawing no wait at all several times in a row.
        self._strategy = wait_random_exponential(
            multiplier=min(FIRST_S, longest_s), max=longest_s, min=min(FIRST_S, longest_s) / 10
        )
        self._state = RetryCallState(Retrying(), None, (), {})
        self._said: str | None = None
        self.attempts = 0

    def failed(self, lived_s: float) -> None:
        """An attempt came to its end; `lived_s` after its snapshot had come, 0 if none had."""
        if lived_s >= self._longest_s:
            self.attempts = 0
            self._said = None
        self.attempts += 1

    def wait_s(self, asked_s: float | None = None) -> float:
        """Seconds to wait before the next attempt. asked_s: what the server asked for."""
        self._state.attempt_number = self.attempts
        wait = float(self._strategy(self._state))
        if asked_s is None:
            return wait
        # On top of what was asked for, that all who were asked to wait do not come back in the same moment.
        return max(wait, min(asked_s, LONGEST_ASKED_S) + random.uniform(0, FIRST_S))  # noqa: S311

    def worth_saying(self, text: str) -> bool:
        """Whether the log is to have a line on this attempt: something else is said than last time, or the number of
        attempts has doubled."""
        changed, self._said = text != self._said, text
        return changed or self.attempts & (self.attempts - 1) == 0
