"""`sessions/{k}/drivers/{racingNumber}` and `sessions/{k}/laps/{lapNumber}`: the session's record."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Instant, Kph, Ms, RacingNumber


class Stint(Fields, kw_only=True):
    stint: Annotated[int, Meta(description="from 1")]
    compound: (
        Annotated[str, Meta(description="SOFT, MEDIUM, HARD, INTERMEDIATE, WET, or the feed's word")] | UnsetType
    ) = UNSET
    new: bool | UnsetType = UNSET
    start_age: Annotated[int, Meta(description="laps on the set when it was fitted")] | UnsetType = UNSET
    laps: Annotated[int, Meta(description="laps of this stint so far")] | UnsetType = UNSET
    start_lap: Annotated[int, Meta(description="first lap of the stint")] | UnsetType = UNSET
    end_lap: Annotated[int, Meta(description="last lap completed in the stint")] | UnsetType = UNSET
    driver: Annotated[str, Meta(description="who drove at its end, where drivers share a kart")] | UnsetType = UNSET


class PitStop(Fields, kw_only=True):
    lap: Annotated[int, Meta(description="the lap the car came in on")] | UnsetType = UNSET
    in_at: Instant | UnsetType = UNSET
    out_at: Instant | UnsetType = UNSET
    lane_time_ms: (
        Annotated[Ms, Meta(description="time in the pit lane, from the feed; else from inAt and outAt")] | UnsetType
    ) = UNSET
    stop_time_ms: Annotated[Ms, Meta(description="standing still")] | UnsetType = UNSET
    stop: Annotated[bool, Meta(description="false for a drive through the lane")]


class DriverChange(Fields, kw_only=True):
    at: Instant
    lap: Annotated[int, Meta(description="the lap that was being driven")]
    driver: Annotated[str, Meta(description="who drives from then on")]


class PartBest(Fields, kw_only=True):
    lap_time_ms: Ms | UnsetType = UNSET
    lap: int | UnsetType = UNSET


class DriverDocument(Document, kw_only=True):
    """`sessions/{k}/drivers/{racingNumber}`: at most one write a completed lap."""

    racing_number: RacingNumber
    tla: str | UnsetType = UNSET
    broadcast_name: str | UnsetType = UNSET
    full_name: str | UnsetType = UNSET
    first_name: str | UnsetType = UNSET
    last_name: str | UnsetType = UNSET
    reference: Annotated[str, Meta(description="the feed's own id of the person")] | UnsetType = UNSET
    country_code: str | UnsetType = UNSET
    team_name: str | UnsetType = UNSET
    team_colour: str | UnsetType = UNSET
    headshot_url: str | UnsetType = UNSET
    grid: int | UnsetType = UNSET
    category: Annotated[str, Meta(description="class the kart runs in, in the board's words")] | UnsetType = UNSET
    position: int | UnsetType = UNSET
    laps: Annotated[int, Meta(description="laps completed")] | UnsetType = UNSET
    best_lap_ms: Ms | UnsetType = UNSET
    best_lap: Annotated[int, Meta(description="the lap it was set on")] | UnsetType = UNSET
    best_by_part: (
        Annotated[dict[str, PartBest], Meta(description="best lap of qualifying parts 1, 2 and 3")] | UnsetType
    ) = UNSET
    stints: list[Stint]
    pit_stops: list[PitStop]
    driver_changes: (
        Annotated[list[DriverChange], Meta(description="where drivers share a kart and the board names them")]
        | UnsetType
    ) = UNSET
    status: Annotated[
        Literal["running", "stopped", "retired", "knockedOut"], Meta(description="in the pits or not: see live/timing")
    ]


class Speeds(Fields, kw_only=True):
    i1_kph: Kph | UnsetType = UNSET
    i2_kph: Kph | UnsetType = UNSET
    fl_kph: Annotated[Kph, Meta(description="at the finish line")] | UnsetType = UNSET
    st_kph: Annotated[Kph, Meta(description="on the longest straight (speed trap)")] | UnsetType = UNSET


class Lap(Fields, kw_only=True):
    """One lap of one driver."""

    lap_time_ms: Ms | UnsetType = UNSET
    sector1_ms: Ms | UnsetType = UNSET
    sector2_ms: Ms | UnsetType = UNSET
    sector3_ms: Ms | UnsetType = UNSET
    speeds: Speeds | UnsetType = UNSET
    position: Annotated[int, Meta(description="when the lap was completed")] | UnsetType = UNSET
    gap_to_leader_ms: Ms | UnsetType = UNSET
    laps_down: int | UnsetType = UNSET
    stint: int | UnsetType = UNSET
    compound: str | UnsetType = UNSET
    tyre_age: (
        Annotated[int, Meta(description="laps on the set at the end of this lap, earlier use included")] | UnsetType
    ) = UNSET
    tyre_new: bool | UnsetType = UNSET
    pit_in: (
        Annotated[
            Literal[True],
            Meta(description="the car came into the pits at the end of this lap; absent: it did not"),
        ]
        | UnsetType
    ) = UNSET
    pit_out: (
        Annotated[Literal[True], Meta(description="the car left the pits on this lap; absent: it did not")] | UnsetType
    ) = UNSET
    part: Annotated[int, Meta(description="qualifying part")] | UnsetType = UNSET
    track_statuses: Annotated[list[str], Meta(description="codes seen during the lap, in order")] | UnsetType = UNSET
    personal_best: (
        Annotated[Literal[True], Meta(description="best of this driver when set; absent: it was not")] | UnsetType
    ) = UNSET
    deleted: (
        Annotated[Literal[True], Meta(description="race control deleted the time; absent: it stands")] | UnsetType
    ) = UNSET
    deleted_reason: str | UnsetType = UNSET
    started_at: Instant | UnsetType = UNSET
    ended_at: Instant | UnsetType = UNSET
    missed: (
        Annotated[
            Literal[True],
            Meta(
                description="the feed was not received while this lap was driven, or in part: what is absent may never "
                "have been sent again (see gaps); absent: nothing is missing for want of a connection"
            ),
        ]
        | UnsetType
    ) = UNSET
    time_source: (
        Annotated[Literal["feed", "derived", "archive"], Meta(description="where lapTimeMs comes from")] | UnsetType
    ) = UNSET


class LapDocument(Document, kw_only=True):
    """`sessions/{k}/laps/{lapNumber}`: one lap of every driver who completed it."""

    lap: Annotated[int, Meta(ge=1)]
    drivers: dict[RacingNumber, Lap]
