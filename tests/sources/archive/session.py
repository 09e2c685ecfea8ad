"""A session of the archive written by hand, a few lines a feed, and its server: what the tests of the client fetch."""

from __future__ import annotations

import json
from typing import Any

from local.archive import ArchiveServer
from tests.sources.written import SESSION_INFO, compact

PATH = "2025/2025-06-01_Test_Grand_Prix/2025-06-01_Practice_1/"
INFO: dict[str, Any] = {**SESSION_INFO, "Path": PATH, "ArchiveStatus": {"Status": "Generating"}}
LINES: dict[str, list[tuple[str, Any]]] = {
    "SessionInfo": [("00:00:00.000", INFO)],
    "DriverList": [("00:00:00.500", {"4": {"RacingNumber": "4", "Tla": "NOR", "Line": 1}})],
    "ExtrapolatedClock": [
        ("00:00:01.000", {"Utc": "2025-06-01T12:00:01Z", "Remaining": "01:00:00", "Extrapolating": True})
    ],
    "SessionStatus": [("00:00:01.000", {"Status": "Started", "Started": "Started"})],
    "TimingData": [
        ("00:00:02.000", {"Lines": {"4": {"RacingNumber": "4", "NumberOfLaps": 3, "InPit": False}}}),
        ("00:01:29.500", {"Lines": {"4": {"NumberOfLaps": 4, "LastLapTime": {"Value": "1:27.002"}}}}),
    ],
    "WeatherData": [("00:00:03.000", {"AirTemp": "21.4", "TrackTemp": "40.0"})],
    "AudioStreams": [("00:00:04.000", {"Streams": [{"Name": "English"}]})],
}


def stream(lines: list[tuple[str, Any]]) -> bytes:
    """A feed's file as F1 writes it."""
    text = "".join(f"{clock}{compact(payload)}\r\n" for clock, payload in lines)
    return text.encode("utf-8-sig")


def put(server: ArchiveServer, lines: dict[str, list[tuple[str, Any]]] = LINES) -> str:
    """Puts the session onto a server; its path."""
    for topic, told in lines.items():
        server.write(f"{PATH}{topic}.jsonStream", stream(told))
    return PATH


def put_json(server: ArchiveServer, path: str, value: Any) -> None:
    """Puts a JSON file there, with a byte-order mark as all of F1's have."""
    server.write(path, json.dumps(value).encode("utf-8-sig"))
