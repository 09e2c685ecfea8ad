"""The server that plays a folder of frozen answers, on a folder of a few lines."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from local.web import FrozenWeb

LAPS = [
    {"number": "1", "Timings": [{"driverId": name} for name in "abc"]},
    {"number": "2", "Timings": [{"driverId": name} for name in "abc"]},
]


def answer(total: int, table: str, listed: str, items: list[Any]) -> bytes:
    return orjson.dumps({"MRData": {"limit": "30", "offset": "0", "total": str(total), table: {listed: items}}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {
        "static/2030/Index.json": b'{"Year":2030,"Meetings":[]}',
        "jolpica/2030/1/laps.json": answer(6, "RaceTable", "Races", [{"round": "1", "Laps": LAPS}]),
        "jolpica/seasons.json_limit_3": answer(
            9, "SeasonTable", "Seasons", [{"season": str(year)} for year in (1950, 1951, 1952)]
        ),
        "f1schedule/schedule_2030.json": b"{}",
        "multiviewer/circuits/39/2030.json": b'{"x":[]}',
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path


@pytest.fixture
def web(folder: Path) -> Iterator[FrozenWeb]:
    with FrozenWeb(folder) as running:
        yield running


@pytest.fixture
def client(web: FrozenWeb) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=web.url, headers={"Accept-Encoding": "identity"}) as made:
        yield made


@pytest.mark.parametrize(
    "path",
    [
        "static/2030/Index.json",
        "f1schedule/schedule_2030.json",
        "multiviewer/circuits/39/2030",
        "jolpica/seasons.json?limit=3",
    ],
)
def test_every_folder_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["multiviewer/circuits/1/2030", "f1schedule/schedule_1999.json", "jolpica/2031.json", "jolpica/../secret"]
)
def test_what_is_not_frozen_is_not_there(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_page_counts_rows_across_laps(client: httpx.Client) -> None:
    page = client.get("jolpica/2030/1/laps.json?limit=2&offset=2").json()["MRData"]
    assert (page["limit"], page["offset"], page["total"]) == ("2", "2", "6")
    assert [
        (lap["number"], [one["driverId"] for one in lap["Timings"]]) for lap in page["RaceTable"]["Races"][0]["Laps"]
    ] == [
        ("1", ["c"]),
        ("2", ["a"]),
    ]


def test_no_page_is_larger_than_the_largest(web: FrozenWeb, client: httpx.Client) -> None:
    web.largest_page = 4
    page = client.get("jolpica/2030/1/laps.json?limit=1000").json()["MRData"]
    assert page["limit"] == "4"
    assert sum(len(lap["Timings"]) for lap in page["RaceTable"]["Races"][0]["Laps"]) == 4


def test_a_page_that_is_frozen_in_part_is_not_there(client: httpx.Client) -> None:
    assert client.get("jolpica/seasons.json?limit=3").status_code == 200
    assert client.get("jolpica/seasons.json?limit=3&offset=3").status_code == 404
    assert client.get("jolpica/seasons.json").status_code == 404


def test_refuses_what_it_is_told_to_and_then_no_more(web: FrozenWeb, client: httpx.Client) -> None:
    web.refuse(429, fits="jolpica/*", retry_after="7")
    web.refuse(502, fits="multiviewer/*")
    refused = client.get("jolpica/seasons.json?limit=3")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert client.get("multiviewer/circuits/39/2030").status_code == 502
    assert client.get("jolpica/seasons.json?limit=3").status_code == 200
    assert [asked.status for asked in web.asked_for("jolpica/seasons.json*")] == [429, 200]


def test_html_and_half_an_answer_come_as_if_all_were_well(web: FrozenWeb, client: httpx.Client) -> None:
    whole = client.get("jolpica/seasons.json?limit=3").content
    web.garble("html", fits="jolpica/*")
    page = client.get("jolpica/seasons.json?limit=3")
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    web.garble("truncated", fits="jolpica/*")
    half = client.get("jolpica/seasons.json?limit=3")
    assert (half.status_code, half.content) == (200, whole[: len(whole) // 2])
    assert client.get("jolpica/seasons.json?limit=3").content == whole


def test_a_slow_answer_is_whole_in_the_end(web: FrozenWeb, client: httpx.Client) -> None:
    web.delay(0.3, fits="f1schedule/*")
    with pytest.raises(httpx.ReadTimeout):
        client.get("f1schedule/schedule_2030.json", timeout=0.05)
    web.delay(0.1, fits="f1schedule/*")
    assert client.get("f1schedule/schedule_2030.json").content == b"{}"


def test_an_answer_is_had_by_its_tag(client: httpx.Client) -> None:
    first = client.get("jolpica/seasons.json?limit=3")
    again = client.get("jolpica/seasons.json?limit=3", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_command_prints_settings_and_serves_until_interrupted(folder: Path) -> None:
    served = subprocess.Popen([sys.executable, "-m", "local.web", folder], stdout=subprocess.PIPE, text=True)
    try:
        assert served.stdout is not None
        lines = [served.stdout.readline() for _ in range(4)]
        settings = dict(line.strip().split("=", 1) for line in lines)
        assert list(settings) == [
            "PITWALL_F1_URL",
            "PITWALL_JOLPICA_URL",
            "PITWALL_F1SCHEDULE_URL",
            "PITWALL_MULTIVIEWER_URL",
        ]
        assert httpx.get(f"{settings['PITWALL_JOLPICA_URL']}/2030/1/laps.json").status_code == 200
        served.send_signal(signal.SIGINT)
        assert served.wait(30) == 0
    finally:
        served.kill()
        served.wait(30)


def test_the_command_wants_a_folder(tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "local.web", tmp_path / "no"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert re.search(r"is no folder$", done.stderr.strip())
