"""Every way a request can fail, as RFC 9457 problem+json.

`type` is stable: a client may compare it. `title` belongs to the type, `detail` to the occurrence. No
problem says anything about the inside of the server.
"""

from __future__ import annotations

import traceback
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pitwall.pipeline.database import Unavailable
from pitwall.pipeline.log import log

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:pitwall:problem:"
RETRY_AFTER_S = 5


class Problem(Exception):
    """A failed request. Subclasses fix `name` (the end of `type`), `status` and `title`; `members` extend the body."""

    name: ClassVar[str]
    status: ClassVar[HTTPStatus]
    title: ClassVar[str]

    def __init__(self, detail: str, headers: dict[str, str] | None = None, **members: str | list[str]) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = headers or {}
        self.members = members


class NoSession(Problem):
    """There is no session at all, or none of the series asked for."""

    name = "no-session"
    status = HTTPStatus.NOT_FOUND
    title = "No session"


class NotFound(Problem):
    """No such route, session, lap or driver."""

    name = "not-found"
    status = HTTPStatus.NOT_FOUND
    title = "Not found"


class BadRequest(Problem):
    """A parameter is unknown or cannot be used; the member `parameter` names it."""

    name = "bad-request"
    status = HTTPStatus.BAD_REQUEST
    title = "Bad request"

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail, parameter=parameter)


class Ambiguous(Problem):
    """A code or name that several have, none of them more recently; the member `candidates` has their ids."""

    name = "ambiguous"
    status = HTTPStatus.CONFLICT
    title = "Ambiguous"


class Unauthenticated(Problem):
    """Nobody, or nobody who is known: no token or key, or one that is not good."""

    name = "unauthenticated"
    status = HTTPStatus.UNAUTHORIZED
    title = "Not signed in"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, {"WWW-Authenticate": 'Bearer realm="pitwall"'})


class Forbidden(Problem):
    """Who asks is known, and may not."""

    name = "forbidden"
    status = HTTPStatus.FORBIDDEN
    title = "Not allowed"


class NoTelemetry(Problem):
    """Nothing is told of single cars: the session is over, the feed holds it back, or it is switched off for now."""

    name = "no-telemetry"
    status = HTTPStatus.CONFLICT
    title = "No telemetry"


class CarsTaken(Problem):
    """As many cars as may be are told already; `cars` has which, `Retry-After` says when to try again."""

    name = "too-many-cars"
    status = HTTPStatus.CONFLICT
    title = "Too many cars"


class AlreadyThere(Problem):
    """There is a circuit of this id; it is changed with PATCH."""

    name = "already-there"
    status = HTTPStatus.CONFLICT
    title = "Already there"


class NoKartTrack(Problem):
    """The circuit is of F1's history: only kart tracks are changed, deleted, and have timing of their own."""

    name = "no-kart-track"
    status = HTTPStatus.CONFLICT
    title = "No kart track"


class TimingOn(Problem):
    """The track's timing is on: it has to be stopped before."""

    name = "timing-on"
    status = HTTPStatus.CONFLICT
    title = "Timing is on"


class NoTiming(Problem):
    """Nothing says where the track's timing comes from: it has neither `wssUrl` nor `liveTimingUrl`."""

    name = "no-timing"
    status = HTTPStatus.CONFLICT
    title = "No timing"


class TracksTaken(Problem):
    """The timing of as many kart tracks as may be is on; `circuits` has which."""

    name = "too-many-tracks"
    status = HTTPStatus.CONFLICT
    title = "Too many tracks"


class WrongMethod(Problem):
    """The route exists, but not for this method; `Allow` has those it takes."""

    name = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED
    title = "Method not allowed"


class TooLarge(Problem):
    """The body is longer than any that is taken."""

    name = "too-large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    title = "Too large"


class WrongContentType(Problem):
    """The body is said to be something else than JSON."""

    name = "unsupported-media-type"
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    title = "Unsupported media type"


class RateLimited(Problem):
    """A key or an address has asked for as much as it may in a minute. `Retry-After` says when to try again."""

    name = "rate-limited"
    status = HTTPStatus.TOO_MANY_REQUESTS
    title = "Too many requests"


class DatabaseUnavailable(Problem):
    """Firestore did not answer. `Retry-After` says when to try again."""

    name = "unavailable"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    title = "Unavailable"


class Internal(Problem):
    """A mistake of ours. The log has it; the client does not."""

    name = "internal"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    title = "Internal error"


PROBLEMS: tuple[type[Problem], ...] = (
    NoSession,
    NotFound,
    BadRequest,
    Ambiguous,
    Unauthenticated,
    Forbidden,
    NoTelemetry,
    CarsTaken,
    AlreadyThere,
    NoKartTrack,
    TimingOn,
    NoTiming,
    TracksTaken,
    WrongMethod,
    TooLarge,
    WrongContentType,
    RateLimited,
    DatabaseUnavailable,
    Internal,
)


def body(problem: Problem) -> dict[str, Any]:
    """What is said of a request that failed."""
    return {
        "type": TYPE_PREFIX + problem.name,
        "title": problem.title,
        "status": problem.status.value,
        "detail": problem.detail,
        **problem.members,
    }


def respond(problem: Problem) -> Response:
    """The response to a request that failed. It is never stored by a cache."""
    return _response(body(problem), problem.status.value, problem.headers)


def _response(body: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    response = Response(orjson.dumps(body), status, content_type=CONTENT_TYPE)
    response.headers.update(headers)
    response.cache_control.no_store = True
    return response


def from_http(error: HTTPException) -> Response:
    """Problems of HTTP itself, found before any of our code runs."""
    if isinstance(error, MethodNotAllowed):
        allow = ", ".join(sorted(error.valid_methods or ()))
        return respond(WrongMethod(f"This route takes {allow}.", {"Allow": allow}))
    if error.code == HTTPStatus.NOT_FOUND:
        return respond(NotFound("There is no such route."))
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    return _response({"type": "about:blank", "title": status.phrase, "status": status.value}, status.value, {})


def _from_database(error: Unavailable) -> Response:
    log("WARNING", "Firestore is unavailable", function="api", reason=error.reason)
    return respond(DatabaseUnavailable("The database did not answer.", {"Retry-After": str(RETRY_AFTER_S)}))


def _from_mistake(error: Exception) -> Response:
    log("ERROR", _trace(error), function="api")
    return respond(Internal("Something went wrong on our side."))


def _trace(error: Exception) -> str:
    """Where it happened and what kind it is, as Python writes it; without its text, which may repeat what was sent."""
    where = "".join(traceback.format_tb(error.__traceback__))
    return f"Traceback (most recent call last):\n{where}{type(error).__qualname__}"


def register(app: Flask) -> None:
    """Has `app` answer every failure as a problem."""
    app.register_error_handler(Problem, respond)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Unavailable, _from_database)
    app.register_error_handler(Exception, _from_mistake)
