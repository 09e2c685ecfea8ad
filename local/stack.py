"""The whole of PitWall on this machine: emulators, topics, functions, scheduler, and chaos if wanted.

    with Stack(source="recording:/path", speed=20) as stack:
        stack.firestore().collection("sessions")...

Several feeds share topics, writer, recorder and API; each has its own two pollers and its own scheduler jobs:

    with Stack(feeds=[FeedSpec("f1", "recording:/a"), FeedSpec("kart-demo", "recording:/b")]) as stack: ...

Kart tracks that are on are read by `karts`, where `tracks` says so.

`schedule` and `reconciler` read F1's calendar and archive, of the first feed, from `archive` alone (`local.archive`
serves one); without it they say so and change nothing. `jobs` reads the same, and what `env` names of the other servers
(`local.web` plays them). Nothing here ever asks the internet.

While it is up, Google's clients made in this process find the emulators too (the variables are in `os.environ`).
When it goes down it ends what it started and nothing else, also on Ctrl-C, and if this process is killed
(`local.processes`). What is played through it, and what is shown of it, is not known here.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx
from google.cloud import firestore, pubsub_v1, storage

from local import ROOT, topology
from local.chaos import ChaosProxies, ChaosRates
from local.emulators import Emulators
from local.functions import FunctionServer, Supervisor
from local.processes import Processes
from local.scheduler import Scheduler
from pitwall.settings import LOCAL_PROJECT, Settings

POLLERS = ("poller-a", "poller-b")
"""The two scheduler jobs of a feed, each with an instance of the poller of its own. Where there are several feeds, the
feed's id follows: `poller-a-kart-demo`."""

HISTORY = {"schedule": 24 * 60, "reconciler": 15}
"""The functions that read F1's calendar and archive, and every how many ticks of a poller their jobs run."""

KARTS = "karts"
"""The function that reads the kart tracks that are on, and its process."""

NOWHERE = "http://127.0.0.1:9"
"""Where the servers of the history are that nobody has named: no request gets there."""

RULES = ROOT / "firestore.rules"
_WARM_UP_WRITES = 30
_COLD_START_S = 120.0


class Ports(NamedTuple):
    """Ports of what an app connects to; 0 is any that is free."""

    api: int = 0
    firestore: int = 0
    pubsub: int = 0


class FeedSpec(NamedTuple):
    """A feed of a stack with several.

    feed, source, speed: as in PITWALL_FEED, PITWALL_SOURCE and PITWALL_SPEED. env: further variables of its pollers.
    """

    feed: str
    source: str
    speed: float = 1.0
    env: Mapping[str, str] = {}


class DeadLetter(NamedTuple):
    """A message that could never succeed."""

    topic: str
    data: bytes
    attributes: dict[str, str]


