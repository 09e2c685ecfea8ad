"""Whether the topics that need a login are coming: what becomes of a token is told by nothing else.

F1's server does not say that a token has run out; it stops sending those topics, or closes.
"""

from __future__ import annotations

from typing import Final

from pitwall.sources.signalr.topics import GATED_NAMES

TIMING_MOST: Final = 20
"""Messages of TimingData without one of telemetry: cars that are timed have telemetry several times a second."""


class GatedTopics:
    """The gated topics of one connection that asked for them. Instants are seconds of one monotonic clock."""

    def __init__(self, quiet_s: float, since: float) -> None:
        """quiet_s: seconds without any of them after which they may be missed. since: when the connection began."""
        self._quiet_s = quiet_s
        self._since = since
        self._heard = False
        self._timing = 0

    def message(self, topic: str, now: float) -> None:
        """A message has come. topic: without `.z`."""
        if topic in GATED_NAMES:
            self._since, self._heard = now, True
            self._timing = 0
        elif topic == "TimingData":
            self._timing += 1

    def trouble(self, now: float, *, expired: bool) -> str | None:
        """What is wrong with them in plain words, None while they come or there may be nothing to send.

        expired: the token's own time is over. Then, or where cars are timed, their absence says something.
        """
        if now - self._since < self._quiet_s or not (expired or self._timing >= TIMING_MOST):
            return None
        if self._heard:
            return "F1 stopped sending what needs a login; is the F1TV token still good?"
        return "F1 sends nothing that needs a login, though there is an F1TV token"
