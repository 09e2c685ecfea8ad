"""The scheduler ticks as Cloud Scheduler does: each job on its own, never twice at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pytest

from local.processes import free_port
from local.scheduler import Scheduler, next_tick
from tests.local.serving import serving

BODY = {"feed": "f1"}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


class Endpoint:
    """Counts executions, at most how many ran at once, and what was asked."""

    def __init__(self, takes_s: float = 0.0, status: int = 200) -> None:
        self.takes_s = takes_s
        self.status = status
        self.bodies: list[bytes] = []
        self.most_at_once = 0
        self._running = 0
        self._lock = threading.Lock()
        self.let_go = threading.Event()

    def __call__(self, path: str, body: bytes) -> tuple[int, str]:
        with self._lock:
            self.bodies.append(body)
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        self.let_go.wait(self.takes_s)
        with self._lock:
            self._running -= 1
        return self.status, '{"outcome": "ended"}'


def test_first_tick_comes_at_once():
    endpoint = Endpoint()
    with serving(endpoint) as url, Scheduler({"poller-a": url}, BODY, interval_s=3600):
        wait_for(lambda: len(endpoint.bodies) == 1)


def test_body_is_the_jobs_json():
    endpoint = Endpoint()
    with serving(endpoint) as url, Scheduler({"poller-a": url}, BODY, interval_s=3600):
        wait_for(lambda: len(endpoint.bodies) == 1)
    assert json.loads(endpoint.bodies[0]) == BODY


def test_job_that_takes_longer_than_the_interval_never_runs_twice_at_once():
    endpoint = Endpoint(takes_s=0.15)
    with serving(endpoint) as url, Scheduler({"poller-a": url}, BODY, interval_s=0.02):
        wait_for(lambda: len(endpoint.bodies) >= 4)
        endpoint.let_go.set()
    assert endpoint.most_at_once == 1


def test_two_jobs_run_beside_each_other():
    endpoint = Endpoint(takes_s=30)
    with serving(endpoint) as url, Scheduler({"poller-a": url, "poller-b": url}, BODY, interval_s=0.02):
        wait_for(lambda: endpoint.most_at_once == 2)
        endpoint.let_go.set()


def test_failed_execution_is_counted_and_the_next_tick_comes():
    endpoint = Endpoint(status=500)
    with serving(endpoint) as url, Scheduler({"poller-a": url}, BODY, interval_s=0.02) as scheduler:
        wait_for(lambda: scheduler.executions["poller-a"].failed >= 2)
    assert scheduler.executions["poller-a"].succeeded == 0


def test_poller_that_is_down_is_ticked_again_when_it_is_back():
    port = free_port()
    jobs = {"poller-a": f"http://127.0.0.1:{port}/"}
    with Scheduler(jobs, BODY, interval_s=0.02) as scheduler:
        wait_for(lambda: scheduler.executions["poller-a"].failed >= 1)
        with serving(Endpoint(), port):
            wait_for(lambda: scheduler.executions["poller-a"].succeeded >= 1)


def test_last_answer_is_kept():
    endpoint = Endpoint()
    with serving(endpoint) as url, Scheduler({"poller-a": url}, BODY, interval_s=0.02) as scheduler:
        wait_for(lambda: scheduler.executions["poller-a"].succeeded >= 1)
    assert scheduler.executions["poller-a"].last == {"outcome": "ended"}


def test_execution_over_the_deadline_is_given_up():
    endpoint = Endpoint(takes_s=30)
    with serving(endpoint) as url, Scheduler({"poller-a": url}, BODY, 3600, deadline_s=0.1) as scheduler:
        wait_for(lambda: scheduler.executions["poller-a"].failed == 1)
        endpoint.let_go.set()


def test_nothing_is_ticked_after_the_stop():
    endpoint = Endpoint()
    with serving(endpoint) as url:
        with Scheduler({"poller-a": url}, BODY, interval_s=0.02) as scheduler:
            wait_for(lambda: len(endpoint.bodies) >= 1)
        scheduler.join()
        ticked = len(endpoint.bodies)
        time.sleep(0.1)
        assert len(endpoint.bodies) == ticked


@pytest.mark.parametrize(
    ("now", "tick"),
    [(0.0, 60.0), (0.4, 60.0), (59.9, 60.0), (60.0, 120.0), (61.0, 120.0), (200.0, 240.0)],
)
def test_tick_that_was_missed_is_skipped_and_not_made_up_for(now: float, tick: float):
    assert next_tick(0.0, now, 60.0) == tick
