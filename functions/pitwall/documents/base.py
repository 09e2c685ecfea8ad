"""What all documents share: names in camelCase, absent means unknown, and the three marks every one carries.

Document types are msgspec Structs. Leaving a field out (`UNSET`) leaves it out of the
document: there are no nulls. JSON Schema comes from these types (`schema.py`), so each
field says its unit or values here and nowhere else.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

T = TypeVar("T")

Instant = Annotated[datetime, Meta(tz=True)]
Ms = Annotated[int, Meta(description="milliseconds")]
Kph = Annotated[int, Meta(description="km/h")]
RacingNumber = str
"""Racing numbers are strings: karts have 012 and 7A."""

SCHEMA_VERSION = 1


class Fields(Struct, rename="camel", omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A map inside a document."""


class Document(Fields, kw_only=True):
    """A stored document."""

    at: Annotated[datetime, Meta(description="the feed's instant of the last change of this document, UTC", tz=True)]
    written_at: (
        Annotated[datetime, Meta(description="when the writer stored it, UTC; set by the writer", tz=True)] | UnsetType
    ) = UNSET
    expire_at: (
        Annotated[
            datetime,
            Meta(description="when it is deleted, UTC: of kart tracks' sessions alone; set by the writer", tz=True),
        ]
        | UnsetType
    ) = UNSET
    v: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="version: epoch of the publishing poller times 2^32 plus its sequence number; only grows",
            ),
        ]
        | UnsetType
    ) = UNSET


def long_name(name: str) -> Meta:
    """Marks a short key with the long name the HTTP API uses for it (`x-longName` in the schema)."""
    return Meta(title=name, extra_json_schema={"x-longName": name})
