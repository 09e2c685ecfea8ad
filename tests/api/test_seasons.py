"""`/seasons/{year}`: the calendar."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from pitwall.documents.schedule import EventDocument
from tests.api.conftest import NOW, Stored, problem, problem_name
from tests.documents.examples import EXAMPLES

EVENT = EXAMPLES["seasons/2025/events/21"]
assert isinstance(EVENT, EventDocument)


def meeting(name: str, days: int | None) -> EventDocument:
    start: Any = msgspec.UNSET if days is None else NOW + timedelta(days=days)
    return msgspec.structs.replace(EVENT, name=name, start_date=start)


@pytest.fixture
def season(store: Stored) -> Stored:
    store(
        {
            "seasons/2025/events/10": meeting("ten", 70),
            "seasons/2025/events/9": meeting("nine", 60),
            "seasons/2025/events/testing-1": meeting("testing", 0),
            "seasons/2025/events/cancelled-x": meeting("cancelled", 65),
            "seasons/2025/events/30": meeting("some day", None),
            "seasons/2024/events/1": meeting("last year", -300),
        }
    )
    return store


def test_meetings_come_by_date(season: Stored, api: httpx.Client):
    body = api.get("/api/seasons/2025").json()
    assert [item["name"] for item in body["items"]] == ["testing", "nine", "cancelled", "ten", "some day"]
    assert set(body) == {"items"}


def test_a_meeting_is_its_document(season: Stored, api: httpx.Client):
    [item] = api.get("/api/v1/seasons/2024").json()["items"]
    assert item["sessions"][0]["startDate"] == "2025-11-08T14:00:00.000Z"
    assert item["sessions"][1]["cancelled"] is True


def test_a_season_without_a_calendar_is_not_found(season: Stored, api: httpx.Client):
    response = api.get("/api/seasons/2026")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


@pytest.mark.parametrize(
    "year", ["25", "02025", "2025.0", "x", "-2025", "99999", "%D9%A2%D9%A0%D9%A2%D9%A5", "2025%0A"]
)
def test_what_is_no_season_is_a_bad_request(season: Stored, api: httpx.Client, year: str):
    response = api.get(f"/api/seasons/{year}")
    assert response.status_code == 400
    assert problem(response)["parameter"] == "year"


def test_the_calendar_reads_a_document_a_meeting(season: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str]):
    api.get("/api/seasons/2025?fields=name&spoilers=false")
    assert '"firestoreReads":5' in capsys.readouterr().out


def test_the_calendar_is_not_sent_again_until_it_changes(season: Stored, api: httpx.Client):
    tag = api.get("/api/seasons/2025").headers["etag"]
    assert api.get("/api/seasons/2025", headers={"If-None-Match": tag}).status_code == 304
    season({"seasons/2025/events/9": meeting("moved", 61)})
    assert api.get("/api/seasons/2025", headers={"If-None-Match": tag}).status_code == 200
