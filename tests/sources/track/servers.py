"""Small servers of kart tracks, on real sockets, and settings with which lost ones are soon connected to anew."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, NamedTuple

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from pitwall.settings import Settings

APEX = (
    'init|r|\ntitle1||3H Resistencia\nlight|lg|\n'
    'grid||<tbody><tr data-id="r0" class="head"><td data-id="c1" data-type="rk">Clt</td>'
    '<td data-id="c2" data-type="no">Kart</td><td data-id="c3" data-type="dr">Pilote</td>'
    '<td data-id="c4" data-type="llp">Dernier T.</td><td data-id="c5" data-type="tlp">Tours</td></tr>'
    '<tr data-id="r1" data-pos="1"><td><p data-id="r1c1">1</p></td><td><div data-id="r1c2">7</div></td>'
    '<td data-id="r1c3">A</td><td data-id="r1c4">1:05.295</td><td data-id="r1c5">3</td></tr></tbody>'
)  # fmt: skip
"""A board of one kart."""
LAP = "r1c4|tn|1:04.000\nr1c5||4\nr1|*|64000|"

RMONITOR = (
    '$B,5,"Race 1"', '$A,"7","7",12,"Anna","Holm","SWE",1', '$G,1,"7",3,"00:03:15.000"', '$H,1,"7",2,"00:01:04.500"',
    '$F,9999,"00:10:00","14:00:00","00:03:20","Green "',
)  # fmt: skip


def quick(**changes: Any) -> Settings:
    """Waits for a server that answers as long as a slow machine may take."""
    values: dict[str, Any] = {
        "private_hosts": True,
        "silence_s": 10.0,
        "connect_s": 10.0,
        "backoff_s": 0.1,
        "kart_stale_s": 60.0,
        "kart_poll_s": 0.02,
    }
    return Settings(**(values | changes))


@contextmanager
def websocket(
    talk: Callable[[ServerConnection, int], None], port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """A WebSocket server; `talk` is given each connection and its number from 0, and closes it by returning."""
    numbers = iter(range(1_000_000))

    def handle(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            talk(connection, next(numbers))

    with serve(handle, "127.0.0.1", port, ssl=tls) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"{'wss' if tls else 'ws'}://127.0.0.1:{server.socket.getsockname()[1]}/"
        finally:
            server.shutdown()
            thread.join()


def until_closed(connection: ServerConnection) -> None:
    """Waits until the client is gone."""
    for _ in connection:
        pass


class Answer(NamedTuple):
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})


class HttpServer(NamedTuple):
    url: str
    asked: list[str]
    """Path and query of each question, in order."""


@contextmanager
def http(
    answer: Callable[[str], Answer], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[HttpServer]:
    """An HTTP server; `answer` is given path and query."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            told = answer(self.path)
            self.send_response(told.status)
            usual = {"Content-Length": str(len(told.body)), "Connection": "close"}
            for name, value in {**usual, **told.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(told.body)

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield HttpServer(f"http{'s' if tls else ''}://{host}:{server.server_port}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def tcp(talk: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """A TCP server at `host:port`; `talk` is given each connection and its number from 0, and ends it by returning."""
    numbers = iter(range(1_000_000))

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                talk(self.request, next(numbers))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Way:
    """A way to a server that passes everything on until `freezes` is set: then nothing comes, and nothing breaks.

    answered: the server has said something after the client spoke for a second time: its first ping.
    """

    def __init__(self, port: int) -> None:
        self.freezes, self.answered, self._over = threading.Event(), threading.Event(), threading.Event()
        self._server = port
        self._spoken = 0

    @contextmanager
    def open(self) -> Iterator[int]:
        """The port of its beginning."""
        with tcp(self._talk) as address:
            try:
                yield int(address.rpartition(":")[2])
            finally:
                self._over.set()

    def _talk(self, client: socket.socket, _: int) -> None:
        with socket.create_connection(("127.0.0.1", self._server)) as server:
            threading.Thread(target=self._pass_on, args=(server, client, False), daemon=True).start()
            self._pass_on(client, server, True)

    def _pass_on(self, one: socket.socket, other: socket.socket, spoken: bool) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                while self.freezes.is_set():
                    if self._over.wait(0.02):
                        return
                self._spoken += spoken
                other.sendall(data)
                if not spoken and self._spoken >= 2:
                    self.answered.set()


def unused_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port
