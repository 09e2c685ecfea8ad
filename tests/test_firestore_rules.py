"""What a browser or a phone may do with Firestore itself, by the rules that are deployed."""

from __future__ import annotations

import time
from typing import Any

import httpx
import jwt
import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.documents.encoding import to_fields
from tests.documents.examples import EXAMPLES, WRITTEN_AT, V

UID = "pDeC0hV8T1bZ"
PUBLIC = [path for path in EXAMPLES if path.startswith(("sessions/", "schedule/", "seasons/"))]
PRIVATE = [path for path in EXAMPLES if path not in PUBLIC]


class Client:
    """Somebody with the Firebase SDK. role: their role, if they are signed in; None if they are not."""

    def __init__(self, emulator: Emulator, project: str, role: str | None) -> None:
        documents = f"http://{emulator.address}/v1/projects/{project}/databases/(default)/documents/"
        self._http = httpx.Client(base_url=documents, trust_env=False, timeout=30)
        if role is not None:
            now = int(time.time())
            issuer = f"https://securetoken.google.com/{project}"
            claims = {"sub": UID, "aud": project, "iss": issuer, "iat": now, "exp": now + 3600, "role": role}
            self._http.headers["Authorization"] = f"Bearer {jwt.encode(claims, None, algorithm='none')}"

    def get(self, path: str) -> int:
        return self._http.get(path).status_code

    def listed(self, collection: str) -> int:
        return self._http.get(collection).status_code

    def write(self, path: str) -> int:
        body: dict[str, Any] = {"fields": {"v": {"integerValue": "1"}}}
        return self._http.patch(path, json=body).status_code

    def delete(self, path: str) -> int:
        return self._http.delete(path).status_code


@pytest.fixture(params=[None, "viewer", "admin"], ids=["anonymous", "owner", "admin"])
def client(
    request: pytest.FixtureRequest, firestore_emulator: Emulator, firestore: firestore_api.Client, project: str
) -> Client:
    """Somebody, beside a document of every kind and a lease."""
    for path, document in EXAMPLES.items():
        firestore.document(path).set({**to_fields(document), "v": V, "writtenAt": WRITTEN_AT})
    firestore.document("leases/f1").set({"holder": "poller-a"})
    firestore.document("checkpoints/9845").set({"v": 1})
    return Client(firestore_emulator, project, request.param)


def test_what_is_public_can_be_read(client: Client):
    assert {path: client.get(path) for path in PUBLIC} == dict.fromkeys(PUBLIC, 200)


def test_what_is_private_can_be_read_by_nobody_not_even_by_whom_it_is_about(client: Client):
    private = [*PRIVATE, "leases/f1", "checkpoints/9845"]
    assert f"users/{UID}" in private
    assert {path: client.get(path) for path in private} == dict.fromkeys(private, 403)


def test_what_is_private_cannot_be_listed(client: Client):
    collections = ["users", "apiKeys", "jobs", "leases", "checkpoints"]
    assert {name: client.listed(name) for name in collections} == dict.fromkeys(collections, 403)


def test_nothing_can_be_written(client: Client):
    paths = [*EXAMPLES, f"apiKeys/{'0' * 64}", "users/somebody", "leases/f1"]
    assert {path: client.write(path) for path in paths} == dict.fromkeys(paths, 403)
    assert {path: client.delete(path) for path in paths} == dict.fromkeys(paths, 403)
