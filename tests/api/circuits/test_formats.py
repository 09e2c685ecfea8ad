"""How a track's feed is read, over HTTP: an analysis asked for, a human's word, and which of them is in force."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1

from pitwall.documents.circuits import AnalysisDocument
from pitwall.history.format_analysis import stored_form
from pitwall.sources.analysis import analyse
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import NOW, Stored, got, problem, problem_name
from tests.karting.detection import feeds

TRACK = "/api/circuits/ardenmoor"


@pytest.fixture
def runner(accounts: Accounts) -> dict[str, str]:
    """The headers of an account that may run tracks."""
    return bearer(accounts.token("service"))


@pytest.fixture
def track(firestore: firestore_api.Client) -> None:
    """A track as the app has it, and a circuit that is none."""
    firestore.document("circuits/ardenmoor").set({"nom": "Ardenmoor", "wssUrl": "wss://example.com", "c1": "Clt"})
    firestore.document("circuits/monza").set({"circuit": "monza", "name": "Monza"})


@pytest.fixture
def found(store: Stored, track: None) -> None:
    """An analysis of a feed without headers."""
    told = feeds.json_rows()
    analysis = stored_form(analyse(told))
    document = AnalysisDocument(
        at=NOW, heard_from="example.com", frames=len(told), heard_ms=1, analysis=analysis, job="analyze-format-x"
    )
    store({"circuits/ardenmoor/timing/analysis": document})


def test_an_analysis_is_a_job_that_is_queued_once(
    api: httpx.Client,
    runner: dict[str, str],
    track: None,
    publisher: pubsub_v1.PublisherClient,
    subscriber: pubsub_v1.SubscriberClient,
    project: str,
):
    topic = publisher.topic_path(project, "jobs")
    publisher.create_topic(name=topic)
    subscription = subscriber.subscription_path(project, "jobs")
    subscriber.create_subscription(name=subscription, topic=topic)
    first = api.post(f"{TRACK}/analyze-format", headers=runner)
    again = api.post(f"{TRACK}/analyze-format", headers=runner, json={"recording": "captures/x.jsonl.gz"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == "/api/jobs/analyze-format-kart-ardenmoor"
    assert first.json()["request"] == again.json()["request"] == {"circuit": "ardenmoor", "seconds": 120}
    received = subscriber.pull(subscription=subscription, max_messages=10, timeout=20).received_messages
    turn = json.loads(received[0].message.data)
    assert (turn["kind"], turn["key"], turn["turn"]) == ("analyze-format", "kart-ardenmoor", 1)


@pytest.mark.parametrize(
    ("path", "body", "status", "member"),
    [
        (f"{TRACK}/analyze-format", {"seconds": 5}, 400, "seconds"),
        (f"{TRACK}/analyze-format", {"recording": "../x"}, 400, "recording"),
        ("/api/circuits/monza/analyze-format", {}, 404, None),
        ("/api/circuits/nowhere/analyze-format", {}, 404, None),
    ],
)
def test_what_cannot_be_listened_to_is_refused(
    api: httpx.Client, runner: dict[str, str], track: None, path: str, body: Any, status: int, member: str | None
):
    response = api.post(path, headers=runner, json=body)
    assert response.status_code == status
    assert problem(response).get("parameter") == member


def test_a_track_of_which_nothing_is_known_says_so(api: httpx.Client, track: None):
    told = got(api, f"{TRACK}/analysis")
    assert (told["standing"], told["protocol"], told["waiting"]) == ("none", "", [])
    assert api.get("/api/circuits/monza/analysis").status_code == 404
    assert problem_name(api.get(f"{TRACK}/format")) == "not-found"


def test_what_is_sure_is_in_force_and_the_rest_waits_for_a_human(
    api: httpx.Client, runner: dict[str, str], found: None
):
    told = got(api, f"{TRACK}/analysis")
    assert (told["standing"], told["protocol"]) == ("used", "json")
    waiting = {field["role"]: field["key"] for field in told["waiting"]}
    assert waiting == {"Number": "q", "Driver": "r"}
    response = api.put(f"{TRACK}/format", headers=runner, json={"columns": {"q": "Number", "r": "Driver"}})
    assert response.status_code == 200, response.text
    told = got(api, f"{TRACK}/analysis")
    assert (told["standing"], told["waiting"]) == ("human", [])
    used = {field["role"] for field in told["description"]["fields"] if field["confidence"] >= 0.9}
    assert {"Number", "Driver", "LastLapMs"} <= used
    assert got(api, f"{TRACK}/format")["columns"] == {"q": "Number", "r": "Driver"}


def test_a_humans_word_stands_until_it_is_taken_back(api: httpx.Client, runner: dict[str, str], found: None):
    api.put(f"{TRACK}/format", headers=runner, json={"columns": {"u": "LastLapMs"}})
    told = got(api, f"{TRACK}/analysis")
    assert told["said"] == {"u": "LastLapMs"}
    assert told["notices"]
    assert {field["key"] for field in told["description"]["fields"] if field["role"] == "LastLapMs"} == {"u"}
    assert api.delete(f"{TRACK}/format", headers=runner).status_code == 204
    assert got(api, f"{TRACK}/analysis")["standing"] == "used"


def test_a_description_of_ones_own_is_in_force(api: httpx.Client, runner: dict[str, str], track: None):
    description = msgspec.to_builtins(analyse(feeds.pairs()).description)
    response = api.put(f"{TRACK}/format", headers=runner, json={"description": description})
    assert response.status_code == 200, response.text
    told = got(api, f"{TRACK}/analysis")
    assert (told["standing"], told["protocol"]) == ("human", "key-value")
    assert {field["origin"] for field in told["description"]["fields"]} == {"human"}


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"columns": {"c5": "Exec"}}, "columns.c5"),
        ({"columns": {"c5": "Laps", "c6": "Laps"}}, "columns.c6"),
        ({"columns": {"__c5__": "Laps"}}, "columns.__c5__"),
        ({"columns": {"": "Laps"}}, "columns."),
        ({"columns": {f"c{number}": "" for number in range(65)}}, "columns"),
        ({"columns": {}}, "columns"),
        ({"description": {"kind": "python", "key": "0", "fields": []}}, "description.kind"),
        ({"description": {"kind": "delimited", "key": "0", "fields": []}}, "description"),
        ({"code": "import os"}, "code"),
    ],
)
def test_what_no_feed_can_be_read_by_is_refused_by_name(
    api: httpx.Client, runner: dict[str, str], track: None, body: Any, member: str
):
    response = api.put(f"{TRACK}/format", headers=runner, json=body)
    assert response.status_code == 400
    assert problem(response)["parameter"] == member
    assert api.get(f"{TRACK}/format").status_code == 404
