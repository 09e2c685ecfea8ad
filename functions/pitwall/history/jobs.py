"""Subscriber of `jobs`: works on one job at a time, tells how far it is, and goes on where it was left.

A push may take ten minutes and a job hours, so an invocation ends in good time: it queues the job's next turn, as a
message like the one it was called by, and what is stored is where that goes on. Every message is answered by what the
job's document says, so one that comes twice, late or to two instances at once does no harm:

- an earlier turn's is old; if the next turn is still queued, its own message may never have been published, so it is;
- one of a job that somebody is at comes again later, as that may be killed, and this one's redelivery is then what
  takes the job up;
- one of a job that has ended was worked on.

What fails by itself is tried again, and a job that comes no further for `ATTEMPTS` turns and attempts in a row has
failed. What the work is, is the business of each kind (`work`).
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from flask import Request, Response
from google.api_core.exceptions import ServerError, TooManyRequests
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from pitwall.documents import paths
from pitwall.documents.encoding import without_nulls
from pitwall.documents.job import ENDED, JobState
from pitwall.history.job import STALE_S, Job, JobCancelled, JobLost, JobRunning, is_at_work, last_epoch, silent
from pitwall.history.queue import NotQueued, Queue, Turn, UnreadableTurn, turn_of
from pitwall.history.work import WORK, BadRequest, Stopped, work_of
from pitwall.pipeline import metrics, push
from pitwall.pipeline.database import Conflict, Database, InvalidWrite, Unavailable
from pitwall.pipeline.deadletter import DeadLetters, NotPutAway
from pitwall.pipeline.invocation import configured
from pitwall.pipeline.log import about, follow, log
from pitwall.pipeline.shutdown import is_stopping
from pitwall.settings import Settings, dead_letter

ATTEMPTS: Final = 20
"""Turns and attempts in a row without a further per cent, after which a job has failed: two to three hours."""

PASSING: Final = (OSError, Unavailable, Conflict, ServerError, TooManyRequests)
"""What passes by itself, of the servers and stores that a work asks."""

UNSTORABLE: Final = (InvalidWrite, ValueError, TypeError, OverflowError)
"""What is raised for a document that Firestore will never take."""

RETRIES: Final = Retrying(
    retry=retry_if_exception_type(Unavailable), stop=stop_after_attempt(4), wait=wait_exponential(0.5), reraise=True
)
"""Of the last word of a job: without it the work would be called once more, to find nothing left to do."""

Fields = Mapping[str, Any]


class OutOfTime(Stopped):
    """This invocation has to end; the next one goes on."""


class Later(Exception):
    """The message is to be delivered again; the text says why."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class AtWork(Later):
    """Somebody else is at the job, which is no failure of anybody."""

    status = HTTPStatus.CONFLICT


