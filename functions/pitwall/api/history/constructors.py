"""`/constructors` and `/constructors/{constructorId}`: every constructor that had a result, and what it counted up."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint
from msgspec import Meta

from pitwall.api import alias, caching, description, lists, parameters
from pitwall.api.caching import Answer
from pitwall.api.description import Placeholder, described
from pitwall.api.errors import NotFound
from pitwall.api.history import by_id, careers
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.history import ConstructorDocument

routes = Blueprint("constructors", __name__)

description.PATH["constructor_id"] = Placeholder(
    "constructorId",
    Parameter(
        parameters.matching(r"[0-9A-Za-z_-]{1,64}", "the id of a constructor"), "id of the constructor", "ferrari"
    ),
)


class ConstructorId(Fields, kw_only=True):
    """Whose; what was counted comes beside it."""

    constructor: Annotated[str, Meta(description="the id")]


CONSTRUCTOR = Shape(ConstructorDocument, results=careers.COUNTED)
STATISTICS = Shape(ConstructorId, careers.Counted, name="ConstructorStatistics")


@routes.get("/constructors")
@lists.listing(
    "Constructors that had a result in Formula 1, by id",
    CONSTRUCTOR,
    {**careers.SEASON, **lists.paged(CONSTRUCTOR)},
    problems=(),
)
def listed() -> Answer:
    """Of all seasons or of one. Reads a document a constructor, one more to know whether there are more."""
    return by_id.listed(paths.CONSTRUCTORS, "constructor", CONSTRUCTOR)


@routes.get("/constructors/<constructor_id>")
@caching.kept
@described("One constructor, by id", query=lists.one(CONSTRUCTOR), answers=CONSTRUCTOR, problems=(NotFound,))
def constructor(constructor_id: str) -> Answer:
    """What it is called, and what it counted up. Reads a document."""
    found = existing(constructor_id)
    return careers.one(found, CONSTRUCTOR, alias.address(".constructor", constructor_id=found.id))


@routes.get("/constructors/<constructor_id>/stats")
@caching.kept
@described(
    "What a constructor counted up, in all and by season",
    query=careers.without_spoilers(lists.one(STATISTICS)),
    answers=STATISTICS,
    problems=(NotFound,),
)
def statistics(constructor_id: str) -> Answer:
    """Reads the constructor, and a document a season."""
    found = existing(constructor_id)
    location = alias.address(".statistics", constructor_id=found.id)
    return careers.counted(found, paths.constructor_seasons(found.id), "constructor", STATISTICS, location)


def existing(constructor_id: str) -> Stored:
    """The constructor of an id, in any case. Raises NotFound."""
    found = by_id.found(paths.CONSTRUCTORS, constructor_id)
    if found is None:
        raise NotFound(f"There is no constructor {parameters.shorten(constructor_id)!r}.")
    return found
