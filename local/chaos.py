"""What goes wrong on the way, on purpose and from a seed: deliveries doubled, late and failing, pollers killed.

Ordered push never reorders, so chaos is a proxy between Pub/Sub's push and a subscriber: an HTTP server of its
own (`python -m local.chaos`), one for each subscriber. What becomes of the n-th message depends only on the seed
and n:

- late: Pub/Sub is answered 204 at once, so that the messages after it go on; the message itself is delivered
  seconds later. The proxy has taken it over and tries until the subscriber answers 2xx.
- twice: a copy is delivered as well, at the same time or seconds later.
- failing: an attempt does not reach the subscriber, or the subscriber's answer is lost. The proxy tries again
  after a short pause, while Pub/Sub waits, as real Pub/Sub would with a minimum backoff of 0.1 s; the emulator
  waits a whole second, so only some failures are handed back to it as a 500.

A proxy that is ended loses what it has taken over: wait until `drained` first. `PollerKiller` kills pollers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local import ROOT
from local.functions import FunctionServer
from local.processes import LOOPBACK, Process, Processes, accepts_connections, free_port
from pitwall.documents import paths
from pitwall.pipeline.push import NotAPush, parse

if TYPE_CHECKING:
    from google.cloud import firestore

COUNTERS_PATH = "/chaos/counters"
_BACKOFF_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_LOOK_S = 0.05


@dataclass(frozen=True)
class ChaosRates:
    """How much goes wrong; shares of 1.

    twice, late: of the messages. failing: of the attempts to deliver. handed_back: of the failures, those that
    Pub/Sub sees as a 500 (it then waits a second). delay_s: seconds that what is late is held, from and to.
    """

    twice: float = 0.2
    late: float = 0.1
    failing: float = 0.1
    handed_back: float = 0.05
    delay_s: tuple[float, float] = (0.2, 4.0)


@dataclass
class Counters:
    """What a proxy has done.

    messages: distinct ones that Pub/Sub pushed. delivered: of those, how many the subscriber has answered 2xx.
    failed_before, failed_after: attempts that did not reach the subscriber, and whose answer was lost.
    handed_back: failures that Pub/Sub saw. refused: real answers of the subscriber that were not 2xx, or none.
    reordered: deliveries answered 2xx that began after a later message had been answered 2xx.
    pending: pushes, copies and late messages on their way now.
    """

    messages: int = 0
    delivered: int = 0
    deliveries: int = 0
    twice: int = 0
    late: int = 0
    failed_before: int = 0
    failed_after: int = 0
    handed_back: int = 0
    refused: int = 0
    reordered: int = 0
    pending: int = 0


class Fate:
    """What becomes of the n-th message: the same for the same seed.

    late_s: seconds it is held, None if it is not. copy_s: seconds until its copy goes, None if there is none.
    """

    def __init__(self, seed: int, n: int, rates: ChaosRates) -> None:
        draw = Random(f"{seed}/{n}")
        self.late_s = draw.uniform(*rates.delay_s) if draw.random() < rates.late else None
        self.copy_s: float | None = None
        if draw.random() < rates.twice:
            self.copy_s = 0.0 if draw.random() < 0.5 else draw.uniform(*rates.delay_s)
        self.attempts = Random(draw.random())
        self.copy_attempts = Random(draw.random())


class ChaosProxy:
    """The server between Pub/Sub and one subscriber."""

    def __init__(self, upstream: str, seed: int, rates: ChaosRates) -> None:
        self.counters = Counters()
        self._upstream = upstream
        self._seed = seed
        self._rates = rates
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)
        self._numbers: dict[str, int] = {}
        self._delivered: set[int] = set()
        self._last_delivered = -1
        self._tasks: set[asyncio.Task[bool]] = set()
        self._pushes = 0

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(COUNTERS_PATH, self._show_counters, methods=["GET"]),
                Route("/{path:path}", self._push, methods=["POST"]),
            ]
        )

    async def _show_counters(self, _: Request) -> Response:
        self.counters.pending = self._pushes + len(self._tasks)
        self.counters.delivered = len(self._delivered)
        return JSONResponse(asdict(self.counters))

    async def _push(self, request: Request) -> Response:
        body = await request.body()
        self._pushes += 1
        try:
            return Response(status_code=204 if await self._take(parse(body).id, body) else 500)
        except NotAPush:
            return Response(status_code=await self._send(body) or 502)
        finally:
            self._pushes -= 1

    async def _take(self, message_id: str, body: bytes) -> bool:
        """Whether Pub/Sub may forget the message."""
        again = message_id in self._numbers
        n = self._numbers.setdefault(message_id, len(self._numbers))
        fate = Fate(self._seed, n, self._rates)
        if again:  # we handed it back: its fate is behind it
            return await self._deliver(body, n, Random(0), failing=False)
        self.counters.messages += 1
        if fate.copy_s is not None:
            self.counters.twice += 1
            self._later(fate.copy_s, body, n, fate.copy_attempts)
        if fate.late_s is not None:
            self.counters.late += 1
            self._later(fate.late_s, body, n, fate.attempts)
            return True
        return await self._deliver(body, n, fate.attempts, may_hand_back=True)

    def _later(self, delay_s: float, body: bytes, n: int, draw: Random) -> None:
        async def deliver() -> bool:
            await asyncio.sleep(delay_s)
            return await self._deliver(body, n, draw)

        task = asyncio.create_task(deliver())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(
        self, body: bytes, n: int, draw: Random, *, may_hand_back: bool = False, failing: bool = True
    ) -> bool:
        """Tries until the subscriber has answered 2xx; False if a failure is handed back to Pub/Sub instead."""
        attempt = 0
        share = self._rates.failing if failing else 0.0
        while True:
            luck = draw.random()
            if luck < share / 2:
                self.counters.failed_before += 1
            else:
                overtaken = n < self._last_delivered
                status = await self._send(body)
                if 200 <= status < 300:
                    self.counters.deliveries += 1
                    self.counters.reordered += overtaken
                    self._last_delivered = max(self._last_delivered, n)
                    self._delivered.add(n)
                    if luck >= share:
                        return True
                    self.counters.failed_after += 1
                else:
                    self.counters.refused += 1
            if may_hand_back and draw.random() < self._rates.handed_back:
                self.counters.handed_back += 1
                return False
            await asyncio.sleep(_BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)])
            attempt += 1

    async def _send(self, body: bytes) -> int:
        """The status with which the subscriber answers, 0 if it does not."""
        try:
            headers = {"Content-Type": "application/json"}
            answer = await self._client.post(self._upstream, content=body, headers=headers)
        except httpx.HTTPError:
            return 0
        return answer.status_code


class ChaosProxies:
    """One proxy for each subscriber, as processes of their own.

    upstreams: URL of the subscriber, by name; `urls` are those to push to instead.
    """

    def __init__(self, processes: Processes, upstreams: Mapping[str, str], seed: int, rates: ChaosRates) -> None:
        self.urls: dict[str, str] = {}
        self._processes = processes
        self._upstreams = upstreams
        self._seed = seed
        self._rates = rates
        self._started: list[Process] = []

    def __enter__(self) -> Self:
        ports = {}
        for name, upstream in self._upstreams.items():
            ports[name] = free_port()
            self.urls[name] = f"http://{LOOPBACK}:{ports[name]}/"
            command = [sys.executable, "-m", "local.chaos", "--upstream", upstream, "--port", str(ports[name])]
            command += ["--seed", str(self._seed), "--rates", json.dumps(asdict(self._rates))]
            self._started.append(self._processes.start(f"chaos-{name}", command, cwd=ROOT))
        for process, port in zip(self._started, ports.values(), strict=True):
            process.wait_until(partial(accepts_connections, port))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.end(*self._started)

    def counters(self) -> dict[str, Counters]:
        """What each proxy has done, by the name of its subscriber."""
        return {
            name: Counters(**httpx.get(url.rstrip("/") + COUNTERS_PATH, trust_env=False).json())
            for name, url in self.urls.items()
        }

    def drained(self) -> bool:
        """Whether all that Pub/Sub has pushed so far is delivered, copies and late messages too.

        A message that was handed back to Pub/Sub counts as not delivered until it has come again.
        """
        return all(c.pending == 0 and c.delivered == c.messages for c in self.counters().values())

    def wait_until_drained(self, timeout_s: float = 60.0) -> None:
        """Raises TimeoutError with the counters if it takes longer."""
        deadline = time.monotonic() + timeout_s
        while not self.drained():
            if time.monotonic() > deadline:
                raise TimeoutError(f"chaos still holds messages after {timeout_s:g} s: {self.counters()}")
            time.sleep(_LOOK_S)


class _Pollers(Protocol):
    """What a killer needs of the stack."""

    @property
    def pollers(self) -> dict[str, FunctionServer]: ...

    def firestore(self) -> firestore.Client: ...


class PollerKiller:
    """Kills the poller that holds the feed (`kill -9`), at moments drawn from a seed. A context manager.

    Watches the lease; each holder that appears is killed some seconds after, until `kills` were. after_s: seconds
    from and to. `killed` lists the holders killed so far; it stays shorter if the source ends before.
    """

    def __init__(
        self, stack: _Pollers, feed: str, seed: int, kills: int = 2, after_s: tuple[float, float] = (0.5, 4.0)
    ) -> None:
        self.killed: list[str] = []
        draw = Random(seed)
        self._after_s = [draw.uniform(*after_s) for _ in range(kills)]
        self._stack = stack
        self._feed = feed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poller-killer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def done(self) -> bool:
        """Whether it has killed all it was to kill."""
        return len(self.killed) == len(self._after_s)

    def _run(self) -> None:
        lease = self._stack.firestore().document(paths.lease(self._feed))
        seen = 0
        for after_s in self._after_s:
            # The lease of a killed holder lives on for a while: only a higher epoch is another holder.
            if self._next_holder(lease, seen) is None or self._stop.wait(after_s):
                return
            found = self._next_holder(lease, seen)  # who may be another one by now
            if found is None:
                return
            holder, seen = found
            self._stack.pollers[holder.partition("/")[0]].crash()
            self.killed.append(holder)

    def _next_holder(self, lease: firestore.DocumentReference, above: int) -> tuple[str, int] | None:
        """Waits for a holder with an epoch above this one; its id and epoch, None if it is time to stop."""
        while not self._stop.is_set():
            fields = lease.get().to_dict() or {}
            epoch = int(fields.get("epoch", 0))
            if epoch > above and "holder" in fields:
                return str(fields["holder"]), epoch
            self._stop.wait(_LOOK_S)
        return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--upstream", required=True, help="URL of the subscriber")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--rates", type=json.loads, default={}, help="JSON of ChaosRates")
    arguments = parser.parse_args()
    proxy = ChaosProxy(arguments.upstream, arguments.seed, ChaosRates(**arguments.rates))
    uvicorn.run(proxy.app(), host=LOOPBACK, port=arguments.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
