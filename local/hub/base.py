"""What every hub is: an event loop in a thread, the feed played on it, and what can go wrong at any socket.

Everything here may be called from any thread; on the event loop it is `feed`, `connection`, `faults` and the hub's own
server.
"""

from __future__ import annotations

import asyncio
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from local.hub.connection import Connection
from local.hub.faults import Faults, Refusal, Where
from local.hub.feed import Feed, Programme, StateT
from local.hub.ledger import Attempt, Ledger, Played, Served, Snapshot
from local.hub.plan import Fault, FaultPlan

LOOPBACK: Final = "127.0.0.1"
OUTBOX_BYTES: Final = 64 * 1024 * 1024
_START_S: Final = 30.0

T = TypeVar("T")


class HubError(RuntimeError):
    """The hub could not start, or the feed could not be played to its end; the text says why."""


class BaseHub(ABC, Generic[StateT]):
    """A hub that plays a programme, up between `__enter__` and `__exit__`.

    state: what late comers are told. speed: times real time, math.inf for as fast as a client reads. seed: of what is
    left to chance in faults. plan: faults by feed time. lifetime_s: feed time after which every connection is dropped.
    door: where it is that those meet a refusal who come back after being dropped.
    """

    def __init__(
        self,
        programme: Programme,
        state: StateT,
        speed: float,
        *,
        seed: int,
        plan: FaultPlan | None,
        lifetime_s: float = math.inf,
        door: Where,
    ) -> None:
        self._programme = programme
        self._state = state
        self._speed = speed
        self._plan = plan
        self._lifetime_ms = lifetime_s * 1000
        self._door_name = door
        self._faults = Faults(seed)
        self._ledger = Ledger()
        self._open: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: Feed[StateT] | None = None
        self._closing: asyncio.Event | None = None
        self._started: Future[None] = Future()
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)

    @abstractmethod
    def _serving(self, feed: Feed[StateT]) -> AbstractAsyncContextManager[None]:
        """On the event loop: takes connections while it is entered."""

    def __enter__(self) -> Self:
        """Returns once connections are taken. Raises HubError."""
        self._thread.start()
        try:
            self._started.result(_START_S)
        except Exception as error:
            raise HubError(f"the hub did not start: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._closing is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(_START_S)

    # -- the feed --------------------------------------------------------------------------

    def start(self) -> None:
        """The feed's clock starts; before, clients may connect and get the first snapshot."""
        self._call(lambda feed: feed.clock.start())

    def set_speed(self, speed: float) -> None:
        """From now on the feed is played `speed` times as fast as it was."""
        self._call(lambda feed: feed.clock.set_speed(speed, feed.position))

    @property
    def ended(self) -> bool:
        """Whether the last message has been played and sent to whoever is there. Raises HubError if it never is."""
        over = self._over.is_set()
        if over and self._error is not None:
            raise HubError(f"the feed could not be played to its end: {self._error}") from self._error
        return over

    def wait_until_ended(self, timeout_s: float) -> None:
        """Raises TimeoutError, HubError."""
        if not self._over.wait(timeout_s):
            raise TimeoutError(f"the feed has not ended within {timeout_s:g} s; {self.connections} connections")
        _ = self.ended

    @property
    def position_ms(self) -> int:
        """Feed time of the newest message played, ms since the first one."""
        return self._call(lambda feed: feed.position)

    # -- what has been done ----------------------------------------------------------------

    @property
    def connections(self) -> int:
        """Connections that have shaken hands and still stand."""
        return len(self._open)

    @property
    def attempts(self) -> list[Attempt]:
        return self._call(lambda _: list(self._ledger.attempts))

    @property
    def served(self) -> list[Served]:
        """What each connection was sent, in the order in which they came."""
        return list(self._ledger.served)

    @property
    def snapshots(self) -> list[Snapshot]:
        return list(self._ledger.snapshots)

    def missed(self) -> list[Played]:
        """Messages nobody was sent though somebody had wanted their topic, since somebody first did."""
        return self._call(lambda _: sorted(self._ledger.missed))

    # -- what goes wrong -------------------------------------------------------------------

    def drop(self) -> None:
        """Ends every connection without a close frame."""
        self._apply(Fault("drop"))

    def silence(self, seconds: float = math.inf) -> None:
        """Sends nothing on the connections there are; what comes meanwhile is lost if for ever, else comes late."""
        self._apply(Fault("silence") if seconds == math.inf else Fault("hold", seconds=seconds))

    def refuse(
        self, status: int, times: int | None = 1, where: Where | None = None, retry_after_s: float | None = None
    ) -> None:
        """Answers the next `times` requests with `status`; None: until `allow`. where: the hub's door if not told."""
        self._call(lambda _: self._faults.refuse(where or self._door_name, Refusal(status, times, retry_after_s)))

    def allow(self) -> None:
        """Ends refusals, stalls and failures."""
        self._call(lambda _: self._faults.allow())

    def cut_frames(self, probability: float) -> None:
        """Cuts WebSocket messages in two."""
        self._apply(Fault("cut", probability=probability))

    def join_frames(self, probability: float) -> None:
        """Has WebSocket messages wait for the next one and go together."""
        self._apply(Fault("join", probability=probability))

    def _apply(self, fault: Fault) -> None:
        self._call(lambda _: self._go_wrong(fault))

    def _go_wrong(self, fault: Fault) -> None:
        """On the event loop: what `plan` says of each kind."""
        now = asyncio.get_running_loop().time()
        match fault.kind:
            case "silence":
                for connection in list(self._open):
                    connection.hush(math.inf)
            case "hold":
                for connection in list(self._open):
                    connection.hush(now + fault.seconds)
            case "cut":
                self._faults.cut = fault.probability
            case "join":
                self._faults.join = fault.probability
            case "calm":
                self._faults.cut = self._faults.join = 0.0
            case _:
                for connection in list(self._open):
                    connection.drop(fault.kind)
                self._shut_out(fault)

    def _shut_out(self, fault: Fault) -> None:
        """What those meet who come back after being dropped."""
        kind, _, what = fault.kind.partition("-")
        if kind == "refuse":
            where: Where = "connect" if what == "connect" else self._door_name
            status = 502 if what == "connect" else int(what)
            self._faults.refuse(where, Refusal(status, fault.times, fault.seconds if status == 429 else None))

    # -- the thread ------------------------------------------------------------------------

    def _call(self, what: Callable[[Feed[StateT]], T]) -> T:
        """Does something on the event loop; its result. Raises HubError if the hub is not up."""
        loop, feed = self._loop, self._feed
        if loop is None or feed is None or not self._thread.is_alive():
            if feed is not None:
                return what(feed)  # the hub is down: nothing else touches what it left
            raise HubError("the hub is not up")

        async def on_loop() -> T:
            return what(feed)

        return asyncio.run_coroutine_threadsafe(on_loop(), loop).result(_START_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise

    async def _serve(self) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        self._feed = Feed(
            self._programme,
            self._state,
            speed=self._speed,
            plan=self._plan,
            apply=self._go_wrong,
            ledger=self._ledger,
            connections=self._open,
            lifetime_ms=self._lifetime_ms,
        )
        async with self._serving(self._feed):
            playing = asyncio.create_task(self._play(self._feed))
            self._started.set_result(None)
            try:
                await self._closing.wait()
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
                for connection in list(self._open):
                    connection.drop("the hub is closed")

    async def _play(self, feed: Feed[StateT]) -> None:
        try:
            await feed.play()
        except Exception as error:  # told to whoever waits for the end
            self._error = error
        self._over.set()
