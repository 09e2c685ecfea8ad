"""The state of one session of kart timing: merges the messages of `vocabulary` and says what changed.

It knows no protocol. A lap is told by a crossing and its time by the board (`_crossing`); numbers come from the board's
own count where it has one. How the state is stored is the business of `projection`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import chain, count
from typing import Any, Final

from msgspec import field

from pitwall.karting import vocabulary
from pitwall.karting.records import Circuit, DriverChange, Gap, Kart, Lap, Notice, Stint, Visit
from pitwall.message import FEED_GAP, Message
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.machine import Machine, SeriesItem, SessionData
from pitwall.timing.values import MAX_INTEGER

LATE_MS: Final = 2_000
"""Cells and the crossing they are of may come in two frames, in either order: 0.2 s apart were seen."""
FITS_MS: Final = 1_000
"""Crossing to crossing equals the board's lap time within 0.24 s in 95 of 100; this is for those that come late."""
MAX_LAP_MS: Final = 24 * 3_600_000
LAST_AT: Final = 32_503_680_000_000
"""Instants end with the year 2999."""
LONGEST_TEXT: Final = 200
LONGEST_MESSAGE: Final = 2_000
MOST_ROWS: Final = 1_000
MOST_NOTICES: Final = 200
MOST_MISSED: Final = 2_000
"""Laps, or visits to the pits, in one gap: what a board says beyond is no count."""
ENDURANCE_MS: Final = 5_000
"""Between two times that stints and stops owed are told, unless a kart comes in or goes out."""
OVER_MS: Final = 600_000
"""So long after the chequered flag they are still told: somebody may be on the last lap."""
TRACK_STATUS: Final[Mapping[str, tuple[str, str]]] = {
    "green": ("1", "AllClear"),
    "yellow": ("2", "Yellow"),
    "code60": ("6", "VSCDeployed"),
    "red": ("5", "Red"),
}
"""Code and name of the track's status by the flag shown, as F1 has them."""

_FIELDS: Final[Mapping[str, type]] = {
    name: str if "str" in str(kind) or "Mark" in str(kind) or "Status" in str(kind) else int
    for name, kind in vocabulary.Line.__annotations__.items()
}
_FEED: Final = re.compile(r"kart-[a-z0-9-]{1,58}")
_IDENTITY: Final = ("Title", "Name", "Type", "Run")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Data(SessionData):
    """All that is kept of a session; what a checkpoint stores."""

    info: dict[str, Any] = field(default_factory=dict)
    """Fields of `vocabulary.Session`."""
    karts: dict[str, Kart] = field(default_factory=dict)
    """By row."""
    race_control: list[SeriesItem] = field(default_factory=list)
    marks: bool = False
    """Whether the board marks lap times that are a best."""
    lap_count: dict[str, int] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    circuit: Circuit | None = None
    """The track, once the source has told it; of the feed, not of the session."""
    notices: dict[str, Notice] = field(default_factory=dict)
    """By id; of the feed as well."""
    visited: bool = False
    """Whether any kart was seen in the pits."""
    endurance_at: int | None = None
    """When stints and stops owed were last told."""


