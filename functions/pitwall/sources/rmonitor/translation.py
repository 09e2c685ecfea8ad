"""Turns lines of RMonitor and Race Monitor into messages of kart timing (`pitwall.karting.vocabulary`).

Total: whatever a line is, the translation goes on with the next; what it cannot use is counted. Two things make it
wait: after a connect or a reset (`$I`) the whole board is sent anew, over several packets, and is told as one `GRID` at
the first heartbeat (`$F`) after it; and a passing (`$J`) is told with the count of laps (`$G`) that follows it, because
one that is not counted ends no lap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from pitwall.karting import vocabulary
from pitwall.karting.values import duration_ms
from pitwall.karting.vocabulary import FlagName, SessionType
from pitwall.message import Message
from pitwall.sources.record import Reject
from pitwall.sources.rmonitor import protocol, values
from pitwall.sources.rmonitor.board import UNKNOWN, Row
from pitwall.sources.rmonitor.protocol import Fields

MOST_ROWS: Final = 1_000
LONGEST_TEXT: Final = 200
CLOCK_DRIFT_MS: Final = 2_000
"""The clock is told anew when it is further than this from where it would be by itself."""
PATIENCE_MS: Final = 5_000
"""A board is told without a heartbeat after this long."""
_HALF_HOUR_MS: Final = 1_800_000
_DAY_MS: Final = 86_400_000
_TIME_OF_DAY_OFF_MS: Final = 300_000
"""A time of day that is further than this from any zone's is that of a clock that is wrong."""


class _Passing(NamedTuple):
    lap_ms: int
    total_ms: int | None


class _Clock(NamedTuple):
    remaining_ms: int | None
    elapsed_ms: int | None
    running: bool
    at: int


