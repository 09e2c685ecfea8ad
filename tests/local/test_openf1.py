"""The server that stands in for OpenF1: what it has when, how it is asked, and what it can be told to do wrong."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from local.openf1 import OpenF1Server, Rows, iso, rows_of
from local.simulator import quick_race, write_recording
from pitwall.sources.recording import open_recording


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    path = tmp_path_factory.mktemp("openf1") / "race.txt.gz"
    write_recording(quick_race(2, laps=3, telemetry=False), path, "merged")
    return rows_of(open_recording(path))


@pytest.fixture
def server(rows: Rows) -> Iterator[OpenF1Server]:
    with OpenF1Server(rows) as running:
        yield running


def ask(server: OpenF1Server, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{server.url}/v1/{path}", headers=headers)


def test_a_lap_row_appears_when_the_lap_begins_and_is_filled_in_as_it_is_driven(
    server: OpenF1Server, rows: Rows
) -> None:
    last = ask(server, "laps?driver_number=7&lap_number=2").json()[0]
    begins = next(forms[0][0] for key, forms in rows.forms["laps"].items() if key == ("7", 2))
    server.at(begins - 1)
    assert ask(server, "laps?driver_number=7&lap_number=2").status_code == 404
    server.at(begins)
    first = ask(server, "laps?driver_number=7&lap_number=2").json()[0]
    assert first["date_start"] == last["date_start"]
    assert (first["duration_sector_3"], first["lap_duration"]) == (None, None)
    assert last["lap_duration"] == pytest.approx(sum(last[f"duration_sector_{n}"] for n in (1, 2, 3)))


def test_filters_compare_instants_numbers_and_words(server: OpenF1Server) -> None:
    laps = ask(server, "laps").json()
    since = sorted(lap["date_start"] for lap in laps)[len(laps) // 2]
    later = ask(server, f"laps?date_start>={since.replace('+00:00', '')}").json()
    assert later == [lap for lap in laps if lap["date_start"] >= since]
    assert ask(server, f"laps?date_start>{since.replace('+00:00', '')}").json() == [
        lap for lap in laps if lap["date_start"] > since
    ]
    assert {lap["lap_number"] for lap in ask(server, "laps?lap_number>=2&lap_number<3").json()} == {2}
    assert {row["flag"] for row in ask(server, "race_control?flag=CHEQUERED").json()} == {"CHEQUERED"}


def test_the_latest_session_is_the_last_that_has_begun(rows: Rows) -> None:
    info = {(): [(0, {"session_key": 9999, "session_type": "Race"})]}
    following = Rows("9999", rows.ends + 1_000, rows.ends + 2_000, {"sessions": info})
    with OpenF1Server(rows, following) as server:
        server.at(rows.ends)
        assert ask(server, "sessions?session_key=latest").json()[0]["session_key"] == 9907
        server.at(rows.ends + 1_000)
        assert ask(server, "sessions?session_key=latest").json()[0]["session_key"] == 9999


def test_nothing_found_is_404(server: OpenF1Server) -> None:
    answer = ask(server, "laps?driver_number=98")
    assert (answer.status_code, answer.json()) == (404, {"detail": "No results found."})


def test_while_locked_only_a_token_opens(rows: Rows) -> None:
    with OpenF1Server(rows, account=("me", "secret"), locked=True) as server:
        assert ask(server, "sessions").status_code == 401
        form = {"username": "me", "password": "secret"}
        told = httpx.post(f"{server.url}/token", data=form).json()
        assert ask(server, "sessions", Authorization=f"Bearer {told['access_token']}").status_code == 200
        assert ask(server, "sessions", Authorization="Bearer another").status_code == 401
        assert httpx.post(f"{server.url}/token", data={**form, "password": "x"}).status_code == 401


def test_beyond_its_limit_it_answers_429(rows: Rows) -> None:
    with OpenF1Server(rows, limits=((3, 1.0),), monotonic=lambda: 0.0) as server:
        assert [ask(server, "sessions").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_it_fails_as_often_as_it_is_told_and_where(server: OpenF1Server) -> None:
    server.fail(503, times=2, retry_after=4, tables=["laps"])
    assert ask(server, "sessions").status_code == 200
    answer = ask(server, "laps")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "4")
    assert [ask(server, "laps").status_code for _ in range(2)] == [503, 200]


def test_every_request_is_noted(server: OpenF1Server) -> None:
    ask(server, "laps?lap_number>=2")
    (asked,) = server.asked
    assert (asked.path, asked.status, asked.with_token) == ("/v1/laps?lap_number>=2", 200, False)


def test_instants_are_written_as_openf1_does() -> None:
    assert iso(1_764_425_014_554) == "2025-11-29T14:03:34.554000+00:00"
    assert iso(1_764_425_014_000) == "2025-11-29T14:03:34+00:00"
