"""Recordings written by hand for the tests: a few lines in each format, all of them of one invented session."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from pitwall.sources.instants import utc_ms

SESSION_INFO: dict[str, Any] = {
    "Meeting": {"Key": 1, "Name": "Test Grand Prix"},
    "Key": 4711,
    "Type": "Practice",
    "StartDate": "2025-06-01T14:00:00",
    "EndDate": "2025-06-01T15:00:00",
    "GmtOffset": "02:00:00",
}
LAP_3 = {"Lines": {"4": {"NumberOfLaps": 3, "Retired": False, "InPit": True}}}
LAP_4 = {"Lines": {"4": {"NumberOfLaps": 4, "LastLapTime": {"Value": "1:27.002"}}}}
RADIO = {"Messages": {"1": {"Utc": "2025-06-01T12:00:05", "Message": 'CAR 4 (O\'WARD) SAID "TRUE": None, TIME 1:27.1'}}}
CAR_DATA = {"Entries": [{"Utc": "2025-06-01T12:00:01.5Z", "Cars": {"4": {"Channels": {"0": 11000, "2": 312}}}}]}


def at(clock: str) -> int:
    """The instant of a time of the invented session's day."""
    instant = utc_ms(f"2025-06-01T{clock}Z")
    assert instant is not None
    return instant


def packed(value: Any) -> str:
    """A `.z` payload as the feed packs it."""
    deflate = zlib.compressobj(wbits=-15)
    return base64.b64encode(deflate.compress(b"\xef\xbb\xbf" + json.dumps(value).encode()) + deflate.flush()).decode()


def compact(value: Any) -> str:
    """JSON as the feed writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def write(path: Path, *lines: str | bytes, end: bytes = b"\n", zipped: bool = False) -> Path:
    """A file of lines, gzip or not."""
    content = b"".join((line.encode() if isinstance(line, str) else line) + end for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def merged(clock: str, topic: str, payload: Any) -> str:
    """A line of merged archive lines."""
    return f"{clock}{compact({'stream': topic, 'payload': payload})}"


def type_json(topic: str, payload: Any, instant: str) -> str:
    """A line of an undercut-f1 recording."""
    return compact({"Type": topic, "Json": payload, "DateTime": instant})


def legacy(*messages: tuple[str, Any, str]) -> str:
    """A legacy SignalR frame with some feed messages."""
    return compact({"C": "d-1,0|a,1", "M": [{"H": "Streaming", "M": "feed", "A": list(args)} for args in messages]})


def core(topic: str, payload: Any, instant: str) -> str:
    """A SignalR Core feed frame without its separator."""
    return compact({"type": 1, "target": "feed", "arguments": [topic, payload, instant]})