class Translation:
    """The lines of one connection, or one recording, in order."""

    def __init__(self, reject: Reject, in_utc: bool = True) -> None:
        """reject: called with the reason for everything that cannot be used. in_utc: False where the instants given are
        the circuit's own time of day."""
        self._reject = reject
        self._in_utc = in_utc
        self._at = 0
        self._out: list[Message] = []
        self._rows: dict[str, Row] = {}
        self._before: dict[str, Row] = {}
        self._touched: dict[str, None] = {}
        self._classes: dict[str, str] = {}
        self._collecting = True
        self._collects_since = 0
        self._run: tuple[str, str] | None = None
        self._told_run: tuple[str, str] | None = None
        self._sort = ""
        self._track = ""
        self._zone = ""
        self._session: vocabulary.Session = {}
        self._passings: dict[str, _Passing] = {}
        self._flag: FlagName | None = None
        self._clock: _Clock | None = None
        self._to_go: int | None = None
        self._lap_count: vocabulary.LapCount = {}
        self._records: dict[str, Callable[[Fields], None]] = {
            "A": self._competitor,
            "COMP": self._competitor,
            "B": self._run_told,
            "C": self._class,
            "E": self._setting,
            "F": self._heartbeat,
            "G": self._race,
            "H": self._best,
            "I": self._reset,
            "J": self._passing,
            "COR": self._corrected,
            "RMS": self._sorted,
            "RMHL": self._history,
        }

    def read(self, lines: Iterable[str], at: int) -> list[Message]:
        """The messages of lines that came together, whole ones, at the instant `at`, ms since the epoch."""
        self._at, self._out = at, []
        if self._collecting and self._rows and at - self._collects_since > PATIENCE_MS:
            self._tell_board()
        for line in lines:
            for record in protocol.records(line, self._reject):
                self._records[record.tag](record)
        self._tell_lines()
        return self._out

    def connected_anew(self) -> None:
        """What follows is of another connection: everything is sent anew, as after a reset."""
        self._out = []
        self._reset()

    def _tell(self, topic: str, data: Any, snapshot: bool = False) -> None:
        self._out.append(vocabulary.message(topic, data, self._at, snapshot))

    # -- the session -----------------------------------------------------------------------

    def _reset(self, _record: Fields | None = None) -> None:
        """Everything is sent anew: of the same run, or of another one that the next `$B` names."""
        if not self._collecting:
            self._before = self._rows
            self._tell_lines()
        self._rows, self._collecting, self._run = {}, True, None
        self._touched.clear()
        self._passings.clear()

    def _run_told(self, record: Fields) -> None:
        run = (record.at(0)[:LONGEST_TEXT], record.at(1)[:LONGEST_TEXT])
        self._run = run
        if self._collecting or run == self._told_run:
            return
        if self._told_run is not None and run[0] != self._told_run[0]:
            # The next run without a reset: its board comes with one, or row by row.
            self._tell_lines()
            self._rows, self._before, self._collecting = {}, {}, True
            self._passings.clear()
            return
        self._told_run = run
        self._correct_session()

    def _setting(self, record: Fields) -> None:
        if record.at(0).upper() == "TRACKNAME":
            self._track = record.at(1)[:LONGEST_TEXT]
            self._correct_session()

    def _sorted(self, record: Fields) -> None:
        self._sort = record.at(0).lower()
        self._touched.update(dict.fromkeys(self._rows))
        self._correct_session()

    def _describe_session(self) -> vocabulary.Session:
        run = self._told_run
        told = vocabulary.Session(Title="", Name=run[1] if run is not None else "")
        if run is not None and run[0]:
            told["Run"] = run[0]
        if (kind := self._session_type()) is not None:
            told["Type"] = kind
        if self._track:
            told["Track"] = self._track
        if self._zone:
            told["GmtOffset"] = self._zone
        return told

    def _session_type(self) -> SessionType | None:
        """By the name of the run; else by how Race Monitor sorts it."""
        told = values.session_type(self._told_run[1]) if self._told_run is not None else None
        return told or {"race": "Race", "qualifying": "Practice"}.get(self._sort)  # type: ignore[return-value]

    def _correct_session(self) -> None:
        if self._collecting:
            return
        told = self._describe_session()
        changed = {name: value for name, value in told.items() if self._session.get(name) != value}
        if changed:
            self._session = told
            self._tell(vocabulary.SESSION, changed)

    def _tell_board(self) -> None:
        """The session and all its rows, when they have come."""
        same = self._run is None or self._run == self._told_run
        if self._run is not None:
            self._told_run = self._run
        for name, row in self._rows.items():
            if same and name in self._before:
                row.goes_on(self._before[name])
        self._session = self._describe_session()
        rows = self._rows.values()
        counted = bool(rows) and all(row.laps is not None for row in rows)
        fresh = counted and not any(row.driven or row.laps or row.total_ms for row in rows)
        self._tell(vocabulary.SESSION, {**self._session, "Fresh": True} if fresh else dict(self._session), True)
        order = self._order()
        for row in rows:
            row.told = row.line(self._classes, order)
        self._tell(vocabulary.GRID, {"Lines": {name: dict(row.told) for name, row in self._rows.items()}}, True)
        self._before, self._collecting = {}, False
        self._touched.clear()
        if fresh or not same:
            self._flag = self._clock = None
            self._lap_count = {}

    # -- the heartbeat ---------------------------------------------------------------------

    def _heartbeat(self, record: Fields) -> None:
        self._note_zone(record.at(2))
        if self._collecting:
            if not self._rows and self._run is None:
                return
            self._tell_board()
        for registration in list(self._passings):
            self._passed(registration, self._passings.pop(registration))
        flag = values.FLAGS.get(record.at(4).lower())
        if flag is None:
            self._reject("unknown-flag")
        elif flag != self._flag:
            self._flag = flag
            self._tell_lines()
            self._tell(vocabulary.FLAG, {"Flag": flag})
        self._tell_clock(duration_ms(record.at(1)), duration_ms(record.at(3)))
        self._tell_lap_count(values.integer(record.at(0)))

    def _note_zone(self, time_of_day: str) -> None:
        """The circuit's zone, by how far its time of day is from the instant."""
        told = values.time_of_day_ms(time_of_day) if self._in_utc and not self._zone else None
        if told is None:
            return
        off = (told - self._at + _DAY_MS // 2) % _DAY_MS - _DAY_MS // 2
        half_hours = round(off / _HALF_HOUR_MS)
        if abs(off - half_hours * _HALF_HOUR_MS) > _TIME_OF_DAY_OFF_MS:
            return
        hours, minutes = divmod(abs(half_hours) * 30, 60)
        self._zone = f"{'-' if half_hours < 0 else ''}{hours:02}:{minutes:02}:00"
        self._correct_session()

    def _tell_clock(self, left: int | None, elapsed: int | None) -> None:
        if left is None and elapsed is None:
            self._reject("bad-clock")
            return
        running = self._flag not in (None, "none", "chequered")
        now = _Clock(left or None, elapsed if running else None, running, self._at)
        before = self._clock
        if before is not None and before.running == running and not self._drifts(before, now):
            return
        self._clock = now
        told: vocabulary.Clock = {}
        if now.remaining_ms is not None:
            told["RemainingMs"] = now.remaining_ms
        if now.elapsed_ms is not None:
            told["ElapsedMs"] = now.elapsed_ms
        if told:
            told["Running"] = running
        elif before is None:
            return
        self._tell(vocabulary.CLOCK, told)

    @staticmethod
    def _drifts(before: _Clock, now: _Clock) -> bool:
        passed = now.at - before.at if now.running else 0
        pairs = ((before.remaining_ms, now.remaining_ms, -passed), (before.elapsed_ms, now.elapsed_ms, passed))
        for old, new, change in pairs:
            if (old is None) != (new is None):
                return True
            if old is not None and new is not None and abs(new - max(old + change, 0)) > CLOCK_DRIFT_MS:
                return True
        return False

    def _tell_lap_count(self, to_go: int | None) -> None:
        """Of a race over laps. The laps to go and the leader's count change a moment apart: told when both stand."""
        before, self._to_go = self._to_go, to_go
        if to_go is None or to_go != before or not 0 < to_go < values.NO_LAPS_TO_GO:
            return
        done = next((row.driven for row in self._rows.values() if row.place == 1), 0)
        told = vocabulary.LapCount(Current=done, Total=done + to_go)
        if told != self._lap_count:
            self._lap_count = told
            self._tell(vocabulary.LAP_COUNT, told)

    # -- the board -------------------------------------------------------------------------

    def _row(self, registration: str) -> Row | None:
        if not 0 < len(registration) <= 64:
            self._reject("bad-registration")
            return None
        row = self._rows.get(registration)
        if row is None:
            if len(self._rows) >= MOST_ROWS:
                self._reject("too-many-rows")
                return None
            if not self._rows:
                self._collects_since = self._at
            row = self._rows[registration] = Row(registration)
        self._touched[registration] = None
        return row

    def _order(self) -> int | None:
        """The best lap of all, 0 if there is none yet, where the order is by best laps; None in a race."""
        by_best = self._session.get("Type") in ("Practice", "Qualifying")
        return self._best_of_all() if self._sort == "qualifying" or (by_best and self._sort != "race") else None

    def _best_of_all(self) -> int:
        return min((row.best_ms for row in self._rows.values() if row.best_ms), default=0)

    def _tell_lines(self) -> None:
        """What changed in the rows, unless the whole board is still awaited."""
        if self._collecting:
            return
        lines: dict[str, dict[str, Any]] = {}
        order = self._order()
        for registration in self._touched:
            row = self._rows.get(registration)
            if row is not None and (changed := row.changes(row.line(self._classes, order))):
                lines[registration] = changed
        self._touched.clear()
        if lines:
            self._tell(vocabulary.LINES, lines)

    def _competitor(self, record: Fields) -> None:
        """`$A` registration, number, transponder, first, last, nationality, class; `$COMP` registration, number, class,
        first, last, nationality, additional data."""
        row = self._row(record.at(0))
        if row is None:
            return
        number, first, last, nation = (record.at(index)[:LONGEST_TEXT] for index in (1, 3, 4, 5))
        row.number, row.first, row.last, row.nation = number, first, last, nation
        row.category = record.at(6 if record.tag == "A" else 2)[:LONGEST_TEXT]
        if record.tag == "COMP":
            row.team = record.at(6)[:LONGEST_TEXT]

    def _class(self, record: Fields) -> None:
        number, name = record.at(0)[:LONGEST_TEXT], record.at(1)[:LONGEST_TEXT]
        if self._classes.get(number) == name or (number not in self._classes and len(self._classes) >= MOST_ROWS):
            return
        self._classes[number] = name
        self._touched.update((registration, None) for registration, row in self._rows.items() if row.category == number)

    def _race(self, record: Fields) -> None:
        """`$G` position, registration, laps (none are empty), total."""
        place, laps = values.integer(record.at(0)), values.integer(record.at(2) or "0")
        if place is None or place < 1 or laps is None:
            self._reject("bad-race-record")
            return
        row = self._row(record.at(1))
        if row is None:
            return
        row.place = place
        total = self._total(record.at(3), laps)
        passing = self._passings.pop(row.registration, None)
        if self._collecting:
            row.laps, row.total_ms, row.driven = laps, total, max(laps, row.best_lap, 0)
            return
        before_laps, before_total, by_totals = row.laps, row.total_ms, row.lap_of(laps, total)
        row.count(laps, total)
        if total is None or total == before_total:
            return
        if before_laps is None or laps >= before_laps:
            row.behind(self._rows.values())
        else:
            row.gap = row.interval = UNKNOWN
        rose = before_laps is None or laps > before_laps
        lap_ms = (passing.lap_ms if passing is not None else None) or (by_totals if rose else None)
        if lap_ms and row.driven:
            # Counted; or, where the count is what it was, its time is told anew by another loop.
            row.lap_ms = lap_ms
            self._cross(row.registration, {"Laps": row.driven, "LapMs": lap_ms, "TotalMs": total})
        elif passing is not None and not row.driven:
            self._cross(row.registration, {"NoLap": True, "TotalMs": total})
        elif rose:
            row.lap_ms = None

    def _best(self, record: Fields) -> None:
        """`$H` position, registration, best lap, its time."""
        place, lap = values.integer(record.at(0)), values.integer(record.at(2) or "0")
        if lap is None:
            self._reject("bad-best-record")
            return
        row = self._row(record.at(1))
        if row is None:
            return
        time = duration_ms(record.at(3))
        if time is None and record.at(3):
            self._reject("bad-time")
        known = time if lap > 0 and time else None
        if known != row.best_ms and (place == 1 or row.best_ms == self._best_of_all()):
            self._touched.update(dict.fromkeys(self._rows))
        row.best(place if place is not None and place > 0 else None, lap if known else 0, known)

    def _total(self, text: str, laps: int) -> int | None:
        told = duration_ms(text)
        if told is None and text:
            self._reject("bad-time")
        return None if not told or (laps == 0 and told == values.NO_TIME_MS) else told

    def _corrected(self, record: Fields) -> None:
        """`$COR` registration, number, laps, total, correction."""
        row, total = self._row(record.at(0)), duration_ms(record.at(3))
        if row is not None and total:
            row.total_ms = total

    # -- passings --------------------------------------------------------------------------

    def _passing(self, record: Fields) -> None:
        """`$J` registration, lap time (zero at the first passing), total."""
        lap, total = duration_ms(record.at(1)), duration_ms(record.at(2))
        row = self._row(record.at(0))
        if lap is None:
            self._reject("bad-time")
        elif row is None:
            return
        elif self._collecting:
            # Race Monitor sends everybody's last one on connect.
            row.lap_ms = lap or None
        elif total != 0:
            # Without a total yet it was before the start.
            if row.registration in self._passings:
                self._passed(row.registration, self._passings.pop(row.registration))
            self._passings[row.registration] = _Passing(lap, total)

    def _passed(self, registration: str, passing: _Passing) -> None:
        """A passing no count of laps came with."""
        row = self._rows.get(registration)
        if row is None or (passing.total_ms is not None and passing.total_ms <= (row.total_ms or 0)):
            return
        told = vocabulary.Crossing(LapMs=passing.lap_ms) if passing.lap_ms else vocabulary.Crossing(NoLap=True)
        row.lap_ms = passing.lap_ms or row.lap_ms
        if passing.total_ms is not None:
            told["TotalMs"] = passing.total_ms
        self._cross(registration, told)

    def _history(self, record: Fields) -> None:
        """`$RMHL` registration, lap, position, lap time, flag, race time: a lap as it is driven, or, asked for, one of
        the past."""
        row = self._row(record.at(0))
        lap, time = values.integer(record.at(1)), duration_ms(record.at(3))
        total = duration_ms(record.at(5))
        if row is None:
            return
        if lap is None or (time is None and record.at(3)):
            self._reject("bad-history-record")
        elif lap > 0 and time and not self._collecting:
            told = vocabulary.Crossing(Laps=lap, LapMs=time)
            if total:
                told["TotalMs"] = total
            self._cross(row.registration, told)

    def _cross(self, registration: str, told: vocabulary.Crossing) -> None:
        self._touched[registration] = None
        self._tell_lines()
        self._tell(vocabulary.CROSSING, {"Row": registration, **told})
