"""`/sessions/{id}/telemetry/{racingNumber}`: asks for the last seconds of one car, to be listened to in Firestore.

A request holds for two minutes and is asked again every minute by an app that shows the car; who asks costs what
`docs/economy.md` says, so nobody may ask without saying who they are. What becomes of it is the poller's business.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from flask import Blueprint, Response, current_app
from msgspec import UNSET, Meta, UnsetType

from pitwall.api import private, reads
from pitwall.api.caller import caller
from pitwall.api.description import described
from pitwall.api.errors import CarsTaken, NoTelemetry, NotFound
from pitwall.api.sessions import checked, required
from pitwall.documents import paths
from pitwall.documents.base import Fields, Instant
from pitwall.pipeline.telemetry_requests import TelemetryRequests, TooManyCars
from pitwall.timing.session_status import FINAL

routes = Blueprint("carTelemetry", __name__)

MOST = "PITWALL_TELEMETRY_CARS"
"""Key in the app's config of how many cars of a session are told at a time."""

_TOPICS = ("CarData", "Position")
"""What a document is made of: the channels of the cars, and where they are."""


class AskedTelemetry(Fields, kw_only=True):
    """A car whose telemetry is told."""

    path: Annotated[str, Meta(description="the document in Firestore that holds its last seconds; listen to it")]
    until: Annotated[Instant, Meta(description="when it ends unless it is asked for again; ask every minute")]
    withheld: (
        Annotated[list[str], Meta(description="topics that the feed holds back: CarData (channels) or Position")]
        | UnsetType
    ) = UNSET


@routes.post("/sessions/<key>/telemetry/<racing_number>")
@described(
    "Ask for the last seconds of a car",
    answers=AskedTelemetry,
    statuses=(HTTPStatus.CREATED, HTTPStatus.OK),
    problems=(NotFound, NoTelemetry, CarsTaken),
)
def ask(key: str, racing_number: str) -> Response:
    """From then on, within five seconds, `sessions/{id}/telemetry/{racingNumber}` in Firestore changes once a second,
    until two minutes after the last asking. 201: nobody else had asked. Reads six documents, writes one at the most."""
    withheld = _refuse_unless_told(key, racing_number)
    try:
        until, new = _requests().ask(key, racing_number, _asker())
    except TooManyCars as error:
        after = max(1, int((error.free_at - private.now()).total_seconds()))
        headers = {"Retry-After": str(after)}
        raise CarsTaken(f"No more cars at a time: {error}.", headers, cars=error.cars) from None
    body = AskedTelemetry(path=paths.car_telemetry(key, racing_number), until=until, withheld=withheld or UNSET)
    return private.answer(body, HTTPStatus.CREATED if new else HTTPStatus.OK)


@routes.delete("/sessions/<key>/telemetry/<racing_number>")
@described("Ask no longer for the last seconds of a car", statuses=(HTTPStatus.NO_CONTENT,), problems=(NotFound,))
def end(key: str, racing_number: str) -> Response:
    """Its document goes within five seconds if nobody else has asked; else it stays as long as others ask, and two
    minutes more."""
    _requests().end(checked(key), racing_number, _asker())
    return private.nothing()


def _requests() -> TelemetryRequests:
    return TelemetryRequests(private.database(), current_app.config[MOST])


def _asker() -> str:
    asks = caller()
    return f"key {asks.key}" if asks.key else f"account {asks.uid}"


def _refuse_unless_told(key: str, racing_number: str) -> list[str]:
    """Topics that the feed holds back, of those a document is made of. Raises NotFound, NoTelemetry."""
    if not current_app.config[MOST]:
        raise NoTelemetry("Telemetry of single cars is switched off here.")
    session_path, economy = paths.session(checked(key)), paths.economy()
    lines = paths.live(key, "entries"), paths.live(key, "timing")
    session, entries, tower, feed, mode = reads.current().get(session_path, *lines, paths.live(key, "feed"), economy)
    session = required(session, key)
    if not any(found is not None and racing_number in _of(found.fields, "lines", {}) for found in (entries, tower)):
        raise NotFound(f"There is no car {racing_number!r} in session {key!r}.")
    state, gated = ("", []) if feed is None else (feed.fields.get("state"), _of(feed.fields, "gatedTopics", []))
    if session.fields.get("final") is True or session.fields.get("status") in FINAL or state == "ended":
        raise NoTelemetry(f"Session {key!r} is over: nothing more is told of it.")
    if mode is not None and mode.fields.get("mode", "off") != "off":
        raise NoTelemetry("Telemetry of single cars is off while viewers are to cost less.")
    withheld = sorted({topic.removesuffix(".z") for topic in gated} & set(_TOPICS))
    if len(withheld) == len(_TOPICS):
        raise NoTelemetry("The feed holds telemetry back: it tells it only with a token.")
    return withheld


def _of(fields: dict[str, Any], name: str, default: Any) -> Any:
    """A field, where it is of the kind it should be."""
    found = fields.get(name)
    return found if isinstance(found, type(default)) else default
