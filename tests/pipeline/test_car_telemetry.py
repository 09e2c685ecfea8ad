"""The telemetry of single cars: every sample of them while somebody asks, nothing else changed, and gone afterwards."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from local.simulator import quick_race
from pitwall.documents.base import Document
from pitwall.documents.car_telemetry import CarTelemetryDocument
from pitwall.documents.encoding import from_fields, instant, rfc3339
from pitwall.documents.live import PositionsDocument, TelemetryDocument
from pitwall.documents.projection import MAX_SAMPLES
from pitwall.message import Message
from pitwall.pipeline import telemetry_requests
from pitwall.pipeline.car_telemetry import WINDOW_MS
from pitwall.pipeline.database import Database
from pitwall.pipeline.economy import Economy
from pitwall.pipeline.envelope import Envelope, decode
from pitwall.pipeline.poller import Poller, Summary, open_source
from pitwall.pipeline.publisher import Publisher
from pitwall.pipeline.telemetry_requests import TelemetryRequests
from pitwall.pipeline.ticks import SLOW_TICK_MS, TICK_MS, Reducer, Tick
from pitwall.settings import Settings
from pitwall.sources.z import payload
from tests.pipeline.conftest import START, Taken, little_race, write_recording

UNTIL = 1_900_000_000_000
Samples = set[tuple[str, Any]]


def samples_of(document: Document, number: str) -> Samples:
    """The samples of one car in a document, of all cars or its own: which list, and the sample."""
    if isinstance(document, CarTelemetryDocument):
        return {("telemetry", str(sample)) for sample in document.telemetry} | {
            ("positions", str(sample)) for sample in document.positions
        }
    if isinstance(document, TelemetryDocument | PositionsDocument):
        kind = "telemetry" if isinstance(document, TelemetryDocument) else "positions"
        name = "CarChannels" if kind == "telemetry" else "CarPosition"
        return {
            (kind, str(sample.lines[number]).replace(name, f"{name}Sample")[:-1] + f", at={sample.at!r})")
            for sample in document.samples
            if number in sample.lines
        }
    return set()


@pytest.fixture(scope="module")
def race() -> list[Message]:
    """Two minutes of a simulated race with telemetry."""
    messages: list[Message] = []
    for sent in quick_race(3, laps=9):
        if messages and sent.at > messages[0].at + 120_000:
            break
        messages.append(Message(sent.topic.removesuffix(".z"), payload(sent.topic, sent.payload), sent.at))
    return messages


def played(race: list[Message], wanted: dict[str, int], reducer: Reducer | None = None) -> list[Tick]:
    reducer = reducer or Reducer("", "f1", "recording")
    ticks: list[Tick] = []
    for message in race:
        ticks += [*reducer.offer(message), *reducer.follow_cars(wanted)]
    return ticks + reducer.finish()


def of_cars(ticks: list[Tick]) -> Iterator[tuple[int, CarTelemetryDocument]]:
    for tick in ticks:
        for path, document in tick.documents:
            if isinstance(document, CarTelemetryDocument):
                assert path == f"sessions/{tick.session}/telemetry/{document.racing_number}"
                yield tick.at, document


def cars(race: list[Message]) -> list[str]:
    return sorted(next(message.data["Entries"][0]["Cars"] for message in race if message.topic == "CarData"))


def test_nothing_else_depends_on_what_is_asked_for(race: list[Message]) -> None:
    without, asked = played(race, {}), played(race, dict.fromkeys(cars(race)[:3], UNTIL))
    assert not list(of_cars(without))
    assert list(of_cars(asked))
    others = [
        replaced
        for tick in asked
        if (replaced := (tick.at, [d for d in tick.documents if not isinstance(d[1], CarTelemetryDocument)]))[1]
    ]
    assert others == [(tick.at, tick.documents) for tick in without]


def test_every_sample_of_a_car_is_in_its_documents_and_no_other(race: list[Message]) -> None:
    number = cars(race)[0]
    ticks = played(race, {number: UNTIL})
    told: Samples = set().union(*(samples_of(document, number) for _, document in of_cars(ticks)))
    all_cars: Samples = set().union(
        *(samples_of(document, number) for tick in ticks for path, document in tick.documents if "/live/" in path)
    )
    assert len(all_cars) > 600
    assert told == all_cars


def test_a_document_is_told_once_a_second_at_the_most(race: list[Message]) -> None:
    ticks = played(race, {cars(race)[0]: UNTIL})
    instants = [at for at, _ in of_cars(ticks)]
    assert len(instants) > 100
    assert all(later - earlier >= TICK_MS for earlier, later in itertools.pairwise(instants[:-1]))


def test_who_sees_a_document_every_five_seconds_misses_no_sample(race: list[Message]) -> None:
    number = cars(race)[0]
    told = list(of_cars(played(race, {number: UNTIL})))
    seen = [told[0]]
    for before, (at, _) in itertools.pairwise(told):
        if at - seen[-1][0] > WINDOW_MS:
            seen.append(before)
    assert len(seen) < len(told) / 3
    assert set().union(*(samples_of(document, number) for _, document in [*seen, told[-1]])) == set().union(
        *(samples_of(document, number) for _, document in told)
    )


def test_a_document_holds_no_more_than_the_last_seconds(race: list[Message]) -> None:
    for at, document in of_cars(played(race, {cars(race)[0]: UNTIL})):
        oldest = min(sample.at for sample in [*document.telemetry, *document.positions])
        assert instant(at) - oldest <= timedelta(milliseconds=WINDOW_MS + 2 * TICK_MS)
        assert document.until == instant(UNTIL)


def test_a_document_fits_its_type_on_the_wire(race: list[Message]) -> None:
    _, document = next(of_cars(played(race, {cars(race)[0]: UNTIL})))
    path = f"sessions/7001/telemetry/{document.racing_number}"
    assert from_fields(path, msgspec.json.decode(msgspec.json.encode(document))) == document


def test_a_resume_from_a_dump_goes_on_with_the_same_seconds(race: list[Message]) -> None:
    number = cars(race)[0]
    whole = played(race, {number: UNTIL})
    reducer = Reducer("", "f1", "recording")
    half = len(race) // 2
    ticks = [
        tick for message in race[:half] for tick in [*reducer.offer(message), *reducer.follow_cars({number: UNTIL})]
    ]
    resumed = Reducer.load(reducer.dump())
    assert ticks + played(race[half:], {number: UNTIL}, resumed) == whole


def entry(at: int, number: str = "44", speed: int = 300) -> dict[str, Any]:
    return {"Utc": rfc3339(instant(at)), "Cars": {number: {"Channels": {"0": 11_000, "2": speed, "3": 8}}}}


def car_data(at: int, *entries: dict[str, Any]) -> Message:
    return Message("CarData", {"Entries": list(entries) or [entry(START + at)]}, START + at)


def begun() -> Reducer:
    reducer = Reducer("", "f1", "recording")
    reducer.offer(little_race()[0])
    return reducer


def test_a_burst_is_cut_to_what_a_document_may_hold() -> None:
    reducer = begun()
    reducer.follow_cars({"44": UNTIL})
    burst = [entry(START + 5_000 + n, speed=n) for n in range(MAX_SAMPLES + 36)]
    [(_, document)] = of_cars(reducer.offer(car_data(5_000, *burst)))
    assert [sample.speed_kph for sample in document.telemetry] == list(range(36, MAX_SAMPLES + 36))


def test_a_sample_from_the_future_costs_no_other_one() -> None:
    reducer = begun()
    reducer.follow_cars({"44": UNTIL})
    reducer.offer(car_data(5_000, entry(START + 5_000), entry(START + 86_400_000)))
    [(_, document)] = of_cars(reducer.offer(car_data(7_000)))
    assert len(document.telemetry) == 3


def test_who_is_no_longer_wanted_is_deleted_at_once() -> None:
    reducer = begun()
    reducer.follow_cars({"44": UNTIL})
    assert list(of_cars(reducer.offer(car_data(5_000))))
    [tick] = reducer.follow_cars({})
    assert (tick.documents, tick.deletes) == ([], ["sessions/7001/telemetry/44"])
    assert not list(of_cars(reducer.offer(car_data(9_000))))
    assert reducer.follow_cars({}) == []


def test_a_car_of_which_nothing_was_told_leaves_nothing_to_delete() -> None:
    reducer = begun()
    reducer.follow_cars({"99": UNTIL})
    assert not list(of_cars(reducer.offer(car_data(5_000))))
    assert reducer.follow_cars({}) == []


def test_what_others_have_left_is_deleted_unless_it_is_wanted() -> None:
    reducer = begun()
    [tick] = reducer.follow_cars({"44": UNTIL}, left=["1", "44"])
    assert tick.deletes == ["sessions/7001/telemetry/1"]


def test_the_end_of_a_session_deletes_what_was_told_of_it() -> None:
    reducer = begun()
    reducer.follow_cars({"44": UNTIL})
    reducer.offer(car_data(5_000))
    following = Message("SessionInfo", {**little_race()[0].data, "Key": 7002}, START + 6_000_000)
    ticks = reducer.offer(following)
    assert [(tick.session, tick.deletes) for tick in ticks if tick.deletes] == [
        ("7001", ["sessions/7001/telemetry/44"])
    ]
    assert not list(of_cars(reducer.offer(car_data(6_005_000))))


def test_where_viewers_cost_less_nothing_else_is_slower_for_it() -> None:
    reducer = begun()
    reducer.set_tick(SLOW_TICK_MS)
    reducer.follow_cars({})
    assert not list(of_cars(reducer.offer(car_data(5_000)) + reducer.finish()))


# -- a holder ------------------------------------------------------------------------------


class Told(NamedTuple):
    """What was published: documents of a car with their versions, and what was deleted."""

    documents: list[tuple[int, CarTelemetryDocument]]
    deletes: list[tuple[int, str]]

    @property
    def instants(self) -> set[datetime]:
        return {sample.at for _, document in self.documents for sample in document.telemetry}


def told(messages: list[Any], path: str) -> Told:
    envelopes: list[Envelope] = [decode(message.data) for message in messages]
    documents, deletes = [], []
    for envelope in envelopes:
        for one in envelope.documents:
            if one.path == path:
                document = from_fields(path, msgspec.json.decode(bytes(one.fields)))
                assert isinstance(document, CarTelemetryDocument)
                documents.append((envelope.v, document))
        deletes += [(envelope.v, deleted) for deleted in envelope.deletes]
    return Told(documents, deletes)


PATH = "sessions/7001/telemetry/2"
EVERY_MS = 250
SAMPLES = [START + 2_000 + n * EVERY_MS for n in range(220)]
"""Nearly a minute of four a second."""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    samples = [
        Message("CarData", {"Entries": [entry(at, "2") | {"Cars": {n: entry(at, n)["Cars"][n] for n in "123"}}]}, at)
        for at in SAMPLES
    ]
    messages = sorted([*little_race(laps=3), *samples], key=lambda message: message.at)
    return write_recording(tmp_path / "r.jsonl", [m._replace(cursor=n) for n, m in enumerate(messages)])


@pytest.fixture
def settings(
    recording: Path, project: str, topics: dict[str, str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Those of production, but for a look at what is wanted every 0.1 s and a minute that takes two seconds."""
    monkeypatch.setattr(telemetry_requests, "LOOK_EVERY_S", 0.1)
    return Settings(
        project=project,
        instance="here",
        source=f"recording:{recording}",
        speed=30.0,
        checkpoint_s=0.1,
        lease_ttl_s=2.0,
        lease_renew_s=0.3,
        invocation_s=60.0,
        telemetry_cars=2,
    )


