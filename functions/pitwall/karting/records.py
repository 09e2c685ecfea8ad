"""What the state machine remembers: of a kart laps, stints and visits to the pits, of its track what the app has of it,
of a lost connection what it took along. Data only."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class Lap(Struct, array_like=True):
    """A lap that is over. Instants and durations in milliseconds."""

    number: int
    started_at: int | None = None
    ended_at: int | None = None
    time: int | None = None
    sectors: list[int | None] = field(default_factory=lambda: [None, None, None])
    position: int | None = None
    gap_ms: int | None = None
    gap_laps: int | None = None
    stint: int = 0
    """Index in the kart's list of stints."""
    pit_in: bool = False
    pit_out: bool = False
    personal_best: bool = False
    statuses: list[str] = field(default_factory=list)
    taken_back: bool = False
    """The timekeeper took it off the board again."""
    unseen: bool = False
    """Its crossing was not seen, only the board tells of it; or the connection was lost while it was driven."""

    @property
    def partial(self) -> bool:
        """Whether it was not driven whole on the track: such a lap is no best."""
        return self.pit_in or self.pit_out


class Stint(Struct, array_like=True):
    """From one visit to the pits to the next."""

    started_at: int | None = None
    driver: str | None = None
    """Who drove at its end."""
    ended_at: int | None = None


class Visit(Struct, array_like=True):
    """A kart in the pits."""

    lap: int | None
    """The lap it came in on; None where that was not seen."""
    in_at: int | None = None
    """None where it was there when it was first seen, or came in while the connection was lost."""
    out_at: int | None = None
    board_ms: int | None = None
    """How long it was there as the board counted it."""
    stop: bool = True
    """False before the session, or from the pits into it."""


class DriverChange(Struct, array_like=True):
    """Somebody else drives."""

    at: int
    lap: int
    """The lap that was being driven."""
    name: str


class Kart(Struct):
    """One row of the board."""

    row: str
    number: str = ""
    """Racing number, by which documents are kept; "" until the board has told it."""
    line: dict[str, Any] = field(default_factory=dict)
    """The row as merged, fields of `vocabulary.Line`."""
    on_board: bool = True
    laps: dict[int, Lap] = field(default_factory=dict)
    count: int = 0
    """Laps completed, or seen to be completed where the kart joined late and the board does not count them."""
    counted: bool = True
    """Whether `count` is all of the kart's laps."""
    changes: int = 0
    """How often the row, or what was made of it, has changed."""
    changed_at: int = 0
    """When it last did."""
    told_at: dict[str, int] = field(default_factory=dict)
    """When the board last told another `StintMs` or `DriverMs`."""
    crossed_at: int | None = None
    """When the open lap began; None where that was not seen."""
    crossed_before: int | None = None
    """The same, while the connection is lost and it is not known whether that lap is still open."""
    new_time: bool = False
    """A lap time was told that no lap has yet."""
    laps_at: int = 0
    """When the board's count of laps last changed."""
    unsure_at: int | None = None
    """A crossing of which it is not known yet whether it ended a lap."""
    late: int | None = None
    """Lap whose time was taken as it stood, while another may still come."""
    in_pit: bool = False
    left_at: int | None = None
    """When the board no longer said that it is in the pits, though nothing said that it left them."""
    pit_in: bool = False
    pit_out: bool = False
    """Of the open lap."""
    averaged: bool = False
    """What the board calls its best lap is none, but an average or the like."""
    gaps: list[int] = field(default_factory=list)
    """Numbers of the gaps that fell into the open lap."""
    visits: list[Visit] = field(default_factory=list)
    stints: list[Stint] = field(default_factory=lambda: [Stint()])
    lap_stint: int = 0
    """Index of the stint the open lap began in."""
    driver_changes: list[DriverChange] = field(default_factory=list)

    @property
    def driven(self) -> bool:
        """Whether it has completed a lap in this session, as far as can be known."""
        return self.count > 0 or not self.counted


class Gap(Struct, array_like=True):
    """A time in which the connection was lost."""

    started_at: int
    ended_at: int
    reason: str
    merged: bool = False
    """Whether the whole board has been told since."""
    laps: dict[str, list[int]] = field(default_factory=dict)
    """Laps that lack something because of it, or may be wrong, by row."""


class Circuit(Struct, array_like=True):
    """What the app has of the track."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    """By column of the app, `C1` to `C14`."""
    rules: dict[str, int] = field(default_factory=dict)
    """Fields of `vocabulary.Endurance`."""


class Notice(Struct, array_like=True):
    """Something about the feed that is no longer as it was."""

    at: int
    kind: str
    key: str
    role: str
    message: str
    session: str
