"""Reading a source beside the poller: order, waiting, its end, and what time it is in between."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator

from pitwall.message import Message
from pitwall.pipeline.reader import QUEUED, Ended, FeedClock, Item, Opened, Quiet, Reader
from tests.clock import Clock


class Given:
    """A source that yields what it was given."""

    name = "given"
    session = "7001"

    def __init__(self, messages: list[Message], failing: Exception | None = None) -> None:
        self.rejected: Counter[str] = Counter()
        self.yielded = 0
        self._messages = messages
        self._failing = failing

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        for message in self._messages[cursor:]:
            self.yielded += 1
            yield message
        if self._failing:
            raise self._failing


def beats(*instants: int) -> list[Message]:
    return [Message("Heartbeat", {}, at, cursor=n) for n, at in enumerate(instants)]


def everything(reader: Reader) -> list[Item]:
    items: list[Item] = []
    while not items or not isinstance(items[-1], Ended):
        item = reader.get(10.0)
        assert item is not None, "nothing came"
        items.append(item)
    return items


def test_messages_come_in_order_from_the_cursor_on_then_the_end() -> None:
    source = Given(beats(10, 20, 30, 40))
    items = everything(Reader(Opened(source, math.inf, True), 2))
    assert [item.cursor for item in items if isinstance(item, Message)] == [2, 3]
    assert items[-1] == Ended(None)


def test_each_message_has_the_time_it_arrived() -> None:
    items = everything(Reader(Opened(Given(beats(10)), math.inf, True), 0))
    assert isinstance(items[0], Message)
    assert items[0].arrived > 0


def test_a_source_that_fails_is_told_apart_from_one_that_ends() -> None:
    error = OSError("the disk is gone")
    items = everything(Reader(Opened(Given(beats(10), error), math.inf, True), 0))
    assert items[-1] == Ended(error)


def test_a_source_nobody_takes_from_is_not_read_on() -> None:
    source = Given(beats(*range(QUEUED * 3)))
    reader = Reader(Opened(source, math.inf, True), 0)
    while reader.waiting < QUEUED:
        time.sleep(0.01)
    time.sleep(0.1)
    assert source.yielded <= QUEUED + 1
    reader.stop()


def test_a_stopped_reader_ends_its_thread_though_nobody_takes() -> None:
    reader = Reader(Opened(Given(beats(*range(QUEUED * 3))), math.inf, True), 0)
    reader.stop()
    reader._thread.join(10)
    assert not reader._thread.is_alive()


def test_a_paced_recording_tells_until_when_it_will_be_quiet() -> None:
    items = everything(Reader(Opened(Given(beats(0, 3_000, 3_000)), 20.0, True), 0))
    assert [type(item).__name__ for item in items] == ["Message", "Quiet", "Message", "Message", "Ended"]
    quiet = items[1]
    assert isinstance(quiet, Quiet)
    assert quiet.until == 3_000
    assert 0 <= quiet.at < 3_000


def test_a_recording_at_max_speed_tells_nothing_in_between() -> None:
    items = everything(Reader(Opened(Given(beats(0, 3_000_000)), math.inf, True), 0))
    assert not any(isinstance(item, Quiet) for item in items)


def test_the_feeds_time_of_a_recording_stops_before_its_next_message() -> None:
    wall = Clock()
    clock = FeedClock(live=None, monotonic=wall)
    clock.quiet(Quiet(1_000, 9_000, 20.0))
    wall.now += 0.1
    assert clock.now() == 3_000
    wall.now += 10
    assert clock.now() == 9_000


def test_only_the_next_message_tells_the_time_of_a_recording_that_does_not_wait() -> None:
    clock = FeedClock(live=None)
    clock.message(5_000)
    assert clock.now() is None


def test_a_live_feeds_time_runs_on_a_little_late() -> None:
    wall = Clock()
    clock = FeedClock(live=1.0, monotonic=wall)
    assert clock.now() is None
    clock.message(5_000)
    wall.now += 2
    assert clock.now() == 7_000 - FeedClock.LATE_MS
