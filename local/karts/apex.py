"""Apex Timing's door: the live page with its `config.js`, the WebSocket, and polling over HTTP.

`configPort` + 2 is the WebSocket's port for a page without TLS (+ 3 with TLS; + 4 is what polling names). Here all is
on one port, and `configPort` is two below it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from local.hub.base import LOOPBACK
from local.hub.feed import Feed
from local.karts.boards import ApexBoard
from local.karts.channels import FrameChannel
from local.karts.hub import KartHub, until_hung_up

SLUG: Final = "track"
_POLLING: Final = "/live-timing/commonv2/functions/live_ajax.php"
_PLAIN: Final = 2
_POLLED: Final = 4


class ApexHub(KartHub[ApexBoard]):
    """Plays frames as Apex Timing does. The options are `KartHub`'s."""

    def __init__(self, path: Any, speed: float = 1.0, **options: Any) -> None:
        super().__init__(path, speed, state=ApexBoard(), door="connect", **options)

    @property
    def url(self) -> str:
        """The live page."""
        return f"http://{LOOPBACK}:{self._port}/{SLUG}/"

    @property
    def socket_url(self) -> str:
        return f"ws://{LOOPBACK}:{self._port}/"

    @property
    def polling_url(self) -> str:
        """Without its query."""
        return f"http://{LOOPBACK}:{self._port}{_POLLING}"

    @property
    def source(self) -> str:
        return f"apex:{self.url}"

    @asynccontextmanager
    async def _serving(self, feed: Feed[ApexBoard]) -> AsyncIterator[None]:
        async def connect(request: web.Request) -> web.StreamResponse:
            return await self._connect(request, feed)

        async def poll(request: web.Request) -> web.StreamResponse:
            return self._poll(request, feed)

        routes = (
            web.get(f"/{SLUG}/", self._page),
            web.get(f"/{SLUG}/javascript/config.js", self._config),
            web.get(_POLLING, poll),
            web.get("/", connect),
        )
        async with self._serving_http(*routes):
            yield

    async def _page(self, _: web.Request) -> web.StreamResponse:
        page = '<html><head><script src="javascript/config.js"></script></head><body></body></html>'
        return self._refused("lookup") or web.Response(text=page, content_type="text/html")

    async def _config(self, _: web.Request) -> web.StreamResponse:
        if (refused := self._refused("lookup")) is not None:
            return refused
        self._ledger.attempt("lookup", 200)
        config = {
            "configHost": f"'{LOOPBACK}'",
            "configPort": str(self._port - _PLAIN),
            "configRequestUrl": f"'{self.polling_url.rpartition('/')[0]}/'",
        }
        text = "".join(f"var {name} = {value};\n" for name, value in config.items())
        return web.Response(text=text, content_type="application/javascript")

    async def _connect(self, request: web.Request, feed: Feed[ApexBoard]) -> web.StreamResponse:
        transport = request.transport
        if (refused := self._refused("connect")) is not None:
            return refused
        if request.headers.get("Upgrade", "").lower() != "websocket" or transport is None:
            self._ledger.attempt("connect", 400)
            return web.Response(status=400)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._ledger.attempt("connect", 101)
        connection = self._connection(FrameChannel(socket, transport, self._faults), feed)
        sending = asyncio.create_task(connection.run())
        try:
            await until_hung_up(socket)
        finally:
            await self._gone(connection, sending)
        return socket

    def _poll(self, request: web.Request, feed: Feed[ApexBoard]) -> web.StreamResponse:
        """`init@index@frames`: with `init` the board, else what came since that index; what it has of neither, a word
        that sends a client back to the beginning."""
        if (refused := self._refused("poll")) is not None:
            return refused
        query = request.query
        if query.get("port") != str(self._port - _PLAIN + _POLLED):
            self._ledger.attempt("poll", 404)
            return web.Response(status=404)
        self._ledger.attempt("poll", 200)
        recent, index = feed.state.recent, query.get("index", "")
        if query.get("init") == "1":
            return web.Response(text=f"0@{feed.ordinal}@{self._board()}")
        oldest = recent[0][0] if recent else feed.ordinal
        if not index.isdecimal() or not oldest <= int(index) <= feed.ordinal:
            return web.Response(text="1@0@REFRESH_BROWSER")
        frames = "".join(text for ordinal, text in recent if ordinal >= int(index))
        return web.Response(text=f"0@{feed.ordinal}@{frames}")
