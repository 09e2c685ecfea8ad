"""`/sessions/{id}/live`: long names, and the tower as it was."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import pytest

from pitwall.documents.base import Document
from pitwall.documents.encoding import millis
from pitwall.documents.live import TowerDocument, TowerLine
from pitwall.documents.paths import tower_slot
from tests.api.conftest import Stored, before, got, problem, problem_name
from tests.documents.examples import AT, TOWER_LINE

TIMING = "sessions/9845/live/timing"
FEED_NOW = datetime.fromisoformat("2025-11-08T11:00:03.000+00:00")
"""The feed's clock when ours is at NOW: a recording is played."""


def tower(at: datetime, laps: int = 1) -> TowerDocument:
    """A tower that is told from others by the laps its one car has completed."""
    return TowerDocument(at=at, lines={"44": TowerLine(p=1, n=laps)})


def ago(seconds: float) -> datetime:
    return FEED_NOW - timedelta(seconds=seconds)


def slots(*towers: TowerDocument) -> dict[str, Document]:
    return {tower_slot("9845", millis(kept.at)): kept for kept in towers}


def shown_at(api: httpx.Client, delay: int | None = None) -> str:
    at: str = got(api, "/api/sessions/9845/live", **({} if delay is None else {"delay": delay}))["at"]
    return at


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_the_tower_has_long_names_and_values(store: Stored, api: httpx.Client):
    store({TIMING: TowerDocument(at=AT, lines={"44": TOWER_LINE, "1": TowerLine(p=1, rt=True)})})
    body = api.get("/api/sessions/9845/live").json()
    assert body["lines"] == {
        "1": {"position": 1, "retired": True},
        "44": {
            "position": 2,
            "gapToLeaderMs": 1_534,
            "intervalMs": 1_534,
            "laps": 8,
            "lastLapMs": 72_345,
            "lastLapBest": "personal",
            "sector1Ms": 20_001,
            "sector2Ms": 30_002,
            "sector3Ms": 22_342,
            "sector1Best": "overall",
            "sector2Best": "personal",
            "inPit": True,
            "inDropZone": True,
        },
    }


def test_the_tower_keeps_its_marks(store: Stored, api: httpx.Client):
    store({TIMING: tower(AT)})
    body = api.get("/api/sessions/9845/live").json()
    assert {key: body[key] for key in body if key != "lines"} == {
        "at": "2025-11-08T14:03:07.412Z",
        "writtenAt": "2025-11-08T14:03:08.000Z",
        "v": store.v,
    }


def test_a_session_without_a_tower_is_not_found(api: httpx.Client):
    response = api.get("/api/sessions/9845/live")
    assert response.status_code == 404
    assert problem_name(response) == "not-found"


@pytest.mark.parametrize("delay", [None, 0])
def test_without_delay_it_is_the_tower_now(store: Stored, api: httpx.Client, delay: int | None):
    store({TIMING: tower(FEED_NOW), **slots(tower(ago(10)))})
    assert shown_at(api, delay) == text(FEED_NOW)


@pytest.mark.parametrize(("delay", "seen"), [(5, 8), (10, 13), (15, 18), (20, 23)])
def test_with_delay_it_is_the_newest_tower_that_is_old_enough(store: Stored, api: httpx.Client, delay: int, seen: int):
    store({TIMING: tower(FEED_NOW), **slots(*(tower(ago(3 + 5 * i)) for i in range(25)))})
    assert shown_at(api, delay) == text(ago(seen))


def test_the_feeds_clock_goes_on_while_the_tower_does_not_change(store: Stored, api: httpx.Client):
    store({TIMING: tower(ago(7)), **slots(tower(ago(12)))}, written_at=before(7))
    assert shown_at(api, 5) == text(ago(7))
    assert shown_at(api, 10) == text(ago(12))


def test_a_tower_that_has_not_changed_for_longer_than_the_delay_is_still_the_tower(store: Stored, api: httpx.Client):
    store({TIMING: tower(FEED_NOW), **slots(tower(ago(5)))}, written_at=before(3_600))
    assert shown_at(api, 120) == text(FEED_NOW)


def test_a_clock_that_is_behind_the_writers_does_not_turn_the_feed_back(store: Stored, api: httpx.Client):
    store({TIMING: tower(FEED_NOW), **slots(tower(ago(5)), tower(ago(60)))}, written_at=before(-30))
    assert shown_at(api, 5) == text(ago(5))


def test_before_a_session_is_as_old_as_the_delay_the_oldest_tower_is_shown(store: Stored, api: httpx.Client):
    store({TIMING: tower(FEED_NOW), **slots(tower(ago(20)), tower(ago(10)))})
    assert shown_at(api, 60) == text(ago(20))


def test_without_kept_towers_it_is_the_tower_now(store: Stored, api: httpx.Client):
    store({TIMING: tower(FEED_NOW)})
    assert shown_at(api, 60) == text(FEED_NOW)


def test_towers_left_over_from_an_earlier_run_of_the_session_do_not_count(store: Stored, api: httpx.Client):
    store({TIMING: tower(FEED_NOW), **slots(tower(FEED_NOW + timedelta(minutes=30)))})
    assert shown_at(api, 60) == text(FEED_NOW)


@pytest.mark.parametrize("delay", ["-5", "3", "125", "5.0", "", "x", "5 ", "1e1", "05", "999999999999"])
def test_a_delay_that_is_not_offered_is_refused_by_name(store: Stored, api: httpx.Client, delay: str):
    store({TIMING: tower(FEED_NOW)})
    response = api.get("/api/sessions/9845/live", params={"delay": delay})
    assert response.status_code == 400
    assert problem(response)["parameter"] == "delay"


def test_the_tower_costs_one_read_and_the_tower_as_it_was_two(
    store: Stored, api: httpx.Client, capsys: pytest.CaptureFixture[str]
):
    store({TIMING: tower(FEED_NOW), **slots(*(tower(ago(3 + 5 * i)) for i in range(25)))})
    shown_at(api)
    assert '"firestoreReads":1' in capsys.readouterr().out
    shown_at(api, 30)
    assert '"firestoreReads":2' in capsys.readouterr().out
