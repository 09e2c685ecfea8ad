"""API keys: made and shown once, stored as a hash, refused soon after they are revoked."""

from __future__ import annotations

import re
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api

from pitwall.api import keys
from tests.api.accounts import Accounts, bearer
from tests.api.conftest import NOW, Serve, Stored, problem_name
from tests.clock import Clock
from tests.documents.examples import EXAMPLES

KEY = re.compile(r"pitwall_[A-Za-z0-9_-]{43}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admin(accounts: Accounts) -> dict[str, str]:
    return bearer(accounts.token("admin"))


@pytest.fixture
def api(store: Stored, serve: Serve, clock: Clock) -> httpx.Client:
    """An API that only an account with a role or a key may read."""
    store({"sessions/9845": EXAMPLES["sessions/9845"]})
    return serve(clock, public=False)


def made(api: httpx.Client, admin: dict[str, str], name: str = "a bot") -> dict[str, Any]:
    response = api.post("/api/keys", headers=admin, json={"name": name})
    assert response.status_code == 201
    body: dict[str, Any] = response.json()
    return body


def read(api: httpx.Client, key: str) -> httpx.Response:
    return api.get("/api/sessions/9845", headers={"X-API-Key": key})


def test_a_key_reads_what_is_closed(api: httpx.Client, admin: dict[str, str]):
    assert read(api, made(api, admin)["key"]).status_code == 200


def test_a_key_is_shown_once_and_stored_as_its_hash(
    api: httpx.Client, admin: dict[str, str], firestore: firestore_api.Client
):
    key = made(api, admin)
    assert KEY.fullmatch(key["key"])
    assert key["id"] == sha256(key["key"].encode()).hexdigest()
    [stored] = firestore.collection("apiKeys").stream()
    assert stored.id == key["id"]
    assert key["key"] not in repr(stored.to_dict())
    listed = api.get("/api/keys", headers=admin)
    assert listed.json() == {"items": [{name: value for name, value in key.items() if name != "key"}]}


def test_a_made_key_is_kept_by_no_cache(api: httpx.Client, admin: dict[str, str]):
    response = api.post("/api/keys", headers=admin, json={"name": "a bot"})
    assert response.headers["cache-control"] == "no-store"


def test_no_two_keys_are_alike(api: httpx.Client, admin: dict[str, str]):
    assert len({made(api, admin)["key"] for _ in range(20)}) == 20


def test_a_revoked_key_is_refused_after_the_seconds_it_is_known(api: httpx.Client, admin: dict[str, str], clock: Clock):
    key = made(api, admin)
    assert read(api, key["key"]).status_code == 200
    assert api.delete(f"/api/keys/{key['id']}", headers=admin).status_code == 204
    assert read(api, key["key"]).status_code == 200, "this instance has just read that it is good"
    clock.now += keys.KNOWN_S
    assert problem_name(read(api, key["key"])) == "unauthenticated"
    assert keys.KNOWN_S <= 5


def test_a_key_that_this_instance_has_not_seen_is_refused_as_soon_as_it_is_revoked(
    api: httpx.Client, admin: dict[str, str]
):
    key = made(api, admin)
    api.delete(f"/api/keys/{key['id']}", headers=admin)
    assert problem_name(read(api, key["key"])) == "unauthenticated"


def test_a_revoked_key_is_refused_where_none_is_needed_too(
    api: httpx.Client, admin: dict[str, str], serve: Serve, clock: Clock
):
    key = made(api, admin)
    api.delete(f"/api/keys/{key['id']}", headers=admin)
    public = serve(clock)
    assert public.get("/api/sessions/9845").status_code == 200
    assert problem_name(read(public, key["key"])) == "unauthenticated"


def test_revoking_is_noted_once_and_stays_in_the_list(api: httpx.Client, admin: dict[str, str]):
    key = made(api, admin)
    for _ in range(2):
        assert api.delete(f"/api/keys/{key['id']}", headers=admin).status_code == 204
    [listed] = api.get("/api/keys", headers=admin).json()["items"]
    assert listed["revokedAt"] == "2025-11-08T14:03:08.000Z"
    assert listed["v"] == 2


@pytest.mark.parametrize("key_id", ["0" * 64, "x" * 64, "0" * 63, "..", "%00"])
def test_a_key_that_there_is_not_cannot_be_revoked(api: httpx.Client, admin: dict[str, str], key_id: str):
    assert problem_name(api.delete(f"/api/keys/{key_id}", headers=admin)) == "not-found"


@pytest.mark.parametrize(
    "key", ["", "x", "pitwall_", "pitwall_" + "A" * 43, "pitwall_" + "A" * 44, "pitwall_" + "é" * 43, "../x", "0" * 64]
)
def test_what_is_no_key_is_refused(api: httpx.Client, admin: dict[str, str], key: str):
    response = api.get("/api/sessions/9845", headers={"X-API-Key": key.encode("latin-1")})
    assert problem_name(response) == "unauthenticated"


def test_the_id_of_a_key_is_no_key(api: httpx.Client, admin: dict[str, str]):
    assert problem_name(read(api, made(api, admin)["id"])) == "unauthenticated"


def test_a_key_makes_no_keys_and_is_nobody(api: httpx.Client, admin: dict[str, str]):
    key = {"X-API-Key": made(api, admin)["key"]}
    assert problem_name(api.post("/api/keys", headers=key, json={"name": "another"})) == "forbidden"
    assert problem_name(api.get("/api/me", headers=key)) == "forbidden"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 65}, {"name": "x", "role": "admin"}, {"name": 1}])
def test_a_key_needs_a_name_and_takes_nothing_else(api: httpx.Client, admin: dict[str, str], body: dict[str, Any]):
    assert problem_name(api.post("/api/keys", headers=admin, json=body)) == "bad-request"
    assert api.get("/api/keys", headers=admin).json() == {"items": []}


def test_a_key_says_once_a_day_when_it_was_used(
    api: httpx.Client, admin: dict[str, str], clock: Clock, firestore: firestore_api.Client
):
    key = made(api, admin)
    document = firestore.document(f"apiKeys/{key['id']}")

    def used_after(last_used: timedelta | None) -> dict[str, Any]:
        if last_used is not None:
            document.update({"lastUsedAt": NOW - last_used})
        clock.now += keys.KNOWN_S
        assert read(api, key["key"]).status_code == 200
        return document.get().to_dict() or {}

    assert used_after(None)["lastUsedAt"] == NOW
    assert used_after(timedelta(hours=23)) == {**used_after(None), "lastUsedAt": NOW - timedelta(hours=23)}
    assert used_after(timedelta(hours=24))["lastUsedAt"] == NOW
