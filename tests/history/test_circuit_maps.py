"""MultiViewer's circuit maps, from the one that is frozen: Monza 2020."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from local.web import FrozenWeb
from pitwall.history.answers import ATTEMPTS, BadAnswer, NotThere, SourceError
from pitwall.history.circuit_maps import CircuitMaps
from tests.history.frozen import WEB, Sleeps, needs_web

pytestmark = needs_web
MONZA = "multiviewer/circuits/39/2020"
LENGTH_M = 5_793
"""Of Monza, as the FIA has it."""


@pytest.fixture
def web() -> Iterator[FrozenWeb]:
    with FrozenWeb(WEB) as running:
        yield running


@pytest.fixture
def client(web: FrozenWeb) -> Iterator[CircuitMaps]:
    with CircuitMaps(web.settings["multiviewer_url"], sleep=Sleeps()) as made:
        yield made


def test_an_outline_is_closed_and_as_long_as_the_circuit(client: CircuitMaps) -> None:
    found = client.map(39, 2020)
    points = list(zip(found.x, found.y, strict=True))
    length = sum(map(math.dist, points, [*points[1:], points[0]]))
    assert length / 10 == pytest.approx(LENGTH_M, rel=0.01)
    assert (found.circuit_name, found.rotation) == ("Monza", 95)


def test_corners_are_on_the_outline_in_order(client: CircuitMaps) -> None:
    found = client.map(39, 2020)
    points = list(zip(found.x, found.y, strict=True))
    assert [corner.number for corner in found.corners] == list(range(1, 12))
    lengths = [corner.length or 0.0 for corner in found.corners]
    assert lengths == sorted(lengths)
    for corner in found.corners:
        at = (corner.track_position.x, corner.track_position.y)
        assert min(math.dist(at, point) for point in points) < 500  # 50 m


@pytest.mark.parametrize(("key", "year"), [(0, 2020), (39, 1999)])
def test_a_circuit_that_is_not_there_is_asked_for_once(client: CircuitMaps, key: int, year: int) -> None:
    with pytest.raises(NotThere, match=f"circuits/{key}/{year}"):
        client.map(key, year)
    assert client.answers.requests == 1


def test_a_map_is_kept(web: FrozenWeb, tmp_path: Path) -> None:
    for _ in range(2):
        with CircuitMaps(web.settings["multiviewer_url"], tmp_path) as client:
            assert len(client.map(39, 2020).corners) == 11
    assert len(web.asked) == 1


def test_what_passes_is_asked_for_again(web: FrozenWeb, client: CircuitMaps) -> None:
    web.refuse(502)
    web.garble("html")
    assert client.map(39, 2020).circuit_key == 39
    web.refuse(502, None)
    with pytest.raises(SourceError, match=r"circuits/39/2020: the server answers 502"):
        client.map(39, 2020)
    assert client.answers.requests == 3 + ATTEMPTS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda answer: answer["y"].pop(), "no outline: 726 x, 725 y"),
        (lambda answer: answer["miniSectorsIndexes"].append(726), "no outline"),
        (lambda answer: answer["corners"][4].pop("trackPosition"), r"trackPosition.*\$\.corners\[4\]"),
        (lambda answer: answer["x"].__setitem__(7, "east"), r"\$\.x\[7\]|\$\.x\[\.\.\.\]"),
        (lambda answer: answer.update(year=2019), "the answer is the map 39 of 2019"),
    ],
)
def test_a_map_that_is_wrong_says_where(tmp_path: Path, change: Callable[[Any], Any], says: str) -> None:
    answer = orjson.loads((WEB / f"{MONZA}.json").read_bytes())
    change(answer)
    file = tmp_path / f"{MONZA}.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(orjson.dumps(answer))
    with FrozenWeb(tmp_path) as web, CircuitMaps(web.settings["multiviewer_url"]) as client:
        with pytest.raises(BadAnswer, match=says):
            client.map(39, 2020)
        assert client.answers.requests == 1
