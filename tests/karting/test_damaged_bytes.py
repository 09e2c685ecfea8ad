"""No damage to the bytes of a feed makes a parser of kart timing raise: thousands here, a million in the soak."""

from __future__ import annotations

import pytest

from bench.fuzz import INPUTS, PARSERS, Raised, fuzz


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_damaged_bytes(name: str):
    fuzz(name, 3_000, seed=2)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_a_million_damaged_inputs(name: str):
    fuzz(name, INPUTS)


def test_a_parser_that_raises_is_told_with_what_it_was_given(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PARSERS, "apex", (lambda inputs, _: [int(content) for content in inputs].clear(), (b"1", b"x")))
    with pytest.raises(Raised, match="ValueError"):
        fuzz("apex", 50)
