"""`/jobs`: what takes a while is asked for, watched and stopped here; it is done by the function `jobs`.

A job is queued in its document first and then published, so a request that fails between the two is simply repeated:
who asks for a job that is queued already has it published again, and a message too many does no harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from flask import Blueprint, Response, current_app, request
from msgspec import UNSET, Meta, UnsetType, field
from msgspec.structs import asdict, replace

from pitwall.api import caching, lists, pages, private, reads
from pitwall.api.caching import Answer
from pitwall.api.description import JSON, ListOf, Parameter, described, given
from pitwall.api.errors import RETRY_AFTER_S, BadRequest, DatabaseUnavailable, NotFound
from pitwall.api.parameters import one_of
from pitwall.api.reads import Stored
from pitwall.documents import paths
from pitwall.documents.base import Fields
from pitwall.documents.encoding import without_nulls
from pitwall.documents.job import ENDED, JobDocument
from pitwall.history.job import STALE_S
from pitwall.history.queue import NotQueued, Queue, Turn
from pitwall.history.work import WORK

routes = Blueprint("jobs", __name__)

QUEUE = "PITWALL_QUEUE"
"""Key in the app's config of the topic that jobs are published to."""

EVENTS: Final = "text/event-stream"
AGAIN_MS: Final = 2_000
"""Milliseconds after which a client of events asks again."""
_LAST = "end"
"""Id of a job's last event; who has it need not ask again."""


class NewJob(Fields, kw_only=True):
    """What is to be done: a season, some rounds of it or one session of one is fetched and stored."""

    kind: Literal["backfill"]
    season: Annotated[int, Meta(ge=1950, le=2100, description="the year")]
    round: Annotated[int, Meta(ge=1, le=99, description="only this one")] | UnsetType = UNSET
    first: Annotated[int, Meta(ge=1, le=99, description="no round before")] | UnsetType = field(
        default=UNSET, name="from"
    )
    last: Annotated[int, Meta(ge=1, le=99, description="no round after")] | UnsetType = field(default=UNSET, name="to")
    session: (
        Annotated[
            Literal["FP1", "FP2", "FP3", "Q", "SQ", "SS", "S", "R"], Meta(description="only this one of the round")
        ]
        | UnsetType
    ) = UNSET
    telemetry: Annotated[bool, Meta(description="with positions and channels of every car")] = False
    again: Annotated[bool, Meta(description="what was done before is compared once more")] = False


class ShownJob(JobDocument, kw_only=True):
    """A job, and its id."""

    id: Annotated[str, Meta(description="of the job: the document is `jobs/{id}`")]


class JobPage(Fields, kw_only=True):
    """A page of the jobs there are."""

    items: list[ShownJob]
    next_cursor: str | UnsetType = UNSET


class JobEvent(Fields, kw_only=True):
    """How far a job is, in one of three forms."""

    type: Annotated[Literal["progress", "complete", "error"], Meta(description="error: it failed, or was cancelled")]
    progress: Annotated[float, Meta(ge=0, le=100, description="per cent")]
    message: Annotated[str, Meta(description="in plain words")]
    result: Annotated[dict[str, Any], Meta(description="what came of it, if it is complete")] | UnsetType = UNSET


