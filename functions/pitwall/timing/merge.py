"""Deep merge of the feed's deltas.

The feed sends a topic's whole state once and then only what changed. Lists are
changed by a dict of indexes (`{"Sectors": {"1": {...}}}`) or resent whole; `_kf`
marks a keyframe and is no data; `_deleted: [keys]` removes keys.
"""

from __future__ import annotations

from typing import Any

DELETED = "_deleted"
KEYFRAME = "_kf"
MAX_DIGITS = 9
"""Digits an index may have; the feed's have three."""
MAX_DEPTH = 64
"""Levels a payload may have; the feed's have ten."""


def merge(state: Any, delta: Any, depth: int = 0) -> Any:
    """Merges `delta` into `state` and returns the merged value.

    Dicts are changed in place; a value of another kind is replaced. An index
    past the end of a list fills the gap with None. Raises ValueError for a
    payload deeper than any of the feed's.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a payload of more than {MAX_DEPTH} levels")
    if isinstance(delta, dict):
        if isinstance(state, dict):
            return _merge_dict(state, delta, depth)
        if isinstance(state, list) and _is_indexes(delta):
            return _merge_list(state, delta, depth)
        return _merge_dict({}, delta, depth)
    if isinstance(delta, list):
        return [merge(None, item, depth + 1) for item in delta]
    return delta


def _merge_dict(state: dict[str, Any], delta: dict[str, Any], depth: int) -> dict[str, Any]:
    for key, value in delta.items():
        if key == KEYFRAME:
            continue
        if key == DELETED:
            for gone in value if isinstance(value, list) else ():
                if isinstance(gone, str):
                    state.pop(gone, None)
        elif isinstance(value, dict | list):
            state[key] = merge(state.get(key), value, depth + 1)
        else:
            state[key] = value
    return state


def _is_indexes(delta: dict[str, Any]) -> bool:
    return all(key.isdecimal() and len(key) < 5 for key in delta if key not in (DELETED, KEYFRAME))


def _merge_list(state: list[Any], delta: dict[str, Any], depth: int) -> list[Any]:
    for key, value in delta.items():
        if key == KEYFRAME:
            continue
        if key == DELETED:
            # An item of a list keeps its place: the items after it are still meant by their index.
            for gone in value if isinstance(value, list) else ():
                if isinstance(gone, str | int) and str(gone).isdecimal() and int(gone) < len(state):
                    state[int(gone)] = None
            continue
        index = int(key)
        if index >= len(state):
            state.extend([None] * (index + 1 - len(state)))
        state[index] = merge(state[index], value, depth + 1)
    return state


def items(value: Any) -> list[tuple[int, Any]]:
    """A list, or the dict of indexes that changes one, as (index, item) pairs in order of index."""
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, dict):
        return sorted((int(key), item) for key, item in value.items() if key.isdecimal() and len(key) <= MAX_DIGITS)
    return []
