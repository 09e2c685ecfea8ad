"""Load from one HTTP client with several connections: `wrk` where it is installed, else one made of aiohttp.

Python's client takes about as much of a processor as the server does that it asks, so a server looks slower by it.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import aiohttp

CONNECTIONS = 8
"""As many as a function takes at once."""

_DONE = """
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format('\\n{"requests":%d,"seconds":%f,"p50":%f,"p99":%f,"failed":%d,"bytes":%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout, summary.bytes))
end
"""


class Figures(NamedTuple):
    """What a load found: requests answered, how long one of them took, and bytes of its answer, headers included."""

    per_second: float
    p50_ms: float
    p99_ms: float
    bytes: int

    def named(self) -> dict[str, float]:
        """As a benchmark prints them."""
        return {"perSecond": self.per_second, "p50Ms": self.p50_ms, "p99Ms": self.p99_ms, "bytes": self.bytes}


class Failed(Exception):
    """Some requests were not answered, or with an error."""


def client() -> str:
    """The client that is used."""
    return "wrk" if shutil.which("wrk") else "aiohttp"


def load(url: str, seconds: float, headers: Mapping[str, str] | None = None) -> Figures:
    """Asks for `url` over and over for so long. Raises Failed."""
    requests, took, p50, p99, failed, sent = (_wrk if shutil.which("wrk") else _python)(url, seconds, headers or {})
    if failed or not requests:
        raise Failed(f"{failed} of {requests} requests of {url} failed")
    return Figures(round(requests / took, 1), round(p50, 2), round(p99, 2), sent // requests)


Raw = tuple[int, float, float, float, int, int]


def _wrk(url: str, seconds: float, headers: Mapping[str, str]) -> Raw:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "done.lua"
        script.write_text(_DONE)
        given = [argument for name, value in headers.items() for argument in ("-H", f"{name}: {value}")]
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), *given]
        ran = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 60)
    told = json.loads(ran.stdout.splitlines()[-1])
    return told["requests"], told["seconds"], told["p50"], told["p99"], told["failed"], told["bytes"]


def _python(url: str, seconds: float, headers: Mapping[str, str]) -> Raw:
    times: list[float] = []
    failed = sent = 0

    async def ask(session: aiohttp.ClientSession, until: float) -> None:
        nonlocal failed, sent
        while (began := time.perf_counter()) < until:
            async with session.get(url) as response:
                sent += len(await response.read()) + sum(
                    len(name) + len(value) + 4 for name, value in response.raw_headers
                )
            failed += response.status >= 400
            times.append((time.perf_counter() - began) * 1_000)

    async def run() -> float:
        # wrk asks for nothing in particular either.
        skipped = ("Accept-Encoding", "Accept", "User-Agent")
        async with aiohttp.ClientSession(headers=headers, skip_auto_headers=skipped, auto_decompress=False) as session:
            began = time.perf_counter()
            await asyncio.gather(*(ask(session, began + seconds) for _ in range(CONNECTIONS)))
            return time.perf_counter() - began

    took = asyncio.run(run())
    return len(times), took, statistics.median(times), statistics.quantiles(times, n=100)[98], failed, sent
