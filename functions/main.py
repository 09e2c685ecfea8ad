"""Entry points of the deployed functions, one each. No logic: a function loads only the code it runs."""

from __future__ import annotations

from typing import Any

import functions_framework
from flask import Request
from werkzeug.exceptions import NotFound


@functions_framework.http
def poller(request: Request) -> Any:
    """Cloud Scheduler's target: holds the feed for one invocation, or stands by."""
    from pitwall.pipeline.poller import poll

    return poll(request)


@functions_framework.http
def karts(request: Request) -> Any:
    """Cloud Scheduler's target: holds the kart tracks that are on for one invocation, or stands by."""
    from pitwall.pipeline.karts import poll

    return poll(request)


@functions_framework.http
def writer(request: Request) -> Any:
    """Pub/Sub push of `timing`: stores documents in Firestore."""
    from pitwall.pipeline.writer import write

    return write(request)


@functions_framework.http
def recorder(request: Request) -> Any:
    """Pub/Sub push of `raw`: stores the feed's messages in Cloud Storage."""
    from pitwall.pipeline.recorder import record

    return record(request)


@functions_framework.http
def economy(request: Request) -> Any:
    """Pub/Sub push of `budget`: has ticks go out more seldom, then closes Firestore to clients, as costs rise."""
    from pitwall.pipeline.budget import heed

    return heed(request)


@functions_framework.http
def jobs(request: Request) -> Any:
    """Pub/Sub push of `jobs`: fetches and computes history, a job at a time."""
    from pitwall.history.jobs import run

    return run(request)


@functions_framework.http
def reconciler(request: Request) -> Any:
    """Cloud Scheduler's target every 15 minutes: corrects the last session once its archive is complete."""
    from pitwall.history.reconciler import run

    return run(request)


@functions_framework.http
def schedule(request: Request) -> Any:
    """Cloud Scheduler's target once a day: the season's calendar, and what is to be polled."""
    from pitwall.history.calendar import run

    return run(request)


@functions_framework.errorhandler(404)
def not_found(error: NotFound) -> Any:
    """For a path that the framework gives to no function, as one with a newline in it."""
    from pitwall.api.errors import from_http

    return from_http(error)


@functions_framework.http
def api(request: Request) -> Any:
    """`/api/...` over HTTP."""
    from pitwall.api.app import serve

    return serve(request)
