"""What can be wrong with a connection to F1's live feed, in plain words: for `live/feed`, the log and a gap's reason.

No text here may hold a token, a cookie or a connection id; so errors are worded anew and not passed on.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Final

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, PayloadTooBig

from pitwall.sources.trouble import Trouble, causes, retry_after_s

DENIED: Final = (401, 403)


class LoginRefused(Trouble):
    """The server did not want our token; without one it may let us in."""


def refused_status(status: int, headers: Mapping[str, str], host: str, *, with_token: bool) -> Trouble:
    """What an HTTP answer other than the one wanted means."""
    if status in DENIED and with_token:
        return LoginRefused(f"F1 did not accept the F1TV token ({status})", status=status)
    if status == 403:
        return Trouble(
            "F1 blocks this address (403); run the collector elsewhere, see docs/collector.md",
            status=status,
            state="refused",
        )
    if status == 401:
        return Trouble("F1 wants a login (401) even for the public topics", status=status, state="refused")
    asked_s = retry_after_s(headers.get("Retry-After")) if status in (429, 503) else None
    if status == 429:
        return Trouble("F1's server was asked too often (429)", status=status, asked_s=asked_s)
    if status >= 500:
        return Trouble(f"F1's server answers {status}", status=status, asked_s=asked_s)
    return Trouble(f"F1's server answers {status}, which is not the live feed ({host})", status=status)


def unreachable(error: Exception, host: str, step: str, limit_s: float, *, with_token: bool) -> Trouble:
    """What an error of httpx, websockets or a socket means. step: what was being done, `negotiating`."""
    if isinstance(error, InvalidStatus):
        headers = httpx.Headers(list(error.response.headers.raw_items()))
        return refused_status(error.response.status_code, headers, host, with_token=with_token)
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return Trouble(f"the name {host} cannot be found")
        if isinstance(cause, ssl.SSLError):
            why = getattr(cause, "verify_message", "") or (cause.reason or "").replace("_", " ").lower()
            return Trouble(f"no secure connection to {host} can be made" + (f": {why}" if why else ""))
        if isinstance(cause, TimeoutError | httpx.TimeoutException):
            return timed_out(step, limit_s)
    if isinstance(error, ConnectionClosed):
        return closed(error)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes(error)):
        return Trouble(f"{host} takes no connections")
    if isinstance(error, InvalidHandshake | httpx.ProtocolError):
        return Trouble(f"F1's server broke off or does not speak the protocol ({step})")
    return Trouble(f"the connection to {host} failed ({step})")


def timed_out(step: str, limit_s: float) -> Trouble:
    """A step of connecting took too long."""
    return Trouble(f"F1's server did not answer within {limit_s:g} s ({step})")


def closed(error: ConnectionClosed) -> Trouble:
    """The WebSocket ended, by a close frame or without."""
    if isinstance(error.__cause__, PayloadTooBig) or (error.sent is not None and error.sent.code == 1009):
        return Trouble("F1's server sent a message that is too long for the feed")
    if error.rcvd is not None:
        return Trouble(f"F1's server closed the connection ({error.rcvd.code})")
    if error.sent is not None:
        return Trouble("F1's server sent what is no WebSocket message")
    return Trouble("the connection broke")
