"""`/seasons`, those with results, and `/seasons/{year}`, the calendar of one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from flask import Blueprint
from msgspec import Meta

from pitwall.api import caching, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.schedule import EventDocument

routes = Blueprint("seasons", __name__)

MOST = 100
"""More meetings than any season has."""


class Season(Document, kw_only=True):
    """A season with results."""

    year: int
    races_held: Annotated[int, Meta(description="rounds with results of the race")]
    leading_drivers: Annotated[
        list[str],
        Meta(description="first in the championship after the last round held: champion once the season is over"),
    ]
    leading_constructors: Annotated[list[str], Meta(description="empty before 1958: there was no championship")]


SEASON = Shape(Season, results=("leadingDrivers", "leadingConstructors"))
MEETING = Shape(EventDocument, rows="sessions")
_UNKNOWN = datetime.max.replace(tzinfo=UTC)


@routes.get("/seasons")
@lists.listing("Seasons with results, newest first", SEASON, lists.paged(SEASON), problems=())
def listed() -> Answer:
    """Who leads and how many races were held; the races are those of each season.

    Reads a document a season, one more to know whether there are more.
    """
    given = parameters.given()
    limit = given.get("limit", lists.DEFAULT_LIMIT)
    after = lists.after(given, ("seasons",))
    found = reads.current().query(
        paths.SEASONS,
        order_by="year",
        descending=True,
        after=None if after is None else (after, paths.season(after)),
        limit=limit + 1,
    )
    shown = found[:limit]
    return lists.answer(
        lambda: map(_season, shown),
        shown,
        SEASON,
        given,
        max_age=caching.SESSION_S,
        more_after=shown[-1].fields["year"] if len(found) > limit else None,
        this_list=("seasons",),
    )


@routes.get("/seasons/<year>")
@lists.listing("The calendar of a season: its meetings by date, with their sessions", MEETING, lists.whole(MEETING))
def calendar(year: str) -> Answer:
    """Meetings and sessions that were cancelled say so. CSV has a row for each session, with what else its meeting has.

    Reads a document a meeting.
    """
    season = checked(year)
    found = sorted(reads.current().query(paths.events(season), limit=MOST), key=_by_date)
    if not found:
        raise NotFound(f"There is no calendar of {season}.")
    return lists.answer(
        lambda: (meeting.fields for meeting in found),
        found,
        MEETING,
        parameters.given(),
        max_age=caching.SESSION_S,
    )


def checked(year: str) -> int:
    """A season in a path. Raises BadRequest."""
    try:
        return parameters.year(year)
    except ValueError as error:
        raise BadRequest("year", f"The season is {parameters.shorten(year)!r}, which {error}.") from None


def _season(stored: Stored) -> dict[str, Any]:
    races = stored.fields["races"]
    beside = {name: told for name, told in stored.fields.items() if name != "races"}
    return beside | {"racesHeld": sum(bool(race["winners"]) for race in races)}


def _by_date(meeting: Stored) -> tuple[datetime, str]:
    return meeting.fields.get("startDate", _UNKNOWN), meeting.id
