"""Laps of a session: of everybody (`/laps`, `/laps/{lap}`), of one driver (`/drivers/{id}/laps`), and the places after
each (`/positions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from flask import Blueprint
from google.cloud.firestore_v1.field_path import FieldPath
from msgspec import UNSET, UnsetType

from pitwall.api import caching, drivers, lists, numbered, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import described
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
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

RANGE = {
    "from": Parameter(parameters.lap_number, "first lap"),
    "to": Parameter(parameters.lap_number, "last lap"),
}
_OF_DRIVER = {"driver": Parameter(parameters.driver, "racing number or three-letter code, in any case")}


@routes.get("/sessions/<key>/laps")
@lists.listing("Laps in order, of all drivers or of one", LAP, {**_OF_DRIVER, **RANGE, **lists.paged(LAP)})
def listed(key: str) -> Answer:
    """CSV has a row for each driver and lap.

    Reads the session and a document a lap, one more to know whether there are more; with `driver` also the laps that
    the driver did not complete, at most 600, and one document to find a code, or two to find a number with letters.
    """
    return _of_everybody(key, LAP, lambda lap: lap)


@routes.get("/sessions/<key>/positions")
@lists.listing(
    "The place of every car at the end of each lap",
    PLACES,
    {
        **_OF_DRIVER,
        **RANGE,
        **{name: taken for name, taken in lists.paged(PLACES).items() if name != "spoilers"},
    },
)
def positions(key: str) -> Answer:
    """For a lap chart: places and gaps to the leader, without what else is known of a lap. CSV has a row for each
    driver and lap. Where cars are on the track is not here but in the document `live/positions`.

    Reads what the laps read.
    """
    return _of_everybody(key, PLACES, _places)


@routes.get("/sessions/<key>/laps/<number>")
@caching.kept
@described("One lap of every driver who completed it", query=lists.one(LAP), answers=LAP, problems=(NotFound,))
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
@lists.listing("Laps of one driver in order", DRIVER_LAP, {**RANGE, **lists.paged(DRIVER_LAP)})
def of_driver(key: str, driver_id: str) -> Answer:
    """Only laps that the driver completed, without a map by racing number around them.

    Reads the session, the driver (by code in one document, by number in one or two) and the laps that were looked at.
    """
    which = asked(key, "driver", driver_id.upper())
    session, driver = drivers.required(reads.current(), key, driver_id)

    def item(lap: dict[str, Any]) -> dict[str, Any]:
        beside = {name: told for name, told in lap.items() if name != "drivers"}
        return beside | {"racingNumber": driver.id, **lap["drivers"][driver.id]}

    return page(which, session, driver.id, DRIVER_LAP, item, [driver])


def _of_everybody(key: str, shape: Shape, item: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    given = parameters.given()
    which = asked(key, "laps", given.get("driver", "").upper())
    session = sessions.existing(reads.current(), key)
    number = drivers.number_of(reads.current(), key, given["driver"]) if "driver" in given else None
    return page(which, session, number, shape, item, racingNumber=number)


class Asked(NamedTuple):
    """Which laps a request is for. this_list: of which list they are a page."""

    first: int
    last: int
    this_list: tuple[Any, ...]


def asked(*this_list: Any) -> Asked:
    """Read before anything of the database is. Raises BadRequest."""
    given = parameters.given()
    first, last = given.get("from", 1), given.get("to", parameters.MAX_LAP)
    if first > last:
        raise BadRequest("to", f"Parameter 'to' is {last}, which is before 'from', {first}.")
    this_list = (*this_list, first, last)
    return Asked(max(first, (lists.after(given, this_list) or 0) + 1), last, this_list)


def page(
    which: Asked,
    session: Stored,
    number: str | None,
    shape: Shape,
    item: Callable[[dict[str, Any]], dict[str, Any]],
    made_of: Iterable[Stored] = (),
    **depends_on: Any,
) -> Answer:
    """A page of laps, of those a driver completed if `number` names one; of that driver alone.

    item: of a lap's fields. made_of, depends_on: what it is made of and depends on besides the laps, see
    `lists.answer`.
    """
    given = parameters.given()
    found, more_after = numbered.page(
        reads.current(),
        paths.laps(session.id),
        "lap",
        first=which.first,
        last=which.last,
        limit=given.get("limit", lists.DEFAULT_LIMIT),
        only=() if number is None else _fields_of(number),
        keep=None if number is None else lambda lap: number in lap.get("drivers", {}),
    )
    return lists.answer(
        lambda: (item(lap.fields) for lap in found),
        [*made_of, *found],
        shape,
        given,
        max_age=caching.session_max_age(session),
        more_after=more_after,
        this_list=which.this_list,
        **depends_on,
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
