"""The whole stack, as `python -m local` runs it: a short simulated race in, documents and HTTP out."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psutil
import pytest

from local import export
from local.simulator import Race, for_minutes, write_recording
from pitwall.documents.schema import validate

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.e2e


def local(*arguments: object, timeout: float = 280) -> subprocess.CompletedProcess[str]:
    """`python -m local ...`, to its end."""
    command = [sys.executable, "-m", "local", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def race() -> Race:
    return for_minutes(4, 5)


@pytest.fixture(scope="module")
def recording(race: Race, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("race") / "race.txt.gz"
    write_recording(race, path)
    return path


@pytest.fixture(scope="module")
def clean(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export and report of a run in which nothing goes wrong."""
    folder = tmp_path_factory.mktemp("clean")
    run = local("replay", recording, "--export", folder, "--report", folder / "report.json")
    assert run.returncode == 0, run.stderr
    return folder


def test_every_exported_document_validates_against_its_schema(clean: Path) -> None:
    documents = export.read(clean / export.FILE)
    assert len(documents) > 30
    for path, fields in documents.items():
        validate(path, fields)


def test_the_export_is_sorted_by_path_and_its_instants_are_rfc_3339(clean: Path) -> None:
    lines = (clean / export.FILE).read_text().splitlines()
    paths = [json.loads(line)["path"] for line in lines]
    assert paths == sorted(paths)
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", json.loads(line)["fields"]["at"]) for line in lines
    )
    assert not any(path.startswith(("leases", "checkpoints")) for path in paths)


def test_every_lap_the_simulator_drove_is_stored(clean: Path, race: Race) -> None:
    documents = export.read(clean / export.FILE)
    stored = {
        (number, fields["lap"]): lap
        for path, fields in documents.items()
        if "/laps/" in path
        for number, lap in fields["drivers"].items()
    }
    driven = {(lap.number, lap.lap): lap for lap in race.truth.laps}
    assert set(stored) == set(driven)
    timed = {key: lap for key, lap in driven.items() if key[1] > 1 and not lap.redFlag}
    assert timed
    assert {key: stored[key].get("lapTimeMs") for key in timed} == {key: lap.lapTimeMs for key, lap in timed.items()}


def test_the_report_has_what_the_contract_lists(clean: Path) -> None:
    report = json.loads((clean / "report.json").read_text())
    assert {
        "messages",
        "published",
        "delivered",
        "deliveries",
        "firestore",
        "pubsub",
        "latencyMs",
        "tower",
        "cost",
        "rejected",
    } < set(report)
    assert report["deliveries"] >= report["delivered"] == report["published"] == report["pubsub"]["messages"]
    assert set(report["firestore"]) == {"writes", "reads", "deletes"}
    assert report["tower"]["maxBytes"] <= 4096
    assert report["cost"]["ratio"] <= 1 / 3
    assert report["fallenVersions"] == []
    assert report["deadLetters"] == 0


def test_chaos_and_two_killed_pollers_leave_the_same_documents(recording: Path, clean: Path, tmp_path: Path) -> None:
    run = local("replay", recording, "--chaos", 3, "--export", tmp_path, "--report", tmp_path / "report.json")
    assert run.returncode == 0, run.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["chaos"]["pollersKilled"] == 2
    assert report["chaos"]["writer"]["reordered"] > 0
    assert export.compare(clean / export.FILE, tmp_path / export.FILE) == []


