"""A certificate for tests over TLS."""

from __future__ import annotations

from tests.sources.signalr.conftest import certificate as certificate
