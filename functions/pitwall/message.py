"""What every source yields and the state machine reads: one message of a timing feed.

A source turns whatever it reads (a recording, an archive, a socket) into these;
nothing after it knows where they came from.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Message(NamedTuple):
    """One message of a feed.

    topic: the feed's topic without a `.z` suffix (`TimingData`, `CarData`); compressed
        payloads are already decoded.
    data: the decoded JSON: a delta, or the whole state of the topic if `snapshot`.
    at: the feed's instant, integer milliseconds since the epoch, UTC.
    snapshot: True when `data` is the topic's whole state (a subscribe answer), to
        replace what is known rather than to be merged into it.
    cursor: ordinal of this message in its source, from 0; a source opened at
        `cursor + 1` goes on after this message. -1 where a source cannot rewind.
    arrived: wall-clock milliseconds since the epoch at which the source handed the message over;
        0 when unknown. For measuring only: no document depends on it.
    """

    topic: str
    data: Any
    at: int
    snapshot: bool = False
    cursor: int = -1
    arrived: int = 0
