"""What is seen of a poller from outside: the trace of its call on every line, how far behind it is on a live feed."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from functions_framework import create_app
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from pitwall.message import Message
from pitwall.pipeline import metrics
from pitwall.pipeline.database import Database
from pitwall.pipeline.invocation import database_of
from pitwall.pipeline.poller import Poller
from pitwall.pipeline.reader import Opened
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording
from tests.pipeline.broadcast import Broadcast
from tests.pipeline.conftest import little_race, write_recording

MAIN = Path(__file__).parents[2] / "functions" / "main.py"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BEHIND_S = 7_200
SPEED = 50.0


def delays(reader: InMemoryMetricReader) -> list[tuple[dict[str, Any], int, float, float]]:
    """Attributes, number of messages, and seconds of the one that was least and most behind."""
    data = reader.get_metrics_data()
    return [
        (dict(point.attributes), point.count, point.min, point.max)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "pitwall.feed.delay"
        for point in metric.data.data_points
    ]


def hold(settings: Settings, project: str, opened: Opened) -> list[tuple[dict[str, Any], int, float, float]]:
    """The delays that were measured while a feed was held to its end."""
    reader = InMemoryMetricReader()
    metrics.measure_into(reader, project)
    database = Database(project)
    try:
        assert Poller(settings, database, lambda _: opened).run().outcome == "ended"
        return delays(reader)
    finally:
        metrics.stop()
        database.close()


def dated(messages: list[Message], first_at: int) -> list[Message]:
    """The messages, the first at an instant in milliseconds."""
    return [message._replace(at=message.at - messages[0].at + first_at) for message in messages]


@pytest.fixture
def settings(project: str, topics: dict[str, str], database: Database) -> Settings:
    return Settings(project=project, instance="here", source="broadcast", schedule=False, invocation_s=120.0)


def test_each_message_of_a_live_feed_says_how_far_behind_it_came(settings: Settings, project: str) -> None:
    race = little_race()
    took_s = (race[-1].at - race[0].at) / 1000
    began = time.time()
    sent = dated(race, int((began - BEHIND_S) * 1000))
    [(attributes, count, least, most)] = hold(settings, project, Broadcast(sent, SPEED, ends=True).opened())
    assert (attributes, count) == ({"feed": "f1"}, len(race))
    # The feed's instants go SPEED times as fast as the clock it is measured with.
    assert BEHIND_S - took_s <= least < most <= BEHIND_S + time.time() - began


def test_a_feed_that_is_ahead_of_our_clock_is_not_behind(settings: Settings, project: str) -> None:
    sent = dated(little_race(), int((time.time() + BEHIND_S) * 1000))
    [(_, _, least, most)] = hold(settings, project, Broadcast(sent, SPEED, ends=True).opened())
    assert (least, most) == (0.0, 0.0)


def test_a_recording_is_not_behind_its_own_date(settings: Settings, project: str, tmp_path: Path) -> None:
    recording = open_recording(write_recording(tmp_path / "little.jsonl", little_race()))
    assert hold(settings, project, Opened(recording, math.inf, rewindable=True)) == []


def test_every_line_of_an_invocation_carries_its_trace(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_recording(tmp_path / "little.jsonl", little_race())
    settings = Settings(project=settings.project, source=f"recording:{path}", speed=math.inf)
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    database_of.cache_clear()
    client = create_app("poller", str(MAIN)).test_client()
    for trace in (TRACE, TRACE[::-1]):
        answer = client.post("/", data=b"{}", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        assert answer.status_code == 200
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        traces = {line.get("logging.googleapis.com/trace") for line in lines}
        assert traces == {f"projects/{settings.project}/traces/{trace}"}
        assert lines[-1]["message"] == "polled"
