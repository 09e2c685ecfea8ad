"""What can be wrong with a connection to a track's server, in plain words, and its sockets."""

from __future__ import annotations

import ssl
from contextlib import AbstractContextManager

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, PayloadTooBig

from pitwall.sources.sockets import Sockets
from pitwall.sources.track.channel import Place
from pitwall.sources.trouble import Trouble, causes, retry_after_s


class TrackSockets(Sockets):
    """Those of a connection to a track's server: `step` says in plain words what failed, and where."""

    def step(self, where: Place, name: str) -> AbstractContextManager[None]:
        """A step that ends within the limit and fails with a Trouble. name: what is being done, `asking`."""
        return self.limited(lambda: self._late(where, name), lambda error: self._failed(error, where, name))

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
