"""The forms a race is written in hold the same race, in the shapes recordings are found in."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from local.simulator import PATH, SESSION_KEY, Race, quick_race, write_recording
from local.simulator.__main__ import main
from local.simulator.sent import SentState

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def short() -> Race:
    return quick_race(6, laps=2)


def test_merged_form_has_a_line_a_message(short: Race, tmp_path: Path) -> None:
    path = tmp_path / "race.txt.gz"
    count = write_recording(short, path, "merged")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert len(lines) == count == len(list(short))
    assert all(re.match(r'\d\d:\d\d:\d\d\.\d{3}\{"stream":"[A-Za-z.]+","payload":', line) for line in lines)


def test_archive_form_is_a_folder_of_topics_with_mark_and_crlf(short: Race, tmp_path: Path) -> None:
    count = write_recording(short, tmp_path / "race", "archive")
    files = {file.name: file.read_bytes() for file in (tmp_path / "race").glob("*.jsonStream")}
    assert {f"{message.topic}.jsonStream" for message in short} == set(files)
    assert all(text.startswith(b"\xef\xbb\xbf0") and text.endswith(b"\r\n") for text in files.values())
    assert sum(text.count(b"\r\n") for text in files.values()) == count
    index = json.loads((tmp_path / "race" / "Index.json").read_text(encoding="utf-8-sig"))
    assert index["Feeds"]["CarData"]["StreamPath"] == "CarData.z.jsonStream"


def test_live_form_ends_in_the_same_state_as_the_messages(short: Race, tmp_path: Path) -> None:
    path = tmp_path / "race.txt"
    write_recording(short, path, "live")
    lines = path.read_text(encoding="utf-8").splitlines()
    first = lines[0].split(":", 2)
    assert first[1] == "init"
    live = SentState()
    live.topics = json.loads(first[2])
    for line in lines[1:]:
        _, topic, text = line.split(":", 2)
        if not topic.endswith(".z"):
            live.reduce(topic, json.loads(text))
    whole = SentState()
    for message in short:
        if not message.topic.endswith(".z"):
            whole.reduce(message.topic, message.payload)

    def without_marks(topics: dict[str, Any]) -> dict[str, Any]:
        return {topic: {k: v for k, v in state.items() if k != "_kf"} for topic, state in topics.items()}

    assert without_marks(live.topics) == without_marks(whole.topics)


def test_live_lines_never_go_back_in_time(short: Race, tmp_path: Path) -> None:
    write_recording(short, tmp_path / "race.txt", "live")
    stamps = [int(line.split(":", 1)[0]) for line in (tmp_path / "race.txt").read_text().splitlines()]
    assert stamps == sorted(stamps)


def test_same_race_gives_the_same_bytes(short: Race, tmp_path: Path) -> None:
    write_recording(short, tmp_path / "one.txt.gz")
    write_recording(short, tmp_path / "two.txt.gz")
    assert (tmp_path / "one.txt.gz").read_bytes() == (tmp_path / "two.txt.gz").read_bytes()


def test_session_names_its_own_path(short: Race) -> None:
    info = next(message.payload for message in short if message.topic == "SessionInfo")
    assert info["Path"] == PATH
    assert info["Key"] == SESSION_KEY > 9_000
    assert info["GmtOffset"] == "02:00:00"


def test_unknown_form_is_refused(short: Race, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such form"):
        write_recording(short, tmp_path / "race", "csv")  # type: ignore[arg-type]


def test_command_writes_recording_and_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, truth = tmp_path / "race.txt", tmp_path / "truth.json"
    options = ["--seed", "7", "--minutes", "4", "--out", str(out), "--truth", str(truth), "--no-telemetry"]
    assert main(options) == 0
    assert "messages" in capsys.readouterr().out
    told = json.loads(truth.read_text())
    assert told["session"] == str(SESSION_KEY)
    assert len(told["finalPositions"]) == 22
    assert out.stat().st_size > 100_000


def test_command_refuses_a_race_without_laps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--laps", "0", "--out", str(tmp_path / "race.txt")])
    assert "at least one lap" in capsys.readouterr().err


def test_quick_race_is_about_thirteen_messages_a_second(race: Race) -> None:
    seconds = (race.ends - race.opens) / 1000
    assert 10 < len(list(race)) / seconds < 17


def test_quick_race_with_telemetry_is_a_few_mebibytes(tmp_path: Path) -> None:
    write_recording(quick_race(1), tmp_path / "race.txt.gz")
    assert 1 < (tmp_path / "race.txt.gz").stat().st_size / 2**20 < 6
