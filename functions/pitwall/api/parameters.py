"""The query of a request: read by name, and refused by name where it is unknown or cannot be used.

What reads a parameter also says, as JSON Schema, what it takes: so the OpenAPI document and the check cannot differ.
Which parameters a route takes is in its description (`pitwall.api.description`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from flask import g, request

from pitwall.api.errors import BadRequest

T = TypeVar("T")


class Reader(Generic[T]):
    """Makes the value of a parameter from its text, or raises ValueError: "is not ...".

    schema: what it takes, as JSON Schema; or what makes that, once it is wanted.
    """

    def __init__(self, make: Callable[[str], T], schema: Mapping[str, Any] | Callable[[], Mapping[str, Any]]) -> None:
        self._make = make
        self._schema = schema

    @property
    def schema(self) -> Mapping[str, Any]:
        return self._schema() if callable(self._schema) else self._schema

    def __call__(self, text: str) -> T:
        return self._make(text)


class Parameter(NamedTuple):
    """A parameter a route takes. description: for people, without a full stop. example: a value that is of use."""

    reader: Reader[Any]
    description: str
    example: Any = None


def given() -> dict[str, Any]:
    """The values of the parameters that the current request gives, by the description of its route."""
    values: dict[str, Any] = g.given
    return values


def read(query: Mapping[str, Parameter]) -> dict[str, Any]:
    """The values of the parameters in the current request; what was not given is not in the result.

    Raises BadRequest for the first parameter that is unknown, given twice, or refused by its reader.
    """
    values: dict[str, Any] = {}
    for name, texts in request.args.lists():
        parameter = query.get(name)
        shown = shorten(name)
        if parameter is None:
            takes = f"takes {', '.join(query)}" if query else "takes no parameters"
            raise BadRequest(shown, f"Unknown parameter {shown!r}: this route {takes}.")
        if len(texts) > 1:
            raise BadRequest(shown, f"Parameter {shown!r} is given {len(texts)} times.")
        try:
            values[name] = parameter.reader(texts[0])
        except ValueError as error:
            raise BadRequest(shown, f"Parameter {shown!r} is {shorten(texts[0])!r}, which {error}.") from None
    return values


def shorten(text: str) -> str:
    """Text of a client as a problem repeats it."""
    return text if len(text) <= 64 else text[:63] + "…"


def matching(pattern: str, what: str) -> Reader[str]:
    """A reader of text that matches `pattern` as a whole; `what` completes "which is not ..."."""
    compiled = re.compile(pattern)

    def make(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"is not {what}")
        return text

    return Reader(make, {"type": "string", "pattern": f"^(?:{pattern})$"})


def some_of(words: Callable[[], Collection[str]]) -> Reader[tuple[str, ...]]:
    """A reader of some of these words, separated by commas. They are asked for when there is something to read."""

    def make(text: str) -> tuple[str, ...]:
        given = tuple(text.split(","))
        known = words()
        unknown = next((word for word in given if word not in known), None)
        if unknown is not None:
            raise ValueError(f"names {shorten(unknown)!r}, and there is no such field")
        return given

    return Reader(make, lambda: {"type": "array", "items": {"type": "string", "enum": [*words()]}, "minItems": 1})


def whole_number(minimum: int, maximum: int, step: int = 1, default: int | None = None) -> Reader[int]:
    """A reader of a whole number in decimal, without sign or leading zeros. default: what is taken without it."""
    steps = f" in steps of {step}" if step > 1 else ""

    def make(text: str) -> int:
        if re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
            number = int(text)
            if minimum <= number <= maximum and number % step == 0:
                return number
        raise ValueError(f"is not a whole number from {minimum} to {maximum}{steps}")

    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Reader(
        make,
        schema | ({"multipleOf": step} if step > 1 else {}) | ({"default": default} if default is not None else {}),
    )


def one_of(*words: str, default: str | None = None) -> Reader[str]:
    """A reader of one of some words. default: what is taken without it."""

    def make(text: str) -> str:
        if text not in words:
            raise ValueError(f"is not {words[0]}" if len(words) == 1 else f"is none of {', '.join(words)}")
        return text

    return Reader(make, {"type": "string", "enum": list(words)} | ({"default": default} if default else {}))


MAX_LAP = 99_999
lap_number = whole_number(1, MAX_LAP)
LAST_YEAR = 9999
year = whole_number(1950, LAST_YEAR)
series = matching(r"[A-Za-z0-9_-]{1,32}", "a series such as f1")
driver = matching(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}", "a racing number or a three-letter code")
"""Karts that bear one number are told apart by a row of the board behind it: `7A-r24089`."""
cursor = Reader(str, {"type": "string"})
"""Whether it is one, and of this list, is the business of `pages`."""
