"""`/circuits`, `/circuits/{circuitId}` and its map in a season."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint
from msgspec import Meta

from pitwall.api import caching, description, lists, parameters, reads, seasons
from pitwall.api.caching import Answer
from pitwall.api.description import Placeholder, described
from pitwall.api.errors import NotFound
from pitwall.api.history import by_id, past
from pitwall.api.parameters import Parameter
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
    Parameter(parameters.matching(r"[0-9A-Za-z_-]{1,64}", "the id of a circuit"), "id of the circuit", "interlagos"),
)


class Mapped(Fields, kw_only=True):
    """What there is beside the circuit's own document."""

    layouts: Annotated[list[int], Meta(description="seasons of which there is a map, in order")]


CIRCUIT = Shape(CircuitDocument)
MAPPED = Shape(CircuitDocument, Mapped, name="MappedCircuit")
LAYOUT = Shape(LayoutDocument)


@routes.get("/circuits")
@lists.listing("Circuits, by id", CIRCUIT, lists.paged(CIRCUIT), problems=())
def listed() -> Answer:
    """Reads a document a circuit, one more to know whether there are more."""
    return by_id.listed(paths.CIRCUITS, "circuit", CIRCUIT)


@routes.get("/circuits/<circuit_id>")
@caching.kept
@described("One circuit, by id", query=lists.one(MAPPED), answers=MAPPED.schema, problems=(NotFound,))
def circuit(circuit_id: str) -> Answer:
    """Where it is, and the seasons of which there is a map. Reads the circuit, and a document a map."""
    found = by_id.found(paths.CIRCUITS, circuit_id)
    if found is None:
        raise NotFound(f"There is no circuit {parameters.shorten(circuit_id)!r}.")
    maps = reads.current().query(paths.layouts(found.id), limit=MOST_LAYOUTS, only=("v", "writtenAt", "year"))
    item = {**found.fields, "layouts": sorted(one.fields["year"] for one in maps)}
    return lists.answer_of(item, [found, *maps], MAPPED, parameters.given(), max_age=caching.SESSION_S)


@routes.get("/circuits/<circuit_id>/layouts/<year>")
@caching.kept
@described(
    "The map of a circuit as it was in a season", query=lists.one(LAYOUT), answers=LAYOUT.schema, problems=(NotFound,)
)
def layout(circuit_id: str, year: str) -> Answer:
    """Outline, corners, sectors, and how to turn it. The circuit says of which seasons there are maps.

    Reads a document.
    """
    season = seasons.checked(year)
    found = by_id.found(paths.CIRCUITS, circuit_id, f"/layouts/{season}")
    if found is None:
        raise NotFound(f"Of circuit {parameters.shorten(circuit_id)!r} there is no map of {season}.")
    return lists.answer_one(found.fields, found, LAYOUT, parameters.given(), max_age=past.max_age([found], season))
