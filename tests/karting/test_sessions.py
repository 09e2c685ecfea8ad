"""The sessions of a day, their flags, clocks and messages of race control."""

from __future__ import annotations

import pytest

from pitwall.karting import vocabulary
from pitwall.karting.state import KartState, session_key
from pitwall.timing import change
from tests.karting.script import RACE, START, Script

FIRST = "kart-nowhere-20300101-1213-6H-of-Nowhere-Race"


def following(script: Script, at: float, snapshot: bool = True, **info: object) -> str | None:
    message = vocabulary.message(vocabulary.SESSION, {**RACE, **info}, START + round(at * 1000), snapshot)
    return script.state.next_session(message)


def test_the_first_session_gives_the_state_its_key():
    state = KartState("recording-x", "kart-nowhere")
    state.apply(vocabulary.message(vocabulary.SESSION, RACE, START, True))
    assert state.session == FIRST


def test_another_title_name_or_type_is_another_session():
    script = Script("7")
    assert following(script, 3_600, Name="Final") == "kart-nowhere-20300101-1313-6H-of-Nowhere-Final"
    assert following(script, 3_600, Title="") == "kart-nowhere-20300101-1313-Race"
    assert following(script, 3_600, Type="Practice") == "kart-nowhere-20300101-1313-6H-of-Nowhere-Race"


def test_the_same_session_told_again_goes_on():
    """After every reconnect, and whenever a kart is added, the board tells itself anew."""
    script = Script("7")
    assert following(script, 60) is None
    script.lap(70, 70_001)
    assert following(script, 80, Fresh=False) is None


def test_the_same_name_with_an_empty_board_after_laps_is_the_next_session():
    script = Script("7")
    script.lap(70, 70_001)
    assert following(script, 600) == "kart-nowhere-20300101-1223-6H-of-Nowhere-Race"


def test_a_title_that_is_corrected_is_no_other_session():
    script = Script("7")
    assert following(script, 60, snapshot=False, Title="7H of Nowhere") is None
    script.tell(60, vocabulary.SESSION, {"Title": "7H of Nowhere"})
    assert script.state.session == FIRST
    assert script.document(change.SESSION).meeting.name == "7H of Nowhere"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("feed", "title", "key"),
    [
        ("kart-los-santos", "Qualifiche 1° gruppo / Él", "kart-los-santos-20300101-1213-Qualifiche-1-gruppo-El"),
        ("f1", "", "kart-f1-20300101-1213"),
        ("kart-a/b", "日本", "kart-a-b-20300101-1213"),
        ("kart-a--b", "", "kart-a--b-20300101-1213"),
        (f"kart-{'a' * 50}", "", f"kart-{'a' * 50}-20300101-1213"),
    ],
)
def test_keys_are_ids_whatever_the_title(feed: str, title: str, key: str):
    assert session_key(feed, {"Title": title}, START) == key


def statuses(script: Script) -> list[str]:
    return [item.data["Status"] for item in script.state.data.session_status]


def test_flags_make_the_status_of_session_and_track():
    script = Script("7")
    for at, flag in enumerate(("green", "yellow", "red", "green", "chequered", "red"), start=10):
        script.tell(at, vocabulary.FLAG, {"Flag": flag})
    assert statuses(script) == ["Inactive", "Started", "Aborted", "Started", "Finished"]
    assert [item.data["Status"] for item in script.state.data.track_status] == ["1", "2", "5", "1"]
    assert script.document(change.TRACK_STATUS, 2).message == "Red"  # type: ignore[attr-defined]
    assert script.document(change.SESSION_STATUS, 4).status == "Finished"  # type: ignore[attr-defined]


def test_a_red_light_before_the_start_is_no_red_flag():
    state = KartState("", "kart-nowhere")
    state.apply(vocabulary.message(vocabulary.SESSION, RACE, START, True))
    state.apply(vocabulary.message(vocabulary.FLAG, {"Flag": "red"}, START))
    assert [item.data["Status"] for item in state.data.session_status] == ["Inactive"]
    assert state.data.track_status == []


def test_a_crossing_starts_a_session_whose_light_was_missed():
    state = KartState("", "kart-nowhere")
    state.apply(vocabulary.message(vocabulary.SESSION, RACE, START, True))
    state.apply(vocabulary.message(vocabulary.CROSSING, {"Row": "r7", "NoLap": True}, START + 5))
    assert state.data.started_at == START + 5


def test_clock_and_laps():
    script = Script("7")
    script.tell(10, vocabulary.CLOCK, {"RemainingMs": 60_000, "Running": True})
    script.tell(11, vocabulary.LAP_COUNT, {"Current": 3, "Total": 12})
    session = script.document(change.SESSION)
    assert session.clock.remaining_ms == 60_000  # type: ignore[attr-defined]
    assert session.clock.running  # type: ignore[attr-defined]
    assert (session.lap_count.current, session.lap_count.total) == (3, 12)  # type: ignore[attr-defined]
    script.tell(70, vocabulary.FLAG, {"Flag": "chequered"})
    assert not script.document(change.SESSION).clock.running  # type: ignore[attr-defined]
    script.tell(71, vocabulary.CLOCK, {})
    assert not script.document(change.SESSION).clock  # type: ignore[attr-defined]


def test_race_control_is_kept_though_the_board_shows_only_the_last():
    script = Script("7")
    start = {"Message": "Start", "Flag": "green", "Time": "12:13"}
    warning = {"Message": "Pushing", "Flag": "warning", "Number": "7", "Time": "12:20"}
    script.tell(1, vocabulary.RACE_CONTROL, {"Messages": [start]}, snapshot=True)
    script.tell(2, vocabulary.RACE_CONTROL, {"Messages": [start, warning]}, snapshot=True)
    script.tell(3, vocabulary.RACE_CONTROL, {"Messages": [warning, warning]}, snapshot=True)
    script.tell(4, vocabulary.RACE_CONTROL, {"Messages": []}, snapshot=True)
    told = [item.data["Message"] for item in script.state.data.race_control]
    assert told == ["Start", "Pushing", "Pushing"]
    document = script.document(change.RACE_CONTROL, 1)
    assert (document.category, document.racing_number) == ("Warning", "7")  # type: ignore[attr-defined]
    assert script.document(change.RACE_CONTROL, 0).flag == "GREEN"  # type: ignore[attr-defined]
