"""`privacyRequests/{id}`: whose name is to be exported or erased, until that is done. Private.

The name is here and nowhere else: jobs and log lines have the id.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from pitwall.documents.base import Document

PersonName = Annotated[
    str,
    Meta(
        min_length=3,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$",
        description="as a board wrote it, whole; in any case, with any spaces between its words",
    ),
]
Wish = Literal["export", "erase"]


class PrivacyRequestDocument(Document, kw_only=True):
    """`privacyRequests/{id}`: whose name is to be exported or erased. Private; deleted once that is done."""

    name: PersonName
    wish: Wish
    circuit: Annotated[str, Meta(description="only at this kart track; absent: at all of them")] | UnsetType = UNSET
    after: Annotated[str, Meta(description="key of the last session that is done")] = ""
    after_object: Annotated[str, Meta(description="of the next one: the last recorded object that is done")] = ""
    counts: Annotated[dict[str, int], Meta(description="what was found up to there, by kind")] = field(
        default_factory=dict
    )
