"""A race weekend through all that is deployed: the calendar, waiting, a live session with a hole, its correction.

Everything is called as in the cloud, the jobs over HTTP, the writer by Pub/Sub; F1's live feed and archive are servers
on this machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api

from local.archive import ArchiveServer
from local.emulators import Emulator, Emulators
from local.hub import Fault, FaultPlan, Hub, Playing
from local.hub.redate import Redating, minutes_to
from local.simulator import SESSION_KEY, for_minutes, write_recording
from local.stack import Stack
from pitwall.documents import paths
from pitwall.history.differences import OF_THE_MOMENT
from pitwall.history.reconcile import play
from pitwall.sources.archive import Archive
from pitwall.timing.session_status import FINAL
from tests.history.conftest import stored, unlike
from tests.history.webs import meeting

pytestmark = pytest.mark.e2e

SPEED = 30.0
TICK_S = 0.25
LOST_MS = 100_000
"""When the live connection is lost, ms of the feed: in the race's first lap."""
SESSION, LATER = str(SESSION_KEY), "9999"
"""Keys of the race that is played, and of one that is hours away."""
HOUR = timedelta(hours=1)


@dataclass
class Weekend:
    """What was seen on the way.

    calendar, schedule: what the function `schedule` stored while the next session was hours away. idle: what the
    pollers logged of their ticks then. connections: to the live feed, then. over: the schedule after the session.
    live: documents of the session then. corrected: once it was final. archived: as its archive has them. looks: the
    states the reconciler gave, in order. answer: of the API at the end.
    """

    calendar: dict[str, dict[str, Any]]
    schedule: dict[str, Any]
    idle: list[dict[str, Any]]
    connections: int
    over: dict[str, Any]
    live: dict[str, dict[str, Any]]
    corrected: dict[str, dict[str, Any]]
    archived: dict[str, dict[str, Any]]
    looks: list[str]
    answer: httpx.Response


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def race_of_today(folder: Path, now: datetime) -> Path:
    """A recording of a race that begins now."""
    race = for_minutes(4, 5, telemetry=False)
    path, dated = folder / "race.txt", folder / "today.txt"
    write_recording(race, path)
    redating = Redating(minutes_to(race.opens, int(now.timestamp() * 1000)))
    dated.write_bytes(b"".join(map(redating, path.read_bytes().splitlines(keepends=True))))
    return dated


def listed(archive: ArchiveServer, now: datetime, races: dict[str, datetime]) -> None:
    """Has F1's index of the season list races that are to come. races: starts by session key."""
    meetings = []
    for key, start in races.items():
        of_key = meeting(
            int(key), f"{key} Grand Prix", key, "00:00:00", [("Race", f"{start:%Y-%m-%dT%H:%M:%S}")], held=False
        )
        of_key["Sessions"][0]["Key"] = int(key)
        meetings.append(of_key)
    archive.write(f"{now.year}/Index.json", json.dumps({"Year": now.year, "Meetings": meetings}).encode("utf-8-sig"))


def idle(stack: Stack) -> list[dict[str, Any]]:
    """What the pollers logged of ticks between sessions."""
    entries = [entry for poller in stack.pollers for entry, _ in stack.log_lines(poller)]
    return [entry for entry in entries if entry.get("outcome") == "between-sessions"]


