"""`/seasons/{year}`: the calendar."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint

from pitwall.api import caching, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.schedule import EventDocument

routes = Blueprint("seasons", __name__)

MOST = 100
"""More meetings than any season has."""

MEETING = Shape(EventDocument, rows="sessions")
_UNKNOWN = datetime.max.replace(tzinfo=UTC)


@routes.get("/seasons/<year>")
@lists.listing("The calendar of a season: its meetings by date, with their sessions", MEETING, lists.whole(MEETING))
def calendar(year: str) -> Answer:
    """Meetings and sessions that were cancelled say so. CSV has a row for each session, with what else its meeting has.

    Reads a document a meeting.
    """
    try:
        season = parameters.year(year)
    except ValueError as error:
        raise BadRequest("year", f"The season is {parameters.shorten(year)!r}, which {error}.") from None
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


def _by_date(meeting: Stored) -> tuple[datetime, str]:
    return meeting.fields.get("startDate", _UNKNOWN), meeting.id
