"""Cursors say nothing to a client, and nothing but a cursor is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.api.pages import cursor, opened

LIST = ("9845", "44", 1, 99)


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_cursor_gives_back_where_the_page_begins(after: int):
    assert opened(cursor(after, LIST), LIST) == after


@given(st.text())
def test_text_is_no_cursor(text: str):
    with pytest.raises(ValueError, match=r"cursor|list"):
        opened(text, LIST)


@given(st.integers(min_value=0, max_value=2**32 - 1), st.integers(min_value=0, max_value=14), st.characters())
def test_a_cursor_with_a_changed_character_never_begins_another_list(after: int, place: int, character: str):
    made = cursor(after, LIST)
    changed = made[:place] + character + made[place + 1 :]
    try:
        opened(changed, ("9846", "44", 1, 99))
    except ValueError:
        return
    raise AssertionError(changed)
