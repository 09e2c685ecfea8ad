"""Laps of a session: of everybody (`/laps`, `/laps/{lap}`), of one driver (`/drivers/{id}/laps`), and the places after
each (`/positions`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint
from google.cloud.firestore_v1.field_path import FieldPath
from msgspec import UNSET, UnsetType

from pitwall.api import caching, drivers, lists, numbered, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import ListOf, described
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Reads, Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Document, Fields, Ms, RacingNumber
from pitwall.documents.drivers import Lap, LapDocument

routes = Blueprint("laps", __name__)


class LapOfDriver(Document, kw_only=True):
    """Which lap of whom; the keys of a lap come beside these."""

    lap: int
    racing_number: RacingNumber


class Place(Fields, kw_only=True):
    """Where a car was when it completed a lap."""

    position: int
    gap_to_leader_ms: Ms | UnsetType = UNSET
    laps_down: int | UnsetType = UNSET


class Places(Document, kw_only=True):
    """The places of all cars that completed a lap."""

    lap: int
    drivers: dict[RacingNumber, Place]


_RESULTS = ("position", "gapToLeaderMs", "lapsDown")
LAP = Shape(LapDocument, results=[f"drivers.{key}" for key in _RESULTS], rows="drivers")
DRIVER_LAP = Shape(LapOfDriver, Lap, results=_RESULTS)
PLACES = Shape(Places, rows="drivers")

_RANGE = {
    "from": Parameter(parameters.lap_number, "first lap"),
    "to": Parameter(parameters.lap_number, "last lap"),
}
_OF_DRIVER = {"driver": Parameter(parameters.driver, "racing number or three-letter code, in any case")}


@routes.get("/sessions/<key>/laps")
@caching.kept
@described(
    "Laps in order, of all drivers or of one",
    query={**_OF_DRIVER, **_RANGE, **lists.paged(LAP)},
    answers=ListOf(LAP.schema),
    content_types=lists.CONTENT_TYPES,
    problems=(NotFound,),
)
def listed(key: str) -> Answer:
    """CSV has a row for each driver and lap.

    Reads the session and a document a lap, one more to know whether there are more; with `driver` also the laps that
    the driver did not complete, at most 600, and one document to find a code.
    """
    return _listed(key, LAP, lambda lap: lap)


@routes.get("/sessions/<key>/positions")
@caching.kept
@described(
    "The place of every car at the end of each lap",
    query={
        **_OF_DRIVER,
        **_RANGE,
        **{name: taken for name, taken in lists.paged(PLACES).items() if name != "spoilers"},
    },
    answers=ListOf(PLACES.schema),
    content_types=lists.CONTENT_TYPES,
    problems=(NotFound,),
)
def positions(key: str) -> Answer:
    """For a lap chart: places and gaps to the leader, without what else is known of a lap. CSV has a row for each
    driver and lap. Where cars are on the track is not here but in the document `live/positions`.

    Reads what the laps read.
    """
    return _listed(key, PLACES, _places)


@routes.get("/sessions/<key>/laps/<number>")
@caching.kept
@described("One lap of every driver who completed it", query=lists.one(LAP), answers=LAP.schema, problems=(NotFound,))
def lap(key: str, number: str) -> Answer:
    """Reads the session and the lap."""
    sessions.checked(key)
    try:
        which = parameters.lap_number(number)
    except ValueError as error:
        raise BadRequest("lap", f"The lap is {parameters.shorten(number)!r}, which {error}.") from None
    stored, found = reads.current().get(paths.session(key), paths.lap(key, which))
    session = sessions.required(stored, key)
    if found is None:
        raise NotFound(f"Session {key!r} has no lap {which}.")
    return lists.answer_one(found.fields, found, LAP, parameters.given(), max_age=caching.session_max_age(session))


@routes.get("/sessions/<key>/drivers/<driver_id>/laps")
@caching.kept
@described(
    "Laps of one driver in order",
    query={**_RANGE, **lists.paged(DRIVER_LAP)},
    answers=ListOf(DRIVER_LAP.schema),
    content_types=lists.CONTENT_TYPES,
    problems=(NotFound,),
)
def of_driver(key: str, driver_id: str) -> Answer:
    """Only laps that the driver completed, without a map by racing number around them.

    Reads the session, the driver (by code in one document, by number in one or two) and the laps that were looked at.
    """
    given = parameters.given()
    first, last = _range(given)
    this_list = (key, "driver", driver_id.upper(), first, last)
    first = max(first, (lists.after(given, this_list) or 0) + 1)
    session, driver = drivers.required(reads.current(), key, driver_id)
    number = driver.id
    found, more_after = _page(reads.current(), key, number, first, last, given)

    def items() -> list[dict[str, Any]]:
        return [
            {name: told for name, told in lap.fields.items() if name != "drivers"}
            | {"racingNumber": number, **lap.fields["drivers"][number]}
            for lap in found
        ]

    return lists.answer(
        items,
        [driver, *found],
        DRIVER_LAP,
        given,
        max_age=caching.session_max_age(session),
        more_after=more_after,
        this_list=this_list,
    )


def _listed(key: str, shape: Shape, item: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    given = parameters.given()
    first, last = _range(given)
    this_list = (key, "laps", given.get("driver", "").upper(), first, last)
    first = max(first, (lists.after(given, this_list) or 0) + 1)
    session = sessions.existing(reads.current(), key)
    number = drivers.number_of(reads.current(), key, given["driver"]) if "driver" in given else None
    found, more_after = _page(reads.current(), key, number, first, last, given)
    return lists.answer(
        lambda: (item(lap.fields) for lap in found),
        found,
        shape,
        given,
        max_age=caching.session_max_age(session),
        more_after=more_after,
        this_list=this_list,
        racingNumber=number,
    )


def _range(given: dict[str, Any]) -> tuple[int, int]:
    first, last = given.get("from", 1), given.get("to", parameters.MAX_LAP)
    if first > last:
        raise BadRequest("to", f"Parameter 'to' is {last}, which is before 'from', {first}.")
    return first, last


def _page(
    reads: Reads, key: str, number: str | None, first: int, last: int, given: dict[str, Any]
) -> tuple[list[Stored], int | None]:
    """A page of laps, of those a driver completed if `number` names one; of that driver alone."""
    return numbered.page(
        reads,
        paths.laps(key),
        "lap",
        first=first,
        last=last,
        limit=given.get("limit", lists.DEFAULT_LIMIT),
        only=() if number is None else _fields_of(number),
        keep=None if number is None else lambda lap: number in lap.get("drivers", {}),
    )


def _fields_of(racing_number: str) -> tuple[str, ...]:
    """Paths of what a lap document says of one driver, so that only that is sent."""
    return ("at", "lap", "v", "writtenAt", FieldPath("drivers", racing_number).to_api_repr())


def _places(lap: dict[str, Any]) -> dict[str, Any]:
    places = {
        number: {key: line[key] for key in _RESULTS if key in line}
        for number, line in lap["drivers"].items()
        if "position" in line
    }
    return {**lap, "drivers": places}
