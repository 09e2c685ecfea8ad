"""Holding a live feed: nothing is lost while somebody stands by, and what is lost is marked when nobody did."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud import firestore as firestore_api
from msgspec import UNSET
from msgspec.structs import replace as msgspec_replace

from local.emulators import Emulator
from pitwall.documents.encoding import instant, to_fields
from pitwall.documents.schedule import ScheduleDocument, ScheduledSession
from pitwall.documents.session import SessionDocument
from pitwall.message import FeedStatus, Message
from pitwall.pipeline.checkpoint import Checkpoint, Checkpoints
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.envelope import decode
from pitwall.pipeline.holder import Holder, is_over
from pitwall.pipeline.lease import Lease
from pitwall.pipeline.poller import Poller, Summary
from pitwall.pipeline.publisher import Publisher
from pitwall.pipeline.reader import Opened, Reader
from pitwall.pipeline.schedule import Schedules
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from tests.pipeline.broadcast import Broadcast
from tests.pipeline.conftest import START, Deliver, laps_of, little_race, told_by
from tests.pipeline.outage import Outage

pytestmark = pytest.mark.whole

SPEED = 14.0


@pytest.fixture
def settings(project: str, topics: dict[str, str], database: Database) -> Settings:
    """Those of production, but for a lease of 2 s and a checkpoint every 0.2 s."""
    return Settings(
        project=project,
        instance="here",
        source="broadcast",
        schedule=False,
        lease_ttl_s=2.0,
        lease_renew_s=0.3,
        checkpoint_s=0.2,
        invocation_s=60.0,
    )


class Crash(BaseException):
    """The instance is gone: nothing after this happens."""


class Instance(threading.Thread):
    """One invocation of the poller, in a thread."""

    def __init__(self, settings: Settings, project: str, open_source: Callable[[Settings], Opened]) -> None:
        super().__init__(daemon=True)
        self.poller = Poller(settings, Database(project), open_source)
        self.summary: Summary | None = None
        self.start()

    def run(self) -> None:
        try:
            self.summary = self.poller.run()
        except Crash:
            return

    def end(self) -> Summary:
        self.poller.stop()
        self.join(30)
        assert self.summary is not None
        return self.summary


def clean(messages: list[Message]) -> dict[str, dict[str, Any]]:
    """The laps an uninterrupted run stores."""
    return laps_of(told_by(messages, "", "broadcast"))


def until(true: Callable[[], bool], what: str) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen")


def holder(database: Database) -> str:
    return Lease(database, "f1", "watcher", ttl_s=2.0).view().holder


def named(database: Database) -> str:
    """The session whose checkpoint the lease names."""
    return str((database.read(["leases/f1"])["leases/f1"].fields or {}).get("sessionKey", ""))


def standby_ready(database: Database) -> bool:
    """Whether somebody could take over at once."""
    fields = database.read(["leases/f1"])["leases/f1"].fields or {}
    return bool(fields.get("successor", {}).get("ready"))


def with_heartbeats() -> list[Message]:
    """The little race, and after it a feed that only beats, so that nothing ends of itself."""
    race = little_race()
    last = race[-1].at
    return race + [Message("Heartbeat", {"Utc": str(n)}, last + n * 2_000) for n in range(1, 40)]


def crash_at(monkeypatch: pytest.MonkeyPatch, seq: int) -> threading.Event:
    """The holder of epoch 1 is gone once its tick `seq` is published, and before any checkpoint covers that."""
    crashed = threading.Event()
    publish = Publisher.publish

    def crash(self: Publisher, topic: str, key: str, data: bytes, **attributes: str) -> None:
        publish(self, topic, key, data, **attributes)
        if topic == "timing" and (told := decode(data)).epoch == 1 and told.seq == seq:
            while not self.acknowledged(self.messages):
                self.wait(0.1)
            crashed.set()
            raise Crash

    monkeypatch.setattr(Publisher, "publish", crash)
    return crashed


def test_a_crash_loses_no_message_of_a_live_feed_while_somebody_stands_by(
    settings: Settings, project: str, database: Database, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = with_heartbeats()
    broadcast = Broadcast(messages, SPEED)
    crashed = crash_at(monkeypatch, 60)
    opened = lambda _: broadcast.opened()  # noqa: E731
    Instance(replace(settings, instance="first"), project, opened)
    until(lambda: holder(database).startswith("first/"), "the first one's holding")
    second = Instance(replace(settings, instance="second"), project, opened)
    until(crashed.is_set, "the crash")
    until(lambda: holder(database).startswith("second/"), "the take-over")
    until(lambda: time.monotonic() > broadcast.due(messages[len(little_race()) + 5]), "the end of the race")
    held = second.end().held
    documents = deliver()
    assert laps_of(documents) == clean(messages)
    assert held["epoch"] == 2
    assert not [path for path in documents if "/gaps/" in path]
    assert broadcast.connections == 2


def test_what_a_standby_kept_is_there_when_firestore_does_not_answer_at_first(
    settings: Settings, project: str, database: Database, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = with_heartbeats()
    broadcast = Broadcast(messages, SPEED)
    load, unanswered = Checkpoints.load, [""]

    def answers_later(self: Checkpoints, session_key: str) -> Checkpoint | None:
        if unanswered:
            raise Unavailable(unanswered.pop())
        return load(self, session_key)

    opened = lambda _: broadcast.opened()  # noqa: E731
    first = Instance(replace(settings, instance="first"), project, opened)
    until(lambda: holder(database).startswith("first/"), "the first one's holding")
    second = Instance(replace(settings, instance="second"), project, opened)
    until(lambda: broadcast.connections == 2, "the second one's standing by")
    until(lambda: time.monotonic() > broadcast.due(messages[60]), "some of the race")
    monkeypatch.setattr(Checkpoints, "load", answers_later)
    first.end()
    until(lambda: time.monotonic() > broadcast.due(messages[len(little_race()) + 5]), "the end of the race")
    second.end()
    documents = deliver()
    assert not unanswered
    assert laps_of(documents) == clean(messages)
    assert not [path for path in documents if "/gaps/" in path]
    assert broadcast.connections == 2


def test_after_an_outage_of_firestore_it_is_the_standby_that_goes_on(
    settings: Settings,
    project: str,
    database: Database,
    deliver: Deliver,
    firestore_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The holder had to stop, and what it had read since its checkpoint is gone with it."""
    messages = with_heartbeats()
    broadcast = Broadcast(messages, SPEED)
    opened = lambda _: broadcast.opened()  # noqa: E731
    with Outage(firestore_emulator.address) as outage:
        with monkeypatch.context() as through:
            through.setenv("FIRESTORE_EMULATOR_HOST", outage.address)
            first = Instance(replace(settings, instance="first"), project, opened)
            until(lambda: holder(database).startswith("first/"), "the first one's holding")
            second = Instance(replace(settings, instance="second"), project, opened)
        until(lambda: standby_ready(database), "the second one's standing by")
        until(lambda: time.monotonic() > broadcast.due(messages[60]), "some of the race")
        outage.cut()
        until(lambda: not first.poller.holding, "the loss of the lease")
        outage.restore()
        until(lambda: holder(database).startswith("second/"), "the take-over")
        until(lambda: time.monotonic() > broadcast.due(messages[len(little_race()) + 5]), "the end of the race")
        first.end()
        second.end()
    documents = deliver()
    assert laps_of(documents) == clean(messages)
    assert not [path for path in documents if "/gaps/" in path]


