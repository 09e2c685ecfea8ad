"""A board from the middle of a recording: whatever it holds, it is read."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pitwall.karting import vocabulary
from pitwall.karting.replayed import Board
from pitwall.message import Message
from pitwall.sources.pitwall_format import BOARD

ROWS = st.sampled_from(["r1", "r2", ""])
VALUES = st.none() | st.integers(-5, 2**40) | st.sampled_from(["7", "é", ""]) | st.lists(st.none(), max_size=1)
NAMES = st.sampled_from([*vocabulary.Line.__annotations__, "Row", "In", "Lines", "Numbers", "Unknown"])
DATA = st.recursive(
    VALUES, lambda inner: st.dictionaries(ROWS | NAMES, inner, max_size=3) | st.lists(inner, max_size=2), max_leaves=8
)


@given(st.lists(st.tuples(st.sampled_from([BOARD, *sorted(vocabulary.TOPICS), "junk"]), DATA), max_size=8))
def test_whatever_was_recorded_is_read(messages: list[tuple[str, Any]]):
    board = Board("kart-nowhere-x", "kart-nowhere", "nowhere", {"C1": "Kart", "C2": "Dernier T."}, 0)
    for at, (topic, data) in enumerate(messages):
        for number, row in board.take(Message(topic, data, at)):
            assert number
            assert row.mapped_data.keys() == {"C1", "C2"}
