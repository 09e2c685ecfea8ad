"""One calendar of two sources: each rule by a few lines, and then the seasons as they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from pitwall.documents.schedule import ScheduledSession
from pitwall.history.calendar import Row, fetch_fastf1
from pitwall.history.meetings import Meeting, identified, kept, merged, of_fastf1, of_index
from pitwall.history.zones import offset_at
from pitwall.settings import Settings
from pitwall.sources.archive.errors import ArchiveError
from tests.conftest import SHARED
from tests.history.webs import CONVENTIONAL, Web, event, fastf1_asks_at_once, meeting, serving_web, weekend

LATER = datetime(2031, 1, 1, tzinfo=UTC)
WEB = SHARED / "web"
needs_web = pytest.mark.skipif(
    not (WEB / "f1schedule").is_dir(), reason="stored web answers are not at ../shared/web: no real season to read"
)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """FastF1's own code asks this server; what no test has put there comes from the stored web."""
    with serving_web(WEB if WEB.is_dir() else None) as served, pytest.MonkeyPatch.context() as patch:
        fastf1_asks_at_once(patch)
        yield served


def indexed(*meetings: dict[str, Any], year: int = 2030) -> list[Meeting]:
    return of_index(year, {"Year": year, "Meetings": list(meetings)}, Counter())


def fetched(web: Web, year: int) -> list[Row]:
    return fetch_fastf1(Settings(f1schedule_url=web.schedules), year)


def told(web: Web, *events: dict[str, Any], year: int = 2030) -> list[Meeting]:
    """FastF1's meetings, read by FastF1 from a file with these events."""
    web.schedule(year, events)
    return of_fastf1(year, fetched(web, year), Counter())


def sessions(of: Meeting) -> dict[str, ScheduledSession]:
    return {session.name: session for session in of.sessions}


def starts(of: Meeting) -> dict[str, str]:
    return {session.name: session.start_date.isoformat() for session in of.sessions}


ITALY = ("Italian Grand Prix", "Monza", "02:00:00", weekend("2030-09-06"))
ITALY_FF1 = ("Italian Grand Prix", "Monza", "+02:00", weekend("2030-09-06"))


class TestTimes:
    def test_are_those_of_the_circuits_clocks_in_utc(self, web: Web) -> None:
        (of_f1,), (of_ff1,) = indexed(meeting(1, *ITALY)), told(web, event(1, *ITALY_FF1))
        assert starts(of_f1) == starts(of_ff1)
        assert starts(of_f1)["Race"] == "2030-09-08T13:00:00+00:00"

    def test_of_a_weekend_in_which_daylight_saving_ends_have_an_offset_each(self, web: Web) -> None:
        (mexico,) = told(web, event(1, "Mexico City Grand Prix", "Austin", "-06:00", weekend("2030-11-01")))
        found = sessions(mexico)
        assert (found["Qualifying"].gmt_offset, found["Race"].gmt_offset) == ("-05:00:00", "-06:00:00")
        assert found["Qualifying"].start_date == datetime(2030, 11, 2, 21, tzinfo=UTC)
        assert found["Race"].start_date == datetime(2030, 11, 3, 21, tzinfo=UTC)

    def test_of_an_evening_session_are_on_the_next_day_in_utc(self, web: Web) -> None:
        (vegas,) = told(web, event(1, "Las Vegas Grand Prix", "Las Vegas", "-08:00", [("Race", "2030-11-23T22:00:00")]))
        assert starts(vegas)["Race"] == "2030-11-24T06:00:00+00:00"

    def test_of_a_morning_session_are_on_the_day_before_in_utc(self) -> None:
        (melbourne,) = indexed(
            meeting(1, "Australian Grand Prix", "Melbourne", "11:00:00", [("Practice 1", "2030-03-08T09:30:00")])
        )
        assert starts(melbourne)["Practice 1"] == "2030-03-07T22:30:00+00:00"

    def test_an_offset_an_hour_wrong_is_put_right(self) -> None:
        """Brazil 2019: practice 1 had -02:00, as if there were still daylight saving."""
        (brazil,) = indexed(
            meeting(1, "Brazilian Grand Prix", "São Paulo", "-02:00:00", [("Practice 1", "2030-11-15T11:00:00")])
        )
        assert starts(brazil)["Practice 1"] == "2030-11-15T14:00:00+00:00"

    def test_an_offset_hours_away_is_believed(self) -> None:
        """The meeting has been moved, and its place still has the old name."""
        assert offset_at("Sakhir", datetime(2030, 4, 5, 18), timedelta(hours=8)) == timedelta(hours=8)

    def test_an_unknown_offset_is_that_of_the_place(self, web: Web) -> None:
        (monza,) = told(web, event(1, "Italian Grand Prix", "Monza", None, weekend("2030-09-06")))
        assert starts(monza)["Race"] == "2030-09-08T13:00:00+00:00"

    def test_of_a_place_nobody_knows_are_those_of_the_source(self, web: Web) -> None:
        (kyalami,) = told(web, event(1, "South African Grand Prix", "Kyalami", "+02:00", weekend("2030-09-06")))
        assert starts(kyalami)["Race"] == "2030-09-08T13:00:00+00:00"

    def test_the_clock_that_fastf1_tells_wins_and_the_length_is_the_indexs(self, web: Web) -> None:
        moved = [*ITALY[3][:3], ("Qualifying", "2030-09-08T10:00:00"), ITALY[3][4]]
        (one,) = merged(
            indexed(meeting(1, *ITALY)),
            told(web, event(1, "Italian Grand Prix", "Monza", "+02:00", moved)),
            LATER,
            Counter(),
        )
        qualifying = sessions(one)["Qualifying"]
        assert qualifying.start_date == datetime(2030, 9, 8, 8, tzinfo=UTC)
        assert qualifying.end_date - qualifying.start_date == timedelta(minutes=63)
        assert qualifying.session_key == "14"

    def test_a_session_without_end_has_its_usual_length(self, web: Web) -> None:
        found = sessions(told(web, event(1, *ITALY_FF1))[0])
        lengths = {name: (one.end_date - one.start_date) / timedelta(minutes=1) for name, one in found.items()}
        assert lengths == {"Practice 1": 60, "Practice 2": 60, "Practice 3": 60, "Qualifying": 60, "Race": 120}


