"""The whole stack comes up, serves every function, and goes down without leaving anything behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from google.cloud import pubsub_v1

from local import ROOT
from local.emulators import Emulator, Emulators
from local.functions import FunctionServer
from local.processes import ProcessFailed
from local.stack import Ports, Stack
from tests.local.serving import serving

pytestmark = pytest.mark.e2e


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether the condition becomes true."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture(scope="module")
def emulators(firestore_emulator: Emulator, pubsub_emulator: Emulator, storage_emulator: Emulator) -> Emulators:
    return Emulators(firestore_emulator, pubsub_emulator, storage_emulator)


@pytest.fixture(scope="module")
def stack(emulators: Emulators) -> Iterator[Stack]:
    """A stack without a source, whose scheduler ticks four times a second."""
    with Stack(project="test-stack", tick_s=0.25, emulators=emulators) as up:
        yield up


def test_api_answers_over_http(stack: Stack):
    answer = httpx.get(f"{stack.api_url}/sessions/current", trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("function", ["writer", "recorder", "jobs"])
def test_subscriber_refuses_what_is_no_push(stack: Stack, function: str):
    answer = httpx.post(stack.functions[function].url, content=b"{}", trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_both_scheduler_jobs_tick_their_poller(stack: Stack):
    assert stack.scheduler is not None
    executions = stack.scheduler.executions
    assert wait_for(lambda: all(job.succeeded >= 2 for job in executions.values()))
    assert sorted(executions) == ["poller-a", "poller-b"]


@pytest.mark.parametrize(
    ("function", "told"),
    [("schedule", {"outcome": "no-source", "feed": "f1"}), ("reconciler", {"state": "no-archive", "feed": "f1"})],
)
def test_without_an_archive_calendar_and_reconciler_say_so_and_store_nothing(
    stack: Stack, function: str, told: dict[str, str]
):
    answer = httpx.post(stack.functions[function].url, json={"feed": "f1"}, timeout=60, trust_env=False)
    assert (answer.status_code, answer.json()) == (200, told)
    client = stack.firestore()
    stored = [collection.id for collection in client.collections()]
    client.close()
    assert not {"schedule", "seasons", "jobs"} & set(stored)


@pytest.mark.parametrize("function", ["schedule", "reconciler"])
def test_calendar_and_reconciler_have_a_scheduler_job_each(stack: Stack, function: str):
    executions = stack.history[function].executions
    assert list(executions) == [function]
    assert wait_for(lambda: executions[function].succeeded >= 1)


def test_functions_run_in_production_mode(stack: Stack):
    server = psutil.Process(stack.functions["writer"].process.pid)
    workers = server.children()
    assert [worker.name() for worker in workers] == [server.name()]


def test_unreadable_message_reaches_the_writer_and_then_the_dead_letters(stack: Stack):
    publisher = stack.publisher()
    topic = publisher.topic_path(stack.project, stack.settings.topic_timing)
    publisher.publish(topic, b"no envelope", ordering_key="9845").result(30)
    found = []
    assert wait_for(lambda: bool(found.extend(stack.dead_letters()) or found))
    assert [(letter.topic, letter.data) for letter in found] == [("timing-dead", b"no envelope")]


def test_structured_log_of_a_function_can_be_read_on(stack: Stack):
    httpx.post(stack.functions["writer"].url, content=b"one", trust_env=False)
    lines = list(stack.log_lines("writer"))
    httpx.post(stack.functions["writer"].url, content=b"two", trust_env=False)
    entries = [entry for entry, _ in stack.log_lines("writer", lines[-1][1])]
    assert [entry["reason"] for entry in entries] == ["not-a-push"]


def test_killed_poller_is_followed_by_the_next_instance_at_the_same_address(stack: Stack):
    server = stack.pollers["poller-a"]
    before, url = server.process.pid, server.url
    server.crash()
    assert wait_for(lambda: server.process.pid != before)
    assert server.url == url
    assert wait_for(lambda: ticked(url))


def test_instance_that_is_ended_is_not_followed_by_another(emulators: Emulators):
    with Stack(history=False, project="test-ended", tick_s=None, emulators=emulators) as up:
        FunctionServer.end(up.pollers.values())
        ended = [server.process.running for server in up.pollers.values()]
        restarted = [server.restart_if_crashed() for server in up.pollers.values()]
    assert (ended, restarted) == ([False, False], [False, False])


def ticked(url: str) -> bool:
    try:
        return httpx.post(url, json={"feed": "f1"}, trust_env=False).is_success
    except httpx.TransportError:
        return False


@dataclass
class Gone:
    """What is known of a stack with chaos that has come up and gone down again."""

    pushed_to: str
    chaos_url: str
    delivered: int
    logs: Path
    before: dict[str, str]
    during: dict[str, str]
    after: dict[str, str]


@pytest.fixture(scope="module")
def gone(emulators: Emulators) -> Gone:
    before = {**os.environ}
    with Stack(history=False, project="test-chaos", tick_s=None, chaos=3, emulators=emulators) as stack:
        during = {**os.environ}
        assert stack.chaos is not None
        chaos, logs = stack.chaos, stack.logs
        publisher = stack.publisher()
        topic = publisher.topic_path(stack.project, stack.settings.topic_timing)
        publisher.publish(topic, b"no envelope", ordering_key="9845").result(30)
        wait_for(lambda: chaos.counters()["writer"].delivered == 1)
        delivered = chaos.counters()["writer"].delivered
        with pubsub_v1.SubscriberClient() as subscriber:
            path = subscriber.subscription_path(stack.project, "timing-writer")
            pushed_to = subscriber.get_subscription(subscription=path).push_config.push_endpoint
    return Gone(pushed_to, chaos.urls["writer"], delivered, logs, before, during, {**os.environ})


def test_chaos_stands_before_the_subscribers(gone: Gone):
    assert (gone.pushed_to, gone.delivered) == (gone.chaos_url, 1)


def test_clients_of_this_process_find_the_emulators_while_the_stack_is_up(gone: Gone, emulators: Emulators):
    assert gone.during["FIRESTORE_EMULATOR_HOST"] == emulators.firestore.address


def test_environment_is_as_it_was_once_the_stack_is_down(gone: Gone):
    assert gone.after == gone.before


def test_temporary_logs_go_with_the_stack(gone: Gone):
    assert not gone.logs.exists()


def test_port_of_the_api_that_is_taken_is_named(emulators: Emulators):
    with serving(lambda path, body: (200, "")) as url:
        port = int(re.sub(r"\D", "", url.rpartition(":")[2]))
        stack = Stack(project="test-port", tick_s=None, emulators=emulators, ports=Ports(api=port))
        with pytest.raises(ProcessFailed, match=f"port {port} cannot be had"), stack:
            pass


@dataclass
class Ended:
    """A `python -m local up` that was ended: what it printed, what it answered, which of its programs are left."""

    lines: list[str]
    exported: dict[str, str]
    firestore_answered: bool
    programs: int
    left: list[psutil.Process]
    exit_code: int


def up_and_down(how: signal.Signals) -> Ended:
    """Runs it, with emulators of its own, until it is up, and ends it."""
    command = [sys.executable, "-u", "-m", "local", "up", "--api-port", "0", "--firestore-port", "0"]
    started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert started.stdout is not None
    lines = []
    try:
        for line in started.stdout:
            lines.append(line.rstrip())
            if "until Ctrl-C" in line:
                break
        exported = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
        answered = httpx.get(f"http://{exported['FIRESTORE_EMULATOR_HOST']}/", trust_env=False).is_success
        programs = psutil.Process(started.pid).children(recursive=True)
        started.send_signal(how)
        exit_code = started.wait(30)
    finally:
        started.kill()
        started.wait()
    left = psutil.wait_procs(programs, timeout=30)[1]
    return Ended(lines, exported, answered, len(programs), left, exit_code)


@pytest.fixture(scope="module")
def interrupted() -> Ended:
    return up_and_down(signal.SIGINT)


def test_up_prints_what_an_app_has_to_export(interrupted: Ended):
    wanted = {"GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"}
    assert wanted <= set(interrupted.exported)


def test_up_exports_a_firestore_that_answers(interrupted: Ended):
    assert interrupted.firestore_answered


def test_nothing_of_the_stack_is_left_after_ctrl_c(interrupted: Ended):
    assert (interrupted.programs > 8, interrupted.left) == (True, [])


def test_nothing_of_the_stack_is_left_after_a_crash_of_its_owner():
    killed = up_and_down(signal.SIGKILL)
    assert (killed.exit_code, killed.left) == (-signal.SIGKILL, [])


def test_missing_java_is_said_once_and_clearly(tmp_path: Path):
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    failed = subprocess.run(
        [sys.executable, "-m", "local", "up"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert failed.returncode == 1
    assert "openjdk-17-jre-headless" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["up", "--speed", "fast"], "'fast'"),
        (["up", "--api-port", "99999"], "'99999'"),
        (["up", "--source", "nonsense"], "'nonsense'"),
        (["up", "--archive", "/nowhere"], "'/nowhere'"),
        (["compare", "/nowhere", "/nowhere"], "'/nowhere'"),
    ],
)
def test_wrong_words_are_named_before_anything_starts(words: list[str], named: str):
    command = [sys.executable, "-m", "local", *words]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, named in refused.stderr, "starting" in refused.stdout) == (2, True, False)
    assert "Traceback" not in refused.stderr
