"""A session seen from its middle, or again after the connection was lost: what a snapshot shows is enough to go on.

On recordings, a snapshot is what a server would send at that moment: all messages before it, merged.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pitwall.message import Message
from pitwall.sources.recording import open_recording
from pitwall.timing import stints
from pitwall.timing.merge import merge
from pitwall.timing.state import SessionState
from tests.timing.script import LAP, PRACTICE, RACE, SECTORS, START, TOTAL, Script, count, lap_time, seconds

Laps = dict[tuple[str, int], dict[str, Any]]


def state_after(messages: Sequence[Message]) -> SessionState:
    state = SessionState("joined")
    for message in messages:
        state.apply(message)
    state.finish()
    return state


def snapshot_at(messages: Sequence[Message], index: int) -> list[Message]:
    """What a server sends who is asked before message `index`."""
    topics: dict[str, Any] = {}
    for message in messages[:index]:
        topics[message.topic] = merge(topics.get(message.topic), message.data)
    first = ("SessionInfo", "SessionData", "SessionStatus", "TrackStatus", "LapCount", "TimingAppData", "TimingData")
    names = sorted(topics, key=lambda topic: (first.index(topic) if topic in first else len(first), topic))
    return [Message(name, copy.deepcopy(topics[name]), messages[index].at, snapshot=True) for name in names]


def stored(state: SessionState) -> Laps:
    return {
        (car.number, number): {
            "time": lap.time,
            "sectors": list(lap.sectors),
            "stint": lap.stint,
            "compound": car.stints[lap.stint].compound if lap.stint is not None else None,
            "age": stints.age_at(car, lap),
            "pits": (lap.pit_in, lap.pit_out),
            "part": lap.part,
            "started": lap.started_at or 0,
            "ended": lap.ended_at or 0,
        }
        for car in state.data.cars.values()
        for number, lap in car.laps.items()
    }


def differences(whole: Laps, seen: Laps, since: int, fields: Sequence[str]) -> list[tuple[Any, ...]]:
    """Laps begun after `since` that are not the same in both."""
    later = [key for key, lap in whole.items() if lap["started"] > since]
    assert later, "nothing left to compare"
    return [
        (key, field, whole[key][field], seen[key][field] if key in seen else "no such lap")
        for key in later
        for field in fields
        if key not in seen or whole[key][field] != seen[key][field]
    ]


SESSIONS = (
    "2025-qatar-sprint.txt.gz",
    "2025-sao-paulo-sprint.txt.gz",
    "2025-monza-practice-1.txt.gz",
)


class Recorded(NamedTuple):
    """A recording's messages, and the laps of one who saw all of them."""

    messages: list[Message]
    whole: Laps


@pytest.fixture(scope="module", params=SESSIONS)
def recorded(request: pytest.FixtureRequest, recordings: Path) -> Recorded:
    messages = list(open_recording(recordings / request.param).messages())
    return Recorded(messages, stored(state_after(messages)))


@pytest.mark.parametrize("tenth", [2, 4, 5, 7])
def test_joined_in_the_middle_every_later_lap_is_as_if_seen_from_the_start(recorded: Recorded, tenth: int) -> None:
    messages, whole = recorded
    index = len(messages) * tenth // 10
    seen = stored(state_after(snapshot_at(messages, index) + messages[index:]))
    fields = ("time", "sectors", "stint", "compound", "age", "pits", "part")
    assert differences(whole, seen, messages[index].at, fields) == []
    assert set(seen) <= set(whole), "laps that never were"