class TestWhatThereIs:
    def test_key_and_path_come_from_the_index(self, web: Web) -> None:
        (one,) = merged(indexed(meeting(1, *ITALY)), told(web, event(16, *ITALY_FF1)), LATER, Counter())
        race = sessions(one)["Race"]
        assert (race.session_key, race.archive_path) == ("15", "2030/1/5/")
        assert (one.key, one.round) == ("1", 16)

    @pytest.mark.parametrize(
        ("format_", "names"),
        [
            ("sprint", ("Practice 1", "Qualifying", "Practice 2", "Sprint", "Race")),
            ("sprint_shootout", ("Practice 1", "Qualifying", "Sprint Shootout", "Sprint", "Race")),
            ("sprint_qualifying", ("Practice 1", "Sprint Qualifying", "Sprint", "Qualifying", "Race")),
        ],
    )
    def test_both_sources_mean_the_same_sessions_of_a_sprint_weekend(
        self, web: Web, format_: str, names: Sequence[str]
    ) -> None:
        days = weekend("2030-09-06", names)
        index = indexed(meeting(1, "Italian Grand Prix", "Monza", "02:00:00", days))
        (one,) = merged(
            index, told(web, event(1, "Italian Grand Prix", "Monza", "+02:00", days, format_)), LATER, Counter()
        )
        assert one.format == index[0].format == format_
        assert [(session.name, session.session_key) for session in one.sessions] == [
            (name, str(11 + n)) for n, name in enumerate(names)
        ]

    def test_the_sprint_that_was_called_sprint_qualifying_is_a_sprint(self) -> None:
        """2021."""
        told = meeting(1, "British Grand Prix", "Silverstone", "01:00:00", [("Sprint", "2021-07-17T16:30:00")])
        told["Sessions"][0]["Name"] = "Sprint Qualifying"
        (one,) = indexed(told, year=2021)
        assert (one.format, list(sessions(one))) == ("sprint", ["Sprint"])

    def test_tests_have_ids_of_their_own_and_no_round(self, web: Web) -> None:
        days = [[(f"Practice {n}", f"2030-02-{day + n}T10:00:00") for n in (1, 2, 3)] for day in (10, 17)]
        found = identified(
            merged(
                indexed(meeting(8, "Pre-Season Testing", "Sakhir", "03:00:00", days[1], number=2), meeting(1, *ITALY)),
                told(
                    web,
                    event(0, "Pre-Season Testing", "Bahrain", "+03:00", days[0], "testing"),
                    event(0, "Pre-Season Testing", "Bahrain", "+03:00", days[1], "testing"),
                    event(1, *ITALY_FF1),
                ),
                LATER,
                Counter(),
            )
        )
        assert {id_: (one.round, one.key) for id_, one in found.items()} == {
            "testing-1": (None, ""),
            "testing-2": (None, "8"),
            "1": (1, "1"),
        }

    def test_a_test_day_is_long_where_no_end_is_told(self, web: Web) -> None:
        (one,) = told(
            web, event(0, "Pre-Season Testing", "Bahrain", "+03:00", [("Practice 1", "2030-02-10T10:00:00")], "testing")
        )
        assert one.end - one.start == timedelta(hours=9)

    def test_a_placeholder_in_the_index_is_left_out(self) -> None:
        """Qatar 2023: sessions with key -1 and no name beside the real ones."""
        told = meeting(1, *ITALY)
        told["Sessions"].append({**told["Sessions"][4], "Key": -1, "Name": None, "Path": None})
        left_out: Counter[str] = Counter()
        (one,) = of_index(2030, {"Meetings": [told]}, left_out)
        assert [session.name for session in one.sessions] == list(CONVENTIONAL)
        assert left_out["placeholder"] == 1

    def test_a_session_months_from_its_meeting_is_left_out(self, web: Web) -> None:
        """Saudi Arabia 2021: a track test of March 2022."""
        stray = meeting(1, *ITALY[:3], [*ITALY[3], ("High Speed Track Test", "2031-01-05T19:00:00")])
        left_out: Counter[str] = Counter()
        (one,) = merged(indexed(stray), told(web, event(1, *ITALY_FF1)), LATER, left_out)
        assert "High Speed Track Test" not in sessions(one)
        assert left_out["stray-session"] == 1

    def test_a_session_without_start_is_left_out_and_counted(self) -> None:
        told = meeting(1, *ITALY)
        told["Sessions"][0]["StartDate"] = ""
        left_out: Counter[str] = Counter()
        (one,) = of_index(2030, {"Meetings": [told]}, left_out)
        assert "Practice 1" not in sessions(one)
        assert left_out["no-start"] == 1

    @pytest.mark.parametrize("index", [{}, {"Meetings": []}, {"Meetings": [{"Name": "x"}]}, []], ids=str)
    def test_an_index_without_sessions_is_no_calendar(self, index: Any) -> None:
        with pytest.raises(ArchiveError):
            of_index(2030, index, Counter())


