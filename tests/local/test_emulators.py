"""The emulators are found, answer, and are asked for by name where they are missing."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1
from google.cloud import storage as storage_api

from local.emulators import Emulator, MissingTool, Programs, start_firestore
from local.processes import Processes


def test_firestore_keeps_a_document(firestore: firestore_api.Client):
    firestore.document("sessions/9845").set({"name": "Race"})
    assert firestore.document("sessions/9845").get().to_dict() == {"name": "Race"}


def test_two_tests_do_not_see_each_others_documents(firestore: firestore_api.Client):
    assert [document.id for document in firestore.collection("sessions").stream()] == []


def test_pubsub_hands_out_what_was_published(
    publisher: pubsub_v1.PublisherClient, subscriber: pubsub_v1.SubscriberClient, project: str
):
    topic, subscription = publisher.topic_path(project, "t1x"), subscriber.subscription_path(project, "s1x")
    publisher.create_topic(name=topic)
    subscriber.create_subscription(name=subscription, topic=topic)
    publisher.publish(topic, b"lap", ordering_key="9845").result(10)
    received = subscriber.pull(subscription=subscription, max_messages=1).received_messages
    assert [one.message.data for one in received] == [b"lap"]


def test_storage_keeps_an_object(storage: storage_api.Client, project: str):
    bucket = storage.create_bucket(f"{project}-raw")
    bucket.blob("9845/1.jsonl").upload_from_string(b"line")
    assert bucket.blob("9845/1.jsonl").download_as_bytes() == b"line"


def rest(emulator: Emulator, project: str, path: str) -> str:
    return f"{emulator.value}/v1/projects/{project}/databases/(default)/documents/{path}"


@pytest.mark.parametrize(
    "path", ["sessions/1", "sessions/1/live/timing", "schedule/f1", "seasons/2025/events/1", "jobs/1"]
)
def test_app_may_read_what_is_public(firestore_emulator: Emulator, firestore: firestore_api.Client, path: str):
    firestore.document(path).set({"name": "Race"})
    assert httpx.get("http://" + rest(firestore_emulator, firestore.project, path)).status_code == 200


@pytest.mark.parametrize("path", ["leases/f1", "checkpoints/1", "users/1", "apiKeys/1", "telemetryRequests/1"])
def test_app_may_not_read_what_is_private(firestore_emulator: Emulator, firestore: firestore_api.Client, path: str):
    firestore.document(path).set({"name": "Race"})
    assert httpx.get("http://" + rest(firestore_emulator, firestore.project, path)).status_code == 403


@pytest.mark.parametrize("path", ["sessions/1", "sessions/1/live/timing", "schedule/f1", "leases/f1"])
def test_app_may_write_nothing(firestore_emulator: Emulator, project: str, path: str):
    body = {"fields": {"name": {"stringValue": "Race"}}}
    answer = httpx.patch("http://" + rest(firestore_emulator, project, path), json=body)
    assert answer.status_code == 403


def test_missing_java_is_asked_for_with_the_command_that_installs_it(tmp_path: Path):
    found = Programs.find()
    env = {
        "PATH": str(tmp_path),
        "PITWALL_FIRESTORE_JAR": str(found.firestore_jar),
        "PITWALL_PUBSUB_JAR": str(found.pubsub_jar),
    }
    with pytest.raises(MissingTool) as missing:
        Programs.find(env)
    assert "apt-get install openjdk-17-jre-headless" in str(missing.value)
    assert "gcloud" not in str(missing.value)


def test_missing_emulator_is_asked_for_with_the_command_that_installs_it(tmp_path: Path):
    found = Programs.find()
    env = {
        "PITWALL_JAVA": str(found.java),
        "PITWALL_FIRESTORE_JAR": str(tmp_path / "none.jar"),
        "PITWALL_PUBSUB_JAR": str(found.pubsub_jar),
    }
    with pytest.raises(MissingTool) as missing:
        Programs.find(env)
    assert "gcloud components install cloud-firestore-emulator\n" in str(missing.value)
    assert "apt-get install google-cloud-cli-firestore-emulator\n" in str(missing.value)


def test_sdk_beside_gcloud_is_found(tmp_path: Path):
    sdk = tmp_path / "sdk"
    for file in (
        "bin/gcloud",
        "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar",
        "platform/pubsub-emulator/lib/cloud-pubsub-emulator-0.8.20-all.jar",
    ):
        (sdk / file).parent.mkdir(parents=True, exist_ok=True)
        (sdk / file).touch(mode=0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gcloud").symlink_to(sdk / "bin" / "gcloud")
    java = str(Programs.find().java)
    found = Programs.find({"PATH": str(tmp_path / "bin"), "PITWALL_JAVA": java})
    assert found.pubsub_jar == sdk / "platform/pubsub-emulator/lib/cloud-pubsub-emulator-0.8.20-all.jar"


def test_java_that_is_too_old_is_named_as_such(processes: Processes, programs: Programs, tmp_path: Path):
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\necho 'java.lang.UnsupportedClassVersionError: class file version 61.0' >&2\nexit 1\n")
    old.chmod(0o755)
    with pytest.raises(MissingTool, match="Java 17 or newer"):
        start_firestore(processes, programs._replace(java=old))
