"""Documents that are found by their own readable ids, as `max_verstappen` and `monza`, and lists of them."""

from __future__ import annotations

from pitwall.api import caching, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.errors import BadRequest
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths


def found(collection: str, id_: str, under: str = "") -> Stored | None:
    """The document of an id, as it is or in lower case, or the one `under` it; None: there is none.

    Reads one document or two.
    """
    if not paths.valid_id(id_):
        return None
    spelled = dict.fromkeys((f"{collection}/{id_}{under}", f"{collection}/{id_.lower()}{under}"))
    return next(filter(None, reads.current().get(*spelled)), None)


def listed(collection: str, key: str, shape: Shape) -> Answer:
    """A page of a collection, or of those in it with a result in `season`. key: of the id, of their order."""
    given = parameters.given()
    season, limit = given.get("season"), given.get("limit", lists.DEFAULT_LIMIT)
    this_list = (collection, season)
    after = lists.after_place(given, this_list, str)
    if after is not None and not paths.valid_id(after):
        raise BadRequest("cursor", "Parameter 'cursor' is no cursor of this list.")
    found = reads.current().query(
        collection,
        where=[] if season is None else [("seasons", "contains", season)],
        order_by=key,
        after=None if after is None else (after, f"{collection}/{after}"),
        limit=limit + 1,
    )
    shown = found[:limit]
    return lists.answer(
        lambda: (one.fields for one in shown),
        shown,
        shape,
        given,
        max_age=caching.SESSION_S,
        more_after=shown[-1].id if len(found) > limit else None,
        this_list=this_list,
    )
