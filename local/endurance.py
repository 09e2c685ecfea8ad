"""Hours of a live feed through the whole stack: session after session, the pollers handing over every few minutes.

    report = Endurance(hours=8, speed=45).run()
    failures(report)                    # [] when memory is flat, the log bounded and nothing lost

The feed's time is compressed: a hub plays simulated races one after the other, a calendar says when they are, and what
the pollers measure by their own clock (their life, the lease) is compressed as well. Everything else is as deployed.
What is stored in the end is held against the recordings, read without a network.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_urlsafe
from statistics import median
from types import TracebackType
from typing import Any, Final, Self

import httpx
import psutil

from local import export, gaps
from local.emulators import Emulators
from local.functions import FunctionServer
from local.hub import Hub, Playing
from local.listener import Listener, Stored
from local.report import percentile
from local.simulator import Race, for_minutes, recording
from local.simulator.wording import FeedMessage
from local.stack import POLLERS, Stack
from pitwall.documents import paths
from pitwall.documents.encoding import to_fields
from pitwall.documents.schedule import ScheduledSession
from pitwall.pipeline.database import Database
from pitwall.pipeline.schedule import Schedules, with_coming
from pitwall.pipeline.ticks import Reducer
from pitwall.sources.recording import open_recording

FIRST_KEY: Final = 8001
"""Session key of the first session; the others count on from there."""

QUIET_SHARE: Final = 1 / 6
"""Part of a period in which nothing is on: ten minutes of an hour."""

FLAT: Final = 1.10
"""No later hour may take more memory than this many times the end of the first."""

STEADY: Final = 1.25
"""No later hour may log more lines than this many times the first; a few lines more or less are nothing."""
FEW_LINES: Final = 60

LINES_AN_HOUR: Final = {"poller-a": 1_500, "poller-b": 1_500, "writer": 5_000, "recorder": 2_500, "api": 500}
"""Most lines of the log in an hour of the feed. The writer's are one a second, one for each message it stores."""

SESSION_TELEMETRY: Final = frozenset({"CarData", "Position"})
"""Topics of which no lap is made."""

REMEMBER_S, CHECKPOINT_S = 15.0, 1.0
"""Settings of the pollers, in seconds of their own clock: shorter than deployed, as the feed goes so much faster."""

_LOOK_S = 1.0
_TELL_S = 15.0
_WAIT_S = 120.0
_PROCESSES = tuple(LINES_AN_HOUR)


