"""What is stored of a feed nobody wrote a source for: where its rows are and what their fields mean. Data, never code.

A description is JSON, made by `detection` or by a human, checked and bounded when it is read. `described` runs it.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

Kind = Literal["json", "delimited", "key-value", "html-table"]
"""What a frame is."""
Unit = Literal["clock", "ms", "hours", "count", "gap", "text"]
"""How a value is written: `1:05.295` or seconds, whole milliseconds, `h:mm`, a whole number, a gap (a time or laps
behind), words."""
Role = Literal[
    "Position", "Number", "Driver", "Team", "Category", "Nation", "LastLapMs", "BestLapMs", "Gap", "Interval", "Laps",
    "TotalMs", "Sector1Ms", "Sector2Ms", "Sector3Ms", "Stops", "StintMs", "PitMs", "DriverMs", "Penalty", "Status", "",
]  # fmt: skip
"""A field of `vocabulary.Line`; `Gap` and `Interval` stand for the times and the laps. "" is a field a human has said
is unused."""
Origin = Literal["human", "type", "header", "behaviour", "shape"]
"""Who or what said so. What a human said is never overwritten."""
Verdict = Literal["used", "proposed", "ask"]

ROLES: Final[tuple[str, ...]] = tuple(role for role in get_args(Role) if role)
USED_FROM: Final = 0.9
PROPOSED_FROM: Final = 0.6
MOST_BYTES: Final = 100_000
"""Of a stored description."""
LONGEST_KEY: Final = 120
MOST_FIELDS: Final = 64
_Key = Annotated[str, Meta(min_length=1, max_length=LONGEST_KEY)]
_Text = Annotated[str, Meta(max_length=300)]


class Field(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A field of a row, and what it means."""

    key: _Key
    """In JSON the path in the row, parts joined by points; the number of the column from 0 in lines and tables; the
    name in key-value pairs. `@key` is the name of the row itself, where rows are a map."""
    role: Role
    unit: Unit
    confidence: Annotated[float, Meta(ge=0, le=1)]
    origin: Origin
    reasons: Annotated[list[_Text], Meta(max_length=8)] = []
    header: _Text = ""

    @property
    def verdict(self) -> Verdict:
        if self.origin == "human" or self.confidence >= USED_FROM:
            return "used"
        return "proposed" if self.confidence >= PROPOSED_FROM else "ask"


class Description(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A feed."""

    kind: Kind
    key: _Key
    """The field that says which row it is."""
    fields: Annotated[list[Field], Meta(max_length=MOST_FIELDS)]
    rows: Annotated[list[_Key], Meta(max_length=8)] = []
    """JSON: the path from a frame to its rows, a list or an object of them, or one; `*` is every value."""
    separator: Annotated[str, Meta(max_length=3)] = ""
    """Between the fields of a line, or between pairs."""
    assign: Annotated[str, Meta(max_length=3)] = ""
    """Between the key and the value of a pair."""
    ignored: Annotated[list[_Key], Meta(max_length=MOST_FIELDS)] = []
    """Fields that were there and have no role: others than these are news."""
    whole: bool = False
    """Whether every frame has all rows."""
    version: Literal[1] = 1

    def role(self, role: str) -> Field | None:
        """The field that is used for a role."""
        return next((field for field in self.fields if field.role == role and field.verdict == "used"), None)


def encode(description: Description) -> bytes:
    """As JSON. Raises ValueError if it is not one that can be read again."""
    told = msgspec.json.encode(description)
    decode(told)
    return told


def decode(stored: bytes | str) -> Description:
    """From JSON. Raises ValueError for what is none, too long, or has a role or a key twice."""
    if len(stored) > MOST_BYTES:
        raise ValueError(f"a description has at most {MOST_BYTES} bytes")
    description = msgspec.json.decode(stored, type=Description)
    keys = [field.key for field in description.fields]
    roles = [field.role for field in description.fields if field.role and field.verdict == "used"]
    if len(set(keys)) < len(keys) or len(set(roles)) < len(roles):
        raise ValueError("a field or a role is there twice")
    if description.kind in ("delimited", "key-value") and not description.separator:
        raise ValueError("no separator")
    if description.kind == "key-value" and not description.assign:
        raise ValueError("nothing between keys and values")
    return description