IMOLA = ("Emilia Romagna Grand Prix", "Imola", "02:00:00", weekend("2030-05-19"))
MONACO = ("Monaco Grand Prix", "Monaco", "02:00:00", weekend("2030-05-26"))


def offset(told: tuple[Any, ...]) -> tuple[Any, ...]:
    """Name, place, offset and sessions as FastF1 has them."""
    return told[0], told[1], f"+{told[2][:5]}", told[3]


class TestCancelled:
    def test_a_race_that_fastf1_does_not_list_and_f1_has_no_archive_of_is_cancelled(self, web: Web) -> None:
        imola, monaco = merged(
            indexed(meeting(1, *IMOLA, number=6, held=False), meeting(2, *MONACO, number=7)),
            told(web, event(6, *offset(MONACO))),
            LATER,
            Counter(),
        )
        assert (imola.name, imola.cancelled, imola.round) == ("Emilia Romagna Grand Prix", True, None)
        assert all(session.cancelled for session in imola.sessions)
        assert (monaco.cancelled, monaco.round) == (False, 6)

    def test_a_past_race_that_the_index_passed_over_is_cancelled(self, web: Web) -> None:
        fastf1 = told(web, event(6, *offset(IMOLA)), event(7, *offset(MONACO)))
        imola, monaco = merged(indexed(meeting(2, *MONACO)), fastf1, LATER, Counter())
        assert (imola.cancelled, monaco.cancelled) == (True, False)

    def test_a_race_to_come_that_the_index_does_not_have_yet_is_not_cancelled(self, web: Web) -> None:
        fastf1 = told(web, event(6, *offset(IMOLA)), event(7, *offset(MONACO)))
        found = merged(indexed(meeting(1, *IMOLA)), fastf1, datetime(2030, 5, 20, tzinfo=UTC), Counter())
        assert [one.cancelled for one in found] == [False, False]

    def test_a_stored_race_that_is_gone_is_cancelled_and_leaves_its_round_to_the_next(self, web: Web) -> None:
        before = told(web, event(6, *offset(IMOLA)), event(7, *offset(MONACO)))
        today = told(web, event(6, *offset(MONACO)))
        found = identified(kept(today, before, index_known=True, schedule_known=True))
        assert {id_: (one.name, one.cancelled) for id_, one in found.items()} == {
            "6": ("Monaco Grand Prix", False),
            "cancelled-emilia-romagna-grand-prix": ("Emilia Romagna Grand Prix", True),
        }

    def test_a_cancelled_race_that_comes_back_has_its_round_again(self, web: Web) -> None:
        both = told(web, event(6, *offset(IMOLA)), event(7, *offset(MONACO)))
        gone = kept(both[1:], both, index_known=True, schedule_known=True)
        found = identified(kept(both, gone, index_known=True, schedule_known=True))
        assert {id_: one.cancelled for id_, one in found.items()} == {"6": False, "7": False}

    def test_a_stored_race_that_was_held_is_not_cancelled(self, web: Web) -> None:
        today = told(web, event(6, *offset(MONACO)))
        found = kept(today, indexed(meeting(1, *IMOLA)), index_known=True, schedule_known=True)
        assert [one.cancelled for one in found] == [False, False]

    def test_nothing_is_cancelled_while_fastf1_does_not_answer(self, web: Web) -> None:
        before = told(web, event(6, *offset(IMOLA)), event(7, *offset(MONACO)))
        found = kept(indexed(meeting(2, *MONACO, number=8)), before, index_known=True, schedule_known=False)
        assert [(one.name, one.round, one.cancelled) for one in found] == [
            ("Emilia Romagna Grand Prix", 6, False),
            ("Monaco Grand Prix", 7, False),
        ]
        assert sessions(found[1])["Race"].session_key == "25"

    def test_a_session_that_is_gone_from_its_weekend_is_cancelled(self, web: Web) -> None:
        before = told(web, event(1, *offset(MONACO)))
        today = told(web, event(1, *MONACO[:2], "+02:00", MONACO[3][1:]))
        (found,) = kept(today, before, index_known=True, schedule_known=True)
        assert {name for name, one in sessions(found).items() if one.cancelled} == {"Practice 1"}

    def test_the_sessions_of_another_format_are_not_cancelled_but_replaced(self, web: Web) -> None:
        names = ("Practice 1", "Sprint Qualifying", "Sprint", "Qualifying", "Race")
        before = told(web, event(1, *offset(MONACO)))
        today = told(web, event(1, *MONACO[:2], "+02:00", weekend("2030-05-26", names), "sprint_qualifying"))
        (found,) = kept(today, before, index_known=True, schedule_known=True)
        assert [one.name for one in found.sessions] == list(names)
        assert not any(one.cancelled for one in found.sessions)

    def test_a_race_moved_by_months_is_the_same_race(self, web: Web) -> None:
        before = told(web, event(6, *offset(IMOLA)), event(7, *offset(MONACO)))
        later = (*IMOLA[:2], "+02:00", weekend("2030-10-04"))
        today = told(web, event(6, *offset(MONACO)), event(7, *later))
        found = identified(kept(today, before, index_known=True, schedule_known=True))
        assert {id_: one.name for id_, one in found.items()} == {"6": MONACO[0], "7": IMOLA[0]}

    def test_keys_and_lengths_stay_while_the_index_does_not_answer(self, web: Web) -> None:
        fastf1 = told(web, event(6, *offset(MONACO)))
        before = merged(indexed(meeting(2, *MONACO)), fastf1, LATER, Counter())
        assert kept(fastf1, before, index_known=False, schedule_known=True) == before

    def test_times_that_fastf1_told_stay_while_it_does_not_answer(self, web: Web) -> None:
        moved = [*MONACO[3][:4], ("Race", "2030-05-28T12:30:00")]
        index = indexed(meeting(2, *MONACO))
        before = merged(index, told(web, event(6, *MONACO[:2], "+02:00", moved)), LATER, Counter())
        assert kept(index, before, index_known=True, schedule_known=False) == before


