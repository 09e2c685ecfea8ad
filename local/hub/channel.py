"""The socket under a connection: how what is put in line becomes messages, whole, together or cut in two."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final, Protocol

from aiohttp import web

from local.hub import wire

_APART_S: Final = 0.005
"""Between the two parts of what was cut, so that they do not reach the client together."""
_CLOSE_S: Final = 1.0


class Channel(Protocol):
    """What a connection sends on. `send` and `send_cut` raise OSError or RuntimeError on a closed socket."""

    def messages(self, texts: list[str]) -> list[str]:
        """What waits, as the messages it goes out in."""
        ...

    async def send(self, text: str) -> None: ...

    async def send_cut(self, text: str, rng: Random) -> None:
        """In two parts, as the protocol allows; at least two characters."""
        ...

    async def close(self) -> None:
        """Says goodbye. Raises OSError, RuntimeError, TimeoutError."""
        ...

    def drop(self, *, flush: bool) -> None:
        """Ends it without a word; what is already in the socket still goes out if `flush`."""
        ...


class WebSocketChannel:
    """A WebSocket whose messages are parts of one stream, as SignalR's are."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport) -> None:
        self._socket, self._transport = socket, transport

    def messages(self, texts: list[str]) -> list[str]:
        return ["".join(texts)]

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    async def send_cut(self, text: str, rng: Random) -> None:
        """Two messages, or one in two frames."""
        if rng.random() < 0.5:
            await self.apart(text, rng.randrange(1, len(text)))
        else:
            self.in_frames(text, rng.randrange(1, len(text.encode())))

    async def apart(self, text: str, cut: int) -> None:
        """Two messages."""
        await self._socket.send_str(text[:cut])
        await asyncio.sleep(_APART_S)
        await self._socket.send_str(text[cut:])

    def in_frames(self, text: str, cut: int) -> None:
        """One message in two frames, cut after so many bytes."""
        if self._transport.is_closing():
            raise ConnectionResetError("the socket is closed")
        self._transport.write(wire.fragmented(text, cut))

    async def close(self) -> None:
        await asyncio.wait_for(self._socket.close(), _CLOSE_S)

    def drop(self, *, flush: bool) -> None:
        if flush:
            self._transport.close()
        else:
            self._transport.abort()
