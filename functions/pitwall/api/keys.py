"""`/keys` and `/keys/{id}`, for admins: API keys of bots and services; and the check of one that comes with a request.

Of a key only its SHA-256 is stored, as the id of its document. So no comparison takes longer the nearer a guess is, and
256 random bits need neither salt nor a slow hash.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock

from cachetools import TTLCache
from msgspec.structs import replace

from pitwall.api import private
from pitwall.api.errors import NotFound, Unauthenticated
from pitwall.documents import paths
from pitwall.documents.api_key import ApiKeyDocument
from pitwall.pipeline.database import Conflict, Unavailable

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
_REFUSED = "There is no such API key, or it was revoked."


class Known:
    """What an instance has read of keys, for a short while: whether each is good. seconds: a clock that only grows."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
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


def create(name: str, by: str) -> tuple[str, ApiKeyDocument]:
    """A new key and its document; the key is nowhere else. by: uid of the admin. Raises Unavailable."""
    key = PREFIX + secrets.token_urlsafe(32)
    now = private.now()
    made = ApiKeyDocument(at=now, name=name, role="service", created_at=now, created_by=by)
    return key, private.change(paths.api_key(id_of(key)), ApiKeyDocument, lambda _: made) or made


def revoke(hashed: str) -> None:
    """Has a key refused from now on; one that was revoked before stays so. Raises NotFound, Unavailable."""

    def revoked(before: ApiKeyDocument | None) -> ApiKeyDocument | None:
        if before is None:
            raise NotFound("There is no such API key.")
        return None if before.revoked_at else replace(before, revoked_at=private.now())

    if not _ID.fullmatch(hashed):
        raise NotFound("There is no such API key: its id cannot be one.")
    private.change(paths.api_key(hashed), ApiKeyDocument, revoked)
