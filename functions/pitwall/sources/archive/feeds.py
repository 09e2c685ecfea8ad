"""Which of a session's feeds are fetched, and why; the others are left on the server."""

from __future__ import annotations

from typing import Final

USED: Final = {
    "SessionInfo": "what the session is; its end tells that the archive is complete",
    "SessionData": "changes of status with instants of their own, parts of qualifying, the leader's laps",
    "SessionStatus": "when it was started, stopped, finalised",
    "TrackStatus": "flags, safety cars",
    "ExtrapolatedClock": "the time left; the instants of all offsets are found by it",
    "DriverList": "who drives",
    "LapCount": "the race's laps",
    "TimingData": "laps, sectors, positions, gaps",
    "TimingAppData": "stints and tyres, the grid",
    "RaceControlMessages": "what race control says: deleted times among it",
    "WeatherData": "the weather",
    "TeamRadio": "where the recordings of team radio are; not the recordings",
    "PitLaneTimeCollection": "how long cars were in the pit lane",
    "PitStopSeries": "how long they stood",
    "Heartbeat": "shows that the feed is alive while nothing happens",
}
"""Topics with the reason they are fetched for."""

TELEMETRY: Final = {
    "CarData": "car channels of every car, some 4 times a second",
    "Position": "X, Y and Z of every car, some 4 times a second",
}
"""The same of telemetry: nine tenths of a session's bytes, and nothing of it is in a session's lasting documents."""

INSTEAD: Final = {"TimingData": "TimingDataF1"}
"""A topic of older years by which another one is replaced where that is missing."""

KEYFRAME_WILL_DO: Final = frozenset(
    {
        "SessionInfo",
        "DriverList",
        "SessionData",
        "LapCount",
        "TimingAppData",
        "RaceControlMessages",
        "TeamRadio",
        "PitStopSeries",
    }
)
"""Topics whose state at the end still says all they said: their keyframe is read where their stream is missing.

Of the others it would be worse than nothing: a last report as all of a session's weather, a last lap as all laps."""

AT_ONCE: Final = frozenset({"SessionInfo", "DriverList"})
"""Those of them that are read before everything else, who and what; the others after, when it is true."""

FILES: Final = {
    topic: f"{topic}.z" if topic in TELEMETRY else topic for topic in (*USED, *TELEMETRY, *INSTEAD.values())
}
"""Names of the files, without ending: where a session has no index (2018), they are asked for by these."""
