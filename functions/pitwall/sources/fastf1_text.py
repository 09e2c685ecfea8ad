"""Reads what FastF1's live timing client saves: a line is the repr of `[topic, payload, instant]`.

Since FastF1 3.6 the subscribe answer is there too: lines whose instant is `''` and whose payload is a string of JSON.
"""

from __future__ import annotations

import re
from typing import Any

from pitwall.sources.instants import epoch_ms, utc_ms
from pitwall.sources.literals import loads, loads_python
from pitwall.sources.record import Record, Reject

_START = re.compile(rb"""[\[(]\s*[ub]?(?P<quote>['"])[A-Za-z][\w.]{0,63}(?P=quote)\s*,""")


class FastF1Text:
    """`['TimingData', {'Lines': {...}}, '2024-10-26T17:15:59.342Z']`; JSON instead of Python is read too."""

    name = "fastf1"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _START.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's message; nothing, counted, if it cannot be read."""
        try:
            value = loads_python(line) if line[1:2] == b"'" else loads(line)
        except ValueError:
            reject("bad-json")
            return []
        record = triple(value)
        if record is None:
            reject("bad-line")
            return []
        return [record]


def triple(value: Any) -> Record | None:
    """The message of a `[topic, payload, instant]` list, which FastF1 and both SignalRs share; None if it is none.

    An empty instant marks a line of the subscribe answer.
    """
    if not isinstance(value, list) or not 2 <= len(value) <= 4 or not isinstance(value[0], str) or not value[0]:
        return None
    topic, payload = value[0], value[1]
    instant = value[2] if len(value) > 2 else None
    if instant == "":
        return Record(topic, payload, None, True)
    if isinstance(instant, int) and not isinstance(instant, bool):
        return Record(topic, payload, epoch_ms(str(instant).encode()))
    return Record(topic, payload, utc_ms(instant))
