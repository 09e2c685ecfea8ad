"""An invented race, told in the ways of feeds nobody wrote a source for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pitwall.karting.detection.rows import Heard

START = 1_893_500_000_000
KARTS = {
    "3": "Anna Berg", "7": "Ciro Damiani", "12": "Emil Fors", "15": "Gaia Horn", "21": "Ida Jansen", "44": "Karl Lund",
    "58": "Mia Noll", "76": "Ole Prandtl",
}  # fmt: skip
NAMES = ("pos", "no", "driver", "laps", "lastLap", "bestLap", "gap")
FRENCH = ("Clt", "Kart", "Pilote", "Tours", "Dernier T.", "Meilleur T.", "Ecart")
BLANK = ("p", "q", "r", "s", "t", "u", "v")


class Line(NamedTuple):
    """A kart's row as it crosses the line; times in ms."""

    at: int
    position: int
    number: str
    driver: str
    laps: int
    last: int | None
    best: int | None
    gap: int | None


def crossings(laps: int = 20, seed: int = 1) -> list[Line]:
    """Every crossing of a race, the first one begins the first lap; instants in ms."""
    chance = random.Random(seed)
    events: list[tuple[int, str, int, int]] = []
    for index, number in enumerate(KARTS):
        at = START + 700 * index
        events.append((at, number, 0, 0))
        for lap in range(1, laps + 1):
            time = 60_000 + chance.randint(0, 3_000) + 90 * index
            at += time
            events.append((at, number, lap, time))
    told: list[Line] = []
    done: dict[str, tuple[int, int]] = {}
    best: dict[str, int] = {}
    for at, number, lap, time in sorted(events):
        done[number] = (lap, at)
        order = sorted(done, key=lambda other: (-done[other][0], done[other][1]))
        if lap:
            best[number] = min(time, best.get(number, time))
        leader = done[order[0]]
        gap = at - leader[1] if order[0] != number and leader[0] == lap else None
        last = time if lap else None
        told.append(Line(at, order.index(number) + 1, number, KARTS[number], lap, last, best.get(number), gap))
    return told


def clock(ms: int | None) -> str:
    return "" if ms is None else f"{ms // 60_000}:{ms % 60_000 / 1000:06.3f}"


def seconds(ms: int | None) -> str:
    return "" if ms is None else f"{ms / 1000:.3f}"


def fields(line: Line, names: tuple[str, ...], time: Callable[[int | None], Any]) -> dict[str, Any]:
    values = (
        line.position, line.number, line.driver, line.laps, time(line.last), time(line.best),
        seconds(line.gap) if time is not _ms else line.gap,
    )  # fmt: skip
    return dict(zip(names, values, strict=True))


def _ms(value: int | None) -> int | None:
    return value


def standing(told: list[Line]) -> Iterator[tuple[int, list[Line]]]:
    """All rows in the order of positions, every time one has changed. Places are those of the moment."""
    rows: dict[str, Line] = {}
    for line in told:
        rows[line.number] = line
        order = sorted(rows.values(), key=lambda row: (-row.laps, row.at))
        yield line.at, [row._replace(position=place) for place, row in enumerate(order, start=1)]


def json_rows(names: tuple[str, ...] = BLANK, **race: int) -> list[Heard]:
    """Whole boards as a list, whole milliseconds."""
    return [
        Heard(at, json.dumps({"kind": "board", "data": {"rows": [fields(row, names, _ms) for row in rows]}}))
        for at, rows in standing(crossings(**race))
    ]


def json_map(names: tuple[str, ...] = NAMES, **race: int) -> list[Heard]:
    """Rows as they change, by the kart's id; a snapshot first."""
    told = []
    for index, (at, rows) in enumerate(standing(crossings(**race))):
        if index < len(KARTS):
            continue
        changed = rows if index == len(KARTS) else [row for row in rows if row.at == at]
        told.append(Heard(at, json.dumps({"cars": {f"id{row.number}": fields(row, names, clock) for row in changed}})))
    return told


def delimited(header: bool = False, separator: str = ";", names: tuple[str, ...] = NAMES, **race: int) -> list[Heard]:
    """A line for every crossing."""
    told = [
        Heard(line.at, separator.join(str(value) for value in fields(line, names, clock).values()))
        for line in crossings(**race)
    ]
    return [Heard(START, separator.join(names)), *told] if header else told


def pairs(names: tuple[str, ...] = BLANK, **race: int) -> list[Heard]:
    """`key=value` for every crossing, seconds."""
    return [
        Heard(line.at, "|".join(f"{key}={value}" for key, value in fields(line, names, seconds).items()))
        for line in crossings(**race)
    ]


def tables(names: tuple[str, ...] = FRENCH, **race: int) -> list[Heard]:
    """Whole pages with a table."""
    head = "".join(f"<th>{name}</th>" for name in names)
    told = []
    for at, rows in standing(crossings(**race)):
        cells = ["".join(f"<td>{value}</td>" for value in fields(row, names, clock).values()) for row in rows]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        told.append(Heard(at, f"<html><body><table><tr>{head}</tr>{body}</table></body></html>"))
    return told
