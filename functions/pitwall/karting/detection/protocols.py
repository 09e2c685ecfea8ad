"""Which protocol a stream speaks, and where its rows are, by how its frames look. The best two are kept."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from pitwall.karting import splitting
from pitwall.karting.headers import named
from pitwall.karting.splitting import EVERY, Layout

Protocol = Literal["apex", "rmonitor", "signalr", "xml", "json", "html-table", "key-value", "delimited"]
MOST_FRAMES: Final = 2_000
"""Frames that are looked at."""
_MOST_LINES: Final = 4_000
_MOST_PATHS: Final = 30
_MOST_VALUES: Final = 200

_APEX: Final = re.compile(
    r"(?:init|grid[bc]?|title\d|dyn\d|light|css|com|msg|track|gmt|best|effects|comments|wth\d"
    r"|b?r\d{1,12}(?:c\d{1,4})?)\|[^|\n]*\|"
)
_RMONITOR: Final = re.compile(r"\$(?:A|B|C|COMP|COR|E|F|G|H|I|J|L|RM[A-Z]{1,6})\s*,")
_XML: Final = re.compile(r"\s*<(?:\?xml|[A-Za-z_][\w.:-]*[\s/>])")
_HTML: Final = re.compile(r"<(?:table|tbody|thead|tr|td)\b", re.IGNORECASE)
_PAIR: Final = re.compile(r'\s*"?([A-Za-z_][\w. -]{0,40})"?\s*')
_SIGNALR_KEYS: Final = frozenset({"M", "H", "C", "R", "I", "S", "G", "E", "T", "L"})
_SEPARATORS: Final = (";", "\t", "|", ",")
_BETWEEN_PAIRS: Final = (";", "\t", "|", "&", ",", " ")


class Candidate(Struct, frozen=True, rename="camel"):
    """A protocol a stream may speak."""

    protocol: Protocol
    confidence: float
    reasons: list[str]
    layout: Layout | None = None
    """Where rows are, of those that are read by a description."""


def recognise(frames: Iterable[str]) -> list[Candidate]:
    """The two most likely protocols, the most likely first; none of a stream that says nothing.

    A known protocol comes before the form it is in: frames of Apex Timing are lines with bars as well.
    """
    texts = [text for _, text in zip(range(MOST_FRAMES), frames, strict=False) if text.strip("\0 \t\r\n")]
    if not texts:
        return []
    told = [candidate for test in _TESTS if (candidate := test(texts)) is not None and candidate.confidence >= 0.2]
    told.sort(key=lambda candidate: -candidate.confidence)
    return told[:2]


def _lines(texts: Sequence[str]) -> list[str]:
    told: list[str] = []
    for text in texts:
        told.extend(splitting.lines(text))
        if len(told) >= _MOST_LINES:
            break
    return told[:_MOST_LINES]


def _share(lines: Sequence[str], pattern: re.Pattern[str]) -> tuple[int, int]:
    return sum(pattern.match(line) is not None for line in lines), len(lines)


def _apex(texts: Sequence[str]) -> Candidate | None:
    found, of = _share(_lines(texts), _APEX)
    if not found:
        return None
    sure = 0.99 * found / of
    return Candidate("apex", round(sure, 3), [f"{found} of {of} lines are commands of Apex Timing"])


def _rmonitor(texts: Sequence[str]) -> Candidate | None:
    lines = [line for line in _lines(texts) if not line.startswith("##")]
    found, of = _share(lines, _RMONITOR)
    if not found:
        return None
    return Candidate("rmonitor", round(0.99 * found / of, 3), [f"{found} of {of} lines are records of RMonitor"])


def _json(texts: Sequence[str]) -> Candidate | None:
    values = [splitting.documents(text) for text in texts]
    found = sum(bool(told) for told in values)
    if found * 2 < len(texts):
        return None
    path, fields = _path([value for told in values for value in told])
    known = sorted({role for field in fields if (role := named(field))})
    reasons = [f"{found} of {len(texts)} frames are JSON"]
    if fields:
        reasons.append(f"rows at {'.'.join(path) or 'the top'} with {len(fields)} fields")
    if known:
        reasons.append(f"keys say {', '.join(known)}")
    sure = found / len(texts) * (0.95 if len(known) >= 2 else 0.85 if len(fields) >= 3 else 0.5)
    return Candidate("json", round(sure, 3), reasons, Layout("json", path))


def _path(values: Sequence[Any]) -> tuple[tuple[str, ...], list[str]]:
    """Where the rows are that say most, and the names of their fields."""
    paths: dict[tuple[str, ...], None] = {}
    maps: _Maps = {}
    values = values[:: max(len(values) // _MOST_VALUES, 1)][:_MOST_VALUES]
    for value in values:
        _walk(value, (), paths)
        _walk_maps(value, (), maps)
    paths.update(dict.fromkeys((*path, EVERY) for path, keys in maps.items() if _is_map(keys)))
    best: tuple[int, tuple[str, ...], list[str]] = (0, (), [])
    for path in paths:
        told = [row for value in values for row in splitting.json_rows(value, path)]
        if told:
            # A row has its own fields; what is deeper in it counts less, it may be rows of its own.
            said = sum(sum("." not in name for name in row) * 4 + len(row) for row in told)
            if said > best[0]:
                best = (said, path, list(dict.fromkeys(name for row in told[:200] for name in row)))
    return best[1], best[2]


def _walk(value: Any, path: tuple[str, ...], paths: dict[tuple[str, ...], None]) -> None:
    if len(path) > 5 or len(paths) >= _MOST_PATHS:
        return
    if isinstance(value, list):
        if sum(isinstance(of, dict | list) for of in value) * 2 > len(value):
            paths.setdefault(path)
        return
    if not isinstance(value, dict):
        return
    inner = [of for of in value.values() if isinstance(of, dict)]
    if len(inner) >= 2 and len(inner) == len(value):
        common = set(inner[0]).intersection(*inner[1:])
        if len(common) * 2 >= len(inner[0]) and len(common) >= 2:
            paths.setdefault((*path, EVERY))
            return
    if sum(not isinstance(of, dict | list) for of in value.values()) >= 3:
        paths.setdefault(path)
    for name, of in value.items():
        if 0 < len(name) <= 120 and name != EVERY:
            _walk(of, (*path, name), paths)


_Maps = dict[tuple[str, ...], dict[str, set[str]]]
"""By path of an object of objects: its names by the keys of what is in it."""


def _walk_maps(value: Any, path: tuple[str, ...], maps: _Maps) -> None:
    """What changed of rows may be one row at a time: they are a map if many names have the same few keys."""
    if not isinstance(value, dict) or len(path) > 5:
        return
    inner = {name: of for name, of in value.items() if isinstance(of, dict) and 0 < len(name) <= 120 and name != EVERY}
    if inner and len(inner) == len(value) and (path in maps or len(maps) < _MOST_PATHS):
        keys = maps.setdefault(path, {})
        for name, of in inner.items():
            for key in of:
                if key in keys or len(keys) < splitting.MOST_FIELDS:
                    keys.setdefault(key, set()).add(name)
    for name, of in list(inner.items())[:_MOST_PATHS]:
        _walk_maps(of, (*path, name), maps)


def _is_map(keys: dict[str, set[str]]) -> bool:
    names = len(set().union(*keys.values()))
    shared = sum(len(of) * 2 >= names for of in keys.values())
    return names > 2 and shared >= 2 and shared * 2 >= len(keys)


def _signalr(texts: Sequence[str]) -> Candidate | None:
    if any("\x1e" in text for text in texts):
        found = sum(text.rstrip("\n").endswith("\x1e") for text in texts)
        return Candidate(
            "signalr", round(0.97 * found / len(texts), 3), [f"{found} of {len(texts)} frames end with 0x1E"]
        )
    values = [value for text in texts for value in splitting.documents(text)]
    messages = [value for value in values if isinstance(value, dict) and set(value) <= _SIGNALR_KEYS]
    if not any({"M", "R"} & set(value) for value in messages):
        return None
    found, of = len(messages), len(values)
    return Candidate("signalr", round(0.97 * found / of, 3), [f"{found} of {of} are messages of SignalR"])


def _xml(texts: Sequence[str]) -> Candidate | None:
    found = sum(_XML.match(text) is not None for text in texts)
    tables = sum(_HTML.search(text) is not None for text in texts)
    if not found or tables * 2 > found:
        return None
    return Candidate("xml", round(0.9 * found / len(texts), 3), [f"{found} of {len(texts)} frames are XML"])


def _html(texts: Sequence[str]) -> Candidate | None:
    read = [splitting.table(text) for text in texts if _HTML.search(text) is not None][:200]
    found = sum(bool(told.rows) for told in read)
    if not found:
        return None
    share = sum(_HTML.search(text) is not None for text in texts) / len(texts) * found / len(read)
    reason = f"{found} of {len(read)} frames have rows of a table"
    return Candidate("html-table", round(0.93 * share, 3), [reason], Layout("html-table"))


def _pairs(texts: Sequence[str]) -> Candidate | None:
    lines = _lines(texts)
    best: Candidate | None = None
    for assign in ("=", ":"):
        for separator in _BETWEEN_PAIRS:
            layout = Layout("key-value", (), separator, assign)
            keys: Counter[str] = Counter()
            good = 0
            for line in lines:
                pieces = [piece for piece in line.split(separator) if piece.strip()]
                names = [match[1] for piece in pieces if (match := _PAIR.fullmatch(piece.partition(assign)[0]))]
                whole = len(pieces) >= 3 and all(assign in piece for piece in pieces)
                if whole and len(names) == len(pieces) == len(set(names)):
                    good += 1
                    keys.update(names)
            # Names come back; what is left of a longer one is in every row another.
            usual = [name for name, count in keys.items() if count * 20 >= good]
            if not usual or len(usual) * 3 < len(keys):
                continue
            sure = round(0.95 * good / len(lines), 3)
            if best is None or sure > best.confidence:
                reason = f"{good} of {len(lines)} lines are pairs key{assign}value, {separator!r} between them"
                best = Candidate("key-value", sure, [reason], layout)
    return best


def _delimited(texts: Sequence[str]) -> Candidate | None:
    lines = _lines(texts)
    if not lines or sum(line.lstrip()[:1] in "{[<" for line in lines) * 2 > len(lines):
        return None
    best: Candidate | None = None
    most = 0.0
    for separator in _SEPARATORS:
        widths: Counter[int] = Counter()
        for line in lines:
            try:
                widths[len(next(csv.reader([line], delimiter=separator, skipinitialspace=True), []))] += 1
            except csv.Error:
                widths[0] += 1
        width, count = widths.most_common(1)[0]
        share = count / len(lines)
        if width < 3 or share * width <= most:
            continue
        most = share * width
        reason = f"{count} of {len(lines)} lines have {width} fields, {separator!r} between them"
        best = Candidate("delimited", round(0.85 * share, 3), [reason], Layout("delimited", (), separator))
    return best


_TESTS: Final = (_apex, _rmonitor, _signalr, _xml, _json, _html, _pairs, _delimited)
