"""The look every quarter of an hour: what it costs, what it says, and when it gives up."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from flask import Flask
from google.cloud import firestore as firestore_api

from main import reconciler
from pitwall.documents import paths
from pitwall.documents.encoding import from_fields
from pitwall.documents.schedule import ScheduleDocument
from pitwall.history.reconciler import Look, look
from pitwall.pipeline.database import Database
from pitwall.pipeline.publisher import Publisher
from pitwall.settings import Settings
from pitwall.sources.archive import ArchiveNotComplete
from tests.history.conftest import Race, Writing, stored, unlike

HOUR = timedelta(hours=1)


@pytest.fixture
def was(race: Race, firestore: firestore_api.Client) -> Callable[..., None]:
    """Says in the schedule that the race was the last session, and when it ended."""

    def say(ago: timedelta = HOUR, **others: Any) -> None:
        ended = datetime.now(UTC) - ago
        last = {
            "sessionKey": race.session,
            "archivePath": "2031/a/b/",
            "year": 2031,
            "meeting": "Ardenmoor Grand Prix",
            "type": "Race",
            "name": "Race",
            "startDate": ended - 2 * HOUR,
            "endDate": ended,
            **others,
        }
        known = {key: value for key, value in last.items() if value is not None}
        schedule = {"at": ended, "last": known, "upcoming": [], "v": 1}
        assert isinstance(from_fields("schedule/f1", schedule), ScheduleDocument)
        firestore.document("schedule/f1").set(schedule)

    return say


class Archive:
    """An archive that becomes complete, or does not answer."""

    def __init__(self, race: Race, error: Exception | None = None) -> None:
        self._race = race
        self.error = error
        self.paths: list[str] = []

    @property
    def asked(self) -> int:
        return len(self.paths)

    def __call__(self, settings: Settings, path: str) -> Any:
        self.paths.append(path)
        if self.error is not None:
            raise self.error
        return self._race.source()


@pytest.fixture
def looks(settings: Settings, database: Database) -> Callable[[Archive], tuple[Look, int]]:
    """One look, and what it read in Firestore."""

    def run(archive: Archive) -> tuple[Look, int]:
        database.operations()
        found = look(settings, database, lambda: Publisher(settings.project), archive)
        return found, database.operations()["firestoreReads"]

    return run


Looks = Callable[[Archive], tuple[Look, int]]


def job(firestore: firestore_api.Client, race: Race) -> dict[str, Any]:
    return firestore.document(f"jobs/archive-{race.session}").get().to_dict() or {}


@pytest.mark.parametrize("schedule", [None, {"at": datetime.now(UTC), "upcoming": []}, {"last": "?"}])
def test_without_a_last_session_it_reads_one_document(
    race: Race, firestore: firestore_api.Client, looks: Looks, schedule: dict[str, Any] | None
) -> None:
    if schedule is not None:
        firestore.document("schedule/f1").set(schedule)
    archive = Archive(race)
    found, reads = looks(archive)
    assert (found.state, reads, archive.asked) == ("nothing-to-do", 1, 0)


def test_without_an_archive_it_reads_nothing(
    race: Race, settings: Settings, database: Database, was: Callable[..., None]
) -> None:
    was()
    archive = Archive(race)
    database.operations()
    found = look(replace(settings, history=("fastf1",)), database, lambda: Publisher(settings.project), archive)
    assert (found.state, sum(database.operations().values()), archive.asked) == ("no-archive", 0, 0)


def test_a_final_session_costs_two_reads_and_none_of_the_archive(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None]
) -> None:
    was()
    firestore.document(paths.session(race.session)).set({"final": True, "v": 1})
    archive = Archive(race)
    found, reads = looks(archive)
    assert (found.state, reads, archive.asked) == ("final", 2, 0)


def test_the_path_the_feed_told_goes_before_the_calendars(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None]
) -> None:
    archive = Archive(race, ArchiveNotComplete("still generating"))
    was()
    looks(archive)
    firestore.document(paths.session(race.session)).set({"archivePath": "2031/c/d/", "v": 1})
    looks(archive)
    was(archivePath=None)
    looks(archive)
    assert archive.paths == ["2031/a/b/", "2031/c/d/", "2031/c/d/"]


@pytest.mark.parametrize("unknown", ["archivePath", "sessionKey"])
def test_a_session_of_which_nobody_knows_where_its_archive_is_is_left(
    race: Race, looks: Looks, was: Callable[..., None], unknown: str
) -> None:
    archive = Archive(race)
    was(**{unknown: None})
    assert (looks(archive)[0].state, archive.asked) == ("nothing-to-do", 0)


def test_it_waits_for_the_archive_and_then_corrects_the_session(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None], writing: Writing
) -> None:
    was()
    archive = Archive(race, ArchiveNotComplete("still generating"))
    found, _ = looks(archive)
    assert (found.state, job(firestore, race)["state"], job(firestore, race)["v"]) == ("waiting", "waiting", 0)
    assert "still generating; looks again at 20" in job(firestore, race)["message"]
    archive.error = None
    with writing():
        assert looks(archive)[0].state == "reconciled"
        assert looks(archive)[0].state == "final"
    assert unlike(stored(firestore, race.session), race.archived.documents) == []
    assert job(firestore, race)["state"] == "done"


def test_an_archive_that_does_not_answer_is_tried_again(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None]
) -> None:
    was()
    found, _ = looks(Archive(race, OSError("no route to host")))
    assert (found.state, "no route to host" in found.detail, bool(found.again_at)) == ("failed", True, True)


def test_after_a_day_it_gives_up_and_says_why_once(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None]
) -> None:
    was()
    archive = Archive(race, ArchiveNotComplete("still generating"))
    looks(archive)
    was(25 * HOUR)
    found, _ = looks(archive)
    assert (found.state, found.again_at, archive.asked) == ("gave-up", "", 1)
    told = job(firestore, race)
    assert told["state"] == "failed"
    assert "24 hours" in told["error"]
    assert "still generating" in told["error"]
    assert looks(archive)[0] == found
    assert job(firestore, race) == told


def test_a_session_that_lasted_long_after_its_time_is_not_given_up_early(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None]
) -> None:
    was(25 * HOUR)
    firestore.document(paths.session(race.session)).set({"at": datetime.now(UTC) - 23 * HOUR, "v": 1})
    assert looks(Archive(race, ArchiveNotComplete("still generating")))[0].state == "waiting"


def test_while_the_session_is_polled_it_waits(
    race: Race, firestore: firestore_api.Client, looks: Looks, was: Callable[..., None]
) -> None:
    was()
    held = {"holder": "x", "epoch": 1, "sessionKey": race.session, "expiresAt": datetime.now(UTC) + HOUR}
    firestore.document("leases/f1").set(held)
    found, _ = looks(Archive(race))
    assert (found.state, "still polling" in found.detail) == ("waiting", True)


@pytest.mark.parametrize("body", [b"{}", b"", b'{"feed":"f1"}'])
def test_cloud_scheduler_is_answered_what_came_of_it(
    settings: Settings, firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    with Flask("reconciler").test_request_context("/", method="POST", data=body):
        answer = reconciler(flask.request)
    assert (answer.status_code, answer.get_json()) == (200, {"state": "nothing-to-do", "feed": "f1"})
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["message"], line["state"], line["firestoreReads"]) == ("looked for the archive", "nothing-to-do", 1)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"feed":"kart-x"}'])
def test_another_feed_or_no_json_is_a_bad_request(
    settings: Settings, firestore: firestore_api.Client, body: bytes
) -> None:
    with Flask("reconciler").test_request_context("/", method="POST", data=body):
        answer = reconciler(flask.request)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
