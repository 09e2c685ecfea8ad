"""What the functions that Cloud Scheduler calls share: settings, the request's JSON body, the database, refusals.

What an invocation does is each function's own business.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from flask import Request, Response

from pitwall.pipeline import metrics
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.log import follow, log, set_lowest
from pitwall.pipeline.push import problem
from pitwall.settings import Settings


class BadRequest(ValueError):
    """The body is not what the function takes; the text says what it takes."""


@cache
def database_of(project: str) -> Database:
    """The database of a project, one for all invocations of an instance."""
    return Database(project)


@cache
def configured() -> Settings:
    """The settings of this instance, read once, for functions that are called many times a second."""
    settings = Settings.from_env()
    _apply(settings)
    return settings


def _apply(settings: Settings) -> None:
    """Has the process log and measure as configured."""
    set_lowest(settings.log_level)
    metrics.start(settings)


def invoke(request: Request, run: Callable[[Settings, Any], Response]) -> Response:
    """The answer of `run`, given the settings and the body (`{}` where there is none).

    What it raises as BadRequest is a 400, Unavailable a 503 and a line in the log. What was measured is sent before the
    answer: nobody waits for that, and the next call may be hours away.
    """
    settings = Settings.from_env()
    _apply(settings)
    follow(request.headers, settings.project)
    try:
        return run(settings, orjson.loads(request.get_data() or b"{}"))
    except orjson.JSONDecodeError as error:
        return problem(400, "bad-request", f"the body is not JSON: {error}")
    except BadRequest as error:
        return problem(400, "bad-request", str(error))
    except Unavailable as error:
        log("ERROR", "Firestore does not answer", feed=settings.feed, detail=str(error)[:300])
        return problem(503, "unavailable", "Firestore does not answer")
    finally:
        metrics.flush()


def check_feed(settings: Settings, body: Any) -> None:
    """That the body names no other feed than the one that is configured. Raises BadRequest."""
    if not isinstance(body, dict) or body.get("feed", settings.feed) != settings.feed:
        raise BadRequest(f"the body is to be {{}} or {{'feed': '{settings.feed}'}}")
