"""The function `jobs` with the works of the tests, quick to tell and to be taken over: for a process to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "functions")]

import functions_framework  # noqa: E402
from flask import Request, Response  # noqa: E402

from pitwall.history import job, work  # noqa: E402
from pitwall.history.jobs import Jobs  # noqa: E402
from pitwall.history.queue import Queue  # noqa: E402
from pitwall.pipeline.database import Database  # noqa: E402
from pitwall.pipeline.deadletter import DeadLetters  # noqa: E402
from pitwall.settings import Settings  # noqa: E402
from tests.history.works import STEPS  # noqa: E402

work.WORK["steps"] = STEPS
job.TELL_S = 0.1  # type: ignore[misc]
_settings = Settings.from_env()
_jobs = Jobs(
    _settings, Database(_settings.project), Queue(_settings), DeadLetters(_settings.project, "jobs-dead"), stale_s=1.0
)


@functions_framework.http
def jobs(request: Request) -> Response:
    """One push request."""
    return _jobs.handle(request.get_data())
