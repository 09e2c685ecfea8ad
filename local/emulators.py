"""Finds and starts Google's emulators of Firestore and Pub/Sub, and one of Cloud Storage.

Firestore and Pub/Sub are gcloud's: their jars are started with java, not through gcloud, which
would start slower and leave grandchildren behind. Cloud Storage has no emulator of Google's; the
package gcp-storage-emulator stands in for it. What runs against them is not known here.

| variable | overrides |
|---|---|
| PITWALL_JAVA | the java program; else JAVA_HOME's, else the one on PATH |
| PITWALL_FIRESTORE_JAR | path of cloud-firestore-emulator.jar |
| PITWALL_PUBSUB_JAR | path of cloud-pubsub-emulator-*-all.jar |
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import httpx

from local.processes import LOOPBACK, Process, Processes, ProcessFailed, free_port, require_free

_ATTEMPTS = 3
"""Somebody may take the free port before the emulator does."""


class MissingTool(RuntimeError):
    """Java or an emulator is not installed; the text has the command that installs it."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator.

    address: `host:port`. variable: the environment variable in which Google's clients look
    for it; value: what has to be in there.
    """

    address: str
    variable: str
    value: str
    process: Process

    @property
    def env(self) -> dict[str, str]:
        return {self.variable: self.value}


class Programs(NamedTuple):
    """What is needed to start the emulators of Firestore and Pub/Sub."""

    java: Path
    firestore_jar: Path
    pubsub_jar: Path

    @classmethod
    def find(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Where they are. Raises MissingTool with everything that is missing and the commands that install it."""
        java = _java(env)
        firestore = _jar(
            env,
            "PITWALL_FIRESTORE_JAR",
            "cloud-firestore-emulator/cloud-firestore-emulator.jar",
            "cloud-firestore-emulator-v*.jar",
        )
        pubsub = _jar(
            env,
            "PITWALL_PUBSUB_JAR",
            "pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
            "pubsub-emulator-*/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar",
        )
        if java is None or firestore is None or pubsub is None:
            raise MissingTool(_missing(java is None, firestore is None, pubsub is None))
        return cls(java, firestore, pubsub)


def start_firestore(processes: Processes, programs: Programs, rules: Path | None = None, port: int = 0) -> Emulator:
    """Firestore's emulator.

    rules: the security rules it enforces on clients without an owner's token. port: 0 for any that is free.
    """
    java: list[str | Path] = [programs.java, "-Duser.language=en", "-XX:+UseSerialGC", "-cp", programs.firestore_jar]
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"

    def command(on: int) -> list[str | Path]:
        own: list[str | Path] = [*java, main, "--host", LOOPBACK, "--port", str(on)]
        return [*own, "--rules", rules] if rules else own

    process, address = start_program(processes, "firestore-emulator", command, port)
    return Emulator(address, "FIRESTORE_EMULATOR_HOST", address, process)


def start_pubsub(processes: Processes, programs: Programs, port: int = 0) -> Emulator:
    """Pub/Sub's emulator. port: 0 for any that is free."""
    java: list[str | Path] = [programs.java, "-XX:+UseSerialGC", "-jar", programs.pubsub_jar]

    def command(on: int) -> list[str | Path]:
        return [*java, f"--host={LOOPBACK}", f"--port={on}"]

    process, address = start_program(processes, "pubsub-emulator", command, port)
    return Emulator(address, "PUBSUB_EMULATOR_HOST", address, process)


def start_storage(processes: Processes) -> Emulator:
    """An emulator of Cloud Storage that keeps its objects in memory."""
    if importlib.util.find_spec("gcp_storage_emulator") is None:
        raise MissingTool("The package gcp-storage-emulator is not installed. Install it with:\n\n    make setup\n")

    def command(port: int) -> list[str | Path]:
        module = [sys.executable, "-m", "gcp_storage_emulator"]
        return [*module, "start", "--in-memory", "--host", LOOPBACK, "--port", str(port)]

    process, address = start_program(processes, "storage-emulator", command)
    return Emulator(address, "STORAGE_EMULATOR_HOST", f"http://{address}", process)


class Emulators(NamedTuple):
    """All three, running."""

    firestore: Emulator
    pubsub: Emulator
    storage: Emulator

    @property
    def env(self) -> dict[str, str]:
        """The environment variables in which Google's clients look for them."""
        return {**self.firestore.env, **self.pubsub.env, **self.storage.env}

    @classmethod
    def start(cls, processes: Processes, rules: Path, firestore_port: int = 0, pubsub_port: int = 0) -> Self:
        """Starts them, at the same time. Raises MissingTool, ProcessFailed."""
        programs = Programs.find()
        with ThreadPoolExecutor(3) as starting:
            firestore = starting.submit(start_firestore, processes, programs, rules, firestore_port)
            pubsub = starting.submit(start_pubsub, processes, programs, pubsub_port)
            storage = starting.submit(start_storage, processes)
            return cls(firestore.result(), pubsub.result(), storage.result())


