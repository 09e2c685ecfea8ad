"""Ticks the pollers as Cloud Scheduler does: jobs that start on the minute, each never twice at once.

A job whose execution is still running when its time comes is skipped, not queued; an execution that takes
longer than the attempt deadline is given up; one that fails or returns early is not retried before the
next interval. What the poller does with a tick is its own business.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

ATTEMPT_DEADLINE_S = 1800.0
"""Cloud Scheduler gives an attempt at most 30 minutes."""

_log = logging.getLogger(__name__)


def next_tick(first: float, now: float, interval_s: float) -> float:
    """The first tick after `now`, of those every `interval_s` seconds from `first` on; those in between are skipped."""
    return first + (math.floor((now - first) / interval_s) + 1) * interval_s


@dataclass
class Executions:
    """What became of one job's executions."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    last: dict[str, Any] = field(default_factory=dict)
    """Body of the last answer that was 2xx."""


class Scheduler:
    """Runs one POST job per URL until stopped; use it as a context manager.

    jobs: URL by name. body: JSON of each request. interval_s: seconds between two ticks of a job, the
    first one at once. deadline_s: seconds after which an execution is given up.
    """

    def __init__(
        self,
        jobs: Mapping[str, str],
        body: Mapping[str, Any],
        interval_s: float = 60.0,
        deadline_s: float = ATTEMPT_DEADLINE_S,
    ) -> None:
        self.executions = {name: Executions() for name in jobs}
        self._jobs = dict(jobs)
        self._body = dict(body)
        self._interval_s = interval_s
        self._timeout = httpx.Timeout(10.0, read=deadline_s)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for name, url in self._jobs.items():
            thread = threading.Thread(target=self._run, args=(name, url), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No further tick; an execution that is running is left to its server."""
        self._stop.set()

    def join(self) -> None:
        """Waits, after `stop`, for the executions that are still running."""
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, url: str) -> None:
        # One thread a job, which waits for its execution: two at once cannot happen.
        first = time.monotonic()
        while not self._stop.is_set():
            self._execute(name, url)
            now = time.monotonic()
            self._stop.wait(next_tick(first, now, self._interval_s) - now)

    def _execute(self, name: str, url: str) -> None:
        executions = self.executions[name]
        executions.started += 1
        headers = {"User-Agent": "Google-Cloud-Scheduler", "X-CloudScheduler": "true", "X-CloudScheduler-JobName": name}
        try:
            answer = httpx.post(url, json=self._body, headers=headers, timeout=self._timeout, trust_env=False)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            if self._stop.is_set():
                return
            executions.failed += 1
            _log.warning("%s failed: %s", name, error)
        else:
            executions.succeeded += 1
            if "json" in answer.headers.get("content-type", ""):
                executions.last = answer.json()
