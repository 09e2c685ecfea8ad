"""Race Monitor's door: the lookup of a race, and the WebSocket that wants `$JOIN,instance,token` first."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import WSMsgType, web

from local.hub.base import LOOPBACK
from local.hub.feed import Feed
from local.karts.boards import LineBoard
from local.karts.channels import LineMessages
from local.karts.hub import until_hung_up
from local.karts.rmonitor import LineHub

RACE: Final = "4711"
INSTANCE: Final = "31"
_JOIN_S: Final = 15.0


class RaceMonitorHub(LineHub):
    """Plays lines as Race Monitor does. The options are `KartHub`'s."""

    def __init__(self, path: Any, speed: float = 1.0, **options: Any) -> None:
        super().__init__(path, speed, state=LineBoard(), door="lookup", **options)
        self._token = secrets.token_urlsafe(12)

    @property
    def url(self) -> str:
        """What PITWALL_RACEMONITOR_URL is set to."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def source(self) -> str:
        return f"racemonitor:{RACE}"

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "PITWALL_RACEMONITOR_URL": self.url}

    @asynccontextmanager
    async def _serving(self, feed: Feed[LineBoard]) -> AsyncIterator[None]:
        async def connect(request: web.Request) -> web.StreamResponse:
            return await self._connect(request, feed)

        routes = web.get("/Info/WebRaceList", self._lookup), web.get("/instance/{instance}/{token}", connect)
        async with self._serving_http(*routes):
            yield

    async def _lookup(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused("lookup")) is not None:
            return refused
        self._ledger.attempt("lookup", 200)
        race = {"ID": int(RACE), "Name": "Race", "Instance": INSTANCE, "ReceivingData": True}
        races = [race] if request.query.get("raceID") == RACE else []
        host = f"{LOOPBACK}:{self._port}"
        return web.json_response({"CurrentRaces": races, "LiveTimingHost": host, "LiveTimingToken": self._token})

    async def _connect(self, request: web.Request, feed: Feed[LineBoard]) -> web.StreamResponse:
        transport, asked = request.transport, request.match_info
        if (refused := self._refused("connect")) is not None:
            return refused
        known = (asked["instance"], asked["token"]) == (INSTANCE, self._token)
        if not known or request.headers.get("Upgrade", "").lower() != "websocket" or transport is None:
            self._ledger.attempt("connect", 403)
            return web.Response(status=403)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._ledger.attempt("connect", 101)
        if not await self._joined(socket):
            self._ledger.attempt("subscribe", 400)
            await socket.close()
            return socket
        self._ledger.attempt("subscribe", 200)
        connection = self._connection(LineMessages(socket, transport, self._faults), feed)
        sending = asyncio.create_task(connection.run())
        try:
            await until_hung_up(socket)
        finally:
            await self._gone(connection, sending)
        return socket

    async def _joined(self, socket: web.WebSocketResponse) -> bool:
        """Whether the first thing a client says is that it joins, in time and by the right names."""
        try:
            async with asyncio.timeout(_JOIN_S):
                message = await socket.receive()
        except TimeoutError:
            return False
        said = str(message.data).strip() if message.type is WSMsgType.TEXT else ""
        return said == f"$JOIN,{INSTANCE},{self._token}"
