"""Sessions of F1's archive itself, served from a stored piece of it: found by their words, fetched, played to laps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.archive import ArchiveServer
from pitwall.sources.archive import Archive
from pitwall.sources.recording import open_recording
from tests.sources.archive.agreement import Documents, final_documents

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def archive(static_archive: Path) -> Iterator[Archive]:
    with ArchiveServer([static_archive]) as server, Archive(server.static_url, requests_per_s=1e9) as client:
        yield client


def laps_of(documents: Documents) -> dict[str, int]:
    """How many laps with a time each car has."""
    counted: dict[str, int] = {}
    for path, fields in documents.items():
        if "/laps/" in path:
            for number, lap in fields["drivers"].items():
                counted[number] = counted.get(number, 0) + ("lapTimeMs" in lap)
    return counted


@pytest.mark.long
def test_sprint_of_azerbaijan_2023(archive: Archive) -> None:
    """Seventeen laps, won by Pérez; Tsunoda was out after the first lap's collision."""
    session = archive.find(2023, "Baku", "Sprint")
    documents = final_documents(archive.open(session.path))
    laps = laps_of(documents)
    assert session.key == "9069"
    assert documents["sessions/9069/drivers/11"]["position"] == 1
    assert {number for number, count in laps.items() if count >= 16} == set(laps) - {"22"}
    assert max(int(path.rpartition("/")[2]) for path in documents if "/laps/" in path) == 17


@pytest.mark.parametrize(
    ("words", "key", "best_ms"),
    [pytest.param("Sprint Shootout", "9278", 101_697, marks=pytest.mark.long), ("Qualifying", "9064", 100_203)],
)
def test_qualifying_sessions_of_azerbaijan_2023(archive: Archive, words: str, key: str, best_ms: int) -> None:
    """Leclerc was fastest in both: 1:41.697 and 1:40.203."""
    session = archive.find(2023, "Azerbaijan", words)
    documents = final_documents(archive.open(session.path))
    laps = laps_of(documents)
    leclerc = [
        fields["drivers"]["16"].get("lapTimeMs", 1_000_000)
        for path, fields in documents.items()
        if "/laps/" in path and "16" in fields["drivers"]
    ]
    assert session.key == key
    assert documents[f"sessions/{key}/drivers/16"]["position"] == 1
    assert min(leclerc) == best_ms
    assert len(laps) >= 19


def test_race_of_2018_plays_as_it_does_from_disk(archive: Archive, static_archive: Path) -> None:
    """The whole of Baku 2018, the oldest session there is: its season has no index, the session none either."""
    path = "2018/2018-04-29_Azerbaijan_Grand_Prix/2018-04-29_Race/"
    fetched = archive.open(path)
    assert fetched.session == "5090"
    assert list(fetched.messages()) == list(open_recording(static_archive / path).messages())
