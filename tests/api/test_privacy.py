"""What is stored of a private driver is asked for by an admin, and the name is told to nobody meanwhile."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta

import httpx
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1
from google.cloud import storage as storage_api

from pitwall.history.persons import export_object
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import Serve, problem, problem_name

NAME = "Ana Núñez-Kart"
ID = "c9f0f895fb98ab9159f51fd0297e236d"


@pytest.fixture
def admin(accounts: Accounts) -> dict[str, str]:
    return bearer(accounts.token("admin"))


@pytest.fixture
def turns(
    publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, project: str
) -> tuple[pubsub_v1.SubscriberClient, str]:
    """What can be pulled of the topic `jobs`."""
    topic, subscription = publisher.topic_path(project, "jobs"), subscriber.subscription_path(project, "jobs")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    return subscriber, subscription


def test_a_request_is_a_job_that_does_not_have_the_name(
    api: httpx.Client,
    admin: dict[str, str],
    turns: tuple[pubsub_v1.SubscriberClient, str],
    firestore: firestore_api.Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    firestore.document("circuitFeeds/started").set({"circuits": {"misanino": "kart-misanino"}})
    export = api.post("/api/privacy/export", headers=admin, json={"name": NAME})
    erase = api.post("/api/privacy/erase", headers=admin, json={"name": NAME, "circuit": "genk"})
    assert (export.status_code, erase.status_code) == (202, 202), (export.text, erase.text)
    for answer, wish in ((export, "export"), (erase, "erase")):
        job = answer.json()
        id_ = job["request"]["request"]
        assert (job["id"], answer.headers["location"]) == (f"{wish}-person-{id_}", f"/api/jobs/{wish}-person-{id_}")
        request = firestore.document(f"privacyRequests/{id_}").get().to_dict() or {}
        assert (request["name"], request["wish"], request.get("circuit")) == (
            NAME,
            wish,
            "genk" if wish == "erase" else None,
        )
        assert request["expireAt"] - request["at"] == timedelta(days=7)
        assert api.get(f"/api/jobs/{job['id']}").json()["request"] == {"request": id_}
    subscriber, subscription = turns
    received = subscriber.pull(subscription=subscription, max_messages=2, timeout=20).received_messages
    stored = [one.to_dict() for one in firestore.collection("jobs").stream()]
    assert "Ana" not in repr([export.text, erase.text, [one.message.data for one in received], stored])
    assert "Ana" not in capsys.readouterr().out


@pytest.mark.parametrize("circuit", ["misanino", None])
def test_nothing_is_erased_while_timing_is_on(
    circuit: str | None, api: httpx.Client, admin: dict[str, str], firestore: firestore_api.Client
) -> None:
    firestore.document("circuitFeeds/started").set({"circuits": {"misanino": "kart-misanino"}})
    wanted = {"name": NAME} | ({"circuit": circuit} if circuit else {})
    refused = api.post("/api/privacy/erase", headers=admin, json=wanted)
    assert (refused.status_code, problem_name(refused)) == (409, "timing-on")
    assert "misanino" in problem(refused)["detail"]
    assert list(firestore.collection("privacyRequests").stream()) == []


@pytest.mark.parametrize(
    ("body", "member"),
    [
        ({"name": "A."}, "name"),
        ({"name": "a - -"}, "name"),
        ({"name": NAME, "circuit": "../x"}, "circuit"),
    ],
)
def test_what_is_no_name_or_no_track_is_refused(
    body: dict[str, str], member: str, api: httpx.Client, admin: dict[str, str]
) -> None:
    refused = api.post("/api/privacy/erase", headers=admin, json=body)
    assert (refused.status_code, problem(refused)["parameter"]) == (400, member)


def test_an_export_is_shown_to_an_admin_and_kept_by_no_cache(
    serve: Serve, admin: dict[str, str], accounts: Accounts, storage: storage_api.Client, project: str
) -> None:
    api = serve(telemetry_bucket=f"{project}-telemetry")
    bucket = storage.create_bucket(f"{project}-telemetry")
    places = [{"stored": "sessions/kart-genk-1/drivers/7", "at": "/", "says": {"fullName": NAME}}]
    content = gzip.compress(json.dumps({"places": places}).encode())
    bucket.blob(export_object(ID)).upload_from_string(content, content_type="application/gzip")
    path = f"/api/privacy/exports/{ID}"
    shown = api.get(path, headers=admin)
    assert (shown.status_code, shown.json()) == (200, {"places": places})
    assert set(shown.headers["cache-control"].split(", ")) == {"no-store", "private"}
    assert api.get(path, headers=bearer(accounts.token("service"))).status_code == 403
    assert api.get(path).status_code == 401
    for other in ("0" * 32, "x"):
        assert api.get(f"/api/privacy/exports/{other}", headers=admin).status_code == 404
