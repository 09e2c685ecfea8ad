"""The session around the laps: topic by topic what is taken, what is reported as changed, what is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from pitwall.documents.drivers import DriverDocument
from pitwall.message import Message
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.state import SessionState
from tests.timing.script import PRACTICE, QUALIFYING, RACE, SECTORS, START, TOTAL, Script
from tests.timing.test_any_payload import HANDLED


def whats(changes: set[Change]) -> set[str]:
    return {changed.what for changed in changes}


class TestTopics:
    @pytest.mark.parametrize("topic", ["Heartbeat", "TopThree", "TimingStats", "ChampionshipPrediction"])
    def test_known_topics_that_say_nothing_new_change_nothing(self, topic: str) -> None:
        script = Script()
        assert script.tell(1, topic, {"Utc": "2030-01-01T00:00:00Z", "Lines": {"7": {"Value": 1}}}) == set()
        assert script.state.rejected == {}

    def test_an_unknown_topic_is_counted_and_the_session_goes_on(self) -> None:
        script = Script()
        assert script.tell(1, "NewIn2031", {"Lines": {}}) == set()
        assert script.state.rejected == {"unknown-topic": 1}
        assert script.line(2, Position="1") >= {Change(change.TOWER)}

    @pytest.mark.parametrize("topic", HANDLED)
    @pytest.mark.parametrize("data", [None, True, 7, 1.5, "text", [], [{"Lines": 1}]], ids=str)
    def test_a_topic_that_is_no_object_is_counted_by_its_name(self, topic: str, data: Any) -> None:
        script = Script()
        assert script.tell(1, topic, data) == set()
        assert script.state.rejected == {f"bad-{topic}": 1}

    @pytest.mark.parametrize("topic", HANDLED)
    def test_a_topic_whose_every_value_is_of_another_type_leaves_laps_alone(self, topic: str) -> None:
        script = Script()
        script.lap(script.lap(0, 1, SECTORS, first=True), 2, SECTORS)
        before = script.times()
        for value in (None, 7, "x", [], [None], {"7": None}, {"0": "x"}):
            keys = ("Lines", "Messages", "Captures", "Entries", "Position", "PitTimes", "StatusSeries", "Status", "Key")
            script.tell(300, topic, dict.fromkeys(keys, value))
        assert script.times() == before


class TestSessionInfo:
    def test_names_the_session(self) -> None:
        script = Script(info=None)
        assert script.state.session == "script"
        assert script.tell(1, "SessionInfo", RACE) == {Change(change.SESSION)}
        assert script.state.session == "7001"

    @pytest.mark.parametrize("key", ["a/b", "..", "7" * 65])
    def test_a_key_no_document_could_have_is_counted_and_not_taken(self, key: str) -> None:
        script = Script()
        script.tell(1, "SessionInfo", {"Key": key})
        assert script.state.session == "7001"
        assert script.state.rejected == {"bad-session-key": 1}

    def test_another_key_begins_another_session(self) -> None:
        state = Script().state
        assert state.next_session(Message("SessionInfo", {"Key": 7009}, START)) == "7009"

    @pytest.mark.parametrize(
        "message",
        [
            Message("SessionInfo", {"Key": 7001}, START),
            Message("SessionInfo", {"Name": "Race"}, START),
            Message("SessionInfo", {"Key": "a/b"}, START),
            Message("SessionInfo", None, START),
            Message("TimingData", {"Key": 7009}, START),
        ],
        ids=str,
    )
    def test_anything_else_begins_none(self, message: Message) -> None:
        assert Script().state.next_session(message) is None

    def test_the_first_session_info_begins_no_other_session(self) -> None:
        assert Script(info=None).state.next_session(Message("SessionInfo", RACE, START)) is None


class TestStatuses:
    def test_statuses_are_told_once_and_numbered(self) -> None:
        script = Script(started=False)
        for at, status in ((0, "Inactive"), (1, "Inactive"), (10, "Started"), (60, "Aborted"), (90, "Started")):
            script.status(at, status)
        told = [(item.at - START, item.data["Status"]) for item in script.state.data.session_status]
        assert told == [(0, "Inactive"), (10_000, "Started"), (60_000, "Aborted"), (90_000, "Started")]

    def test_a_restart_is_not_the_start(self) -> None:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        script.status(at + 5, "Aborted")
        script.status(at + 600, "Started")
        assert script.state.data.started_at == START

    def test_track_statuses_of_a_lap_are_those_in_force_during_it_in_order(self) -> None:
        script = Script()
        script.tell(0, "TrackStatus", {"Status": "1", "Message": "AllClear"})
        at = script.lap(0, 1, SECTORS, first=True)
        for after, code in ((10, "2"), (20, "4"), (30, "4"), (40, "1")):
            script.tell(at + after, "TrackStatus", {"Status": code, "Message": ""})
        end = script.lap(at, 2, SECTORS)
        script.tell(end + 1, "TrackStatus", {"Status": "6", "Message": ""})
        script.lap(end, 3, SECTORS)
        script.finish()
        assert {number: lap.statuses for number, lap in script.laps_of().items()} == {
            1: ["1"],
            2: ["1", "2", "4", "1"],
            3: ["1", "6"],
        }

    def test_a_status_told_as_a_lap_ends_is_the_next_laps(self) -> None:
        script = Script()
        script.tell(0, "TrackStatus", {"Status": "1"})
        at = script.lap(0, 1, SECTORS, first=True)
        script.tell(at, "TrackStatus", {"Status": "4"})
        script.lap(at, 2, SECTORS)
        script.finish()
        assert {number: lap.statuses for number, lap in script.laps_of().items()} == {1: ["1"], 2: ["4"]}

    def test_a_session_whose_statuses_come_in_session_data_only_has_them_too(self) -> None:
        script = Script(started=False)
        series = {
            "0": {"Utc": "2030-01-01T12:00:00Z", "SessionStatus": "Started"},
            "1": {"Utc": "2030-01-01T12:01:00Z", "TrackStatus": "SCDeployed"},
            "2": {"Utc": "2030-01-01T12:02:00Z", "TrackStatus": "NewIn2031"},
        }
        script.tell(5, "SessionData", {"StatusSeries": series})
        assert [item.data["Status"] for item in script.state.data.session_status] == ["Started"]
        assert [item.data["Status"] for item in script.state.data.track_status] == ["4", "NewIn2031"]
        assert script.state.data.started_at == START + 5_000

    def test_statuses_with_topics_of_their_own_are_not_told_twice(self) -> None:
        script = Script()
        script.tell(1, "TrackStatus", {"Status": "1"})
        script.tell(
            2, "SessionData", {"StatusSeries": {"0": {"TrackStatus": "Red"}, "1": {"SessionStatus": "Aborted"}}}
        )
        assert len(script.state.data.track_status) == len(script.state.data.session_status) == 1


class TestQualifying:
    def told(self) -> Script:
        script = Script(QUALIFYING)
        script.tell(
            0,
            "TimingData",
            {
                "SessionPart": 1,
                "NoEntries": [3, 2, 1],
                "Lines": {n: {"Position": p, "KnockedOut": False} for n, p in (("7", "1"), ("8", "2"), ("9", "3"))},
            },
        )
        return script

    def test_the_part_is_the_feeds(self) -> None:
        script = self.told()
        assert script.state.qualifying_part() == 1
        assert script.tell(900, "TimingData", {"SessionPart": 2}) >= {Change(change.SESSION)}
        assert script.state.qualifying_part() == 2

    def test_the_part_is_in_session_data_where_timing_does_not_say(self) -> None:
        script = Script(QUALIFYING)
        assert script.state.qualifying_part() is None
        script.tell(1, "SessionData", {"Series": [{"QualifyingPart": 1}, {"QualifyingPart": 2}, {"QualifyingPart": 0}]})
        assert script.state.qualifying_part() == 2

    def test_no_other_session_has_parts(self) -> None:
        assert Script(RACE).state.qualifying_part() is None
        assert Script(PRACTICE).state.qualifying_part() is None

    def test_a_knocked_out_car_is_told_by_its_driver_and_the_tower(self) -> None:
        script = self.told()
        changed = script.line(900, "9", KnockedOut=True)
        assert changed >= {Change(change.TOWER), Change(change.DRIVER, "9")}
        driver: DriverDocument = script.document(change.DRIVER, "9")  # type: ignore[assignment]
        assert driver.status == "knockedOut"

    def test_the_drop_zone_changes_the_tower_and_the_cut_off_the_session(self) -> None:
        script = self.told()
        assert whats(script.line(800, "9", Cutoff=True)) == {change.TOWER}
        assert whats(script.tell(801, "TimingData", {"CutOffTime": "1:24.600"})) == {change.SESSION}
        assert whats(script.tell(802, "TimingData", {"CutOffPercentage": "107%"})) == {change.SESSION}

    def test_a_lap_belongs_to_the_part_it_was_driven_in(self) -> None:
        """Imola 2025: a lap into the pits in Q1 is told as over when the car sets out again, in Q2."""
        script = self.told()
        script.line(5, NumberOfLaps=1, InPit=False)
        at = script.lap(10, 2, SECTORS)
        script.line(at + 70, InPit=True)
        script.tell(at + 300, "TimingData", {"SessionPart": 2})
        script.line(at + 400, InPit=False)
        script.line(at + 401, NumberOfLaps=3)
        script.lap(at + 401, 4, (30_000, 29_000, 25_000))
        script.finish()
        assert {number: lap.part for number, lap in script.laps_of().items()} == {1: 1, 2: 1, 3: 2}


class TestDrivers:
    def told(self) -> Script:
        script = Script()
        script.tell(0, "DriverList", {n: {"RacingNumber": n, "Tla": tla} for n, tla in (("7", "AAA"), ("8", "BBB"))})
        return script

    def test_a_change_of_the_list_is_the_drivers_and_the_entries(self) -> None:
        changed = self.told().tell(1, "DriverList", {"8": {"Tla": "CCC"}})
        assert changed == {Change(change.DRIVER, "8"), Change(change.ENTRIES)}

    def test_the_lists_order_is_no_news(self) -> None:
        assert self.told().tell(1, "DriverList", {"7": {"Line": 2}, "8": {"Line": 1}}) == set()

    def test_a_driver_added_in_mid_session_is_entered(self) -> None:
        script = self.told()
        script.tell(60, "DriverList", {"9": {"RacingNumber": "9", "Tla": "DDD"}})
        lines = script.document(change.ENTRIES).lines  # type: ignore[attr-defined]
        assert sorted(lines) == ["7", "8", "9"]

    def test_the_grid_changes_the_entry(self) -> None:
        changed = self.told().tell(1, "TimingAppData", {"Lines": {"7": {"GridPos": "3"}}})
        assert changed == {Change(change.ENTRIES), Change(change.DRIVER, "7")}


class TestSeries:
    def test_weather_is_told_when_it_changed_only(self) -> None:
        script = Script()
        dry = {"AirTemp": "22.4", "Rainfall": "0"}
        assert script.tell(0, "WeatherData", dry) == {Change(change.WEATHER, 0), Change(change.SESSION)}
        assert script.tell(60, "WeatherData", dry) == set()
        assert script.tell(120, "WeatherData", {"Rainfall": "1"}) == {Change(change.WEATHER, 1), Change(change.SESSION)}
        assert [item.data for item in script.state.data.weather] == [dry, {"AirTemp": "22.4", "Rainfall": "1"}]

    def test_team_radio_keeps_the_feeds_own_numbers(self) -> None:
        script = Script()
        capture = {"Utc": "2030-01-01T12:00:00Z", "RacingNumber": "7", "Path": "TeamRadio/x.mp3"}
        assert script.tell(0, "TeamRadio", {"Captures": [capture]}) == {Change(change.TEAM_RADIO, 0)}
        assert script.tell(1, "TeamRadio", {"Captures": {"3": capture}}) == {Change(change.TEAM_RADIO, 3)}

    @pytest.mark.parametrize("capture", [None, {}, {"RacingNumber": "7"}, {"Path": "TeamRadio/x.mp3"}], ids=str)
    def test_a_capture_nobody_could_play_is_counted(self, capture: Any) -> None:
        script = Script()
        assert script.tell(0, "TeamRadio", {"Captures": [capture]}) == set()
        assert script.state.rejected == {"bad-team-radio": 1}

    def test_race_control_corrected_later_is_the_same_message(self) -> None:
        script = Script()
        script.race_control(1, "CAR 7 (AAA) UNDER INVESTIGATION")
        changed = script.tell(2, "RaceControlMessages", {"Messages": {"0": {"Lap": 3}}})
        assert changed == {Change(change.RACE_CONTROL, 0)}
        assert script.state.data.race_control[0].data["Lap"] == 3

    def test_a_message_without_an_instant_came_when_it_came(self) -> None:
        script = Script()
        script.tell(7, "RaceControlMessages", {"Messages": [{"Message": "RISK OF RAIN IS 0%"}]})
        script.tell(8, "TeamRadio", {"Captures": [{"RacingNumber": "7", "Path": "x.mp3"}]})
        assert script.state.data.race_control[0].at == START + 7_000
        assert script.state.data.team_radio[0].at == START + 8_000


class TestCarDataAndPositions:
    def test_each_sample_has_an_instant_of_its_own(self) -> None:
        script = Script()
        samples = [{"Utc": f"2030-01-01T12:00:0{n}.25Z", "Cars": {"7": {"Channels": {"2": n}}}} for n in (1, 2)]
        assert script.tell(0, "CarData", {"Entries": samples}) == {Change(change.TELEMETRY)}
        assert [cars for _, cars in script.state.data.telemetry_samples] == [sample["Cars"] for sample in samples]
        first, second = (at for at, _ in script.state.data.telemetry_samples)
        assert second - first == 1_000

    def test_a_sample_without_an_instant_is_of_its_message(self) -> None:
        script = Script()
        script.tell(3, "Position", {"Position": [{"Timestamp": "soon", "Entries": {"7": {"X": 1, "Y": 2, "Z": 3}}}]})
        assert script.state.data.position_samples[0][0] == START + 3_000

    @pytest.mark.parametrize(
        ("topic", "data"), [("CarData", {"Entries": [None, {"Cars": 3}]}), ("Position", {"Position": [1, {}]})]
    )
    def test_samples_without_cars_are_counted(self, topic: str, data: Any) -> None:
        script = Script()
        assert script.tell(0, topic, data) == set()
        assert script.state.rejected == {f"bad-{topic}": 2}


class TestPitLane:
    def stopped(self) -> tuple[Script, float]:
        script = Script()
        at = script.lap(0, 1, SECTORS, first=True)
        script.line(at + TOTAL / 1_000 - 5, InPit=True)
        at = script.lap(at, 2, SECTORS)
        return script, at

    def test_time_in_the_lane_is_from_the_way_in_to_the_way_out_where_the_feed_tells_none(self) -> None:
        script, at = self.stopped()
        script.line(at + 17, InPit=False)
        driver: DriverDocument = script.document(change.DRIVER, "7")  # type: ignore[assignment]
        assert [(stop.lap, stop.lane_time_ms) for stop in driver.pit_stops] == [(2, 22_000)]

    def test_a_lane_time_of_a_car_nobody_knows_is_passed_over(self) -> None:
        script, at = self.stopped()
        assert script.tell(at, "PitLaneTimeCollection", {"PitTimes": {"99": {"Duration": "22.0", "Lap": "2"}}}) == set()

    def test_a_lane_time_of_a_car_that_never_came_in_is_passed_over(self) -> None:
        script = Script()
        script.lap(0, 1, SECTORS, first=True)
        assert script.tell(90, "PitLaneTimeCollection", {"PitTimes": {"7": {"Duration": "22.0", "Lap": "1"}}}) == set()

    def test_a_lane_time_told_again_is_no_news(self) -> None:
        script, at = self.stopped()
        told = {"PitTimes": {"7": {"Duration": "22.0", "Lap": "2"}}}
        assert script.tell(at + 20, "PitLaneTimeCollection", told) != set()
        assert script.tell(at + 21, "PitLaneTimeCollection", told) == set()


class TestReconnecting:
    """A snapshot in mid-session holds everything there is by then."""

    WHOLE: tuple[tuple[str, Any], ...] = (
        ("SessionInfo", RACE),
        ("DriverList", {"7": {"RacingNumber": "7", "Tla": "AAA", "Line": 1}}),
        ("RaceControlMessages", {"Messages": [{"Utc": "2030-01-01T12:00:00", "Message": f"M{n}"} for n in range(3)]}),
        (
            "TeamRadio",
            {"Captures": [{"Utc": "2030-01-01T12:00:00Z", "RacingNumber": "7", "Path": f"{n}.mp3"} for n in range(2)]},
        ),
        ("WeatherData", {"AirTemp": "20.0"}),
        ("TrackStatus", {"Status": "1", "Message": "AllClear"}),
        ("SessionStatus", {"Status": "Started"}),
        ("LapCount", {"CurrentLap": 3, "TotalLaps": 50}),
    )

    def count(self, state: SessionState) -> dict[str, int]:
        data = state.data
        return {
            "raceControl": len(data.race_control), "teamRadio": len(data.team_radio), "weather": len(data.weather),
            "trackStatus": len(data.track_status), "sessionStatus": len(data.session_status),
        }  # fmt: skip

    def test_the_same_snapshot_again_doubles_nothing(self) -> None:
        script = Script()
        for topic, whole in self.WHOLE:
            script.tell(10, topic, whole, snapshot=True)
        before = self.count(script.state)
        for topic, whole in self.WHOLE:
            changed = script.tell(60, topic, whole, snapshot=True)
            assert whats(changed) <= {change.SESSION}, topic
        assert self.count(script.state) == before == {
            "raceControl": 3, "teamRadio": 2, "weather": 1, "trackStatus": 1, "sessionStatus": 1,
        }  # fmt: skip

    def test_what_came_while_away_is_recovered_with_its_own_number(self) -> None:
        script = Script()
        script.race_control(1, "M0")
        _, whole = self.WHOLE[2]
        changed = script.tell(60, "RaceControlMessages", whole, snapshot=True)
        assert {Change(change.RACE_CONTROL, 1), Change(change.RACE_CONTROL, 2)} <= changed
        assert [script.state.data.race_control[n].data["Message"] for n in range(3)] == ["M0", "M1", "M2"]

    def test_a_snapshot_takes_away_what_the_feed_no_longer_says(self) -> None:
        script = Script()
        script.tell(1, "DriverList", {"7": {"Tla": "AAA"}, "99": {"Tla": "OLD"}})
        script.tell(60, "DriverList", {"7": {"Tla": "AAA"}}, snapshot=True)
        assert list(script.document(change.ENTRIES).lines) == ["7"]  # type: ignore[attr-defined]

    def test_deltas_go_on_from_the_snapshot(self) -> None:
        script = Script()
        script.tell(1, "TimingData", {"Lines": {"7": {"Position": "3", "GapToLeader": "+9.000"}}})
        script.tell(60, "TimingData", {"Lines": {"7": {"Position": "2", "GapToLeader": "+1.000"}}}, snapshot=True)
        script.line(61, Position="1")
        assert script.state.line("7") == {"Position": "1", "GapToLeader": "+1.000"}
