"""`/circuits/{circuitId}/data`: a kart track's board in the messages its app knows, now or as it was.

What was is read from what the recorder stored (`pitwall.history.recorded`), by the state machine that read it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from flask import Blueprint, Flask, current_app
from msgspec import Meta

from pitwall.api import caching, lists, live, pages, parameters, reads
from pitwall.api.caching import Answer
from pitwall.api.circuits import sessions
from pitwall.api.description import ListOf, described
from pitwall.api.errors import BadRequest, NotFound
from pitwall.api.parameters import Parameter, Reader
from pitwall.api.reads import Stored
from pitwall.api.table import by_number
from pitwall.documents import paths
from pitwall.documents.circuits import LABELS, AppData
from pitwall.documents.encoding import millis
from pitwall.documents.feeds import kart_feed
from pitwall.history.recorded import Recordings
from pitwall.settings import Settings

if TYPE_CHECKING:
    from pitwall.karting.replayed import Board

routes = Blueprint("kart-data", __name__)

RECORDINGS = "PITWALL_RECORDINGS"
"""Key in the app's config of the recorder's bucket."""
TIMEOUT_S = 5.0
"""Seconds one request to Cloud Storage may take, and all attempts at it."""

MOST_OBJECTS = 40
MOST_BYTES = 8 * 1024 * 1024
"""Objects, and bytes of them as stored, that one request reads; a cursor leads on."""
MOST_SESSIONS = 20
LONGEST = timedelta(days=2)
"""More than a session lasts."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STILL_COMING = timedelta(minutes=10)
"""What is younger may still come to be recorded."""

Item = dict[str, Any]


class AppMessage(msgspec.Struct, kw_only=True):
    """One row of the board, in the message the app knows."""

    type: Literal["timing"]
    circuit_id: Annotated[str, Meta(description="id of the track")]
    data: AppData


def _instant(text: str) -> datetime:
    try:
        told = datetime.fromisoformat(text)
        if told.tzinfo is None or "T" not in text:
            raise ValueError(text)
        return told.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not an instant as 2026-11-21T14:00:00Z") from None


_INSTANT = Reader(_instant, {"type": "string", "format": "date-time"})
_QUERY = {
    "from": Parameter(_INSTANT, "rows that changed from this instant on (RFC 3339); without it the board of now"),
    "to": Parameter(_INSTANT, "up to this instant; else until now"),
    "kart": Parameter(parameters.driver, "only this kart, by racing number in any case", "7A"),
    **lists.PAGES,
}


class _Place(NamedTuple):
    """Where a page begins: at a row of those that a line of an object changed."""

    session: str
    object: str
    line: int
    row: int


_Row = tuple[_Place, tuple[str, AppData] | None]
"""A row's place, racing number and texts."""


class _Bucket:
    """The recorder's bucket as an instance of the API sees it. Opened by the first request that asks for it."""

    def __init__(self, settings: Settings) -> None:
        self.retention = timedelta(days=settings.kart_retention_days) if settings.kart_retention_days else None
        self._settings = settings
        self._lock = Lock()
        self._opened: Recordings | None = None

    @property
    def opened(self) -> Recordings:
        with self._lock:
            if self._opened is None:
                self._opened = Recordings.of(self._settings, TIMEOUT_S, TIMEOUT_S)
            return self._opened


def register(app: Flask, settings: Settings) -> None:
    """Gives `app` the recorder's bucket."""
    app.config[RECORDINGS] = _Bucket(settings)


@routes.get("/circuits/<circuit_id>/data")
@caching.kept
@described(
    "A kart track's board in the messages of its app, now or as it was",
    query=_QUERY,
    answers=ListOf(AppMessage),
    problems=(NotFound,),
)
def of_track(circuit_id: str) -> Answer:
    """`mapped_data` has the texts by the app's columns and its labels of now, `raw_data` the row by the sport's names.
    Without `from` the rows as they stand, by racing number; with it every row whenever it changed, in order. A page may
    be short, or empty, and have a `nextCursor`: there is more while there is one. What is older than names are kept
    (`PITWALL_KART_RETENTION_DAYS`) is not given.

    Reads the track and its board; with `from` the track, at most 21 sessions, and at most 40 objects of 8 MB in all
    from Cloud Storage.
    """
    given = parameters.given()
    if "from" not in given and "to" in given:
        raise BadRequest("from", "Parameter 'to' needs a 'from'.")
    if "from" in given and given.get("to", given["from"]) < given["from"]:
        raise BadRequest("to", "Parameter 'to' is before 'from'.")
    return _past(circuit_id) if "from" in given else _now(circuit_id)


