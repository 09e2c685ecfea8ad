"""The functions that `bench.api` measures with.

`naive` is what one writes first: it reads the documents, and makes JSON of them. `constant` does nothing: what the
server that functions are deployed with takes by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Request, Response, current_app, jsonify
from google.cloud import firestore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LIMIT = 50
"""Laps a request gets, as the API's default."""

_database = firestore.Client()


def naive(request: Request) -> Response:
    """`/api/sessions/{id}/laps` and `/api/sessions/{id}/live`."""
    _, _, key, resource = request.path.strip("/").split("/")
    session = _database.collection("sessions").document(key)
    if resource == "live":
        return jsonify(session.collection("live").document("timing").get().to_dict())
    laps = session.collection("laps").order_by("lap").limit(LIMIT).stream()
    return jsonify({"items": [lap.to_dict() for lap in laps]})


def constant(_: Request) -> str:
    """Every request after the first is answered by `nothing`, past the Functions Framework as the API's are."""
    setattr(current_app, "wsgi_app", nothing)  # noqa: B010 - mypy allows no assignment to a method
    return ""


def nothing(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Nothing, as JSON."""
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]
