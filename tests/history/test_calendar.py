"""The calendar as it is stored: what is written and when, what of the feed's word stays, and the ways to call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.cloud import firestore as firestore_api
from msgspec import UNSET
from msgspec.structs import replace

from local.emulators import Emulator
from local.processes import LOOPBACK, Processes, accepts_connections, free_port
from pitwall.documents import paths
from pitwall.documents.encoding import rfc3339, to_fields
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.documents.schema import validate
from pitwall.history import calendar
from pitwall.history.calendar import NoSource, fill, fill_all, main, planned
from pitwall.pipeline.database import Database
from pitwall.pipeline.schedule import Schedules
from pitwall.settings import Settings
from tests.history.webs import INDEX, SCHEDULE, Web, event, fastf1_asks_at_once, meeting, serving_web, weekend

FUNCTIONS = Path(__file__).parents[2] / "functions"
HOUR = timedelta(hours=1)
LATE = 4 * HOUR
YEAR = 2099
"""Whatever the clock says, all of it is to come."""
ITALY = weekend(f"{YEAR}-09-04")
SPAIN = weekend(f"{YEAR}-09-11")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    """A season of two races, in both sources, and a test that F1's index does not have yet."""
    with serving_web() as served:
        fastf1_asks_at_once(monkeypatch)
        monkeypatch.setenv("PITWALL_F1_URL", served.url)
        monkeypatch.setenv("PITWALL_F1SCHEDULE_URL", served.schedules)
        served.index(YEAR, [meeting(1, "Italian Grand Prix", "Monza", "02:00:00", ITALY)])
        served.schedule(YEAR, events())
        yield served


def events(**moved: list[tuple[str, str]]) -> list[dict[str, Any]]:
    days = [(f"Practice {n}", f"{YEAR}-02-{10 + n}T10:00:00") for n in (1, 2, 3)]
    return [
        event(0, "Pre-Season Testing", "Bahrain", "+03:00", days, "testing"),
        event(1, "Italian Grand Prix", "Monza", "+02:00", moved.get("italy", ITALY)),
        event(2, "Spanish Grand Prix", "Madrid", "+02:00", moved.get("spain", SPAIN)),
    ]


@pytest.fixture
def filling(web: Web, database: Database, project: str) -> Callable[..., calendar.Filled]:
    settings = Settings.from_env()

    def run(**options: Any) -> calendar.Filled:
        return fill(settings, database, YEAR, **options)

    return run


def stored(client: firestore_api.Client) -> dict[str, dict[str, Any]]:
    """What is stored by path."""
    found = [*client.collection(paths.events(YEAR)).stream(), client.document("schedule/f1").get()]
    return {one.reference.path: one.to_dict() for one in found if one.exists}


