"""Answers that a cache can keep: the body as bytes, a strong ETag from what it was made of, and for how long.

An instance keeps them as well, for a second (`kept`): everybody who asks within it is given the same finished bytes.
JSON and gzip are made once a change, not once a request. The tag covers route and query, each document's path, `v`
and `writtenAt` (a database may be filled anew, and `v` begins again), and the shape of the bodies; the gzipped bytes
have a tag of their own, as strong tags must.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from http import HTTPStatus
from threading import Lock
from typing import Any, NamedTuple

import orjson
from flask import Response, current_app, g, request
from werkzeug.datastructures import Accept
from werkzeug.exceptions import PreconditionFailed
from werkzeug.http import parse_accept_header

from pitwall.api import alias
from pitwall.api.errors import NoSession, NotFound
from pitwall.api.hot import Hot
from pitwall.api.reads import Stored
from pitwall.documents.base import SCHEMA_VERSION
from pitwall.documents.encoding import rfc3339

CURRENT_S = 3
LIVE_S = 1
SESSION_S = 60
FINAL_S = 24 * 60 * 60
MOST_STALE_S = 60 * 60

SHAPE = f"{SCHEMA_VERSION}.1"
"""Changes with the shape of the bodies, so that no client keeps an old one over a deployment."""

HOT = "PITWALL_HOT"
"""Key in the app's config of what this instance keeps."""

REPEATABLE = "pitwall.repeatable"
"""Key in a request's environment of the `Repeatable` that its route has left there."""

_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")

OVERHEAD = 2_048
"""Bytes an answer takes beside its body, roughly."""
_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS
"""Firestore gives the keys of a map in any order; the same document has to give the same bytes."""


def session_max_age(session: Stored) -> int:
    """Seconds for which what belongs to a session may be kept: a day only once the archive has confirmed it."""
    return FINAL_S if session.fields.get("final") is True else SESSION_S


class Bytes:
    """A body as it is sent, and the tag that belongs to these bytes and no others."""

    def __init__(self, tag: str, plain: bytes) -> None:
        self.tag = tag
        self.plain = plain
        self._lock = Lock()
        self._gzipped = b""

    @property
    def gzipped(self) -> bytes:
        """The same, gzipped; made when it is first asked for."""
        with self._lock:
            if not self._gzipped:
                self._gzipped = gzip.compress(self.plain, 6, mtime=0)
            return self._gzipped


Headers = list[tuple[str, str]]


class Repeatable(NamedTuple):
    """What may be given to everybody who asks the same, as `front` does.

    good_until: seconds of the instance's clock. route: its pattern. tag: as in the header ETag.
    of_the_body: the headers that a 304 has not.
    """

    good_until: float
    route: str
    tag: str
    body: bytes
    of_the_body: Headers


class Answer:
    """What a route says to everybody who asks the same: a body and what its headers say of it."""

    def __init__(self, body: Bytes, content_type: str, headers: Mapping[str, str]) -> None:
        self.body = body
        self._content_type = content_type
        self._headers = [*headers.items(), ("Vary", "Accept-Encoding")]

    @property
    def size(self) -> int:
        """Bytes it takes, at most: the gzipped body is no longer than the plain one."""
        return 2 * len(self.body.plain) + OVERHEAD

    def response(self, good_until: float | None = None) -> Response:
        """The response to the current request, or 304 if the client has it already. Raises PreconditionFailed.

        good_until: seconds of the instance's clock until which others may be given the same, if they may.
        """
        gzipped = wants_gzip(request.environ.get("HTTP_ACCEPT_ENCODING", ""))
        tag = f'"{self.body.tag}-gzip"' if gzipped else f'"{self.body.tag}"'
        body = self.body.gzipped if gzipped else self.body.plain
        of_the_body = [("Content-Type", self._content_type), ("Content-Length", str(len(body)))]
        if gzipped:
            of_the_body.append(("Content-Encoding", "gzip"))
        if good_until is not None and request.url_rule is not None:
            route = alias.as_asked(request.url_rule.rule)
            request.environ[REPEATABLE] = Repeatable(good_until, route, tag, body, of_the_body)
        response = Response(headers=[*self._headers, ("ETag", tag), *of_the_body])
        conditions = [request.environ[condition] for condition in _CONDITIONS if condition in request.environ]
        if conditions == [tag] and "HTTP_IF_NONE_MATCH" in request.environ:
            response.status_code = HTTPStatus.NOT_MODIFIED  # as nearly everybody asks
        elif conditions:
            response.make_conditional(request)
        if response.status_code == HTTPStatus.PRECONDITION_FAILED:
            raise PreconditionFailed
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return response
        response.set_data(body)
        return response


@functools.lru_cache(maxsize=256)
def wants_gzip(accepted: str) -> bool:
    """accepted: the header Accept-Encoding."""
    return parse_accept_header(accepted, Accept).best_match(("gzip", "identity")) == "gzip"


class Absence:
    """That what was asked for is not there, which a crowd may ask for as well."""

    size = OVERHEAD

    def __init__(self, problem: NotFound | NoSession) -> None:
        self.problem = problem


def kept(view: Callable[..., Answer]) -> Callable[..., Response]:
    """A route whose answer depends on path and query alone, made at most once a second by an instance."""

    @functools.wraps(view)
    def answered(**path: Any) -> Response:
        def make(last: Answer | Absence | None) -> Answer | Absence:
            g.last = last
            try:
                return view(**path)
            except (NotFound, NoSession) as problem:
                return Absence(problem)

        hot: Hot[Answer | Absence] = current_app.config[HOT]
        asked = (alias.prefix(), request.endpoint, *path.values(), request.query_string)
        made, good_until = hot.get(asked, make)
        if isinstance(made, Absence):
            raise made.problem.with_traceback(None)
        return made.response(good_until)

    return answered


def answer(
    body: Callable[[], Any],
    documents: Iterable[Stored],
    *,
    max_age: int,
    parameters: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> Answer:
    """The answer of a route that is `kept`.

    body: makes what is sent, plain values and instants, or bytes that are sent as they are; not called where nothing
    has changed since the last answer. documents: everything it is made of. max_age: seconds.
    parameters: what else it depends on, as the query.
    """
    tag = _tag(documents, parameters or {}, content_type)
    last = g.get("last")
    unchanged = isinstance(last, Answer) and last.body.tag == tag
    made = last.body if unchanged else Bytes(tag, _encoded(body()))
    return Answer(made, content_type, {**(headers or {}), "Cache-Control": cache_control(max_age)})


def cache_control(max_age: int) -> str:
    """For browsers and Hosting's CDN alike.

    A cache may give out a stale answer half as long again, at most an hour, while it fetches the new one: then
    nobody of a crowd waits for it.
    """
    stale = min(max(1, max_age // 2), MOST_STALE_S)
    return f"public, max-age={max_age}, stale-while-revalidate={stale}"


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else orjson.dumps(body, default=_instant, option=_JSON)


def _tag(documents: Iterable[Stored], parameters: Mapping[str, Any], content_type: str) -> str:
    made_of = (
        SHAPE,
        content_type,
        request.endpoint,
        request.view_args,
        sorted(parameters.items()),
        [(document.path, document.fields.get("v"), str(document.fields.get("writtenAt"))) for document in documents],
    )
    return blake2b(repr(made_of).encode(), digest_size=12).hexdigest()


def _instant(value: Any) -> str:
    return rfc3339(value)
