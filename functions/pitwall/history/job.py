"""One job at a time: `jobs/{id}` says how far it is, and keeps two from doing the same.

Every change depends on the update time that was read, so of two that begin at once one is refused. A job that has not
said a word for some minutes was killed, and whoever comes next takes it over; the one before it, should it still be
there, finds that out with its next word (`JobLost`). By the same word it finds out that it is to stop (`JobCancelled`).
What a job writes elsewhere has the epoch that is in the document's `v`, higher with every start, so what a lost one
still writes loses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET

from pitwall.documents import paths
from pitwall.documents.encoding import InvalidDocument, from_fields, to_fields
from pitwall.documents.job import ENDED, JobDocument, JobState, Reconciled
from pitwall.history.work import Stopped
from pitwall.pipeline.database import Conflict, Database, Stored, Unavailable
from pitwall.pipeline.envelope import split_version, version
from pitwall.pipeline.log import log

STALE_S: Final = 300.0
"""Seconds without a word, by Firestore's clock, after which a running job counts as killed."""
TELL_S: Final = 5.0
"""Seconds between two words about progress."""


class JobRunning(Exception):
    """Somebody else is at it; the text says since when nothing was heard of it."""


class JobLost(Stopped):
    """Somebody else has taken the job over: this one must stop."""


class JobCancelled(Stopped):
    """The job was asked to stop."""


class Job:
    """A running job. `start` and `begin` make one.

    request, turn, stalled: as in its document. progress: per cent.
    """

    def __init__(self, database: Database, path: str, kind: str, epoch: int, before: Stored) -> None:
        fields = before.fields or {}
        self._database = database
        self._path = path
        self._kind = kind
        self._updated = before.updated
        self._number = 0
        self._told_at = float("-inf")
        self._earlier = _earlier(path, before)
        self.epoch = epoch
        self.progress = 0
        self.request: Mapping[str, Any] | None = fields.get("request")
        self.turn: int = fields.get("turn", 0)
        self.stalled = 0
        self.result: Reconciled | dict[str, Any] | None = None

    @classmethod
    def start(
        cls,
        database: Database,
        kind: str,
        key: str,
        epoch_of: Callable[[int], int],
        message: str,
        stale_s: float = STALE_S,
    ) -> Job:
        """Starts the job of a kind on a session, under a new epoch.

        epoch_of: the epoch to take, given that of the job's last run (0: never).
        Raises JobRunning, Unavailable.
        """
        path = paths.job(kind, key)
        before = database.read([path])[path]
        if is_at_work(before, stale_s):
            raise JobRunning(
                f"{path} is at work: its last word is {silent(before):.0f} s old. If it was killed, try again in "
                f"{stale_s - silent(before):.0f} s"
            )
        job = cls(database, path, kind, epoch_of(last_epoch(before.fields or {})), before)
        job.begin(message)
        return job

    def begin(self, message: str) -> None:
        """Says the first word. Raises JobRunning if another has said one since the document was read, Unavailable."""
        try:
            self.tell("running", message)
        except JobLost:
            raise JobRunning(f"{self._path} has just been started by another") from None

    @staticmethod
    def wait(
        database: Database, kind: str, key: str, state: Literal["waiting", "failed"], message: str, error: str = ""
    ) -> None:
        """Says what the job waits for, or why it is given up, without starting it: `v` stays what it was.

        Left out if somebody is at it. Raises Unavailable.
        """
        path = paths.job(kind, key)
        before = database.read([path])[path]
        fields = before.fields or {}
        if is_at_work(before):
            return
        now = datetime.now(UTC)
        v = fields.get("v")
        document = JobDocument(
            at=now,
            written_at=now,
            v=v if isinstance(v, int) else 0,
            kind=kind,
            state=state,
            progress=0,
            message=message or UNSET,
            result=_plain(_earlier(path, before)[0]) or UNSET,
            error=error or UNSET,
        )
        write = database.write(path, to_fields(document), before.updated, must_be_new=before.fields is None)
        with suppress(Conflict):
            database.commit([write])

    def raise_epoch(self, epoch: int) -> None:
        """Takes a higher epoch. Raises JobLost, Unavailable."""
        self.epoch = epoch
        self._number += 1
        self._tell("running", "", "")

    def at(self, progress: int, message: str) -> None:
        """Says how far it is, every few seconds; left out if Firestore does not answer. Raises Stopped."""
        self.progress = progress
        if time.monotonic() >= self._told_at + TELL_S:
            try:
                self.tell("running", message)
            except Unavailable as error:
                log("WARNING", "the job's progress was not stored", job=self._path, detail=str(error)[:300])

    def tell(self, state: JobState, message: str, error: str = "") -> None:
        """Stores a word of the job, and `result` if there is one. Raises Stopped, Unavailable.

        What has come to its end is told whether or not it was to stop.
        """
        self._number += 1
        self._tell(state, message, error)

    def _tell(self, state: JobState, message: str, error: str) -> None:
        now = datetime.now(UTC)
        document = JobDocument(
            at=now,
            written_at=now,
            v=version(self.epoch, self._number),
            kind=self._kind,
            state=state,
            progress=self.progress,
            message=message[:1000] or UNSET,
            request=UNSET if self.request is None else dict(self.request),
            result=_plain(self._whole_result()) or UNSET,
            error=error[:1000] or UNSET,
            turn=self.turn,
            stalled=self.stalled,
        )
        fields = to_fields(document)
        try:
            self._store(fields)
        except Conflict:
            # Our own last word may have been stored though its answer was lost.
            stored = self._database.read([self._path])[self._path]
            others = stored.fields or {}
            if self._number == 1 or last_epoch(others) != self.epoch or others.get("turn", 0) > self.turn:
                raise JobLost(f"{self._path} has been taken over by another") from None
            self._updated = stored.updated
            if _is_to_stop(others) and state not in ENDED:
                raise JobCancelled(f"{self._path} was cancelled") from None
            try:
                self._store(fields)
            except Conflict:
                raise JobLost(f"{self._path} has been taken over by another") from None
        self._told_at = time.monotonic()

    def _store(self, fields: dict[str, Any]) -> None:
        write = self._database.write(self._path, fields, self._updated, must_be_new=self._updated is None)
        (self._updated,) = self._database.commit([write])

    def _whole_result(self) -> Reconciled | dict[str, Any] | None:
        """What this run changed; an earlier run's if that was cut short, or if this one has found nothing to change.

        A run that goes on after a killed one finds only what that one had left.
        """
        earlier, done = self._earlier
        if isinstance(self.result, dict):
            return self.result
        if self.result is None or earlier is None or (done and _count(self.result)):
            return self.result or earlier
        return max(self.result, earlier, key=_count)