class KartState(Machine[Data]):
    """The state machine of one session of kart timing; its key is `kart-<circuit>-<date>-<time>-<title>`."""

    _kept = Data

    def __init__(self, session: str, feed: str) -> None:
        """feed: `kart-<circuit>`; sessions are named after it."""
        self.data = Data(session=session, feed=feed)
        self._begin()

    def _begin(self) -> None:
        self.rows_shown: dict[str, tuple[int, Any]] = {}
        """What a projection made of each row, and how often that had changed then: it is made anew once it changes."""
        self._changes: set[Change] = set()
        self._visited = False
        """Whether a kart came in or went out with this message."""
        self._handlers: dict[str, Callable[[dict[str, Any], Message], None]] = {
            vocabulary.SESSION: self._session,
            vocabulary.GRID: self._grid,
            vocabulary.LINES: self._lines,
            vocabulary.CROSSING: self._crossing,
            vocabulary.PIT: self._pit,
            vocabulary.FLAG: self._flag,
            vocabulary.CLOCK: self._clock,
            vocabulary.LAP_COUNT: self._lap_count,
            vocabulary.RACE_CONTROL: self._race_control,
            vocabulary.CIRCUIT: self._circuit,
            vocabulary.NOTICE: self._notice,
            FEED_GAP: self._feed_gap,
        }

    # -- what others use -------------------------------------------------------------------

    @property
    def race(self) -> bool:
        """Whether gaps are on the track; else they are to the best lap."""
        return self.data.info.get("Type") == "Race"

    @property
    def rules(self) -> dict[str, int]:
        """Of an endurance race at this track, fields of `vocabulary.Endurance`; empty where none are known."""
        return self.data.circuit.rules if self.data.circuit is not None else {}

    @property
    def endurance(self) -> bool:
        """Whether it is a race in which stints and stops matter: there are rules of them, or karts come in."""
        return self.race and self.data.started_at is not None and (self.data.visited or bool(self.rules))

    @property
    def racing_numbers(self) -> list[str]:
        """Of the karts whose number is known."""
        return [kart.number for kart in self.data.karts.values() if kart.number]

    def kart(self, number: str) -> Kart | None:
        """The kart with a racing number."""
        return next((kart for kart in self.data.karts.values() if number and kart.number == number), None)

    def successor(self, session: str) -> KartState:
        """The machine of the feed's next session: what is known of the track goes on."""
        after = KartState(session, self.data.feed)
        after.data.circuit, after.data.notices = self.data.circuit, self.data.notices
        return after

    def next_session(self, message: Message) -> str | None:
        """The key of the session this message begins, if it is another than this one."""
        if message.topic != vocabulary.SESSION or not message.snapshot or not isinstance(message.data, dict):
            return None
        known = self.data.info
        if not known:
            return None
        told = _session_of(message.data)
        driven = any(kart.laps for kart in self.data.karts.values())
        if all(known.get(name) == told.get(name) for name in _IDENTITY) and not (told.get("Fresh") and driven):
            return None
        key = session_key(self.data.feed, told, message.at)
        return key if key != self.data.session else None

    def apply(self, message: Message) -> set[Change]:
        """Merges one message; returns what it changed."""
        self._changes, self._visited = set(), False
        data = self.data
        if message.topic != FEED_GAP:
            self._settle(message.at)
        data.last_at = max(data.last_at, message.at)
        self._handle(message)
        self._look_at_stints(message.at)
        return self._stamp(message.at)

    def finish(self) -> set[Change]:
        """The session is over or its source has ended: nothing more is awaited."""
        self._changes = set()
        self._settle(self.data.last_at + LATE_MS + 1)
        return self._stamp(self.data.last_at)

    # -- shared ----------------------------------------------------------------------------

    def _note_kart(self, kart: Kart) -> None:
        if kart.number:
            self._note(change.DRIVER, kart.number)

    def _note_row(self, kart: Kart, at: int) -> None:
        kart.changes += 1
        kart.changed_at = max(kart.changed_at, at)
        if self.data.circuit is not None:
            self._note(change.APP)

    def _look_at_stints(self, at: int) -> None:
        """Notes that stints and stops owed are to be told: when a kart came in or went out, and every five seconds."""
        data = self.data
        if not self.endurance:
            return
        due = data.endurance_at is None or not 0 <= at - data.endurance_at < ENDURANCE_MS
        if self._visited or (due and at - (data.finished_at or at) < OVER_MS):
            self._note(change.ENDURANCE)
            data.endurance_at = at

    def _kart(self, row: Any) -> Kart | None:
        """The kart of a row, a new one if the row is; None, counted, for what is no row."""
        if not isinstance(row, str) or not 0 < len(row) <= 64:
            self._reject("bad-row")
            return None
        kart = self.data.karts.get(row)
        if kart is None:
            if len(self.data.karts) >= MOST_ROWS:
                self._reject("too-many-rows")
                return None
            kart = self.data.karts[row] = Kart(row=row)
        return kart

    # -- the session -----------------------------------------------------------------------

    def _session(self, payload: dict[str, Any], message: Message) -> None:
        told = _session_of(payload)
        data = self.data
        if message.snapshot and not data.info and not data.session.startswith(f"{_prefix(data.feed)}-"):
            data.session = session_key(data.feed, told, message.at)
        data.info.update(told)
        if not data.session_status:
            self._status("Inactive", message.at)
        self._note(change.SESSION)

    def _status(self, status: str, at: int) -> None:
        series = self.data.session_status
        if series and series[-1].data["Status"] == status:
            return
        series.append(SeriesItem(at, {"Status": status}))
        self._note(change.SESSION_STATUS, len(series) - 1)
        self._note(change.SESSION)

    def _started(self, at: int) -> None:
        if self.data.started_at is None:
            self.data.started_at = at
        self.data.finished_at = None
        self._status("Started", at)

    def _flag(self, payload: dict[str, Any], message: Message) -> None:
        shown, at, data = payload.get("Flag"), message.at, self.data
        if shown in ("green", "yellow", "code60", "warmup"):
            if data.started_at is None and data.session_status and data.session_status[0].at < at:
                for kart in data.karts.values():
                    if not (kart.laps or kart.in_pit):
                        kart.stints[0].started_at = at
            self._started(at)
        elif shown == "chequered":
            data.finished_at = at
            self._status("Finished", at)
        elif shown == "red" and data.started_at is not None and data.finished_at is None:
            self._status("Aborted", at)
        elif shown not in ("red", "none"):
            self._reject("bad-flag")
            return
        status = TRACK_STATUS.get(str(shown))
        if status is None or (shown == "red" and (data.started_at is None or data.finished_at is not None)):
            return  # a red light before the start and after the end is no red flag: the track is idle
        if not data.track_status or data.track_status[-1].data["Status"] != status[0]:
            data.track_status.append(SeriesItem(at, {"Status": status[0], "Message": status[1]}))
            self._note(change.TRACK_STATUS, len(data.track_status) - 1)
            self._note(change.SESSION)

    def _clock(self, payload: dict[str, Any], message: Message) -> None:
        left = _number(payload.get("RemainingMs"))
        elapsed = _number(payload.get("ElapsedMs"))
        if left is not None and 0 <= left <= MAX_LAP_MS:
            self.data.clock = (left, payload.get("Running") is True, message.at)
        elif elapsed is None:
            if payload:
                self._reject("clock-out-of-range")
            self.data.clock = None
        self._note(change.SESSION)

    def _lap_count(self, payload: dict[str, Any], _message: Message) -> None:
        told = {name: _number(payload.get(name)) for name in ("Current", "Total")}
        self.data.lap_count.update({name: count for name, count in told.items() if count is not None and count >= 0})
        self._note(change.SESSION)

    def _race_control(self, payload: dict[str, Any], message: Message) -> None:
        known = Counter(_said_key(item.data) for item in self.data.race_control)
        shown: Counter[tuple[str, ...]] = Counter()
        for said in payload["Messages"]:
            told = {
                name: text
                for name in ("Message", "Flag", "Number", "Time")
                if isinstance(said.get(name), str) and (text := _text(said[name], LONGEST_MESSAGE))
            }
            if "Message" not in told:
                self._reject("bad-race-control")
                continue
            shown[_said_key(told)] += 1
            if message.snapshot and shown[_said_key(told)] <= known[_said_key(told)]:
                continue
            self.data.race_control.append(SeriesItem(message.at, told))
            self._note(change.RACE_CONTROL, len(self.data.race_control) - 1)

    # -- the track -------------------------------------------------------------------------

    def _circuit(self, payload: dict[str, Any], _message: Message) -> None:
        known, told = self.data.circuit, _text(payload["Circuit"])
        labels, rules = payload.get("Labels") or {}, payload.get("Endurance") or {}
        if not told:
            self._reject("bad-KartCircuit")
            return
        self.data.circuit = Circuit(
            told,
            {key: _text(label, 64) for key, label in labels.items() if _COLUMN.fullmatch(key) and label},
            {key: rule for key in _RULES if (rule := _number(rules.get(key))) is not None and rule >= 0},
        )
        if known == self.data.circuit:
            return
        self.rows_shown.clear()
        self._note(change.APP)
        for notice in self.data.notices if known is None else ():
            self._note(change.NOTICE, notice)

    def _notice(self, payload: dict[str, Any], message: Message) -> None:
        """Something that was told before is not told again: a human has seen it, or will."""
        kind, key, role = (_text(payload[name]) for name in ("Kind", "Key", "Role"))
        id_ = f"{_slug(kind, 24) or 'notice'}-{blake2b(repr((kind, key, role)).encode(), digest_size=6).hexdigest()}"
        if id_ not in self.data.notices and len(self.data.notices) < MOST_NOTICES:
            said = _text(payload["Message"], LONGEST_MESSAGE)
            self.data.notices[id_] = Notice(message.at, kind, key, role, said, self.data.session)
            self._note(change.NOTICE, id_)

    # -- a lost connection -----------------------------------------------------------------

    def _feed_gap(self, payload: dict[str, Any], message: Message) -> None:
        """Crossings may have been missed: no open lap has a beginning that is known, until the board is told again."""
        data = self.data
        if not data.karts:
            return  # nothing was known yet: nothing can have been missed of it
        awaited = {kart.row: kart.late for kart in data.karts.values()}
        awaited |= {kart.row: n for kart in data.karts.values() if (n := kart.line.get("Laps") or 0) > kart.count}
        self._settle(max(message.at, data.last_at) + LATE_MS + 1)
        averaged = any(_averaged(kart) for kart in data.karts.values())
        since, until = (_number(payload.get(name)) for name in ("From", "To"))
        until = message.at if until is None or not 0 <= until <= LAST_AT else until
        since = data.last_at if since is None or since < 0 else since
        told = Gap(min(since, until), until, _text(str(payload.get("Reason") or "")))
        if data.gaps and not data.gaps[-1].merged:
            # Lost once more before the board was told: one gap.
            told.started_at, told.laps = data.gaps[-1].started_at, data.gaps[-1].laps
            data.gaps[-1] = told
        else:
            data.gaps.append(told)
            for kart in data.karts.values():
                if (lap := awaited[kart.row]) in kart.laps and lap is not None:
                    self._lacks(kart, [lap], [len(data.gaps) - 1])  # its time or its crossing was still to come
                kart.gaps.append(len(data.gaps) - 1)
                kart.crossed_before = kart.crossed_at
                kart.averaged = kart.averaged or averaged
        for kart in data.karts.values():
            kart.crossed_at = kart.unsure_at = kart.late = None
        self._note(change.GAP, len(data.gaps) - 1)

    def _lacks(self, kart: Kart, laps: Iterable[int], gaps: Iterable[int]) -> None:
        """Laps of a kart lack something because of gaps."""
        numbers = list(laps)
        for number in numbers:
            if (lap := kart.laps.get(number)) is not None:
                lap.unseen = True
                self._note(change.LAP, number)
        for gap in gaps:
            named = self.data.gaps[gap].laps.setdefault(kart.row, [])
            named += [number for number in numbers if number not in named]
            self._note(change.GAP, gap)

    def gap_laps(self, number: int) -> dict[str, list[int]]:
        """Laps that lack something because of gap `number`, or may be wrong, by racing number of the kart.

        Until the whole board is told again these are also the laps that were open.
        """
        gap, found = self.data.gaps[number], {}
        for row, kart in self.data.karts.items():
            open_now = [kart.count + 1] if not gap.merged and number in kart.gaps else []
            laps = sorted({*gap.laps.get(row, ()), *open_now})
            if laps and kart.number:
                found[kart.number] = laps
        return found

    def _resume(self, kart: Kart, before: Mapping[str, Any], line: Mapping[str, Any], at: int) -> None:
        """The first board after a gap: what it shows of a kart's laps and visits.

        Laps that ended meanwhile are known where the board counts them, and the last one has its time. Where it does
        not count, they can be told only if there was no time for more than one: else nobody knows how many they were.
        """
        time, told = line.get("LastLapMs"), line.get("Laps")
        begun, kart.crossed_before = kart.crossed_before, None
        shortest = min((k.line["BestLapMs"] for k in self.data.karts.values() if k.line.get("BestLapMs")), default=0)
        laps = int(begun is None or at - begun >= shortest) + int(begun is None or at - begun >= 2 * shortest)
        stood = all(row.get("Status") == "inPit" for row in (before, line)) and line.get("Stops") == before.get("Stops")
        if told is not None:
            driven = told - kart.count
        elif stood or (time is None and line.get("BestLapMs") is None):
            driven = 0
        else:
            driven = int(any(line.get(name) not in (None, before.get(name)) for name in ("LastLapMs", "BestLapMs")))
            kart.counted = kart.counted and laps == driven
        if driven == 0 and (told is not None or stood or laps == 0):
            kart.crossed_at = begun
        elif driven > 0:
            numbers = range(max(kart.count, kart.count + driven - MOST_MISSED) + 1, kart.count + driven + 1)
            kart.count += driven
            if time:
                self._unseen_lap(kart, kart.count, time)
            self._lacks(kart, numbers, kart.gaps)
            kart.gaps = kart.gaps[-1:]
            kart.pit_in = kart.pit_out = False
            kart.lap_stint = len(kart.stints) - 1
        elif told is not None:
            kart.count = told
            self._take_back(kart, told)
        elif {"LastLapMs", "BestLapMs"} <= before.keys() - line.keys():
            self._take_back(kart, 0)
        last = kart.laps.get(kart.count)
        if driven == 0 and told and time and last is not None and last.time != time:
            last.time = time  # corrected
            self._lacks(kart, [last.number], kart.gaps)
        self._resume_visits(kart, before, line, at, driven > 0)

    def _resume_visits(
        self, kart: Kart, before: Mapping[str, Any], line: Mapping[str, Any], at: int, drove: bool
    ) -> None:
        """Visits to the pits that the first board after a gap tells of: by its count, else whether it is there."""
        inside, known = line.get("Status") == "inPit", (len(kart.visits), kart.in_pit)
        visits = (line.get("Stops") or 0) - (before.get("Stops") or 0) if "Stops" in line else inside > kart.in_pit
        for _ in range(min(visits, MOST_MISSED)):
            if kart.in_pit:
                self._in_pit(kart, False, at, seen=False)
            self._in_pit(kart, True, at, seen=False)
        surely = drove or visits > 0 or (before.get("Status") == "inPit" and kart.driven)
        out = ("pitOut", "onTrack", "finished") if surely else ("pitOut",)
        if kart.in_pit and line.get("Status") in out:
            self._in_pit(kart, False, at, seen=False)
        elif kart.in_pit and line.get("Status") == "onTrack" and before.get("Status") == "inPit":
            kart.left_at = at
        if (len(kart.visits), kart.in_pit) != known:
            self._lacks(kart, [kart.count + 1], kart.gaps)

    # -- the board -------------------------------------------------------------------------

    def _grid(self, payload: dict[str, Any], message: Message) -> None:
        lines = payload["Lines"]
        for row, kart in self.data.karts.items():
            kart.on_board = row in lines
        for row, told in lines.items():
            kart_of_row = self._kart(row)
            if kart_of_row is not None and isinstance(told, dict):
                self._merge_board(kart_of_row, self._line(told), message.at)
        if self.data.gaps and not self.data.gaps[-1].merged:
            self.data.gaps[-1].merged = True
            self._note(change.GAP, len(self.data.gaps) - 1)
        self._note(change.TOWER)
        self._note(change.ENTRIES)
        self._note(change.TYRES)

    def _merge_board(self, kart: Kart, line: dict[str, Any], at: int) -> None:
        """A row as the board has it now: when it is first seen, and after a connection was lost."""
        line = {name: value for name, value in line.items() if value is not None}
        first = not kart.line
        kart.on_board = True
        before = kart.line.get("LastLapMs")
        told = line.get("Laps")
        if first:
            kart.counted = told is not None or not ({"LastLapMs", "BestLapMs"} & line.keys())
            kart.count = max(told or 0, kart.count)
            kart.line = line
            self._name(kart)
            if told and line.get("LastLapMs"):
                self._unseen_lap(kart, told, line["LastLapMs"])
            if self.data.gaps and not self.data.gaps[-1].merged:
                kart.gaps = [len(self.data.gaps) - 1]  # it came while nobody listened
                self._lacks(kart, range(max(1, kart.count - MOST_MISSED), kart.count + 1), kart.gaps)
            if line.get("Status") == "inPit":
                kart.in_pit = kart.pit_in = True
                kart.visits.append(Visit(lap=kart.count + 1 if kart.counted else None, stop=kart.driven))
                self.data.visited = True
        else:
            earlier = kart.line
            # A cell that shows team and driver by turns has one of them only.
            kart.line = {name: kart.line[name] for name in ("Driver", "Team") if name in kart.line} | line
            self._name(kart)
            if self.data.gaps and not self.data.gaps[-1].merged:
                self._resume(kart, earlier, line, at)
            else:
                self._merge_laps(kart, line, before, told)
                self._told_status(kart, at)
            kart.new_time = False
        for name in _TIMED & line.keys():
            kart.told_at[name] = at
        self._told_driver(kart, at)
        self._note_row(kart, at)
        self._note_kart(kart)

    def _merge_laps(self, kart: Kart, line: Mapping[str, Any], before: int | None, told: int | None) -> None:
        """Laps of a board that is told anew though no connection was lost. before: the last lap as it stood."""
        missed = told > kart.count if told is not None else line.get("LastLapMs") not in (None, before)
        if missed:
            kart.count = told if told is not None else kart.count + 1
            kart.crossed_at = None
            if line.get("LastLapMs"):
                self._unseen_lap(kart, kart.count, line["LastLapMs"])
        elif told is not None and told < kart.count:
            kart.count = told
            self._take_back(kart, told)

    def _unseen_lap(self, kart: Kart, number: int, time: int) -> None:
        kart.laps[number] = Lap(number=number, time=time, stint=kart.lap_stint, unseen=True)
        self._note(change.LAP, number)

    def _lines(self, payload: dict[str, Any], message: Message) -> None:
        for row, told in payload.items():
            kart = self._kart(row)
            if kart is None or not isinstance(told, dict):
                continue
            line = self._line(told)
            kart.on_board = True
            changed = {name for name, value in line.items() if kart.line.get(name) != value}
            if not changed:
                continue
            before = dict(kart.line)
            for name in changed:
                if line[name] is None:
                    kart.line.pop(name, None)
                else:
                    kart.line[name] = line[name]
            for name in _TIMED & ({"DriverMs", *changed} if "Driver" in changed else changed):
                kart.told_at[name] = message.at
            self._note_row(kart, message.at)
            self._told(kart, changed, before, message.at)

    def _told(self, kart: Kart, changed: set[str], before: Mapping[str, Any], at: int) -> None:
        """What follows from fields of a row that changed."""
        line = kart.line
        if "Number" in changed:
            self._name(kart)
        if "Driver" in changed:
            self._told_driver(kart, at)
        self.data.marks |= "LastLapMark" in line
        if "LastLapMs" in changed and "LastLapMs" in line:
            self._told_time(kart, line["LastLapMs"])
        if "Laps" in changed:
            kart.laps_at = at
        if "Laps" in before and (line.get("Laps") or 0) < before["Laps"]:
            kart.count = line.get("Laps") or 0
            self._take_back(kart, kart.count)
        elif "Laps" not in before and {"LastLapMs", "BestLapMs"} <= changed - line.keys():
            self._take_back(kart, 0)
        if "Status" in changed:
            gone = before.get("Status") == "inPit" and line.get("Status") == "onTrack"
            kart.left_at = at if gone else None
            self._told_status(kart, at)
        if "PitMs" in line and kart.visits and kart.in_pit:
            kart.visits[-1].board_ms = line["PitMs"]
        if changed - _NOT_IN_TOWER:
            self._note(change.TOWER)
        if changed & _IN_ENTRIES:
            self._note(change.ENTRIES)
            self._note_kart(kart)
        if changed & {"BestLapMs", "Stops"}:
            self._note(change.TYRES)

    def _line(self, told: dict[str, Any]) -> dict[str, Any]:
        """The fields of a line that are what they should be; the others are counted."""
        line: dict[str, Any] = {}
        for name, value in told.items():
            kind = _FIELDS.get(name)
            if kind is None:
                self._reject("unknown-field")
            elif value is None:
                line[name] = None
            elif kind is str and isinstance(value, str):
                line[name] = _text(value) or None
            elif kind is int and _number(value) is not None and (value >= 0 or name in ("GapMs", "IntervalMs")):
                line[name] = value
            else:
                self._reject("bad-field")
        return line

    def _name(self, kart: Kart) -> None:
        """Gives the kart its racing number, once; one that another kart has already is made its own by the row."""
        told = kart.line.get("Number")
        if kart.number or not told:
            return
        row = _slug(kart.row, 40) or "kart"
        number = _slug(told, 12) or row
        taken = {other.number for other in self.data.karts.values()}
        names = chain((number, f"{number}-{row}"), (f"{number}-{n}" for n in count(2)))
        kart.number = next(name for name in names if name not in taken)
        self._note(change.ENTRIES)
        self._note(change.TOWER)
        self._note_kart(kart)
        for lap in kart.laps:
            self._note(change.LAP, lap)

    def _told_driver(self, kart: Kart, at: int) -> None:
        name = kart.line.get("Driver")
        if name is None:
            return
        before = next((stint.driver for stint in reversed(kart.stints) if stint.driver is not None), name)
        if name != (kart.driver_changes[-1].name if kart.driver_changes else before):
            kart.driver_changes.append(DriverChange(at, kart.count + 1, name))
        if not kart.in_pit or kart.stints[-1].driver is None:  # who is named in the pits drives the next stint
            kart.stints[-1].driver = name

    # -- the pits --------------------------------------------------------------------------

    def _pit(self, payload: dict[str, Any], message: Message) -> None:
        kart = self._kart(payload.get("Row"))
        if kart is not None:
            self._in_pit(kart, payload.get("In") is True, message.at)

    def _told_status(self, kart: Kart, at: int) -> None:
        status = kart.line.get("Status")
        if status in ("inPit", "pitOut"):
            self._in_pit(kart, status == "inPit", at)

    def _in_pit(self, kart: Kart, inside: bool, at: int, seen: bool = True) -> None:
        """A kart is in the pits now, or is not. seen: it came in or went out at `at`; else while nobody listened."""
        if inside == kart.in_pit:
            if not inside and not kart.visits and not kart.laps:
                kart.pit_out = True  # from the pits into the session
            return
        kart.in_pit = inside
        when = at if seen else None
        if inside:
            kart.pit_in = True
            kart.visits.append(Visit(kart.count + 1 if seen else None, when, stop=kart.driven))
            kart.stints[-1].ended_at = when
        else:
            kart.pit_out = True
            kart.visits[-1].out_at = when
            kart.stints.append(Stint(started_at=when))
            self._told_driver(kart, at)
        self.data.visited = self._visited = True
        self._note_row(kart, at)
        self._note(change.TOWER)
        self._note(change.TYRES)
        self._note_kart(kart)

    # -- laps ------------------------------------------------------------------------------

    def _crossing(self, payload: dict[str, Any], message: Message) -> None:
        kart = self._kart(payload.get("Row"))
        if kart is None:
            return
        at, line = message.at, kart.line
        told_time, told_laps = _number(payload.get("LapMs")), _number(payload.get("Laps"))
        if told_time is not None and not 0 < told_time <= MAX_LAP_MS:
            self._reject("lap-out-of-range")
            told_time = None
        if told_time is not None and told_laps is not None and 0 < told_laps <= kart.count:
            self._tell_again(kart, told_laps, told_time)
            return
        if self.data.finished_at is None:
            self._started(at)
        if kart.left_at is not None:
            # Sevilla, 2026: boards without a loop at the end of the pits say so in no other way.
            self._in_pit(kart, False, kart.left_at, seen=not kart.gaps)
            kart.left_at = None
        standing = line.get("LastLapMs")
        elapsed = None if kart.crossed_at is None else at - kart.crossed_at
        fits = elapsed is not None and standing is not None and abs(elapsed - standing) <= FITS_MS
        rose = max(line.get("Laps") or 0, told_laps or 0) > kart.count
        silent = payload.get("NoLap") is True
        new_time = kart.new_time and (not silent or elapsed is None or fits)
        unseen_before = elapsed is None and standing is not None and not silent
        if told_time is not None or rose or new_time or fits or unseen_before:
            number = max(line.get("Laps") or 0, told_laps or 0) if rose else kart.count + 1
            repeated = told_time is None and not kart.new_time
            if told_time is None and (not repeated or fits or elapsed is None):
                told_time = standing
            self._complete(kart, number, told_time, at)
            kart.late = number if repeated else None
        elif kart.count == 0 or not kart.laps or all(lap.taken_back for lap in kart.laps.values()):
            kart.crossed_at = at  # over the line for the first time
            kart.pit_in = kart.pit_out = False
            self._note_kart(kart)
        elif silent:
            kart.new_time = False
        else:
            kart.unsure_at = at

    def _tell_again(self, kart: Kart, number: int, time: int) -> None:
        """The time of a lap that is over already: corrected, or of one that was driven before the kart was seen."""
        kart.new_time = False
        lap = kart.laps.get(number)
        if lap is None:
            lap = kart.laps[number] = Lap(number=number, unseen=True)
        elif lap.time == time and not lap.taken_back:
            return
        lap.time, lap.taken_back = time, False
        self._note(change.LAP, number)
        self._note(change.TYRES)
        self._note_kart(kart)

    def _miss(self, kart: Kart, at: int) -> None:
        """Laps the board has counted although no crossing was told, unless they are of one that is told now."""
        counted = kart.line.get("Laps") or 0
        if counted <= kart.count or at - kart.laps_at <= LATE_MS:
            return
        if kart.new_time:
            self._complete(kart, counted, kart.line.get("LastLapMs"), kart.laps_at)
        else:
            kart.count = counted
            kart.crossed_at = None

    def _told_time(self, kart: Kart, time: int) -> None:
        """A lap time on the board: of the crossing to come, or of one that was told before."""
        if not 0 < time <= MAX_LAP_MS:
            self._reject("lap-out-of-range")
            return
        if kart.unsure_at is not None:
            at, kart.unsure_at = kart.unsure_at, None
            self._complete(kart, kart.count + 1, time, at)
        elif kart.late is not None and (lap := kart.laps.get(kart.late)) is not None:
            kart.late = None
            lap.time = time
            lap.personal_best = kart.line.get("LastLapMark") is not None
            self._note(change.LAP, lap.number)
            self._note_kart(kart)
        else:
            kart.new_time = True

    def _settle(self, at: int) -> None:
        """What was awaited has not come."""
        for kart in self.data.karts.values():
            if kart.unsure_at is not None and at > kart.unsure_at + LATE_MS:
                kart.unsure_at = None
                self._reject("crossing-without-lap")
            self._miss(kart, at)
            last = kart.laps.get(kart.late) if kart.late is not None else None
            if last is not None and at > (last.ended_at or 0) + LATE_MS:
                kart.late = None

    def _complete(self, kart: Kart, number: int, time: int | None, at: int) -> None:
        line = kart.line
        best_before = best_lap(kart)
        mark = line.get("LastLapMark")
        down = laps_down(self.data.karts.values()).get(kart.row) if self.race else None
        lap = Lap(
            number=number,
            started_at=kart.crossed_at,
            ended_at=at,
            time=time,
            sectors=[line.get(f"Sector{n}Ms") for n in (1, 2, 3)],
            position=line.get("Position"),
            gap_ms=line.get("GapMs") if self.race and down is None else None,
            gap_laps=down,
            stint=kart.lap_stint,
            pit_in=kart.pit_in,
            pit_out=kart.pit_out,
            statuses=self._statuses(kart.crossed_at, at),
            unseen=bool(kart.gaps),
        )
        if self.data.marks:
            lap.personal_best = kart.new_time and mark is not None
        elif time is not None and not lap.partial:
            lap.personal_best = best_before is None or best_before.time is None or time < best_before.time
        kart.laps[number] = lap
        if kart.gaps:
            self._lacks(kart, range(max(min(kart.count + 1, number), number - MOST_MISSED), number + 1), kart.gaps)
            kart.gaps = []
        kart.count = number
        kart.crossed_at = at
        kart.unsure_at = None
        kart.new_time = kart.pit_in = kart.pit_out = False
        kart.lap_stint = len(kart.stints) - 1
        self._note_row(kart, at)
        self._note(change.LAP, number)
        self._note(change.TOWER)
        self._note(change.TYRES)
        self._note_kart(kart)

    def _statuses(self, start: int | None, end: int) -> list[str]:
        """Codes of the track's status from `start` to `end`, in order."""
        codes: list[str] = []
        for item in self.data.track_status:
            if item.at > end:
                break
            if start is None or item.at <= start:
                codes = []
            codes.append(item.data["Status"])
        return codes

    def _take_back(self, kart: Kart, left: int) -> None:
        """The timekeeper took laps off the board again: all but the first `left`."""
        for lap in kart.laps.values():
            if lap.number > left and not lap.taken_back:
                lap.taken_back = True
                lap.personal_best = False
                self._note(change.LAP, lap.number)
        kart.new_time = False
        if left == 0:
            kart.crossed_at = None
        self._note(change.TYRES)
        self._note_kart(kart)


