"""The reader in JavaScript reads what the one in Python reads, and refuses what it refuses."""

from __future__ import annotations

import random
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from pitwall.history.telemetry.compact import EXACT, VIEWER, BadTelemetry, decode, encode
from pitwall.history.telemetry.grid import CHANNELS, on_grid
from pitwall.history.telemetry.samples import UNKNOWN, Samples
from pitwall.history.telemetry.timing import Timing
from tests.history.telemetry.conftest import Played
from tests.history.telemetry.test_compact import FRAMES, HOSTILE, SMALL, parts, telemetry_of, with_stream

READER = Path(__file__).resolve().parents[3] / "web" / "public" / "telemetry.js"

SCRIPT = """
import { readFileSync } from "node:fs";
import { decode, BadTelemetry, CHANNELS, UNKNOWN } from "./telemetry.mjs";

const told = [];
for (const path of process.argv.slice(2)) {
  try {
    const { cars, ...rest } = await decode(new Uint8Array(readFileSync(path)));
    const plain = {};
    for (const [number, channels] of Object.entries(cars)) {
      Object.defineProperty(plain, number, {
        enumerable: true,
        value: Object.fromEntries(Object.entries(channels).map(([name, values]) => [name, Array.from(values)])),
      });
    }
    const session = Object.fromEntries(
      Object.entries(rest).map(([name, value]) => [name, value instanceof Int32Array ? Array.from(value) : value]),
    );
    told.push({ ...session, cars: plain });
  } catch (error) {
    if (!(error instanceof BadTelemetry)) throw error;
    told.push({ refused: error.message });
  }
}
console.log(JSON.stringify({ told, CHANNELS, UNKNOWN }));
"""

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not on PATH: telemetry.js is not run")


def read(folder: Path, *encoded: bytes) -> dict[str, Any]:
    """What the reader makes of each of these bytes."""
    script = folder / "read.mjs"
    script.write_text(SCRIPT)
    # By a name that every Node takes for a module, whatever package it is in.
    (folder / "telemetry.mjs").write_bytes(READER.read_bytes())
    paths = []
    for index, data in enumerate(encoded):
        paths.append(folder / f"{index}.pwt")
        paths[-1].write_bytes(data)
    done = subprocess.run(["node", script, *paths], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    answered: dict[str, Any] = orjson.loads(done.stdout)
    return answered


def expected(data: bytes) -> dict[str, Any]:
    """What the reader in Python makes of the bytes, as the one in JavaScript says it."""
    telemetry = decode(data)
    return {
        "session": telemetry.session,
        "race": telemetry.race,
        "startMs": telemetry.start_ms,
        "stepMs": telemetry.step_ms,
        "frames": telemetry.frames,
        "lapLength": telemetry.lap_length,
        "numbers": list(telemetry.cars),
        "compounds": telemetry.compounds,
        "weatherReports": telemetry.weather_reports,
        "leader": telemetry.leader.tolist(),
        "trackStatus": telemetry.track_status.tolist(),
        "weather": telemetry.weather.tolist(),
        "cars": {
            number: {name: values.tolist() for name, values in channels.items()}
            for number, channels in telemetry.cars.items()
        },
    }


def test_it_reads_what_python_reads(played: Played, tmp_path: Path) -> None:
    encoded = [encode(played.telemetry, units) for units in (EXACT, VIEWER)]
    answered = read(tmp_path, *encoded)
    assert answered["told"] == [expected(data) for data in encoded]
    assert (tuple(answered["CHANNELS"]), answered["UNKNOWN"]) == (CHANNELS, UNKNOWN)


def test_it_reads_any_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    cases = [SMALL, encode(on_grid(Samples(), Timing()))]
    for scale in (2, 2**7, 2**14, 2**30):
        columns = rng.integers(-scale, scale, size=(30, FRAMES), endpoint=True)
        columns[rng.random(columns.shape) < 0.2] = UNKNOWN
        cases.append(encode(telemetry_of(columns.tolist(), rng.choice([UNKNOWN, 0, 1], size=(5, FRAMES)).tolist())))
    assert read(tmp_path, *cases)["told"] == [expected(data) for data in cases]


def test_it_refuses_what_python_refuses(tmp_path: Path) -> None:
    answered = read(tmp_path, *(data for data, _ in HOSTILE.values()))
    assert {name: list(told) for name, told in zip(HOSTILE, answered["told"], strict=True)} == {
        name: ["refused"] for name in HOSTILE
    }
    assert all(told["refused"] for told in answered["told"])


def test_a_wrong_byte_in_a_stream_is_refused(tmp_path: Path) -> None:
    start = 8 + int.from_bytes(SMALL[4:8], "little")
    damaged = [SMALL[:at] + bytes([SMALL[at] ^ 0x41]) + SMALL[at + 1 :] for at in range(start, len(SMALL), 23)]
    assert [list(told) for told in read(tmp_path, *damaged)["told"]] == [["refused"]] * len(damaged)


def test_it_agrees_with_python_on_damaged_bytes(tmp_path: Path) -> None:
    """Streams whose damage no checksum sees, for they are packed after it, and headers with a wrong byte."""
    rng = random.Random(7)
    start = 8 + int.from_bytes(SMALL[4:8], "little")
    first = zlib.decompress(parts()[1][0])
    damaged = []
    for _ in range(300):
        raw = bytearray(first)
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(raw))
            raw[at : at + rng.choice([0, 1])] = rng.choice([b"", bytes([rng.randrange(256)]), b"\x80", b"\xff"])
        damaged.append(with_stream(bytes(raw)))
        header = bytearray(SMALL)
        header[rng.randrange(start)] = rng.randrange(256)
        damaged.append(bytes(header))
    told = read(tmp_path, *damaged)["told"]
    agreed = 0
    for data, answer in zip(damaged, told, strict=True):
        try:
            assert answer == expected(data)
            agreed += 1
        except BadTelemetry:
            assert list(answer) == ["refused"]
    assert 5 < agreed < 300
