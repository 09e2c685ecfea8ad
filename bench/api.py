"""`python -m bench.api`: requests a second and p99 of `/laps` and `/live`, beside a naive function on the same data.

The naive function reads the documents and makes JSON of them (`bench/naive_api.py`). Both are served as they are
deployed, gunicorn with one worker and eight threads behind the Functions Framework, on the same Firestore emulator, in
turns in one run; of each the best of its rounds counts. `constant` is that server with nothing but `{}` behind it:
as much as can be answered. Hot is one address asked by eight connections at once, while the tower is written anew
every second; `cpuMs` is the function's own processor time for one request, which other programs on the machine disturb
less. 304s are measured beside the same requests without a tag while nothing is written (`pitwallStill`): `304Work` and
`304Bytes` are their share of its processor time and of its bytes. A miss is an address nobody asked before, one request
at a time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench import result
from bench.load import Figures, client, load
from local.emulators import Programs, start_firestore
from local.functions import FunctionServer
from local.processes import Processes
from local.simulator import quick_race, write_recording
from local.stack import RULES, environment
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.pipeline.database import Database
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from pitwall.sources.recording import open_recording

LAPS = 52
"""A little more than one page of `/laps`."""
SESSIONS = 120
"""Sessions with a tower, each asked for once as a miss."""
WANTED = 10
"""Times the naive function's requests a second, when hot."""

MOST_WRITES = 100
UNLIMITED = {"PITWALL_RATE_LIMIT_ADDRESS": "900000000"}
"""A limit that is counted, and never reached."""


