"""What a session costs by Google's list prices, beside the design PitWall set out to beat.

Prices are those of Firestore's multi-region nam5 (cloud.google.com/firestore/pricing), of Pub/Sub's message delivery
(cloud.google.com/pubsub/pricing) and of internet egress in North America, as published in 2025, without free quota;
regions and years differ, the ratio between the two designs hardly does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from pitwall.documents.encoding import value_size
from pitwall.karting import vocabulary
from pitwall.message import Message
from pitwall.timing.state import SessionState

READ_USD = 0.06 / 100_000
WRITE_USD = 0.18 / 100_000
DELETE_USD = 0.02 / 100_000
EGRESS_USD = 0.12 / 2**30
PUBSUB_USD = 40.0 / 2**40
"""For each byte published and each byte delivered."""
PUBSUB_LEAST_BYTES = 1_000
"""A message is charged as so many bytes at least."""

VIEWERS = 1_000
SESSION_BYTES = 900
FEED_BYTES = 300
"""Of a session document, and of one of race control or the feed: about PitWall's own."""
DOCUMENT_OVERHEAD = 32 + 16 + len("sessions/9999/drivers/99") + 4


class Watched(NamedTuple):
    """A document that every viewer listens to: how often it was written and its bytes, summed up."""

    updates: int
    size: int


class Design(NamedTuple):
    """A design's operations over one session, in USD by list price."""

    writes: int
    viewer_reads: int
    viewer_bytes: int
    backend_usd: float
    viewers_usd: float

    def report(self) -> dict[str, Any]:
        return {
            "writes": self.writes,
            "readsPerViewer": self.viewer_reads,
            "bytesPerViewer": self.viewer_bytes,
            "backendUsd": round(self.backend_usd, 4),
            f"usdPer{VIEWERS}Viewers": round(self.viewers_usd, 4),
            "totalUsd": round(self.backend_usd + self.viewers_usd, 4),
        }


def design(
    *, writes: int, reads: int, deletes: int, watched: Iterable[Watched], pubsub_bytes: int, viewers: int = VIEWERS
) -> Design:
    """A design from what it does itself and what each viewer listens to. pubsub_bytes: published."""
    seen = list(watched)
    updates, size = sum(w.updates for w in seen), sum(w.size for w in seen)
    return Design(
        writes=writes,
        viewer_reads=updates,
        viewer_bytes=size,
        backend_usd=writes * WRITE_USD + reads * READ_USD + deletes * DELETE_USD + 2 * pubsub_bytes * PUBSUB_USD,
        viewers_usd=viewers * (updates * READ_USD + size * EGRESS_USD),
    )


SESSION_TOPICS = frozenset(
    {
        *("SessionInfo", "SessionStatus", "TrackStatus", "LapCount", "ExtrapolatedClock", "WeatherData"),
        *(vocabulary.SESSION, vocabulary.FLAG, vocabulary.CLOCK, vocabulary.LAP_COUNT),
    }
)
FEED_TOPICS = frozenset({"RaceControlMessages", "Heartbeat", vocabulary.RACE_CONTROL})


def document_per_driver(messages: Iterable[Message], viewers: int = VIEWERS) -> Design:
    """The design to beat, on the same messages: a document a driver, written on every message that touches the driver.

    Those are the messages of TimingData, TimingAppData (tyres) and DriverList, of a kart track those of its board; two
    more documents have the session, and race control with the state of the feed, as PitWall's viewers listen to theirs.
    Every viewer listens to all of them. A driver's document has what TimingData or the board's row says of the driver,
    mini-sectors left out, and nothing is charged for Pub/Sub.
    """
    state = SessionState("cost")
    board: dict[str, dict[str, Any]] = {}
    touched: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    size = session = feed = 0
    for message in messages:
        if message.topic == "TimingData":
            state.apply(message)
        elif message.topic in (vocabulary.GRID, vocabulary.LINES):
            _merge_rows(board, message)
        session += message.topic in SESSION_TOPICS
        feed += message.topic in FEED_TOPICS
        for number in _drivers(message):
            line = board.get(number) or state.line(number)
            if not line:
                continue
            if touched[number] % 50 == 0:  # the size hardly changes: measured now and then
                sizes[number] = DOCUMENT_OVERHEAD + value_size(_without_segments(line))
            touched[number] += 1
            size += sizes[number]
    watched = [
        Watched(touched.total(), size),
        Watched(session, session * SESSION_BYTES),
        Watched(feed, feed * FEED_BYTES),
    ]
    writes = sum(document.updates for document in watched)
    return design(writes=writes, reads=0, deletes=0, watched=watched, pubsub_bytes=0, viewers=viewers)


def _drivers(message: Message) -> list[str]:
    """Racing numbers of the drivers a message is about; of a kart track, the board's rows."""
    if not isinstance(message.data, dict):
        return []
    if message.topic in (vocabulary.GRID, vocabulary.LINES):
        return list(_rows(message))
    if message.topic in (vocabulary.CROSSING, vocabulary.PIT):
        return [str(message.data.get("Row", ""))]
    if message.topic in ("TimingData", "TimingAppData"):
        lines = message.data.get("Lines")
        return list(lines) if isinstance(lines, dict) else []
    return list(message.data) if message.topic == "DriverList" else []


def _rows(message: Message) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = message.data["Lines"] if message.topic == vocabulary.GRID else message.data
    return rows


def _merge_rows(board: dict[str, dict[str, Any]], message: Message) -> None:
    """What a board says of its rows; a new board takes the place of the one before."""
    if message.topic == vocabulary.GRID:
        board.clear()
    for row, told in _rows(message).items():
        board[row] = board.get(row, {}) | told


def _without_segments(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_segments(item) for key, item in value.items() if key != "Segments"}
    if isinstance(value, list):
        return [_without_segments(item) for item in value]
    return "" if value is None else value
