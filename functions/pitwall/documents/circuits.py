"""`circuits/{id}`: where races are held, and of a kart track what it runs, how it is read and what is made of it.

Kart tracks are the app's documents: what tells one is `nom`, its id is that of its document, and it may hold what only
the app knows. What only the app has written has no `at`. A circuit of the series F1 comes from its history, with
`circuit` and `name`. What other jobs know of a track is in documents beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from pitwall.documents.base import Document, Fields, Instant, Ms, RacingNumber

Label = Annotated[str, Meta(max_length=64, description="what the app shows in this column; `Non utilisé` for nothing")]
"""Of a column of the app's board."""

LABELS = tuple(f"c{number}" for number in range(1, 15))
"""Keys of the app's columns."""


class Endurance(Fields, kw_only=True):
    """The rules of an endurance race at this track."""

    stops: Annotated[int, Meta(ge=0, le=100, description="stops each kart has to make")] | UnsetType = UNSET
    stop_ms: Annotated[int, Meta(ge=0, description="milliseconds a stop lasts at least")] | UnsetType = UNSET
    stop_cost_ms: (
        Annotated[int, Meta(ge=0, description="milliseconds a stop costs against driving on; else that of those made")]
        | UnsetType
    ) = UNSET
    stint_ms: Annotated[int, Meta(ge=0, description="milliseconds a stint lasts at most")] | UnsetType = UNSET
    driver_ms: Annotated[int, Meta(ge=0, description="milliseconds one driver drives at most")] | UnsetType = UNSET


class CircuitDocument(Document, kw_only=True):
    """`circuits/{id}`: where races are held. Public."""

    circuit: Annotated[str, Meta(description="its id; absent of a kart track")] | UnsetType = UNSET
    name: Annotated[str, Meta(description="absent of a kart track, which has `nom`")] | UnsetType = UNSET
    location: str | UnsetType = UNSET
    country: str | UnsetType = UNSET
    latitude: Annotated[float, Meta(ge=-90, le=90, description="degrees north")] | UnsetType = UNSET
    longitude: Annotated[float, Meta(ge=-180, le=180, description="degrees east")] | UnsetType = UNSET
    key: Annotated[str, Meta(description="F1's circuit key, as in `sessions`")] | UnsetType = UNSET
    url: Annotated[str, Meta(description="its page in Wikipedia")] | UnsetType = UNSET
    series: Annotated[Literal["kart"], Meta(description="of a kart track; absent else")] | UnsetType = UNSET
    nom: Annotated[str, Meta(description="of a kart track: its name, as the app has it")] | UnsetType = UNSET
    live_timing_url: Annotated[str, Meta(description="of a kart track: its page of live timing")] | UnsetType = UNSET
    wss_url: (
        Annotated[str, Meta(description="of a kart track: where its timing comes from, if that is known")] | UnsetType
    ) = UNSET
    c1: Label | UnsetType = UNSET
    c2: Label | UnsetType = UNSET
    c3: Label | UnsetType = UNSET
    c4: Label | UnsetType = UNSET
    c5: Label | UnsetType = UNSET
    c6: Label | UnsetType = UNSET
    c7: Label | UnsetType = UNSET
    c8: Label | UnsetType = UNSET
    c9: Label | UnsetType = UNSET
    c10: Label | UnsetType = UNSET
    c11: Label | UnsetType = UNSET
    c12: Label | UnsetType = UNSET
    c13: Label | UnsetType = UNSET
    c14: Label | UnsetType = UNSET
    endurance: Endurance | UnsetType = UNSET


class StartedDocument(Document, kw_only=True):
    """`circuitFeeds/started`: the kart tracks whose timing is on: all that a tick reads between them."""

    circuits: Annotated[dict[str, str], Meta(description="feed id by id of the circuit")]


class FormatDocument(Document, kw_only=True):
    """`circuits/{id}/timing/format`: how a human said this track's feed is to be read. No job writes it."""

    columns: Annotated[
        dict[str, str],
        Meta(description="role by field (`c5` of Apex Timing); no role for a field that is not used"),
    ]
    description: (
        Annotated[dict[str, Any], Meta(description="of a feed without a source of its own: a parser description")]
        | UnsetType
    ) = UNSET