def season(web: Web, year: int, static: Path) -> dict[str, Meeting]:
    """A season as both sources have it, by id."""
    index = orjson.loads((static / str(year) / "Index.json").read_bytes().decode("utf-8-sig"))
    fastf1 = of_fastf1(year, fetched(web, year), Counter())
    return identified(merged(of_index(year, index, Counter()), fastf1, LATER, Counter()))


@needs_web
class TestSeasonsAsTheyWere:
    @pytest.mark.parametrize(("year", "rounds", "tests"), [(2019, 21, 0), (2021, 22, 1), (2022, 22, 2), (2023, 22, 1)])
    def test_every_race_has_its_round_and_every_session_its_key(
        self, web: Web, static_archive: Path, year: int, rounds: int, tests: int
    ) -> None:
        found = season(web, year, static_archive)
        assert sorted(id_ for id_ in found if id_.isdecimal()) == sorted(str(n) for n in range(1, rounds + 1))
        assert sum(id_.startswith("testing-") for id_ in found) == tests == len(found) - rounds
        races = [one for one in found.values() if not one.testing]
        assert all(session.session_key for one in races for session in one.sessions)
        assert all(len(one.sessions) == 5 for one in races)

    def test_imola_2023_leaves_no_gap_in_the_rounds(self, web: Web, static_archive: Path) -> None:
        """F1's index went on counting it: there Monaco is the seventh."""
        assert season(web, 2023, static_archive)["6"].name == "Monaco Grand Prix"

    def test_imola_2023_that_was_stored_is_cancelled(self, web: Web, static_archive: Path) -> None:
        found = season(web, 2023, static_archive)
        imola = of_fastf1(2023, _rows(web, event(6, *IMOLA[:2], "+02:00", weekend("2023-05-19"))), Counter())
        today = identified(kept(list(found.values()), imola, index_known=True, schedule_known=True))
        assert today["cancelled-emilia-romagna-grand-prix"].cancelled
        assert today["6"].name == "Monaco Grand Prix"

    def test_saudi_arabia_2026_is_cancelled_and_bahrain_moved(self, web: Web) -> None:
        april = of_fastf1(
            2026,
            _rows(
                web,
                event(4, "Bahrain Grand Prix", "Sakhir", "+03:00", weekend("2026-04-10")),
                event(5, "Saudi Arabian Grand Prix", "Jeddah", "+03:00", weekend("2026-04-17")),
            ),
            Counter(),
        )
        today = kept(of_fastf1(2026, fetched(web, 2026), Counter()), april, index_known=True, schedule_known=True)
        found = identified(today)
        assert [one.name for one in today if one.cancelled] == ["Saudi Arabian Grand Prix"]
        assert (found["16"].name, starts(found["16"])["Race"]) == ("Bahrain Grand Prix", "2026-10-04T07:00:00+00:00")

    def test_japan_2019_qualified_on_sunday(self, web: Web, static_archive: Path) -> None:
        """The index still has it on Saturday."""
        qualifying = sessions(season(web, 2019, static_archive)["17"])["Qualifying"]
        assert (qualifying.session_key, qualifying.start_date) == ("5526", datetime(2019, 10, 13, 1, tzinfo=UTC))

    def test_las_vegas_2023_practised_half_an_hour_late_and_across_midnight(
        self, web: Web, static_archive: Path
    ) -> None:
        practice = sessions(season(web, 2023, static_archive)["21"])["Practice 2"]
        assert practice.start_date == datetime(2023, 11, 17, 10, 30, tzinfo=UTC)
        assert practice.gmt_offset == "-08:00:00"

    @pytest.mark.parametrize(
        ("year", "round_", "before", "after"),
        [
            (2019, "18", "-05:00:00", "-06:00:00"),
            (2022, "20", "-05:00:00", "-06:00:00"),
            (2023, "3", "11:00:00", "10:00:00"),
        ],
        ids=["Mexico 2019", "Mexico City 2022", "Australia 2023"],
    )
    def test_daylight_saving_ended_on_the_sunday(
        self, web: Web, static_archive: Path, year: int, round_: str, before: str, after: str
    ) -> None:
        offsets = [session.gmt_offset for session in season(web, year, static_archive)[round_].sessions]
        assert offsets == [before] * 4 + [after]

    @pytest.mark.parametrize("year", [2018, 2020, 2024, 2025, 2026])
    def test_a_season_without_index_is_there(self, web: Web, year: int) -> None:
        found = identified(merged(None, of_fastf1(year, fetched(web, year), Counter()), LATER, Counter()))
        rounds = sum(id_.isdecimal() for id_ in found)
        assert rounds >= 17
        assert all(one.sessions for one in found.values())

    @pytest.mark.parametrize("year", [2019, 2021, 2022, 2023])
    def test_both_sources_agree_on_every_start_that_was_not_moved(
        self, web: Web, static_archive: Path, year: int
    ) -> None:
        index = orjson.loads((static_archive / str(year) / "Index.json").read_bytes().decode("utf-8-sig"))
        of_f1 = {
            session.session_key: session.start_date
            for one in of_index(year, index, Counter())
            for session in one.sessions
        }
        moved = [
            (one.name, session.name)
            for one in season(web, year, static_archive).values()
            for session in one.sessions
            if session.session_key and session.start_date != of_f1[session.session_key]
        ]
        assert moved == {
            2019: [("Japanese Grand Prix", "Qualifying")],
            2023: [("Las Vegas Grand Prix", "Practice 2")],
        }.get(year, [])


def _rows(web: Web, *events: dict[str, Any]) -> list[Any]:
    web.schedule(1999, events)
    return fetched(web, 1999)
