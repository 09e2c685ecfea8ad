"""Firebase's side of who asks: ID tokens, roles of accounts, App Check. Signing in is the Auth client's business.

firebase-admin is loaded when it is first needed: it takes a third of a second, which no public route waits for.
What it says of a token is never passed on or logged, as it may name the account.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, NamedTuple

from flask import current_app

from pitwall.api.errors import RETRY_AFTER_S, DatabaseUnavailable, NotFound, Unauthenticated

TIMEOUT_S = 4
"""Seconds one request to Firebase may take."""

LONGEST_TOKEN = 4096
"""Characters: an ID token has about a thousand, and claims of ours are at most as many."""

CLAIM = "role"
"""The custom claim that holds an account's role."""


FIREBASE = "PITWALL_FIREBASE"
"""Key in the app's config of the Firebase of its project."""


class Role(StrEnum):
    """What an account may do. Each may do what the ones before it may."""

    VIEWER = "viewer"
    SERVICE = "service"
    ADMIN = "admin"


class SignedIn(NamedTuple):
    """An account, by its ID token."""

    uid: str
    role: Role | None


class Firebase:
    """Firebase Authentication and App Check of one project.

    Beside FIREBASE_AUTH_EMULATOR_HOST tokens are those of the emulator, which nobody has signed.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._app: Any = None

    def signed_in(self, token: str, *, fresh: bool) -> SignedIn:
        """The account a token was issued to.

        fresh: asks Firebase, so that an account that was disabled, deleted or signed out everywhere since is refused,
        and the role is the one it has now; else all of that is as old as the token, an hour at most.
        Raises Unauthenticated, or DatabaseUnavailable when Firebase does not answer.
        """
        from firebase_admin import auth

        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("The token is too long to be one.")
        app = self._admin()
        with _refusing():
            claims = auth.verify_id_token(token, app, check_revoked=fresh)
            # The emulator's tokens are not checked for this; it costs the others nothing.
            if not claims["exp"] > time.time():
                raise Unauthenticated("The token has expired.")
            held = auth.get_user(claims["uid"], app).custom_claims if fresh else claims
        return SignedIn(claims["uid"], _role((held or {}).get(CLAIM)))

    def attested(self, token: str) -> None:
        """Checks an App Check token. Raises Unauthenticated, or DatabaseUnavailable when the keys cannot be had."""
        from firebase_admin import app_check
        from jwt.exceptions import PyJWKClientConnectionError, PyJWTError

        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated("The App Check token is too long to be one.")
        try:
            app_check.verify_token(token, self._admin())
        except PyJWKClientConnectionError:
            raise _unanswered() from None
        except (PyJWTError, *_UNREADABLE):
            raise Unauthenticated("X-Firebase-AppCheck holds no App Check token of this project.") from None

    def set_role(self, uid: str, role: Role | None) -> None:
        """Gives an account a role, or none; its other claims stay. Raises NotFound, DatabaseUnavailable."""
        from firebase_admin import auth, exceptions

        app = self._admin()
        try:
            claims = dict(auth.get_user(uid, app).custom_claims or {})
            claims.pop(CLAIM, None)
            auth.set_custom_user_claims(uid, {**claims, CLAIM: role.value} if role else claims, app)
        except (auth.UserNotFoundError, ValueError):
            raise NotFound("There is no such account.") from None
        except exceptions.FirebaseError:
            raise _unanswered() from None

    def uid_of(self, email: str) -> str:
        """The account with an e-mail address. Raises NotFound, DatabaseUnavailable."""
        from firebase_admin import auth, exceptions

        try:
            uid: str = auth.get_user_by_email(email, self._admin()).uid
        except (auth.UserNotFoundError, ValueError):
            raise NotFound("There is no such account.") from None
        except exceptions.FirebaseError:
            raise _unanswered() from None
        return uid

    def _admin(self) -> Any:
        import firebase_admin

        with self._lock:
            if self._app is None:
                options = {"projectId": self._project, "httpTimeout": TIMEOUT_S}
                self._app = firebase_admin.initialize_app(options=options, name=f"{self._project}-{id(self)}")
            return self._app


def current() -> Firebase:
    """The Firebase of the app's project."""
    asked: Firebase = current_app.config[FIREBASE]
    return asked


_UNREADABLE = (ValueError, TypeError, AttributeError, KeyError, RecursionError)
"""What the libraries raise for text that is no token: they read a token's parts before they check its signature."""


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns what firebase-admin raises for a token into a problem that says nothing of the account."""
    from firebase_admin import auth, exceptions

    again = "Sign in again."
    try:
        yield
    except auth.ExpiredIdTokenError:
        raise Unauthenticated("The token has expired.") from None
    except (auth.RevokedIdTokenError, auth.UserDisabledError, auth.UserNotFoundError):
        raise Unauthenticated(f"The token is not good any more. {again}") from None
    except auth.CertificateFetchError:
        raise _unanswered() from None
    except (auth.InvalidIdTokenError, *_UNREADABLE):
        raise Unauthenticated("The token is no ID token of this project's Firebase Authentication.") from None
    except exceptions.FirebaseError:
        raise _unanswered() from None


def _role(claim: Any) -> Role | None:
    return Role(claim) if isinstance(claim, str) and claim in set(Role) else None


def _unanswered() -> DatabaseUnavailable:
    return DatabaseUnavailable("Firebase did not answer.", {"Retry-After": str(RETRY_AFTER_S)})
