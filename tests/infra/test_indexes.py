"""What firestore.indexes.json exempts from indexing, nothing is found by."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pitwall.documents import paths
from tests.infra.hcl import ROOT

INDEXES = json.loads((ROOT / "firestore.indexes.json").read_text(encoding="utf-8"))
OVERRIDES: dict[tuple[str, str], dict[str, Any]] = {
    (field["collectionGroup"], field["fieldPath"]): field for field in INDEXES["fieldOverrides"]
}

FOUND_BY = {
    "sessions": ("at", "writtenAt", "series", "year", "type", "status", "feedId"),
    "laps": ("lap",),
    "drivers": ("tla", "code", "familyName", "driver", "statistics.wins"),
    "constructors": ("constructor", "name", "statistics.wins"),
    "circuits": ("circuit", "nom"),
    "log": ("at",),
    "notices": ("at",),
    "seasons": ("year",),
    "results": ("order", "code", "driver"),
    "towers": ("at",),
    "raceControl": ("n", "flag", "category"),
    "weather": ("n",),
    "trackStatus": ("n",),
    "sessionStatus": ("n",),
    "teamRadio": ("n", "racingNumber"),
    "gaps": ("n",),
}
"""Fields by which the API and clients find or order documents (pitwall/api, docs/live.md), by collection."""

OF_KARTS = {
    kind.template.split("/")[-2]
    for kind in paths.KINDS
    if paths.of_kart_track(kind.template.replace("{session}", "kart-x"))
}
OF_KARTS = OF_KARTS - {"telemetry"} | {"checkpoints", "privacyRequests"}
"""Collections of which Firestore deletes what is of kart tracks, which have no telemetry."""

SINGLE = [(collection, field) for collection, fields in FOUND_BY.items() for field in fields]


@pytest.mark.parametrize(("collection", "field"), SINGLE)
def test_what_documents_are_found_by_is_indexed_both_ways(collection: str, field: str) -> None:
    override = OVERRIDES.get((collection, field)) or OVERRIDES.get((collection, "*"))
    if override is not None:
        assert {index["order"] for index in override["indexes"]} == {"ASCENDING", "DESCENDING"}


def test_no_index_is_over_a_field_that_is_exempt() -> None:
    over = {(index["collectionGroup"], field["fieldPath"]) for index in INDEXES["indexes"] for field in index["fields"]}
    assert not over & set(OVERRIDES)


def test_what_is_exempt_exists() -> None:
    known = {kind.template.split("/")[-2] for kind in paths.KINDS}
    known |= {"live", "checkpoints", "leases", "rateLimits", "backfills", "privacyRequests"}
    assert {collection for collection, _ in OVERRIDES} <= known


def test_what_changes_every_second_and_what_is_large_has_no_index() -> None:
    assert all(OVERRIDES[of]["indexes"] == [] for of in [("live", "*"), ("towers", "*"), ("laps", "drivers")])
    assert all(OVERRIDES[of]["indexes"] == [] for of in [("checkpoints", "*"), ("leases", "*"), ("rateLimits", "*")])
    assert all(OVERRIDES[of]["indexes"] == [] for of in [("telemetry", "*"), ("telemetryRequests", "*")])
    assert all(OVERRIDES[of]["indexes"] == [] for of in [("standings", "*"), ("layouts", "*"), ("contributions", "*")])
    assert OVERRIDES["backfills", "*"]["indexes"] == []


def test_what_is_kept_for_a_while_alone_is_deleted_by_firestore() -> None:
    assert {of for of, field in OVERRIDES.items() if field.get("ttl")} == {
        *((collection, "expireAt") for collection in OF_KARTS),
        ("rateLimits", "expiresAt"),
        ("telemetry", "until"),
        ("telemetryRequests", "expiresAt"),
    }