_COLUMN: Final = re.compile(r"C([1-9]|1[0-4])", re.ASCII)
_RULES: Final = tuple(vocabulary.Endurance.__annotations__)
_TIMED: Final = frozenset({"StintMs", "DriverMs"})
"""Cells that go on with the clock: what they say is of the instant at which they last changed."""
_IN_ENTRIES: Final = frozenset({"Number", "Driver", "Team", "Category", "Nation", "Colour", "Penalty"})
_NOT_IN_TOWER: Final = _IN_ENTRIES | {"StintMs", "DriverMs", "PitMs", "TotalMs", "Stops", "BestLap", "BestLapMs"}


def best_lap(kart: Kart) -> Lap | None:
    """The kart's best lap: the one the board calls so; else, of laps driven whole, the fastest, the earlier of two.

    Where the board's best is none of the laps seen, the kart had laps before it was first seen (then this has no
    number), or the board shows something else under that name, as an average (Brignoles 2026): then it is left out.
    """
    laps = [lap for lap in kart.laps.values() if lap.time is not None and not lap.taken_back]
    told, number = kart.line.get("BestLapMs"), kart.line.get("BestLap")
    if told is not None and number:
        known = kart.laps.get(number)
        return known if known is not None and known.time == told else Lap(number=number, time=told, unseen=True)
    if told is not None and not kart.averaged:
        same = min((lap for lap in laps if lap.time == told), key=lambda lap: lap.number, default=None)
        if same is not None:
            return same
        if any(lap.unseen for lap in laps) or not kart.counted:
            return Lap(number=0, time=told, unseen=True)
    whole = [lap for lap in laps if not lap.partial]
    return min(whole, key=lambda lap: (lap.time or 0, lap.number), default=None)


