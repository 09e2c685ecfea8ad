"""What the documents on deployment and security say is so: the gcloud commands do what infra/ does, prices are those
that are computed, the tests that are named exist."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import cost
from deploy.bundle import OUT
from local.report import _WATCHED as WATCHED
from pitwall.documents.encoding import document_size, to_fields
from pitwall.documents.paths import kind_of
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording
from tests.conftest import SHARED
from tests.infra.hcl import INFRA, ROOT, blocks, local, text

DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
SECURITY = ROOT / "docs" / "security.md"
PROJECT, REGION, NUMBER = "my-project", "europe-west1", "123456789012"

STUB = f"""#!{sys.executable} -IS
import json, os, sys
from pathlib import Path
name, words = Path(sys.argv[0]).name, sys.argv[1:]
files = {{word: Path(word).read_text() for word in words if word.startswith("build/") and not word.endswith(".zip")}}
with open(os.environ["NOTES"], "a") as notes:
    notes.write(json.dumps([[name, *words], files]) + "\\n")
told = " ".join(words)
if "value(projectNumber)" in told:
    print("{NUMBER}")
elif "value(serviceConfig.uri)" in told:
    print(f"https://{{words[2]}}.run.app")
elif name == "curl" and told.endswith("/rulesets"):
    print(json.dumps({{"name": "projects/{PROJECT}/rulesets/" + ("closed" if "return false;" in told else "open")}}))
