"""Compares what a session leaves in the documents when it is played live and when it is played from the archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import to_fields
from pitwall.pipeline.ticks import Reducer
from pitwall.sources import Source

Documents = Mapping[str, Mapping[str, Any]]

NOT_COMPARED: Final = {
    "feed": "names its source, and when that was last heard of",
    "tower": "copies of the tower, one for every five seconds: cut by the feed's clock, which is another by up to 3 s",
}
"""Kinds of documents that are not compared, and why."""

INSTANT_TOLERANCE: Final = timedelta(seconds=3)
"""A live message has its own instant, an archive's line an offset from a base that is found: they are given 3 s."""

EXPECTED: Final[dict[str, str]] = {}
"""Differences there may be: the document's kind and the field, and why. None are known."""


def final_documents(source: Source) -> Documents:
    """The last value of every document of every tick."""
    reducer = Reducer(source.session, "f1", source.name)
    last: dict[str, Document] = {}
    for message in source.messages():
        for tick in reducer.offer(message):
            last.update(tick.documents)
    for tick in reducer.finish():
        last.update(tick.documents)
    assert not reducer.rejected
    return {path: to_fields(document) for path, document in last.items()}


def disagreements(live: Documents, archive: Documents) -> list[str]:
    """What differs and is not expected to, one line each."""
    found = []
    for path in sorted(live.keys() | archive.keys()):
        kind = paths.kind_of(path).name
        if kind in NOT_COMPARED:
            continue
        if path not in archive:
            found.append(f"{path}: only live")
        elif path not in live:
            found.append(f"{path}: only in the archive")
        else:
            found += [
                f"{path}: {field}: {told} live, {archived} in the archive"
                for field, told, archived in _unequal(live[path], archive[path])
                if f"{kind}.{field}" not in EXPECTED
            ]
    return found


def _unequal(live: Any, archive: Any, field: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(live, dict) and isinstance(archive, dict):
        for name in sorted(live.keys() | archive.keys()):
            inner = f"{field}.{name}" if field else name
            if name not in live or name not in archive:
                yield inner, live.get(name), archive.get(name)
            else:
                yield from _unequal(live[name], archive[name], inner)
    elif isinstance(live, list) and isinstance(archive, list) and len(live) == len(archive):
        for index, (told, archived) in enumerate(zip(live, archive, strict=True)):
            yield from _unequal(told, archived, f"{field}[{index}]")
    elif isinstance(live, datetime) and isinstance(archive, datetime):
        if abs(live - archive) > INSTANT_TOLERANCE:
            yield field, live, archive
    elif live != archive or type(live) is not type(archive):
        yield field, live, archive