def race() -> tuple[str, dict[str, dict[str, Any]]]:
    """Session and last documents of a simulated race, by path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "race.txt"
        write_recording(quick_race(1, laps=LAPS, telemetry=False), path)
        source = open_recording(path)
        reducer = Reducer(source.session, "f1", "recording")
        ticks = [tick for message in source.messages() for tick in reducer.offer(message)]
    documents = {path: document for tick in (*ticks, *reducer.finish()) for path, document in tick.documents}
    return source.session, {path: to_fields(document) for path, document in documents.items()}


def store(database: Database, documents: Mapping[str, dict[str, Any]], v: int) -> None:
    """Stores documents as the writer does."""
    written = {"v": v, "writtenAt": datetime.now(UTC)}
    writes = [database.write(path, {**fields, **written}) for path, fields in documents.items()]
    for begin in range(0, len(writes), MOST_WRITES):
        database.commit(writes[begin : begin + MOST_WRITES])


@contextmanager
def changing(database: Database, path: str, fields: dict[str, Any]) -> Iterator[None]:
    """Writes a document anew every second, as the tower of a race is."""
    ended = threading.Event()

    def write() -> None:
        for v in itertools.count(10):
            if ended.wait(1.0):
                return
            store(database, {path: fields}, v)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def once_each(server: str, targets: list[str]) -> list[float]:
    """Milliseconds each of the requests took, one after the other."""
    connection = HTTPConnection(urlsplit(server).netloc, timeout=30)
    times = []
    for target in targets:
        began = time.perf_counter()
        connection.request("GET", target)
        response = connection.getresponse()
        response.read()
        times.append((time.perf_counter() - began) * 1_000)
        if response.status != 200:
            raise RuntimeError(f"{target}: {response.status}")
    connection.close()
    return times


def misses(servers: Mapping[str, str], targets: list[str]) -> dict[str, dict[str, float]]:
    """What a miss takes, the servers asked in turns."""
    times: dict[str, list[float]] = {name: [] for name in servers}
    for target in targets:
        for name, server in servers.items():
            times[name] += once_each(server, [target])
    return {
        name: {"p50Ms": round(statistics.median(of), 2), "p99Ms": round(statistics.quantiles(of, n=100)[98], 2)}
        for name, of in times.items()
    }


def cpu_seconds(function: FunctionServer) -> float:
    """Seconds of processor time the processes of a function have taken."""
    parent = psutil.Process(function.process.pid)
    return sum(sum(process.cpu_times()[:2]) for process in (parent, *parent.children(recursive=True)))


def tag(server: str, target: str, encoding: str = "identity") -> str:
    connection = HTTPConnection(urlsplit(server).netloc, timeout=30)
    connection.request("GET", target, headers={"Accept-Encoding": encoding})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.headers["ETag"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=6, help="of each load (default 6)")
    parser.add_argument("--rounds", type=int, default=5, help="of each load, of which the best counts (default 5)")
    options = parser.parse_args()
    with Processes() as processes:
        emulator = start_firestore(processes, Programs.find(), RULES)
        project = f"bench-{os.getpid()}"
        with environment({**emulator.env, "GOOGLE_CLOUD_PROJECT": project}):
            figures = measure(processes, Settings(project=project), options.seconds, options.rounds)
    result("api", client=client(), **figures)
    wanted = all(route["hotTimes"] >= WANTED and route["missTimes"] <= 1 for route in figures["ratios"].values())
    cheaper = all(max(route["304Work"], route["304Bytes"]) < 1 for route in figures["ratios"].values())
    return 0 if wanted and cheaper else 1


def measure(processes: Processes, settings: Settings, seconds: float, rounds: int) -> dict[str, Any]:
    """Figures of both functions and their ratios."""
    database = Database(settings.project)
    key, documents = race()
    tower_path = paths.live(key, "timing")
    tower = documents[tower_path]
    store(database, documents, 1)
    others = [f"other-{n}" for n in range(SESSIONS)]
    store(database, {paths.live(other, "timing"): tower for other in others}, 1)

    env = {**settings.to_env(), **UNLIMITED}
    naive_source = Path(__file__).with_name("naive_api.py")
    functions = {
        "pitwall": FunctionServer(processes, "pitwall", "api", env),
        "naive": FunctionServer(processes, "naive", "naive", env, source=naive_source),
        "constant": FunctionServer(processes, "constant", "constant", env, source=naive_source),
    }
    for function in functions.values():
        function.wait_until_ready()
    servers = {name: function.url.rstrip("/") for name, function in functions.items()}
    targets = {resource: f"/api/sessions/{key}/{resource}" for resource in ("laps", "live")}
    for server in servers.values():
        once_each(server, [*targets.values()] * 20)

    read = {name: server for name, server in servers.items() if name != "constant"}
    missed = {
        "laps": misses(read, [f"{targets['laps']}?to={LAPS + n}" for n in range(1, SESSIONS + 1)]),
        "live": misses(read, [f"/api/sessions/{other}/live" for other in others]),
    }
    found: dict[str, dict[str, Figures]] = {resource: {} for resource in targets}
    work: dict[str, dict[str, float]] = {resource: {} for resource in targets}

    def ask(resource: str, name: str, function: str, headers: Mapping[str, str]) -> None:
        before = cpu_seconds(functions[function])
        figures = load(servers[function] + targets[resource], seconds, headers)
        each_ms = (cpu_seconds(functions[function]) - before) * 1_000 / (figures.per_second * seconds)
        work[resource][name] = round(min(each_ms, work[resource].get(name, each_ms)), 3)
        if name not in found[resource] or figures.per_second > found[resource][name].per_second:
            found[resource][name] = figures

    with changing(database, tower_path, tower):
        for _ in range(rounds):
            for resource in targets:
                for name in servers:
                    ask(resource, name, name, {})
                ask(resource, "pitwallGzip", "pitwall", {"Accept-Encoding": "gzip"})
    for _ in range(rounds):
        for resource, target in targets.items():
            ask(resource, "pitwallStill", "pitwall", {})
            ask(resource, "pitwall304", "pitwall", {"If-None-Match": tag(servers["pitwall"], target)})
    database.close()

    ratios = {}
    for resource, figures in found.items():
        naive = figures["naive"]
        ratios[resource] = {
            "hotTimes": round(figures["pitwall"].per_second / naive.per_second, 1),
            "hotOfConstant": round(figures["pitwall"].per_second / figures["constant"].per_second, 2),
            "304Times": round(figures["pitwall304"].per_second / naive.per_second, 1),
            "gzipTimes": round(figures["pitwallGzip"].per_second / naive.per_second, 1),
            "hotWorkTimes": round(work[resource]["naive"] / work[resource]["pitwall"], 1),
            "304WorkTimes": round(work[resource]["naive"] / work[resource]["pitwall304"], 1),
            "304Work": round(work[resource]["pitwall304"] / work[resource]["pitwallStill"], 2),
            "304Bytes": round(figures["pitwall304"].bytes / figures["pitwallStill"].bytes, 4),
            "hotP99Times": round(figures["pitwall"].p99_ms / naive.p99_ms, 3),
            "missTimes": round(missed[resource]["pitwall"]["p50Ms"] / missed[resource]["naive"]["p50Ms"], 2),
            "missP99Times": round(missed[resource]["pitwall"]["p99Ms"] / missed[resource]["naive"]["p99Ms"], 2),
        }
        for name, figure in figures.items():
            print(
                f"{resource:<5} {name:<12} {figure.per_second:>8} /s   p50 {figure.p50_ms} ms   p99 {figure.p99_ms} ms"
            )
        for name, miss in missed[resource].items():
            print(f"{resource:<5} {name:<12} miss: p50 {miss['p50Ms']} ms   p99 {miss['p99Ms']} ms")
    hot = {resource: {name: of.named() for name, of in figures.items()} for resource, figures in found.items()}
    return {"hot": hot, "cpuMs": work, "miss": missed, "ratios": ratios}


if __name__ == "__main__":
    raise SystemExit(main())
