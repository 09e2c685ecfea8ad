"""Under a crowd an instance reads once a second what all ask for, and nobody is shown what is older than that."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import msgspec
import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.api import caching
from pitwall.api.app import create_app
from pitwall.api.hot import Hot
from pitwall.api.reads import Stored as Document
from pitwall.pipeline.database import Unavailable
from pitwall.settings import Settings
from tests.api.conftest import Serve, Stored, before, problem_name
from tests.clock import Clock
from tests.documents.examples import EXAMPLES, SESSION
from tests.pipeline.outage import Outage

CROWD = 50


@dataclass
class Made:
    """What a reading made."""

    number: int
    size: int = 1_000


class Count:
    """Makes one thing after the other, and knows how many."""

    def __init__(self, during: Callable[[], None] = lambda: None) -> None:
        self.made = 0
        self._during = during

    def __call__(self, last: Made | None) -> Made:
        self.made += 1
        number = self.made
        self._during()
        return Made(number)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hot_api(store: Stored, serve: Serve, clock: Clock) -> httpx.Client:
    """A client of one instance whose clock stands still."""
    store(EXAMPLES)
    return serve(seconds=clock)


Billed = Callable[[], int]


@pytest.fixture
def billed(capsys: pytest.CaptureFixture[str]) -> Billed:
    """Gives the Firestore reads of the requests since it was last asked, as Firestore bills them."""

    def since() -> int:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return sum(line.get("firestoreReads", 0) for line in lines)

    return since


@pytest.mark.parametrize(
    ("route", "reads"),
    [
        ("/api/sessions/current", 1),
        ("/api/sessions/9845", 1),
        ("/api/sessions/9845/live", 1),
        ("/api/sessions/9845/laps", 2),
        ("/api/sessions/9845/laps?driver=HAM", 3),
        ("/api/sessions/none/live", 1),
    ],
)
def test_a_crowd_costs_what_one_client_costs(
    hot_api: httpx.Client, clock: Clock, billed: Billed, route: str, reads: int
):
    for _ in range(2):
        with ThreadPoolExecutor(CROWD) as crowd:
            answers = {answer.content for answer in crowd.map(lambda _: hot_api.get(route), range(CROWD))}
        assert billed() == reads
        assert len(answers) == 1
        clock.now += 1


def test_nobody_is_shown_what_changed_a_second_ago(store: Stored, hot_api: httpx.Client, clock: Clock):
    old = hot_api.get("/api/sessions/9845").json()["v"]
    store({"sessions/9845": SESSION})
    clock.now += 0.999
    assert hot_api.get("/api/sessions/9845").json()["v"] == old
    clock.now += 0.001
    assert hot_api.get("/api/sessions/9845").json()["v"] == store.v > old


def test_what_was_not_there_is_shown_a_second_after_it_was_stored(store: Stored, serve: Serve, clock: Clock):
    api = serve(seconds=clock)
    assert problem_name(api.get("/api/sessions/current")) == "no-session"
    store(EXAMPLES)
    assert problem_name(api.get("/api/sessions/current")) == "no-session"
    clock.now += 1
    assert api.get("/api/sessions/current").status_code == 200


def test_a_failure_is_not_kept(
    firestore: firestore_api.Client,
    firestore_emulator: Emulator,
    store: Stored,
    serve: Serve,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
):
    store(EXAMPLES)
    with Outage(firestore_emulator.address) as outage:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", outage.address)
        outage.cut()
        api = serve(seconds=clock)
        assert api.get("/api/sessions/9845").status_code == 503
        outage.restore()
        # The channel needs a moment to be opened again; the cache's clock stands still all the while.
        statuses = (api.get("/api/sessions/9845").status_code for _ in range(100))
        assert next(status for status in statuses if status != 503) == 200


def test_after_an_hour_without_firestore_nothing_old_is_shown(
    firestore_emulator: Emulator, store: Stored, serve: Serve, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    store(EXAMPLES)
    with Outage(firestore_emulator.address) as outage:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", outage.address)
        api = serve(seconds=clock)
        assert api.get("/api/sessions/9845").status_code == 200
        outage.cut()
        clock.now += 3600
        assert api.get("/api/sessions/9845").status_code == 503


def test_other_questions_have_other_answers(hot_api: httpx.Client):
    routes = [
        "/api/sessions/9845/laps",
        "/api/sessions/9845/laps?driver=1",
        "/api/sessions/9845/laps/8",
        "/api/sessions/9845/drivers",
        "/api/sessions/9845/drivers/44",
        "/api/sessions/9845",
    ]
    for _ in range(2):
        assert len({hot_api.get(route).content for route in routes}) == len(routes)
    assert hot_api.get("/api/sessions/9845/laps?driver=44&limit=x").status_code == 400


def test_a_tower_of_before_is_kept_beside_that_of_now(store: Stored, hot_api: httpx.Client):
    tower = EXAMPLES["sessions/9845/live/timing"]
    store(
        {
            "sessions/9845/live/timing": msgspec.structs.replace(tower, at=before(0)),
            "sessions/9845/towers/1": msgspec.structs.replace(tower, at=before(20)),
        }
    )
    for _ in range(2):
        now, then = (hot_api.get(f"/api/sessions/9845/live?delay={delay}").json()["at"] for delay in (0, 20))
        assert now > then


def test_those_who_have_it_already_share_the_reading_too(hot_api: httpx.Client, billed: Billed):
    tag = hot_api.get("/api/sessions/9845/laps").headers["etag"]
    billed()
    for _ in range(5):
        assert hot_api.get("/api/sessions/9845/laps", headers={"If-None-Match": tag}).status_code == 304
    assert billed() == 0


def test_plain_gzipped_and_head_share_one_reading(hot_api: httpx.Client, billed: Billed):
    for encoding in ("identity", "gzip"):
        for method in ("GET", "HEAD"):
            response = hot_api.request(method, "/api/sessions/9845/live", headers={"Accept-Encoding": encoding})
            assert response.headers.get("content-encoding", "identity") == encoding
    assert billed() == 1


def test_json_is_made_anew_only_when_a_document_changed():
    made = []

    def body() -> dict[str, int]:
        made.append(1)
        return {"lap": 8}

    @caching.kept
    def lap() -> caching.Answer:
        return caching.answer(body, [Document("sessions/9845/laps/8", {"v": versions[0]})], max_age=60)

    clock, versions = Clock(), [1]
    app = create_app(Settings(), seconds=clock)
    bodies = []
    for version in (1, 1, 1, 2, 2):
        versions[0] = version
        clock.now += 1
        with app.test_request_context("/api/sessions/9845/laps/8"):
            bodies.append(lap().headers["etag"])
    assert len(made) == len(set(bodies)) == 2


def test_who_comes_while_it_is_read_waits_for_that_reading(clock: Clock):
    reading, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        reading.set()
        assert go_on.wait(30)

    count = Count(slowly)
    hot: Hot[Made] = Hot(clock)
    with ThreadPoolExecutor(CROWD) as crowd:
        first = crowd.submit(hot.get, "laps", count)
        assert reading.wait(30)
        others = [crowd.submit(hot.get, "laps", count) for _ in range(CROWD - 1)]
        go_on.set()
        assert {asked.result().made.number for asked in (first, *others)} == {1}
    assert count.made == 1


def test_a_reading_ages_from_its_begin(clock: Clock):
    def slowly() -> None:
        clock.now += 0.8

    count = Count(slowly)
    hot: Hot[Made] = Hot(clock)
    hot.get("laps", count)
    clock.now += 0.2
    assert hot.get("laps", count).made.number == 2


def test_who_comes_a_second_after_a_reading_began_does_not_wait_for_it(clock: Clock):
    reading, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        reading.set()
        assert go_on.wait(30)

    hot: Hot[Made] = Hot(clock)
    with ThreadPoolExecutor(1) as slow:
        first = slow.submit(hot.get, "laps", lambda _: Count(slowly)(None))
        assert reading.wait(30)
        clock.now += 1
        newer = hot.get("laps", lambda last: Made(2))
        go_on.set()
        assert first.result().made.number == 1
        assert newer.made.number == 2
        assert hot.get("laps", lambda last: Made(3)).made.number == 2


def test_all_who_waited_for_a_failure_are_told_and_the_next_one_reads(clock: Clock):
    reading, go_on = threading.Event(), threading.Event()

    def fail(last: Made | None) -> Made:
        reading.set()
        assert go_on.wait(30)
        raise Unavailable("no")

    hot: Hot[Made] = Hot(clock)
    with ThreadPoolExecutor(2) as pair:
        first = pair.submit(hot.get, "laps", fail)
        assert reading.wait(30)
        second = pair.submit(hot.get, "laps", fail)
        go_on.set()
        for asked in (first, second):
            with pytest.raises(Unavailable):
                asked.result()
    assert hot.get("laps", Count()).made.number == 1


def test_memory_is_bounded_and_the_longest_unasked_goes_first(clock: Clock):
    count = Count()
    hot: Hot[Made] = Hot(clock, max_bytes=3_000)
    for key in ("a", "b", "c", "a", "d"):
        hot.get(key, count)
    assert count.made == 4
    hot.get("a", count)
    assert count.made == 4
    hot.get("b", count)
    assert count.made == 5


def test_what_is_larger_than_the_memory_is_given_and_not_kept(clock: Clock):
    hot: Hot[Made] = Hot(clock, max_bytes=100)
    assert [hot.get("laps", lambda last, n=n: Made(n)).made.number for n in (1, 2)] == [1, 2]
