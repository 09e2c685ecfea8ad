"""`apiKeys/{sha256}`: a key by which a bot or a service reads the API. Private."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Instant

KeyName = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$", description="whose it is, for people")
]


class ApiKeyDocument(Document, kw_only=True):
    """`apiKeys/{sha256}`: an API key, by the SHA-256 of it; `at` is when it was last changed. Private.

    The key itself is nowhere: it was shown once, to who created it. `v` counts the changes.
    """

    name: KeyName
    role: Literal["service"]
    created_at: Instant
    created_by: Annotated[str, Meta(description="uid of the admin who did")]
    revoked_at: Annotated[Instant, Meta(description="absent: it is good")] | UnsetType = UNSET
    last_used_at: Annotated[Instant, Meta(description="to the day")] | UnsetType = UNSET
