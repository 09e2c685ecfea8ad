"""A session recorded live with a hole, corrected from its archive: on the emulators, with the writer behind push."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore as firestore_api

from pitwall.documents import paths
from pitwall.documents.paths import kind_of
from pitwall.documents.schema import validate
from pitwall.history.differences import OF_THE_MOMENT
from pitwall.history.job import JobLost, JobRunning
from pitwall.history.reconcile import Implausible, NotStored, Report, StillPolled, reconcile
from pitwall.message import Message
from pitwall.pipeline.database import Database
from pitwall.pipeline.envelope import split_version
from pitwall.pipeline.poller import Poller, open_source
from pitwall.pipeline.publisher import Publisher
from pitwall.pipeline.store import Versioned, VersionedStore
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording
from tests.history.conftest import Played, Race, Writing, stored, unlike, wait_until
from tests.pipeline.conftest import write_recording

ROOT = Path(__file__).resolve().parents[2]


ALL_BUT_FINAL = 1_000_000


class Killed(BaseException):
    """Stands for `kill -9`: nothing in the job may catch it."""


class Dying(Publisher):
    """A publisher whose process is killed when it is about to publish its n-th message."""

    def __init__(self, project: str, lives: int) -> None:
        super().__init__(project)
        self._lives = lives

    def publish(self, topic: str, key: str, data: bytes, **attributes: str) -> None:
        if self.messages == self._lives or (self._lives == ALL_BUT_FINAL and b'"final":true' in data):
            raise Killed
        super().publish(topic, key, data, **attributes)
        # What was handed over is under way, whatever becomes of this process.
        while not self.acknowledged(self.messages):
            self.wait(0.1)


@pytest.fixture
def publisher_of(project: str, settings: Settings) -> Iterator[Callable[..., Publisher]]:
    made: list[Publisher] = []

    def make(lives: int | None = None) -> Publisher:
        made.append(Publisher(project) if lives is None else Dying(project, lives))
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


@pytest.fixture
def store_live(database: Database) -> Callable[[Race, dict[str, Any]], None]:
    """Stores documents as a poller would have that made them of what it heard, under epoch 2."""

    def store(race: Race, documents: dict[str, Any]) -> None:
        written_at = datetime.now(UTC)
        feed = {"at": written_at, "source": "f1", "state": "ended", "reconnects": 1, "gatedTopics": []}
        told = {**documents, paths.live(race.session, "feed"): feed}
        VersionedStore(database).write(
            [Versioned(path, {**fields, "writtenAt": written_at}, 2 << 32) for path, fields in told.items()]
        )

    return store


def correct(settings: Settings, database: Database, publisher: Publisher, source: Any, **how: Any) -> Report:
    return reconcile(settings, database, publisher, source, stored_within_s=30.0, **how)


def job(firestore: firestore_api.Client, race: Race) -> dict[str, Any]:
    fields: dict[str, Any] = firestore.document(f"jobs/archive-{race.session}").get().to_dict() or {}
    return fields


@pytest.mark.e2e
def test_a_live_run_with_a_hole_is_corrected_to_what_the_archive_says(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    writing: Writing,
    tmp_path: Path,
) -> None:
    """From the poller through push and writer; the poller's epoch is 1, and two documents are there too many."""
    recording = write_recording(tmp_path / "live.jsonl", race.with_a_hole())
    live = replace(settings, source=f"recording:{recording}", speed=math.inf, invocation_s=120.0)
    surplus = [paths.lap(race.session, 99), paths.series(race.session, "weather", 99)]
    with writing() as pushed:
        assert Poller(live, database, open_source).run().outcome == "ended"
        feed = firestore.document(paths.live(race.session, "feed"))
        wait_until(
            lambda: pushed.whole() and (feed.get().to_dict() or {}).get("state") == "ended", "the live run is stored"
        )
        before = stored(firestore, race.session)
        lap_one, weather = before[paths.lap(race.session, 1)], before[paths.series(race.session, "weather", 0)]
        firestore.document(surplus[0]).set({**lap_one, "lap": 99})
        firestore.document(surplus[1]).set({**weather, "n": 99})
        pushed.envelopes.clear()
        report = correct(settings, database, publisher_of(), race.source())
    after = stored(firestore, race.session)

    record = {path: fields for path, fields in after.items() if kind_of(path).name not in OF_THE_MOMENT}
    assert unlike(record, race.archived.documents) == []
    assert after[paths.session(race.session)]["final"] is True
    assert not set(surplus) & set(after)

    differed = set(unlike(before, race.archived.documents, sources=True)) & race.archived.documents.keys()
    told = [document.path for envelope in pushed.envelopes for document in envelope.documents]
    deleted = [path for envelope in pushed.envelopes for path in envelope.deletes]
    assert sorted(told) == sorted(differed | {paths.session(race.session)})
    assert sorted(deleted) == sorted(surplus)
    assert {envelope.epoch for envelope in pushed.envelopes} == {2}
    assert told[-1] == paths.session(race.session)
    assert len(differed) < len(race.archived.documents) / 2
    untouched = before.keys() & after.keys() - set(told)
    assert {path: before[path] for path in untouched} == {path: after[path] for path in untouched}

    assert (report.final, report.epoch, report.published) == (True, 2, len(pushed.envelopes))
    assert (report.result.written, report.result.deleted) == (len(differed), 2)
    assert report.result.changes["lap"].removed >= 1
    for path, fields in after.items():
        validate(path, _exported(fields))
    validate(f"jobs/archive-{race.session}", _exported(job(firestore, race)))