def _now(circuit_id: str) -> Answer:
    given = parameters.given()
    number = given.get("kart", "").upper()
    this_list = ("data", circuit_id, number)
    after = lists.after(given, this_list) or 0
    track = sessions.track(circuit_id)
    [board] = reads.current().get(paths.circuit_live(track.id))
    rows: dict[str, Any] = {} if board is None else board.fields.get("rows", {})
    chosen = [row for row in sorted(rows, key=by_number) if number in ("", row.upper())]
    end = after + given.get("limit", lists.DEFAULT_LIMIT)
    return _page(
        [_message(track, rows[row]) for row in chosen[after:end]],
        [track, *([board] if board is not None else [])],
        caching.LIVE_S,
        end if len(chosen) > end else None,
        this_list,
    )


def _past(circuit_id: str) -> Answer:
    given = parameters.given()
    now: datetime = current_app.config[live.CLOCK]()
    bucket: _Bucket = current_app.config[RECORDINGS]
    number = given.get("kart", "").upper()
    this_list = ("data", circuit_id, number, str(given["from"]), str(given.get("to")))
    after = lists.after_place(given, this_list, _Place)
    track = sessions.track(circuit_id)
    kept_since = _EPOCH if bucket.retention is None else now - bucket.retention
    since, to = max(given["from"], kept_since), min(given.get("to", now), now)
    labels = _labels(track)
    walk = _Walk(track, labels, bucket.opened, millis(since), millis(to), after)
    limit = given.get("limit", lists.DEFAULT_LIMIT)
    items: list[Item] = []
    following: _Place | None = None
    for place, row in walk.rows() if since <= to else ():
        if row is None or len(items) == limit:
            following = place
            break
        if number in ("", row[0].upper()):
            items.append(_message(track, _plain(row[1])))
    settled = to <= now - STILL_COMING
    return _page(
        items,
        [track],
        caching.SESSION_S if settled else caching.CURRENT_S,
        following,
        this_list,
        objects=walk.read,
        labels=sorted(labels.items()),
    )


def _page(
    items: list[Item],
    made_of: list[Stored],
    max_age: int,
    more_after: Any,
    this_list: tuple[Any, ...],
    **depends_on: Any,
) -> Answer:
    following = {} if more_after is None else {"nextCursor": pages.cursor(more_after, this_list)}
    return caching.answer(
        lambda: {"items": items, **following},
        made_of,
        max_age=max_age,
        parameters={**parameters.given(), **depends_on, **following},
    )


def _message(track: Stored, row: Any) -> Item:
    return {"type": "timing", "circuit_id": track.id, "data": row}


def _plain(row: AppData) -> Item:
    plain: Item = msgspec.to_builtins(row, builtin_types=(datetime,))
    return plain


def _labels(track: Stored) -> dict[str, str]:
    return {
        name.upper(): label for name in LABELS if isinstance(label := track.fields.get(name), str) and label.strip()
    }


class _Walk:
    """Through what was recorded of a track from one instant to another, ms. read: the objects it has read."""

    def __init__(
        self, track: Stored, labels: dict[str, str], recordings: Recordings, since: int, to: int, after: _Place | None
    ) -> None:
        self.read: list[tuple[str, int]] = []
        self._track = track
        self._labels = labels
        self._recordings = recordings
        self._since, self._to = since, to
        self._after = after

    def rows(self) -> Iterator[_Row]:
        """Rows as they change, by racing number, each with its place; a place without a row is where to go on."""
        after = self._after
        for session in self._sessions():
            begin = after.object if after is not None and after.session == session else ""
            board = self._begin(session)
            listed = self._recordings.listed(session, self._since, self._to, begin)
            for recorded in listed:
                if len(self.read) >= MOST_OBJECTS or sum(size for _, size in self.read) >= MOST_BYTES:
                    yield _Place(session, recorded.name, 0, 0), None
                    return
                self.read.append(recorded)
                yield from self._of_object(board, session, recorded.name)

    def _sessions(self) -> list[str]:
        """Keys of the sessions that may have been on in that time, in order of their last change."""
        reading = reads.current()
        since, to = (datetime.fromtimestamp(at / 1000, UTC) for at in (self._since, self._to))
        before = sessions.latest(reading, self._track, since)
        found = sessions.changed(reading, self._track, since, to + LONGEST, MOST_SESSIONS)
        keys = list(dict.fromkeys(session.id for session in ([before] if before else []) + found))
        if self._after is not None and self._after.session in keys:
            keys = keys[keys.index(self._after.session) :]
        return keys

    def _begin(self, session: str) -> Board:
        from pitwall.karting.replayed import Board  # the state machine, which no other request needs

        return Board(session, kart_feed(self._track.id), self._track.id, self._labels, self._since)

    def _of_object(self, board: Board, session: str, name: str) -> Iterator[_Row]:
        after = self._after
        passed = (after.line, after.row) if after is not None and after.object == name else (0, 0)
        for line, message in enumerate(self._recordings.messages(name)):
            changed = board.take(message) if message is not None else []
            if message is not None and self._since <= message.at <= self._to:
                for row, told in enumerate(changed):
                    if (line, row) >= passed:
                        yield _Place(session, name, line, row), told
