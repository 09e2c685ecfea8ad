"""How a deployed PitWall is asked: Google's APIs as the operator, everything else as a stranger. Reads only."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import google.auth
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

ROOT = Path(__file__).resolve().parents[1]
SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S: Final = 15.0


class NotKnown(Exception):
    """Something could not be asked; the text says why. advice: what would help."""

    def __init__(self, said: str, advice: str = "") -> None:
        super().__init__(said)
        self.advice = advice


class Deployed:
    """A deployment, and how it is asked.

    api: address before /api; empty for that of the function. google: a server that stands for all of Google's APIs,
    for tests; over plain HTTP no credentials are sent. FIRESTORE_EMULATOR_HOST is heeded.
    """

    def __init__(self, project: str, region: str, feed: str, api: str = "", google: str = "") -> None:
        self.project, self.region, self.feed = project, region, feed
        self._api, self._google = api.rstrip("/"), google.rstrip("/")

    @cached_property
    def session(self) -> AuthorizedSession:
        """As the operator. Raises GoogleAuthError."""
        if urlsplit(self._google or "https:").scheme == "https":
            credentials, _ = google.auth.default(scopes=[SCOPE])
        else:
            credentials = AnonymousCredentials()  # type: ignore[no-untyped-call]
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
        session.headers["x-goog-user-project"] = self.project
        return session

    def google(self, host: str, path: str, **query: str) -> dict[str, Any] | None:
        """What an API of Google's answers to GET; None for what is not there. Raises NotKnown."""
        url = f"{self._google or f'https://{host}.googleapis.com'}/{path}"
        try:
            answer = self.session.get(url, params=query, timeout=TIMEOUT_S)
            told = answer.json()
        except GoogleAuthError:
            raise NotKnown(f"{host} was not asked without credentials") from None
        except requests.RequestException as error:
            raise NotKnown(f"{host} does not answer: {type(error).__name__}", "try again") from None
        if answer.status_code == 404:
            return None
        if answer.status_code != 200 or not isinstance(told, dict):
            detail = told.get("error", {}).get("message", "") if isinstance(told, dict) else ""
            if answer.status_code != 403:
                advice = "try again"
            elif "disabled" in detail:
                advice = f"gcloud services enable {host}.googleapis.com --project {self.project}"
            else:
                advice = "ask with an account that has roles/viewer and roles/serviceusage.serviceUsageConsumer"
            raise NotKnown(f"{host} answers {answer.status_code}: {detail}"[:300], advice)
        return told

    def listed(self, host: str, path: str, key: str) -> dict[str, dict[str, Any]]:
        """All items of a list by the last part of their names. Raises NotKnown."""
        items: list[dict[str, Any]] = []
        page = ""
        while True:
            told = self.google(host, path, **({"pageToken": page} if page else {})) or {}
            items += told.get(key, [])
            page = told.get("nextPageToken", "")
            if not page:
                return {item["name"].rpartition("/")[2]: item for item in items}

    @cached_property
    def services(self) -> dict[str, dict[str, Any]]:
        """The functions as services of Cloud Run. Raises NotKnown."""
        return self.listed("run", f"v2/projects/{self.project}/locations/{self.region}/services", "services")

    def variables(self, function: str) -> list[dict[str, Any]]:
        """The environment of a function. Raises NotKnown."""
        containers = self.services.get(function, {}).get("template", {}).get("containers", [])
        return [variable for container in containers for variable in container.get("env", [])]

    def setting(self, function: str, name: str) -> str:
        """A variable of a function; empty where it is not set or not known."""
        try:
            return next((str(v.get("value", "")) for v in self.variables(function) if v["name"] == name), "")
        except NotKnown:
            return ""

    @cached_property
    def api(self) -> str:
        """Address before /api. Raises NotKnown."""
        found = self._api or str(self.services.get("api", {}).get("uri", ""))
        if not found:
            raise NotKnown("where the API is", "name it with --api https://...")
        return found

    @cached_property
    def released(self) -> str:
        """Which rules hold: `open`, `closed`, or `other` than both files; empty for none. Raises NotKnown."""
        release = self.google("firebaserules", f"v1/projects/{self.project}/releases/cloud.firestore")
        ruleset = self.google("firebaserules", f"v1/{release['rulesetName']}") if release else None
        if ruleset is None:
            return ""
        text = ruleset["source"]["files"][0]["content"]
        for name, file in (("open", "firestore.rules"), ("closed", "firestore.closed.rules")):
            if text == (ROOT / file).read_text(encoding="utf-8"):
                return name
        return "other"

    def stranger(self, method: str, url: str, body: Any = None) -> requests.Response:
        """What somebody without any credentials is answered. Raises NotKnown."""
        try:
            return requests.request(method, url, json=body, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            raise NotKnown(f"{urlsplit(url).netloc} does not answer: {type(error).__name__}", "try again") from None

    def firestore(self, method: str, path: str, body: Any = None) -> int:
        """The status of what a stranger asks Firestore; path: after `/documents`. Raises NotKnown."""
        emulator = os.environ.get("FIRESTORE_EMULATOR_HOST")
        root = f"http://{emulator}" if emulator else "https://firestore.googleapis.com"
        url = f"{root}/v1/projects/{self.project}/databases/(default)/documents{path}"
        return self.stranger(method, url, body).status_code
