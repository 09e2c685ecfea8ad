"""`jobs/{id}`: work that takes a while, how far it is and what came of it. Private."""

from __future__ import annotations

from typing import Annotated, Literal

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


class JobDocument(Document, kw_only=True):
    """`jobs/{id}`: one job; `at` is when it last told something of itself. Private."""

    kind: Annotated[str, Meta(description="archive: a session corrected from its archive (id `archive-{session}`)")]
    state: Annotated[
        Literal["running", "waiting", "done", "failed"],
        Meta(description="waiting: for what is not there yet; running without a word for five minutes: it was killed"),
    ]
    progress: Annotated[int, Meta(ge=0, le=100, description="per cent")]
    message: Annotated[str, Meta(description="what it does or waits for, in plain words")] | UnsetType = UNSET
    result: Reconciled | UnsetType = UNSET
    error: Annotated[str, Meta(description="why it failed, in plain words")] | UnsetType = UNSET
