"""What drivers and constructors have in common: what each counted up, in all and by season."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from pitwall.api import lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.history import past
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents.base import Fields
from pitwall.documents.history import SeasonStanding, Statistics

MOST_SEASONS = 100
"""More than anybody has raced in."""

SEASON = {"season": Parameter(parameters.year, "only those with a result in this season", 2025)}
COUNTED = ("statistics",)
"""Keys that tell results."""


class CountedSeason(Fields, kw_only=True):
    """What was counted up in a season."""

    year: int
    standing: Annotated[SeasonStanding, Meta(description="absent: in no championship")] | UnsetType = UNSET
    statistics: Statistics


class Counted(Fields, kw_only=True):
    """What was counted up, in all and by season."""

    statistics: Annotated[Statistics, Meta(description="of all seasons")]
    by_season: Annotated[list[CountedSeason], Meta(description="in order")]


def without_spoilers(query: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """Parameters of a route of which nothing would be left without results."""
    return {name: taken for name, taken in query.items() if name != "spoilers"}


def one(found: Stored, shape: Shape, location: str) -> Answer:
    """The answer that shows somebody. location: the address by id."""
    return lists.answer_one(
        found.fields,
        found,
        shape,
        parameters.given(),
        max_age=_max_age([found]),
        headers={"Content-Location": location},
    )


def counted(found: Stored, seasons: str, key: str, shape: Shape, location: str) -> Answer:
    """The answer that shows what somebody counted up. seasons: the collection. key: of the id."""
    by_season = reads.current().query(seasons, order_by="year", limit=MOST_SEASONS)
    told = ("year", "standing", "statistics")
    item: dict[str, Any] = {
        key: found.id,
        "statistics": found.fields["statistics"],
        "bySeason": [{name: one.fields[name] for name in told if name in one.fields} for one in by_season],
    }
    made_of = [found, *by_season]
    headers = {"Content-Location": location}
    return lists.answer_of(item, made_of, shape, parameters.given(), max_age=_max_age(made_of), headers=headers)


def _max_age(documents: list[Stored]) -> int:
    """documents: that of somebody, and others about the same."""
    return past.max_age(documents, documents[0].fields["seasons"][-1])
