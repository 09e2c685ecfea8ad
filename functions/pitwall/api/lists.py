"""Answers as a client wants to see them: `fields`, `times`, `spoilers`, and for lists `format`, `limit` and `cursor`.

What a list holds and in which order is its route's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from pitwall.api import alias, caching, pages, parameters, table
from pitwall.api.caching import Answer
from pitwall.api.description import JSON, ListOf, described
from pitwall.api.errors import BadRequest, NotFound, Problem
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape, pruned

Item = dict[str, Any]

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

PAGES: Mapping[str, Parameter] = {
    "limit": Parameter(parameters.whole_number(1, MAX_LIMIT, default=DEFAULT_LIMIT), "items of a page"),
    "cursor": Parameter(parameters.cursor, "the `nextCursor` of the page before, of the same list"),
}
_FORMAT = {
    "format": Parameter(
        parameters.one_of("json", "csv", default="json"), "`csv` for a table; its next page is in the header `Link`"
    )
}
_SPOILERS = {
    "spoilers": Parameter(
        parameters.one_of("true", "false", default="true"), "`false` leaves out places, gaps and results"
    )
}


def one(shape: Shape) -> dict[str, Parameter]:
    """Parameters of a route that answers one item."""
    return {
        "fields": Parameter(parameters.some_of(lambda: shape.names), "only these, separated by commas"),
        "times": Parameter(parameters.one_of("iso"), "`iso` for times as m:ss.mmm beside the milliseconds"),
        **_SPOILERS,
    }


def whole(shape: Shape) -> dict[str, Parameter]:
    """Parameters of a list that has no pages."""
    return {**one(shape), **_FORMAT}


def paged(shape: Shape) -> dict[str, Parameter]:
    """Parameters of a list that has pages."""
    return {**whole(shape), **PAGES}


def listing(
    summary: str,
    shape: Shape,
    query: Mapping[str, Parameter],
    problems: tuple[type[Problem], ...] = (NotFound,),
) -> Callable[[Callable[..., Answer]], Callable[..., Response]]:
    """Describes a route that answers a list of items of this shape, and has its answers kept; the rest as of
    `described`.
    """

    def listed(view: Callable[..., Answer]) -> Callable[..., Response]:
        told = described(
            summary, query=query, answers=ListOf(shape), content_types=(JSON, "text/csv"), problems=problems
        )
        return caching.kept(told(view))

    return listed


def after(given: Mapping[str, Any], this_list: tuple[Any, ...]) -> int | None:
    """The number after which the page begins that the cursor asks for, None without one. Raises BadRequest."""
    number: int | None = after_place(given, this_list, pages.Number)
    return number


def after_place(given: Mapping[str, Any], this_list: tuple[Any, ...], kind: Any) -> Any:
    """The same in a list that is in another order; kind: type of an item's place in it."""
    if "cursor" not in given:
        return None
    try:
        return pages.opened(given["cursor"], this_list, kind)
    except ValueError as error:
        raise BadRequest("cursor", f"Parameter 'cursor' {error}.") from None


def answer_one(item: Item, made_of: Stored, shape: Shape, given: Mapping[str, Any], **answer: Any) -> Answer:
    """The answer that shows an item; `answer` as of `caching.answer`."""
    return answer_of(item, [made_of], shape, given, **answer)


def answer_of(item: Item, made_of: Iterable[Stored], shape: Shape, given: Mapping[str, Any], **answer: Any) -> Answer:
    """The same of an item that is made of several documents."""
    schema = _seen(shape, given)
    return caching.answer(lambda: item if schema is None else pruned(item, schema), made_of, parameters=given, **answer)


def answer(
    items: Callable[[], Iterable[Item]],
    made_of: Iterable[Stored],
    shape: Shape,
    given: Mapping[str, Any],
    *,
    max_age: int,
    more_after: Any = None,
    this_list: tuple[Any, ...] = (),
    **depends_on: Any,
) -> Answer:
    """The answer that shows a page of a list.

    items: makes them. more_after: place of the last item if there are more, for the next cursor of `this_list`.
    depends_on: what the items depend on besides `given` and the documents they are made of.
    """
    schema = _seen(shape, given)
    as_csv = given.get("format") == "csv"
    following = None if more_after is None else pages.cursor(more_after, this_list)

    def listed() -> Any:
        shown = items() if schema is None else [pruned(item, schema) for item in items()]
        if as_csv:
            return table.table(shown, schema or shape.stored, shape.rows)
        return {"items": list(shown)} | ({} if following is None else {"nextCursor": following})

    return caching.answer(
        listed,
        made_of,
        max_age=max_age,
        parameters={**given, **depends_on, "next": following},
        headers=None if following is None else {"Link": _link(following)},
        content_type=table.CONTENT_TYPE if as_csv else JSON,
    )


def shows_results(given: Mapping[str, Any]) -> bool:
    """Whether places, gaps and results may be seen, also in the order of a list."""
    return given.get("spoilers") != "false"


def _seen(shape: Shape, given: Mapping[str, Any]) -> dict[str, Any] | None:
    return shape.seen(given.get("fields", ()), texts="times" in given, results=shows_results(given))


def _link(following: str) -> str:
    """The header that leads to the next page (RFC 8288), as CSV has no other place for it."""
    query = {name: given for name, given in request.args.items() if name != "offset"} | {"cursor": following}
    return f'<{alias.as_asked(request.path)}?{urlencode(query)}>; rel="next"'
