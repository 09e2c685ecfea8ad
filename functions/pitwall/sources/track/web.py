"""One question over HTTP to a server that somebody has named: to an address that was checked, with a limited answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from pitwall.settings import Settings
from pitwall.sources import reach
from pitwall.sources.track.channel import LONGEST, Place, place, text
from pitwall.sources.track.sockets import TrackSockets, refused
from pitwall.sources.trouble import Trouble

MOST_REDIRECTS: Final = 3
_MOVED: Final = (301, 302, 303, 307, 308)

# It says at INFO what is asked for, and that may be nobody's business.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.INFO)


class Web:
    """Asks with GET. `close` it when done; from any thread it ends a question under way."""

    def __init__(self, settings: Settings) -> None:
        self._private = settings.private_hosts
        self._limit_s = settings.connect_s
        self._sockets = TrackSockets(settings.connect_s)
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._asking = False

    def get(self, url: str, query: Mapping[str, str] | None = None) -> str:
        """The body of the answer. Follows a few redirects, each only to where a question may go.

        Raises Trouble for anything but 200, and for what is compressed, which was not asked for.
        """
        for _ in range(MOST_REDIRECTS + 1):
            try:
                where = place(url)
            except ValueError as error:
                raise Trouble(f"asked to go to {error}", state="refused") from None
            answer, moved = self._asked(url, where, query)
            if not moved:
                return answer
            url, query = urljoin(url, moved), None
        raise Trouble(f"{where} redirects without end", state="refused")

    def close(self) -> None:
        self._sockets.close()
        self._let_go()

    def _let_go(self) -> None:
        """Closes the client, unless it is just being used: then who uses it does."""
        with self._lock:
            client = None
            if self._sockets.closed and not self._asking:
                client, self._client = self._client, None
        if client is not None:
            client.close()

    def _asked(self, url: str, where: Place, query: Mapping[str, str] | None) -> tuple[str, str]:
        """The body, or where it is instead."""
        client = self._taken()
        try:
            with self._sockets.step(where, "asking"):
                address = reach.addresses(where.host, where.port, private=self._private)[0]
                with client.stream(
                    "GET",
                    httpx.URL(url).copy_with(host=address, fragment=None),
                    params=query,
                    headers={"Host": urlsplit(url).netloc},
                    extensions={"trace": self._sockets.traced, "sni_hostname": where.host},
                ) as answer:
                    return self._read(answer, where)
        finally:
            with self._lock:
                self._asking = False
            self._let_go()

    def _read(self, answer: httpx.Response, where: Place) -> tuple[str, str]:
        if answer.status_code in _MOVED and (moved := answer.headers.get("Location")):
            return "", moved
        if answer.status_code != 200:
            raise refused(answer.status_code, answer.headers.get("Retry-After"), where)
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Trouble(f"{where} answers compressed, which it was not asked to")
        body = bytearray()
        for piece in answer.iter_raw():
            body += piece
            if len(body) > LONGEST:
                raise Trouble(f"{where} sent an answer that is too long")
        return text(bytes(body)), ""

    def _taken(self) -> httpx.Client:
        with self._lock:
            if self._sockets.closed:
                raise Trouble("closed")
            self._asking = True
            if self._client is None:
                self._client = httpx.Client(
                    timeout=self._limit_s,
                    headers={"User-Agent": "PitWall", "Accept-Encoding": "identity"},
                    trust_env=False,
                    verify=httpx.create_ssl_context(),
                )
            return self._client
