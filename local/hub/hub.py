"""The hub as a test or the local stack holds it: an event loop in a thread, the socket, and what can go wrong.

Everything here may be called from any thread; on the event loop it is `server`, `feed`, `connection` and `faults`.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiohttp import web

from local.hub import wire
from local.hub.connection import Connection
from local.hub.faults import Faults, Refusal, Step, Where
from local.hub.feed import Feed
from local.hub.ledger import Attempt, Ledger, Played, Served, Snapshot
from local.hub.plan import Fault, FaultPlan
from local.hub.playing import Playing, Programme
from local.hub.server import Door, Server
from local.hub.topics import GATED

LOOPBACK: Final = "127.0.0.1"
_START_S: Final = 30.0
_OUTBOX_BYTES: Final = 64 * 1024 * 1024
_CLIENT_TIMEOUT_S: Final = 30.0
_HANDSHAKE_S: Final = 15.0

T = TypeVar("T")


class HubError(RuntimeError):
    """The hub could not start, or the feed could not be played to its end; the text says why."""


class Hub:
    """A hub that plays recordings one after the other, up between `__enter__` and `__exit__`.

    playings: what is played. speed: times real time, math.inf for as fast as a client reads. redate: moves every
    instant by whole minutes so that the first session begins now. token: what gated topics ask for; None: nobody gets
    them. seed: of what is left to chance in faults. plan: faults by feed time. ping_s: seconds between pings.
    leftovers: whether snapshots keep topics of the session before. lifetime_s: feed time after which every connection
    is dropped. port: 0 for a free one.
    Raises NotARecording when made.
    """

    def __init__(
        self,
        playings: Sequence[Playing],
        speed: float = 1.0,
        *,
        redate: bool = False,
        token: str | None = None,
        seed: int = 0,
        ping_s: float = 15.0,
        plan: FaultPlan | None = None,
        leftovers: bool = False,
        lifetime_s: float = math.inf,
        port: int = 0,
    ) -> None:
        self._programme = Programme(playings, int(time.time() * 1000) if redate else None)
        self._speed = speed
        self._port = port
        self._plan = plan
        self._leftovers = leftovers
        self._lifetime_ms = lifetime_s * 1000
        self._faults = Faults(seed)
        self._ledger = Ledger()
        self._open: set[Connection] = set()
        self._door = Door(token, GATED, ping_s, _CLIENT_TIMEOUT_S, _HANDSHAKE_S, _OUTBOX_BYTES)
        self._url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: Feed | None = None
        self._closing: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._started: Future[None] = Future()
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)

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

    @property
    def url(self) -> str:
        """What PITWALL_F1_URL is set to."""
        return self._url

    @property
    def session(self) -> str:
        """Key of the first session."""
        return self._programme.session

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
        self, status: int, times: int | None = 1, where: Where = "negotiate", retry_after_s: float | None = None
    ) -> None:
        """Answers the next `times` requests with `status`; None: until `allow`."""
        self._call(lambda _: self._faults.refuse(where, Refusal(status, times, retry_after_s)))

    def allow(self) -> None:
        """Ends refusals, stalls and failures."""
        self._call(lambda _: self._faults.allow())

    def stall_handshake(self, times: int = 1) -> None:
        self._fail("handshake", times)

    def stall_negotiate(self, times: int = 1) -> None:
        self._fail("negotiate", times)

    def fail_subscribe(self, times: int = 1) -> None:
        self._fail("subscribe", times)

    def cut_frames(self, probability: float) -> None:
        """Cuts WebSocket messages in two."""
        self._apply(Fault("cut", probability=probability))

    def join_frames(self, probability: float) -> None:
        """Has WebSocket messages wait for the next one and go together."""
        self._apply(Fault("join", probability=probability))

    def expire_token(self) -> None:
        """The token is refused from now on, and who came with it is closed."""
        self._apply(Fault("expire-token"))

    def close_frame(self, *, allow_reconnect: bool = True) -> None:
        """Ends every connection with a record of type 7."""
        self._apply(Fault("close-reconnect" if allow_reconnect else "close"))

    def _fail(self, step: Step, times: int) -> None:
        self._call(lambda _: self._faults.fail(step, times))

    def _apply(self, fault: Fault) -> None:
        self._call(lambda _: self._go_wrong(fault))

    def _go_wrong(self, fault: Fault) -> None:
        """On the event loop: what `plan` says of each kind."""
        now = asyncio.get_running_loop().time()
        open_now = list(self._open)
        match fault.kind:
            case "silence":
                for connection in open_now:
                    connection.hush(math.inf)
            case "hold":
                for connection in open_now:
                    connection.hush(now + fault.seconds)
            case "cut":
                self._faults.cut = fault.probability
            case "join":
                self._faults.join = fault.probability
            case "calm":
                self._faults.cut = self._faults.join = 0.0
            case "close" | "close-reconnect":
                for connection in open_now:
                    self._close(connection, wire.close("Connection closed with an error.", "reconnect" in fault.kind))
            case "expire-token":
                self._door.token = None
                for connection in open_now:
                    if connection.login is not None:
                        self._close(connection, wire.close("The token has expired.", True))
            case _:
                for connection in open_now:
                    connection.drop(fault.kind)
                self._shut_out(fault)

    def _shut_out(self, fault: Fault) -> None:
        """What those meet who come back after being dropped."""
        kind, _, what = fault.kind.partition("-")
        if kind == "refuse":
            where: Where = "connect" if what == "connect" else "negotiate"
            status = 502 if what == "connect" else int(what)
            self._faults.refuse(where, Refusal(status, fault.times, fault.seconds if status == 429 else None))
        elif kind == "stall":
            self._faults.fail("handshake" if what == "handshake" else "negotiate", fault.times)
        elif kind == "subscribe":
            self._faults.fail("subscribe", fault.times)

    def _close(self, connection: Connection, record: str) -> None:
        task = asyncio.create_task(connection.close("closed", record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the thread ------------------------------------------------------------------------

    def _call(self, what: Callable[[Feed], T]) -> T:
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
            speed=self._speed,
            plan=self._plan,
            apply=self._go_wrong,
            ledger=self._ledger,
            connections=self._open,
            leftovers=self._leftovers,
            lifetime_ms=self._lifetime_ms,
        )
        server = Server(self._door, self._faults, self._ledger, self._feed, self._open)
        runner = web.AppRunner(server.application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, self._port)
        await site.start()
        host, port = runner.addresses[0][:2]
        self._url = f"http://{host}:{port}"
        playing = asyncio.create_task(self._play(self._feed))
        self._started.set_result(None)
        try:
            await self._closing.wait()
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            server.close()
            for connection in list(self._open):
                connection.drop("the hub is closed")
            await runner.cleanup()

    async def _play(self, feed: Feed) -> None:
        try:
            await feed.play()
        except Exception as error:  # told to whoever waits for the end
            self._error = error
        self._over.set()
