"""The sockets of a connection, so that whatever waits for one can be made to end."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, PayloadTooBig, WebSocketException

from pitwall.sources.track.channel import Place
from pitwall.sources.trouble import Trouble, causes, retry_after_s


class Sockets:
    """They are opened and closed by others; `step` limits what is done with them."""

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
    def step(self, where: Place, name: str) -> Iterator[None]:
        """A step that ends within the limit, also if a byte comes now and then, and fails with a Trouble."""
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
                raise self._late(where, name)
        except Trouble as trouble:
            raise (self._late(where, name) if overdue.is_set() else trouble) from None
        except (
            httpx.HTTPError,
            httpx.InvalidURL,
            httpx.StreamError,
            WebSocketException,
            OSError,
            UnicodeError,
        ) as error:
            raise (self._late(where, name) if overdue.is_set() else self._failed(error, where, name)) from None
        finally:
            timer.cancel()

    def _late(self, where: Place, name: str) -> Trouble:
        return Trouble(f"{where} did not answer within {self._limit_s:g} s ({name})")

    def _failed(self, error: Exception, where: Place, name: str) -> Trouble:
        if isinstance(error, InvalidStatus):
            return refused(error.response.status_code, error.response.headers.get("Retry-After"), where)
        for cause in causes(error):
            if isinstance(cause, ssl.SSLError):
                why = getattr(cause, "verify_message", "") or (cause.reason or "").replace("_", " ").lower()
                return Trouble(f"no secure connection to {where} can be made" + (f": {why}" if why else ""))
            if isinstance(cause, TimeoutError | httpx.TimeoutException):
                return self._late(where, name)
            if isinstance(cause, ConnectionRefusedError):
                return Trouble(f"{where} takes no connections", state="refused")
        if isinstance(error, ConnectionClosed):
            return ended(error, where)
        if isinstance(error, InvalidHandshake | httpx.ProtocolError):
            return Trouble(f"{where} broke off or does not speak the protocol ({name})", state="refused")
        return Trouble(f"the connection to {where} failed ({name})")


def refused(status: int, retry_after: str | None, where: Place) -> Trouble:
    """What an HTTP answer other than the one wanted means."""
    asked_s = retry_after_s(retry_after) if status in (429, 503) else None
    return Trouble(
        f"{where} answers {status}", status=status, asked_s=asked_s, state="refused" if status < 500 else None
    )


def ended(error: ConnectionClosed, where: Place) -> Trouble:
    """A WebSocket ended, by a close frame or without."""
    if isinstance(error.__cause__, PayloadTooBig) or (error.sent is not None and error.sent.code == 1009):
        return Trouble(f"{where} sent a message that is too long")
    if error.rcvd is not None:
        return Trouble(f"{where} closed the connection ({error.rcvd.code})")
    if error.sent is not None:
        return Trouble(f"{where} sent what is no WebSocket message")
    return Trouble(f"the connection to {where} broke")
