"""The sockets of a connection: whatever waits for one can be made to end, and no step takes longer than it may."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
from websockets.exceptions import WebSocketException

from pitwall.sources.trouble import Trouble

_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, WebSocketException, OSError, UnicodeError)
"""What httpx, websockets and sockets raise."""


class Sockets:
    """They are opened and closed by others."""

    def __init__(self, limit_s: float) -> None:
        """limit_s: seconds each step may take."""
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self.closed = False

    def hold(self, opened: socket.socket) -> None:
        """A socket that was opened."""
        with self._lock:
            self._held = [held for held in self._held if held.fileno() >= 0]
            self._held.append(opened)
        if self.closed:
            self.break_off()

    def traced(self, event: str, info: dict[str, Any]) -> None:
        """For httpx, which tells here which sockets it has opened."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            opened = info["return_value"].get_extra_info("socket")
            if isinstance(opened, socket.socket):
                self.hold(opened)

    def break_off(self) -> None:
        """Ends whatever reads from or writes to the sockets, in whichever thread."""
        with self._lock:
            for held in self._held:
                # Not an SSL socket's own: that changes what the other thread is just using.
                with suppress(OSError):
                    socket.socket.shutdown(held, socket.SHUT_RDWR)

    def close(self) -> None:
        """From now on nothing more is waited for."""
        self.closed = True
        self.break_off()

    @contextmanager
    def limited(self, late: Callable[[], Trouble], failed: Callable[[Exception], Trouble]) -> Iterator[None]:
        """A step that ends within the limit, also if a byte comes now and then, and fails with a Trouble.

        late: that it took too long. failed: what an error means.
        """
        if self.closed:
            raise Trouble("closed")
        overdue = threading.Event()

        def too_long() -> None:
            overdue.set()
            self.break_off()

        timer = threading.Timer(self._limit_s, too_long)
        timer.daemon = True
        timer.start()
        try:
            yield
            if overdue.is_set():  # what was broken off can look like a whole answer
                raise late()
        except Trouble as trouble:
            raise (late() if overdue.is_set() else trouble) from None
        except _FAILURES as error:
            raise (late() if overdue.is_set() else failed(error)) from None
        finally:
            timer.cancel()
