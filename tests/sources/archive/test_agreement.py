"""Live and archive of the same session agree document by document: a recording played both ways.

Live is the recording as it was taken; the archive is the same recording as F1 would keep it, a file a topic with
offsets, fetched over HTTP.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.archive import ArchiveServer, read_stream
from local.simulator import quick_race, write_recording
from pitwall.sources.archive import Archive
from pitwall.sources.recording import open_recording
from tests.sources.archive.agreement import NOT_COMPARED, Documents, disagreements, final_documents

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated race with every incident, car data and positions: as a live listener wrote it down."""
    path = tmp_path_factory.mktemp("race") / "live.txt"
    write_recording(quick_race(3, laps=4), path, "live")
    return path


@pytest.fixture(scope="module")
def live(race: Path) -> Documents:
    return final_documents(open_recording(race))


@pytest.fixture(scope="module")
def rendered(race: Path) -> Iterator[tuple[ArchiveServer, str]]:
    with ArchiveServer() as server:
        yield server, server.add(race)


def from_archive(recording: Path) -> Documents:
    with ArchiveServer() as server:
        path = server.add(recording)
        with Archive(server.static_url, requests_per_s=1e9) as archive:
            return final_documents(archive.open(path))


def kinds(documents: Documents) -> set[str]:
    return {
        "/".join(path.split("/")[2:4]) if "/live/" in path else path.split("/")[2]
        for path in documents
        if "/" in path[9:]
    }


def test_simulated_race_agrees(live: Documents, rendered: tuple[ArchiveServer, str]) -> None:
    server, path = rendered
    with Archive(server.static_url, requests_per_s=1e9) as archive:
        archived = final_documents(archive.open(path))
    assert disagreements(live, archived) == []
    assert {"laps", "drivers", "raceControl", "weather", "live/timing", "live/telemetry", "live/positions"} <= kinds(
        live
    )


@pytest.mark.parametrize(
    ("name", "laps"),
    [
        pytest.param("2025-qatar-sprint.txt.gz", 19, marks=pytest.mark.long),
        pytest.param("2025-sao-paulo-sprint.txt.gz", 24, marks=pytest.mark.long),
        pytest.param("2025-imola-qualifying.txt.gz", 21, marks=pytest.mark.long),
    ],
)
def test_real_session_agrees(recordings: Path, name: str, laps: int) -> None:
    live = final_documents(open_recording(recordings / name))
    assert disagreements(live, from_archive(recordings / name)) == []
    assert sum("/laps/" in path for path in live) == laps


# -- the comparison itself: it must see whatever differs --------------------------------------


@pytest.mark.parametrize("kind", ["laps/3", "drivers/", "raceControl/", "live/timing", "live/tyres", "live/entries"])
def test_other_value_in_a_document_is_seen(live: Documents, kind: str) -> None:
    path = next(path for path in sorted(live) if kind in path)
    other = copy.deepcopy(dict(live))
    where = _change_a_number_or_text(other[path])
    assert [line for line in disagreements(live, other) if line.startswith(f"{path}: ") and where in line]


def test_every_field_of_every_document_is_compared(live: Documents) -> None:
    """Each field in turn is left out of each document."""
    for path, fields in live.items():
        if any(part in path for part in ("live/feed", "towers/")):
            continue
        for name in fields:
            other = {path: {key: value for key, value in fields.items() if key != name}}
            assert disagreements({path: fields}, other) == [f"{path}: {name}: {fields[name]} live, None in the archive"]


def test_document_of_one_side_only_is_seen(live: Documents) -> None:
    path = next(path for path in live if "/laps/" in path)
    without = {other: fields for other, fields in live.items() if other != path}
    assert disagreements(live, without) == [f"{path}: only live"]
    assert disagreements(without, live) == [f"{path}: only in the archive"]


def test_instant_more_than_three_seconds_away_is_seen(live: Documents) -> None:
    path = next(path for path in live if "/raceControl/" in path)
    near = {**live, path: {**live[path], "at": live[path]["at"] + timedelta(seconds=3)}}
    far = {**live, path: {**live[path], "at": live[path]["at"] + timedelta(seconds=3.1)}}
    assert disagreements(live, near) == []
    assert len(disagreements(live, far)) == 1


def test_only_the_feed_and_copies_of_the_tower_are_not_compared() -> None:
    assert set(NOT_COMPARED) == {"feed", "tower"}


def test_lap_time_that_the_archive_has_otherwise_is_seen(live: Documents, rendered: tuple[ArchiveServer, str]) -> None:
    """The same from the other end: one figure in a file on the server."""
    server, path = rendered
    name = f"{path}TimingData.jsonStream"
    with Archive(server.static_url, requests_per_s=1e9) as archive:
        source = archive.open(path, telemetry=False)
        content = (source.folder / "TimingData.jsonStream").read_bytes()
        told = next(
            line["LastLapTime"]["Value"]
            for _, data in read_stream(content)
            for line in data.get("Lines", {}).values()
            if line.get("NumberOfLaps") == 3 and line.get("LastLapTime", {}).get("Value")
        )
        server.write(name, content.replace(f'"{told}"'.encode(), f'"{told[:-1]}{(int(told[-1]) + 1) % 10}"'.encode()))
        try:
            archived = final_documents(archive.open(path))
        finally:
            server.write(name, content)
    assert [line for line in disagreements(live, archived) if "/laps/3: " in line and "lapTimeMs" in line]


def _change_a_number_or_text(value: Any) -> str:
    """Changes the first number, text or flag inside; the name of its field."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if name in ("at", "session"):
            continue
        if isinstance(inner, bool):
            value[name] = not inner
        elif isinstance(inner, int | float):
            value[name] = inner + 1
        elif isinstance(inner, str):
            value[name] = f"{inner}x"
        elif isinstance(inner, dict | list) and inner:
            return _change_a_number_or_text(inner)
        else:
            continue
        return str(name)
    raise AssertionError("nothing to change")
