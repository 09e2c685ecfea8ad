"""A feed that is no longer what its description says is noticed, and nothing else is done about it."""

from __future__ import annotations

import json

from pitwall.karting.described import Described
from pitwall.karting.description import Description
from pitwall.karting.detection.drift import Notice
from pitwall.karting.detection.rows import Heard
from pitwall.sources.analysis import analyse
from tests.karting.detection import feeds


def described(told: list[Heard]) -> Description:
    description = analyse(told).description
    assert description is not None
    return description


def notices(description: Description, told: list[Heard]) -> list[Notice]:
    reading = Described(description, lambda _reason: None)
    for frame in told:
        reading.frame(frame.text, frame.at)
    reading.finish(told[-1].at)
    return reading.notices


def test_a_feed_that_goes_on_as_it_was_is_none():
    for told in (feeds.json_rows, feeds.json_map, feeds.delimited, feeds.pairs, feeds.tables):
        assert notices(described(told()), told(seed=2)) == []


def test_a_new_field_is_told_once():
    told = feeds.json_map()
    more = []
    for frame in told:
        cars = json.loads(frame.text)["cars"]
        more.append(Heard(frame.at, json.dumps({"cars": {name: {**car, "boost": 1} for name, car in cars.items()}})))
    assert [(notice.kind, notice.key) for notice in notices(described(told), more)] == [("new-field", "boost")]


def test_columns_that_changed_places_are_noticed():
    description = described(feeds.delimited())
    moved = []
    for frame in feeds.delimited(seed=2):
        cells = frame.text.split(";")
        cells[4], cells[5] = cells[5], cells[4]
        moved.append(Heard(frame.at, ";".join(cells)))
    told = {(notice.kind, notice.role) for notice in notices(description, moved)}
    assert ("behaviour", "BestLapMs") in told


def test_words_nobody_knows_are_noticed():
    description = described(feeds.delimited())
    strange = []
    for frame in feeds.delimited(seed=2):
        cells = frame.text.split(";")
        cells[4] = "?!"
        strange.append(Heard(frame.at, ";".join(cells)))
    told = [notice for notice in notices(description, strange) if notice.kind == "unknown-token"]
    assert [notice.role for notice in told] == ["LastLapMs"]


def test_columns_that_are_gone_are_noticed():
    short = [Heard(frame.at, frame.text.rpartition(";")[0]) for frame in feeds.delimited(laps=30, seed=2)]
    told = notices(described(feeds.delimited()), short)
    assert ("field-gone", "Gap") in {(notice.kind, notice.role) for notice in told}
