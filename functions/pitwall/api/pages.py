"""Cursors: where the next page of a list begins, opaque to the client and good for the same list only."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""Of an item, where a list is in the order of numbers."""

_VERSION = b"\x02"
_DIGEST = 6
_BEGIN = len(_VERSION) + _DIGEST


def _list(of: tuple[Any, ...]) -> bytes:
    return _VERSION + blake2b(repr(of).encode(), digest_size=_DIGEST).digest()


def cursor(after: Any, of: tuple[Any, ...]) -> str:
    """The cursor of the page that begins after the item at `after` (number or tuple) of the list `of` identifies."""
    return urlsafe_b64encode(_list(of) + msgspec.msgpack.encode(after)).decode().rstrip("=")


def opened(text: str, of: tuple[Any, ...], kind: Any) -> Any:
    """What `cursor` was given, of the type `kind`. Raises ValueError for what `cursor` did not make for this list."""
    try:
        made = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        after = msgspec.msgpack.decode(made[_BEGIN:], type=kind)
    except (Error, ValueError, msgspec.DecodeError):
        raise ValueError("is no cursor of this list") from None
    if cursor(after, of) != text:
        raise ValueError("belongs to another list: what a list is filtered by has to stay the same")
    return after
