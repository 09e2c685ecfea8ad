"""Whatever was heard is analysed, and whatever a described feed sends is read or counted."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitwall.karting.described import Described
from pitwall.karting.description import Description, Field, Kind, decode, encode
from pitwall.karting.detection.rows import Heard
from pitwall.sources.analysis import analyse
from tests.karting.detection import feeds
from tests.sources.apex.test_any_bytes import check

pytestmark = pytest.mark.whole

PIECES = st.sampled_from(
    [
        ";", "|", ",", "\t", "=", ":", "\n", "\r\n", "{", "}", "[", "]", '"', "<table><tr><td>", "</td>", "<th>",
        "1:05.295",
        "65295", "7", "12", "²", "٣", "\x00", "\ud800", "\x1e", '{"M":[]}', '{"cars":{"7":{"last":"1:02.3","laps":3}}}',
        '[{"a":1,"b":2,"c":null},{"a":1e400}]', "a=1|b=2|c=3", "$G,1,2,3", "init|r|\ngrid||<tbody>", "r1c5|tn|59.1",
        "1;7;A;3;1:02.000;1:01.000;2.5", "9" * 40, "-5", "NaN", "[" * 40,
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=12).map("".join)
BYTES = st.binary(max_size=60).map(lambda content: content.decode("utf-8", "surrogateescape"))
HINTS = st.dictionaries(st.sampled_from(("0", "4", "c5", "a")) | st.text(max_size=3), st.text(max_size=8), max_size=3)
KINDS: dict[Kind, list[Heard]] = {
    "json": feeds.json_map(laps=6), "delimited": feeds.delimited(laps=6), "key-value": feeds.pairs(laps=6),
    "html-table": feeds.tables(laps=6),
}  # fmt: skip
DESCRIPTIONS: dict[Kind, Description] = {}
for kind, told in KINDS.items():
    description = analyse(told).description
    assert description is not None
    DESCRIPTIONS[kind] = description


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100_000), TEXTS | BYTES), max_size=12), HINTS)
def test_any_stream_is_analysed(told: list[tuple[int, str]], hint: dict[str, str]):
    at = 0
    frames = []
    for later, text in told:
        at += later
        frames.append(Heard(at, text))
    analysis = analyse(frames, hint)
    assert len(analysis.protocols) <= 2
    if analysis.description is not None:
        assert decode(encode(analysis.description)) == analysis.description


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.lists(TEXTS | BYTES | st.integers(0, 30), max_size=10))
def test_any_frame_is_read_or_counted(kind: Kind, told: list[str | int]):
    counted: Counter[str] = Counter()
    reading = Described(DESCRIPTIONS[kind], lambda reason: counted.update([reason]))
    messages = []
    for index, item in enumerate(told):
        text = item if isinstance(item, str) else KINDS[kind][item].text
        messages += reading.frame(text, feeds.START + index * 40_000)
    check(messages)
    json.dumps([message.data for message in messages])


def test_there_is_an_end_to_rows_and_texts():
    counted: Counter[str] = Counter()
    fields = [Field("0", "Number", "text", 1.0, "human"), Field("1", "Driver", "text", 1.0, "human")]
    reading = Described(Description("delimited", "0", fields, separator=";"), lambda reason: counted.update([reason]))
    for part in range(3):
        reading.frame("\n".join(f"{part}{index};{'x' * 500};" for index in range(500)), 0)
    assert counted == {"too-many-rows": 500}


def test_a_name_of_a_field_that_cannot_be_stored_is_told_without_what_cannot():
    told = [Heard(frame.at, frame.text.replace("q=", "q\udced=")) for frame in feeds.pairs(laps=6)]
    description = analyse(told).description
    assert description is not None
    assert encode(description)
