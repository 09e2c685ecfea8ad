"""`leases/{feedId}`: which poller instance may publish a feed, and who follows it.

    holder      instance that publishes; absent: none
    epoch       grows by one with every holder; part of every `v` it publishes
    expiresAt   without a renewal the lease ends here
    handoverAt  when the holder means to hand over to the successor
    successor   instance that stands by: {id, seenAt, ready}. While it is ready and was seen within a time to live, a
                lease that is free is its own: who only just came has kept nothing of a live feed
    sessionKey  session being published: names the checkpoint
    source      what is being read, as configured
    finished    the source has been played to its end; nothing is to be done until another is configured

All instants are Firestore's own: a document's read time is taken as "now", never an instance's wall clock, so skew
between instances does not matter. An instance counts its own time on its monotonic clock from before it asked.

Changes depend on the update time that was read instead of being transactions: a transaction holds a lock, and a
holder killed in the middle of a renewal would keep its successor waiting until Firestore drops that lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pitwall.documents import paths
from pitwall.pipeline.database import Conflict, Database, Stored, Unavailable

ATTEMPTS = 5
"""Changes of the document that are tried when somebody else changes it in between."""

FENCE = 0.9
"""Part of its time to live after which a holder without a renewal stops; for others the lease ends with the whole."""


class LeaseLost(Exception):
    """Somebody else may publish; this instance must not."""


class Held(NamedTuple):
    """A lease as it was acquired: what there is to go on from."""

    epoch: int
    session_key: str
    source: str


class View(NamedTuple):
    """What a standby sees.

    free: nobody holds it. finished: source that has been played to its end, "" if none.
    handover_in_s: seconds until the holder means to hand over, negative when that is past.
    """

    free: bool
    holder: str
    epoch: int
    finished: str
    handover_in_s: float


class Lease:
    """One instance's part in the lease of one feed. Safe to use from two threads, one of which renews."""

    def __init__(
        self,
        database: Database,
        feed: str,
        instance: str,
        *,
        ttl_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._path = paths.lease(feed)
        self._instance = instance
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._fence = float("-inf")
        self._epoch = 0
        self.successor_ready = False
        """Whether, at the last renewal, another instance stood by to take over."""

    @property
    def held(self) -> bool:
        """Whether this instance may publish now. False from shortly before the lease ends, whatever Firestore says."""
        return self._monotonic() < self._fence

    def view(self) -> View:
        """Reads the lease, one document. Raises Unavailable."""
        fields, now = self._now(self._read())
        return View(
            free=self._free(fields, now),
            holder=str(fields.get("holder", "")),
            epoch=int(fields.get("epoch", 0)),
            finished=str(fields.get("source", "")) if fields.get("finished") else "",
            handover_in_s=_seconds(fields.get("handoverAt"), now),
        )

    def acquire(self, source: str, lifetime_s: float) -> Held | None:
        """Becomes the holder, of a new epoch, if nobody is; None if somebody is, or another one stands by for it.

        source: what this instance will read. lifetime_s: seconds until it means to hand over.
        Raises Unavailable.
        """

        def take(fields: dict[str, Any], now: datetime) -> dict[str, Any] | None:
            if not self._free(fields, now) or self._is_anothers_turn(fields, now):
                return None
            taken = {
                **fields,
                "holder": self._instance,
                "epoch": int(fields.get("epoch", 0)) + 1,
                "expiresAt": now + timedelta(seconds=self._ttl_s),
                "handoverAt": now + timedelta(seconds=lifetime_s),
                "source": source,
                "finished": False,
            }
            taken.pop("successor", None)
            if fields.get("source") != source:
                taken.pop("sessionKey", None)
            return taken

        asked = self._monotonic()
        taken = self._change(take)
        if taken is None:
            return None
        self._epoch = taken["epoch"]
        self.successor_ready = False
        self._fence = asked + self._ttl_s * FENCE
        return Held(self._epoch, str(taken.get("sessionKey", "")), source)

    def renew(self, session_key: str) -> None:
        """Holds on for another time to live. Raises LeaseLost if it is somebody else's, Unavailable."""

        def prolong(fields: dict[str, Any], now: datetime) -> dict[str, Any]:
            self._check_mine(fields)
            self.successor_ready = _standing_by(fields, now, self._ttl_s)
            return {**fields, "expiresAt": now + timedelta(seconds=self._ttl_s), "sessionKey": session_key}

        asked = self._monotonic()
        self._change(prolong)
        self._fence = asked + self._ttl_s * FENCE

    def stand_by(self, *, ready: bool) -> None:
        """Announces this instance as successor, unless another one stands by. Raises Unavailable.

        ready: it could take over at once. For a live feed: it is connected and buffers.
        """

        def announce(fields: dict[str, Any], now: datetime) -> dict[str, Any] | None:
            if self._free(fields, now) or self._is_anothers_turn(fields, now, ready_only=False):
                return None
            return {**fields, "successor": {"id": self._instance, "seenAt": now, "ready": ready}}

        self._change(announce)

    def stand_down(self) -> None:
        """Takes the announcement back, so that nobody waits for this instance. Raises Unavailable."""

        def withdraw(fields: dict[str, Any], _: datetime) -> dict[str, Any] | None:
            if fields.get("successor", {}).get("id") != self._instance:
                return None
            return {key: value for key, value in fields.items() if key != "successor"}

        self._change(withdraw)

    def release(self, session_key: str, *, finished: bool = False) -> None:
        """Lets go, so that a successor need not wait. Raises LeaseLost if it is already somebody else's, Unavailable.

        finished: the source has come to its end.
        """

        def let_go(fields: dict[str, Any], _: datetime) -> dict[str, Any]:
            self._check_mine(fields)
            kept = {key: value for key, value in fields.items() if key not in ("holder", "expiresAt", "handoverAt")}
            return {**kept, "sessionKey": session_key, "finished": finished}

        self._fence = float("-inf")
        self._change(let_go)

    def again(self) -> None:
        """Has a source that was played to its end played once more, under a new epoch. Raises Unavailable."""

        def forget(fields: dict[str, Any], now: datetime) -> dict[str, Any] | None:
            if not fields.get("finished") or not self._free(fields, now):
                return None
            return {key: value for key, value in fields.items() if key not in ("finished", "sessionKey", "source")}

        self._change(forget)

    def lose(self) -> None:
        """Stops holding without telling anybody: the lease ends by itself."""
        self._fence = float("-inf")

    def _check_mine(self, fields: dict[str, Any]) -> None:
        if fields.get("holder") != self._instance or fields.get("epoch") != self._epoch:
            self._fence = float("-inf")
            raise LeaseLost(f"{self._path} is held by {fields.get('holder')} in epoch {fields.get('epoch')}")

    def _free(self, fields: dict[str, Any], now: datetime) -> bool:
        expires = fields.get("expiresAt")
        return (
            "holder" not in fields
            or fields["holder"] == self._instance
            or not isinstance(expires, datetime)
            or expires <= now
        )

    def _is_anothers_turn(self, fields: dict[str, Any], now: datetime, *, ready_only: bool = True) -> bool:
        """Whether another instance stands by."""
        successor = fields.get("successor", {})
        return successor.get("id") != self._instance and _standing_by(fields, now, self._ttl_s, ready_only=ready_only)

    def _read(self) -> Stored:
        return self._database.read([self._path])[self._path]

    def _now(self, stored: Stored) -> tuple[dict[str, Any], datetime]:
        return stored.fields or {}, stored.read_at

    def _change(self, change: Callable[[dict[str, Any], datetime], dict[str, Any] | None]) -> dict[str, Any] | None:
        """Reads, and writes what `change` makes of it if nobody has written in between; else again.

        Returns what was written, None if `change` wants nothing written.
        """
        for _ in range(ATTEMPTS):
            stored = self._read()
            changed = change(*self._now(stored))
            if changed is None:
                return None
            write = self._database.write(self._path, changed, stored.updated, must_be_new=stored.fields is None)
            try:
                self._database.commit([write])
            except Conflict:
                continue
            return changed
        raise Unavailable(f"{self._path} was changed by others {ATTEMPTS} times in a row")


def _seconds(until: Any, now: datetime) -> float:
    """Seconds from `now` until an instant of the document; for ever if there is none."""
    return (until - now).total_seconds() if isinstance(until, datetime) else float("inf")


def _standing_by(fields: dict[str, Any], now: datetime, ttl_s: float, *, ready_only: bool = True) -> bool:
    """Whether a successor has shown itself lately."""
    successor = fields.get("successor")
    if not isinstance(successor, dict) or (ready_only and not successor.get("ready")):
        return False
    return _seconds(successor.get("seenAt"), now) > -ttl_s
