"""A kart track's board in the messages of its app, now and as it was recorded, over HTTP."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api
from google.cloud import storage as storage_api

from local import made_up_kart_race as karts
from pitwall.api.circuits import data
from pitwall.documents.encoding import millis, rfc3339
from pitwall.documents.feeds import kart_feed
from pitwall.message import Message
from pitwall.pipeline import machines
from pitwall.sources.pitwall_format import encode_line, object_name
from tests.api.conftest import NOW, Serve, Stored, got, pages, problem, problem_name

TRACK = "/api/circuits/kartpark/data"
BEGAN = NOW - timedelta(hours=1)


def at(seconds: float) -> str:
    """So many seconds after the race began, as a client says it."""
    return rfc3339(BEGAN + timedelta(seconds=seconds))


def record(bucket: storage_api.Bucket, session: str, messages: list[Message], size: int) -> None:
    """Stores messages as the recorder does, so many in an object."""
    state = machines.begin("", kart_feed(karts.CIRCUIT))
    for seq in range(0, len(messages), size):
        batch = messages[seq : seq + size]
        board = machines.board(state, batch[0].at)
        lines = b"".join(map(encode_line, [board, *batch] if board else batch))
        for message in batch:
            state.apply(message)
        bucket.blob(object_name(session, 1, seq, batch[0].at)).upload_from_string(gzip.compress(lines))


@pytest.fixture
def api(store: Stored, firestore: firestore_api.Client, storage: storage_api.Client, serve: Serve) -> httpx.Client:
    """Of a track whose race was recorded, and one that has none."""
    firestore.document("circuits/kartpark").set({"nom": "Kart Park", "c1": "Kart", "c2": "Dernier T.", "c3": "Lap"})
    firestore.document("circuits/lac").set({"nom": "Piste du Lac"})
    messages = karts.race(millis(BEGAN))
    stored = karts.documents(messages)
    store(stored)
    bucket = storage.create_bucket(f"{storage.project}-raw")
    record(bucket, karts.session_of(stored), messages, 10)
    bucket.blob(
        f"{karts.session_of(stored)}/{millis(BEGAN) + 61_000:013d}-000009-00000001.jsonl.gz"
    ).upload_from_string(gzip.compress(b"damaged\n"))
    return serve(raw_bucket=bucket.name)


def told(items: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [
        (item["data"]["timestamp"], *(item["data"]["mapped_data"].get(f"C{n}", "") for n in (1, 2))) for item in items
    ]


def test_the_board_of_now(api: httpx.Client):
    items = got(api, TRACK)["items"]
    assert [item["data"]["raw_data"]["number"] for item in items] == ["7A", "7A", "9", "012"]
    first = items[0]
    assert (first["type"], first["circuit_id"]) == ("timing", "kartpark")
    assert first["data"]["mapped_data"] == {"C1": "2", "C2": "7A", "C3": "1:01.000", "C4": "12"}
    assert got(api, TRACK, kart="7a-R4")["items"] == items[1:2]
    assert [item for page in pages(api, TRACK, limit=3) for item in page["items"]] == items
    assert got(api, "/api/circuits/lac/data") == {"items": []}


def test_rows_as_they_changed_by_the_labels_of_now(api: httpx.Client):
    """Read from the middle of the recording: the row is whole all the same."""
    items = got(api, TRACK, **{"from": at(181), "to": at(184)})["items"]
    assert told(items) == [(at(183), "7A", "1:01.000")]
    assert items[0]["circuit_id"] == "kartpark"
    assert items[0]["data"]["mapped_data"] == {"C1": "7A", "C2": "1:01.000", "C3": "3"}
    assert items[0]["data"]["raw_data"]["sector1Ms"] == 20_003
    of_one = got(api, TRACK, kart="7A-r4", **{"from": at(0)})["items"]
    assert told(of_one)[1:3] == [(at(63), "7A", "1:03.000"), (at(126), "7A", "1:03.000")]
    assert got(api, "/api/circuits/lac/data", **{"from": at(0)}) == {"items": []}


@pytest.mark.parametrize(("limit", "most"), [(7, 40), (200, 2)])
def test_pages_join_to_the_whole(api: httpx.Client, limit: int, most: int, monkeypatch: pytest.MonkeyPatch):
    whole = got(api, TRACK, limit=200, **{"from": at(50), "to": at(400)})
    assert "nextCursor" not in whole
    monkeypatch.setattr(data, "MOST_OBJECTS", most)
    found = list(pages(api, TRACK, limit=limit, **{"from": at(50), "to": at(400)}))
    assert len(found) > 3
    assert [item for page in found for item in page["items"]] == whole["items"]
    assert len(whole["items"]) == 24


def test_what_cannot_be_asked_or_is_kept_no_more(api: httpx.Client, serve: Serve):
    for parameter, query in (
        ("from", {"to": at(0)}),
        ("to", {"from": at(1), "to": at(0)}),
        ("from", {"from": "yesterday"}),
        ("from", {"from": "2025-11-08T12:00:00"}),
        ("cursor", {"from": at(1), "cursor": "x"}),
    ):
        assert problem(api.get(TRACK, params=query))["parameter"] == parameter
    assert problem_name(api.get("/api/circuits/nowhere/data")) == "not-found"
    for instant in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00"):
        assert api.get(TRACK, params={"from": instant, "to": instant}).status_code == 200
    assert got(serve(raw_bucket="never-made"), TRACK, **{"from": at(0)}) == {"items": []}


def test_names_are_given_no_longer_than_they_are_kept(
    api: httpx.Client, store: Stored, storage: storage_api.Client, serve: Serve
):
    """What nobody has deleted yet all the same."""
    bucket = storage.bucket(f"{storage.project}-raw")
    messages = karts.race(millis(BEGAN - timedelta(days=2)), laps=2)
    stored = karts.documents(messages)
    store(stored)
    record(bucket, karts.session_of(stored), messages, 100)
    since = {"from": "2025-11-01T00:00:00Z", "kart": "9", "limit": 200}
    for days, told_of in ((0, {"2025-11-06", "2025-11-08"}), (1, {"2025-11-08"})):
        items = got(serve(raw_bucket=bucket.name, kart_retention_days=days), TRACK, **since)["items"]
        assert {item["data"]["timestamp"][:10] for item in items} == told_of
