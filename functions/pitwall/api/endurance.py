"""`/sessions/{id}/endurance`: stints, stops owed and what the gaps of an endurance race are worth."""

from __future__ import annotations

from flask import Blueprint

from pitwall.api import caching, lists, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import described, given
from pitwall.api.errors import NotFound
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.circuits import EnduranceDocument

routes = Blueprint("endurance", __name__)

ENDURANCE = Shape(
    EnduranceDocument,
    results=[f"lines.{key}" for key in ("position", "laps", "adjustedPosition", "adjustedGapMs", "penalties")],
)


@routes.get("/sessions/<key>/endurance")
@caching.kept
@described(
    "Stints, stops made and owed, and gaps that count the stops still owed, of a kart track's race",
    query=lists.one(ENDURANCE),
    answers=ENDURANCE,
    problems=(NotFound,),
)
def endurance(key: str) -> Answer:
    """One line a kart, by racing number, as of the answer's `at`; every five seconds. Reads one document."""
    [found] = reads.current().get(paths.live(sessions.checked(key), "endurance"))
    if found is None:
        raise NotFound(f"Session {key!r} does not exist or is no endurance race.")
    return lists.answer_one(found.fields, found, ENDURANCE, given(), max_age=caching.LIVE_S)
