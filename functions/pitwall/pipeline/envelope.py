"""What travels on the topic `timing`: the whole values of one tick, in messages of a bounded size.

An envelope is JSON. All documents of a tick carry the same version `v`; a tick too
large for one message is split between documents, never inside one. Whether the fields fit
the type stored at a path is for the writer to say, one document at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from pitwall.documents.encoding import instant

SCHEMA = 1
"""Version of the envelope; a writer refuses one it does not know."""

_SEQ_BITS = 32
MAX_SEQ = (1 << _SEQ_BITS) - 1


class UnreadableEnvelope(ValueError):
    """The message is no envelope this version reads, and delivering it again changes nothing.

    reason: a short word for counting (`bad-envelope`, `unknown-schema`).
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


class TickDocument(Struct, frozen=True):
    """The whole value of one document: its path, and its fields as JSON (camelCase, instants RFC 3339)."""

    path: str
    fields: Raw


class Envelope(Struct, rename="camel", kw_only=True, frozen=True):
    """One message of the topic `timing`.

    at: the feed's instant of the tick.
    part, parts: number from 0, and how many messages the tick was split into.
    arrived_at: when each message that changed the tower in this tick reached the poller, wall-clock
        milliseconds since the epoch; for measuring. In the part that holds the tower, else empty.
    """

    schema: int = SCHEMA
    feed: str
    session: str
    epoch: int
    seq: int
    v: int
    at: datetime
    part: int = 0
    parts: int = 1
    arrived_at: list[int] = []
    documents: list[TickDocument]


class _Head(Struct):
    """What tells whether the rest can be read."""

    schema: int


def version(epoch: int, seq: int) -> int:
    """The version of what a holder publishes: later than anything of an earlier epoch.

    An epoch below 2^21 keeps it a safe integer for JavaScript. Raises ValueError when `seq` does not fit.
    """
    if not 0 <= seq <= MAX_SEQ:
        raise ValueError(f"seq {seq} is not in 0..{MAX_SEQ}")
    return (epoch << _SEQ_BITS) | seq


def split_version(v: int) -> tuple[int, int]:
    """Epoch and seq of a version."""
    return v >> _SEQ_BITS, v & MAX_SEQ


def encode(
    *,
    feed: str,
    session: str,
    epoch: int,
    seq: int,
    at: int,
    documents: Sequence[TickDocument],
    arrived: Sequence[int] = (),
    tower: str = "",
    limit: int,
) -> Iterator[bytes]:
    """The messages of one tick, each at most `limit` bytes unless a single document alone is larger.

    at: the feed's instant, ms. arrived: see `Envelope.arrived_at`; it goes with the document at the path `tower`.
    """
    header = Envelope(
        feed=feed, session=session, epoch=epoch, seq=seq, v=version(epoch, seq), at=instant(at), documents=[]
    )
    room = limit - len(msgspec.json.encode(header)) - 16 - 14 * len(arrived)
    parts: list[list[TickDocument]] = []
    free = 0
    for document in documents:
        size = len(document.path) + len(bytes(document.fields)) + 24
        if not parts or size > free:
            parts.append([])
            free = room
        parts[-1].append(document)
        free -= size
    for part, held in enumerate(parts):
        arrived_at = list(arrived) if any(document.path == tower for document in held) else []
        yield msgspec.json.encode(
            msgspec.structs.replace(header, part=part, parts=len(parts), arrived_at=arrived_at, documents=held)
        )


def decode(data: bytes) -> Envelope:
    """The envelope of a message. Raises UnreadableEnvelope."""
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.schema != SCHEMA:
            raise UnreadableEnvelope("unknown-schema", f"{head.schema} is not {SCHEMA}")
        envelope = msgspec.json.decode(data, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEnvelope("bad-envelope", str(error)) from None
    if not 0 <= envelope.seq <= MAX_SEQ or envelope.v != version(envelope.epoch, envelope.seq):
        raise UnreadableEnvelope("bad-envelope", f"v {envelope.v} is not epoch {envelope.epoch}, seq {envelope.seq}")
    return envelope
