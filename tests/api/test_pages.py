"""Cursors say nothing to a client, and nothing but a cursor is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.api.pages import Number, cursor, opened

LIST = ("9845", "44", 1, 99)


@given(st.integers(min_value=0, max_value=2**53))
def test_a_cursor_gives_back_where_the_page_begins(after: int):
    assert opened(cursor(after, LIST), LIST, Number) == after


def test_a_cursor_may_be_the_place_in_any_order():
    place = (datetime(2025, 11, 8, 14, 3, 7, 412_345, tzinfo=UTC), "9845")
    assert opened(cursor(place, LIST), LIST, tuple[datetime, str]) == place


@pytest.mark.parametrize("other", [-1, 2**53 + 1, 2**64 - 1, "x", None, 1.5, [1], {"a": 1}, datetime.now(UTC)])
def test_a_cursor_that_was_made_up_is_no_cursor(other: Any):
    with pytest.raises(ValueError, match="cursor"):
        opened(cursor(other, LIST), LIST, Number)


@given(st.text())
def test_text_is_no_cursor(text: str):
    with pytest.raises(ValueError, match=r"cursor|list"):
        opened(text, LIST, Number)


@given(st.integers(min_value=0, max_value=2**32 - 1), st.integers(min_value=0, max_value=14), st.characters())
def test_a_cursor_with_a_changed_character_never_begins_another_list(after: int, place: int, character: str):
    made = cursor(after, LIST)
    changed = made[:place] + character + made[place + 1 :]
    try:
        opened(changed, ("9846", "44", 1, 99), Number)
    except ValueError:
        return
    raise AssertionError(changed)
