"""`/sessions/{id}/stints` and `/sessions/{id}/pitStops`: what the drivers' documents hold, as lists of their own."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from msgspec import UNSET, UnsetType

from pitwall.api import caching, drivers, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.parameters import Parameter
from pitwall.api.shapes import Shape
from pitwall.api.table import by_number
from pitwall.documents.base import Fields, RacingNumber
from pitwall.documents.drivers import PitStop, Stint

routes = Blueprint("stints", __name__)


class OfDriver(Fields, kw_only=True):
    """Whose; the keys of a stint or a stop come beside these."""

    racing_number: RacingNumber
    tla: str | UnsetType = UNSET


STINT = Shape(OfDriver, Stint, name="StintOfDriver")
PIT_STOP = Shape(OfDriver, PitStop, name="PitStopOfDriver")

_OF_DRIVER = {"driver": Parameter(parameters.driver, "only this driver's, by racing number or code in any case")}


@routes.get("/sessions/<key>/stints")
@lists.listing("Stints of all drivers or of one", STINT, {**_OF_DRIVER, **lists.paged(STINT)})
def stints(key: str) -> Answer:
    """By racing number, each driver's in order.

    Reads the session and a document a driver, for every page; with `driver` one to three documents.
    """
    return _listed(key, "stints", STINT)


@routes.get("/sessions/<key>/pitStops")
@lists.listing("Pit stops of all drivers or of one", PIT_STOP, {**_OF_DRIVER, **lists.paged(PIT_STOP)})
def pit_stops(key: str) -> Answer:
    """By racing number, each driver's in order; drives through the lane are among them, with `stop` false.

    Reads what the stints read.
    """
    return _listed(key, "pitStops", PIT_STOP)


def _listed(key: str, name: str, shape: Shape) -> Answer:
    given = parameters.given()
    this_list = (key, name, given.get("driver", "").upper())
    after = lists.after_place(given, this_list, tuple[str, int])
    if "driver" in given:
        session, one = drivers.with_session(reads.current(), key, given["driver"])
        found = [one] if one is not None else []
    else:
        session, found = drivers.everybody(reads.current(), key)
    rows = [
        ((driver.id, number), driver.fields, told)
        for driver in found
        for number, told in enumerate(driver.fields.get(name, ()))
        if after is None or (by_number(driver.id), number) > (by_number(after[0]), after[1])
    ]
    limit = given.get("limit", lists.DEFAULT_LIMIT)

    def items() -> list[dict[str, Any]]:
        return [
            {key: driver[key] for key in ("racingNumber", "tla") if key in driver} | told
            for _, driver, told in rows[:limit]
        ]

    return lists.answer(
        items,
        found,
        shape,
        given,
        max_age=caching.session_max_age(session),
        more_after=rows[limit - 1][0] if len(rows) > limit else None,
        this_list=this_list,
    )
