"""Runs a stored description over the frames of its feed: messages of kart timing (`vocabulary`) come out.

Total: whatever a frame is, it goes on with the next one; what cannot be read is counted, and where that is more than
now and then, `notices` say so. Only fields that are sure, or that a human named, are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pitwall.karting import splitting, values, vocabulary
from pitwall.karting.description import Description, Field
from pitwall.karting.detection.drift import Drift, Notice
from pitwall.karting.detection.shapes import milliseconds
from pitwall.message import Message

MOST_ROWS: Final = 1_000
LONGEST_TEXT: Final = 200


class Described:
    """The frames of one connection, or one recording, in order."""

    def __init__(self, description: Description, reject: Callable[[str], None]) -> None:
        """reject: called with the reason for everything that cannot be used: `no-rows`, `row-without-key`,
        `too-many-rows`, `bad-time`, `bad-count`, `bad-gap`."""
        self._description = description
        self._reject = reject
        self._layout = splitting.layout_of(description)
        self._fields = [field for field in description.fields if field.role and field.verdict == "used"]
        self._roles = {field.role for field in self._fields}
        self._headers = {field.key: field.header for field in description.fields if field.header}
        self._lines: dict[str, dict[str, Any]] = {}
        self._began = False
        self._drift = Drift(description)

    @property
    def notices(self) -> list[Notice]:
        """What is no longer as described."""
        return self._drift.notices

    def finish(self, at: int) -> None:
        """The feed has ended."""
        self._drift.finish(at)

    def frame(self, text: str, at: int) -> list[Message]:
        """The messages of a frame that came at the instant `at`, ms since the epoch."""
        rows = splitting.rows(text, self._layout)
        told: dict[str, dict[str, Any]] = {}
        self._drift.frame(at)
        for row in rows:
            if self._is_header(row):
                continue
            name = row.get(self._description.key, "")[:64]
            if not name:
                self._reject("row-without-key")
            elif name not in self._lines and name not in told and len(self._lines) + len(told) >= MOST_ROWS:
                self._reject("too-many-rows")
            else:
                self._drift.row(at, name, row, sparse=self._description.kind in ("json", "key-value"))
                told.setdefault(name, {}).update(self._line(row, name, at))
        if not told:
            if not rows and text.strip():
                self._reject("no-rows")
            return []
        return self._messages(told, at)

    def _is_header(self, row: splitting.Row) -> bool:
        """Whether a line is the one with the names of the columns, told again."""
        return (
            bool(self._headers)
            and self._description.kind == "delimited"
            and all(row.get(key) == header for key, header in self._headers.items())
        )

    def _messages(self, told: dict[str, dict[str, Any]], at: int) -> list[Message]:
        messages: list[Message] = []
        if not self._began:
            self._began = True
            messages.append(vocabulary.message(vocabulary.SESSION, {"Title": "", "Name": ""}, at, snapshot=True))
        gone = self._lines.keys() - told.keys() if self._description.whole and len(told) > 1 else set()
        crossings = [crossing for name, line in told.items() if (crossing := self._crossing(name, line)) is not None]
        if gone or not self._lines:
            for name in gone:
                del self._lines[name]
            for name, line in told.items():
                self._lines[name] = {**self._lines.get(name, {}), **line}
            board = {
                name: {role: value for role, value in line.items() if value is not None}
                for name, line in self._lines.items()
            }
            messages.append(
                vocabulary.message(vocabulary.GRID, {"Columns": self._columns(), "Lines": board}, at, snapshot=True)
            )
        else:
            changed = {}
            for name, line in told.items():
                known = self._lines.setdefault(name, {})
                news = {role: value for role, value in line.items() if known.get(role) != value}
                known.update(line)
                if news:
                    changed[name] = news
            if changed:
                messages.append(vocabulary.message(vocabulary.LINES, changed, at))
        messages.extend(vocabulary.message(vocabulary.CROSSING, crossing, at) for crossing in crossings)
        return messages

    def _columns(self) -> list[vocabulary.Column]:
        told = []
        for field in self._description.fields:
            column = vocabulary.Column(Key=field.key, Header=field.header)
            if field in self._fields:
                column["Role"] = field.role
            told.append(column)
        return told

    def _crossing(self, name: str, line: dict[str, Any]) -> vocabulary.Crossing | None:
        """A row whose laps, else whose last lap, are others than before has crossed the line."""
        known = self._lines.get(name)
        if known is None:
            return None
        if "Laps" in self._roles:
            laps, before = line.get("Laps"), known.get("Laps")
            if laps is None or before is None or laps <= before:
                return None
            crossing = vocabulary.Crossing(Row=name, Laps=laps)
        else:
            if line.get("LastLapMs") in (None, known.get("LastLapMs")):
                return None
            crossing = vocabulary.Crossing(Row=name)
        if line.get("LastLapMs"):
            crossing["LapMs"] = line["LastLapMs"]
        if line.get("TotalMs"):
            crossing["TotalMs"] = line["TotalMs"]
        return crossing

    def _line(self, row: splitting.Row, name: str, at: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for field in self._fields:
            text = row.get(field.key)
            if text is not None:
                read = self._read(field, text.strip())
                self._drift.token(at, field, read is not None)
                told.update(read or {})
        if not told.get("Number") and "Number" not in self._roles:
            # A kart needs a name, and this is the one its row has.
            told["Number"] = name
        return told

    def _read(self, field: Field, text: str) -> dict[str, Any] | None:
        """What a cell says, as fields of a line; None, counted, for what cannot be read."""
        role = field.role
        if role in ("Gap", "Interval"):
            return self._gap(role, text, field)
        if role in ("Position", "Laps", "Stops"):
            count = values.integer(text)
            if text and count is None:
                self._reject("bad-count")
                return None
            return {role: count} if text or role != "Position" else {}
        if role.endswith("Ms"):
            time = milliseconds(text, field.unit)
            if time is None and text.strip("0:.,-"):
                self._reject("bad-time")
                return None
            return {role: time}
        if role == "Status":
            # Its words are the feed's own; which one is in the pits is not known.
            return {}
        return {role: text[:LONGEST_TEXT] or None}

    def _gap(self, role: str, text: str, field: Field) -> dict[str, Any] | None:
        if not text.strip("-"):
            return {f"{role}Ms": None, f"{role}Laps": None}
        told = values.Gap(ms=values.integer(text.lstrip("+"))) if field.unit == "ms" else values.gap(text)
        if told is None or told == values.Gap():
            self._reject("bad-gap")
            return None
        return {f"{role}Ms": told.ms, f"{role}Laps": told.laps}
