"""Pages of a list in the order of a whole number: laps by `lap`, race control by `n`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pitwall.api.reads import Reads, Stored
from pitwall.pipeline.database import Comparison

BATCH = 100
MOST_READ = 600
"""Documents one request looks at to find those that are to be kept; it then gives what it found, and a cursor."""


def page(
    reads: Reads,
    collection: str,
    number: str,
    *,
    first: int,
    last: int | None = None,
    limit: int,
    where: Sequence[tuple[str, Comparison, Any]] = (),
    only: Sequence[str] = (),
    keep: Callable[[dict[str, Any]], bool] | None = None,
) -> tuple[list[Stored], int | None]:
    """Up to `limit` documents from number `first` to `last`, and the number after which there are more, or None.

    where: what Firestore finds them by. keep: what it cannot; where few are kept more are read, in larger batches, up
    to a bound. Without it, `limit` and one more are read.
    """
    items: list[Stored] = []
    looked_at = 0
    wanted = limit + 1
    to: list[tuple[str, Comparison, Any]] = [] if last is None else [(number, "<=", last)]
    while True:
        batch = reads.query(
            collection, where=[*where, (number, ">=", first), *to], order_by=number, limit=wanted, only=only
        )
        looked_at += len(batch)
        for document in batch:
            if keep is None or keep(document.fields):
                if len(items) == limit:
                    return items, items[-1].fields[number]
                items.append(document)
        if len(batch) < wanted:
            return items, None
        first = batch[-1].fields[number] + 1
        if looked_at >= MOST_READ:
            return items, first - 1
        wanted = max(limit + 1 - len(items), BATCH)


def last(reads: Reads, collection: str, number: str, most: int) -> list[Stored]:
    """The last `most` documents, highest number first; in parts, as all laps of a long race are megabytes."""
    found: list[Stored] = []
    to: list[tuple[str, Comparison, Any]] = []
    while len(found) < most:
        wanted = min(BATCH, most - len(found))
        batch = reads.query(collection, where=to, order_by=number, descending=True, limit=wanted)
        found += batch
        if len(batch) < wanted:
            break
        to = [(number, "<=", batch[-1].fields[number] - 1)]
    return found