def _averaged(kart: Kart) -> bool:
    """Whether what the board calls the best lap of a kart is none of its laps, all of which were seen."""
    told, laps = kart.line.get("BestLapMs"), [lap for lap in kart.laps.values() if not lap.taken_back]
    if told is None or not kart.counted or not laps or any(lap.unseen or lap.time is None for lap in laps):
        return False
    return all(lap.time != told for lap in laps)


def laps_completed(kart: Kart) -> int | None:
    """As the board counts them; else those seen, where all of them were."""
    told: int | None = kart.line.get("Laps")
    if told is not None:
        return told
    return kart.count - sum(lap.taken_back for lap in kart.laps.values()) if kart.counted else None


def stops_made(kart: Kart) -> int:
    """As the board counts them, from when a kart comes in; else the visits seen."""
    told: int | None = kart.line.get("Stops")
    return told if told is not None else sum(visit.stop for visit in kart.visits)


def laps_down(karts: Iterable[Kart]) -> dict[str, int]:
    """Whole laps behind the leader, by row, of a race.

    A board tells them of the first kart of each lap alone; those behind it have their time to that one, or more laps
    (Los Santos 2026: `2 Vueltas`, 2.396, `3 Vueltas`, 3.457 in the order of the board).
    """
    down, told = 0, {}
    for kart in sorted(karts, key=lambda kart: kart.line.get("Position") or MOST_ROWS):
        down = max(down, kart.line.get("GapLaps") or 0)
        if down:
            told[kart.row] = down
    return told


