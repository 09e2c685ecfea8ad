"""Cuts what comes over a SignalR Core socket into records: JSON texts, each ended by the byte 0x1e.

A WebSocket message may hold several of them, or a piece of one. What a record says is `connection`'s business.
"""

from __future__ import annotations

from typing import Final

SEPARATOR: Final = b"\x1e"
LONGEST: Final = 32 * 1024 * 1024
"""Bytes one record may have; a subscribe answer has some 120 KB."""


class RecordTooLong(Exception):
    """A record that does not end: this is no SignalR hub, or no longer one."""


class Records:
    """What has come of the record that is not complete yet."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The records that `data` completes, in order, without separators; empty ones are left out.

        Raises RecordTooLong.
        """
        *complete, rest = data.split(SEPARATOR)
        if complete:
            # Pieces are joined once, when their end has come, however small the messages they came in.
            complete[0] = b"".join((*self._pieces, complete[0]))
            self._pieces.clear()
            self._size = 0
        if rest:
            self._pieces.append(rest)
            self._size += len(rest)
        if self._size > self._longest:
            self._pieces.clear()
            self._size = 0
            raise RecordTooLong
        return [record for record in complete if record]
