"""One live source instead of another: when it takes over, what is told at the seam, and how it goes back."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from pitwall.message import FEED_GAP, FeedStatus, Message
from pitwall.sources.fallback import FallbackSource, with_fallback

BLOCKED = FeedStatus("refused", "F1 blocks this address (403)")
LIVE = FeedStatus("live")
CONNECTING = FeedStatus("connecting")


class Scripted:
    """A live source that says what the test tells it to, when it does."""

    def __init__(self, name: str, *items: Message | FeedStatus, session: str = "9845") -> None:
        self.name = name
        self.session = session
        self.rejected: Counter[str] = Counter()
        self.closed = False
        self._items: queue.Queue[Message | FeedStatus | Exception | None] = queue.Queue()
        self.say(*items)

    def say(self, *items: Message | FeedStatus | Exception) -> None:
        for item in items:
            self._items.put(item)

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        while (item := self._items.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def close(self) -> None:
        self.closed = True
        self._items.put(None)


def snapshot(at: int) -> tuple[Message, Message]:
    info, timing = {"Key": 9845}, {"Lines": {"4": {"Position": "1"}}}
    return Message("SessionInfo", info, at, snapshot=True), Message("TimingData", timing, at, snapshot=True)


def delta(at: int) -> Message:
    return Message("TimingData", {"Lines": {"4": {"Position": "2"}}}, at)


class Both:
    """A first source, and the second ones that were opened for it."""

    def __init__(self, *first: Message | FeedStatus, after_s: float = 0.0) -> None:
        self.first = Scripted("f1", *first)
        self.opened: list[Scripted] = []
        self.source: FallbackSource = with_fallback(self.first, self._open, after_s=after_s)
        self.items = self.source.messages()

    def _open(self) -> Scripted:
        self.opened.append(Scripted("openf1", CONNECTING, LIVE))
        return self.opened[-1]

    def next(self, count: int) -> list[Any]:
        return [next(self.items) for _ in range(count)]


@pytest.fixture
def closing() -> Iterator[list[Both]]:
    open_sources: list[Both] = []
    yield open_sources
    for both in open_sources:
        both.source.close()


def make(closing: list[Both], *first: Message | FeedStatus, after_s: float = 0.0) -> Both:
    closing.append(Both(*first, after_s=after_s))
    return closing[-1]


def test_a_first_source_that_answers_is_read_alone(closing: list[Both]) -> None:
    both = make(closing, CONNECTING, LIVE, *snapshot(10), delta(20))
    assert both.next(5) == [CONNECTING, LIVE, *snapshot(10), delta(20)]
    assert both.opened == []
    assert (both.source.name, both.source.session) == ("f1", "9845")


def test_while_the_first_is_refused_the_second_is_read_and_that_is_said(closing: list[Both]) -> None:
    both = make(closing, CONNECTING, BLOCKED)
    said = both.next(5)
    assert [(status.state, status.detail) for status in said[2:]] == [
        ("connecting", "F1 blocks this address (403); reading OpenF1 instead"),
        ("connecting", "F1 blocks this address (403); reading OpenF1 instead"),
        ("live", "F1 blocks this address (403); reading OpenF1 instead"),
    ]
    both.opened[0].say(*snapshot(10), delta(20))
    assert both.next(3) == [*snapshot(10), delta(20)]
    assert both.source.name == "openf1"


def test_one_refusal_is_not_enough_at_once(closing: list[Both]) -> None:
    both = make(closing, CONNECTING, BLOCKED, LIVE, *snapshot(10), after_s=3_600)
    assert both.next(5) == [CONNECTING, BLOCKED, LIVE, *snapshot(10)]
    assert both.opened == []


def test_three_refusals_in_a_row_are_enough(closing: list[Both]) -> None:
    again = BLOCKED._replace(detail="F1 wants a login (401)")
    both = make(closing, BLOCKED, CONNECTING, again, CONNECTING, BLOCKED, after_s=3_600)
    both.next(5)
    assert both.next(1)[0].detail.endswith("reading OpenF1 instead")


def test_a_connection_that_only_breaks_is_no_reason_to_change(closing: list[Both]) -> None:
    broken = FeedStatus("reconnecting", "the connection broke")
    both = make(closing, LIVE, *snapshot(10), broken, LIVE, *snapshot(30))
    both.next(7)
    assert both.opened == []


def test_the_seam_is_told_as_a_gap_and_its_snapshot_is_not_before_it(closing: list[Both]) -> None:
    both = make(closing, LIVE, *snapshot(1_000), delta(5_000), BLOCKED)
    both.next(8)
    both.opened[0].say(*snapshot(4_000), delta(4_500))
    gap, info, timing, late = both.next(4)
    assert (gap.topic, gap.data["From"], gap.data["To"]) == (FEED_GAP, 5_000, 5_000)
    assert gap.data["Reason"] == "the source changed to OpenF1"
    assert (info.at, timing.at) == (5_000, 5_000)
    assert late == delta(4_500)


def test_a_second_source_before_any_message_leaves_no_gap(closing: list[Both]) -> None:
    both = make(closing, BLOCKED)
    both.next(4)
    both.opened[0].say(*snapshot(10))
    assert both.next(2) == [*snapshot(10)]


def test_it_goes_back_as_soon_as_the_first_answers(closing: list[Both]) -> None:
    both = make(closing, BLOCKED)
    both.next(4)
    both.opened[0].say(*snapshot(1_000), delta(2_000))
    both.next(3)
    both.first.say(LIVE, *snapshot(3_000), delta(4_000))
    status, gap, *rest = both.next(5)
    assert status == LIVE
    assert (gap.topic, gap.data["From"], gap.data["To"]) == (FEED_GAP, 2_000, 3_000)
    assert gap.data["Reason"] == "the source changed to F1's live feed"
    assert rest == [*snapshot(3_000), delta(4_000)]
    assert both.opened[0].closed
    assert both.source.name == "f1"


def test_the_gap_of_the_first_source_begins_where_the_second_ended(closing: list[Both]) -> None:
    both = make(closing, LIVE, *snapshot(1_000), BLOCKED)
    both.next(7)
    both.opened[0].say(*snapshot(2_000), delta(9_000))
    both.next(4)
    own_gap = Message(FEED_GAP, {"From": 1_000, "To": 9_500, "Reason": "F1 blocks this address (403)"}, 9_500)
    both.first.say(LIVE, own_gap, *snapshot(9_500))
    _, gap, info, _ = both.next(4)
    assert (gap.data["From"], gap.data["To"]) == (9_000, 9_500)
    assert info.topic == "SessionInfo"


def test_refused_again_it_opens_a_second_source_anew(closing: list[Both]) -> None:
    both = make(closing, BLOCKED)
    both.next(4)
    both.first.say(LIVE, *snapshot(3_000), BLOCKED)
    both.next(5)
    assert len(both.opened) == 2
    assert both.next(1)[0].state == "connecting"


def test_what_neither_could_read_is_counted_together(closing: list[Both]) -> None:
    both = make(closing, BLOCKED)
    both.next(4)
    both.first.rejected["bad-json"] = 2
    both.opened[0].rejected["bad-laps"] = 1
    both.opened[0].say(CONNECTING)
    both.next(1)
    assert both.source.rejected == {"bad-json": 2, "bad-laps": 1}
    both.first.say(LIVE)
    both.next(1)
    assert both.source.rejected == {"bad-json": 2, "bad-laps": 1}


def test_closing_closes_both_and_ends_the_iteration(closing: list[Both]) -> None:
    both = make(closing, BLOCKED)
    both.next(4)
    both.source.close()
    assert list(both.items) == []
    assert both.first.closed
    assert both.opened[0].closed


def test_the_end_of_the_first_source_is_the_end(closing: list[Both]) -> None:
    both = make(closing, LIVE)
    both.first.close()
    assert list(both.items) == [LIVE]


def test_what_a_source_raises_is_raised(closing: list[Both]) -> None:
    both = make(closing, BLOCKED)
    both.next(4)
    both.opened[0].say(OSError("out of files"))
    with pytest.raises(OSError, match="out of files"):
        next(both.items)
