"""A stored description runs feeds of every kind into the vocabulary, and the laps come out as they were driven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from pitwall.karting import vocabulary
from pitwall.karting.described import Described
from pitwall.karting.description import Description, Field, decode, encode
from pitwall.karting.detection.rows import Heard
from pitwall.karting.state import KartState, best_lap
from pitwall.sources.analysis import analyse
from tests.karting.detection import feeds


def play(description: Description, told: list[Heard]) -> tuple[KartState, Counter[str]]:
    counted: Counter[str] = Counter()
    reading = Described(description, lambda reason: counted.update([reason]))
    state = KartState("", "kart-nowhere")
    for frame in told:
        for message in reading.frame(frame.text, frame.at):
            state.apply(message)
    state.finish()
    return state, counted + state.rejected


def fields(**roles: str) -> list[Field]:
    """Of `_0="Number"`, as a human would have named them."""
    units = {"Number": "text", "Driver": "text", "Laps": "count", "Position": "count", "Gap": "gap"}
    return [
        Field(key.removeprefix("_"), role, units.get(role, "clock"), 1.0, "human")  # type: ignore[arg-type]
        for key, role in roles.items()
    ]


@pytest.mark.parametrize("told", [feeds.json_rows, feeds.json_map, feeds.delimited, feeds.pairs, feeds.tables])
def test_laps_are_those_that_were_driven(told: Callable[..., list[Heard]]):
    description = analyse(told()).description
    assert description is not None
    state, counted = play(decode(encode(description)), told(seed=2))
    driven: dict[str, dict[int, int | None]] = {}
    for line in feeds.crossings(seed=2):
        if line.laps:
            driven.setdefault(line.number, {})[line.laps] = line.last
    assert {
        kart.number: {number: lap.time for number, lap in sorted(kart.laps.items())}
        for kart in state.data.karts.values()
    } == driven
    for number, times in driven.items():
        kart = state.kart(number)
        assert kart is not None
        fastest = best_lap(kart)
        assert fastest is not None
        assert fastest.time == min(time for time in times.values() if time is not None)
    assert not counted


def test_only_what_is_sure_is_read():
    unsure = [Field("1", "LastLapMs", "clock", 0.7, "behaviour")]
    reading = Described(Description("delimited", "0", [*fields(_0="Number"), *unsure], separator=";"), lambda _: None)
    messages = reading.frame("7;1:02.000", 0)
    assert messages[-1].data["Lines"] == {"7": {"Number": "7"}}


def test_a_lap_that_equals_the_one_before_is_a_lap_where_laps_are_counted():
    description = Description("delimited", "0", fields(_0="Number", _1="Laps", _2="LastLapMs"), separator=";")
    told = [Heard(lap * 60_000, f"7;{lap};{'1:00.000' if lap else ''}") for lap in range(5)]
    state, _ = play(description, told)
    kart = state.kart("7")
    assert kart is not None
    assert [lap.time for lap in kart.laps.values()] == [60_000] * 4


def test_without_a_count_a_new_time_is_a_lap():
    description = Description("key-value", "n", fields(n="Number", t="LastLapMs"), separator="&", assign="=")
    told = [
        Heard(0, "n=7&t="),
        Heard(60_000, "n=7&t=60.001"),
        Heard(121_000, "n=7&t=61.002"),
        Heard(122_000, "n=7&t=61.002"),
    ]
    state, _ = play(description, told)
    kart = state.kart("7")
    assert kart is not None
    assert [lap.time for lap in kart.laps.values()] == [60_001, 61_002]


def test_a_row_that_has_gone_from_a_whole_board_is_off_it():
    description = Description("json", "n", fields(n="Number"), whole=True)
    state, _ = play(description, [Heard(0, '[{"n":"7"},{"n":"8"},{"n":"9"}]'), Heard(1_000, '[{"n":"7"},{"n":"9"}]')])
    assert [kart.number for kart in state.data.karts.values() if kart.on_board] == ["7", "9"]


def test_gaps_are_times_or_laps():
    description = Description("delimited", "0", fields(_0="Number", _1="Gap"), separator=";")
    counted: Counter[str] = Counter()
    reading = Described(description, lambda reason: counted.update([reason]))
    board = reading.frame("7;2.5\n8;3 Tours\n9;\n5;??", 0)[-1]
    assert board.topic == vocabulary.GRID
    lines = board.data["Lines"]
    assert (lines["7"]["GapMs"], lines["8"]["GapLaps"]) == (2_500, 3)
    assert counted == {"bad-gap": 1}


def test_what_cannot_be_used_is_counted():
    description = Description("delimited", "0", fields(_0="Number", _1="LastLapMs", _2="Laps"), separator=";")
    counted: Counter[str] = Counter()
    reading = Described(description, lambda reason: counted.update([reason]))
    for text in ("hello", "7;soon;x", ";1:02.0;3", ""):
        reading.frame(text, 0)
    assert counted == {"no-rows": 1, "bad-time": 1, "bad-count": 1, "row-without-key": 1}
