"""One feed, polled invocation after invocation: what `collect` and `karts` run several of at a time.

An invocation is the poller's own; here is what comes between two of them, and how it is with the feed meanwhile.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, Literal

from pitwall.documents.encoding import instant, rfc3339
from pitwall.message import FeedStatus, Message
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.log import log
from pitwall.pipeline.poller import Poller, SourceError, open_source
from pitwall.pipeline.reader import Opened
from pitwall.settings import Settings

TICK_S: Final = 60.0
"""Seconds between two invocations that find nothing to do, as Cloud Scheduler's minute."""

AGAIN_S: Final = 1.0
"""Seconds after an invocation that left the feed to somebody: the next one stands by at once."""

STUCK_S: Final = 60.0
"""Seconds without a sign of life after which a loop counts as stuck: longer than Firestore is waited for."""

_AT_ONCE = frozenset({"handed-over", "stood-by", "lost"})
"""Outcomes after which somebody else holds the feed, or nobody."""

State = Literal["starting", "polling", "waiting", "stopped"]


class _Observed:
    """A source, and a note of all it yields."""

    def __init__(self, source: Any, note: Callable[[Message | FeedStatus], None]) -> None:
        self._source = source
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def messages(self, cursor: int = 0) -> Iterator[Message | FeedStatus]:
        for item in self._source.messages(cursor):
            self._note(item)
            yield item


