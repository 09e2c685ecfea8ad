"""What can be checked of the collector's image and service without building or starting them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pitwall.settings import variables

ROOT = Path(__file__).resolve().parents[1]
COLLECTOR = ROOT / "deploy" / "collector"
UNIT = COLLECTOR / "pitwall-collector.service"
NEWER_THAN_MOST = ("RestartSteps", "RestartMaxDelaySec")


def instructions() -> list[tuple[str, str]]:
    """Name and text of each instruction of the Dockerfile, in order."""
    text = re.sub(r"\\\n", " ", (COLLECTOR / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def last(name: str) -> str:
    return [text for instruction, text in instructions() if instruction == name][-1]


def pins(path: Path) -> set[str]:
    """`name==version` of each package."""
    return {line.removesuffix(" \\") for line in path.read_text().splitlines() if re.match(r"[a-z0-9]", line)}


def test_image_copies_only_what_exists():
    copied = [text.split()[:-1] for name, text in instructions() if name == "COPY" and not text.startswith("--from=")]
    assert copied
    assert [path for paths in copied for path in paths if not (ROOT / path).exists()] == []


def test_image_holds_of_the_project_only_what_is_deployed():
    final = instructions()[max(n for n, (name, _) in enumerate(instructions()) if name == "FROM") :]
    assert [text for name, text in final if name == "COPY"] == ["--from=packages /venv /venv", "functions /app"]


def test_what_is_copied_is_not_ignored():
    ignored = (COLLECTOR / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {"!functions", "!deploy/collector/requirements.txt"} < set(ignored)


def test_image_does_not_run_as_root():
    user = last("USER").partition(":")[0]
    assert user.isdigit()
    assert int(user) > 0


def test_base_is_a_version_of_python_the_functions_run_on():
    bases = {text.split()[0] for name, text in instructions() if name == "FROM"}
    assert bases == {"python:3.13-slim-bookworm"}


def test_entry_point_is_the_collector():
    python, dash_m, module, *arguments = json.loads(last("ENTRYPOINT"))
    assert (python, dash_m, module) == ("python", "-m", "pitwall.collect")
    assert importlib.util.find_spec(module) is not None
    assert arguments[arguments.index("--health-port") + 1] == last("EXPOSE")
    assert f":{last('EXPOSE')}/healthz" in last("HEALTHCHECK")


def test_packages_are_the_functions_own_versions():
    assert pins(COLLECTOR / "requirements.txt") < pins(ROOT / "requirements.txt")


def test_every_package_is_pinned():
    assert all(re.match(r"[a-z0-9.\-]+==[^ ]+$", pin) for pin in pins(COLLECTOR / "requirements.txt"))


@pytest.mark.parametrize("commented", [False, True])
def test_example_names_only_variables_there_are(commented: bool):
    pattern = r"^# ([A-Z_0-9]+)=" if commented else r"^([A-Z_0-9]+)="
    named = set(re.findall(pattern, (COLLECTOR / "collector.env.example").read_text(), re.MULTILINE))
    assert named
    assert named <= set(variables())


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists here."""
    copy = tmp_path / UNIT.name
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text()))
    return copy


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: nothing checks the unit"
)


@needs_systemd
def test_unit_is_one_that_systemd_takes(unit: Path):
    checked = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60
    )
    told = [line for line in checked.stderr.splitlines() if unit.name in line]
    assert checked.returncode == 0, checked.stderr
    assert [line for line in told if not any(name in line for name in NEWER_THAN_MOST)] == []


@needs_systemd
def test_unit_is_exposed_to_little(unit: Path):
    checked = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unrecognized option" in checked.stderr:
        pytest.skip("this systemd-analyze is too old to judge a unit that is not loaded")
    assert checked.returncode == 0, checked.stdout[-500:]


def test_service_is_given_time_to_hand_over():
    wait = re.search(r"(?m)^TimeoutStopSec=(\d+)$", UNIT.read_text())
    assert wait is not None
    assert int(wait[1]) > 10
