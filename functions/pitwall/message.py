"""What every source yields and the state machine reads: one message of a timing feed.

A source turns whatever it reads (a recording, an archive, a socket) into these;
nothing after it knows where they came from.
"""

from __future__ import annotations

from typing import Any, Final, Literal, NamedTuple


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


FeedState = Literal["connecting", "live", "silent", "reconnecting", "refused", "ended"]


class FeedStatus(NamedTuple):
    """How a live source's connection is; yielded between messages whenever it changes.

    state: `connecting` at first, `live` once a snapshot has come, `silent` when nothing has come for too long,
        `reconnecting` after a connection ended, `refused` when the server wants something we do not have, `ended`.
    detail: what the matter is in plain words, for `live/feed` and the log; never a credential. Empty when all is well.
    reconnects: connections after the first one that got as far as a snapshot, since this source was opened.
    gated_topics: topics not asked for, or not given, for want of a login.
    at: wall-clock milliseconds since the epoch.
    """

    state: FeedState
    detail: str = ""
    reconnects: int = 0
    gated_topics: tuple[str, ...] = ()
    at: int = 0


FEED_GAP: Final = "FeedGap"
"""Topic of a message of our own that says messages may be missing before it; the snapshots that follow it close it.

data: `{"From": ms, "To": ms, "Reason": str}`: feed instants of the last message before and the first one after, and
why in plain words. It is recorded like any other message, so a recording of a live session plays to the same documents.
"""


def feed_gap(from_ms: int, to_ms: int, reason: str, arrived: int = 0) -> Message:
    """The message that marks a gap; its instant is `to_ms`."""
    return Message(FEED_GAP, {"From": from_ms, "To": to_ms, "Reason": reason}, to_ms, arrived=arrived)
