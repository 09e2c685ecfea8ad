"""What the smoke test says of a deployment, good and bad: the API and Firestore with its rules are the real ones on the
emulator; Google's APIs, the functions' addresses and F1 are a server at the edge that answers as documented."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api
from werkzeug.serving import make_server

from deploy import smoke
from local import topology
from local.emulators import Emulator
from pitwall.api.app import create_app
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.settings import Settings
from tests.infra.hcl import local, text

ROOT = Path(__file__).resolve().parents[2]
REGION = "europe-west1"
NOW = datetime.now(UTC)


class Edge:
    """Stands for Google's APIs, the functions' addresses and F1: what each path is answered, by path without query."""

    def __init__(self, project: str, url: str) -> None:
        self.project, self.url = project, url
        self.asked: list[tuple[str, str]] = []
        self.authorization: set[str | None] = set()
        self.services = {name: self._service(name) for name in smoke.FUNCTIONS}
        self.jobs = {name: self._job(name) for name in smoke.JOBS}
        self.subscriptions = {name: self._push(name, topic) for name, topic in smoke.SUBSCRIPTIONS.items()}
        for topic in smoke.TOPICS:
            self.subscriptions[f"{topic}-dead"] = {"name": f"projects/{project}/subscriptions/{topic}-dead"}
        self.waiting = {f"{topic}-dead": 0 for topic in smoke.TOPICS}
        self.rules = (ROOT / "firestore.rules").read_text(encoding="utf-8")
        self.message = "as the test wants it"
        self.status: dict[str, int] = {"/signalrcore/negotiate": 200}
        self.answers: dict[str, Any] = {
            f"/v1/projects/{project}/databases/(default)": {
                "type": "FIRESTORE_NATIVE",
                "deleteProtectionState": "DELETE_PROTECTION_ENABLED",
                "pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED",
            },
            f"/v1/projects/{project}/releases/cloud.firestore": {"rulesetName": f"projects/{project}/rulesets/one"},
            f"/v1/projects/{project}/secrets/f1tv-token/versions/latest": {"state": "ENABLED"},
            f"/v1/projects/{project}/secrets/rate-limit/versions/latest": {"state": "ENABLED"},
            f"/v1/projects/{project}/billingInfo": {
                "billingEnabled": True,
                "billingAccountName": "billingAccounts/0-1",
            },
            "/v1/billingAccounts/0-1/budgets": {
                "budgets": [
                    {
                        "name": "billingAccounts/0-1/budgets/2",
                        "notificationsRule": {"pubsubTopic": f"projects/{project}/topics/budget"},
                    }
                ]
            },
            "/signalrcore/negotiate": {"connectionToken": "x"},
        }

    def _service(self, name: str) -> dict[str, Any]:
        environment: list[dict[str, Any]] = [{"name": "PITWALL_F1_URL", "value": self.url}]
        if name == "poller":
            secret = f"projects/{self.project}/secrets/f1tv-token/versions/latest"
            environment.append({"name": "PITWALL_F1_TOKEN_SECRET", "value": secret})
        if name == "api":
            reference = {"secretKeyRef": {"secret": "rate-limit", "version": "latest"}}
            environment.append({"name": "PITWALL_RATE_LIMIT_SECRET", "valueSource": reference})
        return {
            "name": f"projects/{self.project}/locations/{REGION}/services/{name}",
            "uri": f"{self.url}/function/{name}",
            "ingress": "INGRESS_TRAFFIC_ALL" if name == "api" else "INGRESS_TRAFFIC_INTERNAL_ONLY",
            "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
            "template": {
                "serviceAccount": f"pitwall-{name}@{self.project}.iam.gserviceaccount.com",
                "containers": [{"env": environment}],
            },
        }

    def _job(self, name: str) -> dict[str, Any]:
        return {
            "name": f"projects/{self.project}/locations/{REGION}/jobs/{name}",
            "state": "ENABLED",
            "status": {},
            "lastAttemptTime": datetime.now(UTC).isoformat().replace("+00:00", "123Z"),
            "httpTarget": {"oidcToken": {"serviceAccountEmail": "pitwall-scheduler@..."}},
        }

    def _push(self, name: str, topic: str) -> dict[str, Any]:
        return {
            "name": f"projects/{self.project}/subscriptions/{name}",
            "topic": f"projects/{self.project}/topics/{topic}",
            "enableMessageOrdering": True,
            "state": "ACTIVE",
            "deadLetterPolicy": {"deadLetterTopic": f"projects/{self.project}/topics/{topic}-dead"},
            "pushConfig": {"oidcToken": {"serviceAccountEmail": "pitwall-push@..."}},
        }

    def answer(self, path: str) -> tuple[int, Any]:
        at = f"/v1/projects/{self.project}"
        listed = {
            f"/v2/projects/{self.project}/locations/{REGION}/services": {"services": [*self.services.values()]},
            f"{at}/locations/{REGION}/jobs": {"jobs": [*self.jobs.values()]},
            f"{at}/subscriptions": {"subscriptions": [*self.subscriptions.values()]},
            f"{at}/rulesets/one": {"source": {"files": [{"content": self.rules}]}},
            f"/v3/projects/{self.project}/timeSeries": {
                "timeSeries": [
                    {
                        "resource": {"labels": {"subscription_id": name}},
                        "points": [{"value": {"int64Value": str(number)}}],
                    }
                    for name, number in self.waiting.items()
                ]
            },
        }
        if path in self.status and self.status[path] != 200:
            return self.status[path], {"error": {"code": self.status[path], "message": self.message}}
        if path.startswith("/function/"):
            return 403, {}
        told = listed.get(path, self.answers.get(path))
        return (200, told) if told is not None else (404, {"error": {"code": 404, "message": "not found"}})


@pytest.fixture
def edge(project: str) -> Iterator[Edge]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = self.path.partition("?")[0]
            edge.asked.append((self.command, path))
            edge.authorization.add(self.headers.get("Authorization"))
            status, told = edge.answer(path)
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the library's name)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        edge = Edge(project, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield edge
        server.shutdown()


def scheduled(starts_in: timedelta) -> ScheduleDocument:
    """A schedule with one session that starts in so long."""
    start = NOW + starts_in
    session = ScheduledSession(
        session_key="9999",
        year=2026,
        meeting="Invented Grand Prix",
        type="Race",
        name="Race",
        start_date=start,
        end_date=start + timedelta(hours=2),
    )
    return ScheduleDocument(at=NOW, next=session, upcoming=[])


Serve = Callable[..., str]


@pytest.fixture
def serve(project: str, firestore: firestore_api.Client) -> Iterator[Serve]:
    """Serves the API on the test's Firestore, where the next session is a day away; gives its address."""
    firestore.document(paths.schedule("f1")).set({**to_fields(scheduled(timedelta(days=1))), "v": 1, "writtenAt": NOW})
    with ExitStack() as served:

        def start(**settings: Any) -> str:
            app = create_app(Settings(project=project, rate_limit_address=0, **settings))
            server = make_server("127.0.0.1", 0, app, threaded=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            for close in (server.server_close, thread.join, server.shutdown):
                served.callback(close)
            return f"http://127.0.0.1:{server.server_port}"

        yield start


@pytest.fixture
def api(serve: Serve) -> str:
    return serve()


class Said:
    """What the command wrote and its exit code. lines: by question, `verdict: text`."""

    def __init__(self, edge: Edge, api: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.code = smoke.main(["--project", edge.project, "--region", REGION, "--api", api, "--google", edge.url])
        self.text = capsys.readouterr().out
        self.bad = re.findall(r"^(wrong|not known) +(.*)$", self.text, re.MULTILINE)


def test_a_good_deployment_is_ok_in_everything(edge: Edge, api: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(edge, api, capsys)
    assert said.bad == [], said.text
    assert said.code == 0
    asked = {line.split()[1].rstrip(":") for line in said.text.splitlines() if line.startswith("ok")}
    assert asked == {check.__name__.split("_")[0] for check in smoke.CHECKS} - {"credentials"}
    assert re.fullmatch(r"\d+ ok, 0 wrong, 0 not known", said.text.splitlines()[-1])


def test_nothing_is_changed_and_no_token_goes_over_plain_http(
    edge: Edge, api: str, firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {one.id for one in firestore.collections()}
    Said(edge, api, capsys)
    assert {path for method, path in edge.asked if method != "GET"} == {
        "/signalrcore/negotiate",
        *(f"/function/{name}" for name in smoke.FUNCTIONS if name != "api"),
    }
    assert edge.authorization == {None}
    assert {one.id for one in firestore.collections()} == before


def _no(edge: Edge, name: str, *keys: str) -> None:
    """Takes a part of a subscription away."""
    found = edge.subscriptions[name]
    for key in keys[:-1]:
        found = found[key]
    del found[keys[-1]]


BAD: dict[str, tuple[Any, str]] = {
    "a function is missing": (lambda e: e.services.pop("writer"), "functions: writer is not deployed"),
    "a function is not ready": (
        lambda e: e.services["api"]["terminalCondition"].update(state="CONDITION_FAILED", message="no such image"),
        "functions: api is not ready: no such image",
    ),
    "a function is open to the outside": (
        lambda e: e.services["poller"].update(ingress="INGRESS_TRAFFIC_ALL"),
        "functions: poller may be reached from outside",
    ),
    "a function runs as somebody else": (
        lambda e: e.services["writer"]["template"].update(serviceAccount="1-compute@developer.gserviceaccount.com"),
        "functions: writer runs under another account than its own",
    ),
    "a function takes a stranger's request": (
        lambda e: e.status.update({"/function/recorder": 400}),
        "doors: recorder took a stranger's request (400)",
    ),
    "a job is missing": (lambda e: e.jobs.pop("poller-b"), "jobs: poller-b is not there"),
    "a job is off": (lambda e: e.jobs["schedule"].update(state="DISABLED"), "jobs: schedule is DISABLED"),
    "a job calls without a token": (
        lambda e: e.jobs["poller-a"].update(httpTarget={}),
        "jobs: poller-a calls without a token",
    ),
    "a job failed": (
        lambda e: e.jobs["poller-a"].update(status={"code": 7}),
        "jobs: the last attempt of poller-a failed (code 7)",
    ),
    "a job stands still": (
        lambda e: e.jobs["poller-a"].update(lastAttemptTime="2026-01-01T00:00:00Z"),
        "jobs: poller-a last ran",
    ),
    "a subscription is missing": (
        lambda e: e.subscriptions.pop("raw-recorder"),
        "subscriptions: raw-recorder is not there",
    ),
    "no ordering": (
        lambda e: _no(e, "timing-writer", "enableMessageOrdering"),
        "subscriptions: timing-writer lacks ordering",
    ),
    "no OIDC": (
        lambda e: _no(e, "timing-writer", "pushConfig", "oidcToken"),
        "subscriptions: timing-writer lacks OIDC",
    ),
    "no dead letters": (
        lambda e: _no(e, "budget-economy", "deadLetterPolicy"),
        "subscriptions: budget-economy lacks a dead-letter topic",
    ),
    "the topic was deleted": (
        lambda e: e.subscriptions["timing-writer"].update(topic="_deleted-topic_"),
        "subscriptions: timing-writer lacks its topic timing",
    ),
    "dead letters are lost": (
        lambda e: e.subscriptions.pop("raw-dead"),
        "subscriptions: nothing keeps the messages of raw-dead",
    ),
    "dead letters wait": (lambda e: e.waiting.update({"timing-dead": 3}), "dead letters: 3 wait in timing-dead"),
    "no database": (
        lambda e: e.answers.pop(f"/v1/projects/{e.project}/databases/(default)"),
        "protection: there is no database (default)",
    ),
    "a database that can be deleted": (
        lambda e: e.answers[f"/v1/projects/{e.project}/databases/(default)"].update(deleteProtectionState="OFF"),
        "protection: it lacks delete protection",
    ),
    "other rules": (lambda e: setattr(e, "rules", "allow read, write;"), "rules: others are released"),
    "no rules": (
        lambda e: e.answers.pop(f"/v1/projects/{e.project}/releases/cloud.firestore"),
        "rules: none are released",
    ),
    "a secret without a value": (
        lambda e: e.answers.pop(f"/v1/projects/{e.project}/secrets/f1tv-token/versions/latest"),
        "secrets: f1tv-token has none",
    ),
    "a secret whose value is off": (
        lambda e: e.answers[f"/v1/projects/{e.project}/secrets/rate-limit/versions/latest"].update(state="DISABLED"),
        "secrets: rate-limit has none",
    ),
    "billing is off": (
        lambda e: e.answers[f"/v1/projects/{e.project}/billingInfo"].update(billingEnabled=False),
        "budget: billing is off",
    ),
    "no budget": (
        lambda e: e.answers["/v1/billingAccounts/0-1/budgets"].update(budgets=[]),
        "budget: no budget tells the topic budget",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_told_with_what_to_do(
    edge: Edge, api: str, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    spoil, told = BAD[what]
    spoil(edge)
    said = Said(edge, api, capsys)
    assert said.code == 1
    assert any(verdict == "wrong" and line.startswith(told) for verdict, line in said.bad), said.text
    assert len(said.bad) == 1, said.text
    assert re.search(rf"^wrong +{re.escape(told)}.*\n +-> \S", said.text, re.MULTILINE), said.text


def test_what_cannot_be_asked_is_not_known(edge: Edge, api: str, capsys: pytest.CaptureFixture[str]) -> None:
    edge.status |= {
        f"/v1/projects/{edge.project}/locations/{REGION}/jobs": 403,
        f"/v1/projects/{edge.project}/billingInfo": 500,
        "/signalrcore/negotiate": 403,
    }
    edge.jobs.clear()
    edge.waiting.pop("raw-dead")
    said = Said(edge, api, capsys)
    assert said.code == 0
    assert [line.partition(":")[0] for verdict, line in said.bad if verdict == "not known"] == [
        "jobs",
        "dead letters",
        "budget",
        "f1",
    ]
    assert "-> ask with an account that has roles/viewer" in said.text
    assert "F1 answers this machine 403" in said.text


def test_an_api_of_googles_that_is_off_is_to_be_turned_on(
    edge: Edge, api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.status[f"/v1/projects/{edge.project}/billingInfo"] = 403
    edge.message = "Cloud Billing API has not been used in project before or it is disabled."
    said = Said(edge, api, capsys)
    assert (said.code, [verdict for verdict, _ in said.bad]) == (0, ["not known"])
    assert f"-> gcloud services enable cloudbilling.googleapis.com --project {edge.project}" in said.text


def test_paused_pollers_may_be_meant_so(edge: Edge, api: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("poller-a", "poller-b"):
        edge.jobs[name]["state"] = "PAUSED"
    said = Said(edge, api, capsys)
    assert (said.code, [verdict for verdict, _ in said.bad]) == (0, ["not known", "not known"])
    edge.jobs["reconciler"]["state"] = "PAUSED"
    assert Said(edge, api, capsys).code == 1


def test_an_api_that_is_not_there_is_told(edge: Edge, api: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(edge, edge.url, capsys)  # answers, but is no API
    assert said.code == 1
    assert "wrong      api: /health/ready answers 404" in said.text
    assert "wrong      api: /api/openapi.json answers 404" in said.text
    said = Said(edge, "http://127.0.0.1:1", capsys)
    assert ("not known", "api: 127.0.0.1:1 does not answer: ConnectionError") in said.bad


@pytest.mark.parametrize(
    ("feed", "told"),
    [
        (
            {"state": "refused", "message": "F1 blocks this address (403)"},
            "f1 is refused: F1 blocks this address (403)",
        ),
        ({"state": "live", "lastMessageAt": NOW - timedelta(seconds=90)}, "f1 has been silent for "),
    ],
)
def test_a_feed_that_is_refused_or_silent_is_told(
    edge: Edge,
    api: str,
    firestore: firestore_api.Client,
    capsys: pytest.CaptureFixture[str],
    feed: dict[str, Any],
    told: str,
) -> None:
    marks = {"at": NOW, "writtenAt": NOW, "v": 1}
    session = {**marks, "feedId": "f1", "series": "f1", "status": "Started", "name": "Race", "schemaVersion": 1}
    firestore.document(paths.session("9999")).set(session)
    firestore.document(paths.live("9999", "feed")).set({**marks, "source": "f1", **feed})
    said = Said(edge, api, capsys)
    assert any(line.startswith(f"feeds: {told}") for verdict, line in said.bad if verdict == "wrong"), said.text
    assert "api: the current session is 9999" in said.text


def test_a_session_that_nobody_holds_is_told(
    edge: Edge, api: str, firestore: firestore_api.Client, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule, lease = firestore.document(paths.schedule("f1")), firestore.document(paths.lease("f1"))
    schedule.set({**to_fields(scheduled(timedelta(minutes=-5))), "v": 2, "writtenAt": NOW})
    assert ("wrong", "polling: Race is due, and nobody holds f1") in Said(edge, api, capsys).bad
    lease.set({"holder": "here", "epoch": 1, "expiresAt": datetime.now(UTC) - timedelta(seconds=1)})
    assert Said(edge, api, capsys).code == 1
    lease.set({"holder": "here", "epoch": 1, "expiresAt": datetime.now(UTC) + timedelta(minutes=5)})
    said = Said(edge, api, capsys)
    assert said.code == 0
    assert "polling: Race is on, and here holds f1" in said.text
    schedule.delete()
    assert ("wrong", "polling: there is no schedule of f1, so nothing is polled") in Said(edge, api, capsys).bad


def test_closed_rules_that_are_not_those_that_hold_are_told(
    edge: Edge, api: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The emulator has the open ones; Google's API says that the closed ones are released."""
    edge.rules = (ROOT / "firestore.closed.rules").read_text(encoding="utf-8")
    said = Said(edge, api, capsys)
    assert said.bad == [("wrong", "strangers: reading sessions is answered 200 while the rules are closed")]


def released(emulator: Emulator, project: str, rules: str) -> None:
    """Has rules hold for one project of the emulator."""
    url = f"http://{emulator.address}/emulator/v1/projects/{project}:securityRules"
    answer = httpx.put(url, json={"rules": {"files": [{"name": "rules", "content": rules}]}}, trust_env=False)
    assert answer.status_code == 200, answer.text


def test_closed_rules_that_hold_are_fine_and_told(
    edge: Edge, api: str, firestore_emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.rules = (ROOT / "firestore.closed.rules").read_text(encoding="utf-8")
    released(firestore_emulator, edge.project, edge.rules)
    said = Said(edge, api, capsys)
    assert (said.code, said.bad) == (0, [])
    assert "rules: as in firestore.closed.rules: apps read nothing" in said.text


def test_rules_that_let_everybody_do_everything_are_told_of_by_what_they_let(
    edge: Edge, api: str, firestore_emulator: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    edge.rules = "service cloud.firestore { match /{all=**} { allow read, write; } }"
    released(firestore_emulator, edge.project, edge.rules)
    said = Said(edge, api, capsys)
    assert [line for _, line in said.bad] == [
        "rules: others are released than those here",
        "strangers: all sessions at once is answered 200",
        "strangers: writing a session is answered 404",
        "strangers: reading apiKeys/smoke is answered 404",
        "strangers: reading leases/f1 is answered 404",
        "strangers: reading economy/current is answered 404",
    ]


def test_sessions_that_are_not_for_strangers_are_fine_if_it_was_meant_so(
    edge: Edge, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = serve(public=False)
    assert ("wrong", "api: /api/sessions/current answers 401") in Said(edge, closed, capsys).bad
    edge.services["api"]["template"]["containers"][0]["env"].append({"name": "PITWALL_PUBLIC", "value": "off"})
    said = Said(edge, closed, capsys)
    assert (said.code, said.bad) == (0, [])
    assert "api: sessions are not for strangers, as configured" in said.text


def test_without_credentials_it_is_said_how_to_get_them(
    edge: Edge, api: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    assert smoke.main(["--project", edge.project, "--api", api]) == 1
    told = capsys.readouterr().out
    assert "-> gcloud auth application-default login" in told
    assert "not known  jobs: cloudscheduler was not asked without credentials" in told
    assert "ok         api: it is up" in told


def test_wrong_words_are_refused() -> None:
    for words in ([], ["--project", "p", "--api", "nowhere"]):
        with pytest.raises(SystemExit) as ended:
            smoke.main(words)
        assert ended.value.code == 2


def test_it_asks_for_what_is_deployed() -> None:
    assert set(smoke.FUNCTIONS) == set(local("functions.tf", "functions"))
    assert set(smoke.JOBS) == set(local("main.tf", "jobs"))
    pushed = {name: text(one["topic"]) for name, one in local("main.tf", "subscriptions").items()}
    assert pushed == smoke.SUBSCRIPTIONS
    assert {(name, topic) for name, topic, *_ in topology.push_subscriptions(Settings(project="p"))} == set(
        smoke.SUBSCRIPTIONS.items()
    )
