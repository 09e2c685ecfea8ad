"""The formats a line can have, told apart by content, and reading a file's lines once its format is known.

What a line says is in each format's own module; which files make up a recording is `layouts`' business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pitwall.sources.apex.capture import ApexLines
from pitwall.sources.epoch_lines import EpochLines
from pitwall.sources.fastf1_text import FastF1Text
from pitwall.sources.lines import read_lines
from pitwall.sources.offset_lines import ArchiveLines, MergedLines
from pitwall.sources.pitwall_format import OwnLines
from pitwall.sources.record import Record, Reject
from pitwall.sources.rmonitor.capture import RMonitorLines
from pitwall.sources.signalr_frames import SignalRFrames
from pitwall.sources.type_json_lines import TypeJsonLines

# Lines that decide what a file is; a log before the first of them may be longer.
_SAMPLE = 300
_LONGEST_HEADER = 6_000
_COMMENT = (b"#", b"//", b"URL:", b"--")


class LineFormat(Protocol):
    """A format of which each line can be read by itself."""

    @property
    def name(self) -> str:
        """What documentation and log call it."""
        ...

    @property
    def relative(self) -> bool:
        """True if the instants of its records are offsets from the recording's start."""
        ...

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        ...

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's messages; what cannot be read is counted and left out."""
        ...


FORMATS: tuple[LineFormat, ...] = (
    MergedLines(),
    # Before the archive's lines: a frame behind a logger's time looks like one of those.
    SignalRFrames(),
    ArchiveLines(),
    EpochLines(),
    OwnLines(),
    TypeJsonLines(),
    FastF1Text(),
    ApexLines(),
    RMonitorLines(),
)


def line_format(path: Path) -> LineFormat | None:
    """The format most of a file's first lines are of, provided a message can be read with it; None if there is none."""
    votes: Counter[str] = Counter()
    for number, line in enumerate(read_lines(path, ignore), 1):
        lines = next((lines for lines in FORMATS if lines.recognises(line)), None)
        if lines is not None:
            votes[lines.name] += 1
        if number >= (_SAMPLE if votes else _LONGEST_HEADER):
            break
    by_name = {lines.name: lines for lines in FORMATS}
    for name, _ in votes.most_common():
        if next(read_records(path, by_name[name], ignore), None) is not None:
            return by_name[name]
    return None


def read_records(path: Path, lines: LineFormat, reject: Reject) -> Iterator[Record]:
    """The records of a file's lines. What stands before the first line of the format is a header and no damage."""
    begun = False
    for line in read_lines(path, reject):
        if not begun:
            if not lines.recognises(line):
                continue
            begun = True
        if len(line) < 4 and not line.strip(b"[], "):
            # The brackets of an array that has its frames a line each.
            continue
        if line.startswith(_COMMENT) and b'{"' not in line:
            continue
        if b"{" not in line and b"[" not in line and not lines.recognises(line):
            # A logger's line, or what is left of a message's.
            reject("bad-line")
            continue
        yield from lines.read(line, reject)


def ignore(_reason: str) -> None:
    """For the first pass over a recording: what cannot be read is counted when it is played."""
