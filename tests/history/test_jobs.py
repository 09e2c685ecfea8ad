"""The function `jobs`: whatever becomes of messages and workers, a job's work is done, once, or it says why not."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1

from local.functions import FunctionServer, Supervisor
from local.processes import Processes
from pitwall.history import job as job_module
from pitwall.history import work
from pitwall.history.jobs import Jobs
from pitwall.history.queue import Queue, Turn
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.settings import Settings
from tests.history.conftest import wait_until
from tests.history.works import FAILS, STEPS
from tests.local.serving import serving
from tests.pipeline.conftest import push_body

PATH = "jobs/steps-2023"
REQUEST = {"season": 2023, "round": 4, "session": "R", "steps": 4, "gate": "a"}


@pytest.fixture(autouse=True)
def works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(work.WORK, "steps", STEPS)
    monkeypatch.setitem(work.WORK, "fails", FAILS)
    monkeypatch.setattr(job_module, "TELL_S", 0.0)


class Topic:
    """A topic with a subscription from which what came can be taken."""

    def __init__(self, publisher: Any, subscriber: Any, project: str, name: str) -> None:
        self.path = publisher.topic_path(project, name)
        self._publisher, self._subscriber = publisher, subscriber
        self._all = subscriber.subscription_path(project, f"{name}-all")
        publisher.create_topic(name=self.path)
        subscriber.create_subscription(name=self._all, topic=self.path)

    def publish(self, data: bytes) -> None:
        self._publisher.publish(self.path, data).result(20)

    def take(self) -> pubsub_v1.types.PubsubMessage:
        """The next message; waits for it."""
        [received] = self._subscriber.pull(subscription=self._all, max_messages=1, timeout=20).received_messages
        self._subscriber.acknowledge(subscription=self._all, ack_ids=[received.ack_id])
        message: pubsub_v1.types.PubsubMessage = received.message
        return message

    @contextmanager
    def pushed_to(self, url: str) -> Iterator[None]:
        """Has what is published pushed to `url` while this lasts."""
        name = self.path.replace("/topics/", "/subscriptions/") + "-worker"
        self._subscriber.create_subscription(
            request={
                "name": name,
                "topic": self.path,
                "push_config": {"push_endpoint": url},
                "ack_deadline_seconds": 600,
            }
        )
        try:
            yield
        finally:
            self._subscriber.delete_subscription(subscription=name)


@pytest.fixture
def queue(publisher: Any, subscriber: Any, project: str) -> Topic:
    return Topic(publisher, subscriber, project, "jobs")


@pytest.fixture
def dead(publisher: Any, subscriber: Any, project: str) -> Topic:
    return Topic(publisher, subscriber, project, "jobs-dead")


Start = Callable[..., Jobs]


@pytest.fixture
def start(database: Database, project: str, queue: Topic, dead: Topic) -> Start:
    """Gives an instance of the function."""

    def started(job_s: float = 480.0, **options: Any) -> Jobs:
        settings = Settings(project=project, job_s=job_s)
        return Jobs(settings, database, Queue(settings), DeadLetters(project, "jobs-dead"), **options)

    return started


def message(turn: int = 1, kind: str = "steps", **request: Any) -> bytes:
    asked = {**REQUEST, **request} if kind == "steps" else request
    return msgspec.json.encode(Turn(kind=kind, key="2023", request=asked, turn=turn))


def handled(jobs: Jobs, data: bytes) -> int:
    """The status of the answer to a push of this message."""
    return jobs.handle(push_body(data)).status_code


def found(firestore: firestore_api.Client, path: str = PATH) -> dict[str, Any]:
    return firestore.document(path).get().to_dict() or {}


def let_through(firestore: firestore_api.Client, step: int) -> None:
    """Up to this step, and no further."""
    firestore.document("gates/a").set({"through": step})


def steps_taken(firestore: firestore_api.Client) -> dict[str, int]:
    """How often each step was taken."""
    return {step.id: (step.to_dict() or {})["times"] for step in firestore.collection("steps").stream()}


ALL = {f"a-{step}": 1 for step in range(1, 5)}


@pytest.fixture
def at_work(firestore: firestore_api.Client, start: Start) -> Iterator[Callable[..., Future[int]]]:
    """Has an instance work on a message until it waits before a step; gives what it will answer."""
    with ThreadPoolExecutor() as threads:

        def working(before_step: int = 1, data: bytes = b"", jobs: Jobs | None = None) -> Future[int]:
            let_through(firestore, before_step - 1)
            answer = threads.submit(handled, jobs or start(), data or message())
            waits = f"waits before step {before_step}"
            wait_until(lambda: found(firestore).get("message") == waits or answer.done(), waits)
            return answer

        yield working
        let_through(firestore, 1_000)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_listener_sees_how_far_a_job_is_and_what_came_of_it(
    firestore: firestore_api.Client, start: Start, queue: Topic
) -> None:
    jobs, heard = start(), []
    done = threading.Event()

    def listen(snapshots: Any, *_: Any) -> None:
        heard.extend(snapshot.to_dict() for snapshot in snapshots if snapshot.exists)
        if heard and heard[-1]["state"] == "done":
            done.set()

    watch = firestore.document(PATH).on_snapshot(listen)
    let_through(firestore, 2)
    with serving(lambda _, body: (jobs.handle(body).status_code, "")) as url, queue.pushed_to(url):
        queue.publish(message())
        wait_until(lambda: any(word.get("message") == "waits before step 3" for word in heard), "it waits")
        let_through(firestore, 4)
        assert done.wait(30)
    watch.unsubscribe()
    progress = [word["progress"] for word in heard]
    assert progress == sorted(progress)
    assert {50, 100} <= set(progress)
    assert (heard[-1]["result"], heard[-1]["request"], heard[-1]["kind"]) == ({"taken": 4}, REQUEST, "steps")
    assert steps_taken(firestore) == ALL


def test_a_message_that_comes_twice_while_the_job_is_at_work_comes_again_later(
    firestore: firestore_api.Client, start: Start, at_work: Callable[..., Future[int]]
) -> None:
    """That is what takes the job up if the worker is killed; once the job is done it is taken."""
    first = at_work(2)
    with ThreadPoolExecutor() as threads:
        try:
            assert threads.submit(handled, start(), message()).result(30) == 409
        finally:
            let_through(firestore, 4)
    assert first.result(30) == 204
    assert handled(start(), message()) == 204
    assert steps_taken(firestore) == ALL


def test_of_two_workers_that_begin_at_once_one_works(firestore: firestore_api.Client, start: Start) -> None:
    let_through(firestore, 0)
    together, instances = threading.Barrier(4), [start() for _ in range(4)]

    def begin(jobs: Jobs) -> int:
        together.wait(30)
        status = handled(jobs, message())
        if status == 409:
            refused.release()
        return status

    refused = threading.Semaphore(0)
    with ThreadPoolExecutor() as threads:
        answers = [threads.submit(begin, jobs) for jobs in instances]
        try:
            assert all(refused.acquire(timeout=30) for _ in range(3))
        finally:
            let_through(firestore, 4)
        assert sorted(answer.result(30) for answer in answers) == [204, 409, 409, 409]
    assert steps_taken(firestore) == ALL


def test_a_killed_workers_job_is_taken_up_by_the_messages_redelivery(
    firestore: firestore_api.Client, queue: Topic, dead: Topic, project: str, processes: Processes, pubsub_emulator: Any
) -> None:
    let_through(firestore, 2)
    env = {"PYTHONPATH": "", "GOOGLE_CLOUD_PROJECT": project, **pubsub_emulator.env}
    server = FunctionServer(processes, "jobs", "jobs", env, threads=1, source=Path(__file__).with_name("works_main.py"))
    supervisor = Supervisor({"jobs": server})
    try:
        server.wait_until_ready()
        with queue.pushed_to(server.url):
            queue.publish(message())
            wait_until(lambda: found(firestore).get("message") == "waits before step 3", "it waits")
            server.crash()
            wait_until(lambda: server.crashes == 1, "the next instance")
            let_through(firestore, 4)
            wait_until(lambda: found(firestore).get("state") == "done", "it is done")
    finally:
        supervisor.stop()
        FunctionServer.end([server])
    assert steps_taken(firestore) == ALL
    assert found(firestore)["result"] == {"taken": 2}


def test_an_invocation_out_of_time_queues_the_next_turn_until_the_job_is_done(
    firestore: firestore_api.Client, start: Start, queue: Topic
) -> None:
    let_through(firestore, 4)
    looks = itertools.count()
    jobs = start(job_s=3.0, seconds=lambda: next(looks))  # time for one step
    with serving(lambda _, body: (jobs.handle(body).status_code, "")) as url, queue.pushed_to(url):
        queue.publish(message())
        wait_until(lambda: found(firestore).get("state") == "done", "it is done")
    turns = [json.loads(queue.take().data) for _ in range(found(firestore)["turn"])]
    assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))
    assert len(turns) > 2
    assert all(turn["request"] == REQUEST for turn in turns)
    assert steps_taken(firestore) == ALL


def test_a_job_that_comes_no_further_fails_after_so_many_turns(
    firestore: firestore_api.Client, start: Start, queue: Topic
) -> None:
    let_through(firestore, 2)
    looks = itertools.count()
    jobs = start(job_s=6.0, seconds=lambda: next(looks), attempts=3)
    data, turns = message(), 0
    while found(firestore).get("state") != "failed":
        assert handled(jobs, data) == 204
        turns += 1
        data = message(turn=turns + 1)
    assert found(firestore)["error"] == "given up after 3 attempts that came no further: its time is over"
    assert (found(firestore)["progress"], found(firestore)["stalled"]) == (50, 3)
    assert len(steps_taken(firestore)) == 2


def test_a_further_per_cent_begins_the_count_of_attempts_anew(firestore: firestore_api.Client, start: Start) -> None:
    looks = itertools.count()
    jobs = start(job_s=4.0, seconds=lambda: next(looks), attempts=2)
    for turn in range(1, 9):  # a step every other turn
        let_through(firestore, (turn + 1) // 2)
        assert handled(jobs, message(turn=turn)) == 204
        assert found(firestore)["state"] in ("queued", "done")
    assert steps_taken(firestore) == ALL


def test_a_worker_that_was_killed_after_a_further_per_cent_does_not_count(
    firestore: firestore_api.Client, at_work: Callable[..., Future[int]]
) -> None:
    firestore.document(PATH).set({"kind": "steps", "state": "queued", "progress": 0, "turn": 1, "v": 7, "stalled": 2})
    at_work(2)
    assert (found(firestore)["progress"], found(firestore).get("stalled", 0)) == (25, 0)


def test_what_passes_by_itself_is_tried_again(firestore: firestore_api.Client, start: Start) -> None:
    jobs, data = start(), message(kind="fails", how="away", times=2)
    assert [handled(jobs, data) for _ in range(2)] == [503, 503]
    stored = found(firestore, "jobs/fails-2023")
    assert (stored["state"], stored["message"]) == ("queued", "to be tried again: OSError: 502 from a source")
    assert handled(jobs, data) == 204
    stored = found(firestore, "jobs/fails-2023")
    assert (stored["state"], stored["result"], "error" in stored) == ("done", {"tried": 3, "report": ""}, False)


def test_what_does_not_pass_fails_after_so_many_attempts(firestore: firestore_api.Client, start: Start) -> None:
    jobs, data = start(attempts=3), message(kind="fails", how="away")
    assert [handled(jobs, data) for _ in range(4)] == [503, 503, 204, 204]
    stored = found(firestore, "jobs/fails-2023")
    assert stored["state"] == "failed"
    assert stored["error"] == "given up after 3 attempts that came no further: OSError: 502 from a source"
    assert found(firestore, "failures/so-far")["times"] == 3


@pytest.mark.parametrize(
    ("how", "error"),
    [("refused", "there is no round 99 in 2023"), ("mistake", "KeyError: 'lapTimeMs'")],
)
def test_what_fails_however_often_it_is_tried_fails_at_once(
    firestore: firestore_api.Client, start: Start, how: str, error: str
) -> None:
    assert handled(start(), message(kind="fails", how=how, at=0.4)) == 204
    stored = found(firestore, "jobs/fails-2023")
    assert (stored["state"], stored["error"], stored["progress"]) == ("failed", error, 40)
    assert found(firestore, "failures/so-far")["times"] == 1


def test_a_result_that_cannot_be_stored_is_said_to_be_so(firestore: firestore_api.Client, start: Start) -> None:
    assert handled(start(), message(kind="fails", how="never", times=0, longer=1_100_000)) == 204
    stored = found(firestore, "jobs/fails-2023")
    assert (stored["state"], stored["error"].partition(":")[0]) == ("failed", "what came of it cannot be stored")


def test_a_job_that_is_cancelled_at_work_ends_with_its_next_word(
    firestore: firestore_api.Client, start: Start, at_work: Callable[..., Future[int]]
) -> None:
    answer = at_work(3)
    firestore.document(PATH).update({"cancel": True})
    assert answer.result(30) == 204
    stored = found(firestore)
    assert (stored["state"], stored["progress"], "cancel" in stored) == ("cancelled", 50, False)
    let_through(firestore, 4)
    assert handled(start(), message()) == 204
    assert len(steps_taken(firestore)) == 2


@pytest.mark.parametrize("state", ["cancelled", "done", "failed"])
def test_the_message_of_a_job_that_has_ended_is_taken_without_work(
    firestore: firestore_api.Client, start: Start, state: str
) -> None:
    let_through(firestore, 4)
    ended = {"kind": "steps", "state": state, "progress": 0, "turn": 2, "v": 7}
    firestore.document(PATH).set(ended)
    assert [handled(start(), message(turn=turn)) for turn in (1, 2)] == [204, 204]
    assert found(firestore) == ended
    assert steps_taken(firestore) == {}


def test_a_job_that_was_to_stop_when_its_worker_was_killed_is_cancelled(
    firestore: firestore_api.Client, start: Start
) -> None:
    let_through(firestore, 4)
    running = {"kind": "steps", "state": "running", "progress": 20, "turn": 1, "v": 2**32 + 3, "cancel": True}
    firestore.document(PATH).set(running)
    assert handled(start(stale_s=0.0), message()) == 204
    assert found(firestore)["state"] == "cancelled"
    assert steps_taken(firestore) == {}


def test_a_job_whose_workers_are_all_killed_fails(firestore: firestore_api.Client, start: Start) -> None:
    let_through(firestore, 4)
    running = {"kind": "steps", "state": "running", "progress": 20, "turn": 1, "v": 2**32 + 3, "stalled": 2}
    firestore.document(PATH).set(running)
    assert handled(start(stale_s=0.0, attempts=3), message()) == 204
    stored = found(firestore)
    assert stored["state"] == "failed"
    assert stored["error"] == "given up after 3 attempts that came no further: whoever was at it was killed"


def test_a_worker_whose_job_was_taken_over_stops(
    firestore: firestore_api.Client, at_work: Callable[..., Future[int]]
) -> None:
    first = at_work(2)
    firestore.document(PATH).update({"v": 9 * 2**32 + 1, "message": "the other"})
    assert first.result(30) == 409
    assert (found(firestore)["state"], found(firestore)["message"]) == ("running", "the other")


def test_a_job_that_was_queued_anew_is_lost_to_the_worker_of_its_earlier_turn(
    firestore: firestore_api.Client, start: Start, at_work: Callable[..., Future[int]]
) -> None:
    first = at_work(2)
    firestore.document(PATH).update({"state": "queued", "turn": 2})
    assert first.result(30) == 409
    assert (found(firestore)["state"], found(firestore)["turn"]) == ("queued", 2)


@pytest.mark.parametrize(("state", "published"), [("queued", True), ("running", False), ("done", False)])
def test_a_message_of_an_earlier_turn_publishes_the_one_that_may_be_missing(
    firestore: firestore_api.Client, start: Start, queue: Topic, state: str, published: bool
) -> None:
    let_through(firestore, 4)
    stored = {"kind": "steps", "state": state, "progress": 0, "turn": 3, "v": 7, "request": REQUEST}
    firestore.document(PATH).set(stored)
    assert handled(start(), message(turn=2)) == 204
    queue.publish(b'"nothing else"')
    came = [json.loads(queue.take().data) for _ in range(1 + published)]
    assert came == ([json.loads(message(turn=3))] if published else []) + ["nothing else"]
    assert found(firestore) == stored


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no json", "unreadable-job"),
        (b'{"kind":"steps","key":"2023"}', "unreadable-job"),
        (b'{"kind":"steps","key":"../users/x","request":{}}', "unreadable-job"),
        (b'{"kind":"steps","key":"2023","request":{},"turn":0}', "unreadable-job"),
        (b'{"kind":"steps","key":"2023","request":{"":1}}', "unreadable-job"),
        (b'{"kind":"laundry","key":"2023","request":{}}', "unknown-kind"),
        (b'{"kind":"archive","key":"9845","request":{}}', "unknown-kind"),
    ],
)
def test_what_asks_for_no_job_is_taken_and_put_away(
    firestore: firestore_api.Client,
    start: Start,
    dead: Topic,
    data: bytes,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert handled(start(), data) == 204
    letter = dead.take()
    assert (letter.data, letter.attributes["reason"]) == (data, reason)
    assert [line["reason"] for line in lines(capsys)] == [reason]
    assert list(firestore.collection("jobs").stream()) == []


def test_what_is_no_push_is_refused(start: Start) -> None:
    assert start().handle(b"{}").status_code == 400


def test_every_line_about_a_job_names_it_and_where_it_is(
    firestore: firestore_api.Client, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    let_through(firestore, 4)
    handled(start(), message())
    said = lines(capsys)
    where = {"job": PATH, "kind": "steps", "year": 2023, "round": 4, "session": "R"}
    assert len(said) >= 3
    assert all(where.items() <= line.items() for line in said)
