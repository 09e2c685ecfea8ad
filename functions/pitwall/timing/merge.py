"""Deep merge of the feed's deltas.

The feed sends a topic's whole state once and then only what changed. Lists are
changed by a dict of indexes (`{"Sectors": {"1": {...}}}`) or resent whole; `_kf`
marks a keyframe and is no data; `_deleted: [keys]` removes keys.
"""

from __future__ import annotations

from typing import Any

DELETED = "_deleted"
KEYFRAME = "_kf"


def merge(state: Any, delta: Any) -> Any:
    """Merges `delta` into `state` and returns the merged value.

    Dicts are changed in place; a value of another kind is replaced. An index
    past the end of a list fills the gap with None.
    """
    if isinstance(delta, dict):
        if isinstance(state, dict):
            return _merge_dict(state, delta)
        if isinstance(state, list) and _is_indexes(delta):
            return _merge_list(state, delta)
        return _merge_dict({}, delta)
    if isinstance(delta, list):
        return [merge(None, item) for item in delta]
    return delta


def _merge_dict(state: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    for key, value in delta.items():
        if key == KEYFRAME:
            continue
        if key == DELETED:
            for gone in value if isinstance(value, list) else ():
                if isinstance(gone, str):
                    state.pop(gone, None)
        elif isinstance(value, dict | list):
            state[key] = merge(state.get(key), value)
        else:
            state[key] = value
    return state


def _is_indexes(delta: dict[str, Any]) -> bool:
    return all(key.isdecimal() and len(key) < 5 for key in delta if key not in (DELETED, KEYFRAME))


def _merge_list(state: list[Any], delta: dict[str, Any]) -> list[Any]:
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
        state[index] = merge(state[index], value)
    return state


def items(value: Any) -> list[tuple[int, Any]]:
    """A list, or the dict of indexes that changes one, as (index, item) pairs in order of index."""
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, dict):
        return sorted((int(key), item) for key, item in value.items() if key.isdecimal())
    return []
