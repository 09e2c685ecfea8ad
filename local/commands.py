"""What the subcommands of `python -m local` do: they put replay, tower and simulator together and print."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from local import export
from local import replay as replaying
from local.replay import Replay
from local.simulator import quick_race, write_recording
from local.stack import Ports, Stack
from pitwall.documents.paths import kind_of
from pitwall.pipeline.poller import check_source
from pitwall.settings import LOCAL_PROJECT, SettingsError
from pitwall.sources.recording import F1, open_recording

if TYPE_CHECKING:
    from local.live import LiveFeed

CACHE = Path(__file__).resolve().parents[1] / ".cache"
KART_FEED = "kart-local"
"""The feed of a kart track that `up --source` reads and nobody has named."""
_TRACKS = ("apex", "rmonitor", "racemonitor", "described")
SIMULATOR_VERSION = 1
"""Part of the cached race's name; raised when the simulator tells the same race in other words."""


def _print(text: str = "") -> None:
    print(text, flush=True)


def replay(options: argparse.Namespace) -> int:
    """`replay`: 0 once all is delivered, 1 if a listener saw a version fall."""
    open_recording(options.path)
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[delivered]} delivered"),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(options.path.name, total=None, delivered=0)
        said = time.monotonic()

        def tell(progress: replaying.Progress) -> None:
            nonlocal said
            bar.update(task, completed=progress.messages, total=progress.total or None, delivered=progress.delivered)
            if not console.is_terminal and time.monotonic() - said >= 10:
                said = time.monotonic()
                of = f" of {progress.total}" if progress.total else ""
                print(f"{progress.messages}{of} messages read, {progress.delivered} delivered", file=sys.stderr)

        result = Replay(options.path, options.speed, options.chaos, export_to=options.export, on_progress=tell).run()
    if options.report:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    _summary(result)
    if options.export:
        _print(f"exported      {options.export / export.FILE}")
    if result["fallenVersions"]:
        print(f"versions fell: {result['fallenVersions'][:5]}", file=sys.stderr)
        return 1
    return 0


def _summary(result: dict[str, Any]) -> None:
    firestore, latency = result["firestore"], result["latencyMs"]
    rejected = ", ".join(f"{n} {reason}" for reason, n in sorted(result["rejected"].items())) or "none"
    _print(f"messages      {result['messages']} read, {result['published']} published, {result['delivered']} delivered")
    _print(f"firestore     {firestore['writes']} writes, {firestore['reads']} reads, {firestore['deletes']} deletes")
    _print(f"tower         {result['tower']['updates']} updates, at most {result['tower']['maxBytes']} bytes")
    _print(f"latency       p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms")
    _print(f"rejected      {rejected}")
    _print(f"took          {result['durationS']} s")


def compare(options: argparse.Namespace) -> int:
    """`compare`: 0 if the exports say the same, 1 with a line a difference if not."""
    try:
        differences = export.compare(options.one, options.other)
    except (ValueError, LookupError, TypeError) as error:
        print(f"python -m local: one of the files is no export: {error!r}", file=sys.stderr)
        return 2
    for difference in differences:
        _print(difference)
    if not differences:
        _print("the same, but for v, writtenAt and live/feed")
    return 1 if differences else 0


def simulated(seed: int) -> Path:
    """The recording of a simulated race, made once and kept."""
    path = CACHE / f"race-{SIMULATOR_VERSION}-{seed}.txt.gz"
    if not path.exists():
        _print(f"simulating a race (seed {seed}) ...")
        CACHE.mkdir(exist_ok=True)
        part = path.with_name(f"part-{path.name}")
        write_recording(quick_race(seed), part)
        part.rename(path)
    return path


def run(options: argparse.Namespace) -> int:
    """`run`: plays a race as the live feed, shows the tower, prints what was stored; stays up on a terminal."""
    from local.tower import LiveTower, PlainTower, listening_to_feed  # only `run` draws

    path = options.recording or simulated(options.seed)
    source = open_recording(path)
    on_terminal = sys.stdout.isatty()
    live = options.speed != float("inf")
    tower = LiveTower(options.speed) if on_terminal else PlainTower()
    _print("starting the local stack ...")
    if not live:
        _print("A live feed has a clock: at full speed the poller reads the recording itself.")

    def announce(stack: Stack) -> None:
        _print(f"API           {stack.api_url}/sessions/current")
        _print(f"Firestore     {stack.emulators.env['FIRESTORE_EMULATOR_HOST']} (project {stack.project})")
        if live:
            f1 = f"{stack.settings.f1_url}/signalrcore"
            _print(f"live feed     {f1 if source.feed == F1 else stack.settings.source}")
        _print(f"playing       {path.name} at {_speed_text(options.speed)}")
        showing.enter_context(tower)
        showing.enter_context(listening_to_feed(stack.project, source.feed, tower.on_change))

    def stay(stack: Stack, result: dict[str, Any]) -> None:
        showing.close()
        _print()
        _summary(result)
        _stored(stack)
        _curl(stack, try_them=not on_terminal)
        if on_terminal:
            _print("\nThe stack stays up until Ctrl-C.")
            while True:
                time.sleep(3600)

    with ExitStack() as showing:
        try:
            Replay(path, options.speed, live=live, export_to=options.export, on_up=announce, stay=stay).run()
        except KeyboardInterrupt:
            showing.close()
            if not on_terminal:
                raise
            _print("stopped")
    return 0


