"""The hub's door: negotiate with the cookie, the WebSocket, the handshake, Subscribe. Answers as F1's server does.

Sending is `connection`'s business, what there is to send `feed`'s.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import orjson
from aiohttp import WSMsgType, web

from local.hub import wire
from local.hub.channel import WebSocketChannel
from local.hub.connection import Connection
from local.hub.faults import Faults, Refusal, Where
from local.hub.feed import Feed
from local.hub.ledger import Ledger
from local.hub.state import FeedState
from pitwall.sources.record import plain_topic

logger = logging.getLogger(__name__)

COOKIE: Final = "AWSALBCORS"
_NEGOTIATED: Final = 1_000
"""Connection tokens that are waiting for their WebSocket; older ones are forgotten."""
_REQUEST: Final = 1024 * 1024
_TRANSPORTS: Final = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
_WORDS: Final = {401: "Unauthorized", 403: "Request blocked.", 429: "Too Many Requests", 502: "Bad Gateway"}


@dataclass(slots=True)
class Door:
    """Who may come in and what they are given. Changed on the hub's event loop.

    token: what gated topics take, None: no token is good. gated: topics, without `.z`.
    """

    token: str | None
    gated: Collection[str]
    ping_s: float
    client_timeout_s: float
    handshake_s: float
    outbox_bytes: int


class _HungUp(Exception):
    """The other side has closed its socket."""


class Server:
    """The HTTP application of one hub and its connections."""

    def __init__(
        self, door: Door, faults: Faults, ledger: Ledger, feed: Feed[FeedState], connections: set[Connection]
    ) -> None:
        self._door, self._faults, self._ledger, self._feed = door, faults, ledger, feed
        self._connections = connections
        # Connection token to the cookie it was negotiated with.
        self._negotiated: OrderedDict[str, str] = OrderedDict()
        self._closing = asyncio.Event()
        self.application = web.Application()
        self.application.add_routes(
            [
                web.options("/signalrcore/negotiate", self._options),
                web.post("/signalrcore/negotiate", self._negotiate),
                web.get("/signalrcore", self._connect),
                web.route("*", "/signalr/{rest:.*}", self._legacy),
            ]
        )

    def close(self) -> None:
        """Ends requests that are kept waiting."""
        self._closing.set()

    async def _legacy(self, _: web.Request) -> web.Response:
        return web.Response(status=401)

    async def _options(self, request: web.Request) -> web.Response:
        # The load balancer sets its cookie whatever the server behind it says to OPTIONS.
        self._ledger.attempt("options", 405)
        answer = web.Response(status=405, headers={"Allow": "POST"})
        return _with_cookie(answer, request.cookies.get(COOKIE))

    async def _negotiate(self, request: web.Request) -> web.Response:
        await request.read()
        if self._faults.fails("negotiate"):
            self._ledger.attempt("negotiate", 0)
            await self._closing.wait()
            return web.Response(status=503)
        refused = self._refused("negotiate", request)
        if refused is not None:
            return refused
        self._ledger.attempt("negotiate", 200)
        cookie = request.cookies.get(COOKIE) or secrets.token_urlsafe(48)
        token = secrets.token_urlsafe(16)
        self._negotiated[token] = cookie
        while len(self._negotiated) > _NEGOTIATED:
            self._negotiated.popitem(last=False)
        identity: dict[str, Any] = {"negotiateVersion": 0, "connectionId": token}
        if request.query.get("negotiateVersion") == "1":
            identity = {"negotiateVersion": 1, "connectionId": secrets.token_urlsafe(16), "connectionToken": token}
        body = wire.to_json(identity | {"availableTransports": _TRANSPORTS})
        return _with_cookie(web.Response(body=body, content_type="application/json"), cookie)

    def _refused(self, where: Where, request: web.Request) -> web.Response | None:
        """The answer to somebody who may not come in, for a fault or a bad token; None if they may."""
        refusal = self._faults.refusal(where)
        if refusal is None:
            login = _bearer(request)
            if login is None or login == self._door.token:
                return None
            refusal = Refusal(401, 1, None)
        self._ledger.attempt(where, refusal.status)
        headers = {} if refusal.retry_after_s is None else {"Retry-After": f"{refusal.retry_after_s:g}"}
        return web.Response(status=refusal.status, text=_WORDS.get(refusal.status, "Error"), headers=headers)

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused("connect", request)
        if refused is not None:
            return refused
        if request.headers.get("Upgrade", "").lower() != "websocket":
            self._ledger.attempt("connect", 400)
            return web.Response(status=400, text="Connection ID required")
        token = request.query.get("id", "")
        # Another server of F1's would answer without the cookie, and know nothing of this id.
        cookie = self._negotiated.get(token)
        if cookie is None or request.cookies.get(COOKIE) != cookie:
            self._ledger.attempt("connect", 404)
            return web.Response(status=404, text="No Connection with that ID")
        del self._negotiated[token]
        socket = web.WebSocketResponse(compress=False, max_msg_size=_REQUEST)
        await socket.prepare(request)
        self._ledger.attempt("connect", 101)
        await self._converse(request, socket, token)
        return socket

    async def _converse(self, request: web.Request, socket: web.WebSocketResponse, token: str) -> None:
        transport = request.transport
        if transport is None:
            return
        incoming = _Incoming(socket)
        try:
            async with asyncio.timeout(self._door.handshake_s):
                asked = await incoming.next()
        except (TimeoutError, _HungUp):
            self._ledger.attempt("handshake", 0)
            transport.close()
            return
        if self._faults.fails("handshake"):
            self._ledger.attempt("handshake", 0)
            await incoming.until_hung_up()
            return
        if asked.get("protocol") != "json" or asked.get("version") not in (1, 2):
            self._ledger.attempt("handshake", 400)
            await socket.send_str(wire.record({"error": f"The protocol '{asked.get('protocol')}' is not supported."}))
            await socket.close()
            return
        self._ledger.attempt("handshake", 200)
        connection = Connection(
            WebSocketChannel(socket, transport),
            token,
            _bearer(request),
            ledger=self._ledger,
            faults=self._faults,
            ping_s=self._door.ping_s,
            limit=self._door.outbox_bytes,
            opened_offset=self._feed.position,
        )
        self._connections.add(connection)
        connection.say(wire.HANDSHAKE_ANSWER)
        sending = asyncio.create_task(connection.run())
        try:
            await self._listen(connection, incoming)
        finally:
            self._connections.discard(connection)
            connection.gone()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            logger.info("connection %s ended: %s", token[:6], connection.served.ended)

    async def _listen(self, connection: Connection, incoming: _Incoming) -> None:
        while True:
            try:
                async with asyncio.timeout(self._door.client_timeout_s):
                    record = await incoming.next()
            except TimeoutError:
                connection.drop("said nothing for too long")
                return
            except _HungUp:
                return
            match record.get("type"):
                case 1:
                    self._invoked(connection, record)
                case 7:
                    return
                case _:
                    # A ping, or an answer to nothing we asked.
                    continue

    def _invoked(self, connection: Connection, record: dict[str, Any]) -> None:
        invocation, arguments = record.get("invocationId"), record.get("arguments")
        answered = isinstance(invocation, str)
        topics = arguments[0] if isinstance(arguments, list) and len(arguments) == 1 else None
        error = ""
        if record.get("target") != "Subscribe":
            error = f"Failed to invoke '{record.get('target')}' due to an error on the server. Unknown hub method."
        elif not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
            error = "Failed to invoke 'Subscribe' due to an error on the server. InvalidDataException."
        elif self._faults.fails("subscribe"):
            error = "An unexpected error occurred invoking 'Subscribe' on the server."
        self._ledger.attempt("subscribe", 400 if error else 200)
        if error:
            if answered:
                connection.say(wire.failure(str(invocation), error))
            return
        self._subscribe(connection, [plain_topic(topic) for topic in topics or ()], str(invocation) if answered else "")

    def _subscribe(self, connection: Connection, asked: list[str], invocation: str) -> None:
        logged_in = connection.login is not None and connection.login == self._door.token
        given = [topic for topic in dict.fromkeys(asked) if logged_in or topic not in self._door.gated]
        state = self._feed.state.snapshot(given)
        # Nothing is played between the snapshot and the first message that follows it: both are one step of the loop.
        connection.topics.update(given)
        connection.served.topics.update(given)
        self._ledger.wanted.update(given)
        self._ledger.snapshot(connection.served, self._feed.ordinal, frozenset(plain_topic(topic) for topic in state))
        if invocation:
            connection.say(wire.completion(invocation, state))


class _Incoming:
    """The records a client sends."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._text = ""

    async def next(self) -> dict[str, Any]:
        """The next record; one that cannot be read is an empty one. Raises _HungUp."""
        while wire.SEPARATOR not in self._text:
            message = await self._socket.receive()
            if message.type is WSMsgType.TEXT:
                self._text += message.data
            elif message.type is WSMsgType.BINARY:
                self._text += message.data.decode("utf-8", "replace")
            elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                raise _HungUp
            if len(self._text) > _REQUEST:
                raise _HungUp
        text, _, self._text = self._text.partition(wire.SEPARATOR)
        try:
            record = orjson.loads(text)
        except orjson.JSONDecodeError:
            return {}
        return record if isinstance(record, dict) else {}

    async def until_hung_up(self) -> None:
        try:
            while True:
                await self.next()
        except _HungUp:
            return


def _bearer(request: web.Request) -> str | None:
    """The token of the request: from its header, or from the query as browsers send it."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.query.get("access_token")


def _with_cookie(response: web.Response, cookie: str | None) -> web.Response:
    # F1's is `SameSite=None; Secure` too; over plain HTTP a client would never send such a cookie back.
    response.set_cookie(COOKIE, cookie or secrets.token_urlsafe(48), max_age=604_800, path="/")
    return response
