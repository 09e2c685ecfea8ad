"""Starts the programs of the local stack and ends exactly those, also when their owner crashes.

Every program runs in a process group of its own, so that its children (gunicorn's workers) end
with it and a Ctrl-C at the terminal reaches only the owner, which then ends them in order. For an
owner that can end nothing any more (`kill -9`, a crash) there is one watchdog process.
Which programs there are is not known here.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from local import watchdog

LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_768)
_given: set[int] = set()
_POLL_S = 0.02
_TAIL_BYTES = 4_000


class ProcessFailed(RuntimeError):
    """A program did not start or ended by itself; the text has the end of what it printed."""


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on right now, a different one at each call.

    Not one of those the system gives to outgoing connections: one of them might take it before it is used,
    or while a function is being restarted.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _given:
            with contextlib.suppress(ProcessFailed):
                require_free(port)
                _given.add(port)
                return port
    raise ProcessFailed(f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free")


def require_free(port: int) -> None:
    """Raises ProcessFailed if somebody listens on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise ProcessFailed(f"port {port} cannot be had: {error.strerror}") from None


def accepts_connections(port: int) -> bool:
    """Whether somebody listens on this port of the loopback interface."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


class Process:
    """A running program of ours, with its process group. Made by `Processes.start`.

    stdout, stderr: the files its output goes to, appended to.
    """

    def __init__(self, name: str, popen: subprocess.Popen[bytes], stdout: Path, stderr: Path) -> None:
        self.name = name
        self.stdout = stdout
        self.stderr = stderr
        self._popen = popen

    @property
    def pid(self) -> int:
        """Process id, which is the process group's id too."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it."""
        return self._popen.poll()

    def kill(self) -> None:
        """`kill -9` to the whole group: a crash."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()

    def output_end(self) -> str:
        """The last lines it printed, errors first."""
        ends = []
        for file in (self.stderr, self.stdout):
            with contextlib.suppress(OSError), file.open("rb") as stream:
                stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
                ends.append(stream.read().decode(errors="replace").strip())
        return "\n".join(end for end in ends if end)

    def wait_until(self, ready: Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Returns once `ready()` is true. Raises ProcessFailed when the program ended before, or never is."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise ProcessFailed(f"{self.name} ended with exit code {self.exit_code}:\n{self.output_end()}")
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not ready after {timeout_s:g} s:\n{self.output_end()}")
            time.sleep(_POLL_S)


class Processes:
    """The programs one owner started; leaving the `with` block ends them all. Safe to use from several threads.

    logs: folder for what they print; without one it is a temporary folder that goes when they do.
    """

    def __init__(self, logs: Path | None = None) -> None:
        self.logs = logs or Path(tempfile.mkdtemp(prefix="pitwall-"))
        self._temporary = [self.logs] if logs is None else []
        self._lock = threading.Lock()
        self._started: list[Process] = []
        self._names: set[str] = set()
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._watchdog = subprocess.Popen(
            [sys.executable, "-E", "-S", watchdog.__file__, *self._temporary],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._lock:
                left = list(self._started)
            self.end(*left)
        finally:
            # If that was interrupted, the watchdog does the rest.
            if self._watchdog is not None and self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
                self._watchdog.wait()
                self._watchdog = None

    def start(
        self, name: str, command: Sequence[str | Path], env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Process:
        """Starts a program; its output goes to `<name>.out` and `<name>.err` in `logs`.

        The first of a name starts these files anew, the next ones add to them. cwd: the folder it runs in.
        env: variables beside those of this process. Raises ProcessFailed if it cannot be run at all.
        """
        stdout, stderr = self.logs / f"{name}.out", self.logs / f"{name}.err"
        with self._lock, ExitStack() as files:
            if self._watchdog is None:
                raise ProcessFailed(f"{name}: its owner has already ended")
            if name not in self._names:
                stdout.unlink(missing_ok=True)
                stderr.unlink(missing_ok=True)
            self._names.add(name)
            out, err = (files.enter_context(file.open("ab")) for file in (stdout, stderr))
            try:
                popen = subprocess.Popen(
                    [str(part) for part in command],
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessFailed(f"{name}: {error}") from None
            self._tell_watchdog(f"+{popen.pid}\n")
            process = Process(name, popen, stdout, stderr)
            self._started.append(process)
            return process

    def end(self, *processes: Process, grace_s: float = 3.0) -> None:
        """Terminates these programs, all at once, and kills what is still there after `grace_s` seconds."""
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + grace_s
        for process in processes:
            while process.running and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        for process in processes:
            process.kill()  # also what a leader that ended has left behind
            with self._lock:
                if process in self._started:
                    self._started.remove(process)
                    self._tell_watchdog(f"-{process.pid}\n")

    def _tell_watchdog(self, line: str) -> None:
        if self._watchdog is not None and self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(line.encode())
                self._watchdog.stdin.flush()
