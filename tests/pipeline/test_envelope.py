"""The envelope of `timing`: whole values, split between documents, refused when it cannot be read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pitwall.pipeline.envelope import (
    MAX_SEQ,
    Envelope,
    TickDocument,
    UnreadableEnvelope,
    decode,
    encode,
    split_version,
    version,
)

TOWER = "sessions/1/live/timing"


def documents(*sizes: int) -> list[TickDocument]:
    return [
        TickDocument(f"sessions/1/laps/{n}", msgspec.Raw(json.dumps({"x": "y" * size}).encode()))
        for n, size in enumerate(sizes, start=1)
    ]


def messages(held: list[TickDocument], limit: int, **more: Any) -> list[bytes]:
    head = {"feed": "f1", "session": "1", "epoch": 3, "seq": 17, "at": 1_700_000_000_123}
    return list(encode(**head, documents=held, limit=limit, **more))


def split(held: list[TickDocument], limit: int, **more: Any) -> list[Envelope]:
    return [decode(data) for data in messages(held, limit, **more)]


def test_an_envelope_names_session_version_and_the_feeds_instant() -> None:
    (envelope,) = split(documents(10), 1000)
    assert (envelope.session, envelope.epoch, envelope.seq, envelope.v) == ("1", 3, 17, (3 << 32) + 17)
    assert envelope.at.isoformat() == "2023-11-14T22:13:20.123000+00:00"


def test_a_small_tick_is_one_message() -> None:
    (envelope,) = split(documents(10, 20, 30), 1000)
    assert [document.path[-1] for document in envelope.documents] == ["1", "2", "3"]
    assert (envelope.part, envelope.parts) == (0, 1)


@pytest.mark.parametrize("limit", [500, 700, 1500])
def test_a_big_tick_is_split_and_no_part_is_over_the_limit(limit: int) -> None:
    held = documents(*[40 + n * 3 for n in range(40)])
    parts = messages(held, limit)
    assert len(parts) > 1
    assert max(map(len, parts)) <= limit
    envelopes = [decode(part) for part in parts]
    assert [document for envelope in envelopes for document in envelope.documents] == held
    assert [(envelope.part, envelope.parts) for envelope in envelopes] == [(n, len(parts)) for n in range(len(parts))]
    assert {envelope.v for envelope in envelopes} == {version(3, 17)}


def test_a_document_over_the_limit_goes_alone_and_whole() -> None:
    envelopes = split(documents(10, 5000, 10), 600)
    assert [len(envelope.documents) for envelope in envelopes] == [1, 1, 1]


def test_arrivals_go_with_the_tower_only() -> None:
    held = [*documents(400), TickDocument(TOWER, msgspec.Raw(b"{}")), *documents(400)]
    envelopes = split(held, 700, arrived=[5, 6], tower=TOWER)
    told = [envelope.arrived_at for envelope in envelopes if any(d.path == TOWER for d in envelope.documents)]
    assert told == [[5, 6]]
    assert sum(len(envelope.arrived_at) for envelope in envelopes) == 2


def test_deletes_travel_in_messages_of_their_own_that_a_writer_of_before_refuses() -> None:
    data = messages(documents(10, 20), 1000, deletes=["sessions/1/weather/7", "sessions/1/weather/8"])
    assert [json.loads(part)["schema"] for part in data] == [1, 2]
    stored, deleted = map(decode, data)
    assert ([document.path[-1] for document in stored.documents], stored.deletes) == (["1", "2"], [])
    assert (deleted.documents, deleted.deletes) == ([], ["sessions/1/weather/7", "sessions/1/weather/8"])
    assert [(part.part, part.parts) for part in (stored, deleted)] == [(0, 2), (1, 2)]


def test_many_deletes_are_split_and_no_part_is_over_the_limit() -> None:
    paths = [f"sessions/1/raceControl/{n}" for n in range(200)]
    parts = messages([], 700, deletes=paths)
    assert max(map(len, parts)) <= 700
    assert [path for part in parts for path in decode(part).deletes] == paths


def test_a_message_has_no_more_documents_than_one_commit_takes() -> None:
    envelopes = split(documents(*[1] * 1000), 10_000_000, deletes=[f"sessions/1/weather/{n}" for n in range(500)])
    assert [len(envelope.documents) + len(envelope.deletes) for envelope in envelopes] == [400, 400, 200, 400, 100]


def test_a_tick_without_documents_is_no_message() -> None:
    assert messages([], 1000) == []


def changed(**fields: Any) -> bytes:
    (data,) = messages(documents(1), 1000)
    return json.dumps({**json.loads(data), **fields}).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "bad-envelope"),
        (b"\xff\xfe", "bad-envelope"),
        (b"[]", "bad-envelope"),
        (b'{"schema":1}', "bad-envelope"),
        (b'{"schema":"1"}', "bad-envelope"),
        (changed(schema=3), "unknown-schema"),
        (changed(schema=3, documents="of another kind"), "unknown-schema"),
        (changed(v=1), "bad-envelope"),
        (changed(seq=-1), "bad-envelope"),
        (changed(documents=[{"path": 1, "fields": {}}]), "bad-envelope"),
        (changed()[:-5], "bad-envelope"),
        (b'{"schema":1,"x":' + b"[" * 100_000, "bad-envelope"),
    ],
)
def test_what_is_no_envelope_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableEnvelope) as refused:
        decode(data)
    assert refused.value.reason == reason


def test_a_later_epoch_is_newer_than_any_seq_of_an_earlier_one() -> None:
    assert version(2, 0) > version(1, MAX_SEQ)
    assert split_version(version(7, 9)) == (7, 9)
    with pytest.raises(ValueError, match="seq"):
        version(1, MAX_SEQ + 1)


def test_versions_are_safe_integers_for_a_browser() -> None:
    a_holder_a_second_for_three_weeks = 2**21 - 1
    assert version(a_holder_a_second_for_three_weeks, MAX_SEQ) <= 2**53 - 1
