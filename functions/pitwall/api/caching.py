"""Answers that a cache can keep: the body as bytes, a strong ETag from what it was made of, and for how long.

The tag is known before the body is made, so a client that has it already costs neither JSON nor gzip.
It covers path and query, each document's path, `v` and `writtenAt` (a database may be filled anew, and `v` begins
again), and the shape of the bodies; the gzipped bytes have a tag of their own, as strong tags must.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from pitwall.api.reads import Stored
from pitwall.documents.base import SCHEMA_VERSION
from pitwall.documents.encoding import rfc3339

CURRENT_S = 5
LIVE_S = 1
SESSION_S = 60
FINAL_S = 24 * 60 * 60

SHAPE = f"{SCHEMA_VERSION}.1"
"""Changes with the shape of the bodies, so that no client keeps an old one over a deployment."""

_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS
"""Firestore gives the keys of a map in any order; the same document has to give the same bytes."""


def session_max_age(session: Stored) -> int:
    """Seconds for which what belongs to a session may be kept: a day only once the archive has confirmed it."""
    return FINAL_S if session.fields.get("final") is True else SESSION_S


def answer(
    body: Callable[[], Any],
    documents: Iterable[Stored],
    *,
    max_age: int,
    parameters: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response to the current request, or 304 if the client has it already.

    body: makes what is sent, plain values and instants. documents: everything it is made of.
    max_age: seconds. parameters: what else it depends on, as the query.
    """
    gzipped = request.accept_encodings.best_match(("gzip", "identity")) == "gzip"
    response = Response(content_type="application/json")
    response.headers.update(headers or {})
    response.cache_control.public = True
    response.cache_control.max_age = max_age
    response.vary.add("Accept-Encoding")
    response.set_etag(_tag(documents, parameters or {}) + ("-gzip" if gzipped else ""))
    response.make_conditional(request)
    if response.status_code == HTTPStatus.PRECONDITION_FAILED:
        raise PreconditionFailed
    if response.status_code == HTTPStatus.NOT_MODIFIED:
        return response
    data = orjson.dumps(body(), default=_instant, option=_JSON)
    if gzipped:
        data = gzip.compress(data, 6, mtime=0)
        response.content_encoding = "gzip"
    response.set_data(data)
    return response


def _tag(documents: Iterable[Stored], parameters: Mapping[str, Any]) -> str:
    made_of = (
        SHAPE,
        request.endpoint,
        request.view_args,
        sorted(parameters.items()),
        [(document.path, document.fields.get("v"), str(document.fields.get("writtenAt"))) for document in documents],
    )
    return blake2b(repr(made_of).encode(), digest_size=12).hexdigest()


def _instant(value: Any) -> str:
    return rfc3339(value)
