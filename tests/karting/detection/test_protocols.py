"""Which protocol a stream speaks, by its frames alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.detect import frames
from pitwall.karting.detection.protocols import recognise
from pitwall.sources.lines import read_lines
from tests.karting.detection import feeds

SIGNALR = ['{"C":"d-1","M":[{"H":"hub","M":"feed","A":["x",{}]}]}', '{"C":"d-2","M":[]}', "{}"]


def first(texts: list[str]) -> str:
    told = recognise(texts)
    return told[0].protocol if told else ""


@pytest.mark.parametrize(
    ("texts", "protocol"),
    [
        (["r1c5|tn|1:05.295\nr1|*|65295|\n", "init|r|\ngrid||<tbody></tbody>"], "apex"),
        (['$F,14,"00:12:45","13:34:23","00:09:47","Green "\r\n$G,3,"1234X",14,"01:12:47.872"'], "rmonitor"),
        (['{"protocol":"json"}\x1e', '{"type":1}\x1e'], "signalr"),
        (SIGNALR, "signalr"),
        (['<?xml version="1.0"?><result><car no="7"/></result>'], "xml"),
        ([frame.text for frame in feeds.json_rows()], "json"),
        ([frame.text for frame in feeds.tables()], "html-table"),
        ([frame.text for frame in feeds.pairs()], "key-value"),
        ([frame.text for frame in feeds.delimited()], "delimited"),
        ([frame.text for frame in feeds.delimited(separator="|")], "delimited"),
    ],
)
def test_a_stream_is_told_by_its_frames(texts: list[str], protocol: str):
    assert first(texts) == protocol


def test_strangers_on_the_port_do_not_change_what_a_feed_is():
    told = recognise(["r1c5|tn|1:05.295", "GET / HTTP/1.1", "r1|*|65295|", "r1|#|3", "\x16\x03\x01"])
    assert told[0].protocol == "apex"
    assert told[0].confidence < 0.9


def test_the_best_two_are_kept_with_their_reasons():
    told = recognise(frame.text for frame in feeds.pairs())
    assert [candidate.protocol for candidate in told] == ["key-value", "delimited"]
    assert all(candidate.reasons for candidate in told)


def test_nothing_is_nothing():
    assert recognise([]) == []
    assert recognise(["\n", "\0"]) == []


def test_rows_are_found_wherever_they_are_in_json():
    deep = [json.dumps({"a": 1, "b": {"c": {"cars": [{"x": 1, "y": "2", "z": 3.5}, {"x": 2, "y": "3", "z": 4.5}]}}})]
    layout = recognise(deep)[0].layout
    assert layout is not None
    assert layout.path == ("b", "c", "cars")
    by_name = [json.dumps({"cars": {"7": {"x": 1, "y": 2}, "8": {"x": 1, "y": 2}}})]
    layout = recognise(by_name)[0].layout
    assert layout is not None
    assert layout.path == ("cars", "*")


def test_every_capture_is_what_it_is(kart_captures: Path):
    for path in sorted(kart_captures.iterdir()):
        apex = path.name.startswith("apex-")
        texts = (
            (text for _, text in frames(path))
            if apex
            else (line.decode("cp1252") for line in read_lines(path, lambda _reason: None))
        )
        told = recognise(texts)[0]
        assert told.protocol == ("apex" if apex else "rmonitor"), path.name
        assert told.confidence >= 0.9, path.name
