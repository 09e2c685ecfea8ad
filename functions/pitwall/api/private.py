"""Documents of people and keys in Firestore: read afresh each time, and changed only from what was read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec
import orjson
from flask import Response, current_app, request
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random
from werkzeug.exceptions import RequestEntityTooLarge

from pitwall.api import live, parameters
from pitwall.api.errors import BadRequest, TooLarge, WrongContentType
from pitwall.documents.base import Document
from pitwall.documents.encoding import rfc3339, to_fields
from pitwall.pipeline.database import Conflict, Database

DATABASE = "PITWALL_DATABASE"
"""Key in the app's config of what gives the database."""

_ATTEMPTS = 5

D = TypeVar("D", bound=Document)
T = TypeVar("T", bound=msgspec.Struct)
P = ParamSpec("P")
R = TypeVar("R")


def now() -> datetime:
    """The app's clock."""
    clock: live.Clock = current_app.config[live.CLOCK]
    return clock()


def database() -> Database:
    given: Callable[[], Database] = current_app.config[DATABASE]
    return given()


def read(path: str, kind: type[D]) -> D | None:
    """The document at `path`, which is of this type. Raises Unavailable."""
    return _of(kind, database().read([path])[path].fields)


def listed(collection: str, kind: type[D], limit: int) -> dict[str, D]:
    """Up to `limit` documents of a collection, by their ids. Raises Unavailable."""
    found = database().query(collection, limit=limit)
    return {path.rpartition("/")[2]: msgspec.convert(fields, kind) for path, fields in found}


def change(path: str, kind: type[D], make: Callable[[D | None], D | None]) -> D | None:
    """Stores what `make` makes of the document at `path`, with the next `v` and the instants; gives it as it is then.

    make: is given None where there is no document, and gives None to leave things as they are. It may be asked several
    times, if somebody else changes the document meanwhile. Raises Unavailable, and Conflict if that never ends.
    """
    return settled(lambda: _changed(path, kind, make))


def settled(attempt: Callable[[], R]) -> R:
    """What `attempt` gives, asked again while others change what it has read. Raises Conflict if that never ends."""
    retrying = Retrying(
        retry=retry_if_exception_type(Conflict),
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random(0, 0.1),
        reraise=True,
    )
    return retrying(attempt)


def _changed(path: str, kind: type[D], make: Callable[[D | None], D | None]) -> D | None:
    stored = database().read([path])[path]
    before = _of(kind, stored.fields)
    made = make(before)
    if made is None:
        return before
    version = before.v + 1 if before is not None and isinstance(before.v, int) else 1
    after = msgspec.structs.replace(made, at=now(), written_at=now(), v=version)
    write = database().write(path, to_fields(after), stored.updated, must_be_new=before is None)
    database().commit([write])
    return after


def _of(kind: type[D], fields: dict[str, Any] | None) -> D | None:
    return None if fields is None else msgspec.convert(fields, kind)


def delete(path: str) -> None:
    """Deletes the document at `path`, if there is one. Raises Unavailable."""
    database().commit([database().delete(path)])


def answer(body: msgspec.Struct | Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    """The response that shows `body` to the client that asked and to nobody else, or 304 if it has it already."""
    plain = msgspec.to_builtins(body, builtin_types=(datetime,))
    data = orjson.dumps(plain, default=rfc3339, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS)
    response = Response(data, status, content_type="application/json")
    response.cache_control.private = True
    response.cache_control.no_cache = True
    response.add_etag()
    response.make_conditional(request)
    return response


def takes(kind: type[T], *, optional: bool = False) -> Callable[[Callable[Concatenate[T, P], R]], Callable[P, R]]:
    """Gives a route the body of the request first: JSON that fits `kind`. Stands below `described`, which says so.

    optional: a request without a body is taken for an empty object.
    The route then also raises BadRequest with the member that does not fit, WrongContentType, TooLarge.
    """

    def taken(view: Callable[Concatenate[T, P], R]) -> Callable[P, R]:
        @functools.wraps(view)
        def taking_view(*args: P.args, **path: P.kwargs) -> R:
            return view(kind() if optional and not request.get_data() else _body(kind), *args, **path)

        taking_view.takes = kind  # type: ignore[attr-defined]
        taking_view.optional = optional  # type: ignore[attr-defined]
        return taking_view

    return taken


def _body(kind: type[T]) -> T:
    if request.mimetype not in ("application/json", "application/merge-patch+json"):
        raise WrongContentType("The body has to be JSON: `Content-Type: application/json`.")
    try:
        return msgspec.json.decode(request.get_data(cache=False), type=kind)
    except RequestEntityTooLarge:
        raise TooLarge(f"The body is longer than {request.max_content_length} bytes.") from None
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        unknown = re.search(r"unknown field `(.*)`", what)
        member = unknown[1] if unknown else re.sub(r"\[.*|`$", "", where).lstrip(".")
        raise BadRequest(parameters.shorten(member or "body"), f"The body does not fit: {what}.") from None
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("body", "The body is not JSON.") from None


def nothing() -> Response:
    """The response to what leaves nothing to show."""
    return Response(status=HTTPStatus.NO_CONTENT)
