"""The tower where there is no terminal: a line a lap in a race, else one every half minute of feed time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TextIO

from local.tower import text
from local.tower.model import Known, TowerModel, instant_ms
from pitwall.timing.session_status import OVER

PERIOD_MS = 30_000
CARS = 10
"""How many cars a line names: the points."""


def line(known: Known) -> str:
    """The tower in one line: `LAP 12/57  1 ABC  2 DEF +1.234 ...  best 1:21.345 ABC  [SC]`."""
    parts = [_when(known)]
    named = [item for item in known.order if "p" in item[1]]
    parts += [_car(known, number, car) for number, car in named[:CARS]]
    if len(named) > CARS:
        parts.append("...")
    best_by = known.best_lap_by
    if best_by is not None:
        parts.append(f"best {text.lap_time(known.best_lap_ms)} {text.driver(known.entry(best_by), best_by)}")
    flag = text.SHORT_TRACK.get(known.session.get("trackStatus", {}).get("code", ""))
    if flag:
        parts.append(f"[{flag}]")
    return "  ".join(part for part in parts if part)


def _title(known: Known) -> str:
    """`Test Grand Prix: Qualifying`, as far as it is known."""
    names = known.session.get("meeting", {}).get("name"), known.session.get("name")
    return ": ".join(str(name) for name in names if name) or "the next session"


def _when(known: Known) -> str:
    if known.session.get("status") in OVER:
        return "FINISHED"
    if known.racing:
        led = known.laps_led
        return text.laps(known.laps[0] if led is None else led, known.laps[1])
    part = known.session.get("qualifying", {}).get("part")
    # At the instant of the tower, not now: a line does not depend on when it is written.
    clock = text.clock(known.remaining_ms(known.received_at or 0))
    return " ".join(word for word in (f"Q{part}" if part else "", clock) if word)


def _car(known: Known, number: str, car: Mapping[str, Any]) -> str:
    words = [str(car["p"]), text.driver(known.entry(number), number)]
    if car.get("rt"):
        words.append("RET")
    elif car["p"] > 1:
        words.append(text.gap(car.get("g"), car.get("ld")))
    elif not known.racing:
        words.append(text.lap_time(known.tyre(number).get("bestLapMs")))
    if car.get("ip") and known.racing:
        words.append("PIT")
    return " ".join(word for word in words if word)


class PlainTower:
    """Writes lines as documents come; `start` and `stop`, or as a context manager, like `LiveTower`.

    out: where to; standard output if not told.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self.model = TowerModel()
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._lap = 0
        self._written_at: int | None = None
        self._last = ""
        self._session = ""

    def on_change(self, path: str, fields: dict[str, Any]) -> None:
        """For a listener (`local.tower.listening`): takes note of a document, and writes a line if one is due.

        Where another session follows, its name comes first.
        """
        self.model.on_change(path, fields)
        if self.model.session != self._session:
            with self._lock:
                if self._session:
                    print(_title(self.model.known()), file=self._out, flush=True)
                self._session, self._lap, self._written_at = self.model.session, 0, None
        if path.endswith("/live/timing"):
            with self._lock:
                known = self.model.known()
                if self._due(known):
                    self._write(known)

    def start(self) -> None:
        """Nothing to do: lines come with the documents."""

    def stop(self) -> None:
        """Writes how it stands, unless that is the last line already."""
        with self._lock:
            known = self.model.known()
            if known.timing and line(known) != self._last:
                self._write(known)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _due(self, known: Known) -> bool:
        if not known.session:
            return False  # whether it is a race is not known yet
        if known.racing:
            led = known.laps_led
            if led is None or led <= self._lap:
                return False
            self._lap = led
            return True
        at = instant_ms(known.timing.get("at"))
        if at is None or (self._written_at is not None and at - self._written_at < PERIOD_MS):
            return False
        self._written_at = at
        return True

    def _write(self, known: Known) -> None:
        self._last = line(known)
        print(self._last, file=self._out, flush=True)
