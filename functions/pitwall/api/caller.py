"""Who asks the current request, as `access` has found out."""

from __future__ import annotations

from typing import NamedTuple

from flask import g

from pitwall.api.firebase import Role


class Caller(NamedTuple):
    """Who asks. All of it is empty where nobody had to say.

    uid: of the account. role: its role. key: id of the API key.
    """

    uid: str = ""
    role: Role | None = None
    key: str = ""


def caller() -> Caller:
    """Who asks the current request, as far as its route had to know."""
    asks: Caller = g.caller
    return asks