@pytest.fixture(scope="module")
def weekend(
    firestore_emulator: Emulator,
    pubsub_emulator: Emulator,
    storage_emulator: Emulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Weekend:
    now = datetime.now(UTC)
    recording = race_of_today(tmp_path_factory.mktemp("race"), now)
    lost = FaultPlan([(LOST_MS, Fault("refuse-502", times=4))])
    with ArchiveServer() as archive, Hub([Playing(recording)], SPEED, plan=lost) as hub:
        listed(archive, now, {LATER: now + 3 * HOUR})
        with Stack(
            source="f1",
            speed=SPEED,
            archive=archive.url,
            project="test-whole-system",
            tick_s=TICK_S,
            env={"PITWALL_F1_URL": hub.url, "PITWALL_QUIET_S": str(3 * SPEED), "PITWALL_BACKOFF_S": "1"},
            emulators=Emulators(firestore_emulator, pubsub_emulator, storage_emulator),
        ) as stack:
            client = stack.firestore()

            def fields(path: str) -> dict[str, Any]:
                return client.document(path).get().to_dict() or {}

            wait_for(lambda: len(idle(stack)) >= 4, "a tick between sessions")
            ticks, connections, schedule = idle(stack), hub.connections, fields(paths.schedule("f1"))
            calendar = {event.id: event.to_dict() or {} for event in client.collection(paths.events(now.year)).stream()}

            listed(archive, now, {LATER: now + 3 * HOUR, SESSION: now + HOUR / 6})
            httpx.post(stack.functions["schedule"].url, json={}, timeout=60, trust_env=False).raise_for_status()
            wait_for(lambda: len(hub.snapshots) >= 2, "holder and standby at the live feed")
            hub.start()
            wait_for(lambda: "last" in fields(paths.schedule("f1")), "the session is over")
            over = fields(paths.schedule("f1"))
            wait_for(lambda: "holder" not in fields(paths.lease("f1")), "the feed is let go")
            wait_for(lambda: fields(paths.session(SESSION)).get("status") in FINAL, "all of it is stored")
            wait_for(lambda: looks(stack)[-1:] == ["waiting"], "the archive is waited for")
            live = lasting(client)

            path = archive.add(recording)
            wait_for(lambda: fields(paths.session(SESSION)).get("final"), "the session is final")
            corrected = lasting(client)
            answer = httpx.get(f"{stack.api_url}/sessions/{SESSION}", trust_env=False)
            wait_for(lambda: looks(stack)[-1:] == ["final"], "nothing more is to do")
            seen = looks(stack)
            client.close()
        with Archive(archive.static_url, requests_per_s=1000) as all_sessions:
            archived = play(all_sessions.open(path, telemetry=False), "f1", lambda _: None)[0].documents
    return Weekend(calendar, schedule, ticks, connections, over, live, corrected, archived, seen, answer)


def lasting(client: firestore_api.Client) -> dict[str, dict[str, Any]]:
    """The documents of the session but for those of the moment."""
    documents = stored(client, SESSION)
    return {path: fields for path, fields in documents.items() if paths.kind_of(path).name not in OF_THE_MOMENT}


def looks(stack: Stack) -> list[str]:
    """The states the reconciler's job was answered, each once for as long as it lasted."""
    entries = [entry for entry, _ in stack.log_lines("reconciler") if entry.get("message") == "looked for the archive"]
    return [state for state, _ in groupby(entry["state"] for entry in entries)]


def test_the_daily_job_fills_the_calendar_and_what_is_to_be_polled(weekend: Weekend) -> None:
    (event,) = weekend.calendar.values()
    assert [session["sessionKey"] for session in event["sessions"]] == [LATER]
    assert [session["sessionKey"] for session in weekend.schedule["upcoming"]] == [LATER]
    assert weekend.schedule["next"] == weekend.schedule["upcoming"][0]


def test_a_tick_between_sessions_costs_one_read_and_does_nothing(weekend: Weekend) -> None:
    costs = {(tick["firestoreReads"], tick["firestoreWrites"], tick["firestoreDeletes"]) for tick in weekend.idle}
    assert costs == {(1, 0, 0)}
    assert weekend.connections == 0


def test_a_session_in_its_window_is_polled_until_it_is_over(weekend: Weekend) -> None:
    assert weekend.over["last"]["sessionKey"] == SESSION
    assert weekend.over["next"]["sessionKey"] == LATER


def test_what_was_lost_live_is_missing_before_the_archive_is_there(weekend: Weekend) -> None:
    assert paths.series(SESSION, "gaps", 0) in weekend.live
    assert weekend.live[paths.session(SESSION)]["final"] is False
    assert any("/laps/" in path for path in unlike(weekend.live, weekend.archived))


def test_the_reconciler_waits_for_the_archive_and_corrects_the_session_once(weekend: Weekend) -> None:
    assert weekend.looks[-3:] == ["waiting", "reconciled", "final"]
    assert set(weekend.looks[:-3]) <= {"nothing-to-do"}


def test_a_corrected_session_is_what_its_archive_says_and_final(weekend: Weekend) -> None:
    assert unlike(weekend.corrected, weekend.archived) == []
    assert weekend.answer.json()["final"] is True
    assert "max-age=86400" in weekend.answer.headers["cache-control"]
