"""`/sessions/{id}` and which session is the current one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from pitwall.documents.session import SessionDocument
from tests.api.conftest import NOW, Stored, before, problem_name
from tests.documents.examples import SESSION


def session(status: str | None, at: datetime, series: str = "f1", feed: str | None = None) -> SessionDocument:
    changes: dict[str, Any] = {"at": at, "series": series, "feed_id": feed or series}
    changes["status"] = msgspec.UNSET if status is None else status
    return msgspec.structs.replace(SESSION, **changes)


def current(api: httpx.Client, **query: str) -> str:
    response = api.get("/api/sessions/current", params=query)
    assert response.status_code == 200, response.text
    key: str = response.json()["sessionKey"]
    return key


def test_a_session_is_its_document_with_instants_in_milliseconds(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    body = api.get("/api/sessions/9845").json()
    assert body["meeting"]["country"] == {"code": "EXA", "name": "Example"}
    assert body["clock"] == {"at": "2025-11-08T14:03:07.412Z", "remainingMs": 3_600_000, "running": True}
    assert body["at"] == "2025-11-08T14:03:07.412Z"
    assert body["writtenAt"] == "2025-11-08T14:03:08.000Z"
    assert body["v"] == store.v
    assert body["sessionKey"] == "9845"


def test_a_session_that_is_not_there_is_not_found(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    assert problem_name(api.get("/api/sessions/9846")) == "not-found"


def test_current_in_an_empty_database_is_no_session(api: httpx.Client):
    response = api.get("/api/sessions/current")
    assert response.status_code == 404
    assert problem_name(response) == "no-session"


def test_current_of_a_series_without_sessions_is_no_session(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    assert problem_name(api.get("/api/sessions/current?series=kart")) == "no-session"


@pytest.mark.parametrize("status", ["Inactive", "Started", "Aborted", None])
def test_current_is_the_session_that_runs_beside_one_that_is_over(store: Stored, api: httpx.Client, status: str | None):
    store({"sessions/9845": session(status, before(30)), "sessions/kart-1": session("Finished", NOW, "kart")})
    assert current(api) == "9845"


@pytest.mark.parametrize("status", ["Finished", "Finalised", "Ends"])
def test_current_is_the_most_recent_session_when_all_are_over(store: Stored, api: httpx.Client, status: str):
    store({"sessions/9844": session("Ends", before(4_000)), "sessions/9845": session(status, before(60))})
    assert current(api) == "9845"


def test_a_session_that_was_never_finished_does_not_win_over_a_newer_one(store: Stored, api: httpx.Client):
    store({"sessions/kart-1": session("Started", before(7_200), "kart"), "sessions/9845": session("Finished", NOW)})
    assert current(api) == "9845"


def test_an_unfinished_session_does_not_win_over_the_next_one_of_its_feed(store: Stored, api: httpx.Client):
    store({"sessions/9844": session("Started", before(300)), "sessions/9845": session("Finished", NOW)})
    assert current(api) == "9845"


def test_of_two_running_sessions_current_is_the_one_that_changed_last(store: Stored, api: httpx.Client):
    store({"sessions/9845": session("Started", before(20)), "sessions/kart-1": session("Started", NOW, "kart")})
    assert current(api) == "kart-1"


def test_current_of_a_series_looks_at_no_other(store: Stored, api: httpx.Client):
    store({"sessions/9845": session("Finished", before(9_000)), "sessions/kart-1": session("Started", NOW, "kart")})
    assert current(api, series="f1") == "9845"


def test_a_session_confirmed_by_the_archive_runs_no_more_whatever_its_status(store: Stored, api: httpx.Client):
    final = msgspec.structs.replace(session("Aborted", before(5)), final=True)
    store({"sessions/9845": final, "sessions/kart-1": session("Started", before(9), "kart")})
    assert current(api) == "kart-1"


def test_current_says_where_the_session_is(store: Stored, api: httpx.Client):
    store({"sessions/9845": SESSION})
    assert api.get("/api/sessions/current").headers["content-location"] == "/api/sessions/9845"
    assert api.get("/api/v1/sessions/current").headers["content-location"] == "/api/v1/sessions/9845"


def test_a_query_that_finds_nothing_is_billed_as_a_read(api: httpx.Client, capsys: pytest.CaptureFixture[str]):
    api.get("/api/sessions/current")
    assert '"firestoreReads":1' in capsys.readouterr().out


def test_a_running_session_costs_current_one_read(store: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str]):
    store({f"sessions/{key}": session("Ends", NOW - timedelta(days=key)) for key in range(1, 8)})
    store({"sessions/9845": session("Started", NOW)})
    current(api)
    assert '"firestoreReads":1' in capsys.readouterr().out
