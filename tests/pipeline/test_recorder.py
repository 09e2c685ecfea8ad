"""The recorder: raw batches become objects, once each, and read back as the recording they were."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import storage as storage_api

from pitwall.message import Message
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.recorder import RawBatch, Recorder
from pitwall.sources.recording import open_recording
from tests.clock import Clock
from tests.pipeline.conftest import Taken, little_race, push_body, write_recording


@pytest.fixture
def bucket(storage: storage_api.Client, project: str) -> storage_api.Bucket:
    return storage.create_bucket(f"{project}-raw")


@pytest.fixture
def recorder(bucket: storage_api.Bucket, topics: dict[str, str], project: str) -> Recorder:
    return Recorder(bucket, DeadLetters(project, "raw-dead", timeout_s=3.0))


def batches(messages: list[Message], max_bytes: int) -> Iterator[bytes]:
    batch = RawBatch(max_s=1e9, max_bytes=max_bytes)
    for message in messages:
        batch.add(message)
        if batch.due:
            yield batch.take() or b""
    yield batch.take() or b""


def body(data: bytes, session: str = "7001", epoch: str = "3", seq: str = "17", at: str = "1762608799801") -> bytes:
    return push_body(data, session=session, epoch=epoch, seq=seq, at=at)


def names(bucket: storage_api.Bucket) -> list[str]:
    return sorted(blob.name for blob in bucket.list_blobs())


def test_a_batch_becomes_an_object_named_by_session_instant_epoch_and_seq(
    recorder: Recorder, bucket: storage_api.Bucket
) -> None:
    (data,) = batches(little_race(), 10**9)
    assert recorder.handle(body(data)).status_code == 204
    assert names(bucket) == ["7001/1762608799801-000003-00000017.jsonl.gz"]
    lines = gzip.decompress(bucket.blob(names(bucket)[0]).download_as_bytes(raw_download=True))
    assert len(lines.splitlines()) == len(little_race())


def test_a_redelivery_leaves_one_object_with_the_same_content(recorder: Recorder, bucket: storage_api.Bucket) -> None:
    (data,) = batches(little_race(), 10**9)
    for _ in range(3):
        assert recorder.handle(body(data)).status_code == 204
    (blob,) = bucket.list_blobs()
    assert blob.download_as_bytes(raw_download=True) == data


def test_an_object_that_is_there_already_is_recorded(
    recorder: Recorder, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cloud Storage refuses to replace it, which the emulator does not."""

    def there_already(*_: object, if_generation_match: int, **__: object) -> None:
        assert if_generation_match == 0
        raise exceptions.PreconditionFailed("it is there")

    monkeypatch.setattr(storage_api.Blob, "upload_from_string", there_already)
    assert recorder.handle(body(gzip.compress(b"x"))).status_code == 204
    assert taken("raw-dead") == []


def test_objects_of_two_holders_read_back_as_the_recording_without_overlaps(
    recorder: Recorder, bucket: storage_api.Bucket, tmp_path: Path
) -> None:
    """The first holder crashed at message 80 with a checkpoint at 50: the second published 50 to 79 again."""
    race = little_race()
    for epoch, part in (("1", race[:80]), ("2", race[50:])):
        for seq, data in enumerate(batches(part, 2_000), start=1):
            assert recorder.handle(body(data, epoch=epoch, seq=str(seq))).status_code == 204
    assert len(names(bucket)) > 6
    folder = tmp_path / "objects"
    for blob in bucket.list_blobs():
        path = folder / blob.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.download_as_bytes(raw_download=True))
    recording = open_recording(folder / "7001")
    assert list(recording.messages()) == list(open_recording(write_recording(tmp_path / "a", race)).messages())
    assert recording.session == "7001"


@pytest.mark.parametrize("request_body", [b"", b"{}", b"garbage"])
def test_what_is_no_push_request_is_a_bad_request(recorder: Recorder, request_body: bytes) -> None:
    answer = recorder.handle(request_body)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert json.loads(answer.get_data())["type"].endswith("not-a-push")


@pytest.mark.parametrize(
    "request_body",
    [
        push_body(gzip.compress(b"x")),
        body(gzip.compress(b"x"), session="../../elsewhere"),
        body(gzip.compress(b"x"), session=""),
        body(gzip.compress(b"x"), epoch="-1"),
        body(gzip.compress(b"x"), seq="one"),
        body(gzip.compress(b"x"), at="-1"),
        body(b"not gzip"),
        body(b""),
    ],
)
def test_what_is_no_batch_is_put_away_with_the_reason(
    recorder: Recorder, bucket: storage_api.Bucket, taken: Taken, request_body: bytes
) -> None:
    assert recorder.handle(request_body).status_code == 204
    (put_away,) = taken("raw-dead")
    assert put_away.attributes["reason"] == "bad-batch"
    assert names(bucket) == []


def test_what_could_not_be_put_away_is_delivered_again(
    bucket: storage_api.Bucket, topics: dict[str, str], project: str
) -> None:
    recorder = Recorder(bucket, DeadLetters(project, "no-such-topic", timeout_s=3.0))
    assert recorder.handle(body(b"not gzip")).status_code == 503


def test_an_outage_of_storage_puts_nothing_away(
    recorder: Recorder, bucket: storage_api.Bucket, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data,) = batches(little_race(), 10**9)

    def unavailable(*_: object, **__: object) -> None:
        raise exceptions.ServiceUnavailable("an outage")

    with monkeypatch.context() as outage:
        outage.setattr(storage_api.Blob, "upload_from_string", unavailable)
        assert recorder.handle(body(data)).status_code == 503
    assert taken("raw-dead") == []
    assert recorder.handle(body(data)).status_code == 204
    assert len(names(bucket)) == 1


def test_a_batch_is_due_after_its_time_or_its_bytes_and_never_when_empty() -> None:
    clock = Clock()
    batch = RawBatch(max_s=5.0, max_bytes=200, monotonic=clock)
    clock.now += 100.0
    assert not batch.due
    assert batch.take() is None
    batch.add(Message("Heartbeat", {}, 1))
    clock.now += 4.9
    assert not batch.due
    clock.now += 0.1
    assert batch.due
    assert batch.take() is not None
    batch.add(Message("Heartbeat", {"x": "y" * 200}, 1))
    assert batch.due


def test_the_same_messages_are_the_same_bytes() -> None:
    assert list(batches(little_race(), 2_000)) == list(batches(little_race(), 2_000))
