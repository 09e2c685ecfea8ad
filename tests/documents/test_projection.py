"""From a session's state to its documents: each says what the feed said, and nothing where it said nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.simulator import quick_race
from pitwall.documents import circuits, history
from pitwall.documents.base import Document
from pitwall.documents.drivers import DriverDocument, LapDocument
from pitwall.documents.encoding import document_size, from_fields, instant, rfc3339, to_fields
from pitwall.documents.live import (
    EntriesDocument,
    PositionsDocument,
    SegmentsDocument,
    TelemetryDocument,
    TowerDocument,
)
from pitwall.documents.paths import KINDS, kind_of
from pitwall.documents.projection import MAX_SAMPLES, project
from pitwall.documents.schema import validate
from pitwall.documents.session import RaceControlDocument, SessionDocument, TeamRadioDocument
from pitwall.message import Message
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.state import SessionState
from tests.documents.examples import WRITTEN_AT, V
from tests.timing.script import PRACTICE, QUALIFYING, RACE, START, Script, lap_time
from tests.timing.test_any_payload import messages

SECTORS = (30_100, 29_200, 25_300)
PLACE = {"Status": "OnTrack", "X": -1_200, "Y": 340, "Z": 12}
CHANNELS = {"Channels": {"0": 11_000, "2": 301, "3": 8, "4": 100, "5": 0, "45": 12}}
OF_THE_HISTORY = {kind.name for kind in KINDS if kind.type.__module__ in (history.__name__, circuits.__name__)}
OF_ONE_CAR = {"carTelemetry", "telemetryRequest"}
NOT_OF_THE_STATE = (
    {"feed", "tower", "apiKey", "job", "user", "schedule", "event", "economy", "privacyRequest"}
    | OF_ONE_CAR
    | OF_THE_HISTORY
)
"""Kinds that others make: how the feed is, copies of the tower, telemetry that is asked for, what was before today."""


def exported(document: Document) -> dict[str, Any]:
    """A document as `--export` writes it, with what the writer adds."""
    stored = {**to_fields(document), "v": V, "writtenAt": WRITTEN_AT}
    wire = orjson.dumps(stored, option=orjson.OPT_PASSTHROUGH_DATETIME, default=rfc3339)
    fields: dict[str, Any] = orjson.loads(wire)
    return fields


def nothing_said(value: Any) -> list[str]:
    """Where fields hold a null, an empty string or an empty map: what is unknown is absent."""
    if isinstance(value, dict):
        return [f"{key}.{found}" for key, item in value.items() for found in nothing_said(item)] or (
            [] if value else ["{}"]
        )
    if isinstance(value, list):
        return [found for item in value for found in nothing_said(item)]
    return ["nothing"] if value in (None, "") else []


@pytest.fixture(scope="module")
def race() -> dict[str, Document]:
    """Every document a simulated race had, each as it was last; samples as they came."""
    state = SessionState("projected")
    documents: dict[str, Document] = {}
    for n, sent in enumerate(quick_race(4, laps=9, telemetry=False)):
        for what in state.apply(Message(sent.topic, sent.payload, sent.at)):
            # Once in a while: the tower changes with every other message.
            if what.what not in (change.TOWER, change.SEGMENTS) or n % 50 == 0:
                projected = project(state, what)
                documents.update([projected] if projected else [])
    for what in state.finish():
        projected = project(state, what)
        documents.update([projected] if projected else [])
    return documents


class TestEveryDocument:
    """Whatever is projected is what the schema says."""

    def test_of_a_race_fits_the_schema_of_its_path(self, race: dict[str, Document]) -> None:
        for path, document in race.items():
            validate(path, exported(document))

    def test_of_a_race_holds_nothing_that_is_not_known(self, race: dict[str, Document]) -> None:
        assert {path: found for path, document in race.items() if (found := nothing_said(exported(document)))} == {}

    def test_of_a_race_is_the_same_after_the_wire(self, race: dict[str, Document]) -> None:
        for path, document in race.items():
            assert from_fields(path, exported(document) | {"v": V}) is not None
            wire = orjson.loads(
                orjson.dumps(to_fields(document), option=orjson.OPT_PASSTHROUGH_DATETIME, default=rfc3339)
            )
            assert from_fields(path, wire) == document

    def test_there_is_one_of_every_kind_a_race_without_telemetry_has(self, race: dict[str, Document]) -> None:
        made = {kind_of(path).name for path in race}
        expected = {kind.name for kind in KINDS} - NOT_OF_THE_STATE - {"positions", "telemetry", "gap"}
        assert made >= expected

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from((RACE, PRACTICE, QUALIFYING)), st.lists(messages, min_size=1, max_size=6))
    def test_fits_the_schema_of_its_path_whatever_the_feed_sends(
        self, info: dict[str, Any], told: list[Message]
    ) -> None:
        script = Script(info, laps=50)
        script.lap(script.lap(0, 1, SECTORS, first=True), 2, SECTORS)
        state = script.state
        for message in told:
            for what in state.apply(message):
                if (projected := project(state, what)) is not None:
                    validate(projected[0], exported(projected[1]))
        for what in state.finish():
            if (projected := project(state, what)) is not None:
                validate(projected[0], exported(projected[1]))

    @pytest.mark.parametrize(
        ("topic", "data"),
        [
            ("SessionInfo", {"Key": "a/b"}),
            ("SessionInfo", {"Key": ".."}),
            ("SessionInfo", {"Key": "7" * 200}),
            ("SessionInfo", {"StartDate": "9999-12-31T23:59:59", "GmtOffset": "-12:00:00"}),
            ("SessionInfo", {"StartDate": "2030-01-01T00:00:00", "GmtOffset": "9999:00:00"}),
            ("SessionInfo", {"Meeting": {"Number": 3, "Name": "", "Country": {"Code": ""}, "Circuit": {"X": 1}}}),
            ("TimingData", {"Lines": {"7": {"LastLapTime": {"Value": "999999999999999:00.0"}}}}),
            ("TimingData", {"Lines": {"7": {"GapToLeader": "99999999999999999999L"}}}),
            ("RaceControlMessages", {"Messages": [{"Message": "x", "Lap": -1, "Utc": "0001-01-01T00:00:00Z"}]}),
            ("RaceControlMessages", {"Messages": {"99999999999999999999": {"Message": "x"}}}),
            ("Position", {"Position": [{"Timestamp": "0001-01-01T00:00:00Z", "Entries": {"7": PLACE}}]}),
            ("CarData", {"Entries": [{"Utc": "", "Cars": {"7": {"Channels": {"0": "x"}}, "8": CHANNELS}}]}),
            ("DriverList", {"7": {"RacingNumber": "7", "Tla": "AAA", "TeamColour": "#"}}),
            ("WeatherData", {"AirTemp": "inf", "Humidity": "nan", "WindSpeed": "x", "Pressure": "1000"}),
        ],
        ids=str,
    )  # fmt: skip
    def test_fits_the_schema_though_the_feed_says_what_cannot_be(self, topic: str, data: Any) -> None:
        script = Script(laps=50)
        script.lap(0, 1, SECTORS, first=True)
        for what in [*script.tell(200, topic, data), *script.state.finish()]:
            projected = project(script.state, what)
            if projected is not None:
                validate(projected[0], exported(projected[1]))
                assert nothing_said(exported(projected[1])) == []


def fields(document: Document) -> dict[str, Any]:
    """What a document says, without its instant."""
    return {key: value for key, value in to_fields(document).items() if key != "at"}


class TestSession:
    def test_says_what_the_feed_says_of_the_meeting(self) -> None:
        script = Script(
            {
                **RACE,
                "StartDate": "2030-06-02T14:00:00",
                "EndDate": "2030-06-02T16:00:00",
                "GmtOffset": "02:00:00",
                "Meeting": {
                    "Key": 31,
                    "Number": 9,
                    "Name": "Example Grand Prix",
                    "OfficialName": "EXAMPLE GRAND PRIX 2030",
                    "Location": "Example",
                    "Country": {"Key": 1, "Code": "EXA", "Name": "Exampleland"},
                    "Circuit": {"Key": 14, "ShortName": "Example"},
                },
            },
            laps=50,
        )
        script.tell(1, "TrackStatus", {"Status": "2", "Message": "Yellow"})
        document = script.document(change.SESSION)
        assert fields(document) == {
            "series": "f1",
            "feedId": "f1",
            "year": 2030,
            "round": 9,
            "meeting": {
                "key": "31",
                "name": "Example Grand Prix",
                "officialName": "EXAMPLE GRAND PRIX 2030",
                "location": "Example",
                "country": {"code": "EXA", "name": "Exampleland"},
                "circuit": {"key": "14", "shortName": "Example"},
            },
            "type": "Race",
            "name": "Race",
            "status": "Started",
            "startDate": datetime(2030, 6, 2, 12, tzinfo=UTC),
            "endDate": datetime(2030, 6, 2, 14, tzinfo=UTC),
            "gmtOffset": "02:00:00",
            "archivePath": "2030/here/race/",
            "lapCount": {"current": 1, "total": 50},
            "trackStatus": {"code": "2", "message": "Yellow"},
            "final": False,
            "schemaVersion": 1,
        }

    def test_of_which_nothing_is_known_has_only_its_marks(self) -> None:
        script = Script(info=None, started=False)
        assert fields(script.document(change.SESSION)) == {
            "series": "f1",
            "feedId": "f1",
            "final": False,
            "schemaVersion": 1,
        }

    def test_of_another_feed_is_of_the_series_its_feed_is_named_after(self) -> None:
        script = Script(info=None)
        script.state.data.feed = "kart-example"
        document = script.document(change.SESSION)
        assert isinstance(document, SessionDocument)
        assert (document.series, document.feed_id) == ("kart", "kart-example")

    def test_instant_is_that_of_its_last_change(self) -> None:
        script = Script()
        script.tell(30, "LapCount", {"CurrentLap": 2, "TotalLaps": 50})
        script.tell(90, "Heartbeat", {})
        assert script.document(change.SESSION).at == instant(START + 30_000)

    def test_has_the_weather_with_wind_in_kilometres_an_hour(self) -> None:
        script = Script()
        script.tell(
            1,
            "WeatherData",
            {
                "AirTemp": "22.4", "TrackTemp": "41.0", "Humidity": "55.0", "Pressure": "921.3",
                "Rainfall": "1", "WindDirection": "180", "WindSpeed": "2.0",
            },
        )  # fmt: skip
        weather = {
            "airTemp": 22.4, "trackTemp": 41.0, "humidity": 55.0, "pressure": 921.3,
            "rainfall": True, "windDirection": 180, "windSpeedKph": 7.2,
        }  # fmt: skip
        assert fields(script.document(change.SESSION))["weather"] == weather
        assert fields(script.document(change.WEATHER, 0)) == {"n": 0, "weather": weather}

    def test_of_qualifying_has_its_part_its_entries_and_the_time_to_beat(self) -> None:
        script = Script(QUALIFYING)
        script.tell(
            1, "TimingData", {"SessionPart": 2, "NoEntries": [20, 15, 10], "CutOffTime": "1:20.500", "Lines": {}}
        )
        document = fields(script.document(change.SESSION))
        assert document["qualifying"] == {"part": 2, "entries": [20, 15, 10], "cutOffMs": 80_500}
        assert "qualifying" not in fields(Script(PRACTICE).document(change.SESSION))


class TestTower:
    FULL: dict[str, Any] = {  # noqa: RUF012
        "GapToLeader": "+1:12.345",
        "IntervalToPositionAhead": {"Value": "+12.345"},
        "NumberOfLaps": 57,
        "LastLapTime": {"Value": "1:32.345", "OverallFastest": True, "PersonalFastest": True},
        "Sectors": [
            {"Value": "30.001", "PersonalFastest": True},
            {"Value": "30.002", "PersonalFastest": True, "OverallFastest": True},
            {"Value": "32.342", "PersonalFastest": True},
        ],
        "InPit": True,
        "PitOut": True,
        "Retired": True,
        "Stopped": True,
        "KnockedOut": True,
        "Cutoff": True,
    }

    def tower(self, script: Script) -> TowerDocument:
        document = script.document(change.TOWER)
        assert isinstance(document, TowerDocument)
        return document

    def test_at_its_fullest_with_22_cars_takes_at_most_4_kib(self) -> None:
        """More than any tower could hold at once: every car everywhere, everything set."""
        script = Script()
        for place in range(1, 23):
            script.line(1, str(77 + place), Position=str(place), **self.FULL)
        stored = to_fields(self.tower(script)) | {"v": V, "writtenAt": WRITTEN_AT}
        assert len(stored["lines"]) == 22
        assert all(len(line) >= 18 for number, line in stored["lines"].items() if number != "78")
        assert document_size("sessions/7001/live/timing", stored) <= 4_096

    def test_a_line_says_what_the_feed_says(self) -> None:
        script = Script()
        script.line(1, "7", Position="2", **self.FULL)
        assert to_fields(self.tower(script))["lines"]["7"] == {
            "p": 2, "g": 72_345, "i": 12_345, "n": 57, "l": 92_345, "lb": "o",
            "s1": 30_001, "s2": 30_002, "s3": 32_342, "b1": "p", "b2": "o", "b3": "p",
            "ip": True, "po": True, "rt": True, "st": True, "ko": True, "dz": True,
        }  # fmt: skip

    def test_what_the_feed_does_not_say_is_absent(self) -> None:
        script = Script()
        script.line(
            1, "7", Position="", GapToLeader="", LastLapTime={"Value": "", "PersonalFastest": True}, InPit=False,
            Sectors=[{"Value": "", "OverallFastest": True}, {}, None], Retired=False,
        )  # fmt: skip
        assert to_fields(self.tower(script))["lines"]["7"] == {}

    def test_there_is_none_before_there_are_cars(self) -> None:
        assert project(Script().state, Change(change.TOWER)) is None

    def test_a_knocked_out_car_and_one_in_the_drop_zone_are_marked(self) -> None:
        script = Script(QUALIFYING)
        script.line(1, "7", Position="16", KnockedOut=True, Cutoff=False)
        script.line(1, "8", Position="12", KnockedOut=False, Cutoff=True)
        lines = to_fields(self.tower(script))["lines"]
        assert lines == {"7": {"p": 16, "ko": True}, "8": {"p": 12, "dz": True}}


class TestLiveDocuments:
    def test_entries_are_who_is_in_which_car(self) -> None:
        script = Script()
        script.tell(
            1,
            "DriverList",
            {
                "7": {
                    "RacingNumber": "7", "Tla": "AAA", "BroadcastName": "A ABLE", "FullName": "Anne ABLE",
                    "TeamName": "Example", "TeamColour": "#e8002d",
                },
                "8": {"RacingNumber": "8", "Tla": "BBB"},
                "_kf": True,
            },
        )  # fmt: skip
        script.tell(2, "TimingAppData", {"Lines": {"7": {"GridPos": "4"}, "8": {"GridPos": "0"}}})
        entries = script.document(change.ENTRIES)
        assert isinstance(entries, EntriesDocument)
        assert fields(entries)["lines"] == {
            "7": {
                "tla": "AAA", "broadcastName": "A ABLE", "fullName": "Anne ABLE", "teamName": "Example",
                "teamColour": "E8002D", "grid": 4,
            },
            "8": {"tla": "BBB"},
        }  # fmt: skip

    @pytest.mark.parametrize(
        "what", [change.ENTRIES, change.TYRES, change.SEGMENTS, change.POSITIONS, change.TELEMETRY]
    )
    def test_there_is_none_before_there_is_anything_to_say(self, what: str) -> None:
        assert project(Script().state, Change(what)) is None

    def test_there_is_no_segments_document_of_cars_without_any(self) -> None:
        script = Script()
        script.line(1, Sectors=[{"Value": "30.1"}])
        assert project(script.state, Change(change.SEGMENTS)) is None

    def test_mini_sectors_are_letters(self) -> None:
        script = Script()
        codes = (0, 2048, 2049, 2051, 2052, 2064, 2068, 9999, None)
        script.line(1, "7", Sectors=[{"Segments": [{"Status": code} for code in codes]}, {"Segments": []}])
        script.line(2, "7", Sectors={"0": {"Segments": {"0": {"Status": 2049}}}})
        segments = script.document(change.SEGMENTS)
        assert isinstance(segments, SegmentsDocument)
        assert fields(segments)["lines"] == {"7": {"s1": "gygpxbx?-"}}

    def test_positions_hold_every_sample_since_the_last_time_once(self) -> None:
        script = Script()
        for second in (1, 2):
            at = f"2030-06-02T12:00:0{second}.5Z"
            off = {**PLACE, "Status": "OffTrack"}
            script.tell(
                second, "Position", {"Position": [{"Timestamp": at, "Entries": {"7": PLACE, "8": off, "9": {"X": 1}}}]}
            )
        document = script.document(change.POSITIONS)
        assert isinstance(document, PositionsDocument)
        place = {"x": -1_200, "y": 340, "z": 12}
        assert fields(document)["samples"] == [
            {
                "at": datetime(2030, 6, 2, 12, 0, second, 500_000, tzinfo=UTC),
                "lines": {"7": place, "8": {**place, "offTrack": True}},
            }
            for second in (1, 2)
        ]
        assert project(script.state, Change(change.POSITIONS)) is None

    def test_telemetry_names_its_channels_and_leaves_out_those_gone_since_2026(self) -> None:
        script = Script()
        gone = {"Channels": {"0": 11_000, "2": 301}}
        script.tell(1, "CarData", {"Entries": [{"Utc": "2030-06-02T12:00:01.5Z", "Cars": {"7": CHANNELS, "8": gone}}]})
        document = script.document(change.TELEMETRY)
        assert isinstance(document, TelemetryDocument)
        assert fields(document)["samples"][0]["lines"] == {
            "7": {"rpm": 11_000, "speedKph": 301, "gear": 8, "throttle": 100, "brake": 0, "drs": 12},
            "8": {"rpm": 11_000, "speedKph": 301},
        }
        assert project(script.state, Change(change.TELEMETRY)) is None

    @pytest.mark.parametrize(
        ("topic", "what", "data"),
        [
            ("Position", change.POSITIONS, {"Position": [{"Timestamp": "", "Entries": {"7": PLACE}}]}),
            ("CarData", change.TELEMETRY, {"Entries": [{"Utc": "", "Cars": {"7": CHANNELS}}]}),
        ],
    )
    def test_of_a_burst_only_the_newest_samples_are_kept(self, topic: str, what: str, data: Any) -> None:
        script = Script()
        for n in range(MAX_SAMPLES + 9):
            script.tell(n / 10, topic, data)
        document = script.document(what)
        assert isinstance(document, PositionsDocument | TelemetryDocument)
        assert len(document.samples) == MAX_SAMPLES
        assert document.samples[-1].at == instant(START) + timedelta(seconds=(MAX_SAMPLES + 8) / 10)

    def test_samples_without_a_car_make_no_document(self) -> None:
        script = Script()
        script.tell(1, "Position", {"Position": [{"Timestamp": "", "Entries": {"7": {"X": 1}}}]})
        script.tell(1, "CarData", {"Entries": [{"Utc": "", "Cars": {"7": {}}}]})
        assert project(script.state, Change(change.POSITIONS)) is None
        assert project(script.state, Change(change.TELEMETRY)) is None


class TestDriversAndLaps:
    def test_a_driver_is_known_by_the_list_before_any_timing(self) -> None:
        script = Script()
        script.tell(
            1,
            "DriverList",
            {
                "7": {
                    "RacingNumber": "7", "Tla": "AAA", "FirstName": "Anne", "LastName": "Able",
                    "Reference": "ANNABL01", "CountryCode": "EXA", "HeadshotUrl": "https://example.com/able.png",
                }
            },
        )  # fmt: skip
        driver = script.document(change.DRIVER, "7")
        assert fields(driver) == {
            "racingNumber": "7", "tla": "AAA", "firstName": "Anne", "lastName": "Able", "reference": "ANNABL01",
            "countryCode": "EXA", "headshotUrl": "https://example.com/able.png",
            "stints": [], "pitStops": [], "status": "running",
        }  # fmt: skip

    def test_a_car_nobody_knows_has_no_document(self) -> None:
        assert project(Script().state, Change(change.DRIVER, "99")) is None

    def test_a_lap_nobody_drove_has_no_document(self) -> None:
        assert project(Script().state, Change(change.LAP, 3)) is None

    @pytest.mark.parametrize(
        ("line", "status"),
        [
            ({}, "running"),
            ({"Stopped": True}, "stopped"),
            ({"Stopped": True, "Retired": True}, "retired"),
            ({"KnockedOut": True, "Stopped": True}, "knockedOut"),
        ],
    )
    def test_status_of_a_driver(self, line: dict[str, Any], status: str) -> None:
        script = Script(QUALIFYING)
        script.line(1, Position="3", **line)
        driver = script.document(change.DRIVER, "7")
        assert isinstance(driver, DriverDocument)
        assert driver.status == status

    def test_best_of_each_part_of_qualifying(self) -> None:
        script = Script(QUALIFYING)
        for part, ms in ((1, 81_000), (2, 80_000)):
            script.line(
                part * 100,
                BestLapTime={"Value": lap_time(ms), "Lap": part * 3},
                BestLapTimes={str(part - 1): {"Value": lap_time(ms), "Lap": part * 3}},
            )
        driver = fields(script.document(change.DRIVER, "7"))
        assert driver["bestByPart"] == {
            "1": {"lapTimeMs": 81_000, "lap": 3},
            "2": {"lapTimeMs": 80_000, "lap": 6},
        }
        assert (driver["bestLapMs"], driver["bestLap"]) == (80_000, 6)

    def test_a_lap_holds_everything_known_of_it(self) -> None:
        script = Script(laps=50)
        script.tell(0, "TrackStatus", {"Status": "1", "Message": "AllClear"})
        script.line(0, Position="2", GapToLeader="+3.500", Sectors=[{}, {}, {}])
        script.stints(0, [{"Compound": "SOFT", "New": "false", "StartLaps": 3, "TotalLaps": 3}])
        at = script.lap(0, 1, SECTORS, first=True)
        script.line(at + 10, Speeds={"I1": {"Value": "301"}, "I2": {"Value": ""}, "ST": {"Value": "327"}})
        script.tell(at + 20, "TrackStatus", {"Status": "2", "Message": "Yellow"})
        end = script.lap(at, 2, SECTORS)
        script.finish()
        laps = script.document(change.LAP, 2)
        assert isinstance(laps, LapDocument)
        assert fields(laps) == {
            "lap": 2,
            "drivers": {
                "7": {
                    "lapTimeMs": sum(SECTORS),
                    "sector1Ms": SECTORS[0],
                    "sector2Ms": SECTORS[1],
                    "sector3Ms": SECTORS[2],
                    "speeds": {"i1Kph": 301, "stKph": 327},
                    "position": 1,
                    "stint": 1,
                    "compound": "SOFT",
                    "tyreAge": 5,
                    "tyreNew": False,
                    "trackStatuses": ["1", "2"],
                    "personalBest": True,
                    "startedAt": instant(START + round(at * 1_000)),
                    "endedAt": instant(START + round(end * 1_000)),
                    "timeSource": "feed",
                }
            },
        }

    def test_a_lap_that_is_known_only_to_have_been_driven_says_no_more(self) -> None:
        script = Script(laps=50)
        script.line(90, NumberOfLaps=1)
        script.line(180, NumberOfLaps=2)
        script.finish()
        lap = fields(script.document(change.LAP, 2))["drivers"]["7"]
        assert lap.keys() == {"position", "startedAt", "endedAt"}


class TestSeries:
    def test_race_control_says_all_the_feed_says(self) -> None:
        script = Script()
        told = {
            "Utc": "2030-06-02T12:30:00", "Lap": 3, "Category": "Flag", "Flag": "DOUBLE YELLOW", "Scope": "Sector",
            "Sector": 11, "Message": "DOUBLE YELLOW IN TRACK SECTOR 11", "RacingNumber": "7", "Status": "DEPLOYED",
            "Mode": "SAFETY CAR",
        }  # fmt: skip
        script.tell(1, "RaceControlMessages", {"Messages": {"4": told}})
        document = script.document(change.RACE_CONTROL, 4)
        assert isinstance(document, RaceControlDocument)
        assert to_fields(document) == {
            "at": datetime(2030, 6, 2, 12, 30, tzinfo=UTC),
            "n": 4, "message": "DOUBLE YELLOW IN TRACK SECTOR 11", "lap": 3, "category": "Flag",
            "flag": "DOUBLE YELLOW", "scope": "Sector", "sector": 11, "racingNumber": "7", "status": "DEPLOYED",
            "mode": "SAFETY CAR",
        }  # fmt: skip

    def test_team_radio_names_its_car_and_where_it_can_be_heard(self) -> None:
        script = Script()
        capture = {"Utc": "2030-06-02T12:30:00.123Z", "RacingNumber": "7", "Path": "TeamRadio/AAA_7.mp3"}
        script.tell(1, "TeamRadio", {"Captures": [capture]})
        document = script.document(change.TEAM_RADIO, 0)
        assert isinstance(document, TeamRadioDocument)
        assert fields(document) == {"n": 0, "racingNumber": "7", "path": "TeamRadio/AAA_7.mp3"}
        assert document.at == datetime(2030, 6, 2, 12, 30, 0, 123_000, tzinfo=UTC)

    def test_statuses_are_numbered_as_they_came(self) -> None:
        script = Script()
        script.tell(5, "TrackStatus", {"Status": "4", "Message": "SCDeployed"})
        script.status(9, "Aborted")
        track, session = script.document(change.TRACK_STATUS, 0), script.document(change.SESSION_STATUS, 1)
        assert to_fields(track) == {"at": instant(START + 5_000), "n": 0, "code": "4", "message": "SCDeployed"}
        assert to_fields(session) == {"at": instant(START + 9_000), "n": 1, "status": "Aborted"}
