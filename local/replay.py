"""Plays a recording through the whole pipeline and waits until all of it is delivered.

Scheduler tick, poller, Pub/Sub push, writer and recorder, Firestore: nothing is left out and nothing
is asked of the functions that a cloud would not ask. The poller reads the recording itself, or it reads the live feed
that a hub makes of it (`local.hub`). What is known of a run comes from the functions' structured logs
(`local.report`) and from listening in (`local.probe`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local import cost, export
from local.chaos import PollerKiller
from local.probe import Tap, Watch
from local.report import Tally, report
from local.stack import Ports, Stack
from pitwall.message import Message
from pitwall.sources.recording import RecordingSource, open_recording

if TYPE_CHECKING:
    from local.live import LiveFeed

TICK_S = 1.0
"""Seconds between two ticks of a scheduler job: a minute in the cloud, short here so that a killed poller is missed
for seconds only."""
LOOK_S = 0.2
STUCK_S = 120.0
"""A pipeline in which nothing moves for so long, beside the recording's own longest silence, has lost something."""
ASK_AGAIN_S = 3.0
KILL_AFTER_S = (0.1, 0.8)


class ReplayFailed(RuntimeError):
    """The recording did not get through; the text says what is missing."""


@dataclass
class Progress:
    """How far a replay is."""

    total: int
    """Messages of the recording."""
    messages: int = 0
    delivered: int = 0


class Scan(threading.Thread):
    """Reads a recording once beforehand, while the stack starts: its length, and what the design to beat would cost."""

    def __init__(self, source: RecordingSource) -> None:
        super().__init__(name="scan", daemon=True)
        self._source = source
        self.messages = 0
        self.longest_silence_ms = 0
        self.per_driver: cost.Design | None = None

    def run(self) -> None:
        self.per_driver = cost.document_per_driver(self._counted())

    def finished(self) -> cost.Design:
        """Waits for it; the design to beat. Raises ReplayFailed if the recording cannot be read to its end."""
        self.join()
        if self.per_driver is None:
            raise ReplayFailed("the recording could not be read to its end; the error is above")
        return self.per_driver

    def _counted(self) -> Iterator[Message]:
        last: int | None = None
        for message in self._source.messages():
            self.messages += 1
            if last is not None:
                self.longest_silence_ms = max(self.longest_silence_ms, message.at - last)
            last = message.at
            yield message


