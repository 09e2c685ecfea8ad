"""`/f1/...`: a session's telemetry for a replay viewer, and its computation; `/races/{raceId}/telemetry`: its laps.

What is computed is read from Cloud Storage (`pitwall.history.telemetry.objects`) and given out as it is stored wherever
that is what was asked for. Nothing is computed here but every so many-th frame and the comparison of two laps.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import blake2b
from http import HTTPStatus
from threading import Lock
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from flask import Blueprint, Flask, Response, current_app, request
from msgspec import UNSET, Meta, UnsetType
from werkzeug.exceptions import PreconditionFailed

from pitwall.api import caching, description, jobs, lists, parameters, private, reads, seasons, table
from pitwall.api.caching import Answer, wants_gzip
from pitwall.api.description import JSON, Placeholder, described
from pitwall.api.errors import RETRY_AFTER_S, BadRequest, DatabaseUnavailable, NotFound, respond
from pitwall.api.history.races import identified
from pitwall.api.hot import Hot, Seconds
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape, pruned
from pitwall.documents import paths
from pitwall.documents.base import Fields, Instant, RacingNumber
from pitwall.documents.encoding import instant
from pitwall.documents.schedule import ScheduledSession
from pitwall.history.telemetry import objects, reading
from pitwall.history.telemetry.objects import (
    COMPACT_TYPE,
    SESSIONS,
    SKIPS,
    Comparison,
    LapStored,
    LapTelemetry,
    Manifest,
    Race,
    Store,
    compact_object,
    frames_object,
)
from pitwall.pipeline.log import log
from pitwall.settings import Settings

routes = Blueprint("telemetry", __name__)

TELEMETRY = "PITWALL_TELEMETRY"
"""Key in the app's config of what an instance knows of telemetry."""
KIND: Final = "telemetry"
"""Kind of the job."""

TIMEOUT_S = 5.0
PERSISTS_S = 5.0
"""Seconds one request to Cloud Storage may take, and all attempts at it."""
SIGNED_FOR = timedelta(minutes=15)
REDIRECTED_S = 300
"""Seconds for which a redirect to a signed URL is good; the URL lives longer."""
AT_ONCE = 4 * 1024 * 1024
"""Bytes of an object that are held at a time."""

Compressed = Literal["none", "viewer", "exact"]


class TelemetryCar(Fields, kw_only=True):
    """A car of which there is telemetry."""

    tla: str | UnsetType = UNSET
    laps: Annotated[list[int], Meta(description="laps of which there is telemetry")]
    fastest_lap: int | UnsetType = UNSET


class RaceTelemetry(Fields, kw_only=True):
    """What there is of a session."""

    race_id: Annotated[str, Meta(description="season and round, as 2023-4")]
    session: Annotated[str, Meta(description=f"which of the meeting's: {', '.join(SESSIONS)}")]
    session_key: Annotated[str, Meta(description="for `/sessions/{id}`")]
    session_name: str
    source: Annotated[str, Meta(description="archive, or recording: PitWall's own, while there is no archive")]
    start_at: Annotated[Instant, Meta(description="instant of the first frame")]
    step_ms: Annotated[int, Meta(description="from frame to frame, milliseconds")]
    frames: int
    lap_length: Annotated[float, Meta(description="metres, by what was driven")] | UnsetType = UNSET
    samples: Annotated[dict[str, int], Meta(description="what became of the feed's samples")]
    cars: dict[RacingNumber, TelemetryCar]


class SessionOfYear(ScheduledSession, kw_only=True):
    """A session in the calendar, and how its telemetry is asked for."""

    race_id: Annotated[str, Meta(description="season and round, as 2023-4; absent for testing")] | UnsetType = UNSET
    session: Annotated[str, Meta(description="what `session` takes for it")] | UnsetType = UNSET


class Frames(Fields, kw_only=True):
    """The frames of a session; docs/telemetry.md has what is in each."""

    session: Annotated[str, Meta(description="key of the session")]
    race: bool
    start_ms: Annotated[int, Meta(description="instant of the session's first frame, milliseconds since 1970")]
    step_ms: int
    frame_count: int
    lap_length: Annotated[float, Meta(description="metres")] | UnsetType = UNSET
    weather_reports: Annotated[list[dict[str, float]], Meta(description="what `weather` of a frame is an index in")]
    frames: list[dict[str, Any]]