@dataclass
class Endurance:
    """One run. `run` it once; it brings its own stack.

    hours: of feed. speed: times real time. life_minutes: feed minutes a poller lives, part of which it stands
    by; between two hand-overs it is about half as long. period_minutes: feed
    minutes from the begin of a session to that of the next one; the report's "hours" are these periods. telemetry:
    whether cars and positions are played too. on_progress: called with a line now and then. emulators: as of `Stack`.
    """

    hours: float = 8.0
    speed: float = 45.0
    life_minutes: float = 15.0
    period_minutes: float = 60.0
    telemetry: bool = True
    project: str = "pitwall-endurance"
    logs: Path | None = None
    emulators: Emulators | None = None
    on_progress: Callable[[str], None] | None = None

    def run(self) -> dict[str, Any]:
        """What was seen, figures by process as lists, one entry a period. Raises TimeoutError, HubError."""
        with ExitStack() as using:
            folder = Path(using.enter_context(tempfile.TemporaryDirectory()))
            sessions = [
                _Session(str(FIRST_KEY + n), for_minutes(self._race_minutes, n + 1, telemetry=self.telemetry), folder)
                for n in range(max(1, round(self.hours * 60 / self.period_minutes)))
            ]
            token = token_urlsafe(24)
            hub = using.enter_context(Hub(self._playings(sessions), self.speed, redate=True, token=token))
            stack = using.enter_context(
                Stack(
                    source="f1",
                    speed=self.speed,
                    project=self.project,
                    tick_s=None,
                    logs=self.logs,
                    env={**self._env, "PITWALL_F1_URL": hub.url, "PITWALL_F1_TOKEN": token},
                    emulators=self.emulators,
                )
            )
            self._plan(sessions)
            observer = _Observer(stack, hub, self.period_minutes * 60_000)
            leases = using.enter_context(_Leases(stack))
            ticks = using.enter_context(stack.ticking(stack.settings.feed, 60 / self.speed))
            _wait_for(lambda: len(hub.snapshots) >= len(POLLERS), "both pollers to subscribe")
            hub.start()
            began = tell_at = time.monotonic()
            while not observer.over(sessions[-1].key):
                seen = observer.look()
                if self.on_progress is not None and time.monotonic() >= tell_at:
                    self.on_progress(seen)
                    tell_at += _TELL_S
                time.sleep(_LOOK_S)
                if hub.ended:
                    observer.wait_at_most(_WAIT_S)
            took = time.monotonic() - began
            ticks.stop()
            _wait_for(observer.delivered, "all that was published to be stored")
            client = stack.firestore()
            documents = {path: export.jsonable(fields) for path, fields in export.documents(client)}
            client.close()
            return {
                "hours": round(hub.position_ms / 3_600_000, 2),
                "speed": self.speed,
                "durationS": round(took, 1),
                "sessions": len(sessions),
                "messages": sum(session.messages for session in sessions),
                **observer.report(),
                "handOvers": leases.report(),
                **_stored(sessions, documents),
                "missedByAll": len(hub.missed()),
                "deadLetters": len(stack.dead_letters()),
            }

    @property
    def _race_minutes(self) -> float:
        return self.period_minutes * (1 - QUIET_SHARE)

    @property
    def _quiet_s(self) -> float:
        return self.period_minutes * 60 * QUIET_SHARE

    def _playings(self, sessions: list[_Session]) -> list[Playing]:
        period_ms = round(self.period_minutes * 60_000)
        playings, quiet_ms = [], 0
        for session in sessions:
            playings.append(Playing(session.path, quiet_ms=quiet_ms))
            quiet_ms = max(round(self._quiet_s * 1000), period_ms - (session.race.ends - session.race.opens))
        return playings

    @property
    def _env(self) -> dict[str, str]:
        """Of the functions. The lease lives as long as deployed: the emulators stall for seconds now and then."""
        life_s = self.life_minutes * 60 / self.speed
        seconds = {
            "PITWALL_INVOCATION_S": life_s,
            "PITWALL_HANDOVER_S": life_s * 0.2,
            "PITWALL_LEASE_RENEW_S": life_s * 0.05,
            "PITWALL_CHECKPOINT_S": CHECKPOINT_S,
            "PITWALL_REMEMBER_S": REMEMBER_S,
            "PITWALL_QUIET_S": self.life_minutes * 60 / 8,  # a holder counts them itself
            "PITWALL_EARLY_S": self.hours * 3600 + 3600,  # by Firestore's clock, which is not compressed
        }
        return {name: f"{value:g}" for name, value in seconds.items()}

    def _plan(self, sessions: list[_Session]) -> None:
        """The calendar: a session each period, by the feed's clock."""
        database = Database(self.project)

        def with_sessions(schedule: Any, now: datetime) -> Any:
            starts = [now + timedelta(minutes=n * self.period_minutes) for n in range(len(sessions))]
            return with_coming(
                schedule, [session.planned(start) for session, start in zip(sessions, starts, strict=True)]
            )

        Schedules(database, "f1").change(with_sessions)
        database.close()


def failures(report: dict[str, Any]) -> list[str]:
    """What of a report is not as it should be, a line each. Warnings are only told: emulators stall."""
    found = [f"{name}: {report[name]}" for name in ("gaps", "missedByAll", "deadLetters") if report[name]]
    found += report["differences"]
    if report["laps"] != report["lapsDriven"]:
        found.append(f"{report['laps']} laps of {report['lapsDriven']} are stored")
    if report["handOvers"]["planned"] < report["handOvers"]["count"]:
        found.append(f"hand-overs that were not planned: {report['handOvers']}")
    for process, sizes in report["memoryMb"].items():
        if report["memoryGrowth"].get(process, 0.0) > FLAT:
            found.append(f"{process} takes more and more memory: {sizes} MB")
    for process, lines in report["logLines"].items():
        if max(lines) > LINES_AN_HOUR[process] or max(lines[1:], default=0) > lines[0] * STEADY + FEW_LINES:
            found.append(f"{process} logs too much: {lines} lines")
    return found


