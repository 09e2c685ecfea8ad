"""What goes wrong at the hub's door and on its sockets, while it is in force. When is `plan`'s or the caller's.

Kept on the hub's event loop.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from random import Random
from typing import Literal, TypeAlias

Where: TypeAlias = Literal["negotiate", "connect", "lookup", "poll"]
"""A step of somebody's way in: F1's first two; of kart tracks also what tells where to connect, and polling."""
Step: TypeAlias = Literal["negotiate", "handshake", "subscribe"]


@dataclass(slots=True)
class Refusal:
    """times: how often still, None until allowed. retry_after_s: what 429 says."""

    status: int
    times: int | None
    retry_after_s: float | None


class Faults:
    """Faults in force. cut, join: probability for each WebSocket message."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.cut = 0.0
        self.join = 0.0
        self._refusals: dict[str, deque[Refusal]] = {}
        self._steps: Counter[str] = Counter()

    def refuse(self, where: Where, refusal: Refusal) -> None:
        self._refusals.setdefault(where, deque()).append(refusal)

    def allow(self) -> None:
        """Ends refusals, stalls and failures."""
        self._refusals.clear()
        self._steps.clear()

    def refusal(self, where: Where) -> Refusal | None:
        """The refusal that meets the next one to come there, in the order they were asked for."""
        refusals = self._refusals.get(where)
        if not refusals:
            return None
        refusal = refusals[0]
        if refusal.times is not None:
            refusal.times -= 1
            if refusal.times <= 0:
                refusals.popleft()
        return refusal

    def fail(self, step: Step, times: int) -> None:
        """The next `times` ones get no answer, or in `subscribe` an error."""
        self._steps[step] += times

    def fails(self, step: Step) -> bool:
        if self._steps[step] <= 0:
            return False
        self._steps[step] -= 1
        return True