class TestWhatIsWritten:
    def test_an_event_for_each_meeting_and_the_schedule(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client, database: Database
    ) -> None:
        filled = filling()
        documents = stored(firestore)
        assert sorted(documents) == [
            "schedule/f1",
            f"seasons/{YEAR}/events/1",
            f"seasons/{YEAR}/events/2",
            f"seasons/{YEAR}/events/testing-1",
        ]
        for path, read in database.read(documents).items():
            fields = orjson.dumps(read.fields, option=orjson.OPT_PASSTHROUGH_DATETIME, default=rfc3339)
            validate(path, orjson.loads(fields))
        assert {fields["v"] for fields in documents.values()} == {1}
        assert all(isinstance(fields["writtenAt"], datetime) for fields in documents.values())
        assert filled.sources == {"f1": "ok", "fastf1": "ok"}
        italy = documents[f"seasons/{YEAR}/events/1"]
        assert (italy["meetingKey"], italy["sessions"][4]["sessionKey"]) == ("1", "15")

    def test_the_next_session_and_those_after_it(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client
    ) -> None:
        filling()
        schedule = firestore.document("schedule/f1").get().to_dict()
        assert schedule["next"]["startDate"] == datetime(YEAR, 2, 11, 7, tzinfo=UTC)
        assert len(schedule["upcoming"]) == 12
        assert "last" not in schedule

    def test_nothing_the_second_time(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client
    ) -> None:
        filling()
        before = stored(firestore)
        again = filling()
        assert (again.written, again.deleted, again.schedule) == ([], [], False)
        assert stored(firestore) == before

    def test_only_what_has_changed(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client, web: Web
    ) -> None:
        filling()
        web.schedule(YEAR, events(spain=weekend(f"{YEAR}-09-18")))
        assert filling().written == ["2"]
        versions = {path.rpartition("/")[2]: fields["v"] for path, fields in stored(firestore).items()}
        assert versions == {"1": 1, "2": 2, "testing-1": 1, "f1": 2}

    def test_nothing_of_a_dry_run(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client
    ) -> None:
        filled = filling(dry_run=True)
        assert sorted(filled.written) == ["1", "2", "testing-1"]
        assert stored(firestore) == {}

    def test_a_race_that_fastf1_does_not_list_but_f1_has_an_archive_of_under_its_name(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client, web: Web
    ) -> None:
        filling()
        spain = event(1, "Spanish Grand Prix", "Madrid", "+02:00", SPAIN)
        web.schedule(YEAR, [events()[0], spain])
        assert filling().deleted == ["2"]
        documents = stored(firestore)
        assert documents[f"seasons/{YEAR}/events/1"]["name"] == "Spanish Grand Prix"
        assert "cancelled" not in documents[f"seasons/{YEAR}/events/italian-grand-prix"]

    def test_no_session_of_a_cancelled_race_is_to_come(
        self, filling: Callable[..., calendar.Filled], firestore: firestore_api.Client, web: Web
    ) -> None:
        web.index(YEAR, [meeting(1, "Italian Grand Prix", "Monza", "02:00:00", ITALY, held=False)])
        filling()
        web.schedule(YEAR, [events()[0], event(1, "Spanish Grand Prix", "Madrid", "+02:00", SPAIN)])
        filled = filling()
        assert filled.cancelled == ["Italian Grand Prix"]
        documents = stored(firestore)
        assert documents[f"seasons/{YEAR}/events/cancelled-italian-grand-prix"]["cancelled"] is True
        assert {one["meeting"] for one in documents["schedule/f1"]["upcoming"]} == {
            "Pre-Season Testing",
            "Spanish Grand Prix",
        }
        assert (filling().written, filling().schedule) == ([], False)

    def test_the_calendar_of_another_instance_in_between_is_not_lost(
        self,
        filling: Callable[..., calendar.Filled],
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        firestore: firestore_api.Client,
    ) -> None:
        commit, commits = database.commit, []

        def interrupted(writes: Any) -> Any:
            commits.append(len(writes))
            if len(commits) == 1:
                firestore.document(f"seasons/{YEAR}/events/1").set({"at": datetime.now(UTC), "year": YEAR})
            return commit(writes)

        monkeypatch.setattr(database, "commit", interrupted)
        filling()
        assert commits == [3, 3, 1]
        assert stored(firestore)[f"seasons/{YEAR}/events/1"]["name"] == "Italian Grand Prix"


