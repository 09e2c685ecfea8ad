"""What fields mean: by behaviour alone, with headers, with a human's words, and when nothing can be known."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from pitwall.karting.description import Field, decode, encode
from pitwall.karting.detection.rows import Heard
from pitwall.sources.analysis import Analysis, analyse
from tests.karting.detection import feeds

ROLES = ("Position", "Number", "Driver", "Laps", "LastLapMs", "BestLapMs", "Gap")
MOVING = {"Position", "Laps", "LastLapMs", "BestLapMs", "Gap"}


def by_role(analysis: Analysis) -> dict[str, Field]:
    return {field.role: field for field in analysis.fields}


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        (feeds.json_rows, feeds.BLANK),
        (lambda: feeds.json_map(feeds.BLANK), feeds.BLANK),
        (feeds.delimited, tuple("0123456")),
        (feeds.pairs, feeds.BLANK),
        (lambda: feeds.tables(feeds.BLANK), tuple("0123456")),
    ],
)
def test_fields_without_names_are_told_by_what_they_do(told: Callable[[], list[Heard]], keys: tuple[str, ...]):
    found = by_role(analyse(told()))
    assert {role: field.key for role, field in found.items()} == dict(zip(ROLES, keys, strict=True))
    assert {role for role, field in found.items() if field.verdict == "used"} == MOVING
    assert all(field.reasons for field in found.values())


def test_headers_and_behaviour_make_each_other_surer():
    found = by_role(analyse(feeds.tables()))
    assert {field.verdict for field in found.values()} == {"used"}
    assert found["LastLapMs"].origin == "header"
    assert len(found["LastLapMs"].reasons) == 2


def test_a_header_that_does_not_do_what_it_says_is_not_used():
    swapped = ("pos", "no", "driver", "laps", "bestLap", "lastLap", "gap")
    analysis = analyse(feeds.delimited(header=True, names=swapped))
    used = {field.key: field.role for field in analysis.fields if field.verdict == "used"}
    assert "4" not in used
    assert "5" not in used


def test_a_few_laps_are_enough_to_propose_and_not_to_use():
    two = [frame for frame in feeds.delimited(laps=4) if frame.text.split(";")[1] in ("3", "7")]
    found = by_role(analyse(two))
    assert found["LastLapMs"].verdict == "proposed"
    assert all(field.verdict != "used" for field in found.values() if field.role in ("LastLapMs", "BestLapMs"))


def test_what_is_not_understood_is_listed_without_its_values():
    told = [
        Heard(frame.at, f"{frame.text};{'abcdef'[index % 6] * 3};x") for index, frame in enumerate(feeds.delimited())
    ]
    unknown = {field.key: field for field in analyse(told).not_understood}
    assert {"7", "8"} <= unknown.keys()
    assert unknown["7"].shape == "words"
    assert unknown["7"].changes > 0


class TestAHumansWords:
    def test_stand_and_keep_their_origin(self):
        found = by_role(analyse(feeds.delimited(), {"2": "Equipe/Pilote", "6": "Non utilisé", "3": "Lap"}))
        assert found["Driver"].origin == "human"
        assert found["Driver"].verdict == "used"
        assert found["Laps"].origin == "human"
        assert found[""].key == "6"
        assert "Gap" not in found

    def test_stand_where_they_are_wrong_and_that_is_said(self):
        analysis = analyse(feeds.delimited(), {"5": "Dernier T."})
        found = by_role(analysis)
        assert found["LastLapMs"].key == "5"
        assert found["LastLapMs"].origin == "human"
        assert any("5: said to be LastLapMs" in notice for notice in analysis.notices)

    def test_that_are_no_role_are_said_to_be_none(self):
        analysis = analyse(feeds.delimited(), {"5": "Quelque chose"})
        assert by_role(analysis)["BestLapMs"].origin == "behaviour"
        assert any(notice.startswith("5:") for notice in analysis.notices)

    def test_of_apex_columns_stand_as_well(self):
        frames = [
            Heard(0, 'init|r|\ngrid||<tbody><tr data-id="r0" class="head"><td data-id="c1" data-type="rk">Clt</td>'
                     '<td data-id="c2" data-type="llp">Dernier T.</td></tr></tbody>'),
        ]  # fmt: skip
        found = {field.key: field for field in analyse(frames, {"c2": "Meilleur T."}).fields}
        assert (found["c2"].role, found["c2"].origin) == ("BestLapMs", "human")
        assert (found["c1"].role, found["c1"].origin) == ("Position", "type")


def test_best_and_last_lap_are_not_guessed_while_every_lap_is_the_best():
    told: list[Heard] = []
    for number in range(4):
        at = feeds.START + number * 900
        for lap in range(12):
            at += 70_000 - 500 * lap
            time = feeds.clock(70_000 - 500 * lap)
            told.append(Heard(at, f"{number + 31};{time};{time};x{number}"))
    analysis = analyse(sorted(told))
    assert not [
        field for field in analysis.fields if field.verdict == "used" and field.role in ("LastLapMs", "BestLapMs")
    ]


def impostors(name: str) -> list[Heard]:
    """A race in which something else stands where the last lap, the best one or the count of laps did."""
    driven: dict[str, list[int]] = {}
    told = []
    for line in feeds.crossings(laps=30):
        laps = driven.setdefault(line.number, [])
        laps += [] if line.last is None else [line.last]
        if laps and name == "the lap before":
            line = line._replace(last=laps[-2] if len(laps) > 1 else None)
        elif laps and name == "an average":
            line = line._replace(last=sum(laps[-5:]) // len(laps[-5:]))
        elif laps and name == "a best lap alone":
            line = line._replace(last=line.best, best=None)
        elif laps and name == "the best of three":
            line = line._replace(best=min(laps[-3:]))
        elif name == "every second lap":
            line = line._replace(laps=line.laps // 2)
        values = feeds.fields(line, feeds.BLANK, feeds.clock).values()
        told.append(Heard(line.at, ";".join(str(value) for value in values)))
    return told


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("the lap before", "LastLapMs"),
        ("an average", "LastLapMs"),
        ("a best lap alone", "LastLapMs"),
        ("the best of three", "BestLapMs"),
        ("every second lap", "Laps"),
    ],
)
def test_what_is_much_like_a_role_is_not_used_for_it(name: str, role: str):
    used = {field.role for field in analyse(impostors(name)).fields if field.verdict == "used"}
    assert role not in used


@pytest.mark.parametrize(("of_last", "sure"), [(100, True), (3, False)])
def test_a_best_lap_is_told_from_the_best_of_three_by_one_kart_that_was_quicker_before(of_last: int, sure: bool):
    """All others are quicker and quicker, so that both columns show the same."""
    told = []
    for number in range(6):
        at, laps = feeds.START + number * 900, [55_000 if number == 0 else 62_000]
        laps += [62_000 + number * 70 - 100 * lap + 1_500 * (lap % 2) for lap in range(2, 14)]
        told.append(Heard(at, f"{number + 31};0;;"))
        for lap, time in enumerate(laps, 1):
            at += time
            best = min(laps[max(lap - of_last, 0) : lap])
            told.append(Heard(at, f"{number + 31};{lap};{feeds.clock(time)};{feeds.clock(best)}"))
    [best_lap] = [field for field in analyse(sorted(told)).fields if field.role == "BestLapMs"]
    assert (best_lap.verdict == "used") is sure


def test_rows_that_nothing_names_are_not_described():
    told = [Heard(feeds.START + 1_000 * index, f"{index};{index * 7 % 13};{index * 3}") for index in range(100)]
    analysis = analyse(told)
    assert analysis.description is None
    assert analysis.notices


class TestADescription:
    def test_is_json_that_reads_back(self):
        description = analyse(feeds.json_map()).description
        assert description is not None
        assert decode(encode(description)) == description

    @pytest.mark.parametrize(
        "damage",
        [
            {"kind": "python"},
            {"key": ""},
            {"version": 2},
            {"code": "import os"},
            {"separator": ""},
            {"fields": [{"key": "a", "role": "Exec", "unit": "text", "confidence": 1, "origin": "human"}]},
            {"fields": [{"key": "a", "role": "Laps", "unit": "count", "confidence": 2, "origin": "human"}]},
            {"fields": [{"key": "a", "role": "Laps", "unit": "count", "confidence": 1, "origin": "human"}] * 2},
            {"rows": ["x"] * 9},
        ],
    )
    def test_that_is_none_is_refused(self, damage: dict[str, Any]):
        description = analyse(feeds.delimited()).description
        assert description is not None
        told = orjson.loads(encode(description))
        decode(orjson.dumps(told))
        with pytest.raises(ValueError):  # noqa: PT011
            decode(orjson.dumps({**told, **damage}))

    def test_that_is_too_long_is_refused(self):
        with pytest.raises(ValueError, match="at most"):
            decode(b" " * 200_000)


def test_numbers_that_mean_nothing_are_given_no_meaning():
    chance = random.Random(5)
    told = []
    for index in range(80):
        rows = [[str(kart + 100), *(f"{chance.random() * 90:.3f}" for _ in range(6))] for kart in range(12)]
        told.append(Heard(feeds.START + 3_000 * index, "\n".join(";".join(row) for row in rows)))
    assert [field.role for field in analyse(told).fields if field.verdict != "ask"] == ["Number"]
