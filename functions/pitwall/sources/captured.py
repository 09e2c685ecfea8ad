"""Frames of a kart track's feed out of a capture, as they came: for `analysis`, which asks what they are.

A JSON object a line with an instant and a frame (`{"t": 0.184, "msg": "..."}`, as `apex.capture` has it, whatever the
frame holds); else the lines themselves, with the instants of `##2025-10-26 13:35:50.323` lines between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pitwall.karting.detection.rows import Heard
from pitwall.sources.apex.capture import FRAME, ApexLines
from pitwall.sources.lines import read_lines

_STAMP: Final = re.compile(rb"##(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,6})?)Z?")
_OBJECT: Final = re.compile(rb'\{.*"t"\s*:')


def heard(path: Path) -> Iterator[Heard]:
    """The frames of a capture, gzip or not. Lines that cannot be read are left out; never raises for what it holds."""
    frames = ApexLines()
    at = 0
    for line in read_lines(path, _ignore):
        if (stamp := _STAMP.fullmatch(line)) is not None:
            at = _instant(stamp[1].decode(), stamp[2].decode(), at)
        elif _OBJECT.match(line):
            for record in frames.read(line, _ignore):
                at = at if record.at is None else record.at
                if record.topic == FRAME:
                    yield Heard(at, record.data)
        elif not frames.recognises(line):
            yield Heard(at, line.decode("utf-8", "replace"))


def _instant(day: str, time: str, before: int) -> int:
    """ms since the epoch; `before` for what is no instant."""
    try:
        return int(datetime.fromisoformat(f"{day} {time}").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return before


def _ignore(_reason: str) -> None:
    """What cannot be read says nothing about fields."""
