"""What can be wrong with OpenF1's server, in plain words: for `live/feed` and the log.

No text here may hold a token or a password; so errors are worded anew and not passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from pitwall.message import FeedState
from pitwall.sources.trouble import retry_after_s

LOCKED: Final = (401, 403)


class Closed(Exception):
    """The source was closed while it waited."""


class Trouble(Exception):
    """OpenF1 did not answer as asked.

    detail: why, in plain words.
    status: what it answered in HTTP, 0 if that was not it.
    asked_s: seconds it asked to wait, None if it did not.
    passing: whether the same question may be answered in a moment.
    """

    def __init__(self, detail: str, *, status: int = 0, asked_s: float | None = None, passing: bool = True) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.asked_s = asked_s
        self.passing = passing

    @property
    def state(self) -> FeedState | None:
        """What the feed's state is called; None where it is only asked again."""
        return "refused" if self.status in LOCKED else None


def refused_status(status: int, headers: Mapping[str, str], *, with_login: bool) -> Trouble:
    """What an HTTP answer other than rows means."""
    if status in LOCKED:
        detail = (
            f"OpenF1 does not accept the login ({status})"
            if with_login
            else f"OpenF1 answers only with a paid account while a session is on ({status})"
        )
        return Trouble(detail, status=status, passing=False)
    if status == 429:
        asked_s = retry_after_s(headers.get("Retry-After"))
        return Trouble("OpenF1 was asked too often (429)", status=status, asked_s=asked_s)
    if status >= 500 or status == 408:
        asked_s = retry_after_s(headers.get("Retry-After")) if status == 503 else None
        return Trouble(f"OpenF1's server answers {status}", status=status, asked_s=asked_s)
    return Trouble(f"OpenF1's server answers {status}, which is no table", status=status, passing=False)


def unreachable(error: httpx.HTTPError, limit_s: float) -> Trouble:
    """What an error of httpx means."""
    if isinstance(error, httpx.TimeoutException):
        return Trouble(f"OpenF1 did not answer within {limit_s:g} s")
    if isinstance(error, httpx.ConnectError):
        return Trouble("OpenF1's server takes no connections")
    return Trouble("OpenF1's server broke off")
