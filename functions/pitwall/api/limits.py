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
from werkzeug.middleware.proxy_fix import ProxyFix

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

    def refuse_if_reached(self, client: str) -> None:
        """Raises RateLimited if nothing is left to a client."""
        if not self._limiter.test(self._item, client):
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


def enforce(app: Flask, settings: Settings) -> None:
    """Has `app` refuse who asks for too much. To be called before `access.enforce`: a refusal costs nothing.

    The client's address is what PITWALL_PROXIES proxies say it is, else that of who is connected.
    """
    if settings.proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    secret = settings.rate_limit_secret or settings.project
    database: Callable[[], Database] = app.config[private.DATABASE]

    def limit(name: str, amount: int) -> _Limit | None:
        return _Limit(name, amount, database, secret) if amount else None

    of_keys = limit("key", settings.rate_limit_key)
    of_addresses = limit("address", settings.rate_limit_address)
    of_guesses = limit("unknown-key", settings.rate_limit_address)

    @app.before_request
    def refuse() -> None:
        g.refused = False
        if not _counts():
            return
        key = request.headers.get(keys.HEADER)
        asked = [(of_addresses, _address())] if key is None else [(of_keys, keys.id_of(key)), (of_guesses, _address())]
        g.refused = True
        for limited, client in asked:
            if limited is not None:
                limited.refuse_if_reached(client)
        g.refused = False

    @app.after_request
    def count(response: Response) -> Response:
        if g.refused or not _counts():
            return response
        limited, client = of_addresses, _address()
        if g.caller.key:
            limited, client = of_keys, g.caller.key
        elif keys.HEADER in request.headers:
            limited = of_guesses
        if limited is not None:
            limited.count(client)
            response.headers.update(limited.headers(client))
        return response


def _counts() -> bool:
    """Whether the request counts: not what the platform asks for its own sake, nor what a browser asks ahead."""
    return request.path.startswith("/api") and request.method != "OPTIONS"


def _address() -> str:
    return _network(request.remote_addr or "")


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
