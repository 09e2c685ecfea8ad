"""Subscriber of `timing`: stores the documents of each message in Firestore.

Answers 2xx only when Firestore has every document (or a newer one), or the dead-letter topic has those that
can never be stored. Which of two values is newer is `store`'s business; what a document must look like is that
of `pitwall.documents`.

A document that was deleted has no version left that an older message would have to beat. So a message that was
published long ago is held against the session's reconciliation (`jobs/archive-{session}`), whose epoch is in its `v`:
what is of an epoch before that is stale, all of it. In the steady state messages are seconds old and nothing is read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Protocol

import msgspec
from flask import Request, Response

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, document_size, from_fields, to_fields
from pitwall.documents.paths import UnknownPath, kind_of, valid_id
from pitwall.pipeline import metrics, push
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.deadletter import DeadLetters, NotPutAway
from pitwall.pipeline.envelope import Envelope, TickDocument, UnreadableEnvelope, decode, split_version
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import follow, log
from pitwall.pipeline.store import Deletion, Outcome, Versioned, VersionedStore
from pitwall.settings import dead_letter

MAX_DOCUMENT_BYTES = 1_048_576 - 4_096
"""Firestore's limit on a document, with room for `v`, `writtenAt` and the index names."""

LATE = timedelta(seconds=60)
"""Age of a message from which on it may be from before a reconciliation; that follows a session by half an hour."""

_SURELY_SMALL = MAX_DOCUMENT_BYTES // 8
"""JSON shorter than this cannot be too large: nothing in it takes more than eight bytes a character."""


class PuttingAway(Protocol):
    """What is needed of `deadletter.DeadLetters`."""

    def put(self, data: bytes, reason: str, detail: str, **attributes: str) -> None:
        """Returns once it is put away. Raises NotPutAway."""
        ...


class Writer:
    """One instance of the writer. Safe to use from several threads."""

    def __init__(self, store: VersionedStore, dead_letters: PuttingAway, kart_retention_days: int = 0) -> None:
        """kart_retention_days: after which what is of kart tracks' sessions is deleted, 0 for never."""
        self._documents = store
        self._dead_letters = dead_letters
        self._kept = timedelta(days=kart_retention_days) or None

    def handle(self, body: bytes) -> Response:
        """The answer to a push request with this body: 204, 400 if it is no push, 503 to have it delivered again."""
        return push.receive(body, self.store, again=(Unavailable, NotPutAway))

    def store(self, delivered: push.Push) -> None:
        """Stores the documents of a message. Raises Unavailable, NotPutAway: it is to be delivered again."""
        try:
            envelope = decode(delivered.data)
        except UnreadableEnvelope as error:
            self._put_away(delivered, delivered.data, error.reason, str(error))
            return
        written_at = datetime.now(UTC)
        if delivered.published is None or written_at - delivered.published > LATE:
            reconciled = self._reconciled(envelope.session)
            if reconciled is not None and reconciled > envelope.epoch:
                stale = len(envelope.documents) + len(envelope.deletes)
                self._log(envelope, Outcome(stale=stale, reads=1), refused=0)
                return
        documents: list[Versioned] = []
        deletions: list[Deletion] = []
        refused: list[tuple[TickDocument | _Delete, str, str]] = []
        for document in envelope.documents:
            try:
                fields = _checked(document)
            except UnknownPath as error:
                refused.append((document, "unknown-path", str(error)))
            except InvalidDocument as error:
                refused.append((document, "invalid-document", str(error)))
            except TooLarge as error:
                refused.append((document, "too-large", str(error)))
            else:
                fields["writtenAt"] = written_at
                if self._kept is not None and paths.of_kart_track(document.path):
                    fields["expireAt"] = written_at + self._kept
                documents.append(Versioned(document.path, fields, envelope.v))
        for path in envelope.deletes:
            try:
                deletions.append(Deletion(_part_of(envelope.session, path), envelope.v))
            except UnknownPath as error:
                refused.append((_Delete(path), "unknown-path", str(error)))
        outcome = self._documents.write(documents, deletions)
        if delivered.published is not None:
            metrics.writer_lag((datetime.now(UTC) - delivered.published).total_seconds())
        told: list[TickDocument | _Delete] = [*envelope.documents, *map(_Delete, envelope.deletes)]
        reasons = dict(outcome.refused)
        refused += [(item, "refused", reasons[item.path]) for item in told if item.path in reasons]
        for item, reason, detail in refused:
            self._put_away(delivered, msgspec.json.encode(item), reason, detail, envelope, item.path)
        self._log(envelope, outcome, len(refused))

    def _reconciled(self, session: str) -> int | None:
        """Epoch under which the session was last run through again from its archive; None if it never was."""
        v = self._documents.version_of(paths.job("archive", session)) if valid_id(session) else None
        return None if v is None else split_version(v)[0]

    @staticmethod
    def _log(envelope: Envelope, outcome: Outcome, refused: int) -> None:
        log(
            "INFO",
            "stored",
            session=envelope.session,
            v=envelope.v,
            part=envelope.part,
            documents=len(envelope.documents) + len(envelope.deletes),
            written=outcome.written,
            stale=outcome.stale,
            refused=refused,
            firestoreReads=outcome.reads,
            firestoreWrites=outcome.written,
            firestoreDeletes=outcome.deleted,
        )

    def _put_away(
        self,
        delivered: push.Push,
        data: bytes,
        reason: str,
        detail: str,
        envelope: Envelope | None = None,
        path: str = "",
    ) -> None:
        log("ERROR", "can never be stored", messageId=delivered.id, reason=reason, detail=detail[:500], path=path)
        version = str(envelope.v) if envelope else ""
        session = envelope.session if envelope else ""
        self._dead_letters.put(
            data, reason, detail, messageId=delivered.id, path=path, version=version, session=session
        )


class TooLarge(ValueError):
    """The document is over Firestore's limit."""


class _Delete(msgspec.Struct):
    """How a refused deletion is put away."""

    path: str
    delete: bool = True


def _part_of(session: str, path: str) -> str:
    """The path, if it is that of a document of the session. Raises UnknownPath: nothing else is ever deleted."""
    kind_of(path)
    if not path.startswith(paths.session(session) + "/"):
        raise UnknownPath(f"{path} is no part of session {session}")
    return path


def _checked(document: TickDocument) -> dict[str, Any]:
    """The fields to store. Raises UnknownPath, InvalidDocument or TooLarge."""
    said_by_humans = document.path.startswith(f"{paths.CIRCUITS}/") and not paths.of_kart_track(document.path)
    if said_by_humans or document.path.startswith(paths.OF_NO_FEED):
        raise UnknownPath(f"{document.path} is no document of a feed")
    encoded = bytes(document.fields)
    fields = to_fields(from_fields(document.path, msgspec.json.decode(encoded)))
    fields.pop("expireAt", None)  # how long it is kept is not the feed's to say
    if len(encoded) > _SURELY_SMALL:
        size = document_size(document.path, fields)
        if size > MAX_DOCUMENT_BYTES:
            raise TooLarge(f"{document.path} has {size} bytes, Firestore stores {MAX_DOCUMENT_BYTES}")
    return fields


@cache
def _writer() -> Writer:
    settings = configured()
    return Writer(
        VersionedStore(Database(settings.project)),
        DeadLetters(settings.project, dead_letter(settings.topic_timing)),
        settings.kart_retention_days,
    )


def write(request: Request) -> Response:
    """Entry point: one push request of the subscription `timing-writer`."""
    follow(request.headers, configured().project)
    return _writer().handle(request.get_data())
