"""Whatever OpenF1 answers, rows are told or counted; nothing is raised, here or by the state machine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitwall.sources.openf1.session import KEYS, Session
from pitwall.timing.state import SessionState

pytestmark = pytest.mark.whole

FIELDS = sorted(
    {name for names in KEYS.values() for name in names}
    | {"date_start", "lap_duration", "duration_sector_1", "duration_sector_3", "i1_speed", "is_pit_out_lap"}
    | {"segments_sector_1", "gap_to_leader", "interval", "position", "compound", "lap_start", "tyre_age_at_start"}
    | {"lane_duration", "stop_duration", "recording_url", "wind_speed", "qualifying_phase", "rpm", "x", "full_name"}
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 60),
    st.integers(),
    st.floats(),
    st.sampled_from(["2025-11-29T14:03:34.554000+00:00", "2025-11-29T14:05:00", "0001-01-01", "RED", "CHEQUERED"]),
    st.sampled_from(
        ["GREEN LIGHT - PIT EXIT OPEN", "+1 LAP", "Track", "SafetyCar", "https://x/static/a/TeamRadio/b.mp3"]
    ),
    st.text(max_size=5),
    st.lists(st.one_of(st.none(), st.integers(0, 3000), st.text(max_size=2)), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
ROWS = st.lists(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=12), max_size=4)


@pytest.mark.parametrize("kind", ["Race", "Qualifying"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers=st.lists(st.tuples(st.sampled_from(sorted(KEYS)), ROWS), max_size=8))
def test_any_rows_are_told_or_counted(kind: str, answers: list[tuple[str, list[dict[str, Any]]]]) -> None:
    session = Session({"session_key": 1, "session_type": kind}, lambda reason: None)
    state = SessionState("1")
    for table, rows in answers:
        session.take(table, rows)
        for message in session.messages():
            state.apply(message)
    for message in session.messages(final=True):
        state.apply(message)
    state.finish()
