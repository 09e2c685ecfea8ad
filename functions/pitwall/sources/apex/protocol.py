"""What a frame of Apex Timing is: lines `command|class|value`, and nothing else.

The relay passes on what strangers send to its port (`GET / HTTP/1.1`, TLS bytes): only lines of known commands are
lines, everything else is counted by reason. What a command means is `translation`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from pitwall.sources.record import Reject

COMMANDS: Final = frozenset(
    {
        "init", "title1", "title2", "track", "gmt", "dyn1", "dyn2", "light", "grid", "gridb", "gridc", "css", "com",
        "msg", "wth1", "wth2", "wth3", "best", "effects", "comments", "chp",
    }
)  # fmt: skip
"""Seen in captures of five tracks, 2026."""

_ROW: Final = re.compile(r"(b?)r(\d{1,12})(?:c(\d{1,4}))?", re.ASCII)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}", re.ASCII)
LONGEST_LINE: Final = 1_000_000
"""Characters; the longest grid seen has 64,474, of 98 karts."""


class Line(NamedTuple):
    """One line of a frame.

    command: one of `COMMANDS`; `row` for `r24092|#|3`, `cell` for `r24092c5|tb|1:05.295`, `best-cell` for one of the
        board of best sectors (`br2c3`).
    kind: what stands between the bars: a CSS class, `countdown`, `*`, `#`, ...
    value: the rest of the line, bars included.
    row, column: of a `row` or `cell`, as in the grid's `data-id`: `r24092`, `c5`; else "".
    """

    command: str
    kind: str
    value: str
    row: str = ""
    column: str = ""


def lines(frame: str, reject: Reject) -> Iterator[Line]:
    """The lines of a frame, in order. What is no line is counted: `junk` without the bars, `unknown-command` with them,
    `line-too-long`."""
    for text in frame.replace("\r", "\n").split("\n"):
        if not text.strip("\0 \t"):
            continue
        if len(text) > LONGEST_LINE:
            reject("line-too-long")
            continue
        command, bar, rest = text.partition("|")
        kind, second, value = rest.partition("|")
        if not bar or not second:
            reject("junk")
        elif command in COMMANDS:
            yield Line(command, kind.strip(), value)
        elif (match := _ROW.fullmatch(command)) is not None and (match[3] or not match[1]):
            name = "best-cell" if match[1] else "cell" if match[3] else "row"
            yield Line(name, kind.strip(), value, f"r{match[2]}", f"c{match[3]}" if match[3] else "")
        else:
            reject("unknown-command" if _WORD.fullmatch(command) else "junk")
