"""Sessions played to their end: what the tests of telemetry look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import KDTree

from local.simulator import Race, quick_race, write_recording
from pitwall.history.telemetry.grid import Telemetry, on_grid
from pitwall.history.telemetry.samples import Samples
from pitwall.history.telemetry.timing import Timing
from pitwall.message import Message
from pitwall.sources.recording import open_recording
from pitwall.timing.state import SessionState
from tests.conftest import uncounted
from tests.local.simulator.conftest import archive  # noqa: F401 (fixture)

Line = NDArray[np.float64]
"""Points of a line, metres: x and y in a row each."""


def apart(line: Line, other: Line) -> Line:
    """How far each point of one line is from the other, which is closed; to 5 cm."""
    steps = np.linspace(0.0, 1.0, 50, endpoint=False)[:, None, None]
    points = other + (np.roll(other, -1, axis=1) - other) * steps
    found: Line = KDTree(points.transpose(0, 2, 1).reshape(-1, 2)).query(line.T)[0]
    return found


@dataclass
class Played:
    """A session's messages and what was made of them."""

    messages: list[Message]
    state: SessionState
    samples: Samples
    timing: Timing
    telemetry: Telemetry


def play(path: Path) -> Played:
    with uncounted():
        source = open_recording(path)
        messages = list(source.messages())
        state, samples = SessionState(source.session), Samples()
        for message in messages:
            if not samples.take(message):
                state.apply(message)
        state.finish()
    timing = Timing.of(state)
    return Played(messages, state, samples, timing, on_grid(samples, timing))


@pytest.fixture(scope="session")
def race() -> Race:
    """A short race with every incident, car data and positions."""
    return quick_race(5, laps=10)


@pytest.fixture(scope="session")
def raced(race: Race, tmp_path_factory: pytest.TempPathFactory) -> Played:
    path = tmp_path_factory.mktemp("race") / "race.txt.gz"
    with uncounted():
        write_recording(race, path)
    return play(path)


@pytest.fixture(scope="session")
def practice(recordings: Path) -> Played:
    """The third practice of Mexico City 2024: sixteen minutes, most of them with the cars in their garages."""
    return play(recordings / "2024-mexico-city-practice-3-telemetry.txt.gz")


@pytest.fixture(scope="session", params=["raced", "practice"])
def played(request: pytest.FixtureRequest) -> Played:
    found: Played = request.getfixturevalue(request.param)
    return found
