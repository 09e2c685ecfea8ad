"""The poller on real emulators: a recording is played whole, whatever becomes of the instances that play it."""

from __future__ import annotations

import gzip
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.documents.encoding import to_fields
from pitwall.message import Message
from pitwall.pipeline import poller as poller_module
from pitwall.pipeline.checkpoint import Checkpoints
from pitwall.pipeline.database import Database
from pitwall.pipeline.envelope import Envelope, decode
from pitwall.pipeline.invocation import database_of
from pitwall.pipeline.lease import Lease
from pitwall.pipeline.poller import Poller, SourceError, Summary, open_source
from pitwall.pipeline.publisher import Publisher
from pitwall.pipeline.reader import Opened
from pitwall.pipeline.ticks import Reducer, Tick
from pitwall.settings import Settings
from pitwall.sources.pitwall_format import BOARD, object_name
from pitwall.sources.recording import open_recording
from tests.pipeline.broadcast import Broadcast
from tests.pipeline.conftest import Deliver, Taken, laps_of, little_race, stored, write_recording
from tests.pipeline.outage import Outage
from tests.pipeline.test_machines import MESSAGES as KART
from tests.pipeline.test_machines import SESSION as KART_SESSION

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "little.jsonl", little_race())


@pytest.fixture
def settings(recording: Path, project: str, topics: dict[str, str], database: Database) -> Settings:
    """Those of production, but for a checkpoint every 0.1 s and no waiting between messages."""
    return Settings(
        project=project,
        instance="here",
        source=f"recording:{recording}",
        speed=math.inf,
        checkpoint_s=0.1,
        invocation_s=120.0,
    )


def quick(settings: Settings, **others: Any) -> Settings:
    """With a lease of 2 s, for tests that wait until it has run out."""
    return replace(settings, lease_ttl_s=2.0, lease_renew_s=0.3, **others)


def expected(recording: Path) -> tuple[list[Tick], dict[str, dict[str, Any]]]:
    """What an uninterrupted run publishes, and what is stored after it."""
    source = open_recording(recording)
    reducer = Reducer(source.session, "f1", source.name)
    ticks = [tick for message in source.messages() for tick in reducer.offer(message)]
    reducer.set_feed("ended")
    ticks += reducer.finish()
    documents = {path: to_fields(document) for tick in ticks for path, document in tick.documents}
    return ticks, {path: fields for path, fields in documents.items() if not path.endswith("live/feed")}


def envelopes(messages: list[Any]) -> list[Envelope]:
    return [decode(message.data) for message in messages]


def paths_and_instants(ticks: list[Tick]) -> list[tuple[int, list[str]]]:
    return [(tick.at, [path for path, _ in tick.documents]) for tick in ticks]


def as_published(told: list[Envelope]) -> list[tuple[int, list[str]]]:
    return [(round(e.at.timestamp() * 1000), [document.path for document in e.documents]) for e in told]


def run(settings: Settings, database: Database) -> Summary:
    return Poller(settings, database, open_source).run()


def test_a_recording_is_published_tick_by_tick_to_its_end(
    settings: Settings, database: Database, recording: Path, taken: Taken
) -> None:
    summary = run(settings, database)
    assert summary.outcome == "ended"
    told = envelopes(taken("timing"))
    ticks, _ = expected(recording)
    assert as_published(told) == paths_and_instants(ticks)
    assert [envelope.seq for envelope in told] == list(range(1, len(ticks) + 1))
    assert {envelope.epoch for envelope in told} == {1}


def test_what_is_stored_is_what_the_state_machine_makes_of_it(
    settings: Settings, database: Database, recording: Path, deliver: Deliver
) -> None:
    run(settings, database)
    assert deliver() == expected(recording)[1]


def test_the_feed_is_told_as_ended(
    settings: Settings, database: Database, deliver: Deliver, firestore: firestore_api.Client
) -> None:
    run(settings, database)
    deliver()
    feed = firestore.document("sessions/7001/live/feed").get().to_dict() or {}
    assert (feed["source"], feed["state"], feed["reconnects"]) == ("recording", "ended", 0)


