"""`python -m bench.telemetry`: seconds of processor time per hour of a session for its telemetry, and bytes of it.

From the feed's payloads to samples, one time grid and both encodings; beside it FastF1's own reader on the same
payloads and its merge of every car at the same 4 Hz, which does less: no laps, tyres, distance, gaps or statuses. The
compact encoding is weighed beside the JSON frames as a server sends them, gzipped. By default a simulated race; the
shortest of the rounds counts.
"""

from __future__ import annotations

import argparse
import gzip
import logging
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import orjson

from bench import recorded, require, result
from local.simulator import quick_race
from local.simulator.telemetry import deflate
from pitwall.history.telemetry.compact import EXACT, VIEWER, decode, encode
from pitwall.history.telemetry.frames import encoded
from pitwall.history.telemetry.grid import STEP_MS, Telemetry, on_grid
from pitwall.history.telemetry.samples import Samples
from pitwall.history.telemetry.timing import Timing
from pitwall.message import Message
from pitwall.sources.recording import open_recording
from pitwall.sources.z import decode_z
from pitwall.timing.state import SessionState

GZIP_LEVEL = 6
"""Of servers and of Google's front ends."""
LAPS = 12


class Payload(NamedTuple):
    """One message of telemetry as the feed sends it."""

    topic: str
    packed: str
    at: int


def read(path: Path) -> tuple[list[Payload], Timing]:
    """The telemetry of a recording, packed, and its timing."""
    source = open_recording(path)
    state, payloads = SessionState(source.session), []
    for message in source.messages():
        if message.topic in ("CarData", "Position"):
            payloads.append(Payload(message.topic, deflate(orjson.dumps(message.data).decode()), message.at))
        else:
            state.apply(message)
    state.finish()
    return payloads, Timing.of(state)


def samples_of(payloads: list[Payload]) -> Samples:
    """Decoded, sorted and checked."""
    samples = Samples(Message(topic, decode_z(packed), at) for topic, packed, at in payloads)
    samples.counts  # noqa: B018 (the work is put off until somebody asks)
    return samples


def fastf1_read(payloads: list[Payload]) -> tuple[dict[str, Any], dict[str, Any]]:
    """FastF1's tables of car data and positions, by car."""
    from fastf1 import _api
    from fastf1.req import Cache

    lines: dict[str, list[str]] = {"CarData": [], "Position": []}
    for topic, packed, _ in payloads:
        lines[topic].append(f'00:00:00.000"{packed}"')
    with Cache.disabled():
        return (
            _api.car_data("", response=lines["CarData"]),
            _api.position_data("", response=lines["Position"]),
        )


def fastf1_table(frame: Any, number: str) -> Any:
    """What FastF1's session makes of such a table; without one, time begins with 1970."""
    import pandas as pd
    from fastf1.core import Telemetry as Table

    session = SimpleNamespace(t0_date=pd.Timestamp(0))
    table = Table(frame.drop(labels="Time", axis=1), session=session, driver=number, drop_unknown_channels=True)
    table["Date"] = table["Date"].dt.round("ms")
    table["Time"] = table["SessionTime"] = table["Date"] - session.t0_date
    return table


def fastf1_merge(car_data: dict[str, Any], positions: dict[str, Any]) -> int:
    """Every car's channels on one 4 Hz time base, by FastF1; the number of rows."""
    rows = 0
    for number in car_data.keys() & positions.keys():
        car, position = fastf1_table(car_data[number], number), fastf1_table(positions[number], number)
        rows += len(position.merge_channels(car, frequency=1000 // STEP_MS))
    return rows


def shortest(rounds: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of processor time of the shortest round, and what it made."""
    best, made = float("inf"), None
    for _ in range(rounds):
        began = time.process_time()
        made = work()
        best = min(best, time.process_time() - began)
    return best, made


def frames_gzipped(telemetry: Telemetry) -> int:
    """Bytes of the JSON frames as they go over the wire."""
    return len(gzip.compress(b"".join(encoded(telemetry)), GZIP_LEVEL))


def measure(path: Path, rounds: int) -> dict[str, Any]:
    """Figures of a recording, the shortest of so many rounds. Prints them as well."""
    payloads, timing = read(path)
    took: dict[str, float] = {}
    took["samples"], samples = shortest(rounds, lambda: samples_of(payloads))
    took["grid"], telemetry = shortest(rounds, lambda: on_grid(samples, timing))
    took["compact"], exact = shortest(rounds, lambda: encode(telemetry, EXACT))
    took["compactForViewer"], viewer = shortest(rounds, lambda: encode(telemetry, VIEWER))
    took["compactRead"], _ = shortest(rounds, lambda: decode(exact))
    took["frames"], _ = shortest(rounds, lambda: b"".join(encoded(telemetry)))
    took["framesGzipped"], frames = shortest(rounds, lambda: frames_gzipped(telemetry))
    took["fastf1Read"], (car_data, positions) = shortest(rounds, lambda: fastf1_read(payloads))
    took["fastf1Merge"], rows = shortest(rounds, lambda: fastf1_merge(car_data, positions))

    hours = telemetry.frames * telemetry.step_ms / 3_600_000
    per_hour = {name: round(seconds / hours, 2) for name, seconds in took.items()}
    sizes = {"framesGzipped": frames, "compact": len(exact), "compactForViewer": len(viewer)}
    kib_per_hour = {name: round(size / 1024 / hours) for name, size in sizes.items()}
    for name, seconds in per_hour.items():
        print(f"{name:<18} {seconds:>8} s of processor time an hour")
    for name, size in kib_per_hour.items():
        print(f"{name:<18} {size:>8} KiB an hour")
    return {
        "file": path.name,
        "hours": round(hours, 3),
        "cars": len(telemetry.cars),
        "frames": telemetry.frames,
        "fastf1Rows": rows,
        "secondsPerHour": per_hour,
        "kibPerHour": kib_per_hour,
        "shareOfFrames": {
            "compact": round(len(exact) / frames, 3),
            "compactForViewer": round(len(viewer) / frames, 3),
            "compactForViewerOfItsOwnFrames": round(len(viewer) / frames_gzipped(decode(viewer)), 3),
        },
        "timesFastF1": round((took["fastf1Read"] + took["fastf1Merge"]) / (took["samples"] + took["grid"]), 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recording", type=Path, help="one with CarData and Position (default: a simulated race)")
    parser.add_argument(
        "--laps", type=int, default=LAPS, help=f"of the simulated race (default {LAPS}, a quarter hour)"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.recording is not None:
        require(options.recording)
    result("telemetry", **of_race(options.recording, options.laps, options.rounds))
    return 0


def of_race(recording: Path | None = None, laps: int = LAPS, rounds: int = 3) -> dict[str, Any]:
    """Figures of a recording, else of a simulated race."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with recorded(recording, lambda: quick_race(5, laps=laps)) as (_, path):
        return measure(path, rounds)


if __name__ == "__main__":
    raise SystemExit(main())
