"""What docs/api.md tells people to type works as it stands, on a race that is in its last lap."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest

from local.simulator import quick_race, write_recording
from pitwall.api import access
from pitwall.api.app import create_app
from pitwall.api.shapes import minutes
from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.drivers import DriverDocument, LapDocument
from pitwall.documents.live import TowerDocument
from pitwall.documents.session import RaceControlDocument, SessionDocument
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording
from tests.api.conftest import Serve, Stored
from tests.documents.examples import EXAMPLES

SESSIONS = {re.sub(r"{\w+}", "{}", route) for route, who in access.TABLE.items() if who is access.Access.SESSIONS}
TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
PAST = next(section for section in TEXT.split("\n## ") if section.startswith("The past\n"))
"""Its commands ask for what is not in a replay: see test_history_people."""

FIRST, NEEDS = TEXT.split("\n## ", 2)[:2]
"""What comes before the first section, and that section: what a timing app needs most."""

LANGUAGES = ("sh", "js", "dart")
NOT_COMPILED = "// Not compiled here.\n"
LAPS = 9
OLDEST_NODE = 20
PATIENCE_S = 60.0


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


BEFORE, *PARTS = NEEDS.split("\n### ")
ENDLESS = next(block for block in blocks("sh", NEEDS) if block.startswith("while sleep"))
"""The command that goes on until it is interrupted."""


def without_node() -> str:
    """Why JavaScript cannot be run here; empty if it can."""
    node = shutil.which("node")
    if node is None:
        return "node is not on PATH: the JavaScript in docs/api.md is not run"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    number = re.match(r"v(\d+)", version)
    if number is None or int(number[1]) < OLDEST_NODE:
        return f"node is {version}, older than {OLDEST_NODE}: the JavaScript in docs/api.md is not run"
    return ""


needs_node = pytest.mark.skipif(bool(reason := without_node()), reason=reason)
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Race(NamedTuple):
    """A race in its last lap. documents: by path. next_tower: the one that comes next."""

    key: str
    documents: dict[str, Document]
    next_tower: TowerDocument

    @property
    def session(self) -> SessionDocument:
        found = self.documents[paths.session(self.key)]
        assert isinstance(found, SessionDocument)
        return found

    @property
    def tower(self) -> TowerDocument:
        found = self.documents[paths.live(self.key, "timing")]
        assert isinstance(found, TowerDocument)
        return found

    @property
    def codes(self) -> dict[str, str]:
        """Three-letter codes by racing number."""
        drivers = (document for document in self.documents.values() if isinstance(document, DriverDocument))
        return {driver.racing_number: str(driver.tla) for driver in drivers}

    @property
    def race_control(self) -> list[RaceControlDocument]:
        said = [document for document in self.documents.values() if isinstance(document, RaceControlDocument)]
        return sorted(said, key=lambda message: message.n)


def order(tower: TowerDocument) -> list[str]:
    """Racing numbers by place."""
    places = {number: line.p for number, line in tower.lines.items() if isinstance(line.p, int)}
    assert places.keys() == tower.lines.keys()
    return sorted(places, key=lambda number: places[number])


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Race:
    """Played through the state machine and what makes documents of it, as the poller does."""
    recording = tmp_path_factory.mktemp("race") / "race.txt"
    write_recording(quick_race(1, laps=LAPS, telemetry=False), recording)
    source = open_recording(recording)
    reducer = Reducer(source.session, "f1", "recording")
    documents: dict[str, Document] = {}
    session, timing = paths.session(source.session), paths.live(source.session, "timing")
    last_lap = False
    for message in source.messages():
        for tick in reducer.offer(message):
            changed = dict(tick.documents)
            tower = changed.get(timing)
            if last_lap and isinstance(tower, TowerDocument):
                return Race(source.session, documents, tower)
            documents |= changed
            stands = documents.get(session)
            if isinstance(stands, SessionDocument) and isinstance(stands.lap_count, msgspec.Struct):
                last_lap = stands.lap_count.current == LAPS
    raise AssertionError("the race has no last lap")


@contextmanager
def running(command: list[str], folder: Path, api: str = "") -> Iterator[Callable[[], list[str]]]:
    """A program that goes on until the block ends; gives the lines it has printed."""
    output = folder / "printed.txt"
    environment = {"PATH": os.environ["PATH"], "API": api}
    with output.open("w") as printed:
        program = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield lambda: [line for line in output.read_text().split("\n")[:-1] if line.strip()]
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def script(need: int, base: str) -> str:
    """The JavaScript of a need, with what has to come before it; `base`: the API's address."""
    [before], [block] = blocks("js", BEFORE), blocks("js", PARTS[need - 1])
    address = re.compile(r'^const API = "[^"]*";$', re.MULTILINE)
    assert len(address.findall(before)) == 1
    return f'{address.sub(f"""const API = "{base}";""", before)}\n{block}'


