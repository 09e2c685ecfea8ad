"""What is corrected from the archive, and what is kept as live had it."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pitwall.documents.encoding import to_fields
from pitwall.history.differences import Archived, Difference, Fields, differences, summary
from tests.documents.examples import EXAMPLES

TOPICS = frozenset(
    {"SessionInfo", "SessionData", "SessionStatus", "TrackStatus", "DriverList", "TimingData", "TimingAppData"}
    | {"LapCount", "ExtrapolatedClock", "RaceControlMessages", "WeatherData", "TeamRadio", "PitLaneTimeCollection"}
)
SESSION, LAP, DRIVER = "sessions/9845", "sessions/9845/laps/8", "sessions/9845/drivers/44"
ENTRIES, TYRES = "sessions/9845/live/entries", "sessions/9845/live/tyres"
WEATHER, RACE_CONTROL = "sessions/9845/weather/5", "sessions/9845/raceControl/3"
SECOND = timedelta(seconds=1)


def archived(*paths: str, without: str = "") -> Archived:
    """The example documents at `paths` as an archive has them that lacks the topics `without`."""
    documents = {path: to_fields(EXAMPLES[path]) for path in paths}
    return Archived("9845", copy.deepcopy(documents), TOPICS - set(without.split()), 100, 0)


def stored(*paths: str) -> dict[str, Fields]:
    """The example documents at `paths` as they are stored."""
    documents = {path: to_fields(EXAMPLES[path]) for path in paths}
    return {
        path: {**fields, "v": 7, "writtenAt": datetime.now(UTC)} for path, fields in copy.deepcopy(documents).items()
    }


def one(archive: Archived, before: dict[str, Fields], *, live: bool = True) -> Fields:
    """The only correction there is, as it is to be stored; with it nothing differs any longer."""
    (found,) = differences(archive, before, live=live)
    assert found.fields is not None
    assert differences(archive, {**before, found.path: found.fields}, live=live) == []
    return found.fields


RESULT = "sessions/9845/results/44"
EVERY = tuple(path for path in EXAMPLES if path.startswith("sessions/") and path != RESULT)


def test_what_is_stored_as_the_archive_has_it_is_left_alone() -> None:
    assert differences(archived(*EVERY), stored(*EVERY), live=True) == []


def test_results_are_of_another_job_and_stay() -> None:
    assert differences(archived(*EVERY), stored(*EVERY, RESULT), live=True) == []


def test_what_is_not_stored_is_added_but_for_what_is_of_the_moment() -> None:
    found = differences(archived(*EVERY), {}, live=False)
    passing = ("live/segments", "live/positions", "live/telemetry", "live/feed", "live/endurance", "towers/7", "gaps/0")
    stays = (path for path in EVERY if not path.endswith(passing) and "/telemetry/" not in path)
    assert [difference.path for difference in found] == sorted(stays)
    assert all(difference.fields == to_fields(EXAMPLES[difference.path]) for difference in found)


@pytest.mark.parametrize("off", [-3 * SECOND, SECOND, 3 * SECOND])
def test_an_instant_within_three_seconds_is_kept(off: timedelta) -> None:
    before = stored(*EVERY)
    for fields in before.values():
        fields["at"] += off
    before[LAP]["drivers"]["44"]["startedAt"] += off
    before[SESSION]["clock"]["at"] += off
    assert differences(archived(*EVERY), before, live=True) == []


@pytest.mark.parametrize("path", [LAP, DRIVER, SESSION, WEATHER])
def test_an_instant_further_away_is_the_archives(path: str) -> None:
    before = stored(path)
    before[path]["at"] += 3.001 * SECOND
    assert one(archived(path), before) == to_fields(EXAMPLES[path])


def test_a_correction_keeps_the_instants_that_are_the_same() -> None:
    before = stored(LAP)
    kept = before[LAP]["drivers"]["44"]["endedAt"] = before[LAP]["drivers"]["44"]["endedAt"] + SECOND
    before[LAP]["drivers"]["44"]["position"] = 19
    lap = one(archived(LAP), before)["drivers"]["44"]
    assert (lap["endedAt"], lap["position"]) == (kept, 2)


def test_a_speed_that_the_archive_does_not_have_was_of_another_lap() -> None:
    """In a simulated race a hole gave a car the speed of its next lap."""
    archive, before = archived(LAP), stored(LAP)
    del archive.documents[LAP]["drivers"]["44"]["speeds"]["stKph"]
    assert "stKph" not in one(archive, before)["drivers"]["44"]["speeds"]


def test_the_archives_final_mark_is_nobodys_business_here() -> None:
    before = stored(SESSION)
    before[SESSION]["final"] = True
    assert differences(archived(SESSION), before, live=True) == []
    before[SESSION]["status"] = "Aborted"
    assert one(archived(SESSION), before)["final"] is True


# -- laps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [72_346, None])
def test_a_corrected_lap_time_says_that_it_is_from_the_archive(known: int | None) -> None:
    before = stored(LAP)
    lap = before[LAP]["drivers"]["44"]
    if known is None:
        del lap["lapTimeMs"], lap["timeSource"]
    else:
        lap["lapTimeMs"] = known
    corrected = one(archived(LAP), before)["drivers"]["44"]
    assert (corrected["lapTimeMs"], corrected["timeSource"]) == (72_345, "archive")


def test_a_lap_of_which_only_something_else_was_wrong_keeps_its_source() -> None:
    before = stored(LAP)
    before[LAP]["drivers"]["44"]["sector2Ms"] = 1
    assert one(archived(LAP), before)["drivers"]["44"]["timeSource"] == "feed"


@pytest.mark.parametrize(("live", "source"), [(True, "archive"), (False, "feed")])
def test_a_lap_that_is_not_stored_was_lost_by_live_if_the_session_was_recorded_live(live: bool, source: str) -> None:
    assert one(archived(LAP), {}, live=live)["drivers"]["44"]["timeSource"] == source


def test_a_lap_the_archive_does_not_have_was_not_driven() -> None:
    before = stored(LAP, SESSION)
    before[LAP]["drivers"]["99"] = {"lapTimeMs": 1, "timeSource": "feed"}
    before["sessions/9845/laps/9"] = {"at": before[LAP]["at"], "lap": 9, "drivers": {"44": {}}}
    found = differences(archived(LAP, SESSION), before, live=True)
    assert [(difference.path, difference.fields is None) for difference in found] == [
        (LAP, False),
        ("sessions/9845/laps/9", True),
    ]
    assert found[0].fields is not None
    assert set(found[0].fields["drivers"]) == {"44"}


def test_a_derived_time_is_kept_with_the_instants_it_was_counted_between() -> None:
    archive, before = archived(LAP), stored(LAP)
    archive.documents[LAP]["drivers"]["44"] |= {"timeSource": "derived", "lapTimeMs": 72_400}
    before[LAP]["drivers"]["44"] |= {"timeSource": "derived", "lapTimeMs": 72_345}
    assert differences(archive, before, live=True) == []
    missed = copy.deepcopy(before)
    missed[LAP]["drivers"]["44"]["missed"] = True
    assert one(archive, missed)["drivers"]["44"]["lapTimeMs"] == 72_400
    before[LAP]["drivers"]["44"]["startedAt"] -= 60 * SECOND
    assert one(archive, before)["drivers"]["44"]["lapTimeMs"] == 72_400


def test_a_time_live_derived_and_the_archive_was_told_is_corrected() -> None:
    before = stored(LAP)
    before[LAP]["drivers"]["44"] |= {"timeSource": "derived", "lapTimeMs": 72_400}
    assert one(archived(LAP), before)["drivers"]["44"]["lapTimeMs"] == 72_345


# -- what only live knew -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("without", "path"),
    [
        ("RaceControlMessages", RACE_CONTROL),
        ("WeatherData", WEATHER),
        ("TeamRadio", "sessions/9845/teamRadio/0"),
        ("TrackStatus SessionData", "sessions/9845/trackStatus/1"),
        ("SessionStatus SessionData SessionInfo", "sessions/9845/sessionStatus/1"),
        ("TimingData", LAP),
        ("TimingData", DRIVER),
        ("DriverList", ENTRIES),
    ],
)
def test_documents_that_the_archive_has_no_topic_for_are_kept(without: str, path: str) -> None:
    before = stored(path)
    assert differences(archived(without=without), before, live=True) == []
    if path not in (ENTRIES,):
        assert [difference.fields for difference in differences(archived(), before, live=True)] == [None]


@pytest.mark.parametrize(
    ("without", "path", "keys"),
    [
        ("TimingAppData", LAP, "stint compound tyreAge tyreNew"),
        ("TrackStatus SessionData", LAP, "trackStatuses"),
        ("WeatherData", SESSION, "weather"),
        ("ExtrapolatedClock", SESSION, "clock"),
        ("LapCount SessionData", SESSION, "lapCount"),
        ("TimingAppData", TYRES, "compound age new stint"),
    ],
)
def test_fields_that_the_archive_has_no_topic_for_are_kept(without: str, path: str, keys: str) -> None:
    def lacking(archive: Archived) -> Archived:
        fields = archive.documents[path]
        for record in (fields.get("drivers") or fields.get("lines") or {"": fields}).values():
            for key in keys.split():
                record.pop(key, None)
        return archive

    assert differences(lacking(archived(path, without=without)), stored(path), live=True) == []
    corrected = one(lacking(archived(path)), stored(path))
    record = (corrected.get("drivers") or corrected.get("lines") or {"44": corrected})["44"]
    assert record.keys().isdisjoint(keys.split())


@pytest.mark.parametrize(
    ("path", "key"),
    [(DRIVER, "tla"), (DRIVER, "grid"), (ENTRIES, "grid"), (SESSION, "meeting")],
)
def test_what_only_live_knew_and_nothing_contradicts_is_kept(path: str, key: str) -> None:
    archive, before = archived(path), stored(path)
    fields = archive.documents[path]
    for record in (fields.get("drivers") or fields.get("lines") or {"": fields}).values():
        assert record.pop(key)
    assert differences(archive, before, live=True) == []


def test_an_archive_that_knows_who_drove_and_not_how_corrects_only_who() -> None:
    """As Bahrain 2023's in the pieces of F1's archive that there are."""
    archive, before = archived(DRIVER, without="TimingData TimingAppData"), stored(DRIVER)
    archive.documents[DRIVER] |= {"fullName": "Somebody Else", "pitStops": [], "stints": [], "status": "running"}
    del archive.documents[DRIVER]["bestLapMs"], archive.documents[DRIVER]["position"]
    assert one(archive, before) == {**to_fields(EXAMPLES[DRIVER]), "fullName": "Somebody Else"}
    assert differences(archive._replace(documents={}), before, live=True) == []
    assert len(differences(archive, {}, live=False)) == 1


def test_of_a_map_that_nothing_contradicts_single_keys_are_kept() -> None:
    archive, before = archived(SESSION), stored(SESSION)
    del archive.documents[SESSION]["meeting"]["officialName"]
    archive.documents[SESSION]["meeting"]["location"] = "Elsewhere"
    meeting = one(archive, before)["meeting"]
    assert (meeting["officialName"], meeting["location"]) == ("EXAMPLE GRAND PRIX 2025", "Elsewhere")


def test_a_time_in_the_pit_lane_that_only_live_was_told_is_kept_if_the_archive_counts() -> None:
    archive, before = archived(DRIVER, without="PitLaneTimeCollection"), stored(DRIVER)
    before[DRIVER]["pitStops"][0] |= {"laneTimeMs": 22_345, "stopTimeMs": 2_345}
    archive.documents[DRIVER]["pitStops"][0]["laneTimeMs"] = 0
    assert differences(archive, before, live=True) == []
    told = archived(DRIVER)
    assert one(told, before)["pitStops"][0]["laneTimeMs"] == 22_000


def test_a_time_in_the_pit_lane_that_live_counted_from_a_wrong_instant_is_corrected() -> None:
    """Live heard nothing when the car left, and took the next it heard of it for that (Imola 2025, qualifying)."""
    archive, before = archived(DRIVER, without="PitLaneTimeCollection"), stored(DRIVER)
    came = archive.documents[DRIVER]["pitStops"][0]["inAt"]
    archive.documents[DRIVER]["pitStops"][0] |= {"outAt": came + 400 * SECOND, "laneTimeMs": 400_000}
    before[DRIVER]["pitStops"][0] |= {"outAt": came + 1600 * SECOND, "laneTimeMs": 1_600_000}
    assert one(archive, before)["pitStops"] == archive.documents[DRIVER]["pitStops"]


def test_a_stop_that_live_missed_leaves_the_instants_of_the_other_ones_alone() -> None:
    archive, before = archived(DRIVER), stored(DRIVER)
    kept = before[DRIVER]["pitStops"][0]["inAt"] = before[DRIVER]["pitStops"][0]["inAt"] + SECOND
    missed: dict[str, Any] = {"lap": 2, "inAt": kept - 300 * SECOND, "stop": True}
    archive.documents[DRIVER]["pitStops"].insert(0, missed)
    assert [stop["inAt"] for stop in one(archive, before)["pitStops"]] == [missed["inAt"], kept]


# -- series --------------------------------------------------------------------------------


def test_an_item_of_a_series_is_replaced_whole() -> None:
    before = stored(WEATHER)
    before[WEATHER]["at"] += SECOND
    before[WEATHER]["weather"]["airTemp"] = 1.0
    assert one(archived(WEATHER), before) == to_fields(EXAMPLES[WEATHER])


def test_items_beyond_the_archives_are_deleted() -> None:
    before = stored(WEATHER, RACE_CONTROL)
    before["sessions/9845/weather/6"] = {**before[WEATHER], "n": 6}
    (found,) = differences(archived(WEATHER, RACE_CONTROL), before, live=True)
    assert (found.path, found.fields) == ("sessions/9845/weather/6", None)


# -- gaps ----------------------------------------------------------------------------------

GAP = "sessions/9845/gaps/0"


def test_a_gap_that_the_archive_has_filled_is_deleted() -> None:
    (found,) = differences(archived(), stored(GAP), live=True)
    assert (found.path, found.fields) == (GAP, None)


def test_a_gap_in_what_the_archive_does_not_have_either_stays() -> None:
    before = stored(GAP)
    before[GAP] |= {"series": ["raceControl", "weather"], "laps": {"44": [3]}}
    left = one(archived(without="WeatherData"), before)
    assert (left["series"], left["laps"]) == (["weather"], {})


def test_an_archive_without_timing_fills_no_gap() -> None:
    assert differences(archived(without="TimingData"), stored(GAP), live=True) == []


# -- in words ------------------------------------------------------------------------------


def test_laps_are_counted_car_by_car_with_the_names_of_what_changed() -> None:
    before = stored(LAP)
    before[LAP]["drivers"]["99"] = {}
    before[LAP]["drivers"]["44"]["speeds"]["i1Kph"] = 1
    archive = archived(LAP)
    archive.documents[LAP]["drivers"]["7"] = {}
    told = summary(differences(archive, before, live=True))["lap"]
    assert (told.added, told.changed, told.removed, told.fields) == (1, 1, 1, {"i1Kph": 1})
    assert told.examples == ["laps/8 car 44: speeds.i1Kph 1 -> 301", "laps/8 car 7 added", "laps/8 car 99 removed"]


def test_a_report_is_bounded_however_much_differs() -> None:
    many = [Difference(f"sessions/9845/weather/{n}", "weather", {"x" * 500: n}, {}) for n in range(10_000)]
    told = summary(many)["weather"]
    assert told.changed == 10_000
    assert len(told.examples) <= 20
    assert len(told.fields) <= 20
    assert max(map(len, told.examples)) <= 200
