"""Layouts kept in Firestore, from the positions of a simulated race."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from pitwall.documents import paths
from pitwall.documents.encoding import from_fields
from pitwall.documents.history import LayoutDocument, SeasonDocument, SeasonRace
from pitwall.history.layout_store import keep_layout
from pitwall.history.layouts import layout_from
from pitwall.history.stored import store
from pitwall.history.telemetry.samples import Samples
from pitwall.pipeline.database import Database
from tests.history.telemetry.conftest import Played
from tests.pipeline.conftest import database  # noqa: F401 (fixture)

AT = datetime(2026, 7, 12, tzinfo=UTC)
PATH = "circuits/ardenmoor/layouts/2026"
SEASON = SeasonDocument(
    at=AT,
    year=2026,
    races=[SeasonRace(round=12, circuit="ardenmoor", sprint=False, winners=[])],
    leading_drivers=[],
    leading_constructors=[],
)


@pytest.fixture
def season(database: Database) -> Database:  # noqa: F811
    store(database, {paths.season(2026): SEASON})
    return database


def stored(database: Database) -> LayoutDocument | None:  # noqa: F811
    fields = database.read([PATH])[PATH].fields
    found = None if fields is None else from_fields(PATH, fields)
    assert found is None or isinstance(found, LayoutDocument)
    return found


def test_a_layout_that_nobody_has_drawn_is_derived_once(season: Database, raced: Played) -> None:
    assert keep_layout(season, 2026, 12, raced.samples, raced.timing) == 1
    kept = stored(season)
    derived = layout_from(raced.samples, raced.timing, "ardenmoor", 2026, AT)
    assert kept is not None
    assert replace(kept, at=AT, v=UNSET, written_at=UNSET) == derived
    assert keep_layout(season, 2026, 12, raced.samples, raced.timing) == 0


def test_a_drawn_map_stays_and_is_told_where_sectors_end(season: Database, raced: Played) -> None:
    derived = layout_from(raced.samples, raced.timing, "ardenmoor", 2026, AT)
    store(season, {PATH: replace(derived, source="multiviewer", rotation=95.0, sector_ends=UNSET)})
    assert keep_layout(season, 2026, 12, raced.samples, raced.timing) == 1
    kept = stored(season)
    assert kept is not None
    assert (kept.source, kept.rotation, kept.x) == ("multiviewer", 95.0, derived.x)
    assert kept.sector_ends == pytest.approx(derived.sector_ends, abs=1)
    assert keep_layout(season, 2026, 12, raced.samples, raced.timing) == 0


def test_a_session_without_positions_keeps_nothing(season: Database, raced: Played) -> None:
    assert keep_layout(season, 2026, 12, Samples(), raced.timing) == 0
    assert stored(season) is None


def test_of_a_round_that_is_not_known_nothing_is_kept(season: Database, raced: Played) -> None:
    assert keep_layout(season, 2026, 13, raced.samples, raced.timing) == 0
    assert keep_layout(season, 2025, 12, raced.samples, raced.timing) == 0


def test_a_stored_layout_that_is_none_is_replaced(season: Database, raced: Played) -> None:
    season.commit([season.write(PATH, {"x": "nonsense"})])
    assert keep_layout(season, 2026, 12, raced.samples, raced.timing) == 1
    assert stored(season) is not None
