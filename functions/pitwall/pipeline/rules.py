"""The release `cloud.firestore` of the security rules, through the Firebase Rules API: open, or closed to clients.

Which of the two it is to be is `economy`'s business. `infra` makes the two rulesets; a third one, that somebody has
released by hand, is left where it is.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from pitwall.documents.economy import Mode
from pitwall.settings import Settings

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

SCOPE: Final = "https://www.googleapis.com/auth/firebase"
TIMEOUT_S: Final = 5.0
ATTEMPTS: Final = 3
_PASSING: Final = frozenset({429, 500, 502, 503, 504})


class NotReleased(Exception):
    """The Rules API refused or did not answer; the text says what. passing: it may answer at once if asked again."""

    def __init__(self, detail: str, *, passing: bool) -> None:
        super().__init__(detail)
        self.passing = passing


class Rules:
    """The release of one project's rules. Asked with the default credentials; over plain HTTP with none.

    said: what came of the last `follow`, in plain words.
    """

    def __init__(self, settings: Settings) -> None:
        self._open, self._closed = settings.rules_open, settings.rules_closed
        self._release = f"projects/{settings.project}/releases/cloud.firestore"
        self._url = f"{settings.rules_url.rstrip('/')}/v1/{self._release}"
        self._retrying = Retrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception(lambda error: isinstance(error, NotReleased) and error.passing),
            wait=wait_exponential(multiplier=0.2, max=2.0),
            reraise=True,
        )
        self.said = ""

    def follow(self, mode: Mode) -> bool:
        """Points the release at the ruleset of the mode, unless it is there already; whether it was changed.

        Raises NotReleased.
        """
        if not self._open:
            self.said = "left as they are, as PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED are not set"
            return False
        wanted, name = (self._closed, "closed") if mode == "closed" else (self._open, "open")
        released = self._retrying(self._ask, "GET").get("rulesetName")
        if released == wanted:
            self.said = f"{name}, as they were"
            return False
        if wanted == self._open and released != self._closed:
            self.said = f"left as they are, as {released} was released, which is neither the open nor the closed one"
            return False
        self._retrying(self._ask, "PATCH", {"release": {"name": self._release, "rulesetName": wanted}})
        self.said = f"{name} from now on ({wanted})"
        return True

    def _ask(self, method: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        try:
            answer = self._session.request(method, self._url, json=body, timeout=TIMEOUT_S)  # type: ignore[no-untyped-call]
            told = answer.json() if answer.status_code == 200 else None
        except (GoogleAuthError, RequestException) as error:
            passing = not isinstance(error, GoogleAuthError) or error.retryable
            raise NotReleased(f"{method} {self._url}: {type(error).__name__}: {error}"[:500], passing=passing) from None
        if not isinstance(told, dict):
            detail = f"{method} {self._url} answered {answer.status_code}: {answer.text[:300]}"
            raise NotReleased(detail, passing=answer.status_code in _PASSING)
        return told

    @cached_property
    def _session(self) -> AuthorizedSession:
        """Loaded when it is first needed: most of the time nothing is asked."""
        import google.auth
        from google.auth.credentials import AnonymousCredentials
        from google.auth.transport.requests import AuthorizedSession

        if urlsplit(self._url).scheme == "https":
            credentials, _ = google.auth.default(scopes=[SCOPE])
        else:
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call] # a token never goes over plain HTTP
        return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
