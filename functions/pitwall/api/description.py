"""What a route says of itself: parameters, answers and problems, for the check of a request and the OpenAPI document.

Every route has to have one, else the app is not created. It stands under the caches (`lists.listing` is both):

    @routes.get("/sessions/<key>/live")
    @caching.kept
    @described(
        "The tower now, or as it was up to two minutes ago",
        query={"delay": Parameter(parameters.whole_number(0, 120, default=0), "seconds by which a picture is behind")},
        answers=TowerDocument,
        problems=(NotFound,),
    )
    def tower(key: str) -> Answer:
        delay = given().get("delay", 0)

The query is read before the function runs, so what is unknown or cannot be used never reaches it, whether it asks for
`given` or not. The function's docstring is the longer text for people. Not to be listed in `problems`:
a bad request, too many requests, no database and a mistake of ours, which every route has, who may not, which
`pitwall.api.access` knows, and what is no body, which goes with `private.takes`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from flask import Flask, g
from werkzeug.routing import Rule

from pitwall.api import parameters
from pitwall.api.errors import Problem
from pitwall.api.parameters import Parameter, given

R = TypeVar("R")

JSON = "application/json"


class ListOf(NamedTuple):
    """A page of a list: `{"items": [...], "nextCursor": "..."}`. item: a type, a Shape, or a JSON Schema."""

    item: Any


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a route says of itself; see `described` for each."""

    summary: str
    text: str
    query: Mapping[str, Parameter] = field(default_factory=dict)
    answers: Any = None
    statuses: tuple[HTTPStatus, ...] = (HTTPStatus.OK,)
    content_types: tuple[str, ...] = (JSON,)
    problems: tuple[type[Problem], ...] = ()
    takes: Any = None
    optional: bool = False
    """Whether it is answered without a body."""


class Placeholder(NamedTuple):
    """A part of a path that is data. name: as clients see it; the values are checked by the routes."""

    name: str
    parameter: Parameter


PATH: dict[str, Placeholder] = {
    "key": Placeholder(
        "id",
        Parameter(parameters.matching(r"[^/\x00-\x1f]{1,128}", "the id of a session"), "id of the session", "9845"),
    ),
    "number": Placeholder("lap", Parameter(parameters.lap_number, "number of the lap, from 1", 5)),
    "racing_number": Placeholder(
        "racingNumber",
        Parameter(parameters.matching(r"[0-9A-Za-z]{1,6}", "a racing number"), "number of the car", "44"),
    ),
    "driver_id": Placeholder("driverId", Parameter(parameters.driver, "racing number or three-letter code", "44")),
    "year": Placeholder("year", Parameter(parameters.year, "the season", 2025)),
    "uid": Placeholder(
        "uid", Parameter(parameters.matching(r"[A-Za-z0-9_-]{1,128}", "the id of an account"), "id of the account")
    ),
    "job_id": Placeholder(
        "id",
        Parameter(
            parameters.matching(r"[A-Za-z0-9._-]{1,128}", "the id of a job"), "id of the job", "backfill-2024-17"
        ),
    ),
    "export_id": Placeholder(
        "exportId",
        Parameter(parameters.matching(r"[0-9a-f]{32}", "the id of an export"), "id of the export, as its job's result"),
    ),
    "key_id": Placeholder(
        "id", Parameter(parameters.matching(r"[0-9a-f]{64}", "the id of an API key"), "id of the API key")
    ),
}
"""What the variables of the paths are, by their names in the rules."""


def described(
    summary: str,
    *,
    query: Mapping[str, Parameter] | None = None,
    answers: Any = None,
    statuses: tuple[HTTPStatus, ...] = (HTTPStatus.OK,),
    content_types: tuple[str, ...] = (JSON,),
    problems: tuple[type[Problem], ...] = (),
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Describes a route, and has it refuse parameters that it does not take.

    summary: a line without a full stop. answers: the body of a success: a msgspec Struct, a Shape, a JSON Schema (a
    component by its `title`), ListOf one of these, or None for no JSON. statuses, content_types: of a success.
    problems: those of this route beside those every route has. What a body has to fit is told by `private.takes`.
    """

    def describe(view: Callable[..., R]) -> Callable[..., R]:
        description = Description(
            summary=summary,
            text=view.__doc__ or "",
            query=query or {},
            answers=answers,
            statuses=statuses,
            content_types=content_types,
            problems=problems,
            takes=getattr(view, "takes", None),
            optional=getattr(view, "optional", False),
        )

        @functools.wraps(view)
        def described_view(**path: Any) -> R:
            g.given = parameters.read(description.query)
            return view(**path)

        described_view.description = description  # type: ignore[attr-defined]
        return described_view

    return describe


def of(view: Callable[..., Any]) -> Description | None:
    """What is said of a view."""
    description: Description | None = getattr(view, "description", None)
    return description


class Route(NamedTuple):
    """A route of an app, and its description."""

    rule: Rule
    method: str
    description: Description


def routes(app: Flask) -> Iterator[Route]:
    """Every route of an app. Raises ValueError for those that have no description."""
    without = []
    for rule in app.url_map.iter_rules():
        description = of(app.view_functions[rule.endpoint])
        if description is None:
            without.append(rule.rule)
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Route(rule, method, description)
    if without:
        raise ValueError(
            f"what does {', '.join(sorted(without))} take and answer? pitwall.api.description has to say it"
        )


__all__ = [
    "JSON",
    "PATH",
    "Description",
    "ListOf",
    "Parameter",
    "Placeholder",
    "Route",
    "described",
    "given",
    "of",
    "routes",
]
