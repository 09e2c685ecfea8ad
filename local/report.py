"""The report of a replay: one JSON object, from what the functions logged and what was seen from outside."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from local import cost
from local.cost import Watched
from local.probe import Tap, Watch, latencies
from local.stack import Stack

_WATCHED = ("session", "timing", "entries", "tyres", "feed", "raceControl")
"""Kinds of document a viewer of the tower listens to: what `local.tower` shows."""

_SAMPLES = ("positions", "telemetry")


def percentile(values: Iterable[int], share: float) -> int | None:
    """The value below which `share` of the values lie (nearest rank); None without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


def _percentiles(values: Iterable[int]) -> dict[str, int | None]:
    known = list(values)
    return {f"p{p}": percentile(known, p / 100) for p in (50, 95, 99)}


class Tally:
    """Sums up the functions' structured logs as they grow; of a stack with one feed."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._pollers = tuple(stack.pollers)
        self._offsets: dict[str, int] = {}
        self.stored: set[tuple[int, int]] = set()
        """Version and part of each message the writer has stored."""
        self.recorded: set[str] = set()
        """Objects the recorder has stored."""
        self.firestore: Counter[str] = Counter()
        self.delivered = 0
        self.held: dict[str, Any] = {}
        """The last summary of the last holder."""
        self.outcome = ""
        """How the last holder let go; empty while it holds."""
        self.session_over = False
        """Whether a holder has said that the live feed's session is over."""
        self.problems: Counter[str] = Counter()

    def forget_warm_up(self) -> None:
        """Leaves aside what has been logged so far: the stack's own first requests, which are no pushes."""
        self.read()
        self.firestore.clear()
        self.problems.clear()

    def read(self) -> None:
        """Takes in what has been logged since the last call."""
        for process in (*self._pollers, "writer", "recorder"):
            for entry, end in self._stack.log_lines(process, self._offsets.get(process, 0)):
                self._offsets[process] = end
                self._take(process, entry)

    def _take(self, process: str, entry: Mapping[str, Any]) -> None:
        message = entry.get("message")
        if entry.get("severity") in ("WARNING", "ERROR", "CRITICAL"):
            self.problems[f"{process.partition('-')[0]}: {entry.get('reason') or message}"] += 1
        for name, key in (("writes", "firestoreWrites"), ("reads", "firestoreReads"), ("deletes", "firestoreDeletes")):
            if isinstance(entry.get(key), int):
                self.firestore[name] += entry[key]
        if process == "writer" and message == "stored":
            self.delivered += 1
            self.stored.add((entry["v"], entry["part"]))
        elif process == "recorder" and "object" in entry:
            self.delivered += 1
            self.recorded.add(entry["object"])
        elif process in self._pollers and message == "the session is over":
            self.session_over = True
        elif process in self._pollers and "messages" in entry and entry.get("epoch", -1) >= self.held.get("epoch", 0):
            # Each poller has a log of its own, so what an earlier holder said may be read after a later one's words.
            self.held = dict(entry)
            self.outcome = str(entry.get("outcome")) if message == "let go" else ""


def report(tally: Tally, tap: Tap, watch: Watch, per_driver: cost.Design, duration_s: float) -> dict[str, Any]:
    """What a replay did, as the contract lists it."""
    late = latencies(tap.arrivals, watch.towers)
    writes = tally.firestore["writes"]
    samples = sum(tap.documents[kind] for kind in _SAMPLES)
    messages = int(tally.held.get("messages", 0))
    instants = [tap.tower_instants[v] for v in sorted(tap.tower_instants)]
    towers = tap.documents["timing"]
    ours = cost.design(
        writes=writes,
        reads=tally.firestore["reads"],
        deletes=tally.firestore["deletes"],
        watched=[Watched(tap.documents[kind], tap.sizes[kind]) for kind in _WATCHED],
        pubsub_bytes=tap.charged_bytes,
    )
    compared = per_driver.viewers_usd + per_driver.backend_usd
    return {
        "messages": messages,
        "published": tap.messages,
        "delivered": len(tally.stored) + len(tally.recorded),
        "deliveries": tally.delivered,
        "firestore": {name: tally.firestore[name] for name in ("writes", "reads", "deletes")},
        "pubsub": {"messages": tap.messages, "bytes": tap.bytes},
        "latencyMs": _percentiles(one.total for one in late),
        "latencyPartsMs": {
            "tick": _percentiles(one.tick for one in late),
            "deliver": _percentiles(one.deliver for one in late),
            "listen": _percentiles(one.listen for one in late),
        },
        "tower": {
            "updates": towers,
            "meanBytes": round(tap.sizes["timing"] / towers) if towers else 0,
            "maxBytes": tap.tower_max,
            "intervalMs": {
                f"p{p}": percentile([b - a for a, b in itertools.pairwise(instants)], p / 100) for p in (50, 95)
            },
        },
        "cost": {
            "viewers": cost.VIEWERS,
            "pitwall": ours.report(),
            "documentPerDriver": per_driver.report(),
            "ratio": round((ours.viewers_usd + ours.backend_usd) / compared, 4) if compared else None,
        },
        "rejected": dict(tally.held.get("rejected", {})),
        "durationS": round(duration_s, 1),
        "documents": dict(sorted(tap.documents.items())),
        "writesPerMessage": round((tap.documents.total() - samples) / messages, 4) if messages else None,
        "epochs": tap.epochs,
        "problems": dict(sorted(tally.problems.items())),
        "fallenVersions": watch.fallen,
    }
