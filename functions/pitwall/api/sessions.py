"""`/sessions`, `/sessions/current` and `/sessions/{id}`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from flask import Blueprint
from msgspec import Meta

from pitwall.api import alias, caching, lists, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.description import Parameter, described, given
from pitwall.api.errors import BadRequest, NoSession, NotFound
from pitwall.api.reads import Reads, Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.session import SessionDocument
from pitwall.timing.session_status import OVER

routes = Blueprint("sessions", __name__)

TOGETHER = timedelta(minutes=10)
"""Sessions of several feeds run at once if their last changes are no further apart.

The weather alone changes a running session's document every minute; one that lags more was never finished
by its feed, or its recording was cut off.
"""
FEEDS_AT_ONCE = 10


class Session(SessionDocument, kw_only=True):
    """A session over HTTP: its document, and which one it is."""

    session_key: Annotated[str, Meta(description="id of the session")]


SESSION = Shape(Session, results=("qualifying.cutOffMs",))

FILTERS = {
    "year": Parameter(parameters.year, "only sessions of this season", 2025),
    "series": Parameter(parameters.series, "only sessions of this series", "f1"),
    "feedId": Parameter(
        parameters.matching(r"[a-z0-9][a-z0-9-]{0,62}", "a feed id such as kart-ardenmoor"),
        "only sessions of this feed, as those of one kart track",
        "f1",
    ),
    "type": Parameter(parameters.matching(r"[A-Za-z][A-Za-z -]{0,31}", "a type such as Race"), "only this one", "Race"),
    "status": Parameter(
        parameters.matching(r"[A-Za-z]{1,32}", "a status such as Started"), "only this one", "Finalised"
    ),
}
"""What sessions are found by, as it is stored. Each has an index with `at`; Firestore merges those of several."""


@routes.get("/sessions")
@lists.listing("Sessions, newest first", SESSION, {**FILTERS, **lists.paged(SESSION)}, problems=())
def listed() -> Answer:
    """By their last change in the feed's own time, so that a session that runs comes first and a correction moves none.

    Reads a document a session, one more to know whether there are more.
    """
    where: Any = [(name, "==", given()[name]) for name in FILTERS if name in given()]
    this_list = ("sessions", *where)
    limit = given().get("limit", lists.DEFAULT_LIMIT)
    after = lists.after_place(given(), this_list, tuple[datetime, str])
    if after is not None:
        at, key = after
        if not paths.valid_id(key):
            raise BadRequest("cursor", "Parameter 'cursor' is no cursor of this list.")
        after = (at, paths.session(key))
    found = reads.current().query(
        paths.SESSIONS, where=where, order_by="at", descending=True, after=after, limit=limit + 1
    )
    shown, last = found[:limit], found[limit - 1] if len(found) > limit else None
    return lists.answer(
        lambda: map(_body, shown),
        shown,
        SESSION,
        given(),
        max_age=caching.CURRENT_S,
        more_after=None if last is None else (last.fields["at"], last.id),
        this_list=this_list,
    )


@routes.get("/sessions/current")
@caching.kept
@described(
    "The live session, else the most recent",
    query={"series": FILTERS["series"], **lists.one(SESSION)},
    answers=SESSION,
    problems=(NoSession,),
)
def current() -> Answer:
    """The session that changed last in the feed's own time; if that is over, another feed's that still runs beside it.

    `Content-Location` has the address of that session. Reads one document, or those of the sessions that ran together.
    """
    series = given().get("series")
    session = _current(reads.current(), series)
    if session is None:
        wanted = f" of the series {series!r}" if series else ""
        raise NoSession(f"There is no session{wanted} yet.")
    location = alias.address(".session", key=session.id)
    return lists.answer_one(
        _body(session),
        session,
        SESSION,
        given(),
        max_age=caching.CURRENT_S,
        headers={"Content-Location": location},
    )


@routes.get("/sessions/<key>")
@caching.kept
@described("One session", query=lists.one(SESSION), answers=SESSION, problems=(NotFound,))
def session(key: str) -> Answer:
    """What it is, and how it stands. Reads one document."""
    found = existing(reads.current(), key)
    return lists.answer_one(_body(found), found, SESSION, given(), max_age=caching.session_max_age(found))


def existing(reads: Reads, key: str) -> Stored:
    """The session `key`. Raises NotFound."""
    [found] = reads.get(paths.session(checked(key)))
    return required(found, key)


def checked(key: str) -> str:
    """`key` if a session can have it. Raises NotFound, before anything is read."""
    if not paths.valid_id(key):
        raise NotFound("There is no such session: its id cannot be one.")
    return key


def required(found: Stored | None, key: str) -> Stored:
    """A session that was read. Raises NotFound if there is none."""
    if found is None:
        raise NotFound(f"There is no session {key!r}.")
    return found


def _current(reads: Reads, series: str | None) -> Stored | None:
    """The session that changed last; if that one is over, another feed's that still runs beside it.

    What counts is the feed's time, so that a correction of an old session does not make it the current one.
    """
    only: Any = [("series", "==", series)] if series else []
    newest = reads.query(paths.SESSIONS, where=only, order_by="at", descending=True, limit=1)
    if not newest or not is_over(newest[0]):
        return newest[0] if newest else None
    since = newest[0].fields["at"] - TOGETHER
    latest = reads.query(
        paths.SESSIONS, where=[*only, ("at", ">=", since)], order_by="at", descending=True, limit=FEEDS_AT_ONCE
    )
    seen = set()
    for session in latest:
        feed = session.fields.get("feedId")
        if feed not in seen and not is_over(session):
            return session
        seen.add(feed)
    return newest[0]


def is_over(session: Stored) -> bool:
    return session.fields.get("status") in OVER or session.fields.get("final") is True


def _body(session: Stored) -> dict[str, Any]:
    """The document, and its id: over HTTP nothing else says which session `current` is."""
    return {**session.fields, "sessionKey": session.id}
