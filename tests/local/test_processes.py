"""Programs of the local stack end with their owner, however it goes, and nothing else does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import ROOT
from local.processes import Processes, ProcessFailed, free_port, require_free

SLEEPS = [sys.executable, "-c", "import time; time.sleep(300)"]
WITH_CHILD = ["/bin/sh", "-c", "sleep 300 & echo $! ; wait"]

OWNER = """
import sys, time
from pathlib import Path
from local.processes import Processes
with Processes(Path(sys.argv[1])) as processes:
    started = processes.start("program", ["/bin/sh", "-c", "trap '' TERM; sleep 300 & echo $! $$ ; wait; wait"])
    started.wait_until(lambda: started.stdout.read_text().endswith("\\n"))
    print(started.stdout.read_text(), flush=True)
    time.sleep(300)
"""
"""An owner whose program has a child, and ignores a request to end."""


def alive(pid: int) -> bool:
    """Whether the process runs; one that only nobody has waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether the condition becomes true."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "logs") as started:
        yield started


def test_program_ends_with_the_block_that_started_it(tmp_path: Path):
    with Processes(tmp_path) as processes:
        started = processes.start("program", SLEEPS)
        assert started.running
    assert not started.running


def test_children_of_a_program_end_with_it(processes: Processes):
    started = processes.start("program", WITH_CHILD)
    started.wait_until(lambda: started.stdout.read_text().endswith("\n"))
    child = int(started.stdout.read_text())
    processes.end(started)
    assert wait_for(lambda: not alive(child))


def test_children_of_a_killed_program_end_with_it(processes: Processes):
    started = processes.start("program", WITH_CHILD)
    started.wait_until(lambda: started.stdout.read_text().endswith("\n"))
    child = int(started.stdout.read_text())
    started.kill()
    assert wait_for(lambda: not alive(child))


def test_program_of_somebody_else_goes_on(tmp_path: Path):
    other = subprocess.Popen(SLEEPS)
    try:
        with Processes(tmp_path) as processes:
            processes.start("program", SLEEPS)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV], ids=lambda s: s.name)
def test_nothing_is_left_when_the_owner_is_ended(tmp_path: Path, how: signal.Signals):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert owner.stdout is not None
    started = [int(pid) for pid in owner.stdout.readline().split()]
    owner.send_signal(how)
    owner.wait(30)
    assert wait_for(lambda: not any(alive(pid) for pid in started))


def test_program_that_ends_by_itself_is_reported_with_what_it_printed(processes: Processes):
    started = processes.start("program", ["/bin/sh", "-c", "echo no such port >&2; exit 3"])
    with pytest.raises(ProcessFailed, match=r"program ended with exit code 3:\nno such port"):
        started.wait_until(lambda: False)


def test_program_that_is_never_ready_is_reported(processes: Processes):
    with pytest.raises(ProcessFailed, match=r"was not ready after 0.1 s"):
        processes.start("program", SLEEPS).wait_until(lambda: False, timeout_s=0.1)


def test_program_that_is_not_there_is_reported(processes: Processes, tmp_path: Path):
    with pytest.raises(ProcessFailed, match="No such file"):
        processes.start("program", [tmp_path / "nothing"])


def test_next_program_of_a_name_adds_to_its_log(processes: Processes):
    for text in ("one", "two"):
        started = processes.start("program", ["/bin/echo", text])
        assert wait_for(lambda: not started.running)  # noqa: B023 (called at once)
    assert started.stdout.read_text() == "one\ntwo\n"


def test_log_of_an_earlier_stack_is_not_added_to(tmp_path: Path):
    (tmp_path / "program.out").write_text("yesterday\n")
    with Processes(tmp_path) as processes:
        started = processes.start("program", ["/bin/echo", "today"])
        assert wait_for(lambda: not started.running)
    assert started.stdout.read_text() == "today\n"


def test_temporary_logs_go_when_the_owner_is_killed():
    program = [
        "import time; from local.processes import Processes",
        "with Processes() as started: print(started.logs, flush=True); time.sleep(300)",
    ]
    owner = subprocess.Popen([sys.executable, "-c", "\n".join(program)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    logs = Path(owner.stdout.readline().strip())
    assert logs.is_dir()
    owner.kill()
    owner.wait()
    assert wait_for(lambda: not logs.exists())


def test_nothing_starts_once_the_owner_has_ended(tmp_path: Path):
    with Processes(tmp_path) as processes:
        pass
    with pytest.raises(ProcessFailed, match="already ended"):
        processes.start("program", SLEEPS)


def test_port_that_is_taken_is_refused_by_its_number():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ProcessFailed, match=f"port {port} cannot be had"):
            require_free(port)


def test_free_port_can_be_had():
    require_free(free_port())


def test_same_port_is_not_given_twice():
    assert len({free_port() for _ in range(100)}) == 100
