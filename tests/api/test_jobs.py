"""Jobs over HTTP: asked for and stopped by admins, followed by everybody. Who works on them is no part of this."""

from __future__ import annotations

import json
from typing import Any

import httpx
import msgspec
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1

from pitwall.documents.job import JobDocument, KindChanges, Reconciled
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import NOW, Stored, before, got, pages, problem, problem_name

ASKED = {"kind": "backfill", "season": 2023}
ID = "backfill-2023"


@pytest.fixture
def admin(accounts: Accounts) -> dict[str, str]:
    return bearer(accounts.token("admin"))


@pytest.fixture
def topic(publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, project: str) -> str:
    """The topic of jobs; its name is also that of a subscription to it."""
    path = publisher.topic_path(project, "jobs")
    publisher.create_topic(name=path)
    subscriber.create_subscription(name=subscriber.subscription_path(project, "jobs"), topic=path)
    return "jobs"


@pytest.fixture
def published(subscriber: pubsub_v1.SubscriberClient, project: str, topic: str) -> Any:
    """Gives the messages that were published since the last call, of which there are so many."""
    path = subscriber.subscription_path(project, topic)

    def pulled(count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            received = subscriber.pull(subscription=path, max_messages=10, timeout=20).received_messages
            found += [json.loads(message.message.data) for message in received]
            subscriber.acknowledge(subscription=path, ack_ids=[message.ack_id for message in received])
        return found

    return pulled


def job(state: Any, **fields: Any) -> JobDocument:
    return JobDocument(**{"at": NOW, "kind": "backfill", "state": state, "progress": 0, "turn": 1, **fields})


def stored(firestore: firestore_api.Client, id_: str = ID) -> dict[str, Any]:
    return firestore.document(f"jobs/{id_}").get().to_dict() or {}


def test_what_is_asked_for_is_queued_and_published(
    api: httpx.Client, admin: dict[str, str], published: Any, firestore: firestore_api.Client
):
    response = api.post("/api/jobs", headers=admin, json={**ASKED, "round": 4, "session": "R", "telemetry": True})
    request = {"season": 2023, "round": 4, "session": "R", "telemetry": True}
    assert (response.status_code, response.headers["location"]) == (202, "/api/jobs/backfill-2023-4-R-telemetry")
    assert published(1) == [{"kind": "backfill", "key": "2023-4-R-telemetry", "request": request, "turn": 1}]
    shown = response.json()
    assert (shown["id"], shown["state"], shown["progress"]) == ("backfill-2023-4-R-telemetry", "queued", 0)
    assert stored(firestore, shown["id"])["request"] == request


def test_jobs_that_differ_in_what_is_asked_for_are_several(api: httpx.Client, admin: dict[str, str], topic: str):
    asked = [ASKED, {**ASKED, "from": 3, "to": 7}, {**ASKED, "again": True}, {**ASKED, "telemetry": True}]
    responses = [api.post("/api/jobs", headers=admin, json=body) for body in asked]
    assert [response.status_code for response in responses] == [202] * 4
    assert [response.json()["id"].removeprefix("backfill-") for response in responses] == [
        "2023",
        "2023-from-3-to-7",
        "2023-again",
        "2023-telemetry",
    ]


def test_one_that_is_queued_is_given_back_and_published_again(api: httpx.Client, admin: dict[str, str], published: Any):
    """Whoever asked first may have failed before its message was published."""
    responses = [api.post("/api/jobs", headers=admin, json=ASKED) for _ in range(2)]
    assert [response.status_code for response in responses] == [202, 200]
    assert published(2) == [{"kind": "backfill", "key": "2023", "request": {"season": 2023}, "turn": 1}] * 2


def test_one_that_is_running_is_given_back(
    api: httpx.Client, admin: dict[str, str], store: Stored, topic: str, firestore: firestore_api.Client
):
    store({f"jobs/{ID}": job("running", progress=40)})
    response = api.post("/api/jobs", headers=admin, json=ASKED)
    assert (response.status_code, response.json()["progress"]) == (200, 40)
    assert stored(firestore)["state"] == "running"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled", "killed"])
def test_one_that_has_ended_is_queued_for_its_next_turn(
    api: httpx.Client, admin: dict[str, str], store: Stored, published: Any, state: Any
):
    if state == "killed":
        store({f"jobs/{ID}": job("running", progress=40)}, written_at=before(301))
    else:
        store({f"jobs/{ID}": job(state, progress=40, error="x", stalled=3)})
    response = api.post("/api/jobs", headers=admin, json=ASKED)
    shown = response.json()
    assert (response.status_code, shown["state"], shown["progress"], "error" in shown) == (202, "queued", 0, False)
    assert [message["turn"] for message in published(1)] == [2]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"kind": "laundry"}, "kind"),
        ({"kind": "archive", "season": 2023}, "kind"),
        ({"kind": "backfill"}, "body"),
        ({**ASKED, "season": "2023"}, "season"),
        ({**ASKED, "season": 1949}, "season"),
        ({**ASKED, "round": 0}, "round"),
        ({**ASKED, "round": 4, "session": "FP9"}, "session"),
        ({**ASKED, "session": "R"}, "session"),
        ({**ASKED, "round": 4, "from": 3}, "round"),
        ({**ASKED, "telemetry": "yes"}, "telemetry"),
        ({**ASKED, "laps": 3}, "laps"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(
    api: httpx.Client, admin: dict[str, str], body: Any, parameter: str, firestore: firestore_api.Client
):
    response = api.post("/api/jobs", headers=admin, json=body)
    assert (response.status_code, problem(response)["parameter"]) == (400, parameter)
    assert list(firestore.collection("jobs").stream()) == []


def test_without_pub_sub_the_client_is_told_to_ask_once_more(
    api: httpx.Client, admin: dict[str, str], publisher: pubsub_v1.PublisherClient, firestore: firestore_api.Client
):
    response = api.post("/api/jobs", headers=admin, json=ASKED)  # there is no topic
    assert (response.status_code, problem_name(response)) == (503, "unavailable")
    assert "retry-after" in response.headers
    assert stored(firestore)["state"] == "queued"


def test_a_job_is_shown_with_its_id_and_kept_for_a_second(api: httpx.Client, store: Stored):
    store({f"jobs/{ID}": job("running", progress=40, message="round 4", request={"season": 2023})})
    response = api.get(f"/api/jobs/{ID}")
    shown = response.json()
    assert (shown["id"], shown["state"], shown["request"]) == (ID, "running", {"season": 2023})
    assert response.headers["cache-control"].startswith("public, max-age=1,")


def test_the_result_of_a_correction_is_shown(api: httpx.Client, store: Stored):
    changes = {"lap": KindChanges(added=0, changed=1, removed=0, fields={"lapTimeMs": 1}, examples=[])}
    result = msgspec.to_builtins(Reconciled(messages=9, compared=3, written=1, deleted=0, changes=changes))
    store({"jobs/archive-9845": job("done", kind="archive", result=result)})
    assert got(api, "/api/jobs/archive-9845")["result"] == result


@pytest.mark.parametrize("path", ["backfill-1951", "no%20job", "..", "x" * 129])
@pytest.mark.parametrize("end", ["", "/events"])
def test_a_job_that_is_not_there_is_not_found(api: httpx.Client, path: str, end: str):
    response = api.get(f"/api/jobs/{path}{end}")
    assert (response.status_code, problem_name(response)) == (404, "not-found")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (job("queued"), {"type": "progress", "progress": 0.0, "message": "queued"}),
        (
            job("running", progress=50, message="round 4"),
            {"type": "progress", "progress": 50.0, "message": "round 4"},
        ),
        (
            job("done", progress=100, message="done", result={"written": 3}),
            {"type": "complete", "progress": 100.0, "message": "done", "result": {"written": 3}},
        ),
        (
            job("failed", progress=50, message="x", error="no such round"),
            {"type": "error", "progress": 50.0, "message": "no such round"},
        ),
        (
            job("cancelled", message="it was cancelled"),
            {"type": "error", "progress": 0.0, "message": "it was cancelled"},
        ),
    ],
    ids=lambda value: value.state if isinstance(value, JobDocument) else "",
)
def test_how_far_a_job_is_has_one_of_three_forms(
    api: httpx.Client, store: Stored, document: JobDocument, message: dict[str, Any]
):
    store({f"jobs/{ID}": document})
    assert got(api, f"/api/jobs/{ID}/events") == message


