"""What a column of the board means: by its declared type and, where it has none, by its header.

Layouts change between the sessions of a day, so nothing is known of a column but what its own grid says, and what a
human has said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple

from pitwall.karting.headers import SYNONYMS, folded
from pitwall.karting.vocabulary import Column

TYPES: Final[Mapping[str, str]] = {
    "sta": "Status",
    "rk": "Position",
    "no": "Number",
    "dr": "Driver",
    "llp": "LastLapMs",
    "blp": "BestLapMs",
    "gap": "Gap",
    "int": "Interval",
    "tlp": "Laps",
    "otr": "StintMs",
    "pit": "Stops",
    "s1": "Sector1Ms",
    "s2": "Sector2Ms",
    "s3": "Sector3Ms",
    "nat": "Nation",
    "class": "Category",
    "grp": "",
}
"""Roles by `data-type`. `grp` draws lines around the karts of one group and says nothing of them."""


class Declared(NamedTuple):
    """A column as a grid declares it: its id (`c5`), its `data-type` and its header."""

    key: str
    type: str
    header: str


def columns(
    declared: Iterable[Declared], human: Mapping[str, str] | None = None, found: Mapping[str, str] | None = None
) -> list[Column]:
    """The columns with their roles. A role belongs to one column: what a human said first, then declared types, then
    headers, then what was found by what columns do, left to right.

    human: roles by column, "" for one that is not used. found: the same of an analysis, for columns that declare
    nothing themselves. A driver's column whose header says team tells `Team`: its cells tell who drives in a class of
    their own.
    """
    known = list(declared)
    said = human or {}
    taken: dict[str, str] = {}
    because: dict[str, Literal["human", "type", "header", "behaviour"]] = {}
    for column in known:
        if column.key in said:
            because[column.key] = "human"
            if said[column.key]:
                taken.setdefault(said[column.key], column.key)
    for column in known:
        if column.key in said:
            continue
        role = TYPES.get(column.type.strip().lower(), "")
        if role == "Driver" and SYNONYMS.get(folded(column.header)) == "Team":
            role = "Team"
        if role and role not in taken:
            taken[role] = column.key
            because[column.key] = "type"
    for column in known:
        role = SYNONYMS.get(folded(column.header), "")
        if role and role not in taken and column.key not in because and column.type.strip().lower() not in TYPES:
            taken[role] = column.key
            because[column.key] = "header"
    for column in known:
        role = (found or {}).get(column.key, "")
        if role and role not in taken and column.key not in because and not column.type.strip():
            taken[role] = column.key
            because[column.key] = "behaviour"
    roles = {key: role for role, key in taken.items()}
    told: list[Column] = []
    for column in known:
        entry = Column(Key=column.key, Header=column.header)
        if column.key in roles:
            entry["Role"] = roles[column.key]
            entry["Because"] = because[column.key]
        told.append(entry)
    return told
