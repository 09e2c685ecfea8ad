"""A WebSocket to a kart track's timing."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, cast

import httpx
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from pitwall.settings import Settings
from pitwall.sources import reach
from pitwall.sources.track.channel import LONGEST, LOOK_S, place, text
from pitwall.sources.track.sockets import TrackSockets, ended
from pitwall.sources.trouble import Trouble

# What the library says at DEBUG holds paths and messages, which may be secret.
_wire: Final = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.INFO)


class WebSocketChannel:
    """Messages as they come, whether text or binary.

    A server that has answered a ping on this connection and then answers none for `silence_s` is gone. One that never
    answers any is not judged by it: what a browser never asks, a simple server may not know.
    """

    def __init__(self, url: str, settings: Settings, greeting: Sequence[str] = ()) -> None:
        """greeting: messages to be sent at once. Raises ValueError for a URL that is none."""
        self._url = url
        self._where = place(url)
        self._settings = settings
        self._greeting = greeting
        self._sockets = TrackSockets(settings.connect_s)
        self._opened: ClientConnection | None = None
        self._pong: threading.Event | None = None
        self._answers = False
        self._pinged = 0.0

    def open(self) -> None:
        where, settings = self._where, self._settings
        secure = where.scheme == "wss"
        with self._sockets.step(where, "opening the WebSocket"):
            tcp = reach.connect(where.host, where.port, private=settings.private_hosts, limit_s=settings.connect_s)
            self._sockets.hold(tcp)
            try:
                connect(
                    self._url,
                    sock=tcp,
                    ssl=httpx.create_ssl_context() if secure else None,
                    proxy=None,
                    user_agent_header="PitWall",
                    compression=None,
                    open_timeout=settings.connect_s,
                    ping_interval=None,
                    max_size=LONGEST,
                    logger=_wire,
                    create_connection=cast(Any, self._made),
                    legacy=True,
                )
            except BaseException:
                tcp.close()
                raise
            for message in self._greeting:
                self._websocket.send(message)
        self._pinged = time.monotonic()

    def receive(self, timeout_s: float) -> list[str]:
        self._look()
        websocket = self._websocket
        try:
            return [text(websocket.recv(min(max(timeout_s, 0.0), LOOK_S), decode=False))]
        except TimeoutError:
            # After a breach of the protocol websockets waits for the other end to close, which may never do so.
            sent = websocket.protocol.close_sent
            if sent is not None:
                raise ended(ConnectionClosedError(None, sent), self._where) from None
            return []
        except ConnectionClosed as error:
            raise ended(error, self._where) from None

    def close(self) -> None:
        self._sockets.close()
        websocket = self._opened
        if websocket is not None:
            websocket.close_socket()
            # It owns the selector, and would be found open by whoever counts.
            with suppress(RuntimeError):
                websocket.recv_events_thread.join(self._settings.connect_s)

    def _look(self) -> None:
        """Asks now and then whether the server is still there. One question at a time."""
        now = time.monotonic()
        silence_s = self._settings.silence_s
        if self._pong is not None and self._pong.is_set():
            self._pong, self._answers = None, True
        if self._pong is not None:
            if self._answers and now - self._pinged >= silence_s:
                raise Trouble(f"{self._where} has not answered for {silence_s:g} s", state="silent")
        elif now - self._pinged >= silence_s / 2:
            try:
                self._pong = self._websocket.ping()
            except ConnectionClosed as error:
                raise ended(error, self._where) from None
            self._pinged = now

    def _made(self, opened: socket.socket, protocol: ClientProtocol, **options: Any) -> ClientConnection:
        """websockets asks here for its connection, before it shakes hands over it."""
        websocket = ClientConnection(opened, protocol, **options)
        self._opened = websocket
        self._sockets.hold(opened)
        return websocket

    @property
    def _websocket(self) -> ClientConnection:
        if self._opened is None:
            raise Trouble("not connected")
        return self._opened
