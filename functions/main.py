"""Entry points of the deployed functions, one each. No logic: a function loads only the code it runs."""

from __future__ import annotations

from typing import Any

import functions_framework
from flask import Request


@functions_framework.http
def poller(request: Request) -> Any:
    """Cloud Scheduler's target: holds the feed for one invocation, or stands by."""
    from pitwall.pipeline.poller import poll

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
def api(request: Request) -> Any:
    """`/api/...` over HTTP."""
    from pitwall.api.app import serve

    return serve(request)
