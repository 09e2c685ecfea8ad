"""The backfill on a small season: whatever kills it and whatever the servers answer, nothing is lost or done twice."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
import pytest
from google.cloud import firestore as firestore_api

from local.web import FrozenWeb
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.history import backfill
from pitwall.history.backfill import Wanted, main, work
from pitwall.history.jolpica import Jolpica
from pitwall.history.official import Season, known, rounds
from pitwall.history.season import Web
from pitwall.history.season_documents import documents
from pitwall.history.stored import said
from pitwall.history.work import BadRequest, Stopped
from pitwall.pipeline.database import Database
from pitwall.pipeline.store import Versioned, VersionedStore
from pitwall.settings import Settings
from pitwall.sources.archive import Archive
from tests.history import ergast
from tests.history.backfilling import Documents, Ran, asked_at_once, everything
from tests.history.frozen import WEB, needs_web
from tests.history.seasons import ABSENT, SEASONS, tables

pytestmark = [needs_web, pytest.mark.skipif(not SEASONS.is_dir(), reason=ABSENT)]

MEETING = "2023/2023-04-30_Azerbaijan_Grand_Prix"
SPRINT = f"{MEETING}/2023-04-29_Sprint"
WORDS = ("--season", "2023", "--round", "4")
LINES = 300
"""Of the streams of its timing that are left."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A season of one meeting, with the beginning of its sprint and a race without timing; and 1988."""
    folder = tmp_path_factory.mktemp("small")
    known_tables = tables()
    assert known_tables is not None
    laps = [
        {
            "number": str(lap),
            "Timings": [
                {"driverId": "perez", "position": "1", "time": f"1:5{lap}.000"},
                {"driverId": "max_verstappen", "position": "2", "time": f"1:5{lap}.500"},
            ],
        }
        for lap in (1, 2, 3)
    ]
    ergast.write(known_tables, folder, 2023, 4, laps={4: laps})
    ergast.write(known_tables, folder, 1988)
    index = orjson.loads((WEB / "static/2023/Index.json").read_bytes().removeprefix(b"\xef\xbb\xbf"))
    (meeting,) = [one for one in index["Meetings"] if one["Name"] == "Azerbaijan Grand Prix"]
    meeting["Sessions"] = [one for one in meeting["Sessions"] if one["Key"] in (9069, 9070)]
    static = folder / "static"
    (static / "2023").mkdir(parents=True)
    (static / "2023/Index.json").write_bytes(orjson.dumps({"Year": 2023, "Meetings": [meeting]}))
    shutil.copytree(WEB / "static" / SPRINT, static / SPRINT)
    race = static / f"{MEETING}/2023-04-30_Race"
    race.mkdir()
    for name in ("TimingData", "TimingAppData"):
        stream = static / SPRINT / f"{name}.jsonStream"
        content = stream.read_bytes().splitlines(keepends=True)
        stream.chmod(0o644)
        stream.write_bytes(b"".join(content[:LINES]))
    for name in ("SessionInfo", "DriverList", "SessionStatus"):
        text = (static / SPRINT / f"{name}.jsonStream").read_bytes()
        for old, new in ((b"9069", b"9070"), (b"2023-04-29_Sprint", b"2023-04-30_Race"), (b'"Sprint"', b'"Race"')):
            text = text.replace(old, new)
        (race / f"{name}.jsonStream").write_bytes(text)
    return folder


@pytest.fixture
def web(small: Path) -> Iterator[FrozenWeb]:
    with FrozenWeb(small) as running:
        yield running


@pytest.fixture
def env(web: FrozenWeb, firestore: firestore_api.Client, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets what the command reads its settings from; called with a project, another one."""
    monkeypatch.setenv("PITWALL_HISTORY", "f1")
    for name, url in web.settings.items():
        monkeypatch.setenv(f"PITWALL_{name.upper()}", url)
    return lambda project: monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", project)


def alike(every: Documents) -> Documents:
    """What two runs have to have in common: versions and when things were written may differ, and how often it began.

    `at` of what is not of the feed is when it was written.
    """

    def of_the_feed(path: str) -> bool:
        return path.startswith("sessions/") and "/results/" not in path and not path.startswith("sessions/9070/laps/")

    return {
        path: {name: value for name, value in fields.items() if of_the_feed(path) or name != "at"}
        | dict.fromkeys(("v", "writtenAt"))
        for path, fields in every.items()
        if not path.startswith(("jobs/", "leases/"))
    }


# -- killed ----------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


class Edges:
    """Counts what goes out to a server, before and after each; kills at one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, kill: Callable[[], None]) -> None:
        self.count = 0
        self.at: int | None = None
        self._kill = kill
        for owner, name in ((Database, "commit"), (Database, "read"), (Database, "query"), (httpx.Client, "send")):
            patch.setattr(owner, name, self._edge(getattr(owner, name)))

    def _edge(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **options: Any) -> Any:
            self._one()
            answer = call(*args, **options)
            self._one()
            return answer

        return counted

    def _one(self) -> None:
        self.count += 1
        if self.count == self.at:
            self._kill()


