"""The command that fills in sessions: which ones, what it says, and that it can be called again."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from google.cloud import firestore as firestore_api

from local.archive import ArchiveServer
from pitwall.documents import paths
from pitwall.history.archive import Step, main, parser, select
from pitwall.message import Message
from pitwall.pipeline.database import Database
from pitwall.pipeline.store import Versioned, VersionedStore
from pitwall.settings import Settings
from pitwall.sources.archive import Archive, ArchivedSession, SessionNotFound
from tests.history.conftest import Played, Race, Writing, stored, unlike


def session(number: int, index: int, name: str, kind: str) -> ArchivedSession:
    return ArchivedSession(
        year=2031,
        round=number,
        meeting=f"Meeting {number}",
        meeting_key="",
        location="",
        country="",
        country_code="",
        circuit="",
        name=name,
        type=kind,
        key=str(9000 + number * 10 + index),
        path="" if name == "Cancelled" else f"2031/{number}/{index}/",
        start=None,
        end=None,
    )


NAMES = [("Practice 1", "Practice"), ("Qualifying", "Qualifying"), ("Race", "Race"), ("Cancelled", "Race")]
SEASON = [session(number, index, *names) for number in (1, 2, 3) for index, names in enumerate(NAMES)]


def told(session: str, messages: list[Message]) -> list[Message]:
    """The messages as those of a session with another key."""
    return [
        message._replace(data={**message.data, "Key": int(session)}) if message.topic == "SessionInfo" else message
        for message in messages
    ]


class OfTests:
    """A season whose sessions are all the same race; some cannot be opened."""

    def __init__(self, race: Race, broken: tuple[str, ...] = (), interrupted: str = "") -> None:
        self._race = race
        self._broken = broken
        self._interrupted = interrupted
        self.opened: list[tuple[str, bool]] = []

    def sessions(self, year: int, meeting: str = "", session: str = "") -> list[ArchivedSession]:
        found = [one for one in SEASON if f"Meeting {meeting}" in one.meeting and one.name.endswith(session)]
        if not found:
            raise SessionNotFound(f"nothing in {year} is called {meeting} {session}")
        return found

    def open(
        self, path: str, *, force: bool = False, telemetry: bool = True, on_progress: Step | None = None
    ) -> Played:
        session = next(one for one in SEASON if one.path == path)
        self.opened.append((session.label.removeprefix("2031 "), force))
        if session.key in self._broken:
            raise OSError("no answer")
        source = Played(told(session.key, self._race.messages), session.key)
        if session.key == self._interrupted:
            self._interrupted = ""
            return Stopped(source._messages, session.key)
        return source


class Stopped(Played):
    """Somebody presses Ctrl-C while this is played."""

    def messages(self, cursor: int = 0) -> Iterator[Message]:
        yield from list(super().messages(cursor))[:500]
        raise KeyboardInterrupt


@pytest.fixture
def env(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command reads its settings from: the emulators are named by the fixtures."""


def final(firestore: firestore_api.Client, session: str) -> bool:
    return (firestore.document(paths.session(session)).get().to_dict() or {}).get("final") is True


