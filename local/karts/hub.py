"""What every kart track's hub does: gives who connects the board as it is, then what comes."""

from __future__ import annotations

import asyncio
import math
import os
import secrets
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from aiohttp import WSMsgType, web

from local.hub.base import LOOPBACK, OUTBOX_BYTES, BaseHub
from local.hub.channel import Channel
from local.hub.connection import Connection
from local.hub.faults import Where
from local.hub.feed import Feed
from local.hub.plan import Fault, FaultPlan
from local.karts.boards import Board
from local.karts.programme import BOARD, KartProgramme

SCANNERS: Final = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: Mozilla/5.0 zgrab/0.x\r\nAccept: */*\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\ufffd\x03\x03\r\n",
    "MGLNDD_127.0.0.1_8000\r\n",
)
"""What strangers send to a relay's port."""
_WORDS: Final = {401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests", 502: "Bad Gateway"}
_REQUEST: Final = 64 * 1024

BoardT = TypeVar("BoardT", bound=Board)


class KartHub(BaseHub[BoardT]):
    """A hub that plays a capture of a kart track, up between `__enter__` and `__exit__`.

    path: the capture. speed: times real time, math.inf for as fast as a client reads. start_ms, end_ms: the part to
    play, ms from its first message; what comes before is on the board as if it had been played. seed: of what is left
    to chance in faults. plan: faults by feed time. port: 0 for a free one.
    Raises NotARecording when made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        speed: float = 1.0,
        *,
        state: BoardT,
        door: Where,
        start_ms: int | None = None,
        end_ms: int | None = None,
        seed: int = 0,
        plan: FaultPlan | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(KartProgramme(path, start_ms, end_ms), state, speed, seed=seed, plan=plan, door=door)
        self._asked_port = port
        self._port = 0
        self._scanned = 0

    @property
    @abstractmethod
    def source(self) -> str:
        """What PITWALL_SOURCE is set to."""

    @property
    def env(self) -> dict[str, str]:
        """What else the poller needs to read it: the hub is on this machine, which is no public address."""
        return {"PITWALL_PRIVATE_HOSTS": "on"}

    def junk(self) -> None:
        """Passes on what a scanner has sent to the relay's port."""
        self._apply(Fault("junk"))

    def reset(self) -> None:
        """Sends everybody the whole board anew."""
        self._apply(Fault("reset"))

    def _go_wrong(self, fault: Fault) -> None:
        if fault.kind == "junk":
            said = SCANNERS[self._scanned % len(SCANNERS)]
            self._scanned += 1
        elif fault.kind == "reset":
            said = self._board_anew()
        else:
            super()._go_wrong(fault)
            return
        for connection in list(self._open):
            connection.say(said)

    def _board(self) -> str:
        """The board as it is now, empty before anything is known."""
        feed = self._feed
        if feed is None:
            return ""
        now = feed.clock.offset
        return feed.state.whole(round(now) if math.isfinite(now) else feed.position)

    def _board_anew(self) -> str:
        return self._board()

    def _connection(self, channel: Channel, feed: Feed[BoardT]) -> Connection:
        """A connection that has been given the board and gets what comes from now on."""
        connection = Connection(
            channel,
            secrets.token_urlsafe(6),
            ledger=self._ledger,
            faults=self._faults,
            ping_s=math.inf,
            limit=OUTBOX_BYTES,
            opened_offset=feed.position,
        )
        self._open.add(connection)
        if board := self._board():
            connection.say(board)
        connection.topics.add(BOARD)
        connection.served.topics.add(BOARD)
        self._ledger.wanted.add(BOARD)
        self._ledger.snapshot(connection.served, feed.ordinal, frozenset({BOARD}))
        return connection

    async def _gone(self, connection: Connection, sending: asyncio.Task[None]) -> None:
        """The client has gone, or was sent away."""
        self._open.discard(connection)
        connection.gone()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    def _refused(self, where: Where) -> web.Response | None:
        """The answer to somebody who may not come in; None if they may."""
        refusal = self._faults.refusal(where)
        if refusal is None:
            return None
        self._ledger.attempt(where, refusal.status)
        headers = {} if refusal.retry_after_s is None else {"Retry-After": f"{refusal.retry_after_s:g}"}
        return web.Response(status=refusal.status, text=_WORDS.get(refusal.status, "Error"), headers=headers)

    @asynccontextmanager
    async def _serving_http(self, *routes: web.RouteDef) -> AsyncIterator[None]:
        application = web.Application(client_max_size=_REQUEST)
        application.add_routes(routes)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, LOOPBACK, self._asked_port).start()
        self._port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()


async def until_hung_up(socket: web.WebSocketResponse) -> None:
    """Reads what a client says, which means nothing, until it goes."""
    while (await socket.receive()).type not in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
        pass
