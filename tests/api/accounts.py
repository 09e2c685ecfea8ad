"""Accounts of Firebase Authentication's emulator, and ID tokens as its client gets them by signing in."""

from __future__ import annotations

import itertools
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NamedTuple

import httpx

from local.emulators import Emulator

_PASSWORD = "a long pass phrase"
_numbers = itertools.count(1)


class Account(NamedTuple):
    uid: str
    email: str


class Accounts:
    """The accounts of one project."""

    def __init__(self, emulator: Emulator, project: str) -> None:
        self.project = project
        self._http = httpx.Client(
            base_url=f"http://{emulator.address}/identitytoolkit.googleapis.com/v1",
            headers={"Authorization": "Bearer owner"},
            trust_env=False,
            timeout=30,
        )

    def create(self, role: str | None = None) -> Account:
        """A new account, with a role if one is given."""
        email = f"someone{next(_numbers)}@example.com"
        made = self._post(f"/projects/{self.project}/accounts", email=email, password=_PASSWORD)
        account = Account(made["localId"], email)
        if role is not None:
            self.update(account, customAttributes=json.dumps({"role": role}))
        return account

    def update(self, account: Account, **changes: Any) -> None:
        """Changes an account as an administrator does: `disableUser`, `customAttributes`, `validSince`."""
        self._post(f"/projects/{self.project}/accounts:update", localId=account.uid, **changes)

    def delete(self, account: Account) -> None:
        self._post(f"/projects/{self.project}/accounts:delete", localId=account.uid)

    def claims(self, account: Account) -> dict[str, Any]:
        """The custom claims the account has now."""
        [found] = self._post(f"/projects/{self.project}/accounts:lookup", localId=[account.uid])["users"]
        claims: dict[str, Any] = json.loads(found.get("customAttributes", "{}"))
        return claims

    def sign_in(self, account: Account) -> str:
        """A fresh ID token."""
        answer = self._post(
            "/accounts:signInWithPassword",
            email=account.email,
            password=_PASSWORD,
            returnSecureToken=True,
            targetProjectId=self.project,
        )
        token: str = answer["idToken"]
        return token

    def token(self, role: str | None = None) -> str:
        """An ID token of a new account."""
        return self.sign_in(self.create(role))

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        response = self._http.post(path, json=body)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer


def bearer(token: str) -> dict[str, str]:
    """The header that says who asks."""
    return {"Authorization": f"Bearer {token}"}


def altered(token: str, **claims: Any) -> str:
    """A token of the emulator with other claims; None takes one out. It signs none, so this is as good as its own."""
    header, payload, signature = token.split(".")
    held = {**json.loads(urlsafe_b64decode(payload + "==")), **claims}
    encoded = json.dumps({name: value for name, value in held.items() if value is not None})
    return ".".join((header, urlsafe_b64encode(encoded.encode()).decode().rstrip("="), signature))


def expired(token: str) -> str:
    """A token of the emulator an hour later: it makes none that lasts less than an hour."""
    now = int(time.time())
    return altered(token, iat=now - 3_601, auth_time=now - 3_601, exp=now - 1)
