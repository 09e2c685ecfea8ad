"""Reads undercut-f1's lines, `{"Type":"TimingData","Json":{...},"DateTime":"...+00:00"}`.

The state from before the first line is in a `subscribe` file beside them, which `recording` finds.
"""

from __future__ import annotations

import re
from typing import Any

from pitwall.sources.instants import utc_ms
from pitwall.sources.literals import loads
from pitwall.sources.record import Record, Reject

_START = re.compile(rb'\{\s*"(?:Type"\s*:\s*"|Json"\s*:|DateTime"\s*:\s*")', re.IGNORECASE)


class TypeJsonLines:
    """`{"Type","Json","DateTime"}`, keys in any order and case."""

    name = "type-json"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _START.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's message; nothing, counted, if it cannot be read."""
        try:
            value = loads(line)
        except ValueError:
            reject("bad-json")
            return []
        record = type_json_record(value)
        if record is None:
            reject("bad-line")
            return []
        return [record]


def type_json_record(value: Any) -> Record | None:
    """The message of a `{"Type","Json","DateTime"}` object; None if it is none."""
    if not isinstance(value, dict):
        return None
    if "Type" not in value or "Json" not in value:
        value = {key.lower(): held for key, held in value.items()}
        topic, payload, instant = value.get("type"), value.get("json"), value.get("datetime")
        if "json" not in value:
            return None
    else:
        topic, payload, instant = value["Type"], value["Json"], value.get("DateTime")
    if not isinstance(topic, str) or not topic:
        return None
    return Record(topic, payload, utc_ms(instant))
