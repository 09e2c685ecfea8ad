"""What is to be sent, and when: gathers messages in any order and hands them out as F1 would.

Sorted by the time of sending, cut down to what changed, and a few of them with an instant of their
own that lies behind the message before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from local.simulator.sent import SentState
from local.simulator.wording import WHOLE, FeedMessage


class Wire:
    """The sending side of the feed. All instants are ms since the epoch, UTC."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._said: list[tuple[int, int, str, dict[str, Any], int]] = []
        self._planned: list[tuple[int, int, Callable[[int], None]]] = []
        self._plans = 0
        self._series: dict[tuple[str, str], tuple[int, int]] = {}

    def jitter(self, low: int, high: int) -> int:
        """Some milliseconds of delay."""
        return self.rng.randint(low, high)

    def say(self, at: int, topic: str, payload: dict[str, Any], behind: int = 0) -> None:
        """To be sent at `at`, marked with an instant `behind` ms earlier."""
        if topic == "TimingData" and not behind and self.rng.random() < 0.003:
            behind = round(self.rng.expovariate(1 / 90.0))
        self._said.append((at, len(self._said), topic, payload, behind))

    def lines(self, at: int, lines: dict[str, Any], topic: str = "TimingData") -> None:
        """The same for `{"Lines": ...}`, by racing number; nothing if there are none."""
        if lines:
            self.say(at, topic, {"Lines": lines})

    def append(self, at: int, topic: str, series: str, item: dict[str, Any], behind: int = 0) -> None:
        """One more item of a topic's list: the first makes the list, the others come by index, in order."""
        count, last = self._series.get((topic, series), (0, 0))
        at = max(at, last + 1)
        self._series[topic, series] = count + 1, at
        self.say(at, topic, {series: {str(count): item} if count else [item]}, behind)

    def after(self, at: int, action: Callable[[int], None]) -> None:
        """Calls `action` with its instant once the race has come to `at`."""
        self._plans += 1
        heapq.heappush(self._planned, (at, self._plans, action))

    def run_until(self, at: int) -> None:
        """The race has come to `at`: does what was planned until then."""
        while self._planned and self._planned[0][0] <= at:
            due, _, action = heapq.heappop(self._planned)
            action(due)

    def messages(self, opens: int, ends: int) -> Iterator[FeedMessage]:
        """Everything said, in the order it is received."""
        state = SentState()
        for at, _, topic, payload, behind in sorted(self._said, key=lambda said: said[:2]):
            if at > ends:
                return
            change = payload if topic in WHOLE else state.reduce(topic, payload)
            if change:
                yield FeedMessage(max(at - behind, opens), topic, change, at)
