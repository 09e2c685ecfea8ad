"""What a capture of RMonitor itself says of each of its sessions at their end, read with regular expressions only.

Shares no code with `pitwall.sources.rmonitor`: this is what its messages are held against.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass, field
from pathlib import Path

_RUN = re.compile(r'\$B,(\d+),"([^"]*)"')
_RACE = re.compile(r'\$G,(\d+),"([^"]*)",(-?\d*),"([\d:.]+)"')
_BEST = re.compile(r'\$H,(\d+),"([^"]*)",(\d*),"([\d:.]+)"')
_PASSING = re.compile(r'\$J,"([^"]*)","([\d:.]+)","([\d:.]+)"')
_NUMBER = re.compile(r'\$A,"([^"]*)","([^"]*)"')


@dataclass
class Run:
    """One session. Times in ms, by registration."""

    number: str = ""
    name: str = ""
    race: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Position, laps and total of the last `$G`."""
    best: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Position, lap and time of the last `$H`."""
    passings: dict[tuple[str, int], int] = field(default_factory=dict)
    """Lap time by registration and total, of every `$J`. One with a total that was told before is not counted."""
    counted: dict[str, dict[int, int]] = field(default_factory=dict)
    """Total after each count of laps, as `$G` last told it."""
    numbers: dict[str, str] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    """Registrations that were not sent again after a reset."""
    resets: int = 0
    """In mid-session."""


def milliseconds(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds) * 1000)


def runs(path: Path) -> list[Run]:
    """The sessions of a capture in order, as each was left; what came before the first `$B` is of it."""
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
        lines = [line.strip() for line in file]
    run = Run()
    told = [run]
    reset = False
    for line in lines:
        if match := _RUN.match(line):
            if run.number and match[1] != run.number:
                run = Run()
                told.append(run)
            elif reset and run.race:
                run.left = set(run.race)
                run.resets += 1
            reset = False
            run.number, run.name = match[1], match[2]
        elif match := _RACE.match(line):
            run.left.discard(match[2])
            run.race[match[2]] = (int(match[1]), int(match[3] or 0), milliseconds(match[4]))
            run.counted.setdefault(match[2], {})[int(match[3] or 0)] = milliseconds(match[4])
        elif match := _BEST.match(line):
            run.best[match[2]] = (int(match[1]), int(match[3] or 0), milliseconds(match[4]))
        elif match := _PASSING.match(line):
            run.passings.setdefault((match[1], milliseconds(match[3])), milliseconds(match[2]))
        elif match := _NUMBER.match(line):
            run.numbers[match[1]] = match[2]
        elif line.startswith("$I"):
            reset = True
    return told
