"""A plan of faults: what goes wrong at which moment of the feed. The same seed makes the same plan.

What each does to the hub is `hub`'s business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "drop",
    "silence",
    "hold",
    "cut",
    "join",
    "refuse-401",
    "refuse-403",
    "refuse-429",
    "refuse-502",
    "refuse-connect",
    "stall-negotiate",
    "stall-handshake",
    "subscribe-error",
    "close",
    "close-reconnect",
    "expire-token",
    "calm",
    "junk",
    "reset",
]
KART_KINDS: Final[tuple[Kind, ...]] = (
    *("drop", "silence", "hold", "cut", "join", "refuse-403", "refuse-429", "refuse-502", "refuse-connect"),
    *("calm", "junk", "reset"),
)
"""What can go wrong at a kart track's relay."""
KINDS: Final[tuple[Kind, ...]] = tuple(kind for kind in get_args(Kind) if kind not in ("junk", "reset"))
"""What can go wrong at F1's hub."""

_WORDS: Final[dict[Kind, str]] = {
    "drop": "every connection is dropped without a word",
    "silence": "every connection goes silent for good, without being closed",
    "hold": "every connection's messages are held back for {seconds:g} s, then come at once",
    "cut": "messages are cut in two, {probability:.0%} of them",
    "join": "messages wait for the next and come together, {probability:.0%} of them",
    "refuse-401": "connections are dropped, who comes back is answered 401 {times}",
    "refuse-403": "connections are dropped, who comes back is answered 403 {times}",
    "refuse-429": "connections are dropped, who comes back is answered 429 {times}, Retry-After {seconds:g}",
    "refuse-502": "connections are dropped, who comes back is answered 502 {times}",
    "refuse-connect": "connections are dropped, who opens a socket again is answered 502 {times}",
    "stall-negotiate": "connections are dropped, negotiate does not answer {times}",
    "stall-handshake": "connections are dropped, the handshake is not answered {times}",
    "subscribe-error": "connections are dropped, Subscribe answers an error {times}",
    "close": "every connection gets a close record that allows no reconnect",
    "close-reconnect": "every connection gets a close record that allows a reconnect",
    "expire-token": "the token expires: who came with it is closed, and it is refused from now on",
    "calm": "messages are whole again, each by itself",
    "junk": "the relay passes on what a scanner has sent to its port",
    "reset": "the whole board is sent anew",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """times: tries that meet it. seconds: wall-clock; of `hold`, and what `refuse-429` says in Retry-After.
    probability: of `cut` and `join`."""

    kind: Kind
    times: int = 1
    seconds: float = 0.0
    probability: float = 0.0

    def __str__(self) -> str:
        times = "once" if self.times == 1 else f"{self.times} times"
        words = _WORDS[self.kind].format(times=times, seconds=self.seconds, probability=self.probability)
        return f"{self.kind}: {words}"


class FaultPlan(Sequence[tuple[int, Fault]]):
    """Faults with the moment of each, ms of feed time since the hub's first message, in order. Printed, one a line."""

    def __init__(self, faults: Sequence[tuple[int, Fault]]) -> None:
        self._faults = sorted(faults, key=lambda fault: fault[0])

    @classmethod
    def seeded(
        cls,
        seed: int,
        duration_ms: int,
        *,
        speed: float = 1.0,
        silence_s: float = 35.0,
        connect_s: float = 15.0,
        room_s: float = 10.0,
        token: bool = False,
        kinds: Sequence[Kind] = KINDS,
    ) -> FaultPlan:
        """A plan for a feed of `duration_ms` that leaves a client time to recover from each fault before the next.

        Every kind comes once if there is room, then some of them again; in a short feed the kinds that take least time.
        speed: what the feed is played at; one that does not wait leaves no room for anything. silence_s, connect_s:
        after how long the client notices silence and a stalled connection. room_s: seconds by the wall clock it is
        given to be back after that, for each try. token: whether it logs in with one, which then expires at the end.
        kinds: those there are.
        """
        rng = Random(seed)
        if speed == math.inf:
            return cls([])

        def planned(kind: Kind) -> tuple[Fault, float]:
            fault = _drawn(kind, rng)
            waits = {"silence": silence_s, "hold": fault.seconds, "refuse-429": fault.times * fault.seconds}
            wait = waits.get(kind, connect_s * fault.times if kind.startswith("stall") else 0.0)
            return fault, (wait + room_s * (1 + fault.times if kind.startswith("refuse") else 1)) * 1000 * speed

        left = duration_ms - room_s * 1000 * speed
        chosen: list[tuple[Fault, float]] = []
        everyone = [kind for kind in kinds if kind not in ("calm", "expire-token")]
        last = [planned("expire-token")] if token else []
        left -= sum(need for _, need in last)
        once = [planned(kind) for kind in everyone]
        rng.shuffle(once)
        for fault, need in sorted(once, key=lambda one: one[1]):
            if need <= left:
                chosen.append((fault, need))
                left -= need
        rng.shuffle(chosen)
        if len(chosen) == len(once):
            for kind in rng.sample(everyone, len(everyone)):
                fault, need = planned(kind)
                # Half of what is left stays free, so that they do not follow each other like a drum.
                if need <= left / 2:
                    chosen.append((fault, need))
                    left -= need
        return cls(list(_spread(chosen + last, left, room_s * 1000 * speed, rng)) if left >= 0 else [])

    def __getitem__(self, index: int) -> tuple[int, Fault]:  # type: ignore[override]
        return self._faults[index]

    def __len__(self) -> int:
        return len(self._faults)

    def __iter__(self) -> Iterator[tuple[int, Fault]]:
        return iter(self._faults)

    def __str__(self) -> str:
        return "\n".join(f"{_clock(offset)}  {fault}" for offset, fault in self._faults)


def _drawn(kind: Kind, rng: Random) -> Fault:
    times = rng.choice((1, 1, 2)) if kind.startswith("refuse") else 1
    match kind:
        case "hold":
            return Fault(kind, seconds=rng.choice((1.0, 2.0, 4.0)))
        case "refuse-429":
            return Fault(kind, times, seconds=rng.choice((1.0, 2.0)))
        case "cut" | "join":
            return Fault(kind, probability=rng.choice((0.2, 0.5, 0.8)))
        case _:
            return Fault(kind, times)


def _spread(
    chosen: list[tuple[Fault, float]], free_ms: float, lead_ms: float, rng: Random
) -> Iterator[tuple[int, Fault]]:
    """The faults one after the other, what is free shared out between them by chance."""
    shares = sorted(rng.random() for _ in chosen)
    taken = lead_ms
    for (fault, need), share in zip(chosen, shares, strict=True):
        at = taken + share * free_ms
        yield round(at), fault
        if fault.kind in ("cut", "join"):
            yield round(at + need), Fault("calm")
        taken += need


def _clock(ms: int) -> str:
    return f"{ms // 3_600_000}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"
