"""What stands in the cells of real boards, as numbers."""

from __future__ import annotations

import pytest

from pitwall.karting.values import Gap, at_the_wheel, clock_ms, duration_ms, gap, hours_ms, integer, lap_count


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1:05.295", 65_295),
        ("59.609", 59_609),
        ("1:05,3", 65_300),
        ("2:48.", 168_000),
        ("00.", 0),
        ("1:02:03.4", 3_723_400),
        (" 6.991 ", 6_991),
        ("3", 3_000),
        ("", None),
        ("Tour 3", None),
        ("1:05:", None),
        ("-1.2", None),
        ("٣.5", None),
    ],
)
def test_durations(text: str, ms: int | None):
    assert duration_ms(text) == ms


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0.718", Gap(ms=718)),
        ("+1:02.387", Gap(ms=62_387)),
        ("5 Tours", Gap(laps=5)),
        ("1 Giro", Gap(laps=1)),
        ("8 Vueltas", Gap(laps=8)),
        ("3 Trs", Gap(laps=3)),
        ("+2 varv", Gap(laps=2)),
        ("Tour 55", Gap(leads=55)),
        ("Vuelta 8", Gap(leads=8)),
        ("Ställning", None),
        ("", None),
    ],
)
def test_gaps(text: str, told: Gap | None):
    assert gap(text) == told


def test_counts_clocks_and_drivers():
    assert [integer(text) for text in ("12", " 7 ", "", "1.2", "-1", "²")] == [12, 7, None, None, None, None]
    assert [hours_ms(text) for text in ("0:26", "12:03", "26", "")] == [1_560_000, 43_380_000, None, None]
    assert [clock_ms(text) for text in ("00:09:30", "09:30", "9")] == [570_000, 570_000, None]
    assert [lap_count(text) for text in ("Tour 9/10", "Giro 0/11", "Lap 3", "10")] == [
        (9, 10),
        (0, 11),
        (3, None),
        None,
    ]
    assert at_the_wheel("A Name [1:26]") == ("A Name", 5_160_000)
    assert at_the_wheel("A Name ") == ("A Name", None)
