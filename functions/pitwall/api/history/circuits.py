"""`/circuits`, `/circuits/{circuitId}` and its map in a season; kart tracks are circuits too.

What is of kart tracks alone is in `pitwall.api.circuits`.
"""

from __future__ import annotations

from typing import Annotated, Any

from flask import Blueprint
from msgspec import Meta

from pitwall.api import caching, description, lists, parameters, reads, seasons
from pitwall.api.caching import Answer
from pitwall.api.circuits import track
from pitwall.api.description import Placeholder, described
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.history import by_id, past
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.circuits import CircuitDocument
from pitwall.documents.history import LayoutDocument

routes = Blueprint("circuits", __name__)

MOST_LAYOUTS = 100
"""More seasons than there have been."""

description.PATH["circuit_id"] = Placeholder(
    "circuitId",
    Parameter(parameters.matching(r"[^/\x00-\x1f]{1,128}", "the id of a circuit"), "id of the circuit", "interlagos"),
)


class Mapped(Fields, kw_only=True):
    """What there is beside the circuit's own document."""

    layouts: Annotated[list[int], Meta(description="seasons of which there is a map, in order")]


class Heard(Fields, kw_only=True):
    """What of a kart track is not in its document."""

    feed_id: Annotated[str, Meta(description="of a kart track: by which its sessions are found")]


CIRCUIT = Shape(CircuitDocument, Heard)
MAPPED = Shape(CircuitDocument, Heard, Mapped, name="MappedCircuit")
LAYOUT = Shape(LayoutDocument)


SERIES = Parameter(parameters.one_of("f1", "kart"), "only circuits of F1's history, or only kart tracks", "kart")
_ORDERS = {None: "__name__", "f1": "circuit", "kart": "nom"}
"""By what circuits come, by the series asked for: only its circuits have that field."""


@routes.get("/circuits")
@lists.listing("Circuits and kart tracks, by id", CIRCUIT, {"series": SERIES, **lists.paged(CIRCUIT)}, problems=())
def listed() -> Answer:
    """Kart tracks alone (`series=kart`) come by name. Reads a document a circuit, one more to know whether there are
    more.
    """
    given = parameters.given()
    series, limit = given.get("series"), given.get("limit", lists.DEFAULT_LIMIT)
    order, this_list = _ORDERS[series], (paths.CIRCUITS, series)
    after = lists.after_place(given, this_list, tuple[str, str])
    if after is not None and not paths.valid_id(after[1]):
        raise BadRequest("cursor", "Parameter 'cursor' is no cursor of this list.")
    found = reads.current().query(
        paths.CIRCUITS,
        where=[("nom", ">=", "")] if series == "kart" else [],
        order_by=order,
        after=None if after is None else (after[0], paths.circuit(after[1])),
        limit=limit + 1,
    )
    last = found[limit - 1] if len(found) > limit else None
    shown = [one for one in found[:limit] if series != "f1" or not track.is_kart(one.fields)]
    return lists.answer(
        lambda: map(_item, shown),
        map(_made_of, shown),
        CIRCUIT,
        given,
        max_age=caching.CURRENT_S if series == "kart" else caching.SESSION_S,
        more_after=None if last is None else (last.fields.get(order, ""), last.id),
        this_list=this_list,
    )


def _item(circuit: Stored) -> dict[str, Any]:
    return track.shown(circuit) if track.is_kart(circuit.fields) else circuit.fields


def _made_of(circuit: Stored) -> Stored:
    return track.as_it_is(circuit) if track.is_kart(circuit.fields) else circuit


@routes.get("/circuits/<circuit_id>")
@caching.kept
@described("One circuit, by id", query=lists.one(MAPPED), answers=MAPPED, problems=(NotFound,))
def circuit(circuit_id: str) -> Answer:
    """Where it is, and the seasons of which there is a map; of a kart track what the app has of it, and its feed.

    Reads the circuit, and a document a map.
    """
    found = by_id.found(paths.CIRCUITS, circuit_id)
    if found is None:
        raise NotFound(f"There is no circuit {parameters.shorten(circuit_id)!r}.")
    if track.is_kart(found.fields):
        shown, made_of = track.shown(found), track.as_it_is(found)
        return lists.answer_one(shown, made_of, MAPPED, parameters.given(), max_age=caching.CURRENT_S)
    maps = reads.current().query(paths.layouts(found.id), limit=MOST_LAYOUTS, only=("v", "writtenAt", "year"))
    item = {**found.fields, "layouts": sorted(one.fields["year"] for one in maps)}
    return lists.answer_of(item, [found, *maps], MAPPED, parameters.given(), max_age=caching.SESSION_S)


@routes.get("/circuits/<circuit_id>/layouts/<year>")
@caching.kept
@described("The map of a circuit as it was in a season", query=lists.one(LAYOUT), answers=LAYOUT, problems=(NotFound,))
def layout(circuit_id: str, year: str) -> Answer:
    """Outline, corners, sectors, and how to turn it. The circuit says of which seasons there are maps.

    Reads a document.
    """
    season = seasons.checked(year)
    found = by_id.found(paths.CIRCUITS, circuit_id, f"/layouts/{season}")
    if found is None:
        raise NotFound(f"Of circuit {parameters.shorten(circuit_id)!r} there is no map of {season}.")
    return lists.answer_one(found.fields, found, LAYOUT, parameters.given(), max_age=past.max_age([found], season))
