"""Tyre data as the feed sends them: late, on a grid of five seconds, now and then wrong at first."""

from __future__ import annotations

from typing import Any

from local.simulator.events import Fitted
from local.simulator.wire import Wire
from local.simulator.wording import lap_time

_GRID_MS = 5_000
_MISTAKEN_FOR = {"SOFT": "MEDIUM", "MEDIUM": "HARD", "HARD": "SOFT"}
_CORRECTED = ("Compound", "New", "TyresNotChanged", "TotalLaps", "StartLaps")


class TyreData:
    """The stints in TimingAppData and TyreStintSeries."""

    def __init__(self, wire: Wire, lights_out: int) -> None:
        self._wire = wire
        self._lights_out = lights_out
        self._stints: dict[str, list[dict[str, Any]]] = {}
        self._noted: dict[str, dict[str, dict[str, Any]]] = {}
        self._bests: dict[tuple[str, str], int] = {}
        self._whole: list[str] = []

    def fitted(self, event: Fitted) -> None:
        """A new set: told at the next tick, or as unknown, as another compound, or late."""
        tyres, number = event.tyres, event.number
        right: dict[str, Any] = {
            "LapFlags": 0,
            "Compound": tyres.compound,
            "New": "true" if tyres.new else "false",
            "TyresNotChanged": "0" if tyres.changed else "1",
            "TotalLaps": tyres.age,
            "StartLaps": tyres.age,
        }
        stints = self._stints.setdefault(number, [])
        stints.append(dict(right))
        index = str(len(stints) - 1)
        first = dict(right)
        corrected_at = 0
        draw = self._wire.rng.random() if event.stint > 1 else 1.0
        if draw < 0.10:
            first |= {"Compound": "UNKNOWN", "New": "false", "TyresNotChanged": "1", "TotalLaps": 0, "StartLaps": 0}
            corrected_at = event.at + _GRID_MS + 100
        elif draw < 0.15:
            first["Compound"] = _MISTAKEN_FOR[tyres.compound]
            corrected_at = event.at + self._wire.jitter(15_000, 30_000)
        elif draw < 0.20:
            self._wire.after(event.at + self._wire.jitter(12_000, 25_000), lambda _: self._note(number, index, first))
            return
        self._note(number, index, first)
        if corrected_at:
            fields = {key: right[key] for key in _CORRECTED}
            self._wire.after(corrected_at, lambda _: self._note(number, index, fields))

    def lap_done(self, number: str) -> None:
        """One more lap on the tyres."""
        stint = self._stints[number][-1]
        stint["TotalLaps"] += 1
        self._note(number, str(len(self._stints[number]) - 1), {"TotalLaps": stint["TotalLaps"]})

    def best_lap(self, at: int, number: str, time: int, lap: int, flags: int) -> None:
        """`lap` in `time` ms: sent at once if it is the best of the stint, but never the lap out of the pits."""
        stint = self._stints[number][-1]
        index = str(len(self._stints[number]) - 1)
        best = self._bests.get((number, index))
        if stint["TotalLaps"] == stint["StartLaps"] or (best is not None and best <= time):
            return
        self._bests[number, index] = time
        fields = {"LapTime": lap_time(time), "LapNumber": lap, "LapFlags": flags}
        stint |= fields
        self._wire.lines(at, {number: {"Stints": {index: fields}}}, "TimingAppData")

    def resend(self, number: str) -> None:
        """Sends the car's whole list of stints again at the next tick."""
        self._whole.append(number)

    def tick(self, at: int) -> None:
        """Sends what was noted and plans the next tick."""
        noted, self._noted = self._noted, {}
        lines: dict[str, Any] = {}
        series: dict[str, Any] = {}
        for number, stints in noted.items():
            lines[number] = {"Stints": [stints["0"]] if at < self._lights_out else stints}
            series[number] = {
                index: {key: value for key, value in fields.items() if key != "LapFlags"}
                for index, fields in stints.items()
            }
        for number in self._whole:
            lines[number] = {"Stints": [dict(stint) for stint in self._stints[number]]}
        self._whole = []
        self._wire.lines(at, lines, "TimingAppData")
        if series:
            self._wire.say(at, "TyreStintSeries", {"Stints": series})
        self._wire.after(at + _GRID_MS + self._wire.jitter(-8, 8), self.tick)

    def _note(self, number: str, index: str, fields: dict[str, Any]) -> None:
        self._noted.setdefault(number, {}).setdefault(index, {}).update(fields)
