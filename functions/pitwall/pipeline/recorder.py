"""The feed's raw messages, kept: batches from the poller through the topic `raw` into Cloud Storage.

`RawBatch` gathers what the poller read; `record` is the subscriber that stores each batch as one gzip object, named
by session, instant, epoch and number, so that a redelivery finds it there already. How a line looks and how objects are
read as a recording again is the business of `pitwall.sources.pitwall_format`.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from flask import Request, Response
from google.api_core import exceptions

from pitwall.documents.paths import valid_id
from pitwall.message import Message
from pitwall.pipeline import push
from pitwall.pipeline.deadletter import DeadLetters, NotPutAway
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import follow, log
from pitwall.settings import dead_letter
from pitwall.sources.pitwall_format import encode_line, object_name

if TYPE_CHECKING:
    from google.cloud import storage  # loaded by the recorder alone: a poller has no use for it

_COMPRESSION = 6


class RawBatch:
    """Raw messages on their way to the recorder.

    Closed after `max_s` of wall time or `max_bytes` uncompressed. Wall time and not the feed's, because what it
    bounds is how much of a live feed a crash loses, and how long a quiet feed's last messages wait.
    """

    def __init__(self, max_s: float, max_bytes: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._max_s = max_s
        self._max_bytes = max_bytes
        self._monotonic = monotonic
        self._lines: list[bytes] = []
        self._bytes = 0
        self._since = 0.0
        self.at = 0
        """Instant of the first message, ms."""

    def __bool__(self) -> bool:
        return bool(self._lines)

    def add(self, message: Message) -> None:
        if not self._lines:
            self._since = self._monotonic()
            self.at = message.at
        line = encode_line(message)
        self._lines.append(line)
        self._bytes += len(line)

    @property
    def due(self) -> bool:
        """Whether it is time to `take` it."""
        if not self._lines:
            return False
        return self.full or self._monotonic() - self._since >= self._max_s

    @property
    def full(self) -> bool:
        """Whether it has as many bytes as it may."""
        return self._bytes >= self._max_bytes

    def take(self) -> bytes | None:
        """The batch as a gzip file of lines, and begins the next; None if there is nothing in it."""
        if not self._lines:
            return None
        batch = gzip.compress(b"".join(self._lines), _COMPRESSION, mtime=0)
        self._lines.clear()
        self._bytes = 0
        return batch


class Unreadable(ValueError):
    """The message is no raw batch."""


class _Batch(NamedTuple):
    session: str
    epoch: int
    seq: int
    at: int


class Recorder:
    """One instance of the recorder. Safe to use from several threads."""

    def __init__(self, bucket: storage.Bucket, dead_letters: DeadLetters, timeout_s: float = 30.0) -> None:
        self._bucket = bucket
        self._dead_letters = dead_letters
        self._timeout_s = timeout_s

    def handle(self, body: bytes) -> Response:
        """The answer to a push request with this body: 204, 400 if it is no push, 503 to have it delivered again."""
        return push.receive(body, self._record, again=(exceptions.GoogleAPIError, OSError, NotPutAway))

    def _record(self, delivered: push.Push) -> None:
        try:
            batch = _batch(delivered)
        except Unreadable as error:
            log("ERROR", "can never be recorded", messageId=delivered.id, reason="bad-batch", detail=str(error)[:500])
            self._dead_letters.put(delivered.data, "bad-batch", str(error), messageId=delivered.id)
            return
        name = object_name(*batch)
        blob = self._bucket.blob(name)
        try:
            blob.upload_from_string(
                delivered.data,
                content_type="application/gzip",
                if_generation_match=0,
                timeout=self._timeout_s,
                retry=None,
            )
            recorded = True
        except exceptions.PreconditionFailed:
            # A redelivery: epoch and number are given once, so what is there is the same.
            recorded = False
        log("INFO", "recorded", object=name, bytes=len(delivered.data), recorded=recorded)


def _batch(delivered: push.Push) -> _Batch:
    """What the message says it is. Raises Unreadable."""
    attributes = delivered.attributes
    session, epoch, seq = (attributes.get(name, "") for name in ("session", "epoch", "seq"))
    at = attributes.get("at", "0")  # a poller that is older than this recorder tells none
    if not valid_id(session):
        raise Unreadable(f"session {session!r}")
    if not all(number.isascii() and number.isdigit() for number in (epoch, seq, at)):
        raise Unreadable(f"epoch {epoch!r}, seq {seq!r}, at {at!r}")
    if not delivered.data.startswith(b"\x1f\x8b"):
        raise Unreadable("the data is not gzip")
    return _Batch(session, int(epoch), int(seq), int(at))


@cache
def _recorder() -> Recorder:
    from google.cloud import storage

    settings = configured()
    bucket = storage.Client(project=settings.project).bucket(settings.raw_bucket)
    return Recorder(bucket, DeadLetters(settings.project, dead_letter(settings.topic_raw)))


def record(request: Request) -> Response:
    """Entry point: one push request of the subscription `raw-recorder`."""
    follow(request.headers, configured().project)
    return _recorder().handle(request.get_data())