def start(kind: str, key: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Queues the job `{kind}-{key}` for the function `jobs`, or gives back the one that is queued or running.

    kind: one of `pitwall.history.work.WORK`. key: letters, digits, `.`, `_` and `-`, at most 90. wanted: the request,
    which holds what JSON holds; nulls are left out. The job is given as JSON has it, instants too.
    Raises DatabaseUnavailable, Unavailable.
    """
    plain: dict[str, Any] = msgspec.to_builtins(_started(kind, key, wanted)[0])
    return plain


def _started(kind: str, key: str, wanted: Mapping[str, Any]) -> tuple[ShownJob, bool]:
    """The job, and whether it was queued by this."""
    turn = msgspec.convert({"kind": kind, "key": key, "request": without_nulls(wanted)}, Turn)
    path = paths.job(kind, key)
    new = False

    def queued(before: JobDocument | None) -> JobDocument | None:
        nonlocal new
        new = before is None or not (before.state == "queued" or _is_at_work(before))
        if not new:
            return None
        at = private.now()
        number = before.turn + 1 if before is not None else 1
        return JobDocument(at=at, kind=kind, state="queued", progress=0, request=turn.request, turn=number)

    job = reads.RETRIES(lambda: private.change(path, JobDocument, queued))
    if job is None:
        raise NotFound("There is no such job.")
    if job.state == "queued":
        _publish(replace(turn, request=job.request or {}, turn=job.turn))
    return _shown(path, job), new


def _publish(turn: Turn) -> None:
    queue: Queue = current_app.config[QUEUE]
    try:
        queue.put(turn)
    except NotQueued:
        again = {"Retry-After": str(RETRY_AFTER_S)}
        raise DatabaseUnavailable("Pub/Sub did not answer. Ask once more: the job begins then.", again) from None


def _is_at_work(job: JobDocument) -> bool:
    told = job.written_at
    return job.state == "running" and isinstance(told, datetime) and (private.now() - told).total_seconds() < STALE_S


def _shown(path: str, job: JobDocument) -> ShownJob:
    return ShownJob(**asdict(job), id=path.rpartition("/")[2])


@routes.post("/jobs")
@described("Have history fetched and stored", answers=ShownJob, statuses=(HTTPStatus.ACCEPTED, HTTPStatus.OK))
@private.takes(NewJob)
def make(wanted: NewJob) -> Response:
    """202 for a job that is queued now, 200 for the same one that is queued or running already. `Location` has its
    address; `jobs/{id}` in Firestore is what to listen to.
    """
    if wanted.session is not UNSET and wanted.round is UNSET:
        raise BadRequest("session", "A session is one of a round: name the round as well.")
    if wanted.round is not UNSET and not (wanted.first is UNSET and wanted.last is UNSET):
        raise BadRequest("round", "It is one round, or those from one to another.")
    asked: dict[str, Any] = msgspec.to_builtins(wanted)
    del asked["kind"]
    job, new = _started(wanted.kind, _key(asked), asked)
    response = private.answer(job, HTTPStatus.ACCEPTED if new else HTTPStatus.OK)
    response.headers["Location"] = f"/api/jobs/{job.id}"
    return response


def _key(asked: Mapping[str, Any]) -> str:
    """What tells a backfill from every other: `2023-4-R-telemetry`, `2023-from-3-to-7`."""
    words = [str(asked[name]) for name in ("season", "round", "session") if name in asked]
    words += [f"{name}-{asked[name]}" for name in ("from", "to") if name in asked]
    return "-".join([*words, *(name for name in ("telemetry", "again") if name in asked)])


@routes.get("/jobs")
@described("Jobs, the one that was heard of last first", query=lists.PAGES, answers=ListOf(ShownJob))
def listed() -> Response:
    """Of every kind, the corrections of sessions from their archives too. Reads a document a job, and one more."""
    limit = given().get("limit", lists.DEFAULT_LIMIT)
    after = lists.after_place(given(), ("jobs",), tuple[datetime, str])
    if after is not None:
        at, id_ = after
        if not paths.valid_id(id_):
            raise BadRequest("cursor", "Parameter 'cursor' is no cursor of this list.")
        after = (at, f"{paths.JOBS}/{id_}")
    found = reads.current().query(paths.JOBS, order_by="at", descending=True, after=after, limit=limit + 1)
    items = [_shown(job.path, msgspec.convert(job.fields, JobDocument)) for job in found[:limit]]
    more = pages.cursor((items[-1].at, items[-1].id), ("jobs",)) if len(found) > limit else UNSET
    return private.answer(JobPage(items=items, next_cursor=more))


@routes.get("/jobs/<job_id>")
@caching.kept
@described("One job", answers=ShownJob, problems=(NotFound,))
def job(job_id: str) -> Answer:
    """How far it is, and what came of it. Reads one document, which `jobs/{id}` in Firestore shows as it changes."""
    found = _existing(job_id)
    return caching.answer(lambda: {**found.fields, "id": found.id}, [found], max_age=caching.LIVE_S)


@routes.get("/jobs/<job_id>/events")
@described(
    "How far a job is, as a message",
    query={"format": Parameter(one_of("json", "events"), "else as `Accept` says, JSON if it does not care")},
    answers=JobEvent,
    statuses=(HTTPStatus.OK, HTTPStatus.NO_CONTENT),
    content_types=(JSON, EVENTS),
    problems=(NotFound,),
)
def events(job_id: str) -> Response:
    """The message as JSON, or as one server-sent event: `EventSource` then asks again by itself every two seconds,
    until it has the last one and is answered 204. Nothing is held open. Reads one document.
    """
    form = given().get("format")
    if form is None:
        form = "events" if request.accept_mimetypes.best_match((JSON, EVENTS)) == EVENTS else "json"
    if form == "events" and request.headers.get("Last-Event-ID") == _LAST:
        return private.nothing()
    return _event(job_id=job_id, form=form)


@caching.kept
def _event(job_id: str, form: str) -> Answer:
    found = _existing(job_id)
    event = event_of(found.fields)
    told = "" if form == "json" else _LAST if found.fields["state"] in ENDED else str(found.fields.get("v", 0))

    def body() -> Any:
        plain = msgspec.to_builtins(event)
        return f"retry: {AGAIN_MS}\nid: {told}\ndata: {orjson.dumps(plain).decode()}\n\n".encode() if told else plain

    return caching.answer(
        body,
        [found],
        max_age=caching.LIVE_S,
        headers={"Vary": "Accept"},
        content_type=EVENTS if told else JSON,
    )


def event_of(fields: Mapping[str, Any]) -> JobEvent:
    """What is said of a job with these fields."""
    state, message = fields["state"], fields.get("message", fields["state"])
    if state == "done":
        return JobEvent(type="complete", progress=100.0, message=message, result=fields.get("result", UNSET))
    if state in ENDED:
        return JobEvent(type="error", progress=float(fields["progress"]), message=fields.get("error", message))
    return JobEvent(type="progress", progress=float(fields["progress"]), message=message)


@routes.post("/jobs/<job_id>/cancel")
@described("Stop a job", answers=ShownJob, problems=(NotFound,))
def cancel(job_id: str) -> Response:
    """One that nobody is at ends at once; one that is at work says so with `cancel`, and ends some seconds later. What
    has ended stays as it is, and so does what is stored by then: asking for the job again goes on from there.
    """

    def cancelled(before: JobDocument | None) -> JobDocument | None:
        if before is None:
            raise NotFound("There is no such job.")
        if before.kind not in WORK:
            raise NotFound("There is no such job that could be stopped: this one ends by itself.")
        if before.state in ENDED or before.cancel:
            return None
        if _is_at_work(before):
            return replace(before, cancel=True)
        return replace(before, state="cancelled", message="it was cancelled while nobody was at it")

    path = _checked(job_id)
    job = reads.RETRIES(lambda: private.change(path, JobDocument, cancelled))
    if job is None:
        raise NotFound("There is no such job.")
    return private.answer(_shown(path, job))


def _checked(job_id: str) -> str:
    """The path of a job's document. Raises NotFound, before anything is read."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", job_id) or not paths.valid_id(job_id):
        raise NotFound("There is no such job: its id cannot be one.")
    return f"{paths.JOBS}/{job_id}"


def _existing(job_id: str) -> Stored:
    [found] = reads.current().get(_checked(job_id))
    if found is None:
        raise NotFound("There is no such job.")
    return found
