"""What the state machine remembers of a car: laps, stints and visits to the pits. Data only."""

from __future__ import annotations

from msgspec import Struct, field


class Lap(Struct, array_like=True):
    """A lap that is over, or that ended where the car stopped. Instants and durations in milliseconds."""

    number: int
    started_at: int | None = None
    ended_at: int | None = None
    time: int | None = None
    time_source: str = ""
    sectors: list[int | None] = field(default_factory=lambda: [None, None, None])
    speeds: dict[str, int] = field(default_factory=dict)
    position: int | None = None
    gap_ms: int | None = None
    laps_down: int | None = None
    stint: int | None = None
    """Index in the car's list of stints."""
    part: int | None = None
    statuses: list[str] = field(default_factory=list)
    pit_in: bool = False
    pit_out: bool = False
    personal_best: bool = False
    deleted: bool = False
    deleted_reason: str | None = None
    finished: bool = True
    """False where the car stopped on the lap: it has no time."""
    refused: int | None = None
    """A lap time the feed gave that the sectors do not bear out (after a red flag, over 150 s)."""
    aborted: bool = False
    """A red flag or a break between qualifying parts fell into it."""
    in_lane: bool = False
    """It ended in the pit lane in practice or qualifying: the feed times it, but not as a best."""
    gaps: list[int] = field(default_factory=list)
    """Gaps that fell into it, or into the seconds in which its last values were still to come."""
    found_at: int | None = None
    """When the snapshot came that told of it, as its crossing fell into a gap; None where that was seen."""
    doubtful: bool = False
    """In a gap something happened that a snapshot tells only in part: a visit to the pits, a change of the track."""

    @property
    def lost(self) -> bool:
        """Whether its crossing fell into a gap: its end, its place and how far behind were never sent again."""
        return self.found_at is not None


class OpenLap(Struct, array_like=True):
    """The lap a car is on."""

    number: int
    started_at: int | None = None
    sectors: list[int | None] = field(default_factory=lambda: [None, None, None])
    speeds: dict[str, int] = field(default_factory=dict)
    early_time: int | None = None
    """A lap time that came before the crossing it belongs to."""
    early_at: int = 0
    line_at: int | None = None
    """When sector 3 or the lap time came first, if that was before the counter rose."""
    aborted: bool = False
    gaps: list[int] = field(default_factory=list)
    """Gaps that fell into it so far."""
    doubtful: bool = False
    """As of a lap that is over."""


class Stint(Struct, array_like=True):
    """One item of the feed's list of stints."""

    compound: str | None = None
    new: bool | None = None
    start_age: int | None = None
    total_laps: int | None = None
    same_tyres: bool = False
    counted_to: int | None = None
    """Laps the car had completed when `total_laps` was told."""


class PitVisit(Struct, array_like=True):
    """A car in the pit lane, from the lap it came in on."""

    lap: int | None = None
    in_at: int | None = None
    out_at: int | None = None
    lane_time: int | None = None
    stop_time: int | None = None
    new_stint: bool = False
    """A new set of tyres was reported after it."""
    stint: int = 0
    """Index of the stint the car came in on."""
    fitted: int | None = None
    """Index of the stint the car went out on, once told."""
    part: int | None = None
    """Qualifying part in which the car came in."""
    out_lap: int | None = None
    """The lap the car went out on, where that is known although it was not seen."""
    in_unseen: bool = False
    """The car came in during a gap: `in_at` is no instant of the feed."""
    out_unseen: bool = False
    """The car went out during a gap: `out_at` is no instant of the feed."""


class Best(Struct, array_like=True):
    """A best lap: time in milliseconds and the feed's number of the lap."""

    time: int
    lap: int | None = None


class Gap(Struct, array_like=True):
    """A time in which messages may have been missed. Instants in milliseconds."""

    started_at: int
    ended_at: int
    reason: str
    merged: bool = False
    """A snapshot has come since."""
    topics: list[str] = field(default_factory=list)
    """Topics of that snapshot."""
    withheld: list[str] = field(default_factory=list)
    """Topics told before it of which that snapshot had nothing."""


class Car(Struct):
    """One car of a session."""

    number: str
    counter: int | None = None
    """The feed's NumberOfLaps as last told."""
    ran_back: tuple[int, int] | None = None
    """What the counter had been before it ran back, and when it did; None while it is what it was."""
    unsaid: int | None = None
    """The lap last completed though no counter said so: its message was lost, or is late."""
    open: OpenLap | None = None
    joined_at: int | None = None
    """The counter when the car was first seen, where that was in mid-session."""
    laps: dict[int, Lap] = field(default_factory=dict)
    waiting: int | None = None
    """Number of the lap last completed while its sector 3 or time may still come."""
    told: set[int] = field(default_factory=set)
    """Laps that were reported as changed at least once."""
    in_pit: bool = False
    visits: list[PitVisit] = field(default_factory=list)
    stints: list[Stint] = field(default_factory=list)
    stint: int = 0
    """Index of the stint the car is on."""
    lap_in_lane: bool = False
    """The open lap ended in the pit lane; the counter will say so when the car leaves."""
    flagged: bool = False
    """Took the chequered flag: what follows is no lap of the race."""
    gap_ms: int | None = None
    gap_laps: int | None = None
    interval_ms: int | None = None
    interval_laps: int | None = None
    told_bests: dict[int, Best] = field(default_factory=dict)
    """The best lap the feed tells, by qualifying part; 0 for the session."""
    declared: set[int] = field(default_factory=set)
    """Every time the feed ever told as a best."""
    resumed_at: int | None = None
    """When the last snapshot after a gap came."""
    deletions: list[tuple[int | None, int | None, str | None]] = field(default_factory=list)
    """Rulings whose lap has not come yet: time, lap, reason."""