def killed() -> None:
    raise Killed


@pytest.fixture(scope="module")
def whole_runs() -> list[Documents]:
    """What one run that nothing interrupted has stored; empty until there was one."""
    return []


@pytest.fixture
def uninterrupted(
    env: Callable[[str], None], whole_runs: list[Documents], firestore: firestore_api.Client, tmp_path: Path
) -> Documents:
    if not whole_runs:
        Ran(tmp_path, *WORDS)
        whole_runs.append(alike(everything(firestore)))
    return whole_runs[0]


@pytest.mark.whole
def test_a_run_killed_at_seeded_moments_and_called_again_equals_one_that_was_not(
    uninterrupted: Documents, env: Callable[[str], None], project: str, tmp_path: Path
):
    with pytest.MonkeyPatch.context() as patch:
        edges = Edges(patch, killed)
        env(f"{project}-whole")
        Ran(tmp_path, *WORDS)
        whole = edges.count
        moments = random.Random(6).sample(range(1, whole + 1), 7)
        for moment in moments:
            env(f"{project}-{moment}")
            edges.count, edges.at = 0, moment
            with pytest.raises(Killed):
                main(WORDS, asked_at_once)
            edges.at = None
            Ran(tmp_path, *WORDS, stale_s=0.0)
            client = firestore_api.Client(project=f"{project}-{moment}")
            assert alike(everything(client)) == uninterrupted, f"killed at {moment} of {whole}"
            client.close()


_PROGRAM = """
import os, sys
import pytest
from pitwall.history.backfill import main
from tests.history.backfilling import asked_at_once
from tests.history.test_backfill import Edges
with pytest.MonkeyPatch.context() as patch:
    Edges(patch, lambda: os._exit(9)).at = int(sys.argv[1])
    main(sys.argv[2:], asked_at_once)
"""


@pytest.mark.parametrize("moment", random.Random(9).sample(range(20, 90), 3))
def test_a_process_that_is_gone_at_a_seeded_moment_leaves_what_the_next_one_finishes(
    moment: int,
    uninterrupted: Documents,
    env: Callable[[str], None],
    project: str,
    tmp_path: Path,
):
    env(f"{project}-gone")
    run = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(moment), *WORDS], capture_output=True, text=True, check=False
    )
    assert run.returncode == 9, run.stderr
    Ran(tmp_path, *WORDS, stale_s=0.0)
    client = firestore_api.Client(project=f"{project}-gone")
    assert alike(everything(client)) == uninterrupted
    client.close()


def test_a_session_that_another_is_at_is_done_last_once_that_has_gone(
    env: Callable[[str], None], database: Database, tmp_path: Path
):
    begun = {"kind": "archive", "state": "running", "progress": 0, "at": datetime.now(UTC), "v": 1 << 32}
    job = paths.job("archive", "9069")
    database.commit([database.write(job, begun)])
    waited: list[float] = []

    def gone(seconds: float) -> None:
        waited.append(seconds)
        database.commit([database.delete(job)])

    run = Ran(tmp_path, *WORDS, sleep=gone)
    sessions = [entry["session"] for entry in run.report["entries"] if entry.get("key")]
    assert (sessions, run.of("Sprint")["state"], len(waited)) == (["Race", "Sprint"], "done", 1)


# -- servers that misbehave ------------------------------------------------------------------