def session_key(feed: str, session: Mapping[str, Any], at: int) -> str:
    """`kart-<circuit>-<yyyymmdd>-<hhmm>-<title>`: a title alone comes back on another day, or an hour later."""
    begun = _EPOCH + timedelta(milliseconds=min(max(at, 0), LAST_AT))
    title = _slug(f"{session.get('Title', '')} {session.get('Name', '')} {session.get('Run', '')}", 48)
    return "-".join(part for part in (_prefix(feed), f"{begun:%Y%m%d-%H%M}", title) if part)


def _prefix(feed: str) -> str:
    """What the keys of a feed's sessions begin with: the feed's id, so that no two tracks share a session."""
    if _FEED.fullmatch(feed):
        return feed
    slug = _slug(feed, 48) or "unnamed"
    return slug if slug.startswith("kart-") else f"kart-{slug}"


def _slug(text: str, longest: int) -> str:
    """Letters and digits of a text, parts joined by hyphens, as the id of a document can have them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:longest].strip("-")


def _session_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a session that are what they should be."""
    told: dict[str, Any] = {
        name: _text(payload[name])
        for name in ("Title", "Name", "Type", "Run", "Track", "GmtOffset")
        if isinstance(payload.get(name), str)
    }
    length = _number(payload.get("TrackLengthM"))
    if length is not None and length > 0:
        told["TrackLengthM"] = length
    if payload.get("Fresh") is True:
        told["Fresh"] = True
    return told


def _said_key(said: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(said.get(name, "")) for name in ("Message", "Flag", "Number", "Time"))


def _text(value: str, longest: int = LONGEST_TEXT) -> str:
    """A text that can be stored."""
    return value.strip()[:longest].encode("utf-8", "replace").decode().strip()


def _number(value: Any) -> int | None:
    """An int that every client can read."""
    return value if type(value) is int and abs(value) <= MAX_INTEGER else None
