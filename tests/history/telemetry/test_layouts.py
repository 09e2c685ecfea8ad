"""Layouts from positions: of the simulator's circuit, of Monza as it was drawn, of Monaco as it was driven."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from local.simulator import Race
from local.web import FrozenWeb
from pitwall.documents.history import LayoutDocument
from pitwall.history.circuit_maps import CircuitMap, CircuitMaps
from pitwall.history.circuits import layout_of
from pitwall.history.layouts import NoLayout, layout_from, with_sector_ends
from pitwall.history.telemetry.grid import Driven, lap_length
from pitwall.history.telemetry.laps import lap_telemetry
from pitwall.history.telemetry.samples import UNKNOWN, Samples
from pitwall.history.telemetry.timing import LapTimed, Timing
from pitwall.message import Message
from tests.history.frozen import WEB, needs_web
from tests.history.telemetry.conftest import Line, Played, apart, play

AT = datetime(2024, 1, 1, tzinfo=UTC)
START = 1_700_000_000_000


def outline(layout: LayoutDocument) -> Line:
    return np.array([layout.x, layout.y]) / 10


# -- the simulator's circuit ---------------------------------------------------------------


@pytest.fixture(scope="module")
def derived(raced: Played) -> LayoutDocument:
    return layout_from(raced.samples, raced.timing, "ardenmoor", 2026, AT)


def test_the_outline_of_a_race_is_the_circuit_it_was_driven_on(derived: LayoutDocument, race: Race) -> None:
    points = [race.circuit.point(at) for at in np.arange(0.0, race.circuit.length, 4.0)]
    truth = np.array([[point.x for point in points], [point.y for point in points]]) / 10
    for off in (apart(outline(derived), truth), apart(truth, outline(derived))):
        assert np.median(off) < 0.2
        assert off.max() < 0.6
    assert derived.length == pytest.approx(race.circuit.length, rel=0.001)
    assert derived.source == "positions"


def test_the_outline_begins_at_the_line_in_driving_order(derived: LayoutDocument, race: Race) -> None:
    for metres in (0.0, race.circuit.length / 3):
        point = race.circuit.point(metres)
        index = round(metres / race.circuit.length * len(derived.x))
        assert np.hypot(derived.x[index] - point.x, derived.y[index] - point.y) / 10 < 6


def test_sectors_end_where_their_loops_are(derived: LayoutDocument, race: Race) -> None:
    loops = [race.circuit.boundaries[index] for index in race.circuit.sector_ends[:2]]
    assert derived.sector_ends == pytest.approx(loops, abs=5)


def slow_places(metres: Line, speed: Line) -> list[float]:
    """Where on a lap it is slowest, for 100 m around, and that by more than a seventh."""
    at = np.arange(0.0, metres[-1], 5.0)
    speeds = np.interp(at, metres, speed)
    around = np.stack([np.roll(speeds, shift) for shift in range(-20, 21)])
    found: list[float] = at[(speeds == around.min(axis=0)) & (around.max(axis=0) > 1.15 * speeds)].tolist()
    return found


def test_every_place_where_cars_slow_down_is_a_corner(derived: LayoutDocument, race: Race) -> None:
    """The slow places of the ideal lap, which is not made of the outline."""
    metres = np.arange(0.0, race.circuit.length, 5.0)
    slow = slow_places(metres, np.array([race.circuit.speed_at(at) for at in metres]))
    corners = np.array([corner.distance for corner in derived.corners])
    assert len(slow) == 8
    assert len(corners) == 11
    assert max(np.abs(corners - place).min() for place in slow) < 30


def test_a_drawn_map_is_given_the_ends_of_sectors(derived: LayoutDocument, raced: Played) -> None:
    bare = LayoutDocument(
        at=AT, circuit="ardenmoor", year=2026, source="multiviewer", x=derived.x, y=derived.y, rotation=0.0,
        corners=[], marshal_lights=[], marshal_sectors=[],
    )  # fmt: skip
    told = with_sector_ends(bare, raced.samples, raced.timing)
    assert told.sector_ends == pytest.approx(derived.sector_ends, abs=1)
    assert with_sector_ends(bare, Samples(), raced.timing) == bare
    untimed = {
        number: [replace(lap, sectors_ms=(None, 1, 1)) for lap in laps] for number, laps in raced.timing.laps.items()
    }
    assert with_sector_ends(bare, raced.samples, replace(raced.timing, laps=untimed)) == bare


def test_laps_under_yellow_are_left_out(raced: Played) -> None:
    yellow = replace(raced.timing, track_status=[(raced.telemetry.start_ms, 2)])
    with pytest.raises(NoLayout, match="of 0 clean laps under green none"):
        layout_from(raced.samples, yellow, "ardenmoor", 2026, AT)


def test_every_place_of_a_race_is_on_its_outline_or_in_the_pit_lane(derived: LayoutDocument, raced: Played) -> None:
    """On the grid, where a straight line between two samples cuts off a metre of a corner; the pit lane is 18 m aside.

    On the laps driven from line to line there is no pit lane.
    """
    off, on_lap = [], []
    for number, channels in raced.telemetry.cars.items():
        known = channels["x"] != UNKNOWN
        off.append(apart(np.array([channels["x"][known], channels["y"][known]]) / 10, outline(derived)))
        clean = [lap.number for lap in raced.timing.laps[number] if lap.clean]
        on_lap.append(np.isin(channels["lap"][known], clean))
    every, whole = np.concatenate(off), np.concatenate(on_lap)
    assert whole.sum() > 20_000
    assert np.median(every[whole]) < 0.5
    assert every[whole].max() < 4.0, "as far aside as they stand on the grid"
    assert every.max() < 18.5


# -- Monza, driven on its drawn map --------------------------------------------------------


class Drive:
    """Cars on an outline: each a little aside, as told by a feed with holes, late instants and nonsense."""

    def __init__(self, line: Line, seed: int) -> None:
        self._random = Random(seed)
        closed = np.concatenate((line, line[:, :1]), axis=1)
        self._metres = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(closed, axis=1)))))
        self._closed = closed
        ahead = np.roll(line, -1, axis=1) - np.roll(line, 1, axis=1)
        turned = np.abs(np.diff(np.unwrap(np.arctan2(ahead[1], ahead[0])), append=0.0))
        bends = np.convolve(np.concatenate((turned, turned, turned)), np.ones(9) / 9, "same")[
            len(turned) : -len(turned)
        ]
        speed = np.clip(90.0 - bends * 900.0, 25.0, 90.0)
        self._times = np.concatenate(([0.0], np.cumsum(np.diff(self._metres) / speed))) * 1000
        """When the car is at each point, ms after the line."""
        self.lap_ms = round(float(self._times[-1]))
        self.timing = Timing(laps={})
        self.messages: list[Message] = []

    def place(self, ms: float, aside: float) -> tuple[float, float]:
        metres = np.interp(ms % self.lap_ms, self._times, self._metres)
        ahead, here = (np.array([np.interp(at % self._metres[-1], self._metres, row) for row in self._closed])
                       for at in (metres + 1.0, metres))  # fmt: skip
        along = (ahead - here) / np.hypot(*(ahead - here))
        return float(here[0] - aside * along[1]), float(here[1] + aside * along[0])

    def car(self, number: str, laps: int, *, nonsense: bool) -> None:
        """Drives flying laps."""
        aside, random, at = self._random.uniform(-2.0, 2.0), self._random, -1_400.0
        while at < laps * self.lap_ms + 1_400:
            x, y = self.place(at, aside + random.gauss(0, 0.3))
            drawn = random.random() if nonsense else 1.0
            if drawn < 0.01:
                x, y = x + 400, y - 300  # thrown to the other side of the circuit
            elif drawn < 0.02:
                x, y = 0.0, 0.0
            status = "OffTrack" if 0.02 < drawn < 0.03 else "OnTrack"
            if not 0.03 < drawn < 0.05:
                self._say(number, round(at), x, y, status)
                if 0.05 < drawn < 0.08:
                    self._say(number, round(at) + 30, x, y, status)  # and told once more
            at += random.choice((180, 220, 260, 300))
        ends = [START + (lap + 1) * self.lap_ms for lap in range(laps)]
        self.timing.laps[number] = [  # type: ignore[index]
            LapTimed(index + 1, end - self.lap_ms, end, self.lap_ms) for index, end in enumerate(ends)
        ]

    def _say(self, number: str, at: int, x: float, y: float, status: str) -> None:
        place = {"Status": status, "X": round(x * 10), "Y": round(y * 10), "Z": 1}
        entry: dict[str, Any] = {"Entries": {number: place}}
        self.messages.append(Message("Position", {"Position": [entry]}, START + at))


@pytest.fixture(scope="module")
def monza() -> LayoutDocument:
    with FrozenWeb(WEB) as web, CircuitMaps(web.settings["multiviewer_url"]) as client:
        drawn: CircuitMap = client.map(39, 2020)
    return layout_of(drawn, "monza", 2020, AT)


@needs_web
@pytest.mark.parametrize("nonsense", [False, True])
def test_monza_is_found_again_from_places_of_cars_driven_on_its_map(monza: LayoutDocument, nonsense: bool) -> None:
    drive = Drive(outline(monza), 7)
    for number in ("1", "4", "16", "44", "63", "81"):
        drive.car(number, 3, nonsense=nonsense)
    found = layout_from(Samples(drive.messages), drive.timing, "monza", 2020, AT)
    off = apart(outline(found), outline(monza))
    assert np.median(off) < 1.0
    assert off.max() < 3.0
    assert apart(outline(monza), outline(found)).max() < 3.0
    assert found.length == pytest.approx(monza.length, rel=0.005)
    assert np.hypot(*(outline(found)[:, 0] - outline(monza)[:, 0])) < 8
    corners = np.array([corner.distance for corner in found.corners])
    assert len(corners) in (10, 11, 12)  # noise may hide or part the third, which is 350 m wide
    assert all(np.abs(corners - told.distance).min() < 30 for told in monza.corners if told.number != 3)


@needs_web
def test_one_lap_will_do(monza: LayoutDocument) -> None:
    drive = Drive(outline(monza), 3)
    drive.car("1", 1, nonsense=False)
    found = layout_from(Samples(drive.messages), drive.timing, "monza", 2020, AT)
    off = apart(outline(found), outline(monza))
    assert np.median(off) < 2.5  # the car kept up to 2 m aside
    assert off.max() < 8.0
    assert found.length == pytest.approx(monza.length, rel=0.01)


@needs_web
def test_a_lap_with_a_hole_in_it_is_of_no_use(monza: LayoutDocument) -> None:
    drive = Drive(outline(monza), 3)
    drive.car("1", 1, nonsense=False)
    holed = [message for message in drive.messages if not 30_000 < message.at - START < 32_000]
    with pytest.raises(NoLayout, match="of 1 clean laps under green none has places all the way round"):
        layout_from(Samples(holed), drive.timing, "monza", 2020, AT)


def test_a_car_that_stands_still_drives_no_circuit() -> None:
    still = [
        Message("Position", {"Position": [{"Entries": {"1": {"Status": "OnTrack", "X": 9, "Y": 9, "Z": 1}}}]}, at)
        for at in range(START, START + 90_000, 250)
    ]
    timing = Timing(laps={"1": [LapTimed(1, START + 2_000, START + 85_000, 83_000)]})
    with pytest.raises(NoLayout):
        layout_from(Samples(still), timing, "nowhere", 2024, AT)


# -- what was driven -----------------------------------------------------------------------


def test_monaco_is_as_long_as_its_cars_drove_and_no_place_is_off_it(recordings: Path) -> None:
    """Practice 2 of 2023: 13 fast laps of 13 cars. By their speeds 3,285 m; as the FIA measures it, 3,337."""
    monaco = play(recordings / "2023-monaco-practice-2-signalr.txt.gz")
    found = layout_from(monaco.samples, monaco.timing, "monaco", 2023, AT)
    driven = {number: Driven.of(track) for number, track in monaco.samples.cars.items()}
    assert found.length == pytest.approx(lap_length(driven, monaco.timing.laps), rel=0.005)
    fastest = [
        (number, lap)
        for number, laps in monaco.timing.laps.items()
        for lap in laps
        if lap.clean and lap.time_ms is not None and lap.time_ms < 75_000 and lap.started_at and lap.ended_at
    ]
    assert len(fastest) == 13
    for number, lap in fastest:
        track = monaco.samples.positions[number]
        within = (track.at >= lap.started_at) & (track.at <= lap.ended_at)
        places = np.array([track.channels["x"][within], track.channels["y"][within]]) / 10
        assert apart(places, outline(found)).max() < 1.0
    assert len(found.sector_ends or ()) == 2
    corners = np.array([corner.distance for corner in found.corners])
    assert len(corners) == 24  # the circuit counts 19, without its kinks
    lap = lap_telemetry(monaco.samples, monaco.timing, "16", length_m=found.length)
    slow = slow_places(lap.metres, lap.channels["speed"])
    assert len(slow) >= 7
    assert max(np.abs(corners - place).min() for place in slow) < 35


def test_cars_of_a_practice_drive_on_one_line(practice: Played) -> None:
    """Mexico City 2024, where nobody completed a lap: the places of three cars, on their way from the pit lane round
    half of the circuit, are on the line of a fourth that went before."""
    tracks = {
        number: np.array([track.channels["x"], track.channels["y"]]) / 10
        for number, track in practice.samples.positions.items()
    }
    for number in ("1", "14", "18"):
        assert np.hypot(*np.diff(tracks[number], axis=1)).sum() > 2_000
        assert apart(tracks[number], tracks["63"]).max() < 1.0


def test_a_practice_in_which_nobody_drove_a_lap_gives_no_layout(practice: Played) -> None:
    with pytest.raises(NoLayout, match="of 0 clean laps"):
        layout_from(practice.samples, practice.timing, "rodriguez", 2024, AT)
