"""A server that does over a real socket what a test tells it, byte by byte: for what `local.hub` cannot be made to say.

One script per WebSocket connection, the last one for all that follow. A script is a function of a `Peer`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple

ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
NEGOTIATED = {"connectionToken": "secret-connection-token", "connectionId": "an-id", "negotiateVersion": 1}
OK = (200, {"Content-Type": "application/json"}, json.dumps(NEGOTIATED))
Answer = tuple[int, dict[str, str], str]


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]


class Gone(Exception):
    """The client has closed the connection."""


class Peer:
    """The server's end of one WebSocket connection."""

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        self._socket = connection
        self._closing = closing
        self._buffer = b""

    def open(self, states: dict[str, Any] | None = None) -> list[str]:
        """Shakes hands and answers the subscription. Returns the topics asked for."""
        assert self.receive() == {"protocol": "json", "version": 1}
        self.records({})
        subscription = self.receive()
        assert (subscription["type"], subscription["target"]) == (1, "Subscribe")
        self.records({"type": 3, "invocationId": subscription["invocationId"], "result": states or {}})
        topics: list[str] = subscription["arguments"][0]
        return topics

    def feed(self, topic: str, data: Any, utc: str) -> None:
        self.records(feed(topic, data, utc))

    def records(self, *records: Any) -> None:
        """SignalR records in one WebSocket message."""
        self.text("".join(json.dumps(record) + "\x1e" for record in records))

    def text(self, text: str | bytes) -> None:
        self.frame(1, text.encode() if isinstance(text, str) else text)

    def frame(self, opcode: int, payload: bytes) -> None:
        """One unmasked WebSocket frame."""
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self.raw(head + payload)

    def raw(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise Gone from None

    def receive(self) -> Any:
        """The next SignalR record the client sends."""
        while True:
            opcode, payload = self._frame()
            if opcode == 8:
                raise Gone
            if opcode == 1:
                assert payload.endswith(b"\x1e"), payload
                return json.loads(payload[:-1])

    def wait(self) -> None:
        """Until the client goes."""
        while True:
            self._frame()

    def _frame(self) -> tuple[int, bytes]:
        first, second = self._read(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack("!H", self._read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._read(8))
        mask = self._read(4)
        return first & 15, bytes(byte ^ mask[index % 4] for index, byte in enumerate(self._read(size)))

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                data = self._socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                raise Gone
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


Script = Callable[[Peer], None]


def feed(topic: str, data: Any, utc: str) -> dict[str, Any]:
    """What the hub calls on its clients for each message."""
    return {"type": 1, "target": "feed", "arguments": [topic, data, utc]}


class Server:
    """The server. `requests` are all there were; `options`, `negotiate` and `upgrade` answer them, the last for good.

    upgrade: answers to the WebSocket's request; None opens it.
    raw: instead of HTTP, what each TCP connection is answered by, whatever it asks.
    tls: what it is reached by instead of plain TCP.
    """

    def __init__(
        self,
        *scripts: Script,
        options: list[Answer] | None = None,
        negotiate: list[Answer] | None = None,
        upgrade: list[Answer | None] | None = None,
        raw: Callable[[socket.socket], None] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.errors: list[BaseException] = []
        self._scripts = list(scripts)
        self._options = options or [(405, {"Set-Cookie": "AWSALBCORS=sticky; Path=/; SameSite=None; Secure"}, "")]
        self._negotiate = negotiate or [OK]
        self._upgrade = upgrade or [None]
        self._raw = raw
        self._tls = tls
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        for opened in (self._listener, *self._connections):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        for thread in self._threads:
            thread.join(5)
        if kind is None:
            assert not self.errors, self.errors

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.requests)

    def _start(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._connections.append(connection)
            if self._raw is not None:
                self._raw(connection)
            else:
                self._http(connection)
        except (Gone, OSError):
            pass
        except BaseException as error:
            if not self._closing.is_set():
                self.errors.append(error)
        finally:
            connection.close()

    def _http(self, connection: socket.socket) -> None:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = connection.recv(65536)
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = line.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (held.partition(":") for held in lines)}
            with self._lock:
                self.requests.append(Request(method, target, headers))
                if method == "GET":
                    answer = _next(self._upgrade)
                    script = _next(self._scripts) if answer is None else None
                else:
                    answer = _next(self._options if method == "OPTIONS" else self._negotiate)
            if answer is None:
                assert script is not None
                key = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + ACCEPT).digest()).decode()
                connection.sendall(
                    (
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {key}\r\n\r\n"
                    ).encode()
                )
                script(Peer(connection, self._closing))
                return
            status, fields, body = answer
            lines = [f"{name}: {value}" for name, value in fields.items()]
            text = "\r\n".join([f"HTTP/1.1 {status} X", *lines, f"Content-Length: {len(body)}", "", body])
            connection.sendall(text.encode())


def _next(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]