class WantedTelemetry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Whose telemetry is wanted, and how."""

    year: Annotated[int, Meta(ge=1950, le=9999)]
    round: Annotated[int, Meta(ge=1, le=99)]
    session: Literal["R", "Q", "S", "SQ", "FP1", "FP2", "FP3"] = "R"
    frame_skip: Annotated[int, Meta(ge=1, le=reading.MAX_SKIP)] = 1
    compress: bool | Compressed = False


SUMMARY = Shape(RaceTelemetry, LapTelemetry, name="RaceOrLapTelemetry", rows="points")
LAP = Shape(LapTelemetry, rows="points")
COMPARISON = Shape(Comparison, rows="points")
SESSION_OF_YEAR = Shape(SessionOfYear)

description.PATH["round_number"] = Placeholder(
    "round", Parameter(parameters.whole_number(1, 99), "round of the season", 21)
)

_SESSION = {"session": Parameter(parameters.one_of(*SESSIONS, default="R"), "which of the meeting's sessions")}
_DRIVER = r"[0-9A-Za-z_-]{1,64}"
_LAP = r"fastest|[1-9][0-9]{0,4}"
_WHOSE = "a racing number, three-letter code or readable id of a driver"
_COMPRESS = Parameter(
    parameters.one_of("false", "true", "none", "viewer", "exact", default="false"),
    "`viewer` (or `true`): the compact encoding in units for a viewer; `exact`: the same, exact; else JSON",
)


def _seen(shape: Shape) -> dict[str, Parameter]:
    return {name: taken for name, taken in lists.whole(shape).items() if name != "spoilers"}


# -- what an instance knows ----------------------------------------------------------------


class _Known(NamedTuple):
    """A manifest as it was read; None where there is none."""

    manifest: Manifest | None

    @property
    def size(self) -> int:
        return 4_096 if self.manifest is None else 256 * sum(len(car.laps) for car in self.manifest.cars.values())


class Telemetry:
    """The store of telemetry as an instance of the API sees it. Opened by the first request that asks for it."""

    def __init__(self, settings: Settings, seconds: Seconds) -> None:
        self.signed_bytes = settings.telemetry_signed_bytes
        self._settings = settings
        self._lock = Lock()
        self._store: Store | None = None
        self._manifests: Hot[_Known] = Hot(seconds)

    @property
    def store(self) -> Store:
        with self._lock:
            if self._store is None:
                self._store = Store.of(self._settings, TIMEOUT_S, PERSISTS_S)
            return self._store

    def manifest(self, race: Race) -> Manifest | None:
        """What there is of a session, as it was at most a second ago. Raises `objects.StoreUnavailable`."""
        return self._manifests.get(race, lambda _: _Known(self.store.manifest(race))).made.manifest


def _telemetry() -> Telemetry:
    known: Telemetry = current_app.config[TELEMETRY]
    return known


def _existing(race: Race) -> Manifest:
    """What there is of a session. Raises NotFound, which says how to have it computed."""
    manifest = _telemetry().manifest(race)
    if manifest is None:
        _known_race(race)
        raise NotFound(
            f"The telemetry of {race.year}-{race.round}, session {race.session}, has not been computed. "
            f"POST /api/f1/process-telemetry/{race.year}/{race.round}?session={race.session} has it done."
        )
    return manifest


def _known_race(race: Race) -> None:
    """Raises NotFound for a round that is not in the calendar, and for a session that it has not."""
    [event] = reads.current().get(paths.event(race.year, str(race.round)))
    if event is None:
        raise NotFound(f"There is no race {race.year}-{race.round}.")
    if not any(race.named(session.get("name")) for session in event.fields.get("sessions", ())):
        raise NotFound(f"Race {race.year}-{race.round} has no session {race.session}.")


def _race(year: str, round_number: str, session: str) -> Race:
    """Raises BadRequest."""
    try:
        number = parameters.whole_number(1, 99)(round_number)
    except ValueError as error:
        raise BadRequest("round", f"The round is {parameters.shorten(round_number)!r}, which {error}.") from None
    return Race(seasons.checked(year), number, session)


def _max_age(manifest: Manifest) -> int:
    return caching.FINAL_S if manifest.final else caching.SESSION_S


# -- a whole session -----------------------------------------------------------------------


_FRAMES_QUERY = {
    **_SESSION,
    "frame_skip": Parameter(
        parameters.whole_number(1, reading.MAX_SKIP, default=1),
        f"only each so many-th frame; of the compact encoding {', '.join(map(str, SKIPS))}",
        4,
    ),
    "compress": _COMPRESS,
    "from": Parameter(parameters.whole_number(0, 999_999), "seconds after the first frame to begin at; JSON alone"),
    "to": Parameter(parameters.whole_number(0, 999_999), "seconds after the first frame to end at; JSON alone"),
}


class _Wanted(NamedTuple):
    """How telemetry is wanted. last: None for all from `first` on, both in seconds after the first frame."""

    skip: int
    compress: Compressed = "none"
    first: int = 0
    last: int | None = None

    @property
    def stored(self) -> str | None:
        """The object that is just this; None if it has to be made of one."""
        if self.compress != "none":
            return compact_object(self.skip, exact=self.compress == "exact")
        return frames_object(self.skip) if self.skip in SKIPS and (self.first, self.last) == (0, None) else None


def _wanted(skip: int, compress: str | bool, first: int = 0, last: int | None = None) -> _Wanted:
    """Raises BadRequest."""
    named: dict[str | bool, Compressed] = {"false": "none", False: "none", "true": "viewer", True: "viewer"}
    how = named.get(compress) or compress
    if how not in ("none", "viewer", "exact"):
        raise BadRequest("compress", "The member `compress` is none of true, false, none, viewer, exact.")
    if how != "none" and skip not in SKIPS:
        told = ", ".join(map(str, SKIPS))
        raise BadRequest("frame_skip", f"Parameter 'frame_skip' is {skip}: compact telemetry is there for {told}.")
    if how != "none" and (first, last) != (0, None):
        raise BadRequest("compress", "Compact telemetry is there as a whole: leave out 'from' and 'to'.")
    if last is not None and last < first:
        raise BadRequest("to", f"Parameter 'to' is {last}, which is before 'from', {first}.")
    return _Wanted(skip, how, first, last)  # type: ignore[arg-type]


@routes.get("/f1/race-telemetry/<year>/<round_number>")
@described(
    "Every car on one time grid, for a replay viewer",
    query=_FRAMES_QUERY,
    answers=Frames,
    content_types=(JSON, COMPACT_TYPE),
    problems=(NotFound,),
)
def of_session(year: str, round_number: str) -> Response:
    """As JSON frames or in the compact encoding; docs/telemetry.md has both. What is large is answered with 307 and a
    URL in Cloud Storage that is good for a quarter of an hour, where the function can sign one.

    Reads no document of telemetry that is there.
    """
    given = parameters.given()
    race = _race(year, round_number, given.get("session", "R"))
    wanted = _wanted(given.get("frame_skip", 1), given.get("compress", "false"), given.get("from", 0), given.get("to"))
    return _sent(race, _existing(race), wanted, HTTPStatus.TEMPORARY_REDIRECT)


@routes.post("/f1/race-telemetry")
@described(
    "The same, and where it is not there yet, have it computed",
    answers={"title": "FramesOrJob", "type": "object"},
    statuses=(HTTPStatus.OK, HTTPStatus.ACCEPTED),
    problems=(NotFound,),
)
@private.takes(WantedTelemetry)
def wanted(asked: WantedTelemetry) -> Response:
    """200 as GET answers; what is large with 303 and its URL. Else 202 with the job that computes it, and its address
    in `Location`.
    """
    race = Race(asked.year, asked.round, asked.session)
    how = _wanted(asked.frame_skip, asked.compress)
    manifest = _telemetry().manifest(race)
    if manifest is None:
        return _started(race)
    response = _sent(race, manifest, how, HTTPStatus.SEE_OTHER)
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.post("/f1/process-telemetry/<year>/<round_number>")
@described(
    "Have a session's telemetry computed",
    query=_SESSION,
    answers=jobs.ShownJob,
    statuses=(HTTPStatus.ACCEPTED,),
    problems=(NotFound,),
)
def process(year: str, round_number: str) -> Response:
    """The job, whose address is in `Location`; the one that is queued or running already, if there is one. What was
    computed from a complete archive is left as it is.
    """
    return _started(_race(year, round_number, parameters.given().get("session", "R")))


def _started(race: Race) -> Response:
    _known_race(race)
    job = jobs.start(KIND, race.id, {"year": race.year, "round": race.round, "session": race.session})
    response = private.answer(msgspec.convert(job, jobs.ShownJob), HTTPStatus.ACCEPTED)
    response.headers |= {"Location": f"/api/jobs/{job['id']}", "Cache-Control": "no-store"}
    return response


def _sent(race: Race, manifest: Manifest, wanted: _Wanted, redirect: HTTPStatus) -> Response:
    """Telemetry as it is stored or made of that; 304 for who has it, a redirect to what is large.

    Raises PreconditionFailed, `objects.StoreUnavailable`.
    """
    name, known = wanted.stored, _telemetry()
    is_json = wanted.compress == "none"
    gzipped = is_json and wants_gzip(request.headers.get("Accept-Encoding", ""))
    made_of = (caching.SHAPE, manifest.digest, wanted, gzipped)
    tag = blake2b(repr(made_of).encode(), digest_size=12).hexdigest()
    response = Response(content_type=JSON if is_json else COMPACT_TYPE)
    response.headers["Cache-Control"] = caching.cache_control(_max_age(manifest))
    response.vary.add("Accept-Encoding")
    response.set_etag(tag)
    if request.method in ("GET", "HEAD"):
        response.make_conditional(request)
        if response.status_code == HTTPStatus.PRECONDITION_FAILED:
            raise PreconditionFailed
        if response.status_code == HTTPStatus.NOT_MODIFIED:
            return response
        response.headers.pop("Content-Length", None)  # of no body, as there is none yet
    if name is not None and manifest.sizes[name] >= known.signed_bytes:
        url = known.store.signed_url(race, manifest, name, SIGNED_FOR)
        if url is not None:
            response = Response(status=redirect)
            response.headers |= {"Location": url, "Cache-Control": f"private, max-age={REDIRECTED_S}"}
            return response
    if gzipped:
        response.content_encoding = "gzip"
    if name is not None and (gzipped or not is_json):
        response.content_length = manifest.sizes[name]
        response.response = _begun(_whole(known.store, race, manifest, name))
    elif name is not None:
        response.response = _begun(_inflated(_whole(known.store, race, manifest, name)))
    else:
        part = reading.frames(known.store, race, manifest, wanted.skip, wanted.first, wanted.last)
        response.response = _begun(_deflated(part) if gzipped else part)
    return response


def _begun(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same, the first part read: so that a failure is answered, and not an answer broken off."""
    first = next(parts, b"")

    def all_parts() -> Iterator[bytes]:
        yield first
        yield from parts

    return all_parts()


