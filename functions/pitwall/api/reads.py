"""Firestore for one request: documents by path or by query, counted as Firestore bills them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from flask import g
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from pitwall.pipeline.database import Comparison, Database, Unavailable

T = TypeVar("T")

RETRIES = Retrying(
    retry=retry_if_exception_type(Unavailable), stop=stop_after_attempt(2), wait=wait_fixed(0.1), reraise=True
)
"""A channel that was idle may have to be opened again: that costs a second attempt, not the request."""


class Stored(NamedTuple):
    """A stored document."""

    path: str
    fields: dict[str, Any]

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]


class Reads:
    """What one request reads, and how many reads Firestore bills for it: `count`.

    Every method raises Unavailable when Firestore does not answer.
    """

    def __init__(self, database: Callable[[], Database]) -> None:
        self._database = database
        self.count = 0

    def get(self, *paths: str) -> list[Stored | None]:
        """The documents at `paths`, in that order and all of one instant; None for one that does not exist."""
        found = _persistently(lambda: self._database().read(paths))
        self.count += len(paths)
        return [
            Stored(path, stored.fields) if (stored := found.get(path)) and stored.fields is not None else None
            for path in paths
        ]

    def query(
        self,
        collection: str,
        *,
        limit: int,
        where: Sequence[tuple[str, Comparison, Any]] = (),
        order_by: str | None = None,
        descending: bool = False,
        after: tuple[Any, str] | None = None,
        only: Sequence[str] = (),
    ) -> list[Stored]:
        """Up to `limit` documents of a collection; see Database.query. One that finds nothing is billed as a read."""
        found = _persistently(
            lambda: self._database().query(
                collection,
                where=where,
                order_by=order_by,
                descending=descending,
                after=after,
                limit=limit,
                only=only,
            )
        )
        self.count += max(len(found), 1)
        return [Stored(path, fields) for path, fields in found]


def _persistently(read: Callable[[], T]) -> T:
    return RETRIES(read)


def current() -> Reads:
    """The reads of the current request."""
    reads: Reads = g.reads
    return reads