def test_what_passes_is_asked_for_again(env: Callable[[str], None], web: FrozenWeb, tmp_path: Path):
    web.refuse(502, 2, fits="jolpica/2023/4/sprint.json*")
    web.refuse(429, retry_after="1", fits="static/*TimingData.jsonStream")
    web.garble("html", fits="jolpica/2023/4/qualifying.json*")
    run = Ran(tmp_path, *WORDS, "--session", "S")
    assert (run.code, run.of("Sprint")["state"]) == (0, "done")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda web: web.garble("html", None, fits="jolpica/*"), "HTML"),
        (lambda web: web.refuse(502, None, fits="jolpica/*"), "502"),
        (lambda web: web.refuse(429, None, fits="jolpica/*", retry_after="9999"), "9999 s"),
    ],
    ids=["html", "502", "429"],
)
def test_while_results_cannot_be_had_timing_is_filled_in_and_results_the_next_time(
    env: Callable[[str], None],
    web: FrozenWeb,
    firestore: firestore_api.Client,
    uninterrupted: Documents,
    project: str,
    tmp_path: Path,
    wrong: Callable[[FrozenWeb], None],
    says: str,
):
    env(f"{project}-wrong")
    wrong(web)
    first = Ran(tmp_path, *WORDS)
    assert (first.code, first.of("sprints")["state"], first.of("Sprint")["state"]) == (1, "failed", "done")
    assert says in first.of("results")["error"]
    web.allow()
    Ran(tmp_path, *WORDS)
    client = firestore_api.Client(project=f"{project}-wrong")
    assert alike(everything(client)) == uninterrupted
    client.close()


def test_an_archive_without_timing_gives_what_it_has_and_jolpica_the_laps_until_it_is_whole(
    env: Callable[[str], None], web: FrozenWeb, firestore: firestore_api.Client, small: Path, tmp_path: Path
):
    first = Ran(tmp_path, *WORDS, "--session", "R")
    assert (first.code, first.of("Race")["state"]) == (1, "missing")
    assert "no timing" in first.of("Race")["error"]
    session = firestore.document(paths.session("9070")).get().to_dict() or {}
    assert (session["final"], session["round"]) == (False, 4)
    lap = firestore.document(paths.lap("9070", 2)).get().to_dict() or {}
    assert lap["drivers"]["11"] == {"lapTimeMs": 112_000, "position": 1}
    counted = firestore.document(paths.contribution(2023, 4)).get().to_dict() or {}
    assert counted["lapsLed"] == {"perez": 3}
    timing = (small / "static" / SPRINT / "TimingData.jsonStream").read_bytes()
    web.write(f"{MEETING}/2023-04-30_Race/TimingData.jsonStream", timing)
    assert Ran(tmp_path, *WORDS, "--session", "R").code == 0
    session = firestore.document(paths.session("9070")).get().to_dict() or {}
    assert session["final"] is True
    assert not firestore.document(paths.lap("9070", 3)).get().exists, "F1's archive is taken at its word"


def test_results_of_a_round_that_is_counted_otherwise_are_not_taken_for_a_sessions(
    env: Callable[[str], None], small: Path, web: FrozenWeb, firestore: firestore_api.Client, tmp_path: Path
):
    """As where FastF1 does not tell which meetings count, and one before was cancelled."""
    file = small / "jolpica/2023/4/sprint.json"
    told = file.read_bytes()
    file.write_bytes(told.replace(b"2023-04-30", b"2023-05-07").replace(b"Azerbaijan Grand Prix", b"Miami Grand Prix"))
    try:
        run = Ran(tmp_path, *WORDS, "--session", "S")
    finally:
        file.write_bytes(told)
    assert run.of("Sprint")["refused"] == ["round 4 of Jolpica is the Miami Grand Prix of 2023-05-07"]
    assert list(firestore.collection(paths.results("9069")).stream()) == []


def test_laps_that_were_heard_live_and_a_kart_track_with_the_id_of_a_circuit_are_not_replaced(
    env: Callable[[str], None], database: Database, firestore: firestore_api.Client, tmp_path: Path
):
    heard = {"at": datetime(2023, 4, 30, 11, 5, tzinfo=UTC), "lap": 1, "drivers": {"11": {"sector1Ms": 36_000}}}
    VersionedStore(database).write([Versioned(paths.lap("9070", 1), heard, 2 << 32)])
    track = firestore.document(paths.circuit("baku"))
    track.set({"nom": "Baku Karting"})
    run = Ran(tmp_path, *WORDS, "--session", "R")
    assert [lap.to_dict()["drivers"] for lap in firestore.collection(paths.laps("9070")).stream()] == [heard["drivers"]]
    assert track.get().to_dict() == {"nom": "Baku Karting"}
    assert "kart track" in run.of("circuit baku")["error"]