"""


class Noted:
    """What a command was called with. words: without flags; flags: by name, True where they have no value."""

    def __init__(self, line: list[str], files: dict[str, str]) -> None:
        self.program, *words = line
        self.files = files
        self.words: list[str] = []
        self.flags: dict[str, Any] = {}
        self.given: list[tuple[str, str]] = []
        while words:
            word = words.pop(0)
            if not word.startswith("--"):
                self.words.append(word)
                continue
            name, equals, value = word.partition("=")
            if equals:
                self.flags[name] = value
            else:
                self.flags[name] = words.pop(0) if words and not words[0].startswith("--") else True
            self.given.append((name, str(self.flags[name])))

    def __repr__(self) -> str:
        return shlex.join([self.program, *self.words, *(f"{name}={value}" for name, value in self.flags.items())])


def by_hand() -> str:
    """The blocks for who has no Terraform, one after the other."""
    part = DEPLOY.partition("## By gcloud, without Terraform\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> list[Noted]:
    """Runs the blocks as they stand, with commands that only take notes."""
    folder = tmp_path_factory.mktemp("by-hand")
    for name in ("gcloud", "firebase", "curl", "make"):
        program = folder / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(STUB, encoding="utf-8")
        program.chmod(0o755)
    for file in ("firestore.rules", "firestore.closed.rules"):
        shutil.copyfile(ROOT / file, folder / file)
    (folder / OUT).parent.mkdir()
    (folder / OUT).write_bytes(b"zip")
    notes = folder / "notes"
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "NOTES": str(notes),
        "KART_TRACKS": "yes",
    }
    git = "git() { echo abc1234; }\n"
    ran = subprocess.run(
        ["bash"], input=git + by_hand(), cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return [Noted(*json.loads(line)) for line in notes.read_text(encoding="utf-8").splitlines()]


def called(noted: list[Noted], *words: str) -> list[Noted]:
    """The calls of a command of gcloud, without what stands before."""
    return [one for one in noted if one.program == "gcloud" and one.words[: len(words)] == list(words)]


def literal(expression: str) -> str:
    """A text of infra/ with the project and the region in it."""
    value = text(expression)
    for name, told in (("var.project", PROJECT), ("var.region", REGION), ("local.raw_bucket", f"{PROJECT}-raw")):
        value = value.replace(f"${{{name}}}", told)
    return value


def test_every_function_is_deployed_as_terraform_does(noted: list[Noted]) -> None:
    deployed = {one.words[2]: one for one in called(noted, "functions", "deploy")}
    functions = local("functions.tf", "functions")
    assert set(deployed) == set(functions)
    most = {"${var.api_instances}": "10", "${var.poller_max_instances}": "3"}
    [pollers] = [body["default"] for _, names, body in blocks("variable") if names == ("poller_max_instances",)]
    assert str(pollers) == "3"
    [zipped] = {str(one.flags["--source"]) for one in deployed.values()}
    assert re.fullmatch(rf"gs://{PROJECT}-source/functions-[0-9a-f]{{64}}\.zip", zipped)
    builder = f"pitwall-build@{PROJECT}.iam.gserviceaccount.com"
    for name, module in functions.items():
        instances = module["instances"]
        known = instances if isinstance(instances, str) else str(instances["max"])
        assert deployed[name].flags == {
            "--gen2": True,
            "--region": REGION,
            "--runtime": "python313",
            "--entry-point": name,
            "--trigger-http": True,
            "--no-allow-unauthenticated": True,
            "--source": zipped,
            "--service-account": f"pitwall-{name}@{PROJECT}.iam.gserviceaccount.com",
            "--build-service-account": f"projects/{PROJECT}/serviceAccounts/{builder}",
            "--docker-repository": f"projects/{PROJECT}/locations/{REGION}/repositories/functions",
            "--runtime-update-policy": "automatic",
            "--memory": text(module["memory"]),
            "--cpu": "1",
            "--concurrency": str(module["concurrency"]),
            "--min-instances": "0",
            "--max-instances": most.get(known, known),
            "--timeout": f"{module['timeout_s']}s",
            "--ingress-settings": "all" if module["public"] else "internal-only",
            "--env-vars-file": f"build/env-{name}.yaml",
        }


def test_every_function_is_given_the_variables_that_terraform_gives_it(noted: list[Noted]) -> None:
    """Those with the code's own default may be left out, and those that are empty."""
    empty = {"PITWALL_OPENF1_USERNAME", "PITWALL_CORS_ORIGINS", "PITWALL_F1_TOKEN_SECRET"}
    chosen = {"PITWALL_FEED": "f1", "PITWALL_SOURCE": "f1", "PITWALL_FALLBACK": "openf1", "PITWALL_REVISION": "abc1234"}
    wired = local("functions.tf", "wired")
    told = {name: literal(value) for name, value in wired.items() if value.startswith('"')} | chosen
    told |= {"GOOGLE_CLOUD_PROJECT": PROJECT, "PITWALL_RAW_BUCKET": f"{PROJECT}-raw"}
    told |= {"PITWALL_TELEMETRY_BUCKET": f"{PROJECT}-telemetry"}
    told |= {"PITWALL_PUBLIC": "on", "PITWALL_APP_CHECK": "off", "PITWALL_KART_RETENTION_DAYS": "90"}
    rulesets = {f"PITWALL_RULES_{name}": f"projects/{PROJECT}/rulesets/{name.lower()}" for name in ("OPEN", "CLOSED")}
    assert set(rulesets) == set(local("functions.tf", "of_function")["economy"])
    for one in called(noted, "functions", "deploy"):
        name = one.words[2]
        own = rulesets if name == "economy" else {}
        wanted = {key: value for key, value in told.items() if key in set(wired) - empty}
        assert yaml.safe_load(one.files[f"build/env-{name}.yaml"]) == {
            **wanted,
            **own,
            "THREADS": one.flags["--concurrency"],
        }
        assert set(wanted) == set(wired) - empty
    for name in local("functions.tf", "secrets_of")["poller"] | local("functions.tf", "secrets_of")["api"]:
        assert name in by_hand() or name == "PITWALL_OPENF1_TOKEN", name


