"""Captures told in ways nobody wrote a source for are described from what they say, and read to the same laps."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.recoded import CAPTURES, FORMS, compare

pytestmark = pytest.mark.whole

SHORTEST, *OTHERS = CAPTURES
ALIKE = ("nested", "arrays", "tabs")
"""Forms that are read as others are: maps of changes and tables with tabs in place of cells."""
CORRECTED = 0.97
"""Of Road America's laps: some are corrected by a passing's total, which no row tells."""


def check(path: Path, form: str) -> None:
    compared = compare(path, form)
    assert (compared.missing, compared.more) == (0, 0)
    assert compared.equal >= CORRECTED * compared.laps
    assert compared.places == compared.rows


@pytest.mark.parametrize(
    "form", [pytest.param(form, marks=pytest.mark.long) if form in ALIKE else form for form in FORMS]
)
def test_a_capture_in_another_form_has_the_same_laps_and_places(form: str, kart_captures: Path):
    check(kart_captures / SHORTEST, form)


@pytest.mark.long
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("capture", OTHERS)
def test_longer_captures_in_another_form_have_the_same_laps_and_places(capture: str, form: str, kart_captures: Path):
    check(kart_captures / capture, form)
