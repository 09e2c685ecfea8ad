"""What a run of hours is judged by: memory, log, laps, hand-overs."""

from __future__ import annotations

from typing import Any

import pytest

from local.endurance import LINES_AN_HOUR, failures


def report(**other: Any) -> dict[str, Any]:
    """Of three hours in which nothing went wrong, but for `other`."""
    return {
        "memoryMb": {"poller-a": [120.0, 125.0, 124.0]},
        "memoryGrowth": {"poller-a": 1.02},
        "logLines": {"poller-a": [40, 80, 60], "writer": [3000, 3100, 3050]},
        "handOvers": {"count": 20, "planned": 20, "p50Ms": 400, "maxMs": 900},
        "lapsDriven": 600,
        "laps": 600,
        "gaps": 0,
        "differences": [],
        "missedByAll": 0,
        "deadLetters": 0,
        "problems": {},
    } | other


def test_run_without_trouble_has_no_failures():
    assert failures(report()) == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"memoryGrowth": {"poller-a": 1.11}}, "poller-a takes more and more memory"),
        ({"logLines": {"writer": [3000, 4000]}}, "writer logs too much"),
        ({"logLines": {"recorder": [LINES_AN_HOUR["recorder"] + 1]}}, "recorder logs too much"),
        ({"laps": 599}, "599 laps of 600 are stored"),
        ({"differences": ["8001: lap 3 of car 4: missing"]}, "lap 3 of car 4"),
        ({"gaps": 1}, "gaps: 1"),
        ({"handOvers": {"count": 20, "planned": 19, "p50Ms": 400, "maxMs": 900}}, "not planned"),
        ({"deadLetters": 2}, "deadLetters: 2"),
    ],
)
def test_what_went_wrong_is_told(wrong: dict[str, Any], told: str):
    (failure,) = failures(report(**wrong))
    assert told in failure