class Collector:
    """One feed, polled until stopped. `run` it in a thread of its own; the rest may be called from any.

    tick_s: seconds between two invocations that find nothing to do. once: one invocation, and no more. until: monotonic
    instant by which the feed is handed over and no further invocation begins. wanted: as of a `Poller`.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        once: bool = False,
        tick_s: float = TICK_S,
        until: float = float("inf"),
        wanted: Callable[[], bool] = lambda: True,
        open_source: Callable[[Settings], Opened] = open_source,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.outcome = ""
        """What the last invocation did, as `poller.Summary` has it; "failed" too if it could not even begin."""
        self._database = database
        self._once = once
        self._tick_s = tick_s
        self._until = until
        self._wanted = wanted
        self._open_source = open_source
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._for_good = False
        self._poller: Poller | None = None
        self._state: State = "starting"
        self._rewindable = False
        self._alive_at = monotonic()
        self._failures = 0
        self._error = ""
        self._last: Message | None = None
        self._last_seen_ms = 0
        self._status: FeedStatus | None = None

    def run(self) -> None:
        """Invocation after invocation, until stopped; only one if that is wanted. Raises nothing."""
        first = self._monotonic()
        while not self._stopping.is_set() and self._left > self.settings.handover_s:
            self._poll()
            if self._once:
                break
            self._state = "waiting"
            self._stopping.wait(self._pause(first))
        self._state = "stopped"

    def stop(self, *, for_good: bool = False) -> None:
        """Has `run` return soon: a holder flushes, checkpoints and releases first. Safe in any thread.

        for_good: nobody is to go on, and a session that is being published has ended.
        """
        self._stopping.set()
        with self._lock:
            self._for_good |= for_good
            if self._poller is not None:
                self._poller.stop(for_good=self._for_good)

    @property
    def holding(self) -> bool:
        """Whether this process publishes the feed."""
        poller = self._poller
        return poller is not None and poller.holding

    @property
    def held_by_another(self) -> bool:
        """Whether another process did when this one last looked."""
        poller = self._poller
        return poller is not None and poller.held_by_another

    @property
    def failed(self) -> bool:
        """Whether the last invocation failed and nothing has come since."""
        return self._error != ""

    @property
    def stuck(self) -> bool:
        """Whether an invocation is under way that gives no sign of life."""
        return self._state == "polling" and self._monotonic() - self._alive_at > STUCK_S

    @property
    def ready(self) -> bool:
        """Whether it is doing its work: polling or waiting for the next session, and not stuck or failed."""
        return self._state in ("polling", "waiting") and not self.failed and not self.stuck

    def health(self) -> dict[str, Any]:
        """How it is, for a human or a probe.

        lagMs: how far the last message's instant lay behind the wall clock when it came, of a live feed only.
        messageAgeMs: how long ago that was. holding: whether this process publishes the feed.
        """
        last, status = self._last, self._status
        now_ms = int(time.time() * 1000)
        found: dict[str, Any] = {
            "feed": self.settings.feed,
            "source": self.settings.source.partition(":")[0],
            "state": "stuck" if self.stuck else self._state,
            "holding": self.holding,
            "outcome": self.outcome,
            "failures": self._failures,
        }
        if self._error:
            found["error"] = self._error
        if last is not None:
            found |= {"lastMessageAt": rfc3339(instant(last.at)), "messageAgeMs": now_ms - self._last_seen_ms}
            if not self._rewindable:
                found["lagMs"] = self._last_seen_ms - last.at
        if status is not None:
            found["connection"] = {"state": status.state, "detail": status.detail, "reconnects": status.reconnects}
        return found

    # -- one invocation --------------------------------------------------------------------

    @property
    def _left(self) -> float:
        """Seconds until this has to have ended."""
        return self._until - self._monotonic()

    def _poll(self) -> None:
        settings = replace(self.settings, invocation_s=min(self.settings.invocation_s, self._left))
        poller = Poller(settings, self._database, self._opened, self._turn, self._wanted)
        with self._lock:
            if self._stopping.is_set():
                return
            self._poller = poller
        self._state = "polling"
        began = self._turn()
        try:
            self.outcome = poller.run().outcome
        except SourceError as error:
            self._failed("the source cannot be opened", str(error), reason="bad-source")
        except Unavailable as error:
            self._failed("Firestore does not answer", str(error)[:300], reason="unavailable")
        except Exception as error:  # a mistake of ours must not end the collector: the next invocation may do better
            log("ERROR", "an invocation broke off", feed=self.settings.feed, detail=traceback.format_exc()[-3000:])
            self._failed("an invocation broke off", f"{type(error).__name__}: {error}"[:300], reason="bug")
        else:
            if self.outcome == "failed":
                self._failed("the source failed", "the line before says why", reason="source-failed")
            else:
                self._failures, self._error = 0, ""
            log("INFO", "polled", feed=self.settings.feed, outcome=self.outcome, **self._database.operations())
        finally:
            with self._lock:
                self._poller = None
        if self._failures and self._monotonic() - began > self._tick_s:
            self._failures = 1  # it went well for a while: no reason to wait long

    def _failed(self, what: str, detail: str, *, reason: str) -> None:
        self.outcome = "failed"
        self._failures += 1
        self._error = f"{what}: {detail}"
        log("ERROR", what, feed=self.settings.feed, reason=reason, detail=detail, failures=self._failures)

    def _pause(self, first: float) -> float:
        """Seconds until the next invocation: those with nothing to do come on a grid of ticks, as in the cloud."""
        if self.outcome in _AT_ONCE:
            return AGAIN_S
        since = self._monotonic() - first
        to_next_tick = self._tick_s - since % self._tick_s
        # Sooner after a failure, but a source that fails all night is asked once a minute.
        return min(to_next_tick, 2.0**self._failures) if 0 < self._failures < 10 else to_next_tick

    def _opened(self, settings: Settings) -> Opened:
        opened = self._open_source(settings)
        self._rewindable = opened.rewindable
        observed: Any = _Observed(opened.source, self._note)
        return opened._replace(source=observed)

    def _note(self, item: Message | FeedStatus) -> None:
        if isinstance(item, FeedStatus):
            self._status = item
            return
        self._last, self._last_seen_ms = item, int(time.time() * 1000)
        self._error = ""

    def _turn(self) -> float:
        """The clock an invocation goes by. It asks at every turn of its loops: that is its sign of life."""
        self._alive_at = self._monotonic()
        return self._alive_at
