"""Opens the feed's compressed payloads: base64 of a raw deflate stream of UTF-8 JSON with a byte-order mark.

Seen on `CarData.z` and `Position.z`, in every format.
"""

from __future__ import annotations

import binascii
import zlib
from typing import Any

import orjson

from pitwall.sources.literals import loads

# One payload is a second or two of telemetry, 20 KB unpacked. The bound is against a bomb.
LIMIT = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_COMPRESSED_TOPICS = {"CarData", "Position"}


class BadPayload(Exception):
    """A compressed payload that cannot be opened; `reason` is what it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def payload(topic: str, data: Any) -> Any:
    """The payload of a message: compressed ones opened, JSON in a string read. Raises BadPayload."""
    if not isinstance(data, str):
        return data
    if topic.endswith(".z"):
        return decode_z(data)
    if data[:1] in ("{", "[") or data == "null":
        # FastF1's client and some captures quote a payload's JSON once more.
        try:
            return loads(data.encode("utf-8", "replace"))
        except ValueError as error:
            raise BadPayload("bad-json") from error
    if topic in _COMPRESSED_TOPICS:
        return decode_z(data)
    return data


def decode_z(payload: str) -> Any:
    """The JSON in a `.z` payload.

    Raises BadPayload: `bad-base64`, `bad-deflate` (also for more than 8 MiB unpacked), `bad-json`.
    """
    try:
        packed = binascii.a2b_base64(payload.strip().strip('"').encode("ascii"), strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise BadPayload("bad-base64") from error
    try:
        unpacked = _inflate(packed, -zlib.MAX_WBITS)
    except zlib.error:
        # Some clients store what they packed themselves, with a zlib or gzip header.
        try:
            unpacked = _inflate(packed, zlib.MAX_WBITS | 32)
        except zlib.error as error:
            raise BadPayload("bad-deflate") from error
    try:
        return orjson.loads(unpacked.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        raise BadPayload("bad-json") from error


def _inflate(packed: bytes, window_bits: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    unpacked = stream.decompress(packed, LIMIT)
    if not stream.eof:
        raise zlib.error("incomplete, or longer than any payload of the feed")
    return unpacked
