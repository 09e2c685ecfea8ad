"""What docs/api.md tells people to type works as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from pitwall.api import access
from pitwall.api.app import create_app
from pitwall.settings import Settings
from tests.api.conftest import Serve, Stored
from tests.documents.examples import EXAMPLES

SESSIONS = {re.sub(r"{\w+}", "{}", route) for route, who in access.TABLE.items() if who is access.Access.SESSIONS}
TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_commands_work_in_the_order_they_are_given(store: Stored, serve: Serve, tmp_path: Path):
    store({**EXAMPLES, "sessions/9845/laps/3": msgspec.structs.replace(EXAMPLES["sessions/9845/laps/8"], lap=3)})
    address, *commands = blocks("sh")
    assert address.startswith("API=")
    base = str(serve().base_url).rstrip("/")
    script = "\n".join(commands)
    # What came back, behind each answer.
    strict = re.sub(
        r"^curl -s (?!-o)", "curl -s -w '\\\\n%{http_code} %{content_type}\\\\n' ", script, flags=re.MULTILINE
    )
    environment = {"API": base, "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        ["bash", "-uc", strict], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    answers = re.findall(r"^(\d{3})(?: (\S+))?.*$", ran.stdout, re.MULTILINE)
    asked = len(re.findall(r"^curl", script, re.MULTILINE))
    assert len(answers) == asked, ran.stdout + ran.stderr
    assert answers.count(("304", "")) == 1
    assert answers.count(("200", "text/csv;")) == script.count("format=csv")
    assert answers[-1] == ("400", "application/problem+json")
    assert answers.count(("200", "application/json")) == asked - 2 - script.count("format=csv")
    assert json.loads(ran.stdout.splitlines()[-2]) == json.loads(blocks("json")[0])


def test_every_route_that_reads_sessions_is_in_the_table():
    rules = {rule.rule for rule in create_app(Settings()).url_map.iter_rules() if not rule.rule.startswith("/api/v1/")}
    read = {rule for rule in rules if access.shape("GET", rule) in SESSIONS}
    documented = set(re.findall(r"^\| `GET ([^`]+)`", TEXT, re.MULTILINE))
    assert {re.sub(r"<\w+>", "{}", rule) for rule in read} == {re.sub(r"{\w+}", "{}", route) for route in documented}
