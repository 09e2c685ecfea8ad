"""`/keys` and `/keys/{id}`: API keys of bots and services, for admins; and the check of one that comes with a request.

Of a key only its SHA-256 is stored, as the id of its document. So no comparison takes longer the nearer a guess is, and
256 random bits need neither salt nor a slow hash.
"""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from threading import Lock
from typing import Annotated

from cachetools import TTLCache
from flask import Blueprint, Response
from msgspec import Meta
from msgspec.structs import asdict, replace

from pitwall.api import private
from pitwall.api.caller import caller
from pitwall.api.description import ListOf, described
from pitwall.api.errors import NotFound, Unauthenticated
from pitwall.api.hot import Seconds
from pitwall.documents import paths
from pitwall.documents.api_key import ApiKeyDocument, KeyName
from pitwall.documents.base import Fields
from pitwall.pipeline.database import Conflict, Unavailable

routes = Blueprint("keys", __name__)

HEADER = "X-API-Key"
PREFIX = "pitwall_"
"""What every key begins with, so that a scanner for secrets finds one that was published."""

KNOWN_S = 5.0
"""Seconds for which an instance goes on with what it has read of a key: a revoked one is refused after that."""

MOST_KNOWN = 4_096
USED = timedelta(days=1)
"""How exactly a key says when it was last used: one write a day."""

_KEY = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
_ID = re.compile(r"[0-9a-f]{64}")
_MOST_LISTED = 1_000
_REFUSED = "There is no such API key, or it was revoked."


class Known:
    """What an instance has read of keys, for a short while: whether each is good. seconds: a clock that only grows."""

    def __init__(self, seconds: Seconds) -> None:
        self._lock = Lock()
        self._good: TTLCache[str, bool] = TTLCache(MOST_KNOWN, KNOWN_S, seconds)

    def verified(self, key: str) -> str:
        """The id of a key that is good. Raises Unauthenticated, Unavailable."""
        if not _KEY.fullmatch(key):
            raise Unauthenticated(f"{HEADER} holds no API key.")
        hashed = id_of(key)
        with self._lock:
            good = self._good.get(hashed)
        if good is None:
            good = _is_good(hashed)
            with self._lock:
                self._good[hashed] = good
        if not good:
            raise Unauthenticated(_REFUSED)
        return hashed


def id_of(key: str) -> str:
    """The id of a key's document."""
    return sha256(key.encode()).hexdigest()


def _is_good(hashed: str) -> bool:
    """Whether a key is there and not revoked; notes that it was used, if that is a day ago."""
    path = paths.api_key(hashed)
    found = private.read(path, ApiKeyDocument)
    if found is None or found.revoked_at:
        return False
    now = private.now()
    if not isinstance(found.last_used_at, datetime) or now - found.last_used_at >= USED:
        _note_use(path, now)
    return True


def _note_use(path: str, now: datetime) -> None:
    def used(before: ApiKeyDocument | None) -> ApiKeyDocument | None:
        return None if before is None or before.revoked_at else replace(before, last_used_at=now)

    with suppress(Conflict, Unavailable):  # another request will
        private.change(path, ApiKeyDocument, used)


class NewKey(Fields, kw_only=True):
    """A key to be made."""

    name: KeyName


class ShownKey(ApiKeyDocument, kw_only=True):
    """What is known of a key, and its id."""

    id: Annotated[str, Meta(description="SHA-256 of the key, in hexadecimal")]


class MadeKey(ShownKey, kw_only=True):
    """A key that was just made."""

    key: Annotated[str, Meta(description="what is sent as X-API-Key; shown this once")]


class Keys(Fields, kw_only=True):
    """The keys there are and were."""

    items: list[ShownKey]


@routes.post("/keys")
@described("Make an API key", answers=MadeKey, statuses=(HTTPStatus.CREATED,))
@private.takes(NewKey)
def make(wanted: NewKey) -> Response:
    """The key is shown this once: nobody can read it again, as only its SHA-256 is stored."""
    key = PREFIX + secrets.token_urlsafe(32)
    now = private.now()
    new = ApiKeyDocument(at=now, name=wanted.name, role="service", created_at=now, created_by=caller().uid)
    made = private.change(paths.api_key(id_of(key)), ApiKeyDocument, lambda _: new) or new
    response = private.answer(MadeKey(**asdict(made), id=id_of(key), key=key), HTTPStatus.CREATED)
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get("/keys")
@described("API keys, the newest first", answers=ListOf(ShownKey))
def listed() -> Response:
    """Those that are revoked as well. The keys themselves are nowhere."""
    found = [
        ShownKey(**asdict(key), id=hashed)
        for hashed, key in private.listed(paths.API_KEYS, ApiKeyDocument, _MOST_LISTED).items()
    ]
    return private.answer(Keys(items=sorted(found, key=lambda key: key.created_at, reverse=True)))


@routes.delete("/keys/<key_id>")
@described("Revoke an API key", statuses=(HTTPStatus.NO_CONTENT,), problems=(NotFound,))
def revoke(key_id: str) -> Response:
    """It is refused within seconds, and stays in the list. One that was revoked before stays as it is."""
    if not _ID.fullmatch(key_id):
        raise NotFound("There is no such API key: its id cannot be one.")

    def revoked(before: ApiKeyDocument | None) -> ApiKeyDocument | None:
        if before is None:
            raise NotFound("There is no such API key.")
        return None if before.revoked_at else replace(before, revoked_at=private.now())

    private.change(paths.api_key(key_id), ApiKeyDocument, revoked)
    return private.nothing()
