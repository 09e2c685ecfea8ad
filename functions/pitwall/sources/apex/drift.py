"""Notices when a board of Apex Timing is no longer what it was when it was looked at, or sends what nobody knows.

Nothing is read otherwise because of it: every board tells its own columns. A human, or another look, decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pitwall.karting import vocabulary
from pitwall.message import Message

TOKENS: Final = 20
"""So many lines of a kind cannot be used,"""
SHARE: Final = 100
"""and one in so many of all: that is more than now and then. Scanners' junk is no line."""
_MOST: Final = 100
_WATCHED: Final = frozenset(
    {
        "unknown-command", "unknown-column", "unknown-event", "unknown-light",
        "bad-time", "bad-count", "bad-gap", "bad-position", "bad-clock",
    }
)  # fmt: skip


class Drift:
    """Watches one feed, over all of its connections. Each thing is told once."""

    def __init__(
        self, declared: Mapping[str, str | None] | None = None, human: Mapping[str, str] | None = None
    ) -> None:
        """declared: what each column declared to be when the feed was looked at, by type or header, "" for nothing,
        None where that is not known; empty if it was not looked at. human: what a human has said of columns."""
        self._declared = declared or {}
        self._human = human or {}
        self._told: set[tuple[str, str]] = set()
        self._lines = 0
        self._bad: Counter[str] = Counter()

    def rejected(self, reason: str) -> None:
        """A line, or what is in it, could not be used."""
        if reason in _WATCHED:
            self._bad[reason] += 1

    def look(self, lines: int, messages: list[Message], at: int) -> list[Message]:
        """The notices there are after a frame of so many lines, which meant these messages."""
        self._lines += lines
        notices: list[Message] = []
        for message in messages:
            if message.topic == vocabulary.GRID:
                notices += self._layout(message.data.get("Columns", []), at)
        for reason, times in self._bad.items():
            if times >= TOKENS and times * SHARE >= self._lines:
                notices += self._notice("unknown-token", reason, "", "lines that cannot be read come all the time", at)
        return notices

    def _layout(self, columns: list[vocabulary.Column], at: int) -> list[Message]:
        notices: list[Message] = []
        now = {column["Key"]: column for column in columns}
        for key, column in now.items():
            if not self._declared or column.get("Because") == "human":
                continue
            role = column.get("Role", "") if column.get("Because") in ("type", "header") else ""
            before = self._declared.get(key, "")
            if key not in self._declared:
                notices += self._notice("new-field", key, role, "was not there when the feed was looked at", at)
            elif before is not None and _alike(before) != _alike(role):
                why = f"said {before or 'nothing'} when the feed was looked at, says {role or 'nothing'} on this board"
                notices += self._notice("new-layout", key, role, why, at)
        for key, role in self._human.items():
            if role and key not in now:
                notices += self._notice("field-gone", key, role, "a human has said what it is, this board has none", at)
        return notices

    def _notice(self, kind: str, key: str, role: str, why: str, at: int) -> list[Message]:
        if (kind, key) in self._told or len(self._told) >= _MOST:
            return []
        self._told.add((kind, key))
        told = vocabulary.Notice(Kind=kind, Key=key, Role=role, Message=why)
        return [vocabulary.message(vocabulary.NOTICE, told, at)]


def _alike(role: str) -> str:
    """A driver's column is a team's by its header alone."""
    return "Driver" if role == "Team" else role
