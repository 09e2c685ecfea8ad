"""The function that `bench.api` measures with: what one writes first. Reads the documents, and makes JSON of them."""

from __future__ import annotations

from flask import Request, Response, jsonify
from google.cloud import firestore

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
