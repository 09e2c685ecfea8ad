"""`python -m bench.variations`: boards of captures as they might have been, and what is found out of them.

Every fourth board that is long enough, its headers and declared types taken away as in `bench.detect`, and then:
columns in another order or missing, five to fifteen minutes out of the middle, without the protocol's own crossings
and places (`bare`), polled, with a part of the changes lost, and with columns that are much like one that is sought,
beside it or in its place: the lap before, averages, the best of three, a half count. Neither code nor figure was
fitted to one of these by itself. Wrong answers that are sure enough to be used are printed.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Final

from bench import SHARED, require, result, without_options
from bench.detect import AVERAGES, CORE, FEWEST_CROSSINGS, Score, boards, frames
from pitwall.karting.detection.roles import meanings
from pitwall.karting.detection.sample import Sample, Told
from pitwall.karting.detection.shapes import milliseconds
from pitwall.sources.apex.sampling import samples

EVERY: Final = 4
MINUTE_MS: Final = 60_000
ADDED: Final = "x"
"""The column that is none."""
LIKE: Final[dict[str, tuple[str, Callable[[list[int]], int]]]] = {
    "the lap before": ("LastLapMs", lambda laps: laps[-2] if len(laps) > 1 else 0),
    "an average": ("LastLapMs", lambda laps: sum(laps) // len(laps)),
    "an average of five": ("LastLapMs", lambda laps: sum(laps[-5:]) // len(laps[-5:])),
    "the best of three": ("BestLapMs", lambda laps: min(laps[-3:])),
    "a half count": ("Laps", lambda laps: len(laps) // 2),
    "laps to go": ("Laps", lambda laps: 200 - len(laps)),
}
"""What a column shows after each lap, and which role it is much like."""

Truth = dict[str, str]


def with_columns(sample: Sample, names: dict[str, str]) -> Sample:
    """The same with these columns in this order. names: new by old."""
    told = _empty(sample.began or 0, sample.ended, sample.frames)
    for old, new in names.items():
        told.declare(new)
        if old in sample.fields:
            told.fields[new] = {row: list(values) for row, values in sample.fields[old].items()}
    told.crossings = {row: list(instants) for row, instants in sample.crossings.items()}
    told.places = {row: list(places) for row, places in sample.places.items()}
    return told


def _empty(began: int, ended: int, count: int) -> Sample:
    told = Sample()
    told.began, told.ended, told.frames = began, ended, max(count, 1)
    return told


def window(sample: Sample, begin: int, length: int) -> Sample:
    """What somebody hears who joins at the instant `begin` for so long, ms."""
    end = begin + length
    told = _empty(begin, end, sample.frames * length // max(sample.ended - (sample.began or 0), 1))
    for field in sample.declared:
        told.declare(field)
        for row, values in sample.fields.get(field, {}).items():
            index = bisect_right(values, begin, key=lambda value: value.at)
            heard = [Told(begin, value.text) for value in values[max(index - 1, 0) : index]]
            heard += [value for value in values[index:] if value.at <= end]
            if heard:
                told.fields.setdefault(field, {})[row] = heard
    told.crossings = {row: [at for at in of if begin < at <= end] for row, of in sample.crossings.items()}
    for row, places in sample.places.items():
        index = bisect_right(places, begin, key=lambda place: place[0])
        before = [(begin, place) for _, place in places[max(index - 1, 0) : index]]
        told.places[row] = before + [place for place in places[index:] if place[0] <= end]
    return told


def bare(sample: Sample) -> Sample:
    """Without what the protocol tells of crossings and places."""
    told = with_columns(sample, {field: field for field in sample.declared})
    told.crossings, told.places = {}, {}
    return told


def polled(sample: Sample, every: int) -> Sample:
    """As somebody sees it who asks every so many ms."""
    told = bare(sample)
    told.frames = max((told.ended - (told.began or 0)) // every, 1)
    for rows in told.fields.values():
        for row, values in rows.items():
            by_instant = {-(-value.at // every) * every: value.text for value in values}
            rows[row] = [Told(at, text) for at, text in by_instant.items()]
    return told


def lossy(sample: Sample, share: float, chance: random.Random) -> Sample:
    """With a share of all changes, crossings and places lost, each by itself."""
    told = with_columns(sample, {field: field for field in sample.declared})
    for rows in told.fields.values():
        for row, values in rows.items():
            rows[row] = values[:1] + [value for value in values[1:] if chance.random() >= share]
    told.crossings = {row: [at for at in of if chance.random() >= share] for row, of in told.crossings.items()}
    told.places = {row: of[:1] + [at for at in of[1:] if chance.random() >= share] for row, of in told.places.items()}
    return told


def like(sample: Sample, truth: Truth, of_laps: Callable[[list[int]], int], times: bool) -> Sample:
    """With a column more, made of each row's laps so far."""
    last = next((field for field, role in truth.items() if role == "LastLapMs"), "")
    told = with_columns(sample, {field: field for field in sample.declared})
    told.declare(ADDED)
    rows = told.fields.setdefault(ADDED, {})
    for row, values in sample.fields.get(last, {}).items():
        laps: list[int] = []
        for value in values:
            if (time := milliseconds(value.text, "clock")) is not None:
                laps.append(time)
                shown = of_laps(laps)
                text = (f"{shown / 1000:.3f}" if shown else "") if times else str(shown)
                if not rows.get(row) or rows[row][-1].text != text:
                    rows.setdefault(row, []).append(Told(value.at, text))
    return told


