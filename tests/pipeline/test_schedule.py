"""What is to be polled, by the calendar and by the feed's own word, on Firestore's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.cloud import firestore as firestore_api
from msgspec import UNSET
from msgspec.structs import replace

from pitwall.documents.encoding import to_fields
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.documents.session import Meeting, SessionDocument
from pitwall.pipeline.database import Database
from pitwall.pipeline.schedule import Schedules, over_already, same, to_poll, was_over, went_live

HOUR = timedelta(hours=1)
EARLY, LATE = timedelta(minutes=30), 4 * HOUR
FRIDAY = datetime(2026, 11, 27, 13, 30, tzinfo=UTC)


def session(name: str, start: datetime, key: str = "", hours: float = 1, **told: object) -> ScheduledSession:
    return ScheduledSession(
        session_key=key or UNSET,
        year=2026,
        meeting="Qatar Grand Prix",
        type=name.split()[0],
        name=name,
        start_date=start,
        end_date=start + hours * HOUR,
        **told,
    )


FIRST = session("Practice 1", FRIDAY)
SECOND = session("Practice 2", FRIDAY + 3.5 * HOUR)
THIRD = session("Practice 3", FRIDAY + 25 * HOUR)
WEEKEND = [FIRST, SECOND, THIRD]


def schedule(*upcoming: ScheduledSession, **known: ScheduledSession) -> ScheduleDocument:
    return ScheduleDocument(at=FRIDAY, next=upcoming[0] if upcoming else UNSET, upcoming=list(upcoming), **known)


def polled(known: ScheduleDocument, now: datetime) -> str | None:
    found = to_poll(known, now, EARLY, LATE).session
    return found.name if found is not None else None


class TestWhatIsPolled:
    def test_nothing_before_half_an_hour_before_the_start(self) -> None:
        found = to_poll(schedule(*WEEKEND), FRIDAY - EARLY - timedelta(seconds=1), EARLY, LATE)
        assert (found.session, found.next_at, found.known) == (None, FRIDAY - EARLY, True)

    def test_a_session_from_half_an_hour_before_its_start(self) -> None:
        assert polled(schedule(*WEEKEND), FRIDAY - EARLY) == "Practice 1"

    def test_a_session_until_four_hours_after_its_end(self) -> None:
        assert polled(schedule(FIRST), FRIDAY + HOUR + LATE) == "Practice 1"
        assert polled(schedule(FIRST), FRIDAY + HOUR + LATE + timedelta(seconds=1)) is None

    def test_the_later_of_two_once_it_has_begun(self) -> None:
        assert polled(schedule(*WEEKEND), SECOND.start_date) == "Practice 2"

    def test_a_session_that_is_in_the_calendar_though_the_one_before_it_was_never_polled(self) -> None:
        assert polled(schedule(*WEEKEND), THIRD.start_date + HOUR) == "Practice 3"

    def test_what_the_feed_says_is_on_though_the_calendar_has_the_next_one(self) -> None:
        delayed = session("Practice 1", FRIDAY, "1")
        assert polled(schedule(SECOND, live=delayed), SECOND.start_date) == "Practice 1"

    def test_not_what_the_feed_said_was_on_four_hours_after_its_end(self) -> None:
        stale = session("Practice 1", FRIDAY - 5 * HOUR, "1")
        assert polled(schedule(SECOND, live=stale), SECOND.start_date) == "Practice 2"

    def test_no_cancelled_session(self) -> None:
        assert polled(schedule(replace(FIRST, cancelled=True)), FRIDAY) is None

    def test_nothing_of_what_is_over(self) -> None:
        assert polled(schedule(*WEEKEND, last=session("Practice 1", FRIDAY, "1")), FRIDAY + HOUR) is None

    def test_when_to_look_again_is_the_next_start_that_is_to_come(self) -> None:
        found = to_poll(schedule(*WEEKEND, last=session("Practice 1", FRIDAY, "1")), FRIDAY + HOUR, EARLY, LATE)
        assert found.next_at == SECOND.start_date - EARLY


class TestWhichSession:
    def test_keys_decide_where_both_have_one(self) -> None:
        assert not same(session("Race", FRIDAY, "1"), session("Race", FRIDAY, "2"))
        assert same(session("Race", FRIDAY, "1"), session("Race", FRIDAY + 48 * HOUR, "1"))

    def test_one_moved_by_hours_is_the_same(self) -> None:
        assert same(session("Race", FRIDAY, "1"), session("Race", FRIDAY + 20 * HOUR))

    def test_one_of_another_day_is_another(self) -> None:
        assert not same(session("Race", FRIDAY, "1"), session("Race", FRIDAY + 24 * HOUR))

    def test_one_of_another_name_is_another(self) -> None:
        assert not same(session("Practice 1", FRIDAY), session("Practice 2", FRIDAY))

    def test_what_was_before_the_last_one_is_over(self) -> None:
        assert over_already(FIRST, session("Practice 2", SECOND.start_date, "2"))

    def test_one_that_the_calendar_has_hours_later_than_it_was_is_over(self) -> None:
        assert over_already(FIRST, session("Practice 1", FRIDAY - 3 * HOUR, "1"))

    def test_one_that_was_postponed_to_the_next_day_is_not_over(self) -> None:
        saturday = session("Qualifying", FRIDAY, "5")
        assert not over_already(session("Qualifying", FRIDAY + 20 * HOUR, "5"), saturday)


class TestWhatTheFeedSays:
    def test_its_times_win_over_the_calendar(self) -> None:
        told = session("Practice 1", FRIDAY + 2 * HOUR, "1")
        known = went_live(schedule(*WEEKEND), told, FRIDAY + 2 * HOUR, LATE)
        assert known.live == told
        assert [one.name for one in known.upcoming] == ["Practice 2", "Practice 3"]
        assert known.next == SECOND

    def test_a_session_that_begins_early_is_not_to_come_any_more(self) -> None:
        known = went_live(schedule(*WEEKEND), session("Practice 1", FRIDAY - 2 * HOUR, "1"), FRIDAY - 2 * HOUR, LATE)
        assert known.next == SECOND

    def test_a_session_the_calendar_knows_nothing_of_is_polled(self) -> None:
        extra = session("Tyre Test", FRIDAY + 8 * HOUR, "9")
        known = went_live(schedule(*WEEKEND), extra, extra.start_date, LATE)
        assert polled(known, extra.start_date) == "Tyre Test"
        assert known.next == THIRD

    def test_the_round_is_the_calendars(self) -> None:
        known = went_live(schedule(replace(FIRST, round=23)), session("Practice 1", FRIDAY, "1"), FRIDAY, LATE)
        assert known.live is not UNSET
        assert known.live.round == 23

    def test_the_last_session_still_being_told_of_does_not_bring_it_back(self) -> None:
        over = session("Practice 1", FRIDAY, "1")
        known = schedule(SECOND, last=over)
        assert went_live(known, over, FRIDAY + 2 * HOUR, LATE) == known

    def test_a_session_long_past_is_not_on(self) -> None:
        known = schedule(FIRST)
        assert went_live(known, session("Race", FRIDAY - 100 * HOUR, "1"), FRIDAY - EARLY, LATE) == known

    def test_going_on_to_the_next_session_ends_the_one_before(self) -> None:
        first, second = session("Practice 1", FRIDAY, "1"), session("Practice 2", SECOND.start_date, "2")
        known = went_live(schedule(SECOND, THIRD, live=first), second, SECOND.start_date, LATE)
        assert (known.live, known.last, known.next) == (second, first, THIRD)

    def test_over_makes_it_the_last_and_the_following_one_the_next(self) -> None:
        first = session("Practice 1", FRIDAY, "1")
        known = was_over(schedule(SECOND, THIRD, live=first), "1")
        assert (known.live, known.last, known.next) == (UNSET, first, SECOND)

    def test_over_of_a_session_nobody_knows_changes_nothing(self) -> None:
        assert was_over(schedule(*WEEKEND), "77") == schedule(*WEEKEND)


@pytest.fixture
def now(database: Database) -> datetime:
    """Firestore's time, to whole seconds."""
    return database.read(["schedule/f1"])["schedule/f1"].read_at.replace(microsecond=0)


