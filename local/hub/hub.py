"""F1's hub as a test or the local stack holds it. What every hub does is `base`'s; the server is `server`'s."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from local.hub import wire
from local.hub.base import LOOPBACK, OUTBOX_BYTES, BaseHub, HubError
from local.hub.connection import Connection
from local.hub.faults import Step
from local.hub.feed import Feed
from local.hub.plan import Fault, FaultPlan
from local.hub.playing import Playing, Programme
from local.hub.server import Door, Server
from local.hub.state import FeedState
from local.hub.topics import GATED

__all__ = ["Hub", "HubError"]

_CLIENT_TIMEOUT_S: Final = 30.0
_HANDSHAKE_S: Final = 15.0


class Hub(BaseHub[FeedState]):
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
        programme = Programme(playings, int(time.time() * 1000) if redate else None)
        super().__init__(
            programme, FeedState(leftovers), speed, seed=seed, plan=plan, lifetime_s=lifetime_s, door="negotiate"
        )
        self._session = programme.session
        self._port = port
        self._door = Door(token, GATED, ping_s, _CLIENT_TIMEOUT_S, _HANDSHAKE_S, OUTBOX_BYTES)
        self._url = ""
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def url(self) -> str:
        """What PITWALL_F1_URL is set to."""
        return self._url

    @property
    def session(self) -> str:
        """Key of the first session."""
        return self._session

    def stall_handshake(self, times: int = 1) -> None:
        self._fail("handshake", times)

    def stall_negotiate(self, times: int = 1) -> None:
        self._fail("negotiate", times)

    def fail_subscribe(self, times: int = 1) -> None:
        self._fail("subscribe", times)

    def expire_token(self) -> None:
        """The token is refused from now on, and who came with it is closed."""
        self._apply(Fault("expire-token"))

    def close_frame(self, *, allow_reconnect: bool = True) -> None:
        """Ends every connection with a record of type 7."""
        self._apply(Fault("close-reconnect" if allow_reconnect else "close"))

    def _fail(self, step: Step, times: int) -> None:
        self._call(lambda _: self._faults.fail(step, times))

    def _go_wrong(self, fault: Fault) -> None:
        match fault.kind:
            case "close" | "close-reconnect":
                for connection in list(self._open):
                    self._close(connection, wire.close("Connection closed with an error.", "reconnect" in fault.kind))
            case "expire-token":
                self._door.token = None
                for connection in list(self._open):
                    if connection.login is not None:
                        self._close(connection, wire.close("The token has expired.", True))
            case _:
                super()._go_wrong(fault)

    def _shut_out(self, fault: Fault) -> None:
        kind, _, what = fault.kind.partition("-")
        if kind == "stall":
            self._faults.fail("handshake" if what == "handshake" else "negotiate", fault.times)
        elif kind == "subscribe":
            self._faults.fail("subscribe", fault.times)
        else:
            super()._shut_out(fault)

    def _close(self, connection: Connection, record: str) -> None:
        task = asyncio.create_task(connection.close("closed", record))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @asynccontextmanager
    async def _serving(self, feed: Feed[FeedState]) -> AsyncIterator[None]:
        server = Server(self._door, self._faults, self._ledger, feed, self._open)
        runner = web.AppRunner(server.application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, self._port)
        await site.start()
        host, port = runner.addresses[0][:2]
        self._url = f"http://{host}:{port}"
        try:
            yield
        finally:
            server.close()
            await runner.cleanup()