class AnalysisDocument(Document, kw_only=True):
    """`circuits/{id}/timing/analysis`: what the job `analyze-format` found of this track's feed."""

    heard_from: Annotated[str, Meta(description="what was listened to: an address without credentials, or a recording")]
    frames: Annotated[int, Meta(ge=0, description="frames heard")]
    heard_ms: Annotated[int, Meta(ge=0, description="milliseconds listened")]
    analysis: Annotated[dict[str, Any], Meta(description="protocols, fields, notUnderstood, notices, description")]
    job: Annotated[str, Meta(description="id of the job")]


class NoticeDocument(Document, kw_only=True):
    """`circuits/{id}/notices/{n}`: something about a track's feed that is no longer as it was, for a human."""

    kind: Annotated[str, Meta(description="new-field, field-gone, unknown-token, behaviour, new-layout")]
    field: Annotated[str, Meta(description="the field it is about, empty for the feed")]
    role: Annotated[str, Meta(description="what that field was read as, empty for nothing")]
    message: Annotated[str, Meta(description="in plain words")]
    session: Annotated[str, Meta(description="key of the session it was seen in")] | UnsetType = UNSET


class ConnectionDocument(Document, kw_only=True):
    """`circuits/{id}/log/{n}`: one event of the connection to a track's timing."""

    feed_id: str
    state: Literal["connecting", "live", "silent", "reconnecting", "refused", "ended"]
    message: Annotated[str, Meta(description="what the matter is, in plain words")] | UnsetType = UNSET
    reconnects: int
    session: Annotated[str, Meta(description="key of the session it was on")] | UnsetType = UNSET


class AppData(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One row as the app reads it; keys are the app's."""

    mapped_data: Annotated[dict[str, str], Meta(description="text by column, `C1` to `C14`")]
    raw_data: Annotated[dict[str, Any], Meta(description="the row as read, by the sport's names")]
    timestamp: Annotated[Instant, Meta(description="the feed's instant of the row's last change, UTC")]


class AppTimingDocument(Document, kw_only=True, rename={"circuit_id": "circuit_id"}):
    """`circuits/{id}/live/timing`: the board in the messages the app knows."""

    type: Annotated[Literal["timing"], Meta(description="kind of message")]
    circuit_id: Annotated[str, Meta(description="id of the circuit")]
    data: Annotated[AppData, Meta(description="the row that changed last")]
    rows: Annotated[dict[RacingNumber, AppData], Meta(description="every row, by racing number")]
    session: Annotated[str, Meta(description="key of the session")]


class EnduranceLine(Fields, kw_only=True):
    """One kart of an endurance race."""

    position: int | UnsetType = UNSET
    stint: int
    stint_ms: Annotated[Ms, Meta(description="on the track since the last stop, at `at`")] | UnsetType = UNSET
    stint_left_ms: Annotated[Ms, Meta(description="until the longest stint allowed, below 0 over it")] | UnsetType = (
        UNSET
    )
    driver: str | UnsetType = UNSET
    driver_ms: Annotated[Ms, Meta(description="this driver at the wheel, all stints")] | UnsetType = UNSET
    stops: Annotated[int, Meta(ge=0, description="made")]
    stops_owed: Annotated[int, Meta(ge=0, description="still to be made")] | UnsetType = UNSET
    in_pit_since: Instant | UnsetType = UNSET
    last_stop_ms: Ms | UnsetType = UNSET
    short_stops: Annotated[int, Meta(ge=0, description="stops shorter than the rules have them")] | UnsetType = UNSET
    laps: int | UnsetType = UNSET
    adjusted_position: Annotated[int, Meta(ge=1, description="with all stops owed made")] | UnsetType = UNSET
    adjusted_gap_ms: (
        Annotated[Ms, Meta(description="to the first by that count, at the pace of the last clean laps")] | UnsetType
    ) = UNSET
    penalties: Annotated[list[str], Meta(description="as race control said them, oldest first")] | UnsetType = UNSET


class EnduranceDocument(Document, kw_only=True):
    """`sessions/{k}/live/endurance`: stints, stops owed and what the gaps are worth."""

    rules: Endurance | UnsetType = UNSET
    lines: dict[RacingNumber, EnduranceLine]
    pit_queue: Annotated[list[RacingNumber], Meta(description="karts in the pits, who came first first")]
