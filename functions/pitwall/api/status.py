"""`/status`: which sessions are live, how the feeds are, which version runs. A page for people, JSON for programs."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request

from pitwall import VERSION
from pitwall.api import caching, live, parameters, reads, sessions
from pitwall.api.caching import Answer
from pitwall.api.description import JSON, Parameter, described, given
from pitwall.api.reads import Reads, Stored
from pitwall.api.web_page import HTML, safe
from pitwall.documents import paths
from pitwall.documents.base import SCHEMA_VERSION

routes = Blueprint("status", __name__)

REVISION = "PITWALL_REVISION"
"""Key in the app's config of the deployed revision."""

LIVE = timedelta(minutes=10)
"""A session of which nothing was stored for longer is not live: its weather alone changes every minute."""

STALE_S = 30
"""A feed is stale when nothing has come from it for longer: heartbeats come every 15 s."""

MOST = 50
"""Live sessions, and feeds, that are shown."""

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.4rem .8rem .4rem 0;"
    "border-bottom:1px solid #ddd;vertical-align:top}.live{color:#0a7d32}.stale{color:#b3261e}small{color:#666}"
    "@media(prefers-color-scheme:dark){body{background:#16181c;color:#ddd}th,td{border-color:#333}"
    ".live{color:#5fd38a}.stale{color:#ff8a80}small{color:#999}}"
)
_HASH = b64encode(sha256(STYLE.encode()).digest()).decode()
_PAGE = safe(f"style-src 'sha256-{_HASH}'")

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_WHEN = {
    "type": "object",
    "properties": {"meeting": _TEXT, "name": _TEXT, "startDate": _TIME},
    "required": ["meeting", "name", "startDate"],
}
_SESSION = {
    "type": "object",
    "properties": {
        "sessionKey": _TEXT,
        "feedId": _TEXT,
        "series": _TEXT,
        "meeting": _TEXT,
        "name": _TEXT,
        "type": _TEXT,
        "status": _TEXT,
        "writtenAt": _TIME,
    },
    "required": ["sessionKey", "writtenAt"],
}
_FEED = {
    "type": "object",
    "properties": {
        "feedId": _TEXT,
        "circuit": {**_TEXT, "description": "id of the kart track it is of"},
        "state": {
            "enum": ["idle", "unknown", "connecting", "live", "silent", "reconnecting", "refused", "ended"],
            "description": "`idle`: no session is on. `unknown`: one is, and nothing is known of its feed",
        },
        "sessionKey": _TEXT,
        "source": _TEXT,
        "message": {**_TEXT, "description": "what the matter is, in plain words"},
        "lastMessageAt": {**_TIME, "description": "the feed's instant of the last message"},
        "silentS": {"type": "integer", "minimum": 0, "description": "seconds since the last message"},
        "stale": {"type": "boolean", "description": f"whether that is more than {STALE_S}"},
        "reconnects": {"type": "integer"},
        "gatedTopics": {"type": "array", "items": _TEXT},
        "next": {**_WHEN, "description": "the session that is next"},
    },
    "required": ["feedId", "state"],
}
STATUS = {
    "type": "object",
    "properties": {
        "at": {**_TIME, "description": "when this was found out"},
        "sessions": {"type": "array", "items": _SESSION, "description": "live now"},
        "feeds": {"type": "array", "items": _FEED},
        "versions": {
            "type": "object",
            "properties": {"pitwall": _TEXT, "revision": _TEXT, "schema": {"type": "integer"}},
            "required": ["pitwall", "schema"],
        },
    },
    "required": ["at", "sessions", "feeds", "versions"],
}


@routes.get("/status")
@described(
    "Sessions that are live, how the feeds are, and versions",
    query={"format": Parameter(parameters.one_of("json", "html"), "else as `Accept` says, JSON if it does not care")},
    answers=STATUS,
    content_types=(JSON, HTML),
)
def status() -> Response:
    """A page for a browser, JSON for a program. Kart tracks are shown whose timing is on.

    Reads a document a feed, one for all kart tracks, and two a live session.
    """
    form = given().get("format")
    if form is None:
        form = "html" if request.accept_mimetypes.best_match((JSON, HTML)) == HTML else "json"
    return _shown(form=form)


