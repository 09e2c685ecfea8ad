"""Rows of a feed nobody wrote a source for, as a sample: which field names a row, and what its headers are."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pitwall.karting import splitting
from pitwall.karting.detection import behaviour
from pitwall.karting.detection.sample import Sample
from pitwall.karting.detection.shapes import shape, time_unit
from pitwall.karting.headers import named
from pitwall.karting.splitting import ROW_NAME, Layout, Row

_LIKELY: Final = 4
_MOST_ROWS: Final = 100_000


class Heard(NamedTuple):
    """A frame, and when it came, ms."""

    at: int
    text: str


class Read(NamedTuple):
    """A feed's rows."""

    sample: Sample
    key: str
    """The field that names a row."""
    headers: dict[str, str]
    whole: bool
    """Whether every frame has all rows."""


def read(frames: Iterable[Heard], layout: Layout) -> Read | None:
    """The sample of frames; None where nothing names a row: no field comes back with the same values around it."""
    headers: dict[str, str] = {}
    told: list[tuple[int, list[Row]]] = []
    count = 0
    for frame in frames:
        of_frame = splitting.rows(frame.text, layout)
        if layout.kind == "html-table" and not headers:
            headers = splitting.table(frame.text).headers
        if layout.kind == "delimited" and not headers and not told and of_frame and _is_header(of_frame):
            headers = of_frame.pop(0)
        if of_frame and count < _MOST_ROWS:
            told.append((frame.at, of_frame))
            count += len(of_frame)
    if layout.kind in ("json", "key-value"):
        headers = {name: name for _, of_frame in told[:500] for row in of_frame for name in row if name != ROW_NAME}
    told = [(at, [row for row in of_frame if row != headers]) for at, of_frame in told]
    key = _key(told, headers)
    if key is None:
        return None
    sample = _sample(told, key, headers)
    rows = len(sample.rows)
    full = sum(len({row.get(key) for row in of_frame}) >= 0.9 * rows for _, of_frame in told)
    return Read(sample, key, headers, rows > 1 and full >= 0.9 * len(told))


def _is_header(of_frame: Sequence[Row]) -> bool:
    """Whether the first line has the names of the columns: words of which some are known, and no digits."""
    cells = [cell for cell in of_frame[0].values() if cell]
    known = sum(bool(named(cell)) for cell in cells)
    return known >= 2 and all(not any(letter.isdigit() for letter in cell) or named(cell) for cell in cells)


def _sample(told: Sequence[tuple[int, list[Row]]], key: str, headers: dict[str, str]) -> Sample:
    sample = Sample()
    for at, of_frame in told:
        sample.frame(at)
        for row in of_frame:
            name = row.get(key, "")
            for field, text in row.items():
                if field not in sample.declared:
                    sample.declare(field, header=headers.get(field, ""))
                sample.cell(at, name, field, text)
    return sample


def _key(told: Sequence[tuple[int, list[Row]]], headers: dict[str, str]) -> str | None:
    """The field that names a row: every row has it, no two of a frame the same, and other fields stay with it."""
    total = sum(len(of_frame) for _, of_frame in told)
    present: Counter[str] = Counter()
    distinct: dict[str, set[str]] = defaultdict(set)
    twice: Counter[str] = Counter()
    for _, of_frame in told:
        seen: set[tuple[str, str]] = set()
        for row in of_frame:
            for field, text in row.items():
                if not text or len(text) > 60:
                    continue
                present[field] += 1
                distinct[field].add(text)
                twice[field] += (field, text) in seen
                seen.add((field, text))
    if ROW_NAME in present and present[ROW_NAME] == total:
        return ROW_NAME
    fits = [
        field
        for field, count in present.items()
        if count >= 0.98 * total and twice[field] <= 0.02 * total and 2 <= len(distinct[field]) <= total / 3
    ]
    scored = sorted(((_stays(told, field), field) for field in fits), reverse=True)[:_LIKELY]
    best: tuple[float, str] | None = None
    for stays, field in scored:
        sample = _sample(told, field, headers)
        laps = 0.0
        for other, cells in sample.fields.items():
            of = shape(cells)
            if other != field and (of.time >= 0.6 or of.middle >= 1_000):
                evidence = behaviour.last_lap(sample, other, time_unit(of))
                laps = max(laps, behaviour.lower(evidence.agree, evidence.of))
        # A number before a name that stays with it: a row's name is told on, and persons' names are not for that.
        numbers = shape(sample.fields.get(field, {})).start_number >= 0.9
        score = stays + 2 * laps + 0.5 * (named(headers.get(field, "")) == "Number") + 0.3 * numbers
        if best is None or score > best[0]:
            best = score, field
    return best[1] if best is not None and best[0] > 0.3 else None


def _stays(told: Sequence[tuple[int, list[Row]]], key: str) -> float:
    """How many other fields stay as they are, or count up by one, as long as this one is the same."""
    same: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    values: dict[str, set[str]] = defaultdict(set)
    last: dict[tuple[str, str], str] = {}
    for _, of_frame in told:
        for row in of_frame:
            name = row.get(key, "")
            for field, text in row.items():
                if field == key:
                    continue
                values[field].add(text)
                before = last.get((name, field))
                if before is not None:
                    steps[field] += 1
                    counts = text.isdecimal() and before.isdecimal() and int(text[:9]) - int(before[:9]) in (0, 1)
                    same[field] += before == text or counts
                last[name, field] = text
    return sum((same[field] / count) ** 2 for field, count in steps.items() if len(values[field]) > 1) / 4