class _Session:
    """A race under a session key of its own, written as a recording."""

    def __init__(self, key: str, race: Race, folder: Path) -> None:
        self.key, self.race = key, race
        self.path = folder / f"{key}.txt.gz"
        self.messages = recording.write(self._told(), race.opens, self.path, "merged")

    def _told(self) -> Iterator[FeedMessage]:
        for message in self.race:
            if message.topic == "SessionInfo":
                own = {"Key": int(self.key), "Path": f"2026/{self.key}/"}
                message = message._replace(payload={**message.payload, **own})
            yield message

    def planned(self, start: datetime) -> ScheduledSession:
        """As a calendar has it."""
        return ScheduledSession(
            session_key=self.key,
            year=start.year,
            meeting="Grand Prix",
            type="Race",
            name="Race",
            start_date=start,
            end_date=start + timedelta(hours=2),
        )

    def recorded(self) -> dict[str, dict[str, Any]]:
        """What an uninterrupted run over the recording stores, by the state machine alone; without telemetry."""
        source = open_recording(self.path)
        reducer = Reducer(source.session, "f1", source.name)
        messages = (message for message in source.messages() if message.topic not in SESSION_TELEMETRY)
        ticks = [tick for message in messages for tick in reducer.offer(message)] + reducer.finish()
        return {path: to_fields(document) for tick in ticks for path, document in tick.documents}


