"""A job from the request over HTTP to what it stores, through the whole local stack and the frozen web."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.emulators import Emulator, Emulators
from local.stack import Stack
from local.web import FrozenWeb
from tests.api.accounts import Accounts, bearer
from tests.conftest import SHARED
from tests.history.conftest import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.whole]

WEB = SHARED / "web"
PROJECT = "test-jobs"


@pytest.fixture
def stack(
    firestore_emulator: Emulator,
    pubsub_emulator: Emulator,
    storage_emulator: Emulator,
    auth_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stack]:
    if not WEB.is_dir():
        pytest.skip("there is no ../shared/web")
    monkeypatch.setenv(auth_emulator.variable, auth_emulator.value)
    emulators = Emulators(firestore_emulator, pubsub_emulator, storage_emulator)
    with FrozenWeb(WEB) as web:
        servers = {f"PITWALL_{name.upper()}": url for name, url in web.settings.items()}
        with Stack(
            project=PROJECT, tick_s=None, archive=web.settings["f1_url"], env=servers, emulators=emulators
        ) as up:
            yield up


def test_what_an_admin_asks_for_is_fetched_and_stored(stack: Stack, auth_emulator: Emulator) -> None:
    admin = bearer(Accounts(auth_emulator, PROJECT).token("admin"))
    words: list[dict[str, Any]] = []

    def listen(snapshots: Any, *_: Any) -> None:
        words.extend(snapshot.to_dict() for snapshot in snapshots if snapshot.exists)

    firestore = stack.firestore()
    watch = firestore.document("jobs/backfill-2023-4-Q").on_snapshot(listen)
    with httpx.Client(base_url=stack.api_url, trust_env=False, timeout=30) as api:
        asked = {"kind": "backfill", "season": 2023, "round": 4, "session": "Q"}
        assert api.post("/jobs", json=asked).status_code == 401
        response = api.post("/jobs", headers=admin, json=asked)
        assert (response.status_code, response.json()["state"]) == (202, "queued")
        wait_until(lambda: bool(words) and words[-1]["state"] in ("done", "failed"), "it ends", timeout_s=240)
        watch.unsubscribe()
        assert words[-1].get("error") is None
        states = list(dict.fromkeys(word["state"] for word in words))
        assert states == ["queued", "running", "done"]
        assert [word["progress"] for word in words] == sorted(word["progress"] for word in words)
        wait_until(lambda: api.get("/jobs/backfill-2023-4-Q/events").json()["type"] == "complete", "the API tells it")
        [session] = firestore.collection("sessions").stream()
        assert api.get(f"/sessions/{session.id}/laps").json()["items"]
        assert len(list(session.reference.collection("results").stream())) == 20
    [worked] = [line for line, _ in stack.log_lines("jobs") if line.get("message") == "worked on a job"]
    assert {"job": "jobs/backfill-2023-4-Q", "kind": "backfill", "year": 2023, "round": 4}.items() <= worked.items()
    firestore.close()