def test_the_rights_that_are_given_are_those_of_terraform(noted: list[Noted]) -> None:
    """As the plan's table has them (infra/tests/access.tftest.hcl), with the budget's."""
    table = (
        (INFRA / "tests" / "access.tftest.hcl")
        .read_text(encoding="utf-8")
        .partition("output.access == ")[2]
        .partition("])")[0]
    )
    wanted = {line.replace("pitwall-test", PROJECT) for line in re.findall(r'^ +"(.*)",$', table, re.MULTILINE)}
    wanted.add("topic budget: roles/pubsub.publisher serviceAccount:billing-budget-alert@system.gserviceaccount.com")
    caller = f"serviceAccount:pitwall-scheduler@{PROJECT}.iam.gserviceaccount.com"
    wanted.add(f"function karts: roles/run.invoker {caller}")
    kinds = {
        ("projects",): "project",
        ("iam", "service-accounts"): "account",
        ("storage", "buckets"): "bucket",
        ("artifacts", "repositories"): "repository",
        ("secrets",): "secret",
        ("pubsub", "topics"): "topic",
        ("pubsub", "subscriptions"): "subscription",
        ("run", "services"): "function",
    }
    given, expressions = [], set()
    for words, kind in kinds.items():
        for one in called(noted, *words, "add-iam-policy-binding"):
            [target] = one.words[len(words) + 1 :]
            condition = one.flags.get("--condition", "None")
            title, _, expression = condition.removeprefix("title=").partition(",expression=")
            if condition != "None":
                expressions.add((title, expression))
            right = f"{kind} {target.removeprefix('gs://')}: {one.flags['--role']} {one.flags['--member']}"
            given.append(right if condition == "None" else f"{right} if {title}")
    assert sorted(given) == sorted(wanted)
    assert expressions == {
        ("kart-recordings", f"resource.name.startsWith('projects/_/buckets/{PROJECT}-raw/objects/kart-')"),
        ("one-database", f"resource.name == 'projects/{PROJECT}/databases/(default)'"),
        ("sources-of-functions", f"resource.name.startsWith('projects/_/buckets/gcf-v2-sources-{NUMBER}-{REGION}')"),
    }


def test_roles_and_accounts_are_those_of_terraform(noted: list[Noted]) -> None:
    table = (INFRA / "tests" / "access.tftest.hcl").read_text(encoding="utf-8")
    wanted = {
        name: sorted(re.findall(r'"([a-zA-Z.]+)"', permissions))
        for name, permissions in re.findall(r"^ +(pitwall\w+) += toset\(\[(.*)\]\)$", table, re.MULTILINE)
    }
    made = {
        one.words[3]: sorted(one.flags["--permissions"].split(",")) for one in called(noted, "iam", "roles", "create")
    }
    assert made == wanted
    others = {"pitwall-build", "pitwall-push", "pitwall-scheduler", "pitwall-collector"}
    accounts = {one.words[3] for one in called(noted, "iam", "service-accounts", "create")}
    assert accounts == {f"pitwall-{name}" for name in local("functions.tf", "functions")} | others


def test_topics_subscriptions_and_jobs_are_those_of_terraform(noted: list[Noted]) -> None:
    topics = set(local("main.tf", "topics"))
    made = {one.words[3]: one.flags for one in called(noted, "pubsub", "topics", "create")}
    assert set(made) == topics | {f"{topic}-dead" for topic in topics}
    assert {flags["--message-storage-policy-allowed-regions"] for flags in made.values()} == {REGION}
    subscriptions = {one.words[3]: one.flags for one in called(noted, "pubsub", "subscriptions", "create")}
    pushed, slow = local("main.tf", "subscriptions"), local("main.tf", "slow_subscriptions")
    quick = {"ack_deadline_s": 60, "minimum_backoff_s": 0.1, "maximum_backoff_s": 60}
    assert set(subscriptions) == {*pushed, *(f"{topic}-dead" for topic in topics)}
    for name, wanted in pushed.items():
        url, patience = f"https://{text(wanted['function'])}.run.app", slow.get(name, quick)
        assert subscriptions[name] == {
            "--topic": text(wanted["topic"]),
            "--enable-message-ordering": True,
            "--push-endpoint": url,
            "--push-auth-service-account": f"pitwall-push@{PROJECT}.iam.gserviceaccount.com",
            "--push-auth-token-audience": url,
            "--ack-deadline": str(patience["ack_deadline_s"]),
            "--message-retention-duration": "7d",
            "--min-retry-delay": f"{patience['minimum_backoff_s']}s",
            "--max-retry-delay": f"{patience['maximum_backoff_s']}s",
            "--dead-letter-topic": f"{text(wanted['topic'])}-dead",
            "--max-delivery-attempts": "100",
            "--expiration-period": "never",
        }
    jobs = {one.words[4]: one.flags for one in called(noted, "scheduler", "jobs", "create", "http")}
    assert set(jobs) == set(local("main.tf", "jobs"))
    for name, wanted in local("main.tf", "jobs").items():
        url = f"https://{text(wanted['function'])}.run.app"
        assert jobs[name] == {
            "--location": REGION,
            "--schedule": text(wanted["schedule"]),
            "--time-zone": "Etc/UTC",
            "--uri": url,
            "--http-method": "POST",
            "--headers": "Content-Type=application/json",
            "--message-body": "{}" if text(wanted["function"]) == "karts" else '{"feed":"f1"}',
            "--oidc-service-account-email": f"pitwall-scheduler@{PROJECT}.iam.gserviceaccount.com",
            "--oidc-token-audience": url,
            "--attempt-deadline": f"{wanted['deadline_s']}s",
            "--max-retry-attempts": str(wanted["retries"]),
            "--min-backoff": "600s",
            "--max-backoff": "3600s",
        }


