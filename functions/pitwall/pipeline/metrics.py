"""What is measured, through OpenTelemetry: requests, how far behind the feed and the writer are, what costs money.

Without PITWALL_METRICS_URL nothing is measured and nothing of OpenTelemetry is loaded. Every attribute has few values:
routes as patterns, never an address, a session or a person. `docs/metrics.md` tables what there is, and says when it
is sent from an instance that has no processor between requests.
"""

from __future__ import annotations

import os
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

from pitwall import VERSION
from pitwall.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

SEND_S = 5.0
"""Seconds one sending may take, its repetitions included."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others are counted as one, as clients may make them up."""

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_BEHIND_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300)


class _Measuring:
    """The instruments of this process, and the provider that has them sent."""

    def __init__(self, reader: MetricReader, project: str) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.resources import Resource

        resource = Resource.create(
            {
                "service.name": os.environ.get("K_SERVICE", "pitwall"),
                "service.version": VERSION,
                # Not the host's name, which all instances on Cloud Run share: they would overwrite each other.
                "service.instance.id": str(uuid4()),
                "gcp.project_id": project,
            }
        )
        self.provider = MeterProvider([reader], resource)
        meter = self.provider.get_meter("pitwall", VERSION)
        self.requests = meter.create_histogram(
            "http.server.request.duration", "s", "requests, by route", explicit_bucket_boundaries_advisory=_REQUEST_S
        )
        self.feed_delay = meter.create_histogram(
            "pitwall.feed.delay",
            "s",
            "a message's arrival after its instant",
            explicit_bucket_boundaries_advisory=_BEHIND_S,
        )
        self.writer_lag = meter.create_histogram(
            "pitwall.writer.lag", "s", "from publishing to stored", explicit_bucket_boundaries_advisory=_BEHIND_S
        )
        self.dead_letters = meter.create_counter("pitwall.dead_letters", "{message}", "what can never be stored")
        self.operations = meter.create_counter("pitwall.firestore.operations", "{document}", "what Firestore bills")


_lock = Lock()
_measuring: _Measuring | None = None


def start(settings: Settings) -> None:
    """Begins to measure, where it is configured and has not begun."""
    if settings.metrics_url and _measuring is None:
        with _lock:
            if _measuring is None:
                _begin(_sending(settings), settings.project)


def measure_into(reader: MetricReader, project: str) -> None:
    """Begins to measure, for `reader` to collect."""
    with _lock:
        _begin(reader, project)


def stop() -> None:
    """Sends what is left and measures no more."""
    global _measuring
    with _lock:
        ending, _measuring = _measuring, None
    if ending is not None:
        ending.provider.shutdown()


def flush() -> None:
    """Sends what was measured, and returns once that is done or has failed: then the next sending has it."""
    if _measuring is not None:
        with suppress(Exception):  # the exporter says in the log what was the matter; no invocation fails for it
            _measuring.provider.force_flush(int(SEND_S * 1000))


def _begin(reader: MetricReader, project: str) -> None:
    global _measuring
    _measuring = _Measuring(reader, project)


def _sending(settings: Settings) -> MetricReader:
    """Sends every PITWALL_METRICS_S seconds, and when the process ends. Google's server is given the credentials."""
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    session: Any = None
    if (urlsplit(settings.metrics_url).hostname or "").endswith(".googleapis.com"):
        import google.auth
        from google.auth.transport.requests import AuthorizedSession

        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    exporter = OTLPMetricExporter(settings.metrics_url, timeout=SEND_S, session=session)
    return PeriodicExportingMetricReader(exporter, settings.metrics_s * 1000, SEND_S * 1000)


def request(method: str, route: str, status: int, seconds: float) -> None:
    """A request was answered. route: its pattern."""
    if _measuring is not None:
        attributes: dict[str, str | int] = {
            "http.request.method": method if method in METHODS else "_OTHER",
            "http.route": route,
            "http.response.status_code": status,
        }
        _measuring.requests.record(seconds, attributes)


def feed_delay(feed: str, seconds: float) -> None:
    """A message of a live feed arrived so long after its instant; what seems to come from the future came at once."""
    if _measuring is not None:
        _measuring.feed_delay.record(max(seconds, 0.0), {"feed": feed})


def writer_lag(seconds: float) -> None:
    """A message's documents are stored, so long after Pub/Sub took it."""
    if _measuring is not None:
        _measuring.writer_lag.record(max(seconds, 0.0))


def dead_letter(topic: str, reason: str) -> None:
    """A message was put away. reason: a short word of ours."""
    if _measuring is not None:
        _measuring.dead_letters.add(1, {"topic": topic, "reason": reason})


def operations(kind: Literal["read", "write", "delete"], documents: int) -> None:
    """Documents were read from Firestore, written or deleted."""
    if _measuring is not None and documents:
        _measuring.operations.add(documents, {"operation": kind})
