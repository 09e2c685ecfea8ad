"""The oddities of F1's feed, one by one, in the simulated messages."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from local.simulator import FeedMessage, Race
from local.simulator.events import Fitted, LapDeleted, LapReinstated
from local.simulator.sent import SentState

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def messages(race: Race) -> list[FeedMessage]:
    return list(race)


def lines(messages: list[FeedMessage], topic: str = "TimingData") -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Instant of receipt, racing number and line of every change."""
    for message in messages:
        if message.topic == topic:
            for number, line in message.payload.get("Lines", {}).items():
                yield message.received, number, line


def told_laps(messages: list[FeedMessage]) -> dict[str, dict[int, int]]:
    """When each car's lap counter was sent, by lap."""
    laps: dict[str, dict[int, int]] = defaultdict(dict)
    for at, number, line in lines(messages):
        if "NumberOfLaps" in line:
            laps[number][line["NumberOfLaps"]] = at
    return laps


def told_between(messages: list[FeedMessage], number: str, since: int, until: int, *keys: str) -> list[Any]:
    """Values sent at the path `keys` of a car's line, received after `since` and up to `until`."""
    found = []
    for at, other, line in lines(messages):
        if other == number and since < at <= until:
            value: Any = line
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if value is not None:
                found.append(value)
    return found


def final(messages: list[FeedMessage]) -> dict[str, Any]:
    state = SentState()
    for message in messages:
        state.reduce(message.topic, message.payload)
    return state.topics


def test_lap_counter_of_every_lap_is_sent_once(race: Race, messages: list[FeedMessage]) -> None:
    told = {(number, lap) for number, laps in told_laps(messages).items() for lap in laps}
    assert told == {(lap.number, lap.lap) for lap in race.truth.laps}


def test_line_is_told_within_five_seconds_and_never_before(race: Race, messages: list[FeedMessage]) -> None:
    told = told_laps(messages)
    delays = [told[lap.number][lap.lap] - lap.endedAt for lap in race.truth.laps]
    assert min(delays) > 0
    assert max(delays) < 5_000


def test_first_lap_has_no_lap_time_and_no_first_sector(race: Race, messages: list[FeedMessage]) -> None:
    told = told_laps(messages)
    for number in race.truth.grid:
        until = told[number][1]
        assert told_between(messages, number, race.opens + 1_000, until, "LastLapTime", "Value") == []
        assert told_between(messages, number, race.opens + 1_000, until, "Sectors", "0", "Value") == []


def test_lap_time_equal_to_the_one_before_is_not_sent(messages: list[FeedMessage], race: Race) -> None:
    laps = {(lap.number, lap.lap): lap for lap in race.truth.laps}
    told = told_laps(messages)
    repeats = [
        lap for lap in race.truth.laps if lap.lap > 2 and laps[lap.number, lap.lap - 1].lapTimeMs == lap.lapTimeMs
    ]
    repeated_sectors = [
        lap for lap in race.truth.laps if lap.lap > 2 and laps[lap.number, lap.lap - 1].sector1Ms == lap.sector1Ms
    ]
    assert repeats or repeated_sectors, "no time is repeated in this race: it shows nothing"
    for lap in repeats:
        since, until = told[lap.number][lap.lap - 1] + 5_000, told[lap.number][lap.lap] + 5_000
        assert told_between(messages, lap.number, since, until, "LastLapTime", "Value") == []
    for lap in repeated_sectors:
        since, until = told[lap.number][lap.lap - 1] + 5_000, told[lap.number][lap.lap]
        assert told_between(messages, lap.number, since, until, "Sectors", "0", "Value") == []


def test_restart_lap_has_no_first_sector(race: Race, messages: list[FeedMessage]) -> None:
    told = told_laps(messages)
    restarts = [lap for lap in race.truth.laps if lap.redFlag]
    assert len(restarts) > 10
    for lap in restarts:
        since, until = told[lap.number][lap.lap - 1], told[lap.number][lap.lap]
        assert set(told_between(messages, lap.number, since, until, "Sectors", "0", "Value")) <= {""}


def test_lap_time_is_late_by_seconds_now_and_then(race: Race, messages: list[FeedMessage]) -> None:
    told = told_laps(messages)
    apart = 0
    for lap in race.truth.laps:
        at = told[lap.number][lap.lap]
        third = told_between(messages, lap.number, at - 1, at, "Sectors", "2", "Value")
        apart += not third
    assert 0.03 < apart / len(race.truth.laps) < 0.25


def test_tyres_are_unknown_or_wrong_at_first_and_right_in_the_end(race: Race, messages: list[FeedMessage]) -> None:
    compounds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, number, line in lines(messages, "TimingAppData"):
        stints = line.get("Stints", {})
        items = enumerate(stints) if isinstance(stints, list) else stints.items()
        for index, stint in items:
            if "Compound" in stint and stint["Compound"] not in compounds[number, str(index)][-1:]:
                compounds[number, str(index)].append(stint["Compound"])
    fitted = {
        (event.number, str(event.stint - 1)): event.tyres.compound for event in race.events if isinstance(event, Fitted)
    }
    assert {key: names[-1] for key, names in compounds.items()} == fitted
    assert any(len(names) > 1 for names in compounds.values())


def test_whole_list_of_stints_is_sent_in_mid_race(race: Race, messages: list[FeedMessage]) -> None:
    lists = [
        line["Stints"]
        for at, _, line in lines(messages, "TimingAppData")
        if at > race.truth.startedAt and isinstance(line.get("Stints"), list)
    ]
    assert lists


