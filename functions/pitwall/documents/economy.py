"""`economy/current`: how much is spent on viewers, and who said so. Private."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Instant

Mode = Literal["off", "slow", "closed"]
Reason = Annotated[str, Meta(min_length=1, max_length=500, description="why, in plain words")]


class HandsWord(Fields, kw_only=True):
    """What was last set by hand."""

    mode: Annotated[Mode, Meta(description="no message of the budget sets a looser one")]
    reason: Reason | UnsetType = UNSET


class BudgetsWord(Fields, kw_only=True):
    """What the budget's messages have asked for."""

    mode: Annotated[Mode, Meta(description="the strictest one since `costIntervalStart`")]
    reason: Reason
    cost_interval_start: Annotated[Instant, Meta(description="since when the budget counts costs: the month, UTC")]


class EconomyDocument(Document, kw_only=True):
    """`economy/current`: how much is spent on viewers, and who said so. Private.

    The function `economy` and `python -m pitwall.pipeline.economy` change it, each only what it has read. `v` counts
    the changes.
    """

    mode: Annotated[
        Mode,
        Meta(
            description="slow: ticks every 5 s; closed: that, and rules that let no client without a role read sessions"
        ),
    ]
    set_by: Annotated[Literal["hand", "budget"], Meta(description="whose word the mode is")]
    reason: Reason | UnsetType = UNSET
    hand: HandsWord | UnsetType = UNSET
    budget: BudgetsWord | UnsetType = UNSET
