"""Reads the lines of F1's archive: an offset from the start of the recording, then the payload.

Two forms: a file for each topic, `HH:MM:SS.mmm{payload}` (`{Topic}.jsonStream`, CRLF, byte-order mark), and all topics
merged into one file, `HH:MM:SS.mmm{"stream": topic, "payload": payload}`. Which instant
an offset is, is `timebase`'s business.
"""

from __future__ import annotations

import re

import orjson

from pitwall.sources.instants import OFFSET, offset_ms
from pitwall.sources.literals import loads
from pitwall.sources.record import Record, Reject

_MERGED = re.compile(OFFSET.pattern + rb'\s*\{\s*"(?:stream|payload)"\s*:')
_ARCHIVE = re.compile(OFFSET.pattern + rb'\s*[{\["]')
# An offset with a damaged digit or two still shows that the line was meant to be one.
_DAMAGED_OFFSET = re.compile(rb"[^{\[\"]{0,20}:[^{\[\"]{0,20}[{\[]")


class MergedLines:
    """`HH:MM:SS.mmm{"stream":"TimingData","payload":{...}}`, all topics in one file."""

    name = "merged"
    relative = True

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _MERGED.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's message, `at` its offset in milliseconds; nothing, counted, if it cannot be read."""
        located = _offset(line, reject)
        if located is None:
            return []
        at, start = located
        try:
            value = orjson.loads(line[start:])
        except orjson.JSONDecodeError:
            try:
                value = loads(line[start:])
            except ValueError:
                reject("bad-json")
                return []
        try:
            topic, payload = value["stream"], value["payload"]
        except (TypeError, KeyError):
            reject("bad-line")
            return []
        if not isinstance(topic, str) or not topic:
            reject("bad-line")
            return []
        return [Record(topic, payload, at)]


class ArchiveLines:
    """`HH:MM:SS.mmm{...}`, one topic to a file; which, is the file's name."""

    name = "archive"
    relative = True

    def __init__(self, topic: str = "") -> None:
        self.topic = topic

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _ARCHIVE.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's message, `at` its offset in milliseconds; nothing, counted, if it cannot be read."""
        located = _offset(line, reject)
        if located is None:
            return []
        at, start = located
        try:
            return [Record(self.topic, loads(line[start:]), at)]
        except ValueError:
            reject("bad-json")
            return []


def _offset(line: bytes, reject: Reject) -> tuple[int, int] | None:
    match = OFFSET.match(line)
    at = None if match is None else offset_ms(match)
    if match is None or at is None:
        reject("bad-time" if match or _DAMAGED_OFFSET.match(line) else "bad-line")
        return None
    return at, match.end()
