"""The HTTP function `api`: puts routes, errors, cross-origin rules and the request log together.

Leaves to others what a route answers (one module per resource) and everything about serving.
"""

from __future__ import annotations

import time
from functools import cache
from threading import Lock

from flask import Flask, Request, Response, current_app, g, request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response as WsgiResponse

from pitwall.api import (
    access,
    alias,
    caching,
    car_telemetry,
    docs_pages,
    drivers,
    endurance,
    errors,
    firebase,
    health,
    jobs,
    keys,
    laps,
    limits,
    live,
    privacy,
    private,
    request_log,
    seasons,
    series,
    sessions,
    status,
    stints,
    telemetry,
    users,
)
from pitwall.api.analytics import routes as analytics
from pitwall.api.circuits import data, formats, timing, tracks
from pitwall.api.circuits import statistics as kart_statistics
from pitwall.api.firebase import Firebase
from pitwall.api.front import Front
from pitwall.api.history import circuits, constructors, races, standings
from pitwall.api.history import drivers as careers
from pitwall.api.hot import Hot, Seconds
from pitwall.api.late_rules import LateRule
from pitwall.api.reads import Reads
from pitwall.history.queue import Queue
from pitwall.pipeline.database import Database
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import follow
from pitwall.settings import Settings

TIMING = (sessions, laps, drivers, live, endurance, car_telemetry, series, stints, analytics)
HISTORY = (seasons, races, telemetry, standings, careers, constructors, circuits)
KARTS = (tracks, timing, formats, kart_statistics, data)
RESOURCES = (*TIMING, *HISTORY, *KARTS, jobs, users, keys, privacy, status, docs_pages)
TIMEOUT_S = 4.0
"""Seconds one read of Firestore may take."""

LONGEST_BODY = 16 * 1024
"""Bytes of a request's body, above which it is refused unread."""


def create_app(settings: Settings, clock: live.Clock = live.wall_clock, seconds: Seconds = time.monotonic) -> Flask:
    """The API on the Firestore of `settings`. Nothing is opened before the first request.

    seconds: the clock by which the instance keeps what it has read.
    """
    app = Flask("pitwall.api", static_folder=None)
    app.url_rule_class = LateRule
    app.url_map.merge_slashes = False
    app.config[live.CLOCK] = clock
    app.config["MAX_CONTENT_LENGTH"] = LONGEST_BODY
    app.config[caching.HOT] = Hot(seconds)
    app.config[car_telemetry.MOST] = settings.telemetry_cars
    app.config[timing.MOST] = settings.kart_tracks
    app.config[jobs.QUEUE] = Queue(settings)
    for resource in RESOURCES:
        app.register_blueprint(resource.routes, url_prefix=alias.PREFIX)
    app.register_blueprint(health.routes, url_prefix="/health")
    app.config[status.REVISION] = settings.revision
    errors.register(app)
    if settings.cors_origins:
        from flask_cors import CORS

        origins = [origin.strip() for origin in settings.cors_origins.split(",")]
        CORS(
            app,
            origins=origins,
            methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
            allow_headers=["Content-Type", "If-None-Match", *access.CREDENTIALS],
            expose_headers=["ETag", "Content-Location", "Link", "RateLimit", "RateLimit-Policy", "Retry-After"],
            send_wildcard=True,
            max_age=3600,
        )
    docs_pages.register(app, settings)
    telemetry.register(app, settings, seconds)
    data.register(app, settings)
    kart_statistics.register(app, seconds)
    privacy.register(app, settings)
    _follow_requests(app, settings)
    limited = limits.enforce(app, settings)
    access.enforce(app, settings, seconds)
    outer = alias.aliased(app.wsgi_app)
    if settings.public and not settings.app_check:
        outer = Front(outer, limited, settings.project, seconds)
    if settings.proxies:
        outer = ProxyFix(outer, x_for=settings.proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0)
    setattr(app, "wsgi_app", outer)  # noqa: B010 - mypy allows no assignment to a method
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
        route = alias.as_asked(request.url_rule.rule) if request.url_rule else "none"
        took = time.perf_counter() - g.began
        request_log.answered(request.method, route, response.status_code, took, reads=g.reads.count)
        return response


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
