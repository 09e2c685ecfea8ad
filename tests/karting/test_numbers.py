"""Racing numbers, by which documents are kept: every row has one of its own that can be the id of a document."""

from __future__ import annotations

from pitwall.documents.paths import valid_id
from pitwall.karting import vocabulary
from pitwall.karting.state import KartState


def numbers(**told: str) -> list[str]:
    """Of rows with the numbers told."""
    state = KartState("", "kart-nowhere")
    lines = {row: {"Number": number} for row, number in told.items()}
    state.apply(vocabulary.message(vocabulary.GRID, {"Lines": lines}, 0, snapshot=True))
    return state.racing_numbers


def test_a_number_is_kept_as_painted():
    assert numbers(r1="012", r2="7A") == ["012", "7A"]


def test_two_karts_of_one_number_are_two():
    assert numbers(r1="7", r2="7") == ["7", "7-r2"]


def test_what_is_no_id_is_called_after_its_row():
    assert numbers(r1="/") == ["r1"]
    assert numbers(**{"/": "/", "\x16": "\x16", "..": ".."}) == ["kart", "kart-kart", "kart-2"]
    assert all(valid_id(number) for number in numbers(**{"/": "/", "__x__": "__x__"}))