@pytest.mark.parametrize("seconds_away", [2, 20, 300])
def test_after_a_lost_connection_laps_before_and_after_are_as_they_were(recorded: Recorded, seconds_away: int) -> None:
    messages, whole = recorded
    left = len(messages) // 2
    back = next(i for i in range(left, len(messages)) if messages[i].at > messages[left].at + seconds_away * 1000)
    seen = stored(state_after(messages[:left] + snapshot_at(messages, back) + messages[back:]))
    fields = ("time", "sectors", "stint", "compound", "age", "pits", "part")
    assert differences(whole, seen, messages[back].at, fields) == []
    assert set(seen) <= set(whole), "laps that never were"
    before = {key: lap for key, lap in whole.items() if lap["ended"] < messages[left].at - 20_000}
    assert {key: seen[key]["time"] for key in before} == {key: lap["time"] for key, lap in before.items()}
    assert {key: seen[key]["stint"] for key in before} == {key: lap["stint"] for key, lap in before.items()}


def test_a_second_snapshot_that_says_nothing_new_changes_nothing(recorded: Recorded) -> None:
    messages = recorded.messages
    index = len(messages) // 2
    state = SessionState("twice")
    for message in messages[:index]:
        state.apply(message)
    before = stored(state)
    told = [change for message in snapshot_at(messages, index) for change in state.apply(message)]
    assert stored(state) == before
    assert [change for change in told if change.what == LAP] == []


def test_a_live_capture_from_the_middle_of_a_practice_agrees_with_the_archive(
    recordings: Path, static_archive: Path
) -> None:
    """Silverstone 2024: one was recorded live from 20 minutes in, the other is F1's own archive."""
    archive = static_archive / "2024/2024-07-07_British_Grand_Prix/2024-07-05_Practice_1"
    if not archive.is_dir():
        pytest.skip("the stored archive lacks Silverstone 2024")
    live = list(open_recording(recordings / "2024-silverstone-practice-1").messages())
    joined = max(message.at for message in live if message.snapshot)
    whole = stored(state_after(list(open_recording(archive).messages())))
    fields = ("time", "sectors", "stint", "compound", "age", "pits", "part")
    assert differences(whole, stored(state_after(live)), joined, fields) == []


def snapshot_line(counter: int, sectors: tuple[int | None, int | None, int | None], time: int, **more: Any) -> Any:
    told = [{"Value": "" if ms is None else seconds(ms)} for ms in sectors]
    line = {"NumberOfLaps": counter, "Sectors": told, "LastLapTime": {"Value": lap_time(time)}, "InPit": False, **more}
    return {"Lines": {"7": line}}


def joined_race(sectors: tuple[int | None, int | None, int | None], **more: Any) -> Script:
    script = Script(started=False)
    script.tell(0, "SessionStatus", {"Status": "Started"}, snapshot=True)
    stint = {"Compound": "HARD", "New": "true", "StartLaps": 0, "TotalLaps": 12}
    script.tell(0, "TimingAppData", {"Lines": {"7": {"Stints": [stint]}}}, snapshot=True)
    script.tell(0, "TimingData", snapshot_line(12, sectors, TOTAL, **more), snapshot=True)
    return script


def test_sectors_a_snapshot_shows_of_the_lap_under_way_are_kept() -> None:
    script = joined_race((30_500, None, None))
    script.sector2(20, 29_000)
    script.line(45, NumberOfLaps=13, Sectors={"2": {"Value": "25.000"}}, LastLapTime={"Value": lap_time(84_500)})
    script.finish()
    lap = script.laps_of()[13]
    assert (lap.time, lap.sectors) == (84_500, [30_500, 29_000, 25_000])


def test_sectors_a_snapshot_still_shows_of_the_lap_before_are_not_the_lap_under_ways() -> None:
    script = joined_race(SECTORS)
    script.sector1(20, 31_000)
    script.sector2(50, 29_000)
    script.line(75, NumberOfLaps=13, Sectors={"2": {"Value": "25.000"}}, LastLapTime={"Value": lap_time(85_000)})
    script.finish()
    assert script.laps_of()[13].sectors == [31_000, 29_000, 25_000]
    assert list(script.laps_of()) == [13]


