"""`/sessions/{id}/drivers` and `/sessions/{id}/drivers/{driverId}`."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint

from pitwall.api import caching, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import ListOf, described
from pitwall.api.errors import NotFound
from pitwall.api.reads import Reads, Stored
from pitwall.documents import paths
from pitwall.documents.drivers import DriverDocument

routes = Blueprint("drivers", __name__)

MOST = 1_000
"""More drivers than any session has."""


@routes.get("/sessions/<key>/drivers")
@caching.kept
@described("The drivers of a session by position", answers=ListOf(DriverDocument), problems=(NotFound,))
def listed(key: str) -> Answer:
    """Those without a position last; then by racing number."""
    session = sessions.existing(reads.current(), key)
    found = reads.current().query(paths.drivers(key), limit=MOST)
    found.sort(key=_order)
    return caching.answer(
        lambda: {"items": [driver.fields for driver in found]},
        found,
        max_age=caching.session_max_age(session),
    )


@routes.get("/sessions/<key>/drivers/<driver_id>")
@caching.kept
@described("One driver of a session", answers=DriverDocument, problems=(NotFound,))
def driver(key: str, driver_id: str) -> Answer:
    """By racing number or three-letter code in any case."""
    sessions.checked(key)
    session, found = _with_session(reads.current(), key, driver_id)
    if found is None:
        raise NotFound(f"Session {key!r} has no driver {parameters.shorten(driver_id)!r}.")
    return caching.answer(lambda: found.fields, [found], max_age=caching.session_max_age(session))


def by_code(reads: Reads, key: str, code: str) -> Stored | None:
    """The driver with a three-letter code, in any case; None if there is none."""
    found = reads.query(paths.drivers(key), where=[("tla", "==", code.upper())], limit=1)
    return found[0] if found else None


def is_code(text: str) -> bool:
    """Whether text reads as a three-letter code rather than a racing number."""
    return re.fullmatch(r"[A-Za-z]{3}", text) is not None


def _with_session(reads: Reads, key: str, driver_id: str) -> tuple[Stored, Stored | None]:
    if is_code(driver_id):
        session = sessions.existing(reads, key)
        found = by_code(reads, key, driver_id)
        if found is not None:
            return session, found
    if not re.fullmatch(r"[0-9A-Za-z]{1,8}", driver_id):
        return sessions.existing(reads, key), None
    exact, upper = paths.driver(key, driver_id), paths.driver(key, driver_id.upper())
    stored, *found_by_number = reads.get(paths.session(key), *dict.fromkeys((exact, upper)))
    return sessions.required(stored, key), next(filter(None, found_by_number), None)


def _order(driver: Stored) -> tuple[Any, ...]:
    position = driver.fields.get("position")
    number = driver.id
    digits = re.match(r"[0-9]{1,9}", number)
    return (position is None, position or 0, int(digits.group()) if digits else 10**9, number)
