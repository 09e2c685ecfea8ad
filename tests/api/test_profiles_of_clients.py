"""A profile that an app changes in Firestore itself, under its rules, and over HTTP, by turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import httpx
import pytest
from google.cloud import firestore as firestore_api

from local.emulators import Emulator
from pitwall.pipeline.database import Database
from tests.api.accounts import Account, Accounts, bearer
from tests.rules.somebody import Somebody, at_request_time


@pytest.fixture
def account(accounts: Accounts) -> Account:
    return accounts.create()


@pytest.fixture
def me(api: httpx.Client, accounts: Accounts, account: Account) -> httpx.Client:
    """The account asks the API."""
    api.headers.update(bearer(accounts.sign_in(account)))
    return api


@pytest.fixture
def app(firestore_emulator: Emulator, accounts: Accounts, account: Account) -> Iterator[Somebody]:
    """The account has an app with the Firebase SDK."""
    with grpc.insecure_channel(firestore_emulator.address) as channel:
        yield Somebody(channel, accounts.project, accounts.sign_in(account))


@pytest.fixture
def profile(firestore: firestore_api.Client, account: Account) -> firestore_api.DocumentReference:
    """What is stored."""
    return firestore.document(f"users/{account.uid}")


def made(project: str, account: Account, **fields: Any) -> Any:
    write = Database(project).write(f"users/{account.uid}", {"v": 1, **fields}, must_be_new=True)
    return at_request_time(write, "at", "writtenAt", "createdAt")


def changed(project: str, account: Account, *, without: Sequence[str] = (), **fields: Any) -> Any:
    """What is named, taken out, and the marks; the rest stays, as with `updateDoc` and `increment(1)`."""
    write = Database(project).add(f"users/{account.uid}", "v", 1, fields)
    write.update_mask.field_paths.extend(without)
    write.current_document.exists = True
    return at_request_time(write, "at", "writtenAt")


def test_the_api_goes_on_with_what_an_app_has_written(
    me: httpx.Client, app: Somebody, project: str, account: Account, profile: firestore_api.DocumentReference
):
    assert app.commit(made(project, account, displayName="Ayrton", notifications={"results": True}))()
    again = me.post("/api/users")
    assert again.status_code == 200
    assert again.json()["displayName"] == "Ayrton"
    assert me.patch("/api/me", json={"favouriteDrivers": ["44"]}).json()["v"] == 2
    assert app.commit(changed(project, account, displayName="Alain"))()
    shown = me.get("/api/me").json()
    assert shown["v"] == 3
    assert (shown["displayName"], shown["favouriteDrivers"]) == ("Alain", ["44"])
    assert shown["notifications"] == {"results": True}
    assert me.delete("/api/me").status_code == 204
    assert not profile.get().exists


def test_an_app_goes_on_with_what_the_api_has_written(
    me: httpx.Client, app: Somebody, project: str, account: Account, profile: firestore_api.DocumentReference
):
    assert me.post("/api/users").status_code == 201
    assert app.get(f"users/{account.uid}")()
    assert me.patch("/api/me", json={"displayName": "Ayrton"}).status_code == 200
    assert app.commit(changed(project, account, without=["displayName"], favouriteDrivers=["LEC"]))()
    shown = me.get("/api/me").json()
    assert (shown["v"], shown["favouriteDrivers"]) == (3, ["LEC"])
    assert "displayName" not in shown
    assert app.commit(Database(project).delete(f"users/{account.uid}"))()
    assert me.get("/api/me").status_code == 404
