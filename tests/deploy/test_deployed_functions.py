"""What is deployed is what was tested: the bundle, unpacked, with its requirements in an environment of their own.

As Google's builder puts them together, and as Cloud Run then starts each function: the Functions Framework in the
folder of the bundle, with the variables that Cloud Run sets and the function's own, and nothing else. Python is the
deployed one, 3.13, where it is installed (on PATH, or with pyenv), else the one that runs the tests. Only the emulators
are not Google's own.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore as firestore_api
from google.cloud import storage as storage_api

from deploy import bundle
from local.emulators import Emulator
from local.processes import LOOPBACK, Process, Processes, accepts_connections, free_port
from pitwall.pipeline.recorder import RawBatch
from tests.deploy.test_requirements import UNREACHABLE
from tests.pipeline.conftest import little_race, message_of, push_body, tower

RUNTIME = "3.13"
UV = [sys.executable, "-m", "uv", "--no-python-downloads"]
PYENV = {"PYENV_VERSION": RUNTIME}
"""Has pyenv's `python3.13` be one."""

NOT_DEPLOYED = ("jsonschema",)
"""What only the checking of documents against their schemas needs: the project's, not the functions'."""

EVERY_IMPORT = """
import ast, importlib, pathlib, sys

made = set()

def collect(node):
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        made.update((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        made.update((node.module, alias.name) for alias in node.names)
    for inner in ast.iter_child_nodes(node):
        collect(inner)

for path in pathlib.Path().rglob("*.py"):
    collect(ast.parse(path.read_bytes()))
for module, name in sorted(made):
    if module not in sys.argv[1:] and not hasattr(importlib.import_module(module), name or "__name__"):
        importlib.import_module(f"{module}.{name}")
print(len(made))
"""


class Function(NamedTuple):
    """A served function."""

    url: str
    process: Process

    def asked(self, method: str, path: str = "", content: bytes = b"") -> httpx.Response:
        return httpx.request(method, self.url + path, content=content, trust_env=False, timeout=60)


class Unpacked(NamedTuple):
    """folder: the bundle's files. environment: the virtual environment with its requirements."""

    folder: Path
    environment: Path

    def command(self, program: str, *arguments: str, **variables: str) -> list[str]:
        """A program of the environment, which sees these variables only."""
        seen = {"PATH": f"{self.environment / 'bin'}:/usr/bin:/bin", "HOME": str(self.environment), **variables}
        pairs = [f"{name}={value}" for name, value in seen.items()]
        return ["/usr/bin/env", "-i", *pairs, str(self.environment / "bin" / program), *arguments]

    def python(self, code: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command("python", "-c", code, *arguments),
            cwd=cwd,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )


class Cloud(NamedTuple):
    """What the functions work with. variables: that lead them there."""

    project: str
    firestore: firestore_api.Client
    storage: storage_api.Client
    variables: Mapping[str, str]


