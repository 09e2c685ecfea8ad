"""The messages of kart timing: what every kart source yields, whichever protocol it reads.

A source translates bytes into `pitwall.message.Message`s of these topics and keeps nothing else of
its protocol; `pitwall.karting.state` knows these and no protocol. Payloads are JSON: they are recorded like
any other message. Durations are integer milliseconds. In a line, what is absent was not told, and None says that
what was told before is gone (a cell was emptied).

Order within what a source reads at once (a frame, a packet): `SESSION`, `GRID`, then the rest as it came. Values of a
line come before the crossing they are of wherever the protocol has it so; the state waits for those that come late.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Required, TypedDict

from pitwall.message import Message

SESSION: Final = "KartSession"
"""Which session it is (`Session`). As a snapshot it begins one, or says again which one goes on: another one than
before if `Title`, `Name`, `Type` or `Run` differ, or if it is `Fresh` and laps have been driven. Not as a snapshot it
corrects what was said."""

GRID: Final = "KartGrid"
"""Every row there is (`Grid`), always a snapshot: rows that are not in it have left the board until `LINES` tells of
them, their laps stay."""

LINES: Final = "KartLines"
"""What changed in some rows: `{row: Line}`, to be merged."""

CROSSING: Final = "KartCrossing"
"""A kart crossed the line (`Crossing`)."""

PIT: Final = "KartPit"
"""A kart went into the pits or left them (`Pit`)."""

FLAG: Final = "KartFlag"
"""The light or flag that is shown (`Flag`)."""

CLOCK: Final = "KartClock"
"""The session's time (`Clock`)."""

LAP_COUNT: Final = "KartLapCount"
"""The session's laps (`LapCount`)."""

RACE_CONTROL: Final = "KartRaceControl"
"""What race control said (`RaceControl`)."""

CIRCUIT: Final = "KartCircuit"
"""Which track it is, and what is known of it beside its feed (`Circuit`): first of all, and after every connect."""

NOTICE: Final = "KartNotice"
"""Something about the feed is no longer as it was, for a human (`Notice`). Nothing is read otherwise because of it."""

TOPICS: Final = frozenset({SESSION, GRID, LINES, CROSSING, PIT, FLAG, CLOCK, LAP_COUNT, RACE_CONTROL, CIRCUIT, NOTICE})

SessionType = Literal["Practice", "Qualifying", "Race"]
Mark = Literal["personal", "overall"]
"""Best of this kart, best of all; None is neither."""
Status = Literal["onTrack", "inPit", "pitOut", "stopped", "finished"]
FlagName = Literal["none", "green", "yellow", "red", "chequered", "warmup", "code60"]


class Session(TypedDict, total=False):
    """What a session is."""

    Title: str
    """Of the event (`3H Resistencia`); a track that has none says ""."""
    Name: str
    """Of the session in the event (`Qualifying 2`)."""
    Type: SessionType
    Run: str
    """The protocol's own id of the run, where it has one (RMonitor's `$B`)."""
    Fresh: bool
    """True where the board that comes with it has no lap of anybody."""
    Track: str
    TrackLengthM: int
    GmtOffset: str
    """Of the circuit, as [-]HH:MM:SS."""


class Line(TypedDict, total=False):
    """One row of the board. The row's id is the protocol's own and says nothing by itself; `Number` is the kart's."""

    Number: str | None
    """As painted: `012` and `7A` stay what they are."""
    Driver: str | None
    """Who drives now. A change of it in mid-session is a change of drivers."""
    Team: str | None
    Category: str | None
    Nation: str | None
    Colour: str | None
    """RRGGBB."""
    Position: int | None
    Laps: int | None
    """Laps completed, as the protocol counts."""
    LastLapMs: int | None
    LastLapMark: Mark | None
    BestLapMs: int | None
    BestLapMark: Mark | None
    BestLap: int | None
    """The lap it was set on."""
    Sector1Ms: int | None
    Sector2Ms: int | None
    Sector3Ms: int | None
    Sector1Mark: Mark | None
    Sector2Mark: Mark | None
    Sector3Mark: Mark | None
    GapMs: int | None
    """To the leader; in practice and qualifying to the best lap. None together with `GapLaps` where laps are told."""
    GapLaps: int | None
    IntervalMs: int | None
    IntervalLaps: int | None
    TotalMs: int | None
    """Time of the whole session up to the last crossing."""
    Stops: int | None
    StintMs: int | None
    """On the track since the last stop, as the board counts it."""
    DriverMs: int | None
    """The driver's time at the wheel, as the board counts it."""
    PitMs: int | None
    """In the pits now, or at the last stop, as the board counts it."""
    Penalty: str | None
    """In the board's words."""
    Status: Status | None


