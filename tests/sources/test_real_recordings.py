"""The recordings under ../shared, one of each format: all of it is read, and the instants are right."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from pathlib import Path

import orjson
import pytest

from pitwall.sources.instants import utc_ms
from pitwall.sources.recording import open_recording

pytestmark = pytest.mark.whole

WHOLE = {
    "2018-baku-race": ("archive", "5090", 24_237),
    "2023-monaco-practice-2-signalr.txt.gz": ("signalr", "9088", 2_384),
    "2024-mexico-city-practice-3-telemetry.txt.gz": (
        "fastf1",
        "recording-2024-mexico-city-practice-3-telemetry",
        2_116,
    ),
    "2024-silverstone-practice-1": ("type-json", "9551", 11_451),
    "2024-silverstone-practice-1/live.txt.gz": ("type-json", "9551", 11_451),
    "2025-imola-qualifying.txt.gz": ("merged", "9983", 9_885),
    "2025-monza-practice-1.txt.gz": ("merged", "9905", 15_565),
    "2025-qatar-sprint.txt.gz": ("merged", "9845", 23_074),
    "2025-sao-paulo-sprint.txt.gz": ("epoch", "9864", 22_946),
    "2026-baku-practice-2-signalrcore-frames.json": ("frames", "11371", 7),
}


@pytest.mark.parametrize("name", WHOLE)
def test_every_message_is_read(recordings: Path, name: str) -> None:
    source = open_recording(recordings / name)
    count = sum(1 for _ in source.messages())
    assert (source.format, source.session, count) == WHOLE[name]
    assert not source.rejected


@pytest.mark.parametrize("name", WHOLE)
def test_resumed_in_the_middle_it_goes_on_as_before(recordings: Path, name: str) -> None:
    source = open_recording(recordings / name)
    messages = list(source.messages())
    half = len(messages) // 2
    assert list(open_recording(recordings / name).messages(half)) == messages[half:]


@pytest.mark.parametrize("name", WHOLE)
def test_snapshot_comes_first_and_does_not_run_ahead(recordings: Path, name: str) -> None:
    messages = list(open_recording(recordings / name).messages())
    snapshot = [message for message in messages if message.snapshot]
    if not snapshot:
        assert name.endswith(("race", "sprint.txt.gz", "qualifying.txt.gz", "practice-1.txt.gz", "telemetry.txt.gz"))
        return
    assert messages[: len(snapshot)] == snapshot
    assert snapshot[0].topic == "SessionInfo"
    assert 0 <= messages[len(snapshot)].at - snapshot[0].at < 15_000


@pytest.mark.parametrize(
    ("name", "topics"),
    [
        ("2024-mexico-city-practice-3-telemetry.txt.gz", {"CarData", "Position"}),
        ("2023-monaco-practice-2-signalr.txt.gz", {"CarData", "Position"}),
    ],
)
def test_telemetry_is_opened(recordings: Path, name: str, topics: set[str]) -> None:
    seen = Counter(message.topic for message in open_recording(recordings / name).messages())
    assert topics <= set(seen)
    assert not any(topic.endswith(".z") for topic in seen)
    for message in open_recording(recordings / name).messages():
        if message.topic == "CarData":
            assert "Cars" in message.data["Entries"][0]
        elif message.topic == "Position":
            assert "Entries" in message.data["Position"][0]


def test_archive_and_live_capture_of_one_session_have_the_same_instants(recordings: Path, static_archive: Path) -> None:
    """Silverstone FP1 2024 exists as F1's archive and as a live capture: offsets must become the capture's instants."""
    archive = static_archive / "2024" / "2024-07-07_British_Grand_Prix" / "2024-07-05_Practice_1"
    instants = defaultdict(list)
    for message in open_recording(archive).messages():
        if message.topic == "TimingData":
            instants[orjson.dumps(message.data)].append(message.at)
    differences = [
        min((message.at - instant for instant in instants[orjson.dumps(message.data)]), key=abs)
        for message in open_recording(recordings / "2024-silverstone-practice-1").messages()
        if message.topic == "TimingData" and orjson.dumps(message.data) in instants
    ]
    assert len(differences) > 10_000
    assert abs(statistics.median(differences)) < 250
    assert max(map(abs, differences)) < 1_000


@pytest.mark.parametrize(
    "name", ["2025-imola-qualifying.txt.gz", "2025-monza-practice-1.txt.gz", "2025-qatar-sprint.txt.gz"]
)
def test_race_control_agrees_with_the_time_base(recordings: Path, name: str) -> None:
    """The base comes from the clock; race control's own instants, whole seconds, are a second opinion."""
    delays = []
    for message in open_recording(recordings / name).messages():
        if message.topic == "RaceControlMessages" and isinstance(message.data["Messages"], dict):
            delays += [message.at - (utc_ms(said["Utc"]) or 0) for said in message.data["Messages"].values()]
    assert len(delays) > 20
    assert abs(statistics.median(delays)) < 2_000


def test_every_stored_archive_folder_opens(static_archive: Path) -> None:
    folders = [folder for folder in static_archive.glob("*/*/*") if folder.is_dir()]
    assert len(folders) > 30
    for folder in folders:
        source = open_recording(folder)
        first = next(source.messages())
        assert first.at > 1_500_000_000_000
        assert source.session.isdigit() == (folder / "SessionInfo.jsonStream").exists()


@pytest.mark.parametrize(
    "name", ["2018-baku-race", "2025-sao-paulo-sprint.txt.gz", "2026-baku-practice-2-signalrcore-frames.json"]
)
def test_written_as_own_objects_it_reads_the_same(recordings: Path, tmp_path: Path, name: str) -> None:
    from pitwall.sources.pitwall_format import encode_line, object_name
    from tests.sources.written import write

    source = open_recording(recordings / name)
    messages = list(source.messages())
    size = 1_000
    for number in range(0, len(messages), size):
        lines = map(encode_line, messages[number : number + size])
        write(tmp_path / object_name(source.session, 1, number, 0), *lines, end=b"", zipped=True)
    again = open_recording(tmp_path / source.session)
    assert again.session == source.session
    assert list(again.messages()) == messages
