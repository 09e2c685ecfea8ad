"""What a kart track's feed tells of its connection and of itself goes out with the ticks."""

from __future__ import annotations

from typing import Any

from pitwall.documents.base import Document
from pitwall.documents.circuits import AppTimingDocument, ConnectionDocument, NoticeDocument
from pitwall.documents.schema import validate
from pitwall.karting import vocabulary
from pitwall.message import FeedStatus, Message
from pitwall.pipeline.ticks import Reducer, Tick
from tests.documents.test_schema import exported

AT = 1_893_500_000_000
CIRCUIT = Message(vocabulary.CIRCUIT, {"Circuit": "los-santos", "Labels": {"C1": "Clt"}}, AT, True)


def session(at: int, name: str) -> list[Message]:
    return [
        Message(vocabulary.SESSION, {"Title": "", "Name": name, "Type": "Race", "Fresh": True}, at, True),
        Message(vocabulary.GRID, {"Lines": {"r7": {"Number": "7", "Position": 1}}}, at, True),
    ]


def told(ticks: list[Tick]) -> dict[str, Document]:
    documents: dict[str, Document] = {}
    for tick in ticks:
        for path, document in tick.documents:
            validate(path, exported(document))
            documents[path] = document
    return documents


def of_circuit(ticks: list[Tick]) -> dict[str, Any]:
    return {
        path.removeprefix("circuits/los-santos/"): document
        for path, document in told(ticks).items()
        if path.startswith("circuits/")
    }


def test_a_track_that_refuses_has_a_log_before_its_first_session():
    reducer = Reducer("", "kart-los-santos", "apex")
    assert reducer.tell_feed(FeedStatus("connecting", at=AT - 2_000)) == []
    assert reducer.tell_feed(FeedStatus("refused", "no such page (404)", at=AT - 1_000)) == []
    (tick,) = reducer.offer(CIRCUIT)
    assert tick.session == "kart-los-santos"
    log = of_circuit([tick])
    assert list(log) == [f"log/{AT - 2_000}-connecting", f"log/{AT - 1_000}-refused"]
    assert log[f"log/{AT - 1_000}-refused"].message == "no such page (404)"
    (tick,) = reducer.tell_feed(FeedStatus("connecting", "again", at=AT + 60_000))
    assert list(of_circuit([tick])) == [f"log/{AT + 60_000}-connecting"]
    assert reducer.finish() == []


def test_every_event_is_told_once_with_the_session_it_was_on():
    reducer = Reducer("", "kart-los-santos", "apex")
    ticks = [*reducer.offer(CIRCUIT), *reducer.tell_feed(FeedStatus("live", at=AT))]
    for message in session(AT, "Race"):
        ticks += reducer.offer(message)
    key = reducer.session
    reducer.tell_feed(FeedStatus("reconnecting", "the socket was closed", at=AT + 5_000))
    reducer = Reducer.load(reducer.dump())
    ticks += reducer.due(AT + 20_000)
    reducer.tell_feed(FeedStatus("live", reconnects=1, at=AT + 21_000), reconnects_before=2)
    reducer.tell_feed(FeedStatus("live", reconnects=1, at=AT + 21_500), reconnects_before=2)
    for message in session(AT + 600_000, "Final"):
        ticks += reducer.offer(message)
    ticks += reducer.finish()
    events = {path: d for path, d in of_circuit(ticks).items() if isinstance(d, ConnectionDocument)}
    assert [(d.state, bool(d.session) and d.session, d.reconnects) for d in events.values()] == [
        ("live", False, 0), ("reconnecting", key, 0), ("live", key, 3),
    ]  # fmt: skip
    assert list(events) == sorted(events)
    assert {d.feed_id for d in events.values()} == {"kart-los-santos"}
    boards = [
        (tick.session, document.session)
        for tick in ticks
        for _, document in tick.documents
        if isinstance(document, AppTimingDocument)
    ]
    assert boards == [(key, key), (reducer.session, reducer.session)]


def test_a_notice_is_told_once_also_in_the_sessions_that_follow():
    reducer = Reducer("", "kart-los-santos", "apex")
    notice = {"Kind": "new-layout", "Key": "c5", "Role": "LastLapMs", "Message": "c5 was BestLapMs"}
    ticks: list[Tick] = []
    for message in [
        *session(AT, "Race"),
        Message(vocabulary.NOTICE, notice, AT + 10),
        CIRCUIT._replace(at=AT + 2_000),
        *session(AT + 600_000, "Final"),
        Message(vocabulary.NOTICE, notice, AT + 601_000),
    ]:
        ticks += reducer.offer(message)
    ticks += reducer.finish()
    (document,) = [d for tick in ticks for _, d in tick.documents if isinstance(d, NoticeDocument)]
    assert (document.kind, document.field, document.role) == ("new-layout", "c5", "LastLapMs")
    assert document.session != reducer.session


def test_the_feed_of_f1_keeps_no_log():
    reducer = Reducer("9", "f1", "f1")
    (tick,) = reducer.tell_feed(FeedStatus("connecting", at=AT))
    assert [path for path, _ in tick.documents] == ["sessions/9/live/feed"]
