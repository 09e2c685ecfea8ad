"""`/circuits/{circuitId}/start-timing`, `/stop-timing`, `/status`, `/logs` and `/notices`: a kart track's timing, and
how it is heard.

Switching it on is an entry in `circuitFeeds/started`, which the function `karts` reads each minute; who connects, and
what is made of it, is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from flask import Blueprint, Response, current_app
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from pitwall.api import caching, description, lists, parameters, private, reads, status
from pitwall.api.caching import Answer
from pitwall.api.circuits import sessions, track
from pitwall.api.description import Parameter, Placeholder, described
from pitwall.api.errors import BadRequest, NoKartTrack, NotFound, NoTiming, TracksTaken
from pitwall.api.reads import Stored
from pitwall.api.shapes import Shape
from pitwall.documents import paths
from pitwall.documents.base import Fields, Instant
from pitwall.documents.circuits import ConnectionDocument, NoticeDocument, StartedDocument
from pitwall.documents.feeds import kart_feed

routes = Blueprint("tracksTiming", __name__)

MOST = "PITWALL_KART_TRACKS"
"""Key in the app's config of how many tracks' timing may be on at a time."""

MOST_NOTICES = 100
"""Notices that are counted."""

description.PATH["n"] = Placeholder(
    "n", Parameter(parameters.matching(r"[^/\x00-\x1f]{1,128}", "the id of a notice"), "id of the notice")
)


class Numbered(Fields, kw_only=True):
    """An item of a list, and which."""

    n: Annotated[str, Meta(description="its id")]


class HeardFeed(Fields, kw_only=True):
    """How a track's feed is, as its session has it."""

    state: Annotated[str, Meta(description="of the connection: connecting, live, silent, reconnecting, refused, ended")]
    source: str | UnsetType = UNSET
    message: Annotated[str, Meta(description="what the matter is, in plain words")] | UnsetType = UNSET
    last_message_at: Annotated[Instant, Meta(description="the feed's instant of the last message")] | UnsetType = UNSET
    silent_s: Annotated[int, Meta(ge=0, description="seconds since the last message")] | UnsetType = UNSET
    stale: Annotated[bool, Meta(description=f"whether that is more than {status.STALE_S}")] | UnsetType = UNSET
    reconnects: int | UnsetType = UNSET


class ConnectionEvent(Fields, kw_only=True):
    """What happened to the connection last."""

    at: Instant
    state: str
    message: str | UnsetType = UNSET


class TrackTiming(Fields, kw_only=True):
    """Whether a track's timing is on, and how it is heard."""

    circuit: Annotated[str, Meta(description="id of the track")]
    feed_id: Annotated[str, Meta(description="by which its sessions are found")]
    started: Annotated[bool, Meta(description="whether its timing is on")]
    session_key: Annotated[str, Meta(description="of the session that changed last")] | UnsetType = UNSET
    feed: HeardFeed | UnsetType = UNSET
    last_event: ConnectionEvent | UnsetType = UNSET
    notices: Annotated[int, Meta(ge=0, le=MOST_NOTICES, description="that no human has seen yet, so many at most")]


EVENT = Shape(ConnectionDocument, Numbered, name="TrackEvent")
NOTICE = Shape(NoticeDocument, Numbered, name="TrackNotice")


@routes.post("/circuits/<circuit_id>/start-timing")
@described(
    "Switch a kart track's timing on",
    answers=TrackTiming,
    statuses=(HTTPStatus.ACCEPTED, HTTPStatus.OK),
    problems=(NotFound, NoKartTrack, NoTiming, TracksTaken),
)
def start(circuit_id: str) -> Response:
    """202, and within a minute it is connected to; 200 where it is on already. It stays on, through everything that
    breaks, until it is switched off.
    """
    most: int = current_app.config[MOST]
    path = track.path_of(circuit_id)

    def started(before: StartedDocument | None) -> StartedDocument | None:
        held = track.required(private.database().read([path])[path].fields, circuit_id)
        on = before.circuits if before is not None else {}
        if circuit_id in on:
            return None
        if not any(isinstance(held.get(name), str) and held[name].strip() for name in ("wssUrl", "liveTimingUrl")):
            raise NoTiming("Nothing says where its timing comes from: it has neither `wssUrl` nor `liveTimingUrl`.")
        if len(on) >= most:
            raise TracksTaken(
                f"The timing of {len(on)} tracks is on, and of no more at a time: stop one.", circuits=sorted(on)
            )
        return StartedDocument(at=private.now(), circuits={**on, circuit_id: kart_feed(circuit_id)})

    return _switched(circuit_id, started)


@routes.post("/circuits/<circuit_id>/stop-timing")
@described(
    "Switch a kart track's timing off",
    answers=TrackTiming,
    statuses=(HTTPStatus.ACCEPTED, HTTPStatus.OK),
    problems=(NotFound, NoKartTrack),
)
def stop(circuit_id: str) -> Response:
    """202, and within a minute nobody is connected to it; 200 where it is off already."""
    path = track.path_of(circuit_id)

    def stopped(before: StartedDocument | None) -> StartedDocument | None:
        if before is None or circuit_id not in before.circuits:
            track.required(private.database().read([path])[path].fields, circuit_id)
            return None
        return replace(before, circuits={id_: feed for id_, feed in before.circuits.items() if id_ != circuit_id})

    return _switched(circuit_id, stopped)