@caching.kept
def _shown(form: str) -> Answer:
    clock: live.Clock = current_app.config[live.CLOCK]
    now = clock()
    found, documents = _status(reads.current(), now)
    return caching.answer(
        (lambda: found) if form == "json" else (lambda: _page(found)),
        documents,
        max_age=caching.CURRENT_S,
        parameters={"at": now.isoformat(timespec="seconds")},
        headers={"Vary": "Accept", **(_PAGE if form == "html" else {})},
        content_type=JSON if form == "json" else f"{HTML}; charset=utf-8",
    )


def _status(reads: Reads, now: datetime) -> tuple[dict[str, Any], list[Stored]]:
    """What is shown, and the documents it was made of."""
    schedules = reads.query(paths.SCHEDULES, limit=MOST)
    written = reads.query(
        paths.SESSIONS, where=[("writtenAt", ">=", now - LIVE)], order_by="writtenAt", descending=True, limit=MOST
    )
    running = [session for session in written if not sessions.is_over(session)]
    [started] = reads.get(paths.started())
    tracks = {feed: id_ for id_, feed in (started.fields["circuits"] if started else {}).items()}
    on = {schedule.id: schedule.fields.get("live", {}).get("sessionKey") for schedule in schedules}
    on |= dict.fromkeys(tracks)
    on |= {session.fields["feedId"]: session.id for session in reversed(running) if "feedId" in session.fields}
    known = [(feed, key) for feed, key in sorted(on.items()) if key]
    told = reads.get(*(paths.live(key, "feed") for _, key in known)) if known else []
    state = {feed: stored for (feed, _), stored in zip(known, told, strict=True)}
    coming = {schedule.id: schedule.fields.get("next") for schedule in schedules}
    shown = {
        "at": now,
        "sessions": [_session(session) for session in running],
        "feeds": [
            _feed(feed, key, state.get(feed), coming.get(feed), now)
            | ({"circuit": tracks[feed]} if feed in tracks else {})
            for feed, key in sorted(on.items())
        ],
        "versions": {
            "pitwall": VERSION,
            **({"revision": current_app.config[REVISION]} if current_app.config[REVISION] else {}),
            "schema": SCHEMA_VERSION,
        },
    }
    return shown, [*schedules, *running, *(stored for stored in (started, *told) if stored)]


def _session(session: Stored) -> dict[str, Any]:
    named = ("feedId", "series", "type", "name", "status", "writtenAt")
    meeting = session.fields.get("meeting", {}).get("name")
    return {
        "sessionKey": session.id,
        **{name: session.fields[name] for name in named if name in session.fields},
        **({"meeting": meeting} if meeting else {}),
    }


def _feed(
    feed: str, key: str | None, stored: Stored | None, coming: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """A feed. key: of the session it is on, if any."""
    shown: dict[str, Any] = {"feedId": feed, "state": "unknown" if key else "idle"}
    if key:
        shown["sessionKey"] = key
    if stored is not None:
        shown |= state_of(stored, now)
    if coming:
        shown["next"] = {name: coming[name] for name in ("meeting", "name", "startDate")}
    return shown


def state_of(feed: Stored, now: datetime) -> dict[str, Any]:
    """What is shown of `sessions/{k}/live/feed`."""
    named = ("source", "state", "message", "lastMessageAt", "reconnects", "gatedTopics")
    shown = {name: feed.fields[name] for name in named if name in feed.fields}
    silent_s = _silent_s(feed.fields, now)
    if silent_s is not None:
        shown |= {"silentS": silent_s, "stale": silent_s > STALE_S and shown.get("state") != "ended"}
    return shown


def _silent_s(feed: dict[str, Any], now: datetime) -> int | None:
    """Seconds since the last message; None before the first.

    The feed's own clock up to when this was stored, ours from then on: a recording is played in its own time.
    """
    if "lastMessageAt" not in feed or "at" not in feed:
        return None
    passed = max(feed["at"] - feed["lastMessageAt"], timedelta()) + max(
        now - feed.get("writtenAt", feed["at"]), timedelta()
    )
    return int(passed.total_seconds())


def _page(shown: dict[str, Any]) -> bytes:
    return render_template("status.html", **shown, style=STYLE, refresh_s=4 * caching.CURRENT_S).encode()
