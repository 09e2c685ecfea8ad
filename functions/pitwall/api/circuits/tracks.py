"""`/circuits` and `/circuits/{circuitId}`: kart tracks are added, changed and deleted here.

The documents are the app's. So of one that is there only the fields that are named change, and what the app alone
knows stays. `circuitFeeds/started`, by which timing is switched on, is written with each deletion: so of a deletion and
a start at the same time one sees the other.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response

from pitwall.api import alias, private
from pitwall.api.circuits import track
from pitwall.api.circuits.wanted import NewTrack, TrackChange, changes, merged
from pitwall.api.description import described
from pitwall.api.errors import AlreadyThere, NoKartTrack, NotFound, TimingOn
from pitwall.api.history.circuits import CIRCUIT
from pitwall.api.reads import Stored
from pitwall.documents import paths
from pitwall.documents.feeds import slug
from pitwall.pipeline import database
from pitwall.pipeline.database import Conflict

routes = Blueprint("tracks", __name__)

AT_ONCE = 400
"""Documents that are deleted together; Firestore takes 500 writes."""
_LONGEST_MADE = 48


@routes.post("/circuits")
@described("Add a kart track", answers=CIRCUIT, statuses=(HTTPStatus.CREATED,), problems=(AlreadyThere,))
@private.takes(NewTrack)
def add(wanted: NewTrack) -> Response:
    """Its id is given, or made from its name; `Location` has its address. Labels and addresses are those of the app."""
    fields = {name: value for name, value in merged({}, changes(wanted)).items() if value is not None}
    id_ = wanted.id or slug(wanted.nom)[:_LONGEST_MADE].strip("-") or _hashed(wanted.nom)
    path = track.path_of(id_)
    stored = {**fields, "series": "kart", **_marks(None)}
    try:
        private.database().commit([private.database().write(path, stored, must_be_new=True)])
    except Conflict:
        raise AlreadyThere(f"There is a circuit {id_!r}: PATCH changes it, another `id` adds another.") from None
    response = private.answer(track.shown(Stored(path, stored)), HTTPStatus.CREATED)
    response.headers["Location"] = alias.address("circuits.circuit", circuit_id=id_)
    return response


@routes.patch("/circuits/<circuit_id>")
@described("Change a kart track", answers=CIRCUIT, problems=(NotFound, NoKartTrack))
@private.takes(TrackChange)
def change(wanted: TrackChange, circuit_id: str) -> Response:
    """What the body names changes, and nothing else, also not what only the app knows; null takes a member out (JSON
    Merge Patch). Timing that is on takes a new address, labels and rules when it next connects.
    """
    path, said = track.path_of(circuit_id), changes(wanted)

    def changed() -> dict[str, Any]:
        store = private.database()
        stored = store.read([path])[path]
        before = dict(track.required(stored.fields, circuit_id))
        told = merged(before, said)
        if all(before.get(name) == value for name, value in told.items()):
            return before
        kept = {name: value for name, value in told.items() if value is not None}
        kept |= {"series": "kart", **_marks(before.get("v"))}
        gone = [name for name, value in told.items() if value is None]
        store.commit([store.change(path, kept, gone, stored.updated)])
        return {name: value for name, value in before.items() if name not in gone} | kept

    return private.answer(track.shown(Stored(path, private.settled(changed))))


@routes.delete("/circuits/<circuit_id>")
@described("Delete a kart track", statuses=(HTTPStatus.NO_CONTENT,), problems=(NotFound, NoKartTrack, TimingOn))
def delete(circuit_id: str) -> Response:
    """With what is stored of it: how its feed is read, its board, log and notices. Its sessions stay. Refused while its
    timing is on.
    """
    path, store = track.path_of(circuit_id), private.database()
    _not_started(path, circuit_id)
    for collection in (paths.connections(circuit_id), paths.notices(circuit_id)):
        while found := store.query(collection, limit=AT_ONCE, only=("at",)):
            store.commit([store.delete(each) for each, _ in found])

    def deleted() -> None:
        stored, started = _not_started(path, circuit_id)
        beside = (paths.circuit_format, paths.circuit_analysis, paths.circuit_live)
        store.commit(
            [
                store.delete(path, stored.updated),
                *(store.delete(of(circuit_id)) for of in beside),
                _written_again(started),
            ]
        )

    private.settled(deleted)
    return private.nothing()


def _not_started(path: str, circuit_id: str) -> tuple[database.Stored, database.Stored]:
    """A kart track and which are on, as read; its own timing is not. Raises NotFound, NoKartTrack, TimingOn."""
    read = private.database().read([path, paths.started()])
    track.required(read[path].fields, circuit_id)
    started = read[paths.started()]
    if circuit_id in (started.fields or {}).get("circuits", {}):
        raise TimingOn(f"The timing of {circuit_id!r} is on: `POST /api/circuits/{circuit_id}/stop-timing` first.")
    return read[path], started


def _written_again(started: database.Stored) -> Any:
    """A write of which timing is on that says the same, and holds only if nobody has changed it."""
    before = started.fields or {"circuits": {}}
    marks = _marks(before.get("v"))
    fields = {**before, **marks}
    return private.database().write(paths.started(), fields, started.updated, must_be_new=started.fields is None)


def _marks(version: Any) -> dict[str, Any]:
    """What is stored with every change. version: that of the document before, if it has one."""
    now: datetime = private.now()
    return {"at": now, "writtenAt": now, "v": version + 1 if isinstance(version, int) else 1}


def _hashed(name: str) -> str:
    """The id of a track of whose name no letter can be one."""
    return blake2b(name.encode(), digest_size=4).hexdigest()
