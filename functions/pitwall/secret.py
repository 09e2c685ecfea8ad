"""Reads a secret out of Secret Manager. What it is for, and how long it is believed, is the caller's business.

Nothing is kept: a new version counts the next time the caller asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.cloud.secretmanager import SecretManagerServiceClient

TIMEOUT_S = 10.0


class SecretError(Exception):
    """The secret cannot be read; the text says why, in words that hold nothing of it."""


def read_secret(version: str, client: SecretManagerServiceClient | None = None, timeout_s: float = TIMEOUT_S) -> str:
    """The text in a secret's version (`projects/<p>/secrets/<s>/versions/<n or latest>`), without white space around.

    client: used and left open where there is one; else one is made for this call, so that no channel stays behind.
    Raises SecretError: not allowed, not there, not answered within `timeout_s`, no text.
    """
    # Google's client takes a second to import, and most processes have no secret to read.
    from google.api_core.exceptions import GoogleAPICallError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.secretmanager import SecretManagerServiceClient

    try:
        if client is None:
            with SecretManagerServiceClient() as own:
                answer = own.access_secret_version(name=version, timeout=timeout_s)
        else:
            answer = client.access_secret_version(name=version, timeout=timeout_s)
        text: str = answer.payload.data.decode("utf-8")
    except (GoogleAPICallError, GoogleAuthError) as error:
        raise SecretError(f"Secret Manager does not give it: {_words(error)}") from error
    except UnicodeDecodeError:
        # Not `from` it: that error holds the secret.
        raise SecretError("what Secret Manager gave is no text") from None
    return text.strip()


def _words(error: Exception) -> str:
    """`PermissionDenied` -> `permission denied`: the class says what Google's long text does."""
    name = type(error).__name__
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
