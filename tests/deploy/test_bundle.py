"""The zip functions are deployed from: the same bytes from the same sources, and in it what they consist of."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def copied(to: Path) -> Path:
    """The parts of the project that the bundle is made from."""
    leftovers = shutil.ignore_patterns("__pycache__", "*.pyc")
    for folder in ("functions", "deploy"):
        shutil.copytree(ROOT / folder, to / folder, ignore=leftovers)
    shutil.copyfile(ROOT / "requirements.txt", to / "requirements.txt")
    return to


def bundled(project: Path, *arguments: str, umask: int = 0o022, **env: str) -> subprocess.CompletedProcess[str]:
    """What `python -m deploy.bundle` said in this folder."""
    return subprocess.run(
        [sys.executable, "-m", "deploy.bundle", *arguments],
        cwd=project,
        env={**os.environ, **env},
        umask=umask,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copied(tmp_path / "project")


@pytest.fixture
def bundle(project: Path) -> zipfile.ZipFile:
    done = bundled(project)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(project / "build" / "functions.zip")


def test_two_checkouts_give_the_same_bytes(tmp_path: Path):
    one, other = copied(tmp_path / "one"), tmp_path / "folder of" / "somebody else"
    # The other one's files are made in another order, at another time, with other rights.
    files = [path for path in one.rglob("*") if path.is_file()]
    for number, path in enumerate(sorted(files, reverse=True)):
        there = other / path.relative_to(one)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(path.read_bytes())
        there.chmod(0o600 if number % 2 else 0o777)
        os.utime(there, (1_000_000_000 + number, 1_000_000_000 + number))
    (other / "functions" / "__pycache__").mkdir()
    (other / "functions" / "__pycache__" / "main.cpython-313.pyc").write_bytes(b"\0")
    (other / "functions" / "pitwall" / ".DS_Store").write_bytes(b"\0")
    said = [
        bundled(one, umask=0o022, LC_ALL="C.UTF-8", TZ="UTC", PYTHONHASHSEED="1").stdout,
        bundled(other, umask=0o077, LC_ALL="C", TZ="Pacific/Chatham", PYTHONHASHSEED="2", PYTHONUTF8="0").stdout,
    ]
    zips = [(folder / "build" / "functions.zip").read_bytes() for folder in (one, other)]
    assert zips[0] == zips[1]
    assert said == [f"{hashlib.sha256(zips[0]).hexdigest()}  build/functions.zip\n"] * 2


def test_a_changed_source_gives_another_hash(project: Path):
    before = bundled(project).stdout
    with (project / "functions" / "main.py").open("a") as stream:
        stream.write("# changed\n")
    assert bundled(project).stdout.split()[0] != before.split()[0]


def test_it_holds_what_the_project_tracks_of_the_functions_and_their_requirements(bundle: zipfile.ZipFile):
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "functions"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no checkout of git: nobody says which files belong to the project")
    tracked = {path for path in listed.stdout.split("\0") if path and (ROOT / path).exists()}
    assert set(bundle.namelist()) == {path.removeprefix("functions/") for path in tracked} | {"requirements.txt"}
    assert bundle.read("requirements.txt") == (ROOT / "requirements.txt").read_bytes()


def test_nothing_in_it_tells_of_the_machine(bundle: zipfile.ZipFile):
    entries = bundle.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    about = {
        (entry.date_time, oct(entry.external_attr >> 16), entry.create_system, entry.compress_type, entry.extra)
        for entry in entries
    }
    assert about == {((1980, 1, 1, 0, 0, 0), "0o100644", 3, zipfile.ZIP_STORED, b"")}


def test_it_is_as_small_as_google_takes(bundle: zipfile.ZipFile):
    """100 MB of sources; https://cloud.google.com/functions/quotas."""
    assert sum(entry.file_size for entry in bundle.infolist()) < 10_000_000


@pytest.mark.parametrize("name", ["main.py.orig", "pitwall/api/style.css", "pitwall/fast.so"])
def test_a_file_that_may_be_forgotten_is_refused(project: Path, name: str):
    (project / "functions" / name).write_bytes(b"")
    done = bundled(project)
    assert done.returncode == 1
    assert f"{name}: functions consist of .py, .html, .json" in done.stderr
    assert not (project / "build").exists()


def test_a_link_is_refused(project: Path):
    (project / "functions" / "pitwall" / "elsewhere").symlink_to("/")
    done = bundled(project)
    assert (done.returncode, "elsewhere is a link" in done.stderr) == (1, True)


def test_missing_requirements_are_named(project: Path):
    (project / "requirements.txt").unlink()
    done = bundled(project)
    assert done.returncode == 1
    assert done.stderr == f"no bundle was written: not there: {project / 'requirements.txt'}\n"


def test_a_bundle_that_cannot_be_written_leaves_nothing_behind(project: Path):
    (project / "file").write_bytes(b"")
    done = bundled(project, "--out", "file/functions.zip")
    assert done.returncode == 1
    assert done.stderr.startswith("no bundle was written: ")
    (project / "out" / "functions.zip").mkdir(parents=True)
    done = bundled(project, "--out", "out/functions.zip")
    assert done.returncode == 1
    assert [path.name for path in (project / "out").iterdir()] == ["functions.zip"]
