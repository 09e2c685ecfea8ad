"""Reads a JSON document as a stream of its elements, for recordings that are one document instead of lines
(an array or an object of frames, pretty-printed or not). What an element says is `signalr_frames`' business.

Holds one element at a time: a value of the outermost array or object, or the whole object where that
itself is one frame or a snapshot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pitwall.sources.literals import loads
from pitwall.sources.record import Reject, is_known_topic

ELEMENT_LIMIT = 32 * 1024 * 1024
"""Bytes of one element (a subscribe snapshot is 120 KB); beyond it is counted `line-too-long` and passed over."""

_IN_STRING = re.compile(rb'["\\]')
_OUTSIDE = re.compile(rb'["{}\[\],]')
_FIRST_KEY = re.compile(rb'\s*\{\s*"([^"\\]{0,80})"')
_FRAME_KEYS = {b"C", b"M", b"R", b"H", b"A", b"I", b"S", b"G", b"type", b"target", b"arguments", b"invocationId"}
_MESSAGE_KEYS = {b"Type", b"Json", b"DateTime", b"stream", b"payload", b"topic", b"data"}
_BOM = b"\xef\xbb\xbf"


def read_json_values(chunks: Iterable[bytes], reject: Reject, limit: int = ELEMENT_LIMIT) -> Iterator[Any]:
    """The elements of a JSON document; what is not JSON is counted `bad-json`."""
    stream = iter(chunks)
    head = b""
    for chunk in stream:
        head += chunk
        if len(head.removeprefix(_BOM).lstrip()) > 256:
            break
    head = head.removeprefix(_BOM).lstrip()
    if head[:1] not in (b"{", b"["):
        return
    level, keyed = _element_level(head)

    def rest() -> Iterator[bytes]:
        yield head
        yield from stream

    for text in _split(rest(), level, limit, reject):
        try:
            value = loads(b"{" + text + b"}" if keyed else text)
        except ValueError:
            reject("bad-json")
            continue
        if keyed:
            yield from value.values()
        else:
            yield value


def _element_level(head: bytes) -> tuple[int, bool]:
    """The depth at which elements lie (0: top-level values, 1: what is in them), and whether they have keys."""
    if head.startswith(b"["):
        return 1, False
    key = _FIRST_KEY.match(head)
    if key and (key[1] in _FRAME_KEYS or key[1] in _MESSAGE_KEYS or is_known_topic(key[1].decode("utf-8", "replace"))):
        return 0, False
    return 1, True


def _split(chunks: Iterable[bytes], level: int, limit: int, reject: Reject) -> Iterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    depth = 0
    in_string = escaped = False

    def keep(piece: bytes) -> None:
        nonlocal size
        size += len(piece)
        if size <= limit:
            pieces.append(piece)
        else:
            pieces.clear()

    def finish() -> bytes:
        nonlocal size
        element, too_long = b"".join(pieces).strip(), size > limit
        pieces.clear()
        size = 0
        if too_long:
            reject("line-too-long")
            return b""
        return element

    for chunk in chunks:
        start = position = 0
        if escaped and chunk:
            position, escaped = 1, False
        while match := (_IN_STRING if in_string else _OUTSIDE).search(chunk, position):
            position = match.end()
            mark = match.group()
            if mark == b'"':
                in_string = not in_string
            elif mark == b"\\":
                escaped = position == len(chunk)
                position += 1
            elif mark == b",":
                if depth == level:
                    keep(chunk[start : match.start()])
                    start = position
                    if element := finish():
                        yield element
            elif mark in b"{[":
                if depth < level:
                    start = position
                depth += 1
            else:
                depth -= 1
                if depth < level:
                    keep(chunk[start : match.start()])
                elif depth == level == 0:
                    keep(chunk[start:position])
                if depth < level or depth == level == 0:
                    start = position
                    if element := finish():
                        yield element
                depth = max(depth, 0)
        keep(chunk[start:])
    if element := finish():
        yield element
