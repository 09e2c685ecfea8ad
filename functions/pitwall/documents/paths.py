"""The one place that knows where documents are: paths, and the type stored at each.

A path is relative to the database, as in `sessions/9845/live/timing`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pitwall.documents.api_key import ApiKeyDocument
from pitwall.documents.base import Document
from pitwall.documents.car_telemetry import CarTelemetryDocument, TelemetryRequestDocument
from pitwall.documents.circuits import (
    AnalysisDocument,
    AppTimingDocument,
    CircuitDocument,
    ConnectionDocument,
    EnduranceDocument,
    FormatDocument,
    NoticeDocument,
    StartedDocument,
)
from pitwall.documents.drivers import DriverDocument, LapDocument
from pitwall.documents.economy import EconomyDocument
from pitwall.documents.history import (
    Championship,
    ConstructorDocument,
    ConstructorSeasonDocument,
    ContributionDocument,
    DriverProfileDocument,
    DriverSeasonDocument,
    LayoutDocument,
    ResultDocument,
    SeasonDocument,
    StandingsDocument,
)
from pitwall.documents.job import JobDocument
from pitwall.documents.live import (
    EntriesDocument,
    FeedDocument,
    PositionsDocument,
    SegmentsDocument,
    TelemetryDocument,
    TowerDocument,
    TyresDocument,
)
from pitwall.documents.privacy import PrivacyRequestDocument
from pitwall.documents.schedule import EventDocument, ScheduleDocument
from pitwall.documents.session import (
    GapDocument,
    RaceControlDocument,
    SessionDocument,
    SessionStatusDocument,
    TeamRadioDocument,
    TrackStatusDocument,
    WeatherDocument,
)
from pitwall.documents.user import UserDocument

SESSIONS = "sessions"
SEASONS = "seasons"
CIRCUITS = "circuits"
PROFILES = "drivers"
CONSTRUCTORS = "constructors"
SCHEDULES = "schedule"
JOBS = "jobs"
API_KEYS = "apiKeys"
OF_NO_FEED = ("users/", "apiKeys/", "economy/", "telemetryRequests/", "circuitFeeds/", "privacyRequests/")
"""Begins of the paths that no message writes: who could publish one could make a key, or have the rules opened."""
TOWER_SLOTS = 25
"""Slots of `towers/`: the tower as it was, one every 5 s of feed time, the last two minutes."""
TOWER_SLOT_MS = 5_000

_ID = re.compile(r"(?!\.{1,2}$)(?!__.*__$)[^/\x00-\x1f]{1,128}")


_OF_KART_TRACKS = re.compile(r"sessions/kart-[^/]+(/.+)?|circuits/[^/]+/(live|log|notices)/.+")


class UnknownPath(ValueError):
    """No document type is stored at this path."""


class Kind(NamedTuple):
    """A kind of document: its name, its path with placeholders, and its type."""

    name: str
    template: str
    type: type[Document]


KINDS: tuple[Kind, ...] = (
    Kind("session", "sessions/{session}", SessionDocument),
    Kind("timing", "sessions/{session}/live/timing", TowerDocument),
    Kind("entries", "sessions/{session}/live/entries", EntriesDocument),
    Kind("tyres", "sessions/{session}/live/tyres", TyresDocument),
    Kind("segments", "sessions/{session}/live/segments", SegmentsDocument),
    Kind("positions", "sessions/{session}/live/positions", PositionsDocument),
    Kind("telemetry", "sessions/{session}/live/telemetry", TelemetryDocument),
    Kind("endurance", "sessions/{session}/live/endurance", EnduranceDocument),
    Kind("feed", "sessions/{session}/live/feed", FeedDocument),
    Kind("carTelemetry", "sessions/{session}/telemetry/{racingNumber}", CarTelemetryDocument),
    Kind("tower", "sessions/{session}/towers/{slot}", TowerDocument),
    Kind("driver", "sessions/{session}/drivers/{racingNumber}", DriverDocument),
    Kind("lap", "sessions/{session}/laps/{lap}", LapDocument),
    Kind("raceControl", "sessions/{session}/raceControl/{n}", RaceControlDocument),
    Kind("weather", "sessions/{session}/weather/{n}", WeatherDocument),
    Kind("trackStatus", "sessions/{session}/trackStatus/{n}", TrackStatusDocument),
    Kind("sessionStatus", "sessions/{session}/sessionStatus/{n}", SessionStatusDocument),
    Kind("teamRadio", "sessions/{session}/teamRadio/{n}", TeamRadioDocument),
    Kind("gap", "sessions/{session}/gaps/{n}", GapDocument),
    Kind("result", "sessions/{session}/results/{racingNumber}", ResultDocument),
    Kind("job", "jobs/{id}", JobDocument),
    Kind("schedule", "schedule/{feed}", ScheduleDocument),
    Kind("event", "seasons/{year}/events/{round}", EventDocument),
    Kind("season", "seasons/{year}", SeasonDocument),
    Kind("standings", "seasons/{year}/standings/{championship}", StandingsDocument),
    Kind("circuit", "circuits/{id}", CircuitDocument),
    Kind("appTiming", "circuits/{id}/live/timing", AppTimingDocument),
    Kind("connection", "circuits/{id}/log/{n}", ConnectionDocument),
    Kind("notice", "circuits/{id}/notices/{n}", NoticeDocument),
    Kind("format", "circuits/{id}/timing/format", FormatDocument),
    Kind("analysis", "circuits/{id}/timing/analysis", AnalysisDocument),
    Kind("started", "circuitFeeds/started", StartedDocument),
    Kind("layout", "circuits/{id}/layouts/{year}", LayoutDocument),
    Kind("driverProfile", "drivers/{id}", DriverProfileDocument),
    Kind("driverSeason", "drivers/{id}/seasons/{year}", DriverSeasonDocument),
    Kind("constructor", "constructors/{id}", ConstructorDocument),
    Kind("constructorSeason", "constructors/{id}/seasons/{year}", ConstructorSeasonDocument),
    Kind("contribution", "contributions/{race}", ContributionDocument),
    Kind("user", "users/{uid}", UserDocument),
    Kind("apiKey", "apiKeys/{sha256}", ApiKeyDocument),
    Kind("economy", "economy/current", EconomyDocument),
    Kind("telemetryRequest", "telemetryRequests/{session}", TelemetryRequestDocument),
    Kind("privacyRequest", "privacyRequests/{id}", PrivacyRequestDocument),
)

_BY_SHAPE: dict[tuple[str | None, ...], Kind] = {
    tuple(None if part.startswith("{") else part for part in kind.template.split("/")): kind for kind in KINDS
}


def valid_id(value: str) -> bool:
    """Whether `value` can be the id of a document (Firestore's rules, and no slash)."""
    return bool(_ID.fullmatch(value))


def kind_of(path: str) -> Kind:
    """The kind of document stored at `path`. Raises UnknownPath."""
    parts = path.split("/")
    if all(valid_id(part) for part in parts):
        shape: tuple[str | None, ...] = tuple(part if i % 2 == 0 else None for i, part in enumerate(parts))
        found = _BY_SHAPE.get(shape) or _BY_SHAPE.get((*shape[:-1], parts[-1]))
        if found is not None:
            return found
    raise UnknownPath(f"no document is stored at {path!r}")


def of_kart_track(path: str) -> bool:
    """Whether what is stored at `path` is of a kart track's sessions: it may name private people, and is not kept."""
    return _OF_KART_TRACKS.fullmatch(path) is not None


def session(key: str) -> str:
    return f"sessions/{key}"


def live(key: str, name: str) -> str:
    """`name`: timing, entries, tyres, segments, positions, telemetry, endurance or feed."""
    return f"sessions/{key}/live/{name}"


def car_telemetry(key: str, racing_number: str) -> str:
    return f"sessions/{key}/telemetry/{racing_number}"


def telemetry_requests(key: str) -> str:
    """For which cars of a session `car_telemetry` is wanted."""
    return f"telemetryRequests/{key}"


def tower_slot(key: str, at: int) -> str:
    """Where the tower of the instant `at` (ms) is kept for late joiners."""
    return f"sessions/{key}/towers/{at // TOWER_SLOT_MS % TOWER_SLOTS}"


def towers(key: str) -> str:
    """The collection of `tower_slot`."""
    return f"sessions/{key}/towers"


def driver(key: str, racing_number: str) -> str:
    return f"sessions/{key}/drivers/{racing_number}"


def drivers(key: str) -> str:
    """The collection of `driver`."""
    return f"sessions/{key}/drivers"


def lap(key: str, number: int) -> str:
    return f"sessions/{key}/laps/{number}"


def laps(key: str) -> str:
    """The collection of `lap`."""
    return f"sessions/{key}/laps"


def series(key: str, name: str, n: int) -> str:
    """`name`: raceControl, weather, trackStatus, sessionStatus, teamRadio or gaps."""
    return f"sessions/{key}/{name}/{n}"


def series_items(key: str, name: str) -> str:
    """The collection of `series`."""
    return f"sessions/{key}/{name}"


def job(kind: str, key: str) -> str:
    """The job of a kind on a session: `jobs/archive-9845`."""
    return f"jobs/{kind}-{key}"


def schedule(feed: str) -> str:
    return f"schedule/{feed}"


def event(year: int, round_: str) -> str:
    """`round_`: of the season, or `testing-1`, or `cancelled-<name>`."""
    return f"seasons/{year}/events/{round_}"


def events(year: int) -> str:
    """The collection of `event`."""
    return f"seasons/{year}/events"


def result(key: str, id_: str) -> str:
    """`id_`: the racing number, unless that is shared or unknown."""
    return f"sessions/{key}/results/{id_}"


def results(key: str) -> str:
    """The collection of `result`."""
    return f"sessions/{key}/results"


def season(year: int) -> str:
    return f"seasons/{year}"


def standings(year: int, championship: Championship) -> str:
    return f"seasons/{year}/standings/{championship}"


def circuit(id_: str) -> str:
    return f"circuits/{id_}"


def circuit_live(id_: str) -> str:
    """The board of a kart track in the app's messages."""
    return f"circuits/{id_}/live/timing"


def connection(id_: str, n: str) -> str:
    """`n`: of the event, ordered by time."""
    return f"circuits/{id_}/log/{n}"


def connections(id_: str) -> str:
    """The collection of `connection`."""
    return f"circuits/{id_}/log"


def notice(id_: str, n: str) -> str:
    """`n`: what names the notice, so that it is told once."""
    return f"circuits/{id_}/notices/{n}"


def notices(id_: str) -> str:
    """The collection of `notice`."""
    return f"circuits/{id_}/notices"


def circuit_format(id_: str) -> str:
    """What a human said of the feed."""
    return f"circuits/{id_}/timing/format"


def circuit_analysis(id_: str) -> str:
    """What was found of the feed."""
    return f"circuits/{id_}/timing/analysis"


def started() -> str:
    """Which kart tracks' timing is on."""
    return "circuitFeeds/started"


def layout(id_: str, year: int) -> str:
    """`id_`: of the circuit."""
    return f"circuits/{id_}/layouts/{year}"


def layouts(id_: str) -> str:
    """The collection of `layout`."""
    return f"circuits/{id_}/layouts"


def profile(driver_: str) -> str:
    """Of a driver over all sessions; `driver_`: the readable id, as `max_verstappen`."""
    return f"drivers/{driver_}"


def driver_season(driver_: str, year: int) -> str:
    return f"drivers/{driver_}/seasons/{year}"


def driver_seasons(driver_: str) -> str:
    """The collection of `driver_season`."""
    return f"drivers/{driver_}/seasons"


def constructor(id_: str) -> str:
    return f"constructors/{id_}"


def constructor_season(id_: str, year: int) -> str:
    return f"constructors/{id_}/seasons/{year}"


def constructor_seasons(id_: str) -> str:
    """The collection of `constructor_season`."""
    return f"constructors/{id_}/seasons"


def contribution(year: int, round_: int) -> str:
    return f"contributions/{year}-{round_}"


def backfill(year: int) -> str:
    """What of a season was filled in already."""
    return f"backfills/{year}"


def user(uid: str) -> str:
    return f"users/{uid}"


def api_key(sha256: str) -> str:
    """`sha256`: of the key, in hexadecimal."""
    return f"apiKeys/{sha256}"


def economy() -> str:
    return "economy/current"


def privacy_request(id_: str) -> str:
    """Whose name is to be exported or erased."""
    return f"privacyRequests/{id_}"


def lease(feed: str) -> str:
    return f"leases/{feed}"


def checkpoint(key: str) -> str:
    return f"checkpoints/{key}"


def rate_limit(window: str) -> str:
    """How much one client has asked for in one window of time; `window` names both, as a keyed hash."""
    return f"rateLimits/{window}"
