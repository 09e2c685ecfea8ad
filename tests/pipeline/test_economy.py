"""How much is spent on viewers: by hand, by the budget's messages, in what is published, and in the rules' release.

Firestore and Pub/Sub are the emulators. Google's Rules API has none; a server of this test's own stands for it, with
the requests and answers that https://firebase.google.com/docs/reference/rules/rest/v1/projects.releases describes.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from google.cloud import firestore as firestore_api
from google.cloud import pubsub_v1
from hypothesis import given
from hypothesis import strategies as st

from local import topology
from local.emulators import Emulator
from local.functions import FunctionServer
from local.processes import Processes
from pitwall.documents.economy import BudgetsWord, EconomyDocument, HandsWord, Mode
from pitwall.documents.encoding import from_fields
from pitwall.message import Message
from pitwall.pipeline import economy as economy_module
from pitwall.pipeline.budget import Budget
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.economy import MODES, UNTOUCHED, Economy, Watch, main, stricter, told_by_budget, told_by_hand
from pitwall.pipeline.envelope import Envelope, decode
from pitwall.pipeline.lease import Lease
from pitwall.pipeline.poller import Poller, open_source
from pitwall.pipeline.rules import Rules
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.ticks import SLOW_TICK_MS
from pitwall.pipeline.writer import Writer
from pitwall.settings import Settings
from tests.pipeline.conftest import Taken, little_race, message_of, push_body, recorded, stored, write_recording
from tests.pipeline.outage import Outage

ROOT = Path(__file__).resolve().parents[2]
START = 1_700_000_000_000
NOVEMBER = datetime(2025, 11, 1, 7, tzinfo=UTC)
DECEMBER = datetime(2025, 12, 1, 8, tzinfo=UTC)


class RulesApi:
    """Stands for firebaserules.googleapis.com: one release, and what it was asked.

    failing: statuses with which the next requests are answered, 0 for as usual. before_patch: called before a PATCH
    is done.
    """

    def __init__(self, project: str) -> None:
        self.open, self.closed = (f"projects/{project}/rulesets/{name}" for name in ("0pen", "c1osed"))
        self.released = self.open
        self.asked: list[str] = []
        self.authorization: set[str | None] = set()
        self.failing: list[int] = []
        self.before_patch: Callable[[], object] = lambda: None
        self.url = ""
        self._name = f"projects/{project}/releases/cloud.firestore"

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        self.asked.append(method)
        if self.failing and (status := self.failing.pop(0)):
            return status, {"error": {"code": status, "message": "as the test wants it"}}
        if path != f"/v1/{self._name}":
            return 404, {"error": {"code": 404, "message": "Requested entity was not found."}}
        if method == "PATCH":
            self.before_patch()
            release = json.loads(body)["release"]
            if set(release) != {"name", "rulesetName"} or release["name"] != self._name:
                return 400, {"error": {"code": 400, "message": "Request contains an invalid argument."}}
            self.released = release["rulesetName"]
        return 200, {"name": self._name, "rulesetName": self.released, "createTime": "2026-11-01T00:00:00Z"}


@pytest.fixture
def rules_api(project: str) -> Iterator[RulesApi]:
    api = RulesApi(project)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.authorization.add(self.headers.get("Authorization"))
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, told = api.answer(self.command, self.path, asked)
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PATCH = do_GET  # noqa: N815 (the library's name)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield api
        server.shutdown()


@pytest.fixture
def settings(project: str, rules_api: RulesApi) -> Settings:
    return Settings(
        project=project,
        instance="here",
        rules_open=rules_api.open,
        rules_closed=rules_api.closed,
        rules_url=rules_api.url,
    )


@pytest.fixture
def economy(database: Database) -> Economy:
    return Economy(database)


@pytest.fixture
def budget(settings: Settings, economy: Economy, topics: dict[str, str]) -> Budget:
    return Budget(settings, economy, Rules(settings), DeadLetters(settings.project, "budget-dead"))


def costs(amount: float, since: datetime = NOVEMBER, of: float = 100.0, **others: Any) -> bytes:
    """What Cloud Billing publishes."""
    told = {
        "budgetDisplayName": "pitwall",
        "costAmount": amount,
        "costIntervalStart": since.isoformat().replace("+00:00", "Z"),
        "budgetAmount": of,
        "budgetAmountType": "SPECIFIED_AMOUNT",
        "currencyCode": "EUR",
        **others,
    }
    return json.dumps(told).encode()


def push(data: bytes) -> bytes:
    """As it is pushed, with the attributes of Cloud Billing."""
    return push_body(data, billingAccountId="01D4EE-079462-DFD6EC", budgetId="de72f49d", schemaVersion="1.0")


def told(budget: Budget, data: bytes) -> int:
    return budget.handle(push(data)).status_code


def held(economy: Economy) -> tuple[Mode, str]:
    current = economy.current()
    return current.mode, current.set_by


# -- the budget ------------------------------------------------------------------------------


def test_a_month_of_the_budget_and_the_next(budget: Budget, economy: Economy, rules_api: RulesApi) -> None:
    released = {"open": rules_api.open, "closed": rules_api.closed}
    for data, mode, rules in [
        (costs(50), "off", "open"),
        (costs(79.99), "off", "open"),
        (costs(80, alertThresholdExceeded=0.8), "slow", "open"),
        (costs(80, alertThresholdExceeded=0.8), "slow", "open"),  # delivered twice
        (costs(60), "slow", "open"),  # published before the one above
        (costs(100, alertThresholdExceeded=1.0), "closed", "closed"),
        (costs(100, alertThresholdExceeded=1.0), "closed", "closed"),
        (costs(85), "closed", "closed"),
        (costs(20, since=NOVEMBER - timedelta(days=31)), "closed", "closed"),  # of October
        (costs(99, of=200), "closed", "closed"),  # the budget was raised: lifted by hand, or by the next month
        (costs(0.5, since=DECEMBER), "off", "open"),
        (costs(101), "off", "open"),  # of November, late
        (costs(81, since=DECEMBER), "slow", "open"),
    ]:
        assert told(budget, data) == 204
        assert (held(economy), rules_api.released) == ((mode, "budget"), released[rules]), data
    assert rules_api.asked.count("PATCH") == 2


def test_the_document_says_why(budget: Budget, economy: Economy) -> None:
    told(budget, costs(82.5))
    current = economy.current()
    assert current.reason == "the costs are 82.50 of 100.00 EUR since 2025-11-01"
    assert current.budget == BudgetsWord(mode="slow", reason=current.reason, cost_interval_start=NOVEMBER)
    assert current.v == 1


def test_what_changes_nothing_writes_nothing(budget: Budget, economy: Economy) -> None:
    for amount in (82.5, 83, 84, 82.5):
        told(budget, costs(amount))
    assert economy.current().v == 1


def test_thresholds_are_settings(settings: Settings, economy: Economy, topics: dict[str, str]) -> None:
    others = replace(settings, economy_slow_at=0.5, economy_closed_at=1.5)
    budget = Budget(others, economy, Rules(others), DeadLetters(settings.project, "budget-dead"))
    for amount, mode in [(49, "off"), (50, "slow"), (149, "slow"), (150, "closed")]:
        told(budget, costs(amount))
        assert held(economy)[0] == mode


def test_the_budget_never_loosens_what_was_set_by_hand(
    budget: Budget, economy: Economy, rules_api: RulesApi, settings: Settings
) -> None:
    economy.set_by_hand("closed", "an attack")
    for data in (costs(10), costs(90), costs(1, since=DECEMBER)):
        assert told(budget, data) == 204
        assert held(economy) == ("closed", "hand")
        assert economy.current().reason == "an attack"
    assert rules_api.released == rules_api.closed


def test_the_budget_tightens_what_was_set_by_hand_and_goes_back_to_it(budget: Budget, economy: Economy) -> None:
    economy.set_by_hand("slow", "many viewers")
    assert (told(budget, costs(85)), held(economy)) == (204, ("slow", "hand"))
    assert (told(budget, costs(100)), held(economy)) == (204, ("closed", "budget"))
    assert (told(budget, costs(1, since=DECEMBER)), held(economy)) == (204, ("slow", "hand"))


def test_what_was_lifted_by_hand_stays_lifted_until_the_budget_asks_for_more(budget: Budget, economy: Economy) -> None:
    told(budget, costs(85))
    economy.set_by_hand("off", "we pay for it")
    assert (told(budget, costs(90)), held(economy)) == (204, ("off", "hand"))
    assert (told(budget, costs(100)), held(economy)) == (204, ("closed", "budget"))
    economy.set_by_hand("off")
    assert (told(budget, costs(250)), held(economy)) == (204, ("off", "hand"))
    assert (told(budget, costs(80, since=DECEMBER)), held(economy)) == (204, ("slow", "budget"))


MESSAGES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(MODES)), min_size=1, max_size=12)


def word(month: int, mode: Mode) -> BudgetsWord:
    return BudgetsWord(mode=mode, reason="costs", cost_interval_start=NOVEMBER + timedelta(days=31 * month))


@given(MESSAGES, st.sampled_from([None, *MODES]), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_of_messages_end_in_the_strictest_of_the_last_month(
    messages: list[tuple[int, Mode]], hand: Mode | None, rng: Any
) -> None:
    document: EconomyDocument = UNTOUCHED if hand is None else told_by_hand(UNTOUCHED, HandsWord(mode=hand))
    delivered = messages + rng.choices(messages, k=5)
    rng.shuffle(delivered)
    for month, mode in delivered:
        document = told_by_budget(document, word(month, mode))
    last = max(month for month, _ in messages)
    asked = max((mode for month, mode in messages if month == last), key=MODES.index)
    assert document.mode == stricter(asked, hand or "off")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "costAmount"),
        (costs(10, costAmount="ten"), "costAmount"),
        (costs(10, of=0), "budgetAmount"),
        (costs(10, of=-1), "budgetAmount"),
        (costs(1e300), "costAmount"),
        (costs(10, costIntervalStart="LIVE"), "costIntervalStart"),
        (costs(10, costIntervalStart="2026-11-01T00:00:00"), "costIntervalStart"),
        (costs(10, costIntervalStart="0001-01-01T00:00:00+05:00"), "cannot be"),
        (costs(100, since=datetime.now(UTC) + timedelta(days=2)), "cannot be"),
        (costs(100, currencyCode="E" * 5000), "currencyCode"),
        (b'{"x":' * 100_000, "recursion"),
    ],
)
def test_what_tells_no_costs_is_put_away_and_changes_nothing(
    budget: Budget, economy: Economy, taken: Taken, data: bytes, why: str, rules_api: RulesApi
) -> None:
    assert told(budget, data) == 204
    (dead,) = taken("budget-dead")
    assert (dead.data, dead.attributes["reason"]) == (data, "unreadable-costs")
    assert why in dead.attributes["detail"]
    assert (economy.current(), rules_api.asked) == (UNTOUCHED, [])


def test_another_version_of_the_message_is_put_away(budget: Budget, economy: Economy, taken: Taken) -> None:
    assert budget.handle(push_body(costs(100), schemaVersion="2.0")).status_code == 204
    assert "2.0" in taken("budget-dead")[0].attributes["detail"]
    assert economy.current() == UNTOUCHED


def test_what_is_no_push_is_refused(budget: Budget, economy: Economy) -> None:
    assert budget.handle(b"no push").status_code == 400
    assert economy.current() == UNTOUCHED


def test_a_document_that_cannot_be_read_is_replaced_by_the_next_message(
    budget: Budget, economy: Economy, firestore: firestore_api.Client
) -> None:
    firestore.document("economy/current").set({"mode": "fast"})
    assert (told(budget, costs(85)), held(economy)) == (204, ("slow", "budget"))


def test_no_message_of_a_feed_sets_the_mode(
    database: Database, project: str, economy: Economy, topics: dict[str, str], taken: Taken
) -> None:
    fields = {"at": "2026-01-01T00:00:00Z", "mode": "closed", "setBy": "hand"}
    from_fields("economy/current", fields)  # it is a good document
    writer = Writer(VersionedStore(database), DeadLetters(project, "timing-dead"))
    assert writer.handle(push_body(message_of({"economy/current": fields}, seq=1))).status_code == 204
    assert taken("timing-dead")[0].attributes["reason"] == "unknown-path"
    assert economy.current() == UNTOUCHED


# -- the rules' release ----------------------------------------------------------------------


@pytest.mark.parametrize("failing", [[503], [429, 500], [502, 504]])
def test_a_rules_api_that_stumbles_is_asked_again(budget: Budget, rules_api: RulesApi, failing: list[int]) -> None:
    rules_api.failing = list(failing)
    assert (told(budget, costs(100)), rules_api.released) == (204, rules_api.closed)
    assert len(rules_api.asked) == len(failing) + 2


@pytest.mark.parametrize("failing", [[503] * 3, [429] * 3, [403], [0, 403], [0, 500, 500, 500]])
def test_a_message_whose_release_failed_is_delivered_again_and_ends_right(
    budget: Budget, economy: Economy, rules_api: RulesApi, failing: list[int]
) -> None:
    """Also what a crash between the document and the release leaves: the document says closed, the release is open."""
    rules_api.failing = list(failing)
    data = push(costs(100))
    assert budget.handle(data).status_code == 503
    assert (held(economy), rules_api.released) == (("closed", "budget"), rules_api.open)
    assert len(rules_api.asked) == len(failing)
    assert budget.handle(data).status_code == 204
    assert (held(economy), rules_api.released) == (("closed", "budget"), rules_api.closed)


def test_a_rules_api_that_does_not_answer_has_the_message_delivered_again(
    settings: Settings, economy: Economy, topics: dict[str, str]
) -> None:
    gone = replace(settings, rules_url="http://127.0.0.1:9")
    budget = Budget(gone, economy, Rules(gone), DeadLetters(settings.project, "budget-dead"))
    assert told(budget, costs(100)) == 503
    assert held(economy) == ("closed", "budget")


def test_without_rulesets_the_mode_is_stored_and_the_rules_stay(
    settings: Settings,
    economy: Economy,
    topics: dict[str, str],
    rules_api: RulesApi,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = replace(settings, rules_open="", rules_closed="")
    budget = Budget(without, economy, Rules(without), DeadLetters(settings.project, "budget-dead"))
    assert (told(budget, costs(100)), held(economy)[0], rules_api.asked) == (204, "closed", [])
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["severity"], line["mode"]) == ("WARNING", "closed")
    assert "PITWALL_RULES_OPEN" in line["rules"]


def test_rules_that_somebody_else_released_are_closed_but_never_opened(budget: Budget, rules_api: RulesApi) -> None:
    rules_api.released = other = rules_api.open.replace("0pen", "0ther")
    told(budget, costs(90))
    assert rules_api.released == other
    told(budget, costs(100))
    assert rules_api.released == rules_api.closed


def test_of_two_changes_at_a_time_the_release_follows_the_later(
    budget: Budget, economy: Economy, rules_api: RulesApi
) -> None:
    told(budget, costs(100))

    def meanwhile() -> None:
        rules_api.before_patch = lambda: None
        economy.set_by_hand("closed")  # by somebody who finds the release closed still, and leaves it

    rules_api.before_patch = meanwhile
    assert told(budget, costs(0, since=DECEMBER)) == 204
    assert (held(economy), rules_api.released) == (("closed", "hand"), rules_api.closed)


def test_no_token_is_sent_over_plain_http(budget: Budget, rules_api: RulesApi) -> None:
    told(budget, costs(100))
    assert rules_api.authorization == {None}


# -- the deployed function -------------------------------------------------------------------


def test_the_function_takes_the_budgets_messages_as_pubsub_pushes_them(
    settings: Settings,
    publisher: pubsub_v1.PublisherClient,
    firestore_emulator: Emulator,
    pubsub_emulator: Emulator,
    database: Database,
    rules_api: RulesApi,
    processes: Processes,
) -> None:
    env = {**settings.to_env(), **firestore_emulator.env, **pubsub_emulator.env, "PITWALL_INSTANCE": "economy"}
    server = FunctionServer(processes, f"economy-{settings.project}", "economy", env)
    try:
        server.wait_until_ready()
        topology.create(settings, {"economy": server.url})
        topic = publisher.topic_path(settings.project, settings.topic_budget)
        attributes = {"billingAccountId": "01D4EE-079462-DFD6EC", "budgetId": "de72f49d", "schemaVersion": "1.0"}
        publisher.publish(topic, costs(104.2), **attributes).result(30)
        wait_until(lambda: rules_api.released == rules_api.closed)
        assert Economy(database).current().reason == "the costs are 104.20 of 100.00 EUR since 2025-11-01"
    finally:
        FunctionServer.end([server])


def wait_until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


# -- by hand ---------------------------------------------------------------------------------


@pytest.fixture
def command(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command with the settings in the environment."""
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    return lambda *arguments: main(arguments)


