"""The document of a job: who is at it, and what it last said."""

from __future__ import annotations

from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from pitwall.documents.job import KindChanges, Reconciled
from pitwall.history.job import Job, JobLost, JobRunning
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.envelope import split_version

PATH = "jobs/archive-7001"


def start(database: Database, stale_s: float = 300.0) -> Job:
    return Job.start(database, "archive", "7001", lambda epoch: epoch + 1, "playing", stale_s)


def found(firestore: firestore_api.Client) -> dict[str, Any]:
    return firestore.document(PATH).get().to_dict() or {}


def result(written: int) -> Reconciled:
    changes = {"lap": KindChanges(added=0, changed=written, removed=0, fields={}, examples=[])}
    return Reconciled(messages=1, compared=9, written=written, deleted=0, changes=changes)


def test_a_running_job_is_not_started_again(database: Database, firestore: firestore_api.Client) -> None:
    start(database)
    with pytest.raises(JobRunning, match="try again in"):
        start(database)


@pytest.mark.parametrize("state", ["done", "failed", "waiting"])
def test_a_job_that_is_not_running_is_started_under_the_next_epoch(
    database: Database, firestore: firestore_api.Client, state: Any
) -> None:
    start(database).tell(state, "")
    assert start(database).epoch == 2
    assert (found(firestore)["state"], split_version(found(firestore)["v"])[0]) == ("running", 2)


def test_one_that_was_killed_is_taken_over_and_finds_out_if_it_was_not(
    database: Database, firestore: firestore_api.Client
) -> None:
    before = start(database)
    start(database, stale_s=0.0).tell("running", "the other")
    with pytest.raises(JobLost):
        before.tell("done", "")
    assert found(firestore)["message"] == "the other"


def test_an_answer_that_was_lost_is_not_taken_for_somebody_elses_word(
    database: Database, firestore: firestore_api.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, commit = start(database), database.commit

    def lost(writes: Any) -> Any:
        commit(writes)
        raise Unavailable("deadline exceeded")

    monkeypatch.setattr(database, "commit", lost)
    with pytest.raises(Unavailable):
        job.tell("running", "half")
    monkeypatch.setattr(database, "commit", commit)
    job.tell("done", "all")
    assert found(firestore)["message"] == "all"


def test_waiting_takes_no_epoch(database: Database, firestore: firestore_api.Client) -> None:
    """The writer holds late messages against it: what is late of a session that only waits must be stored."""
    Job.wait(database, "archive", "7001", "waiting", "the archive is not complete")
    assert (found(firestore)["state"], found(firestore)["v"]) == ("waiting", 0)
    assert start(database).epoch == 1


def test_one_that_is_running_is_not_said_to_wait(database: Database, firestore: firestore_api.Client) -> None:
    start(database)
    Job.wait(database, "archive", "7001", "waiting", "the archive is not complete")
    assert found(firestore)["state"] == "running"


@pytest.mark.parametrize(
    ("first", "ended", "second", "told"),
    [(30, False, 4, 30), (30, True, 0, 30), (30, True, 4, 4), (4, False, 30, 30)],
    ids=["goes on after a killed one", "finds nothing more", "finds something new", "finds more than a killed one"],
)
def test_what_was_corrected_is_told_over_several_runs(
    database: Database, firestore: firestore_api.Client, first: int, ended: bool, second: int, told: int
) -> None:
    job = start(database)
    job.result = result(first)
    job.tell("done" if ended else "running", "")
    job = start(database, stale_s=0.0)
    job.result = result(second)
    job.tell("done", "")
    assert found(firestore)["result"]["written"] == told
