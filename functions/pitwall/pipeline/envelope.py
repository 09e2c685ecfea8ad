"""What travels on the topic `timing`: the whole values of one tick, in messages of a bounded size.

An envelope is JSON. All documents of a tick carry the same version `v`; a tick too
large for one message is split between documents, never inside one. Documents to be deleted travel in
messages of their own. Whether the fields fit the type stored at a path is for the writer to say, one
document at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from pitwall.documents.encoding import instant

T = TypeVar("T")

SCHEMA = 1
"""Version of the envelope; a writer refuses one it does not know."""

SCHEMA_OF_DELETES = 2
"""Version of one that deletes. A writer of before would store its documents and drop the deletes without a word; so
it refuses the message (dead letter `unknown-schema`), and whoever published it sees that they were not deleted."""

MAX_DOCUMENTS = 400
"""Documents of one message: it is one commit, and Firestore long took 500 writes at the most."""

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
    deletes: paths of documents that are not to be there any more, where what is stored is older than `v`.
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
    deletes: list[str] = []


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
    deletes: Sequence[str] = (),
    arrived: Sequence[int] = (),
    tower: str = "",
    limit: int,
) -> Iterator[bytes]:
    """The messages of one tick, each at most `limit` bytes unless a single document alone is larger.

    at: the feed's instant, ms. arrived: see `Envelope.arrived_at`; it goes with the document at the path `tower`.
    deletes: paths, not among those of `documents`; they come last.
    """
    header = Envelope(
        feed=feed, session=session, epoch=epoch, seq=seq, v=version(epoch, seq), at=instant(at), documents=[]
    )
    room = limit - len(msgspec.json.encode(header)) - 16 - 14 * len(arrived)
    stored = _parts(documents, [len(document.path) + len(bytes(document.fields)) + 24 for document in documents], room)
    deleted = _parts(deletes, [len(msgspec.json.encode(path)) + 1 for path in deletes], room)
    parts = len(stored) + len(deleted)
    for part, held in enumerate(stored):
        arrived_at = list(arrived) if any(document.path == tower for document in held) else []
        yield msgspec.json.encode(
            msgspec.structs.replace(header, part=part, parts=parts, arrived_at=arrived_at, documents=held)
        )
    for part, gone in enumerate(deleted, start=len(stored)):
        yield msgspec.json.encode(
            msgspec.structs.replace(header, schema=SCHEMA_OF_DELETES, part=part, parts=parts, deletes=gone)
        )


def _parts(items: Sequence[T], sizes: Sequence[int], room: int) -> list[list[T]]:
    """The items in their order, in lists of at most `room` bytes and MAX_DOCUMENTS items."""
    parts: list[list[T]] = []
    free = 0
    for item, size in zip(items, sizes, strict=True):
        if not parts or size > free or len(parts[-1]) == MAX_DOCUMENTS:
            parts.append([])
            free = room
        parts[-1].append(item)
        free -= size
    return parts


def decode(data: bytes) -> Envelope:
    """The envelope of a message. Raises UnreadableEnvelope."""
    try:
        head = msgspec.json.decode(data, type=_Head)
        if head.schema not in (SCHEMA, SCHEMA_OF_DELETES):
            raise UnreadableEnvelope("unknown-schema", f"{head.schema} is neither {SCHEMA} nor {SCHEMA_OF_DELETES}")
        envelope = msgspec.json.decode(data, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEnvelope("bad-envelope", str(error)) from None
    if not 0 <= envelope.seq <= MAX_SEQ or envelope.v != version(envelope.epoch, envelope.seq):
        raise UnreadableEnvelope("bad-envelope", f"v {envelope.v} is not epoch {envelope.epoch}, seq {envelope.seq}")
    return envelope
