"""Which cars' telemetry is wanted: `telemetryRequests/{sessionKey}`, changed by who asks, read by the feed's holder.

One small document a session, so that a holder learns of everything that is wanted with one read. A crowd that asks for
one car again and again reads it, and writes it twice a minute at the most: whoever asks while more than `SPARE_S` are
left changes nothing. What is in it is not trusted: what cannot be read, or could not have been asked for, is left out.

All instants are Firestore's own, those at which the document was read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

from pitwall.documents import paths
from pitwall.documents.car_telemetry import AskedCar, TelemetryRequestDocument
from pitwall.documents.encoding import to_fields
from pitwall.pipeline.database import Conflict, Database, Stored, Unavailable
from pitwall.pipeline.log import log

LEASE: Final = timedelta(minutes=2)
"""How long a car is told after it was asked for."""
SPARE: Final = timedelta(seconds=90)
"""While more than this is left, asking again changes nothing: so who asks every minute is never without."""

LOOK_EVERY_S: Final = 5.0
"""Seconds of wall time between two looks of a holder."""
LOOK_S: Final = 2.0
"""Seconds one of them may take."""

_RACING_NUMBER = re.compile(r"[0-9A-Za-z]{1,6}")
_ATTEMPTS: Final = 5


class TooManyCars(Exception):
    """As many cars are told as may be at a time; none of them is this one. cars: which. free_at: when one may go."""

    def __init__(self, cars: list[str], free_at: datetime) -> None:
        super().__init__(f"telemetry of {', '.join(cars)} is told until {free_at:%H:%M:%S} UTC at least")
        self.cars = cars
        self.free_at = free_at


class Asked(NamedTuple):
    """What the document says. wanted: until when, by racing number. over: cars that were wanted and are not any more.

    refused: what could not be read, by key.
    """

    session: str
    wanted: dict[str, datetime]
    over: frozenset[str]
    refused: frozenset[str]


class TelemetryRequests:
    """The requests of all sessions of one project. most: cars of a session at a time, above 0."""

    def __init__(self, database: Database, most: int) -> None:
        self._database = database
        self._most = most

    def asked(self, session: str, timeout_s: float | None = None) -> Asked:
        """Which cars of a session are wanted now. Reads one document. Raises Unavailable."""
        path = paths.telemetry_requests(session)
        stored = self._database.read([path], timeout_s=timeout_s)[path]
        cars, refused = _cars(stored)
        now = stored.read_at
        wanted = {number: car.until for number, car in sorted(cars.items()) if car.until > now}
        over = frozenset(cars.keys() - wanted.keys())
        return Asked(session, dict(list(wanted.items())[: self._most]), over, refused)

    def ask(self, session: str, racing_number: str, asker: str) -> tuple[datetime, bool]:
        """Has a car told for two minutes from now; until when it is, and whether it was not before.

        asker: id of who asks, of which a hash is stored. Raises TooManyCars, Unavailable.
        """
        by = _hash(session, asker)

        def asked(cars: dict[str, AskedCar], now: datetime) -> AskedCar | None:
            car = cars.get(racing_number)
            if car is None or car.until <= now:
                on = {number: other.until for number, other in cars.items() if other.until > now}
                if len(on) >= self._most:
                    raise TooManyCars(sorted(on), min(on.values()))
                return AskedCar(until=now + LEASE, by=by)
            shared: Literal[True] | UnsetType = True if car.shared or car.by != by else UNSET
            if car.until - now > SPARE and shared == car.shared:
                return None
            return AskedCar(until=now + LEASE, by=car.by, shared=shared)

        before, after = self._change(session, racing_number, asked)
        assert after is not None  # noqa: S101 (it has just been asked for)
        return after.until, before is None

    def end(self, session: str, racing_number: str, asker: str) -> None:
        """Ends what this asker alone has asked for; what others have asked for as well goes on. Raises Unavailable."""
        by = _hash(session, asker)

        def ended(cars: dict[str, AskedCar], now: datetime) -> AskedCar | None:
            car = cars.get(racing_number)
            if car is None or car.until <= now or car.shared or car.by != by:
                return None
            return AskedCar(until=now, by=by)  # stays, so that a successor of the holder knows that it was on

        self._change(session, racing_number, ended)

    def _change(
        self, session: str, racing_number: str, make: Callable[[dict[str, AskedCar], datetime], AskedCar | None]
    ) -> tuple[AskedCar | None, AskedCar | None]:
        """What is asked of a car before (None: nothing that holds) and after. make: None to leave it."""
        path = paths.telemetry_requests(session)
        try:
            return _RETRYING(self._change_once, path, racing_number, make)
        except Conflict:
            raise Unavailable(f"{path} was changed by others {_ATTEMPTS} times in a row") from None

    def _change_once(
        self, path: str, racing_number: str, make: Callable[[dict[str, AskedCar], datetime], AskedCar | None]
    ) -> tuple[AskedCar | None, AskedCar | None]:
        stored = self._database.read([path])[path]
        cars, _ = _cars(stored)
        now, car = stored.read_at, cars.get(racing_number)
        before = car if car is not None and car.until > now else None
        made = make(cars, now)
        if made is None:
            return before, before
        cars[racing_number] = made
        v = (stored.fields or {}).get("v")
        document = TelemetryRequestDocument(
            at=now,
            written_at=now,
            v=v + 1 if isinstance(v, int) and v >= 0 else 1,
            cars=cars,
            expires_at=max(car.until for car in cars.values()),
        )
        fields = to_fields(document)
        self._database.commit([self._database.write(path, fields, stored.updated, must_be_new=stored.fields is None)])
        return before, made


_RETRYING = Retrying(
    retry=retry_if_exception_type(Conflict),
    stop=stop_after_attempt(_ATTEMPTS),
    wait=wait_random(0, 0.1),
    reraise=True,
)


def _hash(session: str, asker: str) -> str:
    """Who asked, told apart from others within a session, and named nowhere."""
    return blake2b(asker.encode(), key=session.encode()[:64], digest_size=8).hexdigest()


def _cars(stored: Stored) -> tuple[dict[str, AskedCar], frozenset[str]]:
    """What of the document can be true, and the keys of the rest."""
    told: Any = (stored.fields or {}).get("cars", {})
    if not isinstance(told, dict):
        return {}, frozenset({"cars"})
    cars: dict[str, AskedCar] = {}
    for number, fields in told.items():
        if not _RACING_NUMBER.fullmatch(number):
            continue
        try:
            car = msgspec.convert(fields, AskedCar)
        except msgspec.ValidationError:
            continue
        if car.until <= stored.read_at + LEASE:
            cars[number] = car
    return cars, frozenset(map(str, told.keys() - cars.keys()))


class Following:
    """What is wanted of a session, as a holder follows it: read every `LOOK_EVERY_S` beside what it does."""

    def __init__(self, requests: TelemetryRequests, beside: Executor, monotonic: Callable[[], float]) -> None:
        self._requests = requests
        self._beside = beside
        self._monotonic = monotonic
        self._reading: Future[Asked] | None = None
        self._read_at = monotonic()
        self._session = ""
        self._refused: frozenset[str] = frozenset()

    def look(self, now: float, session: str) -> Asked | None:
        """What is wanted, if it has been read since this was last asked. Never blocks.

        over: at the first look at a session alone, for an earlier holder may have left documents of those cars.
        """
        found = None
        if self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            try:
                found = reading.result()
            except Unavailable as error:
                log("WARNING", "what telemetry is wanted cannot be read, it stays", detail=str(error)[:300])
        if self._reading is None and now >= self._read_at:
            self._read_at = now + LOOK_EVERY_S
            self._reading = self._beside.submit(self._requests.asked, session, LOOK_S)
        if found is None or found.session != session:
            return None
        if found.refused - self._refused:
            told = ", ".join(sorted(found.refused))[:500]
            log(
                "ERROR", "telemetry requests cannot be read", session=session, reason="bad-telemetry-request", cars=told
            )
        self._refused = found.refused
        first, self._session = self._session != session, session
        return found if first else found._replace(over=frozenset())
