"""What a connection to a kart track's timing is, and where one is."""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

LONGEST: Final = 2_000_000
"""Bytes of one message, answer or line; the longest seen is a board of 65,563."""
LOOK_S: Final = 0.25
"""How long is waited for something at a time, so that closing is noticed."""
_PORTS: Final = {"ws": 80, "http": 80, "wss": 443, "https": 443}


class Channel(Protocol):
    """One connection, to be opened once. `close` may be called from any thread at any time, the rest from one."""

    def open(self) -> None:
        """Connects. Raises Trouble; `close` is to be called all the same."""
        ...

    def receive(self, timeout_s: float) -> list[str]:
        """What came next, as it came; nothing if nothing has within `timeout_s`, or a moment.

        A message of a WebSocket, an answer over HTTP, whole lines of TCP with line feeds between them; a blank one
        is a sign of life. Raises Trouble once the connection has ended, after the last of it.
        """
        ...

    def close(self) -> None:
        """Ends what waits in another thread, with a Trouble. From any thread, twice."""
        ...


class Place(NamedTuple):
    """Where a server is. host: a name or an address without brackets."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """For people: no path, query or user, which may be secret."""
        return f"{self.host}:{self.port}"


def place(url: str) -> Place:
    """Where a URL leads; schemes are ws, wss, http, https and tcp. Raises ValueError for what is none of them."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    if parts.scheme not in (*_PORTS, "tcp") or not parts.hostname or not port:
        raise ValueError("no address of the form wss://, https:// or tcp://host:port")
    if parts.username is not None or parts.password is not None:
        raise ValueError("an address with a user or a password")
    return Place(parts.scheme, parts.hostname, port)


def text(data: bytes) -> str:
    """As UTF-8, else as the code page of a Western Windows, which timekeepers' programs run on."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