def test_tyre_age_is_known_from_the_feeds_own_count_where_the_stints_begin_was_not_seen() -> None:
    script = joined_race((30_500, None, None))
    script.line(45, NumberOfLaps=13, LastLapTime={"Value": lap_time(84_500)})
    script.stints(48, {"0": {"TotalLaps": 13}})
    script.lap(45, 14, SECTORS)
    script.finish()
    car = script.car()
    assert [stints.age_at(car, car.laps[n]) for n in (13, 14)] == [13, 14]


def test_an_age_first_counted_wrong_is_corrected_on_the_laps_already_told() -> None:
    """Joined in the seconds between a crossing and the count of it."""
    script = joined_race(SECTORS)
    script.stints(1, {"0": {"TotalLaps": 13}})
    at = script.lap(0, 13, SECTORS)
    script.changes.clear()
    script.stints(at + 2, {"0": {"TotalLaps": 14}})
    car = script.car()
    assert stints.age_at(car, car.laps[13]) == 14


def test_a_set_only_planned_is_not_the_one_a_joined_car_runs_on() -> None:
    script = Script(started=False)
    script.tell(0, "SessionStatus", {"Status": "Started"}, snapshot=True)
    fitted = {"Compound": "MEDIUM", "StartLaps": 0, "TotalLaps": 12}
    planned = {"Compound": "HARD", "StartLaps": 0, "TotalLaps": 0}
    script.tell(0, "TimingAppData", {"Lines": {"7": {"Stints": [fitted, planned]}}}, snapshot=True)
    script.tell(0, "TimingData", snapshot_line(12, SECTORS, TOTAL), snapshot=True)
    assert script.car().stint == 0


def test_the_set_just_fitted_is_the_one_a_joined_car_runs_on() -> None:
    script = Script(started=False)
    script.tell(0, "SessionStatus", {"Status": "Started"}, snapshot=True)
    worn, fitted = {"Compound": "MEDIUM", "TotalLaps": 12}, {"Compound": "HARD", "StartLaps": 0, "TotalLaps": 0}
    script.tell(0, "TimingData", snapshot_line(12, SECTORS, TOTAL, NumberOfPitStops=1, PitOut=True), snapshot=True)
    script.tell(0, "TimingAppData", {"Lines": {"7": {"Stints": [worn, fitted]}}}, snapshot=True)
    script.lap(0, 13, SECTORS)
    script.finish()
    assert (script.laps_of()[13].stint, script.laps_of()[13].pit_out) == (1, True)


def test_a_car_out_of_the_race_before_this_state_joined_has_no_lap() -> None:
    script = joined_race((30_000, None, None), Retired=True, Stopped=True)
    script.status(50, "Finished")
    script.status(60, "Finalised")
    assert script.laps_of() == {}


def test_a_car_that_stops_after_this_state_joined_keeps_the_lap_it_was_on() -> None:
    script = joined_race((30_000, None, None))
    script.line(20, Stopped=True)
    assert [(n, lap.finished) for n, lap in script.laps_of().items()] == [(13, False)]


def test_joined_on_lap_one_the_lap_is_kept_without_a_time() -> None:
    script = Script(started=False)
    script.tell(30, "SessionStatus", {"Status": "Started"}, snapshot=True)
    script.tell(30, "TimingData", {"Lines": {"7": {"Position": "1", "InPit": False}}}, snapshot=True)
    script.line(90, NumberOfLaps=1)
    script.lap(90, 2, SECTORS)
    script.finish()
    assert script.times() == {1: None, 2: TOTAL}


def test_joined_on_lap_one_the_start_is_known_from_session_data() -> None:
    script = Script(started=False)
    started = {"Utc": "2030-01-01T14:40:00Z", "SessionStatus": "Started"}
    script.tell(0, "SessionData", {"StatusSeries": [{"Utc": "2030-01-01T13:00:00Z", "TrackStatus": "Yellow"}, started]},
                snapshot=True)  # fmt: skip
    assert script.state.data.started_at == 1_893_508_800_000
    assert [item.data["Status"] for item in script.state.data.track_status] == ["2"]
    script.tell(0, "SessionStatus", {"Status": "Started"}, snapshot=True)
    assert len(script.state.data.session_status) == 1


