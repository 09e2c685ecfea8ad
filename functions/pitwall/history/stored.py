"""Documents of the history as they are stored: a write for each that differs, and none for the others.

A document that is the same but for `at`, `v` and `writtenAt` is left alone; the others get Firestore's time and the
next `v`. Every write depends on the document being as it was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final

from pitwall.documents.base import Document
from pitwall.documents.encoding import to_fields
from pitwall.pipeline.database import Conflict, Database, Stored, Unavailable

ATTEMPTS: Final = 8
"""Commits before giving up, each after what it depends on was read anew."""
AT_ONCE: Final = 200
"""Documents that `store` reads and writes together."""

_MARKS: Final = frozenset({"at", "v", "writtenAt"})


def said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a document says, without when and how often it changed."""
    return {name: value for name, value in fields.items() if name not in _MARKS}


def writes(
    database: Database,
    wanted: Mapping[str, Document | None],
    stored: Mapping[str, Stored],
    now: datetime,
    *,
    guard: str = "",
) -> list[Any]:
    """What has to be committed for `wanted` to be stored. None: is to be gone. stored: as read, of the same paths.

    guard: a path that is written with any of the others though it says the same, so that of two commits that have read
    it one does not hold.
    """
    found: list[Any] = []
    same: list[Any] = []
    for path, document in wanted.items():
        before = stored[path]
        if document is None:
            if before.fields is not None:
                found.append(database.delete(path, before.updated))
        elif before.fields is None or said(before.fields) != said(to_fields(document)):
            found.append(_write(database, path, document, before, now))
        elif path == guard:
            same.append(_write(database, path, document, before, now))
    return found + same if found else []


def _write(database: Database, path: str, document: Document, before: Stored, now: datetime) -> Any:
    v = before.fields.get("v") if before.fields is not None else 0
    marks = {"at": now, "writtenAt": now, "v": v + 1 if isinstance(v, int) else 1}
    fields = {**to_fields(document), **marks}
    return database.write(path, fields, before.updated, must_be_new=before.fields is None)


def store(database: Database, wanted: Mapping[str, Document | None]) -> int:
    """Brings documents that do not depend on one another up to date; how many were written or deleted.

    Raises database.InvalidWrite, database.Unavailable; calling again with the same goes on from there.
    """
    return sum(_store(database, part) for part in _parts(wanted))


def _store(database: Database, wanted: Mapping[str, Document | None]) -> int:
    for _ in range(ATTEMPTS):
        stored = database.read(wanted)
        needed = writes(database, wanted, stored, next(iter(stored.values())).read_at)
        try:
            if needed:
                database.commit(needed)
        except Conflict:
            continue
        return len(needed)
    raise Unavailable(f"{next(iter(wanted))} and others were changed by others {ATTEMPTS} times in a row")


def _parts(wanted: Mapping[str, Document | None]) -> Iterator[Mapping[str, Document | None]]:
    left: Iterator[tuple[str, Document | None]] = iter(wanted.items())
    while part := dict(islice(left, AT_ONCE)):
        yield part