def _count(result: Reconciled) -> int:
    return result.written + result.deleted


def _plain(result: Reconciled | dict[str, Any] | None) -> dict[str, Any] | None:
    plain: dict[str, Any] | None = msgspec.to_builtins(result)
    return plain


def _earlier(path: str, before: Stored) -> tuple[Reconciled | None, bool]:
    """The result of an earlier run on an archive, and whether that run came to its end."""
    try:
        job = from_fields(path, before.fields) if before.fields is not None else None
    except InvalidDocument:
        job = None
    if not isinstance(job, JobDocument):
        return None, False
    return job.reconciled, job.state == "done"


def is_at_work(stored: Stored, stale_s: float = STALE_S) -> bool:
    """Whether somebody is at a job, and was heard of within `stale_s`."""
    return (stored.fields or {}).get("state") == "running" and silent(stored) < stale_s


def silent(stored: Stored) -> float:
    """Seconds, by Firestore's clock, since a job's document was last written; endless if there is none."""
    if stored.updated is None:
        return float("inf")
    updated = datetime.fromtimestamp(stored.updated.seconds + stored.updated.nanos / 1e9, UTC)
    return (stored.read_at - updated).total_seconds()


def _is_to_stop(fields: Mapping[str, Any]) -> bool:
    return fields.get("cancel") is True or fields.get("state") == "cancelled"


def last_epoch(fields: Mapping[str, Any]) -> int:
    """Epoch of a job's last run; 0 for none."""
    v = fields.get("v")
    return split_version(v)[0] if isinstance(v, int) else 0
