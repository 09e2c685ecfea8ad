"""`python -m deploy.smoke --project ID`: asks a deployed PitWall what a new operator would ask, and says what to do.

Each answer is `ok`, `wrong`, or `not known` where it could not be asked. Nothing is changed: Google's APIs are read
with the default credentials (`gcloud auth application-default login`; docs/deploy.md has the roles), and what
strangers may is tried as a stranger, in ways that change nothing even if they are let through.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import requests
from google.auth.exceptions import GoogleAuthError

from deploy.deployed import Deployed, NotKnown
from pitwall.documents import paths
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.schedule import Schedules
from pitwall.settings import Settings, dead_letter

FUNCTIONS: Final = ("api", "economy", "jobs", "karts", "poller", "reconciler", "recorder", "schedule", "writer")
SUBSCRIPTIONS: Final = {
    "timing-writer": "timing",
    "raw-recorder": "raw",
    "budget-economy": "budget",
    "jobs-worker": "jobs",
}
"""Push subscriptions and their topics."""
TOPICS: Final = ("timing", "events", "raw", "budget", "jobs")
JOBS: Final = {
    "karts-a": timedelta(minutes=35),
    "karts-b": timedelta(minutes=35),
    "poller-a": timedelta(minutes=35),
    "poller-b": timedelta(minutes=35),
    "reconciler": timedelta(minutes=50),
    "schedule": timedelta(hours=25),
}
"""Jobs, and how long ago the last attempt may have begun: the time between two, and that one may take."""
REFUSED: Final = (401, 403, 404)
"""What Google answers to who may not: 404 stands for a function that lets nobody in from outside."""


class Answer(NamedTuple):
    """What came of a question. advice: what to do, where something is."""

    verdict: Literal["ok", "wrong", "not known"]
    said: str
    advice: str = ""


def judged(good: bool, ok: str, wrong: str, advice: str) -> Answer:
    """One answer or the other."""
    return Answer("ok", ok) if good else Answer("wrong", wrong, advice)


def credentials(deployed: Deployed) -> Iterator[Answer]:
    """Is there anybody to ask Google as?"""
    try:
        deployed.session  # noqa: B018 (it is made here)
    except GoogleAuthError as error:
        yield Answer("wrong", str(error).partition("\n")[0][:200], "gcloud auth application-default login")


def functions(deployed: Deployed) -> Iterator[Answer]:
    """Is every function there, ready, under an account of its own, and closed to the outside but for the API?"""
    for name in FUNCTIONS:
        service = deployed.services.get(name)
        if service is None:
            yield Answer(
                "wrong", f"{name} is not deployed in {deployed.region}", "make deploy; or is it another --region?"
            )
            continue
        wrong = []
        if service.get("terminalCondition", {}).get("state") != "CONDITION_SUCCEEDED":
            wrong.append(f"is not ready: {service.get('terminalCondition', {}).get('message', '')}"[:200])
        if name != "api" and service.get("ingress") != "INGRESS_TRAFFIC_INTERNAL_ONLY":
            wrong.append("may be reached from outside")
        if not service.get("template", {}).get("serviceAccount", "").startswith(f"pitwall-{name}@"):
            wrong.append("runs under another account than its own")
        advice = f"gcloud functions describe {name} --region {deployed.region}; then make deploy"
        yield Answer("wrong", f"{name} {', '.join(wrong)}", advice) if wrong else Answer("ok", f"{name} is ready")


def api(deployed: Deployed) -> Iterator[Answer]:
    """Does the API answer, with its database behind it, and say what it is?"""
    health = deployed.stranger("GET", f"{deployed.api}/health/ready")
    yield judged(
        health.status_code == 200,
        "it is up, and Firestore behind it answers",
        f"/health/ready answers {health.status_code}",
        "see the log of the function api",
    )
    current = deployed.stranger("GET", f"{deployed.api}/api/sessions/current")
    if current.status_code == 200:
        yield Answer("ok", f"the current session is {_json(current).get('sessionKey')}")
    elif _json(current).get("type") == "urn:pitwall:problem:no-session":
        yield Answer("ok", "there is no session yet")
    elif current.status_code == 401 and "on" in (
        _off(deployed, "PITWALL_PUBLIC"),
        deployed.setting("api", "PITWALL_APP_CHECK"),
    ):
        yield Answer("ok", "sessions are not for strangers, as configured")
    else:
        yield Answer("wrong", f"/api/sessions/current answers {current.status_code}", "see the log of the function api")
    described = deployed.stranger("GET", f"{deployed.api}/api/openapi.json")
    yield judged(
        described.status_code == 200 and str(_json(described).get("openapi", "")).startswith("3.1"),
        "it describes itself (OpenAPI)",
        f"/api/openapi.json answers {described.status_code}",
        "is --api the address before /api?",
    )


def feeds(deployed: Deployed) -> Iterator[Answer]:
    """Is a feed refused, or silent in a live session?"""
    told = deployed.stranger("GET", f"{deployed.api}/api/status?format=json")
    if told.status_code != 200:
        raise NotKnown(f"/api/status answers {told.status_code}")
    for feed in _json(told).get("feeds", []):
        name, state = feed.get("feedId"), feed.get("state")
        if state == "refused":
            advice = "run a collector elsewhere (docs/collector.md), or fallback = openf1"
            yield Answer("wrong", f"{name} is refused: {feed.get('message', '')}", advice)
        elif feed.get("stale"):
            yield Answer("wrong", f"{name} has been silent for {feed.get('silentS')} s", "see the log of the poller")
        else:
            yield Answer("ok", f"{name} is {state}")


def doors(deployed: Deployed) -> Iterator[Answer]:
    """Is a stranger turned away by what only Pub/Sub and Cloud Scheduler may call?"""
    for name in FUNCTIONS:
        uri = deployed.services.get(name, {}).get("uri")
        if name == "api" or not uri:
            continue
        status = deployed.stranger("POST", uri, []).status_code  # a body that no function takes
        yield judged(
            status in REFUSED,
            f"{name} turns a stranger away ({status})",
            f"{name} took a stranger's request ({status})",
            "its invoker must not be allUsers: make deploy",
        )


def jobs(deployed: Deployed) -> Iterator[Answer]:
    """Are the jobs on, do they call with a token, and did the last attempts go well?"""
    found = deployed.listed(
        "cloudscheduler", f"v1/projects/{deployed.project}/locations/{deployed.region}/jobs", "jobs"
    )
    for name, most in JOBS.items():
        run = f"gcloud scheduler jobs run {name} --location {deployed.region}"
        job = found.get(name)
        if job is None and name.startswith("karts"):
            yield Answer("ok", f"{name} is not there: kart tracks are not polled from the cloud")
        elif job is None:
            yield Answer("wrong", f"{name} is not there", "make deploy")
        elif job.get("state") == "PAUSED" and name.startswith("poller"):
            yield Answer("not known", f"{name} is paused", "right if a collector polls (polled_by), else make deploy")
        elif job.get("state") != "ENABLED":
            yield Answer("wrong", f"{name} is {job.get('state')}", f"gcloud scheduler jobs resume {name}")
        elif not job.get("httpTarget", {}).get("oidcToken", {}).get("serviceAccountEmail"):
            yield Answer("wrong", f"{name} calls without a token", "make deploy")
        elif code := job.get("status", {}).get("code", 0):
            yield Answer(
                "wrong", f"the last attempt of {name} failed (code {code})", f"see the function's log, then {run}"
            )
        elif "lastAttemptTime" not in job:
            yield Answer("not known", f"{name} has not run yet", run)
        elif (ago := datetime.now(UTC) - datetime.fromisoformat(job["lastAttemptTime"])) > most:
            yield Answer("wrong", f"{name} last ran {_words(ago)} ago", run)
        else:
            yield Answer("ok", f"{name} last ran {_words(ago)} ago")


def subscriptions(deployed: Deployed) -> Iterator[Answer]:
    """Do subscriptions push in order, with a token, and put away what cannot be delivered?"""
    found = deployed.listed("pubsub", f"v1/projects/{deployed.project}/subscriptions", "subscriptions")
    for name, topic in SUBSCRIPTIONS.items():
        one = found.get(name, {})
        dead = one.get("deadLetterPolicy", {}).get("deadLetterTopic", "")
        lacks = [
            what
            for what, there in (
                (f"its topic {topic}", one.get("topic", "").endswith(f"/{topic}")),
                ("ordering", one.get("enableMessageOrdering")),
                ("OIDC", one.get("pushConfig", {}).get("oidcToken", {}).get("serviceAccountEmail")),
                ("a dead-letter topic", dead.endswith(f"/{dead_letter(topic)}")),
                ("being active", one.get("state", "ACTIVE") == "ACTIVE"),
            )
            if not there
        ]
        if not one:
            yield Answer("wrong", f"{name} is not there", "make deploy")
        elif lacks:
            yield Answer("wrong", f"{name} lacks {', '.join(lacks)}", "make deploy (ordering: delete it before)")
        else:
            yield Answer("ok", f"{name} pushes in order, with a token, dead letters to {dead_letter(topic)}")
    for topic in TOPICS:
        if dead_letter(topic) not in found:
            yield Answer("wrong", f"nothing keeps the messages of {dead_letter(topic)}", "make deploy")


def dead_letters(deployed: Deployed) -> Iterator[Answer]:
    """Does any dead letter wait? As Cloud Monitoring knows it, minutes late: pulling would hide them from others."""
    now = datetime.now(UTC).replace(microsecond=0)
    told = deployed.google(
        "monitoring",
        f"v3/projects/{deployed.project}/timeSeries",
        **{
            "filter": 'metric.type="pubsub.googleapis.com/subscription/num_undelivered_messages"',
            "interval.startTime": (now - timedelta(minutes=15)).isoformat(),
            "interval.endTime": now.isoformat(),
        },
    )
    waiting = {
        one["resource"]["labels"]["subscription_id"]: int(one["points"][0]["value"]["int64Value"])
        for one in (told or {}).get("timeSeries", [])
        if one.get("points")
    }
    for name in (dead_letter(topic) for topic in TOPICS):
        look = f"gcloud pubsub subscriptions pull {name} --limit 5; docs/deploy.md says how to redrive them"
        if name not in waiting:
            yield Answer("not known", f"Cloud Monitoring has no count of {name} yet", look)
        elif waiting[name]:
            yield Answer("wrong", f"{waiting[name]} wait in {name}", look)
        else:
            yield Answer("ok", f"{name} is empty")


def polling(deployed: Deployed) -> Iterator[Answer]:
    """Is the schedule known, and does somebody hold the feed while something is on?"""
    path = paths.lease(deployed.feed)
    try:
        stored = Database(deployed.project)
        due = Schedules(stored, deployed.feed).to_poll()
        lease = stored.read([path])[path]
    except (Unavailable, GoogleAuthError) as error:
        raise NotKnown(f"Firestore was not read: {error}"[:200]) from None
    run = f"gcloud scheduler jobs run schedule --location {deployed.region}"
    expires = (lease.fields or {}).get("expiresAt")
    held = (lease.fields or {}).get("holder") and expires and expires > lease.read_at
    if not due.known:
        yield Answer("wrong", f"there is no schedule of {deployed.feed}, so nothing is polled", run)
    elif due.session is None:
        coming = f"polling begins {due.next_at:%Y-%m-%d %H:%M} UTC" if due.next_at else "nothing is to come"
        yield Answer("ok" if due.next_at else "not known", f"nothing is on; {coming}", "" if due.next_at else run)
    elif held:
        yield Answer("ok", f"{due.session.name} is on, and {(lease.fields or {})['holder']} holds {deployed.feed}")
    else:
        yield Answer(
            "wrong", f"{due.session.name} is due, and nobody holds {deployed.feed}", "see the log of the poller"
        )


def protection(deployed: Deployed) -> Iterator[Answer]:
    """Can the database neither be deleted by mistake nor lose the last week?"""
    told = deployed.google("firestore", f"v1/projects/{deployed.project}/databases/(default)")
    if told is None:
        yield Answer("wrong", "there is no database (default)", "make deploy")
        return
    lacks = [
        what
        for what, key, value in (
            ("native mode", "type", "FIRESTORE_NATIVE"),
            ("delete protection", "deleteProtectionState", "DELETE_PROTECTION_ENABLED"),
            ("point-in-time recovery", "pointInTimeRecoveryEnablement", "POINT_IN_TIME_RECOVERY_ENABLED"),
        )
        if told.get(key) != value
    ]
    yield Answer("wrong", f"it lacks {', '.join(lacks)}", "make deploy") if lacks else Answer("ok", "it is protected")


def rules(deployed: Deployed) -> Iterator[Answer]:
    """Do the security rules of this folder hold?"""
    yield {
        "open": Answer("ok", "as in firestore.rules"),
        "closed": Answer("ok", "as in firestore.closed.rules: apps read nothing; make economy MODE=off lifts it"),
        "other": Answer(
            "wrong", "others are released than those here", "make deploy; if the release stays, docs/economy.md"
        ),
        "": Answer("wrong", "none are released, so apps read nothing", "make deploy"),
    }[deployed.released]


def strangers(deployed: Deployed) -> Iterator[Answer]:
    """May somebody who is not signed in read sessions a page at a time, and nothing else?"""
    try:
        released = deployed.released
    except NotKnown:
        released = ""
    page = deployed.firestore("POST", ":runQuery", _sessions(limit=1))
    if deployed.setting("api", "PITWALL_APP_CHECK") == "on" and page in (401, 403):
        yield Answer("ok", "App Check turns them away")
    elif released == "closed":
        yield Answer(
            "ok" if page == 403 else "wrong", f"reading sessions is answered {page} while the rules are closed"
        )
    else:
        yield Answer(
            "ok" if page == 200 else "wrong",
            f"a page of sessions is answered {page}",
            "" if page == 200 else "make deploy",
        )
    forbidden = {
        "all sessions at once": ("POST", ":runQuery", _sessions()),
        "writing a session": ("PATCH", "/sessions/pitwall-smoke?currentDocument.exists=true", {"fields": {}}),
        **{
            f"reading {path}": ("GET", f"/{path}", None)
            for path in ("apiKeys/smoke", paths.lease(deployed.feed), paths.economy())
        },
    }
    for what, asked in forbidden.items():
        status = deployed.firestore(*asked)
        yield judged(
            status in (401, 403),
            f"{what} is refused",
            f"{what} is answered {status}",
            "release the rules of this folder: make deploy",
        )


def secrets(deployed: Deployed) -> Iterator[Answer]:
    """Has every secret that a function is given a value?"""
    needed = set()
    for function in FUNCTIONS:
        for variable in deployed.variables(function):
            if reference := variable.get("valueSource", {}).get("secretKeyRef"):
                needed.add(str(reference["secret"]).rpartition("/")[2])
            elif variable["name"] == "PITWALL_F1_TOKEN_SECRET" and (value := variable.get("value")):
                needed.add(value.split("/")[3])
    if not needed:
        yield Answer("ok", "no function is given one; what needs a login at F1 is not had")
    for name in sorted(needed):
        told = deployed.google("secretmanager", f"v1/projects/{deployed.project}/secrets/{name}/versions/latest")
        yield judged(
            told is not None and told.get("state") == "ENABLED",
            f"{name} has a value",
            f"{name} has none",
            f"printf %s VALUE | gcloud secrets versions add {name} --data-file=-",
        )


def budget(deployed: Deployed) -> Iterator[Answer]:
    """Is there a budget that tells the function `economy`?"""
    billing = deployed.google("cloudbilling", f"v1/projects/{deployed.project}/billingInfo") or {}
    if not billing.get("billingEnabled"):
        yield Answer("wrong", "billing is off", "link a billing account")
        return
    path = f"v1/{billing['billingAccountName']}/budgets"
    topics = [
        b.get("notificationsRule", {}).get("pubsubTopic")
        for b in deployed.listed("billingbudgets", path, "budgets").values()
    ]
    yield judged(
        f"projects/{deployed.project}/topics/budget" in topics,
        "a budget tells the topic budget",
        "no budget tells the topic budget, so nothing notices costs",
        "set billing_account, make deploy",
    )


def f1(deployed: Deployed) -> Iterator[Answer]:
    """Does F1 refuse this machine? That is no word about Google's addresses, but about a collector here."""
    url = deployed.setting("poller", "PITWALL_F1_URL") or Settings(project=deployed.project).f1_url
    status = deployed.stranger("POST", f"{url.rstrip('/')}/signalrcore/negotiate?negotiateVersion=1").status_code
    if status == 200:
        yield Answer("ok", "F1 answers this machine; whether it answers Google's is told by `feeds` in a session")
    else:
        yield Answer("not known", f"F1 answers this machine {status}", "a collector has to run elsewhere than here")


