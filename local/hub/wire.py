"""The text of SignalR Core's records, as F1's hub writes them. What is said when is `connection`'s and `server`'s.

https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md
"""

from __future__ import annotations

import base64
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

SEPARATOR: Final = "\x1e"
PING: Final = '{"type":6}' + SEPARATOR
HANDSHAKE_ANSWER: Final = "{}" + SEPARATOR

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BOM: Final = b"\xef\xbb\xbf"


def to_json(value: Any) -> bytes:
    """Compact JSON; keys that are no strings (a Python literal in a recording) become ones."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


def record(value: Any) -> str:
    """One record."""
    return to_json(value).decode() + SEPARATOR


def utc(at: int) -> str:
    """A feed message's third argument; `at` in ms since the epoch."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def feed(wire_topic: str, payload: str, at: int) -> str:
    """A feed message; `payload` is JSON text."""
    return f'{{"type":1,"target":"feed","arguments":["{wire_topic}",{payload},"{utc(at)}"]}}{SEPARATOR}'


def completion(invocation: str, result: dict[str, Any]) -> str:
    """The answer to an invocation."""
    return record({"type": 3, "invocationId": invocation, "result": result})


def failure(invocation: str, error: str) -> str:
    """The answer to an invocation that failed."""
    return record({"type": 3, "invocationId": invocation, "error": error})


def close(error: str | None, allow_reconnect: bool) -> str:
    """The last record of a connection the hub ends; F1's clients may come back if `allow_reconnect`."""
    said: dict[str, Any] = {"type": 7}
    if error:
        said["error"] = error
    if allow_reconnect:
        said["allowReconnect"] = True
    return record(said)


def deflated(payload: bytes) -> str:
    """A `.z` topic's payload: base64 of the raw deflate stream of JSON with a byte-order mark."""
    packer = zlib.compressobj(level=6, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(_BOM + payload) + packer.flush()).decode()


def fragmented(text: str, cut: int) -> bytes:
    """One WebSocket text message as two frames, cut after `cut` bytes, perhaps inside a character (RFC 6455, 5.4)."""
    body = text.encode()
    return _frame(0x01, body[:cut]) + _frame(0x80, body[cut:])


def _frame(head: int, body: bytes) -> bytes:
    size = len(body)
    if size < 126:
        return bytes((head, size)) + body
    if size < 65_536:
        return bytes((head, 126)) + size.to_bytes(2, "big") + body
    return bytes((head, 127)) + size.to_bytes(8, "big") + body
