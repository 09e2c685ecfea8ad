"""Ticks: when documents go out, on the feed's own clock."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pitwall.documents.base import Document
from pitwall.documents.encoding import EPOCH
from pitwall.documents.live import TowerDocument
from pitwall.documents.projection import project
from pitwall.message import Message
from pitwall.pipeline.ticks import FEED_MS, SEGMENTS_MS, SLOW_TICK_MS, TICK_MS, Reducer, Tick
from pitwall.sources.recording import open_recording
from pitwall.timing.change import Change

START = 1_700_000_000_000
SESSION = {"Key": 7001, "Type": "Race", "Name": "Race", "Path": "2031/a/b/"}


def timing(at: int, line: dict[str, Any], number: str = "7") -> Message:
    return Message("TimingData", {"Lines": {number: line}}, START + at)


def heartbeat(at: int) -> Message:
    return Message("Heartbeat", {"Utc": "x"}, START + at)


def begun() -> Reducer:
    """A reducer whose first tick has gone out at instant 0."""
    reducer = Reducer("waiting", "f1", "recording")
    reducer.offer(Message("SessionInfo", SESSION, START))
    return reducer


def paths(ticks: list[Tick]) -> list[str]:
    return [path for path, _ in told(ticks)]


def told(ticks: list[Tick]) -> list[tuple[str, Document]]:
    return [document for tick in ticks for document in tick.documents]


def towers(ticks: list[Tick]) -> list[TowerDocument]:
    return [
        d for tick in ticks for p, d in tick.documents if p.endswith("live/timing") and isinstance(d, TowerDocument)
    ]


def test_first_change_after_a_quiet_second_goes_at_once() -> None:
    reducer = begun()
    ticks = reducer.offer(timing(5 * TICK_MS, {"Position": "1"}))
    assert "sessions/7001/live/timing" in paths(ticks)
    assert ticks[-1].at == START + 5 * TICK_MS


def test_changes_within_a_second_wait_for_its_end_and_go_as_one() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    assert reducer.offer(timing(5_200, {"NumberOfLaps": 1})) == []
    assert reducer.offer(timing(5_900, {"NumberOfLaps": 2})) == []
    ticks = reducer.offer(timing(6_050, {"NumberOfLaps": 3}))
    assert [tower.lines["7"].n for tower in towers(ticks)] == [2]
    assert ticks[0].at == START + 6_000


def test_a_quiet_live_feed_gets_the_same_tick_by_asking() -> None:
    asked, told = begun(), begun()
    for reducer in (asked, told):
        reducer.offer(timing(5_000, {"Position": "1"}))
        reducer.offer(timing(5_200, {"NumberOfLaps": 1}))
    assert asked.due(START + 5_999) == []
    assert asked.due(START + 6_000) == told.offer(heartbeat(6_400))


def test_a_document_that_did_not_change_is_not_published_again() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    assert paths(reducer.offer(timing(9_000, {"Position": "1"}))) == []


def test_mini_sectors_go_every_other_second() -> None:
    reducer = begun()
    sent = []
    for n in range(40):
        sent += reducer.offer(timing(5_000 + n * 250, {"Sectors": {"0": {"Segments": {str(n): {"Status": 2049}}}}}))
    instants = [tick.at for tick in sent if "sessions/7001/live/segments" in dict(tick.documents)]
    assert len(instants) >= 4
    assert all(after - before >= SEGMENTS_MS for before, after in itertools.pairwise(instants))


def test_live_feed_is_told_every_fifteen_seconds_of_heartbeats() -> None:
    reducer = begun()
    ticks = [tick for n in range(1, 13) for tick in reducer.offer(heartbeat(n * 5_000))]
    told = [tick.at - START for tick in ticks if "sessions/7001/live/feed" in dict(tick.documents)]
    assert told == [FEED_MS, 2 * FEED_MS, 3 * FEED_MS, 4 * FEED_MS]


def test_a_change_of_the_feed_is_told_with_the_next_tick() -> None:
    reducer = begun()
    reducer.offer(timing(3_000, {"Position": "1"}))
    reducer.set_feed("silent")
    assert paths(reducer.due(START + 3_100)) == ["sessions/7001/live/feed"]


def test_time_does_not_run_back_with_a_timestamp_that_does() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    assert reducer.offer(timing(2_000, {"NumberOfLaps": 1})) == []
    assert reducer.clock == START + 5_000


def test_the_tower_is_kept_every_five_seconds_for_late_joiners() -> None:
    reducer = begun()
    ticks = [tick for n in range(30) for tick in reducer.offer(timing(5_000 + n * 1_000, {"NumberOfLaps": n}))]
    kept = [path for path in paths(ticks) if "/towers/" in path]
    assert len(kept) == len(set(kept)) == 6


def test_another_session_finishes_the_first() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    reducer.offer(timing(5_200, {"NumberOfLaps": 4}))
    ticks = reducer.offer(Message("SessionInfo", {**SESSION, "Key": 7002}, START + 6_000_000))
    assert [tick.session for tick in ticks] == ["7001", "7002"]
    assert towers(ticks)[0].lines["7"].n == 4
    assert reducer.session == "7002"


def test_finish_publishes_what_is_pending() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    reducer.offer(timing(5_100, {"Sectors": {"0": {"Segments": {"0": {"Status": 2049}}}}, "Position": "2"}))
    assert {"sessions/7001/live/segments", "sessions/7001/live/timing"} <= set(paths(reducer.finish()))


def test_arrivals_of_messages_that_changed_the_tower_go_with_its_tick() -> None:
    reducer = begun()
    ticks = reducer.offer(timing(5_000, {"Position": "1"})._replace(arrived=111))
    reducer.offer(heartbeat(5_100)._replace(arrived=222))
    reducer.offer(timing(5_200, {"NumberOfLaps": 1})._replace(arrived=333))
    ticks += reducer.offer(heartbeat(6_300))
    assert [tick.arrived for tick in ticks] == [[111], [333]]


def race(seed: int) -> list[Message]:
    """A few minutes of a small invented race, with what a feed does: jitter, steps back, bursts, silence."""
    rng = random.Random(seed)
    at = 0
    messages = [Message("SessionInfo", SESSION, START), Message("SessionStatus", {"Status": "Started"}, START + 100)]
    for n in range(600):
        at += rng.choice([0, 10, 120, 300, 900, 4_000])
        number = str(rng.randrange(1, 9))
        line: dict[str, Any] = rng.choice(
            [
                {"GapToLeader": f"+{rng.random() * 30:.3f}"},
                {"Sectors": {str(rng.randrange(3)): {"Value": f"{20 + rng.random():.3f}"}}},
                {
                    "NumberOfLaps": n // 40,
                    "LastLapTime": {"Value": f"1:{10 + rng.randrange(9)}.{rng.randrange(1000):03d}"},
                },
                {"Sectors": {"0": {"Segments": {"3": {"Status": 2048}}}}},
                {"InPit": rng.random() < 0.5},
            ]
        )
        messages.append(timing(at - rng.choice([0, 0, 0, 1_500]), line, number))
        if n % 50 == 0:
            messages.append(Message("TrackStatus", {"Status": rng.choice("1245")}, START + at))
    return messages


def play(reducer: Reducer, messages: list[Message]) -> list[Tick]:
    return [tick for message in messages for tick in reducer.offer(message)]


@pytest.mark.parametrize("seed", range(8))
def test_a_reducer_loaded_from_a_dump_goes_on_as_if_never_stopped(seed: int) -> None:
    messages = race(seed)
    whole = Reducer("waiting", "f1", "recording")
    expected = play(whole, messages) + whole.finish()
    cut = random.Random(seed).randrange(len(messages))
    first = Reducer("waiting", "f1", "recording")
    ticks = play(first, messages[:cut])
    second = Reducer.load(first.dump())
    ticks += play(second, messages[cut:]) + second.finish()
    assert ticks == expected


@pytest.mark.parametrize("tick_ms", [TICK_MS, SLOW_TICK_MS])
@pytest.mark.parametrize("seed", range(4))
def test_asking_between_messages_changes_nothing_that_is_stored(seed: int, tick_ms: int) -> None:
    """At speed 1 a timer asks for due ticks between messages; at `max` nobody does."""
    messages = race(seed)
    quiet, asked = Reducer("waiting", "f1", "recording"), Reducer("waiting", "f1", "recording")
    for reducer in (quiet, asked):
        reducer.set_tick(tick_ms)
    expected = play(quiet, messages) + quiet.finish()
    ticks: list[Tick] = []
    for message in messages:
        if asked.clock:
            for instant in range(asked.clock, message.at, 200):
                ticks += asked.due(instant)
        ticks += asked.offer(message)
    ticks += asked.finish()
    assert of_the_session(ticks) == of_the_session(expected)


@pytest.mark.parametrize("seed", range(4))
def test_slow_ticks_tell_the_same_in_the_end(seed: int) -> None:
    usual, slow = Reducer("waiting", "f1", "recording"), Reducer("waiting", "f1", "recording")
    slow.set_tick(SLOW_TICK_MS)
    messages = race(seed)
    expected, ticks = (play(reducer, messages) + reducer.finish() for reducer in (usual, slow))
    instants = [tick.at for tick in of_the_session_alone(ticks)]
    assert all(after - before >= SLOW_TICK_MS for before, after in itertools.pairwise(instants[:-1]))
    assert len(instants) < len(of_the_session_alone(expected)) / 2
    assert last_told(ticks) == last_told(expected)


def of_the_session_alone(ticks: list[Tick]) -> list[Tick]:
    """The ticks that are not for `live/feed` alone."""
    return [tick for tick in ticks if any(not path.endswith("live/feed") for path, _ in tick.documents)]


def last_told(ticks: list[Tick]) -> dict[str, Document]:
    """What was told last at each path, its instant aside: what changed and changed back meanwhile was told or not."""
    last = {path: document for tick in ticks for path, document in tick.documents if "/towers/" not in path}
    return {
        path: msgspec.structs.replace(document, at=EPOCH)
        for path, document in last.items()
        if not path.endswith("live/feed")
    }


def test_every_slow_tower_is_kept_for_those_who_watch_with_a_delay() -> None:
    reducer = begun()
    reducer.set_tick(SLOW_TICK_MS)
    ticks = [tick for n in range(60) for tick in reducer.offer(timing(5_000 + n * 1_000, {"NumberOfLaps": n}))]
    kept = [document for path, document in told(ticks) if "/towers/" in path]
    assert len(kept) == 12
    assert kept == towers(ticks)


def test_a_slow_first_change_after_a_quiet_time_goes_at_once() -> None:
    reducer = begun()
    reducer.set_tick(SLOW_TICK_MS)
    reducer.offer(timing(5_000, {"Position": "1"}))
    assert towers(reducer.offer(timing(9_999, {"NumberOfLaps": 1}))) == []
    assert [tick.at for tick in reducer.offer(timing(20_000, {"NumberOfLaps": 2}))][:1] == [START + 10_000]
    assert [tick.at for tick in reducer.offer(timing(25_000, {"NumberOfLaps": 3}))][-1] == START + 25_000


def test_what_waits_when_ticks_become_quicker_goes_out_by_the_clock_and_not_in_the_past() -> None:
    reducer = begun()
    reducer.set_tick(SLOW_TICK_MS)
    reducer.offer(timing(5_000, {"Position": "1"}))
    reducer.offer(timing(5_500, {"NumberOfLaps": 1}))
    reducer.offer(timing(8_700, {"NumberOfLaps": 2}))
    reducer.set_tick(TICK_MS)
    (tick,) = reducer.due(START + 8_700)
    assert (tick.at, towers([tick])[0].lines["7"].n) == (START + 8_700, 2)


def test_ticks_stay_slow_through_a_checkpoint_and_into_another_session() -> None:
    reducer = begun()
    reducer.set_tick(SLOW_TICK_MS)
    reducer = Reducer.load(reducer.dump())
    assert reducer.tick_ms == SLOW_TICK_MS
    reducer.offer(Message("SessionInfo", {**SESSION, "Key": 7002}, START + 6_000_000))
    assert (reducer.session, reducer.tick_ms) == ("7002", SLOW_TICK_MS)


def of_the_session(ticks: list[Tick]) -> list[tuple[int, list[tuple[str, Document]]]]:
    """Instants and documents of the ticks, without `live/feed`, which is told in silence too."""
    told = [(tick.at, [(p, d) for p, d in tick.documents if not p.endswith("live/feed")]) for tick in ticks]
    return [tick for tick in told if tick[1]]


def test_one_message_from_the_future_does_not_stop_the_ticks_for_good() -> None:
    reducer = begun()
    reducer.offer(Message("Heartbeat", {"Utc": "x"}, START + 10**9))
    ticks = [tick for n in range(60) for tick in reducer.offer(timing(5_000 + n * 1_000, {"NumberOfLaps": n}))]
    assert reducer.clock == START + 64_000
    assert len(towers(ticks)) >= 30


def test_one_message_from_the_past_does_not_set_the_clock_back() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    reducer.offer(Message("Heartbeat", {"Utc": "x"}, 0))
    assert reducer.clock == START + 5_000


def test_messages_that_leave_the_tower_as_it_was_are_not_measured() -> None:
    reducer = begun()
    reducer.offer(timing(5_000, {"Position": "1"}))
    ticks = reducer.offer(timing(20_000, {"Position": "1"})._replace(arrived=111))
    assert [tick.arrived for tick in ticks if tick.arrived] == []


def test_a_part_that_cannot_be_made_a_document_is_counted_and_the_others_go_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(state: Any, what: Change) -> Any:
        if what.what == "session":
            raise ValueError("never seen before")
        return project(state, what)

    monkeypatch.setattr("pitwall.pipeline.machines.project", broken)
    reducer = begun()
    ticks = reducer.offer(timing(5_000, {"Position": "1"}))
    assert "sessions/7001/live/timing" in paths(ticks)
    assert reducer.rejected["bad-document-session"] == 1


def test_what_an_earlier_session_could_not_use_is_still_counted() -> None:
    reducer = begun()
    reducer.offer(Message("NobodyKnows", {}, START + 100))
    reducer.offer(Message("SessionInfo", {**SESSION, "Key": 7002}, START + 6_000_000))
    assert reducer.rejected["unknown-topic"] == 1


@pytest.mark.whole
@pytest.mark.parametrize(
    "recording",
    [
        pytest.param("2025-sao-paulo-sprint.txt.gz", marks=pytest.mark.long),
        pytest.param("2025-imola-qualifying.txt.gz", marks=pytest.mark.long),
        pytest.param("2024-silverstone-practice-1", marks=pytest.mark.long),
        "2023-monaco-practice-2-signalr.txt.gz",
    ],
)
def test_a_real_session_gives_the_same_ticks_through_any_number_of_checkpoints(
    recordings: Path, recording: str
) -> None:
    source = open_recording(recordings / recording)
    messages = list(source.messages())
    whole, resumed = (Reducer(source.session, "f1", source.name) for _ in range(2))
    rng = random.Random(recording)
    cuts = set(rng.sample(range(len(messages)), 25))
    for n, message in enumerate(messages):
        if n in cuts:
            resumed = Reducer.load(resumed.dump())
        assert resumed.offer(message) == whole.offer(message), f"at message {n}"
    assert resumed.finish() == whole.finish()
    assert resumed.rejected == whole.rejected
