"""Recordings moved to another day."""

from __future__ import annotations

import pytest

from local.hub.redate import MINUTE_MS, Redating, minutes_to

DAY_MS = 24 * 60 * MINUTE_MS


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        (b'{"Utc":"2025-11-08T23:59:20.1434365Z"}', b'{"Utc":"2025-11-10T00:00:20.1434365Z"}'),
        (b'{"StartDate":"2025-11-08T10:30:00"}', b'{"StartDate":"2025-11-09T10:31:00"}'),
        (b'[{"Timestamp":"2025-02-27T23:59:00+01:00"}]', b'[{"Timestamp":"2025-03-01T00:00:00+01:00"}]'),
    ],
)
def test_instants_move_by_whole_minutes_and_keep_their_seconds(text: bytes, moved: bytes):
    assert Redating(DAY_MS + MINUTE_MS)(text) == moved


@pytest.mark.parametrize(
    "text",
    [
        b'{"Path":"2025/2025-11-09_Sao_Paulo_Grand_Prix/2025-11-08_Sprint/","Key":9845}',
        b'{"Message":"LAP TIME DELETED 2025-11-08T10:30:00 IN A SENTENCE"}',
        b'{"Utc":"0001-01-01T00:00:00"}',
        b'{"Utc":"2025-13-40T10:30:00Z"}',
        b'{"2025-11-08T10:30:00":1}',
    ],
)
def test_what_is_no_instant_stays(text: bytes):
    assert Redating(DAY_MS)(text) == text


def test_first_session_moves_into_the_minute_before_and_a_later_one_into_the_minute_after():
    first, begin = 1_000_000_007_000, 1_760_000_012_345
    before = first + minutes_to(first, begin)
    after = first + minutes_to(first, begin, not_before=True)
    assert begin - MINUTE_MS < before <= begin <= after < begin + MINUTE_MS
    assert (before - first) % MINUTE_MS == (after - first) % MINUTE_MS == 0