def test_an_event_source_is_told_when_to_ask_again_and_when_no_more(api: httpx.Client, store: Stored):
    as_source = {"Accept": "text/event-stream"}
    store({f"jobs/{ID}": job("running", progress=50, message="round 4")})
    told = api.get(f"/api/jobs/{ID}/events", headers=as_source)
    assert told.headers["content-type"] == "text/event-stream"
    assert told.text.splitlines()[0::2] == [
        "retry: 2000",
        'data: {"type":"progress","progress":50.0,"message":"round 4"}',
    ]
    store({f"jobs/{ID}": job("done", message="done")})
    last = api.get(f"/api/jobs/{ID}/events", headers={**as_source, "Last-Event-ID": told.text.split("\n")[1][4:]})
    assert "id: end" in last.text.splitlines()
    assert api.get(f"/api/jobs/{ID}/events", headers={**as_source, "Last-Event-ID": "end"}).status_code == 204


def test_jobs_are_listed_from_the_latest_on(api: httpx.Client, admin: dict[str, str], store: Stored):
    store({f"jobs/backfill-{year}": job("done", at=before(2030 - year)) for year in range(2018, 2023)})
    api.headers.update(admin)
    listed = list(pages(api, "/api/jobs", limit=2))
    assert [[item["id"] for item in page["items"]] for page in listed] == [
        ["backfill-2022", "backfill-2021"],
        ["backfill-2020", "backfill-2019"],
        ["backfill-2018"],
    ]