def test_joined_while_the_race_is_stopped_the_restart_is_no_start() -> None:
    script = Script(started=False)
    script.tell(0, "SessionStatus", {"Status": "Aborted"}, snapshot=True)
    script.tell(0, "TimingData", snapshot_line(12, SECTORS, TOTAL, InPit=True), snapshot=True)
    script.status(600, "Started")
    script.line(610, InPit=False)
    script.line(700, NumberOfLaps=13)
    script.lap(700, 14, SECTORS)
    script.finish()
    assert script.times()[14] == TOTAL
    assert min(script.laps_of()) == 13


def test_a_car_in_the_pits_when_this_state_joined_a_practice_begins_with_its_next_lap() -> None:
    script = Script(PRACTICE)
    script.tell(0, "TimingData", snapshot_line(5, SECTORS, TOTAL, InPit=True), snapshot=True)
    script.line(100, InPit=False, NumberOfLaps=6)
    script.line(200, NumberOfLaps=7)
    script.lap(200, 8, SECTORS)
    script.finish()
    assert list(script.laps_of()) == [6, 7]
    assert script.laps_of()[6].pit_out


def test_a_crossing_missed_while_away_is_told_by_what_the_snapshot_shows() -> None:
    script = Script()
    at = script.lap(0, 1, SECTORS, first=True)
    script.sector1(at + 30.1, SECTORS[0])
    script.tell(at + 90, "TimingData", snapshot_line(2, SECTORS, TOTAL), snapshot=True)
    script.lap(at + 84.6, 3, SECTORS)
    script.finish()
    laps = script.laps_of()
    assert script.times() == {1: TOTAL, 2: TOTAL, 3: TOTAL}
    assert laps[2].sectors == list(SECTORS)
    assert laps[2].ended_at == START + 169_200, "it ended when its time says, not when the snapshot came"


def test_of_crossings_missed_while_away_only_the_last_lap_is_known() -> None:
    script = Script()
    at = script.lap(0, 1, SECTORS, first=True)
    shown = (31_000, None, None)
    script.tell(at + 290, "TimingData", snapshot_line(4, shown, 84_000), snapshot=True)
    script.sector2(at + 300, 29_000)
    script.line(at + 330, NumberOfLaps=5, Sectors={"2": {"Value": "25.000"}}, LastLapTime={"Value": lap_time(85_000)})
    script.finish()
    assert script.times() == {1: TOTAL, 4: 84_000, 5: 85_000}
    assert script.laps_of()[5].sectors == [31_000, 29_000, 25_000]


def test_a_time_its_sectors_do_not_bear_out_is_not_given_to_a_lap_that_was_missed() -> None:
    script = Script()
    at = script.lap(0, 1, SECTORS, first=True)
    script.tell(at + 290, "TimingData", snapshot_line(4, SECTORS, TOTAL + 500), snapshot=True)
    script.finish()
    assert script.times()[4] != TOTAL + 500


def test_a_practice_lap_that_ended_in_the_pits_while_away_is_kept() -> None:
    script = Script(PRACTICE)
    script.line(0, InPit=False, NumberOfLaps=1)
    script.line(100, NumberOfLaps=2)
    script.tell(300, "TimingData", snapshot_line(2, SECTORS, TOTAL, InPit=True), snapshot=True)
    script.line(600, InPit=False, NumberOfLaps=3)
    script.line(700, NumberOfLaps=4)
    script.finish()
    assert [n for n, lap in script.laps_of().items() if lap.pit_in] == [2]
    assert list(script.laps_of()) == [1, 2, 3]


