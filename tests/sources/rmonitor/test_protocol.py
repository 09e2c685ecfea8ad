"""What a line holds: records, also where they run into each other."""

from __future__ import annotations

from collections import Counter

import pytest

from pitwall.sources.rmonitor import values
from pitwall.sources.rmonitor.protocol import records


def read(line: str) -> tuple[list[list[str]], dict[str, int]]:
    rejected: Counter[str] = Counter()
    told = [[record.tag, *record.values] for record in records(line, lambda reason: rejected.update([reason]))]
    return told, dict(rejected)


def test_a_record_is_a_tag_and_its_fields():
    assert read('$G,3,"1234BE",14,"01:12:47.872"\r\n') == ([["G", "3", "1234BE", "14", "01:12:47.872"]], {})


def test_padding_spaces_and_empty_fields():
    assert read('$I, "00:00:00", "0/0/0000"') == ([["I", "00:00:00", "0/0/0000"]], {})
    assert read('$F,9999,"","","","Green "')[0] == [["F", "9999", "", "", "", "Green"]]
    assert read('$G,1,"10",,"00:00:09.582"')[0] == [["G", "1", "10", "", "00:00:09.582"]]


def test_commas_quotes_and_tags_inside_quotes():
    assert read('$A,"7","7",1,"Cash $G, Inc","The ""Fast"" One","",1')[0] == [
        ["A", "7", "7", "1", "Cash $G, Inc", 'The "Fast" One', "", "1"]
    ]


def test_records_fused_on_one_line():
    told, rejected = read('$J,"7","00:01:00.000","00:05:00.000"$G,1,"7",5,"00:05:00.000"$H,1,"7",5,"00:01:00.000"')
    assert [record[:3] for record in told] == [["J", "7", "00:01:00.000"], ["G", "1", "7"], ["H", "1", "7"]]
    assert rejected == {}


def test_a_record_that_was_cut_off_does_not_swallow_the_next():
    told, _ = read('$J,"7","00:01:0$G,1,"7",5,"00:05:00.000"')
    assert told == [["J", "7", "00:01:0"], ["G", "1", "7", "5", "00:05:00.000"]]
    assert read('0.000"$G,1,"7",5,"00:05:00.000"') == ([["G", "1", "7", "5", "00:05:00.000"]], {"junk": 1})


def test_what_is_no_record_is_counted():
    assert read("GET / HTTP/1.1") == ([], {"junk": 1})
    assert read("$NEW,1") == ([], {"unknown-record": 1})
    assert read("$A" * 60_000) == ([], {"line-too-long": 1})
    assert read("  \0 ") == ([], {})


@pytest.mark.parametrize("line", ['$L,"40","P2","POP","01/27/2009","08:00:05.894"', "$RMCA,1610910893000", '$RMDTL,""'])
def test_records_that_say_nothing_of_use_are_passed_over(line: str):
    assert read(line) == ([], {})


@pytest.mark.parametrize(
    ("text", "told"), [("08:35:50", 30_950_000), ("24:00:00", None), ("35:50", None), ("", None), ("٠٠:٠١:٠٠", None)]
)
def test_times_of_day(text: str, told: int | None):
    assert values.time_of_day_ms(text) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [("27 Jan 09", 1_233_014_400_000), ("25 Apr 2025", 1_745_539_200_000), ("0/0/0000", None), ("31 Feb 09", None)],
)
def test_dates(text: str, told: int | None):
    assert values.date_ms(text) == told


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Race Practice 1", "Practice"), ("Test Session 4", "Practice"), ("HPDE S1", "Practice"), ("Warm-up", "Practice"),
     ("GTO/GTU Qualifying", "Qualifying"), ("Q2", "Qualifying"), ("7 Hour", "Race"), ("Sun 7.5Hr", "Race"),
     ("Heat 3", "Race"), ("Finale", "Race"), ("GP1/GP2/GP3", None), ("", None)],
)  # fmt: skip
def test_a_session_is_what_its_name_says(name: str, kind: str | None):
    assert values.session_type(name) == kind