CHECKS: Final[tuple[Callable[[Deployed], Iterator[Answer]], ...]] = (
    credentials, functions, api, feeds, doors, jobs, subscriptions, dead_letters, polling, protection, rules, strangers,
    secrets, budget, f1,
)  # fmt: skip


def answers(deployed: Deployed) -> Iterator[tuple[str, Answer]]:
    """Every question's name with each of its answers, in order."""
    for check in CHECKS:
        try:
            for answer in check(deployed):
                yield check.__name__, answer
        except NotKnown as reason:
            yield check.__name__, Answer("not known", str(reason), reason.advice)


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        told = answer.json()
    except requests.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _off(deployed: Deployed, name: str) -> str:
    """`on` where the API's variable is `off`."""
    return "on" if deployed.setting("api", name) == "off" else ""


def _sessions(**query: int) -> dict[str, Any]:
    return {"structuredQuery": {"from": [{"collectionId": "sessions"}], **query}}


def _words(ago: timedelta) -> str:
    minutes = int(ago.total_seconds()) // 60
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.smoke",
        description="Asks a deployed PitWall what a new operator would ask. Changes nothing.",
        epilog="exit code: 0 nothing is wrong (something may not be known), 1 something is, 2 wrong words.",
    )
    parser.add_argument("--project", required=True, metavar="ID", help="the project of Google Cloud")
    parser.add_argument("--region", default="europe-west1", help="where the functions are (default: %(default)s)")
    parser.add_argument("--feed", default="f1", help="the feed (default: %(default)s)")
    parser.add_argument("--api", default="", metavar="URL", help="address before /api (default: the function's own)")
    parser.add_argument("--google", default="", metavar="URL", help="a server that stands for Google's APIs, for tests")
    given = parser.parse_args(arguments)
    for option in ("api", "google"):
        if (url := getattr(given, option)) and urlsplit(url).scheme not in ("http", "https"):
            parser.error(f"--{option} {url}: an address as https://host")
    count = {"ok": 0, "wrong": 0, "not known": 0}
    for name, answer in answers(Deployed(given.project, given.region, given.feed, given.api, given.google)):
        count[answer.verdict] += 1
        sys.stdout.write(f"{answer.verdict:<9}  {name.replace('_', ' ')}: {answer.said}\n")
        if answer.advice:
            sys.stdout.write(f"{'':<9}  -> {answer.advice}\n")
        sys.stdout.flush()
    sys.stdout.write(", ".join(f"{number} {verdict}" for verdict, number in count.items()) + "\n")
    return 1 if count["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
