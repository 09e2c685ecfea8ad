"""`sessions/{k}/telemetry/{racingNumber}`, the last seconds of one car, and `telemetryRequests/{k}`: for whom."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from pitwall.documents.base import Document, Fields, Instant, RacingNumber
from pitwall.documents.live import CarChannels, CarPosition, Yes


class CarChannelsSample(CarChannels, kw_only=True):
    """The channels of a car at an instant."""

    at: Instant


class CarPositionSample(CarPosition, kw_only=True):
    """Where a car was at an instant."""

    at: Instant


class CarTelemetryDocument(Document, kw_only=True):
    """`sessions/{k}/telemetry/{racingNumber}`: the last five seconds of one car, while somebody asks for it.

    At most once a second; each holds what the ones before it held, up to 64 samples of either kind. Deleted when
    nobody asks any longer.
    """

    racing_number: RacingNumber
    until: Annotated[Instant, Meta(description="wall-clock instant at which it ends, unless asked for again before")]
    telemetry: Annotated[list[CarChannelsSample], Meta(description="in the order in which the feed told them")]
    positions: Annotated[list[CarPositionSample], Meta(description="the same; the instants are others")]


class AskedCar(Fields, kw_only=True):
    """One car that somebody has asked for."""

    until: Annotated[Instant, Meta(description="when it ends, unless asked for again")]
    by: Annotated[str, Meta(description="hash of who asked first; names nobody")]
    shared: (
        Annotated[Yes, Meta(description="others have asked since: nobody may end it before its time")] | UnsetType
    ) = UNSET


class TelemetryRequestDocument(Document, kw_only=True):
    """`telemetryRequests/{k}`: the cars of a session whose telemetry somebody has asked for. Private.

    The API writes it, whoever holds the feed reads it every few seconds. `v` counts the changes.
    """

    cars: dict[RacingNumber, AskedCar]
    expires_at: Annotated[Instant, Meta(description="when Firestore may delete it: nothing in it holds any more")]
