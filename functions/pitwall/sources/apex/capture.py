"""Reads captures of Apex Timing: a JSON object a line, one for each frame.

`{"t": 0.184, "msg": "init|p|..."}` has seconds since the beginning, `{"t": 1782593801798, "raw": "..."}` milliseconds
since the epoch. The first line may be a header `{"v": 1, "circuit_url": ..., "started_at": "..."}`; lines
`{"event_meta": ...}` repeat what the frames say. What a frame means is `translation`'s business.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from pitwall.sources.instants import utc_ms
from pitwall.sources.literals import loads
from pitwall.sources.record import Record, Reject

FRAME: Final = "ApexFrame"
HEADER: Final = "ApexCapture"
EPOCH_FROM: Final = 100_000_000_000
"""From here on, milliseconds are since the epoch (1973) and not since the beginning (three years of capture)."""
_LATEST: Final = 4_102_444_800_000  # 2100-01-01

# A frame begins with a command, or is the blank line that keeps the connection open.
_LINE: Final = re.compile(
    rb'\{\s*"t"\s*:\s*[\d.]+\s*,\s*"(?:msg|raw)"\s*:\s*"'
    rb'(?:\\n"|(?:init|title\d|dyn\d|light|grid[bc]?|css|com|msg|track|best|wth\d|b?r\d+(?:c\d+)?)\|)'
)
_HEADER: Final = re.compile(rb'\{\s*"v"\s*:\s*\d+\s*,\s*"circuit_url"')
_META: Final = re.compile(rb'\{\s*"event_meta"\s*:')


class ApexLines:
    """Frames with the instants at which they were captured, a JSON object a line."""

    name = "apex"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return any(pattern.match(line) for pattern in (_LINE, _HEADER, _META))

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's frame (`FRAME`, its text), or the header (`HEADER`); nothing, counted, if it cannot be read.

        `at` is as it stands there: below `EPOCH_FROM` since the capture's beginning, which is the header's `at`.
        """
        try:
            value = loads(line)
        except ValueError:
            reject("bad-json")
            return []
        if isinstance(value, dict) and "event_meta" in value:
            return []
        if isinstance(value, dict) and "circuit_url" in value:
            return [Record(HEADER, value, utc_ms(value.get("started_at")))]
        text = value.get("msg", value.get("raw")) if isinstance(value, dict) else None
        if not isinstance(text, str):
            reject("bad-line")
            return []
        return [Record(FRAME, text, _ms(value.get("t")))]


def _ms(told: Any) -> int | None:
    """Seconds since the beginning, or milliseconds since the epoch, as ms."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not math.isfinite(told) or told < 0:
        return None
    if told >= EPOCH_FROM:
        return int(told) if told < _LATEST else None
    return round(told * 1000) if told * 1000 < EPOCH_FROM else None
