"""What the feed has told so far, topic by topic: F1 sends only what differs from it.

The merge rules are the feed's own: dicts merge, lists are addressed by index as a dict,
`_deleted` removes keys, a list in a delta replaces the whole.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any


class SentState:
    """The state a client holds who has received every message."""

    def __init__(self) -> None:
        self.topics: dict[str, Any] = {}

    def reduce(self, topic: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Merges `payload` and returns what of it was new; empty if nothing was."""
        return _reduce(self.topics.setdefault(topic, {}), payload)

    def snapshot(self) -> dict[str, Any]:
        """A copy of everything, as a subscriber gets it who connects now."""
        return deepcopy(self.topics)


def _get(state: dict[str, Any] | list[Any], key: str) -> Any:
    if isinstance(state, dict):
        return state.get(key)
    return state[int(key)] if int(key) < len(state) else None


def _set(state: dict[str, Any] | list[Any], key: str, value: Any) -> None:
    if isinstance(state, dict):
        state[key] = value
    elif int(key) < len(state):
        state[int(key)] = value
    elif int(key) == len(state):
        state.append(value)
    else:
        raise IndexError(f"item {key} of a list of {len(state)}: the ones before it were not sent yet")


def _reduce(state: dict[str, Any] | list[Any], delta: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key, value in delta.items():
        if key == "_deleted":
            for name in value:
                if isinstance(state, dict):
                    state.pop(name, None)
            changes[key] = value
            continue
        known = _get(state, key)
        if isinstance(value, dict) and isinstance(known, dict | list):
            change = _reduce(known, value)
            if change:
                changes[key] = change
        elif isinstance(value, list) or known is None or known != value:
            _set(state, key, deepcopy(value) if isinstance(value, dict | list) else value)
            changes[key] = value
    return changes
