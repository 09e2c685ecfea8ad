"""Reads SignalR frames as they came over the wire, legacy and Core, and JSON documents made of them.

Legacy: `{"C":..,"M":[{"H":"Streaming","M":"feed","A":[topic,data,utc]}]}`, the snapshot in `R`; also the hub messages
alone, a line each. Core: frames that end in `\\x1e`, type 1 `feed`, 3 the snapshot, 6 ping, 7 close. A frame may
stand alone on a line, behind a time of the logger, inside a JSON string, or in an array or object of frames.
"""

from __future__ import annotations

import re
from typing import Any

from pitwall.sources.fastf1_text import triple
from pitwall.sources.literals import loads
from pitwall.sources.pitwall_format import own_record
from pitwall.sources.record import Record, Reject, is_known_topic, looks_like_snapshot, snapshot_records
from pitwall.sources.type_json_lines import type_json_record

_KEYS = (
    rb"""[CMRHASIG]\\?["']\s*:|type\\?["']\s*:\s*\d|"""
    rb"""(?:target|arguments|invocationId|protocol|result|error)\\?["']\s*:"""
)
_FRAME = re.compile(rb"""[^{]{0,160}\{\s*\\?["'](?:""" + _KEYS + rb""")|"?\{\s*\}"?[,\s]*$""")
# How deep frames are looked for inside arrays, objects and strings of a document.
_DEPTH = 8


class SignalRFrames:
    """Frames of SignalR (legacy) and SignalR Core, one or more a line."""

    name = "signalr"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning; keep-alives (`{}`) too."""
        return _FRAME.match(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The messages of the line's frames, often none; what cannot be read is counted."""
        try:
            value = loads(line)
        except ValueError:
            # A time or an arrow before the frame.
            brace = line.find(b"{")
            try:
                if brace <= 0:
                    raise
                value = loads(line[brace:])
            except ValueError:
                reject("bad-json")
                return []
        records = frame_records(value, reject)
        if not records and not self.recognises(line):
            reject("bad-line")
        return records


def frame_records(value: Any, reject: Reject, depth: int = _DEPTH) -> list[Record]:
    """The messages in a frame, or in whatever a document holds frames in."""
    if isinstance(value, dict):
        return _object_records(value, reject, depth)
    if isinstance(value, list):
        record = triple(value)
        if record is not None and (record.at is not None or is_known_topic(record.topic)):
            return [record]
        if depth:
            return [record for item in value for record in frame_records(item, reject, depth - 1)]
    elif isinstance(value, str) and depth:
        return _text_records(value, reject, depth)
    return []


def _object_records(value: dict[str, Any], reject: Reject, depth: int) -> list[Record]:
    kind = value.get("type")
    if isinstance(kind, int):
        return _core_records(kind, value, reject)
    if "A" in value:
        return _invocation(value.get("M"), value["A"], reject)
    if "R" in value or isinstance(value.get("M"), list):
        records = snapshot_records(value["R"]) if isinstance(value.get("R"), dict) else []
        for message in value.get("M") or ():
            records += frame_records(message, reject, depth - 1) if depth else []
        return records
    record = type_json_record(value) or own_record(value)
    if record is not None:
        return [record]
    if looks_like_snapshot(value):
        return snapshot_records(value)
    if depth:
        return [record for held in value.values() for record in frame_records(held, reject, depth - 1)]
    return []


def _core_records(kind: int, frame: dict[str, Any], reject: Reject) -> list[Record]:
    if kind == 1:
        return _invocation(frame.get("target"), frame.get("arguments"), reject)
    if kind == 3 and isinstance(frame.get("result"), dict):
        return snapshot_records(frame["result"])
    return []


def _invocation(target: Any, arguments: Any, reject: Reject) -> list[Record]:
    """What a hub calls on its clients. `feed` is the feed; a client's own `Subscribe` may be recorded as well."""
    if not isinstance(target, str) or target.lower() != "feed":
        return []
    if isinstance(arguments, list) and len(arguments) == 1 and isinstance(arguments[0], list):
        arguments = arguments[0]
    record = triple(arguments)
    if record is None:
        reject("bad-line")
        return []
    return [record]


def _text_records(text: str, reject: Reject, depth: int) -> list[Record]:
    records: list[Record] = []
    for frame in text.split("\x1e"):
        frame = frame.strip()
        if not frame.startswith(("{", "[")):
            continue
        try:
            value = loads(frame.encode("utf-8", "replace"))
        except ValueError:
            reject("bad-json")
            continue
        records += frame_records(value, reject, depth - 1)
    return records