@pytest.fixture
def requests(database: Database) -> TelemetryRequests:
    return TelemetryRequests(database, 4)


def hold(settings: Settings, database: Database) -> Summary:
    return Poller(settings, database, open_source).run()


def test_a_holder_tells_every_sample_of_a_car_that_is_asked_for_and_deletes_it_at_the_end(
    settings: Settings, database: Database, requests: TelemetryRequests, taken: Taken
) -> None:
    requests.ask("7001", "2", "somebody")
    assert hold(settings, database).outcome == "ended"
    found = told(taken("timing"), PATH)
    assert found.instants == {instant(at) for at in SAMPLES if instant(at) >= min(found.instants)}
    [(deleted, path)] = found.deletes
    assert path == PATH
    assert deleted > max(v for v, _ in found.documents)


def test_no_more_cars_are_told_than_the_setting_says(
    settings: Settings, database: Database, requests: TelemetryRequests, taken: Taken
) -> None:
    for number in ("1", "2", "3"):
        requests.ask("7001", number, "somebody")
    hold(settings, database)
    messages = taken("timing")
    assert [bool(told(messages, f"sessions/7001/telemetry/{n}").documents) for n in "123"] == [True, True, False]


def test_where_it_is_switched_off_nobody_even_looks(
    settings: Settings, database: Database, requests: TelemetryRequests, taken: Taken
) -> None:
    requests.ask("7001", "2", "somebody")
    hold(replace(settings, telemetry_cars=0), database)
    assert told(taken("timing"), PATH) == Told([], [])


