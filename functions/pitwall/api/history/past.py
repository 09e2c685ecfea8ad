"""For how long an answer about the past is true: a day, once nobody is still working on it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from flask import current_app

from pitwall.api import caching, live
from pitwall.api.reads import Stored

UNTOUCHED = timedelta(days=1)
"""A document that was not written for so long is taken to be right: corrections and backfills come in bursts."""

_NEVER = datetime.max.replace(tzinfo=UTC)


def max_age(documents: Iterable[Stored], year: int) -> int:
    """Seconds for which what is made of documents may be kept. year: the last season they tell of."""
    now: datetime = current_app.config[live.CLOCK]()
    return caching.FINAL_S if year < now.year and _untouched(documents, now) else caching.SESSION_S


def of_results(session: Stored, results: list[Stored]) -> int:
    """The same of the results of a session, which come after it is final, and are corrected later than its laps."""
    now: datetime = current_app.config[live.CLOCK]()
    if session.fields.get("final") is True and results and _untouched(results, now):
        return caching.FINAL_S
    return caching.SESSION_S


def _untouched(documents: Iterable[Stored], now: datetime) -> bool:
    return all(document.fields.get("writtenAt", _NEVER) <= now - UNTOUCHED for document in documents)
