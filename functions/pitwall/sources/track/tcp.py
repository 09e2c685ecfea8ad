"""Lines over TCP, as timekeepers' programs send them in their own network."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Final

from pitwall.settings import Settings
from pitwall.sources import reach
from pitwall.sources.record import Reject
from pitwall.sources.track.channel import LOOK_S, place, text
from pitwall.sources.track.sockets import Sockets
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
        self._reject = reject
        self._sockets = Sockets(settings.connect_s)
        self._socket: socket.socket | None = None
        self._begun = bytearray()
        self._passing_over = False

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
        whole = self._whole(data)
        # Each line by itself: names are in the code page of whoever typed them.
        return ["\n".join(text(line) for line in whole.split(b"\n"))] if whole is not None else []

    def close(self) -> None:
        self._sockets.close()
        opened = self._socket
        if opened is not None:
            with suppress(OSError):
                opened.close()

    def _whole(self, data: bytes) -> bytes | None:
        """The lines that `data` completes, with line feeds between them; None if there are none."""
        lines, feed, rest = data.rpartition(b"\n")
        if not feed:
            self._keep(rest)
            return None
        if self._passing_over:
            _, _, lines = lines.partition(b"\n") if b"\n" in lines else (b"", b"", b"")
            self._passing_over = False
        else:
            lines = bytes(self._begun) + lines
        self._begun.clear()
        self._keep(rest)
        return lines

    def _keep(self, rest: bytes) -> None:
        if not self._passing_over:
            self._begun += rest
            if len(self._begun) > LONGEST_LINE:
                self._reject("line-too-long")
                self._begun.clear()
                self._passing_over = True
