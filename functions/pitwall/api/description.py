"""What a route takes and answers, said once beside it: the query is read by it, and the OpenAPI document is made of it.

    @routes.get("/sessions/<key>/laps")
    @described(
        "Laps in order, of all drivers or of one",
        query={"driver": Parameter(parameters.driver, "racing number or three-letter code, in any case")},
        answers=ListOf(LapDocument),
        problems=(NotFound,),
    )
    def listed(key: str) -> Response:
        driver = given().get("driver")

So what is documented and what is checked cannot differ. Every route has a description (`of`); the problems that any
route may answer are not repeated in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from flask import current_app, request
from msgspec import Struct

from pitwall.api import parameters
from pitwall.api.errors import Problem

View = TypeVar("View", bound=Callable[..., Any])


class Parameter(NamedTuple):
    """A parameter of the query. reader: makes its value, and has its schema."""

    reader: parameters.Reader
    description: str


class ListOf(NamedTuple):
    """`{"items": [...], "nextCursor": ...}`. item: type, or JSON Schema, of one."""

    item: type[Struct] | Mapping[str, Any]


Answers = type[Struct] | Mapping[str, Any] | ListOf | None
"""The body of an answer: a type (with long names), a JSON Schema, a list, or None for no body."""


class Description(NamedTuple):
    """What is said of a route; see `described`."""

    summary: str
    query: Mapping[str, Parameter]
    answers: Answers
    takes: type[Struct] | None
    problems: tuple[type[Problem], ...]
    status: HTTPStatus
    content_type: str


_DESCRIPTIONS: dict[Callable[..., Any], Description] = {}


def described(
    summary: str,
    *,
    query: Mapping[str, Parameter] | None = None,
    answers: Answers,
    takes: type[Struct] | None = None,
    problems: tuple[type[Problem], ...] = (),
    status: HTTPStatus = HTTPStatus.OK,
    content_type: str = "application/json",
) -> Callable[[View], View]:
    """Describes a view; to be put below the decorator that makes it a route.

    query: its parameters, by name. answers: the body of a success. takes: the body of the request, none without.
    problems: what it may answer that not every route may. status, content_type: of a success.
    """
    told = Description(summary, query or {}, answers, takes, problems, status, content_type)

    def describe(view: View) -> View:
        _DESCRIPTIONS[view] = told
        return view

    return describe


def of(view: Callable[..., Any]) -> Description:
    """What is said of a view. Raises KeyError for one that has no description."""
    return _DESCRIPTIONS[view]


def given() -> dict[str, Any]:
    """The values of the parameters in the current request, by the description of its route; only what was given.

    Raises BadRequest for the first parameter that is unknown, given twice, or refused by its reader.
    """
    view = current_app.view_functions[request.endpoint or ""]
    return parameters.read({name: parameter.reader for name, parameter in of(view).query.items()})