@pytest.mark.long
def test_a_damaged_recording_is_stored_but_for_the_damage(recording: Path, clean: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.txt"
    lines = gzip.decompress(recording.read_bytes()).splitlines(keepends=True)
    half = len(lines) // 2
    broken = [
        b'00:01:00.000{"stream":"TimingData","payl\n',
        b"\xff\xfe\x00garbage\n",
        b'00:01:00.100{"stream":"Nobody","payload":{}}\n',
    ]
    broken.append(b'00:01:00.200{"stream":"CarData.z","payload":"not base64!"}\n')
    broken.append(b'00:01:00.300{"stream":"TimingData","payload":{"Lines":{"1":null}}}\n')
    broken.append(b'00:01:00.400{"stream":"Nobody","payload":"' + b"x" * (5 << 20) + b'"}\n')
    damaged.write_bytes(b"".join([*lines[:half], *broken, *lines[half:]]))
    run = local("replay", damaged, "--export", tmp_path, "--report", tmp_path / "report.json")
    assert run.returncode == 0, run.stderr
    rejected = json.loads((tmp_path / "report.json").read_text())["rejected"]
    assert sum(rejected.values()) >= 5
    laps = {path for path in export.read(clean / export.FILE) if "/laps/" in path}
    assert laps <= set(export.read(tmp_path / export.FILE))


@pytest.mark.parametrize(
    "content", [b"", b"this is no recording\n", b"\x00\x01\x02" * 500], ids=["empty", "text", "binary"]
)
def test_what_is_no_recording_is_refused_in_one_line_before_anything_starts(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "thing"
    path.write_bytes(content)
    run = local("replay", path)
    assert run.returncode == 2
    assert len(run.stderr.strip().splitlines()) == 1
    assert "thing" in run.stderr


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    run = local("replay", tmp_path / "nowhere")
    assert (run.returncode, "nowhere" in run.stderr) == (2, True)


class Shown(NamedTuple):
    """What `python -m local run` printed off a terminal, and what was stored then."""

    lines: list[str]
    folder: Path


def run_off_a_terminal(recording: Path, speed: str, folder: Path) -> Shown:
    run = local("run", "--recording", recording, "--speed", speed, "--export", folder)
    assert run.returncode == 0, run.stderr
    return Shown(run.stdout.splitlines(), folder)


@pytest.fixture(scope="module")
def shown(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """A run through the hub."""
    return run_off_a_terminal(recording, "30", tmp_path_factory.mktemp("shown"))


@pytest.mark.long
def test_run_reads_the_live_feed_of_a_hub(shown: Shown) -> None:
    assert [line for line in shown.lines if re.match(r"live feed +http://127\.0\.0\.1:\d+/signalrcore$", line)]


def test_what_has_come_from_a_socket_is_what_the_recording_says(shown: Shown, clean: Path) -> None:
    assert export.compare(clean / export.FILE, shown.folder / export.FILE) == []


@pytest.mark.long
def test_run_at_full_speed_says_that_a_live_feed_has_a_clock(recording: Path, clean: Path, tmp_path: Path) -> None:
    at_once = run_off_a_terminal(recording, "max", tmp_path)
    assert [line for line in at_once.lines if line.startswith("A live feed has a clock")]
    assert export.compare(clean / export.FILE, tmp_path / export.FILE) == []


def test_run_off_a_terminal_tells_each_lap_what_is_stored_and_how_to_ask_for_it(shown: Shown) -> None:
    lines = shown.lines
    assert [line for line in lines if re.match(r"LAP \d+/\d+  1 [A-Z]{3}  2 [A-Z]{3} \+\d", line)]
    assert [line for line in lines if line.startswith("FINISHED  1 ")]
    assert [line for line in lines if line.startswith("stored") and "1 timing" in line]
    assert len([line for line in lines if line.startswith("curl") and line.endswith("# answered 200")]) == 3


@pytest.fixture
def running(recording: Path) -> Iterator[subprocess.Popen[str]]:
    """`python -m local run` off a terminal, at a pace at which it lasts."""
    command = [sys.executable, "-m", "local", "run", "--recording", str(recording), "--speed", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_run_serves_the_session_and_ctrl_c_leaves_nothing_behind(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    api = ""
    for line in running.stdout:
        if line.startswith("API"):
            api = line.split()[1]
        if line.startswith("playing"):
            break
    deadline = time.monotonic() + 60
    while (answer := httpx.get(api, trust_env=False)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.5)
    assert answer.json()["status"]
    started = psutil.Process(running.pid).children(recursive=True)
    assert len(started) > 10, "emulators, functions and their workers"
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    _, left = psutil.wait_procs(started, timeout=10)
    assert left == []
