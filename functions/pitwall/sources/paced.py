"""Lets a recording's messages through at their original timing, faster, or at once.

Stands between a source and the poller; what is done with a message is not its business.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event

from pitwall.message import Message

MAX = math.inf
"""The speed that does not wait."""


def parse_speed(text: str) -> float:
    """The speed written as `max` or as a number above 0 (`1` is the original timing). Raises ValueError."""
    if text.strip().lower() == "max":
        return MAX
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not speed > 0:
        raise ValueError(f"speed must be a number above 0 or max, not {text!r}")
    return speed


def paced(
    messages: Iterable[Message],
    speed: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    wall: Callable[[], float] = time.time,
    stop: Event | None = None,
) -> Iterator[Message]:
    """The messages, each when its time has come, with `arrived` set (wall-clock milliseconds).

    speed: 1 is the original timing, n is n times as fast, `math.inf` does not wait.
    clock, sleep: seconds, monotonic. wall: seconds since the epoch.
    stop: ends the iteration, also in the middle of a wait.

    Every wait is measured from the first message, so delays do not add up; a reader that falls behind is
    let through without waiting until it has caught up, and so is a message whose instant steps back. Gaps are
    kept. Raises ValueError for a speed not above 0.
    """
    if not speed > 0:
        raise ValueError(f"speed must be above 0, not {speed}")
    return _paced(messages, speed, clock, sleep, wall, stop)


def _paced(
    messages: Iterable[Message],
    speed: float,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    wall: Callable[[], float],
    stop: Event | None,
) -> Iterator[Message]:
    wait = sleep if stop is None else stop.wait
    first: int | None = None
    began = 0.0
    for message in messages:
        if stop is not None and stop.is_set():
            return
        if first is None:
            first = message.at
            began = clock()
        remaining = began + (message.at - first) / 1000 / speed - clock()
        if remaining > 0:
            wait(remaining)
            if stop is not None and stop.is_set():
                return
        yield message._replace(arrived=int(wall() * 1000))