def _speed_text(speed: float) -> str:
    return "full speed" if speed == float("inf") else f"{speed:g} times speed"


def _stored(stack: Stack) -> None:
    kinds = Counter(kind_of(path).name for path, _ in export.documents(stack.firestore()))
    _print("stored        " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))


def _curl(stack: Stack, *, try_them: bool) -> None:
    current = f"{stack.api_url}/sessions/current"
    with httpx.Client(trust_env=False) as client:
        session = client.get(current).headers.get("content-location", "").rsplit("/", 1)[-1]
        urls = [
            current,
            f"{stack.api_url}/sessions/{session}/laps?limit=2",
            f"{stack.api_url}/sessions/{session}/live",
        ]
        _print()
        for url in urls:
            answered = f"   # answered {client.get(url).status_code}" if try_them else ""
            _print(f'curl -s "{url}"{answered}')


def up(options: argparse.Namespace) -> int:
    """`up`: the stack, until Ctrl-C."""
    if options.source:
        check_source(options.source)
    feed_id = _feed_of(options)
    ports = Ports(api=options.api_port, firestore=options.firestore_port)
    with ExitStack() as using:
        feed = _live_feed(options, using) if options.hub else None
        archive = _archive(options.archive, using) if options.archive else ""
        _print("starting the local stack ...")
        accounts = {} if options.auth_port is None else _accounts(options.auth_port, using)
        stack = using.enter_context(
            Stack(
                source=options.source if feed is None else feed.source,
                speed=options.speed,
                archive=archive,
                tracks=options.speed,
                env={
                    "PITWALL_CORS_ORIGINS": "*",
                    "PITWALL_PRIVATE_HOSTS": "on",
                    **feed_id,
                    **accounts,
                    **({} if feed is None else feed.env),
                },
                ports=ports,
            )
        )
        _print(f"API           {stack.api_url}/sessions/current")
        for name, server in stack.functions.items():
            _print(f"{name:<13} {server.url}")
        if feed is not None:
            _print(f"live feed     {feed.url} plays {options.hub.name} at {_speed_text(options.speed)}")
        if archive:
            _print(f"archive       {archive}/static/")
        _print(f"logs          {stack.logs}\n\nFor an app or a script beside it:\n")
        for name, value in {**stack.env, **accounts}.items():
            _print(f"export {name}={value}")
        _print("\nThe stack stays up until Ctrl-C.")
        if feed is not None:
            feed.play()
        while True:
            time.sleep(3600)


def _feed_of(options: argparse.Namespace) -> dict[str, str]:
    """The variables that say which feed is polled: of what a recording is, or of a kart track on this machine."""
    kind, _, path = options.source.partition(":")
    if options.hub or kind == "recording":
        return {"PITWALL_FEED": open_recording(options.hub or path).feed}
    if kind in _TRACKS:
        return {"PITWALL_FEED": os.environ.get("PITWALL_FEED", KART_FEED)}
    return {}


def _archive(paths: list[Path], using: ExitStack) -> str:
    from local.archive import ArchiveServer  # only where there is one

    return using.enter_context(ArchiveServer.of(paths)).url


def _accounts(port: int, using: ExitStack) -> dict[str, str]:
    """Starts the emulator of Firebase Authentication, where Node is there; the variable by which it is found."""
    from local import auth_emulator  # only where it is asked for
    from local.processes import Processes

    if reason := auth_emulator.missing():
        _print(f"no accounts   {reason}")
        return {}
    return auth_emulator.start_auth(using.enter_context(Processes()), LOCAL_PROJECT, port).env


def _live_feed(options: argparse.Namespace, using: ExitStack) -> LiveFeed:
    from local.live import LiveFeed  # only where something is played live

    if options.speed == float("inf"):
        raise SettingsError("a live feed has a clock: --hub needs a --speed that is a number")
    return using.enter_context(LiveFeed(options.hub, options.speed))