def test_when_f1s_archive_keeps_failing_it_is_let_alone_and_results_are_stored(
    env: Callable[[str], None], web: FrozenWeb, firestore: firestore_api.Client, tmp_path: Path
):
    web.refuse(502, None, fits="static/*Azerbaijan*")
    run = Ran(tmp_path, *WORDS)
    assert (run.code, run.of("Race")["state"], run.of("Sprint")["state"]) == (1, "failed", "failed")
    assert "502" in run.of("Sprint")["error"]
    assert (firestore.document(paths.result("9069", "11")).get().to_dict() or {})["position"] == 1
    assert (firestore.document(paths.session("9069")).get().to_dict() or {})["final"] is False


def test_without_a_calendar_the_stored_one_will_do(env: Callable[[str], None], web: FrozenWeb, tmp_path: Path):
    Ran(tmp_path, *WORDS, "--session", "S")
    web.hide("2023/Index.json")
    run = Ran(tmp_path, *WORDS, "--session", "S")
    assert (run.code, run.of("calendar")["state"], run.of("Sprint")["state"]) == (1, "failed", "skipped")


def test_without_any_calendar_nothing_is_done(
    env: Callable[[str], None], web: FrozenWeb, firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
):
    web.hide("2023/Index.json")
    assert main(WORDS, asked_at_once) == 1
    assert "2023/Index.json" in capsys.readouterr().err
    assert everything(firestore) == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--season", "1949"), "1949 is no season"),
        (("--season", "2999"), "2999 is no season"),
        (("--season", "abc"), "'abc' is no season"),
        (("--season", "2024-2023"), "no seasons from 2024 to 2023"),
        (("--season", "2023", "--round", "99"), "2023 has no round 99: it has 1 to 4"),
        (("--season", "2023", "--round", "0"), "no rounds from 0 to 0"),
        (("--season", "2023", "--round", "4", "--from", "3"), "either one round"),
        (("--season", "2023", "--session", "warmup"), "there is Sprint, Race"),
    ],
)
def test_what_there_is_not_is_told_in_words(
    env: Callable[[str], None], words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
):
    assert main(words, asked_at_once) == 2
    assert says in capsys.readouterr().err


# -- the job ---------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "web_of", asked_at_once)


@pytest.fixture
def database(project: str, firestore: firestore_api.Client) -> Iterator[Database]:
    opened = Database(project)
    yield opened
    opened.close()


def test_the_job_tells_how_far_it_is_and_what_came_of_it(env: Callable[[str], None], at_once: None, database: Database):
    told: list[tuple[float, str]] = []
    request = {"season": 2023, "round": 4, "session": "S"}
    result = work(Settings.from_env(), database, request, lambda done, what: told.append((done, what)))
    done = [share for share, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0.0, 1.0)
    assert any("Azerbaijan Grand Prix, Sprint: playing the archive" in what for _, what in told)
    assert msgspec.json.decode(msgspec.json.encode(result)) == result
    assert (result["states"]["done"], result["refused"]) == (4, 0)


def test_a_job_that_is_stopped_goes_on_when_it_is_called_again(
    env: Callable[[str], None],
    at_once: None,
    database: Database,
    firestore: firestore_api.Client,
    uninterrupted: Documents,
    project: str,
):
    class OutOfTime(Stopped):
        pass

    def stopping(done: float, what: str) -> None:
        if done > 0.4:
            raise OutOfTime

    settings, other = Settings.from_env(), Database(f"{project}-stopped")
    request = {"season": 2023, "round": 4}
    with pytest.raises(OutOfTime):
        work(settings, other, request, stopping)
    work(settings, other, request, lambda done, what: None)
    client = firestore_api.Client(project=f"{project}-stopped")
    assert alike(everything(client)) == uninterrupted
    client.close()
    other.close()


def test_a_job_fails_passing_while_a_server_does(
    env: Callable[[str], None], at_once: None, database: Database, web: FrozenWeb
):
    web.refuse(502, None, fits="jolpica/*")
    with pytest.raises(OSError, match="502"):
        work(Settings.from_env(), database, {"season": 2023, "round": 4}, lambda done, what: None)


