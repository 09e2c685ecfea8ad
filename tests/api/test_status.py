"""`/api/status`: what is live, how the feeds are, which version runs."""

from __future__ import annotations

import re
import tomllib
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import validate
from msgspec.structs import replace

from pitwall import VERSION
from pitwall.api.status import STATUS
from pitwall.documents.live import FeedDocument
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.documents.session import SessionDocument
from tests.api.conftest import NOW, Serve, Stored, before
from tests.documents.examples import EXAMPLES

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}

_EXAMPLE = EXAMPLES["sessions/9845"]
assert isinstance(_EXAMPLE, SessionDocument)
SESSION = replace(_EXAMPLE, feed_id="f1", status="Started", final=False)

NEXT = ScheduledSession(
    year=2025,
    meeting="Las Vegas Grand Prix",
    type="Practice",
    name="Practice 1",
    start_date=before(-86_400),
    end_date=before(-90_000),
)
SCHEDULE = ScheduleDocument(at=NOW, next=NEXT, upcoming=[])


def feed(**fields: Any) -> FeedDocument:
    known = {"at": before(5), "source": "f1", "state": "live", "reconnects": 0, "gated_topics": []}
    return FeedDocument(**{**known, "last_message_at": before(5), **fields})


def status(api: httpx.Client) -> dict[str, Any]:
    response = api.get("/api/status")
    assert response.status_code == 200
    body: dict[str, Any] = response.json()
    validate(body, STATUS)
    return body


def test_an_empty_database_has_nothing_live_and_a_version(api: httpx.Client):
    shown = status(api)
    assert (shown["sessions"], shown["feeds"]) == ([], [])
    assert shown["versions"] == {"pitwall": VERSION, "schema": 1}


def test_a_session_that_is_written_now_is_live_with_the_state_of_its_feed(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION, "sessions/9845/live/feed": feed(reconnects=2), "schedule/f1": SCHEDULE})
    shown = status(api)
    assert [session["sessionKey"] for session in shown["sessions"]] == ["9845"]
    [told] = shown["feeds"]
    assert (told["feedId"], told["state"], told["reconnects"], told["stale"]) == ("f1", "live", 2, False)
    assert told["next"]["meeting"] == "Las Vegas Grand Prix"


@pytest.mark.parametrize("over", [{"status": "Finalised"}, {"final": True}])
def test_a_session_that_is_over_is_not_live_though_it_was_just_corrected(
    store: Stored, api: httpx.Client, over: dict[str, Any]
):
    store({"sessions/9845": replace(SESSION, **over), "schedule/f1": SCHEDULE})
    shown = status(api)
    assert shown["sessions"] == []
    assert [told["state"] for told in shown["feeds"]] == ["idle"]


def test_a_session_nobody_writes_any_more_is_not_live(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION}, written_at=before(11 * 60))
    assert status(api)["sessions"] == []


def test_a_poller_that_is_gone_shows_as_a_stale_feed(store: Stored, api: httpx.Client):
    """The schedule still says that the session is on."""
    live = replace(NEXT, session_key="9845", start_date=before(3600))
    store({"sessions/9845": SESSION, "sessions/9845/live/feed": feed(at=before(900))}, written_at=before(900))
    store({"schedule/f1": replace(SCHEDULE, live=live)})
    [told] = status(api)["feeds"]
    assert (told["state"], told["stale"], told["silentS"] >= 900) == ("live", True, True)


def test_a_recording_is_as_old_as_its_own_clock_says(store: Stored, api: httpx.Client):
    long_ago = before(3 * 365 * 86_400)
    store(
        {"sessions/9845": SESSION, "sessions/9845/live/feed": feed(at=long_ago, last_message_at=long_ago)},
        written_at=before(4),
    )
    [told] = status(api)["feeds"]
    assert (told["silentS"], told["stale"]) == (4, False)


def test_a_feed_that_says_nothing_is_silent_from_its_last_message_on(store: Stored, api: httpx.Client):
    silent = feed(state="silent", at=before(2), last_message_at=before(42), message="nothing has come for 40 s")
    store({"sessions/9845": SESSION, "sessions/9845/live/feed": silent}, written_at=before(2))
    [told] = status(api)["feeds"]
    assert (told["state"], told["silentS"], told["stale"]) == ("silent", 42, True)
    assert told["message"] == "nothing has come for 40 s"


def test_a_browser_is_shown_a_page_and_a_program_json(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION, "sessions/9845/live/feed": feed()})
    kinds = [
        api.get("/api/status", headers={"Accept": accept}).headers["content-type"]
        for accept in (BROWSER["Accept"], "*/*", "application/json")
    ]
    assert kinds == ["text/html; charset=utf-8", "application/json", "application/json"]
    assert api.get("/api/status", headers=BROWSER).headers["vary"] == "Accept, Accept-Encoding"
    assert api.get("/api/status?format=json", headers=BROWSER).json()["sessions"]
    assert "<!doctype html>" in api.get("/api/status?format=html").text


def test_the_page_loads_nothing_and_runs_nothing(store: Stored, api: httpx.Client):
    evil = replace(SESSION, status="<script>alert(1)</script>")
    store({"sessions/9845": evil, "sessions/9845/live/feed": feed(), "schedule/f1": SCHEDULE})
    response = api.get("/api/status", headers=BROWSER)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    [style] = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
    assert f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert not re.search(r"<script|<img|<link|src=|href=|style=|url\(", response.text)
    assert "&lt;script&gt;" in response.text


def test_it_is_kept_as_long_as_the_current_session(store: Stored, serve: Serve):
    api = serve(seconds=lambda: 7.0)
    store({"sessions/9845": SESSION})
    first = api.get("/api/status")
    assert "max-age=3" in first.headers["cache-control"]
    assert api.get("/api/status", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert api.get("/api/status", headers={**BROWSER, "If-None-Match": first.headers["etag"]}).status_code == 200


def test_the_revision_is_what_was_deployed(api: httpx.Client, serve: Serve):
    deployed = serve(revision="4f5b216")
    assert deployed.get("/api/status").json()["versions"]["revision"] == "4f5b216"
    assert "(4f5b216)" in deployed.get("/api/status?format=html").text


def test_there_is_one_version():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION
