"""`/circuits/{circuitId}/analyze-format`, `/analysis` and `/format`: what a feed was found to say, and a human's word.

An analysis is a job (`pitwall.history.format_analysis`). What a human says here stands against every later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import msgspec
from flask import Blueprint, Response
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from pitwall.api import caching, jobs, parameters, private, reads
from pitwall.api.caching import Answer
from pitwall.api.description import described
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.jobs import ShownJob
from pitwall.api.reads import Stored
from pitwall.documents import paths
from pitwall.documents.base import Document, Fields
from pitwall.documents.circuits import AnalysisDocument, FormatDocument
from pitwall.documents.feeds import kart_feed
from pitwall.history.work import ANALYSIS, CAPTURE, DEFAULT_S, LONGEST_S, SHORTEST_S
from pitwall.karting import formats
from pitwall.karting.description import LONGEST_KEY, MOST_FIELDS, ROLES, Description, Field, decode, encode
from pitwall.karting.formats import Standing

routes = Blueprint("formats", __name__)

D = TypeVar("D", bound=Document)


class Listening(Fields, kw_only=True):
    """How a feed is to be heard."""

    seconds: Annotated[int, Meta(ge=SHORTEST_S, le=LONGEST_S, description="for which it is listened to")] = DEFAULT_S
    recording: (
        Annotated[
            str,
            Meta(pattern=CAPTURE, description="read instead: an object of the recorder's bucket that holds a capture"),
        ]
        | UnsetType
    ) = UNSET


class NewFormat(Fields, kw_only=True):
    """How a human says a feed is to be read."""

    columns: (
        Annotated[
            dict[str, str],
            Meta(description="role by field (`c5` of Apex Timing); an empty one for a field that is not used"),
        ]
        | UnsetType
    ) = UNSET
    description: (
        Annotated[Description, Meta(description="of a feed without a source of its own: a whole description of it")]
        | UnsetType
    ) = UNSET


class FoundFormat(Fields, kw_only=True):
    """How a track's feed is read, and what it was found to say."""

    circuit: Annotated[str, Meta(description="id of the track")]
    standing: Annotated[
        Standing, Meta(description="by whom the format in force is; `proposed`: none until a human confirms it")
    ]
    protocol: Annotated[str, Meta(description="`apex`, `rmonitor`, or what kind of description; empty if not known")]
    said: Annotated[dict[str, str], Meta(description="role by field as a human said")]
    found: Annotated[
        dict[str, str], Meta(description="role by field as the analysis is sure of it, where a board declares none")
    ]
    description: Annotated[Description, Meta(description="in force, of a feed without a source")] | UnsetType = UNSET
    waiting: Annotated[list[Field], Meta(description="fields a human is asked about")]
    notices: Annotated[list[str], Meta(description="what speaks against what a human said")]
    analysis: Annotated[AnalysisDocument, Meta(description="as it is stored")] | UnsetType = UNSET


