"""Two sessions of a live feed in a row, the pollers handing over all the while: the short form of `make soak`."""

from __future__ import annotations

from typing import Any

import pytest

from local.emulators import Emulator, Emulators
from local.endurance import LINES_AN_HOUR, Endurance

pytestmark = [pytest.mark.e2e, pytest.mark.long]

LIFE_S = 10.0
SPEED = 15.0


@pytest.fixture(scope="module")
def report(firestore_emulator: Emulator, pubsub_emulator: Emulator, storage_emulator: Emulator) -> dict[str, Any]:
    return Endurance(
        hours=8 / 60,
        speed=SPEED,
        life_minutes=LIFE_S * SPEED / 60,
        period_minutes=4,
        telemetry=False,
        project="test-endurance",
        emulators=Emulators(firestore_emulator, pubsub_emulator, storage_emulator),
    ).run()


def test_no_lap_is_lost_added_or_changed(report: dict[str, Any]):
    assert report["sessions"] == 2
    assert report["laps"] == report["lapsDriven"] > 60
    assert report["differences"] == []


def test_hand_overs_leave_no_gap(report: dict[str, Any]):
    assert report["handOvers"]["planned"] >= 3
    assert (report["gaps"], report["missedByAll"], report["deadLetters"]) == (0, 0, 0)


def test_pollers_go_from_session_to_session_and_leave_after_the_last(report: dict[str, Any]):
    assert report["outcomes"]["session-over"] == 1
    assert not {"ended", "failed"} & report["outcomes"].keys()


def test_log_stays_short(report: dict[str, Any]):
    assert all(max(lines) <= LINES_AN_HOUR[process] for process, lines in report["logLines"].items())
    assert all(sum(lines) for lines in report["logLines"].values())
