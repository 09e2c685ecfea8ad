"""Which format is in force: a human's word before the analysis, and the analysis only where it is sure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from pitwall.documents.circuits import AnalysisDocument, FormatDocument
from pitwall.karting.formats import in_force
from pitwall.sources.analysis import Analysis, analyse
from tests.karting.detection import feeds

AT = datetime(2026, 11, 21, tzinfo=UTC)


def stored(analysis: Analysis | dict[str, Any]) -> AnalysisDocument:
    told = msgspec.to_builtins(analysis)
    return AnalysisDocument(at=AT, heard_from="a feed", frames=1, heard_ms=1, analysis=told, job="analyze-format-x")


def said(columns: dict[str, str], description: dict[str, Any] | None = None) -> FormatDocument:
    return FormatDocument(at=AT, columns=columns, description=UNSET if description is None else description)


def apex(*fields: tuple[str, str, float, str]) -> AnalysisDocument:
    told = [
        {"key": key, "role": role, "unit": "clock", "confidence": sure, "origin": origin}
        for key, role, sure, origin in fields
    ]
    return stored({"protocols": [{"protocol": "apex", "confidence": 0.99, "reasons": []}], "fields": told})


def test_nothing_is_in_force_where_nothing_is_known():
    found = in_force(None, None)
    assert (found.standing, found.protocol, found.description) == ("none", "", None)


def test_a_confident_analysis_is_used_and_what_is_likely_waits():
    found = in_force(None, stored(analyse(feeds.json_map(feeds.BLANK))))
    assert (found.standing, found.protocol) == ("used", "json")
    assert found.description is not None
    assert {field.role for field in found.waiting} == {"Number", "Driver"}


def test_a_description_that_tells_no_laps_for_sure_waits_for_a_human():
    two = [frame for frame in feeds.delimited(laps=3) if frame.text.split(";")[1] in ("3", "7")]
    analysis = stored(analyse(two))
    found = in_force(None, analysis)
    assert (found.standing, found.description) == ("proposed", None)
    keys = {field.role: field.key for field in found.waiting}
    confirmed = in_force(said({keys["LastLapMs"]: "LastLapMs"}), analysis)
    assert confirmed.standing == "human"
    assert confirmed.description is not None
    assert confirmed.description.role("LastLapMs") is not None


def test_a_humans_column_stands_against_a_later_analysis_and_both_are_told():
    analysis = stored(analyse(feeds.delimited()))
    found = in_force(said({"5": "LastLapMs", "4": "", "2": "Team"}), analysis)
    assert found.description is not None
    used = {field.key: field.role for field in found.description.fields if field.verdict == "used"}
    assert (used["5"], used["4"], used["2"]) == ("LastLapMs", "", "Team")
    assert sorted(used.values()).count("LastLapMs") == 1
    assert sorted(notice[0] for notice in found.notices) == ["4", "5"]


def test_a_humans_times_are_written_as_the_analysis_saw_them():
    found = in_force(said({"t": "LastLapMs", "u": "BestLapMs"}), stored(analyse(feeds.json_rows())))
    assert found.description is not None
    assert {field.unit for field in found.description.fields if field.role.endswith("LapMs")} == {"ms"}


def test_columns_of_apex_timing_are_found_only_by_what_they_do_or_by_the_apps_labels():
    analysis = apex(
        ("c1", "Position", 0.97, "type"),
        ("c2", "LastLapMs", 0.95, "behaviour"),
        ("c3", "BestLapMs", 0.7, "behaviour"),
        ("c4", "Team", 1.0, "human"),
    )
    found = in_force(said({"c9": "Laps"}), analysis)
    assert found.said == {"c9": "Laps"}
    assert found.found == {"c2": "LastLapMs", "c4": "Team"}
    assert [field.key for field in found.waiting] == ["c3"]


def test_a_humans_description_is_run_as_it_is():
    description = msgspec.to_builtins(analyse(feeds.pairs()).description)
    found = in_force(said({}, description), None)
    assert (found.standing, found.protocol) == ("human", "key-value")
    assert msgspec.to_builtins(found.description) == description


@pytest.mark.parametrize("damage", [{"kind": "python"}, {}, {"kind": "json", "fields": 3}])
def test_what_is_stored_and_cannot_be_read_is_told_and_not_used(damage: dict[str, Any]):
    found = in_force(said({"1": "Exec", "2": "Laps", "3": "Laps"}, damage), stored({"fields": 7, "protocols": [3]}))
    assert found.description is None
    assert found.said == {"2": "Laps"}
    assert len(found.notices) == 3
