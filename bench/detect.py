"""`python -m bench.detect`: what is found out of kart feeds whose headers and declared types are taken away.

Apex Timing: every board of every capture that lasted ten crossings, its cells alone; what its columns are is what its
header declares. RMonitor: its logs written anew as lines, JSON and key-value pairs with names that say nothing, times
in three units; what a field is, is what was written there. Nothing is fitted to a track; the code was written looking
at the tracks of `WRITTEN_WITH` and then held against the others, which are told apart here (`heldOut`).

Of each role: precision of what is used or proposed, recall of the same, and how many answers that are used are wrong.
"""

from __future__ import annotations

import argparse
import gzip
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from bench import SHARED, require, result
from pitwall.karting import vocabulary
from pitwall.karting.detection.roles import Meanings, meanings
from pitwall.karting.detection.rows import Heard
from pitwall.karting.detection.sample import Sample
from pitwall.message import Message
from pitwall.sources.analysis import analyse
from pitwall.sources.apex import grid, protocol
from pitwall.sources.apex.columns import columns
from pitwall.sources.apex.sampling import samples
from pitwall.sources.recording import open_recording

CORE: Final = ("LastLapMs", "BestLapMs", "Laps", "Position")
WRITTEN_WITH: Final = ("apex-los-santos-3h", "apex-misanino-sprints")
AVERAGES: Final = frozenset({("apex-brignoles-qualifying", 2)})
"""Boards whose column of best laps shows the average of five (docs/karting.md): to take it for a best lap is wrong."""
FEWEST_CROSSINGS: Final = 10
AIM: Final = 0.95
MOST_FRAMES: Final = 20_000
POLL_MS: Final = 2_000
FIELDS: Final[tuple[tuple[str, str], ...]] = (
    ("Position", "a"), ("Number", "b"), ("Driver", "c"), ("Laps", "d"), ("LastLapMs", "e"), ("BestLapMs", "f"),
    ("TotalMs", "g"), ("Category", "h"),
)  # fmt: skip
"""What the recast logs have, and what it is called there."""


class Score:
    """Answers, by role."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.there: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.confident_wrong: list[str] = []
        self.missed: list[str] = []

    def add(self, where: str, told: Meanings, truth: dict[str, str]) -> None:
        """truth: roles by field, of fields that told something."""
        answers = {field.role: field for field in told.fields if field.role and field.verdict != "ask"}
        roles = set(truth.values()) - {""}
        for role in roles:
            self.there[role] += 1
            if role not in answers and role in CORE:
                self.missed.append(f"{where}: {role}")
        for role, field in answers.items():
            right = truth.get(field.key, "") == role
            (self.right if right else self.wrong)[role] += 1
            self.used[role] += right and field.verdict == "used"
            if not right and field.verdict == "used":
                self.confident_wrong.append(f"{where}: {field.key} is {truth.get(field.key)!r}, not {role}")

    def figures(self) -> dict[str, dict[str, Any]]:
        told = {}
        for role in sorted(self.there | self.wrong, key=lambda role: (role not in CORE, role)):
            right, wrong, there = self.right[role], self.wrong[role], self.there[role]
            told[role] = {
                "precision": round(right / (right + wrong), 3) if right + wrong else None,
                "recall": round(right / there, 3) if there else None,
                "used": round(self.used[role] / there, 3) if there else None,
                "of": there,
            }
        return told


# -- Apex Timing ---------------------------------------------------------------------------


def frames(path: Path) -> Iterator[tuple[int, str]]:
    """Instant in ms (of some day) and text of every frame of a capture."""
    with gzip.open(path, "rb") as file:
        for line in file:
            told = orjson.loads(line)
            text = told.get("msg", told.get("raw"))
            if text is not None:
                yield round(told["t"] if told["t"] > 1e11 else told["t"] * 1_000), text


def boards(path: Path) -> Iterator[dict[str, str]]:
    """What the columns of each board are, as its header declares."""
    for _, text in frames(path):
        for line in protocol.lines(text, lambda _reason: None):
            if line.command == "grid" and (board := grid.board(line.value)) is not None:
                yield {column["Key"]: column.get("Role", "") for column in columns(board.columns)}


def apex(path: Path, score: Score, lost: float = 0.0) -> tuple[int, int]:
    """Adds the boards of a capture; returns how many there were and how many were too short.

    lost: the share of frames that are left out, but for those with a board.
    """
    short = 0
    chance = random.Random(1)
    heard = (frame for frame in frames(path) if "grid|" in frame[1] or chance.random() >= lost)
    told = samples(heard, declared=False)
    for number, (sample, truth) in enumerate(zip(told, boards(path), strict=True)):
        if sum(len(of_row) for of_row in sample.crossings.values()) < FEWEST_CROSSINGS:
            short += 1
            continue
        # A column that never changed has nothing to be known by, and is not asked for.
        moved = {field for field, rows in sample.fields.items() if any(len(of_row) > 1 for of_row in rows.values())}
        asked = {field: role for field, role in truth.items() if field in moved or role not in CORE}
        if _alike(sample, truth):
            asked = {field: role for field, role in asked.items() if role not in ("LastLapMs", "BestLapMs")}
        if (path.name.split(".")[0], number) in AVERAGES:
            asked = {field: "" if role == "BestLapMs" else role for field, role in asked.items()}
        score.add(f"{path.name.split('.')[0]} board {number}", meanings(sample), asked)
    return len(told), short


def _alike(sample: Sample, truth: dict[str, str]) -> bool:
    """Whether every lap was its kart's best: then nothing tells the last lap from it."""
    columns = {role: sample.fields.get(field, {}) for field, role in truth.items()}
    last, best = columns.get("LastLapMs", {}), columns.get("BestLapMs", {})
    return all(
        [told.text for told in last.get(row, []) if told.text] == [told.text for told in best.get(row, []) if told.text]
        for row in last.keys() | best.keys()
    )


