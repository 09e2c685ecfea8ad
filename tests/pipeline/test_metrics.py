"""What is measured, with OpenTelemetry's own reader; and that it is sent, from an instance that often stands still."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import psutil
import pytest
from google.cloud import firestore as firestore_api
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from local.emulators import Emulator
from local.functions import FunctionServer
from local.processes import Processes
from pitwall.pipeline import metrics
from pitwall.pipeline.database import Database
from pitwall.pipeline.deadletter import DeadLetters
from pitwall.pipeline.store import VersionedStore
from pitwall.pipeline.writer import Writer
from tests.api.conftest import serve  # noqa: F401 (fixture)
from tests.pipeline.conftest import message_of, push_body, tower

Points = dict[tuple[tuple[str, Any], ...], Any]


@pytest.fixture
def measured(project: str) -> Iterator[Callable[[str], Points]]:
    """Gives what was measured under a name, by attributes: the sum of a counter, or number and sum of a histogram."""
    reader = InMemoryMetricReader()
    metrics.measure_into(reader, project)

    def points(name: str) -> Points:
        data = reader.get_metrics_data()
        return {
            tuple(sorted(point.attributes.items())): point.value
            if hasattr(point, "value")
            else (point.count, point.sum)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        }

    yield points
    metrics.stop()


def test_requests_are_counted_and_timed_by_route_and_status(
    firestore: firestore_api.Client,
    serve: Callable[..., httpx.Client],  # noqa: F811
    measured: Callable[[str], Points],
):
    api = serve()
    for path in ("/api/sessions/1", "/api/sessions/2", "/health/live", "/nowhere?a=b", "/elsewhere"):
        api.get(path)
    api.request("BREW", "/nowhere")
    seen = measured("http.server.request.duration")
    by_route = {
        (dict(key)["http.request.method"], dict(key)["http.route"], dict(key)["http.response.status_code"]): count
        for key, (count, seconds) in seen.items()
        if seconds >= 0
    }
    assert by_route == {
        ("GET", "/api/sessions/<key>", 404): 2,
        ("GET", "/health/live", 200): 1,
        ("GET", "none", 404): 2,
        ("_OTHER", "none", 404): 1,
    }


def test_firestore_operations_are_counted_as_they_are_billed(
    firestore: firestore_api.Client, project: str, measured: Callable[[str], Points]
):
    database = Database(project)
    database.commit([database.write(f"sessions/{n}", {"n": n}) for n in range(3)])
    database.read(["sessions/0", "sessions/9"])
    database.query("sessions", limit=2)
    database.commit([database.delete("sessions/0")])
    database.close()
    counted = {dict(key)["operation"]: value for key, value in measured("pitwall.firestore.operations").items()}
    assert counted == {"write": 3, "read": 4, "delete": 1}


def test_the_writer_says_how_long_after_publishing_it_stored_and_what_it_put_away(
    topics: dict[str, str], firestore: firestore_api.Client, project: str, measured: Callable[[str], Points]
):
    writer = Writer(VersionedStore(Database(project)), DeadLetters(project, "timing-dead", timeout_s=10.0))
    published = datetime.now(UTC) - timedelta(seconds=30)
    writer.handle(push_body(message_of({"sessions/7001/live/timing": tower()}, seq=1), published=published))
    writer.handle(push_body(message_of({"nowhere/1": tower()}, seq=2), published=published))
    writer.handle(push_body(b"no envelope", published=published))
    [(count, seconds)] = measured("pitwall.writer.lag").values()
    assert count == 2
    assert 60 <= seconds < 120
    away = {(dict(key)["topic"], dict(key)["reason"]): n for key, n in measured("pitwall.dead_letters").items()}
    assert away == {("timing-dead", "unknown-path"): 1, ("timing-dead", "bad-envelope"): 1}


def test_without_a_place_to_send_to_nothing_is_measured(project: str):
    metrics.request("GET", "/api", 200, 0.1)
    metrics.flush()
    assert metrics._measuring is None


class Collector:
    """Takes OTLP over HTTP as a collector does."""

    def __init__(self) -> None:
        self.sent: list[ExportMetricsServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.sent.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def requests(self, route: str) -> int:
        """Requests of a route that the last sending knows of."""
        counts = [
            point.count
            for request in self.sent[-1:]
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == "http.server.request.duration"
            for point in metric.histogram.data_points
            if any(a.key == "http.route" and a.value.string_value == route for a in point.attributes)
        ]
        return sum(counts)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def start(processes: Processes, emulator: Emulator, project: str, url: str, every_s: str) -> FunctionServer:
    env = {
        **emulator.env,
        "GOOGLE_CLOUD_PROJECT": project,
        "PITWALL_METRICS_URL": url,
        "PITWALL_METRICS_S": every_s,
    }
    server = FunctionServer(processes, f"api-{project}", "api", env)
    server.wait_until_ready()
    return server


def test_an_instance_that_stood_still_sends_what_was_due_with_its_next_request(
    processes: Processes, firestore_emulator: Emulator, project: str, collector: Collector
):
    """Stopped like an instance that has no processor between requests."""
    server = start(processes, firestore_emulator, project, collector.url, "0.5")
    httpx.get(server.url + "health/live", trust_env=False, timeout=30)
    wait_until(lambda: collector.requests("/health/live") == 1)
    instance = psutil.Process(server.process.pid)
    tree = [instance, *instance.children(recursive=True)]
    for process in tree:
        process.send_signal(signal.SIGSTOP)
    wait_until(lambda: all(process.status() == psutil.STATUS_STOPPED for process in tree))
    sent = len(collector.sent)
    time.sleep(1.0)  # it would have sent twice
    assert len(collector.sent) <= sent + 1  # what was on its way
    for process in tree:
        process.send_signal(signal.SIGCONT)
    httpx.get(server.url + "health/live", trust_env=False, timeout=30)
    wait_until(lambda: collector.requests("/health/live") == 2)
    FunctionServer.end([server])


def test_what_was_not_sent_yet_is_sent_when_the_instance_ends(
    processes: Processes, firestore_emulator: Emulator, project: str, collector: Collector
):
    server = start(processes, firestore_emulator, project, collector.url, "3600")
    httpx.get(server.url + "health/live", trust_env=False, timeout=30)
    assert collector.sent == []
    FunctionServer.end([server])
    assert collector.requests("/health/live") == 1


def test_a_collector_that_is_gone_stops_no_request(processes: Processes, firestore_emulator: Emulator, project: str):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1/metrics"
        server = start(processes, firestore_emulator, project, url, "0.05")
        answers = {httpx.get(server.url + "health/live", trust_env=False, timeout=30).status_code for _ in range(50)}
        FunctionServer.end([server])
    assert answers == {200}