def test_apis_secrets_and_buckets_are_those_of_terraform(noted: list[Noted]) -> None:
    enabled = {word for one in called(noted, "services", "enable") for word in one.words[2:]}
    main = (INFRA / "main.tf").read_text(encoding="utf-8").partition('module "apis"')[2].partition('module "')[0]
    wanted = set(re.findall(r'"([a-z]+\.googleapis\.com)"', main))
    assert enabled == wanted - {"firebaseappcheck.googleapis.com", "telemetry.googleapis.com"}  # for what is not on
    assert {one.words[2] for one in called(noted, "secrets", "create")} == set(local("functions.tf", "secrets"))
    buckets = {one.words[3] for one in called(noted, "storage", "buckets", "create")}
    assert buckets == {f"gs://{PROJECT}-raw", f"gs://{PROJECT}-source", f"gs://{PROJECT}-telemetry"}
    for one in called(noted, "storage", "buckets", "create"):
        assert {"--uniform-bucket-level-access", "--public-access-prevention"} <= set(one.flags)
    aborted = ("AbortIncompleteMultipartUpload", 1)
    ages = {
        "raw": [("NEARLINE", 30), ("ARCHIVE", 180), ("Delete", 730), ("Delete", 90), aborted],
        "telemetry": [("NEARLINE", 90), ("COLDLINE", 365), ("Delete", 7), aborted],
    }
    updates = [one for one in called(noted, "storage", "buckets", "update") if "--lifecycle-file" in one.flags]
    assert {one.words[3] for one in updates} == {f"gs://{PROJECT}-{bucket}" for bucket in ages}
    for update in updates:
        bucket = update.words[3].removeprefix(f"gs://{PROJECT}-")
        rules = json.loads(update.files[f"build/{bucket}.json"])["rule"]
        told = [
            (rule["action"].get("storageClass", rule["action"]["type"]), rule["condition"]["age"]) for rule in rules
        ]
        assert told == ages[bucket]
    [database] = called(noted, "firestore", "databases", "create")
    assert {"--delete-protection", "--enable-pitr"} <= set(database.flags)


