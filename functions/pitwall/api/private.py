"""Documents of people and keys in Firestore: read afresh each time, and changed only from what was read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from flask import current_app
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from pitwall.api import live
from pitwall.api.reads import Stored
from pitwall.documents.base import Document
from pitwall.documents.encoding import to_fields
from pitwall.pipeline.database import Conflict, Database

DATABASE = "PITWALL_DATABASE"
"""Key in the app's config of what gives the database."""

_ATTEMPTS = 5

D = TypeVar("D", bound=Document)


def now() -> datetime:
    """The app's clock."""
    clock: live.Clock = current_app.config[live.CLOCK]
    return clock()


def database() -> Database:
    given: Callable[[], Database] = current_app.config[DATABASE]
    return given()


def read(path: str, kind: type[D]) -> D | None:
    """The document at `path`, which is of this type. Raises Unavailable."""
    return _of(kind, database().read([path])[path].fields)


def listed(collection: str, limit: int) -> list[Stored]:
    """Up to `limit` documents of a collection. Raises Unavailable."""
    return [Stored(path, fields) for path, fields in database().query(collection, limit=limit)]


def change(path: str, kind: type[D], make: Callable[[D | None], D | None]) -> D | None:
    """Stores what `make` makes of the document at `path`, with the next `v` and the instants; gives it as it is then.

    make: is given None where there is no document, and gives None to leave things as they are. It may be asked several
    times, if somebody else changes the document meanwhile. Raises Unavailable, and Conflict if that never ends.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random(0, 0.1),
        reraise=True,
    )
    return retrying(_changed, path, kind, make)


def _changed(path: str, kind: type[D], make: Callable[[D | None], D | None]) -> D | None:
    stored = database().read([path])[path]
    before = _of(kind, stored.fields)
    made = make(before)
    if made is None:
        return before
    version = before.v + 1 if before is not None and isinstance(before.v, int) else 1
    after = msgspec.structs.replace(made, at=now(), written_at=now(), v=version)
    write = database().write(path, to_fields(after), stored.updated, must_be_new=before is None)
    database().commit([write])
    return after


def _of(kind: type[D], fields: dict[str, Any] | None) -> D | None:
    return None if fields is None else msgspec.convert(fields, kind)


def delete(path: str) -> None:
    """Deletes the document at `path`, if there is one. Raises Unavailable."""
    database().commit([database().delete(path)])
