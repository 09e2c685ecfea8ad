"""`jobs/{id}`: work that takes a while, how far it is and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields


class KindChanges(Fields, kw_only=True):
    """What a job changed among the documents of one kind."""

    added: int
    changed: int
    removed: int
    fields: Annotated[
        dict[str, int],
        Meta(description="in how many changed documents each field differed; the most frequent ones"),
    ]
    examples: Annotated[list[str], Meta(description="the first changes in words, a line each")]


class Reconciled(Fields, kw_only=True):
    """What came of comparing a session with its archive."""

    messages: Annotated[int, Meta(description="messages of the archive that were played")]
    compared: Annotated[int, Meta(description="documents compared")]
    written: Annotated[int, Meta(description="documents published to be stored")]
    deleted: Annotated[int, Meta(description="documents published to be deleted")]
    changes: Annotated[dict[str, KindChanges], Meta(description="by kind of document; kinds without changes left out")]


JobState = Literal["queued", "running", "waiting", "done", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled"})
"""States in which a job stays until it is asked for once more."""


class JobDocument(Document, kw_only=True):
    """`jobs/{id}`: one job; `at` is when it last told something of itself."""

    kind: Annotated[
        str,
        Meta(
            description="archive: a session corrected from its archive (id `archive-{session}`); backfill: history "
            "fetched and stored; telemetry: that of a race put on one time grid; analyze-format: what a kart track's "
            "feed says; export-person, erase-person: a name shown or taken out, which the job does not have"
        ),
    ]
    state: Annotated[
        JobState,
        Meta(
            description="queued: its turn is to come; waiting: for what is not there yet; running without a word for "
            "five minutes: it was killed"
        ),
    ]
    progress: Annotated[int, Meta(ge=0, le=100, description="per cent")]
    message: Annotated[str, Meta(description="what it does or waits for, in plain words")] | UnsetType = UNSET
    request: Annotated[dict[str, Any], Meta(description="what was asked for")] | UnsetType = UNSET
    result: (
        Annotated[dict[str, Any], Meta(description="what came of it; of kind archive as of `Reconciled`")] | UnsetType
    ) = UNSET
    error: Annotated[str, Meta(description="why it failed, in plain words")] | UnsetType = UNSET
    cancel: Annotated[bool, Meta(description="true: it was asked to stop, and will with its next word")] = False
    turn: Annotated[int, Meta(ge=0, description="how often it was queued; a message of an earlier turn is old")] = 0
    stalled: Annotated[int, Meta(ge=0, description="turns and attempts in a row that came no further")] = 0

    def __post_init__(self) -> None:
        if self.kind == "archive" and self.result is not UNSET:
            msgspec.convert(self.result, Reconciled)

    @property
    def reconciled(self) -> Reconciled | None:
        """The result of a job of kind archive."""
        has_one = self.kind == "archive" and self.result is not UNSET
        return msgspec.convert(self.result, Reconciled) if has_one else None
