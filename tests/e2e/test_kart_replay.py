"""Captures of kart tracks through `python -m local`: whatever goes wrong on the way, what a calm replay stores.

A piece of one, with several sessions, is played in `test_two_tracks`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local import export
from local.replay import Replay
from pitwall.documents.encoding import to_fields
from pitwall.documents.schema import validate
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ("v", "writtenAt", "expireAt")


def local(*arguments: object) -> str:
    """What `python -m local ...` prints."""
    command = [sys.executable, "-m", "local", *map(str, arguments)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


def alone(path: Path) -> dict[str, dict[str, Any]]:
    """What a replay stores in which nothing goes wrong, by reducer and documents alone."""
    source = open_recording(path)
    reducer = Reducer(source.session, source.feed, source.name)
    ticks = [tick for message in source.messages() for tick in reducer.offer(message)] + reducer.finish()
    return {path: export.jsonable(to_fields(document)) for tick in ticks for path, document in tick.documents}


@pytest.mark.parametrize(
    "name",
    [
        "apex-brignoles-qualifying",
        "apex-los-santos-3h",
        "apex-mariembourg",
        "apex-misanino-sprints",
        "apex-sevilla-categories",
        "bradfier_2009_Sebring_ALMS_Session_4",
        "redmist_TestMissingLaps",
        "redmist_TestSessionChanges",
    ],
)
def test_replay_in_which_all_goes_wrong_stores_what_a_calm_one_does(name: str, kart_captures: Path, tmp_path: Path):
    path = next(kart_captures.glob(f"{name}.*"))
    local("replay", path, "--chaos", 3, "--export", tmp_path, "--report", tmp_path / "report.json")
    documents = export.read(tmp_path / export.FILE)
    for where, fields in documents.items():
        validate(where, fields)
    stored = {where: {k: v for k, v in fields.items() if k not in STAMPS} for where, fields in documents.items()}
    replayed = alone(path)
    assert stored.keys() == replayed.keys()
    assert [where for where in stored if stored[where] != replayed[where] and not where.endswith("/live/feed")] == []
    sessions = {where.split("/")[1] for where in documents}
    assert all(session.startswith(open_recording(path).feed[:40]) for session in sessions)
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert (report["chaos"]["pollersKilled"] > 0, report["fallenVersions"], report["deadLetters"]) == (True, [], 0)
    assert report["messages"] == len(list(open_recording(path).messages()))
    assert 0 < report["cost"]["ratio"] < 1


def test_run_shows_a_track_from_the_socket_on_as_a_tower(kart_captures: Path):
    shown = local("run", "--recording", kart_captures / "apex-los-santos-3h.jsonl.gz", "--speed", 200).splitlines()
    assert [line for line in shown if line.startswith("live feed     apex:http://127.0.0.1:")]
    assert [line for line in shown if line.startswith("LAP 20  1 13  2 ")]
    assert [line for line in shown if line.startswith("curl") and line.endswith("# answered 200")]


@pytest.mark.parametrize(
    ("name", "speed"), [("apex-los-santos-3h.jsonl.gz", 30.0), ("redmist_TestMissingLaps.txt.gz", 20.0)]
)
def test_track_whose_relay_fails_again_and_again_ends_with_the_board_of_its_capture(
    kart_captures: Path, tmp_path: Path, name: str, speed: float
):
    path = kart_captures / name
    Replay(path, speed, live=True, faults=4, export_to=tmp_path).run()
    stored, replayed = export.read(tmp_path / export.FILE), alone(path)
    laps, driven = lap_times(stored), lap_times(replayed)
    assert {lap: time for lap, time in laps.items() if driven[lap] != time} == {}
    assert len(driven) * 0.9 < len(laps) <= len(driven)
    assert sum("/gaps/" in where for where in stored) > 3
    assert tower(stored) == tower(replayed)


def lap_times(documents: dict[str, dict[str, Any]]) -> dict[tuple[str, str], int | None]:
    """By racing number and lap; of a recording with one session."""
    laps = {where.rpartition("/")[2]: fields for where, fields in documents.items() if "/laps/" in where}
    return {
        (number, lap): of_kart.get("lapTimeMs")
        for lap, fields in laps.items()
        for number, of_kart in fields["drivers"].items()
    }


def tower(documents: dict[str, dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Position, laps and last lap of each number."""
    (lines,) = (fields["lines"] for where, fields in documents.items() if where.endswith("/live/timing"))
    return {number: tuple(line.get(key) for key in ("p", "n", "l")) for number, line in lines.items()}
