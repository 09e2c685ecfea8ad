"""One connection to F1's SignalR Core hub: negotiate, WebSocket, handshake, subscription, and frames until it ends.

It opens sockets and closes every one of them; whatever goes wrong is a `Trouble`. Whether and when to connect again,
and what the frames mean, is `source`'s business.
"""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import httpx
import orjson
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from pitwall.sources.literals import loads
from pitwall.sources.record import Reject
from pitwall.sources.signalr.login import Token
from pitwall.sources.signalr.records import LONGEST, SEPARATOR, Records, RecordTooLong
from pitwall.sources.signalr.trouble import LoginRefused, closed, refused_status, timed_out, unreachable
from pitwall.sources.sockets import Sockets
from pitwall.sources.trouble import Trouble

INVOCATION: Final = 1
COMPLETION: Final = 3
PING: Final = 6
CLOSE: Final = 7
_OTHER_KINDS: Final = (2, 4, 5, 8, 9)
"""Streams, cancellations and what only stateful connections have: of SignalR Core, and never of this feed."""

EARLY_MOST: Final = 5_000
"""Frames that may come between the subscription and its answer; there are milliseconds in between."""

_TOLD_MOST: Final = 200
_ABOUT_LOGIN: Final = re.compile(
    r"unauthori[sz]|forbidden|log ?in|(?:access|bearer|subscription)[ _-]?token|(?:expired|invalid) token|"
    r"token (?:is |has |was )?(?:expired|invalid)",
    re.IGNORECASE,
)
_NOTHING: Final = object()
_LOOK_S: Final = 0.25
_NEGOTIATED_MOST: Final = 64 * 1024
_SUBSCRIPTION: Final = "0"
_HEADERS: Final = {"User-Agent": "PitWall", "Accept-Encoding": "identity"}

# What these two libraries say at DEBUG holds cookies, tokens and connection ids.
_wire = logging.getLogger(f"{__name__}.wire")
_wire.setLevel(logging.INFO)
logging.getLogger("httpcore").setLevel(logging.INFO)

Frame = dict[str, Any]


