"""`/sessions/{id}/laps` and `/sessions/{id}/laps/{lap}`."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from google.cloud.firestore_v1.field_path import FieldPath

from pitwall.api import caching, drivers, pages, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.reads import Reads, Stored
from pitwall.documents import paths

routes = Blueprint("laps", __name__)

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
BATCH = 100
MOST_READ = 600
"""Laps one request looks at to find those of one driver; it then gives what it found, and a cursor."""


@routes.get("/sessions/<key>/laps")
@caching.kept
def listed(key: str) -> Answer:
    """Laps in order, of all drivers or of one."""
    given = parameters.read(
        {
            "driver": parameters.driver,
            "from": parameters.lap_number,
            "to": parameters.lap_number,
            "limit": parameters.whole_number(1, MAX_LIMIT),
            "cursor": parameters.any_text,
        }
    )
    first, last = given.get("from", 1), given.get("to", parameters.MAX_LAP)
    if first > last:
        raise BadRequest("to", f"Parameter 'to' is {last}, which is before 'from', {first}.")
    this_list = (key, given.get("driver", "").upper(), first, last)
    if "cursor" in given:
        try:
            first = max(first, pages.opened(given["cursor"], this_list) + 1)
        except ValueError as error:
            raise BadRequest("cursor", f"Parameter 'cursor' {error}.") from None
    session = sessions.existing(reads.current(), key)
    racing_number = _racing_number(reads.current(), key, given["driver"]) if "driver" in given else None
    items, more_after = _page(reads.current(), key, racing_number, first, last, given.get("limit", DEFAULT_LIMIT))

    def body() -> dict[str, Any]:
        laps: dict[str, Any] = {"items": [lap.fields for lap in items]}
        if more_after is not None:
            laps["nextCursor"] = pages.cursor(more_after, this_list)
        return laps

    made_of = {**given, "racingNumber": racing_number, "moreAfter": more_after}
    return caching.answer(body, items, max_age=caching.session_max_age(session), parameters=made_of)


@routes.get("/sessions/<key>/laps/<number>")
@caching.kept
def lap(key: str, number: str) -> Answer:
    """One lap of every driver who completed it."""
    parameters.read({})
    sessions.checked(key)
    try:
        which = parameters.lap_number(number)
    except ValueError as error:
        raise BadRequest("lap", f"The lap is {parameters.shorten(number)!r}, which {error}.") from None
    stored, found = reads.current().get(paths.session(key), paths.lap(key, which))
    session = sessions.required(stored, key)
    if found is None:
        raise NotFound(f"Session {key!r} has no lap {which}.")
    return caching.answer(lambda: found.fields, [found], max_age=caching.session_max_age(session))


def _racing_number(reads: Reads, key: str, driver: str) -> str:
    """The racing number of a driver named by number or code; text that is nobody's code is taken for a number."""
    if drivers.is_code(driver):
        found = drivers.by_code(reads, key, driver)
        if found is not None:
            return found.id
    return driver.upper()


def _page(
    reads: Reads, key: str, racing_number: str | None, first: int, last: int, limit: int
) -> tuple[list[Stored], int | None]:
    """Up to `limit` laps from `first` to `last`, and the lap after which there are more, or None.

    A driver may have none of the laps that were read; then more are, in larger batches, up to a bound.
    """
    only = _fields_of(racing_number) if racing_number is not None else ()
    items: list[Stored] = []
    looked_at = 0
    wanted = limit + 1
    while True:
        batch = reads.query(
            paths.laps(key), where=[("lap", ">=", first), ("lap", "<=", last)], order_by="lap", limit=wanted, only=only
        )
        looked_at += len(batch)
        for lap in batch:
            if racing_number is None or racing_number in lap.fields.get("drivers", {}):
                if len(items) == limit:
                    return items, items[-1].fields["lap"]
                items.append(lap)
        if len(batch) < wanted:
            return items, None
        first = batch[-1].fields["lap"] + 1
        if looked_at >= MOST_READ:
            return items, first - 1
        wanted = max(limit + 1 - len(items), BATCH)


def _fields_of(racing_number: str) -> tuple[str, ...]:
    """Paths of what a lap document says of one driver, so that only that is sent."""
    return ("at", "lap", "v", "writtenAt", FieldPath("drivers", racing_number).to_api_repr())
