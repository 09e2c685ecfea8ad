"""What a session costs by Google's list prices, beside the design PitWall set out to beat.

Prices are those of Firestore's multi-region nam5 and of Pub/Sub and internet egress in North America as published in
2025, without free quota; regions and years differ, the ratio between the two designs hardly does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pitwall.documents.encoding import value_size
from pitwall.message import Message
from pitwall.timing.state import SessionState

READ_USD = 0.06 / 100_000
WRITE_USD = 0.18 / 100_000
DELETE_USD = 0.02 / 100_000
EGRESS_USD = 0.12 / 2**30
PUBSUB_USD = 40.0 / 2**40
"""For each byte published and each byte delivered."""

VIEWERS = 1_000
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


def document_per_driver(messages: Iterable[Message], viewers: int = VIEWERS) -> Design:
    """The design to beat, on the same messages: a document a driver, written whenever TimingData touches the driver.

    Every viewer listens to all of them. A document has what TimingData says of the driver, mini-sectors
    left out, and a name; nothing is charged for Pub/Sub, races or tyres.
    """
    state = SessionState("cost")
    writes = size = 0
    sizes: dict[str, tuple[int, int]] = {}
    for message in messages:
        if message.topic != "TimingData":
            continue
        state.apply(message)
        lines = message.data.get("Lines") if isinstance(message.data, dict) else None
        for number in lines if isinstance(lines, dict) else ():
            line = state.line(number)
            if not line:
                continue
            count, known = sizes.get(number, (0, 0))
            if count % 50 == 0:  # the size hardly changes: measured now and then
                known = DOCUMENT_OVERHEAD + value_size(_without_segments(line))
            sizes[number] = (count + 1, known)
            writes += 1
            size += known
    return design(writes=writes, reads=0, deletes=0, watched=[Watched(writes, size)], pubsub_bytes=0, viewers=viewers)


def _without_segments(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_segments(item) for key, item in value.items() if key != "Segments"}
    if isinstance(value, list):
        return [_without_segments(item) for item in value]
    return "" if value is None else value
