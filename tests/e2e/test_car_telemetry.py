"""One car's telemetry through the whole stack: asked for over HTTP, listened to in Firestore, ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.listener import Listener, Stored
from local.simulator import for_minutes, write_recording
from local.stack import Stack
from pitwall.api.keys import PREFIX, id_of
from pitwall.documents import paths
from pitwall.documents.api_key import ApiKeyDocument
from pitwall.documents.encoding import EPOCH, instant, to_fields
from pitwall.sources.recording import open_recording
from pitwall.timing.values import utc_ms

pytestmark = pytest.mark.e2e

SPEED = 10
SEEN = 15
"""Documents after which the viewer has seen enough."""
KEY = PREFIX + "k" * 43


class Viewer:
    """What a listener to one document was called with."""

    def __init__(self) -> None:
        self.documents: dict[int, dict[str, Any]] = {}
        self.enough = threading.Event()

    def __call__(self, stored: Stored) -> None:
        self.documents[stored["v"]] = stored.fields
        if len(self.documents) >= SEEN:
            self.enough.set()

    def instants(self, kind: str) -> set[datetime]:
        return {sample["at"] for document in self.documents.values() for sample in document[kind]}


def told_by(recording: Path, number: str) -> dict[str, set[datetime]]:
    """The instants of a car's samples, as the feed told them."""
    found: dict[str, set[datetime]] = {"telemetry": set(), "positions": set()}
    for message in open_recording(recording).messages():
        if message.topic == "CarData":
            of, entries, name, at = found["telemetry"], message.data["Entries"], "Cars", "Utc"
        elif message.topic == "Position":
            of, entries, name, at = found["positions"], message.data["Position"], "Entries", "Timestamp"
        else:
            continue
        of |= {instant(utc_ms(entry[at]) or 0) for entry in entries if number in entry[name]}
    return found


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what} took too long"
        time.sleep(0.1)


@pytest.mark.long
def test_a_viewer_sees_every_sample_of_the_car_asked_for_at_most_once_a_second(tmp_path: Path) -> None:
    recording = tmp_path / "race.txt.gz"
    write_recording(for_minutes(2.5, 6), recording)
    session = open_recording(recording).session
    viewer = Viewer()
    with Stack(source=f"recording:{recording}", speed=SPEED, tick_s=1.0) as stack:
        client = stack.firestore()
        key = ApiKeyDocument(
            at=EPOCH, written_at=EPOCH, v=1, name="e2e", role="service", created_at=EPOCH, created_by="x"
        )
        client.document(paths.api_key(id_of(KEY))).set(to_fields(key))
        entries = client.document(paths.live(session, "entries"))
        wait_for(lambda: bool(entries.get().exists), "the session")
        number = sorted((entries.get().to_dict() or {})["lines"])[0]
        asked_at = f"{stack.api_url}/sessions/{session}/telemetry/{number}"
        with httpx.Client(headers={"X-API-Key": KEY}, trust_env=False, timeout=30) as api:
            asked = api.post(asked_at)
            assert asked.status_code == 201, asked.text
            document = client.document(asked.json()["path"])
            with Listener(stack.project, viewer) as listener:
                listener.follow(asked.json()["path"])
                assert viewer.enough.wait(60)
            assert api.delete(asked_at).status_code == 204
        wait_for(lambda: not document.get().exists, "the end of the document")
    told = told_by(recording, number)
    for kind in ("telemetry", "positions"):
        seen = viewer.instants(kind)
        first, last = min(seen), max(seen)
        assert seen == {at for at in told[kind] if first <= at <= last}
    instants = sorted(fields["at"] for fields in viewer.documents.values())
    assert instants[-1] - instants[0] >= timedelta(seconds=len(instants) - 3)
