"""The plain encoding: one JSON object with a list of frames, made for a replay viewer that reads it as it is.

What is not known is absent. Lengths are metres, the gap is seconds, as a viewer shows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from pitwall.history.telemetry.grid import CHANNELS, Telemetry
from pitwall.history.telemetry.samples import UNKNOWN, Ints

_AT_ONCE: Final = 256
"""Frames made at a time: a whole race of them as Python objects would take half a gigabyte."""
SCALES: Final = {"x": 10, "y": 10, "z": 10, "distance": 10, "gap": 1000}
"""Units of `Telemetry` in one of JSON's."""


def header(telemetry: Telemetry) -> dict[str, Any]:
    """What is said once: of which session and which instants, and the weather reports that frames point to."""
    told: dict[str, Any] = {
        "session": telemetry.session,
        "race": telemetry.race,
        "startMs": telemetry.start_ms,
        "stepMs": telemetry.step_ms,
        "frameCount": telemetry.frames,
        "weatherReports": telemetry.weather_reports,
    }
    if telemetry.lap_length is not None:
        told["lapLength"] = telemetry.lap_length / 10
    return told


def frames(telemetry: Telemetry, first: int = 0, last: int | None = None) -> list[dict[str, Any]]:
    """Frames from `first` to before `last`, as they stand in the JSON."""
    part = slice(first, telemetry.frames if last is None else last)
    at = ((telemetry.at - telemetry.start_ms)[part] / 1000.0).tolist()
    numbers = list(telemetry.cars)
    leader = _told(telemetry.leader[part], numbers)
    status, weather = _told(telemetry.track_status[part]), _told(telemetry.weather[part])
    made: list[dict[str, Any]] = []
    for time, leads, code, report in zip(at, leader, status, weather, strict=True):
        frame: dict[str, Any] = {"t": time, "cars": {}}
        if leads is not None:
            frame["leader"] = leads
        if code is not None:
            frame["trackStatus"] = code
        if report is not None:
            frame["weather"] = report
        made.append(frame)
    for number, channels in telemetry.cars.items():
        columns = [
            _told(channels[name][part], telemetry.compounds if name == "compound" else None, SCALES.get(name))
            for name in CHANNELS
        ]
        for frame, values in zip(made, zip(*columns, strict=True), strict=True):
            car = {name: value for name, value in zip(CHANNELS, values, strict=True) if value is not None}
            if car:
                frame["cars"][number] = car
    return made


def _told(values: Ints, names: list[str] | None = None, scale: int | None = None) -> list[Any]:
    """Values as JSON has them; None where not known."""
    unknown = values == UNKNOWN
    told: list[Any] = (values / scale).tolist() if scale else values.tolist()
    if names is not None:
        told = [None if missing else names[value] for value, missing in zip(told, unknown.tolist(), strict=True)]
    elif unknown.any():
        told = [None if missing else value for value, missing in zip(told, unknown.tolist(), strict=True)]
    return told


def encoded(telemetry: Telemetry) -> Iterator[bytes]:
    """The JSON in pieces: `{...header, "frames": [...]}`."""
    yield orjson.dumps(header(telemetry))[:-1] + b',"frames":['
    for first in range(0, telemetry.frames, _AT_ONCE):
        piece = orjson.dumps(frames(telemetry, first, min(first + _AT_ONCE, telemetry.frames)))[1:-1]
        yield b"," + piece if first else piece
    yield b"]}"