def test_a_gap_nobody_bridged_is_marked_and_the_laps_go_on_with_right_numbers(
    settings: Settings, project: str, database: Database, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = with_heartbeats()
    broadcast = Broadcast(messages, SPEED)
    crashed = crash_at(monkeypatch, 60)
    opened = lambda _: broadcast.opened()  # noqa: E731
    Instance(replace(settings, instance="first"), project, opened)
    until(crashed.is_set, "the crash")
    second = Instance(replace(settings, instance="second"), project, opened)
    until(lambda: holder(database).startswith("second/"), "the take-over")
    until(lambda: time.monotonic() > broadcast.due(messages[len(little_race()) + 5]), "the end of the race")
    second.end()
    documents, whole = deliver(), clean(messages)
    gaps = [fields for path, fields in documents.items() if "/gaps/" in path]
    assert len(gaps) == 1
    assert "replaced" in gaps[0]["reason"]
    assert laps_of(documents).keys() == whole.keys()
    named = {(number, lap) for number, laps in gaps[0].get("laps", {}).items() for lap in laps}
    times = [
        (number, fields["lap"], line.get("lapTimeMs"), whole[path]["drivers"][number].get("lapTimeMs"))
        for path, fields in laps_of(documents).items()
        for number, line in fields["drivers"].items()
    ]
    assert {(number, lap) for number, lap, got, wanted in times if got != wanted} <= named
    assert any(got != wanted for _, _, got, wanted in times), "the race went on without anybody, and nothing is missing"


def test_what_changed_back_while_nobody_listened_is_stored_as_it_is(
    settings: Settings, project: str, database: Database, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A yellow flag was published and no checkpoint covers it; whoever goes on knows of nothing but green."""
    race = little_race(laps=1)
    flags = [("1", 2_000), ("2", 30_000), ("1", 50_000)]
    told = [Message("TrackStatus", {"Status": code}, START + after) for code, after in flags]
    beats = [Message("Heartbeat", {"Utc": str(n)}, START + 30_000 + n * 2_000) for n in range(1, 100)]
    messages = sorted([*race, *told, *beats], key=lambda message: message.at)
    broadcast = Broadcast(messages, SPEED)
    crashed = threading.Event()
    publish = Publisher.publish

    def crash(self: Publisher, topic: str, key: str, data: bytes, **attributes: str) -> None:
        publish(self, topic, key, data, **attributes)
        if topic == "timing" and any(b'"code":"2"' in bytes(document.fields) for document in decode(data).documents):
            while not self.acknowledged(self.messages):
                self.wait(0.1)
            crashed.set()
            raise Crash

    with monkeypatch.context() as crashing:
        crashing.setattr(Publisher, "publish", crash)
        Instance(replace(settings, instance="first"), project, lambda _: broadcast.opened())
        until(crashed.is_set, "the crash")
    assert deliver()["sessions/7001"]["trackStatus"]["code"] == "2"
    until(lambda: time.monotonic() > broadcast.due(told[-1]) + 0.1, "the green flag")
    second = Instance(replace(settings, instance="second"), project, lambda _: broadcast.opened())
    until(lambda: second.poller.holding, "the take-over")
    until(lambda: deliver()["sessions/7001"]["trackStatus"]["code"] == "1", "the green flag's storing")
    second.end()


def test_a_crash_in_a_holders_first_seconds_is_marked_too(
    settings: Settings, project: str, database: Database, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first checkpoint is written, and named by the lease, as soon as the session is known."""
    messages = with_heartbeats()
    broadcast = Broadcast(messages, SPEED)
    settings = replace(settings, checkpoint_s=30.0, lease_renew_s=0.9)
    crashed = crash_at(monkeypatch, 20)
    Instance(replace(settings, instance="first"), project, lambda _: broadcast.opened())
    until(crashed.is_set, "the crash")
    second = Instance(replace(settings, instance="second"), project, lambda _: broadcast.opened())
    until(lambda: second.poller.holding, "the take-over")
    until(lambda: "sessions/7001/gaps/0" in deliver(), "the gap's storing")
    second.end()


def test_a_snapshot_that_tells_nothing_new_is_of_the_time_it_came(
    settings: Settings, project: str, database: Database, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may tell of nothing for half a minute, while the feed went on and nobody heard it."""
    heard = little_race()[:30]
    last = heard[-1].at

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as crashing:
        crashing.setattr(Lease, "release", crash)  # right behind the checkpoint
        source = Saying(FeedStatus("live"), *heard)
        first = Instance(replace(settings, instance="first"), project, lambda _: Opened(source, 1.0, rewindable=False))
        until(lambda: holder(database).startswith("first/"), "holding")
        until(lambda: source.said == len(heard) + 1 and named(database) == "7001", "the messages")
        first.poller.stop()
        first.join(30)
    snapshot = [message._replace(at=last - 5_000, snapshot=True) for message in heard[:3]]
    following = Saying(FeedStatus("live"), *snapshot, Message("Heartbeat", {"Utc": "x"}, last + 60_000))
    until(lambda: Lease(database, "f1", "watcher", ttl_s=2.0).view().free, "the end of the lease")
    second = Instance(settings, project, lambda _: Opened(following, 1.0, rewindable=False))
    until(lambda: second.poller.holding and following.said == 5, "the take-over")
    second.end()
    (gap,) = [fields for path, fields in deliver().items() if "/gaps/" in path]
    assert gap["startDate"] == instant(last)
    assert gap["endDate"] - gap["startDate"] > timedelta(seconds=1)


def test_a_former_holder_that_wakes_sets_nothing_back(
    settings: Settings,
    project: str,
    database: Database,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It hung with ticks in its Pub/Sub client; they go out when somebody else has long published newer ones."""
    messages = with_heartbeats()
    broadcast = Broadcast(messages, SPEED)
    hung, wake, woken = threading.Event(), threading.Event(), threading.Event()
    in_line: list[tuple[Publisher, str, str, bytes]] = []
    publish, acknowledged = Publisher.publish, Publisher.acknowledged

    def hang(self: Publisher, topic: str, key: str, data: bytes, **attributes: str) -> None:
        if topic != "timing" or (told := decode(data)).epoch > 1 or told.seq < 55:
            publish(self, topic, key, data, **attributes)
            return
        in_line.append((self, topic, key, data))
        if told.seq == 60:
            hung.set()
            wake.wait(60)
            for waiting in in_line:
                publish(*waiting)
            while not acknowledged(self, self.messages):
                self.wait(0.1)
            woken.set()

    def all_but_those_in_line(self: Publisher, through: int) -> bool:
        return (woken.is_set() or not in_line or in_line[0][0] is not self) and acknowledged(self, through)

    monkeypatch.setattr(Publisher, "publish", hang)
    monkeypatch.setattr(Publisher, "acknowledged", all_but_those_in_line)
    first = Instance(replace(settings, instance="first"), project, lambda _: broadcast.opened())
    until(lambda: holder(database).startswith("first/"), "the first one's holding")
    second = Instance(replace(settings, instance="second"), project, lambda _: broadcast.opened())
    until(hung.is_set, "the hanging")
    until(lambda: holder(database).startswith("second/"), "the take-over")
    until(lambda: time.monotonic() > broadcast.due(messages[len(little_race()) + 5]), "the end of the race")
    wake.set()
    until(woken.is_set, "the waking")
    until(lambda: broadcast.connections == 3, "standing by again")
    assert "no longer the holder" in capsys.readouterr().out
    second.end()
    first.end()
    assert len(in_line) == 6
    documents = deliver()
    assert laps_of(documents) == clean(messages)
    assert not [path for path in documents if "/gaps/" in path]


class Saying:
    """A live source that says what it is told to, then waits."""

    name = "f1"
    session = ""

    def __init__(self, *items: Message | FeedStatus) -> None:
        self.rejected: Counter[str] = Counter()
        self.said = 0
        self._items = [item._replace(cursor=-1) if isinstance(item, Message) else item for item in items]
        self._closing = threading.Event()

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        for item in self._items:
            yield item
            self.said += 1
        self._closing.wait(60)

    def close(self) -> None:
        self._closing.set()


def test_what_the_source_says_of_its_login_is_stored_in_plain_words(
    settings: Settings,
    project: str,
    firestore: firestore_api.Client,
    deliver: Deliver,
    capsys: pytest.CaptureFixture[str],
) -> None:
    race = little_race()
    denied = FeedStatus("live", "the F1TV token expired; reading the public topics only", 2, ("CarData", "Position"))
    source = Saying(FeedStatus("connecting"), *race[:20], denied, *race[20:30])
    instance = Instance(settings, project, lambda _: Opened(source, 1.0, rewindable=False))
    until(lambda: "the feed is live" in capsys.readouterr().out, "the log's line")
    time.sleep(0.5)
    instance.end()
    deliver()
    feed = firestore.document("sessions/7001/live/feed").get().to_dict() or {}
    assert (feed["state"], feed["message"], feed["reconnects"], feed["gatedTopics"]) == (
        "live",
        "the F1TV token expired; reading the public topics only",
        2,
        ["CarData", "Position"],
    )


def test_a_feed_that_has_told_no_session_stores_nothing(settings: Settings, project: str, deliver: Deliver) -> None:
    source = Saying(FeedStatus("refused", "F1 blocks this address (403)", at=1), Message("Heartbeat", {"Utc": "x"}, 5))
    instance = Instance(settings, project, lambda _: Opened(source, 1.0, rewindable=False))
    time.sleep(2.0)
    assert instance.end().outcome == "handed-over"
    assert deliver() == {}


def test_a_feed_refused_from_the_start_is_told_under_the_session_that_is_expected() -> None:
    reducer = Reducer("9001", "f1", "f1")
    (tick,) = reducer.tell_feed(FeedStatus("refused", "F1 blocks this address (403)", at=1_700_000_000_000))
    ((path, document),) = tick.documents
    fields = to_fields(document)
    assert (path, tick.at) == ("sessions/9001/live/feed", 1_700_000_000_000)
    assert (fields["state"], fields["message"]) == ("refused", "F1 blocks this address (403)")
    assert "lastMessageAt" not in fields


def test_a_standby_keeps_no_more_than_it_is_told_to() -> None:
    now = int(time.time() * 1000)
    old = [Message("Heartbeat", {"n": n}, n, arrived=now - 60_000 + n) for n in range(50)]
    new = [Message("Heartbeat", {"n": n}, n, arrived=now + n) for n in range(50, 55)]
    reader = Reader(Opened(Saying(FeedStatus("live"), *old, *new), 1.0, rewindable=False), 0, keep_s=30.0)
    until(lambda: reader.dropped and reader.waiting == 5, "the forgetting")
    assert [item.data["n"] for item in reader.taken() if isinstance(item, Message)] == [50, 51, 52, 53, 54]
    reader.stop()


def test_a_standby_that_has_just_connected_is_not_ready() -> None:
    reader = Reader(Opened(Saying(FeedStatus("connecting")), 1.0, rewindable=False), 0, keep_s=30.0)
    time.sleep(0.3)
    assert not reader.settled(0.1)
    reader.stop()
    reader = Reader(Opened(Saying(FeedStatus("live"), *little_race()[:3]), 1.0, rewindable=False), 0, keep_s=30.0)
    until(lambda: reader.settled(0.1), "readiness")
    reader.stop()


class Noting:
    """A calendar that notes what it is told; the first time it cannot be reached. more: whether a session is due."""

    def __init__(self, more: bool = False) -> None:
        self.told: list[tuple[str, str]] = []
        self._more = more
        self._reached = False

    def live(self, key: str, session: SessionDocument) -> None:
        if not self._reached:
            self._reached = True
            raise Unavailable("nobody answers")
        self.told.append(("live", key))

    def over(self, key: str) -> bool:
        self.told.append(("over", key))
        return self._more


def status(name: str, at: int) -> Message:
    return Message("SessionStatus", {"Status": name}, at)


def test_a_session_is_over_when_it_is_finalised_and_quiet_and_the_holder_leaves(
    settings: Settings, project: str, database: Database, firestore: firestore_api.Client, deliver: Deliver
) -> None:
    race = little_race()
    end = race[-1].at
    silence = [Message("Heartbeat", {"Utc": str(n)}, end + n * 10_000) for n in range(1, 9)]
    source = Saying(*race, status("Finished", end + 1_000), status("Finalised", end + 2_000), *silence)
    lease = Lease(database, "f1", "here", ttl_s=10.0)
    held = lease.acquire("broadcast", 60.0)
    assert held is not None
    calendar = Noting()
    opened = Opened(source, 1.0, rewindable=False)
    held_by = Holder(replace(settings, quiet_s=60.0), database, lease, held, opened, calendar=calendar)
    assert held_by.run(time.monotonic() + 60) == "session-over"
    assert calendar.told == [("live", "7001"), ("over", "7001")]
    assert lease.view().holder == ""
    assert laps_of(deliver()) == clean(race)
    assert (firestore.document("sessions/7001/live/feed").get().to_dict() or {})["state"] == "ended"


def test_the_next_sessions_info_ends_one_session_and_begins_the_other(
    settings: Settings, project: str, database: Database, firestore: firestore_api.Client, deliver: Deliver
) -> None:
    race = little_race()
    later = race[-1].at + 600_000
    following = {**race[0].data, "Key": 7002, "Name": "Sprint", "Path": "2031/a/c/"}
    line = {"Lines": {"1": {"Position": "1", "NumberOfLaps": 1}}}
    source = Saying(*race, Message("SessionInfo", following, later), Message("TimingData", line, later + 5_000))
    lease = Lease(database, "f1", "here", ttl_s=10.0)
    held = lease.acquire("broadcast", 60.0)
    assert held is not None
    calendar = Noting()
    opened = Opened(source, 1.0, rewindable=False)
    stopping = threading.Event()
    held_by = Holder(settings, database, lease, held, opened, calendar=calendar, stopping=stopping)
    thread = threading.Thread(target=held_by.run, args=(time.monotonic() + 60,))
    thread.start()
    until(lambda: len(calendar.told) == 3, "the calendar's telling")
    time.sleep(2.0)  # for the tick of the second session: what is pending is not published when a holder lets go
    stopping.set()
    thread.join(30)
    assert calendar.told == [("live", "7001"), ("over", "7001"), ("live", "7002")]
    documents = deliver()
    assert laps_of(documents).keys() >= clean(race).keys()
    assert (firestore.document("sessions/7002").get().to_dict() or {})["name"] == "Sprint"
    assert (firestore.document("sessions/7001/live/feed").get().to_dict() or {})["state"] == "ended"
    assert (firestore.document("sessions/7002/live/feed").get().to_dict() or {})["state"] == "live"


@pytest.mark.parametrize(
    ("last", "now", "over"),
    [
        ("Started", 100_000, False),
        ("Finished", 100_000, False),
        ("Finalised", 59_000, False),
        ("Finalised", 61_000, True),
        ("Ends", 61_000, True),
        ("Aborted", 3_600_000 + 3_599_000, False),
        ("Aborted", 3_600_000 + 3_601_000, True),
    ],
)
def test_when_a_session_is_over(last: str, now: int, over: bool) -> None:
    """Finalised and a minute without timing; or an hour past its end, whatever became of it."""
    reducer = Reducer("7001", "f1", "f1")
    reducer.offer(status("Started", START))
    reducer.offer(status(last, START + 1))
    end = datetime.fromtimestamp((START + 3_600_000) / 1000, UTC)
    assert is_over(reducer, START + now, end, quiet_s=60.0, late_s=3_600.0) is over


def test_timing_after_the_end_keeps_a_session_open() -> None:
    reducer = Reducer("7001", "f1", "f1")
    reducer.offer(status("Started", START))
    reducer.offer(status("Finalised", START + 1))
    reducer.offer(Message("TimingData", {"Lines": {"1": {"Position": "1"}}}, START + 50_000))
    assert not is_over(reducer, START + 100_000, UNSET, quiet_s=60.0, late_s=3_600.0)
    assert is_over(reducer, START + 110_000, UNSET, quiet_s=60.0, late_s=3_600.0)


def test_nothing_is_published_of_a_session_that_is_over_while_the_next_one_is_awaited(
    settings: Settings, project: str, database: Database, firestore: firestore_api.Client, deliver: Deliver
) -> None:
    """Half an hour before a session the feed still tells of the one before, which the archive may have corrected."""
    race = little_race()
    later = race[-1].at + 600_000
    before = [message._replace(at=race[-1].at, snapshot=True) for message in (race[0], race[1], race[-2])]
    following = {**race[0].data, "Key": 7002, "Name": "Sprint", "Path": "2031/a/c/"}
    line = {"Lines": {"1": {"Position": "1", "NumberOfLaps": 1}}}
    gap_in_between = Message("Heartbeat", {"Utc": "x"}, later - 60_000)
    begins = [Message("SessionInfo", following, later), Message("TimingData", line, later + 5_000)]
    source = Saying(FeedStatus("live"), *before, gap_in_between, *begins)
    lease = Lease(database, "f1", "here", ttl_s=10.0)
    held = lease.acquire("broadcast", 60.0)
    assert held is not None
    calendar = Noting()
    stopping = threading.Event()
    held_by = Holder(
        settings,
        database,
        lease,
        held,
        Opened(source, 1.0, rewindable=False),
        calendar=calendar,
        closed="7001",
        stopping=stopping,
    )
    thread = threading.Thread(target=held_by.run, args=(time.monotonic() + 60,))
    thread.start()
    until(lambda: ("live", "7002") in calendar.told, "the calendar's telling")
    time.sleep(2.0)
    stopping.set()
    thread.join(30)
    assert ("live", "7001") not in calendar.told
    assert deliver() == {}
    assert (firestore.document("sessions/7002").get().to_dict() or {})["name"] == "Sprint"
    assert database.read(["checkpoints/7001"])["checkpoints/7001"].fields is None


def test_the_holder_stays_after_a_session_when_the_next_one_is_due(
    settings: Settings, project: str, database: Database
) -> None:
    race = little_race()
    end = race[-1].at
    source = Saying(*race, status("Finalised", end), Message("Heartbeat", {"Utc": "x"}, end + 400_000))
    lease = Lease(database, "f1", "here", ttl_s=10.0)
    held = lease.acquire("broadcast", 60.0)
    assert held is not None
    calendar = Noting(more=True)
    stopping = threading.Event()
    opened = Opened(source, 1.0, rewindable=False)
    held_by = Holder(settings, database, lease, held, opened, calendar=calendar, stopping=stopping)
    outcomes: list[str] = []
    thread = threading.Thread(target=lambda: outcomes.append(held_by.run(time.monotonic() + 60)))
    thread.start()
    until(lambda: ("over", "7001") in calendar.told, "the calendar's telling")
    time.sleep(0.5)
    stopping.set()
    thread.join(30)
    assert outcomes == ["handed-over"]


# -- by the schedule ---------------------------------------------------------------------------


@pytest.fixture
def by_schedule(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a source that is polled only around sessions; which source that is, each test says."""
    return replace(settings, source="f1", schedule=True, quiet_s=60.0)


def to_come(key: str, start: timedelta) -> ScheduledSession:
    """The little race's session, so long from now, by the calendar."""
    begins = datetime.now(UTC) + start
    return ScheduledSession(
        session_key=key,
        year=2031,
        meeting="A",
        type="Race",
        name="Race",
        start_date=begins,
        end_date=begins + timedelta(hours=2),
    )


def planned(database: Database, *sessions: ScheduledSession, last: ScheduledSession | None = None) -> None:
    def plan(schedule: ScheduleDocument, _: datetime) -> ScheduleDocument:
        return msgspec_replace(schedule, next=sessions[0], upcoming=list(sessions), last=last or UNSET)

    Schedules(database, "f1").change(plan)


def nothing(_: Settings) -> Opened:
    raise AssertionError("nothing is to be opened")


def counted_reads(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    reads: list[Any] = []
    read = database.read
    monkeypatch.setattr(database, "read", lambda paths, only=(): reads.append(list(paths)) or read(paths, only))
    monkeypatch.setattr(database, "commit", lambda writes: pytest.fail("nothing is to be written"))
    return reads


def test_between_sessions_a_tick_costs_one_read(
    by_schedule: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(database, to_come("7001", timedelta(hours=3)))
    reads = counted_reads(database, monkeypatch)
    summary = Poller(by_schedule, database, nothing).run()
    assert summary.outcome == "between-sessions"
    assert reads == [["schedule/f1"]]
    assert summary.next_at is not None
    assert timedelta(hours=2, minutes=28) < summary.next_at - datetime.now(UTC) < timedelta(hours=2, minutes=31)


def test_without_a_schedule_nothing_is_polled_and_that_is_said(
    by_schedule: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reads = counted_reads(database, monkeypatch)
    assert Poller(by_schedule, database, nothing).run().outcome == "no-schedule"
    assert reads == [["schedule/f1"]]
    assert "there is no schedule" in capsys.readouterr().out


def test_polling_begins_half_an_hour_before_a_session_and_both_instances_leave_when_it_is_over(
    by_schedule: Settings, project: str, database: Database, deliver: Deliver, firestore: firestore_api.Client
) -> None:
    planned(database, to_come("7001", timedelta(minutes=29)), to_come("7003", timedelta(days=1)))
    race = little_race()
    end = race[-1].at
    after = [status("Finalised", end + 1_000)]
    after += [Message("Heartbeat", {"Utc": str(n)}, end + n * 5_000) for n in range(1, 25)]
    broadcast = Broadcast([*race, *after], SPEED)
    instances = [
        Instance(replace(by_schedule, instance=name), project, lambda _: broadcast.opened())
        for name in ("first", "second")
    ]
    for instance in instances:
        instance.join(60)
    outcomes = {instance.summary.outcome for instance in instances if instance.summary is not None}
    assert outcomes <= {"session-over", "between-sessions", "stood-by"}
    assert "session-over" in outcomes
    assert laps_of(deliver()) == clean(race)
    schedule = firestore.document("schedule/f1").get().to_dict() or {}
    assert "live" not in schedule
    assert (schedule["last"]["sessionKey"], schedule["next"]["sessionKey"]) == ("7001", "7003")
    assert Poller(by_schedule, database, nothing).run().outcome == "between-sessions"


def test_a_feed_refused_before_a_session_is_told_under_that_session(
    by_schedule: Settings, project: str, database: Database, firestore: firestore_api.Client, deliver: Deliver
) -> None:
    planned(database, to_come("7001", timedelta(minutes=5)))
    refused = FeedStatus("refused", "F1 blocks this address (403)", at=int(time.time() * 1000))
    source = Saying(FeedStatus("connecting", at=int(time.time() * 1000)), refused)
    instance = Instance(by_schedule, project, lambda _: Opened(source, 1.0, rewindable=False))
    time.sleep(2.0)
    instance.end()
    deliver()
    feed = firestore.document("sessions/7001/live/feed").get().to_dict() or {}
    assert (feed["state"], feed["message"]) == ("refused", "F1 blocks this address (403)")
