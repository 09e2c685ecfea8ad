"""Reads one value written as JSON or as Python's repr of it (FastF1's client writes the latter).

A Python value is turned into JSON by its tokens and never evaluated, so any bytes give a value or `None`-free
`ValueError`, in time linear in their length.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

# Strings end at their quote or, cut off, at the end of the text: one that ran past every quote and
# failed there would be tried again from each of them.
_TOKEN = re.compile(
    r"""'[^'\\]*(?:\\.[^'\\]*)*(?:'|\Z)|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|\b(?:True|False|None|nan|inf)\b""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}
_WORDS = {"True": "true", "False": "false", "None": "null", "nan": "null", "inf": "null"}


def loads(text: bytes) -> Any:
    """The value in `text`: JSON, or Python's repr of JSON data.

    Tolerates a trailing comma (a line out of a pretty-printed array) and Windows-1252 instead of UTF-8.
    Raises ValueError when it is neither.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if text.endswith(b","):
            return loads(text.rstrip(b", \t\r"))
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return loads(text.decode("cp1252", "replace").encode("utf-8"))
        if b"'" in text or b"True" in text or b"False" in text or b"None" in text:
            return _loads_python(text)
        raise ValueError(str(error)) from error


def loads_python(text: bytes) -> Any:
    """As `loads`, for text that is expected to be Python's repr: tries that first."""
    try:
        return _loads_python(text)
    except ValueError:
        return loads(text)


def _loads_python(text: bytes) -> Any:
    try:
        if b'"' in text or b"\\" in text:
            return orjson.loads(_TOKEN.sub(_json_token, text.decode("utf-8")))
        # No string holds a quote or an escape, so quotes alone tell what is inside one.
        pieces = text.split(b"'")
        if b"True" in text or b"False" in text or b"None" in text:
            for outside in range(0, len(pieces), 2):
                piece = pieces[outside]
                if len(piece) > 5:  # shorter ones hold no more than ": " or ", "
                    pieces[outside] = (
                        piece.replace(b"True", b"true").replace(b"False", b"false").replace(b"None", b"null")
                    )
        return orjson.loads(b'"'.join(pieces))
    except (UnicodeError, TypeError) as error:
        raise ValueError(str(error)) from error


def _json_token(match: re.Match[str]) -> str:
    token = match.group()
    word = _WORDS.get(token)
    if word is not None:
        return word
    if len(token) < 2 or token[-1] != token[0]:
        raise ValueError("a string without its end")
    return orjson.dumps(_ESCAPE.sub(_unescape, token[1:-1])).decode()


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