def watch_published(monkeypatch: pytest.MonkeyPatch, seen: Callable[[Envelope, Publisher], None]) -> None:
    """Has everything told that is published of a session's documents."""
    publish = Publisher.publish

    def publishing(self: Publisher, topic: str, key: str, data: bytes, **attributes: str) -> None:
        publish(self, topic, key, data, **attributes)
        if topic == "timing":
            seen(decode(data), self)

    monkeypatch.setattr(Publisher, "publish", publishing)


def test_it_ends_by_itself_when_nobody_asks_any_longer(
    settings: Settings,
    database: Database,
    requests: TelemetryRequests,
    taken: Taken,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests.ask("7001", "2", "somebody")
    poller = Poller(replace(settings, speed=5.0), database, open_source)
    asked = [True]

    def seen(envelope: Envelope, _: Publisher) -> None:
        if asked and any(document.path == PATH for document in envelope.documents):
            fields = {"cars": {"2": {"until": datetime.now(UTC) + timedelta(seconds=0.3), "by": "x"}}}
            database.commit([database.write("telemetryRequests/7001", fields)])
            asked.clear()
        if envelope.deletes:
            poller.stop()

    watch_published(monkeypatch, seen)
    assert poller.run().outcome == "handed-over", "it went on to the end of the recording"
    found = told(taken("timing"), PATH)
    [(deleted, path)] = found.deletes
    assert path == PATH
    assert deleted > max(v for v, _ in found.documents)


def test_while_the_economy_is_slow_nothing_is_told(
    settings: Settings, database: Database, requests: TelemetryRequests, taken: Taken
) -> None:
    Economy(database).set_by_hand("slow")
    requests.ask("7001", "2", "somebody")
    hold(settings, database)
    assert told(taken("timing"), PATH) == Told([], [])


def test_whatever_else_is_stored_as_a_request_the_good_one_is_told(
    settings: Settings, database: Database, taken: Taken
) -> None:
    soon, endless = datetime.now(UTC) + timedelta(seconds=60), datetime(2099, 1, 1, tzinfo=UTC)
    cars = {"1": {"until": "soon"}, "3": {"until": endless, "by": "x"}, "..": 7, "2": {"until": soon, "by": "x"}}
    database.commit([database.write("telemetryRequests/7001", {"v": "x", "cars": cars})])
    assert hold(settings, database).outcome == "ended"
    messages = taken("timing")
    assert [bool(told(messages, f"sessions/7001/telemetry/{n}").documents) for n in "123"] == [False, True, False]


class Crash(BaseException):
    """The instance is gone: nothing after this happens."""


def crash_after(monkeypatch: pytest.MonkeyPatch, documents: int) -> None:
    """The holder of epoch 1 is gone once it has published so many documents of the car."""
    published = itertools.count(1)

    def seen(envelope: Envelope, publisher: Publisher) -> None:
        told = envelope.epoch == 1 and any(document.path == PATH for document in envelope.documents)
        if told and next(published) == documents:
            while not publisher.acknowledged(publisher.messages):
                publisher.wait(0.1)
            raise Crash

    watch_published(monkeypatch, seen)


@pytest.mark.parametrize("checkpoint_s", [0.02, 30.0])
def test_after_a_crash_the_successor_goes_on_without_losing_a_sample(
    settings: Settings,
    database: Database,
    requests: TelemetryRequests,
    taken: Taken,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint_s: float,
) -> None:
    requests.ask("7001", "2", "somebody")
    settings = replace(settings, checkpoint_s=checkpoint_s)
    crash_after(monkeypatch, 5)
    with pytest.raises(Crash):
        hold(settings, database)
    assert hold(settings, database).outcome == "ended"
    found = told(taken("timing"), PATH)
    assert {v >> 32 for v, _ in found.documents} == {1, 2}
    assert found.instants == {instant(at) for at in SAMPLES if instant(at) >= min(found.instants)}
    assert [path for _, path in found.deletes] == [PATH]


def test_a_planned_hand_over_loses_no_sample_either(
    settings: Settings, database: Database, requests: TelemetryRequests, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests.ask("7001", "2", "somebody")
    first = Poller(settings, database, open_source)

    def seen(envelope: Envelope, _: Publisher) -> None:
        if any(document.path == PATH for document in envelope.documents):
            first.stop()

    watch_published(monkeypatch, seen)
    assert first.run().outcome == "handed-over"
    assert hold(settings, database).outcome == "ended"
    found = told(taken("timing"), PATH)
    assert {v >> 32 for v, _ in found.documents} == {1, 2}
    assert found.instants == {instant(at) for at in SAMPLES if instant(at) >= min(found.instants)}
    assert [path for _, path in found.deletes] == [PATH]


def test_a_successor_deletes_what_ended_while_nobody_held_the_feed(
    settings: Settings, database: Database, requests: TelemetryRequests, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests.ask("7001", "2", "somebody")
    crash_after(monkeypatch, 5)
    with pytest.raises(Crash):
        hold(replace(settings, checkpoint_s=30.0), database)
    requests.end("7001", "2", "somebody")
    hold(settings, database)
    found = told(taken("timing"), PATH)
    assert [(v >> 32, path) for v, path in found.deletes] == [(2, PATH)]
    assert {v >> 32 for v, _ in found.documents} == {1}
