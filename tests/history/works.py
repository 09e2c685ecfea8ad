"""Works for the tests of jobs: `module:function`, as those of production are, also in a process of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pitwall.history.work import BadRequest, Progress
from pitwall.pipeline.database import Database
from pitwall.settings import Settings

STEPS = "tests.history.works:steps"
FAILS = "tests.history.works:fails"


def steps(settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Takes `steps` steps, those that are stored as taken left out, each once `gates/{gate}` lets it `through`."""
    total, gate = request["steps"], f"gates/{request['gate']}"
    taken = 0
    for step in range(1, total + 1):
        path = f"steps/{request['gate']}-{step}"
        if database.read([path])[path].fields is not None:
            continue
        while (database.read([gate])[gate].fields or {}).get("through", 0) < step:
            progress((step - 1) / total, f"waits before step {step}")
            time.sleep(0.02)
        database.commit([database.add(path, "times", 1, {})])
        taken += 1
        progress(step / total, f"took step {step}")
    return {"taken": taken}


def fails(settings: Settings, database: Database, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Fails as `how` says, as often as `times` says; then its result is long, if it is to be `longer`, bytes."""
    path = "failures/so-far"
    so_far = (database.read([path])[path].fields or {}).get("times", 0)
    progress(request.get("at", 0.0), "about to fail")
    if so_far < request.get("times", 1_000):
        database.commit([database.add(path, "times", 1, {})])
        errors = {
            "refused": BadRequest("there is no round 99 in 2023"),
            "away": OSError("502 from a source"),
            "mistake": KeyError("lapTimeMs"),
        }
        if request["how"] in errors:
            raise errors[request["how"]]
    return {"tried": so_far + 1, "nothing": None, "report": "x" * request.get("longer", 0)}
