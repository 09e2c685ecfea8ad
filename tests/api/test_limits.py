"""A client that asks for too much is refused by every instance, told when it may again, and its name is not kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api
from limits import RateLimitItemPerMinute
from limits.strategies import FixedWindowRateLimiter

from local.emulators import Emulator
from pitwall.api.counters import SharedCounters
from pitwall.documents.api_key import ApiKeyDocument
from pitwall.pipeline.database import Database, Unavailable
from tests.api.accounts import Accounts
from tests.api.conftest import NOW, Serve, Stored, problem, problem_name
from tests.documents.examples import EXAMPLES
from tests.pipeline.outage import Outage

LIMIT = 20
ROUTE = "/api/sessions/9845"
PATIENCE_S = 30.0


def remaining(response: httpx.Response) -> int:
    """What a response says is left."""
    return int(response.headers["ratelimit"].split(";")[1].removeprefix("r="))


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def _within_a_minute() -> None:
    """Begins early enough in a minute: the next one begins with a whole limit."""
    wait_for(lambda: time.time() % 60 < 40)


@pytest.fixture
def counted(firestore: firestore_api.Client) -> Callable[[], int]:
    """Gives what instances have told each other of all clients."""
    return lambda: sum(found.get("count") for found in firestore.collection("rateLimits").stream())


def test_who_has_asked_for_too_much_is_refused_and_told_for_how_long(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(rate_limit_address=LIMIT)
    answers = [api.get(ROUTE) for _ in range(LIMIT)]
    assert {answer.status_code for answer in answers} == {200}
    assert [remaining(answer) for answer in answers] == list(range(LIMIT - 1, -1, -1))
    assert answers[0].headers["ratelimit-policy"] == f'"address";q={LIMIT};w=60'
    refused = api.get(ROUTE)
    assert refused.status_code == 429
    assert problem_name(refused) == "rate-limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["ratelimit"] == f'"address";r=0;t={refused.headers["retry-after"]}'


def test_two_instances_share_what_a_client_has_asked_of_each(store: Stored, serve: Serve, counted: Callable[[], int]):
    store(EXAMPLES)
    one, other = serve(rate_limit_address=LIMIT), serve(rate_limit_address=LIMIT)
    for _ in range(15):
        assert one.get(ROUTE).status_code == 200
    wait_for(lambda: counted() == 15)
    other.get(ROUTE)
    wait_for(lambda: counted() == 16)
    assert other.get(ROUTE).status_code == 200
    wait_for(lambda: counted() == 17)  # by now the other instance has read the sum of before
    statuses = [other.get(ROUTE).status_code for _ in range(LIMIT)]
    assert statuses == [200] * 3 + [429] * (LIMIT - 3)
    wait_for(lambda: counted() == LIMIT)
    one.get(ROUTE)
    wait_for(lambda: counted() == LIMIT + 1)
    wait_for(lambda: one.get(ROUTE).status_code == 429)


def test_a_refused_request_costs_no_read_and_no_write(
    store: Stored, serve: Serve, counted: Callable[[], int], capsys: pytest.CaptureFixture[str]
):
    store(EXAMPLES)
    api = serve(rate_limit_address=LIMIT)
    for _ in range(LIMIT):
        api.get(ROUTE)
    wait_for(lambda: counted() == LIMIT)
    capsys.readouterr()
    for _ in range(LIMIT):
        assert api.get(ROUTE).status_code == 429
    assert '"firestoreReads":1' not in capsys.readouterr().out
    assert counted() == LIMIT


def test_no_limit_means_no_limit(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(rate_limit_address=0)
    assert "ratelimit" not in api.get(ROUTE).headers


def test_a_browser_that_asks_ahead_is_not_counted(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(rate_limit_address=LIMIT)
    for _ in range(LIMIT):
        api.options(ROUTE)
    assert remaining(api.get(ROUTE)) == LIMIT - 1


def test_what_is_not_there_counts_too(store: Stored, serve: Serve):
    api = serve(rate_limit_address=1)
    assert api.get("/api/nothing").status_code == 404
    assert api.get("/api/nothing").status_code == 429


def test_304s_count_and_say_what_is_left(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(rate_limit_address=LIMIT)
    tag = api.get(ROUTE).headers["etag"]
    unchanged = api.get(ROUTE, headers={"If-None-Match": tag})
    assert unchanged.status_code == 304
    assert remaining(unchanged) == LIMIT - 2


KEY = "pitwall_" + "a" * 43


def test_what_is_made_anew_is_counted_and_says_what_is_left(store: Stored, accounts: Accounts, serve: Serve):
    api = serve(rate_limit_address=10)
    token = accounts.sign_in(accounts.create())
    made = api.post("/api/users", json={}, headers={"Authorization": f"Bearer {token}"})
    assert (made.status_code, remaining(made)) == (201, 9)


@pytest.fixture
def key(store: Stored) -> str:
    """An API key that is good."""
    made = ApiKeyDocument(at=NOW, name="bot", role="service", created_at=NOW, created_by="admin", last_used_at=NOW)
    store({**EXAMPLES, f"apiKeys/{sha256(KEY.encode()).hexdigest()}": made})
    return KEY


def test_a_key_has_a_limit_of_its_own(key: str, serve: Serve):
    api = serve(rate_limit_address=1, rate_limit_key=3)
    api.get(ROUTE)
    assert api.get(ROUTE).status_code == 429
    with_key = [api.get(ROUTE, headers={"X-API-Key": key}) for _ in range(4)]
    assert [answer.status_code for answer in with_key] == [200, 200, 200, 429]
    assert with_key[0].headers["ratelimit-policy"] == '"key";q=3;w=60'
    assert "API key" not in problem(with_key[3])["detail"]


def test_guessing_keys_is_limited_like_asking_without_one(key: str, serve: Serve):
    api = serve(rate_limit_address=2, rate_limit_key=100)
    guesses = [api.get(ROUTE, headers={"X-API-Key": f"pitwall_{n:043}"}).status_code for n in range(3)]
    assert guesses == [401, 401, 429]


@pytest.mark.parametrize("proxies", [0, 1])
def test_nobody_has_another_limit_by_writing_another_address(store: Stored, serve: Serve, proxies: int):
    """A proxy adds the address it sees to the end; what was there before is what the client wrote."""
    store(EXAMPLES)
    api = serve(rate_limit_address=2, proxies=proxies)
    written = [f"203.0.113.{n}, 198.51.100.7" if proxies else f"203.0.113.{n}" for n in range(3)]
    statuses = [api.get(ROUTE, headers={"X-Forwarded-For": addresses}).status_code for addresses in written]
    assert statuses == [200, 200, 429]


def test_behind_a_proxy_every_address_has_a_limit_of_its_own(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(rate_limit_address=1, proxies=1)
    for address in ("203.0.113.1", "203.0.113.2", "2001:db8:0:1::1", "2001:db8:0:2::1"):
        assert api.get(ROUTE, headers={"X-Forwarded-For": address}).status_code == 200


def test_a_household_with_many_addresses_is_one_client(store: Stored, serve: Serve):
    store(EXAMPLES)
    api = serve(rate_limit_address=1, proxies=1)
    addresses = ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2")
    statuses = [api.get(ROUTE, headers={"X-Forwarded-For": address}).status_code for address in addresses]
    assert statuses == [200, 429]


def test_no_address_is_stored_or_logged(
    store: Stored,
    serve: Serve,
    firestore: firestore_api.Client,
    counted: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
):
    store(EXAMPLES)
    api = serve(rate_limit_address=2, proxies=1)
    for _ in range(3):
        api.get(ROUTE, headers={"X-Forwarded-For": "203.0.113.77"})
    wait_for(lambda: counted() >= 1)
    [found] = firestore.collection("rateLimits").stream()
    assert set(found.to_dict()) == {"count", "expiresAt"}
    for text in (found.id, str(found.to_dict()), capsys.readouterr().out):
        assert "203.0" not in text


@pytest.mark.parametrize("limited", [{"rate_limit_address": 2}])
def test_without_firestore_each_instance_limits_by_what_it_knows(
    firestore_emulator: Emulator,
    store: Stored,
    serve: Serve,
    limited: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    store(EXAMPLES)
    logged = ""
    with Outage(firestore_emulator.address) as outage:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", outage.address)
        outage.cut()
        api = serve(**limited)
        assert [api.get(ROUTE).status_code for _ in range(3)] == [503, 503, 429]

        def is_said() -> bool:
            nonlocal logged
            logged += capsys.readouterr().out
            return "rate limits are not shared" in logged

        wait_for(is_said)


@dataclass
class Clock:
    """Seconds since the epoch."""

    now: float = 1_760_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(firestore: firestore_api.Client, project: str) -> Iterator[Database]:
    opened = Database(project)
    yield opened
    opened.close()


def instance(database: Database, limit: int, clock: Clock, secret: str = "salt") -> SharedCounters:
    """The counters of one instance that nobody shares in the background."""
    counters = SharedCounters(lambda: database, limit, secret, clock)
    counters._begin = lambda: None  # type: ignore[method-assign]
    return counters


def test_what_instances_let_through_together_is_the_limit_and_what_they_keep_to_themselves(database: Database):
    clock, item = Clock(), RateLimitItemPerMinute(100)
    instances = [instance(database, 100, clock) for _ in range(4)]
    limiters = [FixedWindowRateLimiter(counters) for counters in instances]
    let_through = 0
    for _ in range(60):
        for counters, limiter in zip(instances, limiters, strict=True):
            let_through += limiter.test(item, "somebody") and limiter.hit(item, "somebody")
            counters.share()
    kept_to_themselves = 100 // 20
    assert 100 <= let_through <= 100 + 3 * kept_to_themselves


def test_of_a_client_far_below_its_limit_nothing_is_stored(database: Database, counted: Callable[[], int]):
    counters = instance(database, 100, Clock())
    for _ in range(4):
        counters.incr("somebody", 60)
    assert counters.share() == 0
    assert counted() == 0
    counters.incr("somebody", 60)
    assert counters.share() == 1
    assert counted() == 5


def test_a_new_minute_begins_with_a_whole_limit(database: Database):
    clock, item = Clock(), RateLimitItemPerMinute(2)
    limiter = FixedWindowRateLimiter(instance(database, 2, clock))
    assert [limiter.hit(item, "somebody") for _ in range(3)] == [True, True, False]
    clock.now = limiter.get_window_stats(item, "somebody").reset_time
    assert limiter.get_window_stats(item, "somebody").remaining == 2
    assert limiter.hit(item, "somebody")


def test_who_does_not_know_the_secret_cannot_look_an_address_up(database: Database, firestore: firestore_api.Client):
    for secret in ("one", "other"):
        counters = instance(database, 1, Clock(), secret)
        counters.incr("203.0.113.77", 60)
        counters.share()
    assert len({found.id for found in firestore.collection("rateLimits").stream()}) == 2


def test_what_could_not_be_shared_is_shared_later(
    firestore: firestore_api.Client,
    firestore_emulator: Emulator,
    project: str,
    counted: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
):
    with Outage(firestore_emulator.address) as outage:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", outage.address)
        database = Database(project, timeout_s=2)
        counters = instance(database, 1, Clock())
        outage.cut()
        counters.incr("somebody", 60)
        with pytest.raises(Unavailable):
            counters.share()
        outage.restore()

        def shared() -> bool:
            try:
                return counters.share() == 1
            except Unavailable:
                return False

        wait_for(shared)
        assert counted() == 1
        database.close()