# -- RMonitor, written anew ----------------------------------------------------------------


def recast(path: Path, write: Callable[[list[dict[str, Any]]], str], poll: bool) -> list[Heard]:
    """A log as another feed would have sent it: rows as they change, or, polled, all of them every two seconds."""
    lines: dict[str, dict[str, Any]] = {}
    told: list[Heard] = []
    changed: dict[str, None] = {}
    last = 0
    for message in open_recording(path).messages():
        _merge(message, lines, changed)
        if poll and message.at - last < POLL_MS:
            continue
        rows = [lines[row] for row in (lines if poll else changed) if "Position" in lines.get(row, {})]
        if changed and rows:
            told.append(Heard(message.at, write(rows)))
            last = message.at
            changed.clear()
        if len(told) >= MOST_FRAMES:
            break
    return told


def _merge(message: Message, lines: dict[str, dict[str, Any]], changed: dict[str, None]) -> None:
    if message.topic == vocabulary.GRID:
        lines.clear()
        lines.update(message.data["Lines"])
        changed.update(dict.fromkeys(lines))
    elif message.topic == vocabulary.LINES:
        for row, line in message.data.items():
            lines[row] = {**lines.get(row, {}), **line}
            changed[row] = None


def _clock(ms: int | None) -> str:
    return "" if ms is None else f"{ms // 60_000}:{ms % 60_000 / 1000:06.3f}"


def _text(line: dict[str, Any], role: str, time: Callable[[int | None], str]) -> str:
    value = line.get(role)
    return time(value) if role.endswith("Ms") else "" if value is None else str(value)


def delimited(rows: list[dict[str, Any]]) -> str:
    return "\n".join(";".join(_text(line, role, _clock).replace(";", " ") for role, _ in FIELDS) for line in rows)


def in_json(rows: list[dict[str, Any]]) -> str:
    told = [{key: line.get(role) for role, key in FIELDS} for line in rows]
    return orjson.dumps({"type": "x", "body": {"list": told}}).decode()


def pairs(rows: list[dict[str, Any]]) -> str:
    def seconds(ms: int | None) -> str:
        return "" if ms is None else f"{ms / 1000:.3f}"

    return "\n".join("|".join(f"{key}={_text(line, role, seconds)}" for role, key in FIELDS) for line in rows)


FORMS: Final[dict[str, tuple[Callable[[list[dict[str, Any]]], str], bool, bool]]] = {
    "delimited": (delimited, False, False),
    "json": (in_json, True, True),
    "key-value": (pairs, False, True),
}
"""How rows are written; whether all of them every two seconds; whether fields have names."""


def rmonitor(path: Path, form: str, score: Score) -> str:
    """Adds a log written in a form; returns the protocol it was taken for."""
    write, poll, has_names = FORMS[form]
    told = analyse(recast(path, write, poll))
    truth = {key if has_names else str(index): role for index, (role, key) in enumerate(FIELDS)}
    found = Meanings(told.fields, told.not_understood, told.notices)
    score.add(f"{path.name.split('.')[0]} as {form}", found, truth)
    return told.protocols[0].protocol if told.protocols else "none"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.detect", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--path", type=Path, default=SHARED / "recordings" / "karting", help="a folder of captures")
    parser.add_argument("--lost", type=float, default=0.0, help="share of Apex Timing's frames to leave out, 0 to 1")
    options = parser.parse_args()
    scores: dict[str, Score] = defaultdict(Score)
    boards_of: dict[str, tuple[int, int]] = {}
    by_track: dict[str, dict[str, Any]] = {}
    taken: Counter[str] = Counter()
    for path in sorted(require(options.path).iterdir()):
        name = path.name.split(".")[0]
        if name.startswith("apex-"):
            score = Score()
            boards_of[name] = apex(path, score, options.lost)
            by_track[name] = {role: of["recall"] for role, of in score.figures().items() if role in CORE}
            for group in ("apex", "writtenWith" if name in WRITTEN_WITH else "heldOut"):
                apex(path, scores[group], options.lost)
            _print(name, score)
        else:
            for form in FORMS:
                taken[f"{form} as {rmonitor(path, form, scores[f'rmonitor as {form}'])}"] += 1
    figures = {name: score.figures() for name, score in scores.items()}
    for name, score in scores.items():
        _print(name, score)
    wrong = sum(len(score.confident_wrong) for name, score in scores.items() if name not in ("writtenWith", "heldOut"))
    recalls = {
        name: min((of[role]["recall"] for role in CORE if role in of), default=None) for name, of in figures.items()
    }
    result(
        "detect",
        figures=figures,
        boards={name: {"boards": of, "tooShort": short} for name, (of, short) in boards_of.items()},
        recallByTrack=by_track,
        protocols=dict(taken),
        leastRecallOfCore=recalls,
        confidentWrong=wrong,
        aim=AIM,
        lost=options.lost,
    )
    whole = [recall for name, recall in recalls.items() if name not in ("writtenWith", "heldOut")]
    return 0 if not wrong and all(recall is not None and recall >= AIM for recall in whole) else 1


def _print(name: str, score: Score) -> None:
    print(f"\n{name}")
    for role, of in score.figures().items():
        shares = "  ".join(f"{name} {of[name]!s:<5}" for name in ("precision", "recall", "used"))
        print(f"  {role:<10} {shares} of {of['of']}")
    for line in (*score.confident_wrong, *(f"missed {missed}" for missed in score.missed)):
        print(f"  {line}")


if __name__ == "__main__":
    raise SystemExit(main())
