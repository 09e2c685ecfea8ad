"""`/health/`, `/health/live` and `/health/ready`: whether this instance runs, and whether it can answer."""

from __future__ import annotations

import orjson
from flask import Blueprint, Response, current_app

from pitwall.api import caching, private, reads
from pitwall.api.description import JSON, described
from pitwall.documents import paths

routes = Blueprint("health", __name__)

READY_S = 2.0
"""Seconds Firestore has to answer within; a new instance opens its channel in that time as well."""

_STATE = {
    "type": "object",
    "properties": {"status": {"const": "ok"}},
    "required": ["status"],
    "additionalProperties": False,
}
_BODY = orjson.dumps({"status": "ok"})


class _Answered:
    """That Firestore has answered."""

    size = 64


@routes.get("/", strict_slashes=False)
@described("Whether the instance runs", answers=_STATE)
def health() -> Response:
    """Asks nobody."""
    return _ok()


@routes.get("/live")
@described("Whether the instance runs, for the platform", answers=_STATE)
def live() -> Response:
    """Asks nobody: an instance is not to be replaced because Firestore is slow."""
    return _ok()


@routes.get("/ready")
@described("Whether the instance can answer: Firestore does, within two seconds", answers=_STATE)
def ready() -> Response:
    """Reads one field of one document, at most once a second however often it is asked."""
    current_app.config[caching.HOT].get("ready", lambda _: _touch())
    return _ok()


def _touch() -> _Answered:
    reads.current().count += 1
    private.database().read([paths.schedule("f1")], only=["v"], timeout_s=READY_S)
    return _Answered()


def _ok() -> Response:
    response = Response(_BODY, content_type=JSON)
    response.cache_control.no_store = True
    return response