def test_a_stop_made_while_away_begins_a_stint_and_leaves_the_laps_before_alone() -> None:
    script = Script()
    worn = {"Compound": "MEDIUM", "StartLaps": 0, "TotalLaps": 0}
    script.stints(0, [worn])
    at = script.lap(0, 1, SECTORS, first=True)
    script.stints(at + 1, {"0": {"TotalLaps": 1}})
    script.tell(at + 430, "TimingData", snapshot_line(6, (30_000, None, None), TOTAL), snapshot=True)
    told = {
        "Lines": {"7": {"Stints": [{**worn, "TotalLaps": 3}, {"Compound": "HARD", "StartLaps": 0, "TotalLaps": 3}]}}
    }
    script.tell(at + 430, "TimingAppData", told, snapshot=True)
    script.lap(at + 430, 7, SECTORS)
    script.finish()
    car = script.car()
    assert [(n, lap.stint) for n, lap in car.laps.items()] == [(1, 0), (6, 1), (7, 1)]
    assert stints.age_at(car, car.laps[7]) == 4


class TestLostMessages:
    """A message of a crossing that never came, or comes half a minute late."""

    def test_a_lap_whose_crossing_was_not_told_is_kept_by_its_sectors(self) -> None:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        script.sector1(at + 30.1, SECTORS[0])
        script.sector2(at + 59.3, SECTORS[1])
        script.lap(at + 84.6, 3, SECTORS)
        script.finish()
        assert script.laps_of()[2].sectors == [SECTORS[0], SECTORS[1], None]
        assert (script.times()[3], script.laps_of()[3].sectors) == (TOTAL, list(SECTORS))

    def test_a_crossing_told_after_the_next_sector_one_completes_the_lap_it_is_of(self) -> None:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        script.sector1(at + 30.1, SECTORS[0])
        script.sector2(at + 59.3, SECTORS[1])
        script.sector1(at + 114.7, SECTORS[0])
        script.line(at + 116, NumberOfLaps=2)
        script.sector2(at + 143.9, SECTORS[1])
        script.line(at + 169.2, NumberOfLaps=3, Sectors={"2": {"Value": "25.300"}}, LastLapTime={"Value": "1:24.600"})
        script.finish()
        assert list(script.laps_of()) == [1, 2, 3]
        assert script.times()[3] == TOTAL
        assert count(script.changes, LAP, 3) == 1

    def test_in_practice_the_time_after_a_lost_crossing_is_the_last_laps(self) -> None:
        script = Script(PRACTICE)
        script.line(0, InPit=False, NumberOfLaps=1)
        script.line(100, NumberOfLaps=2)
        script.line(300, NumberOfLaps=4, LastLapTime={"Value": lap_time(TOTAL)})
        script.finish()
        assert script.times() == {1: None, 3: TOTAL}

    def test_late_data_of_a_lap_long_over_is_passed_over(self) -> None:
        """Hungaroring 2020: in the same instant as the crossing, with the time of two laps before."""
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        at = script.lap(at, 2, SECTORS)
        at = script.lap(at, 3, (30_000, 29_000, 25_000))
        script.line(at, NumberOfLaps=2, LastLapTime={"Value": lap_time(TOTAL)}, Sectors={"2": {"Value": "25.300"}})
        script.line(at + 0.2, Sectors={"0": {"Value": "99.000"}})
        script.line(at + 4, NumberOfLaps=3, LastLapTime={"Value": lap_time(84_000)})
        script.lap(at, 4, SECTORS)
        script.finish()
        assert script.times() == {1: TOTAL, 2: TOTAL, 3: 84_000, 4: TOTAL}
        assert script.laps_of()[4].sectors == list(SECTORS)


def test_a_race_known_by_nothing_but_its_timing_is_read_as_a_race() -> None:
    script = Script(info=None)
    script.tell(0, "TimingData", {"Lines": {"7": {"GapToLeader": "LAP 12", "NumberOfLaps": 12}}}, snapshot=True)
    script.lap(0, 13, SECTORS)
    script.finish()
    assert script.times() == {13: TOTAL}
    assert script.state.session != str(RACE["Key"])
