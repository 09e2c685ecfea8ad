"""Whatever a topic carries, the state machine takes it: nothing raises, and laps already driven stay as they are."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pitwall.documents.projection import project
from pitwall.message import Message
from pitwall.timing.state import KNOWN_TOPICS, SessionState
from tests.timing.script import PRACTICE, QUALIFYING, RACE, START, Script

HANDLED = (
    "SessionInfo", "SessionData", "SessionStatus", "TrackStatus", "DriverList", "TimingData", "TimingAppData",
    "LapCount", "ExtrapolatedClock", "RaceControlMessages", "WeatherData", "TeamRadio", "PitLaneTimeCollection",
    "PitStopSeries", "CarData", "Position",
)  # fmt: skip
KEYS = (
    "7", "8", "0", "1", "2", "99", "Lines", "Sectors", "Segments", "Speeds", "I1", "FL", "Value", "NumberOfLaps",
    "NumberOfPitStops", "LastLapTime", "BestLapTime", "BestLapTimes", "Lap", "InPit", "PitOut", "Stopped", "Retired",
    "KnockedOut", "Cutoff", "Position", "GapToLeader", "IntervalToPositionAhead", "Stats", "TimeDiffToFastest",
    "SessionPart", "NoEntries", "CutOffTime", "Stints", "Compound", "New", "TotalLaps", "StartLaps",
    "TyresNotChanged", "GridPos", "Status", "Message", "Messages", "Utc", "Captures", "Path", "RacingNumber", "Key",
    "Type", "Meeting", "GmtOffset", "StartDate", "Remaining", "Extrapolating", "CurrentLap", "StatusSeries", "Series",
    "SessionStatus", "TrackStatus", "PitTimes", "PitStop", "Duration", "Entries", "Cars", "Channels", "Timestamp",
    "X", "Y", "Z", "Tla", "TeamColour", "_kf", "_deleted",
)  # fmt: skip
WORDS = (
    "", "1L", "LAP 12", "+1.234", "1:27.123", "27.123", "x", "true", "1", "5", "Started", "Aborted", "Finished",
    "Inactive", "Race", "Practice", "2030-01-01T12:00:00Z", "-03:00:00", "00:00:01", "330:00:00", "a/b", "..",
    "CAR 7 (AAA) TIME 1:27.123 DELETED - TRACK LIMITS LAP 3", "CAR 7 (AAA) LAP 2 WILL BE REINSTATED",
)  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.integers(0, 30)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=12)
)
keys = st.sampled_from(KEYS) | st.text(max_size=6)
payloads = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=24
)
REAL: tuple[tuple[str, Any], ...] = (
    ("SessionInfo", {
        "Key": 7001, "Type": "Race", "Name": "Race", "StartDate": "2030-06-02T14:00:00", "GmtOffset": "02:00:00",
        "Meeting": {"Key": 1, "Country": {"Code": "X"}, "Circuit": {"Key": 2}}, "SessionStatus": "Started",
    }),
    ("SessionData", {
        "Series": [{"Utc": "2030-01-01T12:00:00Z", "Lap": 3}, {"Utc": "2030-01-01T12:00:00Z", "QualifyingPart": 2}],
        "StatusSeries": {"0": {"Utc": "2030-01-01T12:00:00Z", "SessionStatus": "Started"}, "1": {"TrackStatus": "Red"}},
    }),
    ("TimingData", {"SessionPart": 2, "NoEntries": [20, 15, 10], "CutOffTime": "1:20.000", "Lines": {"7": {
        "Position": "3", "GapToLeader": "+1.2", "IntervalToPositionAhead": {"Value": "1L"}, "NumberOfLaps": 5,
        "InPit": True, "PitOut": False, "Stopped": False, "Retired": False, "KnockedOut": False,
        "Sectors": [{"Value": "30.1", "Segments": [{"Status": 2048}]}, {"Value": ""}, {"Value": "25.3"}],
        "Speeds": {"I1": {"Value": "250"}, "ST": {"Value": "300"}}, "LastLapTime": {"Value": "1:25.0"},
        "BestLapTime": {"Value": "1:24.9", "Lap": 4}, "BestLapTimes": [{"Value": "1:24.9", "Lap": 4}, {}, {}],
        "Stats": [{"TimeDiffToFastest": "+0.1"}, {"TimeDifftoPositionAhead": "+0.2"}, {}],
    }}}),
    ("TimingData", {"Lines": {"7": {"NumberOfLaps": 6, "Sectors": {"2": {"Value": "25.3"}}, "InPit": False}}}),
    ("TimingData", {"Lines": {"7": {"NumberOfLaps": 3, "Sectors": {"0": {"Value": "31.3"}}}}}),
    ("TimingAppData", {"Lines": {"7": {"GridPos": "4", "Stints": [
        {"Compound": "SOFT", "New": "true", "TotalLaps": 3, "StartLaps": 0, "TyresNotChanged": "0"},
        {"Compound": "HARD", "New": "false", "TotalLaps": 3, "StartLaps": 2},
    ]}}}),
    ("TimingAppData", {"Lines": {"7": {"Stints": {"1": {"TotalLaps": 9}, "2": {"Compound": "WET"}}}}}),
    ("DriverList", {"7": {"RacingNumber": "7", "Tla": "AAA", "TeamColour": "ff0000"}, "8": {"Line": 2}}),
    ("PitLaneTimeCollection", {"PitTimes": {"7": {"RacingNumber": "7", "Duration": "23.4", "Lap": "3"}}}),
    ("PitStopSeries", {"PitTimes": {"7": [{"PitStop": {"PitStopTime": "2.9", "PitLaneTime": "23.4", "Lap": "3"}}]}}),
    ("RaceControlMessages", {"Messages": {"0": {"Utc": "2030-01-01T12:00:00", "Message": WORDS[-1], "Lap": 3}}}),
    ("TeamRadio", {"Captures": [{"Utc": "2030-01-01T12:00:00Z", "RacingNumber": "7", "Path": "TeamRadio/x.mp3"}]}),
    ("WeatherData", {"AirTemp": "20.1", "Rainfall": "0", "WindDirection": "12", "WindSpeed": "1.1"}),
    ("CarData", {"Entries": [{"Utc": "2030-01-01T12:00:00Z", "Cars": {"7": {"Channels": {"0": 11000, "2": 300}}}}]}),
    ("Position", {"Position": [{"Timestamp": "2030-01-01T12:00:00Z", "Entries": {"7": {"X": 1, "Y": 2, "Z": 3}}}]}),
    ("ExtrapolatedClock", {"Utc": "2030-01-01T12:00:00Z", "Remaining": "01:59:59", "Extrapolating": True}),
)  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, Any]:
    """A real payload in which one thing is something else."""
    topic, data = draw(st.sampled_from(REAL))

    def spoil(value: Any) -> Any:
        children = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if not children or draw(st.integers(0, 5)) == 0:
            return draw(payloads)
        child = draw(st.sampled_from(list(children)))
        copy = value.copy()
        copy[child] = spoil(value[child])
        return copy

    return topic, spoil(data)


lines = st.dictionaries(st.sampled_from(("7", "8", "a/b", "_kf", "")), payloads, max_size=3).map(
    lambda of: {"Lines": of}
)
topics = st.sampled_from(HANDLED) | st.sampled_from(sorted(KNOWN_TOPICS)) | st.text(max_size=8)
messages = st.builds(
    lambda told, at, snapshot: Message(*told, at, snapshot),
    st.tuples(topics, payloads | lines) | spoilt() | st.sampled_from(REAL),
    st.integers(START - 10_000_000, START + 10_000_000),
    st.booleans(),
)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"Lines": value}
    return value


def driven(info: dict[str, Any]) -> Script:
    """A state with three laps of car 7, long over."""
    script = Script(info, laps=50)
    at = script.lap(0, 1, (30_100, 29_200, 25_300), first=True)
    for counter in (2, 3, 4):
        at = script.lap(at, counter, (30_100 + counter, 29_200, 25_300))
    script.tell(at + 60, "Heartbeat", {})
    return script


def laps(state: SessionState) -> dict[int, tuple[int | None, tuple[int | None, ...]]]:
    return {n: (lap.time, tuple(lap.sectors)) for n, lap in state.data.cars["7"].laps.items() if n < 4}


@settings(max_examples=300, deadline=None)
@given(st.sampled_from((RACE, PRACTICE, QUALIFYING)), st.lists(messages, min_size=1, max_size=8))
@example(
    RACE, [Message("TimingData", {"Lines": [{"7": 1}]}, START, True), Message("TimingData", {"Lines": {"7": {}}}, 0)]
)
def test_nothing_raises_and_laps_driven_stay(info: dict[str, Any], told: list[Message]) -> None:
    script = driven(info)
    before = laps(script.state)
    for message in told:
        for change in script.state.apply(message):
            project(script.state, change)
    assert laps(script.state) == before
    again = SessionState.load(script.state.dump())
    assert again.dump() == script.state.dump()
    for change in script.state.finish():
        project(script.state, change)


def test_what_cannot_be_used_is_counted_by_reason() -> None:
    script = driven(RACE)
    for topic, data in (
        ("NobodyKnowsThis", {}), ("TimingData", None), ("TimingData", [1]), ("TimingData", {"Lines": {"a/b": {}}}),
        ("CarData", {"Entries": [None]}), ("Position", {"Position": [{"Entries": 5}]}), ("TimingData", deep(2_000)),
    ):  # fmt: skip
        script.tell(1_000, topic, data)
    assert script.state.rejected == {
        "unknown-topic": 1, "bad-TimingData": 3, "bad-racing-number": 1, "bad-CarData": 1, "bad-Position": 1,
    }  # fmt: skip
