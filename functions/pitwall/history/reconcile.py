"""Corrects a stored session from its archive: what live missed or had otherwise, and nothing else.

The archive is played through the state machine that live messages go through; what its documents say is compared with
what is stored (`differences`), and what differs is published on `timing` under an epoch above every one that is stored,
so that the writer stores it over whatever an abandoned holder may still send. When the writer has, the session is
read once more; when nothing differs any longer, it is made `final`. That comes last: whatever kills the job before,
the next run finds what is left to do by comparing, and one on a reconciled session finds nothing.

What is asked of a source is only that it can be read from its beginning. When a session is to be reconciled, is the
business of `reconciler` and of `archive`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

import msgspec
from msgspec import UNSET, Struct
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pitwall.documents import paths
from pitwall.documents.base import Document
from pitwall.documents.encoding import InvalidDocument, from_fields, millis, to_fields
from pitwall.documents.job import Reconciled
from pitwall.history.differences import (
    GAPS,
    OF_THE_MOMENT,
    SERIES,
    Archived,
    Difference,
    Fields,
    corrected,
    differences,
    own,
    summary,
    tells,
)
from pitwall.history.job import STALE_S, Job, JobLost
from pitwall.pipeline.database import Conflict, Database, Unavailable
from pitwall.pipeline.envelope import TickDocument, encode, split_version
from pitwall.pipeline.log import log
from pitwall.pipeline.ticks import Reducer
from pitwall.settings import Settings
from pitwall.sources import Source
from pitwall.sources.archive.feeds import AT_ONCE

KIND: Final = "archive"
"""Kind of the job: `jobs/archive-{session}`."""

ROUNDS: Final = 3
"""Times that what differs is published before somebody else must be at work on the session."""
STORED_WITHIN_S: Final = 180.0
"""Seconds the writer may take to store what was published."""
_LOOK_S: Final = (0.1, 2.0)
"""Pauses between two looks at whether it has: the first, the longest."""
_READ_AT_ONCE: Final = 300
_PLAUSIBLE_FROM: Final = 20

Progress = Callable[[float, str], None]
"""Told the part done (0 to 1) and what is being done."""


class Publishing(Protocol):
    """What is needed of `pipeline.publisher.Publisher`."""

    @property
    def messages(self) -> int: ...

    def publish(self, topic: str, key: str, data: bytes, **attributes: str) -> None: ...

    def acknowledged(self, through: int) -> bool: ...

    def wait(self, timeout_s: float) -> None: ...


class StillPolled(Exception):
    """A poller holds the session: it is not over."""


class NotStored(Exception):
    """Pub/Sub or the writer has not done its part in time; running again goes on from there."""


class Implausible(Exception):
    """The archive has so much less than what is stored that the archive will be at fault, not what is stored."""


class Report(Struct, kw_only=True, rename="camel", omit_defaults=True):
    """What a run found and did.

    epoch: under which it published; 0 in a dry run. published: messages of Pub/Sub. rejected: input of the
    archive that could not be used, by reason. final: the session is, now.
    """

    session: str
    name: str
    epoch: int
    final: bool
    published: int
    rejected: dict[str, int]
    result: Reconciled

    @property
    def line(self) -> str:
        """The report in one line."""
        result = self.result
        kinds = []
        for kind, told in sorted(result.changes.items()):
            counts = {"added": told.added, "changed": told.changed, "removed": told.removed}
            kinds.append(f"{kind} " + ", ".join(f"{count} {word}" for word, count in counts.items() if count))
        what = "; ".join(kinds) if kinds else "nothing differs"
        return f"{result.compared} documents compared: {what}{'' if self.final else ', not final'}"


def reconcile(
    settings: Settings,
    database: Database,
    publisher: Publishing,
    source: Source,
    *,
    dry_run: bool = False,
    force: bool = False,
    needs_laps: bool = False,
    read_back: bool = True,
    progress: Progress | None = None,
    stored_within_s: float = STORED_WITHIN_S,
    stale_s: float = STALE_S,
) -> Report:
    """Corrects the stored session of `source` and makes it final; returns what was changed.

    dry_run: compares and publishes nothing. force: also if the archive has less than half of what is stored.
    needs_laps: an archive without timing corrects what it can, and does not make the session final.
    read_back: waits until what was published is stored; not needed if `publisher` returns only then.
    stale_s: after how long without a word a job that is at it counts as killed.
    Raises JobRunning, StillPolled, Implausible, NotStored, database.Unavailable, and what the source raises.
    """
    within_s = stored_within_s if read_back else None
    run = _Run(settings, database, publisher, source.session, within_s, progress or (lambda *_: None))
    if dry_run:
        return run.compare_only(source, force=force)
    job = RETRIES(lambda: Job.start(database, KIND, source.session, run.epoch, "playing the archive", stale_s))
    try:
        return run.correct(job, source, force=force, needs_laps=needs_laps)
    except KeyboardInterrupt:
        with suppress(JobLost, Unavailable):
            job.tell("waiting", "interrupted; running it again goes on from here")
        raise
    except Exception as error:
        with suppress(JobLost, Unavailable):
            job.tell("failed", "", f"{type(error).__name__}: {error}")
        raise


RETRIES: Final = Retrying(
    retry=retry_if_exception_type(Unavailable),
    stop=stop_after_attempt(6),
    wait=wait_exponential(0.2, max=10),
    reraise=True,
)


def play(source: Source, feed: str, progress: Callable[[float], None]) -> tuple[Archived, dict[str, int]]:
    """The documents a source ends with, and what of it could not be used, by reason.

    The same reducer as the poller's, so the same values; each document's last one is kept.
    """
    reducer = Reducer(source.session, feed, source.name)
    latest: dict[str, Document] = {}
    topics: set[str] = set()
    refused: Counter[str] = Counter()
    messages = 0
    for message in source.messages():
        messages += 1
        topics.add(message.topic)
        try:
            ticks = reducer.offer(message)
        except Exception as error:
            # As in the holder: what stops one run would stop each.
            refused["not-understood"] += 1
            log("ERROR", "a message was left out", topic=message.topic, cursor=message.cursor, detail=repr(error)[:500])
            continue
        for tick in ticks:
            latest.update(tick.documents)
        if messages % 500 == 0:
            progress(_part_played(latest.get(paths.session(reducer.session)), reducer.clock))
    for tick in reducer.finish():
        latest.update(tick.documents)
    own = paths.session(reducer.session)
    documents = {
        path: to_fields(document)
        for path, document in latest.items()
        if (path == own or path.startswith(own + "/")) and paths.kind_of(path).name not in OF_THE_MOMENT
    }
    for path in [path for path, fields in documents.items() if not _fits(path, fields)]:
        refused["invalid-document"] += 1
        log("ERROR", "a document of the archive does not fit its type and is left out", path=path)
        del documents[path]
    # Where the archive has but the state at the end, it has no series and no laps to compare with.
    topics -= set(getattr(source, "keyframes", ())) - AT_ONCE
    rejected = source.rejected + reducer.rejected + refused
    return Archived(reducer.session, documents, frozenset(topics), messages, reducer.clock), dict(rejected)


def _part_played(session: Any, clock: int) -> float:
    """How far into the session the feed's clock is; sessions overrun, so the last tenth is never reached."""
    start, end = getattr(session, "start_date", UNSET), getattr(session, "end_date", UNSET)
    if start is UNSET or end is UNSET or end <= start:
        return 0.0
    return min(0.9, max(0.0, (clock - millis(start)) / (millis(end) - millis(start)) * 0.9))


