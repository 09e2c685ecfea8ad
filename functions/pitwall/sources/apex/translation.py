"""Turns frames of Apex Timing into messages of kart timing (`pitwall.karting.vocabulary`).

Total: whatever a frame is, the translation goes on with the next; what it cannot use is counted. What is kept between
frames is the board's layout, and nothing of the race: that is the state machine's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pitwall.karting import values, vocabulary
from pitwall.karting.vocabulary import FlagName, Line, Mark, Status
from pitwall.message import Message
from pitwall.sources.apex import grid, protocol
from pitwall.sources.apex.columns import columns
from pitwall.sources.record import Reject

LIGHTS: Final[dict[str, FlagName]] = {"lg": "green", "ly": "yellow", "lr": "red", "lf": "chequered"}
STATUSES: Final[dict[str, Status]] = {"si": "inPit", "so": "pitOut", "ss": "stopped", "sf": "finished"}
"""Of the status column; any other class (`sr` has just crossed, `su` and `sd` won and lost a place) is on the track."""
MARKS: Final[dict[str, Mark]] = {"ti": "personal", "tb": "overall"}
TYPES: Final = {"p": "Practice", "r": "Race"}
_LAPS_SHOWN: Final = frozenset({"Laps", "LastLapMs", "BestLapMs"})
_QUALIFYING: Final = re.compile(r"quali|qualy|chrono|cronomet|clasificaci|time attack|\bQ\d\b", re.IGNORECASE)
_LENGTH: Final = re.compile(r"\(\s*(\d{2,5})\s*m\s*\)")
_KEYED_COLOUR: Final = re.compile(r"border-bottom-color:\s*#([0-9A-Fa-f]{6})")
_BGR: Final = re.compile(r"no(?:tc)?(\d{1,8})", re.ASCII)


class Translation:
    """The frames of one connection, or one recording, in order."""

    def __init__(
        self, reject: Reject, human: Mapping[str, str] | None = None, found: Mapping[str, str] | None = None
    ) -> None:
        """reject: called with the reason for everything that cannot be used. human, found: roles by column (`c5`), as
        in `columns`."""
        self._reject = reject
        self._human = human
        self._found = found
        self._roles: dict[str, str] = {}
        self._colours: dict[str, str] = {}
        self._at = 0
        self._out: list[Message] = []
        self._session: vocabulary.Session = {}
        self._lines: dict[str, Line] = {}
        self._begins = False
        self._teams = False
        self._leads: int | None = None
        self._commands: dict[str, Callable[[protocol.Line], None]] = {
            "init": self._init,
            "title1": self._title,
            "title2": self._title,
            "track": self._track,
            "gmt": self._gmt,
            "dyn1": self._clock,
            "dyn2": self._second_clock,
            "light": self._light,
            "grid": self._grid,
            "css": self._css,
            "com": self._race_control,
            "row": self._row,
            "cell": self._cell,
        }

    def frame(self, text: str, at: int) -> list[Message]:
        """The messages of a frame that came at the instant `at`, ms since the epoch."""
        self._at, self._out = at, []
        for line in self._in_order(protocol.lines(text, self._reject)):
            handler = self._commands.get(line.command)
            if handler is not None:
                handler(line)
        self._end_session()
        self._end_lines()
        if self._leads is not None:
            self._tell(vocabulary.LAP_COUNT, {"Current": self._leads})
            self._leads = None
        return self._out

    def _in_order(self, lines: Iterator[protocol.Line]) -> Iterator[protocol.Line]:
        """What begins a session first: its clock and light come before its titles are complete."""
        told = list(lines)
        if not any(line.command == "init" for line in told):
            return iter(told)
        first = ("init", "title1", "title2", "track", "gmt", "css")
        begin = [line for line in told if line.command in first]
        board = [line for line in told if line.command == "grid"]
        return iter([*begin, *board, *(line for line in told if line.command not in (*first, "grid"))])

    def _tell(self, topic: str, data: Any, snapshot: bool = False) -> None:
        self._out.append(vocabulary.message(topic, data, self._at, snapshot))

    # -- the session -----------------------------------------------------------------------

    def _init(self, line: protocol.Line) -> None:
        self._begins = True
        self._session = {"Title": "", "Name": ""}
        if line.kind in TYPES:
            self._session["Type"] = "Race" if line.kind == "r" else "Practice"

    def _title(self, line: protocol.Line) -> None:
        title = grid.text(line.value)
        if line.command == "title1":
            self._session["Title"] = title
        else:
            self._session["Name"] = title

    def _track(self, line: protocol.Line) -> None:
        name = grid.text(line.value)
        if (length := _LENGTH.search(name)) is not None:
            self._session["TrackLengthM"] = int(length[1])
            name = " ".join(name.replace(length[0], " ").split())
        self._session["Track"] = name

    def _gmt(self, line: protocol.Line) -> None:
        hours = values.integer(line.value.strip().lstrip("+-"))
        if hours is None or hours > 14:
            self._reject("bad-gmt")
            return
        self._session["GmtOffset"] = f"{'-' if line.value.strip().startswith('-') else ''}{hours:02}:00:00"

    def _end_session(self) -> None:
        """Tells the session once all its titles in this frame are read."""
        told, self._session = self._session, {}
        if not told:
            return
        if told.get("Type") == "Practice" and _QUALIFYING.search(f"{told.get('Title', '')} {told.get('Name', '')}"):
            told["Type"] = "Qualifying"
        begins, self._begins = self._begins, False
        self._tell(vocabulary.SESSION, told, snapshot=begins)

    def _clock(self, line: protocol.Line) -> None:
        text = line.value.strip()
        if line.kind == "countdown" and (left := values.integer(text)) is not None:
            self._tell(vocabulary.CLOCK, {"RemainingMs": left, "Running": True})
        elif line.kind == "count" and (elapsed := values.integer(text)) is not None:
            self._tell(vocabulary.CLOCK, {"ElapsedMs": elapsed, "Running": True})
        elif line.kind == "text" and (told := values.clock_ms(text)) is not None:
            self._tell(vocabulary.CLOCK, {"RemainingMs": told, "Running": False})
        elif line.kind == "text" and (counted := values.lap_count(text)) is not None:
            current, total = counted
            # A practice of which the board says `Lap 23/1` has no number of laps.
            known = total is not None and total >= max(current, 2)
            count = {"Current": current, "Total": total} if known else {"Current": current}
            self._tell(vocabulary.LAP_COUNT, count)
        elif not text:
            self._tell(vocabulary.CLOCK, {})
        else:
            self._reject("bad-clock")

    def _second_clock(self, line: protocol.Line) -> None:
        if line.kind == "count" and (elapsed := values.integer(line.value)) is not None:
            self._tell(vocabulary.CLOCK, {"ElapsedMs": elapsed, "Running": True})

    def _light(self, line: protocol.Line) -> None:
        flag = LIGHTS.get(line.kind)
        if flag is None:
            self._reject("unknown-light")
            return
        self._tell(vocabulary.FLAG, {"Flag": flag})

    def _race_control(self, line: protocol.Line) -> None:
        told: list[vocabulary.Said] = []
        for said in reversed(grid.said(line.value)):
            message = vocabulary.Said(Message=said.text or said.flag)
            if said.flag:
                message["Flag"] = said.flag
            if said.number:
                message["Number"] = said.number
            if said.time:
                message["Time"] = said.time
            told.append(message)
        self._tell(vocabulary.RACE_CONTROL, {"Messages": told}, snapshot=True)

    # -- the board -------------------------------------------------------------------------

    def _css(self, line: protocol.Line) -> None:
        if (colour := _KEYED_COLOUR.search(line.value)) is not None and len(self._colours) < 1_000:
            self._colours[line.kind] = colour[1].upper()

    def _grid(self, line: protocol.Line) -> None:
        board = grid.board(line.value)
        if board is None:
            self._reject("bad-grid")
            return
        told = columns(board.columns, self._human, self._found)
        self._roles = {column["Key"]: column.get("Role", "") for column in told}
        self._teams = False
        rows = {name: self._row_of(row) for name, row in board.rows.items()}
        if self._begins and not any(_LAPS_SHOWN & row.keys() for row in rows.values()):
            self._session["Fresh"] = True
        self._end_session()
        self._lines = {}
        self._tell(vocabulary.GRID, {"Columns": told, "Lines": rows}, snapshot=True)

    def _row_of(self, row: grid.Row) -> Line:
        told: dict[str, Any] = {}
        if (place := values.integer(row.place)) is not None:
            told["Position"] = place
        for key, cell in row.cells.items():
            read = self._read(self._roles.get(key, ""), cell.kind, cell.text)
            told.update((field, value) for field, value in read.items() if value is not None)
        return told  # type: ignore[return-value]

    def _cell(self, line: protocol.Line) -> None:
        if not self._roles:
            self._reject("cell-before-grid")
            return
        role = self._roles.get(line.column)
        if role is None:
            self._reject("unknown-column")
            return
        read = self._read(role, line.kind, grid.text(line.value))
        if read:
            self._lines.setdefault(line.row, {}).update(read)  # type: ignore[typeddict-item]

    def _row(self, line: protocol.Line) -> None:
        if not self._roles:
            self._reject("row-before-grid")
        elif line.kind == "#":
            if (place := values.integer(line.value)) is None:
                self._reject("bad-position")
            else:
                self._lines.setdefault(line.row, {})["Position"] = place
        elif line.kind == "*":
            self._end_lines()
            crossing: vocabulary.Crossing = {"Row": line.row}
            if not line.value.partition("|")[0].strip():
                crossing["NoLap"] = True
            self._tell(vocabulary.CROSSING, crossing)
        elif line.kind in ("*in", "*out"):
            self._end_lines()
            self._tell(vocabulary.PIT, {"Row": line.row, "In": line.kind == "*in"})
        elif not re.fullmatch(r"\*i\d", line.kind):  # crossed an intermediate line: its time is in a cell
            self._reject("unknown-event")

    def _end_lines(self) -> None:
        lines, self._lines = self._lines, {}
        if lines:
            self._tell(vocabulary.LINES, lines)

    # -- cells -----------------------------------------------------------------------------

    def _read(self, role: str, kind: str, text: str) -> dict[str, Any]:
        """What a cell says, as fields of a line; None for what it takes back. Empty where it says nothing."""
        reader = _READERS.get(role)
        if reader is not None:
            return reader(self, role, kind, text)
        if role.endswith("Ms"):
            return self._time(role, kind, text)
        return {role: text or None} if role else {}

    def _time(self, role: str, kind: str, text: str) -> dict[str, Any]:
        mark = f"{role.removesuffix('Ms')}Mark"
        if role.startswith("Sector") and kind == "ib":
            # A kart in the pits is shown its best sectors.
            text = ""
        if not text:
            return {role: None, mark: None}
        time = values.duration_ms(text)
        if time is None or not text.strip().strip("0:.,"):
            self._reject("bad-time")
            return {}
        return {role: time, mark: MARKS.get(kind)}

    def _status(self, _role: str, kind: str, _text: str) -> dict[str, Any]:
        return {"Status": STATUSES.get(kind, "onTrack")}

    def _number(self, role: str, kind: str, text: str) -> dict[str, Any]:
        told: dict[str, Any] = {role: text or None}
        if kind and (colour := self._colour(kind)) is not None:
            told["Colour"] = colour
        return told

    def _colour(self, kind: str) -> str | None:
        """RRGGBB of a kart's class: as the style sheet has it, else the number in its name, which is BGR."""
        if kind in self._colours:
            return self._colours[kind]
        bgr = _BGR.fullmatch(kind)
        if bgr is None or not 255 <= (value := int(bgr[1])) <= 0xFFFFFF:
            return None
        return f"{value & 255:02X}{value >> 8 & 255:02X}{value >> 16:02X}"

    def _position(self, role: str, _kind: str, text: str) -> dict[str, Any]:
        # A kart without a lap has no rank, but a place on the board: that is in `#` and in the row.
        place = values.integer(text)
        if text and place is None:
            self._reject("bad-position")
        return {} if place is None else {role: place}

    def _count(self, role: str, _kind: str, text: str) -> dict[str, Any]:
        if not text:
            return {role: None}
        count = values.integer(text)
        if count is None:
            self._reject("bad-count")
            return {}
        return {role: count}

    def _gap(self, role: str, _kind: str, text: str) -> dict[str, Any]:
        if not text:
            return {f"{role}Ms": None, f"{role}Laps": None}
        gap = values.gap(text)
        if gap is None:
            self._reject("bad-gap")
            return {}
        told: dict[str, Any] = {f"{role}Ms": gap.ms, f"{role}Laps": gap.laps}
        if gap.leads is not None and role == "Gap" and "Laps" not in self._roles.values():
            self._leads = gap.leads
        return told

    def _driver(self, role: str, kind: str, text: str) -> dict[str, Any]:
        """A team's cell shows by turns the team and, in a class of its own, who drives and for how long."""
        if kind == "drteam":
            name, at_the_wheel = values.at_the_wheel(text)
            self._teams = True
            told: dict[str, Any] = {"Driver": name or None}
            if at_the_wheel is not None:
                told["DriverMs"] = at_the_wheel
            return told
        return {"Team" if self._teams else role: text or None}

    def _stint(self, role: str, kind: str, text: str) -> dict[str, Any]:
        """Hours and minutes on the track; in the pits, in a class of its own, the seconds there."""
        if not text:
            return {role: None, "PitMs": None}
        told = values.duration_ms(text) if kind == "to" else values.hours_ms(text)
        if told is None:
            self._reject("bad-time")
            return {}
        return {"PitMs" if kind == "to" else role: told}

    def _pit_time(self, role: str, _kind: str, text: str) -> dict[str, Any]:
        told = values.duration_ms(text)
        if text and told is None:
            self._reject("bad-time")
            return {}
        return {role: told}

    def _nation(self, role: str, kind: str, text: str) -> dict[str, Any]:
        code = next((word for word in kind.split() if re.fullmatch(r"[A-Z]{2,3}", word)), None)
        return {role: code or text or None}


_READERS: Final[dict[str, Callable[[Translation, str, str, str], dict[str, Any]]]] = {
    "Status": Translation._status,
    "Number": Translation._number,
    "Position": Translation._position,
    "Laps": Translation._count,
    "Stops": Translation._count,
    "Gap": Translation._gap,
    "Interval": Translation._gap,
    "Driver": Translation._driver,
    "Team": Translation._driver,
    "StintMs": Translation._stint,
    "PitMs": Translation._pit_time,
    "Nation": Translation._nation,
}
