"""The session's and the track's status, which OpenF1 does not tell, from what race control said.

Rules, as seen in recordings that have both:

- `GREEN LIGHT - PIT EXIT OPEN` starts a session or a part of it, and restarts it after a red flag. In a race it starts
  the race only after the pit exit was closed; where lap 1 has a start that is the better clock.
- A red flag aborts, the chequered flag finishes. `Finalised` is nobody's word: who reads the rows tells when nothing
  more comes (`over`).
- The track is yellow while a sector is, unless it is red or under a safety car; it is clear when the last yellow sector
  is, or when race control says so of the whole track.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pitwall.sources.openf1.rows import utc

CLEAR, YELLOW, SAFETY_CAR, RED, VIRTUAL, VIRTUAL_ENDING = "1", "2", "4", "5", "6", "7"
NAMES: Final = {
    CLEAR: "AllClear",
    YELLOW: "Yellow",
    SAFETY_CAR: "SCDeployed",
    RED: "Red",
    VIRTUAL: "VSCDeployed",
    VIRTUAL_ENDING: "VSCEnding",
}

RESTARTS: Final = ("ROLLING START", "STANDING START")
"""Said half a minute after a race goes on: the better sign, the green light, was not sent (São Paulo 2025)."""


class Told(NamedTuple):
    """A change: its instant (ms), and the payloads that tell it, by topic."""

    at: int
    payloads: dict[str, dict[str, Any]]


class Statuses:
    """Follows what race control says, in order of its instants."""

    def __init__(self, race: bool, qualifying: bool) -> None:
        self._race = race
        self._qualifying = qualifying
        self._pit_exit_closed = False
        self._yellow: set[int] = set()
        self._series = 0
        self._parts = 0
        self._parts_told = False
        self.session = "Inactive"
        self.track = CLEAR
        self.part = 0
        """Part of qualifying, 0 before the first and outside qualifying."""
        self.started_at: int | None = None
        self.resumed_at = 0
        """When the session last went on, 0 before it began."""

    def opening(self, at: int) -> Told:
        """What stands before anything was said."""
        payloads = {
            "SessionStatus": {"Status": self.session},
            "TrackStatus": {"Status": self.track, "Message": NAMES[self.track]},
            "SessionData": self._status_series(at, TrackStatus=NAMES[self.track]),
        }
        return Told(at, payloads)

    def start(self, at: int) -> list[Told]:
        """Lap 1 of a race began at `at`."""
        return self._new_session("Started", at) if self.session == "Inactive" else []

    def over(self, at: int) -> list[Told]:
        """Nothing more is to come of this session."""
        return self._new_session("Finalised", at) if self.session != "Finalised" else []

    def heard(self, message: dict[str, Any], at: int, finished_at: int, start_known: bool) -> list[Told]:
        """What a message of race control changes.

        message: in the feed's words. finished_at: when the flag fell, if this is the chequered flag. start_known: lap 1
        has a start, so no green light has to be taken for it.
        """
        said = str(message.get("Message", "")).upper()
        flag, scope, sector = message.get("Flag"), message.get("Scope"), message.get("Sector")
        told: list[Told] = []
        if "PIT EXIT CLOSED" in said:
            self._pit_exit_closed = True
        elif flag == "CHEQUERED":
            told += self._new_session("Finished", finished_at)
        elif flag == "RED":
            if self.session == "Started":
                told += self._new_session("Aborted", at)
            told += self._new_track(RED, at)
        elif "PIT EXIT OPEN" in said:
            told += self._green_light(at, start_known)
        elif said in RESTARTS and self.session == "Aborted":
            told += self._new_session("Started", at)
        elif flag in ("CLEAR", "GREEN") and scope == "Track":
            self._yellow.clear()
            told += self._new_track(CLEAR, at)
        elif flag == "CLEAR" and scope == "Sector":
            self._yellow.discard(sector if isinstance(sector, int) else 0)
            if not self._yellow and self.track == YELLOW:
                told += self._new_track(CLEAR, at)
        elif flag in ("YELLOW", "DOUBLE YELLOW"):
            self._yellow.add(sector if isinstance(sector, int) else 0)
            if self.track == CLEAR:
                told += self._new_track(YELLOW, at)
        elif message.get("Category") == "SafetyCar":
            told += self._safety_car(said, at)
        return self._new_part(message, at) + told

    def _green_light(self, at: int, start_known: bool) -> list[Told]:
        told: list[Told] = []
        if self.track == RED:
            self._yellow.clear()
            told += self._new_track(CLEAR, at)
        starts = not self._race or (self._pit_exit_closed and not start_known)
        if self.session == "Aborted" or (self.session == "Inactive" and starts):
            told += self._new_session("Started", at)
        elif self.session == "Finished" and not self._race:
            if self._qualifying and not self._parts_told and self.part == self._parts:
                self._parts += 1
            told += self._new_session("Started", at)
        return told

    def _safety_car(self, said: str, at: int) -> list[Told]:
        virtual = said.startswith(("VIRTUAL", "VSC"))
        if "DEPLOYED" in said:
            return self._new_track(VIRTUAL if virtual else SAFETY_CAR, at)
        if virtual and "ENDING" in said:
            return self._new_track(VIRTUAL_ENDING, at)
        return []

    def _new_part(self, message: dict[str, Any], at: int) -> list[Told]:
        """Part of qualifying, as told or, in rows that do not tell it, as counted by flags and green lights."""
        if not self._qualifying:
            return []
        told = message.get("QualifyingPhase")
        self._parts_told = self._parts_told or isinstance(told, int)
        part = told if isinstance(told, int) else max(self._parts, 1)
        if part <= self.part:
            return []
        self.part = self._parts = part
        series = {"Series": {str(part): {"Utc": utc(at), "QualifyingPart": part}}}
        return [Told(at, {"SessionData": series, "TimingData": {"SessionPart": part}})]

    def _new_session(self, status: str, at: int) -> list[Told]:
        if status == self.session:
            return []
        if status == "Started" and self.started_at is None:
            self.started_at = at
        if status == "Started":
            self.resumed_at = at
        self.session = status
        series = self._status_series(at, SessionStatus=status)
        return [Told(at, {"SessionStatus": {"Status": status}, "SessionData": series})]

    def _new_track(self, code: str, at: int) -> list[Told]:
        if code == self.track:
            return []
        self.track = code
        payload = {"Status": code, "Message": NAMES[code]}
        series = self._status_series(at, TrackStatus=NAMES[code])
        return [Told(at, {"TrackStatus": payload, "SessionData": series})]

    def _status_series(self, at: int, **status: str) -> dict[str, Any]:
        index = str(self._series)
        self._series += 1
        return {"StatusSeries": {index: {"Utc": utc(at), **status}}}