def address_of(api: httpx.Client) -> str:
    return str(api.base_url).rstrip("/")


Runs = Callable[[int], list[str]]


@pytest.fixture
def javascript(race: Race, store: Stored, api: httpx.Client, tmp_path: Path) -> Runs:
    """Runs the JavaScript of a need with Node, on the race; gives the lines it prints."""
    store(race.documents)

    def run(need: int) -> list[str]:
        file = tmp_path / "need.mjs"
        file.write_text(script(need, address_of(api)), encoding="utf-8")
        ran = subprocess.run(["node", file.name], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout.splitlines()

    return run


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Answers:
    """What the API has answered about the tower, by its log."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def __call__(self) -> list[int]:
        self._text += self._capsys.readouterr().out
        return [int(code) for code in re.findall(r'"GET /api/sessions/<key>/live (\d+)"', self._text)]


@pytest.fixture
def answers(capsys: pytest.CaptureFixture[str]) -> Answers:
    return Answers(capsys)


@needs_curl
def test_the_curl_commands_work_in_the_order_they_are_given(race: Race, store: Stored, serve: Serve, tmp_path: Path):
    event = msgspec.structs.replace(EXAMPLES["seasons/2025/events/21"], year=race.session.year)
    store({**race.documents, f"seasons/{race.session.year}/events/21": event})
    elsewhere = (ENDLESS, *blocks("sh", PAST))
    address, *commands = (block for block in blocks("sh") if block not in elsewhere)
    assert address.startswith("API=")
    base = address_of(serve())
    asks = r"^(\s*)curl -s (?!-o)"
    # What came back, behind each answer.
    strict = re.sub(
        asks, r"\1curl -s -w '\\n%{http_code} %{content_type}\\n' ", "\n".join(commands), flags=re.MULTILINE
    )
    environment = {"API": base, "PATH": os.environ["PATH"]}
    ran = subprocess.run(
        ["bash", "-uc", strict], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    answers = re.findall(r"^(\d{3})(?: (\S+).*)?$", ran.stdout, re.MULTILINE)
    once = len(re.findall(r"^curl", strict, re.MULTILINE))
    pages = -(-len(race.race_control) // 20)
    assert pages > 1
    assert len(answers) == once + pages, ran.stdout + ran.stderr
    assert answers.count(("304", "")) == 1
    assert answers.count(("200", "text/csv;")) == strict.count("format=csv")
    assert answers[-1] == ("400", "application/problem+json")
    assert answers.count(("200", "application/json")) == len(answers) - 2 - strict.count("format=csv")
    assert json.loads(ran.stdout.splitlines()[-2]) == json.loads(blocks("json")[0])
    lists = [json.loads(line)["items"] for line in ran.stdout.splitlines() if line.startswith('{"items"')]
    said = [item["message"] for items in lists for item in items if "category" in item]
    assert said[: len(race.race_control)] == [message.message for message in race.race_control]


def test_every_route_that_reads_sessions_is_in_the_table():
    rules = {rule.rule for rule in create_app(Settings()).url_map.iter_rules()}
    read = {rule for rule in rules if access.shape("GET", rule) in SESSIONS}
    documented = set(re.findall(r"^\| `GET ([^`]+)`", TEXT, re.MULTILINE))
    assert {re.sub(r"<\w+>", "{}", rule) for rule in read} == {re.sub(r"{\w+}", "{}", route) for route in documented}


def test_each_of_the_five_needs_is_shown_in_three_languages_and_dart_is_marked():
    assert NEEDS.startswith("What a timing app needs most\n")
    assert [re.match(r"(\d)\. ", part).group(1) for part in PARTS] == list("12345")  # type: ignore[union-attr]
    for part in (BEFORE, *PARTS):
        assert [len(blocks(language, part)) for language in LANGUAGES] == [1, 1, 1], part.split("\n")[0]
    assert "Dart is not compiled here" in BEFORE
    assert all(block.startswith(NOT_COMPILED) for block in blocks("dart"))


@needs_node
def test_javascript_shows_which_session_is_live_and_how_it_stands(race: Race, javascript: Runs):
    first, *shown = javascript(1)
    meeting = race.session.meeting
    assert isinstance(meeting, msgspec.Struct)
    assert first == f"{meeting.name}, {race.session.name}: Started, lap {LAPS} of {LAPS}"
    expected = []
    for place, number in enumerate(order(race.tower), 1):
        line = race.tower.lines[number]
        gap = f"{line.ld} L" if line.ld else "" if not isinstance(line.g, int) else f"+{line.g / 1000:.3f}"
        state = "out" if line.rt is True else "pit" if line.ip is True else ""
        expected.append(f"{place} {race.codes[number]} {gap} {state}")
    assert shown == expected
    assert any(line.endswith(" out") for line in shown)


@pytest.mark.parametrize(
    "language", [pytest.param("curl", marks=needs_curl), pytest.param("javascript", marks=needs_node)]
)
def test_whoever_follows_the_tower_is_sent_it_only_when_it_has_changed(
    language: str, race: Race, store: Stored, api: httpx.Client, answers: Answers, tmp_path: Path
):
    store(race.documents)
    (tmp_path / "need.mjs").write_text(script(2, address_of(api)), encoding="utf-8")
    commands = {"curl": ["bash", "-uc", f"{blocks('sh', BEFORE)[0]}{ENDLESS}"], "javascript": ["node", "need.mjs"]}
    with running(commands[language], tmp_path, address_of(api)) as printed:
        wait_for(lambda: answers().count(304) >= 2)
        store({paths.live(race.key, "timing"): race.next_tower})
        wait_for(lambda: answers().count(200) == 2)
        wait_for(lambda: answers()[-1] == 304)
    assert answers()[:3] == [200, 304, 304]
    if language == "curl":
        shown = [line for line in printed() if line != " 304"]
        assert [line[-4:] for line in shown] == [" 200", " 200"]
        ats = [json.loads(line[:-4])["at"] for line in shown]
        assert ats == [instant(race.tower), instant(race.next_tower)]
    else:
        assert printed() == [" ".join((instant(tower), *order(tower))) for tower in (race.tower, race.next_tower)]


def instant(document: Document) -> str:
    return document.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@needs_node
def test_javascript_that_has_asked_too_often_waits_as_long_as_it_is_told(
    race: Race, store: Stored, serve: Serve, answers: Answers, tmp_path: Path
):
    store(race.documents)
    # A second passes at once and what is longer never: then nothing is left to do, and Node ends.
    watched = """
    const setTimeout = (done, ms) => (ms > 1000 ? console.log("waits", ms / 1000) : globalThis.setTimeout(done, 0));
    const fetch = async (...asked) => {
      const response = await globalThis.fetch(...asked);
      if (response.status === 429) console.log("told", response.headers.get("Retry-After"));
      return response;
    };
    """
    (tmp_path / "need.mjs").write_text(watched + script(2, address_of(serve(rate_limit_address=4))), encoding="utf-8")
    ran = subprocess.run(["node", "need.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S)
    *_, told, waits = ran.stdout.splitlines()
    assert re.fullmatch(r"told \d+", told), ran.stdout + ran.stderr
    assert waits == told.replace("told", "waits")
    codes = answers()
    assert codes[0] == 200
    assert codes.count(200) == 1
    assert codes[-1] == 429


@needs_node
def test_javascript_shows_the_laps_of_a_driver(race: Race, javascript: Runs):
    drivers = [document for document in race.documents.values() if isinstance(document, DriverDocument)]
    leader = min(drivers, key=lambda driver: driver.position)
    laps = [document for document in race.documents.values() if isinstance(document, LapDocument)]
    driven = {document.lap: document.drivers[leader.racing_number] for document in laps}
    assert len(driven) == LAPS - 1
    expected = []
    for number, lap in sorted(driven.items()):
        time_text = minutes(lap.lap_time_ms) if isinstance(lap.lap_time_ms, int) else "no time"
        expected.append(f"{leader.tla} {number} {time_text} {lap.compound} {lap.tyre_age} ")
    assert javascript(3) == expected
    assert re.search(r" \d:\d\d\.\d{3} ", expected[-1])


@needs_node
def test_javascript_shows_the_tower_as_it_was_and_one_without_places(race: Race, javascript: Runs):
    picture, *hidden = javascript(4)
    kept = [
        document
        for path, document in race.documents.items()
        if "/towers/" in path and isinstance(document, TowerDocument)
    ]
    seen = max(
        (tower for tower in kept if (race.tower.at - tower.at).total_seconds() >= 30), key=lambda tower: tower.at
    )
    assert seen.at < race.tower.at
    assert picture == " ".join(("on the picture", instant(seen), *(race.codes[number] for number in order(seen))))
    lines = sorted(race.tower.lines.items(), key=lambda line: int(line[0]))
    assert hidden == [
        f"{race.codes[number]} {line.l if isinstance(line.l, int) else '-'} {'pit' if line.ip is True else ''}"
        for number, line in lines
    ]


@needs_node
def test_javascript_reads_race_control_and_stints_to_their_end(race: Race, javascript: Runs):
    shown = javascript(5)
    assert len(race.race_control) > 20
    said = [
        " ".join(
            (
                instant(message),
                str(message.lap or "-"),
                next(text for text in (message.flag, message.category, "-") if isinstance(text, str)),
                message.message,
            )
        )
        for message in race.race_control
    ]
    assert shown[: len(said)] == said
    drivers = [document for document in race.documents.values() if isinstance(document, DriverDocument)]
    stints = [
        f"{driver.tla} {stint.stint} {stint.compound} {stint.laps}"
        for driver in sorted(drivers, key=lambda driver: int(driver.racing_number))
        for stint in driver.stints
    ]
    assert len(stints) > 20
    assert shown[len(said) :] == stints
