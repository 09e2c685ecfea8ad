"""One module knows where documents are: what it builds it also recognises, and nothing else."""

from __future__ import annotations

import pytest

from pitwall.documents import paths
from pitwall.documents.paths import KINDS, UnknownPath, kind_of, valid_id

BUILT = {
    paths.session("9845"): "session",
    paths.live("9845", "timing"): "timing",
    paths.live("9845", "entries"): "entries",
    paths.live("9845", "tyres"): "tyres",
    paths.live("9845", "segments"): "segments",
    paths.live("9845", "positions"): "positions",
    paths.live("9845", "telemetry"): "telemetry",
    paths.live("9845", "feed"): "feed",
    paths.car_telemetry("9845", "7A"): "carTelemetry",
    paths.tower_slot("9845", 0): "tower",
    paths.driver("9845", "7A"): "driver",
    paths.lap("9845", 12): "lap",
    paths.series("9845", "raceControl", 0): "raceControl",
    paths.series("9845", "weather", 1): "weather",
    paths.series("9845", "trackStatus", 2): "trackStatus",
    paths.series("9845", "sessionStatus", 3): "sessionStatus",
    paths.series("9845", "teamRadio", 4): "teamRadio",
    paths.series("9845", "gaps", 0): "gap",
    paths.job("archive", "9845"): "job",
    paths.schedule("f1"): "schedule",
    paths.event(2025, "21"): "event",
    paths.event(2026, "testing-1"): "event",
    paths.user("u1"): "user",
    paths.api_key("0" * 64): "apiKey",
    paths.economy(): "economy",
    paths.telemetry_requests("9845"): "telemetryRequest",
    paths.privacy_request("0" * 32): "privacyRequest",
    paths.result("9845", "44"): "result",
    paths.season(2025): "season",
    paths.standings(2025, "drivers"): "standings",
    paths.circuit("interlagos"): "circuit",
    paths.circuit_live("ardenmoor"): "appTiming",
    paths.connection("ardenmoor", "1"): "connection",
    paths.notice("ardenmoor", "1"): "notice",
    paths.circuit_format("ardenmoor"): "format",
    paths.circuit_analysis("ardenmoor"): "analysis",
    paths.started(): "started",
    paths.live("9845", "endurance"): "endurance",
    paths.layout("interlagos", 2025): "layout",
    paths.profile("hamilton"): "driverProfile",
    paths.driver_season("hamilton", 2025): "driverSeason",
    paths.constructor("ferrari"): "constructor",
    paths.constructor_season("ferrari", 2025): "constructorSeason",
    paths.contribution(2025, 21): "contribution",
}


def test_every_kind_has_a_path_that_is_built_here():
    assert set(BUILT.values()) == {kind.name for kind in KINDS}


@pytest.mark.parametrize(("path", "kind"), BUILT.items())
def test_a_path_is_recognised_as_the_kind_stored_there(path: str, kind: str):
    assert kind_of(path).name == kind


@pytest.mark.parametrize(
    "path",
    [
        "",
        "sessions",
        "sessions/",
        "/sessions/9845",
        "sessions//laps/1",
        "sessions/9845/laps",
        "sessions/9845/laps/1/cars/44",
        "sessions/9845/live/nothing",
        "economy/other",
        "sessions/../live/timing",
        "sessions/__9845__",
        "sessions/98\x0045",
        "users/1/sessions",
        "leases/f1",
    ],
)
def test_a_path_where_nothing_is_stored_is_refused(path: str):
    with pytest.raises(UnknownPath):
        kind_of(path)


@pytest.mark.parametrize("value", ["9845", "kart-lemans-2024_1", "7A", "012", "a" * 128, "épreuve", "..."])
def test_firestore_takes_these_ids(value: str):
    assert valid_id(value)


@pytest.mark.parametrize(
    "value", ["", ".", "..", "__x__", "____", "a/b", "a\nb", "9845\n", "\x00", "\x1f", "a" * 129, "a" * 2048]
)
def test_these_ids_are_refused(value: str):
    assert not valid_id(value)


def test_tower_slots_go_round_every_125_seconds_of_feed_time():
    base = 1_700_000_000_000 // 125_000 * 125_000
    slots = [paths.tower_slot("9845", base + 5_000 * i) for i in range(26)]
    assert len(set(slots)) == 25
    assert slots[25] == slots[0]


def test_a_tower_slot_lasts_five_seconds():
    base = 1_700_000_000_000 // 5_000 * 5_000
    assert paths.tower_slot("9845", base) == paths.tower_slot("9845", base + 4_999)
    assert paths.tower_slot("9845", base) != paths.tower_slot("9845", base + 5_000)