def variations(sample: Sample, truth: Truth, seed: int) -> Iterator[tuple[str, Sample, Truth]]:
    """Names, boards and what their columns are."""
    chance = random.Random(seed)
    fields = list(sample.declared)
    mixed = {field: f"z{index}" for index, field in enumerate(chance.sample(fields, len(fields)))}
    yield "another order", with_columns(sample, mixed), {mixed[field]: truth.get(field, "") for field in fields}
    for role in CORE:
        kept = {field: field for field in fields if truth.get(field) != role}
        yield f"without {role}", with_columns(sample, kept), {field: truth.get(field, "") for field in kept}
    half = {field: field for field in fields if chance.random() < 0.5}
    yield "half of the columns", with_columns(sample, half), {field: truth.get(field, "") for field in half}
    for minutes in (5, 10, 15):
        begin, length = sample.began or 0, minutes * MINUTE_MS
        if sample.ended - begin > length:
            heard = window(sample, chance.randint(begin, sample.ended - length), length)
            yield f"{minutes} minutes", heard, truth
            yield f"{minutes} minutes, bare", bare(heard), truth
    yield "bare", bare(sample), truth
    for seconds in (2, 5, 10, 30):
        yield f"polled every {seconds} s", polled(sample, seconds * 1_000), truth
    for share in (0.1, 0.3, 0.6):
        yield f"{share:.0%} lost", lossy(sample, share, chance), truth
    for name, (role, of_laps) in LIKE.items():
        more = like(sample, truth, of_laps, role != "Laps")
        yield f"{name} as well", more, truth
        kept = {field: field for field in more.declared if truth.get(field) != role}
        instead = with_columns(more, kept)
        yield f"{name} for {role}", instead, {field: truth.get(field, "") for field in kept}
        yield f"{name} for {role}, bare", bare(instead), {field: truth.get(field, "") for field in kept}


def asked(sample: Sample, truth: Truth) -> Truth:
    """Without columns that never changed, which nothing is known by."""
    moved = {field for field, rows in sample.fields.items() if any(len(of) > 1 for of in rows.values())}
    return {field: role for field, role in truth.items() if field in moved or role not in CORE}


def main() -> int:
    without_options("bench.variations", __doc__)
    scores: dict[str, Score] = defaultdict(Score)
    count = 0
    for path in sorted(require(SHARED / "recordings" / "karting").glob("apex-*")):
        name = path.name.split(".")[0]
        told = zip(samples(frames(path), declared=False), boards(path), strict=True)
        long = [
            (number, sample, truth)
            for number, (sample, truth) in enumerate(told)
            if sum(len(of) for of in sample.crossings.values()) >= FEWEST_CROSSINGS
        ]
        for number, sample, truth in long[:: EVERY if len(long) > EVERY else 1]:
            count += 1
            if (name, number) in AVERAGES:
                truth = {field: "" if role == "BestLapMs" else role for field, role in truth.items()}
            for kind, board, columns in variations(sample, truth, number):
                scores[kind].add(f"{name} board {number}", meanings(board), asked(board, columns))
    figures = {
        kind: {role: of for role, of in score.figures().items() if role in CORE} for kind, score in scores.items()
    }
    for kind, score in scores.items():
        shares = (f"{role} {of['recall']!s:>5} ({of['used']!s:>5})" for role, of in figures[kind].items())
        wrong = sum(score.wrong[role] for role in CORE)
        print(f"{kind:<36} {'  '.join(shares)}  wrong {wrong}, sure {len(score.confident_wrong)}")
        for line in score.confident_wrong:
            print(f"    {line}")
    sure = sum(len(score.confident_wrong) for score in scores.values())
    result("variations", boards=count, variations=sum(1 for _ in scores), figures=figures, confidentWrong=sure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