class Column(TypedDict, total=False):
    """One column of the board, as far as it has any."""

    Key: str
    Header: str
    Role: str
    """The field of `Line` it fills; absent where that is not known."""
    Because: Literal["human", "type", "header", "behaviour"]
    """Who or what told the role: a human, the protocol's declared type, the header, or an analysis of what it does."""


class Grid(TypedDict, total=False):
    """The whole board."""

    Columns: list[Column]
    Lines: dict[str, Line]


class Crossing(TypedDict, total=False):
    """A kart crossed the line at the message's instant.

    Its lap has `LapMs` if that is told here; else the row's `LastLapMs` as told since the crossing before, or within
    two seconds, or as it stands: a board does not repeat a time that equals the last one, and equal laps are laps.
    Where none of these is told and what stands does not fit either, no lap has ended.
    """

    Row: str
    Laps: int
    """Laps completed with this crossing, where the protocol says so with it. One that was completed before is told
    again: its time was corrected, or the lap was missed."""
    LapMs: int
    TotalMs: int
    NoLap: bool
    """True where the protocol tells no time with it: most often it ends no lap, as the first one after the start."""


class Pit(TypedDict):
    """A kart went into the pits or left them."""

    Row: str
    In: bool


class Flag(TypedDict):
    Flag: FlagName


class Clock(TypedDict, total=False):
    """The session's time at the message's instant; empty where there is none any more."""

    RemainingMs: int
    ElapsedMs: int
    Running: bool


class LapCount(TypedDict, total=False):
    """The leader's laps; one of them may be missing."""

    Current: int
    Total: int


class Said(TypedDict, total=False):
    """One message of race control."""

    Message: str
    Flag: str
    """In the protocol's word: green, chequered, penalty, warning, msg, ..."""
    Number: str
    """The kart it is about."""
    Time: str
    """HH:MM of the circuit, as shown."""


class RaceControl(TypedDict):
    """All messages that are shown now if it is a snapshot, else new ones; oldest first."""

    Messages: list[Said]


class Endurance(TypedDict, total=False):
    """The rules of an endurance race, as far as the track has told them."""

    Stops: int
    """Each kart has to make."""
    StopMs: int
    """A stop lasts at least."""
    StopCostMs: int
    """A stop costs against driving on."""
    StintMs: int
    """A stint lasts at most."""
    DriverMs: int
    """One driver drives at most."""


class Circuit(TypedDict, total=False):
    """A track as its document in the database has it; what is not known is left out."""

    Circuit: Required[str]
    """Its id."""
    Labels: dict[str, str]
    """What the app shows in its columns `C1` to `C14`."""
    Endurance: Endurance
    Map: dict[str, str]
    """Role by column of the feed (`c5`), as a human has set it; no role for one that is not used."""


class Notice(TypedDict):
    """As `detection.drift.Notice`, of its kinds and of `new-layout`: a column has another meaning than before."""

    Kind: str
    Key: str
    """The field, or what could not be read; empty for the feed."""
    Role: str
    Message: str


def message(topic: str, data: Any, at: int, snapshot: bool = False) -> Message:
    """A message of this vocabulary; `at` in ms since the epoch, UTC. Raises ValueError for another topic."""
    if topic not in TOPICS:
        raise ValueError(f"{topic!r} is no message of kart timing")
    return Message(topic, data, at, snapshot)
