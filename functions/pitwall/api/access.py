"""Who may do what: one table, and the check of every request against it before its route runs.

A route that is not in the table is an error when the app is created, so none is open by being forgotten. The table is
shown in `docs/access.md`, where it says what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum

from flask import Flask, Response, g, request

from pitwall.api import firebase, keys
from pitwall.api.caller import Caller
from pitwall.api.errors import Forbidden, Unauthenticated
from pitwall.api.firebase import Role
from pitwall.api.hot import Seconds
from pitwall.settings import Settings

APP_CHECK = "X-Firebase-AppCheck"
CREDENTIALS = ("Authorization", keys.HEADER, APP_CHECK)
"""Headers by which a request says who asks."""


class Access(Enum):
    """Who may use a route; the value says it to people."""

    PUBLIC = "anybody"
    SESSIONS = "anybody; where `PITWALL_PUBLIC` is `off`, an account with a role or an API key"
    ASKER = "an account or an API key; where `PITWALL_PUBLIC` is `off`, the account needs a role"
    USER = "an account, for itself"
    TRACKS = "an account with the role `service` or `admin`"
    ADMIN = "an account with the role `admin`"


TABLE: dict[str, Access] = {
    "GET /api/sessions": Access.SESSIONS,
    "GET /api/sessions/current": Access.SESSIONS,
    "GET /api/sessions/{id}": Access.SESSIONS,
    "GET /api/sessions/{id}/laps": Access.SESSIONS,
    "GET /api/sessions/{id}/laps/{lap}": Access.SESSIONS,
    "GET /api/sessions/{id}/drivers": Access.SESSIONS,
    "GET /api/sessions/{id}/drivers/{driverId}": Access.SESSIONS,
    "GET /api/sessions/{id}/drivers/{driverId}/laps": Access.SESSIONS,
    "GET /api/sessions/{id}/live": Access.SESSIONS,
    "GET /api/sessions/{id}/endurance": Access.SESSIONS,
    "POST /api/sessions/{id}/telemetry/{racingNumber}": Access.ASKER,
    "DELETE /api/sessions/{id}/telemetry/{racingNumber}": Access.ASKER,
    "GET /api/sessions/{id}/raceControl": Access.SESSIONS,
    "GET /api/sessions/{id}/weather": Access.SESSIONS,
    "GET /api/sessions/{id}/trackStatus": Access.SESSIONS,
    "GET /api/sessions/{id}/stints": Access.SESSIONS,
    "GET /api/sessions/{id}/pitStops": Access.SESSIONS,
    "GET /api/sessions/{id}/positions": Access.SESSIONS,
    "GET /api/sessions/{id}/teamRadio": Access.SESSIONS,
    "GET /api/sessions/{id}/analytics/pace": Access.SESSIONS,
    "GET /api/sessions/{id}/analytics/degradation": Access.SESSIONS,
    "GET /api/sessions/{id}/analytics/sectors": Access.SESSIONS,
    "GET /api/sessions/{id}/analytics/gaps": Access.SESSIONS,
    "GET /api/sessions/{id}/analytics/positionChart": Access.SESSIONS,
    "GET /api/sessions/{id}/analytics/pitTable": Access.SESSIONS,
    "GET /api/seasons/{year}": Access.SESSIONS,
    "GET /api/seasons": Access.SESSIONS,
    "GET /api/seasons/{year}/races": Access.SESSIONS,
    "GET /api/races": Access.SESSIONS,
    "GET /api/races/{raceId}": Access.SESSIONS,
    "GET /api/races/{raceId}/results": Access.SESSIONS,
    "GET /api/races/{raceId}/laps": Access.SESSIONS,
    "GET /api/races/{raceId}/telemetry": Access.SESSIONS,
    "GET /api/races/{raceId}/telemetry/compare": Access.SESSIONS,
    "GET /api/f1/race-telemetry/{year}/{round}": Access.SESSIONS,
    "GET /api/f1/sessions/{year}": Access.SESSIONS,
    "POST /api/f1/race-telemetry": Access.ADMIN,
    "POST /api/f1/process-telemetry/{year}/{round}": Access.ADMIN,
    "GET /api/drivers": Access.SESSIONS,
    "GET /api/drivers/{driverId}": Access.SESSIONS,
    "GET /api/drivers/{driverId}/stats": Access.SESSIONS,
    "GET /api/constructors": Access.SESSIONS,
    "GET /api/constructors/{constructorId}": Access.SESSIONS,
    "GET /api/constructors/{constructorId}/stats": Access.SESSIONS,
    "GET /api/circuits": Access.SESSIONS,
    "GET /api/circuits/{circuitId}": Access.SESSIONS,
    "GET /api/circuits/{circuitId}/layouts/{year}": Access.SESSIONS,
    "POST /api/circuits": Access.TRACKS,
    "PATCH /api/circuits/{circuitId}": Access.TRACKS,
    "DELETE /api/circuits/{circuitId}": Access.TRACKS,
    "POST /api/circuits/{circuitId}/start-timing": Access.TRACKS,
    "POST /api/circuits/{circuitId}/stop-timing": Access.TRACKS,
    "GET /api/circuits/{circuitId}/status": Access.SESSIONS,
    "GET /api/circuits/{circuitId}/logs": Access.SESSIONS,
    "GET /api/circuits/{circuitId}/notices": Access.SESSIONS,
    "DELETE /api/circuits/{circuitId}/notices/{n}": Access.TRACKS,
    "POST /api/circuits/{circuitId}/analyze-format": Access.TRACKS,
    "GET /api/circuits/{circuitId}/analysis": Access.SESSIONS,
    "GET /api/circuits/{circuitId}/format": Access.SESSIONS,
    "PUT /api/circuits/{circuitId}/format": Access.TRACKS,
    "DELETE /api/circuits/{circuitId}/format": Access.TRACKS,
    "GET /api/circuits/{circuitId}/data": Access.SESSIONS,
    "GET /api/circuits/{circuitId}/statistics": Access.SESSIONS,
    "GET /api/standings/drivers": Access.SESSIONS,
    "GET /api/standings/constructors": Access.SESSIONS,
    "GET /api/jobs/{id}": Access.SESSIONS,
    "GET /api/jobs/{id}/events": Access.SESSIONS,
    "GET /api/jobs": Access.ADMIN,
    "POST /api/jobs": Access.ADMIN,
    "POST /api/jobs/{id}/cancel": Access.ADMIN,
    "POST /api/users": Access.USER,
    "GET /api/me": Access.USER,
    "PATCH /api/me": Access.USER,
    "DELETE /api/me": Access.USER,
    "PATCH /api/users/{uid}/role": Access.ADMIN,
    "GET /api/keys": Access.ADMIN,
    "POST /api/keys": Access.ADMIN,
    "DELETE /api/keys/{id}": Access.ADMIN,
    "POST /api/privacy/export": Access.ADMIN,
    "POST /api/privacy/erase": Access.ADMIN,
    "GET /api/privacy/exports/{exportId}": Access.ADMIN,
    "GET /api/status": Access.PUBLIC,
    "GET /api/openapi.json": Access.PUBLIC,
    "GET /api/docs": Access.PUBLIC,
    "GET /api/redoc": Access.PUBLIC,
    "GET /api/docs/{asset}": Access.PUBLIC,
    "GET /health/": Access.PUBLIC,
    "GET /health/live": Access.PUBLIC,
    "GET /health/ready": Access.PUBLIC,
}
"""Every route, once: `/api/v1` is `/api`, HEAD is GET, and OPTIONS, which tells nothing of anybody, is everybody's."""

