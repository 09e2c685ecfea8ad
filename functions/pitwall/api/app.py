"""The HTTP function `api`: puts routes, errors, cross-origin rules and the request log together.

Leaves to others what a route answers (one module per resource) and everything about serving.
"""

from __future__ import annotations

import time
from functools import cache
from http import HTTPStatus
from threading import Lock

from flask import Flask, Request, Response, current_app, g, request
from flask_cors import CORS
from werkzeug.wrappers import Response as WsgiResponse

from pitwall.api import (
    access,
    caching,
    docs_pages,
    drivers,
    errors,
    firebase,
    health,
    keys,
    laps,
    limits,
    live,
    private,
    seasons,
    series,
    sessions,
    status,
    stints,
    users,
)
from pitwall.api.firebase import Firebase
from pitwall.api.hot import Hot, Seconds
from pitwall.api.reads import Reads
from pitwall.pipeline import metrics
from pitwall.pipeline.database import Database
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import follow, log
from pitwall.settings import Settings

PREFIXES = {"api": "/api", "v1": "/api/v1"}
"""Where the routes are: `/api/v1` is an alias of `/api`."""

RESOURCES = (sessions, laps, drivers, live, series, stints, seasons, users, keys, status, docs_pages)
TIMEOUT_S = 4.0
"""Seconds one read of Firestore may take."""

LONGEST_BODY = 16 * 1024
"""Bytes of a request's body, above which it is refused unread."""


def create_app(settings: Settings, clock: live.Clock = live.wall_clock, seconds: Seconds = time.monotonic) -> Flask:
    """The API on the Firestore of `settings`. Nothing is opened before the first request.

    seconds: the clock by which the instance keeps what it has read.
    """
    app = Flask("pitwall.api", static_folder=None)
    app.url_map.merge_slashes = False
    app.config[live.CLOCK] = clock
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    app.config[caching.HOT] = Hot(seconds)
    for name, prefix in PREFIXES.items():
        for resource in RESOURCES:
            app.register_blueprint(resource.routes, url_prefix=prefix, name=f"{name}-{resource.routes.name}")
    app.register_blueprint(health.routes, url_prefix="/health")
    app.config[status.REVISION] = settings.revision
    errors.register(app)
    if settings.cors_origins:
        origins = [origin.strip() for origin in settings.cors_origins.split(",")]
        CORS(
            app,
            origins=origins,
            methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Content-Type", "If-None-Match", *access.CREDENTIALS],
            expose_headers=["ETag", "Content-Location", "Link", "RateLimit", "RateLimit-Policy", "Retry-After"],
            send_wildcard=True,
            max_age=3600,
        )
    docs_pages.register(app, settings)
    _follow_requests(app, settings)
    limits.enforce(app, settings)
    access.enforce(app, settings, seconds)
    return app


def _follow_requests(app: Flask, settings: Settings) -> None:
    """Gives each request its reads of one database, and writes a line about it to standard output."""
    lock = Lock()
    databases: list[Database] = []

    def database() -> Database:
        with lock:
            if not databases:
                databases.append(Database(settings.project, timeout_s=TIMEOUT_S))
            return databases[0]

    app.config[private.DATABASE] = database
    app.config[firebase.FIREBASE] = Firebase(settings.project)

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        follow(request.headers, settings.project)
        g.reads = Reads(database)

    @app.after_request
    def end(response: Response) -> Response:
        if "Cache-Control" not in response.headers:
            response.cache_control.no_store = True
        _log(response)
        return response


def _log(response: Response) -> None:
    """The request as Cloud Logging shows one, without what tells who asked for what: route for URL, no address."""
    code = response.status_code
    route = request.url_rule.rule if request.url_rule else "none"
    method = request.method if request.method in metrics.METHODS else "_OTHER"
    seconds = time.perf_counter() - g.began
    metrics.request(method, route, code, seconds)
    log(
        "ERROR" if code >= HTTPStatus.INTERNAL_SERVER_ERROR else "INFO",
        f"{method} {route} {code}",
        function="api",
        route=route,
        httpRequest={"requestMethod": method, "requestUrl": route, "status": code, "latency": f"{seconds:.3f}s"},
        firestoreReads=g.reads.count,
    )


@cache
def _deployed() -> Flask:
    return create_app(configured())


def serve(request: Request) -> WsgiResponse:
    """Answers the first request of the Functions Framework; what follows reaches the API without a detour.

    The framework is an application of Flask itself, which routes and dresses every request once more: as much work as
    a hot answer. Once it has brought up the function it has done its part.
    """
    api = _deployed().wsgi_app
    setattr(current_app, "wsgi_app", api)  # noqa: B010 - mypy allows no assignment to a method
    return Response.from_app(api, request.environ)