def commands_of(page: str) -> list[list[str]]:
    """Every command of gcloud in a page's blocks and in its text, as words, up to where the shell goes on."""
    spans = re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    spans += re.findall(r"^    (?:gcloud .*\n(?:      .*\n)*)", page, re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    spans += [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", prose) if "gcloud " in span]
    found = []
    for span in spans:
        for line in re.sub(r"'[^']*'|\$\([^()]*\)", "it", span.replace("\\\n", " ")).splitlines():
            found += [command.split() for command in re.findall(r"\bgcloud ([a-z][^|;>#&)]*)", line)]
    return found


@pytest.mark.parametrize("page", ["deploy.md", "economy.md", "collector.md", "security.md"])
def test_every_command_and_flag_is_one_of_gclouds(page: str) -> None:
    """By the list that the Google Cloud CLI brings for completion."""
    gcloud = shutil.which("gcloud")
    known = Path(gcloud).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py" if gcloud else Path()
    if not known.is_file():
        pytest.skip("the Google Cloud CLI, or its list of commands, is not here")
    specification = importlib.util.spec_from_file_location("completions", known)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    tree = module.STATIC_COMPLETION_CLI_TREE
    commands = commands_of((ROOT / "docs" / page).read_text(encoding="utf-8"))
    assert commands or page == "security.md"
    for words in commands:
        at, rest = tree, [*words]
        while rest and rest[0] in at.get("commands", {}):
            at = at["commands"][rest.pop(0)]
        assert not at.get("commands"), f"there is no such command: {' '.join(words)}"
        flags = {word.partition("=")[0] for word in rest if word.startswith("--")}
        unknown = {flag for flag in flags if flag not in at["flags"] and flag not in tree["flags"]}
        unknown -= {flag for flag in unknown if flag.startswith("--no-") and f"--{flag[5:]}" in at["flags"]}
        assert not unknown, f"{unknown} are no flags of: {' '.join(words)}"


def test_what_it_costs_is_what_is_computed() -> None:
    assert DEPLOY.partition("<!-- cost -->\n")[2].partition("<!-- /cost -->")[0] == cost.tables()


def test_idle_it_is_under_a_dollar_a_month_and_a_crowd_is_cheaper_behind_the_cdn() -> None:
    assert sum(usd for *_, usd in cost.idle()) < 1
    rows = dict(cost.weekend())
    assert rows["or: everybody asks the CDN once a second"][-1] < rows["everybody listens to Firestore"][-1] / 3


@pytest.mark.skipif(not (SHARED / "recordings").is_dir(), reason="no real recordings at ../shared")
def test_what_a_session_does_is_as_it_was_measured() -> None:
    """Within 5 %: prices are no more exact."""
    known = cost.WEEKEND[1]
    source = open_recording(SHARED / "recordings" / "f1" / f"{known.recording}.txt.gz")
    reducer = Reducer(source.session, "f1", "recording")
    messages = [*source.messages()]
    ticks = [tick for message in messages for tick in reducer.offer(message)] + reducer.finish()
    told = [(kind_of(path).name, path, document) for tick in ticks for path, document in tick.documents]
    watched = [(path, to_fields(document)) for kind, path, document in told if kind in WATCHED]
    marks = {"writtenAt": datetime.now(UTC), "v": 2**40}
    assert len(watched) == pytest.approx(known.viewer_reads, rel=0.05)
    assert sum(kind == "timing" for kind, _, _ in told) == pytest.approx(known.towers, rel=0.05)
    size = sum(document_size(path, {**fields, **marks}) for path, fields in watched)
    assert size == pytest.approx(known.viewer_bytes, rel=0.05)
    assert (messages[-1].at - messages[0].at) / 1000 == pytest.approx(known.seconds, rel=0.05)


def test_what_is_counted_is_what_is_deployed() -> None:
    assert sum(job["wanted"] is True for job in local("main.tf", "jobs").values()) == cost.JOBS
    policies = [names for _, names, body in blocks("resource") if names[0] == "google_monitoring_alert_policy"]
    monitoring = (INFRA / "modules" / "monitoring" / "main.tf").read_text(encoding="utf-8")
    thresholds = re.findall(r"^      threshold = ", monitoring, re.MULTILINE)
    assert len({name for _, name in policies} & {"silent", "errors"}) + len(thresholds) == cost.CONDITIONS
    assert len(local("functions.tf", "functions")) * 2 == cost.IMAGES_KEPT


def test_what_is_brought_back_is_every_kind_of_document_but_what_must_not_go_back() -> None:
    [made] = re.findall(r"^KINDS=\$\(PYTHONPATH=functions \S+ -c '(.*?)'\)$", DEPLOY, re.MULTILINE | re.DOTALL)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "functions")}
    told = subprocess.run([sys.executable, "-c", made], env=environment, capture_output=True, text=True, check=True)
    named = set(told.stdout.strip().split(","))
    assert {"sessions", "live", "laps", "drivers", "raceControl", "users", "apiKeys", "schedule", "events"} <= named
    assert not named & {"leases", "checkpoints", "rateLimits", "economy"}


def test_deploying_begins_with_what_f1_refuses() -> None:
    first = re.findall(r"^## (.*)$", DEPLOY, re.MULTILINE)[0]
    assert first == "First: F1 refuses some of Google's addresses"


def test_every_test_that_is_named_for_a_threat_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY.read_text(encoding="utf-8"))
    assert named
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in there, f"{file} has no {name}"


def test_every_threat_names_a_test_or_says_that_there_is_none() -> None:
    table = SECURITY.read_text(encoding="utf-8").partition("## Threats\n")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert rows
    for row in rows:
        shown = row.strip("|").split("|")[-1]
        assert "::" in shown or ".tftest.hcl" in shown or "not shown" in shown, row
