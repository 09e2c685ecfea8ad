"""Writes the public documents of a database as lines of JSON, the same bytes for the same content."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from google.cloud import firestore

from pitwall.documents.encoding import rfc3339

PUBLIC = ("sessions", "schedule", "seasons", "circuits", "drivers", "constructors")
"""Top-level collections that are exported, with everything under them; leases, checkpoints and such are private."""

FILE = "documents.jsonl"


def documents(client: firestore.Client) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and fields of every public document, in no order."""
    for name in PUBLIC:
        yield from _below(client.collection(name))


def _below(collection: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for snapshot in collection.stream():
        yield snapshot.reference.path, snapshot.to_dict()
    for document in collection.list_documents():  # also one that is not there but has something below it
        for inner in document.collections():
            yield from _below(inner)


def jsonable(value: Any) -> Any:
    """A stored value as JSON has it: instants as RFC 3339 with milliseconds and Z."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    return value


def line(path: str, fields: dict[str, Any]) -> bytes:
    """One line of `documents.jsonl`: the path, then the fields with their keys sorted."""
    return b'{"path":%b,"fields":%b}\n' % (
        orjson.dumps(path),
        orjson.dumps(jsonable(fields), option=orjson.OPT_SORT_KEYS),
    )


def export(client: firestore.Client, folder: Path) -> Path:
    """Writes `documents.jsonl` into `folder`, sorted by path; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / FILE
    with target.open("wb") as out:
        for path, fields in sorted(documents(client), key=lambda document: document[0]):
            out.write(line(path, fields))
    return target


def read(file: Path) -> dict[str, dict[str, Any]]:
    """An export back, fields by path. Raises ValueError on a line that is none."""
    found = {}
    with file.open("rb") as stream:
        for text in stream:
            record = orjson.loads(text)
            found[record["path"]] = record["fields"]
    return found


def compare(one: Path, other: Path) -> list[str]:
    """How two exports differ, a line a difference; `v`, `writtenAt` and `live/feed` are left aside."""
    left, right = _comparable(one), _comparable(other)
    differences = [f"only in {one}: {path}" for path in sorted(left.keys() - right.keys())]
    differences += [f"only in {other}: {path}" for path in sorted(right.keys() - left.keys())]
    for path in sorted(left.keys() & right.keys()):
        if left[path] != right[path]:
            keys = sorted(k for k in left[path].keys() | right[path].keys() if left[path].get(k) != right[path].get(k))
            differences.append(f"differs: {path}: {', '.join(keys)}")
    return differences


def _comparable(file: Path) -> dict[str, dict[str, Any]]:
    return {
        path: {key: value for key, value in fields.items() if key not in ("v", "writtenAt", "expireAt")}
        for path, fields in read(file).items()
        if not path.endswith("/live/feed")
    }
