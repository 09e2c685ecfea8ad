"""The job that finds out what a kart track's feed says: from a capture or the feed itself, beside a human's word."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from google.cloud import firestore as firestore_api
from google.cloud import storage as storage_api
from websockets.sync.server import ServerConnection, serve

from pitwall.history.format_analysis import work
from pitwall.history.work import BadRequest, Stopped, work_of
from pitwall.karting.detection.rows import Heard
from pitwall.pipeline.database import Database
from pitwall.settings import Settings
from tests.karting.detection import feeds

CAPTURE = "captures/feed.jsonl.gz"
ANALYSIS = "circuits/ardenmoor/timing/analysis"
BOARD = (
    'init|r|\ngrid||<tbody><tr data-id="r0" class="head"><td data-id="c1" data-type="rk">Clt</td>'
    '<td data-id="c2" data-type="">X</td><td data-id="c3" data-type="llp">Dernier T.</td></tr>'
    '<tr data-id="r7"><td data-id="r7c1">1</td><td data-id="r7c2">A Team</td><td data-id="r7c3">59.1</td></tr></tbody>'
)
Asks = Callable[..., dict[str, Any]]


@pytest.fixture
def bucket(storage: storage_api.Client, project: str) -> storage_api.Bucket:
    return storage.create_bucket(f"{project}-raw")


@pytest.fixture
def asked(database: Database, firestore: firestore_api.Client, project: str) -> Asks:
    """Does the work a request asks for, of a track with these fields."""

    def run(*, track: dict[str, Any] | None = None, told: list[str] | None = None, **request: Any) -> dict[str, Any]:
        firestore.document("circuits/ardenmoor").set({"nom": "Ardenmoor", **(track or {})})
        settings = Settings(project=project, raw_bucket=f"{project}-raw", private_hosts=True, connect_s=5.0)

        def progress(done: float, what: str) -> None:
            assert 0 <= done <= 1
            if told is not None:
                told.append(what)

        return work(settings, database, {"circuit": "ardenmoor", **request}, progress)

    return run


def put(bucket: storage_api.Bucket, frames: Sequence[Heard]) -> None:
    lines = [json.dumps({"t": frame.at, "msg": frame.text}) for frame in frames]
    bucket.blob(CAPTURE).upload_from_string(gzip.compress("\n".join(lines).encode()))


def stored(firestore: firestore_api.Client, path: str = ANALYSIS) -> dict[str, Any] | None:
    found: dict[str, Any] | None = firestore.document(path).get().to_dict()
    return found


@contextmanager
def sending(*frames: str) -> Iterator[str]:
    """A WebSocket that says this and ends; its address."""

    def say(connection: ServerConnection) -> None:
        for frame in frames:
            connection.send(frame)

    with serve(say, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()


def test_it_is_a_kind_of_job():
    assert work_of("analyze-format") is work


def test_a_capture_is_analysed_and_no_name_in_it_is_stored(
    asked: Asks, bucket: storage_api.Bucket, firestore: firestore_api.Client
):
    put(bucket, feeds.json_rows())
    found = asked(recording=CAPTURE)
    assert found == {
        "circuit": "ardenmoor", "protocol": "json", "standing": "used", "frames": 168, "stored": True,
    }  # fmt: skip
    document = stored(firestore)
    assert document is not None
    assert (document["heardFrom"], document["frames"], document["job"]) == (
        CAPTURE, 168, "analyze-format-kart-ardenmoor",
    )  # fmt: skip
    used = {field["role"] for field in document["analysis"]["fields"] if field["confidence"] >= 0.9}
    assert {"LastLapMs", "BestLapMs", "Laps", "Position"} <= used
    text = json.dumps(document, default=str)
    assert not [name for name in feeds.KARTS.values() if name in text or name.split()[1] in text]


def test_a_feed_is_listened_to_and_the_apps_labels_are_a_hint(asked: Asks, firestore: firestore_api.Client):
    told: list[str] = []
    with sending(BOARD, "", "r7c3|tn|58.9\nr7|*|58900|") as url:
        found = asked(track={"wssUrl": url, "c2": "Equipe/Pilote", "c9": "S1", "c4": ""}, told=told, seconds=60)
    assert (found["protocol"], found["frames"]) == ("apex", 2)
    assert any(what.startswith("listening") for what in told)
    document = stored(firestore)
    assert document is not None
    assert document["heardFrom"].startswith("127.0.0.1:")
    fields = {field["key"]: (field["role"], field["origin"]) for field in document["analysis"]["fields"]}
    assert fields == {"c1": ("Position", "type"), "c2": ("Driver", "human"), "c3": ("LastLapMs", "type")}


def test_a_humans_word_is_left_as_it_is_and_what_speaks_against_it_is_told(
    asked: Asks, bucket: storage_api.Bucket, firestore: firestore_api.Client
):
    said = {"at": firestore_api.SERVER_TIMESTAMP, "columns": {"u": "LastLapMs"}, "v": 1}
    firestore.document("circuits/ardenmoor/timing/format").set(said)
    before = stored(firestore, "circuits/ardenmoor/timing/format")
    put(bucket, feeds.json_rows())
    asked(recording=CAPTURE, track={"c1": "Clt"})
    assert stored(firestore, "circuits/ardenmoor/timing/format") == before
    document = stored(firestore)
    assert document is not None
    assert [notice for notice in document["analysis"]["notices"] if notice.startswith("u: said to be LastLapMs")]
    last = [field for field in document["analysis"]["fields"] if field["role"] == "LastLapMs"]
    assert [(field["key"], field["origin"]) for field in last] == [("u", "human")]


def test_twice_does_no_harm_and_less_of_the_same_feed_changes_nothing(
    asked: Asks, bucket: storage_api.Bucket, firestore: firestore_api.Client
):
    whole = feeds.json_rows()
    put(bucket, whole)
    first = asked(recording=CAPTURE), stored(firestore)
    again = asked(recording=CAPTURE), stored(firestore)
    assert first[0] == again[0]
    assert first[1] is not None
    assert again[1] is not None
    assert (again[1]["analysis"], again[1]["v"]) == (first[1]["analysis"], first[1]["v"] + 1)
    for less in (whole[-3:], []):
        put(bucket, less)
        assert asked(recording=CAPTURE)["stored"] is False
        assert stored(firestore) == again[1]
    put(bucket, feeds.delimited())
    assert asked(recording=CAPTURE)["stored"] is True


@pytest.mark.parametrize(
    ("track", "request_"),
    [
        ({}, {"circuit": "nowhere"}),
        ({}, {"circuit": "a/b"}),
        ({}, {}),
        ({"wssUrl": "file:///etc/passwd"}, {}),
        ({"wssUrl": "wss://kart:secret@example.com"}, {}),
        ({"wssUrl": "ws://127.0.0.1:1/"}, {}),
        ({}, {"recording": "captures/none"}),
        ({}, {"recording": "/etc/passwd"}),
        ({}, {"seconds": 421}),
        ({}, {"more": 1}),
    ],
)
def test_what_cannot_be_listened_to_is_said_so(
    asked: Asks, bucket: storage_api.Bucket, track: dict[str, Any], request_: dict[str, Any]
):
    with pytest.raises(BadRequest) as refused:
        asked(track=track, **request_)
    assert "secret" not in str(refused.value)


def test_a_job_that_is_to_stop_stops_between_two_frames(asked: Asks, database: Database, project: str):
    class Told(list[str]):
        def append(self, what: str) -> None:
            if what.startswith("listening"):
                raise Stopped(what)

    with sending(BOARD) as url, pytest.raises(Stopped):
        asked(track={"wssUrl": url}, told=Told())
