"""Gives out again what the instance answered a moment ago, before Flask is asked.

Under a crowd nearly everybody asks what was just answered, and Flask takes longer to find that out than to answer.
So what a route that is `kept` gave to somebody who said nothing of themselves is kept as it went out, for as long as
what it is made of is good, and given to everybody who asks the same in the same way. It is counted, limited, measured
and logged as every other request; what is unusual in any way goes to Flask.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache
from werkzeug.datastructures import EnvironHeaders

from pitwall.api import access, request_log
from pitwall.api.caching import OVERHEAD, REPEATABLE, Headers, Repeatable, wants_gzip
from pitwall.api.hot import Seconds
from pitwall.api.limits import Limits
from pitwall.pipeline.log import follow

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_UNUSUAL = frozenset(
    "HTTP_" + header.upper().replace("-", "_")
    for header in (*access.CREDENTIALS, "If-Match", "If-Modified-Since", "If-Unmodified-Since", "Range")
) | {"HTTP_TRANSFER_ENCODING"}
_ONE_TAG = re.compile(r'"[^",]*"')
_TOLD_APART = frozenset({"accept", "accept-encoding", "origin"})
"""Headers of requests by which answers are kept apart."""

_OF_THE_CLIENT = frozenset({"ratelimit", "ratelimit-policy"})
_OF_THE_BODY = frozenset({"content-type", "content-length", "content-encoding"})

MAX_BYTES = 16 * 1024 * 1024
"""Bytes kept, many of them a second time the same; what was not asked for the longest goes first."""

_OK = f"{HTTPStatus.OK.value} {HTTPStatus.OK.phrase}"
_NOT_MODIFIED = f"{HTTPStatus.NOT_MODIFIED.value} {HTTPStatus.NOT_MODIFIED.phrase}"
_REPEATED = (_OK[:3], _NOT_MODIFIED[:3])


class _Kept(NamedTuple):
    """A response as it went out, but for what it said of its client's limit."""

    note: Repeatable
    headers: Headers

    @property
    def size(self) -> int:
        return len(self.note.body) + OVERHEAD


class Front:
    """The API's WSGI application, before which it stands.

    seconds: the clock by which the instance keeps what it has read.
    """

    def __init__(
        self,
        inside: WSGIApplication,
        limits: Limits,
        project: str,
        seconds: Seconds,
    ) -> None:
        self._inside = inside
        self._limits = limits
        self._project = project
        self._seconds = seconds
        self._lock = Lock()
        self._kept: LRUCache[tuple[Any, ...], _Kept] = LRUCache(MAX_BYTES, getsizeof=lambda kept: kept.size)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began = time.perf_counter()
        if not _is_usual(environ):
            return self._inside(environ, start_response)
        asked = (
            environ["PATH_INFO"],
            environ.get("QUERY_STRING", ""),
            wants_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")),
            environ.get("HTTP_ORIGIN", ""),
            environ.get("HTTP_ACCEPT", ""),
        )
        with self._lock:
            kept = self._kept.get(asked)
        if kept is None or self._seconds() >= kept.note.good_until:
            return self._inside(environ, self._keeping(asked, environ, start_response))
        left = self._limits.count_address(environ.get("REMOTE_ADDR", ""))
        if left is None:
            return self._inside(environ, start_response)  # which says that the limit is reached
        follow(EnvironHeaders(environ), self._project)
        changed = environ.get("HTTP_IF_NONE_MATCH") != kept.note.tag
        code = HTTPStatus.OK if changed else HTTPStatus.NOT_MODIFIED
        start_response(
            _OK if changed else _NOT_MODIFIED,
            [*kept.headers, *left, *(kept.note.of_the_body if changed else ())],
        )
        request_log.answered("GET", kept.note.route, code, time.perf_counter() - began, reads=0)
        return [kept.note.body] if changed else []

    def _keeping(
        self, asked: tuple[Any, ...], environ: WSGIEnvironment, start_response: StartResponse
    ) -> StartResponse:
        """Keeps the headers that are sent, where the route has noted that the answer may be given out again."""

        def start(status: str, headers: Headers, *args: Any) -> Callable[[bytes], object]:
            note = environ.get(REPEATABLE)
            if note is not None and status[:3] in _REPEATED and _vary(headers) <= _TOLD_APART:
                of_everybody = [
                    (name, value) for name, value in headers if name.lower() not in _OF_THE_CLIENT | _OF_THE_BODY
                ]
                kept = _Kept(note, of_everybody)
                if kept.size <= self._kept.maxsize:
                    with self._lock:
                        self._kept[asked] = kept
            return start_response(status, headers, *args)

        return start


def _vary(headers: Headers) -> set[str]:
    """Headers of requests on which a response says that it depends."""
    return {name.strip().lower() for header, value in headers if header.lower() == "vary" for name in value.split(",")}


def _is_usual(environ: WSGIEnvironment) -> bool:
    """Whether a request is as nearly all are: GET, from nobody in particular, with one tag at most, and no body."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and _UNUSUAL.isdisjoint(environ)
        and environ.get("CONTENT_LENGTH", "") in ("", "0")
        and ("HTTP_IF_NONE_MATCH" not in environ or _ONE_TAG.fullmatch(environ["HTTP_IF_NONE_MATCH"]) is not None)
    )
