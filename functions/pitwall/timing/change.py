"""What the state machine reports: which part of a session changed, by the sport's names.

Where that part is stored, and in what shape, is the business of `pitwall.documents`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SESSION: Final = "session"
TOWER: Final = "tower"
ENTRIES: Final = "entries"
TYRES: Final = "tyres"
SEGMENTS: Final = "segments"
POSITIONS: Final = "positions"
TELEMETRY: Final = "telemetry"
DRIVER: Final = "driver"
LAP: Final = "lap"
RACE_CONTROL: Final = "raceControl"
WEATHER: Final = "weather"
TRACK_STATUS: Final = "trackStatus"
SESSION_STATUS: Final = "sessionStatus"
TEAM_RADIO: Final = "teamRadio"
GAP: Final = "gaps"
APP: Final = "app"
"""A kart track's board in the messages its app reads."""
ENDURANCE: Final = "endurance"
NOTICE: Final = "notices"


class Change(NamedTuple):
    """One part of a session that changed.

    what: one of this module's names.
    key: racing number of a driver, lap number of a lap, list index of an item of a series, id of a notice; "" else.
    """

    what: str
    key: str | int = ""
