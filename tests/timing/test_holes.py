"""Whole sessions with holes in them: whatever differs from the undisturbed session is named by the gaps."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from local.gaps import Documents, gaps_in
from local.simulator import for_minutes, quick_race
from pitwall.message import FEED_GAP, Message
from pitwall.sources.recording import open_recording
from tests.timing.gaps import differences, hole, holes, played, with_holes


@cache
def simulated(seed: int) -> tuple[list[Message], Documents]:
    messages = [Message(sent.topic, sent.payload, sent.at) for sent in quick_race(seed, telemetry=False)]
    return messages, played(messages)[1]


def more(*case: Any) -> Any:
    """A case that reaches no line that the others do not: for the long proofs."""
    return pytest.param(*case, marks=pytest.mark.long)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("race", [1, more(3)])
def test_a_simulated_race_with_a_hole_differs_only_in_what_the_gap_names(race: int, seed: int) -> None:
    messages, clean = simulated(race)
    state, got = played(with_holes(messages, holes(messages, seed)))
    assert differences(clean, got) == []
    assert state.rejected == {}


@pytest.mark.parametrize("seed", [0, 1, more(2), 3])
@pytest.mark.parametrize("race", [2, more(4)])
def test_a_race_with_a_hole_in_nearly_every_lap_differs_only_in_what_the_gaps_name(race: int, seed: int) -> None:
    messages, clean = simulated(race)
    got = played(with_holes(messages, holes(messages, seed, count=15, shortest=5, longest=60)))[1]
    assert len(gaps_in(got)) == 15
    assert differences(clean, got) == []


@pytest.mark.parametrize("until", [more(200), more(230), 260, more(295), more(320)])
def test_a_hole_that_ends_anywhere_in_a_lap_differs_only_in_what_the_gap_names(until: float) -> None:
    messages = [Message(sent.topic, sent.payload, sent.at) for sent in for_minutes(6, 5, telemetry=False)]
    clean = played(messages)[1]
    since = next(i for i, message in enumerate(messages) if message.at - messages[0].at >= 160_000)
    missed = hole(messages, since, until - 160)
    assert missed is not None
    assert differences(clean, played(with_holes(messages, [missed]))[1]) == []


@pytest.mark.parametrize("name", [more("2025-qatar-sprint.txt.gz"), "2024-silverstone-practice-1"])
def test_a_real_session_with_many_holes_differs_only_in_what_the_gaps_name(recordings: Path, name: str) -> None:
    messages = list(open_recording(recordings / name).messages())
    clean = played(messages)[1]
    got = played(with_holes(messages, holes(messages, 0, count=15, shortest=5, longest=90)))[1]
    assert differences(clean, got) == []


def test_two_holes_in_one_race_are_two_gaps() -> None:
    messages, clean = simulated(1)
    got = played(with_holes(messages, holes(messages, 5, count=2, longest=60)))[1]
    assert len(gaps_in(got)) == 2
    assert differences(clean, got) == []


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        *(more("2025-qatar-sprint.txt.gz", seed) for seed in range(2)),
        *(more("2025-sao-paulo-sprint.txt.gz", seed) for seed in range(2)),
        *(("2025-monza-practice-1.txt.gz", seed) for seed in range(2)),
        ("2018-baku-race", 0),
        more("2018-baku-race", 1),
    ],
)
def test_a_real_session_with_a_hole_differs_only_in_what_the_gap_names(recordings: Path, name: str, seed: int) -> None:
    messages = list(open_recording(recordings / name).messages())
    clean = played(messages)[1]
    got = played(with_holes(messages, holes(messages, seed)))[1]
    assert differences(clean, got) == []


@pytest.mark.parametrize("name", [more("2025-qatar-sprint.txt.gz"), "2025-sao-paulo-sprint.txt.gz"])
def test_a_start_nobody_heard_of_begins_lap_1_all_the_same(recordings: Path, name: str) -> None:
    """With SessionData, which says when it was, and without; cars in the pits before it came in on no lap."""
    messages = list(open_recording(recordings / name).messages())
    started = next(
        i for i, told in enumerate(messages) if told.topic == "SessionStatus" and told.data["Status"] == "Started"
    )
    messages = messages[: started + 9_000]
    clean = played(messages)[1]
    for begins_s in (-30, -10, 0):
        since = next(i for i, message in enumerate(messages) if message.at >= messages[started].at + begins_s * 1000)
        for seconds in (40, 120):
            missed = hole(messages, since, seconds)
            assert missed is not None
            got = played(with_holes(messages, [missed]))[1]
            assert differences(clean, got) == []
            assert any(path.endswith("/laps/1") for path in got)


def test_what_a_car_does_after_the_flag_is_of_no_lap() -> None:
    """Holes about the end: the last lap's time is told before its crossing, then the cars come in, on no lap."""
    messages = [Message(sent.topic, sent.payload, sent.at) for sent in for_minutes(60, 7, telemetry=False)]
    clean = played(messages)[1]
    over = next(at.at for at in messages if at.topic == "SessionStatus" and at.data.get("Status") == "Finished")
    for begins_s in (-180, -60):
        since = next(i for i, message in enumerate(messages) if message.at >= over + begins_s * 1000)
        missed = hole(messages, since, 200)
        assert missed is not None
        assert differences(clean, played(with_holes(messages, [missed]))[1]) == []


def test_a_topic_no_longer_given_after_a_gap_is_named() -> None:
    """As when the login has expired: stops have no time standing from then on, and the gap says why."""
    messages, clean = simulated(1)
    first, back = holes(messages, 5)[0]
    heard = with_holes(messages, [(first, back)])
    until = next(i for i, message in enumerate(heard) if message.topic == FEED_GAP)
    got = played([*heard[:until], *(message for message in heard[until:] if message.topic != "PitStopSeries")])[1]
    assert [gap.withheld for gap in gaps_in(got)] == [{"PitStopSeries"}]
    assert differences(clean, got) == []
    stops = [stop for path, fields in got.items() if "/drivers/" in path for stop in fields["pitStops"]]
    assert any("stopTimeMs" not in stop for stop in stops if stop["stop"])


def test_what_is_not_named_is_found() -> None:
    """The comparison itself: a lap changed and a lap taken away are told."""
    messages, clean = simulated(1)
    got = {path: dict(fields) for path, fields in played(messages)[1].items()}
    path = next(path for path in got if path.endswith("/laps/5"))
    number = next(iter(got[path]["drivers"]))
    laps = {**got[path]["drivers"], number: {**got[path]["drivers"][number], "lapTimeMs": 1}}
    assert differences(clean, {**got, path: {**got[path], "drivers": laps}}) != []
    assert differences(clean, {other: fields for other, fields in got.items() if other != path}) != []