class TestSourcesThatFail:
    def test_without_the_index_the_schedule_is_enough(
        self, filling: Callable[..., calendar.Filled], web: Web, capsys: pytest.CaptureFixture[str]
    ) -> None:
        web.fails(INDEX, YEAR)
        filled = filling()
        assert sorted(filled.written) == ["1", "2", "testing-1"]
        assert filled.sources["fastf1"] == "ok"
        assert "NotInArchive" in filled.sources["f1"]
        assert '"source":"f1"' in capsys.readouterr().out

    def test_without_fastf1_the_index_is_enough(
        self, filling: Callable[..., calendar.Filled], web: Web, capsys: pytest.CaptureFixture[str]
    ) -> None:
        web.fails(SCHEDULE, YEAR)
        filled = filling()
        assert filled.written == ["1"]
        assert filled.sources["f1"] == "ok"
        assert "Failed to load any schedule data" in filled.sources["fastf1"]
        assert '"source":"fastf1"' in capsys.readouterr().out

    @pytest.mark.parametrize(("named", "asked"), [("f1", "static"), ("fastf1", "f1schedule")])
    def test_a_source_that_is_not_configured_is_not_asked(
        self, web: Web, database: Database, monkeypatch: pytest.MonkeyPatch, named: str, asked: str
    ) -> None:
        monkeypatch.setenv("PITWALL_HISTORY", named)
        assert fill(Settings.from_env(), database, YEAR).sources == {named: "ok"}
        assert {path.split("/")[1] for path in web.asked} == {asked}

    def test_fastf1_does_not_fall_back_on_the_index(self, filling: Callable[..., calendar.Filled], web: Web) -> None:
        web.fails(SCHEDULE, YEAR)
        filling()
        assert [path for path in web.asked if "Index.json" in path] == [INDEX.format(year=YEAR)]

    @pytest.mark.parametrize("broken", [INDEX, SCHEDULE])
    def test_nothing_that_is_stored_changes_without_one_of_them(
        self, filling: Callable[..., calendar.Filled], web: Web, firestore: firestore_api.Client, broken: str
    ) -> None:
        filling()
        before = stored(firestore)
        web.fails(broken, YEAR)
        filling()
        assert stored(firestore) == before

    def test_nothing_that_is_stored_changes_without_both(
        self, filling: Callable[..., calendar.Filled], web: Web, firestore: firestore_api.Client
    ) -> None:
        filling()
        before = stored(firestore)
        web.fails(SCHEDULE, YEAR)
        web.files[INDEX.format(year=YEAR)] = b"<html>"
        with pytest.raises(NoSource, match=r"f1: .*no JSON.*fastf1: "):
            filling()
        assert stored(firestore) == before

    def test_the_next_season_is_asked_for_once_this_one_is_over_and_need_not_be_known(
        self, web: Web, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        this_year = database.read(["schedule/f1"])["schedule/f1"].read_at.year
        days = weekend(f"{this_year - 1}-09-04")
        web.schedule(this_year, [event(1, "Italian Grand Prix", "Monza", "+02:00", days)])
        filled = fill_all(Settings.from_env(), database, None)
        assert [one.year for one in filled] == [this_year]
        assert INDEX.format(year=this_year + 1) in web.asked


def session(name: str, start: datetime, key: str = "", **told: Any) -> ScheduledSession:
    return ScheduledSession(
        session_key=key or UNSET,
        year=start.year,
        meeting="Italian Grand Prix",
        type=name.split()[0],
        name=name,
        start_date=start,
        end_date=start + HOUR,
        **told,
    )


NOON = datetime(2030, 9, 6, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (session(f"Practice {n}", NOON + hours * HOUR) for n, hours in ((1, 0), (2, 4), (3, 24)))


def plan(schedule: ScheduleDocument, now: datetime, *sessions: ScheduledSession) -> ScheduleDocument:
    return planned(schedule, sessions or (FIRST, SECOND, THIRD), 2030, now, LATE)


def empty(**known: Any) -> ScheduleDocument:
    return ScheduleDocument(at=NOON, **{"upcoming": [], **known})


class TestWhatIsToCome:
    def test_everything_that_is_not_four_hours_past_its_end(self) -> None:
        assert plan(empty(), NOON + 5 * HOUR).next == FIRST
        assert plan(empty(), NOON + 5 * HOUR + timedelta(seconds=1)).next == SECOND

    def test_not_the_session_that_the_feed_says_is_on(self) -> None:
        live = session("Practice 1", NOON + HOUR, "1")
        found = plan(empty(live=live), NOON)
        assert (found.live, found.upcoming) == (live, [SECOND, THIRD])

    def test_not_the_session_that_is_over_though_the_calendar_has_it_later(self) -> None:
        last = session("Practice 1", NOON - 3 * HOUR, "1")
        found = plan(empty(last=last), NOON - HOUR)
        assert (found.last, found.upcoming) == (last, [SECOND, THIRD])

    def test_the_session_that_was_postponed_to_the_next_day(self) -> None:
        last = session("Qualifying", NOON, "5")
        found = plan(empty(last=last), NOON + HOUR, session("Qualifying", NOON + 20 * HOUR, "5"))
        assert [one.name for one in found.upcoming] == ["Qualifying"]

    def test_the_last_one_is_that_of_the_feed_until_a_later_one_is_past(self) -> None:
        last = session("Practice 1", NOON, "1")
        assert plan(empty(last=last), NOON + 9 * HOUR).last == last
        assert plan(empty(last=last), NOON + 10 * HOUR).last == SECOND

    def test_the_last_one_gets_its_path_from_the_calendar(self) -> None:
        last = session("Practice 1", NOON + HOUR, "1")
        known = session("Practice 1", NOON, "1", archive_path="2030/1/1/", round=16)
        found = plan(empty(last=last), NOON + 2 * HOUR, known).last
        assert found == replace(last, archive_path="2030/1/1/", round=16)

    def test_what_is_on_is_the_last_one_once_it_is_long_past(self) -> None:
        live = session("Practice 1", NOON, "1")
        found = plan(empty(live=live), NOON + 6 * HOUR)
        assert (found.live, found.last) == (UNSET, live)

    def test_another_seasons_sessions_stay(self) -> None:
        test = session("Practice 1", datetime(2031, 2, 11, 7, tzinfo=UTC))
        assert plan(empty(next=test, upcoming=[test]), NOON).upcoming == [FIRST, SECOND, THIRD, test]

    def test_a_session_that_is_moved_has_its_new_time_only(self) -> None:
        moved = replace(FIRST, start_date=NOON + HOUR)
        assert plan(empty(next=FIRST, upcoming=[FIRST, SECOND]), NOON - HOUR, moved, SECOND).upcoming == [moved, SECOND]

    def test_over_holds_though_the_calendar_is_filled_again(
        self, database: Database, firestore: firestore_api.Client
    ) -> None:
        now = database.read(["schedule/f1"])["schedule/f1"].read_at
        on = session("Practice 1", now - 10 * timedelta(minutes=1), "1")
        firestore.document("schedule/f1").set(to_fields(replace(empty(live=on), v=1)))
        schedules = Schedules(database, "f1")
        schedules.over("1")
        of_calendar = session("Practice 1", now)
        schedules.change(lambda known, now: planned(known, [of_calendar], now.year, now, LATE))
        assert schedules.to_poll().session is None


class TestCommand:
    def test_says_what_it_stored(
        self, web: Web, database: Database, capsys: pytest.CaptureFixture[str], firestore: firestore_api.Client
    ) -> None:
        assert main([str(YEAR)]) == 0
        said = capsys.readouterr().out
        assert f"  1  Italian Grand Prix\n       {YEAR}-09-04T11:00Z  Practice 1\n" in said
        assert f"{YEAR}: 3 meetings; written: testing-1, 1, 2; deleted: none" in said
        assert len(stored(firestore)) == 4

    def test_says_what_it_would_store(
        self, web: Web, database: Database, capsys: pytest.CaptureFixture[str], firestore: firestore_api.Client
    ) -> None:
        assert main([str(YEAR), "--dry-run"]) == 0
        assert "would be written: testing-1, 1, 2" in capsys.readouterr().out
        assert stored(firestore) == {}

    def test_fails_without_a_source(self, web: Web, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
        web.fails(INDEX, YEAR)
        web.fails(SCHEDULE, YEAR)
        assert main([str(YEAR)]) == 1
        assert "nothing was changed: f1: " in capsys.readouterr().err

    def test_refuses_a_season_nobody_knows_the_times_of(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="2"):
            main(["2017"])
        assert "begins in 2018" in capsys.readouterr().err

    def test_help_loads_no_fastf1(self) -> None:
        code = (
            "import sys\nfrom pitwall.history.calendar import main\n"
            "try:\n    main(['--help'])\nexcept SystemExit:\n    print(sorted({'fastf1', 'pandas'} & set(sys.modules)))"
        )
        environment = {**os.environ, "PYTHONPATH": str(FUNCTIONS)}
        said = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
        ).stdout
        assert "--dry-run" in said
        assert said.endswith("[]\n")


@pytest.fixture
def function(web: Web, processes: Processes, firestore_emulator: Emulator, project: str) -> Iterator[int]:
    """The port of the deployed function."""
    port = free_port()
    framework = Path(sys.executable).parent / "functions-framework"
    served = processes.start(
        "schedule",
        [framework, "--target", "schedule", "--source", FUNCTIONS / "main.py", "--host", LOOPBACK, "--port", str(port)],
        {
            **firestore_emulator.env,
            "GOOGLE_CLOUD_PROJECT": project,
            "PITWALL_F1_URL": web.url,
            "PITWALL_F1SCHEDULE_URL": web.schedules,
            "PYTHONPATH": str(FUNCTIONS),
        },
    )
    served.wait_until(lambda: accepts_connections(port))
    yield port
    processes.end(served)


def post(port: int, body: Any) -> tuple[int, Any]:
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    connection.request("POST", "/", body if isinstance(body, bytes) else json.dumps(body))
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


@pytest.mark.e2e
def test_the_deployed_function_fills_the_calendar_and_says_when_it_cannot(
    function: int, web: Web, firestore: firestore_api.Client
) -> None:
    status, (filled,) = post(function, {"feed": "f1", "year": YEAR})
    assert status == 200
    assert filled["written"] == ["testing-1", "1", "2"]
    before = stored(firestore)
    assert len(before) == 4
    assert post(function, {"year": YEAR})[1][0]["written"] == []
    for nonsense in (b"{", [], {"year": "2026"}, {"year": 1950}, {"feed": "../x"}):
        assert post(function, nonsense)[0] == 400
    web.fails(INDEX, YEAR)
    web.fails(SCHEDULE, YEAR)
    status, told = post(function, {"year": YEAR})
    assert (status, told["title"]) == (502, "no-source")
    assert stored(firestore) == before


@pytest.mark.parametrize("path", ["schedule/f1", f"seasons/{YEAR}/events/1"])
def test_anybody_reads_and_nobody_writes(
    firestore: firestore_api.Client, firestore_emulator: Emulator, project: str, path: str
) -> None:
    """As the rules have it that are deployed."""
    firestore.document(path).set({"year": YEAR})
    url = f"/v1/projects/{project}/databases/(default)/documents/{path}"
    assert _asked(firestore_emulator, "GET", url) == 200
    assert _asked(firestore_emulator, "PATCH", url, b'{"fields": {"year": {"integerValue": "1"}}}') == 403
    assert _asked(firestore_emulator, "DELETE", url) == 403


def _asked(emulator: Emulator, method: str, path: str, body: bytes | None = None) -> int:
    """Status of what a client without any token is answered."""
    connection = HTTPConnection(*emulator.value.split(":"), timeout=30)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status
