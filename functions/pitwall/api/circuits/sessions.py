"""A kart track, and which sessions it has: those of its feed, by their last change."""

from __future__ import annotations

from datetime import datetime

from pitwall.api import parameters
from pitwall.api.errors import NotFound
from pitwall.api.history import by_id
from pitwall.api.reads import Reads, Stored
from pitwall.documents import paths
from pitwall.documents.feeds import kart_feed
from pitwall.pipeline.database import Comparison


def track(circuit_id: str) -> Stored:
    """A kart track by id. Raises NotFound for another circuit. Reads one document or two."""
    found = by_id.found(paths.CIRCUITS, circuit_id)
    if found is None or not isinstance(found.fields.get("nom"), str):
        raise NotFound(f"There is no kart track {parameters.shorten(circuit_id)!r}.")
    return found


def latest(reads: Reads, circuit: Stored, before: datetime | None = None) -> Stored | None:
    """The session of a track that changed last, or that did so by an instant. Reads one document."""
    to: list[tuple[str, Comparison, datetime]] = [] if before is None else [("at", "<=", before)]
    found = reads.query(
        paths.SESSIONS, where=[("feedId", "==", kart_feed(circuit.id)), *to], order_by="at", descending=True, limit=1
    )
    return found[0] if found else None


def changed(
    reads: Reads,
    circuit: Stored,
    since: datetime,
    to: datetime,
    limit: int,
    after: tuple[datetime, str] | None = None,
) -> list[Stored]:
    """Sessions of a track whose last change was from one instant to another, in that order.

    after: last change and key of the session behind which to begin. Reads a document a session.
    """
    return reads.query(
        paths.SESSIONS,
        where=[("feedId", "==", kart_feed(circuit.id)), ("at", ">=", since), ("at", "<=", to)],
        order_by="at",
        after=None if after is None else (after[0], paths.session(after[1])),
        limit=limit,
    )
