"""What of a season was filled in already: `backfills/{year}`, so that doing it again reads little and writes nothing.

Of each part (the results of a session, the laps of another) a digest of what it was made of is kept once it is stored.
A part of the same digest is not looked at again. A digest that is lost, or of an older make, costs reading the part and
nothing else: what is stored is compared before it is written. Private.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import msgspec

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import InvalidDocument, from_fields, to_fields
from pitwall.history.reconcile import RETRIES
from pitwall.history.stored import store, writes
from pitwall.pipeline.database import Database

MAKE: Final = 1
"""To be raised when documents are made otherwise of the same: then every part is made once more."""


def digest(*parts: Any) -> str:
    """Of what a part is made of: anything msgspec encodes."""
    return blake2b(msgspec.json.encode((MAKE, parts), order="deterministic"), digest_size=12).hexdigest()


class Marks:
    """Those of a season. again: none counts. dry_run: nothing is written, neither mark nor document.

    refused: documents that do not fit their type, with where it does not.
    """

    def __init__(self, database: Database, year: int, *, again: bool = False, dry_run: bool = False) -> None:
        self._database = database
        self._path = paths.backfill(year)
        self._dry_run = dry_run
        self.refused: list[str] = []
        self._done: dict[str, str] = {}
        if not again:
            stored = RETRIES(lambda: database.read([self._path]))[self._path].fields or {}
            self._done = {part: told for part, told in stored.get("done", {}).items() if isinstance(told, str)}

    def has(self, part: str, told: str | None = None) -> bool:
        """Whether a part is done. told: of this digest; None: of any."""
        return part in self._done if told is None else self._done.get(part) == told

    def set(self, part: str, told: str) -> None:
        """A part is done, and stored. Raises Unavailable."""
        if self._dry_run or self.has(part, told):
            return
        self._done[part] = told
        write = self._database.write(self._path, {"at": datetime.now(UTC), "done": dict(sorted(self._done.items()))})
        RETRIES(lambda: self._database.commit([write]))

    def store(self, documents: Mapping[str, Document], *, all_of: str = "") -> int:
        """Stores documents that fit their types and differ; returns how many.

        all_of: a collection in which nothing else is to be. Raises Unavailable.
        """
        wanted: dict[str, Document | None] = {}
        if all_of:
            there = RETRIES(lambda: self._database.query(all_of, limit=None, only=("at",)))
            wanted = {path: None for path, _ in there}
        for path, document in documents.items():
            try:
                from_fields(path, to_fields(document))
            except InvalidDocument as error:
                self.refused.append(str(error))
                wanted.pop(path, None)  # what is stored is not worse
            else:
                wanted[path] = document
        if not wanted:
            return 0
        if self._dry_run:
            stored = RETRIES(lambda: self._database.read(wanted))
            return len(writes(self._database, wanted, stored, datetime.now(UTC)))
        written: int = RETRIES(partial(store, self._database, wanted))
        return written
