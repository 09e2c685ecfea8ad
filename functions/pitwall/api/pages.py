"""Cursors: where the next page of a list begins, opaque to the client and good for the same list only."""

from __future__ import annotations

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import blake2b
from typing import Any

_FORMAT = struct.Struct(">B6sI")
_VERSION = 1


def _list(of: tuple[Any, ...]) -> bytes:
    return blake2b(repr(of).encode(), digest_size=6).digest()


def cursor(after: int, of: tuple[Any, ...]) -> str:
    """The cursor of the page that begins after item number `after` of the list that `of` identifies."""
    return urlsafe_b64encode(_FORMAT.pack(_VERSION, _list(of), after)).decode().rstrip("=")


def opened(text: str, of: tuple[Any, ...]) -> int:
    """The item number that `cursor` was given. Raises ValueError for anything `cursor` did not make for this list."""
    try:
        _, _, after = _FORMAT.unpack(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (Error, struct.error, ValueError):
        raise ValueError("is no cursor of this API") from None
    number = int(after)
    if cursor(number, of) != text:
        raise ValueError("belongs to another list: session, driver, from and to have to stay the same")
    return number
