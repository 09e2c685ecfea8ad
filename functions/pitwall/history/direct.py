"""Stores what `reconcile` publishes in this process, with the writer's own code: for sessions that are long over.

Pub/Sub and the deployed writer are left out, and nothing else: documents are checked, versions compared and commits
made as there, so it does not matter whether a poller, the writer or another such run has stored some of a session
before. It is faster, and needs no writer to be there.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pitwall.history.reconcile import RETRIES
from pitwall.pipeline.database import Database
from pitwall.pipeline.push import Push
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.writer import Writer


class Direct:
    """What `reconcile` is given for a publisher. refused: path and reason of each document that cannot be stored."""

    def __init__(self, database: Database) -> None:
        self.messages = 0
        self.refused: list[tuple[str, str]] = []
        self._writer = Writer(VersionedStore(database), self)

    def publish(self, topic: str, key: str, data: bytes, **attributes: str) -> None:  # noqa: ARG002
        """Returns once it is stored. Raises Unavailable: publishing it again is then right."""
        RETRIES(self._writer.store, Push(f"direct-{self.messages}", data, attributes, 0, datetime.now(UTC)))
        self.messages += 1

    def acknowledged(self, through: int) -> bool:  # noqa: ARG002
        """Always: what is published is stored."""
        return True

    def wait(self, timeout_s: float) -> None:
        """There is nothing to wait for."""

    def put(self, data: bytes, reason: str, detail: str, **attributes: str) -> None:  # noqa: ARG002
        """What the writer cannot store."""
        self.refused.append((attributes.get("path", ""), f"{reason}: {detail}"))
