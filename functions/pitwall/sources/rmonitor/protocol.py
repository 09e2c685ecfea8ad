"""What a record of RMonitor is: a line `$TAG,field,field`, fields quoted or not.

Records are told apart even where several stand on one line, or a cut-off one is followed by the next. What a record
means is `translation`'s business.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from pitwall.sources.record import Reject

TAGS: Final = frozenset({"A", "B", "C", "COMP", "COR", "E", "F", "G", "H", "I", "J", "RMS", "RMHL"})
"""Records that are read."""
PASSED_OVER: Final = frozenset({"L", "T", "SP", "SR", "RMLT", "RMCA", "RMDTL"})
"""Records that are known and say nothing PitWall uses: passings of single loops (`L`), Race Monitor's clocks."""
LONGEST_LINE: Final = 100_000
"""Characters; a real record has less than 200."""

# A tag begins a record only if something a record can hold follows it: a team may be called `A$J`.
_BEGINS: Final = re.compile(r"\$([A-Z]{1,8})(?=,|\s*$)")
_NAMES: Final = TAGS | PASSED_OVER


class Fields(NamedTuple):
    """One record: its tag without `$`, and its fields, blanks at their ends taken off."""

    tag: str
    values: list[str]

    def at(self, index: int) -> str:
        """A field from 0; "" where the record ends before it."""
        return self.values[index] if index < len(self.values) else ""


def records(line: str, reject: Reject) -> Iterator[Fields]:
    """The records of a line, in order. What is none is counted: `junk` (no tag), `unknown-record`, `line-too-long`,
    `bad-record` (the csv library gives up)."""
    line = line.strip("\0 \t\r\n\ufeff")
    if not line:
        return
    if len(line) > LONGEST_LINE:
        reject("line-too-long")
        return
    starts = _starts(line)
    if not starts or starts[0] > 0:
        reject("junk")
    for start, end in pairwise([*starts, len(line)]):
        try:
            values = next(csv.reader([line[start:end]], skipinitialspace=True))
        except (csv.Error, StopIteration):
            reject("bad-record")
            continue
        tag = values[0][1:].strip()
        if tag in TAGS:
            yield Fields(tag, [value.strip() for value in values[1:]])
        elif tag not in PASSED_OVER:
            reject("unknown-record")


def _starts(line: str) -> list[int]:
    """Where records begin. A tag inside quotes is a name, unless the quotes are those of a record that was cut off."""
    starts: list[int] = []
    for match in _BEGINS.finditer(line):
        at = match.start()
        if at == 0:
            starts.append(at)
        elif match[1] in _NAMES:
            begun = line[starts[-1] if starts else 0 : at]
            if begun.count('"') % 2 == 0 or _is_cut_off(line[at:]):
                starts.append(at)
    return starts


def _is_cut_off(rest: str) -> bool:
    """Whether what follows an open quote reads as a record of its own: its own quotes are in pairs."""
    following = _BEGINS.search(rest, 1)
    record = rest[: following.start()] if following is not None else rest
    return record.count('"') % 2 == 0 and record.count(",") >= 1
