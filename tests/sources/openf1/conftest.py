"""A simulated race and a real sprint, each as its recording tells it and as OpenF1 would have had it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.openf1 import Rows, rows_of
from local.simulator import quick_race
from pitwall.message import Message
from pitwall.sources.recording import open_recording
from pitwall.timing.state import SessionState
from tests.sources.openf1.playing import played, write


@dataclass(frozen=True)
class Told:
    """A session twice: the state its recording ends in, and its rows. retired: cars that did not reach the flag."""

    state: SessionState
    rows: Rows
    path: Path

    def messages(self) -> Iterator[Message]:
        """Of the recording."""
        return open_recording(self.path).messages()

    @property
    def retired(self) -> set[str]:
        return {number for number in self.state.data.cars if self.state.line(number).get("Retired")}


def _told(path: Path) -> Told:
    source = open_recording(path)
    return Told(played(source.session, source.messages()), rows_of(source), path)


@pytest.fixture(scope="session")
def race(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Ten laps with every incident: safety cars, a red flag, deleted laps, stops, retirements."""
    return _told(write(tmp_path_factory.mktemp("openf1") / "race.txt.gz", quick_race(1, telemetry=False)))


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Two laps."""
    return _told(write(tmp_path_factory.mktemp("openf1") / "short.txt.gz", quick_race(3, laps=2, telemetry=False)))


@pytest.fixture(scope="session")
def sprint(recordings: Path) -> Told:
    """Qatar 2025."""
    return _told(recordings / "2025-qatar-sprint.txt.gz")
