"""Writes a document only over a lower `v`, whoever else writes at the same time.

The steady state reads nothing: this instance remembers version and update time of what it stored and
makes its next write depend on that update time (or on the document not existing). Only when somebody else has written
in between are the versions read, what is stale dropped and the rest tried again. So a cold instance, a redelivery and a
slow twin are all the same case: a commit whose precondition does not hold.

A delete has a version as well, and is remembered like a write: what is older and comes later does not bring the
document back. Only this instance remembers it, as nothing is left in Firestore; for what comes to another one
much later see `writer`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pitwall.pipeline.database import Conflict, Database, InvalidWrite, Unavailable

ATTEMPTS = 6
"""Commits of one call before it gives up, each after the versions were read anew."""

CACHE_SIZE = 20_000
"""Documents an instance remembers: about ten race weekends' worth."""


class Versioned(NamedTuple):
    """A whole document to be stored. `fields` without `v`."""

    path: str
    fields: dict[str, Any]
    v: int


class Deletion(NamedTuple):
    """A document that is not to be there any more, unless what is stored is as new as `v`."""

    path: str
    v: int


@dataclass(slots=True)
class Outcome:
    """What became of the documents of one call. `refused`: path and reason of what can never be stored.

    stale: also deletions of what was not there.
    """

    written: int = 0
    deleted: int = 0
    stale: int = 0
    reads: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


class _Known(NamedTuple):
    """The version stored at a path and its update time; None if that version deleted it."""

    v: int
    updated: Any


class _Item(NamedTuple):
    """What is to be done at a path."""

    v: int
    write: Any
    deletes: bool


class VersionedStore:
    """Documents with a version in a database. Safe to use from several threads, instances and processes at once."""

    def __init__(self, database: Database, cache_size: int = CACHE_SIZE) -> None:
        self._database = database
        self._cache_size = cache_size
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def write(self, documents: Sequence[Versioned], deletions: Sequence[Deletion] = ()) -> Outcome:
        """Stores what is newer than what is stored and deletes what is older than its deletion, all in one commit.

        Raises Unavailable when that could not be settled; calling again with the same documents is then right.
        """
        outcome = Outcome()
        newest: dict[str, _Item] = {}
        for path, fields, v in documents:
            if path in newest and newest[path].v >= v:
                outcome.stale += 1
                continue
            outcome.stale += path in newest
            try:
                newest[path] = _Item(v, self._database.write(path, {**fields, "v": v}), False)
            except (TypeError, ValueError, OverflowError) as error:
                outcome.refused.append((path, f"cannot be encoded: {error}"))
        for path, v in deletions:
            if path in newest and newest[path].v >= v:
                outcome.stale += 1
                continue
            outcome.stale += path in newest
            newest[path] = _Item(v, self._database.delete(path), True)
        self._settle(newest, outcome)
        return outcome

    def version_of(self, path: str) -> int | None:
        """The version stored at a path now, not as remembered; None if there is no document. Raises Unavailable."""
        fields = self._database.read([path], only=("v",))[path].fields
        return None if fields is None else _version(fields)

    def _settle(self, waiting: dict[str, _Item], outcome: Outcome) -> None:
        known = self._recall(waiting)
        unseen = {path: item for path, item in waiting.items() if item.deletes and not _there(known.get(path))}
        if unseen:
            self._look_up(unseen, outcome)
        for _ in range(ATTEMPTS):
            known = self._recall(waiting)
            gone = [path for path, item in waiting.items() if item.deletes and not _there(known.get(path))]
            self._remember({path: _Known(waiting[path].v, None) for path in gone})
            fresh = {
                path: item
                for path, item in waiting.items()
                if path not in gone and (path not in known or known[path].v < item.v)
            }
            outcome.stale += len(waiting) - len(fresh)
            if not fresh:
                return
            for path, item in fresh.items():
                expected = known.get(path)
                there = _there(expected)
                self._database.expect(item.write, expected.updated if expected else None, must_be_new=not there)
            waiting = fresh
            try:
                updated = self._database.commit([item.write for item in fresh.values()])
            except Conflict:
                self._look_up(fresh, outcome)
            except InvalidWrite as error:
                if len(fresh) == 1:
                    outcome.refused.append((next(iter(fresh)), str(error)))
                else:
                    for path, item in fresh.items():
                        self._settle({path: item}, outcome)
                return
            else:
                self._remember(
                    {
                        path: _Known(item.v, None if item.deletes else at)
                        for (path, item), at in zip(fresh.items(), updated, strict=True)
                    }
                )
                deleted = sum(item.deletes for item in fresh.values())
                outcome.deleted += deleted
                outcome.written += len(fresh) - deleted
                return
        raise Unavailable(f"{ATTEMPTS} commits in a row found that somebody else had written: {', '.join(waiting)}")

    def _recall(self, paths: dict[str, Any]) -> dict[str, _Known]:
        with self._lock:
            found = {path: self._known[path] for path in paths if path in self._known}
            for path in found:
                self._known.move_to_end(path)
        return found

    def _remember(self, known: dict[str, _Known]) -> None:
        with self._lock:
            for path, now in known.items():
                before = self._known.get(path)
                if before is None or before.v <= now.v:
                    self._known[path] = now
                    self._known.move_to_end(path)
            while len(self._known) > self._cache_size:
                self._known.popitem(last=False)

    def _look_up(self, paths: dict[str, Any], outcome: Outcome) -> None:
        found = self._database.read(paths, only=("v",))
        outcome.reads += len(found)
        with self._lock:
            for path, stored in found.items():
                # A document that is not there leaves the memory of its deletion in force.
                if stored.fields is not None or _there(self._known.get(path)):
                    self._known.pop(path, None)
        self._remember(
            {
                path: _Known(_version(stored.fields), stored.updated)
                for path, stored in found.items()
                if stored.fields is not None
            }
        )


def _there(known: _Known | None) -> bool:
    """Whether a document is known to be stored."""
    return known is not None and known.updated is not None


def _version(fields: dict[str, Any]) -> int:
    """The version in a stored document; one without any is older than all."""
    v = fields.get("v")
    return v if isinstance(v, int) else -1
