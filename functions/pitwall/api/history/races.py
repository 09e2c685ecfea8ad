"""`/races`, `/seasons/{year}/races` and `/races/{raceId}`, with its results and laps.

A race is a round of a season: its id is `{year}-{round}`. Where its session is, is said by the calendar.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

from flask import Blueprint
from msgspec import UNSET, Meta, UnsetType

from pitwall.api import caching, description, drivers, laps, lists, pages, parameters, reads, seasons
from pitwall.api.caching import Answer
from pitwall.api.description import Placeholder, described
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.history import past
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Reads, Stored
from pitwall.api.shapes import Shape
from pitwall.api.table import by_number
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.history import ResultDocument, SeasonRace
from pitwall.documents.schedule import ScheduledSession
from pitwall.pipeline.database import Comparison

routes = Blueprint("races", __name__)

RACES_A_SEASON = 20
"""About, to read no more seasons than a page needs."""
MOST_RESULTS = 200
"""More than any race has had cars and drivers who shared them."""
MOST_SKIPPED = 100_000

_ID = parameters.matching(r"(?:19[5-9][0-9]|[2-9][0-9]{3})-[1-9][0-9]{0,2}", "a season and a round, as 2023-4")
description.PATH["race_id"] = Placeholder("raceId", Parameter(_ID, "season and round of the race", "2025-21"))

_SESSIONS = {"race": "Race", "sprint": "Sprint", "qualifying": "Qualifying"}
"""Names in the calendar of the sessions that have results."""


class RaceId(Fields, kw_only=True):
    """Which race; the keys of a round come beside these."""

    race_id: Annotated[str, Meta(description="season and round, as 2023-4")]
    year: int


class Weekend(Fields, kw_only=True):
    """What the calendar says of a race."""

    official_name: str | UnsetType = UNSET
    country: str | UnsetType = UNSET
    location: str | UnsetType = UNSET
    session_key: (
        Annotated[str, Meta(description="of the race's own session, for `/sessions/{id}`; it may not be stored")]
        | UnsetType
    ) = UNSET
    sessions: Annotated[list[ScheduledSession], Meta(description="of the whole meeting")] | UnsetType = UNSET


HELD = Shape(RaceId, SeasonRace, results=("winners",), name="HeldRace")
RACE = Shape(RaceId, SeasonRace, Weekend, results=("winners",), name="Race")
RESULT = Shape(
    ResultDocument,
    results=(
        *("order", "position", "positionText", "points", "grid", "laps", "status"),
        *("timeMs", "gapMs", "lapsDown", "fastestLap", "q1Ms", "q2Ms", "q3Ms"),
    ),
)

_SESSION = {"session": Parameter(parameters.one_of(*_SESSIONS, default="race"), "which of the meeting's sessions")}
_DRIVER = {
    "driver": Parameter(
        parameters.matching(r"[0-9A-Za-z_-]{1,64}", "a racing number, three-letter code or id of a driver"),
        "racing number, three-letter code or id, in any case",
    )
}


@routes.get("/races")
@lists.listing(
    "Races that were held, newest first",
    HELD,
    {
        "season": Parameter(parameters.year, "only those of this season", 2025),
        "offset": Parameter(parameters.whole_number(0, MOST_SKIPPED, default=0), "races to skip, instead of a cursor"),
        **lists.paged(HELD),
    },
    problems=(),
)
def listed() -> Answer:
    """Of all seasons or of one. A round of which only the sprint was held is there, without winners.

    Reads a document a season, those that `offset` skips too; a cursor skips for nothing.
    """
    given = parameters.given()
    season, offset, limit = given.get("season"), given.get("offset", 0), given.get("limit", lists.DEFAULT_LIMIT)
    this_list = ("races", season)
    after = lists.after_place(given, this_list, tuple[pages.Number, pages.Number])
    if after is not None and "offset" in given:
        raise BadRequest("offset", "Parameters 'offset' and 'cursor' cannot be given together.")
    wanted = offset + limit + 1
    if season is None:
        read = _newest(reads.current(), after, wanted)
    else:
        read = list(filter(None, reads.current().get(paths.season(season))))
    found = _races(read, after)
    shown = found[offset : offset + limit]
    return lists.answer(
        lambda: (_held(year, race) for (year, _), race in shown),
        read,
        HELD,
        given,
        max_age=past.max_age(read, season) if season is not None else caching.SESSION_S,
        more_after=shown[-1][0] if len(found) >= wanted else None,
        this_list=this_list,
    )


@routes.get("/seasons/<year>/races")
@lists.listing("The races of a season that were held, by round", HELD, lists.whole(HELD))
def of_season(year: str) -> Answer:
    """What is yet to come is in the season's calendar. Reads a document."""
    season = _existing(seasons.checked(year))
    return lists.answer(
        lambda: (_held(season.fields["year"], race) for race in sorted(season.fields["races"], key=_round)),
        [season],
        HELD,
        parameters.given(),
        max_age=past.max_age([season], season.fields["year"]),
    )


@routes.get("/races/<race_id>")
@caching.kept
@described("One race, held or in the calendar", query=lists.one(RACE), answers=RACE, problems=(NotFound,))
def race(race_id: str) -> Answer:
    """What is known of the round, and the sessions of its weekend. Reads two documents."""
    which = identified(race_id)
    season, event = reads.current().get(paths.season(which.year), paths.event(which.year, str(which.round)))
    races = season.fields["races"] if season is not None else ()
    held = next((race for race in races if race["round"] == which.round), None)
    if held is None and event is None:
        raise NotFound(f"There is no race {race_id}.")
    made_of = [document for document in (season, event) if document is not None]
    item = _weekend(event) | _held(which.year, held or {"round": which.round, "winners": []})
    return lists.answer_of(item, made_of, RACE, parameters.given(), max_age=past.max_age(made_of, which.year))


