"""`/privacy`: what is stored of a private driver at kart tracks is exported or erased, as that person asks for it.

Both are jobs (`pitwall.history.persons`). Jobs are shown to whoever may read sessions; so the name is in a document of
its own, which nobody reads, and the job has that document's id. Two requests for one person are two jobs.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from secrets import token_hex
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Flask, Response, current_app
from msgspec import UNSET, Meta, UnsetType

from pitwall.api import jobs, private
from pitwall.api.description import described
from pitwall.api.errors import BadRequest, DatabaseUnavailable, NotFound, TimingOn
from pitwall.api.jobs import ShownJob
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.encoding import to_fields
from pitwall.documents.privacy import PersonName, PrivacyRequestDocument, Wish
from pitwall.history.telemetry.objects import StoreUnavailable
from pitwall.history.work import ERASE_PERSON, EXPORT_PERSON
from pitwall.history.work import BadRequest as NoName
from pitwall.settings import Settings

routes = Blueprint("privacy", __name__)

SETTINGS = "PITWALL_PRIVACY_SETTINGS"
"""Key in the app's config of what says where exports are."""

WAITS = timedelta(days=7)
"""How long a request that no job has done is kept."""


class Person(Fields, kw_only=True):
    """Whose data it is about."""

    name: PersonName
    circuit: Annotated[str, Meta(min_length=1, max_length=128, description="id of a kart track; else at all")] | (
        UnsetType
    ) = UNSET


class Place(Fields, kw_only=True):
    """A place that has the name."""

    stored: Annotated[str, Meta(description="path of a document")] | UnsetType = UNSET
    recorded: Annotated[str, Meta(description="name of an object of the recorder")] | UnsetType = UNSET
    at: Annotated[str, Meta(description="where in the document: keys with slashes")] | UnsetType = UNSET
    says: Annotated[Any, Meta(description="the map it is in, or the text")] | UnsetType = UNSET
    mentions: Annotated[int, Meta(description="how often, in an object")] | UnsetType = UNSET


class Export(Fields, kw_only=True):
    """What is stored of a person."""

    places: list[Place]


def register(app: Flask, settings: Settings) -> None:
    """Tells `app` where exports are."""
    app.config[SETTINGS] = settings


@routes.post("/privacy/export")
@described(
    "Find what is stored of a private driver",
    answers=ShownJob,
    statuses=(HTTPStatus.ACCEPTED,),
)
@private.takes(Person)
def export(wanted: Person) -> Response:
    """A job looks through what is stored and recorded of kart tracks; its result names the `export`, which is kept for
    a week. The job does not have the name.
    """
    return _asked("export", wanted)


@routes.post("/privacy/erase")
@described(
    "Take the name of a private driver out of all that is stored",
    answers=ShownJob,
    statuses=(HTTPStatus.ACCEPTED,),
    problems=(TimingOn,),
)
@private.takes(Person)
def erase(wanted: Person) -> Response:
    """`[erased]` stands where it was. Laps stay, of nobody. Not while the timing of one of the tracks is on: who holds
    a session would store the name again. Name a track, or stop them all; the job refuses a session that is still held.
    """
    started = private.database().read([paths.started()])[paths.started()].fields or {}
    running = sorted(started.get("circuits", {}))
    if wanted.circuit is not UNSET:
        running = [circuit for circuit in running if circuit == wanted.circuit]
    if running:
        raise TimingOn(
            f"The timing of {', '.join(running[:20])} is on, and would store the name once more: stop it first."
        )
    return _asked("erase", wanted)


def _asked(wish: Wish, wanted: Person) -> Response:
    """The job, queued. The request is stored first: a job without one fails and says so."""
    from pitwall.history.persons import Name  # few ask: no instance is to load it as it starts

    try:
        Name(wanted.name)
    except NoName as error:
        raise BadRequest("name", str(error)) from None
    if wanted.circuit is not UNSET and not paths.valid_id(wanted.circuit):
        raise BadRequest("circuit", "There is no such circuit: its id cannot be one.")
    id_, now = token_hex(16), private.now()
    request = PrivacyRequestDocument(
        at=now, written_at=now, v=1, expire_at=now + WAITS, name=wanted.name, wish=wish, circuit=wanted.circuit
    )
    database = private.database()
    database.commit([database.write(paths.privacy_request(id_), to_fields(request), must_be_new=True)])
    job = jobs.start(EXPORT_PERSON if wish == "export" else ERASE_PERSON, id_, {"request": id_})
    response = private.answer(msgspec.convert(job, ShownJob), HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/api/jobs/{job['id']}"
    return response


@routes.get("/privacy/exports/<export_id>")
@described("What was found of a private driver", answers=Export, problems=(NotFound,))
def found(export_id: str) -> Response:
    """Every place with the name, at most 20,000: documents with the map it is in, and recorded objects. Others named in
    the same map are others' data. Reads an object of Cloud Storage.
    """
    from pitwall.history.persons import exported

    try:
        content = exported(current_app.config[SETTINGS], export_id)
    except StoreUnavailable:
        raise DatabaseUnavailable("Cloud Storage did not answer. Ask once more.") from None
    if content is None:
        raise NotFound("There is no such export: it is not made yet, or a week old.")
    response = Response(content, content_type="application/json")
    response.cache_control.no_store = True
    response.cache_control.private = True
    return response