def test_by_hand_the_mode_is_set_shown_and_lifted(
    command: Callable[..., int], economy: Economy, rules_api: RulesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command() == 0
    assert capsys.readouterr().out == "The mode is off; nobody has set it.\n"
    assert command("closed", "--reason", "an attack") == 0
    assert (held(economy), rules_api.released) == (("closed", "hand"), rules_api.closed)
    assert f"closed from now on ({rules_api.closed})" in capsys.readouterr().out
    assert command() == 0
    shown = capsys.readouterr().out
    assert shown.startswith("The mode is closed, set by hand at 20")
    assert shown.endswith(": an attack.\n")
    assert command("off") == 0
    assert (held(economy), rules_api.released) == (("off", "hand"), rules_api.open)


def test_by_hand_a_release_that_failed_is_told_and_made_good_by_running_it_again(
    command: Callable[..., int], economy: Economy, rules_api: RulesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    rules_api.failing = [403]
    assert command("closed") == 1
    assert "answered 403" in capsys.readouterr().err
    assert (held(economy)[0], rules_api.released) == ("closed", rules_api.open)
    assert command("closed") == 0
    assert rules_api.released == rules_api.closed


def test_by_hand_without_rulesets_it_is_said_that_the_rules_stay(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PITWALL_RULES_OPEN")
    monkeypatch.delenv("PITWALL_RULES_CLOSED")
    assert command("closed") == 0
    assert "PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED are not set" in capsys.readouterr().out


def test_by_hand_a_reason_that_is_too_long_is_refused(
    command: Callable[..., int], economy: Economy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("slow", "--reason", "x" * 501) == 1
    assert "economy/current" in capsys.readouterr().err
    assert economy.current() == UNTOUCHED


def test_by_hand_a_database_that_does_not_answer_is_told(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:9")
    assert command("slow") == 1
    assert capsys.readouterr().err.startswith("Firestore does not answer")


@pytest.mark.parametrize(("arguments", "said"), [(["fast"], "off"), (["--reason", "x"], "--reason goes with a mode")])
def test_wrong_arguments_are_refused_with_what_there_is(arguments: list[str], said: str) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT / "functions")}
    run = [sys.executable, "-m", "pitwall.pipeline.economy", *arguments]
    done = subprocess.run(run, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr


def test_without_credentials_it_is_said_how_to_get_them() -> None:
    hosts = ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS")
    env = {name: value for name, value in os.environ.items() if name not in hosts}
    env |= {"GOOGLE_CLOUD_PROJECT": "p", "HOME": "/nonexistent", "NO_GCE_CHECK": "true", "PYTHONPATH": "functions"}
    run = [sys.executable, "-m", "pitwall.pipeline.economy", "slow"]
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "default credentials" in done.stderr.lower()
    assert len(done.stderr.splitlines()) == 1


def test_without_a_project_it_is_said_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 1
    assert "GOOGLE_CLOUD_PROJECT is not set" in capsys.readouterr().err


# -- what is published -----------------------------------------------------------------------


def busy_race(seconds: int) -> list[Message]:
    """A little race in which something of the tower changes twice a second."""
    messages = little_race(laps=seconds // 20)
    for n in range(seconds * 2):
        line = {"GapToLeader": f"+{n / 100 + 1:.3f}"}
        messages.append(Message("TimingData", {"Lines": {"2": line}}, START + 2_000 + n * 500))
    messages.sort(key=lambda message: message.at)
    return [message._replace(cursor=n) for n, message in enumerate(messages)]


@pytest.fixture
def polling(tmp_path: Path, project: str, topics: dict[str, str], database: Database) -> Settings:
    """A recording of five minutes, played without waiting."""
    recording = write_recording(tmp_path / "busy.jsonl", busy_race(300))
    return Settings(
        project=project,
        instance="here",
        source=f"recording:{recording}",
        speed=math.inf,
        checkpoint_s=0.1,
        invocation_s=120.0,
    )


def towers(told: list[Envelope]) -> list[int]:
    """Instants of the ticks that have the tower, ms."""
    return [
        round(envelope.at.timestamp() * 1000)
        for envelope in told
        if any(document.path.endswith("live/timing") for document in envelope.documents)
    ]


def gaps(told: list[Envelope]) -> list[int]:
    """Feed ms between towers; without the one before the last tower, which is the source's end."""
    return [after - before for before, after in itertools.pairwise(towers(told))][:-1]


def lasting(documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What does not depend on when ticks were: not the towers kept for those who watch with a delay."""
    return {path: fields for path, fields in documents.items() if "/towers/" not in path}


def play(settings: Settings, database: Database) -> None:
    assert Poller(settings, database, open_source).run().outcome == "ended"


def recording_of(settings: Settings) -> Path:
    return Path(settings.source.partition(":")[2])


@pytest.mark.parametrize("mode", ["slow", "closed"])
def test_slow_ticks_are_five_seconds_apart_and_end_in_the_same_documents(
    mode: Mode,
    polling: Settings,
    database: Database,
    economy: Economy,
    taken: Taken,
    firestore: firestore_api.Client,
) -> None:
    economy.set_by_hand(mode)
    play(polling, database)
    messages = taken("timing")
    told = [decode(message.data) for message in messages]
    assert len(gaps(told)) > 50
    assert min(gaps(told)) >= SLOW_TICK_MS
    writer = Writer(VersionedStore(database), DeadLetters(polling.project, "timing-dead"))
    for message in messages:
        assert writer.handle(push_body(message.data)).status_code == 204
    assert lasting(stored(firestore)) == lasting(recorded(recording_of(polling)))


def test_in_a_mode_a_paced_recording_gives_the_same_ticks_as_one_that_does_not_wait(
    polling: Settings, database: Database, economy: Economy, taken: Taken
) -> None:
    economy.set_by_hand("slow")
    play(polling, database)
    unpaced = documents_by_tick(taken)
    Lease(database, polling.feed, "again", ttl_s=10.0).again()
    play(replace(polling, speed=150.0), database)
    assert documents_by_tick(taken) == unpaced


def documents_by_tick(taken: Taken) -> list[tuple[datetime, list[tuple[str, bytes]]]]:
    """Instants and documents of what was published, without `live/feed`, which is told in silence too."""
    ticks = []
    for message in taken("timing"):
        told = decode(message.data)
        held = [(d.path, bytes(d.fields)) for d in told.documents if not d.path.endswith("live/feed")]
        if held:
            ticks.append((told.at, held))
    return ticks


def test_a_mode_takes_effect_while_a_feed_is_held_and_stays_while_it_cannot_be_read(
    polling: Settings,
    database: Database,
    economy: Economy,
    taken: Taken,
    firestore: firestore_api.Client,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(economy_module, "WATCH_S", 0.05)
    poller = Poller(replace(polling, speed=20.0), database, open_source)
    thread = threading.Thread(target=poller.run)
    thread.start()
    told: list[Envelope] = []

    def more(enough: Callable[[list[int]], bool]) -> None:
        """Takes what is published until there is enough of it."""
        first = len(told)

        def come() -> bool:
            told.extend(decode(message.data) for message in taken("timing"))
            return enough(towers(told[first:]))

        wait_until(come)

    def apart(instants: list[int], ms: int) -> bool:
        """Whether the last four are so far apart, and no more than a message's time further."""
        between = [after - before for before, after in itertools.pairwise(instants)][-3:]
        return len(between) == 3 and all(ms <= gap <= ms + 600 for gap in between)

    try:
        more(lambda instants: apart(instants, 1_000))
        economy.set_by_hand("slow")
        more(lambda instants: apart(instants, SLOW_TICK_MS))
        firestore.document("economy/current").update({"mode": "fast"})
        more(lambda instants: len(instants) > 3)
        assert min(after - before for before, after in itertools.pairwise(towers(told)[-4:])) >= SLOW_TICK_MS
        economy.set_by_hand("off")
        more(lambda instants: apart(instants, 1_000))
    finally:
        poller.stop()
        thread.join()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert any("cannot be read, it stays as it was" in line["message"] for line in lines)
    told_modes = [line["message"] for line in lines if "tickMs" in line]
    assert told_modes == ["the economy is slow", "the economy is off"]
    versions = [envelope.v for envelope in told]
    assert versions == sorted(set(versions))


def test_a_holder_that_cannot_read_the_mode_goes_on_as_the_checkpoint_says(
    polling: Settings,
    database: Database,
    economy: Economy,
    taken: Taken,
    firestore: firestore_api.Client,
) -> None:
    economy.set_by_hand("slow")
    first = Poller(replace(polling, speed=40.0), database, open_source)
    thread = threading.Thread(target=first.run)
    thread.start()
    told: list[Envelope] = []

    def some() -> bool:
        told.extend(decode(message.data) for message in taken("timing"))
        return len(towers(told)) > 3

    wait_until(some)
    first.stop()
    thread.join()
    firestore.document("economy/current").update({"mode": "fast"})
    play(polling, database)
    told.extend(decode(message.data) for message in taken("timing"))
    assert len({envelope.epoch for envelope in told}) == 2
    assert min(gaps(told)) >= SLOW_TICK_MS


def test_a_holder_that_firestore_does_not_answer_keeps_its_mode(
    project: str, firestore_emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Outage(firestore_emulator.value) as way, ThreadPoolExecutor(1) as beside:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", way.address)
        monkeypatch.setattr(economy_module, "WATCH_S", 10.0)
        database = Database(project)
        economy = Economy(database)
        economy.set_by_hand("slow")
        watch = Watch(economy, beside, lambda: 0.0)
        assert watch.first() == "slow"
        way.cut()
        assert watch.first() is None
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["severity"] == "WARNING"
        way.restore()
        assert watch.look(9.9) is None
        wait_until(lambda: watch.look(20.0 * next(ticks)) == "slow")
        database.close()


ticks = itertools.count(1)


def test_a_holder_looks_once_a_minute(database: Database, economy: Economy) -> None:
    with ThreadPoolExecutor(1) as beside:
        watch = Watch(economy, beside, lambda: 0.0)
        watch.first()
        database.operations()
        for second in range(600):
            watch.look(float(second))
            beside.submit(int).result()
        assert database.operations()["firestoreReads"] == 9