def entry_points() -> list[str]:
    """Names of the functions in functions/main.py that the framework serves."""
    kinds = {"functions_framework.http", "functions_framework.cloud_event"}
    tree = ast.parse((bundle.ROOT / "functions" / "main.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if kinds & {ast.unparse(decorator) for decorator in node.decorator_list}]


def uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [*UV, *map(str, arguments)]
    return subprocess.run(
        ["/usr/bin/env", *(f"{name}={value}" for name, value in PYENV.items()), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    """Skipped where the packages can be had neither from an index nor from uv's cache."""
    work = tmp_path_factory.mktemp("deployed")
    folder, environment = work / "workspace", work / "environment"
    bundle.write(work / "functions.zip", bundle.sources())
    with zipfile.ZipFile(work / "functions.zip") as zipped:
        zipped.extractall(folder)
    found = uv("python", "find", "--no-project", "--system", RUNTIME)
    made = uv("venv", "--no-project", "--python", found.stdout.strip() or sys.executable, environment)
    assert made.returncode == 0, made.stderr
    hashed = ("--require-hashes", "--no-build", "--requirement", folder / "requirements.txt")
    installed = uv("pip", "install", "--python", environment, *hashed)
    if installed.returncode and UNREACHABLE.search(installed.stderr):
        pytest.skip("no package index can be reached, and uv's cache does not hold every package")
    assert installed.returncode == 0, installed.stderr
    return Unpacked(folder, environment)


@pytest.fixture(scope="module")
def cloud(firestore_emulator: Emulator, storage_emulator: Emulator) -> Iterator[Cloud]:
    project = "test-deployed"
    variables = {**firestore_emulator.env, **storage_emulator.env}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        firestore = firestore_api.Client(project=project)
        storage = storage_api.Client(project=project, credentials=AnonymousCredentials())
        storage.create_bucket(f"{project}-raw")
        yield Cloud(project, firestore, storage, {**variables, "GOOGLE_CLOUD_PROJECT": project})
        firestore.close()
        storage.close()


@pytest.fixture(scope="module")
def functions(unpacked: Unpacked, cloud: Cloud, processes: Processes) -> Iterator[dict[str, Function]]:
    """Every function there is, as an instance of Cloud Run's each."""
    served = {}
    for name in entry_points():
        port = free_port()
        of_cloud_run = {"K_SERVICE": name, "PORT": str(port), "FUNCTION_TARGET": name}
        command = unpacked.command(
            "functions-framework", "--host", LOOPBACK, **of_cloud_run, **cloud.variables, PITWALL_HISTORY="none"
        )
        process = processes.start(f"deployed-{name}", command, cwd=unpacked.folder)
        served[name] = Function(f"http://{LOOPBACK}:{port}/", process)
    for function in served.values():
        port = httpx.URL(function.url).port or 0
        function.process.wait_until(lambda port=port: accepts_connections(port))
    yield served
    processes.end(*(function.process for function in served.values()))


def ask_api(api: Function, cloud: Cloud) -> None:
    missing = api.asked("GET", "api/sessions/current")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    # Asked second: a first call on a busy machine, without byte code, may not reach Firestore within its two seconds.
    assert api.asked("GET", "health/ready").json() == {"status": "ok"}
    # Files of the bundle that are no Python: the examples in the description, the page of the status.
    described = api.asked("GET", "api/openapi.json").json()["paths"]["/api/sessions/current"]["get"]["responses"]["200"]
    assert "example" in described["content"]["application/json"]
    assert api.asked("GET", "api/status?format=html").status_code == 200


def ask_writer(writer: Function, cloud: Cloud) -> None:
    path = "sessions/7001/live/timing"
    pushed = writer.asked("POST", content=push_body(message_of({path: tower(position=3)}, seq=1)))
    assert pushed.status_code == 204, pushed.text
    assert cloud.firestore.document(path).get().get("lines") == {"7": {"p": 3}}


def ask_recorder(recorder: Function, cloud: Cloud) -> None:
    batch = RawBatch(max_s=1e9, max_bytes=10**9)
    for message in little_race():
        batch.add(message)
    data = batch.take() or b""
    pushed = recorder.asked("POST", content=push_body(data, session="7001", epoch="1", seq="2", at="5"))
    assert pushed.status_code == 204, pushed.text
    blob = cloud.storage.bucket(f"{cloud.project}-raw").blob("7001/0000000000005-000001-00000002.jsonl.gz")
    assert blob.download_as_bytes(raw_download=True) == data


def ask_poller(poller: Function, cloud: Cloud) -> None:
    assert poller.asked("POST", content=b'{"feed": "f1"}').json() == {"outcome": "no-source", "feed": "f1"}


def ask_karts(karts: Function, cloud: Cloud) -> None:
    assert karts.asked("POST", content=b"{}").json() == {"outcome": "none-started", "tracks": {}}


def ask_schedule(schedule: Function, cloud: Cloud) -> None:
    assert schedule.asked("POST", content=b"{}").json() == {"outcome": "no-source", "feed": "f1"}


def ask_reconciler(reconciler: Function, cloud: Cloud) -> None:
    assert reconciler.asked("POST", content=b"{}").json() == {"state": "no-archive", "feed": "f1"}


def ask_economy(economy: Function, cloud: Cloud) -> None:
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    costs = {
        "budgetDisplayName": "pitwall",
        "costAmount": 9.0,
        "budgetAmount": 10.0,
        "costIntervalStart": month.isoformat().replace("+00:00", "Z"),
        "currencyCode": "USD",
    }
    pushed = economy.asked("POST", content=push_body(json.dumps(costs).encode()))
    assert pushed.status_code == 204, pushed.text
    assert cloud.firestore.document("economy/current").get().get("mode") == "slow"


def ask_jobs(jobs: Function, cloud: Cloud) -> None:
    """A request that no season fits is refused by the work itself, which loads all that the history needs."""
    turn = {"kind": "backfill", "key": "1066", "request": {"season": 1066}}
    pushed = jobs.asked("POST", content=push_body(json.dumps(turn).encode()))
    assert pushed.status_code == 204, pushed.text
    told = cloud.firestore.document("jobs/backfill-1066").get()
    assert (told.get("state"), told.get("turn")) == ("failed", 1)


QUESTIONS: dict[str, Callable[[Function, Cloud], None]] = {
    "api": ask_api,
    "economy": ask_economy,
    "jobs": ask_jobs,
    "karts": ask_karts,
    "poller": ask_poller,
    "reconciler": ask_reconciler,
    "recorder": ask_recorder,
    "schedule": ask_schedule,
    "writer": ask_writer,
}


def test_there_is_a_question_for_every_entry_point():
    assert sorted(entry_points()) == sorted(QUESTIONS), "functions/main.py and the questions here have to agree"


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_deployed_function_answers(name: str, functions: dict[str, Function], cloud: Cloud):
    try:
        QUESTIONS[name](functions[name], cloud)
    except (AssertionError, httpx.HTTPError) as error:
        error.add_note(f"{name} said:\n{functions[name].process.output_end()}")
        raise


def test_every_import_of_the_bundle_can_be_made(unpacked: Unpacked):
    """Also the ones that stand in a function that no question here comes to."""
    done = unpacked.python(EVERY_IMPORT, *NOT_DEPLOYED, cwd=unpacked.folder)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 500


def test_nothing_of_the_project_is_seen_but_the_bundle(unpacked: Unpacked, tmp_path: Path):
    done = unpacked.python("import pitwall", cwd=tmp_path)
    assert done.stderr.splitlines()[-1:] == ["ModuleNotFoundError: No module named 'pitwall'"]


def test_the_packages_fit_together(unpacked: Unpacked):
    """Google's builder asks `pip check` as well."""
    checked = uv("pip", "check", "--python", unpacked.environment)
    assert checked.returncode == 0, checked.stderr
