"""`checkpoints/{sessionKey}`: what a new holder must know to go on where the one before it was.

    v         epoch of the holder and number of the checkpoint; a succeeded holder cannot overwrite its successor's
    source    what was being read, as configured
    cursor    ordinal of the first message that is not in it
    finished  the source has been played to its end
    state     the rest, compressed

Written only after the publishes it covers have been acknowledged, so whatever it leaves out is published again.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct, field

from pitwall.documents import paths
from pitwall.pipeline.database import Database
from pitwall.pipeline.envelope import version
from pitwall.pipeline.log import log
from pitwall.pipeline.store import Versioned, VersionedStore

MAX_STATE_BYTES = 1_000_000
"""Compressed; Firestore's limit on a document is 1 MiB."""

_COMPRESSION = 3
"""zlib's level: a whole race in some 20 ms."""

_FORMAT = 1


class Superseded(Exception):
    """A later holder has written a checkpoint: this instance must not go on."""


class Totals(Struct):
    """What the session's holders have done so far, those before this one included.

    messages: read from the source. published, bytes: messages of Pub/Sub; one published twice counts once.
    rejected: input that could not be read, by reason; what the state machine could not use is in its own state.
    """

    messages: int = 0
    published: int = 0
    bytes: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


class Checkpoint(Struct, kw_only=True):
    """Where a holder is.

    cursor: ordinal of the first message not applied; -1 for a source that cannot rewind.
    reducer: `Reducer.dump`. recent: hashes of the messages of the last minute, for such a source.
    """

    format: int = _FORMAT
    source: str
    cursor: int
    reducer: bytes
    finished: bool = False
    recent: list[tuple[int, bytes]] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)


class TooLarge(Exception):
    """The state does not fit a document; the checkpoint before it stays."""


class Checkpoints:
    """Writes and reads the checkpoints of one holder."""

    def __init__(self, database: Database, epoch: int, kart_retention_days: int = 0) -> None:
        """kart_retention_days: after which those of kart tracks' sessions are deleted, 0 for never."""
        self._database = database
        self._kept = timedelta(days=kart_retention_days) or None
        self._store = VersionedStore(database)
        self._epoch = epoch
        self._number = 0
        self.age_s = 0.0
        """How long ago the checkpoint that was loaded last had been written, by Firestore's clock."""

    def save(self, session_key: str, checkpoint: Checkpoint) -> int:
        """Stores it and returns its size in bytes.

        Raises Superseded, TooLarge, or database.Unavailable, after which it may or may not be stored.
        """
        state = zlib.compress(msgspec.msgpack.encode(checkpoint), _COMPRESSION)
        if len(state) > MAX_STATE_BYTES:
            raise TooLarge(f"the state of {session_key} has {len(state)} bytes, compressed; {MAX_STATE_BYTES} fit")
        self._number += 1
        fields: dict[str, Any] = {
            "source": checkpoint.source,
            "cursor": checkpoint.cursor,
            "finished": checkpoint.finished,
            "state": state,
        }
        if self._kept is not None and paths.of_kart_track(paths.session(session_key)):
            fields["expireAt"] = datetime.now(UTC) + self._kept
        path = paths.checkpoint(session_key)
        outcome = self._store.write([Versioned(path, fields, version(self._epoch, self._number))])
        if outcome.stale:
            raise Superseded(f"{path} has been written by a later holder than epoch {self._epoch}")
        if outcome.refused:
            raise TooLarge(f"{path}: {outcome.refused[0][1]}")
        return len(state)

    def load(self, session_key: str) -> Checkpoint | None:
        """The checkpoint of a session; None, logged, if there is none that can be read. Raises Unavailable."""
        path = paths.checkpoint(session_key)
        stored = self._database.read([path])[path]
        fields = stored.fields
        if fields is None:
            return None
        self.age_s = (stored.read_at - stored.updated.ToDatetime(UTC)).total_seconds()
        try:
            checkpoint = msgspec.msgpack.decode(zlib.decompress(fields["state"]), type=Checkpoint)
        except (KeyError, TypeError, zlib.error, msgspec.DecodeError) as error:
            log("ERROR", "the checkpoint cannot be read, starting anew", session=session_key, detail=str(error))
            return None
        if checkpoint.format != _FORMAT:
            log("WARNING", "the checkpoint has another format, starting anew", session=session_key)
            return None
        return checkpoint
