"""The first state of each topic: what a subscriber gets before anything has happened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local.simulator.circuit import Circuit
from local.simulator.entries import Entry
from local.simulator.wording import GMT_OFFSET_MS, PATH, RACE_CLOCK_MS, RUNNING_IN_PIT, SESSION_KEY, clock, utc

TRAPS = ("I1", "I2", "FL", "ST")
"""Speed traps: end of sectors 1 and 2, finish line, longest straight."""


def session_info(circuit: Circuit, lights_out: int, status: str) -> dict[str, Any]:
    """SessionInfo; scheduled for the quarter of an hour before the lights go out."""
    start = lights_out + GMT_OFFSET_MS
    start -= start % 900_000
    code, country = circuit.country
    return {
        "Meeting": {
            "Key": 1299,
            "Name": circuit.meeting_name,
            "OfficialName": f"FORMULA 1 {circuit.meeting_name.upper()} 2026",
            "Location": circuit.location,
            "Number": 12,
            "Country": {"Key": 990, "Code": code, "Name": country},
            "Circuit": {"Key": 990, "ShortName": circuit.name},
        },
        "SessionStatus": status,
        "ArchiveStatus": {"Status": "Generating"},
        "Key": SESSION_KEY,
        "Type": "Race",
        "Name": "Race",
        "StartDate": utc(start, 0),
        "EndDate": utc(start + RACE_CLOCK_MS, 0),
        "GmtOffset": clock(GMT_OFFSET_MS),
        "Path": PATH,
    }


def driver_list(grid: Sequence[Entry]) -> dict[str, Any]:
    return {entry.number: _driver(entry, line) for line, entry in enumerate(grid, 1)}


def _driver(entry: Entry, line: int) -> dict[str, Any]:
    return {
        "RacingNumber": entry.number,
        "BroadcastName": entry.broadcast_name,
        "FullName": entry.full_name,
        "Tla": entry.tla,
        "Line": line,
        "TeamName": entry.team.name,
        "TeamColour": entry.team.colour,
        "FirstName": entry.first_name,
        "LastName": entry.last_name,
        "Reference": entry.reference,
        "HeadshotUrl": f"https://example.com/headshots/{entry.reference.lower()}.png",
        "CountryCode": entry.country,
    }


def timing_data(grid: Sequence[Entry], circuit: Circuit) -> dict[str, Any]:
    """TimingData with every key a car's line has, everybody in the garage."""
    return {
        "Lines": {entry.number: _timing_line(entry.number, line, circuit) for line, entry in enumerate(grid, 1)},
        "Withheld": False,
    }


def _timing_line(number: str, line: int, circuit: Circuit) -> dict[str, Any]:
    def empty() -> dict[str, Any]:
        return {"Value": "", "Status": 0, "OverallFastest": False, "PersonalFastest": False}

    return {
        "GapToLeader": "",
        "IntervalToPositionAhead": {"Value": "", "Catching": False},
        "Line": line,
        "Position": str(line),
        "ShowPosition": True,
        "RacingNumber": number,
        "Retired": False,
        "InPit": True,
        "PitOut": False,
        "Stopped": False,
        "Status": RUNNING_IN_PIT,
        "Sectors": [
            {"Stopped": False, "Segments": [{"Status": 0} for _ in range(count)], **empty()}
            for count in circuit.segments_per_sector
        ],
        "Speeds": {trap: empty() for trap in TRAPS},
        "BestLapTime": {"Value": ""},
        "LastLapTime": empty(),
    }


def timing_app_data(grid: Sequence[Entry]) -> dict[str, Any]:
    """TimingAppData before the tyres are known."""
    lines = {
        entry.number: {"RacingNumber": entry.number, "Line": line, "GridPos": str(line)}
        for line, entry in enumerate(grid, 1)
    }
    return {"Lines": lines}


def timing_stats(grid: Sequence[Entry]) -> dict[str, Any]:
    """TimingStats, whose lines are ordered by number."""
    numbers = sorted((entry.number for entry in grid), key=int)
    lines = {
        number: {
            "Line": line,
            "RacingNumber": number,
            "PersonalBestLapTime": {"Value": ""},
            "BestSectors": [{"Value": ""}, {"Value": ""}, {"Value": ""}],
            "BestSpeeds": {trap: {"Value": ""} for trap in TRAPS},
        }
        for line, number in enumerate(numbers, 1)
    }
    return {"Withheld": False, "Lines": lines}


def top_three(grid: Sequence[Entry]) -> dict[str, Any]:
    """TopThree: a list of three whole lines; later deltas address them by index."""
    return {"Withheld": False, "Lines": [_top_line(entry, line) for line, entry in enumerate(grid[:3], 1)]}


def top_identity(entry: Entry) -> dict[str, Any]:
    """What TopThree sends of a driver who comes into it."""
    return {
        "RacingNumber": entry.number,
        "Tla": entry.tla,
        "BroadcastName": entry.broadcast_name,
        "FullName": entry.full_name,
        "FirstName": entry.first_name,
        "LastName": entry.last_name,
        "Reference": entry.reference,
        "Team": entry.team.name,
        "TeamColour": entry.team.colour,
    }


def _top_line(entry: Entry, line: int) -> dict[str, Any]:
    return {
        "Position": str(line),
        "ShowPosition": True,
        **top_identity(entry),
        "LapTime": "",
        "LapState": RUNNING_IN_PIT,
        "DiffToAhead": "",
        "DiffToLeader": "",
        "OverallFastest": False,
        "PersonalFastest": False,
    }
