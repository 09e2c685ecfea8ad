"""Listens in on a stack from outside: what is published, and what a client's listener sees of it.

`Tap` is a pull subscription of its own on `timing` and `raw`: the only place that sees every message.
`Watch` listens to every document that was published; it notes when each version of the tower was seen, and
whether the version of any document ever fell.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from google.cloud import pubsub_v1

from local.cost import PUBSUB_LEAST_BYTES
from local.listener import Listener, Stored
from local.stack import Stack
from pitwall.documents import paths
from pitwall.documents.encoding import document_size, from_fields, millis, to_fields
from pitwall.documents.paths import kind_of
from pitwall.pipeline.envelope import decode, split_version


class Published(NamedTuple):
    """A part of a tick that was published."""

    v: int
    part: int


class Arrivals(NamedTuple):
    """When the messages arrived, wall-clock ms, that a version of the tower covers, and when it was published."""

    v: int
    arrived: list[int]
    published: int


class Seen(NamedTuple):
    """A tower a listener was called with: its version, when, and when the writer wrote it, wall-clock ms."""

    v: int
    at: int
    written: int


class Latency(NamedTuple):
    """Where the time of one message went, ms: all of it, and its three parts.

    tick: from its arrival in the poller until its tick was published, waiting for the second to end. deliver: until the
    writer wrote it. listen: until a listener was called.
    """

    total: int
    tick: int
    deliver: int
    listen: int


class Tap:
    """Counts what is published. Use it as a context manager, entered before the first tick of the scheduler.

    on_document: called, from the subscription's threads, with the path of each document that was published.
    """

    def __init__(self, stack: Stack, on_document: Callable[[str], None] | None = None) -> None:
        self._stack = stack
        self._on_document = on_document
        self._subscriber = pubsub_v1.SubscriberClient()
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._futures: list[Any] = []
        self.messages = 0
        self.bytes = 0
        self.charged_bytes = 0
        """As Pub/Sub charges them: small messages count for more than they are."""
        self.parts: set[Published] = set()
        self.raw: set[tuple[str, int, int]] = set()
        self.versions: dict[str, int] = {}
        """The highest version published of each document, by path."""
        self.documents: Counter[str] = Counter()
        """Documents published, by kind."""
        self.sizes: Counter[str] = Counter()
        """Bytes of those documents by Firestore's size rules, by kind."""
        self.arrivals: list[Arrivals] = []
        self.tower_instants: dict[int, int] = {}
        """Feed instant (ms) of each tick that had a tower, by version."""
        self.tower_max = 0

    def __enter__(self) -> Self:
        settings = self._stack.settings
        for topic, callback in ((settings.topic_timing, self._timing), (settings.topic_raw, self._raw)):
            path = self._subscriber.subscription_path(self._stack.project, f"{topic}-tap")
            name = self._subscriber.topic_path(self._stack.project, topic)
            self._subscriber.create_subscription(name=path, topic=name)
            self._futures.append(self._subscriber.subscribe(path, callback))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future in self._futures:
            future.cancel()
            future.result()
        self._subscriber.close()

    @property
    def epochs(self) -> list[int]:
        """Epochs that published, in order."""
        with self._lock:
            return sorted({split_version(part.v)[0] for part in self.parts})

    def _new(self, message: Any) -> bool:
        with self._lock:
            if message.message_id in self._seen:
                return False
            self._seen.add(message.message_id)
            self.messages += 1
            self.bytes += len(message.data)
            self.charged_bytes += max(PUBSUB_LEAST_BYTES, len(message.data))
            return True

    def _timing(self, message: Any) -> None:
        if self._new(message):
            envelope = decode(message.data)
            counted = []
            for document in envelope.documents:
                if self._on_document is not None:
                    self._on_document(document.path)
                fields = to_fields(from_fields(document.path, msgspec.json.decode(document.fields)))
                counted.append((kind_of(document.path).name, document_size(document.path, fields) + 2 * 8 + 2 + 10))
            with self._lock:
                self.parts.add(Published(envelope.v, envelope.part))
                for document in envelope.documents:
                    self.versions[document.path] = max(envelope.v, self.versions.get(document.path, 0))
                for kind, size in counted:
                    self.documents[kind] += 1
                    self.sizes[kind] += size
                    if kind == "timing":
                        self.tower_max = max(self.tower_max, size)
                        self.tower_instants[envelope.v] = millis(envelope.at)
                if envelope.arrived_at:
                    published = round(message.publish_time.timestamp() * 1000)
                    self.arrivals.append(Arrivals(envelope.v, envelope.arrived_at, published))
        message.ack()

    def _raw(self, message: Any) -> None:
        if self._new(message):
            about = message.attributes
            with self._lock:
                self.raw.add((about["session"], int(about["epoch"]), int(about["seq"])))
        message.ack()


