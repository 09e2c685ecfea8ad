"""Timing of a replay, on a clock of the test's own: no test waits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from threading import Event

import pytest

from pitwall.message import Message
from pitwall.sources.paced import paced, parse_speed


class Clock:
    """A clock that only sleeping and working move."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def messages(*instants: int) -> list[Message]:
    return [Message("LapCount", {}, instant, cursor=number) for number, instant in enumerate(instants)]


def let_through(speed: float, *instants: int, work: float = 0.0) -> list[float]:
    """Seconds after the first message at which each is let through, with a reader that works so long on each."""
    clock = Clock()
    times = []
    for _ in paced(messages(*instants), speed, clock, clock.sleep):
        times.append(round(clock.now - 1_000.0, 6))
        clock.now += work
    return times


def test_original_timing() -> None:
    assert let_through(1, 50_000, 51_500, 51_500, 54_000) == [0.0, 1.5, 1.5, 4.0]


def test_twenty_times_as_fast() -> None:
    assert let_through(20, 50_000, 70_000, 90_000) == [0.0, 1.0, 2.0]


def test_max_does_not_wait() -> None:
    assert let_through(math.inf, 50_000, 70_000, 9_000_000) == [0.0, 0.0, 0.0]


def test_time_spent_on_a_message_does_not_add_up() -> None:
    assert let_through(1, 0, 1_000, 2_000, 3_000, work=0.25) == [0.0, 1.0, 2.0, 3.0]


def test_reader_that_fell_behind_catches_up() -> None:
    assert let_through(1, 0, 1_000, 2_000, 9_000, work=2.0) == [0.0, 2.0, 4.0, 9.0]


def test_message_that_steps_back_is_not_waited_for() -> None:
    assert let_through(1, 0, 3_000, 1_000, 4_000) == [0.0, 3.0, 3.0, 4.0]


def test_long_gap_is_kept() -> None:
    assert let_through(10, 0, 835_000) == [0.0, 83.5]


def test_begins_with_the_first_message_let_through() -> None:
    assert let_through(1, 9_000_000, 9_001_000) == [0.0, 1.0]


def test_arrived_is_the_wall_clock_and_nothing_else_changes() -> None:
    clock = Clock()
    given = messages(0, 1_500)
    wall = iter([1_700_000_000.25, 1_700_000_001.75])
    played = list(paced(given, 1, clock, clock.sleep, lambda: next(wall)))
    assert [message.arrived for message in played] == [1_700_000_000_250, 1_700_000_001_750]
    assert [message._replace(arrived=0) for message in played] == given


class StopAfter(Event):
    """An event that is set while somebody waits on it for the nth time, as a shutdown would."""

    def __init__(self, waits: int) -> None:
        super().__init__()
        self.left = waits

    def wait(self, timeout: float | None = None) -> bool:
        self.left -= 1
        if self.left == 0:
            self.set()
        return self.is_set()


def test_stop_ends_a_wait() -> None:
    clock = Clock()
    stop = StopAfter(2)
    played = list(paced(messages(0, 10_000, 20_000, 30_000), 1, clock, clock.sleep, stop=stop))
    assert [message.at for message in played] == [0, 10_000]
    assert clock.slept == []


def test_stop_ends_a_replay_at_max_speed() -> None:
    stop = Event()
    played = []
    for message in paced(messages(0, 1, 2), math.inf, stop=stop):
        played.append(message.at)
        stop.set()
    assert played == [0]


def test_no_message_is_read_ahead() -> None:
    read: list[int] = []

    def source() -> Iterator[Message]:
        for message in messages(0, 0, 0):
            read.append(message.cursor)
            yield message

    replay = paced(source(), 1)
    next(replay)
    assert read == [0]


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_speed_must_be_above_0(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        paced([], speed)


@pytest.mark.parametrize(
    ("text", "speed"), [("1", 1.0), ("20", 20.0), ("0.5", 0.5), ("max", math.inf), ("MAX", math.inf)]
)
def test_speed_is_read(text: str, speed: float) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-3", "fast", "nan"])
def test_other_speeds_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_speed(text)
