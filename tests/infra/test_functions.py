"""What infra/ deploys is what there is: entry points, topics and subscriptions, the address behind the CDN."""

from __future__ import annotations

import json
import re
import subprocess

from deploy.bundle import OUT
from local import topology
from pitwall.settings import Settings, dead_letter
from tests.infra.hcl import INFRA, ROOT, blocks, local, text

FUNCTIONS = local("functions.tf", "functions")
FIREBASE = json.loads((ROOT / "firebase.json").read_text(encoding="utf-8"))


def default(variable: str) -> str:
    """The default of a variable of the environment, a text."""
    [body] = [body for path, names, body in blocks("variable") if (path.parent, names) == (INFRA, (variable,))]
    return text(body["default"])


def test_every_entry_point_is_deployed_and_what_is_deployed_exists() -> None:
    main = (ROOT / "functions" / "main.py").read_text(encoding="utf-8")
    assert set(FUNCTIONS) == set(re.findall(r"^@functions_framework\.http\ndef (\w+)\(", main, re.MULTILINE))


def test_every_function_but_the_api_is_called_by_a_job_or_a_subscription() -> None:
    jobs = {text(job["function"]) for job in local("main.tf", "jobs").values()}
    subscriptions = {text(one["function"]) for one in local("main.tf", "subscriptions").values()}
    assert jobs | subscriptions == set(FUNCTIONS) - {"api"}
    assert not jobs & subscriptions


def test_topics_and_subscriptions_are_those_of_the_local_stack() -> None:
    settings = Settings(project="p")
    topics = set(local("main.tf", "topics"))
    assert topics | {dead_letter(topic) for topic in topics} == set(topology.topics(settings))
    slow = local("main.tf", "slow_subscriptions")
    deployed = {
        (id_, text(one["topic"]), text(one["function"]), slow.get(id_, {"ack_deadline_s": 60})["ack_deadline_s"])
        for id_, one in local("main.tf", "subscriptions").items()
    }
    assert deployed == set(topology.push_subscriptions(settings))


def test_hosting_sends_the_api_to_the_function_in_the_region_everything_is_in() -> None:
    function = {"serviceId": "api", "region": default("region")}
    rewrites = FIREBASE["hosting"]["rewrites"]
    assert rewrites == [{"source": source, "run": function} for source in ("/api{,/**}", "/f1/**")]


def test_what_hosting_serves_by_itself_is_there() -> None:
    assert (ROOT / FIREBASE["hosting"]["public"] / "index.html").is_file()


def test_hosting_leaves_to_the_api_how_long_its_answers_are_kept() -> None:
    caching = [
        rule["source"]
        for rule in FIREBASE["hosting"]["headers"]
        if any(header["key"] == "Cache-Control" for header in rule["headers"])
    ]
    assert caching
    assert not [source for source in caching if source.startswith(("**", "/api", "/**"))]


def test_deploying_bundles_first_and_sets_variables_that_there_are() -> None:
    asked = ["make", "--no-print-directory", "-n", "deploy", "PROJECT=my-project", "REGION=europe-west4"]
    steps = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    order = [
        "-m deploy.bundle",
        "gcloud services enable",
        "terraform -chdir=infra init",
        "terraform -chdir=infra apply",
    ]
    assert [steps.index(step) for step in order] == sorted(steps.index(step) for step in order)
    variables = {names[0] for path, names, _ in blocks("variable") if path.parent == INFRA}
    assert set(re.findall(r'-var "(\w+)=', steps)) == {"project", "region", "revision"} <= variables
    assert (INFRA / default("bundle")).resolve() == ROOT / OUT