_BY_SHAPE = {re.sub(r"{\w+}", "{}", route): access for route, access in TABLE.items()}


def shape(method: str, rule: str) -> str:
    """A route as the table is looked up: `GET /api/sessions/{}`."""
    return f"{method} " + re.sub(r"<[^>]+>", "{}", rule)


def of(method: str, rule: str) -> Access:
    """Who may use a route of the app. Raises KeyError for one that is not in the table."""
    return _BY_SHAPE[shape("GET" if method == "HEAD" else method, rule)]


def shapes(app: Flask) -> Iterator[str]:
    """Every route of an app as the table is looked up."""
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield shape(method, rule.rule)


def enforce(app: Flask, settings: Settings, seconds: Seconds) -> None:
    """Has `app` refuse whoever may not. Raises ValueError for a route that is not in the table.

    seconds: the clock by which the instance keeps what it has read of API keys.
    """
    unlisted = sorted(set(shapes(app)) - set(_BY_SHAPE))
    if unlisted:
        raise ValueError(f"who may use {', '.join(unlisted)}? pitwall.api.access has to say it")
    gate = _Gate(settings, keys.Known(seconds))

    @app.before_request
    def admit() -> None:
        g.caller = Caller()
        if request.url_rule is not None and request.method != "OPTIONS":
            g.caller = gate.admit(of(request.method, request.url_rule.rule))

    if not settings.public or settings.app_check:
        app.after_request(_for_who_asked_alone)


def _for_who_asked_alone(response: Response) -> Response:
    """What not everybody may have is kept by no cache between."""
    control = response.headers.get("Cache-Control", "")
    response.headers["Cache-Control"] = re.sub(r"\bpublic\b", "private", control)
    response.vary.update(CREDENTIALS)
    return response


class _Gate:
    """Who is let in, by the settings of an app."""

    def __init__(self, settings: Settings, known: keys.Known) -> None:
        self._public = settings.public
        self._app_check = settings.app_check
        self._keys = known

    def admit(self, access: Access) -> Caller:
        """Who asks the current request. Raises Unauthenticated, Forbidden, and what says that nobody could be asked."""
        if access is Access.PUBLIC:
            return Caller()
        key = request.headers.get(keys.HEADER)
        asks = Caller(key=self._keys.verified(key)) if key is not None else Caller()
        if self._app_check and not asks.key:
            firebase.current().attested(request.headers.get(APP_CHECK, ""))
        if access is Access.SESSIONS:
            return asks if self._public or asks.key else self._with_role(fresh=False)
        if access is Access.ASKER:
            return asks if asks.key else self._signed_in(fresh=True) if self._public else self._with_role(fresh=True)
        if asks.key and not request.authorization:
            raise Forbidden("An API key reads sessions; this is for an account that is signed in.")
        signed_in = self._signed_in(fresh=access is Access.ADMIN or request.method not in ("GET", "HEAD"))
        if access is Access.ADMIN and signed_in.role is not Role.ADMIN:
            raise Forbidden("This is for admins.")
        if access is Access.TRACKS and signed_in.role not in (Role.SERVICE, Role.ADMIN):
            raise Forbidden("This is for those who run a track: accounts with the role `service` or `admin`.")
        return signed_in._replace(key=asks.key)

    def _with_role(self, *, fresh: bool) -> Caller:
        asks = self._signed_in(fresh=fresh)
        if asks.role is None:
            raise Forbidden("Sessions are not public here: an admin has to give this account a role.")
        return asks

    def _signed_in(self, *, fresh: bool) -> Caller:
        given = request.authorization
        if given is None or given.type != "bearer" or not given.token:
            raise Unauthenticated("This needs `Authorization: Bearer` and an ID token of Firebase Authentication.")
        return Caller(*firebase.current().signed_in(given.token, fresh=fresh))
