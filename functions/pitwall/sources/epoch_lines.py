"""Reads lines `<epoch ns>:<topic>:<json>`; the topic `init` carries the subscribe snapshot.

The number is the capturing machine's clock at arrival, about two seconds behind the feed's own instants.
"""

from __future__ import annotations

import re

from pitwall.sources.instants import epoch_ms
from pitwall.sources.literals import loads
from pitwall.sources.record import Record, Reject, snapshot_records

_LINE = re.compile(rb"(\d{9,19}(?:\.\d{1,9})?)\s*:\s*([A-Za-z][\w.]{0,63})\s*:")
# The number lost or damaged, but a topic and its JSON still there.
_DAMAGED_NUMBER = re.compile(rb"[^:{]{0,30}:\s*[A-Za-z][\w.]{0,63}\s*:\s*[{\[\"]")
_SNAPSHOT_TOPICS = {"init", "subscribe", "snapshot"}


class EpochLines:
    """`1762608799801133790:TimingData:{...}`; seconds, milli- and microseconds are read too."""

    name = "epoch"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _LINE.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's message, or the snapshot's; nothing, counted, if it cannot be read."""
        match = _LINE.match(line)
        at = None if match is None else epoch_ms(match[1])
        if match is None or at is None:
            reject("bad-time" if match or _DAMAGED_NUMBER.match(line) else "bad-line")
            return []
        try:
            payload = loads(line[match.end() :])
        except ValueError:
            reject("bad-json")
            return []
        topic = match[2].decode()
        if topic not in _SNAPSHOT_TOPICS:
            return [Record(topic, payload, at)]
        if not isinstance(payload, dict):
            reject("bad-line")
            return []
        return snapshot_records(payload, at)
