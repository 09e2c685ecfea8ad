"""`users/{uid}`: what somebody who signed in has told PitWall about themselves. Private."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Instant

DisplayName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*(?!\n)$")]
FavouriteDrivers = Annotated[
    list[Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,8}(?!\n)$")]],
    Meta(max_length=30, description="racing numbers or three-letter codes, the dearest first"),
]


class Notifications(Fields, kw_only=True):
    """What somebody wants to be told of. Absent is no."""

    session_start: Annotated[bool, Meta(description="a session begins")] | UnsetType = UNSET
    race_control: Annotated[bool, Meta(description="red flag, safety car and virtual safety car")] | UnsetType = UNSET
    favourite_drivers: Annotated[bool, Meta(description="what favourite drivers do")] | UnsetType = UNSET
    results: Annotated[bool, Meta(description="a session is over")] | UnsetType = UNSET


class UserDocument(Document, kw_only=True):
    """`users/{uid}`: a profile; `at` is when it was last changed. Private. `v` counts the changes.

    Name, e-mail address and roles are the account's, with Firebase Authentication, and not copied here.
    """

    created_at: Instant
    display_name: DisplayName | UnsetType = UNSET
    favourite_drivers: FavouriteDrivers | UnsetType = UNSET
    notifications: Notifications | UnsetType = UNSET
