"""Fixtures that give tests Google's emulators: started once a test run, a fresh project for each test.

`firestore`, `publisher`, `subscriber` and `storage` are clients of the test's own `project` and set
the environment variables that Google's clients and `Settings.from_env` read.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1
from google.cloud import storage as storage_api

from local import auth_emulator as auth_program
from local.emulators import Emulator, MissingTool, Programs, start_firestore, start_pubsub, start_storage
from local.processes import Processes

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    """Programs that live as long as the test run; their output is in `logs`."""
    with Processes(tmp_path_factory.mktemp("logs")) as started:
        yield started


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Java and the emulators; the test run fails, with what to install, where they are missing."""
    return Programs.find()


@pytest.fixture(scope="session")
def firestore_rules() -> Path:
    """The security rules that are deployed."""
    return Path(__file__).resolve().parents[1] / "firestore.rules"


@pytest.fixture(scope="session")
def firestore_emulator(processes: Processes, programs: Programs, firestore_rules: Path) -> Emulator:
    return start_firestore(processes, programs, firestore_rules)


@pytest.fixture(scope="session")
def pubsub_emulator(processes: Processes, programs: Programs) -> Emulator:
    return start_pubsub(processes, programs)


@pytest.fixture(scope="session")
def storage_emulator(processes: Processes) -> Emulator:
    return start_storage(processes)


@pytest.fixture(scope="session")
def auth_emulator(processes: Processes) -> Emulator:
    """Firebase Authentication's, which takes ten seconds to start; skipped where npm cannot fetch it."""
    try:
        auth_program.install()
    except MissingTool as reason:
        pytest.skip(str(reason))
    return auth_program.start_auth(processes, "demo-pitwall")


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> str:
    """A project id that no other test has: its Firestore, topics and buckets are empty."""
    name = f"test-{os.getpid()}-{next(_numbers)}"
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", name)
    return name


@pytest.fixture
def firestore(
    firestore_emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[firestore_api.Client]:
    monkeypatch.setenv(firestore_emulator.variable, firestore_emulator.value)
    client = firestore_api.Client(project=project)
    yield client
    client.close()


@pytest.fixture
def publisher(
    pubsub_emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pubsub_v1.PublisherClient]:
    """Publishes with ordering keys."""
    monkeypatch.setenv(pubsub_emulator.variable, pubsub_emulator.value)
    options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
    client = pubsub_v1.PublisherClient(publisher_options=options)
    yield client
    client.stop()


@pytest.fixture
def subscriber(
    pubsub_emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pubsub_v1.SubscriberClient]:
    monkeypatch.setenv(pubsub_emulator.variable, pubsub_emulator.value)
    with pubsub_v1.SubscriberClient() as client:
        yield client


@pytest.fixture
def storage(storage_emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[storage_api.Client]:
    monkeypatch.setenv(storage_emulator.variable, storage_emulator.value)
    client = storage_api.Client(project=project, credentials=AnonymousCredentials())
    yield client
    client.close()
