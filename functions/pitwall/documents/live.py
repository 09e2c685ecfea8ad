"""`sessions/{k}/live/*` and `sessions/{k}/towers/{slot}`: what clients listen to while cars run.

A viewer pays for each change of a document and for its bytes, so the tower has keys of one to
three letters and what changes seldom lives in documents of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Instant, Ms, RacingNumber, long_name

Best = Annotated[
    Literal["p", "o"],
    Meta(
        description="p: best of this driver (green), o: best of all (purple); absent: neither",
        extra_json_schema={"x-longValues": {"p": "personal", "o": "overall"}},
    ),
]
Yes = Annotated[Literal[True], Meta(description="true, or absent for no")]


class TowerLine(Fields, kw_only=True, rename=None):
    """One car in the tower. Long names are in each key's `x-longName`."""

    p: Annotated[int, long_name("position")] | UnsetType = UNSET
    g: (
        Annotated[
            Ms,
            long_name("gapToLeaderMs"),
            Meta(description="to the leader; in practice and qualifying to the best lap; absent for the leader"),
        ]
        | UnsetType
    ) = UNSET
    i: Annotated[Ms, long_name("intervalMs"), Meta(description="to the car ahead")] | UnsetType = UNSET
    ld: (
        Annotated[int, long_name("lapsDown"), Meta(description="laps behind the leader, instead of a gap")] | UnsetType
    ) = UNSET
    il: (
        Annotated[
            int,
            long_name("intervalLaps"),
            Meta(description="laps behind the car ahead, instead of an interval"),
        ]
        | UnsetType
    ) = UNSET
    n: Annotated[int, long_name("laps"), Meta(description="laps completed")] | UnsetType = UNSET
    l: Annotated[Ms, long_name("lastLapMs")] | UnsetType = UNSET  # noqa: E741
    lb: Annotated[Best, long_name("lastLapBest")] | UnsetType = UNSET
    s1: Annotated[Ms, long_name("sector1Ms")] | UnsetType = UNSET
    s2: Annotated[Ms, long_name("sector2Ms")] | UnsetType = UNSET
    s3: Annotated[Ms, long_name("sector3Ms")] | UnsetType = UNSET
    b1: Annotated[Best, long_name("sector1Best")] | UnsetType = UNSET
    b2: Annotated[Best, long_name("sector2Best")] | UnsetType = UNSET
    b3: Annotated[Best, long_name("sector3Best")] | UnsetType = UNSET
    ip: Annotated[Yes, long_name("inPit")] | UnsetType = UNSET
    po: Annotated[Yes, long_name("pitOut")] | UnsetType = UNSET
    rt: Annotated[Yes, long_name("retired")] | UnsetType = UNSET
    st: Annotated[Yes, long_name("stopped")] | UnsetType = UNSET
    ko: Annotated[Yes, long_name("knockedOut")] | UnsetType = UNSET
    dz: Annotated[Yes, long_name("inDropZone")] | UnsetType = UNSET


class TowerDocument(Document, kw_only=True):
    """`sessions/{k}/live/timing`: the tower. At most one write a second, 4 KiB for 22 cars."""

    lines: dict[RacingNumber, TowerLine]


class EntryLine(Fields, kw_only=True):
    tla: Annotated[str, Meta(description="three-letter code")] | UnsetType = UNSET
    broadcast_name: str | UnsetType = UNSET
    full_name: str | UnsetType = UNSET
    team_name: str | UnsetType = UNSET
    team_colour: Annotated[str, Meta(description="RRGGBB")] | UnsetType = UNSET
    grid: Annotated[int, Meta(description="place on the grid; absent where there is none")] | UnsetType = UNSET
    category: Annotated[str, Meta(description="class the kart runs in, in the board's words")] | UnsetType = UNSET
    penalty: Annotated[str, Meta(description="as a kart track's board shows it, in its words")] | UnsetType = UNSET


class EntriesDocument(Document, kw_only=True):
    """`sessions/{k}/live/entries`: who is in which car."""

    lines: dict[RacingNumber, EntryLine]


