"""Lines over TCP, as timekeepers' programs send them in their own network."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

from pitwall.settings import Settings
from pitwall.sources import reach
from pitwall.sources.record import Reject
from pitwall.sources.track.channel import LOOK_S, place, text
from pitwall.sources.track.sockets import TrackSockets
from pitwall.sources.trouble import Trouble

LONGEST_LINE: Final = 400_000
"""Bytes; what is longer is counted `line-too-long` and passed over."""
_READ: Final = 64 * 1024


class TcpChannel:
    """Whole lines, as many as have come. Packets may cut lines, characters and records anywhere."""

    def __init__(self, url: str, settings: Settings, reject: Reject) -> None:
        """url: `tcp://host:port`. Raises ValueError for what is none."""
        self._where = place(url)
        self._settings = settings
        self._lines = Lines(reject)
        self._sockets = TrackSockets(settings.connect_s)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        where, settings = self._where, self._settings
        with self._sockets.step(where, "connecting"):
            self._socket = reach.connect(
                where.host, where.port, private=settings.private_hosts, limit_s=settings.connect_s
            )
            self._sockets.hold(self._socket)

    def receive(self, timeout_s: float) -> list[str]:
        if self._socket is None:
            raise Trouble("not connected")
        try:
            self._socket.settimeout(max(min(timeout_s, LOOK_S), 0.001))
            data = self._socket.recv(_READ)
        except TimeoutError:
            return []
        except OSError:
            raise Trouble(f"the connection to {self._where} broke") from None
        if not data:
            raise Trouble(f"{self._where} closed the connection")
        lines = self._lines.feed(data)
        # Each by itself: names are in the code page of whoever typed them.
        return ["\n".join(text(line) for line in lines)] if lines else []

    def close(self) -> None:
        self._sockets.close()
        opened = self._socket
        if opened is not None:
            with suppress(OSError):
                opened.close()


class Lines:
    """Puts lines together that packets cut anywhere."""

    def __init__(self, reject: Reject, longest: int = LONGEST_LINE) -> None:
        """longest: bytes; a line that has more before its end comes is passed over."""
        self._reject = reject
        self._longest = longest
        self._begun = bytearray()
        self._passing_over = False

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without line feeds."""
        first, *rest = data.split(b"\n")
        self._keep(first)
        if not rest:
            return []
        whole = [] if self._passing_over else [bytes(self._begun)]
        self._begun.clear()
        self._passing_over = False
        self._keep(rest[-1])
        return [*whole, *rest[:-1]]

    def _keep(self, piece: bytes) -> None:
        if self._passing_over:
            return
        self._begun += piece
        if len(self._begun) > self._longest:
            self._reject("line-too-long")
            self._begun.clear()
            self._passing_over = True
