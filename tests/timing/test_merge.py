"""The feed's deltas: dicts of indexes, lists resent whole, keyframe marks, deleted keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.timing.merge import MAX_DEPTH, items, merge
from pitwall.timing.state import difference


def test_a_dict_changes_only_what_it_names() -> None:
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}) == {"a": {"b": 1, "c": 3}}


def test_a_dict_of_indexes_changes_items_of_a_list() -> None:
    assert merge([{"v": 1}, {"v": 2}], {"1": {"w": 3}}) == [{"v": 1}, {"v": 2, "w": 3}]


def test_an_index_past_the_end_fills_the_gap_with_nothing() -> None:
    assert merge([1], {"3": {"v": 4}}) == [1, None, None, {"v": 4}]


def test_a_list_resent_whole_replaces_the_list() -> None:
    assert merge([{"v": 1}, {"v": 2}, {"v": 3}], [{"v": 9}]) == [{"v": 9}]


def test_a_dict_of_names_replaces_a_list() -> None:
    assert merge([1, 2], {"Utc": "x"}) == {"Utc": "x"}


def test_an_index_beyond_any_list_of_the_feeds_makes_no_list_of_that_length() -> None:
    assert merge([1], {"99999": 2}) == {"99999": 2}


def test_a_dict_of_indexes_for_what_is_not_known_yet_stays_a_dict() -> None:
    assert merge(None, {"0": {"v": 1}}) == {"0": {"v": 1}}
    assert items(merge(None, {"10": "b", "2": "a"})) == [(2, "a"), (10, "b")]


def test_the_keyframe_mark_is_no_data() -> None:
    assert merge({}, {"_kf": True, "a": [{"_kf": True, "b": 1}]}) == {"a": [{"b": 1}]}
    assert merge([1], {"_kf": True, "0": 2}) == [2]


def test_deleted_keys_are_removed() -> None:
    assert merge({"Value": "1:20.0", "Lap": 3}, {"Value": "", "_deleted": ["Lap", "Never"]}) == {"Value": ""}


def test_a_deleted_item_of_a_list_keeps_its_place() -> None:
    assert merge(["a", "b", "c"], {"_deleted": ["1", 7, None]}) == ["a", None, "c"]
    assert merge(["a", "b", "c"], {"_deleted": [0]}) == [None, "b", "c"]


@pytest.mark.parametrize("what", ["Lap", None, 3, {"0": "Lap"}])
def test_a_mark_of_deletion_that_is_no_list_deletes_nothing(what: Any) -> None:
    assert merge({"Lap": 3}, {"_deleted": what}) == {"Lap": 3}
    assert merge([1, 2], {"_deleted": what}) == [1, 2]


def test_null_is_a_value() -> None:
    assert merge({"a": 1, "b": {"c": 2}}, {"a": None, "b": None}) == {"a": None, "b": None}


def test_a_delta_is_not_kept_by_reference() -> None:
    delta = {"a": {"b": [{"c": 1}]}}
    state = merge({}, delta)
    merge(state, {"a": {"b": {"0": {"c": 2}}}})
    assert delta == {"a": {"b": [{"c": 1}]}}


def test_what_is_deeper_than_the_feed_ever_is_refused() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 2):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="levels"):
        merge({}, deep)
    nested: Any = 1
    for _ in range(MAX_DEPTH + 2):
        nested = [nested]
    with pytest.raises(ValueError, match="levels"):
        merge(None, nested)


@pytest.mark.parametrize("value", [None, 5, "text", True])
def test_what_has_no_items_has_none(value: Any) -> None:
    assert items(value) == []


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab01", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(json)
def test_merging_into_nothing_gives_the_delta_itself(delta: Any) -> None:
    assert merge(None, delta) == delta


@given(json)
def test_merging_a_dict_twice_is_as_merging_it_once(delta: Any) -> None:
    once = merge({}, {"x": delta})
    assert merge(merge({}, {"x": delta}), {"x": delta}) == once


dicts = st.recursive(
    st.none() | st.integers(0, 3) | st.text(max_size=2),
    lambda inner: st.dictionaries(st.sampled_from(("a", "b", "c")), inner, max_size=3),
    max_leaves=12,
)


def covers(state: Any, now: Any) -> bool:
    """Whether all that is in `now` is in `state`; keys that are gone may stay."""
    if isinstance(now, dict):
        return isinstance(state, dict) and all(key in state and covers(state[key], now[key]) for key in now)
    return bool(state == now)


@given(st.dictionaries(st.sampled_from(("a", "b")), dicts), st.dictionaries(st.sampled_from(("a", "b")), dicts))
def test_a_difference_merged_into_what_was_gives_what_is(before: dict[str, Any], now: dict[str, Any]) -> None:
    assert covers(merge(merge(None, before), difference(before, now)), now)


def test_a_difference_is_told_as_a_delta() -> None:
    before = {"Sectors": [{"Value": "1", "Status": 0}, {"Value": ""}], "Position": "3", "Stats": [1, 2]}
    after = {"Sectors": [{"Value": "2", "Status": 0}, {"Value": ""}, {"Value": "5"}], "Position": "3", "Stats": [1]}
    assert difference(before, after) == {"Sectors": {"0": {"Value": "2"}, "2": {"Value": "5"}}, "Stats": [1]}
