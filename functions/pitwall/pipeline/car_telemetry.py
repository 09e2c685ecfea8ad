"""The last seconds of single cars, from the documents of all cars: what `sessions/{k}/telemetry/{racingNumber}` holds.

Which cars is told to it, as somebody outside asks for them; it reads no clock and does no I/O. What it keeps is part
of a checkpoint, so that a successor goes on with the same seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET, Struct, UnsetType, field, structs

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.car_telemetry import CarChannelsSample, CarPositionSample, CarTelemetryDocument
from pitwall.documents.encoding import EPOCH, instant
from pitwall.documents.live import PositionsDocument, TelemetryDocument
from pitwall.documents.projection import MAX_SAMPLES

WINDOW_MS = 5_000
"""Of samples. Ticks are a second apart, so who misses a few documents in a row misses no sample. A viewer pays for each
document's bytes: twice as long would cost half as much again."""


class Followed(Struct):
    """One car. Samples are kept with the instant of the tick that brought them, feed ms: their own may be wrong."""

    until: int
    """Wall-clock ms at which it ends, as told."""
    telemetry: list[tuple[int, CarChannelsSample]] = field(default_factory=list)
    positions: list[tuple[int, CarPositionSample]] = field(default_factory=list)
    at: datetime | UnsetType = UNSET
    """The feed's instant of the last change; unset while there is no document."""
    changed: bool = False
    """There are samples that no document has had."""


class CarTelemetry(Struct):
    """The cars of one session that somebody has asked for, by racing number."""

    cars: dict[str, Followed] = field(default_factory=dict)

    def follow(self, wanted: Mapping[str, int]) -> list[str]:
        """From now on these cars, each until a wall-clock instant, ms; returns those whose document is to go."""
        gone = [number for number, car in self.cars.items() if number not in wanted and car.at is not UNSET]
        followed = {}
        for number, until in wanted.items():
            followed[number] = self.cars.get(number) or Followed(until)
            followed[number].until = until
        self.cars = followed
        return gone

    def take(self, document: Document, tick: int) -> None:
        """Takes the samples of followed cars out of a document of all cars; `tick`: instant of its tick, feed ms."""
        if not self.cars:
            return
        if isinstance(document, TelemetryDocument):
            for sample in document.samples:
                for number in self.cars.keys() & sample.lines.keys():
                    told = CarChannelsSample(at=sample.at, **structs.asdict(sample.lines[number]))
                    self._changed(number, document).telemetry.append((tick, told))
        elif isinstance(document, PositionsDocument):
            for place in document.samples:
                for number in self.cars.keys() & place.lines.keys():
                    stood = CarPositionSample(at=place.at, **structs.asdict(place.lines[number]))
                    self._changed(number, document).positions.append((tick, stood))

    def documents(self, session: str, tick: int) -> list[tuple[str, Document]]:
        """The documents of the cars that have new samples."""
        changed: list[tuple[str, Document]] = []
        for number, car in self.cars.items():
            if not car.changed or car.at is UNSET:
                continue
            car.changed = False
            car.telemetry = [kept for kept in car.telemetry if tick - WINDOW_MS < kept[0] <= tick][-MAX_SAMPLES:]
            car.positions = [kept for kept in car.positions if tick - WINDOW_MS < kept[0] <= tick][-MAX_SAMPLES:]
            document = CarTelemetryDocument(
                at=car.at,
                racing_number=number,
                until=instant(car.until),
                telemetry=[sample for _, sample in car.telemetry],
                positions=[sample for _, sample in car.positions],
            )
            changed.append((paths.car_telemetry(session, number), document))
        return changed

    def _changed(self, number: str, document: Document) -> Followed:
        car = self.cars[number]
        car.at = max(car.at or EPOCH, document.at)
        car.changed = True
        return car