def start_program(
    processes: Processes,
    name: str,
    command: Callable[[int], Sequence[str | Path]],
    wanted: int = 0,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> tuple[Process, str]:
    """Starts an emulator and waits until it answers HTTP, which all of them do; also its address, `host:port`.

    wanted: its port; 0 for any that is free. env, cwd: as for `Processes.start`. Raises MissingTool, ProcessFailed.
    """
    if wanted:
        require_free(wanted)
    for attempt in range(_ATTEMPTS):
        address = f"{LOOPBACK}:{(port := wanted or free_port())}"
        process = processes.start(name, command(port), env, cwd)
        try:
            process.wait_until(lambda: _answers(f"http://{address}/"))  # noqa: B023 (called before the loop goes on)
        except ProcessFailed as failure:
            processes.end(process)
            _explain(str(failure))
            if wanted or attempt == _ATTEMPTS - 1 or "in use" not in str(failure):
                raise
        else:
            return process, address
    raise AssertionError("unreachable")


def _answers(url: str) -> bool:
    try:
        httpx.get(url, timeout=1, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def _explain(failure: str) -> None:
    """Raises MissingTool if the failure says that the java found is none, or too old."""
    if "UnsupportedClassVersionError" in failure or "Unable to locate a Java Runtime" in failure:
        raise MissingTool(f"The emulators need Java 17 or newer. {_INSTALL_JAVA}\n\n{failure}")


def _java(env: Mapping[str, str]) -> Path | None:
    if named := env.get("PITWALL_JAVA"):
        return Path(named) if Path(named).is_file() else None
    home = env.get("JAVA_HOME")
    if home and (java := Path(home) / "bin" / "java").is_file():
        return java
    found = shutil.which("java", path=env.get("PATH", os.defpath))
    return Path(found) if found else None


def _jar(env: Mapping[str, str], variable: str, in_sdk: str, in_firebase: str) -> Path | None:
    if named := env.get(variable):
        return Path(named) if Path(named).is_file() else None
    for root in _sdk_roots(env):
        if found := sorted((root / "platform").glob(in_sdk)):
            return found[-1]
    firebase = Path(env.get("HOME", "/nonexistent")) / ".cache" / "firebase" / "emulators"
    return max(firebase.glob(in_firebase), default=None)


def _sdk_roots(env: Mapping[str, str]) -> Iterator[Path]:
    """Where a Google Cloud SDK may be: the one in use first."""
    if named := env.get("CLOUDSDK_ROOT_DIR"):
        yield Path(named)
    if gcloud := shutil.which("gcloud", path=env.get("PATH", os.defpath)):
        yield Path(gcloud).resolve().parents[1]
    if home := env.get("HOME"):
        yield Path(home) / "google-cloud-sdk"
    for known in (
        "/usr/lib/google-cloud-sdk",
        "/usr/lib64/google-cloud-sdk",
        "/usr/share/google-cloud-sdk",
        "/opt/homebrew/share/google-cloud-sdk",
        "/usr/local/share/google-cloud-sdk",
        "/snap/google-cloud-cli/current",
    ):
        yield Path(known)


_INSTALL_JAVA = """Install it with one of:

    sudo apt-get install openjdk-17-jre-headless        (Debian, Ubuntu)
    brew install openjdk@17                             (macOS)"""

_INSTALL_EMULATORS = """Install {what} with one of:

    gcloud components install {components}
    sudo apt-get install {packages}

(without gcloud, first: https://cloud.google.com/sdk/docs/install)"""


def _missing(java: bool, firestore: bool, pubsub: bool) -> str:
    """The one message that says what is not there and how to get it."""
    parts = []
    if java:
        parts.append(
            f"Java was not found (PITWALL_JAVA, JAVA_HOME, PATH); the emulators need 17 or newer. {_INSTALL_JAVA}"
        )
    wanted = [
        name for name, missing in (("cloud-firestore-emulator", firestore), ("pubsub-emulator", pubsub)) if missing
    ]
    if wanted:
        names = " and ".join({"cloud-firestore-emulator": "Firestore", "pubsub-emulator": "Pub/Sub"}[n] for n in wanted)
        packages = {
            "cloud-firestore-emulator": "google-cloud-cli-firestore-emulator",
            "pubsub-emulator": "google-cloud-cli-pubsub-emulator",
        }
        noun = "emulators of" if len(wanted) > 1 else "emulator of"
        parts.append(
            f"Google's {noun} {names} {'were' if len(wanted) > 1 else 'was'} not found "
            "(PITWALL_FIRESTORE_JAR, PITWALL_PUBSUB_JAR, the Google Cloud SDK of gcloud on PATH). "
            + _INSTALL_EMULATORS.format(
                what="them" if len(wanted) > 1 else "it",
                components=" ".join(wanted),
                packages=" ".join(packages[name] for name in wanted),
            )
        )
    return "\n\n".join(parts) + "\n"