class Jobs:
    """One instance of the function `jobs`.

    attempts: as ATTEMPTS. stale_s: seconds without a word after which whoever was at a job counts as killed.
    seconds: a clock that only grows.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        queue: Queue,
        dead_letters: DeadLetters,
        *,
        attempts: int = ATTEMPTS,
        stale_s: float = STALE_S,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._queue = queue
        self._dead_letters = dead_letters
        self._attempts = attempts
        self._stale_s = stale_s
        self._seconds = seconds

    def handle(self, body: bytes) -> Response:
        """The answer to a push request with this body: 204, 400 if it is no push, else 409 or 503 to have it again."""
        try:
            return push.receive(body, self._deliver, again=(Unavailable, NotPutAway, NotQueued))
        except Later as later:
            log("INFO", "to be delivered again", detail=str(later)[:500])
            return push.problem(later.status, "try-again", str(later))

    def _deliver(self, delivered: push.Push) -> None:
        try:
            turn = turn_of(delivered.data)
            if turn.kind not in WORK:
                self._put_away(delivered, "unknown-kind", f"there is no job of kind {turn.kind}")
                return
            with about(job=paths.job(turn.kind, turn.key), kind=turn.kind, **_where(turn.request)):
                self._take(turn)
        except UnreadableTurn as error:
            self._put_away(delivered, "unreadable-job", str(error))

    def _put_away(self, delivered: push.Push, reason: str, detail: str) -> None:
        log("ERROR", "asks for no job", messageId=delivered.id, reason=reason, detail=detail[:500])
        self._dead_letters.put(delivered.data, reason, detail, messageId=delivered.id)

    def _take(self, turn: Turn) -> None:
        """Works on a turn, if that is what the job is waiting for.

        Raises UnreadableTurn for a request that cannot be stored, Later, NotQueued, Unavailable.
        """
        path = paths.job(turn.kind, turn.key)
        before = self._database.read([path])[path]
        fields: Fields = before.fields or {}
        state, at_turn = fields.get("state"), fields.get("turn", 0)
        if turn.turn < at_turn:
            if state == "queued":
                self._queue.put(Turn(kind=turn.kind, key=turn.key, request=fields.get("request", {}), turn=at_turn))
            log("INFO", "a message of an earlier turn", turn=turn.turn, now=at_turn, state=state)
            return
        if turn.turn == at_turn and state in ENDED:
            log("INFO", "a message of a job that has ended", turn=turn.turn, state=state)
            return
        if is_at_work(before, self._stale_s):
            raise AtWork(f"{path} is at work: its last word is {silent(before):.0f} s old")
        job = Job(self._database, path, turn.kind, last_epoch(fields) + 1, before)
        goes_on = turn.turn == at_turn
        job.turn = turn.turn
        job.request = turn.request if not goes_on or job.request is None else job.request
        job.progress = fields.get("progress", 0) if goes_on else 0
        killed = state == "running"
        job.stalled = (fields.get("stalled", 0) if goes_on else 0) + killed
        try:
            job.begin("goes on" if job.progress or killed else "begins")
        except JobRunning as error:
            raise AtWork(str(error)) from None
        except UNSTORABLE as error:
            raise UnreadableTurn(f"its request cannot be stored: {error}") from None
        if goes_on and fields.get("cancel") is True:
            self._end(job, "cancelled", "it was cancelled while nobody was at it")
        elif job.stalled >= self._attempts:
            self._give_up(job, "whoever was at it was killed")
        else:
            self._work(turn, job)

    def _work(self, turn: Turn, job: Job) -> None:
        ends = self._seconds() + self._settings.job_s
        furthest = job.progress

        def progress(done: float, what: str) -> None:
            percent = min(max(int(done * 100), job.progress), 99)
            if percent > furthest:
                job.stalled = 0
            job.at(percent, what)
            if self._seconds() >= ends:
                raise OutOfTime("its time is over")
            if is_stopping():
                raise OutOfTime("this instance is told to stop")

        log("INFO", "works on a job", turn=turn.turn, progress=job.progress, request=job.request)
        began = self._seconds()
        try:
            result = work_of(turn.kind)(self._settings, self._database, job.request or {}, progress)
        except JobCancelled:
            self._end(job, "cancelled", "it was cancelled while at work")
        except JobLost as lost:
            # Whoever has it now may have it by a copy of this very message.
            raise AtWork(str(lost)) from None
        except OutOfTime as over:
            self._go_on(turn, job, furthest, str(over))
        except BadRequest as error:
            self._end(job, "failed", "", str(error))
        except PASSING as error:
            self._try_again(job, furthest, f"{type(error).__name__}: {error}")
        except Exception as error:
            log("ERROR", "".join(traceback.format_exception(error)))
            self._end(job, "failed", "", f"{type(error).__name__}: {error}")
        else:
            job.progress, job.result = 100, without_nulls(result)
            self._end(job, "done", "done")
        finally:
            log("INFO", "worked on a job", seconds=round(self._seconds() - began, 1), **self._database.operations())

    def _go_on(self, turn: Turn, job: Job, furthest: int, why: str) -> None:
        """Queues the next turn. Raises JobLost as Later, NotQueued, Unavailable."""
        if self._stalls(job, furthest):
            self._give_up(job, why)
            return
        job.turn += 1
        if self._is_queued(job, f"{why}: the next turn goes on"):
            self._queue.put(Turn(kind=turn.kind, key=turn.key, request=dict(job.request or {}), turn=job.turn))
            log("INFO", "queued the next turn", turn=job.turn, progress=job.progress, detail=why)

    def _try_again(self, job: Job, furthest: int, why: str) -> None:
        """Leaves the job queued for the same message. Raises Later, but for a job that is given up; Unavailable."""
        log("WARNING", "failed by what passes by itself", detail=why[:500], stalled=job.stalled)
        if self._stalls(job, furthest):
            self._give_up(job, why)
            return
        if self._is_queued(job, f"to be tried again: {why}"):
            raise Later(why)

    def _is_queued(self, job: Job, message: str) -> bool:
        """Tells that the job waits once more; False if it was cancelled instead. Raises AtWork, Unavailable."""
        try:
            job.tell("queued", message)
        except JobCancelled:
            self._end(job, "cancelled", "it was cancelled while at work")
            return False
        except JobLost as lost:
            raise AtWork(str(lost)) from None
        return True

    def _stalls(self, job: Job, furthest: int) -> bool:
        """Counts a turn or an attempt that came no further; whether there were too many in a row."""
        job.stalled = 0 if job.progress > furthest else job.stalled + 1
        return job.stalled >= self._attempts

    def _give_up(self, job: Job, why: str) -> None:
        self._end(job, "failed", "", f"given up after {job.stalled} attempts that came no further: {why}")

    def _end(self, job: Job, state: JobState, message: str, error: str = "") -> None:
        """Tells how the job ended. Raises JobLost as Later, Unavailable."""
        try:
            try:
                RETRIES(lambda: job.tell(state, message, error))
            except UNSTORABLE as refused:
                job.result = None
                state, error = "failed", f"what came of it cannot be stored: {refused}"
                RETRIES(lambda: job.tell("failed", "", error))
        except JobLost as lost:
            raise AtWork(str(lost)) from None
        log("ERROR" if state == "failed" else "INFO", f"the job is {state}", detail=(error or message)[:500])


def _where(request: Fields) -> dict[str, Any]:
    """What the lines of a job's log carry of its request: year, round and session, where it names them."""
    named = {"year": request.get("season", request.get("year"))}
    named |= {name: request.get(name) for name in ("round", "session")}
    return {name: value for name, value in named.items() if isinstance(value, str | int)}


@cache
def _jobs() -> Jobs:
    settings = configured()
    dead_letters = DeadLetters(settings.project, dead_letter(settings.topic_jobs))
    return Jobs(settings, Database(settings.project), Queue(settings), dead_letters)


def run(request: Request) -> Response:
    """Entry point: one push request of the subscription `jobs-worker`."""
    follow(request.headers, configured().project)
    try:
        return _jobs().handle(request.get_data())
    finally:
        metrics.flush()
