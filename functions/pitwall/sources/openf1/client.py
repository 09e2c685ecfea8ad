"""Asks OpenF1 for rows of its tables, within its rate limit, and again where it may help.

What a row means is `session`'s business, when to ask for which table `source`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from pitwall.settings import Settings
from pitwall.sources.openf1.limits import FREE, PAID, Limit, RateLimit
from pitwall.sources.openf1.login import Login
from pitwall.sources.openf1.trouble import Closed, Trouble, refused_status, unreachable

Row = dict[str, Any]

LONGEST_ASKED_S: Final = 600.0
"""Seconds of a `Retry-After` that are heeded; a mistake there must not cost a session."""
AGAIN_S: Final = 30.0
"""Longest wait between two attempts where the server did not say."""


def equal(field: str, value: object) -> str:
    """The filter for rows whose `field` is `value`."""
    return f"{field}={quote(str(value), safe='')}"


def since(field: str, at: int) -> str:
    """The filter for rows whose instant `field` is `at` (ms since the epoch) or later."""
    instant = datetime.fromtimestamp(at / 1000, UTC)
    return f"{field}>={quote(instant.strftime('%Y-%m-%dT%H:%M:%S.') + f'{at % 1000:03d}', safe=':')}"


class Client:
    """OpenF1's server at `settings.openf1_url`. One thread asks; `close` it when done."""

    def __init__(
        self,
        settings: Settings,
        *,
        monotonic: Callable[[], float],
        pause: Callable[[float], object],
        attempts: int,
    ) -> None:
        """monotonic: seconds. pause: waits so many seconds; a true answer says that the source was closed.

        attempts: how often one question is asked at most.
        """
        self._settings = settings
        self._interrupted = pause
        self._http = httpx.Client(
            base_url=settings.openf1_url,
            timeout=settings.connect_s,
            headers={"User-Agent": "PitWall (https://openf1.org client)", "Accept": "application/json"},
        )
        self._login = Login(settings, self._http, monotonic)
        self.limits: tuple[Limit, ...] = PAID if self._login.has_account else FREE
        self._limit = RateLimit(self.limits, monotonic, self._wait)
        self._exponential = wait_random_exponential(multiplier=1, max=AGAIN_S)
        self._retrying = Retrying(
            stop=stop_after_attempt(attempts),
            retry=retry_if_exception(lambda error: isinstance(error, Trouble) and error.passing),
            wait=self._wait_s,
            sleep=self._wait,
            reraise=True,
        )

    @property
    def paid(self) -> bool:
        """Whether there is an account to ask with."""
        return self._login.has_account

    def rows(self, table: str, *filters: str) -> list[Row]:
        """The rows of a table that pass all filters (`equal`, `since`). Raises Trouble, or Closed."""
        return self._retrying(self._ask, table, filters)

    def close(self) -> None:
        self._http.close()

    def _ask(self, table: str, filters: tuple[str, ...]) -> list[Row]:
        self._log_in()
        answer = self._get(table, filters)
        if answer.status_code == 401 and self._login.refused():
            self._log_in()
            answer = self._get(table, filters)
        if answer.status_code == 404:
            return []  # how OpenF1 says that no row passes the filters
        if answer.status_code != 200:
            raise refused_status(answer.status_code, answer.headers, with_login=self._login.has_account)
        try:
            rows = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            raise Trouble("OpenF1 answered what is no JSON") from None
        if not isinstance(rows, list):
            raise Trouble("OpenF1 answered what is no table")
        return [row if isinstance(row, dict) else {} for row in rows]

    def _log_in(self) -> None:
        if self._login.due:
            self._limit.wait()
            self._login.renew()

    def _get(self, table: str, filters: tuple[str, ...]) -> httpx.Response:
        self._limit.wait()
        query = f"?{'&'.join(filters)}" if filters else ""
        try:
            return self._http.get(f"/v1/{table}{query}", headers=self._login.header)
        except httpx.HTTPError as error:
            raise unreachable(error, self._settings.connect_s) from None

    def _wait(self, seconds: float) -> None:
        if self._interrupted(seconds):
            raise Closed

    def _wait_s(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        asked_s = error.asked_s if isinstance(error, Trouble) else None
        return float(self._exponential(state)) if asked_s is None else min(asked_s, LONGEST_ASKED_S)