@dataclass
class Replay:
    """One recording, played once. Use `run` inside nothing else: it brings its own stack.

    speed: times real time, math.inf for as fast as it goes. live: through a hub, as F1's live feed; that one has a
    clock, so the speed is finite then. faults: seed of what goes wrong at the hub, or None. chaos: seed, or None.
    on_progress: called a few times a second. on_up: called with the running stack before the first message. stay:
    called with it once all is delivered.
    """

    path: Path
    speed: float = math.inf
    chaos: int | None = None
    export_to: Path | None = None
    on_progress: Callable[[Progress], None] | None = None
    on_up: Callable[[Stack], None] | None = None
    stay: Callable[[Stack, dict[str, Any]], None] | None = None
    logs: Path | None = None
    ports: Ports = field(default_factory=Ports)
    live: bool = False
    faults: int | None = None
    result: dict[str, Any] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """The report. Raises NotARecording before anything is started, ReplayFailed, MissingTool, ProcessFailed."""
        source = open_recording(self.path)
        scan = Scan(source)
        scan.start()
        with ExitStack() as using:
            feed = self._live_feed(using) if self.live else None
            stack = using.enter_context(
                Stack(
                    source=f"recording:{self.path.resolve()}" if feed is None else feed.source,
                    speed=self.speed,
                    history=self.stay is not None,
                    tick_s=None,
                    chaos=self.chaos,
                    logs=self.logs,
                    env={
                        "PITWALL_CORS_ORIGINS": "*",
                        "PITWALL_FEED": source.feed,
                        **({} if feed is None else feed.env),
                    },
                    ports=self.ports,
                )
            )
            watch = using.enter_context(Watch(stack.project, source.session))
            tap = using.enter_context(Tap(stack, watch.follow))
            if self.on_up is not None:
                self.on_up(stack)
            tally = Tally(stack)
            tally.forget_warm_up()
            per_driver = scan.finished()
            killer = None
            if self.chaos is not None:
                killer = using.enter_context(PollerKiller(stack, stack.settings.feed, self.chaos, after_s=KILL_AFTER_S))
            began = time.monotonic()
            ticks = using.enter_context(stack.ticking(stack.settings.feed, TICK_S))
            if feed is not None:
                feed.play()
                began = time.monotonic()
            self._wait(
                stack, tally, tap, watch, scan, lambda: feed is not None and feed.over(stack, ticks, tally.session_over)
            )
            took = time.monotonic() - began
            self.result = report(tally, tap, watch, per_driver, took)
            self.result["deadLetters"] = len(stack.dead_letters())
            if stack.chaos is not None and killer is not None:
                counters = stack.chaos.counters()
                self.result["chaos"] = {
                    "seed": self.chaos,
                    "pollersKilled": len(killer.killed),
                    **{name: vars(counted) for name, counted in counters.items()},
                }
            if self.export_to is not None:
                export.export(stack.firestore(), self.export_to)
            if self.stay is not None:
                self.stay(stack, self.result)
        return self.result

    def _live_feed(self, using: ExitStack) -> LiveFeed:
        from local.live import LiveFeed  # needed by nothing else that plays

        return using.enter_context(LiveFeed(self.path, self.speed, self.faults))

    def _wait(self, stack: Stack, tally: Tally, tap: Tap, watch: Watch, scan: Scan, over: Callable[[], bool]) -> None:
        """Returns once the source has ended and every message that was published is stored, and seen by a listener.

        over: whether a source that has no end of its own has come to it.
        """
        moved, last, asked = time.monotonic(), (0, 0, 0), time.monotonic()
        patience_s = STUCK_S + scan.longest_silence_ms / 1000 / self.speed
        progress = Progress(scan.messages)
        while True:
            is_over = over()
            tally.read()
            progress.messages = int(tally.held.get("messages", 0))
            progress.delivered = tally.delivered
            if self.on_progress is not None:
                self.on_progress(progress)
            delivered = (is_over or tally.outcome == "ended") and self._delivered(stack, tally, tap)
            if delivered and not watch.missing(tap.versions):
                return
            now = (progress.messages, progress.delivered, watch.callbacks)
            if now != last:
                moved, last = time.monotonic(), now
            elif delivered and time.monotonic() - asked > ASK_AGAIN_S:
                watch.again()  # the emulator has dropped an answer
                asked = time.monotonic()
            elif time.monotonic() - moved > patience_s:
                raise ReplayFailed(self._missing(tally, tap, watch, patience_s))
            time.sleep(LOOK_S)

    def _delivered(self, stack: Stack, tally: Tally, tap: Tap) -> bool:
        if tap.messages < int(tally.held.get("published", 0)):
            return False
        if tap.parts - {(v, part) for v, part in tally.stored}:
            return False
        if len(tally.recorded) < len(tap.raw):
            return False
        return stack.chaos is None or stack.chaos.drained()

    @staticmethod
    def _missing(tally: Tally, tap: Tap, watch: Watch, patience_s: float) -> str:
        stored = {(v, part) for v, part in tally.stored}
        return (
            f"nothing has moved for {patience_s:.0f} s: poller {tally.outcome or 'still running'}, "
            f"{len(tap.parts - stored)} of {len(tap.parts)} messages not stored, "
            f"{len(tap.raw) - len(tally.recorded)} raw batches not recorded, "
            f"{len(watch.missing(tap.versions))} documents not seen by a listener, problems {dict(tally.problems)}"
        )
