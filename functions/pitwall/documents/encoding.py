"""Documents to and from what the wire and Firestore hold, and how large they are by Firestore's rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pitwall.documents.base import Document
from pitwall.documents.paths import kind_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidDocument(ValueError):
    """The fields do not fit the type stored at the path."""


def instant(ms: int) -> datetime:
    """Milliseconds since the epoch as a datetime in UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def millis(at: datetime) -> int:
    """A datetime as milliseconds since the epoch, rounded down."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def rfc3339(at: datetime) -> str:
    """An instant in UTC with milliseconds and Z, as exports and HTTP bodies have it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def to_fields(document: Document) -> dict[str, Any]:
    """A document as a plain dict with camelCase keys and datetimes: what Firestore stores."""
    fields: dict[str, Any] = msgspec.to_builtins(document, builtin_types=(datetime,))
    return fields


def from_fields(path: str, fields: Any) -> Document:
    """The document of the type stored at `path`, from stored or decoded fields.

    Instants may be datetimes or RFC 3339. Raises UnknownPath, or InvalidDocument with the key that does not fit.
    """
    try:
        return msgspec.convert(fields, kind_of(path).type)
    except msgspec.ValidationError as error:
        raise InvalidDocument(f"{path}: {error}") from None


def without_nulls(value: Any) -> Any:
    """A value as documents hold it: what is null in JSON is left out of maps and lists."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_nulls(item) for item in value if item is not None]
    return value


def value_size(value: Any) -> int:
    """Bytes of a value by Firestore's size rules."""
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int | float | datetime):
        return 8
    if isinstance(value, str):
        return len(value.encode()) + 1
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(len(key.encode()) + 1 + value_size(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(map(value_size, value))
    raise TypeError(f"Firestore does not store {type(value).__name__}")


def document_size(path: str, fields: dict[str, Any]) -> int:
    """Bytes of a stored document by Firestore's size rules: name, fields and 32 bytes."""
    name = sum(len(part.encode()) + 1 for part in path.split("/")) + 16
    return name + value_size(fields) + 32
