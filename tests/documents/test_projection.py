"""From a session's state to its documents: each says what the feed said, and nothing where it said nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from local.simulator import quick_race
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
from pitwall.documents.session import RaceControlDocument, SessionDocument, TeamRadioDocument, WeatherDocument
from pitwall.message import Message
from pitwall.timing import change
from pitwall.timing.change import Change
from pitwall.timing.state import SessionState
from tests.documents.examples import WRITTEN_AT, V
from tests.timing.script import PRACTICE, QUALIFYING, RACE, START, Script, lap_time, seconds
from tests.timing.test_any_payload import messages

SECTORS = (30_100, 29_200, 25_300)
NOT_OF_THE_STATE = {"feed", "tower"}
"""Kinds that the pipeline makes: how the feed is, and copies of the tower."""


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
        expected = {kind.name for kind in KINDS} - NOT_OF_THE_STATE - {"positions", "telemetry"}
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
            ("Position", {"Position": [{"Timestamp": "0001-01-01T00:00:00Z", "Entries": {"7": {"X": 1, "Y": 2, "Z": 3}}}]}),
            ("CarData", {"Entries": [{"Utc": "", "Cars": {"7": {"Channels": {"0": "x"}}, "8": {"Channels": {"0": 1}}}}]}),
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
