"""Serves the deployed functions with the Functions Framework, each as a real HTTP server of its own.

A `FunctionServer` stands for one instance on Cloud Run: when it crashes, the next one is started at the same
address. The framework runs as in production, gunicorn with one worker. What a function does is not known here.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from local import FUNCTIONS
from local.processes import LOOPBACK, Process, Processes, ProcessFailed, accepts_connections, free_port, require_free

SOURCE = FUNCTIONS / "main.py"
_ATTEMPTS = 3
_LOOK_S = 0.1
_GRACE_S = 12.0
"""Cloud Run gives an instance ten seconds after SIGTERM; a little more for a machine that is busy."""


class FunctionServer:
    """One instance of a function.

    name: of the process and its logs; target: the entry point in `source`.
    threads: requests it takes at once, as the deployed function's concurrency.
    """

    def __init__(
        self,
        processes: Processes,
        name: str,
        target: str,
        env: Mapping[str, str],
        *,
        threads: int = 8,
        port: int | None = None,
        source: Path = SOURCE,
    ) -> None:
        self.name = name
        self.target = target
        self.crashes = 0
        self._ended = False
        self._processes = processes
        self._env = {**env, "THREADS": str(threads), "WORKERS": "1", "PYTHONUNBUFFERED": "1"}
        self._source = source
        if port:
            require_free(port)
        self._port = port or free_port()
        self._process = self._start()

    @property
    def url(self) -> str:
        """Where it is served; stays the same after a crash."""
        return f"http://{LOOPBACK}:{self._port}/"

    @property
    def process(self) -> Process:
        """The process that serves it now."""
        return self._process

    def wait_until_ready(self) -> None:
        """Returns once it takes connections. Raises ProcessFailed."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._process.wait_until(lambda: accepts_connections(self._port))
            except ProcessFailed as failure:
                # Somebody may have taken the free port; nobody knows this one's address yet.
                if attempt == _ATTEMPTS - 1 or "in use" not in str(failure):
                    raise
                self._processes.end(self._process)
                self._port = free_port()
                self._process = self._start()
        return None

    def crash(self) -> None:
        """`kill -9`: as an instance that is gone from one moment to the next."""
        self._process.kill()

    @staticmethod
    def end(servers: Collection[FunctionServer]) -> None:
        """Ends instances as Cloud Run does, with SIGTERM, all at once, and waits until they are gone.

        There are no next ones.
        """
        for server in servers:
            server._ended = True
        for processes in {server._processes for server in servers}:
            ending = [server._process for server in servers if server._processes is processes]
            processes.end(*ending, grace_s=_GRACE_S)

    def restart_if_crashed(self) -> bool:
        """Starts the next instance if this one is gone; whether it did."""
        if self._ended or self._process.running:
            return False
        self.crashes += 1
        self._processes.end(self._process)
        self._process = self._start()
        return True

    def _start(self) -> Process:
        framework = [sys.executable, "-m", "functions_framework", "--source", str(self._source)]
        command = [*framework, "--target", self.target, "--host", LOOPBACK, "--port", str(self._port)]
        return self._processes.start(self.name, command, self._env, cwd=self._source.parent)


class Supervisor:
    """Starts the next instance of each server that crashes, until stopped. A thread of its own."""

    def __init__(self, servers: Mapping[str, FunctionServer]) -> None:
        self._servers = servers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """From here on nothing is started any more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            for server in self._servers.values():
                if not self._stop.is_set():
                    server.restart_if_crashed()
