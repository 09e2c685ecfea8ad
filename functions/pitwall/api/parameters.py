"""The query of a request: read by name, and refused by name where it is unknown or cannot be used."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import request

from pitwall.api.errors import BadRequest


class Reader(NamedTuple):
    """Makes the value of a parameter from its text.

    make: raises ValueError for text it cannot use: "is not ...". schema: JSON Schema of the text it takes.
    """

    make: Callable[[str], Any]
    schema: Mapping[str, Any]

    def __call__(self, text: str) -> Any:
        return self.make(text)


Readers = Mapping[str, Reader]
"""Parameters a route takes, by name."""

any_text = Reader(str, {"type": "string"})
"""For what is checked later, as a cursor."""


def read(readers: Readers) -> dict[str, Any]:
    """The values of the parameters in the current request; what was not given is not in the result.

    Raises BadRequest for the first parameter that is unknown, given twice, or refused by its reader.
    """
    values: dict[str, Any] = {}
    for name, texts in request.args.lists():
        reader = readers.get(name)
        shown = shorten(name)
        if reader is None:
            takes = f"takes {', '.join(readers)}" if readers else "takes no parameters"
            raise BadRequest(shown, f"Unknown parameter {shown!r}: this route {takes}.")
        if len(texts) > 1:
            raise BadRequest(shown, f"Parameter {shown!r} is given {len(texts)} times.")
        try:
            values[name] = reader(texts[0])
        except ValueError as error:
            raise BadRequest(shown, f"Parameter {shown!r} is {shorten(texts[0])!r}, which {error}.") from None
    return values


def shorten(text: str) -> str:
    """Text of a client as a problem repeats it."""
    return text if len(text) <= 64 else text[:63] + "…"


def matching(pattern: str, what: str) -> Reader:
    """A reader of text that matches `pattern` as a whole; `what` completes "which is not ..."."""
    compiled = re.compile(pattern)

    def reader(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"is not {what}")
        return text

    return Reader(reader, {"type": "string", "pattern": f"^(?:{pattern})$"})


def one_of(values: Mapping[str, Any]) -> Reader:
    """A reader of one of some words, each with the value it stands for."""

    def reader(text: str) -> Any:
        if text not in values:
            raise ValueError(f"is not one of {', '.join(values)}")
        return values[text]

    return Reader(reader, {"type": "string", "enum": list(values)})


def whole_number(minimum: int, maximum: int, step: int = 1) -> Reader:
    """A reader of a whole number in decimal, without sign or leading zeros."""
    steps = f" in steps of {step}" if step > 1 else ""

    def reader(text: str) -> int:
        if re.fullmatch(r"0|[1-9][0-9]{0,8}", text):
            number = int(text)
            if minimum <= number <= maximum and number % step == 0:
                return number
        raise ValueError(f"is not a whole number from {minimum} to {maximum}{steps}")

    schema = {"type": "integer", "minimum": minimum, "maximum": maximum}
    return Reader(reader, schema | ({"multipleOf": step} if step > 1 else {}))


MAX_LAP = 99_999
lap_number = whole_number(1, MAX_LAP)
series = matching(r"[A-Za-z0-9_-]{1,32}", "a series such as f1")
driver = matching(r"[0-9A-Za-z]{1,8}", "a racing number or a three-letter code")
