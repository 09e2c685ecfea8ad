"""What a session keeps in the order of `n`: race control, weather, track status and team radio."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Blueprint

from pitwall.api import caching, drivers, lists, numbered, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.parameters import Parameter
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.session import RaceControlDocument, TeamRadioDocument, TrackStatusDocument, WeatherDocument
from pitwall.pipeline.database import Comparison

routes = Blueprint("series", __name__)

Fields = dict[str, Any]
_ABOUT_A_KART = ("Penalty", "Warning")
"""Categories of what a kart track's race control says of somebody, in whatever words."""
Condition = tuple[str, Comparison, Any]

RACE_CONTROL = Shape(RaceControlDocument)
WEATHER = Shape(WeatherDocument)
TRACK_STATUS = Shape(TrackStatusDocument)
TEAM_RADIO = Shape(TeamRadioDocument)

_NAMES_A_CAR = re.compile(
    r"\bCARS? [0-9]|[0-9] \([A-Z]{3}\)|\bLAPPED CARS\b|\b[0-9]+(?:, ?[0-9]+){2}|(?i:\bkarts? (?:n[°º]? ?|#)?[0-9])"
)
"""In a message of race control: "CAR 27 (HUL) STOPPED AT TURN 5", "LAPPED CARS MAY NOW OVERTAKE - 2,9,10,20,28".

Also any three numbers with commas: "ORDER FOR RESTART: 3, 21, 7, 54".
"""


@routes.get("/sessions/<key>/raceControl")
@lists.listing(
    "Messages of race control in order",
    RACE_CONTROL,
    {
        "flag": Parameter(
            parameters.matching(r"[A-Za-z]{1,16}(?: [A-Za-z]{1,16})?", "a flag such as RED or DOUBLE YELLOW"),
            "only this flag, in any case",
            "YELLOW",
        ),
        "category": Parameter(
            parameters.matching(r"[A-Za-z]{1,32}", "a category such as SafetyCar"), "only this one", "Flag"
        ),
        "driver": Parameter(parameters.driver, "only messages about this driver, by racing number or code"),
        **lists.paged(RACE_CONTROL),
    },
)
def race_control(key: str) -> Answer:
    """With `driver`, messages with the racing number and those that name the car in their text, as "CAR 4 (NOR)".

    `spoilers=false` leaves out every message about a car: blue flags, penalties, deleted times and stopped cars tell
    how it stands.

    Reads the session and a document a message, one more to know whether there are more; with `driver` or
    `spoilers=false` also the messages it leaves out, at most 600, and one document to find a code, or two to find a
    number with letters.
    """
    given = parameters.given()
    session, number = _session(key, given)
    where: list[Condition] = []
    if "flag" in given:
        where.append(("flag", "==", given["flag"].upper()))
    if "category" in given:
        where.append(("category", "==", given["category"]))
    conditions = [] if number is None else [_about(number)]
    if not lists.shows_results(given):
        conditions.append(_is_about_no_car)
    keep = (lambda message: all(holds(message) for holds in conditions)) if conditions else None
    return _listed(session, "raceControl", RACE_CONTROL, where, keep)


@routes.get("/sessions/<key>/weather")
@lists.listing("Weather reports in order", WEATHER, lists.paged(WEATHER))
def weather(key: str) -> Answer:
    """About one a minute. Reads the session and a document a report, one more to know whether there are more."""
    session, _ = _session(key)
    return _listed(session, "weather", WEATHER)


@routes.get("/sessions/<key>/trackStatus")
@lists.listing("Changes of the track's status in order", TRACK_STATUS, lists.paged(TRACK_STATUS))
def track_status(key: str) -> Answer:
    """Clear, yellow, safety car, red.

    Reads the session and a document a change, one more to know whether there are more.
    """
    session, _ = _session(key)
    return _listed(session, "trackStatus", TRACK_STATUS)


@routes.get("/sessions/<key>/teamRadio")
@lists.listing(
    "Radio messages in order",
    TEAM_RADIO,
    {
        "driver": Parameter(parameters.driver, "only this driver's, by racing number or code"),
        **lists.paged(TEAM_RADIO),
    },
)
def team_radio(key: str) -> Answer:
    """Where the recordings are, relative to the session's `archivePath`; what is said in them is not known here.

    Reads the session and a document a message, one more to know whether there are more, and one to find a code
    or two to find a number with letters.
    """
    session, number = _session(key, parameters.given())
    return _listed(session, "teamRadio", TEAM_RADIO, [] if number is None else [("racingNumber", "==", number)])


def _session(key: str, given: Mapping[str, Any] | None = None) -> tuple[Stored, str | None]:
    """The session, and the racing number of the driver who was asked for. Raises NotFound."""
    session = sessions.existing(reads.current(), key)
    driver = (given or {}).get("driver")
    return session, None if driver is None else drivers.number_of(reads.current(), key, driver)


def _listed(
    session: Stored,
    name: str,
    shape: Shape,
    where: Sequence[Condition] = (),
    keep: Callable[[Fields], bool] | None = None,
) -> Answer:
    """A page of a series. where, keep: see `numbered.page`."""
    given = parameters.given()
    this_list = (session.id, name, *where, given.get("driver", "").upper())
    after = lists.after(given, this_list)
    found, more_after = numbered.page(
        reads.current(),
        paths.series_items(session.id, name),
        "n",
        first=0 if after is None else after + 1,
        limit=given.get("limit", lists.DEFAULT_LIMIT),
        where=where,
        keep=keep,
    )
    return lists.answer(
        lambda: (item.fields for item in found),
        found,
        shape,
        given,
        max_age=caching.session_max_age(session),
        more_after=more_after,
        this_list=this_list,
    )


def _about(number: str) -> Callable[[Fields], bool]:
    """Whether a message is about a car: it has its racing number, or names it in the text."""
    named = re.compile(rf"(?<![0-9A-Za-z]){re.escape(number)} \([A-Z]{{3}}\)")
    return lambda message: message.get("racingNumber") == number or named.search(message["message"]) is not None


def _is_about_no_car(message: Fields) -> bool:
    return (
        "racingNumber" not in message
        and message.get("category") not in _ABOUT_A_KART
        and not _NAMES_A_CAR.search(message["message"])
    )
