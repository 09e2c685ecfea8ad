"""Circuits and drawn maps as documents: MultiViewer's map of Monza in 2020, and what Jolpica says of circuits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from local.web import FrozenWeb
from pitwall.documents.circuits import CircuitDocument
from pitwall.history import circuits
from pitwall.history.circuit_maps import CircuitMap, CircuitMaps
from pitwall.history.jolpica import Circuit, Jolpica, Location
from pitwall.history.layouts import _corners, _Outline
from tests.history.frozen import WEB, Sleeps, needs_web

pytestmark = needs_web
AT = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def web() -> Iterator[FrozenWeb]:
    with FrozenWeb(WEB) as running:
        yield running


@pytest.fixture(scope="module")
def monza(web: FrozenWeb) -> CircuitMap:
    with CircuitMaps(web.settings["multiviewer_url"], sleep=Sleeps()) as client:
        return circuits.drawn(client, 2020, {"monza": "39", "nowhere": "0"})["monza"]


def test_a_circuit_that_is_not_drawn_is_left_out(web: FrozenWeb) -> None:
    with CircuitMaps(web.settings["multiviewer_url"], sleep=Sleeps()) as client:
        assert circuits.drawn(client, 2020, {"nowhere": "0"}) == {}


def test_circuits_of_a_season_are_stored_with_their_keys(web: FrozenWeb, monza: CircuitMap) -> None:
    with Jolpica(web.settings["jolpica_url"], sleep=Sleeps()) as client:
        found = circuits.of_races(client.races(2021))
    made = circuits.documents(2021, found, {"monza": "39"}, {"monza": monza}, AT)
    assert len(found) == 21  # 22 races, two of them in Spielberg
    assert len(made) == 22
    assert set(made) >= {"circuits/red_bull_ring", "circuits/monza/layouts/2021"}
    stored = made["circuits/monza"]
    assert stored == CircuitDocument(
        at=AT,
        circuit="monza",
        name="Autodromo Nazionale di Monza",
        location="Monza",
        country="Italy",
        latitude=45.6156,
        longitude=9.28111,
        key="39",
        url="https://en.wikipedia.org/wiki/Monza_Circuit",
    )
    spielberg = made["circuits/red_bull_ring"]
    assert isinstance(spielberg, CircuitDocument)
    assert spielberg.key is UNSET


def test_a_season_without_keys_takes_none_away() -> None:
    circuit = Circuit("monza", "Monza", Location(45.6, 9.3, "Monza", "Italy"))
    before = circuits.circuit_document(circuit, "39", AT)
    made = circuits.documents(1979, [circuit], {}, {}, AT, {"circuits/monza": before})
    assert made == {"circuits/monza": before}


def test_where_sectors_end_on_a_map_stays(monza: CircuitMap) -> None:
    circuit = Circuit("monza", "Monza", Location(45.6, 9.3, "Monza", "Italy"))
    path = "circuits/monza/layouts/2020"
    timed = replace(circuits.layout_of(monza, "monza", 2020, AT), sector_ends=[1_800.0, 3_900.0])
    assert circuits.documents(2020, [circuit], {}, {"monza": monza}, AT, {path: timed})[path] == timed
    derived = replace(timed, source="positions", x=timed.x[1:], y=timed.y[1:])
    drawn = circuits.documents(2020, [circuit], {}, {"monza": monza}, AT, {path: derived})[path]
    assert drawn == circuits.layout_of(monza, "monza", 2020, AT)


def test_what_is_not_said_of_a_circuit_is_absent() -> None:
    circuit = Circuit("somewhere", "Somewhere", Location(1.0, 2.0, "", ""))
    stored = circuits.circuit_document(circuit, UNSET, AT)
    assert stored == CircuitDocument(at=AT, circuit="somewhere", name="Somewhere", latitude=1.0, longitude=2.0)


def test_a_drawn_map_is_stored_as_it_is(monza: CircuitMap) -> None:
    stored = circuits.layout_of(monza, "monza", 2020, AT)
    assert (stored.source, stored.rotation, len(stored.x), len(stored.y)) == ("multiviewer", 95, 726, 726)
    assert (len(stored.corners), len(stored.marshal_lights), len(stored.marshal_sectors)) == (11, 17, 17)
    assert stored.corners[0].distance == 907.0
    points = list(zip(stored.x, stored.y, strict=True))
    assert stored.length == pytest.approx(sum(map(math.dist, points, [*points[1:], points[0]])) / 10, abs=0.1)


def test_an_outline_that_says_its_first_point_twice_says_it_once() -> None:
    square = CircuitMap(
        circuit_key=1, circuit_name="Square", year=2020, rotation=0, x=(0, 10, 10, 0, 0), y=(0, 0, 10, 10, 0),
        corners=(),
    )  # fmt: skip
    stored = circuits.layout_of(square, "square", 2020, AT)
    assert (stored.x, stored.y, stored.length) == ([0, 10, 10, 0], [0, 0, 10, 10], 4.0)


def test_the_corners_of_a_drawn_outline_are_found_again(monza: CircuitMap) -> None:
    """By its bends alone: all eleven of Monza and no other, each within 25 m, its label on the same side."""
    drawn = circuits.layout_of(monza, "monza", 2020, AT)
    found = _corners(_Outline.through(np.array(drawn.x) / 10, np.array(drawn.y) / 10))
    assert [corner.number for corner in found] == list(range(1, 12))
    assert all(first.distance < second.distance for first, second in pairwise(found))  # type: ignore[operator]
    for corner, told in zip(found, drawn.corners, strict=True):
        assert corner.distance == pytest.approx(told.distance, abs=25)
        assert math.cos(math.radians(corner.angle - told.angle)) > 0  # type: ignore[operator]
