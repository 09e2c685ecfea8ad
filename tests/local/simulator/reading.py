"""Reading recordings just far enough to compare them: instants, topics, payloads. No meaning."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Line(NamedTuple):
    """seconds: since any fixed moment of the day."""

    seconds: float
    topic: str
    payload: Any


def _offset(text: str) -> float:
    return int(text[:2]) * 3600 + int(text[3:5]) * 60 + float(text[6:12])


def merged(path: Path) -> Iterator[Line]:
    """`HH:MM:SS.mmm{"stream","payload"}` lines; a heading is skipped."""
    with gzip.open(path, "rt", encoding="utf-8-sig") as lines:
        for line in lines:
            if line[:2].isdigit():
                body = json.loads(line[12:])
                yield Line(_offset(line), body["stream"], body["payload"])


def live(path: Path) -> Iterator[Line]:
    """`<epoch ns>:<topic>:<json>` lines, the snapshot left out."""
    with gzip.open(path, "rt", encoding="utf-8-sig") as lines:
        for line in lines:
            if line.strip():
                nanoseconds, topic, text = line.split(":", 2)
                if topic != "init":
                    yield Line(int(nanoseconds) / 1e9, topic, json.loads(text))


def folder(path: Path) -> Iterator[Line]:
    """An archive folder, its topics merged by time."""
    lines: list[Line] = []
    for file in sorted(path.glob("*.jsonStream")):
        topic = file.name.removesuffix(".jsonStream")
        text = file.read_text(encoding="utf-8-sig").splitlines()
        lines += [Line(_offset(line), topic, json.loads(line[12:])) for line in text if line]
    lines.sort(key=lambda line: line.seconds)
    return iter(lines)


@dataclass
class Figures:
    """What two recordings are compared by, all while cars race (red flags left out).

    share: of each topic in the messages, per cent. rate: messages a second. kinds: share of a line's
    keys among TimingData's lines, per cent. apart: share of laps whose time does not come with the
    lap counter, per cent; delays: those delays, s. lead: s from LapCount to the leader's own counter.
    """

    share: dict[str, float]
    rate: float
    mean_bytes: float
    kinds: dict[str, float]
    apart: float
    delays: list[float]
    lead: list[float]


def figures(lines: Iterable[Line]) -> Figures:
    topics: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    size = 0
    racing_since: float | None = None
    raced = 0.0
    counters: dict[str, list[tuple[float, int]]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    lap_counts: list[tuple[float, int]] = []
    for line in lines:
        if line.topic == "SessionStatus":
            started = line.payload.get("Status") == "Started"
            if started and racing_since is None:
                racing_since = line.seconds
            elif not started and racing_since is not None:
                raced += line.seconds - racing_since
                racing_since = None
        if line.topic == "LapCount" and "CurrentLap" in line.payload:
            lap_counts.append((line.seconds, line.payload["CurrentLap"] - 1))
        if line.topic == "TimingData":
            for number, car in line.payload.get("Lines", {}).items():
                if "NumberOfLaps" in car:
                    counters[number].append((line.seconds, car["NumberOfLaps"]))
                if car.get("LastLapTime", {}).get("Value"):
                    times[number].append(line.seconds)
        if racing_since is None or line.topic.endswith(".z"):
            continue
        topics[line.topic] += 1
        if line.topic == "TimingData":
            size += len(json.dumps(line.payload))
            for car in line.payload.get("Lines", {}).values():
                kinds.update(car.keys())
    delays = []
    for number, laps in counters.items():
        for at, lap in laps:
            near = [time - at for time in times[number] if -3.0 < time - at < 10.0]
            if lap > 1 and near:
                delays.append(min(near, key=abs))
    apart = [delay for delay in delays if delay]
    first = {
        lap: min(at for laps in counters.values() for at, done in laps if done == lap) for _, lap in lap_counts[1:]
    }
    total = sum(topics.values())
    keys = sum(kinds.values())
    return Figures(
        {topic: count / total * 100 for topic, count in topics.items()},
        total / raced,
        size / topics["TimingData"],
        {kind: count / keys * 100 for kind, count in kinds.items()},
        len(apart) / len(delays) * 100,
        sorted(apart),
        [first[lap] - at for at, lap in lap_counts[1:]],
    )
