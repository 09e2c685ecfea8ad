"""No window of a limit's length, wherever it begins, holds more than the limit."""

from __future__ import annotations

import random

import pytest

from pitwall.sources.openf1.limits import FREE, PAID, Limit, RateLimit
from tests.sources.openf1.playing import Clock


@pytest.mark.parametrize("limits", [FREE, PAID])
@pytest.mark.parametrize("seed", range(5))
def test_no_window_holds_more_than_the_limit(limits: tuple[Limit, ...], seed: int) -> None:
    clock, pauses = Clock(0), random.Random(seed)
    limit = RateLimit(limits, clock.monotonic, clock.pause)
    asked = []
    for _ in range(400):
        limit.wait()
        asked.append(clock.seconds)
        clock.seconds += pauses.choice([0.0, 0.0, 0.1, 0.4, 3.0])
    for allowed, seconds in limits:
        assert max(sum(1 for at in asked if begin <= at < begin + seconds) for begin in asked) <= allowed


def test_the_first_requests_do_not_wait() -> None:
    clock = Clock(0)
    limit = RateLimit(FREE, clock.monotonic, clock.pause)
    for _ in range(3):
        limit.wait()
    assert clock.seconds == 0