class Stack:
    """The local stack, up between `__enter__` and `__exit__`.

    source, speed: what the poller plays, as in PITWALL_SOURCE and PITWALL_SPEED; without a source it polls nothing.
    feeds: several feeds instead of that one; `settings`, `scheduler` and the emulators' names are then the first one's.
    archive: URL of what stands for F1's archive; empty for none. history: whether what reads it (`schedule`,
        `reconciler`, `jobs`) is served at all.
    tracks: speed at which the kart tracks that are on (`circuitFeeds/started`) are read, by the function `karts`; None
        for nobody who reads them.
    project: project id in the emulators. tick_s: seconds between two ticks of a poller's scheduler job, a minute in the
        cloud; the other jobs' are as many times as long as there. None for no scheduler.
    chaos: seed of the chaos between Pub/Sub and the subscribers; None for none. rates: how much of it.
    logs: folder for what the programs print; without one it is a temporary folder that goes with the stack.
    env: further environment variables of the functions. emulators: running ones to use instead of own ones.
    """

    def __init__(
        self,
        *,
        source: str = "",
        speed: float = 1.0,
        feeds: Sequence[FeedSpec] = (),
        archive: str = "",
        history: bool = True,
        tracks: float | None = None,
        project: str = LOCAL_PROJECT,
        tick_s: float | None = 60.0,
        chaos: int | None = None,
        rates: ChaosRates | None = None,
        logs: Path | None = None,
        env: Mapping[str, str] | None = None,
        ports: Ports | None = None,
        emulators: Emulators | None = None,
    ) -> None:
        if feeds and source:
            raise ValueError("either a source or feeds")
        self.project = project
        self.functions: dict[str, FunctionServer] = {}
        self.chaos: ChaosProxies | None = None
        self.schedulers: dict[str, Scheduler] = {}
        """Of the pollers, by feed; empty without a scheduler."""
        self.history: dict[str, Scheduler] = {}
        """Of `schedule` and `reconciler`, by function; empty without a scheduler."""
        self.tracks: Scheduler | None = None
        """Of `karts`; None without a scheduler, or where nobody reads tracks."""
        self._archive = archive
        self._of_history = (*HISTORY, "jobs") if history else ()
        self._tracks_speed = tracks
        self._env = dict(env or {})
        self._feeds: dict[str, tuple[Settings, tuple[str, ...]]] = {}
        """Settings of each feed, and the names of its two pollers."""
        if feeds:
            for spec in feeds:
                names = tuple(f"{poller}-{spec.feed}" for poller in POLLERS)
                self._feeds[spec.feed] = (
                    self._settings(spec.source, spec.speed, PITWALL_FEED=spec.feed, **spec.env),
                    names,
                )
            if len(self._feeds) < len(feeds):
                raise ValueError("a feed is named twice")
        else:
            settings = self._settings(source, speed)
            self._feeds[settings.feed] = settings, POLLERS
        self._tick_s = tick_s
        self._seed = chaos
        self._rates = rates or ChaosRates()
        self._logs = logs
        self._ports = ports or Ports()
        self._emulators = emulators
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        """Returns once every function takes requests. Raises MissingTool, ProcessFailed."""
        with ExitStack() as exit_:
            processes = exit_.enter_context(Processes(self._logs))
            self._logs = processes.logs
            if self._emulators is None:
                ports = self._ports
                self._emulators = Emulators.start(processes, RULES, ports.firestore, ports.pubsub)
            exit_.enter_context(environment({**self._emulators.env, "GOOGLE_CLOUD_PROJECT": self.project}))
            self._serve(processes)
            self._warm_up()
            self._serve_history(processes)
            endpoints = {name: server.url for name, server in self.functions.items()}
            if self._seed is not None:
                served = [s.function for s in topology.push_subscriptions(self.settings) if s.function in endpoints]
                upstreams = {function: endpoints[function] for function in served}
                self.chaos = exit_.enter_context(ChaosProxies(processes, upstreams, self._seed, self._rates))
                endpoints.update(self.chaos.urls)
            topology.create(self.settings, endpoints)
            for bucket in (self.settings.raw_bucket, self.settings.telemetry_bucket):
                self.storage().create_bucket(bucket)
            for name in self._of_history:
                self.functions[name].wait_until_ready()
            supervisor = Supervisor(self.functions)
            exit_.callback(supervisor.stop)
            if self._tick_s is not None:
                for feed in self._feeds:
                    self.schedulers[feed] = exit_.enter_context(self.ticking(feed, self._tick_s))
                if self._tracks_speed is not None:
                    job = Scheduler({KARTS: self.functions[KARTS].url}, {}, self._tick_s)
                    self.tracks = exit_.enter_context(job)
                for name, ticks in HISTORY.items() if self._of_history else ():
                    job = Scheduler(
                        {name: self.functions[name].url}, {"feed": self.settings.feed}, ticks * self._tick_s
                    )
                    self.history[name] = exit_.enter_context(job)
            self._exit = exit_.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.__exit__(kind, error, trace)

    @property
    def logs(self) -> Path:
        """Folder with `<process>.out` (structured logs) and `<process>.err` of every process."""
        if self._logs is None:
            raise RuntimeError("the stack is not up")
        return self._logs

    @property
    def emulators(self) -> Emulators:
        if self._emulators is None:
            raise RuntimeError("the stack is not up")
        return self._emulators

    @property
    def env(self) -> dict[str, str]:
        """What an app developer exports to work against this stack."""
        history = {"PITWALL_F1_URL": self._archive} if self._archive else {}
        return {"GOOGLE_CLOUD_PROJECT": self.project, **self.emulators.env, "PITWALL_API": self.api_url, **history}

    @property
    def api_url(self) -> str:
        """Base of the HTTP API, without a slash at its end."""
        return self.functions["api"].url.rstrip("/") + "/api"

    @property
    def settings(self) -> Settings:
        """Settings of the only feed, or of the first."""
        return self.settings_of(self.feeds[0])

    @property
    def feeds(self) -> tuple[str, ...]:
        """Ids of the feeds."""
        return tuple(self._feeds)

    def settings_of(self, feed: str) -> Settings:
        return self._feeds[feed][0]

    @property
    def scheduler(self) -> Scheduler | None:
        """The scheduler of the only feed, or of the first; None if there is none."""
        return self.schedulers.get(self.feeds[0])

    @property
    def pollers(self) -> dict[str, FunctionServer]:
        """All instances of the poller, by the name their leases' holders start with."""
        return {name: server for feed in self._feeds for name, server in self.pollers_of(feed).items()}

    def pollers_of(self, feed: str) -> dict[str, FunctionServer]:
        """The two instances of the poller of one feed, by name."""
        return {name: self.functions[name] for name in self._feeds[feed][1]}

    def ticking(self, feed: str, tick_s: float) -> Scheduler:
        """A scheduler of a feed's two jobs, not yet started: enter it."""
        jobs = {name: server.url for name, server in self.pollers_of(feed).items()}
        return Scheduler(jobs, {"feed": feed}, tick_s)

    def firestore(self) -> firestore.Client:
        """A new client of the stack's Firestore, as the owner (security rules do not apply)."""
        return firestore.Client(project=self.project)

    def storage(self) -> storage.Client:
        """A new client of the stack's Cloud Storage."""
        return storage.Client(project=self.project)

    def publisher(self) -> pubsub_v1.PublisherClient:
        """A new publisher, with ordering keys."""
        options = pubsub_v1.types.PublisherOptions(enable_message_ordering=True)
        return pubsub_v1.PublisherClient(publisher_options=options)

    def dead_letters(self) -> list[DeadLetter]:
        """The messages put into a dead-letter topic since the last call."""
        found = []
        with pubsub_v1.SubscriberClient() as subscriber, warnings.catch_warnings():
            # Deprecated because it may answer too early in the cloud; without it an empty topic costs a minute here.
            warnings.simplefilter("ignore", DeprecationWarning)
            for name in topology.dead_letter_subscriptions(self.settings):
                path = subscriber.subscription_path(self.project, name)
                request = {"subscription": path, "max_messages": 1000, "return_immediately": True}
                while received := subscriber.pull(request=request).received_messages:
                    found += [DeadLetter(name, m.message.data, dict(m.message.attributes)) for m in received]
                    subscriber.acknowledge(subscription=path, ack_ids=[message.ack_id for message in received])
        return found

    def log_lines(self, process: str, start: int = 0) -> Iterator[tuple[dict[str, Any], int]]:
        """The structured log of a process (`writer`, `poller-a`, ...), with the offset after each line.

        start: offset to go on from. What is no JSON object, and a line that is still being written, is left out.
        """
        path = self.logs / f"{process}.out"
        with contextlib.suppress(FileNotFoundError), path.open("rb") as stream:
            stream.seek(start)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    if isinstance(entry, dict):
                        yield entry, start

    def _settings(self, source: str, speed: float, **env: str) -> Settings:
        """Those of a feed. env: variables of its own."""
        own = {"GOOGLE_CLOUD_PROJECT": self.project, "PITWALL_SOURCE": source, "PITWALL_SPEED": _speed_text(speed)}
        unlimited = {"PITWALL_RATE_LIMIT_ADDRESS": "0"}  # everybody here has the same address
        return Settings.from_env({**unlimited, **os.environ, **self._env, **env, **own})

    def _serve(self, processes: Processes) -> None:
        for settings, names in self._feeds.values():
            own = {**self._env, **settings.to_env(), **self.emulators.env}
            for name in names:
                self.functions[name] = FunctionServer(
                    processes, name, "poller", {**own, "PITWALL_INSTANCE": name}, threads=1
                )
        if self._tracks_speed is not None:
            own = {**self._env, **self._settings("", self._tracks_speed).to_env(), **self.emulators.env}
            self.functions[KARTS] = FunctionServer(
                processes, KARTS, KARTS, {**own, "PITWALL_INSTANCE": KARTS}, threads=1
            )
        env = {**self._env, **self.settings.to_env(), **self.emulators.env}
        for name, port in (("writer", 0), ("recorder", 0), ("api", self._ports.api)):
            self.functions[name] = FunctionServer(processes, name, name, {**env, "PITWALL_INSTANCE": name}, port=port)
        for server in self.functions.values():
            server.wait_until_ready()

    def _serve_history(self, processes: Processes) -> None:
        """Starts what nothing waits for, when all else is up: it takes none of their time to begin."""
        archive = {"PITWALL_HISTORY": "none"}
        if self._archive:
            archive = {"PITWALL_HISTORY": "f1", "PITWALL_F1_URL": self._archive}
        usual, told = Settings().to_env(), self.settings.to_env()
        others = ("PITWALL_JOLPICA_URL", "PITWALL_F1SCHEDULE_URL", "PITWALL_MULTIVIEWER_URL")
        nowhere = {name: NOWHERE for name in others if told[name] == usual[name]}
        env = {**self._env, **told, **nowhere, **self.emulators.env, **archive}
        for name in self._of_history:
            self.functions[name] = FunctionServer(processes, name, name, {**env, "PITWALL_INSTANCE": name}, threads=1)

    def _warm_up(self) -> None:
        """Has everything load its code, so that a measurement does not start with a cold start of them all."""
        paths = {"writer": "", "recorder": "", "api": "api/sessions/current"}

        def ask(function: str) -> None:
            # A subscriber refuses this, as it is no push: that is all that is wanted of it.
            httpx.get(self.functions[function].url + paths[function], timeout=_COLD_START_S, trust_env=False)

        with ThreadPoolExecutor(len(paths)) as pool:
            asked = pool.map(ask, paths)
            other = firestore.Client(project=f"{self.project}-warm-up")
            for n in range(_WARM_UP_WRITES):
                other.document(f"warmUp/{n}").set({"n": n})
            other.close()
            for _ in asked:
                pass


def _speed_text(speed: float) -> str:
    return "max" if speed == math.inf else repr(speed)


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables, and puts back what was there."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