def test_a_job_that_waits_for_a_servers_patience_says_so_and_can_be_stopped_meanwhile(
    env: Callable[[str], None], database: Database, web: FrozenWeb
):
    class Cancelled(Stopped):
        pass

    def progress(done: float, what: str) -> None:
        if "before a server is asked again" in what:
            raise Cancelled(what)

    web.refuse(429, None, fits="jolpica/*", retry_after="250")
    with pytest.raises(Cancelled, match=r"waiting 2\d\d s"):
        work(Settings.from_env(), database, {"season": 2023, "round": 4, "session": "S"}, progress)


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"season": "x"},
        {"season": 2023, "round": "four"},
        {"season": 2023, "rounds": 4},
        {"season": 2023, "round": 77},
    ],
)
def test_a_bad_request_is_refused(
    env: Callable[[str], None], at_once: None, database: Database, request_: Mapping[str, Any]
):
    with pytest.raises(BadRequest):
        work(Settings.from_env(), database, request_, lambda done, what: None)


# -- before F1's archive ---------------------------------------------------------------------


def test_a_season_before_f1s_archive_comes_from_jolpica_alone(
    env: Callable[[str], None], web: FrozenWeb, firestore: firestore_api.Client, tmp_path: Path
):
    first = Ran(tmp_path, "--season", "1988")
    assert first.code == 0
    every = everything(firestore)
    with Jolpica(web.settings["jolpica_url"], sleep=lambda _: None) as jolpica:
        results = jolpica.results(1988)
    season = Season(results=results)
    expected = documents(rounds(season, {}, {}), datetime.now(UTC), known(results))
    assert {path: said(every[path]) for path in expected} == {
        path: said(to_fields(document)) for path, document in expected.items()
    }
    assert every["drivers/senna"]["statistics"]["wins"] == 8
    (session,) = every[paths.event(1988, "4")]["sessions"]
    assert session["sessionKey"] == "f1-1988-4-race"
    stored = every[paths.session("f1-1988-4-race")]
    assert (stored["final"], stored["year"], stored["round"], stored["name"]) == (True, 1988, 4, "Race")
    third = next(race for race in results if race.round == 4)
    assert len([path for path in every if path.startswith("sessions/f1-1988-4-race/results/")]) == len(third.results)
    before = len(web.asked)
    second = Ran(tmp_path, "--season", "1988")
    assert (second.code, second.report["firestoreWrites"]) == (0, 0)
    assert second.report["firestoreReads"] <= 1 + 16 + 1
    assert len(web.asked) - before == 5, "pages of the results, and no more"


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    env: Callable[[str], None], firestore: firestore_api.Client, tmp_path: Path
):
    run = Ran(tmp_path, *WORDS, "--session", "S", "--dry-run")
    assert run.of("Sprint")["written"] > 40
    assert everything(firestore) == {}


def test_off_a_terminal_every_line_says_year_round_and_session(
    env: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    Ran(tmp_path, *WORDS, "--session", "R")
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == [
        "INFO    2023 calendar",
        "WARNING 2023 round 4 Race",
        "INFO    2023 standings and statistics",
    ]
    assert "\x1b" not in "".join(lines)


def test_interrupted_it_says_so_and_goes_on_when_called_again(env: Callable[[str], None], tmp_path: Path):
    class Pressed(Archive):
        """Somebody presses Ctrl-C while a session is fetched."""

        def open(self, path: str, **options: Any) -> Any:
            raise KeyboardInterrupt

    @contextmanager
    def pressed(settings: Settings, cache: Path | None, sleep: Callable[[float], None]) -> Iterator[Web]:
        with asked_at_once(settings, cache, sleep) as web, Pressed(f"{settings.f1_url}/static/") as archive:
            yield web._replace(archive=archive)

    first = Ran(tmp_path, *WORDS, "--session", "S", opening=pressed)
    assert (first.code, first.of("Sprint")["state"]) == (130, "interrupted")
    assert Ran(tmp_path, *WORDS, "--session", "S").code == 0


def test_several_seasons_are_one_range():
    choices = Wanted(season="1998-2001", first=3).choices(2026)
    assert [(choice.year, choice.rounds) for choice in choices] == [(year, (3, 1_000)) for year in range(1998, 2002)]
