"""The API served over HTTP on the Firestore emulator, with a clock that stands still."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from google.cloud import firestore as firestore_api
from werkzeug.serving import make_server

from local.emulators import Emulator
from pitwall.api.app import create_app
from pitwall.api.hot import Seconds
from pitwall.documents.base import Document
from pitwall.documents.encoding import to_fields
from pitwall.settings import Settings
from tests.api.accounts import Accounts
from tests.api.history_stored import past  # noqa: F401 (fixture)

NOW = datetime(2025, 11, 8, 14, 3, 8, tzinfo=UTC)
"""Where the API's clock stands."""


@dataclass
class Stored:
    """Documents in the test's Firestore."""

    client: firestore_api.Client
    v: int = 3 * 2**32

    def __call__(self, documents: dict[str, Document], written_at: datetime = NOW) -> None:
        """Stores documents by path as the writer does: with a `v` that is higher each time, and `writtenAt`."""
        self.v += 1
        batch = self.client.batch()
        for path, document in documents.items():
            batch.set(self.client.document(path), {**to_fields(document), "v": self.v, "writtenAt": written_at})
        batch.commit()


@pytest.fixture
def store(firestore: firestore_api.Client) -> Stored:
    return Stored(firestore)


Serve = Callable[..., httpx.Client]


@contextmanager
def served(project: str, seconds: Seconds | None = None, **settings: Any) -> Iterator[httpx.Client]:
    """Serves the API on a project, with settings; gives a client of it.

    seconds: the clock by which an instance keeps what it has read. Without one it goes on by a second at every look,
    so that every request reads Firestore. Without settings no client is limited.
    """
    looks = itertools.count()
    unlimited = {"rate_limit_address": 0, "rate_limit_key": 0}
    app = create_app(
        Settings(project=project, **{**unlimited, **settings}),
        clock=lambda: NOW,
        seconds=seconds or (lambda: next(looks)),
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    # It is asked in plain HTTP: without `verify` the list of authorities is not loaded, which takes 20 ms a client.
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        with httpx.Client(base_url=url, trust_env=False, timeout=30, verify=False) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve(project: str) -> Iterator[Serve]:
    """Serves the API on the test's project, as `served` does."""
    with ExitStack() as using:
        yield lambda seconds=None, **settings: using.enter_context(served(project, seconds, **settings))


@pytest.fixture
def api(firestore: firestore_api.Client, serve: Serve) -> httpx.Client:
    """A client of the API on the test's Firestore."""
    return serve()


def before(seconds: float) -> datetime:
    """The instant `seconds` before now."""
    return NOW - timedelta(seconds=seconds)


def got(api: httpx.Client, path: str, **query: str | int) -> dict[str, Any]:
    """The body of what is asked for, after checking that it was answered."""
    response = api.get(path, params=query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def pages(api: httpx.Client, path: str, **query: str | int) -> Iterator[dict[str, Any]]:
    """Every page of a list, from cursor to cursor."""
    page = got(api, path, **query)
    yield page
    while "nextCursor" in page:
        page = got(api, path, **query, cursor=page["nextCursor"])
        yield page


def problem(response: httpx.Response) -> dict[str, Any]:
    """The problem in a response that failed, after checking that it is one and says nothing of the inside."""
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert "Traceback" not in response.text
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    return body


def problem_name(response: httpx.Response) -> str:
    """The end of a problem's type, as `not-found`."""
    name: str = problem(response)["type"].removeprefix("urn:pitwall:problem:")
    return name


@pytest.fixture
def accounts(auth_emulator: Emulator, project: str, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """The accounts of the test's project; the API takes their tokens."""
    monkeypatch.setenv(auth_emulator.variable, auth_emulator.value)
    return Accounts(auth_emulator, project)
