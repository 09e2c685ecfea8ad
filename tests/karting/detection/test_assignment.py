"""Each role gets one field, so that the sum is the highest there is."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from pitwall.karting.detection.assignment import assign


def test_a_field_that_fits_two_roles_goes_where_it_is_missed_most():
    assert assign([[0.9, 0.8], [0.9, 0.1]]) == [1, 0]


def test_a_role_that_nothing_fits_gets_nothing():
    assert assign([[0.0, 0.5], [0.0, 0.4]]) == [1, None]
    assert assign([]) == []


@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 9).map(float), min_size=width, max_size=width), min_size=1, max_size=4
        )
    )
)
def test_no_other_choice_is_better(scores: list[list[float]]):
    columns: list[int | None] = [*range(len(scores[0])), *[None] * len(scores)]
    best = max(
        sum(row[column] for row, column in zip(scores, chosen, strict=False) if column is not None)
        for chosen in permutations(columns, len(scores))
    )
    told = assign(scores)
    taken = [column for column in told if column is not None]
    assert len(taken) == len(set(taken))
    assert sum(row[column] for row, column in zip(scores, told, strict=True) if column is not None) == best
