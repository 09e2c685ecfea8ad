"""What race control says of lap times, word for word as it says it; drivers and times are invented."""

from __future__ import annotations

import pytest

from pitwall.timing.deletions import Ruling, ruling


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            "CAR 23 (ALB) TIME 1:27.123 DELETED - TRACK LIMITS AT TURN 4 LAP 7 15:32:01",
            Ruling("23", True, 87_123, 7, "TRACK LIMITS AT TURN 4"),
        ),
        (
            "CAR 81 (PIA) LAP DELETED - TRACK LIMITS AT TURN 15 LAP 7 16:31:06 (PIT)",
            Ruling("81", True, None, 7, "TRACK LIMITS AT TURN 15"),
        ),
        ("CAR 12 (ANT) TIME 1:25.936 WILL BE REINSTATED", Ruling("12", False, 85_936, None, None)),
        ("CAR 4 (NOR) TIME 1:25.936 HAS BEEN REINSTATED - LAP 9", Ruling("4", False, 85_936, 9, None)),
        ("CAR 4 (NOR) LAP 9 DELETED", Ruling("4", True, None, 9, None)),
        ("CAR 4 (NOR) TIME 1:25.936 WAS DELETED - YELLOW FLAG LAP 9", Ruling("4", True, 85_936, 9, "YELLOW FLAG")),
        ("car 4 (nor) time 59.936 deleted - track limits lap 9", Ruling("4", True, 59_936, 9, "TRACK LIMITS")),
    ],
)
def test_rulings(message: str, expected: Ruling) -> None:
    assert ruling(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        "",
        "RED FLAG",
        "CAR 4 (NOR) UNDER INVESTIGATION",
        "LAP TIME OF CAR 4 (NOR) - UNDER REVIEW",
        "CAR 4 (NOR) TIME 1:25.936 UNDER REVIEW",
        "CAR 4 (NOR) LAP DELETED",
        "TIME 1:25.936 DELETED - TRACK LIMITS LAP 9",
        "WAVED BLUE FLAG FOR CAR 4 (NOR) TIMED AT 15:32:01",
        "FIA STEWARDS: 5 SECOND TIME PENALTY FOR CAR 4 (NOR) - SPEEDING IN THE PIT LANE",
        "TURN 4 INCIDENT INVOLVING CARS 4 (NOR) AND 81 (PIA) NOTED - FORCING ANOTHER DRIVER OFF THE TRACK LAP 3",
    ],
)
def test_what_is_no_ruling_on_a_lap_time(message: str) -> None:
    assert ruling(message) is None
