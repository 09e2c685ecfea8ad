"""Reads recordings of RMonitor: its lines as they came, and between them the instants at which they did.

`##2025-10-26 13:35:50.323` (UTC) stands before what came then. A capture without such lines has instants from the time
of day of its heartbeats (`$F`), on the day its first `$RMCA` (Race Monitor's clock, UTC) or `$I` (a date) tells; of the
latter they are the circuit's own time, which is all there is. What a line means is `translation`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pitwall.sources.lines import read_lines
from pitwall.sources.record import Record, Reject
from pitwall.sources.rmonitor import protocol, values
from pitwall.sources.rmonitor.translation import Translation

LINE: Final = "RMonitorLine"
_STAMP: Final = re.compile(rb"##(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?Z?")
_TAGS: Final = "|".join(sorted(protocol.TAGS | protocol.PASSED_OVER)).encode()
_RECORD: Final = re.compile(rb"\$(?:" + _TAGS + rb")\s*,")
_RELAY_CLOCK: Final = re.compile(rb"\$RMCA,\"?(\d{13})\"?\s*$")
_HEARTBEAT: Final = b"$F,"
_MOST_LINES: Final = 500
_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_HALF_HOUR_MS: Final = 1_800_000
_MINUTE_MS: Final = 60_000


class RMonitorLines:
    """Lines of RMonitor, with or without the instants at which they came."""

    name = "rmonitor"
    relative = False

    def recognises(self, line: bytes) -> bool:
        """True for a line of this format, damaged or not behind its beginning."""
        return _RECORD.match(line) is not None or _STAMP.fullmatch(line) is not None

    def read(self, line: bytes, reject: Reject) -> list[Record]:
        """The line's text (`LINE`) if any record of it can be read; it has no instant of its own."""
        text = _text(line)
        return [Record(LINE, text, None)] if next(protocol.records(text, reject), None) is not None else []


class RMonitorCapture:
    """A capture, translated."""

    format = "rmonitor"
    karts = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamped = False
        self._in_utc = False
        self._begins = 0
        self._day = 0

    def survey(self) -> str | None:
        """Finds whether the capture has instants, else on which day it begins. Sessions are named after the feed they
        are played as, not known here."""
        clock = DayClock(0)
        first = time = relay = None
        for line in read_lines(self._path, _ignore):
            if (stamp := _stamp_ms(line)) is not None:
                self._stamped, self._in_utc, self._begins = True, True, stamp
                return None
            if (told := _RELAY_CLOCK.match(line)) is not None:
                relay = int(told[1])
            for record in protocol.records(_text(line), _ignore):
                if record.tag == "F":
                    time = clock.told(record.at(2))
                    first = time if first is None else first
                elif record.tag == "I" and (date := values.date_ms(record.at(1))) is not None:
                    self._day = max(date - clock.days * _DAY_MS, 0)
            if relay is not None and time is not None:
                # A zone is whole half hours off; the two clocks differ by less.
                self._day = max(round((relay - time) / _HALF_HOUR_MS) * _HALF_HOUR_MS, 0)
                self._in_utc = True
            if self._day:
                break
        self._begins = self._day + (first or 0)
        return None

    def records(self, reject: Reject) -> Iterator[Record]:
        translation = Translation(reject, in_utc=self._in_utc)
        for lines, at in self.packets(reject):
            for message in translation.read(lines, at):
                yield Record(message.topic, message.data, message.at, message.snapshot)

    def packets(self, reject: Reject) -> Iterator[tuple[list[str], int]]:
        """Lines that came together, and when, ms since the epoch; after `survey`."""
        at, packet = self._begins, list[str]()
        clock = DayClock(self._day)
        for line in read_lines(self._path, reject):
            if self._stamped and line.startswith(b"##"):
                yield packet, at
                packet = []
                told = _stamp_ms(line)
                if told is None:
                    reject("bad-time")
                at = at if told is None else told
                continue
            text = _text(line)
            if not self._stamped and line.startswith(_HEARTBEAT):
                yield packet, at
                packet = []
                at = clock.told(next((record.at(2) for record in protocol.records(text, _ignore)), ""))
            packet.append(text)
            if len(packet) >= _MOST_LINES:
                yield packet, at
                packet = []
        yield packet, at


class DayClock:
    """Instants out of times of day."""

    def __init__(self, day_ms: int) -> None:
        """day_ms: when the first day begins, ms since the epoch."""
        self._day_ms = day_ms
        self._last: int | None = None
        self._leap: int | None = None
        self.days = 0
        """Midnights so far."""

    def told(self, text: str) -> int:
        """The instant at which a heartbeat told a time of day.

        What is no time, or leaps by more than an hour and is not confirmed by the next one, leaves it where it is.
        """
        told = values.time_of_day_ms(text)
        if told is not None:
            last = told if self._last is None else self._last
            confirmed = self._leap is not None and 0 <= told - self._leap <= _MINUTE_MS
            if min((told - last) % _DAY_MS, (last - told) % _DAY_MS) <= _HOUR_MS or confirmed:
                self.days += told < last - _DAY_MS // 2
                self._last, self._leap = told, None
            else:
                self._leap = told
        return self._day_ms + self.days * _DAY_MS + (self._last or 0)


def _stamp_ms(line: bytes) -> int | None:
    match = _STAMP.fullmatch(line)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(group) for group in match.groups()[:6])
    try:
        told = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(told.timestamp()) * 1000 + int(((match[7] or b"") + b"000")[:3]) if year >= 1970 else None


def _text(line: bytes) -> str:
    """As UTF-8, else as the code page of a Western Windows, which Orbits runs on."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")


def _ignore(_reason: str) -> None:
    """For the first pass over a recording."""
