"""`/users`, `/me` and `/users/{uid}/role`: profiles of those who signed in, each for itself, and roles, for admins."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, TypeVar

from flask import Blueprint, Response
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict, replace

from pitwall.api import firebase, private
from pitwall.api.caller import caller
from pitwall.api.description import described
from pitwall.api.errors import NotFound
from pitwall.api.firebase import Role
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.user import DisplayName, FavouriteDrivers, Notifications, UserDocument

routes = Blueprint("users", __name__)

T = TypeVar("T", bound=Struct)


class NotificationsChange(Fields, kw_only=True):
    """What is to change of `notifications`; null takes a choice back."""

    session_start: bool | UnsetType | None = UNSET
    race_control: bool | UnsetType | None = UNSET
    favourite_drivers: bool | UnsetType | None = UNSET
    results: bool | UnsetType | None = UNSET


class ProfileChange(Fields, kw_only=True):
    """What is to change of a profile (JSON Merge Patch, RFC 7396): absent stays as it is, null is taken out."""

    display_name: DisplayName | UnsetType | None = UNSET
    favourite_drivers: FavouriteDrivers | UnsetType | None = UNSET
    notifications: NotificationsChange | UnsetType | None = UNSET


class RoleChange(Fields, kw_only=True):
    """The role an account is to have; null is none."""

    role: Role | None


class Profile(UserDocument, kw_only=True):
    """A profile as its owner sees it."""

    uid: Annotated[str, Meta(description="id of the account")]
    role: Annotated[Role, Meta(description="of the account, as its token has it")] | UnsetType = UNSET


class GivenRole(Fields, kw_only=True):
    """The role an account has now."""

    uid: Annotated[str, Meta(description="id of the account")]
    role: Role | UnsetType = UNSET


@routes.post("/users")
@described("Register the account that asks", answers=Profile, statuses=(HTTPStatus.CREATED, HTTPStatus.OK))
def register() -> Response:
    """Makes its profile. An account that has one keeps it, so this can be asked after every sign-in."""
    made: list[UserDocument] = []

    def registered(before: UserDocument | None) -> UserDocument | None:
        if before is not None:
            return None
        now = private.now()
        made.append(UserDocument(at=now, created_at=now))
        return made[-1]

    uid = caller().uid
    profile = private.change(paths.user(uid), UserDocument, registered)
    response = private.answer(_shown(profile), HTTPStatus.CREATED if made else HTTPStatus.OK)
    response.headers["Location"] = "/api/me"
    return response


@routes.get("/me")
@described("The profile of the account that asks", answers=Profile, problems=(NotFound,))
def me() -> Response:
    """An account has none before it is registered."""
    return private.answer(_shown(private.read(paths.user(caller().uid), UserDocument)))


@routes.patch("/me")
@described("Change the profile of the account that asks", answers=Profile, problems=(NotFound,))
@private.takes(ProfileChange)
def change(wanted: ProfileChange) -> Response:
    """What the body names changes, and nothing else; null takes a member out (JSON Merge Patch)."""

    def changed(before: UserDocument | None) -> UserDocument:
        profile = _registered(before)
        merged = _merged(profile, wanted, leave="notifications")
        if wanted.notifications is None:
            return replace(merged, notifications=UNSET)
        if isinstance(wanted.notifications, NotificationsChange):
            choices = _merged(profile.notifications or Notifications(), wanted.notifications)
            return replace(merged, notifications=choices)
        return merged

    return private.answer(_shown(private.change(paths.user(caller().uid), UserDocument, changed)))


@routes.delete("/me")
@described("Delete the profile of the account that asks", statuses=(HTTPStatus.NO_CONTENT,))
def forget() -> Response:
    """Nothing of it is kept. The account itself stays: the Auth client deletes it (`deleteUser`)."""
    private.delete(paths.user(caller().uid))
    return private.nothing()


@routes.patch("/users/<uid>/role")
@described("Give an account a role, or take it", answers=GivenRole, problems=(NotFound,))
@private.takes(RoleChange)
def give_role(wanted: RoleChange, uid: str) -> Response:
    """It is in the ID tokens that are issued from then on; what is for admins goes by the new one at once."""
    firebase.current().set_role(uid, wanted.role)
    return private.answer(GivenRole(uid=uid, role=wanted.role or UNSET))


def _registered(profile: UserDocument | None) -> UserDocument:
    if profile is None:
        raise NotFound("This account has no profile: register with `POST /api/users`.")
    return profile


def _shown(profile: UserDocument | None) -> Profile:
    asks = caller()
    return Profile(**asdict(_registered(profile)), uid=asks.uid, role=asks.role or UNSET)


def _merged(before: T, wanted: Struct, leave: str = "") -> T:
    """A struct with what is wanted by the same names; None takes a field out. leave: a field to leave as it is."""
    named = {name: value for name, value in asdict(wanted).items() if value is not UNSET and name != leave}
    return replace(before, **{name: UNSET if value is None else value for name, value in named.items()})
