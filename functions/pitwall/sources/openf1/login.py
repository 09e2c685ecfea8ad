"""OpenF1's OAuth token: given, or got for a user name and password and renewed before it expires.

Neither is ever logged or shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import httpx
import orjson

from pitwall.settings import Settings
from pitwall.sources.openf1.trouble import Trouble, refused_status, unreachable

LIVES_S: Final = 3600.0
"""How long a token is documented to live, where its answer does not say."""
EARLY_S: Final = 120.0
"""So long before its end a token is renewed."""


class Login:
    """Whom OpenF1 is asked as."""

    def __init__(self, settings: Settings, http: httpx.Client, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._http = http
        self._monotonic = monotonic
        self._token = settings.openf1_token
        self._expires_at: float | None = None

    @property
    def has_account(self) -> bool:
        """Whether a token or an account is configured."""
        return bool(self._settings.openf1_token) or self._can_renew

    @property
    def _can_renew(self) -> bool:
        return bool(self._settings.openf1_username and self._settings.openf1_password)

    @property
    def due(self) -> bool:
        """Whether a token has to be got before the next question."""
        if not self._can_renew:
            return False
        expired = self._expires_at is not None and self._monotonic() >= self._expires_at - EARLY_S
        return not self._token or expired

    @property
    def header(self) -> dict[str, str]:
        """What goes with a question."""
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def refused(self) -> bool:
        """The token was not accepted; returns whether another one can be got."""
        if not self._can_renew:
            return False
        self._token = ""
        return True

    def renew(self) -> None:
        """Gets a token. Raises Trouble."""
        form = {"username": self._settings.openf1_username, "password": self._settings.openf1_password}
        try:
            answer = self._http.post("/token", data=form)
        except httpx.HTTPError as error:
            raise unreachable(error, self._settings.connect_s) from None
        if answer.status_code in (400, 401, 403, 422):
            raise Trouble("OpenF1 does not accept the user name and password", status=401, passing=False)
        if answer.status_code != 200:
            raise refused_status(answer.status_code, answer.headers, with_login=True)
        try:
            told = orjson.loads(answer.content)
            token, lives = told["access_token"], told.get("expires_in", LIVES_S)
            lives_s = float(lives)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            raise Trouble("OpenF1 gave no token that can be read") from None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token or not token:
            raise Trouble("OpenF1 gave no token that can be read")
        self._token = token
        self._expires_at = self._monotonic() + max(lives_s, 2 * EARLY_S)