def _stored(sessions: list[_Session], documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What is stored of the sessions beside what should be."""
    differences: list[str] = []
    driven = stored = found = 0
    for session in sessions:
        root = paths.session(session.key)
        got = {path: fields for path, fields in documents.items() if path == root or path.startswith(f"{root}/")}
        if root not in got:
            differences.append(f"{root}: not stored")
            continue
        recorded = session.recorded()
        moved_by = datetime.fromisoformat(got[root]["startDate"]) - recorded[root]["startDate"]
        clean = {path: export.jsonable(_moved(fields, moved_by)) for path, fields in recorded.items()}
        differences += [f"{session.key}: {difference}" for difference in gaps.unexplained(clean, got)]
        found += len(gaps.gaps_in(got))
        driven += _laps(clean)
        stored += _laps(got)
    return {"lapsDriven": driven, "laps": stored, "gaps": found, "differences": differences}


def _laps(documents: dict[str, dict[str, Any]]) -> int:
    return sum(len(fields["drivers"]) for path, fields in documents.items() if "/laps/" in path)


def _moved(value: Any, by: timedelta) -> Any:
    """A document's value on the day on which the hub played it."""
    if isinstance(value, datetime):
        return value + by
    if isinstance(value, dict):
        return {key: _moved(item, by) for key, item in value.items()}
    return [_moved(item, by) for item in value] if isinstance(value, list) else value


class _Observer:
    """Looks at the processes of a stack and at what they log, period by period of the feed."""

    def __init__(self, stack: Stack, hub: Hub, period_ms: float) -> None:
        self._stack, self._hub, self._period_ms = stack, hub, period_ms
        self._offsets: dict[str, int] = defaultdict(int)
        self._memory: dict[str, list[list[float]]] = {process: [] for process in _PROCESSES}
        self._lines: dict[str, Counter[int]] = {process: Counter() for process in _PROCESSES}
        self._bytes: dict[str, Counter[int]] = {process: Counter() for process in _PROCESSES}
        self._sizes: dict[str, int] = {process: self._size(process) for process in _PROCESSES}
        self._stored: set[Any] = set()
        self._published: Counter[int] = Counter()
        self._over: set[str] = set()
        self._deadline: float | None = None
        self._period = 0
        self.outcomes: Counter[str] = Counter()
        self.problems: Counter[str] = Counter()
        self._read(count=False)
        self.problems.clear()  # the stack's own first requests, which are no pushes
        self._api = httpx.Client(base_url=stack.api_url, timeout=30.0, trust_env=False)

    def look(self) -> str:
        """Takes a sample of everything; in a line where the feed is."""
        position = self._hub.position_ms
        self._period = int(position // self._period_ms)
        for process in _PROCESSES:
            periods = self._memory[process]
            while len(periods) <= self._period:
                periods.append([])
            periods[self._period].append(_rss_mb(self._stack.functions[process]))
        with contextlib.suppress(httpx.HTTPError):
            self._api.get("/sessions/current")
        self._read()
        sizes = " ".join(f"{process} {self._memory[process][-1][-1]:.0f} MB" for process in _PROCESSES)
        return f"{position / 60_000:.0f} min, {self._hub.connections} connections, {sizes}, {dict(self.outcomes)}"

    def over(self, session: str) -> bool:
        """Whether a poller has left because this session is over and no other is to come."""
        return session in self._over

    def delivered(self) -> bool:
        """Whether every message that was published has been stored."""
        self._read()
        return len(self._stored) >= self._published.total()

    def wait_at_most(self, seconds: float) -> None:
        """Raises TimeoutError once it has been asked for so long."""
        now = time.monotonic()
        self._deadline = self._deadline or now + seconds
        if now > self._deadline:
            raise TimeoutError(f"the pollers go on {seconds:g} s after the feed's end: {dict(self.outcomes)}")

    def report(self) -> dict[str, Any]:
        self._api.close()
        periods = range(max(len(samples) for samples in self._memory.values()))
        memory = {
            process: [round(median(samples), 1) for samples in by_period if samples]
            for process, by_period in self._memory.items()
        }
        return {
            "memoryMb": memory,
            "memoryGrowth": {
                process: round(max(memory[process][1:]) / _end_of_first(by_period), 3)
                for process, by_period in self._memory.items()
                if len(memory[process]) > 1
            },
            "logLines": {process: [lines[period] for period in periods] for process, lines in self._lines.items()},
            "logKb": {
                process: [round(size[period] / 1000) for period in periods] for process, size in self._bytes.items()
            },
            "published": self._published.total(),
            "outcomes": dict(self.outcomes),
            "problems": dict(self.problems),
        }

    def _read(self, *, count: bool = True) -> None:
        for process in _PROCESSES:
            for entry, end in self._stack.log_lines(process, self._offsets[process]):
                self._offsets[process] = end
                self._take(process, entry)
                self._lines[process][self._period] += count
            size = self._size(process)
            self._bytes[process][self._period] += size - self._sizes[process] if count else 0
            self._sizes[process] = size

    def _take(self, process: str, entry: dict[str, Any]) -> None:
        message = entry.get("message")
        if entry.get("severity") in ("WARNING", "ERROR"):
            self.problems[f"{process}: {message}: {entry.get('detail', '')}"] += 1
        if process == "writer" and message == "stored":
            self._stored.add((entry["session"], entry["v"], entry["part"]))
        elif process == "recorder" and "object" in entry:
            self._stored.add(entry["object"])
        elif message == "holding":
            self._published[entry["epoch"]] -= entry["published"]
        elif message == "let go":
            self._published[entry["epoch"]] += entry["published"]
            self.outcomes[entry["outcome"]] += 1
            if entry["outcome"] == "session-over":
                self._over.add(entry["session"])
        for reason, times in entry.get("rejected", {}).items():
            self.problems[f"{process}: rejected: {reason}"] = times

    def _size(self, process: str) -> int:
        logs = self._stack.logs
        return sum(file.stat().st_size for file in (logs / f"{process}.out", logs / f"{process}.err") if file.exists())


def _end_of_first(periods: list[list[float]]) -> float:
    """Median of the last quarter of a process's first period, MB."""
    return median(periods[0][-max(1, len(periods[0]) // 4) :])


def _rss_mb(server: FunctionServer) -> float:
    """Resident memory of a function's worker, MB: gunicorn's child, without the parent, which only looks after it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.process.pid)
        return sum(child.memory_info().rss for child in process.children(recursive=True) or [process]) / 1e6
    return 0.0


class _Leases:
    """Listens to a feed's lease: when it is let go of, and when the next one has it. A context manager."""

    def __init__(self, stack: Stack) -> None:
        self._listener = Listener(stack.project, self._changed)
        self._path = paths.lease(stack.settings.feed)
        self._lock = threading.Lock()
        self._epoch = 0
        self._released_at: float | None = None
        self._first = 0
        self.planned_ms: list[int] = []
        """From the release of each holder to its successor's acquiring."""

    def __enter__(self) -> Self:
        self._listener.__enter__()
        self._listener.follow(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.__exit__(kind, error, trace)

    def report(self) -> dict[str, Any]:
        """count: changes of the holder. planned: those after a release, with the milliseconds they took."""
        with self._lock:
            return {
                "count": max(0, self._epoch - self._first),
                "planned": len(self.planned_ms),
                "p50Ms": percentile(self.planned_ms, 0.5),
                "maxMs": max(self.planned_ms, default=None),
            }

    def _changed(self, lease: Stored) -> None:
        fields, now = lease.fields, time.monotonic()
        with self._lock:
            epoch = int(fields.get("epoch", 0))
            self._first = self._first or epoch
            if "holder" not in fields:
                self._released_at = now
            elif epoch > self._epoch and self._epoch:
                if self._released_at is not None:
                    self.planned_ms.append(round((now - self._released_at) * 1000))
                self._released_at = None
            self._epoch = epoch


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {_WAIT_S:g} s for {what}")
        time.sleep(0.1)
