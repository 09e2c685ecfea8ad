"""The feed's strings as numbers, in every form seen and in forms of which nothing can be made."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitwall.timing.values import Gap, decimal, duration_ms, flag, gap, integer, offset_ms, text, utc_ms

NOTHING: list[Any] = [None, "", "  ", "x", [], {}, object()]


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("1:27.123", 87_123), ("27.123", 27_123), ("87.123", 87_123), ("0.5", 500), ("3", 3_000),
        ("24:07.356", 1_447_356), ("1:02:03.4", 3_723_400), ("00:14:59", 899_000), (" 1:20.0 ", 80_000),
        ("1:20.1239", 80_123),
    ],
)  # fmt: skip
def test_durations(value: str, ms: int) -> None:
    assert duration_ms(value) == ms


@pytest.mark.parametrize("value", [*NOTHING, "1:2:3:4", "-1.0", "+1.0", "1,5", "1L", "LAP 3", 5, 1.5, "1.2345678"])
def test_what_is_no_duration(value: Any) -> None:
    assert duration_ms(value) is None


@given(st.integers(0, 24 * 3_600_000 - 1))
def test_a_duration_is_read_as_it_is_written(ms: int) -> None:
    hours, minutes, rest = ms // 3_600_000, ms // 60_000 % 60, ms % 60_000
    assert duration_ms(f"{hours}:{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}") == ms


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("+1.234", Gap(ms=1_234)), ("1.234", Gap(ms=1_234)), ("+1:02.345", Gap(ms=62_345)), ("0.000", Gap(ms=0)),
        ("1L", Gap(laps=1)), ("1 L", Gap(laps=1)), ("+2 LAPS", Gap(laps=2)), ("+1 LAP", Gap(laps=1)),
        ("12l", Gap(laps=12)),
    ],
)  # fmt: skip
def test_gaps(value: str, expected: Gap) -> None:
    assert gap(value) == expected


@pytest.mark.parametrize("value", [*NOTHING, "LAP 12", "LAP", "L", 1, "-", "+", "1M"])
def test_what_is_no_gap(value: Any) -> None:
    assert gap(value) is None


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        ("2025-11-29T13:30:01", 1_764_423_001_000), ("2025-11-29T13:30:01Z", 1_764_423_001_000),
        ("2025-11-29T13:30:01.5Z", 1_764_423_001_500), ("2025-11-29T13:30:01.1234567Z", 1_764_423_001_123),
        ("2025-11-29T14:30:01+01:00", 1_764_423_001_000), ("1969-12-31T23:59:59Z", -1_000),
    ],
)  # fmt: skip
def test_instants(value: str, ms: int) -> None:
    assert utc_ms(value) == ms


@pytest.mark.parametrize(
    "value",
    [*NOTHING, "2025-11-29", "2025-13-29T13:30:01Z", "13:30:01", "2025-11-29T13:30:01.xZ", "0001-01-01T00:00:00Z", 7],
)
def test_what_is_no_instant(value: Any) -> None:
    assert utc_ms(value) is None


@pytest.mark.parametrize(
    ("value", "ms"), [("03:00:00", 10_800_000), ("-03:00:00", -10_800_000), ("+05:30:00", 19_800_000), ("00:00:00", 0)]
)
def test_offsets(value: str, ms: int) -> None:
    assert offset_ms(value) == ms


@pytest.mark.parametrize("value", [*NOTHING, "Z", "9999:00:00", 3])
def test_what_is_no_offset(value: Any) -> None:
    assert offset_ms(value) is None


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), ("3", 3), (" -12 ", -12), ("007", 7), (0, 0), (2**53 - 1, 2**53 - 1)]
)
def test_integers(value: Any, number: int) -> None:
    assert integer(value) == number


@pytest.mark.parametrize("value", [*NOTHING, True, 1.0, "1.0", "--1", "1-", "٣", 2**53, "1234567890123456", "1e3"])
def test_what_is_no_integer_every_client_can_read(value: Any) -> None:
    assert integer(value) is None


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (1.5, 1.5), ("27.4", 27.4), ("-3", -3.0)])
def test_decimals(value: Any, number: float) -> None:
    assert decimal(value) == number


@pytest.mark.parametrize("value", [*NOTHING, False, "nan", "inf", "1e300", float("nan"), float("inf"), 10**400])
def test_what_is_no_decimal(value: Any) -> None:
    assert decimal(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True), (False, False), ("true", True), ("True", True), ("1", True), ("false", False), ("0", False),
        (1, True), (0, False),
    ],
)  # fmt: skip
def test_flags(value: Any, expected: bool) -> None:
    assert flag(value) is expected


@pytest.mark.parametrize("value", [*NOTHING, "yes", 0.5])
def test_what_is_no_flag(value: Any) -> None:
    assert flag(value) is None


@pytest.mark.parametrize(("value", "expected"), [("a", "a"), (" a ", "a"), (7, "7")])
def test_texts(value: Any, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize("value", [None, "", "  ", True, 1.5, [], {}])
def test_what_is_no_text(value: Any) -> None:
    assert text(value) is None
