"""The packages: pinned, hashed, and in every environment the ones that are deployed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOYED, TESTED, COLLECTOR = "requirements.txt", "requirements-dev.txt", "deploy/collector/requirements.txt"
UNREACHABLE = re.compile(r"error sending request|network (was|is) disabled")
"""What uv says where there is no package index."""


def requirements(text: str) -> Iterator[str]:
    """Each requirement with its options in one line."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return (" ".join(line.split()) for line in lines if line.strip() and not line.lstrip().startswith("#"))


def hashed(file: str) -> dict[str, str]:
    """The options, hashes all, of each `name==version`."""
    found = dict(line.partition(" ")[::2] for line in requirements((ROOT / file).read_text()))
    assert found
    return found


@pytest.mark.parametrize("file", [DEPLOYED, TESTED, COLLECTOR])
def test_every_package_is_pinned_and_hashed(file: str):
    whole = re.compile(r"[a-z0-9.-]+==[^ ;]+( --hash=sha256:[0-9a-f]{64})+")
    assert [line for line in requirements((ROOT / file).read_text()) if not whole.fullmatch(line)] == []


@pytest.mark.parametrize("file", [DEPLOYED, COLLECTOR])
def test_tests_run_on_the_packages_that_are_deployed(file: str):
    assert hashed(file).items() <= hashed(TESTED).items()


@pytest.mark.parametrize("file", [DEPLOYED, TESTED, COLLECTOR])
def test_the_python_that_is_deployed_needs_no_other_packages(file: str, tmp_path: Path):
    """`make lock` makes them from the same `.in` files, but for the oldest Python that PitWall runs on."""
    for name in (DEPLOYED, TESTED, COLLECTOR):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
        shutil.copyfile((ROOT / name).with_suffix(".in"), (tmp_path / name).with_suffix(".in"))
    source = str(Path(file).with_suffix(".in"))
    command = [sys.executable, "-m", "uv", "pip", "compile", "--python", sys.executable, "--quiet", "--no-header"]
    constrained = ["-c", DEPLOYED] if file == COLLECTOR else []
    done = subprocess.run(
        [*command, "--no-annotate", "--python-version", "3.13", *constrained, source, "-o", file],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"no package index can be reached: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    pins = {line for line in requirements((tmp_path / file).read_text()) if not line.startswith("--")}
    assert pins == set(hashed(file))