def _switched(circuit_id: str, make: Callable[[StartedDocument | None], StartedDocument | None]) -> Response:
    new = False

    def made(before: StartedDocument | None) -> StartedDocument | None:
        nonlocal new
        after = make(before)
        new = after is not None
        return after

    reads.RETRIES(lambda: private.change(paths.started(), StartedDocument, made))
    found, _ = _status(Stored(paths.circuit(circuit_id), {}), private.now())
    return private.answer(found, HTTPStatus.ACCEPTED if new else HTTPStatus.OK)


@routes.get("/circuits/<circuit_id>/status")
@caching.kept
@described("Whether a kart track's timing is on, and how it is heard", answers=TrackTiming, problems=(NotFound,))
def heard(circuit_id: str) -> Answer:
    """Its last session, how the feed is, what happened to the connection last, and how many notices wait for a human.

    Reads five documents, and one a notice.
    """
    circuit, now = sessions.track(circuit_id), private.now()
    found, documents = _status(circuit, now)
    return caching.answer(
        lambda: found,
        documents,
        max_age=caching.CURRENT_S,
        parameters={"at": now.isoformat(timespec="seconds")},
    )


def _status(circuit: Stored, now: datetime) -> tuple[dict[str, Any], list[Stored]]:
    """What is shown of a track's timing, and what it was made of. circuit: its id counts."""
    read = reads.current()
    [on] = read.get(paths.started())
    session = sessions.latest(read, circuit)
    feed = read.get(paths.live(session.id, "feed"))[0] if session is not None else None
    events = read.query(paths.connections(circuit.id), order_by="at", descending=True, limit=1)
    notices = read.query(paths.notices(circuit.id), limit=MOST_NOTICES, only=("v", "writtenAt"))
    shown: dict[str, Any] = {
        "circuit": circuit.id,
        "feedId": kart_feed(circuit.id),
        "started": on is not None and circuit.id in on.fields.get("circuits", {}),
        "notices": len(notices),
    }
    if session is not None:
        shown["sessionKey"] = session.id
    if feed is not None:
        told = status.state_of(feed, now)
        shown["feed"] = {name: told[name] for name in _FEED if name in told}
    if events:
        shown["lastEvent"] = {name: events[0].fields[name] for name in _EVENT if name in events[0].fields}
    return shown, [document for document in (on, session, feed, *events, *notices) if document is not None]


_FEED = ("state", "source", "message", "lastMessageAt", "silentS", "stale", "reconnects")
_EVENT = ("at", "state", "message")


@routes.get("/circuits/<circuit_id>/logs")
@lists.listing("What happened to the connection to a kart track's timing, newest first", EVENT, lists.paged(EVENT))
def logs(circuit_id: str) -> Answer:
    """Connected, silent, lost, refused, and why. Reads the track, and a document an event."""
    return _newest(circuit_id, paths.connections, EVENT)


@routes.get("/circuits/<circuit_id>/notices")
@lists.listing("What is no longer as it was in a kart track's feed, newest first", NOTICE, lists.paged(NOTICE))
def notices(circuit_id: str) -> Answer:
    """New fields, fields that are gone, what could not be read. Each waits until a human has seen it.

    Reads the track, and a document a notice.
    """
    return _newest(circuit_id, paths.notices, NOTICE)


@routes.delete("/circuits/<circuit_id>/notices/<n>")
@described("A human has seen a notice", statuses=(HTTPStatus.NO_CONTENT,), problems=(NotFound,))
def seen(circuit_id: str, n: str) -> Response:
    """It is deleted, and not told again as long as the feed is listened to."""
    track.path_of(circuit_id)
    path = paths.notice(circuit_id, n)
    if not paths.valid_id(n) or reads.current().get(path) == [None]:
        raise NotFound("There is no such notice.")
    private.delete(path)
    return private.nothing()


def _newest(circuit_id: str, collection: Callable[[str], str], shape: Shape) -> Answer:
    """A page of what is stored beside a kart track, by instants."""
    circuit, given = sessions.track(circuit_id), parameters.given()
    within = collection(circuit.id)
    after = lists.after_place(given, (within,), tuple[datetime, str])
    if after is not None:
        at, id_ = after
        if not paths.valid_id(id_):
            raise BadRequest("cursor", "Parameter 'cursor' is no cursor of this list.")
        after = (at, f"{within}/{id_}")
    limit = given.get("limit", lists.DEFAULT_LIMIT)
    found = reads.current().query(within, order_by="at", descending=True, after=after, limit=limit + 1)
    shown = found[:limit]
    return lists.answer(
        lambda: ({**one.fields, "n": one.id} for one in shown),
        shown,
        shape,
        given,
        max_age=caching.CURRENT_S,
        more_after=(shown[-1].fields["at"], shown[-1].id) if len(found) > limit else None,
        this_list=(within,),
    )
