"""Which format a kart track's feed is read by: what a human said, else what the analysis is sure of. Pure.

A human's word is never overwritten: what an analysis says against it waits, and is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pitwall.documents.circuits import AnalysisDocument, FormatDocument
from pitwall.karting.description import LONGEST_KEY, MOST_FIELDS, ROLES, USED_FROM, Description, Field, Unit, decode

Standing = Literal["human", "used", "proposed", "none"]
"""Who or what the format in force is by; `proposed`: nothing is in force until a human confirms it."""

_COUNTS: Final = ("Position", "Laps", "Stops")
_LAPS: Final = frozenset({"LastLapMs", "Laps"})
"""A feed that tells neither tells no laps."""
_WITH_A_SOURCE: Final = ("apex", "rmonitor")


class InForce(Struct, frozen=True, rename="camel"):
    """How a feed is to be read."""

    standing: Standing
    protocol: str
    """`apex`, `rmonitor`, or the kind of the description; "" if it is not known."""
    said: dict[str, str]
    """Role by field as a human confirmed it, "" for a field that is not used: stands whatever a board declares."""
    found: dict[str, str]
    """Role by field as the analysis is sure of it by what the field does, or by the app's label: for columns of Apex
    Timing that declare nothing themselves."""
    description: Description | None
    """Of a feed without a source of its own. Only those of its fields are run that are used."""
    waiting: list[Field]
    """What a human has to confirm or to say: fields that are proposed or a question, the human's own left out."""
    notices: list[str]


def in_force(said: FormatDocument | None, analysis: AnalysisDocument | None) -> InForce:
    """The format in force of a track with these documents, either of which may be missing or damaged."""
    notices: list[str] = []
    columns = _columns(said.columns, notices) if said is not None else {}
    told = analysis.analysis if analysis is not None else {}
    fields = _fields(told)
    protocol, sure = _protocol(told)
    own = None
    if said is not None and said.description is not msgspec.UNSET:
        try:
            own = decode(msgspec.json.encode(said.description))
        except (ValueError, TypeError) as error:
            notices.append(f"the description a human stored cannot be read: {error}")
    found = _described(told)
    description = own
    if own is None and found is not None:
        description = _with_columns(found, columns, told)
    if own is not None:
        protocol, fields = own.kind, fields if protocol == own.kind else []
    waiting = [field for field in fields if field.verdict != "used" and field.key not in columns]
    if own is not None:
        waiting = [field for field in waiting if field.key not in {field.key for field in own.fields}]
    standing: Standing = "none"
    if own is not None or columns:
        standing = "human"
    elif description is not None:
        runs = {field.role for field in description.fields if field.verdict == "used"}
        standing = "used" if runs & _LAPS else "proposed"
    elif protocol in _WITH_A_SOURCE:
        standing = "used" if sure >= USED_FROM else "proposed"
    for field in fields:
        role = columns.get(field.key)
        if role is not None and field.origin != "human" and field.verdict == "used" and field.role != role:
            notices.append(f"{field.key}: a human said {role or 'unused'}, the analysis {field.role}")
    return InForce(
        standing=standing,
        protocol=protocol,
        said=columns,
        found={
            field.key: field.role
            for field in fields
            if field.verdict == "used" and field.origin in ("behaviour", "human") and field.key not in columns
        },
        description=description if standing in ("human", "used") else None,
        waiting=waiting,
        notices=notices,
    )


def _columns(said: Mapping[str, str], notices: list[str]) -> dict[str, str]:
    """What a human said, without roles that are none or are there twice: what is stored may be anything."""
    columns: dict[str, str] = {}
    for key, role in said.items():
        if role and (role not in ROLES or role in columns.values()):
            notices.append(f"{key}: what a human stored is {'there twice' if role in ROLES else 'no role'}")
        elif 0 < len(key) <= LONGEST_KEY and len(columns) < MOST_FIELDS:
            columns[key] = role
    return columns


def _protocol(told: Mapping[str, Any]) -> tuple[str, float]:
    """The likeliest protocol, and how sure it is."""
    candidates = told.get("protocols")
    first = candidates[0] if isinstance(candidates, list) and candidates else {}
    name, sure = (first.get("protocol"), first.get("confidence")) if isinstance(first, dict) else (None, None)
    known = isinstance(name, str) and isinstance(sure, int | float)
    return (str(name), float(sure or 0)) if known else ("", 0.0)


def _fields(told: Mapping[str, Any]) -> list[Field]:
    try:
        return msgspec.convert(told.get("fields", []), list[Field])
    except msgspec.ValidationError:
        return []


def _described(told: Mapping[str, Any]) -> Description | None:
    try:
        return decode(msgspec.json.encode(told["description"])) if told.get("description") else None
    except (ValueError, TypeError):
        return None


def _with_columns(found: Description, columns: Mapping[str, str], told: Mapping[str, Any]) -> Description:
    """A description with a human's roles in the place of those that were found."""
    taken = {role for role in columns.values() if role}
    kept = [
        field
        for field in found.fields
        if field.key not in columns and not (field.verdict == "used" and field.role in taken)
    ]
    said = [_said(key, role, found, told) for key, role in columns.items()]
    return replace(found, fields=[*said, *kept], ignored=[key for key in found.ignored if key not in columns])


def _said(key: str, role: str, found: Description, told: Mapping[str, Any]) -> Field:
    """A field as a human said it. Its values are written as the analysis saw them."""
    before = next((field for field in found.fields if field.key == key), None)
    unit = unit_of(role)
    if unit in ("clock", "gap"):
        of_times = before is not None and unit_of(before.role) in ("clock", "gap")
        if of_times and before is not None and before.unit in ("ms", "hours"):
            unit = before.unit
        elif before is None and _whole(key, told) and any(field.unit == "ms" for field in found.fields):
            # Whole numbers beside times in milliseconds are milliseconds.
            unit = "ms"
    return Field(
        key=key,
        role=role,  # type: ignore[arg-type]
        unit=unit,
        confidence=1.0,
        origin="human",
        reasons=["a human said so"],
        header=before.header if before is not None else "",
    )


def _whole(key: str, told: Mapping[str, Any]) -> bool:
    unknown = told.get("notUnderstood")
    return isinstance(unknown, list) and any(
        isinstance(of, dict) and of.get("key") == key and of.get("shape") == "whole numbers" for of in unknown
    )


def unit_of(role: str) -> Unit:
    """How the values of a role are written unless more is known."""
    if role.endswith("Ms"):
        return "clock"
    if role in ("Gap", "Interval"):
        return "gap"
    return "count" if role in _COUNTS else "text"
