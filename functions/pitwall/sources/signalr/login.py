"""The F1TV login of one connection: the token out of whatever was configured, and why there is none in plain words.

F1's account service makes tokens; they are signed, live about four days, and only F1's servers can tell whether they
are good. What is read out of one here is when it ends. Where the text is kept is `settings`' and `secret`'s business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

import jwt
import orjson

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{8,16384}=*")
_BEARER: Final = re.compile(r"(?:authorization\s*:\s*)?bearer\s+", re.IGNORECASE)
_BLOB_KEY: Final = "subscriptionToken"
_BLOB_DEPTH: Final = 6

PUBLIC_ONLY: Final = "reading the public topics only"


class BadToken(ValueError):
    """What was configured as a token is none."""


@dataclass(frozen=True, slots=True)
class Token:
    """An F1TV subscription token.

    value: for the Authorization header; kept out of the repr.
    expires: seconds since the epoch, None where the token does not say.
    """

    value: str = field(repr=False)
    expires: float | None = None

    def expired(self, now: float) -> bool:
        """now: seconds since the epoch."""
        return self.expires is not None and now >= self.expires

    @property
    def expiry(self) -> str:
        """When it ends or ended, to be read by people."""
        if self.expires is None:
            return "an unknown date"
        return datetime.fromtimestamp(self.expires, UTC).strftime("%Y-%m-%d at %H:%M UTC")


@dataclass(frozen=True, slots=True)
class Login:
    """What one connection logs in with.

    detail: why there is no token, and what that means; empty where there is one.
    """

    token: Token | None
    detail: str = ""


NO_TOKEN: Final = Login(None, f"no F1TV token; {PUBLIC_ONLY}")


def read_token(text: str) -> Token:
    """The token in `text`: the bare token, `Bearer <token>`, or F1's `login-session` cookie.

    That cookie is JSON, URL-encoded or not, with the token as `subscriptionToken` somewhere inside (`data`, seen in
    what browsers store). Raises BadToken, whose text holds nothing of `text`.
    """
    value = _BEARER.sub("", text.strip(), count=1).strip()
    if not _TOKEN.fullmatch(value):
        value = _in_blob(text)
    return Token(value, _expiry(value))


def _in_blob(text: str) -> str:
    # Quoted once in the cookie, twice where a tool has quoted the cookie as a whole.
    for _ in range(3):
        brace = text.find("{")
        if brace >= 0:
            try:
                found = _subscription_token(orjson.loads(text[brace : text.rfind("}") + 1]), _BLOB_DEPTH)
            except orjson.JSONDecodeError:
                found = None
            if found is not None and _TOKEN.fullmatch(found):
                return found
        text = unquote(text)
    raise BadToken("it is neither a token nor a login session with one in it")


def _subscription_token(value: Any, depth: int) -> str | None:
    if not isinstance(value, dict) or not depth:
        return None
    token = value.get(_BLOB_KEY)
    if isinstance(token, str):
        return token.strip()
    return next((found for held in value.values() if (found := _subscription_token(held, depth - 1))), None)


def _expiry(value: str) -> float | None:
    """The `exp` of a JSON web token, whose signature only F1 can check; None for a token of another kind."""
    try:
        expires = jwt.decode(value, options={"verify_signature": False}).get("exp")
    except jwt.PyJWTError:
        return None
    # Within what a date can be: the words about it are made of it.
    if isinstance(expires, bool) or not isinstance(expires, int | float) or not 0 <= expires < 32_503_680_000:
        return None
    return float(expires)