def test_total_laps_are_the_age_of_the_tyres(race: Race, messages: list[FeedMessage]) -> None:
    state = final(messages)["TimingAppData"]["Lines"]
    for stint in race.truth.stints:
        told = state[stint.number]["Stints"][stint.stint - 1]
        done = stint.lastLap - stint.firstLap + 1 if stint.lastLap else 0
        assert (told["StartLaps"], told["TotalLaps"]) == (stint.startAge, stint.startAge + done)


def test_race_control_begins_as_a_list_and_goes_on_by_index(messages: list[FeedMessage]) -> None:
    payloads = [message.payload["Messages"] for message in messages if message.topic == "RaceControlMessages"]
    assert isinstance(payloads[0], list)
    assert [int(index) for payload in payloads[1:] for index in payload] == list(range(1, len(payloads)))


def test_deleted_lap_is_worded_as_race_control_words_it(race: Race, messages: list[FeedMessage]) -> None:
    texts = [m["Message"] for m in final(messages)["RaceControlMessages"]["Messages"]]
    pattern = re.compile(
        r"CAR (\d+) \(([A-Z]{3})\) TIME (\d):(\d\d)\.(\d{3}) DELETED - TRACK LIMITS AT TURN \d+ LAP (\d+) "
        r"\d\d:\d\d:\d\d"
    )
    found = [match for text in texts if (match := pattern.fullmatch(text))]
    deleted = [event for event in race.events if isinstance(event, LapDeleted)]
    assert [(m[1], int(m[6]), int(m[3]) * 60_000 + int(m[4]) * 1000 + int(m[5])) for m in found] == [
        (event.number, event.lap, event.lap_time) for event in deleted
    ]


def test_best_lap_goes_back_when_deleted_and_returns_when_reinstated(race: Race, messages: list[FeedMessage]) -> None:
    for event in race.events:
        if isinstance(event, LapDeleted | LapReinstated):
            told = told_between(messages, event.number, event.at, event.at + 12_000, "BestLapTime", "Lap")
            if isinstance(event, LapReinstated):
                assert event.lap in told
            else:
                assert event.lap not in told


def test_best_laps_at_the_end_are_those_that_count(race: Race, messages: list[FeedMessage]) -> None:
    told = final(messages)["TimingData"]["Lines"]
    for best in race.truth.bestLaps:
        assert told[best.number]["BestLapTime"]["Lap"] == best.lap


def test_positions_at_the_end_are_the_classification(race: Race, messages: list[FeedMessage]) -> None:
    told = final(messages)["TimingData"]["Lines"]
    order = sorted(told, key=lambda number: int(told[number]["Position"]))
    assert order == race.truth.finalPositions
    assert all(told[number]["Line"] == int(told[number]["Position"]) for number in told)


def test_gaps_come_in_the_forms_of_the_feed(messages: list[FeedMessage]) -> None:
    forms = re.compile(r"|\+\d+\.\d{3}|LAP \d+|\d+L")
    gaps = {line["GapToLeader"] for _, _, line in lines(messages) if "GapToLeader" in line}
    assert all(forms.fullmatch(gap) for gap in gaps)
    assert "1L" in gaps
    assert "LAP 2" in gaps


def test_only_what_changed_is_sent(messages: list[FeedMessage]) -> None:
    state = SentState()
    for message in messages:
        if message.topic in ("TimingData", "TopThree", "DriverList", "TimingStats"):
            assert state.reduce(message.topic, message.payload) == message.payload


def test_heartbeats_come_every_fifteen_seconds_two_seconds_ahead(messages: list[FeedMessage]) -> None:
    beats = [message for message in messages if message.topic == "Heartbeat"]
    assert all(14_500 < after.at - before.at < 15_500 for before, after in pairwise(beats))
    from datetime import datetime

    ahead = [datetime.fromisoformat(f"{beat.payload['Utc'][:23]}+00:00").timestamp() * 1000 - beat.at for beat in beats]
    assert all(1_900 < value < 2_100 for value in ahead)


def test_instants_step_back_now_and_then(messages: list[FeedMessage]) -> None:
    steps = [before.at - after.at for before, after in pairwise(messages) if after.at < before.at]
    assert 0.0005 < len(steps) / len(messages) < 0.02
    assert max(steps) < 4_000


def test_pit_lane_times_are_taken_away_again(race: Race, messages: list[FeedMessage]) -> None:
    payloads = [message.payload["PitTimes"] for message in messages if message.topic == "PitLaneTimeCollection"]
    told = [number for payload in payloads for number in payload if number != "_deleted"]
    taken = [number for payload in payloads for number in payload.get("_deleted", ())]
    left = [stop for stop in race.truth.pitStops if stop.outAt is not None]
    assert len(told) == len(left)
    assert sorted(told) == sorted(taken)


def test_stopped_and_retired_cars_are_marked(race: Race, messages: list[FeedMessage]) -> None:
    told = final(messages)["TimingData"]["Lines"]
    out = {retired.number for retired in race.truth.retirements}
    assert {number for number, line in told.items() if line["Retired"]} == out
    assert {number for number, line in told.items() if line["Stopped"]} == out


def test_clock_stops_under_red_and_runs_again(messages: list[FeedMessage]) -> None:
    clocks = [message.payload for message in messages if message.topic == "ExtrapolatedClock"]
    running = [payload["Extrapolating"] for payload in clocks if "Extrapolating" in payload]
    assert running == [False, True, False, True, False]
    stopped, resumed = clocks[2], clocks[3]
    assert resumed.get("Remaining", stopped["Remaining"]) == stopped["Remaining"]


def test_snapshot_comes_first_and_has_every_car(race: Race, messages: list[FeedMessage]) -> None:
    first = {message.topic: message.payload for message in reversed(messages[:16])}
    assert set(first["TimingData"]["Lines"]) == set(first["DriverList"]) == set(race.truth.grid)
    assert first["SessionInfo"]["SessionStatus"] == "Inactive"
