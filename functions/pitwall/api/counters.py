"""How much each client has asked of all instances together: what the library of rate limits counts with, on Firestore.

An instance counts by itself, so no request waits for Firestore. What it has counted it adds to a document of the
client and the minute, in the background: at most once a second, and only once a twentieth of the limit has come
together; the sum that comes back is what the others have counted too. So of a client that stays far below its limit
nothing is ever stored, and one that reaches it costs some twenty writes a minute. While Firestore does not answer,
each instance goes by what it knows.

A client that spreads its requests over n instances gets through at most its limit, n - 1 twentieths of it more, and
what comes within the second until the instances have heard of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from threading import Event, Lock, Thread

from cachetools import LRUCache
from limits.storage import Storage

from pitwall.documents import paths
from pitwall.pipeline.database import Database, Unavailable
from pitwall.pipeline.log import log

PAUSE_S = 1.0
"""Seconds between two commits of an instance."""

SHARE = 20
"""An instance keeps less than this part of a limit to itself."""

MOST_CLIENTS = 20_000
MOST_WRITES = 400


@dataclass(slots=True)
class _Counted:
    """What is known of one client in one window. here: not added to Firestore yet; sum: all that was, of everybody."""

    window: int
    ends: float
    here: int = 0
    sum: int = 0


class SharedCounters(Storage):
    """Counts in fixed windows of one length, in step on all instances.

    limit: what a client may count up to. secret: what the clients' names are hashed with, the same on all instances.
    now: seconds since the epoch.
    """

    STORAGE_SCHEME = None

    def __init__(
        self, database: Callable[[], Database], limit: int, secret: str, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self._database = database
        self._step = max(1, limit // SHARE)
        self._secret = blake2b(secret.encode(), digest_size=32).digest()
        self._now = now
        self._lock = Lock()
        self._counted: LRUCache[str, _Counted] = LRUCache(MOST_CLIENTS)
        self._due = Event()
        self._thread: Thread | None = None
        self._alone = False

    @property
    def base_exceptions(self) -> type[Exception]:
        return Unavailable

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Counts, and gives what has come together in the window. key: of limit and client. expiry: its length in s."""
        with self._lock:
            now = self._now()
            window = int(now // expiry)
            counted = self._counted.get(key)
            if counted is None or counted.ends <= now:
                counted = self._counted[key] = _Counted(window, (window + 1) * expiry)
            counted.here += amount
            total = counted.sum + counted.here
            if counted.here >= self._step and not self._due.is_set():
                self._due.set()
                self._begin()
        return total

    def get(self, key: str) -> int:
        with self._lock:
            counted = self._counted.get(key)
            return counted.sum + counted.here if counted and counted.ends > self._now() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since the epoch; now, if nothing was counted in it."""
        with self._lock:
            counted = self._counted.get(key)
            return max(counted.ends if counted else 0.0, self._now())

    def check(self) -> bool:
        """Whether Firestore answered when it was last asked."""
        return not self._alone

    def reset(self) -> int | None:
        """Forgets what this instance knows; what Firestore has stays."""
        with self._lock:
            number = len(self._counted)
            self._counted.clear()
        return number

    def clear(self, key: str) -> None:
        with self._lock:
            self._counted.pop(key, None)

    def share(self) -> int:
        """Adds what has come together here to Firestore's sums, and learns them. Returns how many documents."""
        with self._lock:
            now = self._now()
            due = [
                (key, counted, counted.here)
                for key, counted in self._counted.items()
                if counted.here >= self._step and counted.ends > now
            ][:MOST_WRITES]
        if not due:
            return 0
        database = self._database()
        writes = [
            database.add(
                paths.rate_limit(self._name(key, counted.window)),
                "count",
                here,
                {"expiresAt": datetime.fromtimestamp(counted.ends, UTC)},
            )
            for key, counted, here in due
        ]
        sums = database.commit_sums(writes)
        with self._lock:
            for (_, counted, here), total in zip(due, sums, strict=True):
                counted.here -= here
                counted.sum = total
        return len(due)

    def _name(self, key: str, window: int) -> str:
        """Names client and window, and tells neither: an address is personal."""
        return blake2b(f"{key}/{window}".encode(), key=self._secret, digest_size=16).hexdigest()

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = Thread(target=self._share_what_is_due, name="rate-limits", daemon=True)
            self._thread.start()

    def _share_what_is_due(self) -> None:
        while self._due.wait():
            self._due.clear()
            try:
                self.share()
                self._alone = False
            except Exception as error:  # whatever it is: the next try may do better, and nobody else shares
                if not self._alone:
                    reason = f"{type(error).__name__}: {error}"[:300]
                    log("WARNING", "rate limits are not shared between instances for now", reason=reason)
                self._alone = True
            time.sleep(PAUSE_S)
