"""Reads the ways recordings write an instant or an offset, as integer milliseconds.

Which offset belongs to which instant is the business of `timebase`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# .NET writes 0001-01-01 for "no instant"; nothing outside these years is a session.
_EARLIEST = 946_684_800_000  # 2000-01-01
_LATEST = 4_102_444_800_000  # 2100-01-01

OFFSET = re.compile(rb"(-?)(\d{1,3}):(\d\d):(\d\d)(?:[.,](\d{1,9}))?")
"""An archive's offset, `HH:MM:SS.mmm` with as many hours as it takes."""


def utc_ms(text: object) -> int | None:
    """Milliseconds since the epoch of an ISO 8601 instant; None if it is none.

    The feed's instants are UTC, with or without `Z`. Up to seven decimals are seen; below a millisecond is cut off.
    """
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        milliseconds = (instant - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None
    return milliseconds if _EARLIEST <= milliseconds < _LATEST else None


def epoch_ms(digits: bytes) -> int | None:
    """Milliseconds since the epoch of a count of s, ms, us or ns (told apart by its size); None if it is none."""
    whole, _, fraction = digits.partition(b".")
    if not whole.isdigit() or not 9 <= len(whole) <= 19:
        return None
    count = int(whole)
    if len(whole) <= 10:
        milliseconds = count * 1000 + (int(fraction[:3].ljust(3, b"0")) if fraction.isdigit() else 0)
    else:
        # 13, 16 and 19 digits; one less before September 2001, which no recording is.
        milliseconds = count // 10 ** (3 * ((len(whole) - 11) // 3))
    return milliseconds if _EARLIEST <= milliseconds < _LATEST else None


def offset_ms(match: re.Match[bytes]) -> int | None:
    """Milliseconds of an `OFFSET` match; None for minutes or seconds past 59."""
    sign, hours, minutes, seconds, fraction = match.groups()
    whole_minutes, whole_seconds = int(minutes), int(seconds)
    if whole_minutes > 59 or whole_seconds > 59:
        return None
    milliseconds = (int(hours) * 3600 + whole_minutes * 60 + whole_seconds) * 1000
    if fraction:
        milliseconds += int(fraction[:3].ljust(3, b"0"))
    return -milliseconds if sign else milliseconds


def gmt_offset_ms(text: object) -> int | None:
    """Milliseconds of SessionInfo's `GmtOffset` (`"-03:00:00"`, `"02:00"`); None if it is none."""
    if not isinstance(text, str):
        return None
    match = re.fullmatch(r"([+-]?)(\d{1,2}):(\d\d)(?::(\d\d))?", text.strip())
    if match is None:
        return None
    sign, hours, minutes, seconds = match.groups()
    milliseconds = (int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)) * 1000
    return -milliseconds if sign == "-" else milliseconds
