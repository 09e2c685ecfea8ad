"""`python -m bench.speed`: messages a second through decoding and the state machine, beside FastF1 on the same file.

FastF1's `timing_data` makes laps and a stream of positions out of TimingData alone; PitWall decodes every topic and
does all the rest (stints, stops, bests, deletions, series, weather). Both read the same archive folder from disk, in
turns, in one run; the shortest of each counts, in seconds of processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import SHARED, require, result
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording
from pitwall.timing.state import SessionState


def pitwall(path: Path) -> int:
    """Decode and state machine; returns the number of messages."""
    source = open_recording(path)
    state = SessionState(source.session)
    count = 0
    for count, message in enumerate(source.messages(), 1):  # noqa: B007
        state.apply(message)
    state.finish()
    return count


def pitwall_documents(path: Path) -> int:
    """The same, and every document that would be published."""
    source = open_recording(path)
    reducer = Reducer(source.session, "f1", "recording")
    count = 0
    for count, message in enumerate(source.messages(), 1):  # noqa: B007
        reducer.offer(message)
    reducer.finish()
    return count


def fastf1_timing_data(path: Path) -> int:
    """FastF1's loader on TimingData, reading and splitting the file as its own request does; returns the lines."""
    from fastf1 import _api

    lines = (path / "TimingData.jsonStream").read_bytes().decode("utf-8-sig").split("\r\n")
    response = [[line[:12], _api.parse(line[12:])] for line in lines if line]
    quiet: Any = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        _api.timing_data(str(path), response=response)
    return len(response)


WORK: dict[str, Callable[[Path], int]] = {
    "pitwall": pitwall,
    "pitwallWithDocuments": pitwall_documents,
    "fastf1TimingData": fastf1_timing_data,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--path", type=Path, default=SHARED / "recordings" / "f1" / "2018-baku-race", help="an archive folder"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    require(options.path)
    logging.disable(logging.CRITICAL)
    counts: dict[str, int] = {}
    times: dict[str, float] = {}
    for _ in range(options.rounds):
        for name, work in WORK.items():
            began = time.process_time()
            counts[name] = work(options.path)
            times[name] = min(time.process_time() - began, times.get(name, float("inf")))
    figures = {
        name: {"messages": counts[name], "seconds": round(took, 3), "perSecond": round(counts[name] / took)}
        for name, took in times.items()
    }
    for name, figure in figures.items():
        print(f"{name:<22} {figure['messages']:>7} messages {figure['seconds']:>8} s {figure['perSecond']:>9} /s")
    theirs = figures["fastf1TimingData"]["perSecond"]
    ratios = {name: round(figures[name]["perSecond"] / theirs, 1) for name in ("pitwall", "pitwallWithDocuments")}
    result("speed", file=options.path.name, figures=figures, timesFastF1=ratios)
    return 0 if ratios["pitwall"] >= 1 else 1


if __name__ == "__main__":
    raise SystemExit(main())