@routes.post("/circuits/<circuit_id>/analyze-format")
@described(
    "Have a track's feed listened to, and found out what it says",
    answers=ShownJob,
    statuses=(HTTPStatus.ACCEPTED,),
    problems=(NotFound,),
)
@private.takes(Listening, optional=True)
def analyse(wanted: Listening, circuit_id: str) -> Response:
    """Without a body for two minutes. 202 with the job, or the one of this track that is queued or running; `Location`
    has its address. A capture is what frames there were, as `docs/karting.md` says, put below `captures/` by hand.
    """
    _track(circuit_id)
    asked: dict[str, Any] = {"circuit": circuit_id, "seconds": wanted.seconds}
    if wanted.recording is not UNSET:
        asked["recording"] = wanted.recording
    job = jobs.start(ANALYSIS, kart_feed(circuit_id), asked)
    response = private.answer(msgspec.convert(job, ShownJob), HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/api/jobs/{job['id']}"
    return response


@routes.get("/circuits/<circuit_id>/analysis")
@caching.kept
@described("How a track's feed is read, and what it was found to say", answers=FoundFormat, problems=(NotFound,))
def analysis(circuit_id: str) -> Answer:
    """Protocols, fields with their roles and reasons, what was not understood, and which format is in force: a human's,
    else that of the analysis where it is sure. Reads three documents.
    """
    circuit, said, found = reads.current().get(
        paths.circuit(_checked(circuit_id)), paths.circuit_format(circuit_id), paths.circuit_analysis(circuit_id)
    )
    if circuit is None or "nom" not in circuit.fields:
        raise _no_track(circuit_id)

    def body() -> Any:
        known = _of(AnalysisDocument, found)
        force = formats.in_force(_of(FormatDocument, said), known)
        shown = FoundFormat(
            circuit=circuit_id,
            standing=force.standing,
            protocol=force.protocol,
            said=force.said,
            found=force.found,
            description=force.description or UNSET,
            waiting=force.waiting,
            notices=force.notices,
            analysis=known or UNSET,
        )
        return msgspec.to_builtins(shown, builtin_types=(datetime,))

    documents = [document for document in (circuit, said, found) if document is not None]
    return caching.answer(body, documents, max_age=caching.CURRENT_S)


@routes.get("/circuits/<circuit_id>/format")
@caching.kept
@described("How a human said a track's feed is to be read", answers=FormatDocument, problems=(NotFound,))
def said(circuit_id: str) -> Answer:
    """Reads one document."""
    [found] = reads.current().get(paths.circuit_format(_checked(circuit_id)))
    if found is None:
        raise NotFound(f"Nobody has said how the feed of {parameters.shorten(circuit_id)!r} is to be read.")
    return caching.answer(lambda: found.fields, [found], max_age=caching.CURRENT_S)


@routes.put("/circuits/<circuit_id>/format")
@described("Say how a track's feed is to be read", answers=FormatDocument, problems=(NotFound,))
@private.takes(NewFormat)
def say(wanted: NewFormat, circuit_id: str) -> Response:
    """In the place of what was said before. Roles are those of `/analysis`, each once. It holds from when the feed is
    next connected to, and no analysis changes it: one that disagrees says so in `notices`.
    """
    _track(circuit_id)
    description = UNSET if wanted.description is UNSET else _checked_description(wanted.description)
    columns = {} if wanted.columns is UNSET else _checked_columns(wanted.columns)
    if not columns and description is UNSET:
        raise BadRequest("columns", "Say what at least one field is, or describe the feed.")

    def changed(before: FormatDocument | None) -> FormatDocument:
        stored = before or FormatDocument(at=private.now(), columns={})
        return replace(stored, columns=columns, description=description)

    after = reads.RETRIES(lambda: private.change(paths.circuit_format(circuit_id), FormatDocument, changed))
    if after is None:
        raise _no_track(circuit_id)
    return private.answer(after)


@routes.delete("/circuits/<circuit_id>/format")
@described("Take back how a track's feed is to be read", statuses=(HTTPStatus.NO_CONTENT,), problems=(NotFound,))
def unsay(circuit_id: str) -> Response:
    """What the analysis is sure of is in force again, from when the feed is next connected to."""
    _track(circuit_id)
    private.delete(paths.circuit_format(circuit_id))
    return private.nothing()


def _checked_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """Raises BadRequest with the field that cannot be what is said."""
    if len(columns) > MOST_FIELDS:
        raise BadRequest("columns", f"There are at most {MOST_FIELDS} fields.")
    by_role: dict[str, str] = {}
    for key, role in columns.items():
        named = f"columns.{parameters.shorten(key)}"
        if not 0 < len(key) <= LONGEST_KEY or (key.startswith("__") and key.endswith("__")):
            raise BadRequest(named, f"A field has a name of 1 to {LONGEST_KEY} letters.")
        if role and role not in ROLES:
            raise BadRequest(named, f"There is no role {parameters.shorten(role)!r}; there are {', '.join(ROLES)}.")
        if role and role in by_role:
            raise BadRequest(named, f"{role} is {parameters.shorten(by_role[role])!r} already: a role is one field's.")
        by_role[role] = key
    return dict(columns)


def _checked_description(description: Description) -> dict[str, Any]:
    """Raises BadRequest."""
    said = replace(description, fields=[replace(field, origin="human", confidence=1.0) for field in description.fields])
    try:
        plain: dict[str, Any] = msgspec.to_builtins(decode(encode(said)))
    except ValueError as error:
        raise BadRequest("description", f"It is no description that can be run: {error}.") from None
    return plain


def _checked(circuit_id: str) -> str:
    if not paths.valid_id(circuit_id):
        raise _no_track(circuit_id)
    return circuit_id


def _track(circuit_id: str) -> None:
    """Raises NotFound where there is no such kart track."""
    [found] = reads.current().get(paths.circuit(_checked(circuit_id)))
    if found is None or "nom" not in found.fields:
        raise _no_track(circuit_id)


def _no_track(circuit_id: str) -> NotFound:
    return NotFound(f"There is no kart track {parameters.shorten(circuit_id)!r}.")


def _of(kind: type[D], stored: Stored | None) -> D | None:
    """A stored document; None where it is none of its kind."""
    try:
        return None if stored is None else msgspec.convert(stored.fields, kind)
    except msgspec.ValidationError:
        return None