def test_a_paced_recording_gives_the_same_ticks_as_one_that_does_not_wait(
    settings: Settings, database: Database, recording: Path, taken: Taken
) -> None:
    run(replace(settings, speed=100.0), database)
    ticks, _ = expected(recording)
    session = [
        (at, [path for path in held if not path.endswith("live/feed")]) for at, held in paths_and_instants(ticks)
    ]
    told = [
        (at, [p for p in held if not p.endswith("live/feed")]) for at, held in as_published(envelopes(taken("timing")))
    ]
    assert [tick for tick in told if tick[1]] == [tick for tick in session if tick[1]]


def test_a_source_played_to_its_end_costs_a_tick_one_read(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(settings, database)
    reads: list[Any] = []
    read = database.read
    monkeypatch.setattr(database, "read", lambda paths, only=(): reads.append(paths) or read(paths, only))
    monkeypatch.setattr(database, "commit", lambda writes: pytest.fail("nothing is to be written"))
    assert run(settings, database).outcome == "finished"
    assert reads == [["leases/f1"]]


def test_playing_again_changes_only_versions(
    settings: Settings, database: Database, recording: Path, deliver: Deliver, firestore: firestore_api.Client
) -> None:
    run(settings, database)
    first = deliver()
    version = firestore.document("sessions/7001").get().to_dict()["v"]  # type: ignore[index]
    Lease(database, "f1", "operator", ttl_s=10.0).again()
    assert run(settings, database).outcome == "ended"
    assert deliver() == first == expected(recording)[1]
    assert firestore.document("sessions/7001").get().to_dict()["v"] > version  # type: ignore[index]


def test_without_a_source_there_is_nothing_to_do(settings: Settings, database: Database) -> None:
    assert run(replace(settings, source=""), database).outcome == "no-source"


def until_held(database: Database) -> None:
    watcher = Lease(database, "f1", "watcher", ttl_s=2.0)
    for _ in range(600):
        if not watcher.view().free:
            return
        time.sleep(0.05)
    raise AssertionError("nobody has taken the lease")


class Crash(BaseException):
    """The instance is gone: nothing after this happens."""


@pytest.mark.parametrize(("at_publish", "checkpoint_s"), [(1, 0.02), (30, 0.02), (50, 0.02), (66, 0.02), (50, 30.0)])
def test_a_crash_between_publish_and_checkpoint_loses_and_changes_nothing(
    settings: Settings,
    database: Database,
    recording: Path,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
    at_publish: int,
    checkpoint_s: float,
) -> None:
    settings = quick(settings, checkpoint_s=checkpoint_s, speed=100.0 if checkpoint_s < 1 else math.inf)
    publish = Publisher.publish

    def crash(self: Publisher, topic: str, key: str, data: bytes, **attributes: str) -> None:
        publish(self, topic, key, data, **attributes)
        if topic == "timing" and decode(data).seq == at_publish:
            while not self.acknowledged(self.messages):
                self.wait(0.1)
            raise Crash

    with monkeypatch.context() as crashing:
        crashing.setattr(Publisher, "publish", crash)
        with pytest.raises(Crash):
            run(settings, database)
    summary = run(settings, database)
    assert summary.outcome == "ended"
    assert summary.held["epoch"] > 1
    assert deliver() == expected(recording)[1]


def test_a_checkpoint_does_not_cover_what_pubsub_never_acknowledged(
    settings: Settings,
    database: Database,
    recording: Path,
    deliver: Deliver,
    pubsub_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pub/Sub is cut off, the holder reads on and checkpoints would be due; then it crashes with all that unsent."""
    settings = quick(settings, checkpoint_s=0.05, speed=60.0)
    offer = Reducer.offer
    with Outage(pubsub_emulator.address) as outage, monkeypatch.context() as crashing:

        def crash(self: Reducer, message: Message) -> list[Tick]:
            if message.cursor == 30:
                outage.cut()
            if message.cursor == 70:
                raise Crash
            return offer(self, message)

        crashing.setattr(Reducer, "offer", crash)
        crashing.setenv("PUBSUB_EMULATOR_HOST", outage.address)
        with pytest.raises(Crash):
            run(settings, database)
    left = Checkpoints(database, 1).load("7001")
    assert left is not None
    assert left.cursor <= 31
    assert run(settings, database).outcome == "ended"
    assert deliver() == expected(recording)[1]


def test_a_standby_takes_over_from_a_killed_process_and_nothing_is_missing(
    settings: Settings, database: Database, recording: Path, deliver: Deliver, project: str
) -> None:
    slow = quick(settings, speed=30.0)
    program = "from pitwall.pipeline.poller import *; from pitwall.settings import Settings; s = Settings.from_env(); "
    program += "Poller(s, Database(s.project), open_source).run()"
    environment = {**os.environ, **slow.to_env(), "PYTHONPATH": str(ROOT / "functions")}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
    try:
        until_held(database)
        standby: list[Summary] = []
        thread = threading.Thread(target=lambda: standby.append(run(slow, database)))
        thread.start()
        time.sleep(2.5)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        thread.join(60)
    finally:
        process.kill()
        process.wait()
    assert standby[0].outcome == "ended"
    assert standby[0].held["epoch"] > 1
    assert deliver() == expected(recording)[1]


def test_a_planned_hand_over_publishes_each_tick_once(
    settings: Settings, database: Database, recording: Path, taken: Taken, project: str
) -> None:
    """The holder's life ends in the middle; its successor stands by and goes on with the next tick."""
    first = replace(settings, instance="first", speed=25.0, invocation_s=12.0, handover_s=10.0)
    second = replace(settings, instance="second", speed=25.0)
    summaries: dict[str, Summary] = {}

    def invocation(of: Settings) -> None:
        summaries[of.instance] = run(of, Database(project))

    threads = [threading.Thread(target=invocation, args=(of,)) for of in (first, second)]
    threads[0].start()
    until_held(database)
    threads[1].start()
    for thread in threads:
        thread.join(90)
    assert {name: summary.outcome for name, summary in summaries.items()} == {"first": "handed-over", "second": "ended"}
    told = envelopes(taken("timing"))
    assert {envelope.epoch for envelope in told} == {1, 2}
    without_feed = [[p for p in paths if not p.endswith("live/feed")] for _, paths in as_published(told)]
    ticks, _ = expected(recording)
    wanted = [[p for p in paths if not p.endswith("live/feed")] for _, paths in paths_and_instants(ticks)]
    assert [paths for paths in without_feed if paths] == [paths for paths in wanted if paths]


def test_a_live_feed_is_handed_over_without_a_message_missing_or_twice(
    settings: Settings,
    database: Database,
    recording: Path,
    deliver: Deliver,
    project: str,
    firestore: firestore_api.Client,
) -> None:
    """The successor connects while the holder still applies, and leaves out what it finds in the checkpoint."""
    broadcast = Broadcast(list(open_recording(recording).messages()), speed=12.0, ends=True)
    live = replace(settings, source="broadcast", lease_renew_s=0.3)
    first = replace(live, instance="first", invocation_s=18.0, handover_s=14.0)
    second = replace(live, instance="second")
    summaries: dict[str, Summary] = {}

    def invocation(of: Settings) -> None:
        summaries[of.instance] = Poller(of, Database(project), lambda _: broadcast.opened()).run()

    threads = [threading.Thread(target=invocation, args=(of,)) for of in (first, second)]
    threads[0].start()
    until_held(database)
    threads[1].start()
    for thread in threads:
        thread.join(90)
    assert {name: summary.outcome for name, summary in summaries.items()} == {"first": "handed-over", "second": "ended"}
    assert summaries["second"].held["messages"] == len(little_race())
    assert deliver().keys() == expected(recording)[1].keys()
    assert laps_of(stored(firestore)) == laps_of(expected(recording)[1])


@pytest.fixture
def broken(firestore_emulator: Emulator, firestore: firestore_api.Client) -> Iterator[Outage]:
    with Outage(firestore_emulator.address) as outage:
        yield outage


def test_a_holder_cut_off_from_its_lease_stops_publishing_and_goes_on_later(
    settings: Settings,
    project: str,
    recording: Path,
    taken: Taken,
    deliver: Deliver,
    broken: Outage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as through:
        through.setenv("FIRESTORE_EMULATOR_HOST", broken.address)
        cut_off = Database(project, timeout_s=1.0)
    sent: list[tuple[float, int]] = []
    publish = Publisher.publish

    def noted(self: Publisher, topic: str, key: str, data: bytes, **attributes: str) -> None:
        if topic == "timing":
            sent.append((time.monotonic(), decode(data).epoch))
        publish(self, topic, key, data, **attributes)

    monkeypatch.setattr(Publisher, "publish", noted)
    summaries: list[Summary] = []
    thread = threading.Thread(target=lambda: summaries.append(run(quick(settings, speed=25.0), cut_off)))
    thread.start()
    while len(sent) < 20:
        time.sleep(0.02)
    broken.cut()
    cut_at = time.monotonic()
    time.sleep(4.0)
    restored_at = time.monotonic()
    broken.restore()
    thread.join(90)
    assert [at for at, _ in sent if cut_at + 2.0 < at < restored_at] == []
    assert summaries[0].outcome == "ended"
    assert summaries[0].held["epoch"] > 1
    assert deliver() == expected(recording)[1]


def test_an_outage_of_pubsub_only_delays(
    settings: Settings,
    database: Database,
    recording: Path,
    deliver: Deliver,
    pubsub_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Outage(pubsub_emulator.address) as outage, monkeypatch.context() as through:
        through.setenv("PUBSUB_EMULATOR_HOST", outage.address)
        summaries: list[Summary] = []
        thread = threading.Thread(target=lambda: summaries.append(run(replace(settings, speed=60.0), database)))
        thread.start()
        time.sleep(1.5)
        outage.cut()
        time.sleep(3.0)
        outage.restore()
        thread.join(90)
    assert (summaries[0].outcome, summaries[0].held["epoch"]) == ("ended", 1)
    assert deliver() == expected(recording)[1]


def failing_at(cursor: int) -> Callable[[Settings], Opened]:
    """Opens the recording as one whose disk fails at a message."""

    def open_failing(settings: Settings) -> Opened:
        opened = open_source(settings)
        messages = opened.source.messages

        def broken(begin: int = 0) -> Iterator[Message]:
            for message in messages(begin):
                if message.cursor == cursor:
                    raise OSError("the disk is gone")
                yield message

        opened.source.messages = broken  # type: ignore[method-assign]
        return opened

    return open_failing


def test_what_an_earlier_holder_counted_is_in_the_total(
    settings: Settings, database: Database, recording: Path
) -> None:
    messages = little_race()
    messages.insert(5, Message("Nobody", {}, messages[5].at))
    write_recording(recording, [message._replace(cursor=n) for n, message in enumerate(messages)])
    lines = recording.read_bytes().splitlines(keepends=True)
    recording.write_bytes(b"".join([*lines[:9], b'{"topic":\n', *lines[9:], b"damaged\n"]))
    assert Poller(settings, database, failing_at(60)).run().outcome == "failed"
    ended = run(settings, database)
    assert ended.held["messages"] == len(messages)
    assert sum(ended.held["rejected"].values()) == 3


def test_the_raw_feed_is_published_too_and_reads_back_as_it_was(
    settings: Settings, database: Database, recording: Path, taken: Taken, tmp_path: Path
) -> None:
    run(replace(settings, raw_batch_bytes=2_000), database)
    batches = taken("raw")
    assert len(batches) > 3
    assert [dict(batch.attributes)["seq"] for batch in batches] == [str(n) for n in range(1, len(batches) + 1)]
    folder = tmp_path / "recorded" / "7001"
    folder.mkdir(parents=True)
    for batch in batches:
        told = (int(batch.attributes[name]) for name in ("epoch", "seq", "at"))
        (folder.parent / object_name("7001", *told)).write_bytes(batch.data)
    assert list(open_recording(folder).messages()) == list(open_recording(recording).messages())


def test_a_kart_track_is_recorded_so_that_it_can_be_read_on_from_any_object(
    settings: Settings, database: Database, taken: Taken, tmp_path: Path
) -> None:
    """Each begins with the board as it stood; played, the recording has nothing of that."""
    recording = write_recording(tmp_path / "kart.jsonl", [m._replace(cursor=n) for n, m in enumerate(KART)])
    run(replace(settings, feed="kart-nowhere", source=f"recording:{recording}", raw_batch_bytes=1), database)
    first, *others = taken("raw")
    (tmp_path / KART_SESSION).mkdir()
    for batch in (first, *others):
        told = (int(batch.attributes[name]) for name in ("epoch", "seq", "at"))
        (tmp_path / object_name(KART_SESSION, *told)).write_bytes(batch.data)
    begins = [json.loads(gzip.decompress(batch.data).splitlines()[0]) for batch in others]
    boards = [line["data"] for line in begins if line["topic"] == BOARD]
    assert boards[0]["Numbers"] == {"r7": "7"}
    assert boards[-1]["Lines"]["r7"] == {"Number": "7", "Position": 1, "LastLapMs": 65_000}
    played = open_recording(tmp_path / KART_SESSION).messages()
    assert [message._replace(cursor=-1) for message in played] == KART


def test_a_source_that_fails_is_left_to_the_next_invocation(
    settings: Settings, database: Database, recording: Path, deliver: Deliver
) -> None:
    assert Poller(settings, database, failing_at(60)).run().outcome == "failed"
    assert run(settings, database).outcome == "ended"
    assert deliver() == expected(recording)[1]


def test_a_message_nobody_understands_is_left_out_counted_and_told(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offer = Reducer.offer

    def failing(self: Reducer, message: Message) -> list[Tick]:
        if message.cursor in (50, 60):
            raise RuntimeError("nobody has seen this before")
        return offer(self, message)

    monkeypatch.setattr(Reducer, "offer", failing)
    summary = run(settings, database)
    assert summary.outcome == "ended"
    assert summary.held["rejected"] == {"not-understood": 2}
    assert capsys.readouterr().out.count("a message was left out") == 1


def test_a_checkpoint_of_another_version_is_told_and_the_recording_played_anew(
    settings: Settings,
    database: Database,
    recording: Path,
    deliver: Deliver,
    firestore: firestore_api.Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert Poller(settings, database, failing_at(60)).run().outcome == "failed"
    left = Checkpoints(database, 1).load("7001")
    assert left is not None
    assert left.cursor == 60
    other = zlib.compress(msgspec.msgpack.encode(msgspec.structs.replace(left, reducer=b"of another version")))
    firestore.document("checkpoints/7001").update({"state": other})
    summary = run(settings, database)
    assert (summary.outcome, summary.held["epoch"], summary.held["messages"]) == ("ended", 2, len(little_race()))
    assert "starting anew" in capsys.readouterr().out
    assert deliver() == expected(recording)[1]


def test_a_holder_goes_on_from_the_checkpoint_and_not_from_the_beginning(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Poller(settings, database, failing_at(60)).run().outcome == "failed"
    applied: list[int] = []
    offer = Reducer.offer

    def noted(self: Reducer, message: Message) -> list[Tick]:
        applied.append(message.cursor)
        return offer(self, message)

    monkeypatch.setattr(Reducer, "offer", noted)
    run(settings, database)
    assert applied == list(range(60, len(little_race())))


@pytest.mark.parametrize("source", ["nobody:knows", "recording:/no/such/file"])
def test_a_source_that_cannot_be_opened_is_a_clear_error(settings: Settings, source: str) -> None:
    with pytest.raises(SourceError, match=r"nobody|/no/such/file"):
        open_source(replace(settings, source=source))


def posted(body: bytes, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    database_of.cache_clear()
    app = Flask("poller")
    with app.test_request_context("/", method="POST", data=body) as context:
        return poller_module.poll(context.request)


def test_the_entry_point_answers_with_what_was_done(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = posted(b'{"feed": "f1"}', settings, monkeypatch)
    assert answer.status_code == 200
    assert json.loads(answer.get_data())["outcome"] == "ended"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (last,) = [line for line in lines if line["message"] == "let go"]
    assert last["messages"] == len(little_race())
    assert last["published"] > 0
    assert last["bytes"] > 0
    assert last["rejected"] == {}


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"feed":"kart-genk"}', b'{"feed":1}'])
def test_a_request_for_another_feed_is_a_bad_request(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    answer = posted(body, settings, monkeypatch)
    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")


def test_a_source_that_cannot_be_opened_is_a_problem_and_no_stack_trace(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = posted(b"", replace(settings, source="recording:/no/such/file"), monkeypatch)
    assert (answer.status_code, answer.content_type) == (500, "application/problem+json")
    assert "/no/such/file" in json.loads(answer.get_data())["detail"]


def test_a_standby_makes_room_for_a_younger_one(settings: Settings, database: Database, project: str) -> None:
    """Else both invocations of one minute would end in one minute, and nobody would stand by."""
    short = replace(settings, speed=25.0, lease_renew_s=0.3, invocation_s=4.0, handover_s=1.0)
    holder = threading.Thread(target=run, args=(replace(short, invocation_s=5.0), Database(project)))
    holder.start()
    until_held(database)
    assert run(short, database).outcome == "stood-by"
    assert holder.is_alive()
    holder.join(60)