class Connection:
    """A connection, to be opened once. `close` may be called from any thread at any time, the rest from one."""

    def __init__(self, url: str, token: Token | None, limit_s: float, reject: Reject) -> None:
        """url: of the server, `https://livetiming.formula1.com`. limit_s: seconds each step of connecting may take."""
        self._http = f"{url.rstrip('/')}/signalrcore"
        self._ws = "ws" + self._http.removeprefix("http")
        self._host = urlsplit(url).hostname or url
        self._token = token
        self._limit_s = limit_s
        self._reject = reject
        self._records = Records()
        self._waiting: deque[bytes] = deque()
        self._ending: Trouble | None = None
        self._secrets: list[str] = [token.value] if token is not None else []
        self._sockets = Sockets(limit_s)
        self._opened: ClientConnection | None = None

    # -- opening ---------------------------------------------------------------------------

    def open(self) -> None:
        """Negotiates, opens the WebSocket and shakes hands. Raises Trouble; `close` is to be called all the same."""
        context = httpx.create_ssl_context()
        connection_id, cookie = self._negotiate(context)
        with self._step("opening the WebSocket"):
            connect(
                f"{self._ws}?id={quote(connection_id, safe='')}",
                ssl=context if self._ws.startswith("wss:") else None,
                additional_headers=cookie | self._authorization(),
                user_agent_header=_HEADERS["User-Agent"],
                compression=None,
                open_timeout=self._limit_s,
                # Silence is told by messages and not by pings; and a reader who is held up is not dead.
                ping_interval=None,
                max_size=LONGEST,
                logger=_wire,
                # Typed as a class; anything that makes one will do.
                create_connection=cast(Any, self._made),
                legacy=True,
            )
        with self._step("shaking hands"):
            self._send({"protocol": "json", "version": 1})
            self._check_handshake(self._record("shaking hands"))

    def subscribe(self, topics: Sequence[str]) -> tuple[dict[str, Any], list[Frame]]:
        """Asks for topics. Returns `{topic: state}` as answered, and the invocations that came before the answer.

        Those may be in the states already or not; applying them again after the states gives the same. Raises Trouble.
        """
        early: list[Frame] = []
        until = time.monotonic() + self._limit_s
        with self._step("subscribing"):
            self._send(
                {
                    "type": INVOCATION,
                    "invocationId": _SUBSCRIPTION,
                    "target": "Subscribe",
                    "arguments": [list(topics)],
                }
            )
            while time.monotonic() < until:
                frames = self.frames(until - time.monotonic())
                for index, frame in enumerate(frames):
                    if frame["type"] == COMPLETION and frame.get("invocationId") == _SUBSCRIPTION:
                        early.extend(later for later in frames[index + 1 :] if later["type"] == INVOCATION)
                        return self._answer(frame), early
                    if frame["type"] == INVOCATION:
                        early.append(frame)
                if len(early) > EARLY_MOST:
                    raise Trouble("F1's server sends messages and no answer to the subscription")
        raise timed_out("subscribing", self._limit_s)

    # -- what comes and goes ---------------------------------------------------------------

    def frames(self, timeout_s: float) -> list[Frame]:
        """The frames that came next, none if nothing has within `timeout_s`; each a dict with an int as `type`.

        What is no frame is counted `bad-json`, `bad-frame` or `unknown-frame` and left out. Raises Trouble once the
        connection has ended, after the last frame.
        """
        if self._ending is not None:
            raise self._ending
        result: list[Frame] = []
        records = [*self._waiting] or self._receive(timeout_s)
        self._waiting.clear()
        for record in records:
            frame = self._read(record)
            if frame is None:
                continue
            if frame["type"] == CLOSE:
                self._ending = self._ended(frame)
                break
            result.append(frame)
        if self._ending is not None and not result:
            raise self._ending
        return result

    def ping(self) -> None:
        """Tells the hub that we are there; without it a hub lets go of a client after half a minute. Raises Trouble."""
        self._send({"type": PING})

    def close(self) -> None:
        """Closes every socket. Whatever waits for one in another thread fails at once, with a Trouble.

        A name lookup, TCP connection or TLS handshake under way is not waited for here; it ends by itself.
        """
        self._sockets.close()
        if self._opened is not None:
            self._opened.close_socket()
            # It owns the selector, and would be found open by whoever counts.
            self._opened.recv_events_thread.join(self._limit_s)

    # -- steps of opening ------------------------------------------------------------------

    def _step(self, name: str) -> AbstractContextManager[None]:
        """A step that ends within the limit, also if the server sends a byte now and then, and fails with a Trouble."""
        return self._sockets.limited(
            lambda: timed_out(name, self._limit_s),
            lambda error: unreachable(error, self._host, name, self._limit_s, with_token=self._token is not None),
        )

    def _negotiate(self, context: ssl.SSLContext) -> tuple[str, dict[str, str]]:
        """The connection's id, as good as a password for it, and the Cookie header that leads to its server."""
        with httpx.Client(timeout=self._limit_s, headers=_HEADERS, verify=context) as client:
            # 405 has been seen here, with the cookie all the same; whether we may come in is for POST to say.
            status, headers, _ = self._ask(client, "OPTIONS", {})
            if status == 429 or status >= 500:
                raise refused_status(status, headers, self._host, with_token=False)
            status, headers, body = self._ask(client, "POST", self._authorization() | _cookie(client))
            if status != 200:
                raise refused_status(status, headers, self._host, with_token=self._token is not None)
            self._secrets.extend(held.value for held in client.cookies.jar if held.value)
            return self._connection_id(body), _cookie(client)

    def _ask(self, client: httpx.Client, method: str, headers: dict[str, str]) -> tuple[int, httpx.Headers, bytes]:
        """Status, headers and body of an answer to a request to negotiate."""
        body = bytearray()
        with (
            self._step("negotiating"),
            client.stream(
                method,
                f"{self._http}/negotiate",
                params={"negotiateVersion": "1"} if method == "POST" else None,
                headers=headers,
                extensions={"trace": self._sockets.traced},
            ) as answer,
        ):
            for piece in answer.iter_raw():
                body += piece
                if len(body) > _NEGOTIATED_MOST:
                    raise Trouble("F1's server answers with a page where it should negotiate")
        return answer.status_code, answer.headers, bytes(body)

    def _connection_id(self, body: bytes) -> str:
        try:
            negotiated = orjson.loads(body)
        except orjson.JSONDecodeError:
            negotiated = None
        if not isinstance(negotiated, dict):
            raise Trouble("F1's server answers with a page where it should negotiate")
        if error := negotiated.get("error"):
            raise self._told("F1's server does not let us connect", error)
        # Before version 1 there was but the one id.
        connection_id = negotiated.get("connectionToken") or negotiated.get("connectionId")
        if not isinstance(connection_id, str):
            raise Trouble("F1's server negotiates no connection")
        self._secrets.append(connection_id)
        return connection_id

    def _check_handshake(self, record: bytes) -> None:
        answer = self._parsed(record)
        if isinstance(answer, dict) and (error := answer.get("error")):
            raise self._told("F1's server does not shake hands", error)
        if not isinstance(answer, dict) or "type" in answer:
            raise Trouble("F1's server answers the handshake with something else")

    def _answer(self, frame: Frame) -> dict[str, Any]:
        if error := frame.get("error"):
            raise self._told("F1's server refuses the subscription", error)
        result = frame.get("result")
        if not isinstance(result, dict | None):
            raise Trouble("F1's server answers the subscription with something else than states")
        # Nothing to tell between two sessions.
        return result or {}

    def _ended(self, frame: Frame) -> Trouble:
        error = frame.get("error")
        return (
            self._told("F1's server ended the connection", error)
            if error
            else Trouble("F1's server ended the connection")
        )

    def _told(self, what: str, error: object) -> Trouble:
        """What the hub says itself about an end, without anything secret it may repeat."""
        text = str(error)
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_TOLD_MOST].rstrip(".")
        kind = LoginRefused if self._token is not None and _ABOUT_LOGIN.search(text) else Trouble
        return kind(f"{what}: {text}")

    def _authorization(self) -> dict[str, str]:
        return {} if self._token is None else {"Authorization": f"Bearer {self._token.value}"}

    # -- the sockets -----------------------------------------------------------------------

    def _made(self, opened: socket.socket, protocol: ClientProtocol, **options: Any) -> ClientConnection:
        """websockets asks here for its connection, before it shakes hands over it."""
        websocket = ClientConnection(opened, protocol, **options)
        self._opened = websocket
        self._sockets.hold(opened)
        return websocket

    def _send(self, frame: Frame) -> None:
        try:
            self._websocket.send((orjson.dumps(frame) + SEPARATOR).decode())
        except ConnectionClosed as error:
            raise closed(error) from error

    def _receive(self, timeout_s: float) -> list[bytes]:
        """The records that the next WebSocket message completes; none if none does within `timeout_s`, or a moment."""
        try:
            return self._records.feed(self._websocket.recv(min(max(timeout_s, 0.0), _LOOK_S), decode=False))
        except TimeoutError:
            # After a breach of the protocol websockets waits for the other end to close, which may never do so.
            sent = self._websocket.protocol.close_sent
            if sent is not None:
                raise closed(ConnectionClosedError(None, sent)) from None
            return []
        except ConnectionClosed as error:
            raise closed(error) from error
        except RecordTooLong:
            raise Trouble("F1's server sent a record that does not end") from None

    @property
    def _websocket(self) -> ClientConnection:
        if self._opened is None:
            raise Trouble("not connected")
        return self._opened

    # -- records ---------------------------------------------------------------------------

    def _record(self, step: str) -> bytes:
        """The next record; those that came with it wait."""
        until = time.monotonic() + self._limit_s
        while not self._waiting:
            left = until - time.monotonic()
            if left <= 0:
                raise timed_out(step, self._limit_s)
            self._waiting.extend(self._receive(left))
        return self._waiting.popleft()

    def _read(self, record: bytes) -> Frame | None:
        value = self._parsed(record)
        if value is _NOTHING:
            self._reject("bad-json")
            return None
        if not isinstance(value, dict) or type(value.get("type")) is not int:
            self._reject("bad-frame")
            return None
        if value["type"] not in (INVOCATION, COMPLETION, PING, CLOSE, *_OTHER_KINDS):
            self._reject("unknown-frame")
            return None
        return value

    @staticmethod
    def _parsed(record: bytes) -> Any:
        """The record's JSON, read as leniently as a recording of it would be; `_NOTHING` for none."""
        try:
            return loads(record)
        except ValueError:
            return _NOTHING


def _cookie(client: httpx.Client) -> dict[str, str]:
    """The Cookie header with all that the server has set, whatever its names: a load balancer may need each of them."""
    held = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
    return {"Cookie": held} if held else {}
