"""How a kart track's messages go out: a frame a WebSocket message, or lines on a TCP stream.

Whatever is cut or joined here loses nothing: a client that knows its protocol reads the same of it.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from aiohttp import web

from local.hub.channel import WebSocketChannel
from local.hub.faults import Faults
from local.karts.programme import END

_APART_S: Final = 0.005


class _JoiningChannel(WebSocketChannel):
    """Sends two messages as one now and then."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport, faults: Faults) -> None:
        super().__init__(socket, transport)
        self._faults = faults

    def messages(self, texts: list[str]) -> list[str]:
        joined: list[str] = []
        for text in texts:
            both = self.both(joined[-1], text) if joined else None
            if both is not None and _by_chance(self._faults):
                joined[-1] = both
            else:
                joined.append(text)
        return joined

    def both(self, first: str, second: str) -> str | None:
        """Two messages as one; None where they may not be."""
        raise NotImplementedError


class FrameChannel(_JoiningChannel):
    """Apex Timing's: a frame is a message. Only what holds no board may come as two messages, or two of them as one."""

    def both(self, first: str, second: str) -> str | None:
        return None if _holds_board(first + second) else first + second

    async def send_cut(self, text: str, rng: Random) -> None:
        breaks = [n + 1 for n, character in enumerate(text[:-1]) if character == "\n"]
        if breaks and not _holds_board(text) and rng.random() < 0.5:
            await self.apart(text, rng.choice(breaks))
        else:
            self.in_frames(text, rng.randrange(1, len(text.encode())))


class LineMessages(_JoiningChannel):
    """Race Monitor's: a packet is a message. Where two are joined, the end of a line is lost."""

    def both(self, first: str, second: str) -> str | None:
        return first.removesuffix(END) + second

    async def send_cut(self, text: str, rng: Random) -> None:
        self.in_frames(text, rng.randrange(1, len(text.encode())))


class LineStream:
    """RMonitor's: a TCP stream, which may be cut anywhere. Where packets are joined, the end of a line is lost."""

    def __init__(self, writer: asyncio.StreamWriter, faults: Faults) -> None:
        self._writer, self._faults = writer, faults

    def messages(self, texts: list[str]) -> list[str]:
        parts = [text.removesuffix(END) if _by_chance(self._faults) else text for text in texts[:-1]]
        return ["".join([*parts, *texts[-1:]])]

    async def send(self, text: str) -> None:
        await self._write(text.encode("utf-8", "replace"))

    async def send_cut(self, text: str, rng: Random) -> None:
        body = text.encode("utf-8", "replace")
        cut = rng.randrange(1, len(body))
        await self._write(body[:cut])
        await asyncio.sleep(_APART_S)
        await self._write(body[cut:])

    async def _write(self, body: bytes) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the socket is closed")
        self._writer.write(body)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()

    def drop(self, *, flush: bool) -> None:
        if flush:
            self._writer.close()
        else:
            self._writer.transport.abort()


def _by_chance(faults: Faults) -> bool:
    return faults.join > 0 and faults.rng.random() < faults.join


def _holds_board(text: str) -> bool:
    return "grid|" in text or "init|" in text