def test_the_list_is_kept_by_no_cache_between(api: httpx.Client, admin: dict[str, str]):
    assert "private" in api.get("/api/jobs", headers=admin).headers["cache-control"]


@pytest.mark.parametrize("state", ["queued", "waiting", "killed"])
def test_a_job_that_nobody_is_at_is_cancelled_at_once(
    api: httpx.Client, admin: dict[str, str], store: Stored, firestore: firestore_api.Client, state: Any
):
    if state == "killed":
        store({f"jobs/{ID}": job("running")}, written_at=before(301))
    else:
        store({f"jobs/{ID}": job(state)})
    response = api.post(f"/api/jobs/{ID}/cancel", headers=admin)
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert stored(firestore)["state"] == "cancelled"


def test_a_job_that_is_at_work_is_asked_to_stop(
    api: httpx.Client, admin: dict[str, str], store: Stored, firestore: firestore_api.Client
):
    store({f"jobs/{ID}": job("running", progress=40)})
    response = api.post(f"/api/jobs/{ID}/cancel", headers=admin)
    assert (response.status_code, response.json()["state"], response.json()["cancel"]) == (200, "running", True)
    assert (stored(firestore)["cancel"], stored(firestore)["progress"]) == (True, 40)


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_what_has_ended_stays_as_it_is(
    api: httpx.Client, admin: dict[str, str], store: Stored, firestore: firestore_api.Client, state: Any
):
    store({f"jobs/{ID}": job(state)})
    as_it_was = stored(firestore)
    response = api.post(f"/api/jobs/{ID}/cancel", headers=admin)
    assert (response.status_code, response.json()["state"]) == (200, state)
    assert stored(firestore) == as_it_was


@pytest.mark.parametrize("id_", ["backfill-1951", "archive-9845", "no%20job"])
def test_what_cannot_be_cancelled_is_not_found(api: httpx.Client, admin: dict[str, str], store: Stored, id_: str):
    store({"jobs/archive-9845": job("running", kind="archive")})
    response = api.post(f"/api/jobs/{id_}/cancel", headers=admin)
    assert (response.status_code, problem_name(response)) == (404, "not-found")


@pytest.mark.parametrize("role", [None, "viewer", "service"])
def test_only_admins_ask_for_jobs_list_and_stop_them(api: httpx.Client, accounts: Accounts, store: Stored, role: Any):
    store({f"jobs/{ID}": job("running")})
    caller = bearer(accounts.token(role))
    refused = [
        api.post("/api/jobs", headers=caller, json=ASKED),
        api.get("/api/jobs", headers=caller),
        api.post(f"/api/jobs/{ID}/cancel", headers=caller),
    ]
    assert [response.status_code for response in refused] == [403, 403, 403]
    assert api.get(f"/api/jobs/{ID}", headers=caller).status_code == 200
