"""Addresses beside those of the routes: `/api/v1/...` is `/api/...`, and `/f1/...` is `/api/f1/...`.

The app has each route once, and a request is told another path before the app sees it. What an answer says of addresses
is what the client has asked by: `as_asked`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import request, url_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api"
"""Where the routes are."""
VERSION = "/api/v1"
"""Where they are as well."""
_F1 = "/f1/"
"""Begins of the paths that are served as if `/api` stood before them."""

_ASKED = "pitwall.prefix"
"""Key in a request's environment of the prefix its client asked by, where that is not `PREFIX`."""


def aliased(inside: WSGIApplication) -> WSGIApplication:
    """The same, with the other addresses."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(VERSION + "/"):
            environ["PATH_INFO"] = PREFIX + path[len(VERSION) :]
            environ[_ASKED] = VERSION
        elif path.startswith(_F1):
            environ["PATH_INFO"] = PREFIX + path
        return inside(environ, start_response)

    return application


def prefix() -> str:
    """The prefix the current request was asked by."""
    asked: str = request.environ.get(_ASKED, PREFIX)
    return asked


def as_asked(path: str) -> str:
    """A path of the API as the client of the current request has it; one beside it (`/health/`) stays as it is."""
    return prefix() + path[len(PREFIX) :] if path.startswith(PREFIX + "/") else path


def address(endpoint: str, **path: Any) -> str:
    """Where a route is, as the client of the current request has it; the rest as of Flask's `url_for`."""
    return as_asked(url_for(endpoint, **path))