class _Run:
    """One run on one session."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        publisher: Publishing,
        session: str,
        stored_within_s: float | None,
        progress: Progress,
    ) -> None:
        """stored_within_s: None: what `publisher` has published is stored."""
        self.session = session
        self._settings = settings
        self._database = database
        self._publisher = publisher
        self._stored_within_s = stored_within_s
        self._progress = progress
        self._seq = 0
        self._published = 0

    def compare_only(self, source: Source, *, force: bool) -> Report:
        """What `correct` would change."""
        archived, rejected = play(source, self._settings.feed, lambda done: self._progress(done, "playing the archive"))
        self.session = archived.session
        stored = self._read_session()
        if not force:
            _check(archived, stored)
        return self._report(archived, stored, self._differences(archived, stored), rejected, epoch=0)

    def correct(self, job: Job, source: Source, *, force: bool, needs_laps: bool) -> Report:
        """Everything, from the archive to `final`."""

        def played(done: float) -> None:
            self._tell(job, 0.6 * done, "playing the archive")

        archived, rejected = play(source, self._settings.feed, played)
        if archived.session != self.session:
            raise Implausible(f"the archive of {self.session} is of session {archived.session}")
        found: list[Difference] = []
        for _ in range(ROUNDS):
            self._tell(job, 0.65, "comparing")
            stored = self._read_session()
            self._stay_ahead(job, stored)
            if not force:
                _check(archived, stored)
            left = self._differences(archived, stored)
            corrections = [difference for difference in left if difference.kind != "session"]
            known = {difference.path for difference in found}
            found += [difference for difference in left if difference.path not in known]
            report = self._report(archived, stored, found, rejected, job.epoch)
            if not corrections:
                break
            job.result = report.result
            self._tell(job, 0.7, f"correcting: {len(corrections)} documents differ", now=True)
            self._publish(job, archived, corrections)
        else:
            raise NotStored(f"what differs is changed again by others: {', '.join(d.path for d in corrections[:5])}")
        job.result = report.result
        final = not needs_laps or tells("lap", archived.topics)
        self._store_session(job, archived, stored, final=final)
        job.progress = 100
        report = msgspec.structs.replace(report, final=final or report.final, published=self._published)
        RETRIES(lambda: job.tell("done", report.line))
        self._progress(1.0, "done")
        return report

    def epoch(self, of_job: int) -> int:
        """The epoch to take: above every one under which anything of the session may have been published.

        of_job: of the last run. The feed's lease is raised to it if nobody holds it, so that a later holder of the
        same session begins above. Raises StillPolled.
        """
        session = self.session
        lease_path = paths.lease(self._settings.feed)
        lease = self._database.read([lease_path])[lease_path]
        fields = lease.fields or {}
        expires_at = fields.get("expiresAt")
        held = "holder" in fields and isinstance(expires_at, datetime) and expires_at > lease.read_at
        mine = fields.get("sessionKey") == session
        if held and mine:
            raise StillPolled(f"{fields['holder']} is still polling session {session}")
        # What every holder writes, and often; should anything else be of a higher one, `_stay_ahead` finds that.
        of_session = [paths.session(session), paths.live(session, "feed"), paths.live(session, "timing")]
        versions = self._database.read([*of_session, paths.checkpoint(session)], only=("v",)).values()
        epochs = [split_version(int((found.fields or {}).get("v", 0)))[0] for found in versions]
        epoch = max(*epochs, of_job, int(fields.get("epoch", 0)) if mine else 0) + 1
        if not held and int(fields.get("epoch", 0)) < epoch:
            raised = self._database.write(
                lease_path, {**fields, "epoch": epoch}, lease.updated, must_be_new=lease.fields is None
            )
            try:
                self._database.commit([raised])
            except Conflict:  # somebody is just taking it: a holder of another session
                log("INFO", "the lease was left as it is", feed=self._settings.feed, epoch=epoch)
        return epoch

    # -- inside ----------------------------------------------------------------------------

    def _differences(self, archived: Archived, stored: Mapping[str, Fields]) -> list[Difference]:
        return differences(archived, stored, live=paths.live(self.session, "feed") in stored)

    def _report(
        self,
        archived: Archived,
        stored: Mapping[str, Fields],
        found: list[Difference],
        rejected: dict[str, int],
        epoch: int,
    ) -> Report:
        session = archived.documents.get(paths.session(self.session), {})
        meeting = session.get("meeting", {}).get("name", "")
        deleted = sum(difference.fields is None for difference in found)
        known = stored.keys() | archived.documents.keys()
        return Report(
            session=self.session,
            name=" ".join(str(part) for part in (session.get("year", ""), meeting, session.get("name", "")) if part),
            epoch=epoch,
            final=stored.get(paths.session(self.session), {}).get("final") is True,
            published=self._published,
            rejected=rejected,
            result=Reconciled(
                messages=archived.messages,
                compared=sum(paths.kind_of(path).name not in OF_THE_MOMENT for path in known),
                written=len(found) - deleted,
                deleted=deleted,
                changes=summary(found),
            ),
        )

    def _tell(self, job: Job, done: float, what: str, *, now: bool = False) -> None:
        self._progress(done, what)
        job.progress = int(done * 100)
        if now:
            RETRIES(lambda: job.tell("running", what))
        else:
            job.at(job.progress, what)

    def _read_session(self) -> dict[str, Fields]:
        """Every stored document that is compared, and `live/feed`, by path. What does not fit its type is empty."""
        session = self.session
        singles = [paths.session(session), *(paths.live(session, name) for name in ("timing", "entries", "tyres"))]
        singles.append(paths.live(session, "feed"))
        read = RETRIES(lambda: self._database.read(singles))
        stored = {path: found.fields for path, found in read.items() if found.fields is not None}
        series = (paths.series_items(session, name) for name in (*SERIES, GAPS))
        for collection in (paths.drivers(session), paths.laps(session), *series):
            stored.update(RETRIES(partial(self._database.query, collection, limit=None)))
        return {
            path: fields if fits else {"v": fields.get("v")}
            for path, fields in stored.items()
            if (fits := _fits(path, fields)) is not None
        }

    def _stay_ahead(self, job: Job, stored: Mapping[str, Fields]) -> None:
        """Takes a higher epoch if anything is stored under one that is not below the job's."""
        highest = max((split_version(v)[0] for f in stored.values() if isinstance(v := f.get("v"), int)), default=0)
        if highest > job.epoch or (highest == job.epoch and not self._published):
            RETRIES(lambda: job.raise_epoch(highest + 1))
            self._seq = 0

    def _publish(self, job: Job, archived: Archived, found: list[Difference]) -> None:
        """Publishes what differs and returns once it is stored. Raises NotStored, JobLost, Unavailable."""
        self._seq += 1
        documents = [
            TickDocument(difference.path, msgspec.Raw(msgspec.json.encode(difference.fields)))
            for difference in found
            if difference.fields is not None
        ]
        deletes = [difference.path for difference in found if difference.fields is None]
        first = self._publisher.messages
        for data in encode(
            feed=self._settings.feed,
            session=self.session,
            epoch=job.epoch,
            seq=self._seq,
            at=archived.at,
            documents=documents,
            deletes=deletes,
            limit=self._settings.envelope_bytes,
        ):
            self._publisher.publish(self._settings.topic_timing, self.session, data)
        if self._stored_within_s is None:
            self._published += self._publisher.messages - first
            return
        ends = time.monotonic() + self._stored_within_s
        while not self._publisher.acknowledged(self._publisher.messages):
            if time.monotonic() >= ends:
                raise NotStored(f"Pub/Sub has not taken the corrections within {self._stored_within_s:.0f} s")
            self._publisher.wait(0.2)
        self._published += self._publisher.messages - first
        self._wait_until_stored(job, {document.path for document in documents}, set(deletes), ends)

    def _wait_until_stored(self, job: Job, written: set[str], deleted: set[str], ends: float) -> None:
        pause, longest = _LOOK_S
        total = len(written) + len(deleted)
        while True:
            for waited in (written, deleted):
                for some in _chunks(sorted(waited)):
                    found = RETRIES(partial(self._database.read, some, only=("v",)))
                    for path, stored in found.items():
                        v = stored.fields.get("v") if stored.fields is not None else None
                        newer = isinstance(v, int) and split_version(v) >= (job.epoch, self._seq)
                        if newer or (waited is deleted and stored.fields is None):
                            waited.discard(path)
            left = len(written) + len(deleted)
            if not left:
                return
            if time.monotonic() >= ends:
                raise NotStored(
                    f"the writer has not stored {left} of {total} documents within {self._stored_within_s:.0f} s, "
                    f"{next(iter(written | deleted))} among them: see its log and the dead-letter topic"
                )
            self._tell(
                job, 0.7 + 0.25 * (1 - left / total), f"waiting for the writer, {left} of {total} documents to go"
            )
            time.sleep(pause)
            pause = min(pause * 1.5, longest)

    def _store_session(self, job: Job, archived: Archived, stored: Mapping[str, Fields], *, final: bool) -> None:
        """Stores the session itself, corrected; nothing if it is that already. final: and final."""
        path = paths.session(self.session)
        before = own(stored[path]) if path in stored else None
        if path in archived.documents:
            wanted = corrected("session", before, archived.documents[path], archived.topics, live=False)
        elif before:
            wanted = before
        else:
            raise Implausible(f"neither the archive nor Firestore knows what session {self.session} is")
        if final:
            wanted = {**wanted, "final": True}
        if wanted != before:
            self._tell(job, 0.95, "making the session final" if final else "correcting the session")
            self._publish(job, archived, [Difference(path, "session", wanted, before)])


def _fits(path: str, fields: Fields) -> bool | None:
    """Whether a stored document is of the type of its path; None if no document of ours is stored there."""
    try:
        from_fields(path, fields)
    except InvalidDocument:
        return False
    except paths.UnknownPath:
        return None
    return True


def _check(archived: Archived, stored: Mapping[str, Fields]) -> None:
    """Raises Implausible if the archive would take away more than half of the laps."""
    known = sum(len(fields.get("drivers", ())) for path, fields in stored.items() if "/laps/" in path)
    told = sum(len(fields["drivers"]) for path, fields in archived.documents.items() if "/laps/" in path)
    if tells("lap", archived.topics) and known >= _PLAUSIBLE_FROM and told < known / 2:
        raise Implausible(f"the archive has {told} laps and {known} are stored: it is damaged or of something else")


def _chunks(all_paths: list[str]) -> list[list[str]]:
    return [all_paths[start : start + _READ_AT_ONCE] for start in range(0, len(all_paths), _READ_AT_ONCE)]
