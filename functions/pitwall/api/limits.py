"""How much one client may ask for: a limit a minute for each API key, and for each address where there is none.

What is answered is counted, and each answer says what is left (draft-ietf-httpapi-ratelimit-headers: `RateLimit`
and `RateLimit-Policy`). The library `limits` reckons; with what it counts is the business of `counters`. Who asks is
found out by `access`: only a key that is good counts for itself.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from flask import Flask, Response, g, request

from pitwall.api import keys, private
from pitwall.api.errors import RateLimited
from pitwall.pipeline.database import Database
from pitwall.settings import Settings

WINDOW_S = 60


class _Limit:
    """One limit. name: as clients see it. amount: requests a minute."""

    def __init__(self, name: str, amount: int, database: Callable[[], Database], secret: str) -> None:
        # The library takes a tenth of a second: only where there is a limit.
        from limits import RateLimitItemPerMinute
        from limits.strategies import FixedWindowRateLimiter

        from pitwall.api.counters import SharedCounters

        self._name = name
        self._item = RateLimitItemPerMinute(amount, namespace=name)
        self._limiter = FixedWindowRateLimiter(SharedCounters(database, amount, secret))

    def is_reached(self, client: str) -> bool:
        """Whether nothing is left to a client."""
        return not self._limiter.test(self._item, client)

    def refuse_if_reached(self, client: str) -> None:
        """Raises RateLimited if nothing is left to a client."""
        if self.is_reached(client):
            after = self._state(client).reset_s
            raise RateLimited(
                f"No more than {self._item.amount} requests a minute: try again in {after} s.",
                {"Retry-After": str(after), **self.headers(client)},
            )

    def count(self, client: str) -> None:
        self._limiter.hit(self._item, client)

    def headers(self, client: str) -> dict[str, str]:
        """What is left to a client, and of what."""
        state = self._state(client)
        return {
            "RateLimit-Policy": f'"{self._name}";q={self._item.amount};w={WINDOW_S}',
            "RateLimit": f'"{self._name}";r={state.remaining};t={state.reset_s}',
        }

    def _state(self, client: str) -> _State:
        stats = self._limiter.get_window_stats(self._item, client)
        return _State(stats.remaining, max(1, math.ceil(stats.reset_time - time.time())))


class _State(NamedTuple):
    """What is left to a client, and in how many seconds it is the whole again."""

    remaining: int
    reset_s: int


class Limits:
    """The limits of an app: of keys, of addresses, and of addresses that send keys which are not good."""

    def __init__(self, settings: Settings, database: Callable[[], Database]) -> None:
        secret = settings.rate_limit_secret or settings.project

        def limit(name: str, amount: int) -> _Limit | None:
            return _Limit(name, amount, database, secret) if amount else None

        self._of_keys = limit("key", settings.rate_limit_key)
        self._of_addresses = limit("address", settings.rate_limit_address)
        self._of_guesses = limit("unknown-key", settings.rate_limit_address)

    def count_address(self, address: str) -> list[tuple[str, str]] | None:
        """Counts a request that names no key; the headers that say what is left. None, and not counted: nothing is."""
        limited, client = self._of_addresses, _network(address)
        if limited is None:
            return []
        if limited.is_reached(client):
            return None
        limited.count(client)
        return list(limited.headers(client).items())

    def refuse_if_reached(self) -> None:
        """Raises RateLimited if nothing is left to the client of the current request."""
        key = request.headers.get(keys.HEADER)
        address = _network(request.remote_addr or "")
        asked = [(self._of_addresses, address)]
        if key is not None:
            asked = [(self._of_keys, keys.id_of(key)), (self._of_guesses, address)]
        for limited, client in asked:
            if limited is not None:
                limited.refuse_if_reached(client)

    def count(self, key: str) -> dict[str, str]:
        """Counts the current request; the headers that say what is left. key: id of the key that is good, or empty."""
        limited, client = self._of_addresses, _network(request.remote_addr or "")
        if key:
            limited, client = self._of_keys, key
        elif keys.HEADER in request.headers:
            limited = self._of_guesses
        if limited is None:
            return {}
        limited.count(client)
        return limited.headers(client)


def enforce(app: Flask, settings: Settings) -> Limits:
    """Has `app` refuse who asks for too much. To be called before `access.enforce`: a refusal costs nothing."""
    limits = Limits(settings, app.config[private.DATABASE])

    @app.before_request
    def refuse() -> None:
        g.refused = _counts()
        if g.refused:
            limits.refuse_if_reached()
        g.refused = False

    @app.after_request
    def count(response: Response) -> Response:
        if not g.refused and _counts():
            response.headers.update(limits.count(g.caller.key))
        return response

    return limits


def _counts() -> bool:
    """Whether the request counts: not what the platform asks for its own sake, nor what a browser asks ahead."""
    return request.path.startswith("/api") and request.method != "OPTIONS"


@lru_cache(maxsize=4_096)
def _network(address: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 that a household has of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        parsed = parsed.ipv4_mapped
    return str(parsed)
