"""Telemetry from the request over HTTP to the frames of a viewer, through the whole local stack and an archive."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.archive import ArchiveServer
from local.emulators import Emulator, Emulators
from local.simulator import SESSION_KEY, Incidents, quick_race, write_recording
from local.stack import Stack
from pitwall.documents.encoding import to_fields
from pitwall.documents.schedule import EventDocument, ScheduledSession
from pitwall.history.telemetry.compact import EXACT, encode
from tests.api.accounts import Accounts, bearer
from tests.history.conftest import wait_until
from tests.history.telemetry.conftest import play

pytestmark = [pytest.mark.e2e, pytest.mark.whole]

PROJECT = "test-telemetry"
JOB = "telemetry-2026-12-R"


def test_a_race_is_computed_by_a_job_and_then_served(
    firestore_emulator: Emulator,
    pubsub_emulator: Emulator,
    storage_emulator: Emulator,
    auth_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv(auth_emulator.variable, auth_emulator.value)
    recording = tmp_path / "race.txt.gz"
    write_recording(quick_race(5, laps=1, incidents=Incidents.calm(1)), recording)
    emulators = Emulators(firestore_emulator, pubsub_emulator, storage_emulator)
    with ArchiveServer() as archive:
        path = archive.add(recording)
        with (
            Stack(project=PROJECT, tick_s=None, archive=archive.url, emulators=emulators) as stack,
            httpx.Client(base_url=stack.api_url.removesuffix("/api"), trust_env=False, timeout=60) as api,
        ):
            firestore = stack.firestore()
            firestore.document("seasons/2026/events/12").set(to_fields(meeting(path)))
            words: list[dict[str, Any]] = []
            watch = firestore.document(f"jobs/{JOB}").on_snapshot(
                lambda snapshots, *_: words.extend(one.to_dict() for one in snapshots if one.exists)
            )
            admin = bearer(Accounts(auth_emulator, PROJECT).token("admin"))
            asked = {"year": 2026, "round": 12, "compress": "exact"}
            assert api.get("/f1/race-telemetry/2026/12").status_code == 404
            response = api.post("/f1/race-telemetry", headers=admin, json=asked)
            assert (response.status_code, response.headers["location"]) == (202, f"/api/jobs/{JOB}")
            wait_until(lambda: bool(words) and words[-1]["state"] in ("done", "failed"), "it ends", timeout_s=240)
            watch.unsubscribe()
            assert words[-1].get("error") is None
            assert words[-1]["result"]["source"] == "archive"
            assert len({word["message"] for word in words if word["state"] == "running"}) > 1
            expected = play(recording).telemetry
            assert api.get("/f1/race-telemetry/2026/12?frame_skip=4").json()["frameCount"] == expected.every(4).frames
            assert api.post("/f1/race-telemetry", headers=admin, json=asked).content == encode(expected, EXACT)
            firestore.close()


def meeting(path: str) -> EventDocument:
    """The race in the calendar."""
    at = datetime(2026, 7, 12, 13, tzinfo=UTC)
    race = ScheduledSession(
        session_key=str(SESSION_KEY), year=2026, round=12, meeting="Ardenmoor Grand Prix", type="Race", name="Race",
        start_date=at, end_date=at, archive_path=path,
    )  # fmt: skip
    return EventDocument(at=at, written_at=at, v=1, year=2026, round=12, name="Ardenmoor Grand Prix", sessions=[race])
