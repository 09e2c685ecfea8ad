"""RMonitor's door: a TCP port. Who connects is sent the board, then lines; what a client says means nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from local.hub.base import LOOPBACK
from local.hub.feed import Feed
from local.karts.boards import LineBoard
from local.karts.channels import LineStream
from local.karts.hub import KartHub
from local.karts.programme import END

_SAID: Final = 1024


class LineHub(KartHub[LineBoard]):
    """What RMonitor and Race Monitor have in common: a reset (`$I`) before a board that is sent anew."""

    def _board_anew(self) -> str:
        at = datetime.fromtimestamp((self._feed.at if self._feed is not None else 0) / 1000, UTC)
        told = "".join(line + END for line in self._board().split(END) if line and not line.startswith("$I,"))
        return f'$I,"{at:%H:%M:%S}","{at:%d %b %y}"{END}{told}'


class RMonitorHub(LineHub):
    """Plays lines as RMonitor's server does. The options are `KartHub`'s. A refusal ends a connection at once."""

    def __init__(self, path: Any, speed: float = 1.0, **options: Any) -> None:
        super().__init__(path, speed, state=LineBoard(), door="connect", **options)

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, self._port

    @property
    def url(self) -> str:
        return f"tcp://{LOOPBACK}:{self._port}"

    @property
    def source(self) -> str:
        return f"rmonitor:{LOOPBACK}:{self._port}"

    @asynccontextmanager
    async def _serving(self, feed: Feed[LineBoard]) -> AsyncIterator[None]:
        conversations: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._converse(reader, writer, feed))
            conversations.add(task)
            task.add_done_callback(conversations.discard)

        server = await asyncio.start_server(connected, LOOPBACK, self._asked_port)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in conversations:
                task.cancel()
            await asyncio.gather(*conversations, return_exceptions=True)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, feed: Feed[LineBoard]
    ) -> None:
        if (refusal := self._faults.refusal("connect")) is not None:
            self._ledger.attempt("connect", refusal.status)
            writer.close()
            return
        self._ledger.attempt("connect", 101)
        connection = self._connection(LineStream(writer, self._faults), feed)
        sending = asyncio.create_task(connection.run())
        try:
            with contextlib.suppress(OSError):
                while await reader.read(_SAID):
                    pass
        finally:
            await self._gone(connection, sending)
            writer.close()
