"""`/sessions/{id}/drivers` and `/sessions/{id}/drivers/{driverId}`, and finding a driver for other resources."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint

from pitwall.api import caching, lists, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import described
from pitwall.api.errors import NotFound
from pitwall.api.reads import Reads, Stored
from pitwall.api.shapes import Shape
from pitwall.api.table import by_number
from pitwall.documents import paths
from pitwall.documents.drivers import DriverDocument

routes = Blueprint("drivers", __name__)

MOST = 1_000
"""More drivers than any session has."""

DRIVER = Shape(DriverDocument, results=("grid", "position", "laps", "bestLapMs", "bestLap", "bestByPart", "status"))


@routes.get("/sessions/<key>/drivers")
@lists.listing("The drivers of a session by position", DRIVER, lists.whole(DRIVER))
def listed(key: str) -> Answer:
    """Those without a position come last, by racing number; with `spoilers=false` all come by racing number. CSV leaves
    out stints and pit stops, which have lists of their own.

    Reads the session and a document a driver.
    """
    given = parameters.given()
    session, found = everybody(reads.current(), key)
    if lists.shows_results(given):
        found.sort(key=_by_position)
    return lists.answer(
        lambda: (driver.fields for driver in found),
        found,
        DRIVER,
        given,
        max_age=caching.session_max_age(session),
    )


@routes.get("/sessions/<key>/drivers/<driver_id>")
@caching.kept
@described(
    "One driver, by racing number or three-letter code in any case",
    query=lists.one(DRIVER),
    answers=DRIVER,
    problems=(NotFound,),
)
def driver(key: str, driver_id: str) -> Answer:
    """Reads the session and the driver (by code in one document, by number in one or two)."""
    session, found = required(reads.current(), key, driver_id)
    return lists.answer_one(found.fields, found, DRIVER, parameters.given(), max_age=caching.session_max_age(session))


def everybody(reads: Reads, key: str) -> tuple[Stored, list[Stored]]:
    """A session and its drivers by racing number. Raises NotFound."""
    session = sessions.existing(reads, key)
    return session, sorted(reads.query(paths.drivers(key), limit=MOST), key=lambda driver: by_number(driver.id))


def required(reads: Reads, key: str, driver_id: str) -> tuple[Stored, Stored]:
    """A session and one of its drivers, by racing number or code. Raises NotFound."""
    session, found = with_session(reads, key, driver_id)
    if found is None:
        raise NotFound(f"Session {key!r} has no driver {parameters.shorten(driver_id)!r}.")
    return session, found


def with_session(reads: Reads, key: str, driver_id: str) -> tuple[Stored, Stored | None]:
    """A session, and one of its drivers if there is one of this number or code. Raises NotFound without a session."""
    sessions.checked(key)
    if _is_code(driver_id):
        session = sessions.existing(reads, key)
        found = _by_code(reads, key, driver_id)
        if found is not None:
            return session, found
    try:
        spelled = _spelled(key, parameters.driver(driver_id))
    except ValueError:
        return sessions.existing(reads, key), None
    stored, *found_by_number = reads.get(paths.session(key), *spelled)
    return sessions.required(stored, key), next(filter(None, found_by_number), None)


def number_of(reads: Reads, key: str, driver: str) -> str:
    """The racing number of a driver named by number or code; text that is nobody's code is taken for a number."""
    found = _by_code(reads, key, driver) if _is_code(driver) else None
    if found is None and len(spelled := _spelled(key, driver)) > 1:
        found = next(filter(None, reads.get(*spelled)), None)
    return driver.upper() if found is None else found.id


def number_among(found: list[Stored], driver: str) -> str:
    """The same among drivers that were read already."""
    code = driver.upper()
    coded = (one.id for one in found if _is_code(driver) and one.fields.get("tla") == code)
    exact = (one.id for one in found if one.id == driver)
    return next(coded, None) or next(exact, code)


def _by_code(reads: Reads, key: str, code: str) -> Stored | None:
    found = reads.query(paths.drivers(key), where=[("tla", "==", code.upper())], limit=1)
    return found[0] if found else None


def _spelled(key: str, driver: str) -> list[str]:
    """Where a driver of this racing number may be, as it is or in capitals."""
    return list(dict.fromkeys((paths.driver(key, driver), paths.driver(key, driver.upper()))))


def _is_code(text: str) -> bool:
    """Whether text reads as a three-letter code rather than a racing number."""
    return re.fullmatch(r"[A-Za-z]{3}", text) is not None


def _by_position(driver: Stored) -> tuple[Any, ...]:
    position = driver.fields.get("position")
    return position is None, position or 0