def _exported(fields: dict[str, Any]) -> dict[str, Any]:
    from local.export import jsonable

    exported: dict[str, Any] = jsonable(fields)
    return exported


def test_lap_times_that_live_lacked_say_that_they_are_from_the_archive(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    store_live(race, race.archived.documents)
    path = paths.lap(race.session, 2)
    number = next(iter(race.archived.documents[path]["drivers"]))
    firestore.document(path).update({f"drivers.`{number}`.lapTimeMs": 1})
    with writing():
        correct(settings, database, publisher_of(), race.source())
    sources = {
        (lap, car): told.get("timeSource")
        for lap, fields in stored(firestore, race.session).items()
        if "/laps/" in lap
        for car, told in fields["drivers"].items()
    }
    assert [key for key, source in sources.items() if source == "archive"] == [(path, number)]


def test_a_reconciled_session_is_published_no_more(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    store_live(race, race.heard)
    with writing() as pushed:
        first = correct(settings, database, publisher_of(), race.source())
        after, told = stored(firestore, race.session), len(pushed.envelopes)
        again = publisher_of()
        second = correct(settings, database, again, race.source())
    assert (again.messages, len(pushed.envelopes)) == (0, told)
    assert stored(firestore, race.session) == after
    assert (second.final, second.result.written, second.result.deleted) == (True, 0, 0)
    assert first.result.written > 0
    assert job(firestore, race)["result"]["written"] == first.result.written, "the job still says what was corrected"


def test_a_session_nobody_recorded_is_stored_whole_and_its_lap_times_are_the_feeds(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    writing: Writing,
) -> None:
    with writing():
        report = correct(settings, database, publisher_of(), race.source())
    after = stored(firestore, race.session)
    plain = {
        path: {key: value for key, value in fields.items() if key not in ("v", "writtenAt")}
        for path, fields in after.items()
    }
    session = {**race.archived.documents[paths.session(race.session)], "final": True}
    assert plain == {**race.archived.documents, paths.session(race.session): session}
    assert (report.epoch, report.result.written) == (1, len(race.archived.documents))


@pytest.mark.parametrize("lives", [0, 1, ALL_BUT_FINAL])
def test_killed_at_any_point_nothing_is_lost_or_doubled(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
    lives: int,
) -> None:
    """Killed before the first publish, between two, and before the one that makes the session final."""
    store_live(race, race.heard)
    surplus = paths.series(race.session, "weather", 99)
    firestore.document(surplus).set({**race.archived.documents[paths.series(race.session, "weather", 0)], "v": 2 << 32})
    with writing() as pushed:
        with pytest.raises(Killed):
            correct(settings, database, publisher_of(lives), race.source())
        half = stored(firestore, race.session)
        assert half[paths.session(race.session)]["final"] is False
        assert job(firestore, race)["state"] == "running"
        if lives != ALL_BUT_FINAL:
            wait_until(lambda: len(pushed.envelopes) == lives, "what was published before has been stored")
        report = correct(settings, database, publisher_of(), race.source(), stale_s=0.0)
    after = stored(firestore, race.session)
    assert unlike(after, race.archived.documents) == []
    assert after[paths.session(race.session)]["final"] is True
    assert report.final
    told = job(firestore, race)
    assert (told["state"], told["progress"]) == ("done", 100)
    assert told["result"]["deleted"] == 1, "what the killed run had found is still told"


def test_killed_for_good_while_it_waits_for_the_writer_the_next_run_finishes(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
    tmp_path: Path,
) -> None:
    """`kill -9` of a real process; there is no writer, so all that it published is lost as well."""
    store_live(race, race.heard)
    recording = write_recording(tmp_path / "archive.jsonl", race.messages)
    program = (
        "import sys; sys.path[:0] = ['functions']\n"
        "from pitwall.history.reconcile import reconcile\n"
        "from pitwall.pipeline.database import Database\n"
        "from pitwall.pipeline.publisher import Publisher\n"
        "from pitwall.settings import Settings\n"
        "from pitwall.sources.recording import open_recording\n"
        "settings = Settings.from_env()\n"
        "source = open_recording(sys.argv[1])\n"
        "reconcile(settings, Database(settings.project), Publisher(settings.project), source)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(recording)], cwd=ROOT, env=dict(os.environ)) as process:
        wait_until(
            lambda: job(firestore, race).get("message", "").startswith("correcting") or process.poll() is not None,
            "it has published",
        )
        process.send_signal(signal.SIGKILL)
    assert stored(firestore, race.session)[paths.session(race.session)]["final"] is False
    with writing():
        with pytest.raises(JobRunning):
            correct(settings, database, publisher_of(), open_recording(recording))
        correct(settings, database, publisher_of(), open_recording(recording), stale_s=0.0)
    after = stored(firestore, race.session)
    assert unlike(after, race.archived.documents) == []
    assert after[paths.session(race.session)]["final"] is True


def test_two_at_once_exclude_each_other(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    writing: Writing,
) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    class Meeting(Played):
        """The archive is read only by the one that got the job."""

        def messages(self, cursor: int = 0) -> Iterator[Message]:
            wait_until(lambda: len(outcomes) == 1, "the other has been refused")
            return super().messages(cursor)

    def one() -> None:
        barrier.wait(10)
        try:
            correct(settings, database, publisher_of(), Meeting(race.messages, race.session))
            outcomes.append("done")
        except JobRunning:
            outcomes.append("refused")

    with writing():
        threads = [threading.Thread(target=one) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == ["refused", "done"]


def test_a_run_whose_job_was_taken_over_stops(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    store_live(race, race.heard)

    class Overtaken(Played):
        """While this one is still reading the archive, another takes the job for killed and does it."""

        def messages(self, cursor: int = 0) -> Iterator[Message]:
            correct(settings, database, publisher_of(), race.source(), stale_s=0.0)
            return super().messages(cursor)

    slow = publisher_of()
    with writing(), pytest.raises(JobLost):
        # What it would correct is corrected, so it must be told by its job's document.
        correct(settings, database, slow, Overtaken(race.messages, race.session))
    assert slow.messages == 0
    assert job(firestore, race)["state"] == "done"


def test_what_an_abandoned_holder_still_sends_loses(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    store_live(race, race.heard)
    with writing() as pushed:
        correct(settings, database, publisher_of(), race.source())
    after = stored(firestore, race.session)
    told = {document.path for envelope in pushed.envelopes for document in envelope.documents}
    assert told
    late = [Versioned(path, {**after[path], "at": datetime.now(UTC)}, (2 << 32) + 99_999) for path in told]
    assert VersionedStore(database).write(late).stale == len(told)
    assert stored(firestore, race.session) == after


def test_a_later_holder_of_the_session_begins_above(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    firestore.document("leases/f1").set({"epoch": 2, "sessionKey": race.session, "source": "f1"})
    store_live(race, race.heard)
    with writing():
        report = correct(settings, database, publisher_of(), race.source())
    lease = firestore.document("leases/f1").get().to_dict() or {}
    assert (report.epoch, lease) == (3, {"epoch": 3, "sessionKey": race.session, "source": "f1"})


def test_a_lease_somebody_holds_for_another_session_is_left_alone(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    writing: Writing,
) -> None:
    held = {"holder": "x", "epoch": 1, "sessionKey": "1", "expiresAt": datetime.now(UTC) + timedelta(hours=1)}
    firestore.document("leases/f1").set(held)
    with writing():
        assert correct(settings, database, publisher_of(), race.source()).final
    assert firestore.document("leases/f1").get().to_dict() == held


def test_a_session_that_is_still_polled_is_left_alone(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
) -> None:
    held = {"holder": "x", "epoch": 1, "sessionKey": race.session, "expiresAt": datetime.now(UTC) + timedelta(hours=1)}
    firestore.document("leases/f1").set(held)
    with pytest.raises(StillPolled):
        correct(settings, database, publisher_of(), race.source())
    assert job(firestore, race) == {}


def test_without_a_writer_it_fails_and_says_what_is_missing(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
) -> None:
    with pytest.raises(NotStored, match=r"the writer has not stored \d+ of \d+ documents"):
        reconcile(settings, database, publisher_of(), race.source(), stored_within_s=0.3)
    told = job(firestore, race)
    assert told["state"] == "failed"
    assert "sessions/" in told["error"]


def test_an_archive_that_would_take_most_laps_away_is_not_believed(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
) -> None:
    store_live(race, race.archived.documents)
    before = stored(firestore, race.session)
    cut = Played(race.messages[: len(race.messages) // 4], race.session)
    with pytest.raises(Implausible, match="laps"):
        correct(settings, database, publisher_of(), cut)
    assert stored(firestore, race.session) == before


def test_an_archive_without_timing_takes_no_lap_away(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    store_live(race, race.archived.documents)
    untimed = [message for message in race.messages if message.topic not in ("TimingData", "TimingAppData")]
    with writing():
        assert correct(settings, database, publisher_of(), Played(untimed, race.session)).final
    assert unlike(stored(firestore, race.session), race.archived.documents) == []


def test_a_dry_run_tells_and_touches_nothing(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
) -> None:
    store_live(race, race.heard)
    before, publisher = stored(firestore, race.session), publisher_of()
    report = correct(settings, database, publisher, race.source(), dry_run=True)
    assert report.result.changes["lap"].changed > 0
    assert (report.final, publisher.messages, job(firestore, race)) == (False, 0, {})
    assert stored(firestore, race.session) == before


def test_the_epoch_is_above_every_one_that_is_stored(
    race: Race,
    settings: Settings,
    database: Database,
    firestore: firestore_api.Client,
    publisher_of: Callable[..., Publisher],
    store_live: Callable[..., None],
    writing: Writing,
) -> None:
    """One lap is of epoch 9, though nothing that is written often is."""
    store_live(race, race.archived.documents)
    path = paths.lap(race.session, 2)
    firestore.document(path).update({"v": 9 << 32, "at": datetime(2000, 1, 1, tzinfo=UTC)})
    with writing():
        assert correct(settings, database, publisher_of(), race.source()).epoch == 10
    assert split_version(stored(firestore, race.session)[path]["v"])[0] == 10