class TyreLine(Fields, kw_only=True):
    compound: (
        Annotated[str, Meta(description="SOFT, MEDIUM, HARD, INTERMEDIATE, WET, or the feed's word")] | UnsetType
    ) = UNSET
    age: Annotated[int, Meta(description="laps on this set, those before this session included")] | UnsetType = UNSET
    new: Annotated[bool, Meta(description="the set was new when fitted")] | UnsetType = UNSET
    stint: int | UnsetType = UNSET
    stops: Annotated[int, Meta(description="pit stops so far; a drive through is none")] | UnsetType = UNSET
    best_lap_ms: Ms | UnsetType = UNSET
    best_lap: Annotated[int, Meta(description="the lap it was set on")] | UnsetType = UNSET


class TyresDocument(Document, kw_only=True):
    """`sessions/{k}/live/tyres`: tyres, stops and best lap of every car."""

    lines: dict[RacingNumber, TyreLine]


class SegmentLine(Fields, kw_only=True):
    s1: Annotated[str, Meta(description="sector 1, one letter a mini-sector, see SegmentsDocument")] | UnsetType = UNSET
    s2: str | UnsetType = UNSET
    s3: str | UnsetType = UNSET


class SegmentsDocument(Document, kw_only=True):
    """`sessions/{k}/live/segments`: mini-sectors, one letter each.

    - none yet, y yellow (no improvement), g green (personal best), p purple (best of all), b in the pit lane,
    x stopped, ? a status the feed does not explain.
    """

    lines: dict[RacingNumber, SegmentLine]


class CarPosition(Fields, kw_only=True):
    x: Annotated[int, Meta(description="tenths of a metre")]
    y: Annotated[int, Meta(description="tenths of a metre")]
    z: Annotated[int, Meta(description="tenths of a metre")]
    off_track: Yes | UnsetType = UNSET


class PositionSample(Fields, kw_only=True):
    at: Instant
    lines: dict[RacingNumber, CarPosition]


class PositionsDocument(Document, kw_only=True):
    """`sessions/{k}/live/positions`: every sample of all cars since the last write, at most 1 Hz."""

    samples: list[PositionSample]


class CarChannels(Fields, kw_only=True):
    rpm: int | UnsetType = UNSET
    speed_kph: int | UnsetType = UNSET
    gear: Annotated[int, Meta(description="0 neutral")] | UnsetType = UNSET
    throttle: Annotated[int, Meta(description="per cent; the feed sends 104 for not available")] | UnsetType = UNSET
    brake: Annotated[int, Meta(description="per cent: 0 or 100")] | UnsetType = UNSET
    drs: (
        Annotated[
            int,
            Meta(description="the feed's DRS code: 0, 1 off; 8 eligible; 10, 12, 14 open; none since 2026"),
        ]
        | UnsetType
    ) = UNSET


class TelemetrySample(Fields, kw_only=True):
    at: Instant
    lines: dict[RacingNumber, CarChannels]


class TelemetryDocument(Document, kw_only=True):
    """`sessions/{k}/live/telemetry`: every sample of all cars since the last write, at most 1 Hz."""

    samples: list[TelemetrySample]


class FeedDocument(Document, kw_only=True):
    """`sessions/{k}/live/feed`: how the feed is. Stale when now - lastMessageAt > 30 s."""

    source: Annotated[str, Meta(description="f1, recording, archive, openf1, ...")]
    state: Annotated[
        Literal["connecting", "live", "silent", "reconnecting", "refused", "ended"],
        Meta(description="of the connection"),
    ]
    last_message_at: Annotated[Instant, Meta(description="feed instant of the last message")] | UnsetType = UNSET
    reconnects: int
    gated_topics: Annotated[list[str], Meta(description="topics the feed holds back without a token")]
    message: (
        Annotated[str, Meta(description="what the matter is, in plain words; absent when all is well")] | UnsetType
    ) = UNSET
