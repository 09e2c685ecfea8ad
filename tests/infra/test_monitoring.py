"""Metrics and alerts that are made of log lines, held to the lines that the functions write.

Filters and extractors are read from infra/ and applied to lines of the functions' own code, on the emulators.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import storage as storage_api

from pitwall.api import status
from pitwall.api.reads import Stored
from pitwall.history import reconciler
from pitwall.history.jobs import Jobs
from pitwall.history.queue import Queue
from pitwall.message import FeedStatus
from pitwall.pipeline.budget import Budget
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.economy import Economy
from pitwall.pipeline.poller import Poller
from pitwall.pipeline.reader import Opened
from pitwall.pipeline.recorder import Recorder
from pitwall.pipeline.rules import Rules
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.writer import Writer
from pitwall.settings import Settings
from tests.infra.hcl import blocks, local, text
from tests.pipeline.conftest import database, push_body, topics  # noqa: F401 (fixtures)

MONITORING = "modules/monitoring/main.tf"
METRICS = local(MONITORING, "metrics")
MATCHES = local(MONITORING, "matches")

_TERM = re.compile(r'(?P<field>[\w.]+)(?P<operator>=~|=)"(?P<value>[^"]*)"')


def matches(filter_: str, function: str, line: dict[str, Any]) -> bool:
    """Whether a line of a function is let through by a filter: terms with AND, those of several functions with OR."""
    held = {"resource.type": "cloud_run_revision", "resource.labels.service_name": function}
    named = re.sub(
        r'\$\{local\.names\["(\w+)"\]\}',
        r'resource.type="cloud_run_revision" AND resource.labels.service_name="\1"',
        filter_,
    )
    return any(_all(option, held, line) for option in named.split(" OR "))


def _all(terms: str, held: dict[str, str], line: dict[str, Any]) -> bool:
    for written in terms.split(" AND "):
        term = _TERM.fullmatch(written.strip("() "))
        assert term is not None, f"{written} is more than this test can read"
        field, value = term["field"], term["value"]
        has = held[field] if field in held else str(line.get(field.removeprefix("jsonPayload."), ""))
        if not (re.search(value, has) if term["operator"] == "=~" else has == value):
            return False
    return True


def extracted(extractor: str, line: dict[str, Any]) -> str:
    """What an extractor of a label takes from a line; empty if there is nothing."""
    [(field, pattern)] = re.findall(r'EXTRACT\(jsonPayload\.(\w+)(?:, "(.*)")?\)$', extractor)
    value = str(line.get(field, ""))
    found = re.search(pattern, value) if pattern else None
    return found[1] if found else "" if pattern else value


class Refused:
    """A live feed that refuses us, then ends."""

    name, session = "f1", "7001"

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()

    def messages(self, cursor: int = 0) -> Iterator[FeedStatus]:
        yield FeedStatus("refused", "F1 blocks this address (403)", at=1_700_000_000_000)

    def close(self) -> None:
        """There is nothing open."""


@pytest.fixture
def settings(project: str, topics: dict[str, str]) -> Settings:  # noqa: F811
    return Settings(project=project, instance="here", source="broadcast", schedule=False, history=())


Written = dict[str, list[dict[str, Any]]]


@pytest.fixture
def written(
    settings: Settings,
    database: Database,  # noqa: F811
    storage: storage_api.Client,
    firestore: firestore_api.Client,
    capsys: pytest.CaptureFixture[str],
) -> Written:
    """The lines of each function, as it meets what its metrics and alerts are about."""
    project = settings.project
    lines: Written = {}

    def end(function: str) -> None:
        lines[function] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    Poller(settings, database, lambda _: Opened(Refused(), 1.0, rewindable=False)).run()
    end("poller")

    writer = Writer(VersionedStore(database), DeadLetters(project, "timing-dead"))
    assert writer.handle(push_body(b"no envelope")).status_code == 204
    nowhere = Writer(VersionedStore(database), DeadLetters(project, "no-such-topic"))
    assert nowhere.handle(push_body(b"no envelope")).status_code == 503
    end("writer")

    recorder = Recorder(storage.bucket(f"{project}-raw"), DeadLetters(project, "raw-dead"))
    assert recorder.handle(push_body(b"no batch")).status_code == 204
    end("recorder")

    budget = Budget(settings, Economy(database), Rules(settings), DeadLetters(project, "budget-dead"))
    costs = {
        "budgetDisplayName": "pitwall",
        "costAmount": 9.0,
        "budgetAmount": 10.0,
        "costIntervalStart": "2025-11-01T00:00:00Z",
    }
    assert budget.handle(push_body(json.dumps(costs).encode())).status_code == 204
    assert budget.handle(push_body(b"no costs")).status_code == 204
    end("economy")

    jobs = Jobs(settings, database, Queue(settings), DeadLetters(project, "jobs-dead"))
    assert jobs.handle(push_body(b"no turn")).status_code == 204
    end("jobs")

    assert reconciler._run(settings, {}).status_code == 200
    end("reconciler")
    return lines


def test_lines_that_are_counted_are_written_with_what_they_are_counted_by(written: Written) -> None:
    counted = {
        name: {
            tuple(extracted(text(extractor), line) for extractor in metric["labels"].values())
            for function, lines in written.items()
            for line in lines
            if matches(text(metric["filter"]), function, line)
        }
        for name, metric in METRICS.items()
    }
    assert counted == {
        "feed_states": {("f1", "refused")},
        "let_go": {("f1", "ended")},
        "dead_letters": {("bad-envelope",), ("bad-batch",), ("unreadable-costs",), ("unreadable-job",)},
        "redeliveries": {()},
        "archive_looks": {("no-archive",)},
    }


def test_lines_that_alert_are_written(written: Written) -> None:
    alerting = {
        name: {
            line["message"]
            for function, lines in written.items()
            for line in lines
            if matches(text(match["filter"]), function, line)
        }
        for name, match in MATCHES.items()
    }
    assert alerting == {"refused": {"the feed is refused"}, "economy": {"the economy is slow"}}


def test_status_says_of_a_silent_feed_what_the_uptime_check_looks_for() -> None:
    now = datetime(2026, 3, 8, 15, 0, tzinfo=UTC)
    [check] = [body for _, names, body in blocks("resource") if names[0] == "google_monitoring_uptime_check_config"]
    [matcher] = check["content_matchers"]

    def shown(silent_s: int) -> bytes:
        heard = now - timedelta(seconds=silent_s)
        feed = Stored("feed", {"state": "live", "lastMessageAt": heard, "at": heard, "writtenAt": heard})
        return orjson.dumps(status._feed("f1", "9001", feed, None, now))

    assert text(matcher["matcher"]) == "NOT_CONTAINS_STRING"
    assert text(matcher["content"]).encode() in shown(31)
    assert text(matcher["content"]).encode() not in shown(29)


def test_the_lag_that_alerts_is_that_of_the_writers_subscription() -> None:
    threshold = local(MONITORING, "thresholds")["writer-lag"]
    [subscription] = re.findall(r'subscription_id="([a-z-]+)"', text(threshold["filter"]))
    assert subscription in local("main.tf", "subscriptions")