def _whole(store: Store, race: Race, manifest: Manifest, name: str) -> Iterator[bytes]:
    for first in range(0, manifest.sizes[name], AT_ONCE):
        yield store.read(race, manifest, name, first, min(AT_ONCE, manifest.sizes[name] - first))


def _inflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    packed = zlib.decompressobj(zlib.MAX_WBITS | 16)
    for part in parts:
        yield packed.decompress(part)
    yield packed.flush()


def _deflated(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


# -- the calendar --------------------------------------------------------------------------


@routes.get("/f1/sessions/<year>")
@lists.listing(
    "The sessions of a season by date, and what asks for their telemetry",
    SESSION_OF_YEAR,
    _seen(SESSION_OF_YEAR),
)
def of_year(year: str) -> Answer:
    """Whether a session's telemetry has been computed it does not say. Reads a document a meeting."""
    season = seasons.checked(year)
    found = reads.current().query(paths.events(season), limit=seasons.MOST)
    if not found:
        raise NotFound(f"There is no calendar of {season}.")
    return lists.answer(
        lambda: sorted(
            (_of_year(meeting, session) for meeting in found for session in meeting.fields.get("sessions", ())),
            key=lambda session: (session["startDate"], session["name"]),
        ),
        found,
        SESSION_OF_YEAR,
        parameters.given(),
        max_age=caching.SESSION_S,
    )


def _of_year(meeting: Stored, session: dict[str, Any]) -> dict[str, Any]:
    number = meeting.fields.get("round")
    if number is None:
        return session
    code = next((code for code, names in SESSIONS.items() if session.get("name") in names), None)
    told = {"raceId": f"{meeting.fields['year']}-{number}"} | ({"session": code} if code is not None else {})
    return {**session, **told}


# -- laps ----------------------------------------------------------------------------------


@routes.get("/races/<race_id>/telemetry")
@caching.kept
@described(
    "What telemetry there is of a race, or one driver's of one lap",
    query={
        **_SESSION,
        "driver": Parameter(parameters.matching(_DRIVER, _WHOSE), f"{_WHOSE}, in any case", "44"),
        "lap": Parameter(
            parameters.matching(_LAP, "the number of a lap, or fastest"),
            "of the driver: its number, or `fastest`, which it is without",
        ),
        **_seen(SUMMARY),
    },
    answers=SUMMARY,
    content_types=(JSON, "text/csv"),
    problems=(NotFound,),
)
def of_race(race_id: str) -> Answer:
    """With `driver` the samples of car and position of that lap, by time and distance; CSV has a row for each.

    Reads no document of telemetry that is there.
    """
    given = parameters.given()
    race = Race(*identified(race_id), given.get("session", "R"))
    if "driver" not in given and ("lap" in given or given.get("format") == "csv"):
        wrong = "lap" if "lap" in given else "format"
        raise BadRequest(wrong, f"Parameter {wrong!r} is of the telemetry of a lap: name the driver as well.")
    manifest = _existing(race)
    if "driver" not in given:
        return _answer(lambda: _summary(race, manifest), race, manifest, SUMMARY)
    number, lap = _lap(manifest, given["driver"], given.get("lap", "fastest"))
    return _answer(lambda: reading.lap(_telemetry().store, race, manifest, number, lap), race, manifest, LAP)


@routes.get("/races/<race_id>/telemetry/compare")
@caching.kept
@described(
    "Two laps by distance: how much later the second was there, and both speeds",
    query={
        **_SESSION,
        **{
            name: Parameter(
                parameters.matching(f"{_DRIVER}:(?:{_LAP})", "a driver and a lap, as VER:12 or LEC:fastest"),
                f"the {order} lap: driver, colon, number of the lap or `fastest`",
                f"{example}:fastest",
            )
            for name, order, example in (("a", "first", "44"), ("b", "second", "16"))
        },
        **_seen(COMPARISON),
    },
    answers=COMPARISON,
    content_types=(JSON, "text/csv"),
    problems=(NotFound,),
)
def compare(race_id: str) -> Answer:
    """At every 5 m that both drove. CSV has a row for each.

    Reads no document of telemetry that is there.
    """
    given = parameters.given()
    race = Race(*identified(race_id), given.get("session", "R"))
    for name in ("a", "b"):
        if name not in given:
            raise BadRequest(name, f"Parameter {name!r} is missing: a driver and a lap, as VER:12 or LEC:fastest.")
    manifest = _existing(race)
    laps = [_lap(manifest, *given[name].split(":")) for name in ("a", "b")]

    def compared() -> dict[str, Any]:
        a, b = (reading.lap(_telemetry().store, race, manifest, *lap) for lap in laps)
        return reading.compared(a, b)

    return _answer(compared, race, manifest, COMPARISON)


def _lap(manifest: Manifest, driver: str, lap: str) -> tuple[RacingNumber, LapStored]:
    """The car of a driver, and a lap of it. Raises NotFound."""
    number = manifest.car(driver)
    if number is None:
        raise NotFound(f"There is no telemetry of a driver {parameters.shorten(driver)!r}.")
    car = manifest.cars[number]
    wanted = car.fastest if lap == "fastest" else int(lap)
    found = next((one for one in car.laps if one.number == wanted), None)
    if found is None:
        what = "a fastest lap" if lap == "fastest" else f"lap {lap}"
        raise NotFound(f"There is no telemetry of {what} of car {number}.")
    return number, found


def _answer(item: Callable[[], dict[str, Any]], race: Race, manifest: Manifest, shape: Shape) -> Answer:
    given = parameters.given()
    schema = shape.seen(given.get("fields", ()), texts="times" in given)
    as_csv = given.get("format") == "csv"

    def shown() -> Any:
        made = item()
        if as_csv:
            return table.table([made], schema or shape.stored, shape.rows)
        return made if schema is None else pruned(made, schema)

    return caching.answer(
        shown,
        [Stored(race.id, {"v": manifest.digest})],
        max_age=_max_age(manifest),
        parameters=given,
        content_type=table.CONTENT_TYPE if as_csv else JSON,
    )


def _summary(race: Race, manifest: Manifest) -> dict[str, Any]:
    """`RaceTelemetry`, as JSON has it but for the instant."""
    told = {
        "raceId": f"{race.year}-{race.round}",
        "session": race.session,
        "sessionKey": manifest.session,
        "sessionName": manifest.session_name,
        "source": manifest.source,
        "startAt": instant(manifest.start_ms),
        "stepMs": manifest.step_ms,
        "frames": manifest.frames,
        "samples": manifest.samples,
        "cars": {
            number: {
                **({"tla": car.tla} if car.tla else {}),
                "laps": [lap.number for lap in car.laps],
                **({"fastestLap": car.fastest} if car.fastest is not None else {}),
            }
            for number, car in manifest.cars.items()
        },
    }
    return told if manifest.lap_length is None else {**told, "lapLength": manifest.lap_length / 10}


def register(app: Flask, settings: Settings, seconds: Seconds) -> None:
    """Gives `app` its store of telemetry, and an answer for when that gives none."""
    app.config[TELEMETRY] = Telemetry(settings, seconds)
    app.register_error_handler(objects.StoreUnavailable, _unavailable)


def _unavailable(error: objects.StoreUnavailable) -> Response:
    log("WARNING", "Cloud Storage is unavailable", function="api", reason=str(error))
    return respond(DatabaseUnavailable("Cloud Storage did not answer.", {"Retry-After": str(RETRY_AFTER_S)}))