def test_a_session_is_filled_in_and_final_and_then_skipped(
    race: Race,
    env: None,
    firestore: firestore_api.Client,
    writing: Writing,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive, report = OfTests(race), tmp_path / "report.json"
    with writing():
        assert main(["2031", "2", "Race", "--report", str(report)], archive) == 0
        (entry,) = json.loads(report.read_text())["sessions"]
        assert main(["2031", "2", "Race"], archive) == 0
    assert (entry["state"], entry["session"]) == ("done", "9022")
    assert entry["report"]["result"]["written"] == len(race.archived.documents)
    renamed = {path.replace(race.session, "9022"): fields for path, fields in race.archived.documents.items()}
    assert unlike(stored(firestore, "9022"), renamed) == []
    assert archive.opened == [("Meeting 2, Race", False)]
    out = capsys.readouterr().out
    assert "final already" in out
    assert "\x1b" not in out, "off a terminal there are plain lines"


@pytest.fixture
def served(race: Race) -> Iterator[Archive]:
    """The race as an archive behind a real server, without the pause between requests that F1's is given."""
    with ArchiveServer() as server, Archive(server.static_url, requests_per_s=1_000.0) as archive:
        server.add(race.path)
        yield archive


@pytest.mark.e2e
def test_a_session_recorded_live_is_corrected_over_http(
    race: Race,
    env: None,
    served: Archive,
    database: Database,
    firestore: firestore_api.Client,
    writing: Writing,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The archive's instants come from its offsets, live's from the messages: they are the same ones."""
    feed = {"at": datetime.now(UTC), "source": "f1", "state": "ended", "reconnects": 0, "gatedTopics": []}
    live = {**race.heard, paths.live(race.session, "feed"): feed}
    VersionedStore(database).write([Versioned(path, fields, 2 << 32) for path, fields in live.items()])
    with writing() as pushed:
        assert main(["2026", "Ardenmoor", "Race"], served) == 0
    after = stored(firestore, race.session)
    assert unlike(after, race.archived.documents) == []
    assert after[paths.session(race.session)]["final"] is True
    assert "    laps/1 car " in capsys.readouterr().out, "the first corrections are printed"
    written = sum(len(envelope.documents) for envelope in pushed.envelopes)
    differed = set(unlike(race.heard, race.archived.documents, sources=True)) & race.archived.documents.keys()
    assert written == len(differed | {paths.session(race.session)})


def test_one_that_fails_does_not_keep_the_others_from_being_done(
    race: Race, env: None, firestore: firestore_api.Client, writing: Writing, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = OfTests(race, broken=("9021",))
    with writing():
        assert main(["2031", "2"], archive) == 1
        assert [label for label, _ in archive.opened] == ["Meeting 2, Qualifying", "Meeting 2, Race"]
    assert (final(firestore, "9021"), final(firestore, "9022")) == (False, True)
    assert "no answer" in capsys.readouterr().out


def test_interrupted_it_goes_on_where_it_was_when_called_again(
    race: Race, env: None, firestore: firestore_api.Client, writing: Writing, tmp_path: Path
) -> None:
    archive, report = OfTests(race, interrupted="9022"), tmp_path / "report.json"
    words = ["2031", "2", "--report", str(report)]
    with writing():
        assert main(words, archive) == 130
        states = [entry["state"] for entry in json.loads(report.read_text())["sessions"]]
        assert states == ["done", "interrupted"]
        job = firestore.document("jobs/archive-9022").get().to_dict() or {}
        assert job["state"] == "waiting"
        assert main(words, archive) == 0
    assert [entry["state"] for entry in json.loads(report.read_text())["sessions"]] == ["skipped", "done"]
    assert final(firestore, "9022")


def test_a_dry_run_stores_nothing(
    race: Race, env: None, firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["2031", "2", "Race", "--dry-run"], OfTests(race)) == 0
    assert stored(firestore, "9022") == {}
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "compared" in line]
    assert "lap 44 added" in line
    assert line.endswith("not final")


def test_again_compares_what_is_final_once_more(
    race: Race, env: None, firestore: firestore_api.Client, writing: Writing
) -> None:
    archive = OfTests(race)
    with writing():
        main(["2031", "2", "Race"], archive)
        firestore.document("sessions/9022/weather/99").set({"v": 1})
        assert main(["2031", "2", "Race", "--again", "--force"], archive) == 0
    assert archive.opened[-1] == ("Meeting 2, Race", True)
    assert not firestore.document("sessions/9022/weather/99").get().exists


def test_what_nothing_is_called_is_said_with_its_own_exit_code(
    race: Race, env: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["2031", "Atlantis"], OfTests(race)) == 2
    assert "Atlantis" in capsys.readouterr().err


def test_a_season_that_cannot_be_read_is_said(race: Race, env: None, capsys: pytest.CaptureFixture[str]) -> None:
    class Down(OfTests):
        def sessions(self, year: int, meeting: str = "", session: str = "") -> list[ArchivedSession]:
            raise OSError("no route to host")

    assert main(["2031"], Down(race)) == 1
    assert "no route to host" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["last"],
        ["2031", "Qatar", "--from", "3"],
        ["2031", "--types", "warm-up"],
        ["2031", "a", "b", "c"],
        ["1990"],
        ["2031", "--from", "7", "--to", "3"],
        ["2031", "--report", "/nowhere/at/all.json"],
    ],
)
def test_wrong_words_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_without_a_project_it_says_so(
    race: Race, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    assert main(["2031"], OfTests(race)) == 2
    assert "GOOGLE_CLOUD_PROJECT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["2031"], "11 12 21 22 31 32"),
        (["2031", "--all-sessions"], "10 11 12 20 21 22 30 31 32"),
        (["2031", "--types", "race"], "12 22 32"),
        (["2031", "--types", "Practice,race", "--from", "3"], "30 32"),
        (["2031", "--from", "2", "--to", "2"], "21 22"),
        (["2031", "--to", "1", "--all-sessions"], "10 11 12"),
        (["2031", "1", "Practice 1"], "10 11 12 20 21 22 30 31 32"),
    ],
)
def test_which_sessions_are_meant(words: list[str], chosen: str) -> None:
    options: Namespace = parser().parse_args(words)
    assert [session.key[2:] for session in select(SEASON, options)] == chosen.split()


@pytest.mark.e2e
def test_a_session_of_f1s_own_archive_is_filled_in(
    env: None, static_archive: Path, firestore: firestore_api.Client, writing: Writing
) -> None:
    """The Azerbaijan sprint of 2023: 17 laps, Pérez before Leclerc and Verstappen."""
    with (
        ArchiveServer([static_archive]) as server,
        Archive(server.static_url, requests_per_s=1_000.0) as archive,
        writing(),
    ):
        assert main(["2023", "Baku", "Sprint"], archive) == 0
    after = stored(firestore, "9069")
    assert after["sessions/9069"]["final"] is True
    places = {after[f"sessions/9069/drivers/{number}"]["position"]: number for number in ("11", "16", "1")}
    assert places == {1: "11", 2: "16", 3: "1"}
    assert max(fields["lap"] for path, fields in after.items() if "/laps/" in path) == 17
