"""`/standings/drivers` and `/standings/constructors`: a championship after a round."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from msgspec import Meta

from pitwall.api import caching, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.errors import NotFound
from pitwall.api.history import careers, past
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Reads
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.history import Championship, Name, StandingLine

routes = Blueprint("standings", __name__)


class AfterRound(Fields, kw_only=True):
    """After which round; the keys of a place come beside these."""

    year: int
    round: Annotated[int, Meta(description="the last one that counts")]


STANDING = Shape(AfterRound, StandingLine, Name, name="Standing")

_QUERY = {
    "year": Parameter(parameters.year, "the season; without it the last one with results", 2025),
    "round": Parameter(parameters.whole_number(1, 999), "after this round; without it after the last one held", 21),
    **careers.without_spoilers(lists.whole(STANDING)),
}


@routes.get("/standings/drivers")
@lists.listing("The drivers' championship after a round, by place", STANDING, _QUERY)
def drivers() -> Answer:
    """Each with whom they had results for. Reads a document; without `year` one more."""
    return _listed("drivers")


@routes.get("/standings/constructors")
@lists.listing("The constructors' championship after a round, by place", STANDING, _QUERY)
def constructors() -> Answer:
    """There is none before 1958. Reads a document; without `year` one more."""
    return _listed("constructors")


def _listed(championship: Championship) -> Answer:
    given = parameters.given()
    year = given["year"] if "year" in given else _last(reads.current())
    [found] = reads.current().get(paths.standings(year, championship))
    if found is None:
        raise NotFound(f"There is no championship of {championship} in {year}.")
    rounds = found.fields["rounds"]
    after = next((one for one in rounds if one["round"] == given.get("round", rounds[-1]["round"])), None)
    if after is None:
        raise NotFound(f"Round {given['round']} of {year} was not held: the last one is {rounds[-1]['round']}.")
    names: dict[str, dict[str, Any]] = found.fields["names"]
    return lists.answer(
        lambda: (
            {"year": year, "round": after["round"], **line, **names.get(line["id"], {})} for line in after["lines"]
        ),
        [found],
        STANDING,
        given,
        max_age=past.max_age([found], year) if "year" in given else caching.SESSION_S,
    )


def _last(reading: Reads) -> int:
    """The last season with results. Raises NotFound."""
    newest = reading.query(paths.SEASONS, order_by="year", descending=True, limit=1)
    if not newest:
        raise NotFound("There is no season with results yet.")
    year: int = newest[0].fields["year"]
    return year
