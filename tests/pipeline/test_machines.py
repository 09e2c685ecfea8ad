"""Which state machine a feed has."""

from __future__ import annotations

import msgspec
import pytest

from pitwall.karting import vocabulary
from pitwall.karting.state import KartState
from pitwall.message import Message
from pitwall.pipeline import machines
from pitwall.pipeline.ticks import Reducer
from pitwall.timing.state import SessionState

AT = 1_893_500_000_000
SESSION = "kart-nowhere-20300101-1213-Race"
MESSAGES = [
    Message(vocabulary.SESSION, {"Title": "", "Name": "Race", "Type": "Race", "Fresh": True}, AT, True),
    Message(vocabulary.GRID, {"Columns": [], "Lines": {"r7": {"Number": "7", "Position": 1}}}, AT, True),
    Message(vocabulary.CROSSING, {"Row": "r7", "NoLap": True}, AT + 2_000),
    Message(vocabulary.LINES, {"r7": {"LastLapMs": 65_000}}, AT + 67_000),
    Message(vocabulary.CROSSING, {"Row": "r7"}, AT + 67_000),
]


def test_kart_tracks_have_their_own():
    assert isinstance(machines.begin("", "kart-nowhere"), KartState)
    assert isinstance(machines.begin("", "f1"), SessionState)
    for feed in ("kart-nowhere", "f1"):
        state = machines.begin("9", feed)
        assert type(machines.load(state.dump())) is type(state)
    with pytest.raises(msgspec.DecodeError):
        machines.load(b"\xc1")


def test_a_reducer_of_a_kart_track_ticks_its_documents_and_goes_on_from_a_checkpoint():
    reducer = Reducer("", "kart-nowhere", "apex")
    told = {}
    for message in MESSAGES[:3]:
        for tick in reducer.offer(message):
            told.update(tick.documents)
    reducer = Reducer.load(reducer.dump())
    for message in MESSAGES[3:]:
        for tick in reducer.offer(message):
            told.update(tick.documents)
    for tick in reducer.finish():
        told.update(tick.documents)
    assert reducer.session == SESSION
    assert reducer.timing_at == AT + 67_000
    assert {path.removeprefix(f"sessions/{SESSION}") for path in told} >= {
        "", "/live/timing", "/live/entries", "/live/tyres", "/live/feed", "/laps/1", "/drivers/7", "/sessionStatus/0",
    }  # fmt: skip
    assert told[f"sessions/{SESSION}/laps/1"].drivers["7"].lap_time_ms == 65_000
    assert reducer.rejected == {}


def test_what_may_have_changed_is_published_anew_and_nothing_a_kart_does_not_have():
    reducer = Reducer("", "kart-nowhere", "apex")
    for message in MESSAGES:
        reducer.offer(message)
    reducer.finish()
    reducer.publish_anew()
    (tick,) = reducer.finish()
    assert {path.removeprefix(f"sessions/{SESSION}") for path, _ in tick.documents} == {
        "", "/live/timing", "/live/entries", "/live/tyres", "/live/feed", "/drivers/7",
    }  # fmt: skip
    assert reducer.rejected == {}


def test_the_next_session_of_the_day_begins_empty():
    reducer = Reducer("", "kart-nowhere", "apex")
    for message in MESSAGES:
        reducer.offer(message)
    final = Message(vocabulary.SESSION, {"Title": "", "Name": "Final", "Type": "Race"}, AT + 3_600_000, True)
    last = reducer.offer(final)[0]
    assert last.session == SESSION
    assert reducer.session == "kart-nowhere-20300101-1313-Final"
    assert reducer.state.racing_numbers == []