@pytest.fixture
def schedules(database: Database) -> Schedules:
    return Schedules(database, "f1", 1800, 14400)


def told(name: str, start: datetime) -> SessionDocument:
    """The session's document, as the state machine makes it of SessionInfo."""
    return SessionDocument(
        at=start,
        series="f1",
        feed_id="f1",
        year=start.year,
        meeting=Meeting(name="Qatar Grand Prix", location="Lusail"),
        type=name.split()[0],
        name=name,
        start_date=start,
        end_date=start + HOUR,
        final=False,
        schema_version=1,
    )


def weekend(now: datetime) -> list[ScheduledSession]:
    """One that is to begin in ten minutes, one that follows in four hours, one tomorrow."""
    starts = (now + timedelta(minutes=10), now + 4 * HOUR, now + 26 * HOUR)
    return [replace(session(f"Practice {n}", start), year=start.year) for n, start in enumerate(starts, start=1)]


def store(firestore: firestore_api.Client, known: ScheduleDocument) -> None:
    firestore.document("schedule/f1").set(to_fields(replace(known, v=7)))


class TestStored:
    def test_without_a_document_nothing_is_known(self, schedules: Schedules) -> None:
        found = schedules.to_poll()
        assert (found.session, found.next_at, found.known) == (None, None, False)

    def test_a_tick_costs_one_read(self, schedules: Schedules, database: Database, now: datetime) -> None:
        database.operations()
        schedules.to_poll()
        assert sum(database.operations().values()) == 1

    def test_what_is_due_by_firestores_clock_is_polled(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime
    ) -> None:
        store(firestore, schedule(*weekend(now)))
        found = schedules.to_poll()
        assert found.session is not None
        assert found.session.name == "Practice 1"

    def test_live_and_over_and_then_nothing_until_the_next_one(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime
    ) -> None:
        store(firestore, schedule(*weekend(now)))
        schedules.live("1", told("Practice 1", now - HOUR))
        live = schedules.to_poll().session
        assert live is not None
        assert (live.session_key, live.start_date) == ("1", now - HOUR)
        assert schedules.over("1") is False
        found = schedules.to_poll()
        assert found.session is None
        assert found.next_at == now + 4 * HOUR - EARLY
        stored = firestore.document("schedule/f1").get().to_dict()
        assert stored["v"] == 9
        assert "live" not in stored
        assert (stored["last"]["sessionKey"], stored["next"]["name"]) == ("1", "Practice 2")

    def test_over_says_that_another_one_is_due(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime
    ) -> None:
        first, second, _ = weekend(now)
        store(firestore, schedule(first, replace(second, start_date=now + EARLY, end_date=now + HOUR)))
        schedules.live("1", told("Practice 1", now - HOUR))
        assert schedules.over("1") is True

    def test_the_same_news_twice_is_written_once(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime
    ) -> None:
        store(firestore, schedule(*weekend(now)))
        schedules.live("1", told("Practice 1", now))
        schedules.live("1", told("Practice 1", now))
        schedules.over("1")
        schedules.over("1")
        assert firestore.document("schedule/f1").get().get("v") == 9

    def test_a_change_by_another_in_between_is_kept(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime
    ) -> None:
        store(firestore, schedule(*weekend(now)))
        calls = []

        def change(known: ScheduleDocument, _: datetime) -> ScheduleDocument:
            if not calls:
                schedules.live("1", told("Practice 1", now))
            calls.append(known)
            return replace(known, upcoming=[])

        schedules.change(change)
        stored = firestore.document("schedule/f1").get().to_dict()
        assert len(calls) == 2
        assert stored["live"]["sessionKey"] == "1"
        assert stored["upcoming"] == []

    def test_feeds_do_not_share_a_schedule(self, database: Database, now: datetime) -> None:
        Schedules(database, "kart-le-mans").live("lm-1", told("Race", now))
        assert Schedules(database, "f1").to_poll().known is False

    def test_at_most_twelve_sessions_to_come_are_stored(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime
    ) -> None:
        many = [replace(session(f"Practice {n}", now + n * 24 * HOUR), year=now.year) for n in range(1, 20)]
        schedules.change(lambda known, _: replace(known, next=many[0], upcoming=many))
        assert len(firestore.document("schedule/f1").get().get("upcoming")) == 12

    def test_one_that_cannot_be_read_is_written_anew(
        self, schedules: Schedules, firestore: firestore_api.Client, now: datetime, capsys: pytest.CaptureFixture[str]
    ) -> None:
        firestore.document("schedule/f1").set({"at": now, "next": "soon", "upcoming": []})
        assert schedules.to_poll().known is False
        assert "bad-schedule" in capsys.readouterr().out
        schedules.live("1", told("Practice 1", now))
        assert schedules.to_poll().known is True
