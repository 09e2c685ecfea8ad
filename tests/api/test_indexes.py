"""What the API finds documents by has an index. The emulator needs none, so nothing else would tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pitwall.api import sessions

ROOT = Path(__file__).parents[2]
INDEXES = {
    (
        index["collectionGroup"],
        *((field["fieldPath"], field.get("order", field.get("arrayConfig"))) for field in index["fields"]),
    )
    for index in json.loads((ROOT / "firestore.indexes.json").read_text(encoding="utf-8"))["indexes"]
}


@pytest.mark.parametrize("name", sessions.FILTERS)
def test_whatever_sessions_are_found_by_has_an_index_in_their_order(name: str):
    assert ("sessions", (name, "ASCENDING"), ("at", "DESCENDING")) in INDEXES


@pytest.mark.parametrize(
    ("collection", "field"), [("raceControl", "flag"), ("raceControl", "category"), ("teamRadio", "racingNumber")]
)
def test_whatever_a_series_is_found_by_has_an_index_in_its_order(collection: str, field: str):
    assert (collection, (field, "ASCENDING"), ("n", "ASCENDING")) in INDEXES


@pytest.mark.parametrize(("collection", "field"), [("drivers", "driver"), ("constructors", "constructor")])
def test_whoever_had_a_result_in_a_season_has_an_index_in_the_order_of_ids(collection: str, field: str):
    assert (collection, ("seasons", "CONTAINS"), (field, "ASCENDING")) in INDEXES


def test_the_sessions_of_a_kart_track_have_an_index_by_time_both_ways():
    for order in ("ASCENDING", "DESCENDING"):
        assert ("sessions", ("feedId", "ASCENDING"), ("at", order)) in INDEXES
