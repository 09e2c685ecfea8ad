"""`/sessions/{id}`, which session is the current one, and the list of all."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from pitwall.api.pages import cursor
from pitwall.documents.session import SessionDocument
from tests.api.conftest import NOW, Stored, before, got, pages, problem, problem_name
from tests.documents.examples import SESSION


def session(status: str | None, at: datetime, series: str = "f1", feed: str | None = None) -> SessionDocument:
    changes: dict[str, Any] = {"at": at, "series": series, "feed_id": feed or series}
    changes["status"] = msgspec.UNSET if status is None else status
    return msgspec.structs.replace(SESSION, **changes)


def current(api: httpx.Client, **query: str) -> str:
    key: str = got(api, "/api/sessions/current", **query)["sessionKey"]
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


def keys(body: dict[str, Any]) -> list[str]:
    return [item["sessionKey"] for item in body["items"]]


def walk(api: httpx.Client, **query: str | int) -> list[str]:
    """The keys of every page of the list, joined."""
    return [key for page in pages(api, "/api/sessions", **query) for key in keys(page)]


@pytest.fixture
def seasons(store: Stored) -> Stored:
    """Six sessions an hour apart, the newest first; two changed at the same instant."""
    told: list[tuple[str, dict[str, Any]]] = [
        ("kart-1", {"series": "kart", "type": "Race", "status": "Started", "year": 2025}),
        ("9850", {"type": "Race", "status": "Ends", "year": 2025}),
        ("9849", {"type": "Qualifying", "status": "Ends", "year": 2025}),
        ("9848", {"type": "Race", "status": "Finalised", "year": 2025}),
        ("9700", {"type": "Race", "status": "Ends", "year": 2024}),
        ("9699", {"type": msgspec.UNSET, "status": "Ends", "year": msgspec.UNSET}),
    ]
    at = [before(0), before(3_600), before(7_200), before(7_200), before(9_000), before(9_999)]
    store(
        {
            f"sessions/{key}": msgspec.structs.replace(SESSION, at=instant, **fields)
            for (key, fields), instant in zip(told, at, strict=True)
        }
    )
    return store


def test_sessions_come_newest_first(seasons: Stored, api: httpx.Client):
    assert keys(got(api, "/api/sessions")) == ["kart-1", "9850", "9849", "9848", "9700", "9699"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"year": 2025}, ["kart-1", "9850", "9849", "9848"]),
        ({"series": "f1"}, ["9850", "9849", "9848", "9700", "9699"]),
        ({"type": "Race"}, ["kart-1", "9850", "9848", "9700"]),
        ({"status": "Ends"}, ["9850", "9849", "9700", "9699"]),
        ({"year": 2025, "series": "f1", "type": "Race", "status": "Ends"}, ["9850"]),
        ({"year": 2026}, []),
        ({"series": "nascar"}, []),
    ],
    ids=str,
)
@pytest.mark.parametrize("limit", [1, 50])
def test_sessions_are_filtered(seasons: Stored, api: httpx.Client, query: dict[str, Any], found: list[str], limit: int):
    assert walk(api, **query, limit=limit) == found


def test_an_empty_database_has_an_empty_list(api: httpx.Client):
    assert got(api, "/api/sessions") == {"items": []}


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7])
def test_pages_of_sessions_join_to_the_whole_list(seasons: Stored, api: httpx.Client, limit: int):
    assert walk(api, limit=limit) == ["kart-1", "9850", "9849", "9848", "9700", "9699"]


def test_a_page_goes_on_where_it_ended_while_sessions_are_added_and_a_running_one_changes(
    seasons: Stored, api: httpx.Client
):
    cursor = got(api, "/api/sessions", limit=3)["nextCursor"]
    later = NOW + timedelta(minutes=5)
    seasons({"sessions/9851": session("Started", later), "sessions/kart-1": session("Started", later, "kart")})
    assert keys(got(api, "/api/sessions", cursor=cursor)) == ["9848", "9700", "9699"]
    seasons({"sessions/9849": session("Ends", later)})
    assert keys(got(api, "/api/sessions", cursor=cursor)) == ["9848", "9700", "9699"]


def test_a_page_goes_on_behind_a_session_that_is_gone(seasons: Stored, api: httpx.Client):
    cursor = got(api, "/api/sessions", limit=3)["nextCursor"]
    seasons.client.document("sessions/9849").delete()
    assert keys(got(api, "/api/sessions", cursor=cursor)) == ["9848", "9700", "9699"]


def test_sessions_by_the_hundred_that_changed_at_one_instant_are_all_found(store: Stored, api: httpx.Client):
    store({f"sessions/{key}": SESSION for key in range(1000, 1120)})
    assert sorted(walk(api, limit=50)) == [str(key) for key in range(1000, 1120)]


@pytest.mark.parametrize("change", [{"year": 2025}, {"series": "f1"}, {"status": "Ends"}], ids=str)
def test_a_cursor_of_another_list_of_sessions_is_refused(seasons: Stored, api: httpx.Client, change: dict[str, Any]):
    cursor = got(api, "/api/sessions", limit=1)["nextCursor"]
    response = api.get("/api/sessions", params={"cursor": cursor, **change})
    assert problem(response)["parameter"] == "cursor"


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("year=25", "year"),
        ("year=2025.0", "year"),
        ("year=%D9%A1", "year"),
        ("series=", "series"),
        ("series=../f1", "series"),
        ("type=%00", "type"),
        ("type=" + "R" * 40, "type"),
        ("status=Ends%0A", "status"),
        ("limit=1000", "limit"),
        ("cursor=null", "cursor"),
        ("driver=44", "driver"),
    ],
)
def test_what_sessions_cannot_be_found_by_is_refused_by_name(api: httpx.Client, query: str, parameter: str):
    response = api.get(f"/api/sessions?{query}")
    assert response.status_code == 400
    assert problem(response)["parameter"] == parameter


@pytest.mark.parametrize("after", [(NOW, ""), (NOW, "a/b"), (NOW, ".."), (NOW, "x" * 200), (5, "9845"), NOW])
def test_a_cursor_that_was_made_up_leads_nowhere(seasons: Stored, api: httpx.Client, after: Any):
    response = api.get("/api/sessions", params={"cursor": cursor(after, ("sessions",))})
    assert response.status_code == 400
    assert problem(response)["parameter"] == "cursor"


@pytest.mark.parametrize(("query", "reads"), [("limit=2", 3), ("limit=6", 6), ("year=2024", 1), ("year=1999", 1)])
def test_a_page_of_sessions_reads_them_and_one_more(
    seasons: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str], query: str, reads: int
):
    api.get(f"/api/sessions?{query}")
    assert f'"firestoreReads":{reads}' in capsys.readouterr().out


def test_the_list_of_sessions_is_kept_as_long_as_the_current_one(seasons: Stored, api: httpx.Client):
    assert (
        api.get("/api/v1/sessions").headers["cache-control"]
        == api.get("/api/sessions/current").headers["cache-control"]
    )
