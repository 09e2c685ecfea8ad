"""Reads a file as a stream: plain or gzip, UTF-8 or UTF-16, as chunks or as lines.

What a line says is the formats' business. Never holds more than one line, and never a line longer than `LINE_LIMIT`.
"""

from __future__ import annotations

import codecs
import contextlib
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pitwall.sources.record import Reject

LINE_LIMIT = 8 * 1024 * 1024
"""Bytes. A line beyond it is counted `line-too-long` and passed over."""

_READ = 128 * 1024
_UNPACKED = 512 * 1024
_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = zlib.MAX_WBITS | 16
_BOM = b"\xef\xbb\xbf"
# A crash of the recording machine leaves blocks of NUL at the end of the file.
_BLANK = b" \t\r\n\f\v\0"


def read_lines(path: Path, reject: Reject) -> Iterator[bytes]:
    """The non-empty lines of a file, blanks and line ends taken off."""
    return split_lines(read_chunks(path, reject), reject)


def read_chunks(path: Path, reject: Reject) -> Iterator[bytes]:
    """The content of a file, unpacked if it is gzip by its first bytes, as UTF-8.

    A gzip file that ends early or is damaged gives what can be read, and is counted `truncated-gzip` or
    `bad-gzip`; a file that stops being readable is counted `unreadable`.
    """
    return _as_utf8(_unpacked(path, reject))


def split_lines(chunks: Iterable[bytes], reject: Reject, limit: int = LINE_LIMIT) -> Iterator[bytes]:
    """Lines out of chunks. The record separator of SignalR Core ends a line too: it occurs nowhere else in JSON."""
    begun: list[bytes] = []
    size = 0
    passing_over = False
    for chunk in chunks:
        if b"\x1e" in chunk:
            chunk = chunk.replace(b"\x1e", b"\n")
        first, *rest = chunk.split(b"\n")
        size += len(first)
        if not passing_over:
            if size > limit:
                passing_over = True
                begun.clear()
                reject("line-too-long")
            else:
                begun.append(first)
        if not rest:
            continue
        if not passing_over and (line := _clean(b"".join(begun))):
            yield line
        passing_over = False
        for complete in rest[:-1]:
            if line := _clean(complete):
                yield line
        begun = [rest[-1]]
        size = len(rest[-1])
    if not passing_over and (line := _clean(b"".join(begun))):
        yield line


def _clean(line: bytes) -> bytes:
    line = line.strip(_BLANK)
    return line[3:].lstrip(_BLANK) if line.startswith(_BOM) else line


def _unpacked(path: Path, reject: Reject) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            data = file.read(_READ)
            if data.startswith(_GZIP):
                yield from _gunzipped(file, data, reject)
                return
            while data:
                yield data
                data = file.read(_READ)
    except OSError:
        reject("unreadable")


def _gunzipped(file: BinaryIO, data: bytes, reject: Reject) -> Iterator[bytes]:
    stream = zlib.decompressobj(_GZIP_WINDOW)
    while data:
        before = stream.copy()
        try:
            yield stream.decompress(data, _UNPACKED)
        except zlib.error:
            yield _up_to_the_damage(before, data)
            reject("bad-gzip")
            return
        if not stream.eof:
            data = stream.unconsumed_tail or file.read(_READ)
            continue
        # Members may follow each other; zeros after the last are padding.
        data = stream.unused_data.lstrip(b"\0") or file.read(_READ).lstrip(b"\0")
        if not data:
            return
        if not data.startswith(_GZIP[:1]):
            reject("bad-gzip")
            return
        stream = zlib.decompressobj(_GZIP_WINDOW)
    reject("truncated-gzip")


def _up_to_the_damage(stream: zlib._Decompress, data: bytes) -> bytes:
    unpacked = bytearray()
    with contextlib.suppress(zlib.error):
        for start in range(len(data)):
            unpacked += stream.decompress(data[start : start + 1])
    return bytes(unpacked)


def _as_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    stream = iter(chunks)
    first = next(stream, b"")
    if not first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield first
        yield from stream
        return
    # What PowerShell's `>` writes.
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    yield decoder.decode(first).encode()
    for chunk in stream:
        yield decoder.decode(chunk).encode()
