"""The indexes of the archive: what a season has, and what the words people use for its sessions mean."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from pitwall.sources.archive import AmbiguousSession, ArchivedSession, ArchiveError, SessionNotFound
from pitwall.sources.archive.index import ArchivedFeed, only, read_feeds, read_season, search


def meeting(
    number: int, name: str, location: str, country: str, code: str, *names: str, key: int = 0
) -> dict[str, Any]:
    folder = f"2024/2024-01-{number:02d}_{name.replace(' ', '_')}"
    sessions = [
        {
            "Key": 100 * number + index,
            "Type": "Practice" if "Practice" in session else "Race" if session in ("Race", "Sprint") else "Qualifying",
            "Name": session,
            "StartDate": "2024-01-01T14:00:00",
            "EndDate": "2024-01-01T15:00:00",
            "GmtOffset": "-03:00:00",
            "Path": f"{folder}/{session.replace(' ', '_')}/",
        }
        for index, session in enumerate(names)
    ]
    return {
        "Key": key or 1200 + number,
        "Number": number,
        "Name": name,
        "Location": location,
        "Country": {"Code": code, "Name": country},
        "Circuit": {"ShortName": location},
        "Sessions": sessions,
    }


WEEKEND = ("Practice 1", "Practice 2", "Practice 3", "Qualifying", "Race")
SPRINT_WEEKEND = ("Practice 1", "Sprint Qualifying", "Sprint", "Qualifying", "Race")
SEASON = read_season(
    2024,
    {
        "Meetings": [
            meeting(1, "Pre-Season Testing", "Sakhir", "Bahrain", "BRN", "Practice 1", key=1228),
            meeting(1, "Bahrain Grand Prix", "Sakhir", "Bahrain", "BRN", *WEEKEND),
            meeting(7, "Emilia Romagna Grand Prix", "Imola", "Italy", "ITA", *WEEKEND),
            meeting(16, "Italian Grand Prix", "Monza", "Italy", "ITA", *WEEKEND),
            meeting(19, "United States Grand Prix", "Austin", "United States", "USA", *SPRINT_WEEKEND),
            meeting(21, "São Paulo Grand Prix", "São Paulo", "Brazil", "BRA", *SPRINT_WEEKEND),
            meeting(22, "Las Vegas Grand Prix", "Las Vegas", "United States", "USA", *WEEKEND),
        ]
    },
)


def found(words: str, session: str = "Race") -> str:
    return only(search(SEASON, words, session), f"{words} {session}").label


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Bahrain Grand Prix", "Bahrain Grand Prix"),
        ("monza", "Italian Grand Prix"),
        ("Sao Paulo", "São Paulo Grand Prix"),
        ("SÃO-PAULO", "São Paulo Grand Prix"),
        ("brazil", "São Paulo Grand Prix"),
        ("BRA", "São Paulo Grand Prix"),
        ("vegas", "Las Vegas Grand Prix"),
        ("emilia", "Emilia Romagna Grand Prix"),
        ("16", "Italian Grand Prix"),
        ("1221", "São Paulo Grand Prix"),
    ],
)
def test_meeting_is_found_by_the_words_people_use(words: str, name: str) -> None:
    assert found(words) == f"2024 {name}, Race"


def test_round_is_never_a_test() -> None:
    assert found("1") == "2024 Bahrain Grand Prix, Race"


def test_test_is_found_by_its_name() -> None:
    assert found("testing", "Practice 1") == "2024 Pre-Season Testing, Practice 1"


def test_own_name_goes_before_the_country() -> None:
    assert found("United States") == "2024 United States Grand Prix, Race"


def test_words_for_two_meetings_are_refused_with_both() -> None:
    with pytest.raises(AmbiguousSession) as error:
        search(SEASON, "Italy", "Race")
    assert error.value.choices == ("Emilia Romagna Grand Prix", "Italian Grand Prix")
    assert "Emilia Romagna Grand Prix, Italian Grand Prix" in str(error.value)


def test_unknown_meeting_is_told_with_what_there_is() -> None:
    with pytest.raises(SessionNotFound, match="no meeting called 'Atlantis'") as error:
        search(SEASON, "Atlantis")
    assert "Las Vegas Grand Prix (round 22)" in error.value.choices
    assert "Pre-Season Testing (testing)" in error.value.choices


def test_unknown_session_is_told_with_what_there_is() -> None:
    with pytest.raises(SessionNotFound, match="no session called 'Sprint'") as error:
        search(SEASON, "Monza", "Sprint")
    assert error.value.choices == WEEKEND


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Sprint", "Sprint"),
        ("sprint qualifying", "Sprint Qualifying"),
        ("Shootout", "Sprint Qualifying"),
        ("SQ", "Sprint Qualifying"),
        ("Q", "Qualifying"),
        ("fp1", "Practice 1"),
        ("R", "Race"),
        ("1902", "Sprint"),
    ],
)
def test_session_is_found_by_name_short_form_and_key(words: str, name: str) -> None:
    assert found("Austin", words) == f"2024 United States Grand Prix, {name}"


def test_three_practices_are_refused_where_one_is_asked_for() -> None:
    with pytest.raises(AmbiguousSession, match=r"Practice 1; .*Practice 3"):
        found("Monza", "Practice")


def test_empty_words_stand_for_any() -> None:
    assert search(SEASON) == SEASON
    assert [session.name for session in search(SEASON, "Monza")] == list(WEEKEND)
    assert [session.meeting for session in search(SEASON, "", "Sprint")] == [
        "United States Grand Prix",
        "São Paulo Grand Prix",
    ]


def test_instants_are_utc() -> None:
    assert SEASON[0].start == datetime(2024, 1, 1, 17, tzinfo=UTC)
    assert SEASON[0].end == datetime(2024, 1, 1, 18, tzinfo=UTC)


@pytest.mark.parametrize("index", [None, [], {}, {"Meetings": None}, {"Meetings": "x"}])
def test_something_else_than_an_index_is_an_error(index: Any) -> None:
    with pytest.raises(ArchiveError):
        read_season(2024, index)


def test_odd_entries_cost_only_themselves() -> None:
    index = {"Meetings": [None, 3, {"Name": "A"}, {"Name": "B", "Sessions": [None, {"Name": "Race", "Path": 7}, {}]}]}
    assert [(session.meeting, session.name, session.start) for session in read_season(2024, index)] == [
        ("B", "Race", None),
        ("B", "", None),
    ]


def test_feeds_of_a_session() -> None:
    index = {
        "Feeds": {
            "CarData.z": {"KeyFramePath": "CarData.z.json", "StreamPath": "CarData.z.jsonStream"},
            "ArchiveStatus": {"KeyFramePath": "ArchiveStatus.json"},
            "TimingData": {"StreamPath": "../../../etc/passwd"},
            "Odd": None,
        }
    }
    assert read_feeds(index) == [
        ArchivedFeed("CarData.z", "CarData.z.json", "CarData.z.jsonStream"),
        ArchivedFeed("ArchiveStatus", "ArchiveStatus.json", ""),
        ArchivedFeed("TimingData", "", ""),
    ]


# -- F1's own indexes ------------------------------------------------------------------------


def season(static: Path, year: int) -> list[ArchivedSession]:
    content = (static / f"{year}/Index.json").read_bytes()
    return read_season(year, orjson.loads(content.decode("utf-8-sig")))


@pytest.mark.parametrize(("year", "count"), [(2019, 105), (2021, 111), (2022, 113), (2023, 116)])
def test_every_session_of_a_real_season_is_read(static_archive: Path, year: int, count: int) -> None:
    assert len(season(static_archive, year)) == count


def test_sessions_that_were_not_held_have_no_path(static_archive: Path) -> None:
    japan = [session for session in season(static_archive, 2019) if not session.path]
    assert [session.label for session in japan] == ["2019 Japanese Grand Prix, Practice 3"]
    qatar = [session for session in season(static_archive, 2023) if not session.path]
    assert [(session.name, session.key) for session in qatar] == [("Qualifying", ""), ("Race", ""), ("Race", "")]


def test_2022_has_a_test_with_the_number_of_its_second_race(static_archive: Path) -> None:
    race = only(search(season(static_archive, 2022), "2", "Race"), "2 Race")
    assert race.meeting == "Saudi Arabian Grand Prix"


@pytest.mark.parametrize(
    ("year", "words", "session", "path"),
    [
        (2023, "Baku", "Shootout", "2023/2023-04-30_Azerbaijan_Grand_Prix/2023-04-29_Sprint_Shootout/"),
        (2021, "Silverstone", "Sprint", "2021/2021-07-18_British_Grand_Prix/2021-07-17_Sprint_Qualifying/"),
        (2019, "Montreal", "Race", "2019/2019-06-09_Canadian_Grand_Prix/2019-06-09_Race/"),
        (2021, "Portimao", "Q", "2021/2021-05-02_Portuguese_Grand_Prix/2021-05-01_Qualifying/"),
    ],
)
def test_real_sessions_are_found(static_archive: Path, year: int, words: str, session: str, path: str) -> None:
    assert only(search(season(static_archive, year), words, session), words).path == path