@routes.get("/races/<race_id>/results")
@lists.listing("The official results of a race", RESULT, {**_SESSION, **lists.whole(RESULT)})
def results(race_id: str) -> Answer:
    """As they are listed; with `spoilers=false` by racing number. With `session` those of the meeting's sprint or
    qualifying. Who shared a car has a line each.

    Reads the meeting, the session and a document a result.
    """
    given = parameters.given()
    session = session_of(reads.current(), race_id, given.get("session", "race"))
    found = reads.current().query(paths.results(session.id), limit=MOST_RESULTS)
    found.sort(key=_as_listed if lists.shows_results(given) else _by_car)
    return lists.answer(
        lambda: (result.fields for result in found),
        found,
        RESULT,
        given,
        max_age=past.of_results(session, found),
        of=session.id,
    )


@routes.get("/races/<race_id>/laps")
@lists.listing(
    "Laps of a race in order, of all drivers or of one",
    laps.LAP,
    {**_SESSION, **_DRIVER, **laps.RANGE, **lists.paged(laps.LAP)},
)
def laps_of(race_id: str) -> Answer:
    """As those of its session. `driver` may be an id as well, as max_verstappen.

    Reads the meeting, and what the laps of a session read; with `driver` one to three documents to find it.
    """
    given = parameters.given()
    name, driver = given.get("session", "race"), given.get("driver")
    which = laps.asked(race_id, name, "laps", (driver or "").lower())
    session = session_of(reads.current(), race_id, name)
    number = None if driver is None else _number_of(reads.current(), session.id, driver)
    return laps.page(which, session, number, laps.LAP, lambda lap: lap, of=session.id, racingNumber=number)


class Identified(NamedTuple):
    """A race by season and round."""

    year: int
    round: int


def identified(race_id: str) -> Identified:
    """What an id of a race says. Raises BadRequest."""
    try:
        year, _, number = _ID(race_id).partition("-")
    except ValueError as error:
        raise BadRequest("raceId", f"The race is {parameters.shorten(race_id)!r}, which {error}.") from None
    return Identified(int(year), int(number))


def session_of(reading: Reads, race_id: str, name: str) -> Stored:
    """The stored session of a race's meeting. name: race, sprint or qualifying. Reads the meeting and the session.

    Raises BadRequest for what is no race's id, NotFound.
    """
    which = identified(race_id)
    [event] = reading.get(paths.event(which.year, str(which.round)))
    if event is None:
        raise NotFound(f"There is no race {race_id}.")
    key = _session_key(event, name)
    [session] = reading.get(paths.session(key)) if key is not None else [None]
    if session is None:
        raise NotFound(f"Of race {race_id} no {name} is stored.")
    return session


def _existing(season: int) -> Stored:
    """`seasons/{year}`. Raises NotFound."""
    [found] = reads.current().get(paths.season(season))
    if found is None:
        raise NotFound(f"No race of {season} has results here.")
    return found


Place = tuple[int, int]
"""Season and round."""


def _newest(reading: Reads, after: Place | None, wanted: int) -> list[Stored]:
    """The newest seasons that have so many races after a place, or all that there are."""
    read: list[Stored] = []
    last = parameters.LAST_YEAR if after is None else after[0]
    while True:
        limit = (wanted - len(_races(read, after))) // RACES_A_SEASON + 1
        before: list[tuple[str, Comparison, Any]] = [("year", "<=", last)]
        newest = reading.query(paths.SEASONS, where=before, order_by="year", descending=True, limit=limit)
        read += newest
        if len(newest) < limit or len(_races(read, after)) >= wanted:
            return read
        last = newest[-1].fields["year"] - 1


def _races(seasons: list[Stored], after: Place | None) -> list[tuple[Place, dict[str, Any]]]:
    """The races of seasons that come after a place, newest first."""
    races = [
        ((season.fields["year"], race["round"]), race)
        for season in seasons
        for race in sorted(season.fields["races"], key=_round, reverse=True)
    ]
    return [(place, race) for place, race in races if after is None or place < after]


def _round(race: dict[str, Any]) -> int:
    number: int = race["round"]
    return number


def _held(year: int, race: dict[str, Any]) -> dict[str, Any]:
    return {"raceId": f"{year}-{race['round']}", "year": year, **race}


def _weekend(event: Stored | None) -> dict[str, Any]:
    if event is None:
        return {}
    told = ("name", "officialName", "country", "location", "sessions")
    known = {key: event.fields[key] for key in told if key in event.fields}
    key = _session_key(event, "race")
    return known if key is None else {**known, "sessionKey": key}


def _session_key(event: Stored, name: str) -> str | None:
    """Key of a session of a meeting, if the calendar has one for it."""
    for session in event.fields["sessions"]:
        key = session.get("sessionKey")
        if session["name"] == _SESSIONS[name] and isinstance(key, str) and paths.valid_id(key):
            return key
    return None


def _as_listed(result: Stored) -> tuple[int, str]:
    return result.fields["order"], result.id


def _by_car(result: Stored) -> tuple[int, str]:
    return by_number(result.id)


def _number_of(reading: Reads, key: str, driver: str) -> str:
    """The racing number of a driver named by number, code or id; text that is nobody's is taken for a number."""
    if re.fullmatch(r"[0-9]{1,3}", driver):
        return driver
    for field, told in (("code", driver.upper()), ("driver", driver.lower())):
        for result in reading.query(paths.results(key), where=[(field, "==", told)], limit=1):
            number: str = result.fields.get("racingNumber", result.id)
            return number
    return drivers.number_of(reading, key, driver)