_STREAM_DOCUMENTS = 50
"""Documents on one stream: the emulator drops answers while a stream grows, so a full one is left as it is."""


class Watch:
    """Firestore listeners on every document it is told of. Use it as a context manager.

    session: key of the one that is expected, if it is known: its live documents are on a stream of their own, which
        never grows.
    """

    def __init__(self, project: str, session: str) -> None:
        self._project = project
        live = [kind.name for kind in paths.KINDS if kind.template.startswith("sessions/{session}/live/")]
        self._live = [paths.session(session), *(paths.live(session, name) for name in live)] if session else []
        self._lock = threading.Lock()
        self._streams: list[Listener] = []
        self._followed: set[str] = set()
        self._room = 0
        self._exit = ExitStack()
        self.versions: dict[str, int] = {}
        """The version each document was last seen with, by path."""
        self.fallen: list[str] = []
        """Documents whose version a listener saw fall: there should be none."""
        self.towers: list[Seen] = []
        """Each tower a listener was called with."""
        self.callbacks = 0

    def __enter__(self) -> Self:
        if self._live:
            self._room = len(self._live)
            self._streams.append(self._exit.enter_context(Listener(self._project, self._called)))
        for path in self._live:
            self.follow(path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exit.close()

    def follow(self, path: str) -> None:
        """Listens to the document at `path` as well; nothing if it is followed already."""
        with self._lock:
            if path in self._followed:
                return
            self._followed.add(path)
            if self._room == 0:
                self._streams.append(self._exit.enter_context(Listener(self._project, self._called)))
                self._room = _STREAM_DOCUMENTS
            self._room -= 1
            self._streams[-1].follow(path)

    def again(self) -> None:
        """Has every document told again."""
        with self._lock:
            for stream in self._streams:
                stream.again()

    def missing(self, published: Mapping[str, int]) -> list[str]:
        """Paths of `published` whose version there, or a higher one, has not been seen yet."""
        return [path for path, v in published.items() if self.versions.get(path, 0) < v]

    def _called(self, stored: Stored) -> None:
        now = time.time_ns() // 1_000_000
        path, v = stored.path, int(stored["v"])
        with self._lock:
            self.callbacks += 1
            if v < self.versions.get(path, 0):
                self.fallen.append(f"{path}: {self.versions[path]} -> {v}")
            if kind_of(path).name == "timing" and v != self.versions.get(path):
                self.towers.append(Seen(v, now, round(stored["writtenAt"].timestamp() * 1000)))
            self.versions[path] = v


def latencies(arrivals: list[Arrivals], towers: list[Seen]) -> list[Latency]:
    """For each message that changed the tower, from its arrival to the first callback whose version covers it."""
    seen = sorted(towers)
    found: list[Latency] = []
    at = 0
    for arrival in sorted(arrivals):
        while at < len(seen) and seen[at].v < arrival.v:
            at += 1
        if at == len(seen):
            break
        first = min(seen[at : at + 8], key=lambda callback: callback.at)
        for arrived in arrival.arrived:
            tick, deliver = arrival.published - arrived, first.written - arrival.published
            found.append(Latency(first.at - arrived, tick, deliver, first.at - first.written))
    return found
