"""A few lines of feed, written by hand in its form: invented drivers, real habits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pitwall.documents.base import Document
from pitwall.documents.projection import project
from pitwall.message import Message
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.records import Car, Lap
from pitwall.timing.state import SessionState

START = 1_893_500_000_000
"""Instant 0 of every script, ms: some day in 2030."""

RACE = {"Key": 7001, "Type": "Race", "Name": "Race", "Path": "2030/here/race/"}
PRACTICE = {"Key": 7002, "Type": "Practice", "Name": "Practice 1", "Path": "2030/here/practice/"}
QUALIFYING = {"Key": 7003, "Type": "Qualifying", "Name": "Qualifying", "Path": "2030/here/qualifying/"}


SECTORS = (30_100, 29_200, 25_300)
"""Of a lap, ms."""
TOTAL = sum(SECTORS)


def seconds(ms: int) -> str:
    """A sector as the feed writes it."""
    return f"{ms / 1000:.3f}"


def lap_time(ms: int) -> str:
    """A lap time as the feed writes it."""
    return f"{ms // 60_000}:{ms % 60_000 / 1000:06.3f}"


class Script:
    """Plays messages into a state; instants are seconds after `START`."""

    def __init__(self, info: dict[str, Any] | None = RACE, started: bool = True, laps: int | None = None) -> None:
        self.state = SessionState("script")
        self.changes: list[Change] = []
        self.now = 0.0
        if info is not None:
            self.tell(0, "SessionInfo", info)
        if laps is not None:
            self.tell(0, "LapCount", {"CurrentLap": 1, "TotalLaps": laps})
        if started:
            self.status(0, "Started")

    def tell(self, at: float, topic: str, data: Any, snapshot: bool = False) -> set[Change]:
        """One message; returns what it changed."""
        self.now = max(self.now, at)
        changed = self.state.apply(Message(topic, data, START + round(at * 1000), snapshot))
        self.changes += changed
        return changed

    def line(self, at: float, number: str = "7", **values: Any) -> set[Change]:
        """A delta of one car's TimingData line."""
        return self.tell(at, "TimingData", {"Lines": {number: values}})

    def status(self, at: float, status: str) -> None:
        self.tell(at, "SessionStatus", {"Status": status})

    def race_control(self, at: float, text: str) -> None:
        n = len(self.state.data.race_control)
        self.tell(at, "RaceControlMessages", {"Messages": {str(n): {"Utc": "2030-01-01T00:00:00", "Message": text}}})

    def stints(self, at: float, told: Any, number: str = "7") -> set[Change]:
        return self.tell(at, "TimingAppData", {"Lines": {number: {"Stints": told}}})

    def sector1(self, at: float, ms: int | None, number: str = "7") -> None:
        """Sector 1: sectors 2 and 3 are cleared. ms None: the same time as on the lap before, which is not sent."""
        sectors: dict[str, Any] = {"1": {"Value": ""}, "2": {"Value": ""}}
        if ms is not None:
            sectors["0"] = {"Value": seconds(ms)}
        self.line(at, number, Sectors=sectors)

    def sector2(self, at: float, ms: int, number: str = "7") -> None:
        self.line(at, number, Sectors={"1": {"Value": seconds(ms)}})

    def lap(
        self,
        start: float,
        counter: int,
        sectors: tuple[int, int, int],
        number: str = "7",
        time: int | None = -1,
        first: bool = False,
    ) -> float:
        """One lap as the feed tells it in time; returns when it ends. time None: not sent. first: no sector 1."""
        s1, s2, s3 = sectors
        total = s1 + s2 + s3
        if not first:
            self.sector1(start + s1 / 1000, s1, number)
        self.sector2(start + (s1 + s2) / 1000, s2, number)
        values: dict[str, Any] = {"NumberOfLaps": counter, "Sectors": {"2": {"Value": seconds(s3)}}}
        if time is not None and not first:
            values["LastLapTime"] = {"Value": lap_time(total if time == -1 else time)}
        self.line(start + total / 1000, number, **values)
        return start + total / 1000

    def laps_of(self, number: str = "7") -> dict[int, Lap]:
        """The laps that were reported."""
        car = self.car(number)
        return {n: lap for n, lap in car.laps.items() if n in car.told}

    def car(self, number: str = "7") -> Car:
        return self.state.data.cars[number]

    def times(self, number: str = "7") -> dict[int, int | None]:
        """Lap times in ms by lap."""
        return {n: lap.time for n, lap in sorted(self.laps_of(number).items())}

    def finish(self) -> None:
        self.changes += self.state.finish()

    def document(self, what: str, key: str | int = "") -> Document:
        """The document of a part of the session as it is now."""
        projected = project(self.state, Change(what, key))
        assert projected is not None, f"there is no {what} {key}"
        return projected[1]


def racing(laps: int) -> tuple[Script, float]:
    """A race, and the instant at which car 7 completed so many laps of `SECTORS`."""
    script = Script()
    at = script.lap(0, 1, SECTORS, first=True)
    for lap in range(2, laps + 1):
        at = script.lap(at, lap, SECTORS)
    return script, at


def count(changes: Iterable[Change], what: str, key: str | int) -> int:
    return sum(1 for told in changes if told == Change(what, key))


TOWER, LAP, DRIVER, TYRES, SESSION, ENTRIES = (
    change.TOWER,
    change.LAP,
    change.DRIVER,
    change.TYRES,
    change.SESSION,
    change.ENTRIES,
)
