"""Circuits as documents: who and where they are from Jolpica, F1's key from its sessions, the map from MultiViewer.

A circuit's map is of a year, as circuits are rebuilt. Where MultiViewer has none, `layouts.layout_from` makes one of
the cars' positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from math import dist
from types import MappingProxyType

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.circuits import CircuitDocument
from pitwall.documents.history import LayoutDocument, TrackPoint
from pitwall.history.answers import NotThere
from pitwall.history.circuit_maps import CircuitMap, CircuitMaps, Marker
from pitwall.history.jolpica import Circuit, Race

Keys = Mapping[str, str]
"""F1's key of a circuit (`meeting.circuit.key` of a session's document), by the circuit's id."""


def documents(
    year: int,
    circuits: Iterable[Circuit],
    keys: Keys,
    maps: Mapping[str, CircuitMap],
    at: datetime,
    before: Mapping[str, Document] = MappingProxyType({}),
) -> dict[str, Document]:
    """The circuits of a season and those of their layouts that were drawn, by path. maps: by the circuit's id.

    before: what is stored at these paths. Of it stay keys that this season does not tell, and where sectors end.
    """
    made: dict[str, Document] = {}
    for circuit in circuits:
        id_ = circuit.circuit_id
        path = paths.circuit(id_)
        known = before.get(path)
        key = keys.get(id_) or (known.key if isinstance(known, CircuitDocument) else UNSET)
        made[path] = circuit_document(circuit, key, at)
        if id_ in maps:
            path = paths.layout(id_, year)
            known = before.get(path)
            layout = layout_of(maps[id_], id_, year, at)
            if isinstance(known, LayoutDocument) and (known.x, known.y) == (layout.x, layout.y):
                layout = replace(layout, sector_ends=known.sector_ends)
            made[path] = layout
    return made


def of_races(races: Iterable[Race]) -> list[Circuit]:
    """The circuits of a season's races, each once, in the order of the calendar."""
    return list({race.circuit.circuit_id: race.circuit for race in races}.values())


def drawn(client: CircuitMaps, year: int, keys: Keys) -> dict[str, CircuitMap]:
    """MultiViewer's maps of circuits in a season, by the circuit's id, without those that it has not.

    Raises BadAnswer, Throttled, SourceError.
    """
    found = {}
    for id_, key in keys.items():
        try:
            found[id_] = client.map(int(key), year)
        except NotThere:
            continue
    return found


def circuit_document(circuit: Circuit, key: str | UnsetType, at: datetime) -> CircuitDocument:
    """key: F1's."""
    where = circuit.location
    return CircuitDocument(
        at=at,
        circuit=circuit.circuit_id,
        name=circuit.circuit_name,
        location=where.locality or UNSET,
        country=where.country or UNSET,
        latitude=where.lat,
        longitude=where.long,
        key=key,
        url=circuit.url or UNSET,
    )


def layout_of(drawing: CircuitMap, circuit: str, year: int, at: datetime) -> LayoutDocument:
    """A map as it is stored. circuit: its id."""
    x, y = [round(value) for value in drawing.x], [round(value) for value in drawing.y]
    if (x[0], y[0]) == (x[-1], y[-1]):
        x, y = x[:-1], y[:-1]
    return LayoutDocument(
        at=at,
        circuit=circuit,
        year=year,
        source="multiviewer",
        x=x,
        y=y,
        rotation=drawing.rotation,
        length=round(closed_length(list(zip(x, y, strict=True))) / 10, 1),
        corners=[_point(marker) for marker in drawing.corners],
        marshal_lights=[_point(marker) for marker in drawing.marshal_lights],
        marshal_sectors=[_point(marker) for marker in drawing.marshal_sectors],
    )


def closed_length(outline: list[tuple[int, int]]) -> float:
    """How long a line is that comes back to where it began, in its own unit."""
    return sum(dist(here, there) for here, there in pairwise([*outline, outline[0]]))


def _point(marker: Marker) -> TrackPoint:
    return TrackPoint(
        number=marker.number,
        letter=marker.letter or UNSET,
        x=round(marker.track_position.x),
        y=round(marker.track_position.y),
        angle=round(marker.angle, 1),
        distance=UNSET if marker.length is None else round(marker.length / 10, 1),
    )
