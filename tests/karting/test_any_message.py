"""Whatever a message carries, the state machine takes it, and what it makes of it can be stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitwall.documents.schema import validate
from pitwall.karting import vocabulary
from pitwall.karting.projection import project
from pitwall.karting.state import KartState
from pitwall.message import FEED_GAP, Message
from tests.documents.test_schema import exported
from tests.karting.script import RACE, START, Script

pytestmark = pytest.mark.whole

KEYS = (
    "r7", "r8", "Lines", "Columns", "Row", "In", "Flag", "Messages", "Message", "NoLap", "LapMs", "Current", "Total",
    "RemainingMs", "ElapsedMs", "Running", "Title", "Name", "Type", "Run", "Track", "Fresh",
    "From", "To", "Reason", "Circuit", "Labels", "C1", "C14", "Endurance", "Kind", "Key", "Role",
    *vocabulary.Endurance.__annotations__,
    *vocabulary.Line.__annotations__,
)  # fmt: skip
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(0, 90_000)
    | st.floats(allow_nan=False)
    | st.sampled_from(("", "7", "r7", "green", "red", "chequered", "inPit", "pitOut", "Race", "Ünal", "a/b", "\ud800"))
    | st.text(max_size=8)
)
keys = st.sampled_from(KEYS) | st.text(max_size=4)
payloads = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
)
lines = st.dictionaries(st.sampled_from(("r7", "r8")), st.dictionaries(keys, scalars, max_size=5), max_size=2)
topics = st.sampled_from((*sorted(vocabulary.TOPICS), FEED_GAP, "TimingData"))
messages = st.tuples(topics, payloads | lines | lines.map(lambda told: {"Lines": told}), st.booleans())


@settings(max_examples=500, deadline=None)
@given(st.lists(messages, max_size=6))
def test_any_messages(told: list[tuple[str, Any, bool]]):
    script = Script("7", "8")
    script.tell(1, vocabulary.CIRCUIT, {"Circuit": "nowhere", "Endurance": {"Stops": 2}})
    script.lap(70, 70_001)
    script.pit(75, True, "8")
    at = 80_000
    for topic, payload, snapshot in told:
        at += 700
        message = Message(topic, payload, START + at, snapshot)
        script.state.next_session(message)
        for change in script.state.apply(message):
            if (projected := project(script.state, change)) is not None:
                validate(projected[0], exported(projected[1]))
    script.state.finish()
    again = KartState.load(script.state.dump())
    assert again.data == script.state.data


def test_what_cannot_be_used_is_counted():
    script = Script("7")
    script.tell(1, vocabulary.LINES, {"r7": {"Laps": "3", "Speed": 4, "GapMs": -3}, "": {"Laps": 1}})
    script.tell(1, vocabulary.FLAG, {"Flag": "purple"})
    script.tell(1, vocabulary.CLOCK, {"RemainingMs": -1})
    script.tell(1, vocabulary.CROSSING, {"Row": "r7", "LapMs": 0, "NoLap": True})
    script.tell(1, vocabulary.RACE_CONTROL, {"Messages": [{"Flag": "green"}]})
    script.tell(1, vocabulary.GRID, {})
    script.state.apply(Message("TimingData", {}, START))
    script.state.apply(Message(vocabulary.GRID, [], START))
    assert script.state.rejected == {
        "bad-field": 1, "unknown-field": 1, "bad-row": 1, "bad-flag": 1, "clock-out-of-range": 1,
        "lap-out-of-range": 1, "bad-race-control": 1, "bad-KartGrid": 2, "unknown-topic": 1,
    }  # fmt: skip
    assert script.kart().line["GapMs"] == -3


def test_there_is_an_end_to_rows():
    script = Script()
    script.board(0, {f"r{n}": {"Number": str(n)} for n in range(1_200)})
    assert len(script.state.data.karts) == 1_000
    assert script.state.rejected == {"too-many-rows": 200}


def test_a_state_goes_on_where_it_was_dumped():
    whole, resumed = Script("7", info=RACE), Script("7", info=RACE)
    for script in (whole, resumed):
        script.cross(10, NoLap=True)
        script.lap(70, 60_000)
        script.pit(75, True)
        script.cross(132)
    resumed.state = KartState.load(resumed.state.dump())
    for script in (whole, resumed):
        script.line(132.4, LastLapMs=61_500)
        script.pit(140, False)
        script.lap(200, 68_000)
    assert resumed.state.data == whole.state.data
    assert resumed.times() == {1: 60_000, 2: 61_500, 3: 68_000}
