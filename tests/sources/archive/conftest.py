"""The archive's server and a client of it that does not wait."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.archive import ArchiveServer
from pitwall.sources.archive import Archive


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with ArchiveServer() as running:
        yield running


@pytest.fixture
def archive(server: ArchiveServer) -> Iterator[Archive]:
    """A client that neither pauses between requests nor waits before it tries again."""
    with Archive(server.static_url, requests_per_s=1e9, sleep=lambda _: None) as client:
        yield client
